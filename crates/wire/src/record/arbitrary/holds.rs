//! Strategies for holds.

use ledger::{
    Earmark, Freed, HoldAfter, HoldCaptured, HoldEnded, HoldEnding, HoldExtended, HoldRefused,
    HoldReserved, HoldUse, Limit, Lost, Return, ReturnTo, Scope,
};
use smallvec::SmallVec;

use super::controls::budget_uses;
use super::*;

prop_compose! {
    pub fn scope()(
        (user, team, feature) in (option::of(name()), option::of(name()), option::of(name())),
        traffic in select(Traffic::ALL),
    ) -> Scope<'static> {
        Scope { user, team, feature, traffic }
    }
}

prop_compose! {
    fn after()(
        (amount, captured, expires_at) in (credits(), credits(), time())
    ) -> HoldAfter {
        HoldAfter { amount, captured, expires_at }
    }
}

prop_compose! {
    fn returned()(
        (lot, category, credits, revenue) in (lot(), category(), credits(), money()),
        to in select(&ReturnTo::ALL[..]),
    ) -> Return {
        Return { lot, category, credits, revenue, to }
    }
}

pub(super) fn returns() -> impl Strategy<Value = SmallVec<[Return; 1]>> {
    vec(returned(), 0..3).prop_map(SmallVec::from_vec)
}

prop_compose! {
    fn lost()(
        (lot, category, credits, revenue) in (lot(), category(), credits(), money())
    ) -> Lost {
        Lost { lot, category, credits, revenue }
    }
}

prop_compose! {
    fn freed()(
        (credits, returned_overage, lot) in (credits(), credits(), credits()),
        returns in returns(),
        lost in vec(lost(), 0..3),
        repays in draws(),
    ) -> Freed {
        Freed {
            credits,
            returns,
            returned_overage,
            lot,
            lost: SmallVec::from_vec(lost),
            repays,
        }
    }
}

/// What a charge does to a hold.
pub(super) fn used() -> BoxedStrategy<HoldUse> {
    let amounts = (credits(), credits());
    (hold(), draws(), amounts, option::of(freed()), after())
        .prop_map(|(hold, advanced, (advanced_overage, above), freed, after)| HoldUse {
            hold,
            advanced,
            advanced_overage,
            above,
            freed,
            after,
        })
        .boxed()
}

prop_compose! {
    fn reserved()(
        (by, scope) in (by_hand(), scope()),
        (asked, amount, beyond) in (credits(), credits(), credits()),
        earmarks in vec((lot(), credits()), 0..4),
        expires_at in time(),
    ) -> HoldReserved<'static> {
        let earmarks = earmarks.into_iter().map(|(lot, credits)| Earmark { lot, credits });
        let earmarks = earmarks.collect();
        HoldReserved { by, scope, asked, amount, earmarks, beyond, expires_at }
    }
}

prop_compose! {
    fn refused()(
        (by, scope) in (by_hand(), scope()),
        (asked, shortfall, available) in (credits(), credits(), credits()),
        budget in option::of(name()),
        resets_at in option::of(time()),
    ) -> HoldRefused<'static> {
        let limit = budget.map_or(Limit::Balance, Limit::Budget);
        HoldRefused { by, scope, asked, limit, shortfall, available, resets_at }
    }
}

prop_compose! {
    fn captured()(
        (by, hold, after) in (by_hand(), hold(), after()),
        (credits, overage, above) in (credits(), credits(), credits()),
        (draws, budgets) in (draws(), budget_uses()),
    ) -> HoldCaptured<'static> {
        HoldCaptured { by, hold, credits, draws, overage, above, budgets, after }
    }
}

prop_compose! {
    fn ended()(
        (by, hold, after) in (option::of(by_hand()), hold(), after()),
        how in select(&HoldEnding::ALL[..]),
        (overage, above) in (credits(), credits()),
        (draws, budgets, freed) in (draws(), budget_uses(), freed()),
    ) -> HoldEnded<'static> {
        HoldEnded { by, hold, how, draws, overage, above, freed, budgets, after }
    }
}

pub(super) fn body() -> BoxedStrategy<Body<'static>> {
    let extended =
        (by_hand(), hold(), after()).prop_map(|(by, hold, after)| HoldExtended { by, hold, after });
    prop_oneof![
        reserved().prop_map(|body| Body::HoldReserved(Box::new(body))).boxed(),
        refused().prop_map(|body| Body::HoldRefused(Box::new(body))).boxed(),
        captured().prop_map(|body| Body::HoldCaptured(Box::new(body))).boxed(),
        extended.prop_map(|body| Body::HoldExtended(Box::new(body))).boxed(),
        ended().prop_map(|body| Body::HoldEnded(Box::new(body))).boxed(),
    ]
    .boxed()
}
