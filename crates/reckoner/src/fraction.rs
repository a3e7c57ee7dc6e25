//! Fractions of any size, read digit by digit.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive, Zero};

pub(crate) type Fraction = BigRational;

/// 10¹⁵ units: no amount is larger.
pub(crate) const MOST_ATOMS: i128 = 1_000_000_000_000_000 * SCALE;
const SCALE: i128 = 1_000_000_000_000;

/// How a sum becomes a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    HalfEven,
    Up,
    Down,
}

pub(crate) fn whole(number: i128) -> Fraction {
    Fraction::from_integer(BigInt::from(number))
}

pub(crate) fn of_atoms(atoms: i128) -> Fraction {
    whole(atoms) / whole(SCALE)
}

/// `12.5`: every digit as it is written.
pub(crate) fn decimal(text: &str) -> Result<Fraction, String> {
    let bad = || format!("{text:?} is not a decimal number");
    let (units, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{units}{decimals}");
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(bad());
    }
    let digits: BigInt = digits.parse().map_err(|_| bad())?;
    let places = u32::try_from(decimals.len()).map_err(|_| bad())?;
    Ok(Fraction::new(digits, BigInt::from(10).pow(places)))
}

/// A number in steps of 10^-decimals; `None` when it is past all amounts.
pub(crate) fn steps_of(number: &Fraction, decimals: u32, rounding: Rounding) -> Option<i128> {
    let scaled = number * Fraction::from_integer(BigInt::from(10).pow(decimals));
    let floor = scaled.floor();
    let rest = &scaled - &floor;
    let floor = floor.to_integer();
    let half = Fraction::new(1.into(), 2.into());
    let is_odd = !(&floor % BigInt::from(2)).is_zero();
    let goes_up = match rounding {
        Rounding::Up => !rest.is_zero(),
        Rounding::Down => false,
        Rounding::HalfEven => rest > half || (rest == half && is_odd),
    };
    (floor + BigInt::from(u8::from(goes_up))).to_i128()
}

/// An amount at 12 decimals, half to even; `None` when it is past all amounts.
pub(crate) fn atoms_of(number: &Fraction) -> Option<i128> {
    debug_assert!(!number.is_negative());
    steps_of(number, 12, Rounding::HalfEven).filter(|atoms| *atoms <= MOST_ATOMS)
}
