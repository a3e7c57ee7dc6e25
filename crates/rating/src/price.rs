//! Which vendor price an item has.

use std::sync::Arc;

use domain::{CatalogueId, Item, Measure, Pool, Reason, Side, UsageEvent};

use crate::document::{Condition, ModelRows, Price, PriceBook, Rates};
use crate::exact::{Exact, Number};
use domain::PriceRef;

/// The tier of items that name none. Vendors also say `default`.
pub(crate) const STANDARD: &str = "standard";

/// The service tier of an item, `standard` when it names none.
#[inline]
pub(crate) fn tier_of<'i>(item: &'i Item<'_>) -> &'i str {
    match item.service_tier.as_deref() {
        None | Some("default") => STANDARD,
        Some(tier) => tier,
    }
}

/// The price of an item, found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Priced<'c> {
    pub(crate) at: PriceRef,
    pub(crate) rates: &'c Rates,
}

/// Why an item's vendor cost is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uncosted {
    pub(crate) reason: Reason,
    /// The pool without a price.
    pub(crate) pool: Option<Pool>,
}

impl Uncosted {
    const fn new(reason: Reason) -> Self {
        Self { reason, pool: None }
    }
}

/// Asks the books in order; the first that has a price wins.
///
/// A book that knows the item and still has no price for it (no such service tier, a pool
/// without a rate) is passed over, and its reason is given when no later book has one. A book in
/// which the provider is ambiguous ends the search: another book's price would be a guess.
pub(crate) fn find<'c>(
    books: &'c [(CatalogueId, Arc<PriceBook>)],
    event: &UsageEvent<'_>,
    item: &Item<'_>,
) -> Result<Priced<'c>, Uncosted> {
    let mut first = None;
    for (id, book) in books {
        let uncosted = match in_book(*id, book, event, item) {
            Ok(priced) => return Ok(priced),
            Err(uncosted) => uncosted,
        };
        match uncosted.reason {
            Reason::NoVendorPrice => {}
            Reason::AmbiguousProvider => return Err(*first.get_or_insert(uncosted)),
            _ => {
                first.get_or_insert(uncosted);
            }
        }
    }
    Err(first.unwrap_or(Uncosted::new(Reason::NoVendorPrice)))
}

#[inline]
fn in_book<'c>(
    id: CatalogueId,
    book: &'c PriceBook,
    event: &UsageEvent<'_>,
    item: &Item<'_>,
) -> Result<Priced<'c>, Uncosted> {
    for rows in book.rows(item.model.as_deref(), item.meter()).into_iter().flatten() {
        let Some(row) = row_for(rows, item.provider.as_deref())? else {
            continue;
        };
        let Some(price) = book.prices.get(usize::from(row)) else {
            continue;
        };
        let (when, rates) = rates_for(price, event, item)?;
        if let (Rates::Tokens(rates), Measure::Tokens(pools)) = (rates, &item.measure)
            && let Some(pool) = rates.unpriced(pools)
        {
            return Err(Uncosted { reason: Reason::NoPriceForPool, pool: Some(pool) });
        }
        return Ok(Priced { at: PriceRef { book: id, row, when }, rates });
    }
    Err(Uncosted::new(Reason::NoVendorPrice))
}

/// The row of the item's provider, or else the row for any provider. An item without a provider
/// takes the row for any, or else the only provider's.
#[inline]
pub(crate) fn row_for(rows: &ModelRows, provider: Option<&str>) -> Result<Option<u16>, Uncosted> {
    if let Some(provider) = provider {
        let own = rows.by_provider.iter().find(|(name, _)| **name == *provider);
        return Ok(own.map(|(_, row)| *row).or(rows.any_provider));
    }
    match (rows.any_provider, rows.by_provider.first()) {
        (Some(row), _) => Ok(Some(row)),
        (None, None) => Ok(None),
        // One provider under several names is one row.
        (None, Some((_, row))) => match rows.by_provider.iter().all(|(_, other)| other == row) {
            true => Ok(Some(*row)),
            false => Err(Uncosted::new(Reason::AmbiguousProvider)),
        },
    }
}

/// The rates of the first condition that holds, or else the price's own, which are the standard
/// tier's only: a tier that is named under conditions that do not hold has no price either.
#[inline]
fn rates_for<'c>(
    price: &'c Price,
    event: &UsageEvent<'_>,
    item: &Item<'_>,
) -> Result<(Option<u16>, &'c Rates), Uncosted> {
    let tier = tier_of(item);
    for (index, when) in price.whens.iter().enumerate() {
        if holds(&when.condition, tier, event, item) {
            return Ok((u16::try_from(index).ok(), &when.rates));
        }
    }
    if tier == STANDARD {
        return Ok((None, &price.rates));
    }
    Err(Uncosted::new(Reason::NoPriceForServiceTier))
}

fn holds(condition: &Condition, tier: &str, event: &UsageEvent<'_>, item: &Item<'_>) -> bool {
    let over = |limit: u64| match &item.measure {
        Measure::Tokens(pools) => pools.side(Side::Input) > limit,
        Measure::Meter { .. } => false,
    };
    let is_tier = match &condition.service_tier {
        Some(patterns) => patterns.matches(tier),
        None => tier == STANDARD,
    };
    is_tier
        && condition.prompt_tokens_over.is_none_or(over)
        && condition.attributes.iter().all(|(name, patterns)| {
            event.attribute(item, name).is_some_and(|value| patterns.matches(value))
        })
}

/// What an item costs at its price; `None` when the number type cannot hold it.
#[inline]
pub(crate) fn cost<N: Number>(rates: &Rates, measure: &Measure<'_>) -> Option<N> {
    match (rates, measure) {
        (Rates::Tokens(rates), Measure::Tokens(pools)) => N::of_tokens(rates, pools),
        (Rates::Unit(price), Measure::Meter { quantity, .. }) => {
            N::of(&Exact::of_atoms(quantity.atoms())).times(&Exact::from(*price))
        }
        // Rows are found by meter, so a price is always of the item's kind.
        (Rates::Tokens(_), Measure::Meter { .. }) | (Rates::Unit(_), Measure::Tokens(_)) => None,
    }
}
