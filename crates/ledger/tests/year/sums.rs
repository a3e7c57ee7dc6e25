//! What a year of an account should come to: buckets of credits, in plain integers and seconds.

use crate::civil::{Cut, DAY_S, Days, LocalTime};

/// A plan, in the calculation's own terms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) credits: i128,
    pub(crate) price: i128,
    pub(crate) cut: Cut,
    pub(crate) calendar: bool,
    /// The most that is rolled over, and for how many periods.
    pub(crate) rollover: Option<(Option<i128>, u32)>,
    /// Overage's price per 1,000 credits.
    pub(crate) overage_price: Option<i128>,
    pub(crate) trial: Option<(i128, i64)>,
}

/// Credits that end together.
#[derive(Debug)]
struct Bucket {
    left: i128,
    ends: i64,
    trial: bool,
    /// Whether they are the current period's, and may be rolled over.
    current: bool,
}

pub(crate) struct Sums<'l> {
    pub(crate) terms: [Terms; 3],
    pub(crate) clock: &'l LocalTime,
    buckets: Vec<Bucket>,
    anchor: Days,
    pub(crate) plan: usize,
    pub(crate) period: (i64, i64),
    pub(crate) scheduled: Option<usize>,
    trial: bool,
    had_trial: [bool; 3],
    pub(crate) overage: i128,
    pub(crate) paid: i128,
    pub(crate) billed: i128,
    /// What this period's grants gave.
    pub(crate) granted: i128,
}

/// To the nearest integer; from the middle to the even one.
fn nearest(amount: i128, part: i128, whole: i128) -> i128 {
    let (low, twice) = (amount * part / whole, 2 * (amount * part % whole));
    low + i128::from(twice > whole || (twice == whole && low % 2 == 1))
}

impl<'l> Sums<'l> {
    pub(crate) fn begin(clock: &'l LocalTime, terms: [Terms; 3], now: i64) -> Self {
        let mut sums = Self {
            terms,
            clock,
            buckets: Vec::new(),
            anchor: 0,
            plan: 0,
            period: (0, 0),
            scheduled: None,
            trial: false,
            had_trial: [false; 3],
            overage: 0,
            paid: 0,
            billed: 0,
            granted: 0,
        };
        sums.start(0, now);
        sums
    }

    fn end_of_period(&self, plan: usize, instant_s: i64) -> i64 {
        let Terms { cut, calendar, .. } = self.terms[plan];
        match calendar {
            true => self.clock.calendar_after(cut, instant_s),
            false => self.clock.anniversary_after(self.anchor, cut, instant_s),
        }
    }

    fn start(&mut self, plan: usize, now: i64) {
        (self.plan, self.anchor, self.scheduled) = (plan, self.clock.date_at(now), None);
        self.buckets.iter_mut().for_each(|bucket| bucket.current = false);
        self.granted = 0;
        let terms = self.terms[plan];
        self.trial = terms.trial.is_some() && !self.had_trial[plan];
        self.had_trial[plan] |= self.trial;
        match terms.trial {
            Some((credits, days)) if self.trial => {
                self.period = (now, now + days * DAY_S);
                self.give(credits, 0);
            }
            _ => {
                self.period = (now, self.end_of_period(plan, now));
                self.give(terms.credits, terms.price);
            }
        }
    }

    fn give(&mut self, credits: i128, paid: i128) {
        self.paid += paid;
        self.granted += credits;
        let repays = self.overage.min(credits);
        self.overage -= repays;
        let (ends, trial) = (self.period.1, self.trial);
        self.buckets.push(Bucket { left: credits - repays, ends, trial, current: true });
    }

    /// What time does until then.
    pub(crate) fn run_to(&mut self, now: i64) {
        while self.period.1 <= now {
            let end = self.period.1;
            self.renew(end);
        }
        self.buckets.retain(|bucket| bucket.ends > now);
    }

    fn renew(&mut self, end: i64) {
        let old = self.terms[self.plan];
        if let (Some((most, periods)), false) = (old.rollover, self.trial) {
            let left: i128 =
                self.buckets.iter().filter(|bucket| bucket.current).map(|bucket| bucket.left).sum();
            let ends = (0..periods).fold(end, |end, _| self.end_of_period(self.plan, end));
            let left = most.map_or(left, |most| left.min(most));
            self.buckets.push(Bucket { left, ends, trial: false, current: false });
        }
        // What does not outlive the period is gone.
        self.buckets.retain(|bucket| bucket.ends > end);
        if let Some(price) = old.overage_price {
            self.billed += nearest(price, self.overage, 1_000 * 10_i128.pow(12));
            self.overage = 0;
        }
        let plan = self.scheduled.take().unwrap_or(self.plan);
        let new = self.terms[plan];
        if self.trial || (new.cut, new.calendar) != (old.cut, old.calendar) {
            self.anchor = self.clock.date_at(end);
        }
        (self.plan, self.trial, self.granted) = (plan, false, 0);
        self.buckets.iter_mut().for_each(|bucket| bucket.current = false);
        self.period = (end, self.end_of_period(plan, end));
        self.give(new.credits, new.price);
    }

    /// Another plan is asked for.
    pub(crate) fn assign(&mut self, plan: usize, now: i64) {
        let (old, new) = (self.terms[self.plan], self.terms[plan]);
        if plan == self.plan {
            self.scheduled = None;
        } else if (new.price, new.credits) < (old.price, old.credits) {
            self.scheduled = Some(plan);
        } else if self.trial || (new.cut, new.calendar) != (old.cut, old.calendar) {
            self.start(plan, now);
        } else {
            let (start, end) = self.period;
            let (left, whole) = (i128::from(end - now), i128::from(end - start));
            (self.plan, self.scheduled) = (plan, None);
            let credits = nearest((new.credits - old.credits).max(0), left, whole);
            if credits > 0 {
                self.give(credits, nearest(new.price - old.price, left, whole));
            }
        }
    }

    pub(crate) fn spend(&mut self, credits: i128) {
        let mut left = credits;
        // A trial's credits go first among those that end together.
        self.buckets.sort_by_key(|bucket| (bucket.ends, !bucket.trial));
        for bucket in &mut self.buckets {
            let taken = left.min(bucket.left);
            bucket.left -= taken;
            left -= taken;
        }
        self.overage += left;
    }

    pub(crate) fn available(&self) -> i128 {
        self.buckets.iter().map(|bucket| bucket.left).sum::<i128>() - self.overage
    }
}
