//! A day of the calendar, such as a bill's: a date, which becomes a stretch of time in a zone.

use std::fmt;
use std::str::FromStr;

use domain::Timestamp;
use jiff::civil;

use crate::Zone;
use crate::window::{first_instant, in_range, local_date};

/// A date without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date(civil::Date);

/// A text that is no date of the form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a date like {like}")]
pub struct NotADate {
    pub text: String,
    /// The form: `2026-11-20`, or one in the words of `strftime`.
    pub like: String,
}

impl Date {
    /// The date that an instant has in a zone.
    pub fn of(at: Timestamp, zone: &Zone) -> Self {
        Self(local_date(zone, in_range(at)))
    }

    /// The first instant of the date in a zone; `None` where it lies past the years that are known.
    pub fn start(self, zone: &Zone) -> Option<Timestamp> {
        first_instant(zone, self.0)
    }

    /// The day after; `None` after the last one.
    pub fn next(self) -> Option<Self> {
        self.0.tomorrow().ok().map(Self)
    }

    /// The day before; `None` before the first one.
    pub fn previous(self) -> Option<Self> {
        self.0.yesterday().ok().map(Self)
    }

    /// How many days `other` lies after this one.
    pub fn days_until(self, other: Self) -> i32 {
        self.0.until(other.0).map_or(0, |span| span.get_days())
    }

    /// Reads a date, or a date and time, by a form in the words of `strftime`: `%d/%m/%Y`.
    ///
    /// # Errors
    /// When the text does not have the form.
    pub fn read(form: &str, text: &str) -> Result<Self, NotADate> {
        let read = jiff::fmt::strtime::parse(form, text).and_then(|parts| parts.to_date());
        read.map(Self).map_err(|_| NotADate { text: text.to_owned(), like: form.to_owned() })
    }
}

impl FromStr for Date {
    type Err = NotADate;

    /// `2026-11-20` and nothing else.
    fn from_str(text: &str) -> Result<Self, NotADate> {
        let error = || NotADate { text: text.to_owned(), like: "2026-11-20".to_owned() };
        let of_form = text.len() == 10 && text.bytes().all(|it| it.is_ascii_digit() || it == b'-');
        if !of_form {
            return Err(error());
        }
        text.parse().map(Self).map_err(|_| error())
    }
}

impl fmt::Display for Date {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl serde::Serialize for Date {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Date {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_stretch_of_time_in_its_zone() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        let date: Date = "2026-11-20".parse().unwrap();
        let start = date.start(&berlin).unwrap();
        assert_eq!(start.to_string(), "2026-11-19T23:00:00Z");
        assert_eq!(Date::of(start, &berlin), date);
        assert_eq!(Date::of(start.plus_micros(-1), &berlin).next(), Some(date));
        assert_eq!(Date::of(start, &Zone::utc()).to_string(), "2026-11-19");
        assert_eq!("2026-11-19".parse::<Date>().unwrap().days_until(date), 1);
        let far: Date = "2027-12-01".parse().unwrap();
        assert_eq!(date.days_until(far), 376);
    }

    #[test]
    fn dates_are_read_by_their_form() {
        let date: Date = "2026-11-20".parse().unwrap();
        assert_eq!(Date::read("%d/%m/%Y", "20/11/2026"), Ok(date));
        assert_eq!(Date::read("%b %d, %Y", "Nov 20, 2026"), Ok(date));
        assert_eq!(Date::read("%Y-%m-%d %H:%M:%S", "2026-11-20 13:00:00"), Ok(date));
        assert!(Date::read("%d/%m/%Y", "2026-11-20").is_err());
        for text in ["", "2026-11-31", "20261120", "2026-11-20T00:00:00Z", "2026-11-2"] {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
