//! Strategies for budgets, notices, refunds and reversals.

use calendar::Period;
use ledger::{
    BudgetRemoved, BudgetScope, BudgetSet, BudgetTerms, BudgetUse, BudgetUses, NoticesSet,
    Refunded, Reversed, TopUp,
};

use super::*;
use crate::record::limits::command::{THRESHOLD_MAX, THRESHOLDS_MAX};

prop_compose! {
    fn budget_use()(
        (budget, window, used) in (name(), option::of(window()), credits())
    ) -> BudgetUse<'static> {
        BudgetUse { budget, window, used }
    }
}

pub(super) fn budget_uses() -> impl Strategy<Value = BudgetUses<'static>> {
    vec(budget_use(), 0..3)
}

prop_compose! {
    /// A budget's terms, within the limits for what comes in.
    pub fn budget_terms()(
        id in name(),
        (user, team, feature) in (option::of(name()), option::of(name()), option::of(name())),
        traffic in option::of(select(Traffic::ALL)),
        (limit, hard) in (credits(), any::<bool>()),
        period in option::of(select(&Period::ALL[..])),
        zone in zone(),
        thresholds in vec(1..=THRESHOLD_MAX, 0..=THRESHOLDS_MAX),
    ) -> BudgetTerms<'static> {
        BudgetTerms {
            id,
            scope: BudgetScope { user, team, feature, traffic },
            limit,
            period,
            zone,
            thresholds: thresholds.into_iter().collect(),
            hard,
        }
    }
}

pub(super) fn top_up() -> impl Strategy<Value = TopUp> {
    (credits(), credits()).prop_map(|(below, amount)| TopUp { below, amount })
}

prop_compose! {
    fn refunded()(
        by in by_hand(),
        (lot, category, credits) in (lot(), category(), credits()),
        (money, currency, revenue) in (money(), option::of(currency()), money()),
    ) -> Refunded<'static> {
        Refunded { by, lot, category, credits, money, currency, revenue }
    }
}

prop_compose! {
    fn reversed(account: Text<'static>)(
        (by, reverses, recorded_at) in (by_hand(), entry_number(), time()),
        debit in debit(account.clone()).boxed(),
        returns in holds::returns(),
        (overage, lot) in (credits(), credits()),
        budgets in budget_uses(),
    ) -> Reversed<'static> {
        Reversed { by, reverses, recorded_at, debit, returns, overage, lot, budgets }
    }
}

pub(super) fn body(account: Text<'static>) -> BoxedStrategy<Body<'static>> {
    let set = (by_hand(), budget_terms(), option::of(window()), credits())
        .prop_map(|(by, terms, window, used)| BudgetSet { by, terms, window, used });
    let removed = (by_hand(), name()).prop_map(|(by, budget)| BudgetRemoved { by, budget });
    let notices = (by_hand(), option::of(credits()), option::of(top_up()))
        .prop_map(|(by, low_balance, top_up)| NoticesSet { by, low_balance, top_up });
    prop_oneof![
        set.prop_map(|body| Body::BudgetSet(Box::new(body))).boxed(),
        removed.prop_map(|body| Body::BudgetRemoved(Box::new(body))).boxed(),
        notices.prop_map(|body| Body::NoticesSet(Box::new(body))).boxed(),
        refunded().prop_map(|body| Body::Refunded(Box::new(body))).boxed(),
        reversed(account).prop_map(|body| Body::Reversed(Box::new(body))).boxed(),
    ]
    .boxed()
}
