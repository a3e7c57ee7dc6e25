//! Holds: credits are set aside so that parallel requests cannot spend them twice.

use domain::limits::{CAPTURES_MAX, HOLD_MICROS_MAX, HOLDS_MAX};
use domain::{Credits, Reason, Text, Timestamp};

use super::Facts;
use super::controls::{Spender, budget_uses};
use crate::entry::Draws;
use crate::workbook::Workbook;
use crate::{
    Account, Balance, Body, ByHand, Earmark, Earmarks, Freed, Hold, HoldCaptured, HoldEnded,
    HoldEnding, HoldExtended, HoldId, HoldRefused, HoldReserved, Limit, LotState, Reserve, Want,
};

type Decided<'a> = Result<(Balance, Body<'a>), Reason>;

/// Grants a hold when the balance and every hard budget of its scope leave room for it, all judged
/// at once. A refusal is an entry too: the same request is answered the same.
pub(super) fn reserve<'a>(
    account: &Account,
    reserve: &Reserve<'a>,
    facts: Facts<'_>,
    by: ByHand<'a>,
    now: Timestamp,
) -> Decided<'a> {
    let asked = match &reserve.want {
        Want::Credits(credits) => *credits,
        Want::Usage(_) => facts.estimate.ok_or(Reason::BadTerms)?,
    };
    // Usage that costs nothing needs a hold all the same: its event will name it.
    let is_amount = match &reserve.want {
        Want::Credits(credits) => credits.is_positive(),
        Want::Usage(_) => !asked.is_negative(),
    };
    let lasts = reserve.expires_in_micros;
    if !is_amount || lasts <= 0 || lasts > HOLD_MICROS_MAX {
        return Err(Reason::BadTerms);
    }
    if account.holds().len() >= HOLDS_MAX {
        return Err(Reason::TooManyHolds);
    }
    // What costs nothing is never short, however far below zero the balance is.
    let short = tightest(account, reserve, facts, now)
        .filter(|room| asked.is_positive() && room.available < asked);
    let amount = match short {
        None => asked,
        Some(room) if reserve.shrink && room.available.is_positive() => room.available,
        Some(room) => {
            let refused = HoldRefused {
                by,
                scope: reserve.scope.clone(),
                asked,
                limit: room.limit,
                shortfall: asked - room.available,
                available: room.available,
                resets_at: room.resets_at,
            };
            return Ok((account.balance(), Body::HoldRefused(Box::new(refused))));
        }
    };
    let (earmarks, beyond) = earmark(account, amount);
    let mut after = account.balance();
    after.held += amount;
    let reserved = HoldReserved {
        by,
        scope: reserve.scope.clone(),
        asked,
        amount,
        earmarks,
        beyond,
        expires_at: now.plus_micros(lasts),
    };
    Ok((after, Body::HoldReserved(Box::new(reserved))))
}

/// What one limit leaves.
struct Room {
    limit: Limit<'static>,
    available: Credits,
    resets_at: Option<Timestamp>,
}

/// The limit that leaves least; `None` when nothing limits.
fn tightest(
    account: &Account,
    reserve: &Reserve<'_>,
    facts: Facts<'_>,
    now: Timestamp,
) -> Option<Room> {
    let exhausted = facts.plan.map_or_else(Default::default, |plan| plan.exhausted);
    let balance = exhausted.headroom().map(|headroom| Room {
        limit: Limit::Balance,
        available: account.balance().available() + headroom,
        resets_at: account.plan().and_then(|plan| plan.renews_at()),
    });
    let budgets = account
        .budgets()
        .iter()
        .filter(|budget| budget.terms.hard && budget.terms.scope.covers(&reserve.scope))
        .map(|budget| {
            let (available, resets_at) = budget.room(now);
            let id = Text::Owned(budget.terms.id.clone().into_owned());
            Room { limit: Limit::Budget(id), available, resets_at }
        });
    // Of equal ones the first: the balance before budgets.
    balance.into_iter().chain(budgets).min_by_key(|room| room.available)
}

/// Which lots a hold will draw: free credits of live lots, in draw-down order; the rest is what the
/// plan lets it spend past them.
fn earmark(account: &Account, amount: Credits) -> (Earmarks, Credits) {
    let mut earmarks = Earmarks::new();
    let mut left = amount;
    for lot in account.lots.iter().filter(|lot| lot.state == LotState::Live) {
        let credits = left.min(lot.free());
        if credits.is_positive() {
            earmarks.push(Earmark { lot: lot.id, credits });
            left -= credits;
        }
    }
    (earmarks, left)
}

fn open_hold(account: &Account, id: HoldId) -> Result<Hold, Reason> {
    account.hold(id).filter(|hold| hold.is_open()).cloned().ok_or(Reason::UnknownHold)
}

pub(super) fn capture<'a>(
    account: &Account,
    id: HoldId,
    credits: Credits,
    by: ByHand<'a>,
    now: Timestamp,
) -> Decided<'a> {
    let mut hold = open_hold(account, id)?;
    if !credits.is_positive() {
        return Err(Reason::BadTerms);
    }
    if hold.advances.len() >= CAPTURES_MAX {
        return Err(Reason::TooManyCaptures);
    }
    let mut book = Workbook::new(account);
    let above = hold.above(credits);
    let (draws, overage) = book.spend(Some(&mut hold), credits, now);
    hold.captured += credits;
    let captured = HoldCaptured {
        by,
        hold: id,
        credits,
        draws,
        overage,
        above,
        budgets: budget_uses(account, &Spender::of_hold(&hold), credits, now),
        after: hold.after(),
    };
    Ok((book.after, Body::HoldCaptured(Box::new(captured))))
}

pub(super) fn extend<'a>(
    account: &Account,
    id: HoldId,
    lasts: i64,
    by: ByHand<'a>,
    now: Timestamp,
) -> Decided<'a> {
    let mut hold = open_hold(account, id)?;
    let expires_at = now.plus_micros(lasts.clamp(0, HOLD_MICROS_MAX));
    if lasts <= 0 || lasts > HOLD_MICROS_MAX || expires_at <= hold.expires_at {
        return Err(Reason::BadTerms);
    }
    hold.expires_at = expires_at;
    let extended = HoldExtended { by, hold: id, after: hold.after() };
    Ok((account.balance(), Body::HoldExtended(Box::new(extended))))
}

/// Ends a hold at a total. What its events were rated at is a fact, and cannot be settled away.
pub(super) fn settle<'a>(
    account: &Account,
    to: (HoldId, Option<Credits>),
    repays: bool,
    by: ByHand<'a>,
    now: Timestamp,
) -> Decided<'a> {
    let (id, total) = to;
    let mut hold = open_hold(account, id)?;
    let total = total.unwrap_or(hold.captured);
    if total.is_negative() {
        return Err(Reason::BadTerms);
    }
    let more = total - hold.captured;
    let mut book = Workbook::new(account);
    let mut ended = End { how: HoldEnding::Settled, by: Some(by), ..End::default() };
    if more.is_positive() {
        ended.above = hold.above(more);
        (ended.draws, ended.overage) = book.spend(Some(&mut hold), more, now);
        hold.captured += more;
        let back = Credits::ZERO;
        ended.freed = book.free(&mut hold, back, now, repays);
        ended.charged = more;
    } else {
        let back = (-more).min(hold.outstanding());
        hold.captured -= back;
        ended.freed = book.free(&mut hold, back, now, repays);
        ended.charged = -back;
    }
    Ok((book.after, ended.body(account, &hold, now)))
}

pub(super) fn release<'a>(
    account: &Account,
    id: HoldId,
    repays: bool,
    by: ByHand<'a>,
    now: Timestamp,
) -> Decided<'a> {
    let hold = open_hold(account, id)?;
    let by = Some(by);
    Ok(give_up(
        account,
        hold,
        End { how: HoldEnding::Released, by, ..End::default() },
        (now, repays),
    ))
}

/// An expired hold charges what was captured; the event that comes later settles the difference.
pub(super) fn expire(
    account: &Account,
    id: HoldId,
    repays: bool,
    now: Timestamp,
) -> Option<(Balance, Body<'static>)> {
    let hold = open_hold(account, id).ok()?;
    Some(give_up(account, hold, End { how: HoldEnding::Expired, ..End::default() }, (now, repays)))
}

fn give_up<'a>(
    account: &Account,
    mut hold: Hold,
    mut end: End<'a>,
    (now, repays): (Timestamp, bool),
) -> (Balance, Body<'a>) {
    let mut book = Workbook::new(account);
    end.freed = book.free(&mut hold, Credits::ZERO, now, repays);
    (book.after, end.body(account, &hold, now))
}

/// The end of a hold, as it comes together.
struct End<'a> {
    how: HoldEnding,
    by: Option<ByHand<'a>>,
    draws: Draws,
    overage: Credits,
    above: Credits,
    freed: Freed,
    /// What it charges, or gives back below zero.
    charged: Credits,
}

impl Default for End<'_> {
    fn default() -> Self {
        Self {
            how: HoldEnding::Settled,
            by: None,
            draws: Draws::new(),
            overage: Credits::ZERO,
            above: Credits::ZERO,
            freed: Freed::default(),
            charged: Credits::ZERO,
        }
    }
}

impl<'a> End<'a> {
    fn body(self, account: &Account, hold: &Hold, now: Timestamp) -> Body<'a> {
        Body::HoldEnded(Box::new(HoldEnded {
            by: self.by,
            hold: hold.id,
            how: self.how,
            draws: self.draws,
            overage: self.overage,
            above: self.above,
            freed: self.freed,
            budgets: budget_uses(account, &Spender::of_hold(hold), self.charged, now),
            after: hold.after(),
        }))
    }
}
