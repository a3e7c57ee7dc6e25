//! Holds, plans and what is told of them, from record to record.

use std::borrow::Cow;

use charger::Folder;
use domain::{Credits, Offset, Outcome, Partition, Text, Topic};
use ledger::{Body, CommandBody, HoldId, HoldName, Reserve, Scope, Want, When};
use wire::{DocumentKind, ReplyOutcome};

use crate::desk::{Desk, event, nothing, version};

const NOON: &str = "2026-11-20T12:00:00Z";
const PLAN: &str = r#"
id = "pro"
effective_from = "2023-01-01T00:00:00Z"
rate_card = "card"
price = { amount = "49", currency = "USD" }
allowance = { credits = "100", period = "month", anchor = "calendar", timezone = "UTC" }
on_exhausted = "overage"
overage = { max_credits = "50", price_per_1000_credits = "3.00" }
low_balance = "40"
"#;
const DEFAULTS: &str = r#"
id = "defaults"
effective_from = "2023-01-01T00:00:00Z"
default_rate_card = "card"
price_books = ["vendors"]
default_plan = "pro"
"#;

fn units(credits: i64) -> Credits {
    Credits::from_units(credits)
}

fn reserve(credits: i64) -> CommandBody<'static> {
    CommandBody::Reserve(Box::new(Reserve {
        want: Want::Credits(units(credits)),
        scope: Scope { feature: Some(Text::Borrowed("chat")), ..Scope::default() },
        expires_in_micros: 60_000_000,
        shrink: false,
    }))
}

/// Costs a credit for every 1,000 / 3 tokens: 2 per million, × 1.5 × 1,000.
fn call(id: &str, tokens: u32, hold: HoldId) -> String {
    let name = HoldName { partition: Partition(0), hold };
    event(id, NOON, tokens).replace(r#""feature""#, &format!(r#""hold":"{name}","feature""#))
}

fn replies(desk: &Desk) -> Vec<ReplyOutcome<'_>> {
    desk.others
        .iter()
        .filter(|(to, _)| to.topic == Topic::Replies)
        .map(|(_, bytes)| wire::decode_reply(bytes).unwrap().outcome)
        .collect()
}

fn told(desk: &Desk) -> Vec<String> {
    desk.others
        .iter()
        .filter(|(to, _)| to.topic == Topic::AccountEvents)
        .map(|(_, bytes)| {
            let event = wire::decode_account_event(bytes).unwrap();
            format!("{} {}", event.number, event.what.kind())
        })
        .collect()
}

#[test]
fn of_two_holds_that_do_not_both_fit_the_second_is_refused_and_stays_refused() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.command("acct_1", "h1", reserve(70));
    desk.command("acct_1", "h2", reserve(70));
    desk.command("acct_1", "h2", reserve(70));
    desk.command("acct_1", "h1", reserve(70));
    let (entries, seal) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["grant", "hold_reserved", "hold_refused"]);
    assert_eq!(entries[1].after.available(), units(30));
    let Body::HoldRefused(refused) = &entries[2].body else { panic!() };
    assert_eq!((refused.shortfall, refused.available), (units(40), units(30)));
    assert_eq!(seal.counts.get(Outcome::Applied), 2);
    assert_eq!(seal.counts.get(Outcome::Refused), 1);
    assert_eq!(seal.counts.get(Outcome::Repeated), 2);
    let replies = replies(&desk);
    let ReplyOutcome::Applied { entry, .. } = &replies[1] else { panic!() };
    let ReplyOutcome::Applied { entry: refusal, .. } = &replies[2] else { panic!() };
    let repeated: Vec<_> = replies[3..]
        .iter()
        .map(|outcome| match outcome {
            ReplyOutcome::Repeated { entry, .. } => *entry,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(repeated, [*refusal, *entry]);
}

#[test]
fn a_hold_is_settled_by_its_event_and_the_rest_is_released() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.command("acct_1", "h", reserve(70));
    let (entries, _) = desk.seal();
    let hold = HoldId(entries[1].number);
    desk.usage(&call("e", 10_000, hold));
    let (entries, _) = desk.seal();
    let Body::Debit(debit) = &entries[0].body else { panic!() };
    assert_eq!(debit.credits, units(30));
    let used = debit.hold.as_deref().unwrap();
    assert_eq!(used.freed.as_ref().unwrap().credits, units(40));
    assert!(used.above.is_zero());
    assert_eq!((entries[0].after.held, entries[0].after.available()), (units(0), units(70)));
    assert!(desk.core.state().account("acct_1").holds().is_empty());
    // A further event of a hold that has ended is charged like any other.
    desk.usage(&call("e2", 1_000, hold));
    let (entries, _) = desk.seal();
    let Body::Debit(debit) = &entries[0].body else { panic!() };
    assert!(debit.hold.is_none());
    assert_eq!(entries[0].after.available(), units(67));
}

#[test]
fn an_expired_hold_charges_what_was_captured_and_a_later_event_only_the_difference() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.command("acct_1", "h", reserve(70));
    let (entries, _) = desk.seal();
    let hold = HoldId(entries[1].number);
    desk.command("", "c", CommandBody::Capture { hold, credits: units(20) });
    desk.now = desk.now.plus_micros(61_000_000);
    desk.drain();
    let (entries, _) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["hold_captured", "hold_expired"]);
    assert_eq!(entries[0].account, "acct_1");
    assert_eq!(entries[1].after.available(), units(80));
    assert_eq!(told(&desk), ["1 hold.expired"]);
    desk.usage(&call("e", 10_000, hold));
    let (entries, _) = desk.seal();
    assert_eq!(entries[0].after.available(), units(70));
    let Body::Debit(debit) = &entries[0].body else { panic!() };
    assert_eq!(debit.draws.iter().map(|draw| draw.credits).sum::<Credits>(), units(10));
    assert!(desk.core.state().account("acct_1").holds().is_empty());
}

#[test]
fn a_hold_of_another_account_is_one_that_does_not_exist() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.command("acct_1", "h", reserve(70));
    let (entries, _) = desk.seal();
    let hold = HoldId(entries[1].number);
    desk.command("acct_2", "x", CommandBody::Release { hold });
    desk.command("", "y", CommandBody::Release { hold: HoldId(domain::EntryNumber(1)) });
    let (entries, seal) = desk.seal();
    assert!(entries.is_empty(), "{entries:?}");
    assert_eq!(seal.counts.get(Outcome::Refused), 2);
}

#[test]
fn a_request_to_a_hold_is_answered_the_same_after_the_holds_end() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.command("acct_1", "h", reserve(70));
    let (entries, _) = desk.seal();
    let hold = HoldId(entries[1].number);
    let settle = |credits| CommandBody::Settle { hold, credits: Some(units(credits)) };
    desk.command("", "s", settle(9));
    desk.usage(&call("e", 3_000, hold));
    desk.command("", "s", settle(9));
    desk.command("", "s", settle(8));
    desk.command("", "other", settle(9));
    let (entries, seal) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["hold_settled", "debit"]);
    // The event comes after: it books only the difference.
    assert_eq!(entries[0].after.available(), units(91));
    assert_eq!(entries[1].after.available(), units(91));
    assert_eq!(seal.counts.get(Outcome::Repeated), 1);
    assert_eq!(seal.counts.get(Outcome::Refused), 2);
    let reasons: Vec<&str> = replies(&desk)
        .iter()
        .filter_map(|outcome| match outcome {
            ReplyOutcome::Refused { reason, .. } => Some(reason.code()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["idempotency_conflict", "unknown_hold"]);
}

#[test]
fn a_command_that_waited_past_its_deadline_is_refused_however_old_its_record() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.seal();
    let deadline = desk.now.plus_micros(15_000_000);
    desk.core.tell_time(deadline.plus_micros(1));
    desk.command_until("h", reserve(10), deadline);
    let (entries, seal) = desk.seal();
    assert!(entries.is_empty(), "{entries:?}");
    assert_eq!(seal.counts.get(Outcome::Refused), 1);
    // Nothing was remembered: the same request in time is granted.
    desk.core.tell_time(deadline);
    desk.command_until("h", reserve(10), deadline);
    let (entries, _) = desk.seal();
    assert_eq!(entries[0].body.kind(), "hold_reserved");
}

#[test]
fn a_hold_of_usage_is_priced_as_its_event_will_be() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    let usage = event("estimate", NOON, 10_000);
    let want = Want::Usage(Cow::Borrowed(usage.as_bytes()));
    let body = CommandBody::Reserve(Box::new(Reserve {
        want,
        scope: Scope::default(),
        expires_in_micros: 60_000_000,
        shrink: false,
    }));
    desk.command("acct_1", "h", body);
    let (entries, _) = desk.seal();
    assert_eq!(entries[1].after.held, units(30));
}

#[test]
fn a_hold_of_what_costs_nothing_is_granted_below_zero_too() {
    let mut desk = Desk::new(1);
    desk.usage(&event("spent", NOON, 1_000));
    let usage = event("estimate", NOON, 0);
    let body = CommandBody::Reserve(Box::new(Reserve {
        want: Want::Usage(Cow::Borrowed(usage.as_bytes())),
        scope: Scope::default(),
        expires_in_micros: 60_000_000,
        shrink: false,
    }));
    desk.command("acct_1", "h", body);
    let (entries, _) = desk.seal();
    assert!(entries[0].after.available().is_negative());
    assert_eq!(entries[1].body.kind(), "hold_reserved");
}

#[test]
fn an_unknown_account_gets_the_default_plan_with_its_first_input() {
    let mut desk = Desk::new(1);
    desk.prices.fold(Offset(2), &version(DocumentKind::Plan, PLAN)).unwrap();
    desk.prices.fold(Offset(3), &version(DocumentKind::Defaults, DEFAULTS)).unwrap();
    desk.core.adopt(&desk.prices);
    desk.usage(&event("e", NOON, 25_000));
    let (entries, seal) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["plan_assigned", "debit"]);
    let Body::Debit(debit) = &entries[1].body else { panic!() };
    assert_eq!(debit.plan.as_deref(), Some("pro"));
    assert_eq!(entries[1].after.available(), units(25));
    assert_eq!(seal.counts.get(Outcome::Debit), 1);
    assert_eq!(told(&desk), ["1 balance.low"]);
    // 50 of overage are allowed: 75 may be held, and not a credit more.
    desk.command("acct_1", "h1", reserve(76));
    desk.command("acct_1", "h2", reserve(75));
    let (entries, _) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["hold_refused", "hold_reserved"]);
    let Body::HoldRefused(refused) = &entries[0].body else { panic!() };
    assert_eq!(refused.resets_at.unwrap().to_string(), "2026-12-01T00:00:00Z");
}

#[test]
fn a_plan_renews_when_its_period_ends_and_usage_is_priced_under_the_plan_of_its_time() {
    let mut desk = Desk::new(1);
    desk.prices.fold(Offset(2), &version(DocumentKind::Plan, PLAN)).unwrap();
    desk.core.adopt(&desk.prices);
    let plan = |plan: &'static str| CommandBody::AssignPlan {
        plan: Text::Borrowed(plan),
        when: When::Fitting,
    };
    desk.command("acct_1", "p0", plan("none"));
    desk.command("acct_1", "p1", plan("pro"));
    desk.command("acct_1", "p2", plan("pro"));
    desk.usage(&event("before", "2026-11-20T11:59:59Z", 1_000));
    let (entries, seal) = desk.seal();
    assert_eq!(seal.counts.get(Outcome::Refused), 2);
    let Body::Debit(debit) = &entries[1].body else { panic!() };
    assert_eq!(debit.plan, None);
    desk.now = "2026-12-01T00:00:01Z".parse().unwrap();
    desk.drain();
    let (entries, _) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["lot_expiring", "plan_renewed", "lot_in_grace"]);
    assert_eq!(entries[2].after.available(), units(100));
    assert_eq!(told(&desk), ["1 lot.expiring", "2 allowance.renewed"]);
}

#[test]
fn a_charge_is_reversed_once() {
    let mut desk = Desk::new(1);
    desk.grant("g", 100, None);
    desk.usage(&event("e", NOON, 10_000));
    let (entries, _) = desk.seal();
    let number = entries[1].number;
    let record = desk.ledger[desk.ledger.len() - 2].clone();
    let reverse = || CommandBody::Reverse { entry: number, record: Cow::Owned(record.clone()) };
    desk.command("acct_1", "r1", reverse());
    desk.command("acct_1", "r2", reverse());
    desk.command("acct_2", "r3", reverse());
    let (entries, seal) = desk.seal();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].after.available(), units(100));
    assert_eq!(seal.counts.get(Outcome::Repeated), 1);
    assert_eq!(seal.counts.get(Outcome::Refused), 1);
}

#[test]
fn the_fold_of_the_bytes_is_the_live_state_with_holds_and_plans_too() {
    let mut desk = Desk::new(1);
    desk.prices.fold(Offset(2), &version(DocumentKind::Plan, PLAN)).unwrap();
    desk.prices.fold(Offset(3), &version(DocumentKind::Defaults, DEFAULTS)).unwrap();
    desk.core.adopt(&desk.prices);
    for round in 0..20_u32 {
        desk.command("acct_1", &format!("h{round}"), reserve(9));
        let (entries, _) = desk.seal();
        let hold = HoldId(entries.last().unwrap().number);
        if round % 3 == 0 {
            let credits = units(4);
            desk.command("", &format!("c{round}"), CommandBody::Capture { hold, credits });
        }
        if round % 2 == 0 {
            desk.usage(&call(&format!("e{round}"), round * 300, hold));
        }
        desk.now = desk.now.plus_micros(40_000_000);
        desk.drain();
        if desk.core.is_dirty() {
            desk.seal();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let mut fold = Folder::new(Partition(0), nothing(&folder));
    for (offset, bytes) in (0..).zip(&desk.ledger) {
        fold.record(Offset(offset), bytes).unwrap();
    }
    assert!(fold.finish().unwrap().state == *desk.core.state());
}
