//! LiteLLM's price map (`model_prices_and_context_window.json`) as a price book.
//!
//! | in the map | in the book |
//! |---|---|
//! | per-token prices | `per_million_tokens`, by pool |
//! | `…_above_<n>k_tokens` | a condition `prompt_tokens_over` |
//! | `…_batches`, `…_flex`, `…_priority` | a condition `service_tier` |
//! | prices per image, second, character, query, page | a meter of the model (see `field`) |
//! | `search_context_cost_per_query` | the meter `web_search`, by `attributes.search_context_size`; medium when the event names none |
//! | `regional_processing_uplift_multiplier_<geo>` | the prices times it, under `attributes.inference_geo` |
//! | `provider_specific_entry`: `fast`, a geography | the same, under `attributes.speed` and `attributes.inference_geo` |
//! | a dated name with its undated model's very prices | an alias |
//!
//! Numbers are read as text: `3.3333333333333335e-05` keeps every digit. What bears on prices and
//! has no form here is listed, never dropped.

mod field;
mod number;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use domain::{Currency, Pool, Timestamp};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decimal::Decimal;
use crate::document::{Document, DocumentError};
use field::{Field, Variant};

/// A price book made of a price map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The book, in tally's own form. It parses.
    pub toml: String,
    /// How many models it prices, aliases included.
    pub models: usize,
    /// What bears on prices and is not in the book.
    pub listed: Vec<NotRepresented>,
}

/// A field that the book does not carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRepresented {
    pub model: String,
    pub field: String,
    /// The value as the map writes it.
    pub value: String,
}

/// Why there is no book.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("not a price map: {0}")]
    NotAPriceMap(#[from] serde_json::Error),
    #[error("the model `{0}` stands twice")]
    RepeatedModel(String),
    #[error("the prices of `{0}` times their multipliers need more than 38 digits")]
    TooManyDigits(String),
    #[error("the book would not be valid: {0}")]
    Document(#[from] DocumentError),
}

/// A JSON object as it is written: repeated keys stay visible, values stay text.
struct Pairs<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Pairs<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Collect<T> {
            type Value = Pairs<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<T>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect(std::marker::PhantomData))
    }
}

/// One model of the map, sorted out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Model {
    name: String,
    aliases: Vec<String>,
    provider: Option<String>,
    prices: Prices,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Prices {
    /// Per million tokens.
    tokens: BTreeMap<Variant, BTreeMap<Pool, Decimal>>,
    /// Per unit, by meter.
    units: BTreeMap<&'static str, Decimal>,
    searches: Option<Searches>,
    /// Factors by attribute and value.
    multipliers: BTreeMap<(&'static str, String), Decimal>,
}

/// Prices per web search.
#[derive(Debug, PartialEq, Eq)]
struct Searches {
    /// When the event names no size.
    usual: Decimal,
    /// By the size of the search context.
    by_size: BTreeMap<String, Decimal>,
}

/// The search context that is assumed when an event names none.
const USUAL_SEARCH: &str = "medium";

/// Reads a price map into a price book document.
///
/// # Errors
/// JSON that is not an object of objects, a model that stands twice, or a book that tally itself
/// would refuse (an `id` that is empty, no model at all).
pub fn import_litellm(
    json: &str,
    effective_from: Timestamp,
    id: &str,
    currency: Currency,
) -> Result<Import, ImportError> {
    let map: Pairs<&RawValue> = serde_json::from_str(json)?;
    let mut models = Vec::new();
    let mut listed = Vec::new();
    for (name, entry) in map.0 {
        // The map documents itself with an entry that is no model.
        if name == "sample_spec" {
            let value = "the map's own documentation".to_owned();
            listed.push(NotRepresented { model: name, field: String::new(), value });
            continue;
        }
        let fields: Pairs<&RawValue> = serde_json::from_str(entry.get())?;
        models.push(read_model(name, &fields.0, &mut listed));
    }
    models.sort_by(|a: &Model, b| a.name.cmp(&b.name));
    if let Some(pair) = models.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(ImportError::RepeatedModel(pair[0].name.clone()));
    }
    models.retain(|model| model.prices != Prices::default());
    let models = with_aliases(models);
    let toml = write::book(&models, effective_from, id, currency)?;
    Document::parse(&toml)?;
    let models = models.iter().map(|model| 1 + model.aliases.len()).sum();
    Ok(Import { toml, models, listed })
}

fn read_model(
    name: String,
    fields: &[(String, &RawValue)],
    listed: &mut Vec<NotRepresented>,
) -> Model {
    let mut model = Model { name, ..Model::default() };
    for (field, value) in fields {
        if !read_field(&mut model, field, value.get()) {
            listed.push(NotRepresented {
                model: model.name.clone(),
                field: field.clone(),
                value: value.get().to_owned(),
            });
        }
    }
    if model.prices == Prices::default() {
        // A model without any price is told apart from a price that was missed.
        listed.push(NotRepresented {
            model: model.name.clone(),
            field: String::new(),
            value: "no price".to_owned(),
        });
    }
    model
}

/// Takes a field into the model; false when it bears on prices and has no form in a book.
fn read_field(model: &mut Model, name: &str, value: &str) -> bool {
    let prices = &mut model.prices;
    match Field::of(name) {
        Field::NoPrice => true,
        // Says how `search_context_cost_per_query` counts, which is how the meter counts.
        Field::Unknown => (name, value) == ("web_search_billing_unit", "\"per_query\""),
        Field::Provider => {
            model.provider = serde_json::from_str(value).ok();
            model.provider.is_some()
        }
        Field::Tokens { pool, variant } => number::decimal(value, 6)
            .is_some_and(|price| put(prices.tokens.entry(variant).or_default(), pool, price)),
        Field::Unit { meter, shift } => {
            number::decimal(value, shift).is_some_and(|price| put(&mut prices.units, meter, price))
        }
        Field::SearchContext => read_searches(value).is_some_and(|found| {
            prices.searches = Some(found);
            true
        }),
        Field::Multiplier { attribute, value: of } => number::decimal(value, 0)
            .is_some_and(|factor| put(&mut prices.multipliers, (attribute, of), factor)),
        Field::ProviderSpecific => read_multipliers(value).is_some_and(|found| {
            found.into_iter().all(|(key, factor)| put(&mut prices.multipliers, key, factor))
        }),
    }
}

/// False when another field gave the same thing another price.
fn put<K: Ord>(prices: &mut BTreeMap<K, Decimal>, key: K, price: Decimal) -> bool {
    *prices.entry(key).or_insert(price) == price
}

/// All sizes or nothing, a part of the object would be lost otherwise; and one of them must be
/// what an event that names no size costs.
fn read_searches(value: &str) -> Option<Searches> {
    let mut by_size = BTreeMap::new();
    for (key, price) in serde_json::from_str::<Pairs<&RawValue>>(value).ok()?.0 {
        let size = key.strip_prefix("search_context_size_")?;
        by_size.insert(size.to_owned(), number::decimal(price.get(), 0)?);
    }
    let first = *by_size.values().next()?;
    let usual = match by_size.get(USUAL_SEARCH) {
        Some(usual) => *usual,
        None if by_size.values().all(|price| *price == first) => first,
        None => return None,
    };
    Some(Searches { usual, by_size })
}

/// Anthropic's entries: `fast` is a speed, two letters are a geography.
fn read_multipliers(value: &str) -> Option<Vec<((&'static str, String), Decimal)>> {
    let pairs = serde_json::from_str::<Pairs<&RawValue>>(value).ok()?.0;
    let factor = |(key, factor): (String, &RawValue)| {
        let attribute = match key.as_str() {
            "fast" => "speed",
            geography if geography.len() == 2 => "inference_geo",
            _ => return None,
        };
        Some(((attribute, key), number::decimal(factor.get(), 0)?))
    };
    pairs.into_iter().map(factor).collect()
}

/// Makes dated names aliases of their undated model where provider and prices are the same.
fn with_aliases(models: Vec<Model>) -> Vec<Model> {
    let mut kept: Vec<Model> = Vec::with_capacity(models.len());
    // Sorted by name, an undated model comes before its dated ones.
    for model in models {
        let same = undated(&model.name).and_then(|base| {
            kept.iter_mut().find(|other| {
                other.name == base
                    && other.provider == model.provider
                    && other.prices == model.prices
            })
        });
        match same {
            Some(base) => base.aliases.push(model.name),
            None => kept.push(model),
        }
    }
    kept
}

/// `gpt-4o` of `gpt-4o-2024-08-06`, `claude-3-haiku` of `claude-3-haiku-20240307`.
fn undated(name: &str) -> Option<&str> {
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (base, last) = name.rsplit_once(['-', '@'])?;
    if last.len() == 8 && is_digits(last) {
        return Some(base);
    }
    let at = name.len().checked_sub("-2024-08-06".len())?;
    let date = name.get(at..)?.strip_prefix('-')?;
    let parts: Vec<&str> = date.split('-').collect();
    let is_date =
        parts.iter().map(|part| part.len()).eq([4, 2, 2]) && parts.iter().all(|p| is_digits(p));
    is_date.then(|| &name[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_at_the_end_of_a_name() {
        for (name, base) in [
            ("gpt-4o-2024-08-06", Some("gpt-4o")),
            ("claude-3-haiku-20240307", Some("claude-3-haiku")),
            ("gemini-2.0-flash-001", None),
            ("gpt-4o", None),
            ("o1", None),
        ] {
            assert_eq!(undated(name), base, "{name}");
        }
    }
}
