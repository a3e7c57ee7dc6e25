//! Where windows begin and end: known days of known zones, and what holds for all of them.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use calendar::{Period, Window, Zone, anniversary_window, calendar_window};
use domain::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use proptest::prelude::*;

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn texts(window: Window) -> (String, String) {
    (window.start.to_string(), window.end.to_string())
}

fn check(found: Window, start: &str, end: &str, about: &str) {
    assert_eq!(texts(found), (start.to_owned(), end.to_owned()), "{about}");
}

#[test]
fn calendar_windows_run_from_local_midnight_to_local_midnight() {
    for (name, period, time, start, end) in [
        (
            "UTC",
            Period::Day,
            "2026-11-20T12:00:00Z",
            "2026-11-20T00:00:00Z",
            "2026-11-21T00:00:00Z",
        ),
        (
            "UTC",
            Period::Day,
            "2026-11-20T00:00:00Z",
            "2026-11-20T00:00:00Z",
            "2026-11-21T00:00:00Z",
        ),
        (
            "UTC",
            Period::Week,
            "2026-11-22T23:59:59Z",
            "2026-11-16T00:00:00Z",
            "2026-11-23T00:00:00Z",
        ),
        (
            "UTC",
            Period::Week,
            "2026-11-23T00:00:00Z",
            "2026-11-23T00:00:00Z",
            "2026-11-30T00:00:00Z",
        ),
        (
            "UTC",
            Period::Month,
            "2024-02-29T00:00:00Z",
            "2024-02-01T00:00:00Z",
            "2024-03-01T00:00:00Z",
        ),
        (
            "UTC",
            Period::Year,
            "1999-12-31T23:59:59Z",
            "1999-01-01T00:00:00Z",
            "2000-01-01T00:00:00Z",
        ),
        (
            "Europe/Berlin",
            Period::Month,
            "2026-03-31T22:30:00Z",
            "2026-03-31T22:00:00Z",
            "2026-04-30T22:00:00Z",
        ),
        // The clocks change within it: an hour short of 31 days.
        (
            "Europe/Berlin",
            Period::Month,
            "2026-03-15T00:00:00Z",
            "2026-02-28T23:00:00Z",
            "2026-03-31T22:00:00Z",
        ),
        (
            "Asia/Kathmandu",
            Period::Day,
            "2026-01-01T18:15:00Z",
            "2026-01-01T18:15:00Z",
            "2026-01-02T18:15:00Z",
        ),
    ] {
        let found = calendar_window(&zone(name), period, at(time));
        check(found, start, end, &format!("{name} {period:?} {time}"));
    }
}

#[test]
fn a_midnight_that_is_missing_or_doubled_begins_its_day_at_the_first_instant() {
    for (name, time, start, end) in [
        // The clocks go from 00:00 to 01:00.
        (
            "America/Sao_Paulo",
            "2018-11-04T12:00:00Z",
            "2018-11-04T03:00:00Z",
            "2018-11-05T02:00:00Z",
        ),
        ("Asia/Beirut", "2024-03-30T22:00:00Z", "2024-03-30T22:00:00Z", "2024-03-31T21:00:00Z"),
        ("Africa/Cairo", "2024-04-26T00:00:00Z", "2024-04-25T22:00:00Z", "2024-04-26T21:00:00Z"),
        ("Africa/Cairo", "2024-04-25T21:59:59Z", "2024-04-24T22:00:00Z", "2024-04-25T22:00:00Z"),
        // From 24:00 back to 23:00: the day before has 25 hours, and midnight occurs once.
        (
            "America/Sao_Paulo",
            "2018-02-18T02:30:00Z",
            "2018-02-17T02:00:00Z",
            "2018-02-18T03:00:00Z",
        ),
        // From 01:00 back to 00:00: midnight occurs twice.
        ("America/Havana", "2024-11-03T05:30:00Z", "2024-11-03T04:00:00Z", "2024-11-04T05:00:00Z"),
        // From 00:01 back to 23:01: the clock shows yesterday again, in a day that has begun.
        (
            "America/St_Johns",
            "2010-11-07T02:45:00Z",
            "2010-11-07T02:30:00Z",
            "2010-11-08T03:30:00Z",
        ),
        (
            "America/St_Johns",
            "2010-11-07T02:29:59Z",
            "2010-11-06T02:30:00Z",
            "2010-11-07T02:30:00Z",
        ),
        // 30 December 2011 did not happen in Samoa.
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"),
    ] {
        let found = calendar_window(&zone(name), Period::Day, at(time));
        check(found, start, end, &format!("{name} {time}"));
    }
    // Toronto went from 23:30 to 00:30: its 31 March 1919 began at 00:30, at 04:30Z.
    let found = calendar_window(
        &zone("America/Toronto"),
        Period::Day,
        Timestamp::from_seconds(-1_601_753_400),
    );
    assert_eq!(found.start, Timestamp::from_seconds(-1_601_753_400));
}

#[test]
fn anniversaries_clamp_to_the_end_of_the_month_and_return() {
    for (period, anchor, time, start, end) in [
        (
            Period::Month,
            "2026-01-31T15:00:00Z",
            "2026-02-10T00:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            Period::Month,
            "2026-01-31T15:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-02-28T00:00:00Z",
            "2026-03-31T00:00:00Z",
        ),
        (
            Period::Month,
            "2026-01-31T15:00:00Z",
            "2026-04-30T23:00:00Z",
            "2026-04-30T00:00:00Z",
            "2026-05-31T00:00:00Z",
        ),
        (
            Period::Month,
            "2026-01-31T15:00:00Z",
            "2028-02-29T12:00:00Z",
            "2028-02-29T00:00:00Z",
            "2028-03-31T00:00:00Z",
        ),
        // The anchor's own day, before its time of day.
        (
            Period::Month,
            "2026-01-31T15:00:00Z",
            "2026-01-31T01:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        // Before the anchor.
        (
            Period::Month,
            "2026-01-31T15:00:00Z",
            "2026-01-30T23:59:59Z",
            "2025-12-31T00:00:00Z",
            "2026-01-31T00:00:00Z",
        ),
        (
            Period::Month,
            "2026-03-31T15:00:00Z",
            "2026-02-10T00:00:00Z",
            "2026-01-31T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            Period::Year,
            "2024-02-29T00:00:00Z",
            "2025-06-01T00:00:00Z",
            "2025-02-28T00:00:00Z",
            "2026-02-28T00:00:00Z",
        ),
        (
            Period::Year,
            "2024-02-29T00:00:00Z",
            "2028-02-28T23:00:00Z",
            "2027-02-28T00:00:00Z",
            "2028-02-29T00:00:00Z",
        ),
        (
            Period::Year,
            "2024-02-29T00:00:00Z",
            "2023-06-01T00:00:00Z",
            "2023-02-28T00:00:00Z",
            "2024-02-29T00:00:00Z",
        ),
        (
            Period::Week,
            "2026-11-18T09:00:00Z",
            "2026-11-27T00:00:00Z",
            "2026-11-25T00:00:00Z",
            "2026-12-02T00:00:00Z",
        ),
        (
            Period::Week,
            "2026-11-18T09:00:00Z",
            "2026-11-17T00:00:00Z",
            "2026-11-11T00:00:00Z",
            "2026-11-18T00:00:00Z",
        ),
        (
            Period::Day,
            "2026-11-18T09:00:00Z",
            "2026-11-20T08:00:00Z",
            "2026-11-20T00:00:00Z",
            "2026-11-21T00:00:00Z",
        ),
    ] {
        let found = anniversary_window(&Zone::utc(), period, at(anchor), at(time));
        check(found, start, end, &format!("{period:?} from {anchor} at {time}"));
    }
    // It is the local date that counts: in Auckland the anchor lies on the first.
    let found = anniversary_window(
        &zone("Pacific/Auckland"),
        Period::Month,
        at("2026-01-31T15:00:00Z"),
        at("2026-03-15T00:00:00Z"),
    );
    check(found, "2026-02-28T11:00:00Z", "2026-03-31T11:00:00Z", "Auckland");
}

#[test]
fn the_ends_of_time_saturate() {
    const EARLIEST: Timestamp = Timestamp::from_micros(i64::MIN);
    let far =
        [EARLIEST, Timestamp::from_micros(i64::MIN + 1), Timestamp::from_micros(i64::MAX - 1)];
    for name in TimeZoneDatabase::bundled().available() {
        let Ok(zone) = name.as_str().parse::<Zone>() else { continue };
        for period in Period::ALL {
            let first = calendar_window(&zone, period, EARLIEST);
            assert_eq!(first.start, EARLIEST, "{name} {period:?}");
            let last = calendar_window(&zone, period, Timestamp::MAX);
            assert_eq!(last.end, Timestamp::MAX, "{name} {period:?}");
            assert!(last.start < Timestamp::MAX, "{name} {period:?}");
            for anchor in far.into_iter().chain([Timestamp::ZERO, Timestamp::MAX]) {
                for at in far.into_iter().chain([first.end, last.start, Timestamp::ZERO]) {
                    let window = anniversary_window(&zone, period, anchor, at);
                    assert!(window.contains(at), "{name} {period:?} {anchor:?} {at:?}");
                }
            }
        }
    }
}

#[test]
fn periods_have_words() {
    for period in Period::ALL {
        assert_eq!(Period::from_word(period.word()), Some(period));
        assert_eq!(serde_json::to_string(&period).unwrap(), format!("\"{}\"", period.word()));
    }
    assert_eq!(Period::from_word("fortnight"), None);
}

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// From 1990 to 2100.
fn instants() -> impl Strategy<Value = Timestamp> {
    (631_152_000 * SECOND..4_102_444_800 * SECOND).prop_map(Timestamp::from_micros)
}

fn zones() -> impl Strategy<Value = String> {
    let all: Vec<String> = TimeZoneDatabase::bundled()
        .available()
        .map(|name| name.to_string())
        .filter(|name| name.parse::<Zone>().is_ok())
        .collect();
    let odd = [
        "America/Sao_Paulo",
        "America/Havana",
        "America/St_Johns",
        "Asia/Beirut",
        "Africa/Cairo",
        "Africa/Casablanca",
        "Pacific/Apia",
        "Pacific/Kwajalein",
        "Antarctica/Troll",
        "Australia/Lord_Howe",
        "Asia/Gaza",
    ];
    prop_oneof![prop::sample::select(all), prop::sample::select(odd.map(str::to_owned).to_vec()),]
}

fn periods() -> impl Strategy<Value = Period> {
    prop::sample::select(Period::ALL.to_vec())
}

/// Instants about the changes of a zone's clocks, where windows go wrong, and others.
fn zones_and_instants() -> impl Strategy<Value = (String, Timestamp)> {
    (zones(), instants(), -2 * DAY..2 * DAY, any::<bool>()).prop_map(|(name, at, off, near)| {
        let rules = TimeZoneDatabase::bundled().get(&name).unwrap();
        let start = jiff::Timestamp::from_microsecond(at.micros()).unwrap();
        let change = rules.following(start).next().filter(|_| near);
        let at = match change {
            // To the second, so that the change itself and its neighbours come up.
            Some(change) => change.timestamp().as_microsecond() + off / DAY * DAY + off % 3,
            None => at.micros(),
        };
        (name, Timestamp::from_micros(at))
    })
}

fn date_of(rules: &TimeZone, at: i64) -> jiff::civil::Date {
    rules.to_datetime(jiff::Timestamp::from_microsecond(at).unwrap()).date()
}

/// The civil date of a day number and back, counted day by day through the years: slow, and nothing like the crate's arithmetic.
fn naive_month(day: i64) -> (i64, i64, i64) {
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = |year: i64, month: i64| match month {
        2 => 28 + i64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let (mut year, mut month, mut first) = (1970, 1, 0);
    while first + length(year, month) <= day {
        first += length(year, month);
        (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    }
    (first, first + length(year, month), year * 12 + month - 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn windows_tile_time((name, at) in zones_and_instants(), period in periods(), anchor in instants()) {
        let zone = zone(&name);
        let windows: [&dyn Fn(Timestamp) -> Window; 2] = [
            &|at| calendar_window(&zone, period, at),
            &|at| anniversary_window(&zone, period, anchor, at),
        ];
        for window_at in windows {
            let window = window_at(at);
            prop_assert!(window.contains(at), "{window:?} {at}");
            prop_assert_eq!(window_at(window.start), window);
            prop_assert_eq!(window_at(window.end.plus_micros(-1)), window);
            prop_assert_eq!(window_at(window.end).start, window.end);
            prop_assert_eq!(window_at(window.start.plus_micros(-1)).end, window.start);
        }
    }

    #[test]
    fn a_window_begins_where_the_local_date_does((name, at) in zones_and_instants(), period in periods()) {
        let zone = zone(&name);
        let rules = TimeZoneDatabase::bundled().get(&name).unwrap();
        let window = calendar_window(&zone, period, at);
        for edge in [window.start.micros(), window.end.micros()] {
            let (before, first) = (date_of(&rules, edge - 1), date_of(&rules, edge));
            prop_assert!(before < first, "{before} {first}");
            // Where a date was skipped, a period begins with the next one.
            let is_boundary = |date: jiff::civil::Date| match period {
                Period::Day => true,
                Period::Week => date.weekday() == jiff::civil::Weekday::Monday,
                Period::Month => date.day() == 1,
                Period::Year => date.day() == 1 && date.month() == 1,
            };
            let mut date = before.tomorrow().unwrap();
            let mut found = is_boundary(date);
            while date < first {
                date = date.tomorrow().unwrap();
                found |= is_boundary(date);
            }
            prop_assert!(found, "{before} {first}");
        }
    }

    #[test]
    fn in_utc_a_naive_count_agrees(at in instants(), anchor in instants()) {
        let utc = Zone::utc();
        let window = |from: i64, to: i64| Window {
            start: Timestamp::from_micros(from * DAY),
            end: Timestamp::from_micros(to * DAY),
        };
        let day = at.micros() / DAY;
        prop_assert_eq!(calendar_window(&utc, Period::Day, at), window(day, day + 1));
        // 1970-01-01 was a Thursday.
        let monday = (day + 3) / 7 * 7 - 3;
        prop_assert_eq!(calendar_window(&utc, Period::Week, at), window(monday, monday + 7));
        let (first, next, month) = naive_month(day);
        prop_assert_eq!(calendar_window(&utc, Period::Month, at), window(first, next));
        // The anniversaries of a month: the anchor's day, or the last that the month has.
        let anchor_day = anchor.micros() / DAY - naive_month(anchor.micros() / DAY).0;
        let begins = |(first, next, _): (i64, i64, i64)| (first + anchor_day).min(next - 1);
        let this = begins((first, next, month));
        let expected = match this <= day {
            true => window(this, begins(naive_month(next))),
            false => window(begins(naive_month(first - 1)), this),
        };
        prop_assert_eq!(anniversary_window(&utc, Period::Month, anchor, at), expected);
    }
}
