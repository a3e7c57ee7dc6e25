//! Spreading a rounded charge over its lines, so that they sum to it.

use std::cmp::Ordering;

use domain::Credits;
use smallvec::SmallVec;

use crate::exact::{Exact, Number, greatest_common_divisor};
use crate::rate::{Share, Shares};
use crate::rating::RateLine;

/// A rounded charge.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge {
    /// In steps of the card's last decimal.
    pub(crate) steps: i128,
    /// The card's decimals.
    pub(crate) decimals: u32,
    /// One step, in steps of 10⁻¹².
    pub(crate) step: i128,
}

/// Gives each line the whole steps of its exact credits, and the steps that are left to the
/// largest remainders, ties by item order. `None` when the number type is too small.
pub(crate) fn spread<N: Number>(
    charge: Charge,
    mut shares: Shares<N>,
    lines: &mut [RateLine],
) -> Option<()> {
    share_out_charges_per_event(&mut shares, lines)?;
    let mut left = charge.steps;
    let mut rests: SmallVec<[(usize, N); 6]> = SmallVec::new();
    for (index, (share, line)) in shares.iter().zip(lines.iter_mut()).enumerate() {
        let (floor, rest) = share.exact.split(charge.decimals)?;
        left = left.checked_sub(floor)?;
        line.credits = Credits::from_atoms(floor.checked_mul(charge.step)?);
        line.exact = Credits::from_atoms(share.exact.atoms()?);
        if !rest.is_zero() {
            insert_by_size(&mut rests, index, rest)?;
        }
    }
    if left == 0 {
        return Some(());
    }
    // Credits are never negative, so a rounded sum has at least its items' whole steps, and at
    // most one more for each item that has a remainder.
    debug_assert!((0..=rests.len() as i128).contains(&left));
    for (index, _) in rests.iter().take(usize::try_from(left).ok()?) {
        lines[*index].credits += Credits::from_atoms(charge.step);
    }
    Some(())
}

/// Keeps the remainders sorted, the largest first, equal ones in the order of their items.
fn insert_by_size<N: Number>(
    rests: &mut SmallVec<[(usize, N); 6]>,
    index: usize,
    rest: N,
) -> Option<()> {
    let (mut from, mut to) = (0, rests.len());
    while from < to {
        let middle = from.midpoint(to);
        match rests[middle].1.compare(&rest)? {
            Ordering::Less => to = middle,
            Ordering::Equal | Ordering::Greater => from = middle + 1,
        }
    }
    rests.insert(from, (index, rest));
    Some(())
}

/// A charge per event is shared by vendor cost (reported, or else computed, as it stands on the
/// line): missing weighs nothing, and when all weigh nothing the shares are even.
fn share_out_charges_per_event<N: Number>(
    shares: &mut [Share<N>],
    lines: &[RateLine],
) -> Option<()> {
    for first in 0..shares.len() {
        let Some(rule) = shares[first].per_event else {
            continue;
        };
        let members = |shares: &[Share<N>]| -> SmallVec<[usize; 8]> {
            let of_rule = |index: &usize| shares[*index].per_event == Some(rule);
            (first..shares.len()).filter(of_rule).collect()
        };
        let members = members(shares);
        let weight = |index: usize| lines[index].vendor_cost.map_or(0, |cost| cost.atoms());
        let sum: i128 = members.iter().map(|index| weight(*index)).sum();
        let shared =
            members.iter().fold(sum, |gcd, index| greatest_common_divisor(gcd, weight(*index)));
        let amount = shares[first].exact.clone();
        for index in &members {
            let part = match sum {
                0 => Exact::ONE.over(i128::try_from(members.len()).ok()?)?,
                sum => Exact::whole(weight(*index) / shared).over(sum / shared)?,
            };
            shares[*index] = Share { exact: amount.times(&part)?, per_event: None };
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::RuleId;
    use num_rational::BigRational;

    use domain::CostStatus;

    fn line(cost: i128) -> RateLine {
        RateLine {
            rule: RuleId(0),
            price: None,
            vendor_cost_computed: None,
            vendor_cost: (cost > 0).then(|| domain::Money::from_atoms(cost)),
            cost_status: CostStatus::Missing,
            cost_missing: None,
            credits: Credits::ZERO,
            exact: Credits::ZERO,
        }
    }

    /// Spreads whole credits over exact hundredths, by either number type.
    fn spread_over(steps: i128, hundredths: &[i128]) -> Vec<i128> {
        fn over<N: Number>(steps: i128, hundredths: &[i128]) -> Vec<i128> {
            let shares = hundredths
                .iter()
                .map(|part| Share { exact: N::of(&Exact::new(*part, 2)), per_event: None })
                .collect();
            let mut lines = vec![line(0); hundredths.len()];
            let charge = Charge { steps, decimals: 0, step: domain::SCALE };
            spread::<N>(charge, shares, &mut lines).unwrap();
            lines.iter().map(|line| line.credits.atoms() / domain::SCALE).collect()
        }
        let fast = over::<Exact>(steps, hundredths);
        assert_eq!(fast, over::<BigRational>(steps, hundredths));
        fast
    }

    #[test]
    fn the_largest_remainders_take_what_is_left() {
        assert_eq!(spread_over(2, &[133, 133]), [1, 1]);
        assert_eq!(spread_over(3, &[133, 134]), [1, 2]);
        // Ties go by item order.
        assert_eq!(spread_over(2, &[50, 50, 50, 50]), [1, 1, 0, 0]);
        assert_eq!(spread_over(4, &[120, 190, 150]), [1, 2, 1]);
        // Rounding up gives nothing to items without a remainder.
        assert_eq!(spread_over(6, &[300, 201]), [3, 3]);
    }

    /// The exact shares of 50 credits per event, with a line of another rule between them.
    fn shared(costs: &[i128]) -> Vec<String> {
        let share = |exact: i128, per_event| Share { exact: Exact::whole(exact), per_event };
        let mut shares: Shares<Exact> = costs.iter().map(|_| share(50, Some(1))).collect();
        shares.insert(1, share(7, None));
        let mut lines: Vec<RateLine> = costs.iter().map(|cost| line(*cost)).collect();
        lines.insert(1, line(999));
        let charge = Charge { steps: 57, decimals: 0, step: domain::SCALE };
        spread(charge, shares, &mut lines).unwrap();
        assert_eq!(lines.iter().map(|line| line.credits).sum::<Credits>().to_string(), "57");
        lines.iter().map(|line| line.exact.to_string()).collect()
    }

    #[test]
    fn a_charge_per_event_is_shared_by_vendor_cost() {
        assert_eq!(shared(&[30, 20]), ["30", "7", "20"]);
        assert_eq!(shared(&[30, 0]), ["50", "7", "0"]);
        assert_eq!(
            shared(&[0, 0, 0]),
            ["16.666666666667", "7", "16.666666666667", "16.666666666667"]
        );
    }
}
