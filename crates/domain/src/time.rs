//! Time as microseconds since 1970 in UTC, read from and written as RFC 3339.

use std::fmt;
use std::str::FromStr;

/// An instant, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A UTC day, in days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub i32);

/// A text that is not an RFC 3339 time between the years 1970 and 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time with an offset, such as 2026-11-20T12:00:00Z")]
pub struct TimeError;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

impl Timestamp {
    pub const ZERO: Self = Self(0);
    pub const MAX: Self = Self(i64::MAX);

    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000)
    }

    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds * MICROS_PER_SECOND)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn plus_micros(self, micros: i64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// From `earlier` to this, in microseconds; negative when `earlier` is later.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(MICROS_PER_SECOND * SECONDS_PER_DAY) as i32)
    }

    /// The start of this instant's hour.
    pub const fn hour(self) -> Self {
        Self(self.0 - self.0.rem_euclid(3_600 * MICROS_PER_SECOND))
    }
}

impl Day {
    /// The day's first instant.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * SECONDS_PER_DAY * MICROS_PER_SECOND)
    }
}

/// Days since 1970 of a civil date (Howard Hinnant, "chrono-compatible low-level date algorithms").
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn digits(bytes: &[u8]) -> Result<i64, TimeError> {
    bytes.iter().try_fold(0, |value, byte| match byte {
        b'0'..=b'9' => Ok(value * 10 + i64::from(byte - b'0')),
        _ => Err(TimeError),
    })
}

/// Reads `2026-11-20T12:00:00.123456Z` or with an offset; digits past the microsecond are cut.
impl FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let bytes = text.as_bytes();
        if bytes.len() < 20
            || bytes[4] != b'-'
            || bytes[7] != b'-'
            || !matches!(bytes[10], b'T' | b't' | b' ')
            || bytes[13] != b':'
            || bytes[16] != b':'
        {
            return Err(TimeError);
        }
        let (year, month, day) =
            (digits(&bytes[0..4])?, digits(&bytes[5..7])?, digits(&bytes[8..10])?);
        let (hour, minute, second) =
            (digits(&bytes[11..13])?, digits(&bytes[14..16])?, digits(&bytes[17..19])?);
        if year < 1970
            || !(1..=12).contains(&month)
            || !(1..=days_in_month(year, month)).contains(&day)
            || hour > 23
            || minute > 59
            || second > 60
        {
            return Err(TimeError);
        }
        let mut rest = &bytes[19..];
        let mut micros = 0;
        if let Some((b'.', fraction)) = rest.split_first() {
            let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if length == 0 || length > 18 {
                return Err(TimeError);
            }
            let kept = length.min(6);
            micros = digits(&fraction[..kept])? * 10_i64.pow(6 - kept as u32);
            rest = &fraction[length..];
        }
        let offset_seconds = match rest {
            [b'Z' | b'z'] => 0,
            [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
                let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
                if hours > 23 || minutes > 59 {
                    return Err(TimeError);
                }
                (hours * 3_600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 }
            }
            _ => return Err(TimeError),
        };
        let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY
            + hour * 3_600
            + minute * 60
            + second
            - offset_seconds;
        if seconds < 0 {
            return Err(TimeError);
        }
        Ok(Self(seconds * MICROS_PER_SECOND + micros))
    }
}

/// RFC 3339 in UTC, with milliseconds or microseconds only when there are any.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match micros {
            0 => {}
            _ if micros % 1_000 == 0 => write!(formatter, ".{:03}", micros / 1_000)?,
            _ => write!(formatter, ".{micros:06}")?,
        }
        formatter.write_str("Z")
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_i64(self.0)
        }
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = civil_from_days(i64::from(self.0));
        write!(formatter, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_rfc_3339() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-20T12:00:00.123Z", 1_795_176_000_123_000),
            ("2026-11-20T13:00:00.123456789+01:00", 1_795_176_000_123_456),
            ("2024-02-29t23:59:59z", 1_709_251_199_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp(micros)), "{text}");
        }
    }

    #[test]
    fn refuses_other_texts() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T12:00:00",
            "2026-13-20T12:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T12:00:00.Z",
            "2026-11-20T12:00:00+0100",
            "1969-12-31T23:59:59Z",
            "2026-11-20T12:00:00Zjunk",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimeError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_round_trips(micros in 0_i64..253_402_300_799_999_999) {
            let time = Timestamp(micros);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
