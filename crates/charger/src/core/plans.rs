//! Plans: what the catalogue says of them, in the ledger's terms.

use domain::{CatalogueId, Text, Timestamp};
use ledger::decide::{self, Facts, Moment};
use ledger::{Account, AllowanceTerms, Cause, Exhausted, PlanTerms, RolloverTerms, TimerKind};
use rating::{Anchor, Body, OnExhausted, Plan};

use super::{Halt, PartitionCore};
use crate::Prices;

impl PartitionCore {
    /// An account that nobody assigned a plan has the default one from its first input on.
    pub(super) fn ensure_plan(&mut self, name: &str, prices: &Prices) -> Result<(), Halt> {
        let account = self.state.account(name);
        if account.plan().is_some() {
            return Ok(());
        }
        let Some(terms) = prices
            .catalogue
            .default_plan(self.ledger_time)
            .and_then(|plan| terms_at(prices, plan, self.ledger_time))
        else {
            return Ok(());
        };
        let moment = Moment {
            number: self.state.next_number(),
            ledger_time: self.ledger_time,
            cause: Cause::Catalogue { next: prices.next },
        };
        let entry = decide::default_plan(account, Text::Owned(name.to_owned()), terms, moment);
        self.write(&entry)
    }
}

/// What a decision about an account needs of the catalogue.
pub(super) fn facts<'c>(account: &Account, prices: &'c Prices, now: Timestamp) -> Facts<'c> {
    let plan = account.plan().and_then(|plan| terms_at(prices, &plan.plan, now));
    Facts { plan, ..Facts::default() }
}

/// The same for a timer: at a renewal the plan that the period was begun under, and the one that
/// the next begins under, as it is in force when the period ends.
pub(super) fn facts_of_timer<'c>(
    account: &Account,
    prices: &'c Prices,
    kind: TimerKind,
    due: Timestamp,
) -> Facts<'c> {
    let (Some(current), TimerKind::Renew) = (account.plan(), kind) else {
        return facts(account, prices, due);
    };
    let next = current.scheduled.as_ref().unwrap_or(&current.plan);
    Facts {
        plan: terms_at(prices, next, due),
        begun_under: terms_of(prices, current.version),
        ..Facts::default()
    }
}

/// A plan's version in force at a time.
pub(super) fn terms_at<'c>(prices: &'c Prices, plan: &str, at: Timestamp) -> Option<PlanTerms<'c>> {
    let (version, _) = prices.catalogue.plan(plan, at)?;
    terms_of(prices, version)
}

fn terms_of(prices: &Prices, version: CatalogueId) -> Option<PlanTerms<'_>> {
    let document = &prices.catalogue.version(version)?.document;
    let Body::Plan(plan) = document.body() else { return None };
    Some(terms(document.id(), version, plan))
}

fn terms<'c>(id: &'c str, version: CatalogueId, plan: &'c Plan) -> PlanTerms<'c> {
    PlanTerms {
        id,
        version,
        price: plan.price.map(|price| (price.amount, price.currency)),
        allowance: plan.allowance.as_ref().map(|allowance| AllowanceTerms {
            credits: allowance.credits,
            period: allowance.period,
            calendar: allowance.anchor == Anchor::Calendar,
            zone: &allowance.timezone,
        }),
        rollover: plan.rollover.map(|rollover| RolloverTerms {
            max_credits: rollover.max_credits,
            expires_after_periods: rollover.expires_after_periods,
        }),
        exhausted: match plan.on_exhausted {
            OnExhausted::Refuse => Exhausted::Refuse,
            OnExhausted::Overage => Exhausted::Overage {
                max: plan.overage.and_then(|overage| overage.max_credits),
                price_per_1000: plan.overage.and_then(|overage| overage.price_per_1000_credits),
            },
            OnExhausted::Overdraft => {
                Exhausted::Overdraft { max: plan.overdraft_max.unwrap_or_default() }
            }
        },
        trial: plan.trial.map(|trial| (trial.credits, trial.days)),
        repays: plan.shortfall_repaid_by_grants,
        low_balance: plan.low_balance,
    }
}
