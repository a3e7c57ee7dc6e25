//! The only way that an account changes. Arithmetic alone: what an entry says, happens.

use domain::{ContentHash, Credits, EntryNumber, IdentityKey, LotId, Sequence};

use crate::{Account, Body, Draw, Entry, Lot, LotState};

/// An entry that does not continue its account. The ledger is damaged or was read out of order: a
/// reader halts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("entry number {found} where {expected} was due")]
    NumberGap { expected: EntryNumber, found: EntryNumber },
    #[error("account {account}: entry {found} where {expected} was due")]
    Gap { account: String, expected: Sequence, found: Sequence },
    #[error("account {account}: entry {sequence} names lot {lot}, which is not open")]
    NoSuchLot { account: String, sequence: Sequence, lot: LotId },
    #[error("account {account}: entry {sequence} says a balance of {said}, the fold says {folded}")]
    BalanceDiffers { account: String, sequence: Sequence, said: Credits, folded: Credits },
}

/// An identity that an entry makes known, to be found when it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remember {
    pub key: IdentityKey,
    pub content: ContentHash,
    pub entry: EntryNumber,
}

impl Entry<'_> {
    /// The identity that this entry takes. A charge that settles earlier unrated usage takes none:
    /// the unrated entry did.
    pub fn remember(&self) -> Option<Remember> {
        let event = |event: &domain::UsageEvent<'_>| {
            IdentityKey::new(&event.account, &event.source, &event.id)
        };
        let (key, content) = match &self.body {
            Body::Debit(debit) if debit.resolves.is_some() => return None,
            Body::Debit(debit) => (event(&debit.event), debit.content),
            Body::Unrated(unrated) => (event(&unrated.event), unrated.content),
            Body::Grant(grant) => self.command_identity(&grant.by),
            Body::Adjustment(adjustment) => self.command_identity(&adjustment.by),
            Body::LotVoided(voided) => self.command_identity(voided.by.as_ref()?),
            Body::Quarantined(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_) => return None,
        };
        Some(Remember { key, content, entry: self.number })
    }

    fn command_identity(&self, by: &crate::ByHand<'_>) -> (IdentityKey, ContentHash) {
        (IdentityKey::of_command(&self.account, &by.command), by.content)
    }
}

/// Applies one entry to its account.
///
/// # Errors
/// When the entry does not continue the account; the account is then not to be used further.
pub fn apply(account: &mut Account, entry: &Entry<'_>) -> Result<(), ApplyError> {
    let expected = account.sequence.next();
    if entry.sequence != expected {
        return Err(ApplyError::Gap {
            account: entry.account.to_string(),
            expected,
            found: entry.sequence,
        });
    }
    account.sequence = expected;
    let done = match &entry.body {
        Body::Debit(debit) => {
            account.overage += debit.overage;
            debit.draws.iter().try_for_each(|draw| take(account, draw))
        }
        Body::Unrated(_) | Body::Quarantined(_) => Ok(()),
        Body::Grant(grant) => {
            open(account, Lot::of_grant(entry.sequence, grant));
            grant.repays.iter().try_for_each(|draw| repay(account, draw))
        }
        Body::Adjustment(adjustment) => {
            if adjustment.credits.is_positive() {
                let lot = Lot::of_adjustment(entry.sequence, adjustment.credits, entry.recorded_at);
                open(account, lot);
            }
            account.overage += adjustment.overage;
            adjustment
                .draws
                .iter()
                .try_for_each(|draw| take(account, draw))
                .and_then(|()| adjustment.repays.iter().try_for_each(|draw| repay(account, draw)))
        }
        Body::LotVoided(closed) => lose(account, closed, |lot| &mut lot.voided),
        Body::LotExpired(closed) => lose(account, closed, |lot| &mut lot.expired),
        Body::LotActivated(activated) => with_lot(account, activated.lot, |lot, totals| {
            lot.state = LotState::Live;
            *totals.remaining += lot.remaining();
        })
        .and_then(|()| activated.repays.iter().try_for_each(|draw| repay(account, draw))),
        Body::LotInGrace(lapsed) => with_lot(account, lapsed.lot, |lot, totals| {
            lot.state = LotState::InGrace;
            *totals.in_grace += lot.remaining();
        }),
    };
    done.map_err(|lot| ApplyError::NoSuchLot {
        account: entry.account.to_string(),
        sequence: entry.sequence,
        lot,
    })?;
    let folded = account.balance();
    if folded != entry.after {
        return Err(ApplyError::BalanceDiffers {
            account: entry.account.to_string(),
            sequence: entry.sequence,
            said: entry.after.settled,
            folded: folded.settled,
        });
    }
    Ok(())
}

struct Totals<'a> {
    remaining: &'a mut Credits,
    in_grace: &'a mut Credits,
}

/// Changes an open lot, and closes it when nothing is left in it.
fn with_lot(
    account: &mut Account,
    id: LotId,
    change: impl FnOnce(&mut Lot, Totals<'_>),
) -> Result<(), LotId> {
    let index = account.open_lot_index(id).ok_or(id)?;
    let lot = &mut account.lots[index];
    let totals = Totals { remaining: &mut account.remaining, in_grace: &mut account.in_grace };
    change(lot, totals);
    if lot.remaining().is_zero() {
        let mut lot = account.lots.remove(index);
        lot.state = LotState::Closed;
        account.closed.push(lot);
    }
    Ok(())
}

fn take(account: &mut Account, draw: &Draw) -> Result<(), LotId> {
    with_lot(account, draw.lot, |lot, totals| {
        lot.drawn += draw.credits;
        lot.recognised += draw.revenue;
        *totals.remaining -= draw.credits;
        if lot.state == LotState::InGrace {
            *totals.in_grace -= draw.credits;
        }
    })
}

fn repay(account: &mut Account, draw: &Draw) -> Result<(), LotId> {
    account.overage -= draw.credits;
    take(account, draw)
}

fn lose(
    account: &mut Account,
    closed: &crate::LotClosed<'_>,
    column: impl FnOnce(&mut Lot) -> &mut Credits,
) -> Result<(), LotId> {
    with_lot(account, closed.lot, |lot, totals| {
        *column(lot) += closed.credits;
        lot.recognised += closed.revenue;
        if lot.state != LotState::Pending {
            *totals.remaining -= closed.credits;
        }
        if lot.state == LotState::InGrace {
            *totals.in_grace -= closed.credits;
        }
    })
}

fn open(account: &mut Account, lot: Lot) {
    if lot.state == LotState::Live {
        account.remaining += lot.remaining();
    }
    let index = account.lots.partition_point(|other| other.order() < lot.order());
    if account.lots.capacity() == 0 {
        // Most accounts have one lot: the list's own growth would make room for four.
        account.lots.reserve_exact(1);
    }
    account.lots.insert(index, lot);
}
