//! Which credits paid for which line: the lines are walked in item order through the draws in
//! draw-down order (first those that the event's hold had captured ahead), and what the draws do not
//! cover is overage.

use domain::{Credits, Money};
use ledger::{Category, Debit, Draw, recognised};

/// A line's share of the debit's draws.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) included: Credits,
    pub(crate) promotional: Credits,
    pub(crate) purchased: Credits,
    pub(crate) overage: Credits,
    /// The revenue of what was drawn; the shares of a draw's revenue sum to it exactly.
    pub(crate) revenue: Money,
    /// The part of the line above what the event's hold had reserved.
    pub(crate) above_hold: Credits,
}

/// Hands the draws out, line by line.
#[derive(Debug)]
pub(crate) struct Split<'d, Draws> {
    draws: Draws,
    /// The draw that is being handed out, and how much of it is gone.
    current: Option<(&'d Draw, Credits)>,
    /// How much the hold still covers; what comes after it is above.
    within_hold: Credits,
}

/// The split of a charge: what its hold had captured ahead pays first, being drawn already.
pub(crate) fn split<'d>(debit: &'d Debit<'_>) -> Split<'d, impl Iterator<Item = &'d Draw>> {
    let above = debit.hold.as_ref().map_or(Credits::ZERO, |hold| hold.above);
    Split { draws: debit.paying(), current: None, within_hold: debit.credits - above }
}

impl<'d, Draws: Iterator<Item = &'d Draw>> Split<'d, Draws> {
    /// The share of the next line.
    pub(crate) fn next(&mut self, credits: Credits) -> Share {
        let within = credits.min(self.within_hold);
        self.within_hold -= within;
        let mut share = Share { above_hold: credits - within, ..Share::default() };
        let mut left = credits;
        while left.is_positive() {
            let next = || self.draws.next().map(|draw| (draw, Credits::ZERO));
            let Some((draw, used)) = self.current.or_else(next) else {
                share.overage += left;
                break;
            };
            let taken = left.min(draw.credits - used);
            let now = used + taken;
            share.revenue += recognised(draw.revenue, now, draw.credits)
                - recognised(draw.revenue, used, draw.credits);
            *match draw.category {
                Category::Included => &mut share.included,
                Category::Promotional => &mut share.promotional,
                Category::Purchased => &mut share.purchased,
            } += taken;
            left -= taken;
            self.current = (now < draw.credits).then_some((draw, now));
        }
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::LotId;
    use ledger::HoldUse;
    use proptest::prelude::*;

    fn units(units: i64) -> Credits {
        Credits::from_units(units)
    }

    fn draw(category: Category, credits: i64, revenue: &str) -> Draw {
        let revenue = revenue.parse().unwrap();
        Draw { lot: LotId(1), category, credits: units(credits), revenue }
    }

    fn debit(
        credits: Credits,
        advanced: &[Draw],
        draws: &[Draw],
        above: Credits,
    ) -> Debit<'static> {
        let hold = HoldUse {
            hold: ledger::HoldId::default(),
            advanced: advanced.iter().copied().collect(),
            advanced_overage: Credits::ZERO,
            above,
            freed: None,
            after: ledger::HoldAfter {
                amount: credits,
                captured: credits,
                expires_at: domain::Timestamp::ZERO,
            },
        };
        Debit {
            event: domain::UsageEvent::default(),
            content: domain::ContentHash(0),
            plan: None,
            rate_card: domain::CatalogueId(0),
            catalogue: domain::Offset(1),
            lines: Vec::new(),
            credits,
            residual: Credits::ZERO,
            draws: draws.iter().copied().collect(),
            overage: Credits::ZERO,
            resolves: None,
            hold: Some(Box::new(hold)),
            budgets: ledger::BudgetUses::new(),
        }
    }

    /// Ten credits in lines of 4, 4 and 2: three were captured ahead, five are drawn now, two are
    /// overage; the hold had reserved seven.
    #[test]
    fn what_was_captured_ahead_pays_first_and_the_last_lines_are_above() {
        let advanced = [draw(Category::Included, 3, "0.3")];
        let draws = [draw(Category::Purchased, 5, "1")];
        let debit = debit(units(10), &advanced, &draws, units(3));
        let mut split = split(&debit);
        let share = |included, purchased, overage, revenue: &str, above| Share {
            included: units(included),
            promotional: Credits::ZERO,
            purchased: units(purchased),
            overage: units(overage),
            revenue: revenue.parse().unwrap(),
            above_hold: units(above),
        };
        assert_eq!(split.next(units(4)), share(3, 1, 0, "0.5", 0));
        assert_eq!(split.next(units(4)), share(0, 4, 0, "0.8", 1));
        assert_eq!(split.next(units(2)), share(0, 0, 2, "0", 2));
    }

    proptest! {
        #[test]
        fn shares_sum_to_the_lines_and_to_the_draws(
            lines in prop::collection::vec(0_i128..1_000, 1..8),
            cuts in prop::collection::vec((1_i128..1_000, 0_i128..1_000_000, 0_usize..3), 0..6),
            advanced in any::<prop::sample::Index>(),
            above in any::<prop::sample::Index>(),
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
            let (ahead, now) = draws.split_at(advanced.index(draws.len() + 1));
            let above = i128::try_from(above.index(usize::try_from(total).unwrap() + 1)).unwrap();
            let debit = debit(Credits::from_atoms(total), ahead, now, Credits::from_atoms(above));
            let mut split = split(&debit);
            let mut sums = Share::default();
            for line in &lines {
                let share = split.next(Credits::from_atoms(*line));
                let sum = share.included + share.promotional + share.purchased + share.overage;
                prop_assert_eq!(sum, Credits::from_atoms(*line));
                prop_assert!(!share.revenue.is_negative() && !share.above_hold.is_negative());
                sums.revenue += share.revenue;
                sums.overage += share.overage;
                sums.above_hold += share.above_hold;
            }
            prop_assert_eq!(sums.overage, Credits::from_atoms(left));
            prop_assert_eq!(sums.above_hold, Credits::from_atoms(above));
            prop_assert_eq!(sums.revenue, draws.iter().map(|draw| draw.revenue).sum::<Money>());
        }
    }
}
