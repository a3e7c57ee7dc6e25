//! Plans that a test's catalogue has.

use calendar::{Period, Zone};
use domain::{CatalogueId, Credits, Currency, Money};
use ledger::{AllowanceTerms, Exhausted, PlanTerms, RolloverTerms};

/// A plan; one version each, named by the place in the list.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) id: &'static str,
    pub(crate) price: Option<Money>,
    pub(crate) credits: Option<Credits>,
    pub(crate) period: Period,
    pub(crate) calendar: bool,
    pub(crate) zone: Zone,
    pub(crate) rollover: Option<RolloverTerms>,
    pub(crate) exhausted: Exhausted,
    pub(crate) trial: Option<(Credits, u32)>,
    pub(crate) repays: bool,
    pub(crate) low_balance: Option<Credits>,
}

impl Plan {
    /// A month from the anniversary in UTC; refuses at zero.
    pub(crate) fn monthly(id: &'static str, credits: i64, price: i64) -> Self {
        Self {
            id,
            price: Some(Money::from_units(price)),
            credits: Some(Credits::from_units(credits)),
            period: Period::Month,
            calendar: false,
            zone: Zone::utc(),
            rollover: None,
            exhausted: Exhausted::Refuse,
            trial: None,
            repays: true,
            low_balance: None,
        }
    }

    pub(crate) fn terms(&self, place: usize) -> PlanTerms<'_> {
        PlanTerms {
            id: self.id,
            version: CatalogueId(place as u32),
            price: self.price.map(|price| (price, Currency::USD)),
            allowance: self.credits.map(|credits| AllowanceTerms {
                credits,
                period: self.period,
                calendar: self.calendar,
                zone: &self.zone,
            }),
            rollover: self.rollover,
            exhausted: self.exhausted,
            trial: self.trial,
            repays: self.repays,
            low_balance: self.low_balance,
        }
    }
}

/// One plan of every sort.
pub(crate) fn of_every_sort() -> Vec<Plan> {
    let rolls = |most: Option<i64>, periods| {
        let max_credits = most.map(Credits::from_units);
        Some(RolloverTerms { max_credits, expires_after_periods: periods })
    };
    let overage = |max: Option<i64>, price: Option<i64>| Exhausted::Overage {
        max: max.map(Credits::from_units),
        price_per_1000: price.map(Money::from_units),
    };
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    vec![
        Plan { rollover: rolls(Some(2), 1), ..Plan::monthly("basic", 5, 7) },
        Plan { rollover: rolls(None, 2), ..Plan::monthly("pro", 11, 19) },
        Plan {
            period: Period::Week,
            calendar: true,
            zone: berlin,
            exhausted: overage(Some(6), Some(3)),
            rollover: rolls(Some(1), 3),
            ..Plan::monthly("weekly", 3, 1)
        },
        Plan {
            period: Period::Day,
            exhausted: overage(None, None),
            repays: false,
            trial: Some((Credits::from_units(2), 2)),
            ..Plan::monthly("daily", 1, 0)
        },
        Plan {
            exhausted: Exhausted::Overdraft { max: Credits::from_units(4) },
            low_balance: Some(Credits::from_units(2)),
            ..Plan::monthly("overdraft", 4, 2)
        },
        // A plan without an allowance: nothing renews.
        Plan { credits: None, price: None, ..Plan::monthly("free", 0, 0) },
    ]
}
