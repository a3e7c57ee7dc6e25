//! Events that correct others, charges priced anew, and records that a person lets in.

use charger::Folder;
use domain::{Credits, Outcome, Partition, Reason, Topic};
use ledger::{Body, Cause, CommandBody, Corrector, Entry, ExceptionKind, Rerate, Seal};
use wire::DocumentKind;

use crate::NOON;
use crate::desk::{CARD_WITH_PAGES, Desk, event, nothing, version};

fn correcting(id: &str, corrects: &str, tokens: u32) -> String {
    let items = if tokens == 0 { r#""items":[]"#.to_owned() } else { String::new() };
    let event = event(id, NOON, tokens);
    let corrects = format!(r#""corrects":"{corrects}","feature""#);
    let event = event.replace(r#""feature""#, &corrects);
    if items.is_empty() {
        return event;
    }
    let (before, _) = event.split_once(r#""items""#).unwrap();
    format!("{before}{items}}}}}")
}

fn kinds(entries: &[Entry<'_>]) -> Vec<&'static str> {
    entries.iter().map(|entry| entry.body.kind()).collect()
}

/// A desk with 10,000 credits and a charge of 3.
fn charged() -> (Desk, Entry<'static>) {
    let mut desk = Desk::new(1);
    desk.grant("g1", 10_000, None);
    desk.usage(&event("e1", NOON, 1_000));
    let (mut entries, _) = desk.seal();
    (desk, entries.remove(1))
}

/// State and identities are those of a fold of the ledger.
fn is_its_fold(desk: &Desk) {
    let folder = tempfile::tempdir().unwrap();
    let mut fold = Folder::new(Partition(0), nothing(&folder));
    for (offset, bytes) in (0..).zip(&desk.ledger) {
        fold.record(domain::Offset(offset), bytes).unwrap();
    }
    assert!(fold.folded().state == *desk.core.state());
}

fn refusals(seal: &Seal) -> Vec<Reason> {
    let reason = |kind| match kind {
        ExceptionKind::Refused { reason } => Some(reason),
        _ => None,
    };
    seal.exceptions.iter().filter_map(|exception| reason(exception.kind)).collect()
}

#[test]
fn an_event_takes_the_place_of_another_and_then_of_that_one() {
    let (mut desk, debit) = charged();
    desk.usage(&correcting("e2", "e1", 2_000));
    let (entries, seal) = desk.seal();
    let [Entry { body: Body::Corrected(first), after, .. }] = entries.as_slice() else { panic!() };
    assert_eq!((first.corrects, first.charge), (debit.number, debit.number));
    assert_eq!(first.change(), Credits::from_units(3));
    assert_eq!(after.settled, Credits::from_units(9_994));
    assert!(first.now.as_ref().is_some_and(|now| now.event.id == "e2"));
    assert_eq!(seal.counts.get(Outcome::Applied), 1);
    // Whichever of the two is named: what stands is corrected.
    let number = entries[0].number;
    desk.usage(&correcting("e3", "e1", 0));
    let (entries, _) = desk.seal();
    let [Entry { body: Body::Corrected(second), after, .. }] = entries.as_slice() else { panic!() };
    assert_eq!((second.corrects, second.charge), (number, debit.number));
    assert!(second.now.is_none() && matches!(second.by, Corrector::Producer { .. }));
    assert_eq!(after.settled, Credits::from_units(10_000));
    // Sent again, it is a duplicate; and nothing is left to correct.
    desk.usage(&correcting("e3", "e1", 0));
    desk.usage(&correcting("e4", "e2", 5));
    let (entries, seal) = desk.seal();
    assert_eq!(seal.counts.get(Outcome::Duplicate), 1);
    let Body::Quarantined(held) = &entries[0].body else { panic!() };
    assert_eq!(held.reason, Reason::NothingToCorrect);
    is_its_fold(&desk);
}

#[test]
fn what_corrects_nothing_or_has_no_price_is_held() {
    let (mut desk, _) = charged();
    desk.usage(&correcting("e2", "never", 1));
    let pages = correcting("e3", "e1", 7).replace(
        r#""model":"m","tokens":{"input":7,"output":0}"#,
        r#""meter":"pages","quantity":"4""#,
    );
    desk.usage(&pages);
    let (entries, _) = desk.seal();
    let reasons: Vec<Reason> = entries
        .iter()
        .map(|entry| match &entry.body {
            Body::Quarantined(held) => held.reason,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(reasons, [Reason::NothingToCorrect, Reason::CorrectionUnrated]);

    // Once there is a price, a person lets it in.
    let next = domain::Offset(2);
    desk.prices.fold(next, &version(DocumentKind::RateCard, CARD_WITH_PAGES)).unwrap();
    desk.core.adopt(&desk.prices);
    decide(&mut desk, &entries[1], true, "d1");
    let (entries, _) = desk.seal();
    assert_eq!(kinds(&entries), ["quarantine_decided", "corrected"]);
    assert_eq!(entries[1].cause, Cause::Decision { entry: entries[0].number });
    assert_eq!(entries[1].after.settled, Credits::from_units(10_000 - 8));
    is_its_fold(&desk);
}

#[test]
fn usage_whose_price_came_later_is_corrected_like_any_other() {
    let (mut desk, _) = charged();
    let pages = event("late", NOON, 7).replace(
        r#""model":"m","tokens":{"input":7,"output":0}"#,
        r#""meter":"pages","quantity":"4""#,
    );
    desk.usage(&pages);
    desk.seal();
    let next = domain::Offset(2);
    desk.prices.fold(next, &version(DocumentKind::RateCard, CARD_WITH_PAGES)).unwrap();
    desk.core.adopt(&desk.prices);
    desk.core.drain_waiting(10, &desk.prices).unwrap();
    let (entries, _) = desk.seal();
    assert_eq!(kinds(&entries), ["debit"]);
    desk.usage(&correcting("void", "late", 0));
    let (corrections, _) = desk.seal();
    let Body::Corrected(body) = &corrections[0].body else { panic!("{corrections:?}") };
    assert_eq!((body.corrects, body.change()), (entries[0].number, Credits::from_units(-8)));
}

fn rerate(desk: &Desk, entry: &Entry<'_>, credits: i64) -> CommandBody<'static> {
    let standing = entry.standing_charge().unwrap();
    let mut lines = standing.lines.clone();
    lines[0].credits = Credits::from_units(credits);
    CommandBody::Rerate(Box::new(Rerate {
        entry: entry.number,
        record: desk.record(entry).into(),
        rate_card: standing.rate_card,
        catalogue: standing.catalogue,
        lines,
        credits: Credits::from_units(credits),
        residual: Credits::ZERO,
    }))
}

#[test]
fn a_charge_is_priced_anew_once_and_again_only_as_it_stands() {
    let (mut desk, debit) = charged();
    let body = rerate(&desk, &debit, 2);
    desk.command("acct_1", "plan-1", body.clone());
    // The same plan again says so; another one has to look first.
    desk.command("acct_1", "plan-1", body);
    let body = rerate(&desk, &debit, 1);
    desk.command("acct_1", "plan-2", body);
    let record = desk.record(&debit);
    let reverse = CommandBody::Reverse { entry: debit.number, record: record.into() };
    desk.command("acct_1", "r1", reverse);
    let (entries, seal) = desk.seal();
    assert_eq!(kinds(&entries), ["corrected"]);
    assert_eq!(entries[0].after.settled, Credits::from_units(9_998));
    assert_eq!(seal.counts.get(Outcome::Repeated), 1);
    assert_eq!(refusals(&seal), [Reason::AlreadyCorrected, Reason::AlreadyCorrected]);
    // What stands may be taken back.
    let record = desk.record(&entries[0]);
    let reverse = CommandBody::Reverse { entry: entries[0].number, record: record.into() };
    desk.command("acct_1", "r2", reverse);
    let (entries, _) = desk.seal();
    assert_eq!(entries[0].after.settled, Credits::from_units(10_000));
    // And what was taken back is no charge any more.
    let record = desk.record(&entries[0]);
    let again = CommandBody::Reverse { entry: entries[0].number, record: record.into() };
    desk.command("acct_1", "r3", again);
    let (_, seal) = desk.seal();
    assert_eq!(refusals(&seal), [Reason::NotACharge]);
    is_its_fold(&desk);
}

#[test]
fn prices_that_do_not_fit_the_usage_are_refused() {
    let (mut desk, debit) = charged();
    for change in [
        (|rerate: &mut Rerate<'_>| rerate.lines.clear()) as fn(&mut Rerate<'_>),
        |rerate| rerate.credits = Credits::from_units(9),
        |rerate| {
            rerate.credits = Credits::from_units(-1);
            rerate.lines[0].credits = rerate.credits;
        },
    ] {
        let CommandBody::Rerate(mut body) = rerate(&desk, &debit, 2) else { panic!() };
        change(&mut body);
        desk.command("acct_1", "plan-1", CommandBody::Rerate(body));
        let (_, seal) = desk.seal();
        assert_eq!(refusals(&seal), [Reason::BadTerms]);
    }
}

fn decide(desk: &mut Desk, held: &Entry<'_>, accept: bool, id: &str) {
    let record = desk.record(held).into();
    let body = CommandBody::DecideQuarantined { entry: held.number, record, accept };
    desk.command("acct_1", id, body);
}

#[test]
fn a_person_lets_late_usage_in_and_leaves_other_usage_out() {
    let (mut desk, _) = charged();
    desk.usage(&event("old", "2026-01-01T00:00:00Z", 1_000));
    desk.usage(&event("older", "2025-01-01T00:00:00Z", 1_000));
    let (held, _) = desk.seal();
    decide(&mut desk, &held[0], true, "d1");
    decide(&mut desk, &held[1], false, "d2");
    // Decided once.
    decide(&mut desk, &held[1], true, "d3");
    let (entries, seal) = desk.seal();
    assert_eq!(kinds(&entries), ["quarantine_decided", "debit", "quarantine_decided"]);
    assert_eq!(entries[1].cause, Cause::Decision { entry: entries[0].number });
    assert_eq!(entries[1].after.settled, Credits::from_units(9_994));
    assert_eq!(seal.credits, Credits::from_units(3));
    assert_eq!(refusals(&seal), [Reason::NotQuarantined]);
    // It has its identity now: sent again with what lets old usage through, it is known.
    let again = event("old", "2026-01-01T00:00:00Z", 1_000)
        .replace(r#""feature""#, r#""backfill":true,"feature""#);
    desk.put(Topic::UsageRaw, again.as_bytes()).unwrap();
    let (entries, _) = desk.seal();
    assert_eq!(kinds(&entries), ["quarantined"], "backfill belongs to the meaning");
    is_its_fold(&desk);
}

#[test]
fn a_conflicting_event_takes_the_place_of_the_first() {
    let (mut desk, debit) = charged();
    desk.usage(&event("e1", NOON, 2_000));
    let (held, _) = desk.seal();
    decide(&mut desk, &held[0], true, "d1");
    let (entries, _) = desk.seal();
    assert_eq!(kinds(&entries), ["quarantine_decided", "corrected"]);
    let Body::Corrected(body) = &entries[1].body else { panic!() };
    assert_eq!((body.corrects, body.change()), (debit.number, Credits::from_units(3)));
    assert!(matches!(&body.by, Corrector::ByHand(by) if by.actor == "ann"));
    is_its_fold(&desk);
}

#[test]
fn what_is_not_held_cannot_be_decided() {
    let (mut desk, debit) = charged();
    decide(&mut desk, &debit, true, "d1");
    let (entries, seal) = desk.seal();
    assert!(entries.is_empty());
    assert_eq!(refusals(&seal), [Reason::NotQuarantined]);
}
