//! What a person reads of a charge.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use domain::{CatalogueId, Item, Measure, Pool, Pools, ReportedCost, UsageEvent};
use rating::{Catalogue, Document, explain_lines, explain_total, rate};

const BOOK: &str = r#"
id = "vendors"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "gpt-4o"
provider = "openai"
per_million_tokens = { input = "2.50", output = "10.00", cache_read = "1.25" }
[[price.when]]
service_tier = "batch"
per_million_tokens = { input = "1.25" }
"#;

const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "10000"
credit_decimals = 2
[[rule]]
name = "pages, in blocks of ten"
match = { meter = "pages" }
charge = { credits_per_unit = "1", unit = "10", partial_unit = "up", minimum_credits = "2" }
[[rule]]
name = "models"
match = { model = "*" }
charge = { cost_plus = "1.30" }
"#;

#[test]
fn the_arithmetic_can_be_followed_by_hand() {
    let mut catalogue = Catalogue::new();
    for (id, toml) in [(0, BOOK), (1, CARD)] {
        catalogue.apply(CatalogueId(id), Document::parse(toml).unwrap()).unwrap();
    }
    let mut pools = Pools::default();
    pools[Pool::Input] = 3_801;
    pools[Pool::CacheRead] = 1_200;
    pools[Pool::Reasoning] = 400;
    let item = |measure| Item {
        model: None,
        provider: None,
        service_tier: None,
        measure,
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    };
    let call = Item {
        model: Some("gpt-4o".into()),
        provider: Some("openai".into()),
        service_tier: Some("batch".into()),
        vendor_cost: Some(ReportedCost {
            amount: "0.01".parse().unwrap(),
            currency: domain::Currency::USD,
        }),
        ..item(Measure::Tokens(pools))
    };
    let pages = item(Measure::Meter { meter: "pages".into(), quantity: "23".parse().unwrap() });
    let event = UsageEvent {
        time: "2026-01-01T00:00:00Z".parse().unwrap(),
        items: vec![call, pages],
        ..UsageEvent::default()
    };
    let rating = rate(&catalogue, &event, None).unwrap();
    let lines = explain_lines(&catalogue, &event, &rating);
    assert_eq!(lines[0].used, "gpt-4o (openai)");
    assert_eq!(lines[0].rule, "rule 2 \"models\" of standard version 1");
    assert_eq!(
        lines[0].price.as_deref(),
        Some("price 1 of vendors version 1, under its condition 1")
    );
    assert_eq!(
        lines[0].cost,
        [
            "3801 input × 1.25 per million = 0.00475125 USD",
            "1200 cache_read × 1.25 per million = 0.0015 USD",
            "400 reasoning × 10 per million (the price of output) = 0.004 USD",
            "together 0.01025125 USD",
            "the producer reported 0.01 USD, which counts instead",
        ]
    );
    assert_eq!(
        lines[0].charge,
        [
            "0.01025125 USD × 1.3 × 10000 credits per USD = 133.26625 credits",
            "exactly 133.26625 credits; its share of the charge is 133.27",
        ]
    );
    assert_eq!(
        lines[1].cost,
        ["no computed cost: no_vendor_price (no price book in force has a price for the item)"]
    );
    assert_eq!(
        lines[1].charge,
        [
            "23 pages / 10, begun blocks counting whole, × 1 credits",
            "at least 2 credits",
            "charged 3 credits",
        ]
    );
    assert_eq!(
        explain_total(&catalogue, &rating),
        "136.26625 credits in all, rounded half to even to 2 decimals: 136.27 charged, \
         -0.00375 left over"
    );
}
