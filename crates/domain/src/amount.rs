//! Exact amounts: integers in steps of 10⁻¹². No floating point exists on the path of money.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

/// Decimals that every stored amount has.
pub const DECIMALS: u32 = 12;
/// Steps in one unit: 10¹².
pub const SCALE: i128 = 1_000_000_000_000;

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Empty, or with a character that a plain decimal does not have (exponents are refused).
    #[error("not a decimal number")]
    NotADecimal,
    /// More than 12 decimals that are not zero.
    #[error("more than 12 decimals")]
    TooPrecise,
    /// Beyond ±[`crate::limits::AMOUNT_MAX_UNITS`] units.
    #[error("beyond the largest amount")]
    OutOfRange,
}

/// What all amounts can do, whatever they count; for code that is generic over them.
pub trait Amount: Copy {
    /// The amount in steps of 10⁻¹².
    fn atoms(self) -> i128;
    /// From steps of 10⁻¹².
    fn from_atoms(atoms: i128) -> Self;
}

macro_rules! amount {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i128);

        impl $name {
            pub const ZERO: Self = Self(0);

            /// From steps of 10⁻¹².
            pub const fn from_atoms(atoms: i128) -> Self {
                Self(atoms)
            }

            /// From whole units.
            pub const fn from_units(units: i64) -> Self {
                Self(units as i128 * SCALE)
            }

            /// In steps of 10⁻¹².
            pub const fn atoms(self) -> i128 {
                self.0
            }

            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            pub const fn is_negative(self) -> bool {
                self.0 < 0
            }

            pub const fn is_positive(self) -> bool {
                self.0 > 0
            }

            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }
        }

        impl Amount for $name {
            fn atoms(self) -> i128 {
                self.0
            }
            fn from_atoms(atoms: i128) -> Self {
                Self(atoms)
            }
        }

        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }
        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(-self.0)
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }
        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                self.0 -= other.0;
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
                amounts.fold(Self::ZERO, Add::add)
            }
        }
        impl FromStr for $name {
            type Err = AmountError;
            fn from_str(text: &str) -> Result<Self, AmountError> {
                parse(text).map(Self)
            }
        }
        /// A plain decimal string without trailing zeros: `12.5`, `-0.000000000001`, `0`.
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write(self.0, formatter)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.collect_str(self)
                } else {
                    serializer.serialize_i128(self.0)
                }
            }
        }
        /// From text only as a string: a JSON number has been through a float in too many
        /// libraries.
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return i128::deserialize(deserializer).map(Self);
                }
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

amount!(
    /// Credits: what a customer holds and spends. Signed, in steps of 10⁻¹².
    Credits
);
amount!(
    /// Money in the deployment's one currency. Signed, in steps of 10⁻¹².
    Money
);
amount!(
    /// How much of a meter an item used (pages, seconds, images). In steps of 10⁻¹².
    Quantity
);

fn parse(text: &str) -> Result<i128, AmountError> {
    let bytes = text.as_bytes();
    let (negative, digits) = match bytes.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some(_) => (false, bytes),
        None => return Err(AmountError::NotADecimal),
    };
    let mut atoms: i128 = 0;
    let mut decimals: Option<u32> = None;
    let mut seen_digit = false;
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                seen_digit = true;
                let digit = i128::from(byte - b'0');
                match &mut decimals {
                    Some(DECIMALS) if digit != 0 => return Err(AmountError::TooPrecise),
                    Some(DECIMALS) => continue,
                    Some(count) => *count += 1,
                    None => {}
                }
                atoms = atoms * 10 + digit;
                // Checked at every digit, so that no text however long can overflow.
                if atoms > crate::limits::AMOUNT_MAX_UNITS * SCALE {
                    return Err(AmountError::OutOfRange);
                }
            }
            b'.' if decimals.is_none() && seen_digit => decimals = Some(0),
            _ => return Err(AmountError::NotADecimal),
        }
    }
    if !seen_digit || bytes.last() == Some(&b'.') {
        return Err(AmountError::NotADecimal);
    }
    atoms = atoms
        .checked_mul(10_i128.pow(DECIMALS - decimals.unwrap_or(0)))
        .ok_or(AmountError::OutOfRange)?;
    if atoms > crate::limits::AMOUNT_MAX_UNITS * SCALE {
        return Err(AmountError::OutOfRange);
    }
    Ok(if negative { -atoms } else { atoms })
}

fn write(atoms: i128, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    let magnitude = atoms.unsigned_abs();
    let scale = SCALE.unsigned_abs();
    let (units, mut rest) = (magnitude / scale, magnitude % scale);
    let sign = if atoms < 0 { "-" } else { "" };
    if rest == 0 {
        return write!(formatter, "{sign}{units}");
    }
    let mut width = DECIMALS as usize;
    while rest % 10 == 0 {
        rest /= 10;
        width -= 1;
    }
    write!(formatter, "{sign}{units}.{rest:0width$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_writes_plain_decimals() {
        for (text, atoms) in [
            ("0", 0),
            ("12.5", 12_500_000_000_000),
            ("-0.000000000001", -1),
            ("1000000000000000", crate::limits::AMOUNT_MAX_UNITS * SCALE),
        ] {
            let credits: Credits = text.parse().unwrap();
            assert_eq!(credits.atoms(), atoms);
            assert_eq!(credits.to_string(), text);
        }
        assert_eq!("1.5000000000000000".parse(), Ok(Credits::from_atoms(1_500_000_000_000)));
    }

    #[test]
    fn refuses_what_is_not_a_plain_decimal() {
        for text in ["", "-", ".", ".5", "5.", "1e3", "+1", " 1", "1,5", "0x1", "NaN", "1.2.3"] {
            assert_eq!(text.parse::<Credits>(), Err(AmountError::NotADecimal), "{text}");
        }
        assert_eq!("0.0000000000001".parse::<Credits>(), Err(AmountError::TooPrecise));
        assert_eq!("1000000000000000.1".parse::<Credits>(), Err(AmountError::OutOfRange));
        // Short enough for the digits, too large for the decimals that are missing.
        assert_eq!("9".repeat(27).parse::<Credits>(), Err(AmountError::OutOfRange));
        assert_eq!("9".repeat(500).parse::<Credits>(), Err(AmountError::OutOfRange));
    }

    proptest! {
        #[test]
        fn text_round_trips(atoms in -crate::limits::AMOUNT_MAX_UNITS*SCALE..=crate::limits::AMOUNT_MAX_UNITS*SCALE) {
            let credits = Credits::from_atoms(atoms);
            prop_assert_eq!(credits.to_string().parse::<Credits>(), Ok(credits));
        }
    }
}
