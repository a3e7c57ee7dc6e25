//! Plans by example.

use std::borrow::Cow;

use calendar::{Period, Window};
use domain::{Credits, Money, Reason};
use ledger::{Body, CommandBody, Exhausted, Limit, PlanRenewed, RolloverTerms, When};

use crate::asks::{ACCT, asking_for, credits, noon};
use crate::plans::Plan;
use crate::world::{DAY, World};

fn plan_of(world: &World) -> (&str, String) {
    let plan = world.state.account(ACCT).plan().unwrap();
    (&plan.plan, plan.period.unwrap().end.to_string())
}

fn renewed(world: &World) -> PlanRenewed<'static> {
    let renewals = world.entries.iter().rev();
    let mut renewals = renewals.filter_map(|entry| match &entry.body {
        Body::PlanRenewed(renewed) => Some(renewed.as_ref().clone()),
        _ => None,
    });
    renewals.next().unwrap()
}

#[test]
fn the_31st_clamps_to_the_end_of_a_month_and_returns() {
    let mut world =
        World::at("2026-01-31T08:30:00Z").with_plans(vec![Plan::monthly("pro", 100, 49)]);
    world.assign("pro");
    let mut ends = vec![plan_of(&world).1];
    for _ in 0..4 {
        world.pass(31 * DAY);
        ends.push(plan_of(&world).1);
    }
    ends.dedup();
    let days = ["2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31", "2026-06-30"];
    assert_eq!(ends, days.map(|day| format!("{day}T00:00:00Z")));
    // One month's credits at a time.
    assert_eq!(world.balance(ACCT)[2], "100");
}

#[test]
fn what_is_left_rolls_over_up_to_the_cap_and_ends_with_the_next_period() {
    let rollover =
        Some(RolloverTerms { max_credits: Some(credits("20")), expires_after_periods: 1 });
    let plan = Plan { rollover, ..Plan::monthly("pro", 100, 50) };
    let mut world = World::at("2026-01-01T00:00:00Z").with_plans(vec![plan]);
    world.assign("pro");
    world.spend("30");
    world.pass_to("2026-02-01T00:00:00Z");
    assert_eq!(world.balance(ACCT)[2], "120");
    let Some(rolled) = world.entries.iter().find_map(|entry| match entry.body {
        Body::RolledOver(rolled) => Some(rolled),
        _ => None,
    }) else {
        panic!()
    };
    // What was paid for them moves along; the 50 that did not fit are forfeited, and earn their part.
    assert_eq!(rolled.paid, "10".parse().unwrap());
    world.pass(DAY);
    assert_eq!(world.earned(rolled.from), "40".parse().unwrap());
    // They are drawn first, for they end first; what is left of both rolls over no more than the cap.
    world.spend("5");
    world.pass_to("2026-03-01T00:00:00Z");
    assert_eq!(world.balance(ACCT)[2], "120");
    world.pass(2 * DAY);
    let open = &world.state.account(ACCT).lots;
    assert_eq!(
        open.iter().map(|lot| lot.remaining()).collect::<Vec<_>>(),
        [credits("20"), credits("100")]
    );
}

#[test]
fn the_cap_of_a_rollover_is_that_of_all_lots_of_the_period() {
    let rollover =
        Some(RolloverTerms { max_credits: Some(credits("120")), expires_after_periods: 1 });
    let plans =
        vec![Plan::monthly("basic", 100, 10), Plan { rollover, ..Plan::monthly("pro", 300, 40) }];
    let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
    world.assign("basic");
    world.pass_to("2026-06-16T00:00:00Z");
    // Another 100 for the half that is left.
    world.assign("pro");
    world.pass_to("2026-07-01T00:00:00Z");
    assert_eq!(world.available(ACCT), credits("420"));
}

#[test]
fn an_upgrade_grants_the_prorated_difference_at_once() {
    let plans = vec![
        Plan::monthly("basic", 100, 10),
        Plan::monthly("pro", 300, 40),
        Plan::monthly("max", 500, 100),
    ];
    let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
    world.assign("basic");
    world.spend("80");
    // A third of June is left.
    world.pass_to("2026-06-21T00:00:00Z");
    let third = |units: i64| Credits::from_atoms((Credits::from_units(units).atoms() + 1) / 3);
    world.assign("pro");
    assert_eq!(world.available(ACCT), credits("20") + third(200));
    let Body::PlanAssigned(assigned) = &world.last().body else { panic!() };
    assert_eq!(assigned.grant.unwrap().paid, "10".parse::<Money>().unwrap());
    // Two steps give as much as one.
    world.assign("max");
    assert_eq!(world.available(ACCT), credits("20") + third(200) + third(200));
    let Body::PlanAssigned(assigned) = &world.last().body else { panic!() };
    assert_eq!(assigned.grant.unwrap().paid, "20".parse::<Money>().unwrap());
    world.pass_to("2026-07-01T00:00:00Z");
    assert_eq!(world.available(ACCT), credits("500"));
}

#[test]
fn a_downgrade_waits_for_the_renewal_and_may_be_taken_back() {
    let plans = vec![Plan::monthly("basic", 100, 10), Plan::monthly("pro", 300, 40)];
    let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
    world.assign("pro");
    world.assign("basic");
    assert_eq!(plan_of(&world).0, "pro");
    world.assign("pro");
    assert_eq!(world.state.account(ACCT).plan().unwrap().scheduled, None);
    let again = CommandBody::AssignPlan { plan: Cow::Borrowed("pro"), when: When::Fitting };
    assert_eq!(world.command(ACCT, again), Err(Reason::PlanUnchanged));
    world.assign("basic");
    world.spend("250");
    // Noticed a day late: the plan has changed on the 1st all the same.
    world.pass_to("2026-07-02T00:00:00Z");
    assert_eq!(plan_of(&world), ("basic", "2026-08-01T00:00:00Z".to_owned()));
    assert_eq!(renewed(&world).replaces.as_deref(), Some("pro"));
    // What was spent of the larger plan is not clawed back.
    assert_eq!(world.available(ACCT), credits("100"));
    // Usage of June is still priced under June's plan.
    let plan = world.state.account(ACCT).plan().unwrap();
    assert_eq!(plan.plan_at("2026-06-30T23:59:59Z".parse().unwrap()), Some("pro"));
    assert_eq!(plan.plan_at("2026-07-01T00:00:00Z".parse().unwrap()), Some("basic"));
}

#[test]
fn a_downgrade_at_once_takes_nothing_away() {
    let plans = vec![Plan::monthly("basic", 100, 10), Plan::monthly("pro", 300, 40)];
    let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
    world.assign("pro");
    world.assign_when("basic", When::Now);
    assert_eq!((plan_of(&world).0, world.available(ACCT)), ("basic", credits("300")));
    // Nor does going there and back give anything.
    world.assign("pro");
    assert_eq!(world.available(ACCT), credits("300"));
}

#[test]
fn a_trial_comes_first_and_once() {
    let trial = Some((credits("5"), 14));
    let plans = vec![
        Plan { trial, ..Plan::monthly("pro", 100, 49) },
        Plan { period: Period::Week, ..Plan::monthly("free", 1, 0) },
    ];
    let mut world = World::at("2026-01-10T09:00:00Z").with_plans(plans);
    world.assign("pro");
    assert_eq!(world.available(ACCT), credits("5"));
    // To the second, and then the anniversary's own days.
    assert_eq!(plan_of(&world).1, "2026-01-24T09:00:00Z");
    world.pass_to("2026-01-24T09:00:00Z");
    assert_eq!(world.available(ACCT), credits("100"));
    assert_eq!(plan_of(&world).1, "2026-02-24T00:00:00Z");
    world.assign_when("free", When::Now);
    world.assign("pro");
    assert!(!world.state.account(ACCT).plan().unwrap().trial);
}

#[test]
fn overage_is_billed_at_the_renewal() {
    let exhausted = Exhausted::Overage {
        max: Some(credits("1000")),
        price_per_1000: Some("3.00".parse().unwrap()),
    };
    let plans = vec![Plan { exhausted, ..Plan::monthly("pro", 100, 49) }];
    let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
    world.assign("pro");
    world.spend("350");
    // Holds may go on to the limit, and no further.
    let refused = world.reserve_as(asking_for("800")).unwrap_err();
    assert_eq!((refused.limit, refused.available), (Limit::Balance, credits("750")));
    assert_eq!(refused.resets_at, Some("2026-07-01T00:00:00Z".parse().unwrap()));
    world.reserve("750");
    world.pass_to("2026-07-01T00:00:00Z");
    let billed = renewed(&world).billed.unwrap();
    assert_eq!((billed.credits, billed.price), (credits("250"), "0.75".parse().unwrap()));
    assert_eq!(world.balance(ACCT), ["100", "0", "100"]);
}

#[test]
fn overage_is_billed_by_the_plan_that_it_was_used_under() {
    let priced = |price: &str| Exhausted::Overage {
        max: None,
        price_per_1000: Some(price.parse().unwrap()),
    };
    let plans = vec![
        Plan { exhausted: priced("3"), ..Plan::monthly("pro", 300, 40) },
        Plan { exhausted: priced("5"), ..Plan::monthly("basic", 100, 10) },
    ];
    let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
    world.assign("pro");
    world.assign("basic");
    world.spend("1300");
    world.pass_to("2026-07-01T00:00:00Z");
    assert_eq!(renewed(&world).plan, "basic");
    assert_eq!(renewed(&world).billed.unwrap().price, "3".parse().unwrap());
}

#[test]
fn overage_without_a_price_is_repaid_by_the_next_grant_unless_the_plan_says_otherwise() {
    for (repays, overage) in [(true, "0"), (false, "30")] {
        let exhausted = Exhausted::Overage { max: None, price_per_1000: None };
        let plans = vec![Plan { exhausted, repays, ..Plan::monthly("pro", 100, 49) }];
        let mut world = World::at("2026-06-01T00:00:00Z").with_plans(plans);
        world.assign("pro");
        world.spend("130");
        world.pass_to("2026-07-01T00:00:00Z");
        assert_eq!(world.state.account(ACCT).overage, credits(overage));
        assert_eq!(world.available(ACCT), credits("70"));
    }
}

#[test]
fn an_overdraft_goes_as_far_as_its_limit() {
    let exhausted = Exhausted::Overdraft { max: credits("20") };
    let mut world = noon().with_plans(vec![Plan { exhausted, ..Plan::monthly("pro", 100, 49) }]);
    world.assign("pro");
    world.spend("90");
    let refused = world.reserve_as(asking_for("30.5")).unwrap_err();
    assert_eq!((refused.available, refused.shortfall), (credits("30"), credits("0.5")));
    let hold = world.reserve("30");
    assert_eq!(world.balance(ACCT), ["10", "30", "-20"]);
    // Usage is booked past any limit.
    world.event(hold, "35");
    assert_eq!(world.balance(ACCT), ["-25", "0", "-25"]);
}

#[test]
fn a_plan_of_nobodys_choice_prices_all_earlier_usage() {
    let mut world = noon().with_plans(vec![Plan::monthly("free", 10, 0)]);
    world.default_plan(ACCT, 0);
    let plan = world.state.account(ACCT).plan().unwrap();
    assert_eq!(plan.plan_at("2020-01-01T00:00:00Z".parse().unwrap()), Some("free"));
    assert_eq!(world.available(ACCT), credits("10"));
}

#[test]
fn a_plan_without_an_allowance_has_no_period() {
    let plans = vec![Plan { credits: None, ..Plan::monthly("free", 0, 0) }];
    let mut world = noon().with_plans(plans);
    world.assign("free");
    let period: Option<Window> = world.state.account(ACCT).plan().unwrap().period;
    assert_eq!(period, None);
    world.pass(100 * DAY);
    assert_eq!(world.entries.len(), 1);
}

#[test]
fn credits_that_come_back_before_a_late_renewal_still_roll_over() {
    let rollover = Some(RolloverTerms { max_credits: None, expires_after_periods: 1 });
    let plan = Plan { rollover, ..Plan::monthly("pro", 100, 50) };
    let mut world = World::at("2026-01-01T00:00:00Z").with_plans(vec![plan]);
    world.assign("pro");
    let charge = world.spend("100");
    // Another input lags: the reversal is decided after the period's end, its renewal comes later.
    world.now = "2026-02-01T01:00:00Z".parse().unwrap();
    world.reverse_entry(charge);
    world.fire(world.now);
    assert_eq!(world.available(ACCT), credits("200"));
}
