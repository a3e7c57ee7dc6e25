//! Writing a price book as TOML.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use domain::{Currency, Pool, Timestamp};

use super::field::Variant;
use super::{ImportError, Model, Prices, number};
use crate::decimal::Decimal;

/// Attribute values that have to hold together, and what they multiply prices by.
type Factor = (Vec<(&'static str, String)>, Decimal);
type PoolPrices = BTreeMap<Pool, Decimal>;

pub(super) fn book(
    models: &[Model],
    effective_from: Timestamp,
    id: &str,
    currency: Currency,
) -> Result<String, ImportError> {
    let mut text = format!(
        "# Made from LiteLLM's price map (MIT licence, BerriAI/litellm).\nid = {}\n\
         effective_from = {}\ncurrency = {}\n",
        quoted(id),
        quoted(&effective_from.to_string()),
        quoted(currency.as_str()),
    );
    for model in models {
        write_tokens(&mut text, model)
            .ok_or_else(|| ImportError::TooManyDigits(model.name.clone()))?;
        for (meter, price) in &model.prices.units {
            write_head(&mut text, model);
            line(&mut text, "meter", &quoted(meter));
            line(&mut text, "per_unit", &quoted(&price.to_string()));
        }
        write_searches(&mut text, model);
    }
    Ok(text)
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string cannot fail.
    let written = writeln!(text, "{key} = {value}");
    debug_assert!(written.is_ok());
}

fn write_head(text: &mut String, model: &Model) {
    text.push_str("\n[[price]]\n");
    line(text, "model", &quoted(&model.name));
    if !model.aliases.is_empty() {
        let aliases: Vec<_> = model.aliases.iter().map(|alias| quoted(alias)).collect();
        line(text, "aliases", &format!("[{}]", aliases.join(", ")));
    }
    let Some(provider) = &model.provider else { return };
    line(text, "provider", &quoted(provider));
    // LiteLLM splits some providers by endpoint; events name the provider as a whole.
    let whole = match provider.as_str() {
        "text-completion-openai" => Some("openai"),
        other => {
            other.split_once('-').map(|(whole, _)| whole).filter(|whole| *whole == "vertex_ai")
        }
    };
    if let Some(whole) = whole {
        line(text, "provider_aliases", &format!("[{}]", quoted(whole)));
    }
}

fn per_million(prices: &PoolPrices) -> String {
    let pools: Vec<_> =
        prices.iter().map(|(pool, price)| format!("{} = \"{price}\"", pool.name())).collect();
    format!("{{ {} }}", pools.join(", "))
}

/// `None` when a multiplied price has too many digits.
fn write_tokens(text: &mut String, model: &Model) -> Option<()> {
    let prices = &model.prices;
    if prices.tokens.is_empty() {
        return Some(());
    }
    write_head(text, model);
    let base = prices.tokens.get(&Variant { tier: None, over: None }).cloned().unwrap_or_default();
    line(text, "per_million_tokens", &per_million(&base));
    for (attributes, factor) in factors(prices)? {
        for variant in variants(prices) {
            let is_base = variant == Variant { tier: None, over: None };
            if is_base && attributes.is_empty() {
                continue;
            }
            let named = named_under(prices, variant);
            let replaced = match attributes.is_empty() {
                // Without a factor, the base's other prices stay.
                true => named,
                // With one, every price changes.
                false => {
                    let mut all = base.clone();
                    all.extend(named);
                    all
                }
            };
            let replaced: PoolPrices = replaced
                .into_iter()
                .map(|(pool, price)| Some((pool, number::product(price, factor)?)))
                .collect::<Option<_>>()?;
            if replaced.is_empty() {
                continue;
            }
            text.push_str("[[price.when]]\n");
            for (attribute, value) in &attributes {
                line(text, &quoted(&format!("attributes.{attribute}")), &quoted(value));
            }
            if let Some(tier) = variant.tier {
                line(text, "service_tier", &quoted(tier));
            }
            if let Some(over) = variant.over {
                line(text, "prompt_tokens_over", &over.to_string());
            }
            line(text, "per_million_tokens", &per_million(&replaced));
        }
    }
    Some(())
}

/// The conditions in the order in which they have to be tried: larger thresholds first.
fn variants(prices: &Prices) -> Vec<Variant> {
    let mut variants: BTreeSet<Variant> = prices.tokens.keys().copied().collect();
    variants.insert(Variant { tier: None, over: None });
    let mut variants: Vec<Variant> = variants.into_iter().collect();
    variants.sort_by_key(|variant| (variant.tier, std::cmp::Reverse(variant.over)));
    variants
}

/// All prices that the map names for the tier at a prompt's length: each threshold replaces what
/// the smaller ones say.
fn named_under(prices: &Prices, variant: Variant) -> PoolPrices {
    let mut named = PoolPrices::new();
    let of_tier = prices.tokens.iter().filter(|(other, _)| {
        other.tier == variant.tier
            && other.over <= variant.over
            // The base's own prices stay in force without being named again.
            && (other.tier.is_some() || other.over.is_some())
    });
    for (_, pools) in of_tier {
        named.extend(pools.iter().map(|(pool, price)| (*pool, *price)));
    }
    named
}

/// Every combination of the multipliers, one value per attribute, the larger combinations first.
fn factors(prices: &Prices) -> Option<Vec<Factor>> {
    let mut factors: Vec<Factor> = vec![(Vec::new(), Decimal::ONE)];
    let attributes: BTreeSet<&'static str> =
        prices.multipliers.keys().map(|(attribute, _)| *attribute).collect();
    for attribute in attributes {
        let values = prices.multipliers.iter().filter(|((of, _), _)| *of == attribute);
        let added: Option<Vec<Factor>> = values
            .flat_map(|((_, value), factor)| {
                factors.iter().map(move |(sofar, product)| {
                    let mut longer = sofar.clone();
                    longer.push((attribute, value.clone()));
                    Some((longer, number::product(*product, *factor)?))
                })
            })
            .collect();
        factors.extend(added?);
    }
    factors.sort_by_key(|(attributes, _)| std::cmp::Reverse(attributes.len()));
    Some(factors)
}

fn write_searches(text: &mut String, model: &Model) {
    let Some(searches) = &model.prices.searches else { return };
    write_head(text, model);
    line(text, "meter", "\"web_search\"");
    line(text, "per_unit", &quoted(&searches.usual.to_string()));
    for (size, price) in searches.by_size.iter().filter(|(_, price)| **price != searches.usual) {
        text.push_str("[[price.when]]\n");
        line(text, "\"attributes.search_context_size\"", &quoted(size));
        line(text, "per_unit", &quoted(&price.to_string()));
    }
}
