//! Which credits paid for which line: the lines are walked in item order through the draws in
//! draw-down order, and what the draws do not cover is overage.

use domain::{Credits, Money};
use ledger::{Category, Draw, recognised};

/// A line's share of the debit's draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) included: Credits,
    pub(crate) promotional: Credits,
    pub(crate) purchased: Credits,
    pub(crate) overage: Credits,
    /// The revenue of what was drawn; the shares of a draw's revenue sum to it exactly.
    pub(crate) revenue: Money,
}

/// Hands the draws out, line by line.
#[derive(Debug)]
pub(crate) struct Split<'d> {
    draws: &'d [Draw],
    /// How much of the first draw is gone.
    used: Credits,
}

impl<'d> Split<'d> {
    pub(crate) fn new(draws: &'d [Draw]) -> Self {
        Self { draws, used: Credits::ZERO }
    }

    /// The share of the next line.
    pub(crate) fn next(&mut self, credits: Credits) -> Share {
        let mut share = Share::default();
        let mut left = credits;
        while left.is_positive() {
            let Some((draw, rest)) = self.draws.split_first() else {
                share.overage += left;
                break;
            };
            let taken = left.min(draw.credits - self.used);
            let used = self.used + taken;
            share.revenue += recognised(draw.revenue, used, draw.credits)
                - recognised(draw.revenue, self.used, draw.credits);
            *match draw.category {
                Category::Included => &mut share.included,
                Category::Promotional => &mut share.promotional,
                Category::Purchased => &mut share.purchased,
            } += taken;
            left -= taken;
            self.used = used;
            if used == draw.credits {
                self.draws = rest;
                self.used = Credits::ZERO;
            }
        }
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::LotId;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_sum_to_the_lines_and_to_the_draws(
            lines in prop::collection::vec(0_i128..1_000, 1..8),
            cuts in prop::collection::vec((1_i128..1_000, 0_i128..1_000_000, 0_usize..3), 0..6),
        ) {
            let total: i128 = lines.iter().sum();
            let mut left = total;
            let mut draws = Vec::new();
            for (credits, revenue, category) in cuts {
                let credits = credits.min(left);
                if credits == 0 { break; }
                left -= credits;
                draws.push(Draw {
                    lot: LotId(1),
                    category: Category::ALL[category],
                    credits: Credits::from_atoms(credits),
                    revenue: Money::from_atoms(revenue),
                });
            }
            let mut split = Split::new(&draws);
            let mut revenue = Money::ZERO;
            let mut overage = Credits::ZERO;
            for line in &lines {
                let share = split.next(Credits::from_atoms(*line));
                let sum = share.included + share.promotional + share.purchased + share.overage;
                prop_assert_eq!(sum, Credits::from_atoms(*line));
                prop_assert!(!share.revenue.is_negative());
                revenue += share.revenue;
                overage += share.overage;
            }
            prop_assert_eq!(overage, Credits::from_atoms(left));
            prop_assert_eq!(revenue, draws.iter().map(|draw| draw.revenue).sum::<Money>());
        }
    }
}
