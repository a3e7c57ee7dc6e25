//! A plan's terms, for whoever has it.

use calendar::{Period, Zone};
use domain::{Credits, Timestamp};
use serde::Serialize;

use super::ListedMoney;
use crate::catalogue::Catalogue;
use crate::document::{Anchor, OnExhausted, Plan};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedPlan {
    pub id: Box<str>,
    /// Its number within its id.
    pub version: u32,
    /// What a period costs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<ListedMoney>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowance: Option<ListedAllowance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollover: Option<ListedRollover>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trial: Option<ListedTrial>,
    /// `refuse`, `overage` or `overdraft`.
    pub on_exhausted: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overage: Option<ListedOverage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdraft_max_credits: Option<Credits>,
    /// Whether the next grant repays what was spent past the credits.
    pub shortfall_repaid_by_grants: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low_balance: Option<Credits>,
    /// The same in sentences.
    pub says: Vec<String>,
}

/// Credits of each period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedAllowance {
    pub credits: Credits,
    pub period: Period,
    /// `anniversary` or `calendar`.
    pub anchor: &'static str,
    pub timezone: Zone,
}

/// What of an allowance outlives its period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListedRollover {
    /// `None` is all of it.
    pub max_credits: Option<Credits>,
    pub expires_after_periods: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListedTrial {
    pub credits: Credits,
    pub days: u32,
}

/// Billable spending past the credits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ListedOverage {
    /// `None` is without limit.
    pub max_credits: Option<Credits>,
    pub price_per_1000_credits: Option<ListedMoney>,
}

pub(super) fn listed(catalogue: &Catalogue, id: &str, at: Timestamp) -> Option<ListedPlan> {
    let (version, plan) = catalogue.plan(id, at)?;
    let price =
        plan.price.map(|price| ListedMoney { amount: price.amount, currency: price.currency });
    let currency = price.map(|price| price.currency).or_else(|| catalogue.currency());
    let mut listed = ListedPlan {
        id: id.into(),
        version: catalogue.version(version)?.ordinal,
        price,
        allowance: plan.allowance.as_ref().map(|allowance| ListedAllowance {
            credits: allowance.credits,
            period: allowance.period,
            anchor: allowance.anchor.word(),
            timezone: allowance.timezone.clone(),
        }),
        rollover: plan.rollover.map(|rollover| ListedRollover {
            max_credits: rollover.max_credits,
            expires_after_periods: rollover.expires_after_periods,
        }),
        trial: plan.trial.map(|trial| ListedTrial { credits: trial.credits, days: trial.days }),
        on_exhausted: plan.on_exhausted.word(),
        overage: plan.overage.map(|overage| ListedOverage {
            max_credits: overage.max_credits,
            price_per_1000_credits: overage
                .price_per_1000_credits
                .zip(currency)
                .map(|(amount, currency)| ListedMoney { amount, currency }),
        }),
        overdraft_max_credits: plan.overdraft_max,
        shortfall_repaid_by_grants: plan.shortfall_repaid_by_grants,
        low_balance: plan.low_balance,
        says: Vec::new(),
    };
    listed.says = sentences(plan, &listed);
    Some(listed)
}

fn sentences(plan: &Plan, listed: &ListedPlan) -> Vec<String> {
    let mut says = Vec::new();
    let period = plan.allowance.as_ref().map(|allowance| allowance.period.word());
    if let Some(price) = listed.price {
        let each = period.map_or_else(String::new, |period| format!(" each {period}"));
        says.push(format!("The price of the plan is {} {}{each}.", price.amount, price.currency));
    }
    if let Some(allowance) = &plan.allowance {
        let (word, zone) = (allowance.period.word(), &allowance.timezone);
        let begins = match allowance.anchor {
            Anchor::Anniversary => {
                format!("counted from the day on which the plan began, at midnight in {zone}")
            }
            Anchor::Calendar => format!("by the calendar, at midnight in {zone}"),
        };
        says.push(format!("It includes {} credits each {word}, {begins}.", allowance.credits));
    }
    if let (Some(rollover), Some(period)) = (listed.rollover, period) {
        let what = match rollover.max_credits {
            Some(most) => format!("Up to {most} of the credits left over"),
            None => "Whatever of the credits is left over".to_owned(),
        };
        let periods = match rollover.expires_after_periods {
            1 => format!("one {period}"),
            more => format!("{more} {period}s"),
        };
        says.push(format!("{what} can be used for {periods} more."));
    }
    if let Some(trial) = listed.trial {
        says.push(format!(
            "A trial of {} days with {} credits comes first.",
            trial.days, trial.credits
        ));
    }
    says.push(exhausted(plan, listed));
    if plan.on_exhausted != OnExhausted::Refuse && plan.shortfall_repaid_by_grants {
        says.push("The next credits repay what was used past zero and is not billed.".to_owned());
    }
    if let Some(low) = listed.low_balance {
        says.push(format!("The balance counts as low below {low} credits."));
    }
    says
}

fn exhausted(plan: &Plan, listed: &ListedPlan) -> String {
    const GONE: &str = "When the credits are used up";
    match plan.on_exhausted {
        OnExhausted::Refuse => format!("{GONE}, nothing new can be reserved."),
        OnExhausted::Overage => {
            let price = listed
                .overage
                .and_then(|overage| overage.price_per_1000_credits)
                .map_or_else(String::new, |price| {
                    format!(" at {} {} per 1000 credits", price.amount, price.currency)
                });
            let most = match listed.overage.and_then(|overage| overage.max_credits) {
                Some(most) => format!("up to {most} credits"),
                None => "without limit".to_owned(),
            };
            format!("{GONE}, usage goes on as overage{price}, {most}.")
        }
        OnExhausted::Overdraft => {
            let most = plan.overdraft_max.unwrap_or_default();
            format!("{GONE}, the balance may go down to {most} credits below zero.")
        }
    }
}
