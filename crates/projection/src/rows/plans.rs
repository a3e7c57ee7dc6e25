//! Changes of accounts' plans.

use calendar::Window;
use domain::{CatalogueId, Credits, Currency, Money, Timestamp};
use ledger::{Billed, Body, ByHand, Draw, Entry, PlanGrant};

use super::usage::text;
use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::{Names, tables};

#[derive(Debug, Default)]
pub(crate) struct PlanRows(Rows);

/// What an entry says about an account's plan.
struct Change<'a> {
    kind: &'static str,
    plan: &'a str,
    version: Option<CatalogueId>,
    replaces: &'a str,
    from: Timestamp,
    period: Option<Window>,
    trial: bool,
    grant: Option<PlanGrant>,
    billed: Option<Billed>,
    repays: Option<Draw>,
    low_balance: Option<Credits>,
    by: Option<&'a ByHand<'a>>,
}

impl<'a> Change<'a> {
    fn of(entry: &'a Entry<'a>) -> Option<Self> {
        match &entry.body {
            Body::PlanAssigned(assigned) => Some(Self {
                kind: "assigned",
                plan: &assigned.plan,
                version: Some(assigned.version),
                replaces: text(&assigned.replaces),
                from: assigned.from,
                period: assigned.period,
                trial: assigned.trial,
                grant: assigned.grant,
                billed: None,
                repays: assigned.repays,
                low_balance: assigned.low_balance,
                by: assigned.by.as_ref(),
            }),
            Body::PlanScheduled(scheduled) => Some(Self {
                kind: "scheduled",
                plan: text(&scheduled.plan),
                version: None,
                replaces: "",
                from: scheduled.at,
                period: None,
                trial: false,
                grant: None,
                billed: None,
                repays: None,
                low_balance: None,
                by: Some(&scheduled.by),
            }),
            Body::PlanRenewed(renewed) => Some(Self {
                kind: "renewed",
                plan: &renewed.plan,
                version: Some(renewed.version),
                replaces: text(&renewed.replaces),
                // What begins, begins with its period, whenever that was noticed.
                from: renewed.period.map_or(entry.recorded_at, |period| period.start),
                period: renewed.period,
                trial: false,
                grant: renewed.grant,
                billed: renewed.billed,
                repays: renewed.repays,
                low_balance: renewed.low_balance,
                by: None,
            }),
            Body::Debit(_)
            | Body::Unrated(_)
            | Body::Quarantined(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::HoldExtended(_)
            | Body::HoldEnded(_)
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

    fn currency(&self) -> Option<Currency> {
        let granted = self.grant.and_then(|grant| grant.currency);
        granted.or_else(|| self.billed.and_then(|billed| billed.currency))
    }
}

impl PlanRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>, names: &Names<'_>) {
        let Some(change) = Change::of(entry) else { return };
        self.0.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(entry.sequence.0);
            row.put_text(change.kind);
            row.put_text(change.plan);
            let (_, version) = names.version(change.version);
            row.put_u32(version);
            row.put_text(change.replaces);
            row.put_time(change.from);
            row.put_nullable_time(change.period.map(|period| period.start));
            row.put_nullable_time(change.period.map(|period| period.end));
            row.put_bool(change.trial);
            row.put_amount(change.grant.map_or(Credits::ZERO, |grant| grant.credits));
            row.put_amount(change.grant.map_or(Money::ZERO, |grant| grant.paid));
            row.put_amount(change.billed.map_or(Credits::ZERO, |billed| billed.credits));
            row.put_amount(change.billed.map_or(Money::ZERO, |billed| billed.price));
            row.put_text(change.currency().map(|code| code.to_string()).unwrap_or_default());
            row.put_amount(change.repays.map_or(Credits::ZERO, |draw| draw.credits));
            row.put_nullable_amount(change.low_balance);
            row.put_text(change.by.map_or("", |by| &by.actor));
            row.put_text(change.by.map_or("", |by| &by.reason));
            row.put_text(change.by.map_or("", |by| &by.command));
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        blocks.extend(self.0.take(&tables::PLAN_CHANGES));
    }
}
