//! Budgets: how much a part of an account may spend in a window of time.

use calendar::{Period, Window, Zone, calendar_window};
use domain::{Credits, Text, Timestamp, Traffic};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::Scope;

/// What a budget watches. What is not named matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetScope<'a> {
    pub user: Option<Text<'a>>,
    pub team: Option<Text<'a>>,
    pub feature: Option<Text<'a>>,
    pub traffic: Option<Traffic>,
}

impl BudgetScope<'_> {
    pub fn covers(&self, scope: &Scope<'_>) -> bool {
        self.covers_parts(
            scope.user.as_deref(),
            scope.team.as_deref(),
            scope.feature.as_deref(),
            scope.traffic,
        )
    }

    pub(crate) fn covers_parts(
        &self,
        user: Option<&str>,
        team: Option<&str>,
        feature: Option<&str>,
        traffic: Traffic,
    ) -> bool {
        let holds = |own: &Option<Text<'_>>, theirs: Option<&str>| {
            own.as_deref().is_none_or(|own| theirs == Some(own))
        };
        holds(&self.user, user)
            && holds(&self.team, team)
            && holds(&self.feature, feature)
            && self.traffic.is_none_or(|own| own == traffic)
    }

    fn into_owned(self) -> BudgetScope<'static> {
        let owned = |text: Option<Text<'_>>| text.map(|text| Text::Owned(text.into_owned()));
        BudgetScope {
            user: owned(self.user),
            team: owned(self.team),
            feature: owned(self.feature),
            traffic: self.traffic,
        }
    }
}

/// Whole percents of a limit at which somebody is told; rising.
pub type Thresholds = SmallVec<[u16; 4]>;

/// The terms of a budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetTerms<'a> {
    /// Unique within the account; setting it again changes it.
    pub id: Text<'a>,
    pub scope: BudgetScope<'a>,
    /// Never negative.
    pub limit: Credits,
    /// `None`: for ever.
    pub period: Option<Period>,
    pub zone: Zone,
    pub thresholds: Thresholds,
    /// Whether holds past the limit are refused; usage never is.
    pub hard: bool,
}

impl BudgetTerms<'_> {
    /// The window that holds `at`; `None` when the budget is for ever.
    pub fn window(&self, at: Timestamp) -> Option<Window> {
        self.period.map(|period| calendar_window(&self.zone, period, at))
    }

    pub fn into_owned(self) -> BudgetTerms<'static> {
        BudgetTerms {
            id: Text::Owned(self.id.into_owned()),
            scope: self.scope.into_owned(),
            limit: self.limit,
            period: self.period,
            zone: self.zone,
            thresholds: self.thresholds,
            hard: self.hard,
        }
    }
}

/// A budget and what was spent of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    pub terms: BudgetTerms<'static>,
    /// The window that `used` counts; `None` when the budget is for ever.
    pub window: Option<Window>,
    /// Charged in the window, by the events' own times (captures: by ledger time).
    pub used: Credits,
    /// What open holds of the scope hold.
    pub held: Credits,
}

impl Budget {
    /// Where something at `at` counts: the window, and what was used in it before. `None` when that
    /// window is over.
    pub(crate) fn at(&self, at: Timestamp) -> Option<(Option<Window>, Credits)> {
        let Some(current) = self.window else {
            return Some((None, self.used));
        };
        if at < current.start {
            return None;
        }
        if at < current.end {
            return Some((Some(current), self.used));
        }
        Some((self.terms.window(at), Credits::ZERO))
    }

    /// What it leaves at `now`, holds counted; and when it opens again.
    pub fn room(&self, now: Timestamp) -> (Credits, Option<Timestamp>) {
        let (window, used) = self.at(now).unwrap_or((self.window, self.used));
        (self.terms.limit - used - self.held, window.map(|window| window.end))
    }
}
