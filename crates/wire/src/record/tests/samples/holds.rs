//! Entries of holds.

use domain::{HoldAction, Traffic};
use ledger::{
    BudgetUse, Earmark, Freed, HoldAfter, HoldCaptured, HoldEnded, HoldEnding, HoldExtended,
    HoldId, HoldRefused, HoldReserved, HoldUse, Limit, Lost, Return, ReturnTo, Scope,
};

use super::*;

const HOLD: HoldId = HoldId(EntryNumber(8_812_300));

pub(super) fn all() -> Vec<(&'static str, Entry<'static>)> {
    let extended = HoldExtended { by: by_hand(), hold: HOLD, after: after("0") };
    vec![
        ("debit-on-a-hold", debit_on_a_hold()),
        ("hold-reserved", reserved()),
        ("hold-refused", refused(Limit::Budget("growth-monthly".into()))),
        ("hold-refused-by-balance", refused(Limit::Balance)),
        ("hold-captured", captured()),
        ("hold-extended", entry(Body::HoldExtended(Box::new(extended)))),
        ("hold-settled", settled()),
        ("hold-released", entry(released(Some(by_hand()), HoldEnding::Released))),
        ("hold-expired", by_timer(released(None, HoldEnding::Expired))),
    ]
}

fn scope() -> Scope<'static> {
    Scope {
        user: some("u_7"),
        team: some("growth"),
        feature: some("research-agent"),
        traffic: Traffic::Internal,
    }
}

fn after(captured: &str) -> HoldAfter {
    HoldAfter {
        amount: credits("250"),
        captured: credits(captured),
        expires_at: at("2026-11-20T12:01:00.456Z"),
    }
}

pub(super) fn budgets() -> BudgetUses<'static> {
    let used = |budget: &'static str, window, text| BudgetUse {
        budget: budget.into(),
        window,
        used: credits(text),
    };
    [used("growth-monthly", Some(november()), "4180.25"), used("pilot", None, "77")]
        .into_iter()
        .collect()
}

fn freed() -> Freed {
    let back = |lot, text, revenue, to| Return {
        lot: LotId(lot),
        category: Category::Purchased,
        credits: credits(text),
        revenue: money(revenue),
        to,
    };
    let lost = Lost {
        lot: LotId(12),
        category: Category::Promotional,
        credits: credits("4"),
        revenue: money("0.5"),
    };
    Freed {
        credits: credits("69.75"),
        returns: [
            back(17, "3", "0.03", ReturnTo::Live),
            back(16, "2", "0.02", ReturnTo::InGrace),
            back(15, "1", "0.01", ReturnTo::Expired),
        ]
        .into_iter()
        .collect(),
        returned_overage: credits("0.25"),
        lot: credits("0.125"),
        lost: [lost].into_iter().collect(),
        repays: [draw(17, Category::Purchased, "2.5", "0.025")].into_iter().collect(),
    }
}

/// A charge that ends its hold and uses everything that a charge can have.
pub(super) fn debit_on_a_hold() -> Entry<'static> {
    let Entry { body: Body::Debit(mut debit), .. } = debit() else { panic!() };
    debit.event.hold = some("hold_3-8812300");
    debit.event.hold_action = HoldAction::Settle;
    debit.draws = [draw(17, Category::Included, "384.55", "0.94")].into_iter().collect();
    debit.hold = Some(Box::new(HoldUse {
        hold: HOLD,
        advanced: [draw(11, Category::Promotional, "12.5", "0")].into_iter().collect(),
        advanced_overage: credits("4"),
        above: credits("151.05"),
        freed: Some(freed()),
        after: after("401.05"),
    }));
    debit.budgets = budgets();
    entry(Body::Debit(debit))
}

fn reserved() -> Entry<'static> {
    let earmark = |lot, text| Earmark { lot: LotId(lot), credits: credits(text) };
    entry(Body::HoldReserved(Box::new(HoldReserved {
        by: by_hand(),
        scope: scope(),
        asked: credits("300"),
        amount: credits("250"),
        earmarks: [earmark(11, "50"), earmark(17, "190")].into_iter().collect(),
        beyond: credits("10"),
        expires_at: at("2026-11-20T12:01:00.456Z"),
    })))
}

fn refused(limit: Limit<'static>) -> Entry<'static> {
    entry(Body::HoldRefused(Box::new(HoldRefused {
        by: by_hand(),
        scope: scope(),
        asked: credits("300"),
        limit,
        shortfall: credits("302.5"),
        available: credits("-2.5"),
        resets_at: Some(at("2026-11-30T23:00:00Z")),
    })))
}

fn captured() -> Entry<'static> {
    entry(Body::HoldCaptured(Box::new(HoldCaptured {
        by: by_hand(),
        hold: HOLD,
        credits: credits("12.5"),
        draws: [draw(11, Category::Promotional, "10", "0")].into_iter().collect(),
        overage: credits("2.5"),
        above: credits("1.5"),
        budgets: budgets(),
        after: after("12.5"),
    })))
}

fn settled() -> Entry<'static> {
    entry(Body::HoldEnded(Box::new(HoldEnded {
        by: Some(by_hand()),
        hold: HOLD,
        how: HoldEnding::Settled,
        draws: [draw(17, Category::Purchased, "160.25", "1.6025")].into_iter().collect(),
        overage: credits("7.5"),
        above: credits("0.25"),
        freed: freed(),
        budgets: budgets(),
        after: after("180.25"),
    })))
}

fn released(by: Option<ByHand<'static>>, how: HoldEnding) -> Body<'static> {
    Body::HoldEnded(Box::new(HoldEnded {
        by,
        hold: HOLD,
        how,
        draws: Draws::new(),
        overage: Credits::ZERO,
        above: Credits::ZERO,
        freed: Freed { credits: credits("250"), ..Freed::default() },
        budgets: BudgetUses::new(),
        after: after("0"),
    }))
}
