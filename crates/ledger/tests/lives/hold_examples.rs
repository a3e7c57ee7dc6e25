//! Holds by example.

use domain::Reason;
use ledger::{CommandBody, Limit, LotState, Reserve};

use crate::asks::{ACCT, asking_for, credits, noon};
use crate::world::{DAY, HOUR, MINUTE};

#[test]
fn a_hold_sets_credits_aside() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("12.5");
    assert_eq!(world.balance(ACCT), ["100", "12.5", "87.5"]);
    let hold = world.state.account(ACCT).hold(hold).unwrap();
    assert_eq!(hold.expires_at.to_string(), "2026-11-20T12:01:00Z");
}

#[test]
fn a_hold_of_more_than_there_is_is_refused_with_what_is_missing() {
    let mut world = noon();
    world.grant("10");
    let refused = world.reserve_as(asking_for("12.5")).unwrap_err();
    assert_eq!(refused.limit, Limit::Balance);
    assert_eq!((refused.shortfall, refused.available), (credits("2.5"), credits("10")));
    assert_eq!(world.balance(ACCT), ["10", "0", "10"]);
}

#[test]
fn of_two_parallel_holds_one_is_refused() {
    let mut world = noon();
    world.grant("10");
    world.reserve("6");
    let refused = world.reserve_as(asking_for("6")).unwrap_err();
    assert_eq!((refused.shortfall, refused.available), (credits("2"), credits("4")));
    // What is left is exactly enough for this one.
    world.reserve("4");
    assert_eq!(world.balance(ACCT), ["10", "10", "0"]);
}

#[test]
fn a_hold_may_shrink_to_what_there_is_and_not_to_nothing() {
    let mut world = noon();
    world.grant("10");
    let shrinking = || Reserve { shrink: true, ..asking_for("12.5") };
    let hold = world.reserve_as(shrinking()).unwrap();
    assert_eq!(world.state.account(ACCT).hold(hold).unwrap().amount, credits("10"));
    let refused = world.reserve_as(shrinking()).unwrap_err();
    assert_eq!((refused.shortfall, refused.available), (credits("12.5"), credits("0")));
}

#[test]
fn the_event_settles_its_hold_and_the_rest_goes_back() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("12.5");
    let debit = world.event(hold, "9");
    let used = debit.hold.unwrap();
    assert_eq!(used.freed.unwrap().credits, credits("3.5"));
    assert_eq!(used.above, credits("0"));
    assert_eq!(world.balance(ACCT), ["91", "0", "91"]);
    assert!(world.state.account(ACCT).hold(hold).is_none());
}

#[test]
fn usage_above_its_hold_is_booked_and_flagged() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("5");
    let debit = world.event(hold, "8");
    assert_eq!(debit.hold.unwrap().above, credits("3"));
    assert_eq!(world.balance(ACCT), ["92", "0", "92"]);
}

#[test]
fn what_was_captured_ahead_pays_for_the_events_and_the_rest_goes_back() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("10");
    world.capture(hold, "6");
    assert_eq!(world.balance(ACCT), ["94", "4", "90"]);
    // The first event is paid by the advance alone.
    let first = world.event_on_the_way(hold, "1");
    assert!(first.draws.is_empty());
    assert_eq!(world.balance(ACCT), ["94", "4", "90"]);
    let last = world.event(hold, "2");
    assert!(last.draws.is_empty());
    assert_eq!(last.hold.unwrap().freed.unwrap().given_back(), credits("3"));
    assert_eq!(world.balance(ACCT), ["97", "0", "97"]);
}

#[test]
fn a_call_settles_first_and_the_event_books_the_difference() {
    for (total, event, after) in
        [("9", "7", "93"), ("9", "9", "91"), ("9", "11", "89"), ("12", "3", "97")]
    {
        let mut world = noon();
        world.grant("100");
        let hold = world.reserve("10");
        let ended = world.settle(hold, Some(total));
        assert_eq!(ended.after.captured, credits(total));
        let settled = (credits("100") - credits(total)).to_string();
        assert_eq!(world.balance(ACCT), [settled.clone(), "0".into(), settled]);
        world.event(hold, event);
        assert_eq!(world.balance(ACCT), [after, "0", after], "settled at {total}, rated {event}");
    }
}

#[test]
fn a_call_may_settle_at_less_than_was_captured_but_not_below_what_was_rated() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("10");
    world.capture(hold, "8");
    world.event_on_the_way(hold, "5");
    let ended = world.settle(hold, Some("1"));
    assert_eq!(ended.after.captured, credits("5"));
    assert_eq!(world.balance(ACCT), ["95", "0", "95"]);
}

#[test]
fn a_call_without_a_total_leaves_what_was_captured() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("10");
    world.capture(hold, "3");
    world.settle(hold, None);
    assert_eq!(world.balance(ACCT), ["97", "0", "97"]);
    // It waits for its event.
    world.event(hold, "2");
    assert_eq!(world.balance(ACCT), ["98", "0", "98"]);
}

#[test]
fn an_expired_hold_charges_what_was_captured_and_a_late_event_the_difference() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("10");
    world.capture(hold, "4");
    world.pass(MINUTE);
    assert_eq!(world.last().body.kind(), "hold_expired");
    assert_eq!(world.balance(ACCT), ["96", "0", "96"]);
    assert_eq!(world.heard("hold.expired").len(), 1);
    world.pass(2 * DAY);
    let debit = world.event(hold, "7");
    assert_eq!(debit.draws.iter().map(|draw| draw.credits).sum::<domain::Credits>(), credits("3"));
    // What it had reserved was given up: the difference is above it.
    assert_eq!(debit.hold.unwrap().above, credits("3"));
    assert_eq!(world.balance(ACCT), ["93", "0", "93"]);
    // After its last event the hold is not known any more: usage is charged all the same.
    assert!(world.event(hold, "1").hold.is_none());
    assert_eq!(world.balance(ACCT), ["92", "0", "92"]);
}

#[test]
fn an_advance_is_forgotten_in_35_days() {
    let mut world = noon();
    world.grant("100");
    let hold = world.reserve("10");
    world.capture(hold, "4");
    world.pass(MINUTE);
    world.pass(35 * DAY);
    assert!(world.state.account(ACCT).hold(hold).is_some());
    // The next hold that ends sweeps.
    world.reserve("1");
    world.pass(MINUTE);
    assert!(world.state.account(ACCT).hold(hold).is_none());
    assert_eq!(world.state.holder(hold), None);
    assert_eq!(world.balance(ACCT), ["96", "0", "96"]);
    world.check_fold();
}

#[test]
fn an_extended_hold_expires_later() {
    let mut world = noon();
    world.grant("10");
    let hold = world.reserve("10");
    world.pass(MINUTE / 2);
    world.command(ACCT, CommandBody::Extend { hold, expires_in_micros: HOUR }).unwrap();
    world.pass(59 * MINUTE);
    assert!(world.state.account(ACCT).hold(hold).unwrap().is_open());
    world.pass(MINUTE);
    assert!(world.state.account(ACCT).hold(hold).is_none());
    let again = CommandBody::Extend { hold, expires_in_micros: HOUR };
    assert_eq!(world.command(ACCT, again), Err(Reason::UnknownHold));
}

#[test]
fn a_released_hold_gives_everything_back() {
    let mut world = noon();
    world.grant("10");
    let hold = world.reserve("10");
    world.command(ACCT, CommandBody::Release { hold }).unwrap();
    assert_eq!(world.balance(ACCT), ["10", "0", "10"]);
    assert_eq!(world.command(ACCT, CommandBody::Release { hold }), Err(Reason::UnknownHold));
}

#[test]
fn held_credits_outlive_the_expiry_of_their_lot() {
    let mut world = noon();
    let lot = world.grant_with("10", "5", Some(HOUR));
    let hold = world.reserve_as(Reserve { expires_in_micros: 3 * DAY, ..asking_for("4") }).unwrap();
    world.pass(2 * DAY);
    // The free part is gone after its grace; the held part is still there for its hold.
    assert_eq!(world.state.account(ACCT).lot(lot).unwrap().state, LotState::Lapsed);
    assert_eq!(world.balance(ACCT), ["4", "4", "0"]);
    let debit = world.event(hold, "3");
    assert_eq!(debit.draws[0].lot, lot);
    assert_eq!(debit.overage, credits("0"));
    // What the hold did not need has expired.
    assert_eq!(debit.hold.unwrap().freed.unwrap().lost[0].credits, credits("1"));
    assert_eq!(world.balance(ACCT), ["0", "0", "0"]);
    assert_eq!(world.earned(lot), "5".parse().unwrap());
}

#[test]
fn a_lot_in_grace_takes_back_what_was_held() {
    let mut world = noon();
    let lot = world.grant_with("10", "5", Some(HOUR));
    let hold =
        world.reserve_as(Reserve { expires_in_micros: 2 * HOUR, ..asking_for("4") }).unwrap();
    world.pass(2 * HOUR);
    assert!(world.state.account(ACCT).hold(hold).is_none());
    let balance = world.state.account(ACCT).balance();
    assert_eq!((balance.in_grace, balance.available()), (credits("10"), credits("0")));
    world.pass(DAY);
    assert_eq!(world.left(lot), "0");
}

#[test]
fn credits_that_come_back_repay_overage() {
    let mut world = noon();
    let lot = world.grant_with("10", "10", None);
    let hold = world.reserve("10");
    world.capture(hold, "10");
    // The lot is used up; this is overage.
    world.spend("3");
    assert_eq!(world.state.account(ACCT).overage, credits("3"));
    world.event(hold, "6");
    // Of the 4 that come back 3 repay it.
    let account = world.state.account(ACCT);
    assert_eq!((account.overage, account.balance().settled), (credits("0"), credits("1")));
    assert_eq!(world.left(lot), "1");
}
