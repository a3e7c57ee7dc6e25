//! Plans and budgets as entries change them.

use domain::limits::IDENTITY_HORIZON_DAYS;
use domain::{Credits, LotId, Timestamp};

use super::{Missing, open, repay, with_lot};
use crate::{
    Account, Budget, BudgetRemoved, BudgetSet, Entry, Lot, LotState, PlanAssigned, PlanRenewed,
    PlanScheduled, RolledOver, Subscription,
};

/// Usage that is older is not taken without `backfill`; with it, the oldest plan known prices it.
const HISTORY_MICROS: i64 = IDENTITY_HORIZON_DAYS * 86_400 * 1_000_000;

pub(super) fn assigned(
    account: &mut Account,
    entry: &Entry<'_>,
    assigned: &PlanAssigned<'_>,
) -> Result<(), Missing> {
    let lot = LotId(entry.sequence.0);
    let plan = &mut account.controls_mut().plan;
    let before = plan.take();
    let same_period = before.as_ref().is_some_and(|before| {
        !before.trial && before.period.is_some() && before.period == assigned.period
    });
    let mut now = before.unwrap_or_else(|| Subscription {
        plan: assigned.plan.as_ref().into(),
        version: assigned.version,
        anchor: assigned.anchor,
        period: None,
        trial: false,
        lots: Vec::new(),
        allowance: Credits::ZERO,
        rolled: Credits::ZERO,
        scheduled: None,
        history: Vec::new(),
        trials: Vec::new(),
        low_balance: None,
    });
    now.plan = assigned.plan.as_ref().into();
    now.version = assigned.version;
    now.anchor = assigned.anchor;
    now.period = assigned.period;
    now.trial = assigned.trial;
    now.scheduled = None;
    now.low_balance = assigned.low_balance;
    if !same_period {
        now.lots.clear();
        now.allowance = Credits::ZERO;
        now.rolled = Credits::ZERO;
    }
    if let Some(grant) = &assigned.grant {
        now.lots.push(lot);
        now.allowance += grant.credits;
    }
    if assigned.trial {
        now.trials.push(assigned.plan.as_ref().into());
    }
    now.changed(assigned.from, &assigned.plan, entry.recorded_at.plus_micros(-HISTORY_MICROS));
    *plan = Some(now);
    if let Some(grant) = &assigned.grant {
        open(account, Lot::of_plan(lot, grant));
    }
    assigned.repays.iter().try_for_each(|draw| repay(account, draw))
}

pub(super) fn scheduled(
    account: &mut Account,
    scheduled: &PlanScheduled<'_>,
) -> Result<(), Missing> {
    let plan = subscription(account)?;
    plan.scheduled = scheduled.plan.as_deref().map(Into::into);
    Ok(())
}

pub(super) fn renewed(
    account: &mut Account,
    entry: &Entry<'_>,
    renewed: &PlanRenewed<'_>,
) -> Result<(), Missing> {
    let lot = LotId(entry.sequence.0);
    let plan = subscription(account)?;
    // The time of the change is the period's, not that of whoever noticed it.
    let from = plan.period.map_or(entry.recorded_at, |period| period.end);
    plan.plan = renewed.plan.as_ref().into();
    plan.version = renewed.version;
    plan.anchor = renewed.anchor;
    plan.period = renewed.period;
    plan.trial = false;
    plan.scheduled = None;
    plan.low_balance = renewed.low_balance;
    plan.rolled = Credits::ZERO;
    plan.lots = renewed.grant.iter().map(|_| lot).collect();
    plan.allowance = renewed.grant.map_or(Credits::ZERO, |grant| grant.credits);
    plan.changed(from, &renewed.plan, entry.recorded_at.plus_micros(-HISTORY_MICROS));
    if let Some(billed) = &renewed.billed {
        account.overage -= billed.credits;
    }
    if let Some(grant) = &renewed.grant {
        open(account, Lot::of_plan(lot, grant));
    }
    renewed.repays.iter().try_for_each(|draw| repay(account, draw))
}

pub(super) fn rolled_over(
    account: &mut Account,
    entry: &Entry<'_>,
    rolled: &RolledOver,
) -> Result<(), Missing> {
    with_lot(account, rolled.from, |change| {
        change.lot.rolled += rolled.credits;
        change.lot.paid_back += rolled.paid;
        *change.remaining -= rolled.credits;
        if change.lot.state == LotState::InGrace {
            *change.in_grace -= rolled.credits;
        }
    })?;
    open(account, Lot::of_rollover(LotId(entry.sequence.0), rolled));
    let plan = subscription(account)?;
    plan.rolled += rolled.credits;
    plan.lots.retain(|lot| *lot != rolled.from);
    Ok(())
}

pub(super) fn budget_set(account: &mut Account, set: &BudgetSet<'_>) {
    let terms = set.terms.clone().into_owned();
    let held = account
        .holds
        .iter()
        .filter(|hold| terms.scope.covers(&hold.scope))
        .map(crate::Hold::held)
        .sum();
    let budget = Budget { terms, window: set.window, used: set.used, held };
    let budgets = &mut account.controls_mut().budgets;
    match budgets.iter_mut().find(|other| other.terms.id == budget.terms.id) {
        Some(other) => *other = budget,
        None => budgets.push(budget),
    }
}

pub(super) fn budget_removed(
    account: &mut Account,
    removed: &BudgetRemoved<'_>,
) -> Result<(), Missing> {
    let budgets = &mut account.controls.as_mut().ok_or(Missing::Budget)?.budgets;
    let place = budgets.iter().position(|budget| budget.terms.id == removed.budget);
    budgets.remove(place.ok_or(Missing::Budget)?);
    Ok(())
}

fn subscription(account: &mut Account) -> Result<&mut Subscription, Missing> {
    account.controls.as_mut().and_then(|controls| controls.plan.as_mut()).ok_or(Missing::Plan)
}

impl Subscription {
    /// Whether a due time is that of its renewal.
    pub(crate) fn renews_at(&self) -> Option<Timestamp> {
        self.period.map(|period| period.end)
    }
}
