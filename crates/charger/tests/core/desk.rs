//! One partition's core, fed record by record, without a log.

use std::borrow::Cow;

use charger::{CoreSettings, Folded, Halt, PartitionCore, Prices, Taken};
use domain::{Credits, Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{NoHeaders, Record};
use flow::{BrakeLimits, Progress};
use identity::{IdentityIndex, Settings, SnapshotStore};
use ledger::{Category, Command, CommandBody, Entry, GrantTerms, PartitionState, Seal};
use wire::{CatalogueVersion, DocumentKind, LedgerRecord};

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
pub(crate) const CARD_WITH_PAGES: &str = r#"
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

pub(crate) struct Desk {
    pub(crate) core: PartitionCore,
    pub(crate) prices: Prices,
    next: [i64; 3],
    pub(crate) now: Timestamp,
    pub(crate) ledger: Vec<Vec<u8>>,
    pub(crate) others: Vec<(TopicPartition, Vec<u8>)>,
    _folder: tempfile::TempDir,
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

impl Desk {
    /// Partition 0 of 1, unless said otherwise.
    pub(crate) fn new(partitions: u32) -> Self {
        Self::with_brake(partitions, BrakeLimits::default())
    }

    pub(crate) fn with_brake(partitions: u32, brake: BrakeLimits) -> Self {
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

    pub(crate) fn put(&mut self, topic: Topic, value: &[u8]) -> Result<(), Halt> {
        let at = TopicPartition { topic, partition: Partition(0) };
        let next = &mut self.next[topic as usize];
        let offset = Offset(*next);
        *next += 1;
        let record =
            Record { at, offset, appended_at: self.now, key: b"", value, headers: &NoHeaders };
        if let Taken::Wants(entry) = self.core.take(&record, &self.prices)? {
            let found = self.ledger.iter().find(|bytes| {
                matches!(wire::decode_ledger(bytes), Ok(LedgerRecord::Entry(other)) if other.number == entry)
            });
            self.core.provide(entry, found.cloned());
            assert_eq!(self.core.take(&record, &self.prices)?, Taken::Done);
        }
        Ok(())
    }

    pub(crate) fn usage(&mut self, event: &str) {
        self.put(Topic::UsageRaw, event.as_bytes()).unwrap();
    }

    pub(crate) fn grant(&mut self, id: &str, credits: i64, expires: Option<Timestamp>) {
        let terms = GrantTerms {
            credits: Credits::from_units(credits),
            category: Category::Purchased,
            priority: 50,
            effective: None,
            expires,
            paid: "10".parse().unwrap(),
            currency: Some(domain::Currency::USD),
        };
        self.command("acct_1", id, CommandBody::Grant(terms));
    }

    /// A command; to a hold when `account` is empty.
    pub(crate) fn command(&mut self, account: &str, id: &str, body: CommandBody<'_>) {
        self.send((account, id), body, None);
    }

    /// A command to the test's account that is not to be carried out after a time.
    pub(crate) fn command_until(&mut self, id: &str, body: CommandBody<'_>, deadline: Timestamp) {
        self.send(("acct_1", id), body, Some(deadline));
    }

    fn send(
        &mut self,
        (account, id): (&str, &str),
        body: CommandBody<'_>,
        deadline: Option<Timestamp>,
    ) {
        let command = Command {
            account: Cow::Borrowed(account),
            id: Cow::Borrowed(id),
            actor: Cow::Borrowed("ann"),
            reason: Cow::Borrowed("order"),
            deadline,
            correlation: 7,
            within: Vec::new(),
            body,
        };
        let mut bytes = Vec::new();
        wire::encode_command(&command, &mut bytes);
        self.put(Topic::LedgerCommands, &bytes).unwrap();
    }

    /// The record of an entry that was sealed.
    pub(crate) fn record(&self, entry: &Entry<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        wire::encode_entry(entry, &mut bytes);
        assert!(self.ledger.contains(&bytes));
        bytes
    }

    /// All inputs were seen empty.
    pub(crate) fn drain(&mut self) {
        let now = self.now;
        for topic in Topic::INPUTS {
            let next = self.core.next(topic);
            self.core.drained(topic, next, now, &self.prices).unwrap();
        }
    }

    /// Seals, and returns what was written since the last seal.
    pub(crate) fn seal(&mut self) -> (Vec<Entry<'static>>, Seal) {
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

pub(crate) fn nothing(folder: &tempfile::TempDir) -> Folded {
    let store = SnapshotStore::open(folder.path()).unwrap();
    let runs = store.run_folder(Partition(0)).unwrap();
    Folded {
        state: PartitionState::default(),
        identity: IdentityIndex::new(Settings::default(), runs),
        progress: Progress::default(),
    }
}

pub(crate) fn event(id: &str, time: &str, tokens: u32) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"tally.usage.v1","source":"/t","id":"{id}","time":"{time}","subject":"acct_1","data":{{"feature":"chat","items":[{{"model":"m","tokens":{{"input":{tokens},"output":0}}}}]}}}}"#
    )
}
