//! Holds as entries change them.

use domain::limits::IDENTITY_HORIZON_DAYS;
use domain::{Credits, Timestamp};

use super::{Missing, count, open, put_back, repay_all, with_lot};
use crate::{
    Account, Debit, Draw, Entry, Freed, Hold, HoldAfter, HoldCaptured, HoldEnded, HoldExtended,
    HoldId, HoldReserved, HoldUse, Lot, Return,
};

/// How long an advance waits for its event: an event that is older is not taken any more.
const ADVANCE_MICROS: i64 = IDENTITY_HORIZON_DAYS * 86_400 * 1_000_000;

pub(super) fn reserved(
    account: &mut Account,
    entry: &Entry<'_>,
    reserved: &HoldReserved<'_>,
) -> Result<(), Missing> {
    for earmark in &reserved.earmarks {
        with_lot(account, earmark.lot, |change| change.hold(earmark.credits))?;
    }
    account.held += reserved.beyond;
    let hold = Hold {
        id: HoldId(entry.number),
        ended_at: None,
        expires_at: reserved.expires_at,
        amount: reserved.amount,
        captured: Credits::ZERO,
        earmarks: reserved.earmarks.clone(),
        beyond: reserved.beyond,
        advances: Vec::new(),
        advanced_overage: Credits::ZERO,
        scope: reserved.scope.clone().into_owned(),
    };
    hold_in_budgets(account, &hold, reserved.amount);
    // Entry numbers rise, so the list stays in order.
    account.holds.push(hold);
    Ok(())
}

pub(super) fn captured(account: &mut Account, captured: &HoldCaptured<'_>) -> Result<(), Missing> {
    let mut hold = take_out(account, captured.hold)?;
    draw(account, &mut hold, &captured.draws, captured.overage)?;
    hold.advances.extend(captured.draws.iter().copied());
    hold.advanced_overage += captured.overage;
    put_in(account, hold, &captured.after);
    count(account, &captured.budgets)
}

pub(super) fn extended(account: &mut Account, extended: &HoldExtended<'_>) -> Result<(), Missing> {
    let index = account.hold_index(extended.hold).ok_or(Missing::Hold(extended.hold))?;
    account.holds[index].expires_at = extended.after.expires_at;
    Ok(())
}

pub(super) fn ended(
    account: &mut Account,
    entry: &Entry<'_>,
    ended: &HoldEnded<'_>,
) -> Result<(), Missing> {
    let mut hold = take_out(account, ended.hold)?;
    draw(account, &mut hold, &ended.draws, ended.overage)?;
    hold.advances.extend(ended.draws.iter().copied());
    hold.advanced_overage += ended.overage;
    free(account, &mut hold, entry, &ended.freed)?;
    put_in(account, hold, &ended.after);
    forget(account, entry.recorded_at);
    count(account, &ended.budgets)
}

/// A charge on a hold.
pub(super) fn used(
    account: &mut Account,
    entry: &Entry<'_>,
    debit: &Debit<'_>,
    used: &HoldUse,
) -> Result<(), Missing> {
    let mut hold = take_out(account, used.hold)?;
    for advanced in &used.advanced {
        let first = hold.advances.first_mut().filter(|first| first.lot == advanced.lot);
        reduce(first.ok_or(Missing::Lot(advanced.lot))?, advanced.credits, advanced.revenue);
        if hold.advances[0].credits.is_zero() {
            hold.advances.remove(0);
        }
    }
    hold.advanced_overage -= used.advanced_overage;
    draw(account, &mut hold, &debit.draws, debit.overage)?;
    if let Some(freed) = &used.freed {
        free(account, &mut hold, entry, freed)?;
    }
    put_in(account, hold, &used.after);
    Ok(())
}

/// Takes what is charged: first what the hold has reserved of each lot.
fn draw(
    account: &mut Account,
    hold: &mut Hold,
    draws: &[Draw],
    overage: Credits,
) -> Result<(), Missing> {
    let mut unreserved = overage;
    for draw in draws {
        let earmark = hold.earmarks.iter_mut().find(|earmark| earmark.lot == draw.lot);
        let held = earmark.map_or(Credits::ZERO, |earmark| {
            let held = draw.credits.min(earmark.credits);
            earmark.credits -= held;
            held
        });
        unreserved += draw.credits - held;
        with_lot(account, draw.lot, |change| change.take(draw, held))?;
    }
    hold.earmarks.retain(|earmark| earmark.credits.is_positive());
    account.overage += overage;
    let beyond = unreserved.min(hold.beyond);
    hold.beyond -= beyond;
    account.held -= beyond;
    Ok(())
}

/// A hold gives up what it has.
fn free(
    account: &mut Account,
    hold: &mut Hold,
    entry: &Entry<'_>,
    freed: &Freed,
) -> Result<(), Missing> {
    account.held -= hold.beyond;
    hold.beyond = Credits::ZERO;
    for earmark in std::mem::take(&mut hold.earmarks) {
        let lost = freed.lost.iter().find(|lost| lost.lot == earmark.lot);
        with_lot(account, earmark.lot, |change| {
            change.lot.held -= earmark.credits;
            *change.held -= earmark.credits;
            if change.lot.state == crate::LotState::InGrace {
                *change.in_grace += earmark.credits;
            }
            if let Some(lost) = lost {
                change.lot.expired += lost.credits;
                change.lot.recognised += lost.revenue;
                *change.remaining -= lost.credits;
            }
        })?;
    }
    account.overage -= freed.returned_overage;
    hold.advanced_overage -= freed.returned_overage + freed.lot;
    if freed.lot.is_positive() {
        open(account, Lot::promotional(entry.sequence, freed.lot, entry.recorded_at));
    }
    for back in &freed.returns {
        retract(hold, back)?;
        put_back(account, back)?;
    }
    hold.ended_at.get_or_insert(entry.recorded_at);
    repay_all(account, &freed.repays)
}

/// The newest advance goes back first.
fn retract(hold: &mut Hold, back: &Return) -> Result<(), Missing> {
    let last = hold.advances.last_mut().filter(|last| last.lot == back.lot);
    reduce(last.ok_or(Missing::Lot(back.lot))?, back.credits, back.revenue);
    if hold.advances.last().is_some_and(|last| last.credits.is_zero()) {
        hold.advances.pop();
    }
    Ok(())
}

fn reduce(draw: &mut Draw, credits: Credits, revenue: domain::Money) {
    draw.credits -= credits;
    draw.revenue -= revenue;
}

/// Takes a hold out of the account while it changes; budgets are told when it comes back.
fn take_out(account: &mut Account, id: HoldId) -> Result<Hold, Missing> {
    let index = account.hold_index(id).ok_or(Missing::Hold(id))?;
    let hold = account.holds.remove(index);
    let held = hold.held();
    hold_in_budgets(account, &hold, -held);
    Ok(hold)
}

/// Puts it back, unless it has ended and nothing of it is waited for.
fn put_in(account: &mut Account, mut hold: Hold, after: &HoldAfter) {
    hold.captured = after.captured;
    hold.expires_at = after.expires_at;
    let held = hold.held();
    hold_in_budgets(account, &hold, held);
    if hold.is_open() || hold.outstanding().is_positive() {
        let index = account.holds.partition_point(|other| other.id < hold.id);
        account.holds.insert(index, hold);
    }
}

fn hold_in_budgets(account: &mut Account, hold: &Hold, credits: Credits) {
    if let Some(controls) = &mut account.controls {
        for budget in &mut controls.budgets {
            if budget.terms.scope.covers(&hold.scope) {
                budget.held += credits;
            }
        }
    }
}

/// Advances that no event can claim any more are not waited for.
fn forget(account: &mut Account, now: Timestamp) {
    account
        .holds
        .retain(|hold| hold.ended_at.is_none_or(|ended| now.since(ended) < ADVANCE_MICROS));
}
