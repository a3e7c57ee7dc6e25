//! The balance after each account's last entry of a batch, and how an entry moves it.

use std::collections::BTreeMap;

use domain::Credits;
use ledger::{Body, Draw, Entry, Freed, Return, ReturnTo};

use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct BalanceRows {
    /// The last balance of each account in the batch, as a row.
    balances: BTreeMap<String, Vec<u8>>,
}

impl BalanceRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        let row = match self.balances.get_mut(entry.account.as_ref()) {
            Some(row) => row,
            None => self.balances.entry(entry.account.to_string()).or_default(),
        };
        row.clear();
        let after = &entry.after;
        row.put_text(entry.account.as_bytes());
        row.put_u64(entry.sequence.0);
        row.put_time(entry.recorded_at);
        row.put_amount(after.settled);
        row.put_amount(after.held);
        row.put_amount(after.in_grace);
        row.put_amount(after.available());
        row.put_amount(after.overage);
        row.put_text(entry_id(place.partition, entry.number));
        row.put_u32(place.partition.0);
        row.put_i64(place.offset.0);
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        let mut rows = Rows::default();
        for row in std::mem::take(&mut self.balances).into_values() {
            rows.add(|bytes| bytes.extend_from_slice(&row));
        }
        blocks.extend(rows.take(&tables::ACCOUNT_BALANCES));
    }
}

/// What an entry adds to the settled balance. Over an account's entries it sums to the balance.
///
/// A charge that its hold had captured ahead takes nothing more: the capture did. Repaying overage
/// changes nothing either, since a lot and the overage shrink together.
pub(crate) fn settled(entry: &Entry<'_>) -> Credits {
    match &entry.body {
        Body::Debit(debit) => {
            let freed = debit.hold.as_ref().and_then(|hold| hold.freed.as_ref());
            freed.map_or(Credits::ZERO, given_back) - drawn(&debit.draws) - debit.overage
        }
        Body::Grant(grant) if grant.pending => Credits::ZERO,
        Body::Grant(grant) => grant.credits,
        Body::Adjustment(adjustment) => adjustment.credits,
        Body::LotVoided(closed) | Body::LotExpired(closed) if closed.pending => Credits::ZERO,
        Body::LotVoided(closed) | Body::LotExpired(closed) => -closed.credits,
        Body::LotActivated(activated) => activated.credits,
        Body::HoldCaptured(captured) => -captured.credits,
        Body::HoldEnded(ended) => given_back(&ended.freed) - drawn(&ended.draws) - ended.overage,
        Body::PlanAssigned(assigned) => assigned.grant.map_or(Credits::ZERO, |grant| grant.credits),
        Body::PlanRenewed(renewed) => {
            renewed.grant.map_or(Credits::ZERO, |grant| grant.credits)
                + renewed.billed.map_or(Credits::ZERO, |billed| billed.credits)
        }
        Body::Refunded(refunded) => -refunded.credits,
        Body::Reversed(reversed) => returned(&reversed.returns) + reversed.overage + reversed.lot,
        Body::Corrected(corrected) => {
            returned(&corrected.returns) + corrected.forgiven + corrected.lot
                - drawn(&corrected.draws)
                - corrected.overage
        }
        Body::Unrated(_)
        | Body::Quarantined(_)
        | Body::QuarantineDecided(_)
        | Body::LotInGrace(_)
        | Body::HoldReserved(_)
        | Body::HoldRefused(_)
        | Body::HoldExtended(_)
        | Body::PlanScheduled(_)
        | Body::RolledOver(_)
        | Body::BudgetSet(_)
        | Body::BudgetRemoved(_)
        | Body::NoticesSet(_)
        | Body::LotExpiring(_) => Credits::ZERO,
    }
}

fn drawn(draws: &[Draw]) -> Credits {
    draws.iter().map(|draw| draw.credits).sum()
}

/// Credits that come back to a lot that has expired are forfeited at once, and so add nothing.
fn returned(returns: &[Return]) -> Credits {
    returns
        .iter()
        .map(|back| match back.to {
            ReturnTo::Live | ReturnTo::InGrace => back.credits,
            ReturnTo::Expired => Credits::ZERO,
        })
        .sum()
}

fn given_back(freed: &Freed) -> Credits {
    let lost: Credits = freed.lost.iter().map(|lost| lost.credits).sum();
    returned(&freed.returns) + freed.returned_overage + freed.lot - lost
}
