//! Price books: what vendors charge.

use domain::{Currency, Pool};
use hashbrown::HashMap;
use smallvec::SmallVec;
use toml::Table;

use super::error::{DocumentError, DocumentFault};
use super::fields::{AttributeKeys, Fields, Place};
use super::{ROWS_MAX, rate_card::normal_tiers};
use crate::decimal::Decimal;
use crate::pattern::Patterns;
use crate::rates::TokenRates;

pub(super) const KEYS: &[&str] =
    &["id", "effective_from", "effective_to", "version", "description", "currency", "price"];
const PRICE_KEYS: &[&str] = &[
    "model",
    "aliases",
    "provider",
    "provider_aliases",
    "meter",
    "per_million_tokens",
    "per_unit",
    "when",
];
const WHEN_KEYS: &[&str] =
    &["prompt_tokens_over", "service_tier", "per_million_tokens", "per_unit"];

type Read<T> = Result<T, DocumentError>;

/// Vendor unit costs in one currency, with the rows found by model and meter.
#[derive(Clone, Debug)]
pub struct PriceBook {
    pub currency: Currency,
    /// The rows, in the document's order.
    pub prices: Vec<Price>,
    /// Rows with token prices, by model name or alias.
    tokens: HashMap<Box<str>, ModelRows>,
    /// Rows with a price per unit, by meter.
    meters: HashMap<Box<str>, MeterRows>,
}

/// One `[[price]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub model: Option<Box<str>>,
    pub aliases: Vec<Box<str>>,
    pub provider: Option<Box<str>>,
    /// Other names that the provider goes by.
    pub provider_aliases: Vec<Box<str>>,
    pub meter: Option<Box<str>>,
    pub rates: Rates,
    /// Tried in order; the first whose conditions all hold replaces [`Self::rates`].
    pub whens: Vec<When>,
}

/// One `[[price.when]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    pub(crate) condition: Condition,
    /// The price's own rates with those that the condition names in their places.
    pub rates: Rates,
}

impl When {
    /// The size of a prompt past which it may hold; `None` when that does not matter to it.
    pub const fn prompt_tokens_over(&self) -> Option<u64> {
        self.condition.prompt_tokens_over
    }
}

/// Conditions that all have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) prompt_tokens_over: Option<u64>,
    /// `None` holds for the standard tier only.
    pub(crate) service_tier: Option<Patterns>,
    pub(crate) attributes: Vec<(Box<str>, Patterns)>,
}

/// What a unit costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rates {
    /// Money per million tokens.
    Tokens(TokenRates),
    /// Money per unit of the meter.
    Unit(Decimal),
}

/// The rows of one model: by provider, and the one for whatever provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelRows {
    pub(crate) any_provider: Option<u16>,
    pub(crate) by_provider: SmallVec<[(Box<str>, u16); 1]>,
}

#[derive(Clone, Debug, Default)]
struct MeterRows {
    by_model: HashMap<Box<str>, ModelRows>,
    alone: ModelRows,
}

impl PriceBook {
    /// The rows that could price the item, the more specific first.
    #[inline]
    pub(crate) fn rows(&self, model: Option<&str>, meter: Option<&str>) -> [Option<&ModelRows>; 2] {
        match meter {
            None => [model.and_then(|model| self.tokens.get(model)), None],
            Some(meter) => match self.meters.get(meter) {
                None => [None, None],
                Some(rows) => [model.and_then(|model| rows.by_model.get(model)), Some(&rows.alone)],
            },
        }
    }

    /// The service tiers that conditions name, without patterns.
    pub(crate) fn tiers(&self) -> impl Iterator<Item = &str> {
        self.prices
            .iter()
            .flat_map(|price| &price.whens)
            .flat_map(|when| when.condition.service_tier.iter().flat_map(Patterns::iter))
            .filter_map(|pattern| match pattern {
                crate::pattern::Pattern::Exact(tier) => Some(&**tier),
                crate::pattern::Pattern::Any
                | crate::pattern::Pattern::Prefix(_)
                | crate::pattern::Pattern::Glob(_) => None,
            })
    }

    pub(super) fn read(fields: &Fields<'_>, warnings: &mut Vec<String>) -> Read<Self> {
        let currency = fields.required("currency", Fields::currency)?;
        let tables = fields.tables("price")?;
        if tables.is_empty() {
            return Err(fields.error(
                DocumentFault::MissingKey,
                "price",
                "a price book has at least one [[price]]",
            ));
        }
        if tables.len() > ROWS_MAX {
            let message = format!("more than {ROWS_MAX} prices");
            return Err(fields.error(DocumentFault::TooMany, "price", message));
        }
        let mut book = Self {
            currency,
            prices: Vec::with_capacity(tables.len()),
            tokens: HashMap::new(),
            meters: HashMap::new(),
        };
        for (index, table) in tables.into_iter().enumerate() {
            let place = place_of(index, table);
            let at = Place { place: &place, ..*fields.at() };
            let fields = Fields::new(table, at, PRICE_KEYS, AttributeKeys::Refused)?;
            let price = read_price(&fields)?;
            warn_of_shadowed(&price, &place, warnings);
            let row = u16::try_from(index).unwrap_or(u16::MAX);
            book.enter(row, &price).map_err(|name| {
                let message =
                    format!("`{name}` is priced a second time for the same meter and provider");
                fields.error(DocumentFault::RepeatedPrice, "", message)
            })?;
            book.prices.push(price);
        }
        Ok(book)
    }

    /// Puts a row into the maps; the name that is already there when it is priced twice.
    fn enter(&mut self, row: u16, price: &Price) -> Result<(), Box<str>> {
        let names = price.model.iter().chain(&price.aliases);
        match (&price.meter, &price.model) {
            (None, _) => {
                for name in names {
                    self.tokens
                        .entry(name.clone())
                        .or_default()
                        .enter(row, price)
                        .map_err(|()| name.clone())?;
                }
            }
            (Some(meter), None) => {
                let rows = self.meters.entry(meter.clone()).or_default();
                rows.alone.enter(row, price).map_err(|()| meter.clone())?;
            }
            (Some(meter), Some(_)) => {
                let rows = self.meters.entry(meter.clone()).or_default();
                for name in names {
                    rows.by_model
                        .entry(name.clone())
                        .or_default()
                        .enter(row, price)
                        .map_err(|()| name.clone())?;
                }
            }
        }
        Ok(())
    }
}

impl ModelRows {
    fn enter(&mut self, row: u16, price: &Price) -> Result<(), ()> {
        if price.provider.is_none() {
            return match self.any_provider.replace(row) {
                None => Ok(()),
                Some(_) => Err(()),
            };
        }
        for provider in price.provider.iter().chain(&price.provider_aliases) {
            if self.by_provider.iter().any(|(name, _)| name == provider) {
                return Err(());
            }
            self.by_provider.push((provider.clone(), row));
        }
        Ok(())
    }
}

/// `price 3 "gpt-4o"`, for errors.
fn place_of(index: usize, table: &Table) -> String {
    let name = |key| table.get(key).and_then(toml::Value::as_str);
    let names: Vec<_> = [name("model"), name("meter"), name("provider")]
        .into_iter()
        .flatten()
        .map(|name| format!("{name:?}"))
        .collect();
    format!("price {} {}", index + 1, names.join(" ")).trim_end().to_owned()
}

fn boxed(texts: Option<Vec<&str>>) -> Vec<Box<str>> {
    texts.into_iter().flatten().map(Box::from).collect()
}

fn read_price(fields: &Fields<'_>) -> Read<Price> {
    let model: Option<Box<str>> = fields.text("model")?.map(Box::from);
    let meter: Option<Box<str>> = fields.text("meter")?.map(Box::from);
    let provider: Option<Box<str>> = fields.text("provider")?.map(Box::from);
    for (key, needed) in [("aliases", "model"), ("provider_aliases", "provider")] {
        if fields.has(key) && !fields.has(needed) {
            let message = format!("needs a `{needed}` to be other names of");
            return Err(fields.error(DocumentFault::KeysConflict, key, message));
        }
    }
    if model.is_none() && meter.is_none() {
        return Err(fields.error(
            DocumentFault::MissingKey,
            "model",
            "a price is of a `model`, of a `meter`, or of both",
        ));
    }
    // Names are exact: a `*` would never match what it seems to.
    for key in ["model", "aliases", "provider", "meter"] {
        if fields.texts(key)?.is_some_and(|texts| texts.iter().any(|text| text.contains('*'))) {
            let message = "price books match exact names, without `*`; list them as aliases";
            return Err(fields.error(DocumentFault::BadText, key, message));
        }
    }
    let rates = read_rates(fields, meter.is_some())?;
    let (own, base) = match rates {
        Some(found) => found,
        None if meter.is_some() => return Err(fields.missing("per_unit")),
        None => return Err(fields.missing("per_million_tokens")),
    };
    let mut whens = Vec::new();
    for (index, table) in fields.tables("when")?.into_iter().enumerate() {
        let place = format!("{}, condition {}", fields.at().place, index + 1);
        let at = Place { place: &place, path: "when.", ..*fields.at() };
        let when = Fields::new(table, at, WHEN_KEYS, AttributeKeys::Taken)?;
        whens.push(read_when(&when, &own, meter.is_some())?);
        if whens.len() > ROWS_MAX {
            let message = format!("more than {ROWS_MAX} conditions");
            return Err(fields.error(DocumentFault::TooMany, "when", message));
        }
    }
    Ok(Price {
        model,
        aliases: boxed(fields.texts("aliases")?),
        provider,
        provider_aliases: boxed(fields.texts("provider_aliases")?),
        meter,
        rates: base,
        whens,
    })
}

type Named = Vec<(Pool, Decimal)>;

/// The rates that a price or a condition names, also as the pools it named.
fn read_rates(fields: &Fields<'_>, is_metered: bool) -> Read<Option<(Named, Rates)>> {
    let (taken, refused, why) = match is_metered {
        true => ("per_unit", "per_million_tokens", "a price of a meter is `per_unit`"),
        false => ("per_million_tokens", "per_unit", "a price per unit needs a `meter`"),
    };
    if fields.has(refused) {
        return Err(fields.error(DocumentFault::KeysConflict, refused, why));
    }
    if is_metered {
        return Ok(fields.decimal(taken)?.map(|price| (Vec::new(), Rates::Unit(price))));
    }
    let Some(named) = fields.pool_prices(taken)? else {
        return Ok(None);
    };
    let rates = token_rates(fields, &named)?;
    Ok(Some((named, rates)))
}

fn token_rates(fields: &Fields<'_>, named: &[(Pool, Decimal)]) -> Read<Rates> {
    TokenRates::new(named).map(Rates::Tokens).ok_or_else(|| {
        let message = "the prices need more than 38 digits together";
        fields.error(DocumentFault::BadNumber, "per_million_tokens", message)
    })
}

fn read_when(fields: &Fields<'_>, base: &Named, is_metered: bool) -> Read<When> {
    let condition = Condition {
        prompt_tokens_over: fields
            .count("prompt_tokens_over", 0..=domain::limits::TOKENS_MAX * 16)?,
        service_tier: fields.patterns("service_tier")?.map(normal_tiers),
        attributes: fields.attributes()?,
    };
    if is_metered && condition.prompt_tokens_over.is_some() {
        let message = "a price of a meter has no prompt tokens";
        return Err(fields.error(DocumentFault::KeysConflict, "prompt_tokens_over", message));
    }
    if condition.prompt_tokens_over.is_none()
        && condition.service_tier.is_none()
        && condition.attributes.is_empty()
    {
        let message = "a condition has prompt_tokens_over, service_tier or attributes.<name>";
        return Err(fields.error(DocumentFault::MissingKey, "", message));
    }
    let Some((named, rates)) = read_rates(fields, is_metered)? else {
        let key = if is_metered { "per_unit" } else { "per_million_tokens" };
        return Err(fields.missing(key));
    };
    if is_metered {
        return Ok(When { condition, rates });
    }
    if named.is_empty() {
        let message = "names no price to replace";
        return Err(fields.error(DocumentFault::MissingKey, "per_million_tokens", message));
    }
    let kept = base.iter().filter(|(pool, _)| named.iter().all(|(other, _)| other != pool));
    let merged: Named = kept.copied().chain(named.iter().copied()).collect();
    Ok(When { condition, rates: token_rates(fields, &merged)? })
}

/// A condition that an earlier one always forestalls is most often a list in the wrong order.
fn warn_of_shadowed(price: &Price, place: &str, warnings: &mut Vec<String>) {
    for (later, when) in price.whens.iter().enumerate() {
        let shadow = price.whens[..later]
            .iter()
            .position(|earlier| earlier.condition.covers(&when.condition));
        if let Some(earlier) = shadow {
            warnings.push(format!(
                "{place}: condition {} never decides, because condition {} holds whenever it does",
                later + 1,
                earlier + 1,
            ));
        }
    }
}

impl Condition {
    fn covers(&self, other: &Self) -> bool {
        let prompt = match (self.prompt_tokens_over, other.prompt_tokens_over) {
            (None, _) => true,
            (Some(own), Some(theirs)) => own <= theirs,
            (Some(_), None) => false,
        };
        let standard = Patterns(Box::new([crate::pattern::Pattern::new("standard")]));
        let own = self.service_tier.as_ref().unwrap_or(&standard);
        let theirs = other.service_tier.as_ref().unwrap_or(&standard);
        prompt
            && theirs.iter().all(|pattern| own.cover(pattern))
            && self.attributes.iter().all(|(name, own)| {
                other
                    .attributes
                    .iter()
                    .any(|(key, theirs)| key == name && theirs.iter().all(|one| own.cover(one)))
            })
    }
}
