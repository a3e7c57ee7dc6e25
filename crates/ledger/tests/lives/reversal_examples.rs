//! Taking a charge back, into whatever its lots have become.

use std::borrow::Cow;

use domain::{Money, Reason};
use ledger::{Category, CommandBody, LotState, ReturnTo};

use crate::asks::{ACCT, credits, noon};
use crate::world::{DAY, HOUR};

#[test]
fn into_a_live_lot_with_its_revenue() {
    let mut world = noon();
    let lot = world.grant_with("3", "10", Some(30 * DAY));
    let charge = world.spend("1");
    assert_eq!(world.earned(lot).to_string(), "3.333333333333");
    let reversed = world.reverse_entry(charge);
    assert_eq!((reversed.returns[0].to, reversed.reverses), (ReturnTo::Live, charge));
    assert_eq!(world.earned(lot), Money::ZERO);
    assert_eq!(world.balance(ACCT), ["3", "0", "3"]);
}

#[test]
fn into_a_lot_that_was_used_up() {
    let mut world = noon();
    let lot = world.grant_with("3", "10", Some(30 * DAY));
    let charge = world.spend("3");
    assert_eq!(world.state.account(ACCT).lot(lot).unwrap().state, LotState::Closed);
    world.reverse_entry(charge);
    assert_eq!(world.state.account(ACCT).lot(lot).unwrap().state, LotState::Live);
    assert_eq!(world.balance(ACCT), ["3", "0", "3"]);
    // It expires when it always did.
    world.pass(31 * DAY);
    assert_eq!(world.last().body.kind(), "lot_expired");
    assert_eq!(world.earned(lot), "10".parse().unwrap());
}

#[test]
fn into_a_lot_in_its_grace() {
    for used_up in [false, true] {
        let mut world = noon();
        let lot = world.grant_with("3", "10", Some(HOUR));
        let charge = world.spend(if used_up { "3" } else { "1" });
        world.pass(2 * HOUR);
        assert_eq!(world.reverse_entry(charge).returns[0].to, ReturnTo::InGrace);
        assert_eq!(world.earned(lot), Money::ZERO);
        let balance = world.state.account(ACCT).balance();
        assert_eq!((balance.in_grace, balance.available()), (credits("3"), credits("0")));
        world.pass(DAY);
        assert_eq!(world.earned(lot), "10".parse().unwrap());
        assert_eq!(world.balance(ACCT), ["0", "0", "0"]);
    }
}

#[test]
fn into_an_expired_lot_where_it_is_forfeited_and_stays_earned() {
    let mut world = noon();
    let lot = world.grant_with("3", "10", Some(HOUR));
    let charge = world.spend("1");
    world.pass(2 * DAY);
    assert_eq!(world.earned(lot), "10".parse().unwrap());
    assert_eq!(world.reverse_entry(charge).returns[0].to, ReturnTo::Expired);
    assert_eq!(world.earned(lot), "10".parse().unwrap());
    let lot = world.state.account(ACCT).lot(lot).unwrap();
    assert_eq!((lot.drawn, lot.expired), (credits("0"), credits("3")));
    assert_eq!(world.balance(ACCT), ["0", "0", "0"]);
}

#[test]
fn into_outstanding_overage() {
    let mut world = noon();
    let charge = world.spend("5");
    assert_eq!(world.balance(ACCT), ["-5", "0", "-5"]);
    let reversed = world.reverse_entry(charge);
    assert_eq!((reversed.overage, reversed.lot), (credits("5"), credits("0")));
    assert_eq!(world.balance(ACCT), ["0", "0", "0"]);
}

#[test]
fn into_a_lot_of_its_own_when_its_overage_was_repaid() {
    let mut world = noon();
    let charge = world.spend("5");
    world.grant("3");
    let reversed = world.reverse_entry(charge);
    assert_eq!((reversed.overage, reversed.lot), (credits("2"), credits("3")));
    assert_eq!(world.balance(ACCT), ["3", "0", "3"]);
    let lot = &world.state.account(ACCT).lots[0];
    assert_eq!(
        (lot.category, lot.expires, lot.remaining()),
        (Category::Promotional, None, credits("3"))
    );
}

#[test]
fn of_an_event_that_an_advance_paid() {
    let mut world = noon();
    let lot = world.grant_with("10", "10", None);
    let hold = world.reserve("8");
    world.capture(hold, "5");
    world.event(hold, "6");
    let charge = world.last().number;
    assert_eq!(world.earned(lot), "6".parse().unwrap());
    world.reverse_entry(charge);
    assert_eq!(world.earned(lot), Money::ZERO);
    assert_eq!(world.balance(ACCT), ["10", "0", "10"]);
}

#[test]
fn only_charges_are_reversed() {
    let mut world = noon();
    world.grant("3");
    let entry = world.last().number;
    let body = CommandBody::Reverse { entry, record: Cow::Borrowed(&[]) };
    assert_eq!(world.command(ACCT, body), Err(Reason::NotACharge));
}
