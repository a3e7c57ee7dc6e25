//! Rating alone: what one event costs a charger once it is decoded.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::{CatalogueId, Currency, Item, Measure, Pool, Pools, UsageEvent};
use rating::{Catalogue, Document, Rating, import_litellm, rate_into};

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
name = "e-mail"
match = { meter = "email_send" }
charge = { credits_per_unit = "1" }

[[rule]]
name = "small chat models by token"
match = { model = "gpt-4o-mini*", feature = ["chat", "translate"] }
charge = { tokens_per_credit = "5000" }

[[rule]]
name = "every other model: cost plus 30 %"
match = { model = "*" }
charge = { cost_plus = "1.30" }
"#;

fn catalogue() -> Catalogue {
    let map = include_str!("../tests/data/model_prices.json");
    let from = "2023-01-01T00:00:00Z".parse().unwrap();
    let book = import_litellm(map, from, "litellm", Currency::USD).unwrap();
    let mut catalogue = Catalogue::new();
    for (id, toml) in [(0, book.toml.as_str()), (1, CARD)] {
        catalogue.apply(CatalogueId(id), Document::parse(toml).unwrap()).unwrap();
    }
    catalogue
}

fn tokens(model: &'static str, pools: &[(Pool, u64)]) -> Item<'static> {
    let mut counts = Pools::default();
    for (pool, count) in pools {
        counts[*pool] = *count;
    }
    Item {
        model: Some(model.into()),
        provider: Some("openai".into()),
        service_tier: None,
        measure: Measure::Tokens(counts),
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    }
}

fn event(feature: &'static str, items: Vec<Item<'static>>) -> UsageEvent<'static> {
    UsageEvent {
        time: "2026-06-01T12:00:00Z".parse().unwrap(),
        feature: Cow::Borrowed(feature),
        items,
        ..UsageEvent::default()
    }
}

fn rate_events(criterion: &mut Criterion) {
    let catalogue = catalogue();
    let email = Item {
        model: None,
        provider: None,
        measure: Measure::Meter { meter: "email_send".into(), quantity: "1".parse().unwrap() },
        ..tokens("gpt-4o", &[])
    };
    let call =
        || tokens("gpt-4o", &[(Pool::Input, 3_211), (Pool::CacheRead, 1_200), (Pool::Output, 417)]);
    let small = || tokens("gpt-4o-mini", &[(Pool::Input, 811), (Pool::Output, 96)]);
    let many_conditions = || tokens("gpt-5.4", &[(Pool::Input, 3_211), (Pool::Output, 417)]);
    for (name, event) in [
        ("one model call, cost plus", event("chat", vec![call()])),
        ("one model call, tokens per credit", event("chat", vec![small()])),
        ("one model call of a price with 20 conditions", event("chat", vec![many_conditions()])),
        ("three items", event("chat", vec![call(), small(), email.clone()])),
        ("three items, charged per event", event("summarize", vec![call(), small(), call()])),
    ] {
        let mut rating = Rating::default();
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let rated = rate_into(&catalogue, black_box(&event), None, &mut rating);
                assert!(rated.is_ok());
                black_box(rating.credits)
            });
        });
    }
}

criterion_group!(benches, rate_events);
criterion_main!(benches);
