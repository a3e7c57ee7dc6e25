//! What a due time does.

use domain::{Credits, LotId, Text};

use super::lots::{closed, repaid};
use super::{Facts, Moment, entry, holds, plans};
use crate::draw::repay;
use crate::{
    Account, Balance, Body, Entry, Lot, LotActivated, LotExpiring, LotInGrace, LotState, TimerKind,
};

/// What a due timer does. `None` when its subject has moved on meanwhile. At a renewal
/// `facts.begun_under` is the plan that the period was begun under, and `facts.plan` the one that the next
/// period begins under.
pub fn timer(
    account: &Account,
    name: &str,
    kind: TimerKind,
    facts: Facts<'_>,
    moment: Moment,
) -> Option<Entry<'static>> {
    let (after, body) = match kind {
        TimerKind::Renew => plans::renew(account, facts)?,
        TimerKind::EndHold(hold) => {
            holds::expire(account, hold, facts.repays(), moment.ledger_time)?
        }
        TimerKind::Activate(lot) => {
            let lot = waiting(account, lot, kind)?;
            let mut after = account.balance();
            let repays = repay(account, lot, facts.repays());
            after.settled += lot.remaining();
            after.overage -= repaid(repays);
            let (id, category, credits) = (lot.id, lot.category, lot.remaining());
            (after, Body::LotActivated(LotActivated { lot: id, category, credits, repays }))
        }
        TimerKind::Warn(lot) => {
            let lot = waiting(account, lot, kind)?;
            let expiring = LotExpiring {
                lot: lot.id,
                category: lot.category,
                credits: lot.free(),
                expires: lot.expires?,
            };
            (account.balance(), Body::LotExpiring(expiring))
        }
        TimerKind::EnterGrace(lot) => {
            let lot = waiting(account, lot, kind)?;
            let mut after = account.balance();
            after.in_grace += lot.free();
            let (id, category, credits) = (lot.id, lot.category, lot.free());
            (after, Body::LotInGrace(LotInGrace { lot: id, category, credits }))
        }
        TimerKind::Expire(lot) => {
            let lot = waiting(account, lot, kind)?;
            (expired(account, lot.free()), Body::LotExpired(closed(lot, lot.free(), None)))
        }
    };
    Some(entry(account, Text::Owned(name.to_owned()), moment, after, body))
}

fn waiting(account: &Account, lot: LotId, kind: TimerKind) -> Option<&Lot> {
    let lot = account.lots.iter().find(|open| open.id == lot)?;
    (lot.state != LotState::Closed && lot.timer().map(|(_, current)| current) == Some(kind))
        .then_some(lot)
}

/// What is held stays for its holds.
fn expired(account: &Account, free: Credits) -> Balance {
    let mut after = account.balance();
    after.settled -= free;
    after.in_grace -= free;
    after
}
