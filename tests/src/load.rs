//! What producers send, planned from a seed: usage in JSON and Avro over the vendors' models and
//! meters, with duplicates, conflicts, misrouted and broken records, late usage, grants, and prices
//! that come while the load runs.

use std::borrow::Cow;

use domain::{
    Credits, Currency, Item, Measure, Money, Partition, Pool, Pools, Quantity, ReportedCost,
    Timestamp, Topic, TopicPartition, Traffic, UsageEvent, partition_of,
};
use ledger::{Category, Command, CommandBody, GrantTerms};
use wire::DocumentKind;

use crate::random::Random;
use crate::{catalogue, usage_json};

/// The models of the price list that are used.
pub const MODELS: [&str; 6] =
    ["gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "gemini-2.5-pro", "gemini-2.5-flash", "o3"];
const PROVIDERS: [&str; 6] = [
    "openai",
    "openai",
    "anthropic",
    "vertex_ai-language-models",
    "vertex_ai-language-models",
    "openai",
];
const FEATURES: [&str; 5] = ["chat", "translate", "summarize", "agent", "research"];
const ACCOUNTS: u64 = 120;
const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// The rate card's versions that are published meanwhile hold this much after one another: less than
/// five minutes in all, past which usage is dated too far ahead.
const CARD_EVERY: i64 = 45 * SECOND;
/// A repeat comes so many events later, at most.
const REPEAT_AFTER_MAX: u64 = 3_000;

/// What a load is made of.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub seed: u64,
    pub partitions: u32,
    /// Usage events with an identity of their own.
    pub events: usize,
    /// When the load begins.
    pub now: Timestamp,
    /// Versions of the rate card that are published while it runs, each for later usage.
    pub cards: u32,
    /// A version of the rate card that holds for usage of the past as well is published meanwhile.
    pub retroactive: bool,
}

impl Terms {
    /// A load whose prices are all known when it begins, but those of one model.
    pub fn new(seed: u64, partitions: u32, events: usize, now: Timestamp) -> Self {
        Self { seed, partitions, events, now, cards: 0, retroactive: false }
    }
}

/// What a record is, and so what must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The event of this number: charged the first time, a duplicate from then on.
    Event(usize),
    /// The identity of an event that came before, with another meaning: quarantined.
    Conflict,
    /// Older than the identity horizon: quarantined.
    TooLate,
    /// Bytes that are no event: a dead letter.
    Broken,
    /// The grant of this number: applied the first time, repeated from then on.
    Grant(usize),
    Catalogue,
}

/// One record to send.
#[derive(Clone, Debug)]
pub struct Line {
    pub to: TopicPartition,
    pub key: String,
    pub value: Vec<u8>,
    pub meaning: Meaning,
}

/// A grant, as far as balances go.
#[derive(Clone, Debug)]
pub struct PlannedGrant {
    pub account: String,
    pub credits: Credits,
}

/// Everything that is sent, in order.
#[derive(Debug)]
pub struct Load {
    pub terms: Terms,
    pub lines: Vec<Line>,
    pub events: Vec<UsageEvent<'static>>,
    pub grants: Vec<PlannedGrant>,
    /// The rate card's versions, and from when each holds; the latest first.
    pub cards: Vec<(Timestamp, String)>,
    /// Lines that come before the first event.
    pub opening: usize,
}

impl Load {
    /// # Errors
    /// A price list that cannot be read.
    pub fn plan(terms: Terms) -> anyhow::Result<Self> {
        let mut planner = Planner {
            load: Self {
                terms,
                lines: Vec::new(),
                events: Vec::new(),
                grants: Vec::new(),
                cards: vec![(Timestamp::ZERO, catalogue::FIRST_CARD.to_owned())],
                opening: 0,
            },
            random: Random::new(terms.seed),
            later: Vec::new(),
        };
        planner.opening()?;
        planner.load.opening = planner.load.lines.len();
        for index in 0..terms.events {
            if index == terms.events / 2 {
                planner.publish(DocumentKind::PriceBook, "house", catalogue::HOUSE);
            }
            let cards = terms.cards as usize;
            if cards > 0 && index > 0 && index % terms.events.div_ceil(cards + 1) == 0 {
                planner.next_card();
            }
            if terms.retroactive && index == terms.events / 3 {
                planner.retroactive_card();
            }
            planner.event(index);
            planner.beside();
            planner.due(index as u64);
        }
        planner.due(u64::MAX);
        Ok(planner.load)
    }
}

struct Planner {
    load: Load,
    random: Random,
    /// Repeats and conflicts that come after the event of this number.
    later: Vec<(u64, Line)>,
}

impl Planner {
    fn opening(&mut self) -> anyhow::Result<()> {
        let list = catalogue::price_list_document()?;
        self.publish(DocumentKind::PriceBook, "vendors", &list);
        self.publish(DocumentKind::PriceBook, "meters", catalogue::METERS);
        self.publish(DocumentKind::RateCard, "standard", catalogue::FIRST_CARD);
        let from = self.load.terms.now.plus_micros(-HOUR);
        self.card(from, catalogue::second_card(from));
        for account in 0..ACCOUNTS {
            let now = self.load.terms.now;
            // Some begin or end while the load runs.
            let (effective, expires) = match account % 4 {
                0 => (None, Some(now.plus_micros(40 * SECOND))),
                1 => (Some(now.plus_micros(5 * SECOND)), None),
                2 => (None, Some(now.plus_micros(90 * DAY))),
                _ => (None, None),
            };
            self.grant(account, effective, expires);
        }
        Ok(())
    }

    fn publish(&mut self, kind: DocumentKind, id: &str, toml: &str) {
        let value = catalogue::record(kind, id, toml, self.load.terms.now);
        let to = TopicPartition { topic: Topic::RatesCatalog, partition: Partition(0) };
        let line = Line { to, key: id.to_owned(), value, meaning: Meaning::Catalogue };
        self.load.lines.push(line);
    }

    fn card(&mut self, from: Timestamp, card: String) {
        self.publish(DocumentKind::RateCard, "standard", &card);
        self.load.cards.insert(0, (from, card));
    }

    /// For the younger half of the usage that came before it, too.
    fn retroactive_card(&mut self) {
        let from = self.load.terms.now.plus_micros(-HOUR / 2);
        self.card(from, catalogue::later_card(from, 7));
    }

    /// For usage that comes after it and is dated after all usage before it.
    fn next_card(&mut self) {
        let number = self.load.cards.len() as i64 - 1;
        let from = self.load.terms.now.plus_micros(number * CARD_EVERY);
        let card = catalogue::later_card(from, number);
        self.card(from, card);
    }

    fn grant(&mut self, account: u64, effective: Option<Timestamp>, expires: Option<Timestamp>) {
        let account = format!("acct_{account}");
        let number = self.load.grants.len();
        // What ends while the load runs must not be spent by then.
        let most = if expires.is_some() { 900_000_000 } else { 90_000 };
        let credits = Credits::from_atoms(i128::from(self.random.below(most)) * domain::SCALE + 1);
        let command = Command {
            account: Cow::Borrowed(&account),
            id: Cow::Owned(format!("grant-{number}")),
            actor: Cow::Borrowed("e2e"),
            reason: Cow::Borrowed("end to end"),
            deadline: None,
            correlation: 0,
            within: Vec::new(),
            body: CommandBody::Grant(GrantTerms {
                credits,
                category: self.random.of(&Category::ALL),
                priority: GrantTerms::PRIORITY_DEFAULT,
                effective,
                expires,
                paid: Money::from_units(7),
                currency: Some(Currency::USD),
            }),
        };
        let mut value = Vec::new();
        wire::encode_command(&command, &mut value);
        let to = self.home(Topic::LedgerCommands, &account);
        let line = Line { to, key: account.clone(), value, meaning: Meaning::Grant(number) };
        if self.random.per_mille(100) {
            self.repeat(line.clone());
        }
        self.load.lines.push(line);
        self.load.grants.push(PlannedGrant { account, credits });
    }

    fn event(&mut self, index: usize) {
        let account = format!("acct_{}", self.account());
        let now = self.load.terms.now;
        let age = match self.random.below(1_000) {
            0..30 => self.random.between(DAY as u64, 30 * DAY as u64),
            _ => self.random.below(3 * HOUR as u64),
        };
        let items = match self.random.below(100) {
            0..85 => 1,
            85..95 => self.random.between(2, 4),
            _ => self.random.between(4, 9),
        };
        let mut event = UsageEvent {
            account: Cow::Owned(account),
            source: Cow::Borrowed(self.random.of(&["/chat/eu-1", "/agents", "/batch"])),
            id: Cow::Owned(format!("e{index}")),
            time: match self.load.cards[0].0 {
                // The latest version is of the future.
                from if from > now && self.random.per_mille(500) => {
                    from.plus_micros(self.random.below(CARD_EVERY as u64 - 1) as i64)
                }
                _ => now.plus_micros(-i64::try_from(age).unwrap_or(0)),
            },
            feature: Cow::Borrowed(self.random.of(&FEATURES)),
            traffic: match self.random.below(100) {
                0..85 => Traffic::Customer,
                _ => self.random.of(Traffic::ALL),
            },
            user: Some(Cow::Owned(format!("u_{}", self.random.below(30)))),
            team: self.random.per_mille(500).then_some(Cow::Borrowed("growth")),
            items: (0..items).map(|_| self.item()).collect(),
            ..UsageEvent::default()
        };
        // What has no price at first must be charged by its cost, or its cost would depend on when
        // it was read.
        if event.items.iter().any(|item| item.model.as_deref() == Some("house-llm")) {
            event.feature = Cow::Borrowed("research");
            event.traffic = Traffic::Customer;
        }
        let misrouted = self.random.per_mille(20);
        let line = self.line(&event, misrouted, Meaning::Event(index));
        self.load.lines.push(line);
        if self.random.per_mille(20) {
            // The same meaning, perhaps in the other encoding, perhaps to another partition.
            let misrouted = self.random.per_mille(20);
            let again = self.line(&event, misrouted, Meaning::Event(index));
            self.repeat(again);
        }
        if !misrouted && self.random.per_mille(10) {
            let mut other = event.clone();
            other.feature = Cow::Borrowed("another-feature");
            let line = self.line(&other, false, Meaning::Conflict);
            self.repeat(line);
        }
        self.load.events.push(event);
    }

    fn line(&mut self, event: &UsageEvent<'_>, misrouted: bool, meaning: Meaning) -> Line {
        // How an event is counted is part of its meaning; Avro records here count exclusively.
        let inclusive = event.id.ends_with(['1', '4', '7']);
        let value = if inclusive || self.random.per_mille(500) {
            usage_json::encode(event, inclusive)
        } else {
            let mut avro = Vec::new();
            wire::encode_usage(event, &mut avro);
            avro
        };
        let mut to = self.home(Topic::UsageRaw, &event.account);
        let partitions = self.load.terms.partitions;
        if misrouted && partitions > 1 {
            let away = self.random.between(1, u64::from(partitions)) as u32;
            to.partition = Partition((to.partition.0 + away) % partitions);
        }
        Line { to, key: event.account.to_string(), value, meaning }
    }

    fn repeat(&mut self, line: Line) {
        let after = self.load.events.len() as u64 + self.random.below(REPEAT_AFTER_MAX);
        self.later.push((after, line));
    }

    fn due(&mut self, reached: u64) {
        let mut index = 0;
        while index < self.later.len() {
            if self.later[index].0 <= reached {
                let (_, line) = self.later.swap_remove(index);
                self.load.lines.push(line);
            } else {
                index += 1;
            }
        }
    }

    /// What comes between events now and then.
    fn beside(&mut self) {
        if self.random.per_mille(5) {
            let value = self.broken();
            let partition =
                Partition(self.random.below(u64::from(self.load.terms.partitions)) as u32);
            let to = TopicPartition { topic: Topic::UsageRaw, partition };
            let line = Line { to, key: String::new(), value, meaning: Meaning::Broken };
            self.load.lines.push(line);
        }
        if self.random.per_mille(2) {
            let number = self.load.lines.len();
            let event = UsageEvent {
                account: Cow::Owned(format!("acct_{}", self.account())),
                source: Cow::Borrowed("/archive"),
                id: Cow::Owned(format!("old-{number}")),
                time: self.load.terms.now.plus_micros(-40 * DAY),
                feature: Cow::Borrowed("chat"),
                items: vec![self.item()],
                ..UsageEvent::default()
            };
            let line = self.line(&event, false, Meaning::TooLate);
            self.load.lines.push(line);
        }
        if self.random.per_mille(4) {
            let account = self.account();
            self.grant(account, None, None);
        }
    }

    fn broken(&mut self) -> Vec<u8> {
        let pools = Pools::default();
        let item = tokens("gpt-4o", None, pools);
        let event = UsageEvent {
            account: Cow::Borrowed("acct_1"),
            source: Cow::Borrowed("/broken"),
            id: Cow::Borrowed("b"),
            feature: Cow::Borrowed("chat"),
            items: vec![item],
            ..UsageEvent::default()
        };
        let mut avro = Vec::new();
        wire::encode_usage(&event, &mut avro);
        match self.random.below(6) {
            0 => b"hello".to_vec(),
            1 => usage_json::encode(&event, false)[..40].to_vec(),
            2 => {
                avro[4] ^= 0x55;
                avro
            }
            3 => {
                avro.truncate(avro.len() - 3);
                avro
            }
            4 => b"{\"source\":\"\xff\xfe\x00\"}".to_vec(),
            _ => Vec::new(),
        }
    }

    fn item(&mut self) -> Item<'static> {
        let kind = self.random.below(100);
        let mut item = match kind {
            0..82 => self.model_call(),
            82..87 => tokens("house-llm", Some("house"), self.pools(&[])),
            87..91 => self.metered("compute_seconds", None),
            91..95 => self.metered("pages", None),
            95..97 => self.metered("workflow_run", None),
            _ => self.metered("image", Some("image-xl")),
        };
        if self.random.per_mille(80) {
            let amount = Money::from_atoms(i128::from(self.random.below(900_000_000_000)));
            item.vendor_cost = Some(ReportedCost { amount, currency: Currency::USD });
        }
        item
    }

    fn model_call(&mut self) -> Item<'static> {
        let which = self.random.below(MODELS.len() as u64) as usize;
        let (model, provider) = (MODELS[which], PROVIDERS[which]);
        let pools = match model {
            "claude-sonnet-4-5" => {
                self.pools(&[Pool::CacheRead, Pool::CacheWrite, Pool::CacheWrite1h])
            }
            "gemini-2.5-pro" => self.pools(&[Pool::CacheRead, Pool::CacheWrite, Pool::Reasoning]),
            "gemini-2.5-flash" => self.pools(&[Pool::AudioInput, Pool::Reasoning]),
            _ => self.pools(&[Pool::CacheRead, Pool::Reasoning]),
        };
        let provider = self.random.per_mille(600).then_some(provider);
        let mut item = tokens(model, provider, pools);
        item.service_tier = match (model, self.random.below(100)) {
            ("gpt-4o", 0..10) => Some(Cow::Borrowed("batch")),
            ("gpt-4o", 10..20) => Some(Cow::Borrowed("priority")),
            // A tier without a price: unrated for good.
            ("gpt-4o", 20..22) => Some(Cow::Borrowed("flex")),
            ("o3", 0..30) => Some(Cow::Borrowed("flex")),
            _ => None,
        };
        item
    }

    fn pools(&mut self, parts: &[Pool]) -> Pools {
        let mut pools = Pools::default();
        pools[Pool::Input] = self.random.between(1, 9_000);
        pools[Pool::Output] = self.random.below(3_000);
        for part in parts {
            if self.random.per_mille(500) {
                pools[*part] = self.random.below(5_000);
            }
        }
        if self.random.per_mille(40) {
            pools[Pool::Input] += self.random.between(190_000, 220_000);
        }
        pools
    }

    fn metered(&mut self, meter: &'static str, model: Option<&'static str>) -> Item<'static> {
        let quantity = match meter {
            "compute_seconds" => i128::from(self.random.below(99_000_000_000_000)),
            _ => i128::from(self.random.between(1, 45)) * domain::SCALE,
        };
        let measure = Measure::Meter {
            meter: Cow::Borrowed(meter),
            quantity: Quantity::from_atoms(quantity),
        };
        Item { measure, ..tokens(model.unwrap_or_default(), None, Pools::default()) }
    }

    fn account(&mut self) -> u64 {
        // A few accounts have most of the usage.
        self.random.below(ACCOUNTS).min(self.random.below(ACCOUNTS))
    }

    fn home(&self, topic: Topic, account: &str) -> TopicPartition {
        TopicPartition { topic, partition: partition_of(account, self.load.terms.partitions) }
    }
}

/// A model call; without a name, an item without a model.
fn tokens(model: &'static str, provider: Option<&'static str>, pools: Pools) -> Item<'static> {
    Item {
        model: (!model.is_empty()).then_some(Cow::Borrowed(model)),
        provider: provider.map(Cow::Borrowed),
        service_tier: None,
        measure: Measure::Tokens(pools),
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    }
}
