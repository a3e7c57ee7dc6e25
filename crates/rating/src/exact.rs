//! Exact fractions. What is rated stays one from the first multiplication to the one rounding.
//!
//! [`Exact`] is the fast one, an `i128` over a power of ten and a divisor, every step checked.
//! When a step does not fit, the event is rated again over [`BigRational`], which always does.
//! The code that rates is written once, over [`Number`].

use std::cmp::Ordering;

use domain::{DECIMALS, Pools};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};

use crate::decimal::{Decimal, power_of_ten};
use crate::rates::TokenRates;

/// What happens to the part of a credit that is smaller than the card's last decimal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    #[default]
    HalfEven,
    Up,
    Down,
}

impl Rounding {
    pub const ALL: [Self; 3] = [Self::HalfEven, Self::Up, Self::Down];

    /// The word in rate cards.
    pub const fn word(self) -> &'static str {
        match self {
            Self::HalfEven => "half_even",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// A fraction that only grows through checked steps; `None` is "does not fit".
pub(crate) trait Number: Clone {
    fn zero() -> Self;
    fn of(exact: &Exact) -> Self;
    /// Σ count × price, for prices per million tokens. Every pool that counts must be priced.
    fn of_tokens(rates: &TokenRates, pools: &Pools) -> Option<Self>;
    fn times(&self, factor: &Exact) -> Option<Self>;
    fn plus(&self, other: &Self) -> Option<Self>;
    fn compare(&self, other: &Self) -> Option<Ordering>;
    /// Whole steps of 10^-decimals, and the part of one step that is left, at least 0, below 1.
    fn split(&self, decimals: u32) -> Option<(i128, Self)>;
    fn is_zero(&self) -> bool;
    fn compare_half(&self) -> Option<Ordering>;

    /// Steps of 10^-decimals after rounding.
    fn to_steps(&self, decimals: u32, rounding: Rounding) -> Option<i128> {
        let (floor, rest) = self.split(decimals)?;
        rounded(floor, &rest, rounding)
    }

    /// Steps of 10⁻¹², half to even: how amounts are kept.
    fn atoms(&self) -> Option<i128> {
        self.to_steps(DECIMALS, Rounding::HalfEven)
    }
}

/// Whole steps and the part of a step beside them, rounded to whole steps.
pub(crate) fn rounded<N: Number>(floor: i128, rest: &N, rounding: Rounding) -> Option<i128> {
    let up = match rounding {
        Rounding::Down => false,
        Rounding::Up => !rest.is_zero(),
        Rounding::HalfEven => match rest.compare_half()? {
            Ordering::Less => false,
            Ordering::Equal => floor % 2 != 0,
            Ordering::Greater => true,
        },
    };
    floor.checked_add(i128::from(up))
}

/// `numerator / (10^decimals × divisor)`, with a divisor of at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exact {
    numerator: i128,
    decimals: u32,
    divisor: i128,
}

impl Exact {
    pub(crate) const ONE: Self = Self { numerator: 1, decimals: 0, divisor: 1 };

    pub(crate) const fn new(numerator: i128, decimals: u32) -> Self {
        Self { numerator, decimals, divisor: 1 }
    }

    pub(crate) const fn whole(number: i128) -> Self {
        Self::new(number, 0)
    }

    /// An amount in steps of 10⁻¹²; whole units lose their decimals, so that later steps stay
    /// multiplications.
    pub(crate) fn of_atoms(atoms: i128) -> Self {
        const UNIT: u64 = domain::SCALE as u64;
        match u64::try_from(atoms) {
            Ok(small) if small % UNIT == 0 => Self::whole(i128::from(small / UNIT)),
            Ok(_) | Err(_) => Self::new(atoms, DECIMALS),
        }
    }

    /// This over a positive whole number.
    pub(crate) fn over(self, divisor: i128) -> Option<Self> {
        Some(Self { divisor: self.divisor.checked_mul(divisor)?, ..self })
    }

    /// One over a positive decimal. Twos and fives go to the power of ten, so that dividing by
    /// 5,000 tokens is multiplying by 0.0002.
    pub(crate) fn reciprocal(decimal: Decimal) -> Option<Self> {
        let mut divisor = decimal.mantissa();
        if divisor <= 0 {
            return None;
        }
        let mut numerator = power_of_ten(decimal.decimals())?;
        let mut decimals = 0;
        for (prime, other) in [(10, 1), (5, 2), (2, 5)] {
            while divisor % prime == 0 {
                divisor /= prime;
                numerator = numerator.checked_mul(other)?;
                decimals += 1;
            }
        }
        while decimals > 0 && numerator % 10 == 0 {
            numerator /= 10;
            decimals -= 1;
        }
        let shared = greatest_common_divisor(numerator, divisor);
        Some(Self { numerator: numerator / shared, decimals, divisor: divisor / shared })
    }

    /// Without the trailing zeros of the numerator.
    pub(crate) fn trimmed(mut self) -> Self {
        while self.decimals > 0 && self.numerator % 10 == 0 {
            self.numerator /= 10;
            self.decimals -= 1;
        }
        self
    }

    fn scaled(&self, decimals: u32) -> Option<i128> {
        match decimals - self.decimals {
            0 => Some(self.numerator),
            missing => self.numerator.checked_mul(power_of_ten(missing)?),
        }
    }
}

impl From<Decimal> for Exact {
    fn from(decimal: Decimal) -> Self {
        Self::new(decimal.mantissa(), decimal.decimals())
    }
}

pub(crate) fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.max(1)
}

/// Quotient towards negative infinity and remainder, by 64-bit division where the operands allow:
/// an `i128` division costs several times as much.
fn divide(numerator: i128, divisor: i128) -> (i128, i128) {
    match (u64::try_from(numerator), u64::try_from(divisor)) {
        (Ok(a), Ok(b)) if b != 0 => (i128::from(a / b), i128::from(a % b)),
        _ => (numerator.div_euclid(divisor), numerator.rem_euclid(divisor)),
    }
}

impl Number for Exact {
    fn zero() -> Self {
        Self::whole(0)
    }

    fn of(exact: &Exact) -> Self {
        *exact
    }

    #[inline]
    fn of_tokens(rates: &TokenRates, pools: &Pools) -> Option<Self> {
        let numerator = rates.sum_per_million(pools)?;
        Some(Self::new(numerator, rates.decimals() + 6))
    }

    #[inline]
    fn times(&self, factor: &Exact) -> Option<Self> {
        let divisor = match (self.divisor, factor.divisor) {
            (1, other) | (other, 1) => other,
            (a, b) => a.checked_mul(b)?,
        };
        Some(Self {
            numerator: self.numerator.checked_mul(factor.numerator)?,
            decimals: self.decimals + factor.decimals,
            divisor,
        })
    }

    #[inline]
    fn plus(&self, other: &Self) -> Option<Self> {
        let decimals = self.decimals.max(other.decimals);
        let (a, b) = (self.scaled(decimals)?, other.scaled(decimals)?);
        if self.divisor == other.divisor {
            return Some(Self { numerator: a.checked_add(b)?, decimals, divisor: self.divisor });
        }
        let shared = greatest_common_divisor(self.divisor, other.divisor);
        let (for_a, for_b) = (other.divisor / shared, self.divisor / shared);
        Some(Self {
            numerator: a.checked_mul(for_a)?.checked_add(b.checked_mul(for_b)?)?,
            decimals,
            divisor: self.divisor.checked_mul(for_a)?,
        })
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        let decimals = self.decimals.max(other.decimals);
        let (a, b) = (self.scaled(decimals)?, other.scaled(decimals)?);
        if self.divisor == other.divisor {
            return Some(a.cmp(&b));
        }
        Some(a.checked_mul(other.divisor)?.cmp(&b.checked_mul(self.divisor)?))
    }

    #[inline]
    fn split(&self, decimals: u32) -> Option<(i128, Self)> {
        let (numerator, whole) = if self.decimals <= decimals {
            (self.scaled(decimals)?, self.divisor)
        } else {
            let power = power_of_ten(self.decimals - decimals)?;
            (self.numerator, power.checked_mul(self.divisor)?)
        };
        if whole == 1 {
            return Some((numerator, Self::zero()));
        }
        let (floor, rest) = divide(numerator, whole);
        Some((floor, Self { numerator: rest, decimals: 0, divisor: whole }))
    }

    fn is_zero(&self) -> bool {
        self.numerator == 0
    }

    #[inline]
    fn compare_half(&self) -> Option<Ordering> {
        if self.numerator == 0 {
            return Some(Ordering::Less);
        }
        let whole = power_of_ten(self.decimals)?.checked_mul(self.divisor)?;
        Some(self.numerator.checked_mul(2)?.cmp(&whole))
    }
}

fn big_power_of_ten(exponent: u32) -> BigInt {
    BigInt::from(10).pow(exponent)
}

impl From<&Exact> for BigRational {
    fn from(exact: &Exact) -> Self {
        Self::new(
            BigInt::from(exact.numerator),
            big_power_of_ten(exact.decimals) * BigInt::from(exact.divisor),
        )
    }
}

/// Only a result that no amount can hold fails here.
impl Number for BigRational {
    fn zero() -> Self {
        Zero::zero()
    }

    fn of(exact: &Exact) -> Self {
        exact.into()
    }

    fn of_tokens(rates: &TokenRates, pools: &Pools) -> Option<Self> {
        let mut sum = BigInt::ZERO;
        for (pool, count) in pools.nonzero() {
            sum += BigInt::from(count) * BigInt::from(rates.scaled_rate(pool)?);
        }
        Some(Self::new(sum, big_power_of_ten(rates.decimals() + 6)))
    }

    fn times(&self, factor: &Exact) -> Option<Self> {
        Some(self * Self::from(factor))
    }

    fn plus(&self, other: &Self) -> Option<Self> {
        Some(self + other)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    fn split(&self, decimals: u32) -> Option<(i128, Self)> {
        let scaled = self * Self::from_integer(big_power_of_ten(decimals));
        let floor = scaled.floor();
        Some((floor.to_integer().to_i128()?, scaled - floor))
    }

    fn is_zero(&self) -> bool {
        Zero::is_zero(self)
    }

    fn compare_half(&self) -> Option<Ordering> {
        debug_assert!(!self.is_negative());
        Some((self * BigInt::from(2)).cmp(&Self::from_integer(BigInt::from(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_reciprocal_keeps_only_what_ten_does_not_divide() {
        assert_eq!(Exact::reciprocal(decimal("5000")), Some(Exact::new(2, 4)));
        assert_eq!(Exact::reciprocal(decimal("0.5")), Some(Exact::whole(2)));
        assert_eq!(
            Exact::reciprocal(decimal("3")),
            Some(Exact { numerator: 1, decimals: 0, divisor: 3 })
        );
        assert_eq!(Exact::reciprocal(Decimal::ZERO), None);
    }

    #[test]
    fn rounds_as_the_card_says() {
        for (text, half_even, up, down) in
            [("2.5", 2, 3, 2), ("3.5", 4, 4, 3), ("2.51", 3, 3, 2), ("2", 2, 2, 2)]
        {
            let exact = Exact::from(decimal(text));
            assert_eq!(exact.to_steps(0, Rounding::HalfEven), Some(half_even));
            assert_eq!(exact.to_steps(0, Rounding::Up), Some(up));
            assert_eq!(exact.to_steps(0, Rounding::Down), Some(down));
        }
    }

    fn exacts() -> impl Strategy<Value = Exact> {
        (0..i128::from(u64::MAX), 0_u32..14, 1_i128..1_000_000)
            .prop_map(|(numerator, decimals, divisor)| Exact { numerator, decimals, divisor })
    }

    proptest! {
        #[test]
        fn the_fast_fraction_agrees_with_the_big_one(
            a in exacts(), b in exacts(), decimals in 0_u32..=12,
        ) {
            let (big_a, big_b) = (BigRational::from(&a), BigRational::from(&b));
            if let Some(sum) = a.plus(&b) {
                prop_assert_eq!(BigRational::from(&sum), &big_a + &big_b);
            }
            if let Some(product) = a.times(&b) {
                prop_assert_eq!(BigRational::from(&product), &big_a * &big_b);
            }
            if let Some(order) = a.compare(&b) {
                prop_assert_eq!(order, big_a.cmp(&big_b));
            }
            for rounding in [Rounding::HalfEven, Rounding::Up, Rounding::Down] {
                if let Some(rounded) = a.to_steps(decimals, rounding) {
                    prop_assert_eq!(Some(rounded), big_a.to_steps(decimals, rounding));
                }
            }
        }
    }
}
