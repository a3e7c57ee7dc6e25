//! The only way that an account changes. Arithmetic alone: what an entry says, happens.

mod holds;
mod lots;
mod plans;

use domain::{ContentHash, Credits, EntryNumber, IdentityKey, LotId, Sequence};
use smallvec::{SmallVec, smallvec};

use crate::entry::{BudgetUses, Corrected, Corrector};
use crate::{Account, Body, Entry, HoldId, Lot};
use lots::{lose, open, put_back, repay, repay_all, take_all, with_lot};

/// An entry that does not continue its account. The ledger is damaged or was read out of order: a
/// reader halts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("entry number {found} where {expected} was due")]
    NumberGap { expected: EntryNumber, found: EntryNumber },
    #[error("account {account}: entry {found} where {expected} was due")]
    Gap { account: String, expected: Sequence, found: Sequence },
    #[error("account {account}: entry {sequence} names {what}, which is not there")]
    Missing { account: String, sequence: Sequence, what: Missing },
    #[error("account {account}: entry {sequence} says a balance of {said}, the fold says {folded}")]
    BalanceDiffers { account: String, sequence: Sequence, said: Credits, folded: Credits },
}

/// What an entry names and the account does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    #[error("lot {0}")]
    Lot(LotId),
    #[error("hold {}", .0.0)]
    Hold(HoldId),
    #[error("a plan")]
    Plan,
    #[error("a budget")]
    Budget,
}

/// An identity that an entry makes known, to be found when it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remember {
    pub key: IdentityKey,
    pub content: ContentHash,
    pub entry: EntryNumber,
}

/// What an entry makes known; nearly always at most one.
pub type Remembered = SmallVec<[Remember; 1]>;

/// The identity of what corrects an entry: a charge is reversed or replaced once, whoever asks.
pub fn correction_id(entry: EntryNumber) -> String {
    format!("reverse {entry}")
}

/// The identity of the decision about an entry that held a record back: it is made once.
pub fn decision_id(entry: EntryNumber) -> String {
    format!("decide {entry}")
}

/// What commands to a hold are unique within.
pub fn hold_scope(hold: HoldId) -> String {
    format!("hold {}", hold.0)
}

impl Entry<'_> {
    /// The identities that this entry takes. A charge that settles earlier unrated usage does not take
    /// its event's, which the unrated entry did: it stands in that one's place.
    pub fn remember(&self) -> Remembered {
        let Body::Corrected(corrected) = &self.body else {
            return self.remember_one().into_iter().collect();
        };
        let scope = correction_id(corrected.corrects);
        let key = IdentityKey::of_command(&self.account, &scope);
        let entry = self.number;
        match &corrected.by {
            Corrector::ByHand(by) => smallvec![Remember { key, content: by.content, entry }],
            Corrector::Producer { id, content, .. } => {
                let source = &corrected.before.event.source;
                let event = IdentityKey::new(&self.account, source, id);
                let content = *content;
                smallvec![Remember { key, content, entry }, Remember { key: event, content, entry }]
            }
        }
    }

    fn remember_one(&self) -> Option<Remember> {
        let event = |event: &domain::UsageEvent<'_>| {
            IdentityKey::new(&event.account, &event.source, &event.id)
        };
        let of_account = |by: &crate::ByHand<'_>| {
            (IdentityKey::of_command(&self.account, &by.command), by.content)
        };
        let of_hold = |hold: HoldId, by: &crate::ByHand<'_>| {
            (IdentityKey::of_command(&hold_scope(hold), &by.command), by.content)
        };
        let (key, content) = match &self.body {
            Body::Debit(debit) => match debit.resolves {
                None => (event(&debit.event), debit.content),
                Some(unrated) => {
                    let standing = correction_id(unrated);
                    (IdentityKey::of_command(&self.account, &standing), debit.content)
                }
            },
            Body::Unrated(unrated) => (event(&unrated.event), unrated.content),
            Body::Grant(grant) => of_account(&grant.by),
            Body::Adjustment(adjustment) => of_account(&adjustment.by),
            Body::LotVoided(voided) => of_account(voided.by.as_ref()?),
            Body::HoldReserved(reserved) => of_account(&reserved.by),
            Body::HoldRefused(refused) => of_account(&refused.by),
            Body::HoldCaptured(captured) => of_hold(captured.hold, &captured.by),
            Body::HoldExtended(extended) => of_hold(extended.hold, &extended.by),
            Body::HoldEnded(ended) => of_hold(ended.hold, ended.by.as_ref()?),
            Body::PlanAssigned(assigned) => of_account(assigned.by.as_ref()?),
            Body::PlanScheduled(scheduled) => of_account(&scheduled.by),
            Body::BudgetSet(set) => of_account(&set.by),
            Body::BudgetRemoved(removed) => of_account(&removed.by),
            Body::NoticesSet(set) => of_account(&set.by),
            Body::Refunded(refunded) => of_account(&refunded.by),
            Body::Reversed(reversed) => (
                IdentityKey::of_command(&self.account, &correction_id(reversed.reverses)),
                reversed.by.content,
            ),
            Body::QuarantineDecided(decided) => (
                IdentityKey::of_command(&self.account, &decision_id(decided.held)),
                decided.by.content,
            ),
            Body::Quarantined(_)
            | Body::Corrected(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::LotExpiring(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_) => return None,
        };
        Some(Remember { key, content, entry: self.number })
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
    change(account, entry).map_err(|what| ApplyError::Missing {
        account: entry.account.to_string(),
        sequence: entry.sequence,
        what,
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

fn change(account: &mut Account, entry: &Entry<'_>) -> Result<(), Missing> {
    match &entry.body {
        Body::Debit(debit) => {
            match &debit.hold {
                None => {
                    account.overage += debit.overage;
                    take_all(account, &debit.draws)?;
                }
                Some(used) => holds::used(account, entry, debit, used)?,
            }
            count(account, &debit.budgets)
        }
        Body::Unrated(_)
        | Body::Quarantined(_)
        | Body::HoldRefused(_)
        | Body::QuarantineDecided(_) => Ok(()),
        Body::Grant(grant) => {
            open(account, Lot::of_grant(entry.sequence, grant));
            grant.repays.iter().try_for_each(|draw| repay(account, draw))
        }
        Body::Adjustment(adjustment) => {
            if adjustment.credits.is_positive() {
                let now = entry.recorded_at;
                open(account, Lot::promotional(entry.sequence, adjustment.credits, now));
            }
            account.overage += adjustment.overage;
            take_all(account, &adjustment.draws)?;
            adjustment.repays.iter().try_for_each(|draw| repay(account, draw))
        }
        Body::LotVoided(closed) => lose(account, closed, |lot| &mut lot.voided),
        Body::LotExpired(closed) => lots::expire(account, closed),
        Body::LotActivated(activated) => {
            with_lot(account, activated.lot, |change| change.activate())?;
            activated.repays.iter().try_for_each(|draw| repay(account, draw))
        }
        Body::LotInGrace(lapsed) => with_lot(account, lapsed.lot, |change| change.enter_grace()),
        Body::LotExpiring(expiring) => {
            with_lot(account, expiring.lot, |change| change.lot.warned = true)
        }
        Body::HoldReserved(reserved) => holds::reserved(account, entry, reserved),
        Body::HoldCaptured(captured) => holds::captured(account, captured),
        Body::HoldExtended(extended) => holds::extended(account, extended),
        Body::HoldEnded(ended) => holds::ended(account, entry, ended),
        Body::PlanAssigned(assigned) => plans::assigned(account, entry, assigned),
        Body::PlanScheduled(scheduled) => plans::scheduled(account, scheduled),
        Body::PlanRenewed(renewed) => plans::renewed(account, entry, renewed),
        Body::RolledOver(rolled) => plans::rolled_over(account, entry, rolled),
        Body::BudgetSet(set) => {
            plans::budget_set(account, set);
            Ok(())
        }
        Body::BudgetRemoved(removed) => plans::budget_removed(account, removed),
        Body::NoticesSet(set) => {
            let notices = &mut account.controls_mut().notices;
            notices.low_balance = set.low_balance;
            notices.top_up = set.top_up;
            Ok(())
        }
        Body::Refunded(refunded) => lots::refund(account, refunded),
        Body::Reversed(reversed) => {
            reversed.returns.iter().try_for_each(|back| put_back(account, back))?;
            account.overage -= reversed.overage;
            if reversed.lot.is_positive() {
                open(account, Lot::promotional(entry.sequence, reversed.lot, entry.recorded_at));
            }
            count(account, &reversed.budgets)
        }
        Body::Corrected(corrected) => correct(account, entry, corrected),
    }
}

fn correct(
    account: &mut Account,
    entry: &Entry<'_>,
    corrected: &Corrected<'_>,
) -> Result<(), Missing> {
    corrected.returns.iter().try_for_each(|back| put_back(account, back))?;
    account.overage -= corrected.forgiven;
    if corrected.lot.is_positive() {
        open(account, Lot::promotional(entry.sequence, corrected.lot, entry.recorded_at));
    }
    account.overage += corrected.overage;
    take_all(account, &corrected.draws)?;
    count(account, &corrected.budgets)
}

/// Budgets take what an entry says they have used.
fn count(account: &mut Account, uses: &BudgetUses<'_>) -> Result<(), Missing> {
    if uses.is_empty() {
        return Ok(());
    }
    let budgets = &mut account.controls.as_mut().ok_or(Missing::Budget)?.budgets;
    for used in uses {
        let budget = budgets.iter_mut().find(|budget| budget.terms.id == used.budget);
        let budget = budget.ok_or(Missing::Budget)?;
        budget.window = used.window;
        budget.used = used.used;
    }
    Ok(())
}
