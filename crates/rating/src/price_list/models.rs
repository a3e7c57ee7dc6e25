//! Which models a `cost_plus` rule charges, and what comes out for each.
//!
//! A model is listed under a rule when some usage of it by customers can reach the rule: all that the price books say of it (model, provider,
//! meter, service tier) fits, and no earlier rule is sure to take it. What only an event knows (feature, team, status,
//! attributes) neither keeps a model out nor makes an earlier rule sure.

use std::sync::Arc;

use domain::{CatalogueId, Status, Traffic};
use serde::Serialize;

use super::{ListedMatch, ListedPrice, credits, pool_credits};
use crate::document::{Condition, Key, Price, PriceBook, Rates, Rule, When};
use crate::exact::Exact;
use crate::pattern::{Pattern, Patterns};
use crate::price::{STANDARD, row_for};

/// What one model of one provider, or a meter, takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedModel {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<Box<str>>,
    /// Other names that take the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Box<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meter: Option<Box<str>>,
    /// In the standard tier, when no condition holds. `None` when the rule is reached under conditions only.
    #[serde(flatten)]
    pub price: Option<ListedPrice>,
    /// Tried in order; the first that holds replaces the price.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ListedCondition>,
}

/// Another price, and what all has to hold for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedCondition {
    /// Holds when the item has more input-side tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_tokens_over: Option<u64>,
    /// `service_tier` and `attributes.<name>`; without a tier it is the standard one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<ListedMatch>,
    #[serde(flatten)]
    pub price: ListedPrice,
}

/// Whether traffic classes, a bit each, have customers' among them.
pub(super) const fn is_for_customers(traffic: u8) -> bool {
    traffic & (1 << Traffic::Customer.code()) != 0
}

/// How often something holds of the usage that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    Never,
    Sometimes,
    Always,
}

const fn always_or_never(holds: bool) -> Holds {
    if holds { Holds::Always } else { Holds::Never }
}

/// Usage that a row of a price book is about, under one of its names and one of its prices.
#[derive(Clone, Copy)]
struct Usage<'c> {
    price: &'c Price,
    name: Option<&'c str>,
    /// `None` is the standard tier.
    tiers: Option<&'c Patterns>,
}

/// The models of the books that reach the last of the rules, for customers of a plan.
pub(super) fn listed(
    rules: &[Rule],
    books: &[(CatalogueId, Arc<PriceBook>)],
    plan: Option<&str>,
    factor: &Exact,
) -> Vec<ListedModel> {
    let Some((rule, earlier_rules)) = rules.split_last() else { return Vec::new() };
    let reaches = |usage: Usage<'_>| {
        usage.under(rule, plan) > Holds::Never
            && earlier_rules.iter().all(|rule| usage.under(rule, plan) < Holds::Always)
    };
    let mut models: Vec<ListedModel> = Vec::new();
    for (place, (_, book)) in books.iter().enumerate() {
        for price in &book.prices {
            let from = models.len();
            for name in names(price) {
                let before = asked_before(&books[..place], price, name);
                let Some(listed) = model(price, name, &before, &reaches, factor) else { continue };
                // Names that take the same share one place.
                let same = models[from..].iter_mut().find(|other| {
                    (&other.price, &other.conditions) == (&listed.price, &listed.conditions)
                });
                match (same, listed.model) {
                    (Some(same), Some(name)) => same.aliases.push(name),
                    (_, model) => models.push(ListedModel { model, ..listed }),
                }
            }
        }
    }
    models
}

/// The model and its aliases; one place without a name for a meter alone.
fn names(price: &Price) -> impl Iterator<Item = Option<&str>> {
    let alone = price.model.is_none().then_some(None);
    alone.into_iter().chain(price.model.iter().chain(&price.aliases).map(|name| Some(&**name)))
}

/// The rows of earlier books that price the same usage first.
fn asked_before<'c>(
    books: &'c [(CatalogueId, Arc<PriceBook>)],
    price: &Price,
    name: Option<&str>,
) -> Vec<&'c Price> {
    let row_in = |book: &'c PriceBook| {
        let rows = book.rows(name, price.meter.as_deref()).into_iter().flatten();
        let mut found = rows.filter_map(|rows| match price.provider.as_deref() {
            // With a provider, no row is ambiguous.
            Some(provider) => row_for(rows, Some(provider)).ok().flatten(),
            None => rows.any_provider,
        });
        book.prices.get(usize::from(found.next()?))
    };
    books.iter().filter_map(|(_, book)| row_in(book)).collect()
}

fn model(
    price: &Price,
    name: Option<&str>,
    before: &[&Price],
    reaches: &impl Fn(Usage<'_>) -> bool,
    factor: &Exact,
) -> Option<ListedModel> {
    // An earlier book that has the model is passed over only for tiers that it does not price.
    let is_open = |tiers: Option<&Patterns>| {
        before.is_empty()
            || tiers.is_some_and(|tiers| {
                !tiers.matches(STANDARD)
                    && !before.iter().any(|price| tiers.iter().all(|tier| prices_tier(price, tier)))
            })
    };
    let is_listed =
        |tiers: Option<&Patterns>| is_open(tiers) && reaches(Usage { price, name, tiers });
    let standard = is_listed(None).then(|| in_credits(&price.rates, factor)).flatten();
    let conditions: Vec<_> = price
        .whens
        .iter()
        .filter(|when| is_listed(when.condition.service_tier.as_ref()))
        .filter_map(|when| condition(when, factor))
        .collect();
    if standard.is_none() && conditions.is_empty() {
        return None;
    }
    Some(ListedModel {
        model: name.map(Box::from),
        aliases: Vec::new(),
        provider: price.provider.clone(),
        meter: price.meter.clone(),
        price: standard,
        conditions,
    })
}

fn prices_tier(price: &Price, tier: &Pattern) -> bool {
    let tiers = price.whens.iter().filter_map(|when| when.condition.service_tier.as_ref());
    tiers.into_iter().any(|tiers| tiers.cover(tier))
}

fn in_credits(rates: &Rates, factor: &Exact) -> Option<ListedPrice> {
    Some(match rates {
        Rates::Tokens(rates) => ListedPrice::CreditsPerMillionTokens(pool_credits(rates, factor)),
        Rates::Unit(price) => ListedPrice::CreditsPerUnit(credits(*price, factor)?),
    })
}

fn condition(when: &When, factor: &Exact) -> Option<ListedCondition> {
    let Condition { prompt_tokens_over, service_tier, attributes } = &when.condition;
    let listed = |field: String, patterns: &Patterns| ListedMatch {
        field,
        values: patterns.iter().map(Pattern::to_string).collect(),
    };
    let tier = service_tier.iter().map(|tiers| listed("service_tier".to_owned(), tiers));
    let attributes =
        attributes.iter().map(|(name, values)| listed(format!("attributes.{name}"), values));
    Some(ListedCondition {
        prompt_tokens_over: *prompt_tokens_over,
        matches: tier.chain(attributes).collect(),
        price: in_credits(&when.rates, factor)?,
    })
}

impl Usage<'_> {
    /// How much of the usage matches a rule.
    fn under(self, rule: &Rule, plan: Option<&str>) -> Holds {
        let keys = rule.keys.iter().map(|key| self.holds(key, plan));
        keys.min().unwrap_or(Holds::Always)
    }

    fn holds(self, key: &Key, plan: Option<&str>) -> Holds {
        let named = |name: Option<&str>, patterns: &Patterns| {
            always_or_never(name.is_some_and(|name| patterns.matches(name)))
        };
        match key {
            Key::Traffic(bits) => always_or_never(is_for_customers(*bits)),
            Key::Status(bits) if bits.count_ones() as usize == Status::ALL.len() => Holds::Always,
            Key::Feature(patterns) if patterns.match_everything() => Holds::Always,
            Key::Status(_) | Key::Feature(_) | Key::Team(_) | Key::Attribute(..) => {
                Holds::Sometimes
            }
            Key::Plan(patterns) => named(plan, patterns),
            Key::Model(patterns) => named(self.name, patterns),
            Key::Meter(patterns) => named(self.price.meter.as_deref(), patterns),
            Key::Provider(patterns) => self.holds_provider(patterns),
            Key::ServiceTier(patterns) => self.holds_tier(patterns),
        }
    }

    /// Never more than sometimes: an event need not name its provider.
    fn holds_provider(self, patterns: &Patterns) -> Holds {
        let mut names = self.price.provider.iter().chain(&self.price.provider_aliases);
        match self.price.provider.is_none() || names.any(|name| patterns.matches(name)) {
            true => Holds::Sometimes,
            false => Holds::Never,
        }
    }

    fn holds_tier(self, patterns: &Patterns) -> Holds {
        let Some(tiers) = self.tiers else {
            return always_or_never(patterns.matches(STANDARD));
        };
        if tiers.iter().all(|tier| patterns.cover(tier)) {
            return Holds::Always;
        }
        let is_met = |tier: &Pattern| match tier {
            Pattern::Exact(tier) => patterns.matches(tier),
            // Two patterns may have a text in common.
            Pattern::Any | Pattern::Prefix(_) | Pattern::Glob(_) => true,
        };
        if tiers.iter().any(is_met) { Holds::Sometimes } else { Holds::Never }
    }
}
