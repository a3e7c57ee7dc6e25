//! One priced part of an event: what the rating says of an item, as the ledger keeps it.

use crate::{CatalogueId, Credits, Money, Reason, RuleId};

/// The row of a price book that priced an item's vendor cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriceRef {
    pub book: CatalogueId,
    /// The `[[price]]` table's place in the book, from 0.
    pub row: u16,
    /// The `[[price.when]]` that held, by its place in the row, from 0.
    pub when: Option<u16>,
}

/// Where an item's vendor cost comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CostStatus {
    /// From a price book.
    Computed,
    /// From the producer, who was billed it.
    Reported,
    /// Not known; never zero.
    Missing,
}

impl CostStatus {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Computed => "computed",
            Self::Reported => "reported",
            Self::Missing => "missing",
        }
    }
}

/// What one item was charged and what it cost; the lines of a debit sum to the debit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLine {
    pub rule: RuleId,
    /// The charged share of the event's credits; never negative.
    pub credits: Credits,
    pub price: Option<PriceRef>,
    /// The vendor cost from the price book, half-even to 12 decimals.
    pub computed: Option<Money>,
    /// Why there is no computed cost.
    pub missing: Option<Reason>,
}

impl RateLine {
    /// The status of the cost, given what the producer reported.
    pub fn cost_status(&self, reported: Option<Money>) -> CostStatus {
        match (reported, self.computed) {
            (Some(_), _) => CostStatus::Reported,
            (None, Some(_)) => CostStatus::Computed,
            (None, None) => CostStatus::Missing,
        }
    }

    /// The cost that margin is taken from: the reported one before the computed one.
    pub fn cost(&self, reported: Option<Money>) -> Option<Money> {
        reported.or(self.computed)
    }
}
