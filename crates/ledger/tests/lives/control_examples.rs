//! Budgets and notices by example.

use std::borrow::Cow;

use calendar::{Period, Zone};
use domain::{HoldAction, Reason, Timestamp, Traffic};
use ledger::{
    AccountEvent, BudgetScope, BudgetTerms, CommandBody, Happening, Limit, Reserve, Scope, TopUp,
};

use crate::asks::{ACCT, asking_for, credits, noon};
use crate::world::{HOUR, MINUTE, Usage, World};

fn budget(limit: &str, hard: bool) -> BudgetTerms<'static> {
    BudgetTerms {
        id: Cow::Borrowed("of_u_7"),
        scope: BudgetScope { user: Some(Cow::Borrowed("u_7")), ..BudgetScope::default() },
        limit: credits(limit),
        period: Some(Period::Day),
        zone: "Asia/Tokyo".parse().unwrap(),
        thresholds: [80, 100].into_iter().collect(),
        hard,
    }
}

impl World {
    fn set_budget(&mut self, terms: BudgetTerms<'static>) {
        self.command(ACCT, CommandBody::SetBudget(Box::new(terms))).unwrap();
    }

    fn spend_as(&mut self, user: &'static str, amount: &str, time: Timestamp) {
        self.use_as(Usage { credits: credits(amount), time, user: Some(user), ..Usage::default() });
    }

    fn used(&self) -> String {
        self.state.account(ACCT).budgets()[0].used.to_string()
    }
}

#[test]
fn a_hard_budget_refuses_holds_of_its_scope_until_its_next_day() {
    let mut world = noon();
    world.grant("1000");
    world.set_budget(budget("10", true));
    world.spend_as("u_7", "4", world.now);
    world.reserve("5");
    let refused = world.reserve_as(asking_for("2")).unwrap_err();
    assert_eq!(refused.limit, Limit::Budget(Cow::Borrowed("of_u_7")));
    assert_eq!((refused.available, refused.shortfall), (credits("1"), credits("1")));
    // Midnight in Tokyo.
    assert_eq!(refused.resets_at, Some("2026-11-20T15:00:00Z".parse().unwrap()));
    // Others, and usage itself, are not refused.
    world.reserve_as(Reserve { scope: Scope::default(), ..asking_for("20") }).unwrap();
    world.spend_as("u_7", "20", world.now);
    world.pass_to("2026-11-20T15:00:00Z");
    world.reserve("10");
}

#[test]
fn a_soft_budget_only_tells() {
    let mut world = noon();
    world.grant("1000");
    world.set_budget(budget("10", false));
    world.reserve("50");
}

#[test]
fn of_two_limits_the_tighter_one_refuses() {
    let mut world = noon();
    world.grant("6");
    world.set_budget(budget("10", true));
    assert_eq!(world.reserve_as(asking_for("11")).unwrap_err().limit, Limit::Balance);
    world.grant("94");
    let refused = world.reserve_as(asking_for("11")).unwrap_err();
    assert_eq!(refused.limit, Limit::Budget(Cow::Borrowed("of_u_7")));
}

#[test]
fn a_budget_threshold_is_told_once_per_crossing() {
    let mut world = noon();
    world.set_budget(budget("10", false));
    let told = |world: &World| -> Vec<u16> {
        let percent = |what: &&Happening<'_>| match what {
            Happening::BudgetThreshold { percent, .. } => *percent,
            other => panic!("{other:?}"),
        };
        world.heard("budget.threshold").iter().map(percent).collect()
    };
    world.spend_as("u_7", "7.999999999999", world.now);
    assert!(told(&world).is_empty());
    world.spend_as("u_7", "0.000000000001", world.now);
    world.restart();
    world.spend_as("u_7", "1", world.now);
    assert_eq!(told(&world), [80]);
    world.spend_as("u_7", "5", world.now);
    world.spend_as("u_7", "5", world.now);
    assert_eq!(told(&world), [80, 100]);
    // The next day begins at nothing, and one charge crosses both.
    world.pass_to("2026-11-20T15:00:00Z");
    world.spend_as("u_7", "11", world.now);
    assert_eq!(told(&world), [80, 100, 80, 100]);
    // A charge that is taken back and made again crosses again.
    world.reverse_entry(world.last().number);
    world.spend_as("u_7", "9", world.now);
    assert_eq!(told(&world), [80, 100, 80, 100, 80]);
}

#[test]
fn late_usage_counts_in_no_later_window() {
    let mut world = noon();
    world.set_budget(budget("10", true));
    world.pass_to("2026-11-20T15:01:00Z");
    world.spend_as("u_7", "3", world.now);
    world.spend_as("u_7", "4", world.now.plus_micros(-2 * MINUTE));
    assert_eq!(world.used(), "3");
}

#[test]
fn a_changed_limit_keeps_what_was_used_and_another_scope_does_not() {
    let mut world = noon();
    world.set_budget(budget("10", true));
    world.spend_as("u_7", "4", world.now);
    world.set_budget(budget("20", false));
    assert_eq!(world.used(), "4");
    world.set_budget(BudgetTerms { zone: Zone::utc(), ..budget("20", true) });
    assert_eq!(world.used(), "0");
}

#[test]
fn a_changed_limit_keeps_a_window_that_usage_began_ahead_of_ledger_time() {
    let mut world = World::at("2026-11-20T14:58:00Z");
    world.set_budget(budget("10", true));
    world.spend_as("u_7", "4", world.now.plus_micros(3 * MINUTE));
    world.set_budget(budget("20", true));
    assert_eq!(world.used(), "4");
    let window = world.state.account(ACCT).budgets()[0].window.unwrap();
    assert_eq!(window.start, "2026-11-20T15:00:00Z".parse().unwrap());
}

#[test]
fn an_advance_that_was_too_much_goes_back_to_the_budget_that_counted_it() {
    let mut world = World::at("2026-11-20T15:00:30Z");
    world.grant("100");
    world.set_budget(budget("10", true));
    let hold = world.reserve("6");
    world.capture(hold, "6");
    assert_eq!(world.used(), "6");
    // The event names another user, and is dated before midnight in Tokyo.
    world.use_as(Usage {
        credits: credits("2"),
        time: world.now.plus_micros(-MINUTE),
        hold: Some(hold),
        user: Some("u_8"),
        action: HoldAction::Settle,
        ..Usage::default()
    });
    assert_eq!(world.used(), "2");
}

#[test]
fn a_scope_covers_what_has_everything_that_it_names() {
    let text = |text: &'static str| Some(Cow::Borrowed(text));
    let spender = Scope {
        user: text("u_7"),
        team: text("growth"),
        feature: text("chat"),
        traffic: Traffic::Customer,
    };
    let all = BudgetScope::default();
    let growth = || BudgetScope { team: text("growth"), ..BudgetScope::default() };
    for (scope, covers) in [
        (all, true),
        (growth(), true),
        (BudgetScope { feature: text("chat"), traffic: Some(Traffic::Customer), ..growth() }, true),
        (BudgetScope { user: text("u_8"), ..growth() }, false),
        (BudgetScope { feature: text("search"), ..growth() }, false),
        (BudgetScope { team: text("sales"), ..BudgetScope::default() }, false),
        (BudgetScope { traffic: Some(Traffic::Test), ..growth() }, false),
    ] {
        assert_eq!(scope.covers(&spender), covers, "{scope:?}");
        let nobody = scope.covers(&Scope::default());
        assert_eq!(nobody, scope == BudgetScope::default(), "{scope:?}");
    }
}

#[test]
fn a_budget_is_removed_by_its_name() {
    let mut world = noon();
    world.set_budget(budget("1", true));
    world.grant("100");
    let remove = || CommandBody::RemoveBudget { budget: Cow::Borrowed("of_u_7") };
    world.command(ACCT, remove()).unwrap();
    assert_eq!(world.command(ACCT, remove()), Err(Reason::UnknownBudget));
    world.reserve("50");
}

#[test]
fn a_low_balance_and_an_empty_one_are_told_once_per_crossing() {
    let mut world = noon();
    let top_up = Some(TopUp { below: credits("4"), amount: credits("50") });
    let notices = CommandBody::SetNotices { low_balance: Some(credits("10")), top_up };
    world.command(ACCT, notices).unwrap();
    world.grant("20");
    let kinds = |world: &World| -> Vec<&'static str> {
        world.told.iter().map(|event| event.what.kind()).collect()
    };
    world.spend("10");
    assert!(kinds(&world).is_empty(), "ten is not below ten");
    world.spend("1");
    world.restart();
    world.spend("1");
    assert_eq!(kinds(&world), ["balance.low"]);
    // A hold takes from what is available; its end gives it back.
    let hold = world.reserve_as(Reserve { expires_in_micros: HOUR, ..asking_for("8") }).unwrap();
    assert_eq!(kinds(&world), ["balance.low", "topup.wanted", "balance.exhausted"]);
    world.restart();
    world.spend("1");
    world.command(ACCT, CommandBody::Release { hold }).unwrap();
    assert_eq!(kinds(&world).len(), 3);
    world.spend("7");
    assert_eq!(kinds(&world)[3..], ["topup.wanted", "balance.exhausted"]);
    world.grant("20");
    world.spend("20");
    assert_eq!(kinds(&world)[5..], ["balance.low", "topup.wanted", "balance.exhausted"]);
    let numbers: Vec<u64> =
        world.told.iter().map(|event: &AccountEvent<'_>| event.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8]);
}
