//! What becomes of each kind of input, record by record, without a log.
#![allow(clippy::unwrap_used)]

mod corrections;
mod credits;
mod desk;

use charger::{Folder, Halt};
use desk::{CARD_WITH_PAGES, Desk, event, nothing, version};
use domain::{Credits, Offset, Outcome, Partition, Topic, TopicPartition};
use flow::BrakeLimits;
use ledger::Body;
use wire::{DeadLetter, DocumentKind};

const NOON: &str = "2026-11-20T12:00:00Z";

#[test]
fn usage_is_priced_and_drawn_and_the_entry_tells_it_all() {
    let mut desk = Desk::new(1);
    desk.grant("g1", 100, None);
    desk.usage(&event("e1", NOON, 1_000_000));
    let (entries, seal) = desk.seal();
    let [grant, debit] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(grant.after.settled, Credits::from_units(100));
    let Body::Debit(body) = &debit.body else { panic!() };
    // 1,000,000 × 2 per million = 2 USD, × 1.5 × 1000.
    assert_eq!(body.credits, Credits::from_units(3_000));
    assert_eq!(body.draws[0].credits, Credits::from_units(100));
    assert_eq!(body.draws[0].revenue.to_string(), "10");
    assert_eq!(body.overage, Credits::from_units(2_900));
    assert_eq!(debit.after.settled, Credits::from_units(-2_900));
    assert_eq!(seal.counts.get(Outcome::Debit), 1);
    assert_eq!(seal.counts.get(Outcome::Applied), 1);
    assert_eq!(seal.credits, Credits::from_units(3_000));
    assert_eq!(seal.vendor_cost.to_string(), "2");
}

#[test]
fn the_same_event_again_is_a_duplicate_and_another_meaning_is_quarantined() {
    let mut desk = Desk::new(1);
    desk.usage(&event("e1", NOON, 10));
    desk.usage(&event("e1", NOON, 10));
    desk.usage(&event("e1", NOON, 11));
    let (entries, seal) = desk.seal();
    assert_eq!(entries.len(), 2);
    let Body::Quarantined(held) = &entries[1].body else { panic!() };
    assert_eq!(held.reason.code(), "identity_conflict");
    assert_eq!(held.conflicts_with, Some(entries[0].number));
    assert_eq!(held.record.as_ref(), event("e1", NOON, 11).as_bytes());
    assert_eq!(seal.counts.get(Outcome::Duplicate), 1);
    assert_eq!(seal.counts.get(Outcome::Quarantined), 1);
    // Also after the batch, and after a fold from the bytes.
    desk.usage(&event("e1", NOON, 10));
    let (entries, seal) = desk.seal();
    assert!(entries.is_empty());
    assert_eq!(seal.counts.get(Outcome::Duplicate), 1);
}

#[test]
fn events_far_off_in_time_are_held_and_backfill_is_let_through() {
    let mut desk = Desk::new(1);
    desk.usage(&event("early", "2026-11-20T12:05:01Z", 1));
    desk.usage(&event("edge", "2026-11-20T12:05:00Z", 1));
    desk.usage(&event("late", "2026-10-16T11:59:59Z", 1));
    desk.usage(&event("late-edge", "2026-10-16T12:00:00Z", 1));
    let backfill = event("old", "2026-01-01T00:00:00Z", 1)
        .replace(r#""feature""#, r#""backfill":true,"feature""#);
    desk.usage(&backfill);
    let (entries, _) = desk.seal();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.body.kind()).collect();
    assert_eq!(kinds, ["quarantined", "debit", "quarantined", "debit", "debit"]);
}

#[test]
fn what_cannot_be_read_is_kept_with_its_bytes_and_its_reason() {
    let mut desk = Desk::new(1);
    desk.put(Topic::UsageRaw, b"{\"broken").unwrap();
    desk.put(Topic::UsageRaw, &[0, 0, 0, 0, 1]).unwrap();
    let cost = event("e1", NOON, 1)
        .replace(r#""model":"m""#, r#""vendor_cost":{"amount":"1","currency":"EUR"},"model":"m""#);
    desk.usage(&cost);
    let (entries, seal) = desk.seal();
    assert!(entries.is_empty());
    assert_eq!(seal.counts.get(Outcome::DeadLetter), 3);
    let letters: Vec<DeadLetter<'_>> =
        desk.others.iter().map(|(_, bytes)| wire::decode_dead_letter(bytes).unwrap()).collect();
    let codes: Vec<&str> = letters.iter().map(|letter| letter.reason.code()).collect();
    assert_eq!(codes, ["invalid_json", "unsupported_framing", "bad_currency"]);
    assert_eq!(letters[0].record.as_ref(), b"{\"broken");
    assert_eq!(letters[2].field, "data.items[0].vendor_cost.currency");
}

#[test]
fn a_misrouted_event_is_sent_home_once() {
    // With 64 partitions, acct_1 does not live in partition 0.
    let mut desk = Desk::new(64);
    let home = domain::partition_of("acct_1", 64);
    assert_ne!(home, Partition(0));
    desk.usage(&event("e1", NOON, 1));
    desk.put(Topic::UsageForwarded, event("e1", NOON, 1).as_bytes()).unwrap();
    let (entries, seal) = desk.seal();
    assert!(entries.is_empty());
    assert_eq!(seal.counts.get(Outcome::Forwarded), 1);
    assert_eq!(seal.counts.get(Outcome::DeadLetter), 1);
    assert_eq!(desk.others[0].0, TopicPartition { topic: Topic::UsageForwarded, partition: home });
    assert_eq!(desk.others[0].1, event("e1", NOON, 1).as_bytes());
}

#[test]
fn unrated_usage_is_charged_once_its_price_is_published() {
    let mut desk = Desk::new(1);
    let pages = event("e1", NOON, 1).replace(
        r#"{"model":"m","tokens":{"input":1,"output":0}}"#,
        r#"{"meter":"pages","quantity":"3"}"#,
    );
    desk.usage(&pages);
    let (entries, _) = desk.seal();
    let Body::Unrated(unrated) = &entries[0].body else { panic!() };
    assert_eq!(unrated.reason.code(), "no_rule");
    desk.usage(&pages);
    desk.prices.fold(Offset(2), &version(DocumentKind::RateCard, CARD_WITH_PAGES)).unwrap();
    desk.core.adopt(&desk.prices);
    while desk.core.has_waiting_to_drain() {
        desk.core.drain_waiting(10, &desk.prices).unwrap();
    }
    let (entries, seal) = desk.seal();
    assert_eq!(seal.counts.get(Outcome::Duplicate), 1);
    let Body::Debit(debit) = &entries[0].body else { panic!() };
    assert_eq!(debit.credits, Credits::from_units(6));
    assert_eq!(debit.resolves.map(|entry| entry.0), Some(1));
    assert_eq!(desk.core.state().waiting_count(), 0);
}

#[test]
fn a_command_is_carried_out_once_and_answered_every_time() {
    let mut desk = Desk::new(1);
    desk.grant("g1", 5, None);
    desk.grant("g1", 5, None);
    desk.grant("g1", 6, None);
    let (entries, seal) = desk.seal();
    assert_eq!(entries.len(), 1);
    assert_eq!(seal.counts.get(Outcome::Applied), 1);
    assert_eq!(seal.counts.get(Outcome::Repeated), 1);
    assert_eq!(seal.counts.get(Outcome::Refused), 1);
    let words: Vec<&str> = desk
        .others
        .iter()
        .map(|(_, bytes)| match wire::decode_reply(bytes).unwrap().outcome {
            wire::ReplyOutcome::Applied { .. } => "applied",
            wire::ReplyOutcome::Repeated { .. } => "repeated",
            wire::ReplyOutcome::Refused { reason, .. } => reason.code(),
            wire::ReplyOutcome::BadCommand { .. } => "bad",
        })
        .collect();
    assert_eq!(words, ["applied", "repeated", "idempotency_conflict"]);
}

#[test]
fn a_lot_expires_with_time_but_never_before_usage_that_was_queued() {
    let mut desk = Desk::new(1);
    let expiry = desk.now.plus_micros(3_600_000_000);
    desk.grant("g1", 5, Some(expiry));
    desk.seal();
    // Two hours on, a command comes; usage from before the expiry may still be queued.
    let first = desk.now;
    desk.now = first.plus_micros(2 * 3_600_000_000);
    desk.grant("g2", 1, None);
    let (entries, _) = desk.seal();
    assert_eq!(entries.len(), 1);
    // Only when usage was seen empty does time move on.
    desk.drain();
    let (entries, _) = desk.seal();
    assert_eq!(entries[0].body.kind(), "lot_in_grace");
    assert_eq!(entries[0].after.in_grace, Credits::from_units(5));
}

#[test]
fn an_unbroken_run_of_dead_letters_stops_the_partition() {
    let limits = BrakeLimits { run_max: 3, ..BrakeLimits::default() };
    let mut desk = Desk::with_brake(1, limits);
    desk.put(Topic::UsageRaw, b"x").unwrap();
    desk.put(Topic::UsageRaw, b"x").unwrap();
    assert!(matches!(desk.put(Topic::UsageRaw, b"x"), Err(Halt::Brake { .. })));
    let (_, seal) = desk.seal();
    assert_eq!(seal.counts.get(Outcome::DeadLetter), 3);
}

#[test]
fn the_fold_of_the_bytes_is_the_live_state() {
    let mut desk = Desk::new(1);
    for round in 0..5 {
        desk.grant(&format!("g{round}"), 50, None);
        for index in 0..20 {
            desk.usage(&event(&format!("e{round}-{}", index % 15), NOON, index));
        }
        desk.put(Topic::UsageRaw, b"junk").unwrap();
        desk.seal();
    }
    let folder = tempfile::tempdir().unwrap();
    let mut fold = Folder::new(Partition(0), nothing(&folder));
    for (offset, bytes) in (0..).zip(&desk.ledger) {
        fold.record(Offset(offset), bytes).unwrap();
    }
    let folded = fold.finish().unwrap();
    assert!(folded.state == *desk.core.state());
    assert_eq!(folded.progress, *desk.core.progress());
    // A changed byte is noticed.
    let folder = tempfile::tempdir().unwrap();
    let mut fold = Folder::new(Partition(0), nothing(&folder));
    let mut ledger = desk.ledger.clone();
    let last = ledger[3].len() - 1;
    ledger[3][last] ^= 1;
    let broken =
        (0..).zip(&ledger).try_for_each(|(offset, bytes)| fold.record(Offset(offset), bytes));
    assert!(broken.is_err());
}
