//! What the ledger adds up to, by the dimensions that analysts ask for: the reference that a
//! projection is compared with (invariant 12).

use std::collections::BTreeMap;

use domain::{Credits, Item, Money, Text};
use ledger::{Balance, Body, Debit, Entry};

/// What a sum is by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dimensions {
    pub account: String,
    pub feature: String,
    /// Empty for a meter without a model.
    pub model: String,
    pub traffic: &'static str,
}

/// Exact sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// A charge's lines, less those of charges that were taken back.
    pub lines: i64,
    pub credits: Credits,
    /// Over the lines whose cost is known.
    pub vendor_cost: Money,
    pub uncosted_lines: i64,
}

/// The sums of a ledger, and the last balance of every account.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub usage: BTreeMap<Dimensions, Sums>,
    pub balances: BTreeMap<String, Balance>,
    pub entries: u64,
}

impl Totals {
    /// Adds one entry.
    pub fn add(&mut self, entry: &Entry<'_>) {
        self.entries += 1;
        self.balances.insert(entry.account.to_string(), entry.after);
        if let Body::Debit(debit) = &entry.body {
            self.add_debit(debit, 1);
        }
        if let Body::Reversed(reversed) = &entry.body {
            self.add_debit(&reversed.debit, -1);
        }
        if let Body::Corrected(corrected) = &entry.body {
            self.add_debit(&corrected.before, -1);
            if let Some(now) = &corrected.now {
                self.add_debit(now, 1);
            }
        }
    }

    fn add_debit(&mut self, debit: &Debit<'_>, sign: i64) {
        for (line, item) in debit.lines.iter().zip(&debit.event.items) {
            let sums = self.usage.entry(dimensions(debit, item)).or_default();
            sums.lines += sign;
            sums.credits += Credits::from_atoms(line.credits.atoms() * i128::from(sign));
            match line.cost(item.vendor_cost.map(|cost| cost.amount)) {
                Some(cost) => {
                    sums.vendor_cost += Money::from_atoms(cost.atoms() * i128::from(sign));
                }
                None => sums.uncosted_lines += sign,
            }
        }
    }
}

fn dimensions(debit: &Debit<'_>, item: &Item<'_>) -> Dimensions {
    Dimensions {
        account: debit.event.account.to_string(),
        feature: debit.event.feature.to_string(),
        model: item.model.as_ref().map(Text::to_string).unwrap_or_default(),
        traffic: debit.event.traffic.word(),
    }
}
