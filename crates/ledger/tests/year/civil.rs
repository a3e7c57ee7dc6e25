//! Civil dates by counting days, and where they begin in a zone by trying: nothing of the calendar
//! that is tested. A zone gives its offset at an instant, and no more.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::tz::{TimeZone, TimeZoneDatabase};

pub(crate) const DAY_S: i64 = 86_400;
/// Clocks change, and days begin, on multiples of this.
const QUARTER_S: i64 = 900;

/// Days since 1970.
pub(crate) type Days = i64;

fn leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

fn length(year: i64, month: i64) -> i64 {
    [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        [month as usize - 1]
}

/// Year, month and day; by walking from 1970.
pub(crate) fn date(mut days: Days) -> (i64, i64, i64) {
    let (mut year, mut month) = (1970, 1);
    while days >= 365 + i64::from(leap(year)) {
        days -= 365 + i64::from(leap(year));
        year += 1;
    }
    while days >= length(year, month) {
        days -= length(year, month);
        month += 1;
    }
    (year, month, days + 1)
}

pub(crate) fn days(year: i64, month: i64, day: i64) -> Days {
    let years: i64 = (1970..year).map(|year| 365 + i64::from(leap(year))).sum();
    let months: i64 = (1..month).map(|month| length(year, month)).sum();
    years + months + day - 1
}

/// So many months on; a day that the month lacks becomes its last.
fn months_on(from: Days, months: i64) -> Days {
    let (year, month, day) = date(from);
    let month = month - 1 + months;
    let (year, month) = (year + month / 12, month % 12 + 1);
    days(year, month, day.min(length(year, month)))
}

/// How periods are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    Day,
    Week,
    Month,
    Year,
}

pub(crate) struct LocalTime {
    zone: TimeZone,
    begins: RefCell<BTreeMap<Days, i64>>,
}

impl LocalTime {
    pub(crate) fn of(name: &str) -> Self {
        let zone = TimeZoneDatabase::bundled().get(name).unwrap();
        Self { zone, begins: RefCell::default() }
    }

    fn local(&self, instant_s: i64) -> i64 {
        let offset = self.zone.to_offset(jiff::Timestamp::from_second(instant_s).unwrap());
        instant_s + i64::from(offset.seconds())
    }

    pub(crate) fn date_at(&self, instant_s: i64) -> Days {
        self.local(instant_s).div_euclid(DAY_S)
    }

    /// The first instant at which the date has begun.
    pub(crate) fn begins(&self, date: Days) -> i64 {
        *self.begins.borrow_mut().entry(date).or_insert_with(|| {
            // Clocks are between 12 hours behind and 14 ahead of UTC.
            let mut instant = (date * DAY_S) - 15 * 3_600;
            while self.local(instant) < date * DAY_S {
                instant += QUARTER_S;
            }
            instant
        })
    }

    /// When the period that holds an instant ends, counted from a date.
    pub(crate) fn anniversary_after(&self, anchor: Days, cut: Cut, instant_s: i64) -> i64 {
        (0..)
            .map(|count| match cut {
                Cut::Day => anchor + count,
                Cut::Week => anchor + 7 * count,
                Cut::Month => months_on(anchor, count),
                Cut::Year => months_on(anchor, 12 * count),
            })
            .map(|date| self.begins(date))
            .find(|begin| *begin > instant_s)
            .unwrap()
    }

    /// The same by the calendar.
    pub(crate) fn calendar_after(&self, cut: Cut, instant_s: i64) -> i64 {
        self.calendar_dates(cut, self.date_at(instant_s) - 1, 1)
            .map(|date| self.begins(date))
            .find(|begin| *begin > instant_s)
            .unwrap()
    }

    /// When that period began.
    pub(crate) fn calendar_before(&self, cut: Cut, instant_s: i64) -> i64 {
        self.calendar_dates(cut, self.date_at(instant_s) + 1, -1)
            .map(|date| self.begins(date))
            .find(|begin| *begin <= instant_s)
            .unwrap()
    }

    fn calendar_dates(&self, cut: Cut, from: Days, step: i64) -> impl Iterator<Item = Days> {
        (0..).map(move |count| from + count * step).filter(move |days| match cut {
            Cut::Day => true,
            // 1970 began with a Thursday.
            Cut::Week => (days - 4) % 7 == 0,
            Cut::Month => date(*days).2 == 1,
            Cut::Year => date(*days).1 == 1 && date(*days).2 == 1,
        })
    }
}
