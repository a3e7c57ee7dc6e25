//! Plans, budgets and notices, as they were set.

use axum::http::StatusCode;
use calendar::Window;
use ledger::{
    BudgetRemoved, BudgetSet, BudgetTerms, NoticesSet, PlanAssigned, PlanScheduled, TopUp,
};
use serde_json::{Value, json};

use super::{Answer, Said};
use crate::problem::Problem;

/// The period of a budget that has none.
const EVER: &str = "ever";

impl Said<'_> {
    pub(super) fn assigned(&self, assigned: &PlanAssigned<'_>) -> Result<Answer, Problem> {
        let by = assigned.by.as_ref().ok_or_else(|| self.made_by_nobody())?;
        let own = json!({
            "plan": assigned.plan,
            "replaces": assigned.replaces,
            "from": assigned.from,
            "scheduled": null,
            "period": assigned.period.map(window_json),
            "trial": assigned.trial,
            "granted": assigned.grant.map(|grant| grant.credits).unwrap_or_default(),
            "lot": self.opened(),
            "repaid": assigned.repays.map(|draw| draw.credits).unwrap_or_default(),
        });
        Ok(self.with(StatusCode::CREATED, by, own))
    }

    /// Nothing has changed yet: `scheduled` says what will, or is null when a wish was taken back.
    pub(super) fn scheduled(&self, scheduled: &PlanScheduled<'_>) -> Answer {
        let next = scheduled.plan.as_ref().map(|plan| json!({ "plan": plan, "at": scheduled.at }));
        self.with(StatusCode::CREATED, &scheduled.by, json!({ "scheduled": next }))
    }

    pub(super) fn budget_set(&self, set: &BudgetSet<'_>) -> Answer {
        let mut own = budget_json(&set.terms);
        own["command"] = set.by.command.as_ref().into();
        own["used"] = json!(set.used);
        own["window"] = json!(set.window.map(window_json));
        self.with(StatusCode::CREATED, &set.by, own)
    }

    pub(super) fn budget_removed(&self, removed: &BudgetRemoved<'_>) -> Answer {
        let own = json!({ "budget": removed.budget, "removed": true });
        self.with(StatusCode::OK, &removed.by, own)
    }

    pub(super) fn notices_set(&self, set: &NoticesSet<'_>) -> Answer {
        let own = json!({
            "low_balance": set.low_balance,
            "top_up": set.top_up.map(top_up_json),
        });
        self.with(StatusCode::CREATED, &set.by, own)
    }
}

/// A budget's terms, as they are asked for. `id` is the budget's.
fn budget_json(terms: &BudgetTerms<'_>) -> Value {
    json!({
        "id": terms.id,
        "budget": terms.id,
        "user": terms.scope.user,
        "team": terms.scope.team,
        "feature": terms.scope.feature,
        "traffic": terms.scope.traffic.map(|traffic| traffic.word()),
        "limit": terms.limit,
        "period": terms.period.map_or(EVER, |period| period.word()),
        "timezone": terms.zone.name(),
        "thresholds": terms.thresholds.as_slice(),
        "hard": terms.hard,
    })
}

fn window_json(window: Window) -> Value {
    json!({ "start": window.start, "end": window.end })
}

fn top_up_json(top_up: TopUp) -> Value {
    json!({ "below": top_up.below, "amount": top_up.amount })
}
