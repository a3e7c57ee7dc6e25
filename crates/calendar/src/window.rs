//! The window of a period that holds an instant.

use domain::Timestamp;
use jiff::civil::{Date, date};
use jiff::tz::AmbiguousOffset;
use serde::{Deserialize, Serialize};

use crate::Zone;

/// How long a window is, in local dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Day,
    Week,
    Month,
    Year,
}

impl Period {
    pub const ALL: [Self; 4] = [Self::Day, Self::Week, Self::Month, Self::Year];

    /// The word in documents, commands and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|period| period.word() == word)
    }
}

/// A stretch of time from `start`, itself included, until before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Window {
    pub fn contains(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }
}

/// The calendar's own window that holds `at`: the day, the ISO week (from Monday), the month or the year, from local midnight to
/// local midnight.
pub fn calendar_window(zone: &Zone, period: Period, at: Timestamp) -> Window {
    // A Monday, for weeks; the first of a month and of a year, for the others.
    let first = match period {
        Period::Day | Period::Week => date(2001, 1, 1),
        Period::Month | Period::Year => date(2000, 1, 1),
    };
    Series { zone, period, first }.window(at)
}

/// The window that holds `at` of the periods that are counted from the local date of `anchor`.
///
/// Each begins at the local midnight of the anchor's date plus n periods, always counted from the anchor: day 31 clamps to the
/// end of a shorter month and returns (31 January, 28 February, 31 March), and so does 29 February of a yearly period. Times
/// before the anchor have negative n. The anchor's time of day does not matter: its own window begins at its local midnight.
pub fn anniversary_window(zone: &Zone, period: Period, anchor: Timestamp, at: Timestamp) -> Window {
    let first = local_date(zone, in_range(anchor));
    Series { zone, period, first }.window(at)
}

/// Periods in a zone, counted from a local date.
struct Series<'z> {
    zone: &'z Zone,
    period: Period,
    first: Date,
}

impl Series<'_> {
    fn window(&self, at: Timestamp) -> Window {
        let at = in_range(at);
        let at_micros = Timestamp::from_micros(at.as_microsecond());
        // The dates find the period, or one beside it; the instants decide. They may differ: where clocks go back over a
        // midnight (00:01 to 23:01), an instant of yesterday's date lies after today has begun.
        let mut number = self.number_near(local_date(self.zone, at));
        while self.start(number) > at_micros {
            number -= 1;
        }
        while self.start(number + 1) <= at_micros {
            number += 1;
        }
        Window { start: self.start(number), end: self.start(number + 1) }
    }

    /// The number of the period that the date lies in, or of the one after it.
    fn number_near(&self, date: Date) -> i64 {
        let days = || (date - self.first).get_days();
        let years = i64::from(date.year()) - i64::from(self.first.year());
        match self.period {
            Period::Day => i64::from(days()),
            Period::Week => i64::from(days()).div_euclid(7),
            Period::Month => years * 12 + i64::from(date.month()) - i64::from(self.first.month()),
            Period::Year => years,
        }
    }

    /// The first instant of a period, saturating where jiff's years end.
    fn start(&self, number: i64) -> Timestamp {
        let span = jiff::Span::new();
        let span = match self.period {
            Period::Day => span.try_days(number),
            Period::Week => span.try_weeks(number),
            Period::Month => span.try_months(number),
            Period::Year => span.try_years(number),
        };
        let date = span.and_then(|span| self.first.checked_add(span));
        let first = date.ok().and_then(|date| first_instant(self.zone, date));
        let year = i64::from(self.first.year()) + number.signum() * 20_000;
        first.unwrap_or(if year < 0 { EARLIEST } else { Timestamp::MAX })
    }
}

const EARLIEST: Timestamp = Timestamp::from_micros(i64::MIN);

/// The nearest instant that jiff knows.
pub(crate) fn in_range(at: Timestamp) -> jiff::Timestamp {
    let limit = if at < Timestamp::ZERO { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(limit)
}

pub(crate) fn local_date(zone: &Zone, at: jiff::Timestamp) -> Date {
    zone.rules().to_datetime(at).date()
}

/// The first instant whose local time is the date's midnight or later; `None` where it lies past jiff's years.
pub(crate) fn first_instant(zone: &Zone, date: Date) -> Option<Timestamp> {
    let midnight = date.at(0, 0, 0, 0);
    let first = match zone.rules().to_ambiguous_timestamp(midnight).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(midnight).ok()?,
        // It occurs twice: first under the offset from before the clocks went back.
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(midnight).ok()?,
        // It does not occur: the clocks went over it at some instant, which need not be the one that midnight would have
        // been at (Toronto went from 23:30 to 00:30 in 1919).
        AmbiguousOffset::Gap { before, after } => {
            let too_early = after.to_timestamp(midnight).ok()?;
            let at_latest = before.to_timestamp(midnight).ok()?;
            zone.rules()
                .following(too_early)
                .take_while(|change| change.timestamp() <= at_latest)
                .find(|change| change.offset() == after)
                .map_or(at_latest, |change| change.timestamp())
        }
    };
    Some(Timestamp::from_micros(first.as_microsecond()))
}
