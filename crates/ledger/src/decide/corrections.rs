//! Charges that are taken back or replaced, and records that were held back.

use domain::{
    CatalogueId, ContentHash, Credits, Offset, RateLine, Reason, Text, Timestamp, UsageEvent,
};
use smallvec::SmallVec;

use super::controls::{Spender, budget_uses, budget_uses_of};
use super::{Moment, entry};
use crate::entry::{BudgetUses, Draws};
use crate::workbook::{Workbook, split};
use crate::{
    Account, Balance, Body, ByHand, Cause, Corrected, Corrector, Debit, Entry, QuarantineDecided,
    Rerate, Return, Reversed, StandingCharge,
};

/// What a charge should have been.
#[derive(Clone, Debug)]
pub struct Replacement<'a> {
    pub event: UsageEvent<'a>,
    pub content: ContentHash,
    pub plan: Option<Text<'a>>,
    pub rate_card: CatalogueId,
    pub catalogue: Offset,
    /// One per item.
    pub lines: Vec<RateLine>,
    pub credits: Credits,
    pub residual: Credits,
}

/// Takes a charge back: what each lot gave returns to it, also when it has expired meanwhile (then
/// it is forfeited there, as it would have been).
pub(super) fn reverse<'a>(
    account: &Account,
    original: &Entry<'_>,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let StandingCharge { entry, recorded_at, debit, .. } =
        of_account(account, original.standing())?;
    let mut book = Workbook::new(account);
    let mut returns: SmallVec<[Return; 1]> = SmallVec::new();
    for draw in debit.paying() {
        returns.push(book.put_back(draw, now).ok_or(Reason::NotACharge)?);
    }
    let (overage, lot) = book.forgive(debit.past_the_lots());
    let spender = Spender::of_event(&debit.event);
    let reversed = Reversed {
        by,
        reverses: entry,
        recorded_at,
        returns,
        overage,
        lot,
        budgets: budget_uses(account, &spender, -debit.credits, debit.event.time),
        debit,
    };
    Ok((book.after, Body::Reversed(Box::new(reversed))))
}

/// Prices a charge anew: the usage, and whatever else is said of it, stays.
pub(super) fn rerate<'a>(
    account: &Account,
    rerate: &Rerate<'a>,
    original: &Entry<'_>,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let standing = of_account(account, original.standing())?;
    let before = &standing.debit;
    let lines: Credits = rerate.lines.iter().map(|line| line.credits).sum();
    let fits = rerate.lines.len() == before.event.items.len()
        && lines == rerate.credits
        && !rerate.lines.iter().any(|line| line.credits.is_negative());
    if !fits {
        return Err(Reason::BadTerms);
    }
    let replacement = Replacement {
        event: before.event.clone(),
        content: before.content,
        plan: before.plan.clone(),
        rate_card: rerate.rate_card,
        catalogue: rerate.catalogue,
        lines: rerate.lines.clone(),
        credits: rerate.credits,
        residual: rerate.residual,
    };
    replace(account, standing, (Corrector::ByHand(by), Some(replacement)), now)
}

/// Puts another charge in the place of one, or none.
///
/// # Errors
/// [`Reason::NotACharge`] when the account has no such charge.
pub fn correct<'a>(
    account: &Account,
    standing: StandingCharge,
    by: (Corrector<'a>, Option<Replacement<'a>>),
    moment: Moment,
) -> Result<Entry<'a>, Reason> {
    let name = standing.account.clone();
    let standing = of_account(account, Some(standing))?;
    let (after, body) = replace(account, standing, by, moment.ledger_time)?;
    Ok(entry(account, name, moment, after, body))
}

fn replace<'a>(
    account: &Account,
    standing: StandingCharge,
    (by, replacement): (Corrector<'a>, Option<Replacement<'a>>),
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let before = standing.debit;
    let credits = replacement.as_ref().map_or(Credits::ZERO, |now| now.credits);
    let mut book = Workbook::new(account);
    let mut paying = Paying::of(&before);
    let mut corrected = Corrected {
        by,
        corrects: standing.entry,
        charge: standing.charge,
        recorded_at: standing.recorded_at,
        now: None,
        returns: SmallVec::new(),
        forgiven: Credits::ZERO,
        lot: Credits::ZERO,
        draws: Draws::new(),
        overage: Credits::ZERO,
        budgets: budgets(account, &before, replacement.as_ref()),
        before,
    };
    if credits < corrected.before.credits {
        let back = paying.less(corrected.before.credits - credits);
        for draw in back.draws {
            corrected.returns.push(book.put_back(&draw, now).ok_or(Reason::NotACharge)?);
        }
        (corrected.forgiven, corrected.lot) = book.forgive(back.overage);
    } else if let Some(replacement) = &replacement {
        let more = credits - corrected.before.credits;
        (corrected.draws, corrected.overage) = book.spend(None, more, replacement.event.time);
        paying.draws.extend(corrected.draws.iter().copied());
        paying.overage += corrected.overage;
    }
    corrected.now = replacement.map(|replacement| replacement.standing(paying));
    Ok((book.after, Body::Corrected(Box::new(corrected))))
}

/// An entry that this account has not had cannot be its charge.
fn of_account(
    account: &Account,
    standing: Option<StandingCharge>,
) -> Result<StandingCharge, Reason> {
    standing.filter(|standing| standing.sequence <= account.sequence).ok_or(Reason::NotACharge)
}

/// Who pays for a charge, in order.
struct Paying {
    draws: Draws,
    overage: Credits,
}

impl Paying {
    fn of(debit: &Debit<'_>) -> Self {
        Self { draws: debit.paying().copied().collect(), overage: debit.past_the_lots() }
    }

    /// Takes `credits` off: what was past the lots first, then what was drawn last.
    fn less(&mut self, credits: Credits) -> Self {
        let overage = credits.min(self.overage);
        self.overage -= overage;
        let mut back = Self { draws: Draws::new(), overage };
        let mut left = credits - overage;
        while left.is_positive()
            && let Some(last) = self.draws.last_mut()
        {
            let part = split(last, left.min(last.credits));
            if last.credits.is_zero() {
                self.draws.pop();
            }
            left -= part.credits;
            back.draws.push(part);
        }
        back
    }
}

impl<'a> Replacement<'a> {
    fn standing(self, paying: Paying) -> Debit<'a> {
        Debit {
            event: self.event,
            content: self.content,
            plan: self.plan,
            rate_card: self.rate_card,
            catalogue: self.catalogue,
            lines: self.lines,
            credits: self.credits,
            residual: self.residual,
            draws: paying.draws,
            overage: paying.overage,
            resolves: None,
            hold: None,
            budgets: BudgetUses::new(),
        }
    }
}

/// The charge as it stood goes out of its budgets, and as it stands into its own.
fn budgets(
    account: &Account,
    before: &Debit<'_>,
    replacement: Option<&Replacement<'_>>,
) -> BudgetUses<'static> {
    let was = Spender::of_event(&before.event);
    let Some(now) = replacement else {
        return budget_uses(account, &was, -before.credits, before.event.time);
    };
    if now.event == before.event {
        return budget_uses(account, &was, now.credits - before.credits, now.event.time);
    }
    let is = Spender::of_event(&now.event);
    budget_uses_of(
        account,
        &[(&was, -before.credits, before.event.time), (&is, now.credits, now.event.time)],
    )
}

/// Says what becomes of a record that was held back.
pub(super) fn decide_quarantined<'a>(
    account: &Account,
    held: &Entry<'_>,
    accepted: bool,
    by: ByHand<'a>,
) -> Result<(Balance, Body<'a>), Reason> {
    let Body::Quarantined(quarantined) = &held.body else {
        return Err(Reason::NotQuarantined);
    };
    let Cause::Input { topic, offset } = held.cause else { return Err(Reason::NotQuarantined) };
    if held.sequence > account.sequence {
        return Err(Reason::NotQuarantined);
    }
    let decided = QuarantineDecided {
        by,
        held: held.number,
        topic,
        offset,
        source: Text::Owned(quarantined.source.to_string()),
        id: Text::Owned(quarantined.id.to_string()),
        reason: quarantined.reason,
        accepted,
    };
    Ok((account.balance(), Body::QuarantineDecided(Box::new(decided))))
}
