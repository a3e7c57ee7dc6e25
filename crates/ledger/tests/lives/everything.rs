//! Everything at once, at random.

use std::collections::BTreeMap;

use domain::{Credits, Money};
use ledger::{
    Body, CommandBody, Entry, Freed, HAPPENINGS, LotState, PostingAccount, ReturnTo, Unit,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::plans::of_every_sort;
use crate::step::{ACCOUNTS, Step, steps};
use crate::world::{DAY, World};

fn lived(steps: &[Step]) -> World {
    let mut world = World::at("2026-01-29T22:40:00Z").with_plans(of_every_sort());
    steps.iter().for_each(|step| world.step(step));
    world
}

proptest! {
    #![proptest_config(crate::cases(400))]

    /// Every entry was checked when it was taken.
    #[test]
    fn every_life_keeps_the_invariants_and_is_its_fold(steps in steps()) {
        let mut world = lived(&steps);
        world.check_fold();
        // No hold leaks: each expires.
        world.pass(8 * DAY);
        for name in ACCOUNTS {
            let account = world.state.account(name);
            prop_assert_eq!(account.balance().held, Credits::ZERO);
            prop_assert!(account.holds().iter().all(|hold| !hold.is_open()));
        }
        world.check_fold();
    }

    /// Once everything is closed, what was paid is earned or paid back, and nothing is deferred.
    #[test]
    fn what_was_paid_is_earned_or_paid_back(steps in steps()) {
        let mut world = lived(&steps);
        world.pass(8 * DAY);
        for name in ACCOUNTS {
            let open: Vec<_> = world.state.account(name).lots.iter().map(|lot| lot.id).collect();
            for lot in open {
                world.command(name, CommandBody::Void { lot, credits: None }).unwrap();
            }
            let account = world.state.account(name);
            prop_assert!(account.closed.iter().all(|lot| lot.state == LotState::Closed));
            let (mut paid, mut back, mut billed) = (Money::ZERO, Money::ZERO, Money::ZERO);
            for entry in world.entries.iter().filter(|entry| entry.account == name) {
                match &entry.body {
                    Body::Grant(grant) => paid += grant.paid,
                    Body::PlanAssigned(assigned) => paid += assigned.grant.map_or(Money::ZERO, |grant| grant.paid),
                    Body::PlanRenewed(renewed) => {
                        paid += renewed.grant.map_or(Money::ZERO, |grant| grant.paid);
                        billed += renewed.billed.map_or(Money::ZERO, |billed| billed.price);
                    }
                    Body::Refunded(refunded) => back += refunded.money,
                    _ => {}
                }
            }
            prop_assert_eq!(world.book(name, PostingAccount::Deferred, Unit::Money), 0);
            let revenue = world.book(name, PostingAccount::Revenue, Unit::Money);
            prop_assert_eq!(revenue, (paid - back + billed).atoms());
            let recognised: Money = account.closed.iter().map(|lot| lot.recognised).sum();
            prop_assert_eq!(recognised, paid - back);
        }
    }
}

/// What of the rarer turns an entry takes.
fn turns(entry: &Entry<'_>) -> Vec<&'static str> {
    let mut turns = vec![entry.body.kind()];
    let mut turn = |taken: bool, name| turns.extend(taken.then_some(name));
    let returned = |returns: &[ledger::Return], to| returns.iter().any(|back| back.to == to);
    match &entry.body {
        Body::HoldReserved(reserved) => {
            turn(reserved.amount < reserved.asked, "shrunk");
            turn(reserved.beyond.is_positive(), "beyond the lots");
            turn(reserved.earmarks.len() > 1, "of two lots");
        }
        Body::HoldCaptured(captured) => turn(captured.above.is_positive(), "captured above"),
        Body::HoldEnded(ended) => {
            turn(ended.above.is_positive(), "settled above");
            turn(!ended.draws.is_empty(), "settled at more");
        }
        Body::Debit(debit) => {
            if let Some(used) = &debit.hold {
                turn(used.above.is_positive(), "charged above");
                turn(!used.advanced.is_empty(), "paid by an advance");
                turn(used.advanced_overage.is_positive(), "paid by an advance past the lots");
            }
        }
        Body::Reversed(reversed) => {
            turn(returned(&reversed.returns, ReturnTo::Live), "reversed into a live lot");
            turn(returned(&reversed.returns, ReturnTo::InGrace), "reversed into a lot in grace");
            turn(returned(&reversed.returns, ReturnTo::Expired), "reversed into an expired lot");
            turn(reversed.overage.is_positive(), "reversed out of overage");
            turn(reversed.lot.is_positive(), "reversed out of repaid overage");
        }
        Body::Corrected(corrected) => {
            turn(corrected.is_rerate(), "rerated");
            turn(corrected.now.is_none(), "taken back by its producer");
            turn(!corrected.draws.is_empty(), "corrected upwards");
            turn(corrected.overage.is_positive(), "corrected past the lots");
            turn(corrected.forgiven.is_positive(), "corrected out of overage");
            turn(corrected.lot.is_positive(), "corrected out of repaid overage");
            turn(!corrected.returns.is_empty(), "corrected downwards");
            turn(corrected.charge != corrected.corrects, "corrected again");
            turn(!corrected.budgets.is_empty(), "corrected within a budget");
            turn(returned(&corrected.returns, ReturnTo::Expired), "corrected into an expired lot");
        }
        Body::PlanAssigned(assigned) => {
            turn(assigned.trial, "trial");
            turn(assigned.repays.is_some(), "a plan repays");
            let goes_on = assigned.period.is_some_and(|period| period.start < assigned.from);
            turn(goes_on && assigned.grant.is_some(), "upgrade within the period");
        }
        Body::PlanRenewed(renewed) => {
            turn(renewed.billed.is_some(), "billed");
            turn(renewed.replaces.is_some(), "replaced at the renewal");
        }
        _ => {}
    }
    let freed: Option<&Freed> = match &entry.body {
        Body::HoldEnded(ended) => Some(&ended.freed),
        Body::Debit(debit) => debit.hold.as_ref().and_then(|used| used.freed.as_ref()),
        _ => None,
    };
    if let Some(freed) = freed {
        turn(!freed.lost.is_empty(), "freed into an expired lot");
        turn(!freed.repays.is_empty(), "freed credits repay");
        turn(freed.returned_overage.is_positive(), "an advance past the lots goes back");
        turn(freed.lot.is_positive(), "an advance past the lots was repaid");
        turn(returned(&freed.returns, ReturnTo::Live), "an advance goes back");
        turn(returned(&freed.returns, ReturnTo::InGrace), "an advance goes back into grace");
        turn(returned(&freed.returns, ReturnTo::Expired), "an advance goes back and is lost");
    }
    turns
}

/// The random lives get everywhere: a property that never meets the hard case proves nothing.
#[test]
fn the_lives_take_every_turn() {
    let mut runner = TestRunner::deterministic();
    let mut taken: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..1_200 {
        let world = lived(&steps().new_tree(&mut runner).unwrap().current());
        for turn in world.entries.iter().flat_map(turns) {
            *taken.entry(turn).or_default() += 1;
        }
        for event in &world.told {
            *taken.entry(event.what.kind()).or_default() += 1;
        }
    }
    println!("{taken:#?}");
    // Usage without a price is kept as it came; nothing of it is decided here.
    let rated = HAPPENINGS.into_iter().filter(|kind| *kind != "usage.unrated");
    for kind in rated.chain(TURNS) {
        assert!(taken.get(kind).is_some_and(|count| *count >= 3), "too few: {kind}");
    }
}

const TURNS: [&str; 62] = [
    "corrected",
    "rerated",
    "taken back by its producer",
    "corrected upwards",
    "corrected past the lots",
    "corrected out of overage",
    "corrected out of repaid overage",
    "corrected downwards",
    "corrected again",
    "corrected within a budget",
    "corrected into an expired lot",
    "debit",
    "grant",
    "adjustment",
    "lot_voided",
    "lot_activated",
    "lot_in_grace",
    "lot_expired",
    "hold_reserved",
    "hold_refused",
    "hold_captured",
    "hold_extended",
    "hold_settled",
    "hold_released",
    "hold_expired",
    "plan_assigned",
    "plan_scheduled",
    "plan_renewed",
    "rolled_over",
    "budget_set",
    "budget_removed",
    "notices_set",
    "refunded",
    "reversed",
    "lot_expiring",
    "shrunk",
    "beyond the lots",
    "of two lots",
    "captured above",
    "settled above",
    "settled at more",
    "charged above",
    "paid by an advance",
    "paid by an advance past the lots",
    "reversed into a live lot",
    "reversed into a lot in grace",
    "reversed into an expired lot",
    "reversed out of overage",
    "reversed out of repaid overage",
    "trial",
    "a plan repays",
    "upgrade within the period",
    "billed",
    "replaced at the renewal",
    "freed into an expired lot",
    "freed credits repay",
    "an advance past the lots goes back",
    "an advance past the lots was repaid",
    "an advance goes back",
    "an advance goes back into grace",
    "charged above",
    "paid by an advance",
];
