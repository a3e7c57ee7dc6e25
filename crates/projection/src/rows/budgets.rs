//! Every change of a budget: its terms, and what is used of it.

use calendar::{Period, Window};
use domain::Credits;
use ledger::{Body, BudgetTerms, BudgetUses, ByHand, Entry};

use super::usage::text;
use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct BudgetRows(Rows);

struct Step<'a> {
    budget: &'a str,
    step: &'static str,
    used: Credits,
    window: Option<Window>,
    terms: Option<&'a BudgetTerms<'a>>,
    by: Option<&'a ByHand<'a>>,
}

impl BudgetRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        match &entry.body {
            Body::Debit(debit) => self.used(place, entry, &debit.budgets),
            Body::HoldCaptured(captured) => self.used(place, entry, &captured.budgets),
            Body::HoldEnded(ended) => self.used(place, entry, &ended.budgets),
            Body::Reversed(reversed) => self.used(place, entry, &reversed.budgets),
            Body::Corrected(corrected) => self.used(place, entry, &corrected.budgets),
            Body::BudgetSet(set) => {
                let step = Step {
                    budget: &set.terms.id,
                    step: "set",
                    used: set.used,
                    window: set.window,
                    terms: Some(&set.terms),
                    by: Some(&set.by),
                };
                self.step(place, entry, &step);
            }
            Body::BudgetRemoved(removed) => {
                let step = Step {
                    budget: &removed.budget,
                    step: "removed",
                    used: Credits::ZERO,
                    window: None,
                    terms: None,
                    by: Some(&removed.by),
                };
                self.step(place, entry, &step);
            }
            Body::Unrated(_)
            | Body::Quarantined(_)
            | Body::QuarantineDecided(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldExtended(_)
            | Body::PlanAssigned(_)
            | Body::PlanScheduled(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::LotExpiring(_) => {}
        }
    }

    fn used(&mut self, place: Place, entry: &Entry<'_>, uses: &BudgetUses<'_>) {
        for used in uses {
            let step = Step {
                budget: &used.budget,
                step: "used",
                used: used.used,
                window: used.window,
                terms: None,
                by: None,
            };
            self.step(place, entry, &step);
        }
    }

    fn step(&mut self, place: Place, entry: &Entry<'_>, step: &Step<'_>) {
        let terms = step.terms;
        let scope = terms.map(|terms| &terms.scope);
        self.0.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_text(step.budget);
            row.put_u64(entry.sequence.0);
            row.put_text(step.step);
            row.put_amount(step.used);
            row.put_nullable_time(step.window.map(|window| window.start));
            row.put_nullable_time(step.window.map(|window| window.end));
            row.put_amount(terms.map_or(Credits::ZERO, |terms| terms.limit));
            row.put_text(terms.and_then(|terms| terms.period).map_or("", Period::word));
            row.put_text(terms.map_or("", |terms| terms.zone.name()));
            row.put_text(scope.map_or("", |scope| text(&scope.user)));
            row.put_text(scope.map_or("", |scope| text(&scope.team)));
            row.put_text(scope.map_or("", |scope| text(&scope.feature)));
            row.put_text(scope.and_then(|scope| scope.traffic).map_or("", domain::Traffic::word));
            row.put_bool(terms.is_some_and(|terms| terms.hard));
            row.put_text(terms.map(thresholds).unwrap_or_default());
            row.put_text(step.by.map_or("", |by| &by.actor));
            row.put_text(step.by.map_or("", |by| &by.reason));
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        blocks.extend(self.0.take(&tables::BUDGET_STEPS));
    }
}

fn thresholds(terms: &BudgetTerms<'_>) -> String {
    let percents: Vec<String> = terms.thresholds.iter().map(u16::to_string).collect();
    percents.join(",")
}
