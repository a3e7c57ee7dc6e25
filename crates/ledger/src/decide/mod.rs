//! What an input does to an account. Pure: state is read, an entry comes out, nothing changes.
//!
//! Prices have been found and identity has been checked before these are called; here it is decided
//! which lots pay, what the balance becomes, and which commands are refused.

use std::borrow::Cow;

use domain::limits::{GRACE_MICROS, LOTS_MAX};
use domain::{
    CatalogueId, ContentHash, Credits, EntryNumber, LotId, Offset, RateLine, Reason, Sequence,
    Text, Timestamp, UsageEvent,
};

use crate::draw::{draw, repay, revenue_of};
use crate::entry::Draws;
use crate::{
    Account, Adjustment, Balance, Body, ByHand, Category, Cause, Command, CommandBody, Debit, Draw,
    Entry, Grant, GrantTerms, Lot, LotActivated, LotClosed, LotInGrace, LotState, Quarantined,
    TimerKind, Unrated,
};

/// When, and because of what, something is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number that the entry will have: [`crate::PartitionState::next_number`].
    pub number: EntryNumber,
    pub ledger_time: Timestamp,
    pub cause: Cause,
}

/// A priced event, ready to be charged.
#[derive(Clone, Debug)]
pub struct Charge<'a> {
    pub event: UsageEvent<'a>,
    pub content: ContentHash,
    pub plan: Option<Text<'a>>,
    pub rate_card: CatalogueId,
    pub catalogue: Offset,
    pub lines: Vec<RateLine>,
    pub credits: Credits,
    pub residual: Credits,
    pub resolves: Option<EntryNumber>,
}

/// Charges priced usage. It is never refused: usage that happened is booked (invariant 10), and
/// what the lots do not cover becomes overage.
pub fn debit<'a>(account: &Account, charge: Charge<'a>, moment: Moment) -> Entry<'a> {
    let (draws, overage) = draw(account, charge.credits, charge.event.time);
    let after = after_spending(account, charge.credits, &draws, overage);
    let name = charge.event.account.clone();
    let debit = Debit {
        event: charge.event,
        content: charge.content,
        plan: charge.plan,
        rate_card: charge.rate_card,
        catalogue: charge.catalogue,
        lines: charge.lines,
        credits: charge.credits,
        residual: charge.residual,
        draws,
        overage,
        resolves: charge.resolves,
    };
    entry(account, name, moment, after, Body::Debit(Box::new(debit)))
}

/// Keeps usage that no price covers.
pub fn unrated<'a>(account: &Account, unrated: Unrated<'a>, moment: Moment) -> Entry<'a> {
    let name = unrated.event.account.clone();
    entry(account, name, moment, account.balance(), Body::Unrated(Box::new(unrated)))
}

/// Holds a record back for a person to look at.
pub fn quarantine<'a>(
    account: &Account,
    name: Text<'a>,
    quarantined: Quarantined<'a>,
    moment: Moment,
) -> Entry<'a> {
    entry(account, name, moment, account.balance(), Body::Quarantined(quarantined))
}

/// Carries out a command, or says why not.
///
/// # Errors
/// The reason of the refusal; nothing changes.
pub fn command<'a>(
    account: &Account,
    command: &Command<'a>,
    content: ContentHash,
    moment: Moment,
) -> Result<Entry<'a>, Reason> {
    if command.deadline.is_some_and(|deadline| deadline < moment.ledger_time) {
        return Err(Reason::Deadline);
    }
    let by = ByHand {
        command: command.id.clone(),
        content,
        actor: command.actor.clone(),
        reason: command.reason.clone(),
    };
    let (after, body) = match &command.body {
        CommandBody::Grant(terms) => grant(account, terms, by, moment.ledger_time)?,
        CommandBody::Adjust { credits } => adjust(account, *credits, by, moment.ledger_time)?,
        CommandBody::Void { lot, credits } => void(account, *lot, *credits, by)?,
    };
    Ok(entry(account, command.account.clone(), moment, after, body))
}

/// What a due timer does. `None` when the lot has moved on meanwhile.
pub fn timer(
    account: &Account,
    name: &str,
    kind: TimerKind,
    lot: LotId,
    moment: Moment,
) -> Option<Entry<'static>> {
    let lot = account.lots.iter().find(|open| open.id == lot)?;
    if lot.timer().map(|(_, current)| current) != Some(kind) {
        return None;
    }
    let mut after = account.balance();
    let left = lot.remaining();
    let body = match kind {
        TimerKind::Activate => {
            let repays = repay(account, lot);
            after.settled += left;
            after.overage -= repaid(repays);
            Body::LotActivated(LotActivated {
                lot: lot.id,
                category: lot.category,
                credits: left,
                repays,
            })
        }
        TimerKind::EnterGrace => {
            after.in_grace += left;
            Body::LotInGrace(LotInGrace { lot: lot.id, category: lot.category, credits: left })
        }
        TimerKind::Expire => {
            after.settled -= left;
            after.in_grace -= left;
            Body::LotExpired(closed(lot, left, None))
        }
    };
    Some(entry(account, Cow::Owned(name.to_owned()), moment, after, body))
}

fn grant<'a>(
    account: &Account,
    terms: &GrantTerms,
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
        grant.repays = repay(account, &Lot::of_grant(account.sequence.next(), &grant));
        after.settled += grant.credits;
        after.overage -= repaid(grant.repays);
    }
    Ok((after, Body::Grant(grant)))
}

fn adjust<'a>(
    account: &Account,
    credits: Credits,
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
    let lot = Lot::of_adjustment(account.sequence.next(), credits, now);
    adjustment.repays = repay(account, &lot);
    let mut after = account.balance();
    after.settled += credits;
    after.overage -= repaid(adjustment.repays);
    Ok((after, Body::Adjustment(adjustment)))
}

fn void<'a>(
    account: &Account,
    lot: LotId,
    credits: Option<Credits>,
    by: ByHand<'a>,
) -> Result<(Balance, Body<'a>), Reason> {
    let lot = account.lot(lot).ok_or(Reason::UnknownLot)?;
    let left = lot.remaining();
    if lot.state == LotState::Closed || left.is_zero() {
        return Err(Reason::LotClosed);
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

fn closed<'a>(lot: &Lot, credits: Credits, by: Option<ByHand<'a>>) -> LotClosed<'a> {
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

fn repaid(repays: Option<Draw>) -> Credits {
    repays.map_or(Credits::ZERO, |draw| draw.credits)
}

fn after_spending(
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

fn entry<'a>(
    account: &Account,
    name: Text<'a>,
    moment: Moment,
    after: Balance,
    body: Body<'a>,
) -> Entry<'a> {
    Entry {
        number: moment.number,
        account: name,
        sequence: account.sequence.next(),
        recorded_at: moment.ledger_time,
        cause: moment.cause,
        after,
        body,
    }
}

impl Lot {
    pub(crate) fn of_grant(sequence: Sequence, grant: &Grant<'_>) -> Self {
        Self {
            id: LotId(sequence.0),
            category: grant.category,
            state: if grant.pending { LotState::Pending } else { LotState::Live },
            priority: grant.priority,
            effective: grant.effective,
            expires: grant.expires,
            granted: grant.credits,
            drawn: Credits::ZERO,
            expired: Credits::ZERO,
            voided: Credits::ZERO,
            paid: grant.paid,
            recognised: domain::Money::ZERO,
            currency: grant.currency,
        }
    }

    pub(crate) fn of_adjustment(sequence: Sequence, credits: Credits, now: Timestamp) -> Self {
        Self {
            id: LotId(sequence.0),
            category: Category::Promotional,
            state: LotState::Live,
            priority: GrantTerms::PRIORITY_DEFAULT,
            effective: now,
            expires: None,
            granted: credits,
            drawn: Credits::ZERO,
            expired: Credits::ZERO,
            voided: Credits::ZERO,
            paid: domain::Money::ZERO,
            recognised: domain::Money::ZERO,
            currency: None,
        }
    }

    /// When time alone moves the lot on, and to what.
    pub fn timer(&self) -> Option<(Timestamp, TimerKind)> {
        match self.state {
            LotState::Pending => Some((self.effective, TimerKind::Activate)),
            LotState::Live => self.expires.map(|at| (at, TimerKind::EnterGrace)),
            LotState::InGrace => {
                self.expires.map(|at| (at.plus_micros(GRACE_MICROS), TimerKind::Expire))
            }
            LotState::Closed => None,
        }
    }
}

impl GrantTerms {
    pub const PRIORITY_DEFAULT: u8 = 50;
}
