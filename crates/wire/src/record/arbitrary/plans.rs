//! Strategies for plans.

use ledger::{Billed, PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled};

use super::*;

prop_compose! {
    fn plan_grant()(
        (credits, category) in (credits(), category()),
        (effective, expires) in (time(), time()),
        (paid, currency) in (money(), option::of(currency())),
    ) -> PlanGrant {
        PlanGrant { credits, category, effective, expires, paid, currency }
    }
}

prop_compose! {
    fn assigned()(
        by in option::of(by_hand()),
        (plan, version, replaces) in (name(), catalogue_id(), option::of(name())),
        (from, anchor, period) in (time(), time(), option::of(window())),
        trial: bool,
        grant in option::of(plan_grant()),
        repays in option::of(draw()),
        low_balance in option::of(credits()),
    ) -> PlanAssigned<'static> {
        PlanAssigned {
            by, plan, version, replaces, from, anchor, period, trial, grant, repays, low_balance,
        }
    }
}

prop_compose! {
    fn renewed()(
        (plan, version, replaces) in (name(), catalogue_id(), option::of(name())),
        (anchor, period) in (time(), option::of(window())),
        grant in option::of(plan_grant()),
        billed in option::of((credits(), money(), option::of(currency()))),
        repays in option::of(draw()),
        low_balance in option::of(credits()),
    ) -> PlanRenewed<'static> {
        let billed = billed.map(|(credits, price, currency)| Billed { credits, price, currency });
        PlanRenewed {
            plan, version, replaces, anchor, period, grant, billed, repays, low_balance,
        }
    }
}

pub(super) fn body() -> BoxedStrategy<Body<'static>> {
    let scheduled = (by_hand(), option::of(name()), time())
        .prop_map(|(by, plan, at)| PlanScheduled { by, plan, at });
    prop_oneof![
        assigned().prop_map(|body| Body::PlanAssigned(Box::new(body))).boxed(),
        scheduled.prop_map(|body| Body::PlanScheduled(Box::new(body))).boxed(),
        renewed().prop_map(|body| Body::PlanRenewed(Box::new(body))).boxed(),
    ]
    .boxed()
}
