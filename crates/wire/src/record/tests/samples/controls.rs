//! Entries of budgets, notices, refunds and reversals.

use ledger::{BudgetRemoved, BudgetSet, NoticesSet, Refunded, Return, ReturnTo, Reversed, TopUp};

use super::*;

pub(super) fn all() -> Vec<(&'static str, Entry<'static>)> {
    let set = BudgetSet {
        by: by_hand(),
        terms: commands::budget_terms(),
        window: Some(november()),
        used: credits("4180.25"),
    };
    let removed = BudgetRemoved { by: by_hand(), budget: "growth-monthly".into() };
    let notices = NoticesSet {
        by: by_hand(),
        low_balance: Some(credits("1000")),
        top_up: Some(TopUp { below: credits("500"), amount: credits("10000") }),
    };
    vec![
        ("budget-set", entry(Body::BudgetSet(Box::new(set)))),
        ("budget-removed", entry(Body::BudgetRemoved(Box::new(removed)))),
        ("notices-set", entry(Body::NoticesSet(Box::new(notices)))),
        ("refunded", refunded()),
        ("reversed", reversed()),
    ]
}

fn refunded() -> Entry<'static> {
    entry(Body::Refunded(Box::new(Refunded {
        by: by_hand(),
        lot: LotId(17),
        category: Category::Purchased,
        credits: credits("60"),
        money: money("0.5"),
        currency: Some(Currency::USD),
        revenue: money("0.1"),
    })))
}

fn reversed() -> Entry<'static> {
    let Entry { body: Body::Debit(debit), recorded_at, .. } = holds::debit_on_a_hold() else {
        panic!()
    };
    let back = Return {
        lot: LotId(17),
        category: Category::Included,
        credits: credits("384.55"),
        revenue: money("0.94"),
        to: ReturnTo::InGrace,
    };
    entry(Body::Reversed(Box::new(Reversed {
        by: by_hand(),
        reverses: EntryNumber(8_812_344),
        recorded_at,
        debit: *debit,
        returns: [back].into_iter().collect(),
        overage: credits("3"),
        lot: credits("1"),
        budgets: holds::budgets(),
    })))
}
