//! Vendor costs a second time: fractions, read straight from the vendors' price list and from the
//! books' text. Nothing of crate `rating` is used.

use std::collections::BTreeMap;

use anyhow::{Context, anyhow};
use domain::{Item, Measure, Pool, Side};
use num_bigint::BigInt;
use num_rational::BigRational;
use serde_json::value::RawValue;

pub type Fraction = BigRational;

/// The price list's fields, by pool.
const FIELDS: [(Pool, &str); 7] = [
    (Pool::Input, "input_cost_per_token"),
    (Pool::Output, "output_cost_per_token"),
    (Pool::CacheRead, "cache_read_input_token_cost"),
    (Pool::CacheWrite, "cache_creation_input_token_cost"),
    (Pool::CacheWrite1h, "cache_creation_input_token_cost_above_1hr"),
    (Pool::AudioInput, "input_cost_per_audio_token"),
    (Pool::Reasoning, "output_cost_per_reasoning_token"),
];
const USUAL: &str = "";
const LONG_PROMPT: &str = "long prompt";
const LONG_PROMPT_TOKENS: u64 = 200_000;
/// The fields' endings, by what they hold for.
const VARIANTS: [(&str, &str); 5] = [
    (USUAL, ""),
    (LONG_PROMPT, "_above_200k_tokens"),
    ("batch", "_batches"),
    ("flex", "_flex"),
    ("priority", "_priority"),
];

/// What vendors charge.
#[derive(Clone, Debug, Default)]
pub struct PriceMap {
    /// Per token, by model, then by variant and pool.
    tokens: BTreeMap<String, BTreeMap<(String, Pool), Fraction>>,
    /// Per unit, by model (empty for none) and meter.
    units: BTreeMap<(String, String), Fraction>,
}

impl PriceMap {
    /// Takes some models of LiteLLM's list.
    ///
    /// # Errors
    /// A list that is no JSON, or a model that it does not have.
    pub fn add_list(&mut self, json: &str, models: &[&str]) -> anyhow::Result<()> {
        let list: BTreeMap<String, &RawValue> = serde_json::from_str(json)?;
        for model in models {
            let entry = list.get(*model).with_context(|| format!("no {model} in the list"))?;
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(entry.get())?;
            let rates = self.tokens.entry((*model).to_owned()).or_default();
            for (pool, field) in FIELDS {
                for (variant, ending) in VARIANTS {
                    if let Some(value) = fields.get(&format!("{field}{ending}")) {
                        rates.insert((variant.to_owned(), pool), decimal(value.get())?);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes a book in tally's own form, without conditions.
    ///
    /// # Errors
    /// Text that is no such book.
    pub fn add_book(&mut self, toml: &str) -> anyhow::Result<()> {
        let book: toml::Table = toml.parse()?;
        for price in book.get("price").and_then(toml::Value::as_array).context("no prices")? {
            let text = |key: &str| {
                price.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned()
            };
            if let Some(rates) = price.get("per_million_tokens") {
                let of_model = self.tokens.entry(text("model")).or_default();
                for (pool, rate) in pool_rates(rates)? {
                    of_model.insert((USUAL.to_owned(), pool), rate);
                }
            } else {
                self.units.insert((text("model"), text("meter")), decimal(&text("per_unit"))?);
            }
        }
        Ok(())
    }

    /// The exact cost of an item; `None` when no price covers it.
    pub fn cost(&self, item: &Item<'_>) -> Option<Fraction> {
        let model = item.model.as_deref().unwrap_or_default();
        match &item.measure {
            Measure::Meter { meter, quantity } => {
                let price = self
                    .units
                    .get(&(model.to_owned(), meter.to_string()))
                    .or_else(|| self.units.get(&(String::new(), meter.to_string())))?;
                Some(price * atoms(quantity.atoms()))
            }
            Measure::Tokens(pools) => {
                let rates = self.tokens.get(model)?;
                let has = |variant: &str| rates.keys().any(|(named, _)| named == variant);
                let variant = match item.service_tier.as_deref() {
                    None | Some("standard") => {
                        let long = pools.side(Side::Input) > LONG_PROMPT_TOKENS;
                        if long && has(LONG_PROMPT) { LONG_PROMPT } else { USUAL }
                    }
                    Some(tier) if has(tier) => tier,
                    Some(_) => return None,
                };
                let own = |pool: Pool| {
                    let named = |variant: &str| rates.get(&(variant.to_owned(), pool)).cloned();
                    named(variant).or_else(|| named(USUAL))
                };
                tokens_at(pools, own)
            }
        }
    }
}

/// Σ count × price, where a pool without a price takes the one that it falls back to.
pub(crate) fn tokens_at(
    pools: &domain::Pools,
    own: impl Fn(Pool) -> Option<Fraction>,
) -> Option<Fraction> {
    let mut sum = whole(0);
    for (pool, count) in pools.nonzero() {
        let mut at = Some(pool);
        let mut price = None;
        while let (None, Some(asked)) = (&price, at) {
            price = own(asked);
            at = asked.fallback();
        }
        sum += price? * whole(i128::from(count));
    }
    Some(sum)
}

/// Prices per million tokens, as prices per token.
pub(crate) fn pool_rates(table: &toml::Value) -> anyhow::Result<BTreeMap<Pool, Fraction>> {
    let rates = table.as_table().context("not a table of pools")?;
    rates
        .iter()
        .map(|(name, rate)| {
            let pool = Pool::from_name(name).with_context(|| format!("no pool {name}"))?;
            let rate = decimal(rate.as_str().context("a price is a text")?)?;
            Ok((pool, rate / whole(1_000_000)))
        })
        .collect()
}

pub(crate) fn whole(number: i128) -> Fraction {
    Fraction::from_integer(BigInt::from(number))
}

/// An amount in steps of 10⁻¹².
pub(crate) fn atoms(steps: i128) -> Fraction {
    whole(steps) / whole(domain::SCALE)
}

/// `12.5`, `3.3333333333333335e-05`: every digit as it is written.
pub(crate) fn decimal(text: &str) -> anyhow::Result<Fraction> {
    let bad = || anyhow!("{text:?} is not a number");
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| bad())?),
        None => (text, 0),
    };
    let (units, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: BigInt = format!("{units}{decimals}").parse().map_err(|_| bad())?;
    let places = exponent - i32::try_from(decimals.len()).map_err(|_| bad())?;
    let power = Fraction::from_integer(BigInt::from(10).pow(places.unsigned_abs()));
    let number = Fraction::from_integer(digits);
    Ok(if places < 0 { number / power } else { number * power })
}
