//! An account and its lots, as the fold of its entries.

use domain::{Credits, Currency, LotId, Money, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Balance;

/// Where a lot's credits came from. The order is that of the draw-down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Category {
    Promotional = 0,
    Included = 1,
    Purchased = 2,
}

impl Category {
    pub const ALL: [Self; 3] = [Self::Promotional, Self::Included, Self::Purchased];

    pub const fn word(self) -> &'static str {
        match self {
            Self::Promotional => "promotional",
            Self::Included => "included",
            Self::Purchased => "purchased",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.word() == word)
    }

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// Where a lot is in its life. It moves by entries, never by looking at a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LotState {
    /// Granted, but not yet effective: not in the settled balance.
    Pending,
    Live,
    /// Past its expiry: drawn only by usage dated before it, and not in the available balance.
    InGrace,
    /// Nothing more can be drawn: used up, expired or voided.
    Closed,
}

/// What remains of one grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    pub id: LotId,
    pub category: Category,
    pub state: LotState,
    /// Smaller is drawn first.
    pub priority: u8,
    pub effective: Timestamp,
    pub expires: Option<Timestamp>,
    pub granted: Credits,
    pub drawn: Credits,
    pub expired: Credits,
    pub voided: Credits,
    /// The total paid for the grant.
    pub paid: Money,
    /// How much of `paid` draws, breakage and voids have taken.
    pub recognised: Money,
    pub currency: Option<Currency>,
}

impl Lot {
    /// granted − drawn − expired − voided (invariant 3).
    pub fn remaining(&self) -> Credits {
        self.granted - self.drawn - self.expired - self.voided
    }

    /// The draw-down order: priority, then expiry (none last), then category, then effective time,
    /// then id.
    pub fn order(&self) -> (u8, Timestamp, Category, Timestamp, LotId) {
        let expires = self.expires.unwrap_or(Timestamp::MAX);
        (self.priority, expires, self.category, self.effective, self.id)
    }

    /// Whether usage dated `at` may draw from it now.
    pub(crate) fn serves(&self, at: Timestamp) -> bool {
        match self.state {
            LotState::Live => true,
            LotState::InGrace => self.expires.is_some_and(|expires| at < expires),
            LotState::Pending | LotState::Closed => false,
        }
    }
}

/// An account: everything that its entries add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The number of the last entry; 0 before the first.
    pub sequence: Sequence,
    /// Open lots in draw-down order.
    pub lots: Vec<Lot>,
    /// Lots that nothing can be drawn from any more.
    pub closed: Vec<Lot>,
    /// Spent past the lots, and not yet repaid.
    pub overage: Credits,
    /// Σ remaining of the lots that are live or in grace; kept, so that a debit need not add up.
    pub(crate) remaining: Credits,
    /// The part of `remaining` that lies in lots in grace.
    pub(crate) in_grace: Credits,
}

impl Account {
    pub(crate) const fn new() -> Self {
        Self {
            sequence: Sequence(0),
            lots: Vec::new(),
            closed: Vec::new(),
            overage: Credits::ZERO,
            remaining: Credits::ZERO,
            in_grace: Credits::ZERO,
        }
    }

    pub fn balance(&self) -> Balance {
        Balance {
            settled: self.remaining - self.overage,
            overage: self.overage,
            held: Credits::ZERO,
            in_grace: self.in_grace,
        }
    }

    pub fn lot(&self, id: LotId) -> Option<&Lot> {
        self.lots.iter().chain(&self.closed).find(|lot| lot.id == id)
    }

    pub(crate) fn open_lot_index(&self, id: LotId) -> Option<usize> {
        self.lots.iter().position(|lot| lot.id == id)
    }
}
