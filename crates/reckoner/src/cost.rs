//! What vendors charge.

use std::collections::BTreeMap;

use domain::{Item, Measure, Reason, UsageEvent};
use toml::{Table, Value};

use crate::documents::{Published, attributes, matches, required, text_at, texts};
use crate::fraction::{Fraction, decimal, of_atoms, whole};

/// A price book.
#[derive(Clone, Debug)]
pub(crate) struct Book {
    rows: Vec<Row>,
}

/// One `[[price]]`.
#[derive(Clone, Debug)]
struct Row {
    models: Vec<String>,
    providers: Vec<String>,
    meter: Option<String>,
    rates: Rates,
    whens: Vec<When>,
}

/// Prices by pool name, per token; or one per unit, under the empty name.
type Rates = BTreeMap<String, Fraction>;

#[derive(Clone, Debug)]
struct When {
    prompt_tokens_over: Option<u64>,
    tiers: Option<Vec<String>>,
    attributes: Vec<(String, Vec<String>)>,
    /// The row's rates with those of the condition in their places.
    rates: Rates,
}

/// The exact vendor cost of an item.
#[derive(Clone, Debug)]
pub(crate) struct Cost {
    pub(crate) amount: Fraction,
    /// Whether every price that it was made of is zero.
    pub(crate) is_at_zero: bool,
}

const PER_UNIT: &str = "";

/// Whose price a pool takes when it has none of its own.
const FALLS_BACK_TO: [(&str, &str); 13] = [
    ("cache_write_1h", "cache_write"),
    ("cache_write_audio", "cache_write"),
    ("cache_read_audio", "cache_read"),
    ("cache_read_image", "cache_read"),
    ("cache_read", "input"),
    ("cache_write", "input"),
    ("audio_input", "input"),
    ("image_input", "input"),
    ("video_input", "input"),
    ("document_input", "input"),
    ("reasoning", "output"),
    ("audio_output", "output"),
    ("image_output", "output"),
];

/// The books in force, in the order in which they are asked: as `price_books` lists them, or else by
/// their ids' first publication.
pub(crate) fn books_at<'p>(
    known: &[&'p Published],
    listed: Option<&[String]>,
    holding: impl Fn(&str) -> Option<&'p Published>,
) -> Vec<&'p Book> {
    let mut ids: Vec<&str> = Vec::new();
    match listed {
        Some(listed) => ids.extend(listed.iter().map(String::as_str)),
        None => {
            for published in known.iter().filter(|published| published.book().is_some()) {
                if !ids.contains(&published.id.as_str()) {
                    ids.push(&published.id);
                }
            }
        }
    }
    ids.into_iter().filter_map(holding).filter_map(Published::book).collect()
}

/// Asks the books in order: the first that has a price wins. A book in which the provider is
/// ambiguous ends the search; a reason that is not "no price" is kept for when no later book has one.
pub(crate) fn of_item(
    books: &[&Book],
    event: &UsageEvent<'_>,
    item: &Item<'_>,
) -> Result<Cost, Reason> {
    let mut kept = None;
    for book in books {
        match book.cost(event, item) {
            Ok(cost) => return Ok(cost),
            Err(Reason::NoVendorPrice) => {}
            Err(Reason::AmbiguousProvider) => return Err(kept.unwrap_or(Reason::AmbiguousProvider)),
            Err(reason) => kept = kept.or(Some(reason)),
        }
    }
    Err(kept.unwrap_or(Reason::NoVendorPrice))
}

impl Book {
    pub(crate) fn read(table: &Table) -> Result<Self, String> {
        let prices = table.get("price").and_then(Value::as_array).ok_or("no prices")?;
        let rows = prices.iter().map(Row::read).collect::<Result<_, _>>()?;
        Ok(Self { rows })
    }

    fn cost(&self, event: &UsageEvent<'_>, item: &Item<'_>) -> Result<Cost, Reason> {
        let meter = item.meter();
        let of_model = |row: &&Row| {
            let model = item.model.as_deref();
            row.meter.as_deref() == meter
                && model.is_some_and(|model| row.models.iter().any(|name| name == model))
        };
        let of_meter_alone =
            |row: &&Row| meter.is_some() && row.meter.as_deref() == meter && row.models.is_empty();
        let candidates: [Vec<&Row>; 2] = [
            self.rows.iter().filter(of_model).collect(),
            self.rows.iter().filter(of_meter_alone).collect(),
        ];
        for rows in &candidates {
            if let Some(row) = of_provider(rows, item.provider.as_deref())? {
                return row.cost(event, item);
            }
        }
        Err(Reason::NoVendorPrice)
    }
}

/// The provider's own row, or else the row for any. An item that names none takes the row for any, or
/// else that of the only provider.
fn of_provider<'r>(rows: &[&'r Row], provider: Option<&str>) -> Result<Option<&'r Row>, Reason> {
    let of_any = rows.iter().find(|row| row.providers.is_empty()).copied();
    if let Some(provider) = provider {
        let own = rows.iter().find(|row| row.providers.iter().any(|name| name == provider));
        return Ok(own.copied().or(of_any));
    }
    match (of_any, rows) {
        (Some(row), _) => Ok(Some(row)),
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, [..]) => Err(Reason::AmbiguousProvider),
    }
}

impl Row {
    fn read(value: &Value) -> Result<Self, String> {
        let table = value.as_table().ok_or("a price that is no table")?;
        let names = |own: &str, others: &str| {
            let mut names: Vec<String> =
                text_at(table, own).map(str::to_owned).into_iter().collect();
            names.extend(texts(table, others));
            names
        };
        let rates = rates(table)?;
        let whens = table.get("when").and_then(Value::as_array).map(Vec::as_slice);
        let whens = whens.unwrap_or_default().iter().map(|when| When::read(when, &rates));
        Ok(Self {
            models: names("model", "aliases"),
            providers: names("provider", "provider_aliases"),
            meter: text_at(table, "meter").map(str::to_owned),
            whens: whens.collect::<Result<_, _>>()?,
            rates,
        })
    }

    fn cost(&self, event: &UsageEvent<'_>, item: &Item<'_>) -> Result<Cost, Reason> {
        let tier = tier_of(item);
        let when = self.whens.iter().find(|when| when.holds(tier, event, item));
        let rates = match when {
            Some(when) => &when.rates,
            None if tier == "standard" => &self.rates,
            None => return Err(Reason::NoPriceForServiceTier),
        };
        match &item.measure {
            Measure::Meter { quantity, .. } => {
                let price = rates.get(PER_UNIT).ok_or(Reason::NoVendorPrice)?;
                let is_at_zero = *price == whole(0);
                Ok(Cost { amount: price * of_atoms(quantity.atoms()), is_at_zero })
            }
            Measure::Tokens(pools) => {
                let (amount, is_at_zero) = of_pools(pools, rates).ok_or(Reason::NoPriceForPool)?;
                Ok(Cost { amount, is_at_zero })
            }
        }
    }
}

impl When {
    fn read(value: &Value, base: &Rates) -> Result<Self, String> {
        let table = value.as_table().ok_or("a condition that is no table")?;
        let mut merged = base.clone();
        merged.extend(rates(table)?);
        let over = table.get("prompt_tokens_over").and_then(Value::as_integer);
        Ok(Self {
            prompt_tokens_over: over.and_then(|over| u64::try_from(over).ok()),
            tiers: table.contains_key("service_tier").then(|| tiers(table)),
            attributes: attributes(table),
            rates: merged,
        })
    }

    fn holds(&self, tier: &str, event: &UsageEvent<'_>, item: &Item<'_>) -> bool {
        let is_of_tier = match &self.tiers {
            Some(tiers) => matches(tiers, tier),
            None => tier == "standard",
        };
        let is_long = match (self.prompt_tokens_over, &item.measure) {
            (None, _) => true,
            (Some(_), Measure::Meter { .. }) => false,
            (Some(over), Measure::Tokens(pools)) => {
                let prompt: u64 = pools
                    .nonzero()
                    .filter(|(pool, _)| whole_of(pool.name()) == "input")
                    .map(|(_, count)| count)
                    .sum();
                prompt > over
            }
        };
        is_of_tier
            && is_long
            && self.attributes.iter().all(|(name, patterns)| {
                event.attribute(item, name).is_some_and(|value| matches(patterns, value))
            })
    }
}

/// The item's tier; vendors also say `default` for the standard one.
pub(crate) fn tier_of<'i>(item: &'i Item<'_>) -> &'i str {
    match item.service_tier.as_deref() {
        None | Some("default") => "standard",
        Some(tier) => tier,
    }
}

/// The tiers that a `service_tier` key names.
pub(crate) fn tiers(table: &Table) -> Vec<String> {
    let normal = |tier: String| if tier == "default" { "standard".to_owned() } else { tier };
    texts(table, "service_tier").into_iter().map(normal).collect()
}

fn rates(table: &Table) -> Result<Rates, String> {
    if table.contains_key("per_unit") {
        let price = decimal(required(table, "per_unit")?)?;
        return Ok(Rates::from([(PER_UNIT.to_owned(), price)]));
    }
    match table.get("per_million_tokens") {
        Some(rates) => per_token(rates),
        None => Err("a price without a rate".to_owned()),
    }
}

/// A table of prices per million tokens, as prices per token.
pub(crate) fn per_token(value: &Value) -> Result<Rates, String> {
    let table = value.as_table().ok_or("rates that are no table")?;
    table
        .iter()
        .map(|(pool, rate)| {
            let rate = rate.as_str().ok_or_else(|| format!("the rate of {pool} is no text"))?;
            Ok((pool.clone(), decimal(rate)? / whole(1_000_000)))
        })
        .collect()
}

/// Σ count × price, and whether all those prices are zero; `None` when a pool that counts has none.
pub(crate) fn of_pools(pools: &domain::Pools, rates: &Rates) -> Option<(Fraction, bool)> {
    let mut sum = whole(0);
    let mut is_at_zero = true;
    for (pool, count) in pools.nonzero() {
        let mut name = pool.name();
        while !rates.contains_key(name) {
            name = FALLS_BACK_TO.iter().find(|(from, _)| *from == name)?.1;
        }
        let price = rates.get(name)?;
        is_at_zero &= *price == whole(0);
        sum += price * whole(i128::from(count));
    }
    Some((sum, is_at_zero))
}

fn whole_of(mut name: &str) -> &str {
    while let Some((_, to)) = FALLS_BACK_TO.iter().find(|(from, _)| *from == name) {
        name = to;
    }
    name
}
