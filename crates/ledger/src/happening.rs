//! What an account's owner wants to be told. It follows from the entries, so each thing is said
//! once per crossing, in one order per account, whatever crashes between.

use calendar::Window;
use domain::{Credits, EntryNumber, LotId, Reason, Text, Timestamp};

use crate::{Account, Balance, Body, Entry, HoldEnding, HoldId};

/// One thing that happened to an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEvent<'a> {
    pub account: Text<'a>,
    /// From 1, without gaps per account.
    pub number: u64,
    /// The entry that it follows from.
    pub entry: EntryNumber,
    pub at: Timestamp,
    pub what: Happening<'a>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening<'a> {
    /// The available balance fell below the mark.
    BalanceLow {
        below: Credits,
        available: Credits,
    },
    /// The available balance fell to zero or below.
    BalanceExhausted {
        available: Credits,
    },
    /// A budget's use reached a part of its limit.
    BudgetThreshold {
        budget: Text<'a>,
        percent: u16,
        used: Credits,
        limit: Credits,
    },
    LotExpiring {
        lot: LotId,
        credits: Credits,
        expires: Timestamp,
    },
    HoldExpired {
        hold: HoldId,
        amount: Credits,
        captured: Credits,
    },
    UsageUnrated {
        source: Text<'a>,
        id: Text<'a>,
        reason: Reason,
    },
    AllowanceRenewed {
        plan: Text<'a>,
        credits: Credits,
        period: Option<Window>,
    },
    /// The available balance fell below the account's top-up mark.
    TopUpWanted {
        below: Credits,
        amount: Credits,
        available: Credits,
    },
}

impl Happening<'_> {
    /// The kind's name, as subscribers and tables know it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BalanceLow { .. } => "balance.low",
            Self::BalanceExhausted { .. } => "balance.exhausted",
            Self::BudgetThreshold { .. } => "budget.threshold",
            Self::LotExpiring { .. } => "lot.expiring",
            Self::HoldExpired { .. } => "hold.expired",
            Self::UsageUnrated { .. } => "usage.unrated",
            Self::AllowanceRenewed { .. } => "allowance.renewed",
            Self::TopUpWanted { .. } => "topup.wanted",
        }
    }
}

/// All kinds, in the order of [`Happening`].
pub const HAPPENINGS: [&str; 8] = [
    "balance.low",
    "balance.exhausted",
    "budget.threshold",
    "lot.expiring",
    "hold.expired",
    "usage.unrated",
    "allowance.renewed",
    "topup.wanted",
];

/// What follows from an entry, given the account before it (`before`: its balance; `used`: what its
/// budgets had used, in their order) and after.
pub(crate) fn happenings<'a>(
    before: &Before,
    entry: &Entry<'a>,
    after: &Account,
) -> Vec<Happening<'a>> {
    let mut found = Vec::new();
    match &entry.body {
        Body::Unrated(unrated) => found.push(Happening::UsageUnrated {
            source: unrated.event.source.clone(),
            id: unrated.event.id.clone(),
            reason: unrated.reason,
        }),
        Body::HoldEnded(ended) if ended.how == HoldEnding::Expired => {
            found.push(Happening::HoldExpired {
                hold: ended.hold,
                amount: ended.after.amount,
                captured: ended.after.captured,
            });
        }
        Body::LotExpiring(expiring) => found.push(Happening::LotExpiring {
            lot: expiring.lot,
            credits: expiring.credits,
            expires: expiring.expires,
        }),
        Body::PlanRenewed(renewed) => {
            if let Some(grant) = &renewed.grant {
                found.push(Happening::AllowanceRenewed {
                    plan: renewed.plan.clone(),
                    credits: grant.credits,
                    period: renewed.period,
                });
            }
        }
        Body::Debit(_)
        | Body::Quarantined(_)
        | Body::Grant(_)
        | Body::Adjustment(_)
        | Body::LotVoided(_)
        | Body::LotActivated(_)
        | Body::LotInGrace(_)
        | Body::LotExpired(_)
        | Body::HoldReserved(_)
        | Body::HoldRefused(_)
        | Body::HoldCaptured(_)
        | Body::HoldExtended(_)
        | Body::HoldEnded(_)
        | Body::PlanAssigned(_)
        | Body::PlanScheduled(_)
        | Body::RolledOver(_)
        | Body::BudgetSet(_)
        | Body::BudgetRemoved(_)
        | Body::NoticesSet(_)
        | Body::Refunded(_)
        | Body::Reversed(_)
        | Body::Corrected(_)
        | Body::QuarantineDecided(_) => {}
    }
    budget_thresholds(before, after, &mut found);
    balance_marks(before.balance.available(), after, &mut found);
    found
}

/// What is compared with the account after an entry.
#[derive(Debug)]
pub(crate) struct Before {
    pub(crate) balance: Balance,
    /// Per budget, by its place: the start of its window and what was used.
    pub(crate) budgets: Vec<(Option<Window>, Credits)>,
}

impl Before {
    pub(crate) fn of(account: &Account) -> Self {
        let budgets = account.budgets().iter().map(|budget| (budget.window, budget.used));
        Self { balance: account.balance(), budgets: budgets.collect() }
    }
}

fn budget_thresholds(before: &Before, after: &Account, found: &mut Vec<Happening<'_>>) {
    // A budget that was set or removed by this very entry has no before to cross from.
    if before.budgets.len() != after.budgets().len() {
        return;
    }
    for (budget, (window, used)) in after.budgets().iter().zip(&before.budgets) {
        let used_before = if *window == budget.window { *used } else { Credits::ZERO };
        for percent in &budget.terms.thresholds {
            let mark = budget.terms.limit.atoms() / 100 * i128::from(*percent);
            let mark = Credits::from_atoms(mark);
            if used_before < mark && budget.used >= mark {
                found.push(Happening::BudgetThreshold {
                    budget: Text::Owned(budget.terms.id.clone().into_owned()),
                    percent: *percent,
                    used: budget.used,
                    limit: budget.terms.limit,
                });
            }
        }
    }
}

fn balance_marks(before: Credits, account: &Account, found: &mut Vec<Happening<'_>>) {
    let available = account.balance().available();
    if available >= before {
        return;
    }
    let crosses = |mark: Credits| before >= mark && available < mark;
    if let Some(below) = account.low_balance().filter(|below| crosses(*below)) {
        found.push(Happening::BalanceLow { below, available });
    }
    if let Some(top_up) = account.notices().top_up.filter(|top_up| crosses(top_up.below)) {
        found.push(Happening::TopUpWanted {
            below: top_up.below,
            amount: top_up.amount,
            available,
        });
    }
    if before.is_positive() && !available.is_positive() {
        found.push(Happening::BalanceExhausted { available });
    }
}
