//! Charges priced anew, and charges that their producer corrects.

use domain::{EntryNumber, Money};
use ledger::{Body, Corrected, Entry, ReturnTo};

use crate::asks::{ACCT, credits, noon};
use crate::world::{DAY, HOUR, Usage, World};

fn entry(world: &World, number: EntryNumber) -> Entry<'static> {
    world.entries.iter().find(|entry| entry.number == number).unwrap().clone()
}

fn corrected(entry: Entry<'static>) -> Corrected<'static> {
    match entry.body {
        Body::Corrected(corrected) => *corrected,
        other => panic!("{other:?}"),
    }
}

#[test]
fn at_a_lower_price_only_the_difference_goes_back() {
    let mut world = noon();
    let lot = world.grant_with("9", "9", Some(30 * DAY));
    let charge = world.spend("6");
    let first = entry(&world, charge);
    let once = world.rerate(&first, credits("4"));
    assert_eq!(world.balance(ACCT), ["5", "0", "5"]);
    assert_eq!(world.earned(lot).to_string(), "4");
    let body = corrected(once.clone());
    assert_eq!((body.corrects, body.charge), (charge, charge));
    assert_eq!((body.change(), body.returns.len()), (credits("-2"), 1));
    assert_eq!(body.now.unwrap().draws[0].credits, credits("4"));

    // And again: the second stands on the first.
    let twice = corrected(world.rerate(&once, credits("7")));
    assert_eq!((twice.corrects, twice.charge), (once.number, charge));
    assert_eq!(twice.change(), credits("3"));
    assert_eq!(world.balance(ACCT), ["2", "0", "2"]);
    // A re-rate back is a re-rate.
    let last = world.last().clone();
    world.rerate(&last, credits("6"));
    assert_eq!(world.balance(ACCT), ["3", "0", "3"]);
    assert_eq!(world.earned(lot).to_string(), "6");
    // What is taken back is what stands.
    let last = world.last().number;
    let reversed = world.reverse_entry(last);
    assert_eq!(reversed.debit.credits, credits("6"));
    assert_eq!(world.balance(ACCT), ["9", "0", "9"]);
    assert_eq!(world.earned(lot), Money::ZERO);
}

#[test]
fn at_a_higher_price_it_goes_past_the_lots_and_back() {
    let mut world = noon();
    world.grant_with("5", "5", None);
    let charge = world.spend("4");
    let original = entry(&world, charge);
    let more = world.rerate(&original, credits("7"));
    assert_eq!(corrected(more.clone()).overage, credits("2"));
    assert_eq!(world.balance(ACCT), ["-2", "0", "-2"]);
    // Overage goes first.
    let less = corrected(world.rerate(&more, credits("4")));
    assert_eq!((less.forgiven, less.returns[0].credits), (credits("2"), credits("1")));
    assert_eq!(world.balance(ACCT), ["1", "0", "1"]);
}

#[test]
fn into_a_lot_that_has_expired_it_is_forfeited() {
    let mut world = noon();
    world.grant_with("5", "5", Some(HOUR));
    let charge = world.spend("5");
    world.pass(3 * DAY);
    let original = entry(&world, charge);
    let body = corrected(world.rerate(&original, credits("1")));
    assert_eq!(body.returns[0].to, ReturnTo::Expired);
    assert_eq!(world.balance(ACCT), ["0", "0", "0"]);
}

#[test]
fn a_producer_takes_a_charge_back_or_puts_another_in_its_place() {
    let mut world = noon();
    world.grant_with("9", "9", None);
    let charge = world.spend("6");
    let original = entry(&world, charge);
    let time = world.now;
    let usage =
        Usage { account: ACCT, feature: "search", credits: credits("2"), time, ..Usage::default() };
    let replaced = world.correct(&original, Some(usage));
    assert_eq!(world.balance(ACCT), ["7", "0", "7"]);
    assert_eq!(replaced.standing_charge().unwrap().event.feature, "search");
    let keys: Vec<_> = replaced.remember().iter().map(|remember| remember.entry).collect();
    assert_eq!(keys, [replaced.number, replaced.number], "its own identity, and the charge's");
    let back = world.correct(&replaced, None);
    assert!(back.standing_charge().is_none());
    assert_eq!(world.balance(ACCT), ["9", "0", "9"]);
}
