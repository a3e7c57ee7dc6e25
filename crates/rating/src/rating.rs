//! What rating gives: a line per item, the charge, and what rounding left.

use domain::{
    CatalogueId, CostStatus, Credits, Fault, Money, PriceRef, Reason, RuleId, UsageEvent,
};

use crate::catalogue::Catalogue;
use crate::rate::rate;

/// An event, priced. `credits` is the sum of the lines'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rating {
    /// The version of the rate card that priced it.
    pub rate_card: CatalogueId,
    /// What is charged, a multiple of the card's smallest step.
    pub credits: Credits,
    /// Exact minus charged, at 12 decimals, half to even.
    pub residual: Credits,
    /// The sum of the items' known costs; `None` when no item's is known.
    pub vendor_cost: Option<Money>,
    /// One per item, in the items' order.
    pub lines: Vec<RateLine>,
}

/// One priced item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLine {
    /// The rule that decided, within the rating's card.
    pub rule: RuleId,
    /// The vendor price that the computed cost comes from.
    pub price: Option<PriceRef>,
    /// At 12 decimals, half to even; `None` when no price covers the item.
    pub vendor_cost_computed: Option<Money>,
    /// The cost that counts: reported, or else computed.
    pub vendor_cost: Option<Money>,
    pub cost_status: CostStatus,
    /// Why there is no computed cost.
    pub cost_missing: Option<Reason>,
    /// The item's share of the charge.
    pub credits: Credits,
    /// The item's exact credits, at 12 decimals, half to even.
    pub exact: Credits,
}

impl From<&RateLine> for domain::RateLine {
    /// What the ledger keeps of a line: the rest follows from it, the event and the catalogue.
    fn from(line: &RateLine) -> Self {
        Self {
            rule: line.rule,
            credits: line.credits,
            price: line.price,
            computed: line.vendor_cost_computed,
            missing: line.cost_missing,
        }
    }
}

/// An event that no price covers as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason} at {}: {value} ({})", self.path(), reason.row().about)]
pub struct Unrated {
    pub reason: Reason,
    /// The item's place, from 0; `None` when it is about the whole event.
    pub item: Option<usize>,
    /// The field of the item (or event) that finds no price.
    pub field: &'static str,
    /// The field's value.
    pub value: String,
}

impl Unrated {
    /// The field's path in the event: `data.items[2].service_tier`.
    pub fn path(&self) -> String {
        match self.item {
            Some(item) => format!("data.items[{item}].{}", self.field),
            None => self.field.to_owned(),
        }
    }

    pub fn fault(&self) -> Fault {
        Fault::new(self.reason, self.path(), &self.value)
    }
}

impl Default for Rating {
    fn default() -> Self {
        Self {
            rate_card: CatalogueId(0),
            credits: Credits::ZERO,
            residual: Credits::ZERO,
            vendor_cost: None,
            lines: Vec::new(),
        }
    }
}

impl Rating {
    /// The sum of the known vendor costs, zero when none is known: for sums, not for margins.
    pub fn vendor_cost_known(&self) -> Money {
        self.vendor_cost.unwrap_or(Money::ZERO)
    }
}

/// What two catalogues make of one event, when they make something else of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub before: Result<Rating, Unrated>,
    pub after: Result<Rating, Unrated>,
}

impl Change {
    /// Credits after minus before, unrated usage counting as nothing charged.
    pub fn credits(&self) -> Credits {
        let credits = |side: &Result<Rating, Unrated>| {
            side.as_ref().map_or(Credits::ZERO, |rating| rating.credits)
        };
        credits(&self.after) - credits(&self.before)
    }
}

/// Whether an event would be priced differently: in what is charged, per line and in all, in its
/// vendor cost, or in whether it has a price. The same amounts under other versions are no change.
pub fn would_differ(
    before: &Catalogue,
    after: &Catalogue,
    event: &UsageEvent<'_>,
    plan: Option<&str>,
) -> Option<Change> {
    let change = Change { before: rate(before, event, plan), after: rate(after, event, plan) };
    let differ = match (&change.before, &change.after) {
        (Ok(before), Ok(after)) => !same_amounts(before, after),
        (Err(before), Err(after)) => before.reason != after.reason,
        (Ok(_), Err(_)) | (Err(_), Ok(_)) => true,
    };
    differ.then_some(change)
}

fn same_amounts(before: &Rating, after: &Rating) -> bool {
    let amounts = |line: &RateLine| {
        (line.credits, line.vendor_cost, line.vendor_cost_computed, line.cost_status)
    };
    before.credits == after.credits
        && before.residual == after.residual
        && before.lines.iter().map(amounts).eq(after.lines.iter().map(amounts))
}
