//! Strategies for corrections and decisions about what was held back.

use ledger::{Corrected, Corrector, QuarantineDecided, Rerate};

use super::*;

fn corrector() -> impl Strategy<Value = Corrector<'static>> {
    prop_oneof![
        by_hand().prop_map(Corrector::ByHand),
        (name(), time(), content()).prop_map(|(id, time, content)| Corrector::Producer {
            id,
            time,
            content
        }),
    ]
}

prop_compose! {
    fn corrected(account: Text<'static>)(
        by in corrector(),
        (corrects, charge, recorded_at) in (entry_number(), entry_number(), time()),
        before in debit(account.clone()).boxed(),
        now in option::of(debit(account.clone())).boxed(),
        returns in holds::returns(),
        (forgiven, lot, overage) in (credits(), credits(), credits()),
        draws in draws(),
        budgets in controls::budget_uses(),
    ) -> Corrected<'static> {
        Corrected {
            by, corrects, charge, recorded_at, before, now, returns, forgiven, lot, draws, overage,
            budgets,
        }
    }
}

prop_compose! {
    fn decided()(
        (by, held) in (by_hand(), entry_number()),
        (topic, offset) in (topic(), offset()),
        (source, id, reason) in (name(), name(), reason()),
        accepted: bool,
    ) -> QuarantineDecided<'static> {
        QuarantineDecided { by, held, topic, offset, source, id, reason, accepted }
    }
}

pub(super) fn body(account: Text<'static>) -> BoxedStrategy<Body<'static>> {
    prop_oneof![
        corrected(account).prop_map(|body| Body::Corrected(Box::new(body))).boxed(),
        decided().prop_map(|body| Body::QuarantineDecided(Box::new(body))).boxed(),
    ]
    .boxed()
}

prop_compose! {
    pub(super) fn rerate()(
        (entry, record) in (entry_number(), vec(any::<u8>(), 0..300)),
        (rate_card, catalogue) in (catalogue_id(), offset()),
        lines in vec(line(), 0..5),
        (credits, residual) in (credits(), credits()),
    ) -> Rerate<'static> {
        Rerate {
            entry, record: Cow::Owned(record), rate_card, catalogue, lines, credits, residual,
        }
    }
}
