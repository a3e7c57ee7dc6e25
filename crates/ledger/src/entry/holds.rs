//! Holds: credits set aside before a call, drawn by what it really used, and given back.

use domain::{Credits, LotId, Money, Text, Timestamp};
use smallvec::SmallVec;

use super::{BudgetUses, ByHand, Draws};
use crate::{Category, Earmarks, HoldId, LotState, Scope};

/// Credits set aside. The hold is named by this entry's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldReserved<'a> {
    pub by: ByHand<'a>,
    pub scope: Scope<'a>,
    /// What was asked for; more than `amount` when the hold was shrunk to what there was.
    pub asked: Credits,
    pub amount: Credits,
    /// Which lots it will draw; with `beyond` they sum to `amount`.
    pub earmarks: Earmarks,
    /// What the plan lets it spend past the lots.
    pub beyond: Credits,
    pub expires_at: Timestamp,
}

/// What stood in a hold's way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Limit<'a> {
    Balance,
    Budget(Text<'a>),
}

/// A hold that was not granted. Kept, so that the same request gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRefused<'a> {
    pub by: ByHand<'a>,
    pub scope: Scope<'a>,
    pub asked: Credits,
    pub limit: Limit<'a>,
    /// How much was missing.
    pub shortfall: Credits,
    /// How much there was under the limit; may be negative.
    pub available: Credits,
    /// When the limit opens by itself: the plan's renewal, the budget's next window.
    pub resets_at: Option<Timestamp>,
}

/// A hold after an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldAfter {
    /// What was reserved.
    pub amount: Credits,
    /// What has been charged on it: its events, or what was captured ahead of them.
    pub captured: Credits,
    pub expires_at: Timestamp,
}

/// An advance on what a hold's events will be rated at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldCaptured<'a> {
    pub by: ByHand<'a>,
    pub hold: HoldId,
    pub credits: Credits,
    pub draws: Draws,
    pub overage: Credits,
    /// The part of `credits` above what was reserved.
    pub above: Credits,
    pub budgets: BudgetUses<'a>,
    pub after: HoldAfter,
}

/// A hold that will expire later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldExtended<'a> {
    pub by: ByHand<'a>,
    pub hold: HoldId,
    pub after: HoldAfter,
}

/// How a hold ended without a usage event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum HoldEnding {
    Settled = 0,
    Released = 1,
    Expired = 2,
}

impl HoldEnding {
    pub const ALL: [Self; 3] = [Self::Settled, Self::Released, Self::Expired];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Released => "released",
            Self::Expired => "expired",
        }
    }

    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::Settled => "hold_settled",
            Self::Released => "hold_released",
            Self::Expired => "hold_expired",
        }
    }

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// The end of a hold by a call, or by time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldEnded<'a> {
    /// `None` when it expired.
    pub by: Option<ByHand<'a>>,
    pub hold: HoldId,
    pub how: HoldEnding,
    /// What the settling amount adds to what was captured before, as an advance.
    pub draws: Draws,
    pub overage: Credits,
    pub above: Credits,
    pub freed: Freed,
    pub budgets: BudgetUses<'a>,
    pub after: HoldAfter,
}

/// What a charge did to the hold that its event names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldUse {
    pub hold: HoldId,
    /// Draws that were captured ahead and that this charge is settled with: they pay for it and are
    /// not drawn again.
    pub advanced: Draws,
    /// The advance that was spent past the lots, and pays for this charge.
    pub advanced_overage: Credits,
    /// The part of the charge above what was reserved: booked all the same, and flagged.
    pub above: Credits,
    /// What was given up, when the event ends the hold (or comes after its end).
    pub freed: Option<Freed>,
    pub after: HoldAfter,
}

/// What a hold gave up when it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// Reserved and not drawn.
    pub credits: Credits,
    /// What was captured ahead and no event used goes back.
    pub returns: SmallVec<[Return; 1]>,
    /// The part of the advance past the lots that goes back: overage that never was.
    pub returned_overage: Credits,
    /// The same, where that overage was repaid or billed meanwhile: it becomes a promotional lot,
    /// named by this entry.
    pub lot: Credits,
    /// Credits of lots that had expired meanwhile: forfeited now.
    pub lost: SmallVec<[Lost; 1]>,
    /// Freed credits repay outstanding overage, when the plan says so.
    pub repays: Draws,
}

/// Credits that go back to their lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    pub lot: LotId,
    pub category: Category,
    pub credits: Credits,
    /// The revenue that is taken back with them.
    pub revenue: Money,
    pub to: ReturnTo,
}

/// What a lot is once it has its credits back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReturnTo {
    Live = 0,
    InGrace = 1,
    /// The lot has expired: the credits come back and are forfeited at once, dated at its expiry.
    Expired = 2,
}

impl ReturnTo {
    pub const ALL: [Self; 3] = [Self::Live, Self::InGrace, Self::Expired];

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    pub(crate) const fn state(self) -> LotState {
        match self {
            Self::Live => LotState::Live,
            Self::InGrace => LotState::InGrace,
            Self::Expired => LotState::Lapsed,
        }
    }
}

/// Held credits whose lot expired before the hold gave them up: breakage, dated at the expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    pub lot: LotId,
    pub category: Category,
    pub credits: Credits,
    pub revenue: Money,
}

impl Freed {
    /// What of an advance goes back, wherever it goes.
    pub fn given_back(&self) -> Credits {
        let returned: Credits = self.returns.iter().map(|back| back.credits).sum();
        returned + self.returned_overage + self.lot
    }
}
