//! Every step of a hold, and the holds that were refused.

use domain::{Credits, UsageEvent};
use ledger::{
    Body, ByHand, Draw, Entry, Freed, HoldAfter, HoldEnding, HoldId, HoldName, HoldRefused,
    HoldUse, Limit, Scope,
};

use super::usage::text;
use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct HoldRows {
    steps: Rows,
    refusals: Rows,
}

/// What an entry did to a hold.
struct Step<'a> {
    hold: HoldId,
    step: &'static str,
    /// How the step ended the hold.
    ends: Option<HoldEnding>,
    asked: Credits,
    above: Credits,
    /// Change of what is captured ahead.
    advanced: Credits,
    freed: Credits,
    after: HoldAfter,
    scope: Option<&'a Scope<'a>>,
    by: Option<&'a ByHand<'a>>,
    event: Option<&'a UsageEvent<'a>>,
}

impl<'a> Step<'a> {
    fn new(hold: HoldId, step: &'static str, after: HoldAfter) -> Self {
        Self {
            hold,
            step,
            ends: None,
            asked: Credits::ZERO,
            above: Credits::ZERO,
            advanced: Credits::ZERO,
            freed: Credits::ZERO,
            after,
            scope: None,
            by: None,
            event: None,
        }
    }

    fn charged(used: &HoldUse, event: &'a UsageEvent<'a>) -> Self {
        let given_back = used.freed.as_ref().map_or(Credits::ZERO, Freed::given_back);
        Self {
            // An event that comes after the end gives up what was left for it: how the hold ended
            // is what the first of these steps says.
            ends: used.freed.as_ref().map(|_| HoldEnding::Settled),
            above: used.above,
            advanced: -sum(&used.advanced) - used.advanced_overage - given_back,
            freed: used.freed.as_ref().map_or(Credits::ZERO, |freed| freed.credits),
            event: Some(event),
            ..Self::new(used.hold, "charged", used.after)
        }
    }

    fn of(entry: &'a Entry<'a>) -> Option<Self> {
        match &entry.body {
            Body::Debit(debit) => Some(Self::charged(debit.hold.as_ref()?, &debit.event)),
            Body::HoldReserved(reserved) => {
                let after = HoldAfter {
                    amount: reserved.amount,
                    captured: Credits::ZERO,
                    expires_at: reserved.expires_at,
                };
                Some(Self {
                    asked: reserved.asked,
                    scope: Some(&reserved.scope),
                    by: Some(&reserved.by),
                    ..Self::new(HoldId(entry.number), "reserved", after)
                })
            }
            Body::HoldCaptured(captured) => Some(Self {
                above: captured.above,
                advanced: captured.credits,
                by: Some(&captured.by),
                ..Self::new(captured.hold, "captured", captured.after)
            }),
            Body::HoldExtended(extended) => Some(Self {
                by: Some(&extended.by),
                ..Self::new(extended.hold, "extended", extended.after)
            }),
            Body::HoldEnded(ended) => Some(Self {
                ends: Some(ended.how),
                above: ended.above,
                advanced: sum(&ended.draws) + ended.overage - ended.freed.given_back(),
                freed: ended.freed.credits,
                by: ended.by.as_ref(),
                ..Self::new(ended.hold, ended.how.word(), ended.after)
            }),
            Body::Unrated(_)
            | Body::Quarantined(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::HoldRefused(_)
            | Body::PlanAssigned(_)
            | Body::PlanScheduled(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::Reversed(_)
            | Body::LotExpiring(_)
            | Body::Corrected(_)
            | Body::QuarantineDecided(_) => None,
        }
    }

    /// What it still reserves: a charge takes from the reservation until that is used up.
    fn held(&self) -> Credits {
        match self.ends {
            Some(_) => Credits::ZERO,
            None => (self.after.amount - self.after.captured).max(Credits::ZERO),
        }
    }
}

/// The hold that an entry is about; `None` for an entry without one.
pub(crate) fn hold_of(place: Place, entry: &Entry<'_>) -> Option<HoldName> {
    let step = Step::of(entry)?;
    Some(HoldName { partition: place.partition, hold: step.hold })
}

fn sum(draws: &[Draw]) -> Credits {
    draws.iter().map(|draw| draw.credits).sum()
}

impl HoldRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        if let Some(step) = Step::of(entry) {
            self.step(place, entry, &step);
        }
        if let Body::HoldRefused(refused) = &entry.body {
            self.refused(place, entry, refused);
        }
    }

    fn step(&mut self, place: Place, entry: &Entry<'_>, step: &Step<'_>) {
        let name = HoldName { partition: place.partition, hold: step.hold };
        let (source, id) = match (step.event, step.by) {
            (Some(event), _) => (event.source.as_ref(), event.id.as_ref()),
            (None, Some(by)) => ("", by.command.as_ref()),
            (None, None) => ("", ""),
        };
        self.steps.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_text(name.to_string());
            row.put_u64(entry.sequence.0);
            row.put_text(step.step);
            row.put_text(step.ends.map_or("open", HoldEnding::word));
            row.put_amount(step.asked);
            row.put_amount(step.after.amount);
            row.put_amount(step.after.captured);
            row.put_amount(step.held());
            row.put_amount(step.above);
            row.put_amount(step.advanced);
            row.put_amount(step.freed);
            row.put_time(step.after.expires_at);
            put_scope(row, step.scope);
            row.put_text(step.by.map_or("", |by| &by.actor));
            row.put_text(step.by.map_or("", |by| &by.reason));
            row.put_text(source);
            row.put_text(id);
            put_end(row, place, entry);
        });
    }

    fn refused(&mut self, place: Place, entry: &Entry<'_>, refused: &HoldRefused<'_>) {
        self.refusals.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(entry.sequence.0);
            row.put_amount(refused.asked);
            row.put_text(match &refused.limit {
                Limit::Balance => "balance".to_owned(),
                Limit::Budget(budget) => format!("budget:{budget}"),
            });
            row.put_amount(refused.shortfall);
            row.put_amount(refused.available);
            row.put_nullable_time(refused.resets_at);
            put_scope(row, Some(&refused.scope));
            row.put_text(refused.by.actor.as_bytes());
            row.put_text(refused.by.reason.as_bytes());
            row.put_text(refused.by.command.as_bytes());
            put_end(row, place, entry);
        });
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        blocks.extend(self.steps.take(&tables::HOLD_STEPS));
        blocks.extend(self.refusals.take(&tables::HOLD_REFUSALS));
    }
}

fn put_scope(row: &mut Vec<u8>, scope: Option<&Scope<'_>>) {
    row.put_text(scope.map_or("", |scope| text(&scope.user)));
    row.put_text(scope.map_or("", |scope| text(&scope.team)));
    row.put_text(scope.map_or("", |scope| text(&scope.feature)));
    row.put_text(scope.map_or("", |scope| scope.traffic.word()));
}

fn put_end(row: &mut Vec<u8>, place: Place, entry: &Entry<'_>) {
    row.put_time(entry.recorded_at);
    row.put_text(entry_id(place.partition, entry.number));
    row.put_u32(place.partition.0);
    row.put_i64(place.offset.0);
}
