//! Two readings of one format: whatever is published and used, they say the same.
#![allow(clippy::unwrap_used)]

#[path = "../../rating/tests/support/mod.rs"]
mod support;

use domain::{
    Amount, CatalogueId, Credits, Item, Measure, Money, Pool, Pools, Quantity, ReportedCost,
    Traffic, UsageEvent,
};
use proptest::prelude::*;
use rating::{Catalogue, Document, rate};
use reckoner::{FreedBy, Reckoned, Reckoner};

/// Both, over the same documents.
struct Both {
    catalogue: Catalogue,
    reckoner: Reckoner,
}

impl Both {
    fn of(documents: &[&str]) -> Self {
        let (mut catalogue, mut reckoner) = (Catalogue::new(), Reckoner::default());
        for (id, toml) in (0..).zip(documents) {
            let document = Document::parse(toml).unwrap_or_else(|why| panic!("{why}\n{toml}"));
            catalogue.apply(CatalogueId(id), document).unwrap();
            reckoner.publish(id, toml).unwrap();
        }
        Self { catalogue, reckoner }
    }

    fn agree(&self, next: u32, event: &UsageEvent<'_>, plan: Option<&str>) -> Option<Reckoned> {
        let rated = rate(&self.catalogue.as_of(CatalogueId(next)), event, plan);
        let reckoned = self.reckoner.reckon(i64::from(next), event, plan);
        match (rated, reckoned) {
            (Ok(rating), Ok(reckoned)) => {
                assert_eq!(rating.rate_card.0, reckoned.rate_card);
                assert_eq!(rating.credits.atoms(), reckoned.credits, "{event:?}");
                assert_eq!(rating.residual.atoms(), reckoned.residual);
                for (line, other) in rating.lines.iter().zip(&reckoned.lines) {
                    assert_eq!(usize::from(line.rule.0), other.rule);
                    assert_eq!(line.credits.atoms(), other.credits, "{event:?}");
                    assert_eq!(line.exact.atoms() == 0, other.is_free || line.exact.atoms() == 0);
                    let computed = line.vendor_cost_computed.map(Amount::atoms);
                    assert_eq!(computed.ok_or(line.cost_missing), other.computed.map_err(Some));
                }
                Some(reckoned)
            }
            (Err(unrated), Err(reason)) => {
                assert_eq!(unrated.reason, reason, "{event:?}");
                None
            }
            (rated, reckoned) => panic!("{rated:?} against {reckoned:?} of {event:?}"),
        }
    }
}

#[test]
fn every_golden_file_is_reckoned_alike() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../rating/tests/golden");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
        let toml = |key: &str| golden[key].as_str().unwrap().to_owned();
        let both = Both::of(&[&toml("price_book_toml"), &toml("rate_card_toml")]);
        let Ok(event) = support::usage_event(&golden["event"]) else { continue };
        if let Some(reckoned) = both.agree(2, &event, None) {
            let expected: Credits = golden["expect"]["credits"].as_str().unwrap().parse().unwrap();
            assert_eq!(reckoned.credits, expected.atoms(), "{}", golden["name"]);
        }
        seen += 1;
    }
    assert!(seen >= 30, "{seen}");
}

const BOOKS: [&str; 3] = [
    r#"
id = "first"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "a"
aliases = ["a-1", "a-2"]
provider = "p"
provider_aliases = ["q"]
per_million_tokens = { input = "2.5", output = "10.000000000001", cache_read = "0.0000001", cache_write = "3" }
[[price.when]]
prompt_tokens_over = 1000
service_tier = ["standard", "flex"]
per_million_tokens = { input = "5", reasoning = "7.77" }
[[price.when]]
service_tier = "batch*"
per_million_tokens = { input = "1.25" }
[[price.when]]
"attributes.region" = ["us*", "*east"]
per_million_tokens = { output = "11" }
[[price]]
model = "a"
provider = "r"
per_million_tokens = { input = "3.333333333333333333333" }
[[price]]
model = "b"
per_million_tokens = { input = "0", output = "0" }
[[price]]
model = "b"
meter = "image"
per_unit = "0.04"
[[price.when]]
"attributes.region" = "*"
per_unit = "0.07"
[[price]]
meter = "image"
per_unit = "0.01"
"#,
    r#"
id = "second"
effective_from = "2023-01-01T00:00:00Z"
effective_to = "2026-06-01T00:00:00Z"
currency = "USD"
[[price]]
model = "c"
per_million_tokens = { output = "4" }
[[price]]
model = "a"
per_million_tokens = { input = "9", output = "9" }
[[price]]
meter = "seconds"
per_unit = "0.000333"
"#,
    r#"
id = "first"
effective_from = "2026-03-01T00:00:00Z"
currency = "USD"
[[price]]
model = "c"
provider = "p"
per_million_tokens = { input = "1", output = "2", audio_input = "30" }
"#,
];

const CARDS: [&str; 2] = [
    r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000.5"
credit_decimals = 3
[[rule]]
name = "free"
match = { traffic = ["internal", "te*"] }
charge = { free = true }
[[rule]]
match = { feature = "flat", plan = "pro" }
charge = { credits_per_event = "50" }
[[rule]]
match = { meter = "image", "attributes.region" = "eu" }
charge = { credits_per_unit = "7", unit = "3", partial_unit = "up", plus_credits = "0.0005", minimum_credits = "8" }
[[rule]]
match = { meter = "*" }
charge = { credits_per_unit = "0.3", unit = "7" }
[[rule]]
match = { model = "b*" }
charge = { tokens_per_credit = "3" }
[[rule]]
match = { model = "a", provider = "r" }
charge = { price_per_million_tokens = { input = "10", output = "50" } }
[[rule]]
match = { service_tier = "flex" }
charge = { credits_per_million_tokens = { input = "0", output = "0" } }
[[rule]]
match = { model = ["a*", "c"] }
charge = { cost_plus = "1.3" }
"#,
    r#"
id = "other"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credit_decimals = 0
rounding = "up"
[[rule]]
match = { feature = "flat" }
charge = { credits_per_event = "7" }
[[rule]]
match = {}
charge = { credits_per_unit = "0.4", minimum_credits = "0.1" }
"#,
];

const PLANS: [&str; 3] = [
    "id = \"pro\"\neffective_from = \"2023-01-01T00:00:00Z\"\nrate_card = \"card\"\n",
    "id = \"late\"\neffective_from = \"2026-05-01T00:00:00Z\"\nrate_card = \"other\"\n",
    "id = \"defaults\"\neffective_from = \"2026-02-01T00:00:00Z\"\ndefault_rate_card = \"other\"\n\
     price_books = [\"second\", \"first\"]\ndefault_plan = \"late\"\n",
];

fn both() -> Both {
    // Cards before books, so that a short catalogue has something to say.
    let [first, second, third] = BOOKS;
    let [card, other] = CARDS;
    let [pro, late, defaults] = PLANS;
    Both::of(&[card, first, pro, second, other, late, defaults, third])
}

fn words<T: Clone + std::fmt::Debug + 'static>(words: &[T]) -> impl Strategy<Value = T> + use<T> {
    prop::sample::select(words.to_vec())
}

fn measures() -> impl Strategy<Value = Measure<'static>> {
    let count = prop_oneof![
        Just(0_u64),
        Just(1_000),
        1_u64..50,
        900_u64..1_200,
        any::<u32>().prop_map(u64::from)
    ];
    let pools = prop::collection::vec((words(&domain::ALL_POOLS), count), 0..4);
    let tokens = pools.prop_map(|counts| {
        let mut pools = Pools::default();
        for (pool, count) in counts {
            pools[pool] = count;
        }
        Measure::Tokens(pools)
    });
    let quantity = prop_oneof![Just(0_i128), 0_i128..1_000_000_000_000_000];
    let metered = (words(&["image", "seconds", "pages"]), quantity).prop_map(|(meter, atoms)| {
        Measure::Meter { meter: meter.into(), quantity: Quantity::from_atoms(atoms) }
    });
    prop_oneof![3 => tokens, 1 => metered]
}

fn items() -> impl Strategy<Value = Item<'static>> {
    let names = (
        words(&[None, Some("a"), Some("a-2"), Some("b"), Some("c"), Some("d")]),
        words(&[None, Some("p"), Some("q"), Some("r"), Some("s")]),
        words(&[None, None, Some("default"), Some("flex"), Some("batch-night"), Some("odd")]),
    );
    let region = words(&[None, Some("eu"), Some("us-1"), Some("far-east")]);
    let cost = prop::option::weighted(0.2, 0_i128..10_000_000_000);
    (names, measures(), region, cost).prop_map(
        |((model, provider, tier), measure, region, cost)| Item {
            model: model.map(Into::into),
            provider: provider.map(Into::into),
            service_tier: tier.map(Into::into),
            measure,
            vendor_cost: cost.map(|atoms| ReportedCost {
                amount: Money::from_atoms(atoms),
                currency: domain::Currency::USD,
            }),
            attributes: region.map(|region| ("region".into(), region.into())).into_iter().collect(),
            estimated: false,
        },
    )
}

fn events() -> impl Strategy<Value = UsageEvent<'static>> {
    let time = words(&[
        "2022-12-31T23:59:59Z",
        "2024-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
        "2026-04-01T00:00:00Z",
        "2026-05-31T23:59:59.999999Z",
        "2026-06-01T00:00:00Z",
    ]);
    let feature = words(&["chat", "flat"]);
    let traffic = words(Traffic::ALL);
    (time, feature, traffic, prop::collection::vec(items(), 1..5)).prop_map(
        |(time, feature, traffic, items)| UsageEvent {
            account: "acct".into(),
            time: time.parse().unwrap(),
            feature: feature.into(),
            traffic,
            items,
            ..UsageEvent::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn they_agree_on_everything_that_is_published_and_used(
        event in events(),
        plan in words(&[None, Some("pro"), Some("late"), Some("never")]),
        next in 0_u32..10,
    ) {
        both().agree(next, &event, plan);
    }
}

fn event(model: &'static str, pool: Pool, count: u64, traffic: Traffic) -> UsageEvent<'static> {
    let mut pools = Pools::default();
    pools[pool] = count;
    UsageEvent {
        time: "2024-01-01T00:00:00Z".parse().unwrap(),
        feature: "chat".into(),
        traffic,
        items: vec![Item {
            model: Some(model.into()),
            provider: Some("p".into()),
            service_tier: None,
            measure: Measure::Tokens(pools),
            vendor_cost: None,
            attributes: Vec::new(),
            estimated: false,
        }],
        ..UsageEvent::default()
    }
}

#[test]
fn what_is_free_says_what_made_it_so() {
    let book = BOOKS[0];
    let card = r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1"
credit_decimals = 0
rounding = "down"
[[rule]]
match = { traffic = "internal" }
charge = { free = true }
[[rule]]
match = {}
charge = { cost_plus = "1" }
"#;
    let both = Both::of(&[book, card]);
    let free = |event: &UsageEvent<'_>| {
        let reckoned = both.agree(2, event, None).unwrap();
        assert_eq!(reckoned.credits, 0);
        let line = &reckoned.lines[0];
        (line.is_free, line.freed_by)
    };
    let used = |traffic| event("a", Pool::Input, 10, traffic);
    assert_eq!(free(&used(Traffic::Internal)), (true, Some(FreedBy::FreeRule)));
    assert_eq!(
        free(&event("b", Pool::Input, 10, Traffic::Customer)),
        (true, Some(FreedBy::ZeroRate))
    );
    assert_eq!(
        free(&event("a", Pool::Input, 0, Traffic::Customer)),
        (true, Some(FreedBy::NothingUsed))
    );
    // Too little to be charged, and not free.
    assert_eq!(free(&used(Traffic::Customer)), (false, None));
}
