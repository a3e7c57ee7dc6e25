//! Values that are read while the command line is: what is wrong with one is wrong usage, said
//! before anything travels.

use std::fmt;
use std::str::FromStr;

use domain::{Credits, Money};

/// More than zero credits.
pub(crate) fn positive(text: &str) -> Result<Credits, String> {
    let credits = text.parse::<Credits>().map_err(|error| error.to_string())?;
    if credits.is_positive() { Ok(credits) } else { Err("it must be above zero".to_owned()) }
}

/// An amount of money that is not below zero.
pub(crate) fn not_negative(text: &str) -> Result<Money, String> {
    let amount = text.parse::<Money>().map_err(|error| error.to_string())?;
    if amount.is_negative() { Err("it must not be below zero".to_owned()) } else { Ok(amount) }
}

/// A reason that was asked for must say something.
pub(crate) fn said(text: &str) -> Result<String, String> {
    match text.trim().is_empty() {
        true => Err("it must say something".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// A length of time in whole seconds, with its unit: `60s`, `5m`, `1h30m`, `7d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) u64);

/// A text that is no length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotATime {
    #[error("a time has a unit: write 60s, 5m, 1h30m or 7d")]
    NoUnit,
    #[error("a time is written like 60s, 5m, 1h30m or 7d")]
    Malformed,
    #[error("it is longer than a program can count")]
    TooLong,
}

/// From the largest unit to the smallest: each is written once, in this order.
const UNITS: [(char, u64); 4] = [('d', 24 * 3_600), ('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for Seconds {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        let mut total_s: u64 = 0;
        let mut units = UNITS.iter();
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|letter: char| !letter.is_ascii_digit());
            let digits = digits.ok_or(NotATime::NoUnit)?;
            let (number, after) = rest.split_at(digits);
            let unit = after.chars().next().ok_or(NotATime::NoUnit)?;
            let (_, unit_s) =
                units.find(|(letter, _)| *letter == unit).ok_or(NotATime::Malformed)?;
            if number.is_empty() {
                return Err(NotATime::Malformed);
            }
            let number: u64 = number.parse().map_err(|_| NotATime::TooLong)?;
            let part_s = number.checked_mul(*unit_s).ok_or(NotATime::TooLong)?;
            total_s = total_s.checked_add(part_s).ok_or(NotATime::TooLong)?;
            rest = &after[unit.len_utf8()..];
        }
        if text.is_empty() { Err(NotATime::Malformed) } else { Ok(Self(total_s)) }
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest_s = self.0;
        for (letter, unit_s) in UNITS {
            if rest_s >= unit_s {
                write!(formatter, "{}{letter}", rest_s / unit_s)?;
                rest_s %= unit_s;
            }
        }
        if self.0 == 0 { formatter.write_str("0s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_of_time_has_numbers_and_units() {
        for (text, read) in [
            ("60s", Ok(60)),
            ("0s", Ok(0)),
            ("5m", Ok(300)),
            ("1h30m", Ok(5_400)),
            ("7d", Ok(604_800)),
            ("60", Err(NotATime::NoUnit)),
            ("1h30", Err(NotATime::NoUnit)),
            ("", Err(NotATime::Malformed)),
            ("h", Err(NotATime::Malformed)),
            ("1h h", Err(NotATime::Malformed)),
            ("-1h", Err(NotATime::Malformed)),
            ("1.5h", Err(NotATime::Malformed)),
            ("30m1h", Err(NotATime::Malformed)),
            ("1h1h", Err(NotATime::Malformed)),
            ("1é", Err(NotATime::Malformed)),
            ("99999999999999999999s", Err(NotATime::TooLong)),
            ("9999999999999999999d", Err(NotATime::TooLong)),
        ] {
            assert_eq!(text.parse::<Seconds>().map(|time| time.0), read, "{text}");
        }
    }

    #[test]
    fn nothing_is_no_amount() {
        assert_eq!(positive("12.50").unwrap().to_string(), "12.5");
        for text in ["0", "0.000", "-1", "1e3", "", "1.0000000000001"] {
            assert!(positive(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_time_reads_back(seconds in any::<u64>()) {
            prop_assert_eq!(Seconds(seconds).to_string().parse(), Ok(Seconds(seconds)));
        }

        #[test]
        fn any_text_is_a_time_or_an_error(text in "[0-9dhms. -]{0,8}|.{0,12}") {
            if let Ok(time) = text.parse::<Seconds>() {
                prop_assert_eq!(time.to_string().parse(), Ok(time));
                prop_assert!(text.ends_with(['d', 'h', 'm', 's']));
            }
        }
    }
}
