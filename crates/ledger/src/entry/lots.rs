//! Credits that come, move and go.

use domain::{Credits, Currency, LotId, Money, Timestamp};

use super::{ByHand, Draw, Draws};
use crate::Category;

/// Credits added. The lot is named by this entry's sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    pub by: ByHand<'a>,
    pub credits: Credits,
    pub category: Category,
    pub priority: u8,
    pub effective: Timestamp,
    pub expires: Option<Timestamp>,
    pub paid: Money,
    pub currency: Option<Currency>,
    /// Whether it waits for its effective time.
    pub pending: bool,
    /// Overage that the new lot repays at once.
    pub repays: Option<Draw>,
}

/// A change by hand: negative draws lots (and then overage) as a debit does, positive grants a
/// promotional lot without expiry, named by this entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment<'a> {
    pub by: ByHand<'a>,
    /// Positive adds, negative takes.
    pub credits: Credits,
    pub draws: Draws,
    /// What a negative adjustment took past the lots.
    pub overage: Credits,
    /// Overage that a positive adjustment repays at once.
    pub repays: Option<Draw>,
}

/// A pending lot became effective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotActivated {
    pub lot: LotId,
    pub category: Category,
    pub credits: Credits,
    pub repays: Option<Draw>,
}

/// A lot passed its expiry with something left in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotInGrace {
    pub lot: LotId,
    pub category: Category,
    pub credits: Credits,
}

/// Credits left in a lot were forfeited (expired, dated at the expiry) or removed (voided).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LotClosed<'a> {
    /// `None` for an expiry, which no person did.
    pub by: Option<ByHand<'a>>,
    pub lot: LotId,
    pub category: Category,
    /// How much; a void may take a part.
    pub credits: Credits,
    /// The share of the total paid that goes with it.
    pub revenue: Money,
    /// Whether the lot was pending: then the balance does not change.
    pub pending: bool,
    /// Whether the lot was in grace.
    pub in_grace: bool,
}

/// A lot will expire soon: said once, ahead of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotExpiring {
    pub lot: LotId,
    pub category: Category,
    /// What is left in it and not held.
    pub credits: Credits,
    pub expires: Timestamp,
}

/// What was left of an allowance moves into a lot of its own, named by this entry, that outlives
/// the period. What was paid for it moves along and is not recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RolledOver {
    pub from: LotId,
    pub category: Category,
    pub priority: u8,
    pub credits: Credits,
    pub paid: Money,
    pub currency: Option<Currency>,
    pub effective: Timestamp,
    pub expires: Timestamp,
}
