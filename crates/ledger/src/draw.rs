//! Drawing credits from lots, and the revenue that goes with them.

use domain::{Credits, Money, Timestamp};
use num_bigint::BigInt;
use num_traits::ToPrimitive;

use crate::entry::Draws;
use crate::{Account, Draw, Lot};

/// What a lot has recognised of its total paid once `used` of `granted` credits are gone:
/// `paid × used ÷ granted`, half-even to 12 decimals. Taking differences of this as the lot is used
/// makes the last draw take what rounding left.
pub fn recognised(paid: Money, used: Credits, granted: Credits) -> Money {
    if paid.is_zero() || used == granted {
        return paid;
    }
    Money::from_atoms(share(paid.atoms(), used.atoms(), granted.atoms()))
}

/// `amount × part ÷ whole`, half-even; `0 ≤ part ≤ whole` and `whole` is above zero.
pub(crate) fn share(amount: i128, part: i128, whole: i128) -> i128 {
    let (quotient, remainder) = match amount.checked_mul(part) {
        Some(product) => (product / whole, product % whole),
        // Beyond 38 digits: rare enough for arbitrary precision.
        None => {
            let product = BigInt::from(amount) * part;
            let quotient = &product / whole;
            let remainder = product - &quotient * whole;
            // |quotient| ≤ |amount| and |remainder| < whole, because part ≤ whole.
            (quotient.to_i128().unwrap_or(amount), remainder.to_i128().unwrap_or(0))
        }
    };
    let round_up = match (remainder * 2).cmp(&whole) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => quotient % 2 != 0,
        std::cmp::Ordering::Less => false,
    };
    quotient + i128::from(round_up)
}

/// The revenue that goes with taking `credits` more from a lot. What left it with its money does not
/// count. Never negative: a refund of money alone leaves less to be earned, not something to be
/// given back.
pub(crate) fn revenue_of(lot: &Lot, credits: Credits) -> Money {
    let granted = lot.granted - lot.rolled - lot.refunded;
    let used = granted - lot.remaining() + credits;
    let revenue = recognised(lot.paid - lot.paid_back, used, granted) - lot.recognised;
    revenue.max(Money::ZERO)
}

/// Draws `amount` from the lots in draw-down order for usage dated `at`. Returns the draws and what
/// the lots did not cover.
pub(crate) fn draw(account: &Account, amount: Credits, at: Timestamp) -> (Draws, Credits) {
    let mut draws = Draws::new();
    let mut left = amount;
    for lot in &account.lots {
        if left.is_zero() {
            break;
        }
        if !lot.serves(at) {
            continue;
        }
        let credits = left.min(lot.free());
        if credits.is_zero() {
            continue;
        }
        draws.push(draw_from(lot, credits));
        left -= credits;
    }
    (draws, left)
}

pub(crate) fn draw_from(lot: &Lot, credits: Credits) -> Draw {
    Draw { lot: lot.id, category: lot.category, credits, revenue: revenue_of(lot, credits) }
}

/// What a lot that has just become live repays of the account's overage, if it may.
pub(crate) fn repay(account: &Account, lot: &Lot, repays: bool) -> Option<Draw> {
    repay_of(account.overage, lot, repays)
}

/// What a lot repays of so much overage, if it may.
pub(crate) fn repay_of(overage: Credits, lot: &Lot, repays: bool) -> Option<Draw> {
    let credits = overage.min(lot.free());
    (repays && credits.is_positive()).then(|| draw_from(lot, credits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_draw_takes_what_rounding_left() {
        let paid: Money = "10".parse().unwrap();
        let granted = Credits::from_units(3);
        let first = recognised(paid, Credits::from_units(1), granted);
        let second = recognised(paid, Credits::from_units(2), granted);
        assert_eq!(first.to_string(), "3.333333333333");
        assert_eq!(second.to_string(), "6.666666666667");
        assert_eq!(recognised(paid, granted, granted), paid);
    }

    proptest! {
        #[test]
        fn recognition_grows_with_use_and_ends_at_the_total(
            paid in 0_i128..10_i128.pow(27),
            granted in 1_i128..10_i128.pow(27),
            a in 0_u64..=1_000_000, b in 0_u64..=1_000_000,
        ) {
            let part = |share: u64| Credits::from_atoms(granted / 1_000_000 * i128::from(share));
            let (low, high) = (a.min(b), a.max(b));
            let (paid, granted) = (Money::from_atoms(paid), Credits::from_atoms(granted));
            let (low, high) = (recognised(paid, part(low), granted), recognised(paid, part(high), granted));
            prop_assert!(low <= high && high <= paid && !low.is_negative());
            prop_assert_eq!(recognised(paid, granted, granted), paid);
        }
    }
}
