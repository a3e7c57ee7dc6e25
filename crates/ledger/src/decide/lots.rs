//! Credits by hand: grants, adjustments, voids, refunds.

use domain::limits::LOTS_MAX;
use domain::{Credits, LotId, Money, Reason, Sequence, Timestamp};

use crate::draw::{draw, repay, revenue_of};
use crate::entry::Draws;
use crate::{
    Account, Adjustment, Balance, Body, ByHand, Category, Draw, Grant, GrantTerms, Lot, LotClosed,
    LotState, PlanGrant, Refunded, RolledOver,
};

pub(super) fn grant<'a>(
    account: &Account,
    terms: &GrantTerms,
    repays: bool,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let effective = terms.effective.unwrap_or(now);
    let ends_too_soon = terms.expires.is_some_and(|expires| expires <= effective || expires <= now);
    if !terms.credits.is_positive() || terms.paid.is_negative() || ends_too_soon {
        return Err(Reason::BadTerms);
    }
    if account.lots.len() >= LOTS_MAX {
        return Err(Reason::TooManyLots);
    }
    let pending = effective > now;
    let mut grant = Grant {
        by,
        credits: terms.credits,
        category: terms.category,
        priority: terms.priority,
        effective,
        expires: terms.expires,
        paid: terms.paid,
        currency: terms.currency,
        pending,
        repays: None,
    };
    let mut after = account.balance();
    if !pending {
        grant.repays = repay(account, &Lot::of_grant(account.sequence.next(), &grant), repays);
        after.settled += grant.credits;
        after.overage -= repaid(grant.repays);
    }
    Ok((after, Body::Grant(grant)))
}

pub(super) fn adjust<'a>(
    account: &Account,
    credits: Credits,
    repays: bool,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    if credits.is_zero() {
        return Err(Reason::BadTerms);
    }
    let mut adjustment =
        Adjustment { by, credits, draws: Draws::new(), overage: Credits::ZERO, repays: None };
    if credits.is_negative() {
        (adjustment.draws, adjustment.overage) = draw(account, -credits, now);
        let after = after_spending(account, -credits, &adjustment.draws, adjustment.overage);
        return Ok((after, Body::Adjustment(adjustment)));
    }
    if account.lots.len() >= LOTS_MAX {
        return Err(Reason::TooManyLots);
    }
    let lot = Lot::promotional(account.sequence.next(), credits, now);
    adjustment.repays = repay(account, &lot, repays);
    let mut after = account.balance();
    after.settled += credits;
    after.overage -= repaid(adjustment.repays);
    Ok((after, Body::Adjustment(adjustment)))
}

pub(super) fn void<'a>(
    account: &Account,
    lot: LotId,
    credits: Option<Credits>,
    by: ByHand<'a>,
) -> Result<(Balance, Body<'a>), Reason> {
    let lot = account.lot(lot).ok_or(Reason::UnknownLot)?;
    let left = lot.free();
    if lot.state == LotState::Closed {
        return Err(Reason::LotClosed);
    }
    if left.is_zero() {
        return Err(Reason::LotHeld);
    }
    let credits = credits.unwrap_or(left);
    if !credits.is_positive() || credits > left {
        return Err(Reason::BadTerms);
    }
    let mut after = account.balance();
    if lot.state != LotState::Pending {
        after.settled -= credits;
    }
    if lot.state == LotState::InGrace {
        after.in_grace -= credits;
    }
    Ok((after, Body::LotVoided(closed(lot, credits, Some(by)))))
}

/// Credits and money are apart: what was paid and neither refunded nor earned stays to be earned by
/// the credits that are left, or is earned now when none are.
pub(super) fn refund<'a>(
    account: &Account,
    wanted: (LotId, Credits, Money),
    by: ByHand<'a>,
) -> Result<(Balance, Body<'a>), Reason> {
    let (id, credits, money) = wanted;
    let lot = account.lot(id).ok_or(Reason::UnknownLot)?;
    if lot.state == LotState::Closed {
        return Err(Reason::LotClosed);
    }
    if lot.state == LotState::Pending {
        return Err(Reason::LotPending);
    }
    if lot.free().is_zero() {
        return Err(Reason::LotHeld);
    }
    let unearned = lot.paid - lot.paid_back - lot.recognised;
    let fits = credits.is_positive() && credits <= lot.free();
    if !fits || money.is_negative() || money > unearned {
        return Err(Reason::BadTerms);
    }
    let emptied = credits == lot.remaining();
    let mut after = account.balance();
    after.settled -= credits;
    if lot.state == LotState::InGrace {
        after.in_grace -= credits;
    }
    let refunded = Refunded {
        by,
        lot: id,
        category: lot.category,
        credits,
        money,
        currency: lot.currency,
        revenue: if emptied { unearned - money } else { Money::ZERO },
    };
    Ok((after, Body::Refunded(Box::new(refunded))))
}

pub(super) fn closed<'a>(lot: &Lot, credits: Credits, by: Option<ByHand<'a>>) -> LotClosed<'a> {
    LotClosed {
        by,
        lot: lot.id,
        category: lot.category,
        credits,
        revenue: revenue_of(lot, credits),
        pending: lot.state == LotState::Pending,
        in_grace: lot.state == LotState::InGrace,
    }
}

pub(super) fn repaid(repays: Option<Draw>) -> Credits {
    repays.map_or(Credits::ZERO, |draw| draw.credits)
}

pub(super) fn after_spending(
    account: &Account,
    credits: Credits,
    draws: &[Draw],
    overage: Credits,
) -> Balance {
    let mut after = account.balance();
    after.settled -= credits;
    after.overage += overage;
    if !after.in_grace.is_zero() {
        after.in_grace -= draws
            .iter()
            .filter(|draw| account.lot(draw.lot).is_some_and(|lot| lot.state == LotState::InGrace))
            .map(|draw| draw.credits)
            .sum();
    }
    after
}

impl Lot {
    fn opened(id: LotId, category: Category, credits: Credits, effective: Timestamp) -> Self {
        Self {
            id,
            category,
            state: LotState::Live,
            priority: GrantTerms::PRIORITY_DEFAULT,
            effective,
            expires: None,
            granted: credits,
            drawn: Credits::ZERO,
            expired: Credits::ZERO,
            voided: Credits::ZERO,
            rolled: Credits::ZERO,
            refunded: Credits::ZERO,
            held: Credits::ZERO,
            paid: Money::ZERO,
            paid_back: Money::ZERO,
            recognised: Money::ZERO,
            currency: None,
            warned: false,
        }
    }

    pub(crate) fn of_grant(sequence: Sequence, grant: &Grant<'_>) -> Self {
        Self {
            state: if grant.pending { LotState::Pending } else { LotState::Live },
            priority: grant.priority,
            expires: grant.expires,
            paid: grant.paid,
            currency: grant.currency,
            ..Self::opened(LotId(sequence.0), grant.category, grant.credits, grant.effective)
        }
    }

    pub(crate) fn of_plan(id: LotId, grant: &PlanGrant) -> Self {
        Self {
            expires: Some(grant.expires),
            paid: grant.paid,
            currency: grant.currency,
            ..Self::opened(id, grant.category, grant.credits, grant.effective)
        }
    }

    pub(crate) fn of_rollover(id: LotId, rolled: &RolledOver) -> Self {
        Self {
            priority: rolled.priority,
            expires: Some(rolled.expires),
            paid: rolled.paid,
            currency: rolled.currency,
            ..Self::opened(id, rolled.category, rolled.credits, rolled.effective)
        }
    }

    /// Credits that nobody paid for, without an expiry.
    pub(crate) fn promotional(sequence: Sequence, credits: Credits, now: Timestamp) -> Self {
        Self::opened(LotId(sequence.0), Category::Promotional, credits, now)
    }
}

impl GrantTerms {
    pub const PRIORITY_DEFAULT: u8 = 50;
}
