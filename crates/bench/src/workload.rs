//! What is measured with: seeded usage events, prices as a deployment has them, and grants.

use anyhow::Context;
use catalog::Prices;
use domain::{
    Credits, Currency, Item, Measure, Money, Offset, Partition, Pool, Pools, Text, Timestamp,
    UsageEvent, partition_of,
};
use ledger::{Category, Command, CommandBody, GrantTerms};
use rating::Document;
use wire::{CatalogueVersion, DocumentKind};

use crate::Arguments;

/// The whole of a public price list: a real catalogue's size.
const PRICES: &str = include_str!("../../rating/tests/data/model_prices.json");
const EFFECTIVE_FROM: &str = "2023-01-01T00:00:00Z";

const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "10000"
credit_decimals = 4

[[rule]]
name = "internal traffic is free"
match = { traffic = ["internal", "test"] }
charge = { free = true }

[[rule]]
name = "a document summary"
match = { feature = "summarize" }
charge = { credits_per_event = "50" }

[[rule]]
name = "small chat models by token"
match = { model = "gpt-4o-mini*", feature = ["chat", "translate"] }
charge = { tokens_per_credit = "5000" }

[[rule]]
name = "every other model: cost plus 30 %"
match = { model = "*" }
charge = { cost_plus = "1.30" }
"#;

const MODELS: [(&str, &str); 4] = [
    ("gpt-4o", "openai"),
    ("gpt-4o-mini", "openai"),
    ("gpt-4.1", "openai"),
    ("claude-3-7-sonnet-20250219", "anthropic"),
];
const FEATURES: [&str; 5] = ["chat", "search", "translate", "summarize", "research-agent"];
const TEAMS: [&str; 4] = ["growth", "support", "platform", "sales"];
const USERS_PER_ACCOUNT: u64 = 5;
/// How long before the present the events happened, at most.
const AGE_MICROS: i64 = 3_600 * 1_000_000;

/// Events, accounts and prices of one run.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) events: u64,
    pub(crate) accounts: u32,
    pub(crate) partitions: u32,
    seed: u64,
    now: Timestamp,
    /// The catalogue's records.
    pub(crate) versions: Vec<Vec<u8>>,
    pub(crate) prices: Prices,
}

/// Is given a record: its partition, its account, its bytes.
pub(crate) type Visit<'v> = dyn FnMut(Partition, &str, &[u8]) -> anyhow::Result<()> + 'v;

/// SplitMix64.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(usize::try_from(self.below(choices.len() as u64)).ok()?).copied()
    }
}

impl Workload {
    pub(crate) fn new(arguments: &Arguments) -> anyhow::Result<Self> {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
        let book =
            rating::import_litellm(PRICES, EFFECTIVE_FROM.parse()?, "vendors", Currency::USD)?;
        let versions = vec![
            version(DocumentKind::PriceBook, "vendors", &book.toml)?,
            version(DocumentKind::RateCard, "standard", CARD)?,
        ];
        let mut prices = Prices::default();
        for (offset, bytes) in (0..).zip(&versions) {
            prices.fold(Offset(offset), bytes)?;
        }
        Ok(Self {
            events: arguments.events,
            accounts: arguments.accounts.max(1),
            partitions: arguments.partitions.max(1),
            seed: arguments.seed,
            now: Timestamp::from_micros(i64::try_from(since.as_micros())?),
            versions,
            prices,
        })
    }

    /// The first of its events, at most so many.
    pub(crate) fn sample(&self, events: u64) -> Self {
        Self { events: self.events.min(events), ..self.clone() }
    }

    /// The same with so many events and accounts.
    pub(crate) fn of_size(&self, events: u64, accounts: u32) -> Self {
        Self { events, accounts: accounts.max(1), ..self.clone() }
    }

    /// When the logs that are made here say that they took a record.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Every event, encoded, in one order for all who ask: partition, account, record.
    pub(crate) fn events(&self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        let mut random = Random(self.seed);
        let mut record = Vec::with_capacity(256);
        for number in 0..self.events {
            let owner = random.below(u64::from(self.accounts));
            let account = account_name(owner);
            record.clear();
            let event =
                Draft { account: &account, owner, number, now: self.now }.event(&mut random);
            wire::encode_usage(&event.context("a choice from a list")?, &mut record);
            visit(partition_of(&account, self.partitions), &account, &record)?;
        }
        Ok(())
    }

    /// A grant for every account, large enough for all of its usage: partition, account, record.
    pub(crate) fn grants(&self, visit: &mut Visit<'_>) -> anyhow::Result<()> {
        let mut record = Vec::new();
        for number in 0..u64::from(self.accounts) {
            let account = account_name(number);
            record.clear();
            wire::encode_command(&grant(&account, "bench-grant"), &mut record);
            visit(partition_of(&account, self.partitions), &account, &record)?;
        }
        Ok(())
    }
}

pub(crate) fn account_name(number: u64) -> String {
    format!("acct_{number:06}")
}

pub(crate) fn grant<'a>(account: &'a str, id: &'a str) -> Command<'a> {
    Command {
        account: Text::Borrowed(account),
        id: Text::Borrowed(id),
        actor: Text::Borrowed("bench"),
        reason: Text::Borrowed("bench"),
        deadline: None,
        correlation: 0,
        within: Vec::new(),
        body: CommandBody::Grant(GrantTerms {
            credits: Credits::from_units(100_000_000),
            category: Category::Purchased,
            priority: 50,
            effective: None,
            expires: None,
            paid: Money::from_units(10_000),
            currency: Some(Currency::USD),
        }),
    }
}

/// What an event is made of besides chance.
struct Draft<'a> {
    account: &'a str,
    /// The account's number.
    owner: u64,
    /// The event's.
    number: u64,
    now: Timestamp,
}

impl<'a> Draft<'a> {
    fn event(&self, random: &mut Random) -> Option<UsageEvent<'a>> {
        let mut pools = Pools::default();
        pools[Pool::Input] = 100 + random.below(8_000);
        pools[Pool::CacheRead] = random.below(4_000);
        pools[Pool::Output] = 10 + random.below(1_500);
        let (model, provider) = random.of(&MODELS)?;
        let age = i64::try_from(random.below(AGE_MICROS.unsigned_abs())).ok()?;
        let item = Item {
            model: Some(model.into()),
            provider: Some(provider.into()),
            service_tier: None,
            measure: Measure::Tokens(pools),
            vendor_cost: None,
            attributes: Vec::new(),
            estimated: false,
        };
        let user = self.owner * USERS_PER_ACCOUNT + random.below(USERS_PER_ACCOUNT);
        let team = usize::try_from(user).ok()? % TEAMS.len();
        Some(UsageEvent {
            account: self.account.into(),
            source: "/chat/eu-1".into(),
            id: format!("req_{:08x}{:08x}", random.next() >> 32, self.number).into(),
            time: self.now.plus_micros(-age),
            feature: random.of(&FEATURES)?.into(),
            team: TEAMS.get(team).map(|team| (*team).into()),
            user: Some(format!("u_{user}").into()),
            items: vec![item],
            ..UsageEvent::default()
        })
    }
}

fn version(kind: DocumentKind, id: &str, toml: &str) -> anyhow::Result<Vec<u8>> {
    // Refused here rather than by a charger in the middle of a measurement.
    Document::parse(toml)?;
    let effective_from: Timestamp = EFFECTIVE_FROM.parse()?;
    let version = CatalogueVersion {
        kind,
        id: id.into(),
        effective_from,
        toml: toml.into(),
        content: wire::document_hash(toml),
        published_at: effective_from,
        actor: "bench".into(),
        reason: "bench".into(),
        retroactive: false,
    };
    let mut bytes = Vec::new();
    wire::encode_catalogue_version(&version, &mut bytes);
    Ok(bytes)
}
