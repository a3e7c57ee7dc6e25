//! Budgets and notices.

use domain::limits::BUDGETS_MAX;
use domain::{Credits, Reason, Text, Timestamp, Traffic, UsageEvent};
use smallvec::SmallVec;

use crate::entry::{BudgetUse, BudgetUses};
use crate::{
    Account, Balance, Body, BudgetRemoved, BudgetScope, BudgetSet, BudgetTerms, ByHand, Hold,
    NoticesSet, TopUp,
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

    fn is_within(&self, scope: &BudgetScope<'_>) -> bool {
        scope.covers_parts(self.user, self.team, self.feature, self.traffic)
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
pub(super) fn budget_uses(
    account: &Account,
    spender: &Spender<'_>,
    credits: Credits,
    at: Timestamp,
) -> BudgetUses<'static> {
    budget_uses_of(account, &[(spender, credits, at)])
}

/// The same of several, one after another. What is dated before a budget's window belongs to one that
/// is over, and counts no more.
pub(super) fn budget_uses_of(
    account: &Account,
    spent: &[(&Spender<'_>, Credits, Timestamp)],
) -> BudgetUses<'static> {
    let mut uses = BudgetUses::new();
    for budget in account.budgets() {
        let counted: SmallVec<[(Credits, Timestamp); 2]> = spent
            .iter()
            .filter(|(spender, ..)| spender.is_within(&budget.terms.scope))
            .map(|(_, credits, at)| (*credits, *at))
            .filter(|(credits, _)| !credits.is_zero())
            .collect();
        if counted.is_empty() {
            continue;
        }
        let mut budget = budget.clone();
        let mut changed = false;
        for (credits, at) in counted {
            if let Some((window, used)) = budget.at(at) {
                // A window that began after the charge gives nothing back.
                (budget.window, budget.used) = (window, (used + credits).max(Credits::ZERO));
                changed = true;
            }
        }
        if changed {
            let id = Text::Owned(budget.terms.id.into_owned());
            uses.push(BudgetUse { budget: id, window: budget.window, used: budget.used });
        }
    }
    uses
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
