//! A small deployment on the in-memory log: filled by the real charger, then copied with one thing
//! changed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use charger::{Charger, ChargerMetrics, ChargerSettings, Clock};
use domain::{
    Credits, EntryNumber, LotId, Offset, Partition, Timestamp, Topic, TopicPartition, partition_of,
};
use eventlog::memory::{MemoryLog, NoFaults, Offsets};
use eventlog::{Append, EventLog, TopicSpec};
use flow::{Chain, Progress};
use ledger::{Body, Category, Command, CommandBody, Entry, GrantTerms, Seal};
use wire::{CatalogueVersion, DocumentKind, LedgerRecord};

pub(crate) const PARTITIONS: u32 = 2;
const START: &str = "2026-11-20T12:00:00Z";

const BOOK: &str = r#"
id = "vendors"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "m"
provider = "p"
per_million_tokens = { input = "2", output = "10" }
"#;
pub(crate) const CARD: &str = r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 1
[[rule]]
name = "internal"
match = { traffic = "internal" }
charge = { free = true }
[[rule]]
name = "cost plus"
match = { model = "*" }
charge = { cost_plus = "1.5" }
"#;
/// Covers, in addition, the meter that has no price at first.
const CARD_WITH_PAGES: &str = r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 1
[[rule]]
name = "internal"
match = { traffic = "internal" }
charge = { free = true }
[[rule]]
name = "pages"
match = { meter = "pages" }
charge = { credits_per_unit = "2" }
[[rule]]
name = "cost plus"
match = { model = "*" }
charge = { cost_plus = "1.5" }
"#;
const PLAN: &str = "id = \"basic\"\neffective_from = \"2023-01-01T00:00:00Z\"\nrate_card = \"card\"\n\
    allowance = { credits = \"100\", period = \"day\", anchor = \"calendar\", timezone = \"UTC\" }\n\
    on_exhausted = \"overage\"\n";
const DEFAULTS: &str =
    "id = \"defaults\"\neffective_from = \"2023-01-01T00:00:00Z\"\ndefault_plan = \"basic\"\n";

/// A record of any topic, kept.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    appended_at: Timestamp,
}

/// Everything that stands in a log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image(pub(crate) BTreeMap<TopicPartition, Vec<Stored>>);

pub(crate) fn at(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition: Partition(partition) }
}

fn new_log() -> MemoryLog {
    let log = MemoryLog::new(Offsets::Dense, Box::new(NoFaults));
    let topics =
        Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(PARTITIONS) });
    log.create_topics(&topics).unwrap();
    log
}

impl Image {
    fn of(log: &MemoryLog) -> Self {
        let mut image = Self::default();
        for topic in Topic::ALL {
            for partition in 0..topic.partitions(PARTITIONS) {
                let at = at(topic, partition);
                let end = log.bounds(at).unwrap().stable_end;
                let records = image.0.entry(at).or_default();
                let mut reader = log.reader(&[(at, Offset::ZERO)]).unwrap();
                while reader.position(at) < end {
                    reader
                        .poll(100, Duration::ZERO, &mut |record| {
                            let header = |name: &'static str| {
                                record.headers.header(name).map(|value| (name, value.to_vec()))
                            };
                            let names = ["tally-origin-partition", "tally-origin-offset"];
                            records.push(Stored {
                                key: record.key.to_vec(),
                                value: record.value.to_vec(),
                                headers: names.into_iter().filter_map(header).collect(),
                                appended_at: record.appended_at,
                            });
                        })
                        .unwrap();
                }
            }
        }
        image
    }

    /// A log with these records at the same offsets and times.
    pub(crate) fn log(&self) -> MemoryLog {
        let log = new_log();
        let mut appender = log.appender().unwrap();
        let mut all: Vec<(&TopicPartition, &Stored)> = self
            .0
            .iter()
            .flat_map(|(at, records)| records.iter().map(move |it| (at, it)))
            .collect();
        all.sort_by_key(|(_, record)| record.appended_at);
        for (at, record) in all {
            log.set_time(record.appended_at);
            let headers: Vec<(&str, &[u8])> =
                record.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
            let Stored { key, value, .. } = record;
            appender.append(Append { to: *at, key, value, headers: &headers }).unwrap();
            appender.flush().unwrap();
        }
        log
    }

    pub(crate) fn ledger(&mut self, partition: u32) -> &mut Vec<Stored> {
        self.0.get_mut(&at(Topic::LedgerEntries, partition)).unwrap()
    }

    /// Changes the first entry for which `change` does something, and makes the seals fit again.
    pub(crate) fn change_entry(&mut self, mut change: impl FnMut(&mut Entry<'_>) -> bool) {
        self.change_ledger(|record| match record {
            LedgerRecord::Entry(entry) => change(entry),
            LedgerRecord::Seal(_) | LedgerRecord::Adopted(_) => false,
        });
    }

    pub(crate) fn change_seal(&mut self, mut change: impl FnMut(&mut Seal) -> bool) {
        self.change_ledger(|record| match record {
            LedgerRecord::Seal(seal) => change(seal),
            LedgerRecord::Entry(_) | LedgerRecord::Adopted(_) => false,
        });
    }

    pub(crate) fn change_ledger(&mut self, mut change: impl FnMut(&mut LedgerRecord<'_>) -> bool) {
        for partition in 0..PARTITIONS {
            for index in 0..self.ledger(partition).len() {
                let bytes = self.ledger(partition)[index].value.clone();
                let mut record = wire::decode_ledger(&bytes).unwrap();
                if change(&mut record) {
                    self.ledger(partition)[index].value = encode(&record);
                    self.reseal(partition);
                    return;
                }
            }
        }
        panic!("nothing to change");
    }

    /// Makes every seal's chain anew.
    fn reseal(&mut self, partition: u32) {
        let mut progress = Progress::default();
        let mut chain = Chain::after(&progress.link);
        for stored in self.ledger(partition) {
            let bytes = stored.value.clone();
            let LedgerRecord::Seal(mut seal) = wire::decode_ledger(&bytes).unwrap() else {
                chain.record(&bytes);
                continue;
            };
            seal.chain = chain.hash();
            stored.value = encode(&LedgerRecord::Seal(seal.clone()));
            // Ranges and counts may be what was changed: the link alone goes on.
            progress.link = *blake3::hash(&stored.value).as_bytes();
            chain.restart(&progress.link);
        }
    }
}

fn encode(record: &LedgerRecord<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    match record {
        LedgerRecord::Entry(entry) => wire::encode_entry(entry, &mut bytes),
        LedgerRecord::Seal(seal) => wire::encode_seal(seal, &mut bytes),
        LedgerRecord::Adopted(adopted) => wire::encode_adopted(adopted, &mut bytes),
    }
    bytes
}

#[derive(Debug)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }

    fn running(&self) -> Duration {
        Duration::from_micros(self.0.load(Ordering::Relaxed).unsigned_abs())
    }
}

/// What is put into a deployment before it is proved.
struct World {
    log: MemoryLog,
    clock: Arc<TestClock>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let start: Timestamp = START.parse().unwrap();
        let clock = Arc::new(TestClock(AtomicI64::new(start.micros())));
        let log = new_log();
        log.set_time(start);
        Self { log, clock, folder: tempfile::tempdir().unwrap() }
    }

    fn append(&self, to: TopicPartition, value: &[u8]) {
        let mut appender = self.log.appender().unwrap();
        appender.append(Append { to, key: b"", value, headers: &[] }).unwrap();
        appender.flush().unwrap();
    }

    fn publish(&self, kind: DocumentKind, toml: &str) {
        self.append(at(Topic::RatesCatalog, 0), &version(kind, toml));
    }

    fn usage(&self, account: &str, value: &str) {
        let partition = partition_of(account, PARTITIONS).0;
        self.append(at(Topic::UsageRaw, partition), value.as_bytes());
    }

    fn command(&self, account: &str, id: &str, body: CommandBody<'_>) {
        let command = Command {
            account: Cow::Borrowed(account),
            id: Cow::Borrowed(id),
            actor: Cow::Borrowed("ann"),
            reason: Cow::Borrowed("test"),
            deadline: None,
            correlation: 7,
            within: Vec::new(),
            body,
        };
        let mut bytes = Vec::new();
        wire::encode_command(&command, &mut bytes);
        let partition = partition_of(account, PARTITIONS).0;
        self.append(at(Topic::LedgerCommands, partition), &bytes);
    }

    /// One stay of a charger, until nothing is left to do.
    fn charge(&self) {
        let settings = ChargerSettings::new(PARTITIONS, self.folder.path().to_path_buf());
        let metrics = ChargerMetrics::new(&prometheus::Registry::new()).unwrap();
        let clock: Arc<dyn Clock> = Arc::<TestClock>::clone(&self.clock);
        let charger = Charger::new(Arc::new(self.log.clone()), settings, clock, metrics);
        let mut session = charger.join().unwrap();
        for _ in 0..40 {
            session.round().unwrap();
            self.pass(60_000);
        }
        session.give_up().unwrap();
    }

    fn pass(&self, micros: i64) {
        self.clock.0.fetch_add(micros, Ordering::Relaxed);
        self.log.set_time(self.clock.now());
    }

    /// The number and the record of an account's first debit.
    fn first_debit(&self, account: &str) -> (EntryNumber, Vec<u8>) {
        let partition = partition_of(account, PARTITIONS).0;
        let mut image = Image::of(&self.log);
        let records = image.ledger(partition);
        let found = records.iter().find_map(|stored| match wire::decode_ledger(&stored.value) {
            Ok(LedgerRecord::Entry(entry)) if entry.account == account => {
                matches!(entry.body, Body::Debit(_)).then(|| (entry.number, stored.value.clone()))
            }
            _ => None,
        });
        found.unwrap()
    }
}

pub(crate) fn version(kind: DocumentKind, toml: &str) -> Vec<u8> {
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

pub(crate) fn event(account: &str, id: &str, tokens: u32) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"tally.usage.v1","source":"/t","id":"{id}","time":"{START}","subject":"{account}","data":{{"feature":"chat","items":[{{"model":"m","tokens":{{"input":{tokens},"output":7}}}}]}}}}"#
    )
}

fn granted(credits: i64) -> CommandBody<'static> {
    CommandBody::Grant(GrantTerms {
        credits: Credits::from_units(credits),
        category: Category::Purchased,
        priority: 50,
        effective: None,
        expires: None,
        paid: "10".parse().unwrap(),
        currency: Some(domain::Currency::USD),
    })
}

/// A ledger with something of everything in it.
pub(crate) fn image() -> Image {
    let world = World::new();
    for (kind, toml) in [
        (DocumentKind::PriceBook, BOOK),
        (DocumentKind::RateCard, CARD),
        (DocumentKind::Plan, PLAN),
        (DocumentKind::Defaults, DEFAULTS),
    ] {
        world.publish(kind, toml);
    }
    world.command("a", "g1", granted(50));
    world.command("b", "g1", granted(5_000));
    for number in 0..12 {
        world.usage("a", &event("a", &format!("e{number}"), 3_000 + number * 7));
        world.usage("b", &event("b", &format!("f{number}"), 10_001 + number));
    }
    world.usage("a", &event("a", "e3", 3_021));
    world.usage("a", &event("a", "e4", 99));
    world.usage("b", &event("b", "e1", 5));
    world.usage("a", "{\"not\": \"an event\"");
    let pages = event("a", "p1", 1).replace(
        r#"{"model":"m","tokens":{"input":1,"output":7}}"#,
        r#"{"meter":"pages","quantity":"3"}"#,
    );
    world.usage("a", &pages);
    world.usage(
        "b",
        &event("b", "i1", 50).replace(r#""feature""#, r#""traffic":"internal","feature""#),
    );
    // Found in the other partition, and sent home.
    let elsewhere = 1 - partition_of("b", PARTITIONS).0;
    world.append(at(Topic::UsageRaw, elsewhere), event("b", "m1", 400).as_bytes());
    world.charge();
    world.command("a", "g1", granted(50));
    world.command("a", "g1", granted(51));
    world.command("a", "v1", CommandBody::Void { lot: LotId(77), credits: None });
    let (entry, record) = world.first_debit("b");
    world.command("b", "r1", CommandBody::Reverse { entry, record: Cow::Owned(record) });
    world.publish(DocumentKind::RateCard, CARD_WITH_PAGES);
    world.pass(86_400_000_000);
    world.usage("a", &event("a", "e50", 3_000));
    world.charge();
    Image::of(&world.log)
}
