//! Plans: what an account has, from when, and what each period brings.

use calendar::Window;
use domain::{CatalogueId, Credits, Currency, Money, Text, Timestamp};

use super::{ByHand, Draw};
use crate::Category;

/// An account has a plan from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanAssigned<'a> {
    /// `None` for the default plan of accounts that nobody assigned one.
    pub by: Option<ByHand<'a>>,
    pub plan: Text<'a>,
    pub version: CatalogueId,
    /// The plan that it replaces at once.
    pub replaces: Option<Text<'a>>,
    /// Usage from this time on is priced under it.
    pub from: Timestamp,
    /// Anniversaries are counted from here.
    pub anchor: Timestamp,
    /// The current period, ending with the next renewal (or the trial); `None` when nothing renews.
    pub period: Option<Window>,
    pub trial: bool,
    /// The lot that this entry opens and names: a trial's, an allowance, or an upgrade's
    /// prorated difference.
    pub grant: Option<PlanGrant>,
    pub repays: Option<Draw>,
    pub low_balance: Option<Credits>,
}

/// Credits that a plan brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanGrant {
    pub credits: Credits,
    pub category: Category,
    pub effective: Timestamp,
    pub expires: Timestamp,
    /// The cost basis: the plan's price, or the part of it that was prorated.
    pub paid: Money,
    pub currency: Option<Currency>,
}

/// Another plan begins at the renewal; `None` takes an earlier wish back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanScheduled<'a> {
    pub by: ByHand<'a>,
    pub plan: Option<Text<'a>>,
    pub at: Timestamp,
}

/// A period ended and the next began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanRenewed<'a> {
    pub plan: Text<'a>,
    pub version: CatalogueId,
    /// The plan before, when a scheduled change came into force.
    pub replaces: Option<Text<'a>>,
    /// Anniversaries are counted from here.
    pub anchor: Timestamp,
    /// `None` when nothing renews any more.
    pub period: Option<Window>,
    pub grant: Option<PlanGrant>,
    /// Overage of the period that ended, billed at the plan's price and so no longer outstanding.
    pub billed: Option<Billed>,
    pub repays: Option<Draw>,
    pub low_balance: Option<Credits>,
}

/// Overage that is invoiced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Billed {
    pub credits: Credits,
    pub price: Money,
    pub currency: Option<Currency>,
}
