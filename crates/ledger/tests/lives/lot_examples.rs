//! Lots, refunds and revenue by example.

use domain::{LotId, Money, Reason};
use ledger::{Body, CommandBody, LotState};

use crate::asks::{ACCT, credits, noon};
use crate::world::{DAY, HOUR, World};

fn refund(world: &mut World, lot: LotId, amount: &str, money: &str) -> Result<Money, Reason> {
    let money = money.parse().unwrap();
    let entry =
        world.command(ACCT, CommandBody::Refund { lot, credits: credits(amount), money })?;
    match entry.body {
        Body::Refunded(refunded) => Ok(refunded.revenue),
        other => panic!("{other:?}"),
    }
}

#[test]
fn credits_and_money_are_refunded_apart() {
    let mut world = noon();
    let lot = world.grant_with("100", "10", None);
    world.spend("40");
    assert_eq!(world.earned(lot), "4".parse().unwrap());
    // Thirty credits for one unit of money: the rest of what was paid stays to be earned.
    assert_eq!(refund(&mut world, lot, "30", "1"), Ok(Money::ZERO));
    assert_eq!(world.balance(ACCT), ["30", "0", "30"]);
    // No more than what is not earned yet goes back.
    assert_eq!(refund(&mut world, lot, "1", "5.1"), Err(Reason::BadTerms));
    assert_eq!(refund(&mut world, lot, "30.1", "0"), Err(Reason::BadTerms));
    // The last credits go, and what is not refunded is earned.
    assert_eq!(refund(&mut world, lot, "30", "2"), Ok("3".parse().unwrap()));
    assert_eq!(world.earned(lot), "7".parse().unwrap());
    assert_eq!(world.state.account(ACCT).lot(lot).unwrap().state, LotState::Closed);
    assert_eq!(refund(&mut world, lot, "1", "0"), Err(Reason::LotClosed));
}

#[test]
fn after_a_refund_of_money_draws_earn_what_is_left() {
    let mut world = noon();
    let lot = world.grant_with("100", "10", None);
    world.spend("50");
    refund(&mut world, lot, "10", "5").unwrap();
    world.spend("40");
    assert_eq!(world.earned(lot), "5".parse().unwrap());
}

#[test]
fn held_credits_are_not_refunded_or_voided() {
    let mut world = noon();
    let lot = world.grant_with("10", "10", None);
    let hold = world.reserve("8");
    assert_eq!(refund(&mut world, lot, "3", "0"), Err(Reason::BadTerms));
    // All the money may go; the held credits earn none then.
    assert_eq!(refund(&mut world, lot, "2", "10"), Ok(Money::ZERO));
    assert_eq!(refund(&mut world, lot, "1", "0"), Err(Reason::LotHeld));
    assert_eq!(world.command(ACCT, CommandBody::Void { lot, credits: None }), Err(Reason::LotHeld));
    let debit = world.event(hold, "8");
    assert_eq!(debit.draws[0].revenue, Money::ZERO);
    assert_eq!(world.state.account(ACCT).lot(lot).unwrap().state, LotState::Closed);
}

#[test]
fn expiry_is_told_a_week_ahead_and_earns_the_rest() {
    let mut world = noon();
    let lot = world.grant_with("3", "10", Some(10 * DAY));
    world.spend("1");
    world.pass(3 * DAY - HOUR);
    assert!(world.heard("lot.expiring").is_empty());
    world.pass(HOUR);
    world.restart();
    assert_eq!(world.heard("lot.expiring").len(), 1);
    world.pass(9 * DAY);
    assert_eq!(world.heard("lot.expiring").len(), 1);
    let Body::LotExpired(expired) = &world.last().body else { panic!() };
    assert_eq!(expired.credits, credits("2"));
    assert_eq!(world.earned(lot), "10".parse().unwrap());
}
