//! Decimals of documents: prices, rates and factors, digit for digit.

use std::fmt;

/// Powers of ten that fit an `i128`.
const POWERS: [i128; 39] = {
    let mut powers = [1_i128; 39];
    let mut index = 1;
    while index < powers.len() {
        powers[index] = powers[index - 1] * 10;
        index += 1;
    }
    powers
};

/// 10 to the `exponent`, as far as it fits.
pub(crate) fn power_of_ten(exponent: u32) -> Option<i128> {
    POWERS.get(exponent as usize).copied()
}

/// A non-negative decimal of a document, without its trailing zeros: `mantissa / 10^decimals`.
///
/// At most 38 digits in all, at most 10¹⁵ in value: published price lists use up to 21 decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decimal {
    mantissa: i128,
    decimals: u32,
}

/// Why a text is not a decimal of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("not a plain decimal such as \"2.50\"")]
    NotADecimal,
    #[error("negative")]
    Negative,
    #[error("more than 38 digits")]
    TooPrecise,
    #[error("beyond 10^15")]
    OutOfRange,
}

impl Decimal {
    pub const ZERO: Self = Self { mantissa: 0, decimals: 0 };
    pub const ONE: Self = Self { mantissa: 1, decimals: 0 };

    /// From `mantissa / 10^decimals`; `None` when negative or past 38 decimals.
    pub fn new(mantissa: i128, decimals: u32) -> Option<Self> {
        if mantissa < 0 || decimals > 38 {
            return None;
        }
        let (mut mantissa, mut decimals) = (mantissa, decimals);
        while decimals > 0 && mantissa % 10 == 0 {
            mantissa /= 10;
            decimals -= 1;
        }
        Some(Self { mantissa, decimals })
    }

    /// The digits as a whole number.
    pub const fn mantissa(self) -> i128 {
        self.mantissa
    }

    /// How many of the digits stand after the point.
    pub const fn decimals(self) -> u32 {
        self.decimals
    }

    pub const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    /// The digits at a scale of at least [`Self::decimals`], as far as they fit.
    pub(crate) fn at_scale(self, decimals: u32) -> Option<i128> {
        self.mantissa.checked_mul(power_of_ten(decimals.checked_sub(self.decimals)?)?)
    }
}

impl std::str::FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let (digits, negative) = match text.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || digits.ends_with('.') || !is_digits(whole) || !is_digits(fraction) {
            return Err(DecimalError::NotADecimal);
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > 16 {
            return Err(DecimalError::OutOfRange);
        }
        if whole.len() + fraction.len() > 38 {
            return Err(DecimalError::TooPrecise);
        }
        let mantissa = whole
            .bytes()
            .chain(fraction.bytes())
            .fold(0_i128, |value, byte| value * 10 + i128::from(byte - b'0'));
        let decimals = u32::try_from(fraction.len()).unwrap_or(u32::MAX);
        let decimal = Self::new(mantissa, decimals).ok_or(DecimalError::TooPrecise)?;
        let limit = power_of_ten(decimals).unwrap_or(i128::MAX);
        if decimal.mantissa / limit >= domain::limits::AMOUNT_MAX_UNITS
            && decimal != (Self { mantissa: domain::limits::AMOUNT_MAX_UNITS, decimals: 0 })
        {
            return Err(DecimalError::OutOfRange);
        }
        if negative && !decimal.is_zero() {
            return Err(DecimalError::Negative);
        }
        Ok(decimal)
    }
}

/// Plain digits without trailing zeros.
impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.decimals == 0 {
            return write!(formatter, "{}", self.mantissa);
        }
        let width = self.decimals as usize + 1;
        let digits = format!("{:0width$}", self.mantissa);
        let (whole, fraction) = digits.split_at(digits.len() - self.decimals as usize);
        write!(formatter, "{whole}.{fraction}")
    }
}

/// As a string, like all numbers for money.
impl serde::Serialize for Decimal {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_every_digit() {
        for (text, shown) in [
            ("0", "0"),
            ("2.50", "2.5"),
            ("000.000", "0"),
            ("0.000000000000000000001", "0.000000000000000000001"),
            ("33.333333333333335", "33.333333333333335"),
            ("123456789012345.12345678901234567890123", "123456789012345.12345678901234567890123"),
            ("1000000000000000", "1000000000000000"),
        ] {
            assert_eq!(text.parse::<Decimal>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_what_it_cannot_keep() {
        use DecimalError::*;
        for (text, error) in [
            ("", NotADecimal),
            (".5", NotADecimal),
            ("5.", NotADecimal),
            ("1e3", NotADecimal),
            ("+1", NotADecimal),
            ("1,5", NotADecimal),
            ("-1", Negative),
            ("1000000000000000.1", OutOfRange),
            ("1000000000000001", OutOfRange),
            ("99999999999999999999999999999999999999999", OutOfRange),
            ("0.000000000000000000000000000000000000001", TooPrecise),
        ] {
            assert_eq!(text.parse::<Decimal>(), Err(error), "{text}");
        }
    }
}
