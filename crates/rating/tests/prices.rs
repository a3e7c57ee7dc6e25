//! Which vendor price an item takes, and which rule.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use domain::{CatalogueId, Item, Measure, Pool, Pools, Reason, UsageEvent};
use proptest::prelude::*;
use rating::{Catalogue, Document, RateLine, rate};

const FIRST: &str = r#"
id = "negotiated"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "m"
provider = "a"
provider_aliases = ["a-cloud"]
per_million_tokens = { input = "1", output = "2", cache_read = "0.5" }
[[price.when]]
service_tier = "batch"
prompt_tokens_over = 10
per_million_tokens = { input = "0.6" }
[[price.when]]
"attributes.geo" = ["us", "ca*"]
per_million_tokens = { output = "4" }
[[price]]
model = "only-output"
per_million_tokens = { output = "1" }
[[price]]
model = "twice"
provider = "a"
per_million_tokens = { input = "1" }
[[price]]
model = "twice"
provider = "b"
per_million_tokens = { input = "2" }
"#;

const SECOND: &str = r#"
id = "list"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "m"
per_million_tokens = { input = "9", output = "9" }
[[price.when]]
service_tier = "flex"
per_million_tokens = { input = "8" }
[[price]]
model = "only-output"
per_million_tokens = { input = "7", output = "7" }
[[price]]
model = "twice"
per_million_tokens = { input = "3" }
[[price]]
meter = "image"
per_unit = "0.5"
[[price]]
model = "draw"
meter = "image"
provider = "a"
per_unit = "0.25"
"#;

const CARD: &str = r#"
id = "card"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credit_decimals = 0
[[rule]]
match = {}
charge = { free = true }
"#;

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (id, toml) in [(0, FIRST), (1, SECOND), (2, CARD)] {
        catalogue.apply(CatalogueId(id), Document::parse(toml).unwrap()).unwrap();
    }
    catalogue
}

fn tokens(pools: &[(Pool, u64)]) -> Measure<'static> {
    let mut counts = Pools::default();
    for (pool, count) in pools {
        counts[*pool] = *count;
    }
    Measure::Tokens(counts)
}

fn images() -> Measure<'static> {
    Measure::Meter { meter: "image".into(), quantity: "2".parse().unwrap() }
}

fn item(model: &'static str, measure: Measure<'static>) -> Item<'static> {
    Item {
        model: (!model.is_empty()).then(|| model.into()),
        provider: None,
        service_tier: None,
        measure,
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    }
}

fn line(item: Item<'static>) -> RateLine {
    let event = UsageEvent {
        time: "2026-01-01T00:00:00Z".parse().unwrap(),
        items: vec![item],
        ..UsageEvent::default()
    };
    rate(&catalogue(), &event, None).unwrap().lines[0]
}

#[test]
fn the_first_book_with_a_price_wins() {
    let input = |count: u64| tokens(&[(Pool::Input, count * 1_000_000)]);
    let by = |provider: &'static str, item: Item<'static>| Item {
        provider: Some(provider.into()),
        ..item
    };
    let tier =
        |tier: &'static str, item: Item<'static>| Item { service_tier: Some(tier.into()), ..item };
    let geo = |geo: &'static str, item: Item<'static>| Item {
        attributes: vec![("geo".into(), geo.into())],
        ..item
    };
    let output = tokens(&[(Pool::Output, 1_000_000)]);
    for (item, expected) in [
        (item("m", input(1)), Ok("1")),
        (by("a", item("m", input(1))), Ok("1")),
        (by("a-cloud", item("m", input(1))), Ok("1")),
        // Another provider's: the next book's row is for any.
        (by("z", item("m", input(1))), Ok("9")),
        (tier("standard", item("m", input(1))), Ok("1")),
        (tier("batch", item("m", input(1))), Ok("0.6")),
        // What a condition does not name keeps the row's own price.
        (
            tier("batch", item("m", tokens(&[(Pool::Input, 11), (Pool::Output, 1)]))),
            Ok("0.0000086"),
        ),
        // Named, and under conditions that do not hold: not the standard price.
        (
            tier("batch", item("m", tokens(&[(Pool::Input, 10)]))),
            Err(Reason::NoPriceForServiceTier),
        ),
        (tier("flex", item("m", input(1))), Ok("8")),
        (geo("ca-1", item("m", output.clone())), Ok("4")),
        (geo("eu", item("m", output.clone())), Ok("2")),
        (item("only-output", input(1)), Ok("7")),
        (item("only-output", output), Ok("1")),
        (item("twice", input(1)), Err(Reason::AmbiguousProvider)),
        (by("b", item("twice", input(1))), Ok("2")),
        (by("c", item("twice", input(1))), Ok("3")),
        (item("M", input(1)), Err(Reason::NoVendorPrice)),
        (item("", images()), Ok("1")),
        (item("draw", images()), Ok("0.5")),
        (by("b", item("draw", images())), Ok("1")),
        (item("m", images()), Ok("1")),
    ] {
        let shown = format!("{item:?}");
        let line = line(item);
        let found = match line.vendor_cost {
            Some(cost) => Ok(cost.to_string()),
            None => Err(line.cost_missing.unwrap()),
        };
        assert_eq!(found, expected.map(str::to_owned), "{shown}");
        assert_eq!(line.price.is_some(), line.vendor_cost.is_some());
    }
}

#[test]
fn every_match_key_has_to_hold() {
    for (key, holds) in [
        ("model = \"m*\"", true),
        ("provider = \"a\"", true),
        ("feature = [\"x\", \"f\"]", true),
        ("meter = \"*\"", false),
        ("traffic = \"demo\"", true),
        ("traffic = [\"customer\", \"internal\"]", false),
        ("service_tier = \"standard\"", true),
        ("service_tier = \"batch\"", false),
        ("plan = \"pro\"", true),
        ("plan = \"free\"", false),
        ("team = \"*\"", false),
        ("status = \"err*\"", true),
        ("status = \"ok\"", false),
        ("\"attributes.own\" = \"1\"", true),
        ("\"attributes.both\" = \"item\"", true),
        ("\"attributes.both\" = \"event\"", false),
        ("\"attributes.none\" = \"*\"", false),
        ("model = \"m\", feature = \"g\"", false),
    ] {
        let card = CARD.replace("match = {}", &format!("match = {{{key}}}"));
        let plan = "id = \"pro\"\neffective_from = \"2023-01-01T00:00:00Z\"\nrate_card = \"card\"";
        let mut catalogue = Catalogue::new();
        for (id, toml) in [(0, card.as_str()), (1, plan)] {
            catalogue.apply(CatalogueId(id), Document::parse(toml).unwrap()).unwrap();
        }
        let event = UsageEvent {
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            feature: "f".into(),
            traffic: domain::Traffic::Demo,
            status: domain::Status::Error,
            attributes: vec![("both".into(), "event".into()), ("own".into(), "1".into())],
            items: vec![Item {
                provider: Some("a".into()),
                attributes: vec![("both".into(), "item".into())],
                ..item("m", tokens(&[(Pool::Input, 1)]))
            }],
            ..UsageEvent::default()
        };
        match rate(&catalogue, &event, Some("pro")) {
            Ok(_) => assert!(holds, "{key}"),
            Err(unrated) => {
                assert!(!holds, "{key}: {unrated}");
                assert_eq!(unrated.reason, Reason::NoRule);
                assert_eq!(unrated.path(), "data.items[0].model");
            }
        }
    }
}

#[test]
fn charges_that_do_not_fit_and_pools_without_a_price_are_unrated() {
    let per_tokens = "{ tokens_per_credit = \"10\" }";
    let per_pool = "{ credits_per_million_tokens = { output = \"1\" } }";
    for (charge, item, reason) in [
        (per_tokens, item("m", images()), Reason::ChargeDoesNotFit),
        (per_pool, item("m", images()), Reason::ChargeDoesNotFit),
        (per_pool, item("m", tokens(&[(Pool::CacheRead, 1)])), Reason::NoPriceForPool),
    ] {
        let card = CARD.replace("{ free = true }", charge);
        let mut catalogue = Catalogue::new();
        catalogue.apply(CatalogueId(0), Document::parse(&card).unwrap()).unwrap();
        let event = UsageEvent {
            time: "2026-01-01T00:00:00Z".parse().unwrap(),
            items: vec![item],
            ..UsageEvent::default()
        };
        assert_eq!(rate(&catalogue, &event, None).unwrap_err().reason, reason, "{charge}");
    }
}

proptest! {
    /// Cut, doubled and overwritten documents are refused or read, and never panic.
    #[test]
    fn no_text_breaks_the_parser(at in 0_usize..1_500, with in "\\PC{0,12}", cut in 0_usize..40) {
        for document in [FIRST, SECOND, CARD] {
            let characters: Vec<char> = document.chars().collect();
            let from = at.min(characters.len());
            let to = (from + cut).min(characters.len());
            let text: String = characters[..from]
                .iter()
                .copied()
                .chain(with.chars())
                .chain(characters[to..].iter().copied())
                .collect();
            if let Err(error) = Document::parse(&text) {
                prop_assert!(!error.code().is_empty() && !error.message.is_empty());
            }
        }
    }
}
