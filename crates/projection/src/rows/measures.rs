//! What lines and rollups count, column by column as [`crate::tables::MEASURES`] has them.

use domain::{ALL_POOLS, Credits, Item, Measure, Money, Pool, Pools, Quantity, RateLine};

use super::split::Share;
use crate::rowbinary::RowBinary;

/// The measures of one line, or a sum of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measures {
    pub(crate) events: i64,
    pub(crate) model_events: i64,
    pub(crate) lines: i64,
    pools: [i64; Pool::COUNT],
    quantity: Quantity,
    credits: Credits,
    share: Share,
    /// Σ over the lines whose cost is known.
    vendor_cost: Money,
    uncosted_lines: i64,
    revenue_uncosted: Money,
}

impl Measures {
    /// Of one line of a debit.
    pub(crate) fn of(line: &RateLine, item: &Item<'_>, share: Share) -> Self {
        let (pools, quantity) = match &item.measure {
            Measure::Tokens(pools) => (signed(pools), Quantity::ZERO),
            Measure::Meter { quantity, .. } => ([0; Pool::COUNT], *quantity),
        };
        let cost = line.cost(item.vendor_cost.map(|reported| reported.amount));
        Self {
            events: 0,
            model_events: 0,
            lines: 1,
            pools,
            quantity,
            credits: line.credits,
            share,
            vendor_cost: cost.unwrap_or(Money::ZERO),
            uncosted_lines: i64::from(cost.is_none()),
            revenue_uncosted: if cost.is_none() { share.revenue } else { Money::ZERO },
        }
    }

    /// What takes the line back: every count and amount with the other sign, so that a charge and its
    /// reversal sum to nothing.
    pub(crate) fn negate(&mut self) {
        for count in [&mut self.events, &mut self.model_events, &mut self.lines] {
            *count = -*count;
        }
        for count in &mut self.pools {
            *count = -*count;
        }
        self.quantity = -self.quantity;
        self.credits = -self.credits;
        self.share = Share {
            included: -self.share.included,
            promotional: -self.share.promotional,
            purchased: -self.share.purchased,
            overage: -self.share.overage,
            revenue: -self.share.revenue,
            above_hold: -self.share.above_hold,
        };
        self.vendor_cost = -self.vendor_cost;
        self.uncosted_lines = -self.uncosted_lines;
        self.revenue_uncosted = -self.revenue_uncosted;
    }

    /// The part of the line's credits above what the event's hold had reserved.
    pub(crate) fn above_hold(&self) -> Credits {
        self.share.above_hold
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.model_events += other.model_events;
        self.lines += other.lines;
        for (mine, theirs) in self.pools.iter_mut().zip(other.pools) {
            *mine += theirs;
        }
        self.quantity += other.quantity;
        self.credits += other.credits;
        self.share.included += other.share.included;
        self.share.promotional += other.share.promotional;
        self.share.purchased += other.share.purchased;
        self.share.overage += other.share.overage;
        self.share.revenue += other.share.revenue;
        self.share.above_hold += other.share.above_hold;
        self.vendor_cost += other.vendor_cost;
        self.uncosted_lines += other.uncosted_lines;
        self.revenue_uncosted += other.revenue_uncosted;
    }

    /// As a rollup's columns: the cost is a sum.
    pub(crate) fn put_sums(&self, row: &mut Vec<u8>) {
        self.put(row, |row| row.put_amount(self.vendor_cost));
    }

    /// As a line's columns: a cost that is not known is NULL.
    pub(crate) fn put_line(&self, row: &mut Vec<u8>) {
        // Of a difference, it may be known on one side only.
        let known = self.uncosted_lines == 0 || !self.vendor_cost.is_zero();
        let cost = known.then_some(self.vendor_cost);
        self.put(row, |row| row.put_nullable_amount(cost));
    }

    fn put(&self, row: &mut Vec<u8>, cost: impl FnOnce(&mut Vec<u8>)) {
        row.put_i64(self.events);
        row.put_i64(self.model_events);
        row.put_i64(self.lines);
        for count in self.pools {
            row.put_i64(count);
        }
        row.put_amount(self.quantity);
        row.put_amount(self.credits);
        row.put_amount(self.share.included);
        row.put_amount(self.share.promotional);
        row.put_amount(self.share.purchased);
        row.put_amount(self.share.overage);
        cost(row);
        row.put_i64(self.uncosted_lines);
        row.put_amount(self.share.revenue);
        row.put_amount(self.revenue_uncosted);
    }
}

fn signed(pools: &Pools) -> [i64; Pool::COUNT] {
    // Counts are at most 10¹², far below the type's bound.
    ALL_POOLS.map(|pool| i64::try_from(pools[pool]).unwrap_or(i64::MAX))
}
