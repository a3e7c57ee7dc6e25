//! What would price an event that nothing prices: in words, and as lines of TOML to fill in.

use std::fmt::Write;

use domain::{CatalogueId, Item, Measure, Reason, Timestamp, UsageEvent};
use rating::{Catalogue, PriceBook};

/// What stands where a person has to decide.
const OPEN: &str = "?";

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Covering {
    pub(crate) words: String,
    /// The rate card that prices the account.
    pub(crate) rate_card: Option<String>,
    /// Kind and id of the document that it belongs in, where there is one already.
    pub(crate) document: Option<String>,
    /// Empty when no line of a document would do.
    pub(crate) toml: String,
}

/// What would cover an event, under today's catalogue.
pub(crate) fn of(catalogue: &Catalogue, event: &UsageEvent<'_>, plan: Option<&str>) -> Covering {
    let card = catalogue.rate_card_for(plan, event.time);
    let name = |id| catalogue.version(id).map(|version| version.document.id().to_owned());
    let rate_card = card.and_then(|(id, _)| name(id));
    let of_card = rate_card.as_ref().map(|id| format!("rate card {id}"));
    let why = match rating::rate(catalogue, event, plan) {
        Err(why) => why,
        Ok(_) => {
            return Covering {
                words: "a price covers it now: it is charged in a moment".to_owned(),
                rate_card,
                document: None,
                toml: String::new(),
            };
        }
    };
    let item = why.item.and_then(|item| event.items.get(item));
    let book = book_for(catalogue, item, event.time).and_then(name);
    let book = book.map_or_else(|| "a price book".to_owned(), |id| format!("price book {id}"));
    let (words, document, toml) = match why.reason {
        Reason::NoVendorPrice => (
            format!("the rule charges by vendor cost, and no price book in force has a price for {}", what(item)),
            Some(book),
            item.map(price).unwrap_or_default(),
        ),
        Reason::NoPriceForPool => (
            format!("the price of {} has no rate for {}", what(item), why.value),
            Some(book),
            item.map(price).unwrap_or_default(),
        ),
        Reason::NoPriceForServiceTier => (
            format!("the price of {} says nothing of service tier {}", what(item), why.value),
            Some(book),
            item.map(|item| price_of_tier(item, &why.value)).unwrap_or_default(),
        ),
        Reason::AmbiguousProvider => (
            format!(
                "several providers have a price for {}: have the producer send `provider`, or \
                 publish a book that has one price for it",
                what(item)
            ),
            Some(book),
            item.map(price).unwrap_or_default(),
        ),
        Reason::NoRule => (
            format!("no rule of the rate card matches {}", what(item)),
            of_card,
            item.map(|item| rule(item, event)).unwrap_or_default(),
        ),
        Reason::ChargeDoesNotFit => (
            format!("the rule that matches cannot charge {}: put a rule of its own before it", what(item)),
            of_card,
            item.map(|item| rule(item, event)).unwrap_or_default(),
        ),
        Reason::NoRateCard => (
            "no rate card is in force for the account: publish one, or say which one is the default"
                .to_owned(),
            None,
            defaults(event.time),
        ),
        other => (other.row().about.to_owned(), None, String::new()),
    };
    Covering { words, rate_card, document, toml }
}

/// The book that has a price for the item, or else the first that is asked.
fn book_for(
    catalogue: &Catalogue,
    item: Option<&Item<'_>>,
    time: Timestamp,
) -> Option<CatalogueId> {
    let model = item.and_then(|item| item.model.as_deref());
    let mut books = catalogue.price_books(time);
    let knows = |book: &PriceBook| {
        book.prices.iter().any(|price| model.is_some() && price.model.as_deref() == model)
    };
    let first = catalogue.price_books(time).next().map(|(id, _)| id);
    books.find(|(_, book)| knows(book)).map(|(id, _)| id).or(first)
}

fn what(item: Option<&Item<'_>>) -> String {
    let Some(item) = item else { return "the event".to_owned() };
    match (item.model.as_deref(), item.meter()) {
        (Some(model), Some(meter)) => format!("meter {meter} of {model}"),
        (Some(model), None) => format!("model {model}"),
        (None, Some(meter)) => format!("meter {meter}"),
        (None, None) => "the item".to_owned(),
    }
}

/// A text in TOML: JSON's escapes are among TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn price(item: &Item<'_>) -> String {
    let mut toml = "[[price]]\n".to_owned();
    let mut line = |name: &str, text: Option<&str>| {
        if let Some(text) = text {
            // Writing to a string cannot fail.
            writeln!(toml, "{name} = {}", quoted(text)).ok();
        }
    };
    line("model", item.model.as_deref());
    line("provider", item.provider.as_deref());
    line("meter", item.meter());
    toml + &rates(item)
}

/// Goes under the price that there is.
fn price_of_tier(item: &Item<'_>, tier: &str) -> String {
    let (what, rates) = (what(Some(item)), rates(item));
    format!("# under the price of {what}\n[[price.when]]\nservice_tier = {}\n{rates}", quoted(tier))
}

fn rates(item: &Item<'_>) -> String {
    match &item.measure {
        Measure::Meter { .. } => format!("per_unit = {}\n", quoted(OPEN)),
        Measure::Tokens(pools) => {
            let pools: Vec<String> = pools
                .nonzero()
                .map(|(pool, _)| format!("{} = {}", pool.name(), quoted(OPEN)))
                .collect();
            format!("per_million_tokens = {{ {} }}\n", pools.join(", "))
        }
    }
}

fn rule(item: &Item<'_>, event: &UsageEvent<'_>) -> String {
    let mut keys = Vec::new();
    for (name, text) in [("model", item.model.as_deref()), ("meter", item.meter())] {
        if let Some(text) = text {
            keys.push(format!("{name} = {}", quoted(text)));
        }
    }
    keys.push(format!("feature = {}", quoted(&event.feature)));
    let charge = match &item.measure {
        Measure::Tokens(_) => "cost_plus",
        Measure::Meter { .. } => "credits_per_unit",
    };
    format!(
        "[[rule]]\nname = {}\nmatch = {{ {} }}\ncharge = {{ {charge} = {} }}\n",
        quoted(&what(Some(item))),
        keys.join(", "),
        quoted(OPEN)
    )
}

fn defaults(from: Timestamp) -> String {
    format!(
        "id = \"defaults\"\neffective_from = \"{from}\"\ndefault_rate_card = {}\n",
        quoted(OPEN)
    )
}

#[cfg(test)]
mod tests {
    use rating::Document;
    use serde_json::json;

    use super::*;

    const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 4

[[rule]]
name = "models"
match = { model = "*" }
charge = { cost_plus = "1.3" }
"#;
    const BOOK: &str = r#"
id = "vendors"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"

[[price]]
model = "a"
per_million_tokens = { output = "1" }
"#;

    fn catalogue(documents: &[&str]) -> Catalogue {
        let mut catalogue = Catalogue::new();
        for (offset, toml) in (0..).zip(documents) {
            catalogue.apply(CatalogueId(offset), Document::parse(toml).unwrap()).unwrap();
        }
        catalogue
    }

    fn covering(documents: &[&str], item: serde_json::Value) -> Covering {
        let event =
            json!({ "specversion": "1.0", "type": "tally.usage.v1", "source": "/a", "id": "1",
            "time": "2026-11-20T12:00:00Z", "subject": "a",
            "data": { "feature": "say \"hi\"", "items": [item] } })
            .to_string();
        let decoded = wire::decode_usage(event.as_bytes()).unwrap();
        of(&catalogue(documents), &decoded.event, None)
    }

    /// Lines that say what is missing are lines that can be published once they are filled in.
    #[test]
    fn what_is_missing_covers_it_once_filled_in() {
        let tokens = |model: &str| json!({ "model": model, "tokens": { "input": 5, "output": 1 } });
        let missing = [
            (tokens("b"), BOOK, "no price book"),
            (tokens("a"), BOOK, "no rate for input"),
            (json!({ "meter": "pages", "quantity": "2" }), CARD, "no rule"),
        ];
        for (item, base, words) in missing {
            let found = covering(&[CARD, BOOK], item.clone());
            assert!(found.words.contains(words), "{found:?}");
            assert_eq!(found.rate_card.as_deref(), Some("standard"));
            let filled = found.toml.replace("\"?\"", "\"2\"");
            // In its own document, before what is there already.
            let (head, rest) = base.split_once("\n[[").unwrap();
            let mended = match found.words.contains("no rate for") {
                true => format!("{head}\n{filled}"),
                false => format!("{head}\n{filled}\n[[{rest}"),
            };
            let mended = mended.replace("2023-01-01", "2024-01-01");
            let now = covering(&[CARD, BOOK, &mended], item);
            assert!(now.words.contains("covers it now"), "{now:?}\n{mended}");
        }
    }

    #[test]
    fn a_tier_goes_under_the_price_that_there_is() {
        let book =
            format!("{BOOK}[[price]]\nmodel = \"t\"\nper_million_tokens = {{ input = \"1\" }}\n");
        let item = json!({ "model": "t", "service_tier": "batch", "tokens": { "input": 5 } });
        let found = covering(&[CARD, &book], item.clone());
        assert!(found.words.contains("service tier batch"), "{found:?}");
        assert_eq!(found.document.as_deref(), Some("price book vendors"));
        let lines: String = found.toml.replace("\"?\"", "\"2\"");
        let mended = format!("{book}{lines}").replace("2023-01-01", "2024-01-01");
        let now = covering(&[CARD, &book, &mended], item);
        assert!(now.words.contains("covers it now"), "{now:?}\n{mended}");
    }

    #[test]
    fn without_a_rate_card_the_default_is_what_is_missing() {
        let found = covering(&[], json!({ "meter": "pages", "quantity": "2" }));
        assert_eq!(found.rate_card, None);
        assert!(found.toml.contains("default_rate_card = \"?\""), "{found:?}");
    }
}
