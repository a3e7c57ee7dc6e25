//! The whole of the bundled price map, imported.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use std::collections::BTreeSet;

use domain::{CatalogueId, Currency, Item, Measure, Money, Pool, Pools, Timestamp, UsageEvent};
use num_bigint::BigInt;
use num_rational::BigRational;
use rating::{Catalogue, Document, Import, import_litellm, rate};
use serde_json::Value;

const MAP: &str = include_str!("data/model_prices.json");

fn start() -> Timestamp {
    "2023-01-01T00:00:00Z".parse().unwrap()
}

fn import() -> Import {
    import_litellm(MAP, start(), "litellm", Currency::USD).unwrap()
}

fn catalogue(import: &Import) -> Catalogue {
    const CARD: &str = r#"
        id = "free"
        effective_from = "2023-01-01T00:00:00Z"
        currency = "USD"
        credit_decimals = 0
        rule = [{ match = {}, charge = { free = true } }]
    "#;
    let mut catalogue = Catalogue::new();
    for (id, toml) in [(0, import.toml.as_str()), (1, CARD)] {
        let document = Document::parse(toml).unwrap();
        assert!(document.warnings().is_empty(), "{:?}", document.warnings());
        catalogue.check(&document).unwrap();
        catalogue.apply(CatalogueId(id), document).unwrap();
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

fn meter(meter: &'static str, quantity: &str) -> Measure<'static> {
    Measure::Meter { meter: meter.into(), quantity: quantity.parse().unwrap() }
}

#[derive(Clone, Copy, Default)]
struct Of<'a> {
    model: &'a str,
    provider: Option<&'a str>,
    tier: Option<&'a str>,
    attributes: &'a [(&'a str, &'a str)],
}

fn cost(catalogue: &Catalogue, of: Of<'_>, measure: Measure<'_>) -> Option<Money> {
    let event = UsageEvent {
        time: start(),
        items: vec![Item {
            model: Some(of.model.into()),
            provider: of.provider.map(Into::into),
            service_tier: of.tier.map(Into::into),
            measure,
            vendor_cost: None,
            attributes: of.attributes.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            estimated: false,
        }],
        ..UsageEvent::default()
    };
    rate(catalogue, &event, None).unwrap().vendor_cost
}

#[test]
fn known_models_cost_what_their_price_lists_say() {
    use Pool::*;
    let catalogue = catalogue(&import());
    let standard = Of { model: "gpt-4o", ..Of::default() };
    let million = |pool| tokens(&[(pool, 1_000_000)]);
    let sonnet = Of { model: "claude-sonnet-4-5", ..standard };
    let gemini = Of { model: "gemini-3-pro-preview", ..standard };
    let priority = Of { tier: Some("priority"), ..gemini };
    let fable = Of { model: "claude-fable-5", ..standard };
    let us = Of { attributes: &[("inference_geo", "us")], ..fable };
    let fast_us = Of { attributes: &[("inference_geo", "us"), ("speed", "fast")], ..fable };
    let whisper = Of { model: "gpt-realtime-whisper", ..standard };
    for (of, measure, expected) in [
        (standard, million(Input), "2.5"),
        (standard, million(Output), "10"),
        (standard, million(CacheRead), "1.25"),
        (Of { tier: Some("batch"), ..standard }, million(Input), "1.25"),
        (Of { model: "gpt-4o-2024-08-06", ..standard }, million(Output), "10"),
        (Of { provider: Some("vertex_ai"), ..gemini }, tokens(&[(Input, 1)]), "0.000002"),
        (sonnet, tokens(&[(CacheWrite1h, 200_000)]), "1.2"),
        (sonnet, tokens(&[(CacheWrite1h, 200_001)]), "2.400012"),
        (sonnet, tokens(&[(Input, 200_001), (Output, 1)]), "1.2000285"),
        (gemini, tokens(&[(Input, 200_001)]), "0.800004"),
        (priority, tokens(&[(Input, 200_000)]), "0.72"),
        (priority, tokens(&[(Input, 200_001)]), "1.4400072"),
        (fable, million(Output), "50"),
        (us, million(Output), "55"),
        (fast_us, million(Output), "330"),
        (sonnet, meter("web_search", "3"), "0.03"),
        (Of { model: "gemini-2.5-flash-image", ..standard }, meter("image", "2"), "0.078"),
        (whisper, meter("input_seconds", "3"), "0.00085"),
        (Of { model: "gpt-image-1", ..standard }, million(ImageOutput), "40"),
        (Of { model: "deepseek-v4-flash", ..standard }, million(CacheWrite), "0"),
    ] {
        let found = cost(&catalogue, of, measure.clone()).map(|cost| cost.to_string());
        assert_eq!(found.as_deref(), Some(expected), "{} {measure:?}", of.model);
    }
}

/// Fractions of a decimal with an exponent, by a way of its own.
fn fraction(text: &str) -> BigRational {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let number: BigInt = format!("{whole}{decimals}").parse().unwrap();
    let power = exponent.parse::<i32>().unwrap() - i32::try_from(decimals.len()).unwrap();
    BigRational::from_integer(number) * BigRational::from_integer(BigInt::from(10)).pow(power)
}

/// Every numeric leaf of the map that is about cost: `model`, `field`, the number as it is written.
fn costs() -> Vec<(String, String, String)> {
    let map: Value = serde_json::from_str(MAP).unwrap();
    let mut costs = Vec::new();
    for (model, fields) in map.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            let bears = ["cost", "price", "multiplier", "provider_specific"];
            if !bears.iter().any(|word| field.contains(word)) {
                continue;
            }
            let leaves = match value {
                Value::Object(inner) => inner.values().cloned().collect(),
                other => vec![other.clone()],
            };
            for leaf in leaves.iter().filter(|leaf| leaf.is_number()) {
                costs.push((model.clone(), field.clone(), leaf.to_string()));
            }
        }
    }
    costs
}

#[test]
fn every_cost_is_in_the_book_or_listed() {
    let import = import();
    let book: toml::Table = import.toml.parse().unwrap();
    let listed: BTreeSet<(&str, &str)> =
        import.listed.iter().map(|entry| (entry.model.as_str(), entry.field.as_str())).collect();
    // All numbers that the rows of a model hold, per unit or per million tokens.
    let numbers = |model: &str| -> BTreeSet<BigRational> {
        let rows = book["price"].as_array().unwrap().iter().filter(|row| {
            row["model"].as_str() == Some(model)
                || row.get("aliases").is_some_and(|aliases| {
                    aliases.as_array().unwrap().iter().any(|alias| alias.as_str() == Some(model))
                })
        });
        let mut numbers = BTreeSet::new();
        for row in rows {
            collect(row, &mut numbers);
        }
        numbers
    };
    let million = BigRational::from_integer(BigInt::from(1_000_000));
    let costs = costs();
    assert!(costs.len() > 1_000, "{}", costs.len());
    let mut represented = 0;
    for (model, field, text) in &costs {
        if listed.contains(&(model.as_str(), field.as_str())) {
            continue;
        }
        let number = fraction(text);
        let numbers = numbers(model);
        let is_there = if field.contains("multiplier") || field.contains("provider_specific") {
            // A multiplier is there when some price times it is.
            numbers.iter().any(|price| numbers.contains(&(price * &number)))
        } else if field.contains("token") {
            numbers.contains(&(&number * &million))
        } else {
            numbers.contains(&number)
        };
        assert!(is_there, "{model} {field} {text} is neither in the book nor listed");
        represented += 1;
    }
    assert!(represented * 100 > costs.len() * 99, "{represented} of {}", costs.len());
}

fn collect(value: &toml::Value, numbers: &mut BTreeSet<BigRational>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                match (key.as_str(), value) {
                    ("per_unit", toml::Value::String(text)) => {
                        numbers.insert(fraction(text));
                    }
                    ("per_million_tokens", toml::Value::Table(pools)) => {
                        numbers.extend(
                            pools.values().filter_map(|price| price.as_str()).map(fraction),
                        );
                    }
                    _ => collect(value, numbers),
                }
            }
        }
        toml::Value::Array(values) => values.iter().for_each(|value| collect(value, numbers)),
        _ => {}
    }
}

#[test]
fn what_has_no_form_is_listed() {
    let import = import();
    let listed: Vec<String> = import
        .listed
        .iter()
        .map(|entry| format!("{} {} {}", entry.model, entry.field, entry.value))
        .collect();
    assert_eq!(import.models, 218, "{listed:#?}");
    assert!(
        listed
            .contains(&"gemini-omni-flash-preview output_cost_per_video_token 1.75e-05".to_owned())
    );
    assert!(listed.iter().any(|line| line.starts_with("claude-sonnet-5 _comment")));
    assert_eq!(listed.len(), 2, "{listed:#?}");
}

#[test]
fn strange_maps_are_listed_or_refused_and_never_swallowed() {
    let of = |json: &str| import_litellm(json, start(), "book", Currency::USD);
    let import = of(r#"{
        "sample_spec": {"input_cost_per_token": "text"},
        "m": {"litellm_provider": "p", "input_cost_per_token": 1e-06,
              "output_cost_per_token": -1, "input_cost_per_token_cache_hit": 1e-7,
              "cache_read_input_token_cost": 2e-7, "output_cost_per_hologram": 0.5,
              "search_context_cost_per_query": {"search_context_size_low": 1, "other": 2},
              "input_cost_per_token_batches": 1e-99},
        "empty": {"mode": "chat"}
    }"#)
    .unwrap();
    let fields: Vec<_> = import.listed.iter().map(|entry| entry.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "",
            "output_cost_per_token",
            "cache_read_input_token_cost",
            "output_cost_per_hologram",
            "search_context_cost_per_query",
            "input_cost_per_token_batches",
            ""
        ]
    );
    assert_eq!(import.models, 1);
    for json in ["", "[]", "{\"m\": 1}", "{\"m\": {}, \"m\": {}}", "{\"m\": {}}"] {
        assert!(of(json).is_err(), "{json}");
    }
}
