//! A year of renewals, rollovers, trials, upgrades, downgrades and budget windows in many zones, against
//! a calculation of the test's own: whatever is due fires at its hour, its day, or a month late, and
//! the process starts again now and then.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

mod civil;
mod drive;
mod sums;

use civil::{Cut, LocalTime, days};
use domain::Timestamp;
use drive::{Act, Life, Year};
use ledger::{Account, Subscription};
use sums::Terms;

/// Half and quarter hours, both hemispheres, midnights that do not exist or occur twice, a day that was
/// left out (Apia, 2011).
const ZONES: [&str; 27] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Havana",
    "America/Asuncion",
    "America/Scoresbysund",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Apia",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
    "Pacific/Marquesas",
];

/// (how periods are cut, by the calendar)
const CUTS: [(Cut, bool); 8] = [
    (Cut::Month, false),
    (Cut::Month, true),
    (Cut::Week, false),
    (Cut::Week, true),
    (Cut::Day, false),
    (Cut::Day, true),
    (Cut::Year, false),
    (Cut::Year, true),
];

/// A few numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn terms(cut: (Cut, bool), other: (Cut, bool), dice: &mut Dice) -> [Terms; 3] {
    let trial = (dice.below(3) == 0).then_some((5_000_000_000_000, 10));
    let small = Terms {
        credits: 100_123_456_789_012,
        price: 10_000_000_000_000,
        cut: cut.0,
        calendar: cut.1,
        rollover: Some((Some(30_000_000_000_000), 1)),
        overage_price: None,
        trial: None,
    };
    let large = Terms {
        credits: 250_500_000_000_000,
        price: 25_990_000_000_000,
        rollover: Some(((dice.below(2) == 0).then_some(130_000_000_000_000), 2)),
        overage_price: Some(3_333_333_333_333),
        trial,
        ..small
    };
    // Costs as much as the small one, and allows less.
    let third = Terms {
        credits: 60_000_000_000_007,
        cut: other.0,
        calendar: other.1,
        rollover: None,
        trial: if dice.below(2) == 0 { trial } else { None },
        ..small
    };
    let mut all = [small, large, third];
    all.rotate_left(dice.below(3) as usize);
    all
}

fn lives<'l>(clocks: &'l [LocalTime], year: i64) -> Vec<Life<'l>> {
    let mut dice = Dice(year as u64);
    let mut lives = Vec::new();
    for (zone, clock) in ZONES.iter().zip(clocks) {
        for (place, cut) in CUTS.into_iter().enumerate() {
            // The last days of months; the leap day when there is one.
            let (month, day) =
                [(1, 29), (1, 30), (1, 31), (2, 29), (3, 31)][dice.below(5) as usize];
            let leap_day = (month, day) == (2, 29) && year % 4 != 0;
            let day = if leap_day { 28 } else { day };
            let begins = clock.begins(days(year, month, day)) + dice.below(86_400) as i64;
            let ends = clock.begins(days(year + 1, 4, 2));
            let act = |dice: &mut Dice| {
                let at = begins + dice.below((ends - begins) as u64) as i64;
                let act = match dice.below(3) {
                    0 => Act::Assign(dice.below(3) as usize),
                    _ => Act::Use(i128::from(dice.below(150_000)) * 1_000_000_007),
                };
                (at, act)
            };
            let mut acts: Vec<(i64, Act)> = (0..24).map(|_| act(&mut dice)).collect();
            acts.sort_by_key(|(at, _)| *at);
            let other = CUTS[(place + 1 + dice.below(7) as usize) % 8];
            let terms = terms(cut, other, &mut dice);
            let budget = CUTS[dice.below(8) as usize].0;
            let name = format!("{zone} {cut:?}");
            lives.push(Life { name, zone, clock, terms, begins, acts, budget });
        }
    }
    lives
}

/// Two accounts that differ at most in what they still know of plans that no event can ask for any more:
/// whoever is late forgets those sooner.
fn same(one: &Account, two: &Account, ends: i64, context: &str) {
    assert_eq!(one.sequence, two.sequence, "{context}");
    assert_eq!(one.lots, two.lots, "{context}");
    assert_eq!(one.closed, two.closed, "{context}");
    assert_eq!(one.balance(), two.balance(), "{context}");
    assert_eq!(one.budgets(), two.budgets(), "{context}");
    let (one, two) = (one.plan().unwrap(), two.plan().unwrap());
    let told = |plan: &Subscription| {
        let Subscription {
            plan, version, anchor, period, trial, lots, allowance, scheduled, ..
        } = plan.clone();
        (plan, version, anchor, period, trial, lots, allowance, scheduled)
    };
    assert_eq!(told(one), told(two), "{context}");
    for days_ago in 0..35 {
        let then = Timestamp::from_seconds(ends - days_ago * civil::DAY_S);
        assert_eq!(one.plan_at(then), two.plan_at(then), "{context}: plan at {then}");
    }
}

fn a_year(year: i64) {
    let clocks = ZONES.map(LocalTime::of);
    let lives = lives(&clocks, year);
    let ends = days(year + 1, 4, 5) * civil::DAY_S;
    let run = |every_s: i64| {
        let mut run = Year::of(&lives);
        run.run(every_s, ends);
        run
    };
    let hourly = run(3_600);
    for every_s in [86_400, 30 * 86_400] {
        let other = run(every_s);
        for life in &lives {
            let (one, two) = (hourly.account(&life.name), other.account(&life.name));
            same(one, two, ends, &format!("{} every {every_s} s", life.name));
        }
    }
}

#[test]
fn a_leap_year_is_as_calculated() {
    a_year(2024);
}

#[test]
fn a_year_of_many_changes_of_clocks_is_as_calculated() {
    a_year(2011);
}
