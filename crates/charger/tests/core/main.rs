//! What becomes of each kind of input, record by record, without a log.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use charger::{CoreSettings, Folded, Folder, Halt, PartitionCore, Prices};
use domain::{Credits, Offset, Outcome, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{NoHeaders, Record};
use flow::{BrakeLimits, Progress};
use identity::{IdentityIndex, Settings, SnapshotStore};
use ledger::{Body, Category, Command, CommandBody, Entry, GrantTerms, PartitionState, Seal};
use wire::{CatalogueVersion, DeadLetter, DocumentKind, LedgerRecord};

const BOOK: &str = r#"
id = "vendors"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "m"
provider = "p"
per_million_tokens = { input = "2", output = "10" }
"#;
const CARD: &str = r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 4
rounding = "half_even"
[[rule]]
name = "cost plus"
match = { model = "*" }
charge = { cost_plus = "1.5" }
"#;
const CARD_WITH_PAGES: &str = r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 4
rounding = "half_even"
[[rule]]
name = "pages"
match = { meter = "pages" }
charge = { credits_per_unit = "2" }
[[rule]]
name = "cost plus"
match = { model = "*" }
charge = { cost_plus = "1.5" }
"#;

struct Desk {
    core: PartitionCore,
    prices: Prices,
    next: [i64; 3],
    now: Timestamp,
    ledger: Vec<Vec<u8>>,
    others: Vec<(TopicPartition, Vec<u8>)>,
    _folder: tempfile::TempDir,
}

fn version(kind: DocumentKind, toml: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode_catalogue_version(
        &CatalogueVersion {
            kind,
            id: Cow::Borrowed("any"),
            effective_from: Timestamp::ZERO,
            toml: Cow::Borrowed(toml),
            content: wire::document_hash(toml),
            published_at: Timestamp::ZERO,
            actor: Cow::Borrowed("test"),
            reason: Cow::Borrowed("test"),
            retroactive: false,
        },
        &mut bytes,
    );
    bytes
}

impl Desk {
    /// Partition 0 of 1, unless said otherwise.
    fn new(partitions: u32) -> Self {
        Self::with_brake(partitions, BrakeLimits::default())
    }

    fn with_brake(partitions: u32, brake: BrakeLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut prices = Prices::default();
        prices.fold(Offset(0), &version(DocumentKind::PriceBook, BOOK)).unwrap();
        prices.fold(Offset(1), &version(DocumentKind::RateCard, CARD)).unwrap();
        let mut core =
            PartitionCore::new(Partition(0), CoreSettings { partitions, brake }, nothing(&folder));
        core.adopt(&prices);
        let now = "2026-11-20T12:00:00Z".parse().unwrap();
        Self {
            core,
            prices,
            next: [0; 3],
            now,
            ledger: Vec::new(),
            others: Vec::new(),
            _folder: folder,
        }
    }

    fn put(&mut self, topic: Topic, value: &[u8]) -> Result<(), Halt> {
        let at = TopicPartition { topic, partition: Partition(0) };
        let next = &mut self.next[topic as usize];
        let offset = Offset(*next);
        *next += 1;
        let record =
            Record { at, offset, appended_at: self.now, key: b"", value, headers: &NoHeaders };
        self.core.take(&record, &self.prices)
    }

    fn usage(&mut self, event: &str) {
        self.put(Topic::UsageRaw, event.as_bytes()).unwrap();
    }

    fn grant(&mut self, id: &str, credits: i64, expires: Option<Timestamp>) {
        let command = Command {
            account: Cow::Borrowed("acct_1"),
            id: Cow::Borrowed(id),
            actor: Cow::Borrowed("ann"),
            reason: Cow::Borrowed("order"),
            deadline: None,
            correlation: 7,
            body: CommandBody::Grant(GrantTerms {
                credits: Credits::from_units(credits),
                category: Category::Purchased,
                priority: 50,
                effective: None,
                expires,
                paid: "10".parse().unwrap(),
                currency: Some(domain::Currency::USD),
            }),
        };
        let mut bytes = Vec::new();
        wire::encode_command(&command, &mut bytes);
        self.put(Topic::LedgerCommands, &bytes).unwrap();
    }

    /// Seals, and returns what was written since the last seal.
    fn seal(&mut self) -> (Vec<Entry<'static>>, Seal) {
        assert!(self.core.seal().unwrap());
        let before = self.ledger.len();
        let (ledger, others) = (&mut self.ledger, &mut self.others);
        self.core
            .flush(&mut |append| {
                if append.to.topic == Topic::LedgerEntries {
                    ledger.push(append.value.to_vec());
                } else {
                    others.push((append.to, append.value.to_vec()));
                }
                Ok(())
            })
            .unwrap();
        let mut entries = Vec::new();
        let mut seals = Vec::new();
        for bytes in &self.ledger[before..] {
            let bytes: &'static [u8] = bytes.clone().leak();
            match wire::decode_ledger(bytes).unwrap() {
                LedgerRecord::Entry(entry) => entries.push(entry),
                LedgerRecord::Seal(seal) => seals.push(seal),
                LedgerRecord::Adopted(_) => {}
            }
        }
        assert_eq!(seals.len(), 1);
        (entries, seals.remove(0))
    }
}

fn nothing(folder: &tempfile::TempDir) -> Folded {
    let store = SnapshotStore::open(folder.path()).unwrap();
    let runs = store.run_folder(Partition(0)).unwrap();
    Folded {
        state: PartitionState::default(),
        identity: IdentityIndex::new(Settings::default(), runs),
        progress: Progress::default(),
    }
}

fn event(id: &str, time: &str, tokens: u32) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"tally.usage.v1","source":"/t","id":"{id}","time":"{time}","subject":"acct_1","data":{{"feature":"chat","items":[{{"model":"m","tokens":{{"input":{tokens},"output":0}}}}]}}}}"#
    )
}

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
    let now = desk.now;
    for topic in Topic::INPUTS {
        let next = desk.core.next(topic);
        desk.core.drained(topic, next, now).unwrap();
    }
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
