//! The documents that the tests publish: the vendors' price list, meters, and two versions of a rate
//! card, the second of which holds from the middle of the events' times.

use std::borrow::Cow;

use anyhow::Context;
use domain::{Currency, Timestamp};
use wire::{CatalogueVersion, DocumentKind};

/// The vendors' price list as LiteLLM publishes it.
pub const PRICE_LIST: &str = include_str!("../../crates/rating/tests/data/model_prices.json");

/// Prices that the list does not have.
pub const METERS: &str = r#"
id = "meters"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
[[price]]
meter = "compute_seconds"
per_unit = "0.0008"
[[price]]
model = "image-xl"
meter = "image"
per_unit = "0.0417"
"#;

/// Published while the load runs: until then usage of this model has no price.
pub const HOUSE: &str = r#"
id = "house"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
[[price]]
model = "house-llm"
provider = "house"
per_million_tokens = { input = "0.93", output = "1.71" }
"#;

pub const FIRST_CARD: &str = r#"
id = "standard"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "10000"
credit_decimals = 4
rounding = "half_even"
[[rule]]
name = "internal traffic is free"
match = { traffic = ["internal", "test"] }
charge = { free = true }
[[rule]]
name = "a summary, however many model calls it takes"
match = { feature = "summarize" }
charge = { credits_per_event = "50" }
[[rule]]
name = "a workflow run"
match = { meter = "workflow_run" }
charge = { credits_per_unit = "500" }
[[rule]]
name = "pages, in blocks of ten"
match = { meter = "pages" }
charge = { credits_per_unit = "1", unit = "10", partial_unit = "up" }
[[rule]]
name = "small chat models by token"
match = { model = "gpt-4o-mini*", feature = ["chat", "translate"] }
charge = { tokens_per_credit = "7000" }
[[rule]]
name = "agents on claude"
match = { model = "claude*", feature = "agent" }
charge = { price_per_million_tokens = { input = "4.1", output = "17.3", cache_read = "0.7" }, minimum_credits = "2.5" }
[[rule]]
name = "every other model"
match = { model = "*" }
charge = { cost_plus = "1.30", plus_credits = "0.05" }
[[rule]]
name = "compute"
match = { meter = "compute_seconds" }
charge = { credits_per_unit = "0.37" }
"#;

/// The second version: from `effective_from` on.
pub fn second_card(effective_from: Timestamp) -> String {
    FIRST_CARD
        .replace("2020-01-01T00:00:00Z", &effective_from.to_string())
        .replace("credit_decimals = 4", "credit_decimals = 3")
        .replace("half_even", "up")
        .replace("\"7000\"", "\"6000\"")
        .replace("\"1.30\"", "\"1.37\"")
}

/// A version that is published while a load runs.
pub fn later_card(effective_from: Timestamp, number: i64) -> String {
    FIRST_CARD
        .replace("2020-01-01T00:00:00Z", &effective_from.to_string())
        .replace("\"1.30\"", &format!("\"1.{}\"", 40 + number))
        .replace("\"0.37\"", &format!("\"0.{}\"", 41 + number))
        .replace("\"500\"", &format!("\"{}\"", 500 + number))
}

/// The price list as a document of tally's own.
pub fn price_list_document() -> anyhow::Result<String> {
    let since = "2020-01-01T00:00:00Z".parse()?;
    let import = rating::import_litellm(PRICE_LIST, since, "vendors", Currency::USD)
        .context("the vendors' price list")?;
    Ok(import.toml)
}

/// A record of `rates.catalog`.
pub fn record(kind: DocumentKind, id: &str, toml: &str, published_at: Timestamp) -> Vec<u8> {
    let version = CatalogueVersion {
        kind,
        id: Cow::Borrowed(id),
        effective_from: Timestamp::ZERO,
        toml: Cow::Borrowed(toml),
        content: wire::document_hash(toml),
        published_at,
        actor: Cow::Borrowed("e2e"),
        reason: Cow::Borrowed("end to end"),
        // It is of no moment to who folds it: only who publishes through the API is asked.
        retroactive: false,
    };
    let mut value = Vec::new();
    wire::encode_catalogue_version(&version, &mut value);
    value
}
