//! Budgets, notices and reversals.

use domain::limits::BUDGETS_MAX;
use domain::{Credits, Reason, Text, Timestamp, Traffic, UsageEvent};
use smallvec::SmallVec;

use crate::entry::{BudgetUse, BudgetUses};
use crate::workbook::Workbook;
use crate::{
    Account, Balance, Body, BudgetRemoved, BudgetSet, BudgetTerms, ByHand, Entry, Hold, NoticesSet,
    Return, Reversed, TopUp,
};

/// Who spends: what budgets look at.
pub(super) struct Spender<'e> {
    user: Option<&'e str>,
    team: Option<&'e str>,
    feature: Option<&'e str>,
    traffic: Traffic,
}

impl<'e> Spender<'e> {
    pub(super) fn of_event(event: &'e UsageEvent<'_>) -> Self {
        Self {
            user: event.user.as_deref(),
            team: event.team.as_deref(),
            feature: Some(&event.feature),
            traffic: event.traffic,
        }
    }

    pub(super) fn of_hold(hold: &'e Hold) -> Self {
        Self {
            user: hold.scope.user.as_deref(),
            team: hold.scope.team.as_deref(),
            feature: hold.scope.feature.as_deref(),
            traffic: hold.scope.traffic,
        }
    }
}

/// What charging `credits` at a time (negative: giving them back) adds to the account's budgets.
/// What is dated before a budget's window belongs to one that is over, and counts no more.
pub(super) fn budget_uses(
    account: &Account,
    spender: &Spender<'_>,
    credits: Credits,
    at: Timestamp,
) -> BudgetUses<'static> {
    if credits.is_zero() {
        return BudgetUses::new();
    }
    account
        .budgets()
        .iter()
        .filter(|budget| {
            let scope = &budget.terms.scope;
            scope.covers_parts(spender.user, spender.team, spender.feature, spender.traffic)
        })
        .filter_map(|budget| {
            let (window, used) = budget.at(at)?;
            let id = Text::Owned(budget.terms.id.clone().into_owned());
            // A window that began after the charge gives nothing back.
            let used = (used + credits).max(Credits::ZERO);
            Some(BudgetUse { budget: id, window, used })
        })
        .collect()
}

pub(super) fn set_budget<'a>(
    account: &Account,
    terms: &BudgetTerms<'a>,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let rising = terms.thresholds.windows(2).all(|pair| pair[0] < pair[1]);
    if terms.limit.is_negative() || terms.id.is_empty() || !rising {
        return Err(Reason::BadTerms);
    }
    let before = account.budgets().iter().find(|budget| budget.terms.id == terms.id);
    if before.is_none() && account.budgets().len() >= BUDGETS_MAX {
        return Err(Reason::TooManyBudgets);
    }
    let goes_on = before.filter(|before| {
        before.terms.scope == terms.scope
            && before.terms.period == terms.period
            && before.terms.zone == terms.zone
    });
    // An event may be dated a little ahead of ledger time, and have begun the next window.
    let (window, used) = match goes_on {
        Some(before) => before.at(now).unwrap_or((before.window, before.used)),
        None => (terms.window(now), Credits::ZERO),
    };
    let set = BudgetSet { by, terms: terms.clone(), window, used };
    Ok((account.balance(), Body::BudgetSet(Box::new(set))))
}

pub(super) fn remove_budget<'a>(
    account: &Account,
    budget: &Text<'a>,
    by: ByHand<'a>,
) -> Result<(Balance, Body<'a>), Reason> {
    if !account.budgets().iter().any(|other| other.terms.id == *budget) {
        return Err(Reason::UnknownBudget);
    }
    let removed = BudgetRemoved { by, budget: budget.clone() };
    Ok((account.balance(), Body::BudgetRemoved(Box::new(removed))))
}

pub(super) fn set_notices<'a>(
    account: &Account,
    low_balance: Option<Credits>,
    top_up: Option<TopUp>,
    by: ByHand<'a>,
) -> Result<(Balance, Body<'a>), Reason> {
    if top_up.is_some_and(|top_up| !top_up.amount.is_positive()) {
        return Err(Reason::BadTerms);
    }
    let set = NoticesSet { by, low_balance, top_up };
    Ok((account.balance(), Body::NoticesSet(Box::new(set))))
}

/// Takes a charge back: what each lot gave returns to it, also when it has expired meanwhile (then
/// it is forfeited there, as it would have been).
pub(super) fn reverse<'a>(
    account: &Account,
    original: &Entry<'_>,
    by: ByHand<'a>,
    now: Timestamp,
) -> Result<(Balance, Body<'a>), Reason> {
    let Body::Debit(debit) = &original.body else {
        return Err(Reason::NotACharge);
    };
    // An entry that this account has not had cannot be its charge.
    if original.sequence > account.sequence {
        return Err(Reason::NotACharge);
    }
    let mut book = Workbook::new(account);
    let mut returns: SmallVec<[Return; 1]> = SmallVec::new();
    for draw in debit.paying() {
        returns.push(book.put_back(draw, now).ok_or(Reason::NotACharge)?);
    }
    let (overage, lot) = book.forgive(debit.past_the_lots());
    let spender = Spender::of_event(&debit.event);
    let reversed = Reversed {
        by,
        reverses: original.number,
        recorded_at: original.recorded_at,
        debit: debit.as_ref().clone().into_owned(),
        returns,
        overage,
        lot,
        budgets: budget_uses(account, &spender, -debit.credits, debit.event.time),
    };
    Ok((book.after, Body::Reversed(Box::new(reversed))))
}
