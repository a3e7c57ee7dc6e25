//! Every proof bites: one thing is changed in a ledger, in an input, in the catalogue, and exactly
//! the invariants that it breaks are reported.
#![allow(clippy::unwrap_used)]

mod desk;

use std::collections::BTreeSet;
use std::time::Duration;

use desk::{CARD, Image, PARTITIONS, at, event, image, version};
use domain::{Credits, EntryNumber, Money, Offset, Reason, Timestamp, Topic};
use ledger::{Body, CatalogueAdopted, ExceptionKind};
use replay::{DeepSettings, Evidence, Report, Since, verify_deep};
use rerun::{PricesOf, RawReport, RawSettings, replay_raw};
use wire::{DocumentKind, LedgerRecord};

fn settings() -> DeepSettings {
    let grace = Duration::ZERO;
    DeepSettings { records_per_second: None, grace, ..DeepSettings::new(PARTITIONS) }
}

fn verify(image: &Image) -> Report {
    verify_deep(&image.log(), &settings(), &mut |_| true).unwrap().report
}

fn replay(image: &Image, prices: PricesOf) -> RawReport {
    let settings = RawSettings { records_per_second: None, prices, ..RawSettings::new(PARTITIONS) };
    replay_raw(&image.log(), &settings, &mut |_| true).unwrap()
}

/// What is broken, in words: `8 catalogue`.
fn broken(report: &Report) -> Vec<String> {
    let name = |check: &replay::Check| format!("{} {}", check.invariant, check.evidence.word());
    let broken: BTreeSet<String> =
        report.checks.iter().filter(|check| !check.holds()).map(name).collect();
    broken.into_iter().collect()
}

#[test]
fn what_the_charger_writes_holds_and_nothing_goes_unlooked_at() {
    let image = image();
    let report = verify(&image);
    for check in &report.checks {
        assert!(check.holds(), "{check:?}");
        let is_idle = check.about.starts_with("no usage waits");
        assert!(check.checked > 0 || is_idle, "{check:?}");
        assert_eq!(check.skipped, 0, "{check:?}");
    }
    let invariants: BTreeSet<u8> = report.checks.iter().map(|check| check.invariant).collect();
    assert_eq!(invariants, (1..=12).collect());
    let notes = |invariant: u8, evidence: Evidence| -> Vec<&String> {
        let of =
            |check: &&replay::Check| check.invariant == invariant && check.evidence == evidence;
        report.checks.iter().filter(of).flat_map(|check| &check.notes).collect()
    };
    let free = notes(9, Evidence::Catalogue);
    assert!(free.iter().any(|note| note.contains("1 lines are free by a free rule")), "{free:?}");
    // The event e1 of source /t was sent for both accounts: that is the producer's, not ours.
    let twice = notes(6, Evidence::Ledger);
    assert!(twice.iter().any(|note| note.contains("under two accounts, 1 times")), "{twice:?}");
}

type Change = fn(&mut Image);

fn debit(image: &mut Image, mut change: impl FnMut(&mut ledger::Debit<'_>)) {
    image.change_entry(|entry| match &mut entry.body {
        Body::Debit(debit) if debit.resolves.is_none() && !debit.draws.is_empty() => {
            change(debit);
            true
        }
        _ => false,
    });
}

fn exception(image: &mut Image, change: impl Fn(&ExceptionKind) -> Option<ExceptionKind>) {
    image.change_seal(|seal| {
        for exception in &mut seal.exceptions {
            if let Some(kind) = change(&exception.kind) {
                let (before, after) = (exception.kind.outcome(), kind.outcome());
                exception.kind = kind;
                if before != after {
                    let mut counts = ledger::Counts::default();
                    for (outcome, count) in seal.counts.iter() {
                        let less = u64::from(outcome == before);
                        counts.add(outcome, count - less + u64::from(outcome == after));
                    }
                    seal.counts = counts;
                }
                return true;
            }
        }
        false
    });
}

/// Changes the first record of a topic that contains a text.
fn input(image: &mut Image, topic: Topic, has: &str, change: impl Fn(&mut desk::Stored)) {
    for partition in 0..PARTITIONS {
        let records = image.0.get_mut(&at(topic, partition)).unwrap();
        let found = records
            .iter_mut()
            .find(|record| record.value.windows(has.len()).any(|window| window == has.as_bytes()));
        if let Some(found) = found {
            return change(found);
        }
    }
    panic!("no record of {topic} has {has}");
}

#[rustfmt::skip]
const LEDGER_CASES: &[(&str, Change, &[&str])] = &[
    ("a count in a seal", |image| image.change_seal(|seal| {
        let moved = seal.counts.get(domain::Outcome::Duplicate) > 0;
        let mut counts = ledger::Counts::default();
        for (outcome, count) in seal.counts.iter() {
            counts.add(outcome, match outcome {
                domain::Outcome::Duplicate => count - u64::from(moved),
                domain::Outcome::Debit => count + u64::from(moved),
                _ => count,
            });
        }
        seal.counts = counts;
        moved
    }), &["1 ledger"]),
    ("an exception that a seal forgets", |image| image.change_seal(|seal| {
        let duplicate = |kind: ExceptionKind| matches!(kind, ExceptionKind::Duplicate { .. });
        let before = seal.exceptions.len();
        seal.exceptions.retain(|exception| !duplicate(exception.kind));
        before != seal.exceptions.len()
    }), &["1 inputs", "1 ledger"]),
    ("revenue that was never paid", |image| debit(image, |debit| {
        debit.draws[0].revenue = Money::from_atoms(debit.draws[0].revenue.atoms() + (1_i128 << 60));
    }), &["3 ledger"]),
    ("a balance", |image| image.change_entry(|entry| {
        let is_debit = matches!(entry.body, Body::Debit(_));
        entry.after.settled += Credits::from_atoms(i128::from(is_debit));
        is_debit
    }), &["5 ledger"]),
    ("what a reversal says that it takes back", |image| image.change_entry(|entry| match &mut entry.body {
        Body::Reversed(reversed) => { reversed.debit.residual += Credits::from_atoms(1); true }
        _ => false,
    }), &["4 ledger"]),
    ("which entry a reversal names", |image| image.change_entry(|entry| match &mut entry.body {
        Body::Reversed(reversed) => { reversed.reverses = EntryNumber(1); true }
        _ => false,
    }), &["4 ledger"]),
    ("a reversal of what is yet to come", |image| image.change_entry(|entry| match &mut entry.body {
        Body::Reversed(reversed) => { reversed.reverses = EntryNumber(4_000); true }
        _ => false,
    }), &["4 ledger"]),
    ("which entry a charge resolves", |image| image.change_entry(|entry| match &mut entry.body {
        Body::Debit(debit) if debit.resolves.is_some() => { debit.resolves = Some(EntryNumber(1)); true }
        _ => false,
    }), &["4 ledger", "9 catalogue"]),
    ("the identity of a second charge", |image| {
        let mut first = None;
        image.change_entry(|entry| match &mut entry.body {
            Body::Debit(debit) if debit.event.account == "a" => match &first {
                None => { first = Some(debit.event.id.to_string()); false }
                Some(first) => { debit.event.id = first.clone().into(); true }
            },
            _ => false,
        });
    }, &["6 inputs", "6 ledger"]),
    ("a duplicate of an entry that is none", |image| exception(image, |kind| match kind {
        ExceptionKind::Duplicate { .. } => Some(ExceptionKind::Duplicate { repeats: EntryNumber(9_999) }),
        _ => None,
    }), &["6 inputs", "6 ledger"]),
    ("a duplicate of another event", |image| exception(image, |kind| match kind {
        ExceptionKind::Duplicate { repeats } => Some(ExceptionKind::Duplicate { repeats: EntryNumber(repeats.0 + 1) }),
        _ => None,
    }), &["6 inputs"]),
    ("the meaning of a charge", |image| debit(image, |debit| debit.content.0 ^= 1), &["6 inputs"]),
    ("a line", |image| debit(image, |debit| {
        debit.lines[0].credits += Credits::from_atoms(1);
    }), &["7 ledger", "8 catalogue"]),
    ("a sum in a seal", |image| image.change_seal(|seal| {
        seal.vendor_cost += Money::from_atoms(1);
        true
    }), &["7 ledger"]),
    ("what rounding left", |image| debit(image, |debit| debit.residual += Credits::from_atoms(1)), &["8 catalogue"]),
    ("a vendor cost", |image| debit(image, |debit| {
        debit.lines[0].computed = Some(Money::from_atoms(1));
    }), &["7 ledger", "8 catalogue"]),
    ("the plan of a charge", |image| debit(image, |debit| debit.plan = None), &["8 catalogue"]),
    ("the catalogue of a charge", |image| debit(image, |debit| debit.catalogue = Offset(2)), &["8 catalogue"]),
    ("what was adopted", |image| image.change_ledger(|record| match record {
        LedgerRecord::Adopted(CatalogueAdopted { hash, .. }) => { hash[0] ^= 1; true }
        LedgerRecord::Entry(_) | LedgerRecord::Seal(_) => false,
    }), &["8 catalogue"]),
    ("a cost that is missing for no reason", |image| debit(image, |debit| {
        debit.lines[0].computed = None;
        debit.lines[0].price = None;
    }), &["7 ledger", "8 catalogue", "9 catalogue"]),
    ("usage that was refused", |image| exception(image, |kind| match kind {
        ExceptionKind::Duplicate { .. } => Some(ExceptionKind::Refused { reason: Reason::BadTerms }),
        _ => None,
    }), &["10 inputs", "10 ledger"]),
    ("a dead letter of another reason", |image| exception(image, |kind| match kind {
        ExceptionKind::DeadLetter { .. } => Some(ExceptionKind::DeadLetter { reason: Reason::NoItems }),
        _ => None,
    }), &["1 inputs"]),
    ("a forward to another partition", |image| exception(image, |kind| match kind {
        ExceptionKind::Forwarded { to } => Some(ExceptionKind::Forwarded { to: domain::Partition(1 - to.0) }),
        _ => None,
    }), &["1 inputs"]),
    ("a byte, with every seal as it was", |image| {
        let before = image.clone();
        image.change_seal(|seal| { seal.ledger_time = Timestamp::from_micros(seal.ledger_time.micros() + 1); true });
        for partition in 0..PARTITIONS {
            // The seals that follow are as they were, and so do not follow.
            let old = before.0[&at(Topic::LedgerEntries, partition)].clone();
            let new = image.ledger(partition);
            let first = new.iter().zip(&old).position(|(new, old)| new.value != old.value);
            if let Some(first) = first {
                new[first + 1..].clone_from_slice(&old[first + 1..]);
            }
        }
    }, &["11 ledger"]),
];

#[rustfmt::skip]
const INPUT_CASES: &[(&str, Change, &[&str])] = &[
    ("an event's tokens", |image| input(image, Topic::UsageRaw, "\"e7\"", |record| {
        record.value = event("a", "e7", 1).into_bytes();
    }), &["6 inputs"]),
    ("an event that cannot be read", |image| input(image, Topic::UsageRaw, "\"e7\"", |record| {
        record.value = b"{".to_vec();
    }), &["1 inputs"]),
    ("an event that is another's", |image| input(image, Topic::UsageRaw, "\"e7\"", |record| {
        record.value = event("a", "e77", 3_049).into_bytes();
    }), &["6 inputs"]),
    ("a quarantined record", |image| input(image, Topic::UsageRaw, "\"input\":99,", |record| {
        record.value = event("a", "e4", 98).into_bytes();
    }), &["1 inputs"]),
    ("a conflict that is none", |image| {
        // The first of them becomes what the second is.
        input(image, Topic::UsageRaw, "\"e4\"", |record| record.value = event("a", "e4", 99).into_bytes());
    }, &["6 inputs"]),
    ("a dead record that can be read", |image| input(image, Topic::UsageRaw, "{\"not\"", |record| {
        record.value = event("a", "e90", 1).into_bytes();
    }), &["1 inputs"]),
    ("a dead letter's bytes", |image| input(image, Topic::DeadLetters, "{\"not\"", |record| {
        let mut letter = wire::decode_dead_letter(&record.value).unwrap();
        letter.record = b"{\"other\"".to_vec().into();
        let mut bytes = Vec::new();
        wire::encode_dead_letter(&letter, &mut bytes);
        record.value = bytes;
    }), &["1 inputs"]),
    ("a dead letter that is gone", |image| {
        for partition in 0..PARTITIONS { image.0.get_mut(&at(Topic::DeadLetters, partition)).unwrap().clear(); }
    }, &["1 inputs"]),
    ("a forwarded event's bytes", |image| input(image, Topic::UsageForwarded, "\"m1\"", |record| {
        record.value = event("b", "m1", 401).into_bytes();
    }), &["1 inputs", "6 inputs"]),
    ("where a forwarded event was found", |image| input(image, Topic::UsageForwarded, "\"m1\"", |record| {
        record.headers.clear();
    }), &["1 inputs"]),
    ("a published price", |image| {
        let records = image.0.get_mut(&at(Topic::RatesCatalog, 0)).unwrap();
        records[1].value = version(DocumentKind::RateCard, &CARD.replace("1.5", "1.6"));
    }, &["8 catalogue"]),
];

#[test]
fn one_thing_changed_in_the_ledger_breaks_exactly_its_invariants() {
    let image = image();
    for (what, change, expected) in LEDGER_CASES {
        let mut changed = image.clone();
        change(&mut changed);
        let report = verify(&changed);
        assert_eq!(broken(&report), *expected, "{what}: {:#?}", findings(&report));
    }
}

#[test]
fn one_thing_changed_beside_the_ledger_breaks_exactly_its_invariants() {
    let image = image();
    for (what, change, expected) in INPUT_CASES {
        let mut changed = image.clone();
        change(&mut changed);
        let report = verify(&changed);
        assert_eq!(broken(&report), *expected, "{what}: {:#?}", findings(&report));
    }
}

fn findings(report: &Report) -> Vec<&String> {
    report.checks.iter().flat_map(|check| &check.counterexamples).collect()
}

#[test]
fn what_is_before_the_start_is_not_priced_again() {
    let mut image = image();
    debit(&mut image, |debit| debit.residual += Credits::from_atoms(1));
    let late = "2026-11-21T00:00:00Z".parse().unwrap();
    let settings = DeepSettings { since: Since::Time(late), ..settings() };
    let report = verify_deep(&image.log(), &settings, &mut |_| true).unwrap().report;
    assert_eq!(broken(&report), Vec::<String>::new());
    let notes: Vec<&String> = report.checks.iter().flat_map(|check| &check.notes).collect();
    assert!(notes.iter().any(|note| note.contains("earlier seals were passed over")), "{notes:?}");
}

#[test]
fn whoever_asks_can_stop_it() {
    let settings = DeepSettings { records_per_second: Some(1), ..settings() };
    let stopped = verify_deep(&image().log(), &settings, &mut |_| false);
    assert!(matches!(stopped, Err(replay::VerifyError::Stopped(_))), "{stopped:?}");
}

#[test]
fn the_inputs_decided_again_come_to_the_same_bytes() {
    let report = replay(&image(), PricesOf::ThatTime);
    assert!(report.holds(), "{report:#?}");
    assert_eq!((report.same, report.followed, report.not_retained), (report.decided, 0, 0));
    assert!(report.decided > 30 && report.endings >= 6, "{report:#?}");
    // From a later seal on, what is before it is folded.
    let settings =
        RawSettings { from_seal: 2, records_per_second: None, ..RawSettings::new(PARTITIONS) };
    let later = replay_raw(&image().log(), &settings, &mut |_| true).unwrap();
    assert!(later.holds() && later.followed > 0 && later.decided < report.decided, "{later:#?}");
    assert_eq!(later.decided + later.followed, report.decided);
}

#[test]
fn a_price_rule_that_is_another_shows_where_and_by_how_much() {
    let mut image = image();
    let records = image.0.get_mut(&at(Topic::RatesCatalog, 0)).unwrap();
    records[1].value = version(DocumentKind::RateCard, &CARD.replace("1.5", "3"));
    let report = replay(&image, PricesOf::ThatTime);
    assert!(!report.holds());
    // The charge after the second card, and what is free, stay as they are.
    assert_eq!(report.different, 26, "{report:#?}");
    // Twice as much, but for what rounding does to each.
    let doubled = report.credits_then + report.credits_then;
    let step: Credits = "0.1".parse().unwrap();
    let apart = (report.credits_now - doubled).atoms().abs();
    assert!(apart <= step.atoms() * 26, "{doubled} {}", report.credits_now);
    let accounts: Vec<&str> = report.by_usage.iter().map(|sum| sum.account.as_str()).collect();
    assert_eq!(accounts, ["a", "b"]);
    let fields: BTreeSet<&str> =
        report.differences.iter().flat_map(|it| &it.fields).map(|field| field.field).collect();
    assert!(fields.contains("credits") && fields.contains("lines") && !fields.contains("number"));
}

#[test]
fn todays_catalogue_says_what_it_would_have_charged() {
    let mut image = image();
    let same = replay(&image, PricesOf::Today);
    assert!(same.holds() && same.decided > 20, "{same:#?}");
    let records = image.0.get_mut(&at(Topic::RatesCatalog, 0)).unwrap();
    let mut dearer = records.last().unwrap().clone();
    dearer.value = version(DocumentKind::RateCard, &CARD.replace("1.5", "3"));
    records.push(dearer);
    let report = replay(&image, PricesOf::Today);
    assert!(!report.holds());
    assert!(report.credits_now > report.credits_then, "{report:#?}");
    // And the ledger itself is as right as it was.
    assert!(replay(&image, PricesOf::ThatTime).holds());
}

#[test]
fn an_input_that_is_another_is_decided_otherwise() {
    for (what, change) in [
        ("\"e7\"", event("a", "e7", 1)),
        ("\"e7\"", "{".to_owned()),
        ("{\"not\"", event("a", "e90", 1)),
    ] {
        let mut image = image();
        input(&mut image, Topic::UsageRaw, what, |record| {
            record.value = change.clone().into_bytes()
        });
        let report = replay(&image, PricesOf::ThatTime);
        assert_eq!(report.different + report.endings_different, 1, "{what}: {report:#?}");
    }
}
