//! What an account's plan is, and what a plan's terms are when something is decided.

use calendar::{Period, Window, Zone, anniversary_window, calendar_window};
use domain::{CatalogueId, Credits, Currency, LotId, Money, Timestamp};
use serde::{Deserialize, Serialize};

/// A plan version's terms, resolved by the caller from the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct PlanTerms<'c> {
    pub id: &'c str,
    pub version: CatalogueId,
    pub price: Option<(Money, Currency)>,
    pub allowance: Option<AllowanceTerms<'c>>,
    pub rollover: Option<RolloverTerms>,
    pub exhausted: Exhausted,
    /// A trial before the first period: credits, and for how many days.
    pub trial: Option<(Credits, u32)>,
    /// Whether grants repay what was spent past the lots.
    pub repays: bool,
    pub low_balance: Option<Credits>,
}

/// Credits of each period.
#[derive(Clone, Copy, Debug)]
pub struct AllowanceTerms<'c> {
    pub credits: Credits,
    pub period: Period,
    /// Whether periods are the calendar's; otherwise they are counted from the anchor.
    pub calendar: bool,
    pub zone: &'c Zone,
}

impl AllowanceTerms<'_> {
    /// The period that holds `at`.
    pub(crate) fn window(&self, anchor: Timestamp, at: Timestamp) -> Window {
        if self.calendar {
            calendar_window(self.zone, self.period, at)
        } else {
            anniversary_window(self.zone, self.period, anchor, at)
        }
    }

    /// Whether both have the same periods.
    pub(crate) fn same_periods(&self, other: &AllowanceTerms<'_>) -> bool {
        self.period == other.period && self.calendar == other.calendar && self.zone == other.zone
    }
}

/// What of an allowance outlives its period.
#[derive(Clone, Copy, Debug)]
pub struct RolloverTerms {
    /// `None`: all of it.
    pub max_credits: Option<Credits>,
    pub expires_after_periods: u32,
}

/// What happens at zero. It can refuse a hold, never usage that happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exhausted {
    #[default]
    Refuse,
    /// Billable: up to `max` outstanding, at a price per 1,000 credits. With a price, what is
    /// outstanding at a renewal is billed; without, the next grant repays it.
    Overage { max: Option<Credits>, price_per_1000: Option<Money> },
    /// Allowed negative, down to `max`.
    Overdraft { max: Credits },
}

impl Exhausted {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Overage { .. } => "overage",
            Self::Overdraft { .. } => "overdraft",
        }
    }

    /// How far below zero holds may go; `None` is without limit.
    pub(crate) fn headroom(self) -> Option<Credits> {
        match self {
            Self::Refuse => Some(Credits::ZERO),
            Self::Overage { max, .. } => max,
            Self::Overdraft { max } => Some(max),
        }
    }
}

/// An account's plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    pub plan: Box<str>,
    /// The version that the current period was begun under.
    pub version: CatalogueId,
    pub anchor: Timestamp,
    /// The current period; its end is the next renewal.
    pub period: Option<Window>,
    /// Whether the current period is a trial.
    pub trial: bool,
    /// The current period's lots: the allowance, and what an upgrade added.
    pub lots: Vec<LotId>,
    /// What they were granted together.
    pub allowance: Credits,
    /// What of the ending period has been rolled over.
    pub(crate) rolled: Credits,
    /// The plan that begins at the renewal.
    pub scheduled: Option<Box<str>>,
    /// From when which plan priced usage; rising. Those that no event can ask for any more go.
    pub(crate) history: Vec<(Timestamp, Box<str>)>,
    /// Plans that gave a trial: each gives one.
    pub(crate) trials: Vec<Box<str>>,
    pub(crate) low_balance: Option<Credits>,
}

impl Subscription {
    /// The plan that prices usage of that time.
    pub fn plan_at(&self, time: Timestamp) -> Option<&str> {
        let (_, plan) = self.history.iter().rev().find(|(from, _)| *from <= time)?;
        Some(plan)
    }

    pub(crate) fn changed(&mut self, from: Timestamp, plan: &str, horizon: Timestamp) {
        if self.history.last().is_none_or(|(_, last)| last.as_ref() != plan) {
            self.history.push((from, plan.into()));
        }
        // The one in force at the horizon stays.
        let old = self.history.iter().skip(1).take_while(|(from, _)| *from <= horizon).count();
        self.history.drain(..old);
    }
}

/// When an account wants to be topped up, and with how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    pub below: Credits,
    pub amount: Credits,
}

/// When somebody wants to know about the balance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notices {
    pub low_balance: Option<Credits>,
    pub top_up: Option<TopUp>,
}
