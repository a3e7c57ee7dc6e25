//! Numbers as vendors write them, read exactly.

use domain::DECIMALS;
use domain::Money;

/// Decimals that are kept; of what follows only whether it is nothing.
const DECIMALS_KEPT: u32 = 24;
const DIGITS_MAX: usize = 400;

/// A decimal number: `mantissa` × 10^-`decimals`, and a little more when `more`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    mantissa: i128,
    decimals: u32,
    more: bool,
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// `1.234,5` instead of `1,234.5`.
    pub(crate) decimal_comma: bool,
}

/// Why a text is no number, or none that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotANumber {
    #[error("not a number")]
    Malformed,
    #[error("separators of thousands stand before groups of three digits")]
    Grouping,
    #[error("not a whole number")]
    NotWhole,
    #[error("too large")]
    TooLarge,
}

impl Number {
    /// Takes digits, one decimal point, separators of thousands, a sign, an exponent, and a dollar,
    /// euro or pound sign before them.
    pub(crate) fn read(text: &str, style: Style) -> Result<Self, NotANumber> {
        let text = text.trim();
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let text = text.trim_start_matches(['$', '€', '£']).trim();
        let (digits, exponent) = match text.split_once(['e', 'E']) {
            Some((digits, exponent)) => {
                (digits, exponent.parse::<i32>().map_err(|_| NotANumber::Malformed)?)
            }
            None => (text, 0),
        };
        let (point, separator) = if style.decimal_comma { (',', '.') } else { ('.', ',') };
        let (whole, fraction) = digits.split_once(point).unwrap_or((digits, ""));
        let whole = ungrouped(whole, separator)?;
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let any = !whole.is_empty() || !fraction.is_empty();
        if !any || !is_number(&whole) || !is_number(fraction) || digits.len() > DIGITS_MAX {
            return Err(NotANumber::Malformed);
        }
        // Every digit at its place after the exponent has moved the point.
        let places = i32::try_from(fraction.len()).map_err(|_| NotANumber::TooLarge)?;
        let decimals = places.checked_sub(exponent).ok_or(NotANumber::TooLarge)?;
        let kept = i32::try_from(DECIMALS_KEPT).map_err(|_| NotANumber::TooLarge)?;
        let all: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let dropped = usize::try_from((decimals - kept).max(0)).unwrap_or(usize::MAX);
        let (all, rest) = all.split_at(all.len().saturating_sub(dropped));
        let mut mantissa: i128 = 0;
        for digit in all {
            mantissa = mantissa
                .checked_mul(10)
                .and_then(|sum| sum.checked_add(i128::from(digit - b'0')))
                .ok_or(NotANumber::TooLarge)?;
        }
        let more = rest.iter().any(|digit| *digit != b'0');
        let mut decimals = decimals.min(kept);
        if mantissa == 0 {
            decimals = decimals.max(0);
        }
        while decimals < 0 {
            mantissa = mantissa.checked_mul(10).ok_or(NotANumber::TooLarge)?;
            decimals += 1;
        }
        let mut number = Self { mantissa, decimals: decimals.unsigned_abs(), more };
        if negative {
            number.mantissa = -number.mantissa;
        }
        Ok(number.trimmed())
    }

    /// Without the zeros that end it, so that products stay small.
    fn trimmed(mut self) -> Self {
        while self.decimals > 0 && self.mantissa % 10 == 0 && !self.more {
            self.mantissa /= 10;
            self.decimals -= 1;
        }
        self
    }

    /// The product. A digit past the 24th decimal is lost to the product's own rounding.
    pub(crate) fn times(self, factor: Self) -> Result<Self, NotANumber> {
        let mantissa = self.mantissa.checked_mul(factor.mantissa).ok_or(NotANumber::TooLarge)?;
        Ok(Self {
            mantissa,
            decimals: self.decimals + factor.decimals,
            more: self.more || factor.more,
        }
        .trimmed())
    }

    pub(crate) fn whole(self) -> Result<i128, NotANumber> {
        match self.decimals == 0 && !self.more {
            true => Ok(self.mantissa),
            false => Err(NotANumber::NotWhole),
        }
    }

    /// As money: 12 decimals, half-even.
    pub(crate) fn money(self) -> Result<Money, NotANumber> {
        if self.decimals <= DECIMALS {
            let scale = 10_i128.pow(DECIMALS - self.decimals);
            let atoms = self.mantissa.checked_mul(scale).ok_or(NotANumber::TooLarge)?;
            return Ok(Money::from_atoms(atoms));
        }
        let Some(divisor) = 10_i128.checked_pow(self.decimals - DECIMALS) else {
            return Ok(Money::ZERO);
        };
        let size = self.mantissa.abs();
        let (floor, rest) = (size / divisor, size % divisor);
        let half = divisor / 2;
        let up = rest > half || (rest == half && (self.more || floor % 2 == 1));
        let size = floor + i128::from(up);
        Ok(Money::from_atoms(if self.mantissa < 0 { -size } else { size }))
    }
}

fn ungrouped(digits: &str, separator: char) -> Result<String, NotANumber> {
    let mut groups = digits.split(separator);
    let first = groups.next().unwrap_or_default();
    let mut whole = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.is_empty() || first.len() > 3 {
            return Err(NotANumber::Grouping);
        }
        whole.push_str(group);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn money(text: &str) -> String {
        Number::read(text, Style::default()).unwrap().money().unwrap().to_string()
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, amount) in [
            ("0.8958740000000000", "0.895874"),
            ("1,234,567.5", "1234567.5"),
            ("$1,000", "1000"),
            ("-$3.10", "-3.1"),
            ("5.4e-05", "0.000054"),
            ("1.5E3", "1500"),
            (".5", "0.5"),
            ("0.06000000000000000499600361081320443190634250640869140625", "0.06"),
            ("0.0000000000005", "0"),
            ("0.00000000000050000000000000000000000000001", "0.000000000001"),
            ("0.0000000000015", "0.000000000002"),
            ("0", "0"),
            ("0e5", "0"),
            ("1e-300", "0"),
        ] {
            assert_eq!(money(text), amount, "{text}");
        }
        let comma = Style { decimal_comma: true };
        assert_eq!(
            Number::read("1.234,56", comma).unwrap().money().unwrap().to_string(),
            "1234.56"
        );
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for (text, fault) in [
            ("", NotANumber::Malformed),
            (".", NotANumber::Malformed),
            ("12a", NotANumber::Malformed),
            ("1.2.3", NotANumber::Malformed),
            ("--1", NotANumber::Malformed),
            ("1,5", NotANumber::Grouping),
            ("1,23,456", NotANumber::Grouping),
            ("1234,567", NotANumber::Grouping),
            ("NaN", NotANumber::Malformed),
            ("1e400", NotANumber::TooLarge),
        ] {
            assert_eq!(Number::read(text, Style::default()), Err(fault), "{text}");
        }
        assert_eq!(
            Number::read("59200.5", Style::default()).unwrap().whole(),
            Err(NotANumber::NotWhole)
        );
        assert_eq!(Number::read("59200.0", Style::default()).unwrap().whole(), Ok(59_200));
    }

    #[test]
    fn units_are_multiplied_exactly() {
        let number = |text| Number::read(text, Style::default()).unwrap();
        assert_eq!(number("1.5").times(number("1000")).unwrap().whole(), Ok(1_500));
        let cents = number("123.78912").times(number("0.01")).unwrap();
        assert_eq!(cents.money().unwrap().to_string(), "1.2378912");
    }

    proptest! {
        #[test]
        fn any_amount_reads_back(atoms in -10_i128.pow(30)..10_i128.pow(30)) {
            let amount = Money::from_atoms(atoms);
            let read = Number::read(&amount.to_string(), Style::default()).unwrap();
            prop_assert_eq!(read.money().unwrap(), amount);
        }

        #[test]
        fn any_text_is_a_number_or_a_fault(text in "[-+$0-9eE.,]{0,24}|.{0,12}") {
            if let Ok(number) = Number::read(&text, Style::default()) {
                let _fits = number.money().is_ok();
            }
        }
    }
}
