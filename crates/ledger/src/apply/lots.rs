//! Lots as entries change them.

use domain::{Credits, LotId};

use super::Missing;
use crate::{Account, Draw, Lot, LotClosed, LotState, Refunded, Return, ReturnTo};

/// A lot, and the account's sums that depend on it.
pub(super) struct LotChange<'a> {
    pub(super) lot: &'a mut Lot,
    pub(super) remaining: &'a mut Credits,
    pub(super) in_grace: &'a mut Credits,
    pub(super) held: &'a mut Credits,
}

impl LotChange<'_> {
    pub(super) fn activate(self) {
        self.lot.state = LotState::Live;
        *self.remaining += self.lot.remaining();
    }

    pub(super) fn enter_grace(self) {
        self.lot.state = LotState::InGrace;
        *self.in_grace += self.lot.free();
    }

    /// What is drawn, of which `held` only a hold could.
    pub(super) fn take(self, draw: &Draw, held: Credits) {
        self.lot.drawn += draw.credits;
        self.lot.recognised += draw.revenue;
        self.lot.held -= held;
        *self.remaining -= draw.credits;
        *self.held -= held;
        if self.lot.state == LotState::InGrace {
            *self.in_grace -= draw.credits - held;
        }
    }

    pub(super) fn hold(self, credits: Credits) {
        self.lot.held += credits;
        *self.held += credits;
        if self.lot.state == LotState::InGrace {
            *self.in_grace -= credits;
        }
    }
}

/// Changes an open lot, and closes it when nothing is left in it.
pub(super) fn with_lot(
    account: &mut Account,
    id: LotId,
    change: impl FnOnce(LotChange<'_>),
) -> Result<(), Missing> {
    let index = account.open_lot_index(id).ok_or(Missing::Lot(id))?;
    let lot = &mut account.lots[index];
    change(LotChange {
        lot,
        remaining: &mut account.remaining,
        in_grace: &mut account.in_grace,
        held: &mut account.held,
    });
    if lot.remaining().is_zero() {
        let mut lot = account.lots.remove(index);
        lot.state = LotState::Closed;
        account.closed.push(lot);
    }
    Ok(())
}

pub(super) fn take(account: &mut Account, draw: &Draw) -> Result<(), Missing> {
    with_lot(account, draw.lot, |change| change.take(draw, Credits::ZERO))
}

pub(super) fn take_all(account: &mut Account, draws: &[Draw]) -> Result<(), Missing> {
    draws.iter().try_for_each(|draw| take(account, draw))
}

pub(super) fn repay(account: &mut Account, draw: &Draw) -> Result<(), Missing> {
    account.overage -= draw.credits;
    take(account, draw)
}

pub(super) fn repay_all(account: &mut Account, draws: &[Draw]) -> Result<(), Missing> {
    draws.iter().try_for_each(|draw| repay(account, draw))
}

/// Free credits go.
pub(super) fn lose(
    account: &mut Account,
    closed: &LotClosed<'_>,
    column: impl FnOnce(&mut Lot) -> &mut Credits,
) -> Result<(), Missing> {
    with_lot(account, closed.lot, |change| {
        *column(change.lot) += closed.credits;
        change.lot.recognised += closed.revenue;
        if change.lot.state != LotState::Pending {
            *change.remaining -= closed.credits;
        }
        if change.lot.state == LotState::InGrace {
            *change.in_grace -= closed.credits;
        }
    })
}

/// The grace ended: what is free goes, and what is held stays for its holds alone.
pub(super) fn expire(account: &mut Account, closed: &LotClosed<'_>) -> Result<(), Missing> {
    with_lot(account, closed.lot, |change| {
        change.lot.expired += closed.credits;
        change.lot.recognised += closed.revenue;
        *change.remaining -= closed.credits;
        *change.in_grace -= closed.credits;
        change.lot.state = LotState::Lapsed;
    })
}

pub(super) fn refund(account: &mut Account, refunded: &Refunded<'_>) -> Result<(), Missing> {
    with_lot(account, refunded.lot, |change| {
        change.lot.refunded += refunded.credits;
        change.lot.paid_back += refunded.money;
        change.lot.recognised += refunded.revenue;
        if change.lot.state != LotState::Pending {
            *change.remaining -= refunded.credits;
        }
        if change.lot.state == LotState::InGrace {
            *change.in_grace -= refunded.credits;
        }
    })
}

/// Puts credits back into their lot, which may have been closed.
pub(super) fn put_back(account: &mut Account, back: &Return) -> Result<(), Missing> {
    let (credits, revenue) = (back.credits, back.revenue);
    if let Some(lot) = account.lots.iter_mut().find(|lot| lot.id == back.lot) {
        lot.put_back(credits, revenue, back.to);
    } else {
        let place = account.closed.iter().position(|lot| lot.id == back.lot);
        let place = place.ok_or(Missing::Lot(back.lot))?;
        account.closed[place].put_back(credits, revenue, back.to);
        if account.closed[place].state != LotState::Closed {
            let lot = account.closed.remove(place);
            insert(account, lot);
        }
    }
    match back.to {
        ReturnTo::Live => account.remaining += credits,
        ReturnTo::InGrace => {
            account.remaining += credits;
            account.in_grace += credits;
        }
        ReturnTo::Expired => {}
    }
    Ok(())
}

pub(super) fn open(account: &mut Account, lot: Lot) {
    if lot.state == LotState::Live {
        account.remaining += lot.remaining();
    }
    insert(account, lot);
}

fn insert(account: &mut Account, lot: Lot) {
    let index = account.lots.partition_point(|other| other.order() < lot.order());
    if account.lots.capacity() == 0 {
        // Most accounts have one lot: the list's own growth would make room for four.
        account.lots.reserve_exact(1);
    }
    account.lots.insert(index, lot);
}
