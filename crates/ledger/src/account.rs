//! An account and its lots, as the fold of its entries.

use domain::limits::GRACE_MICROS;
use domain::{Credits, Currency, LotId, Money, Sequence, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Balance, Budget, Hold, HoldId, Notices, Subscription, TimerKind};

/// How long before its expiry a lot's owner is told.
pub const EXPIRY_NOTICE_MICROS: i64 = 7 * 86_400 * 1_000_000;

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
    /// Past its grace: what is left is held, and only its holds may draw it.
    Lapsed,
    /// Nothing more can be drawn: used up, expired, voided, rolled over or refunded.
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
    /// Moved into a lot of the next period.
    pub rolled: Credits,
    pub refunded: Credits,
    /// The part of what remains that only holds may draw.
    pub held: Credits,
    /// The total paid for the grant.
    pub paid: Money,
    /// The part of `paid` that left with refunded and rolled over credits.
    pub paid_back: Money,
    /// How much of the rest draws, breakage and voids have taken.
    pub recognised: Money,
    pub currency: Option<Currency>,
    /// Whether its owner was told that it expires soon.
    pub warned: bool,
}

impl Lot {
    /// granted − drawn − expired − voided − rolled − refunded (invariant 3).
    pub fn remaining(&self) -> Credits {
        self.granted - self.drawn - self.expired - self.voided - self.rolled - self.refunded
    }

    /// What remains and is not held.
    pub fn free(&self) -> Credits {
        self.remaining() - self.held
    }

    /// When time alone moves the lot on, and to what.
    pub fn timer(&self) -> Option<(Timestamp, TimerKind)> {
        match self.state {
            LotState::Pending => Some((self.effective, TimerKind::Activate(self.id))),
            LotState::Live => self.expires.map(|at| {
                let notice = at.plus_micros(-EXPIRY_NOTICE_MICROS);
                if !self.warned && notice > self.effective {
                    (notice, TimerKind::Warn(self.id))
                } else {
                    (at, TimerKind::EnterGrace(self.id))
                }
            }),
            LotState::InGrace => {
                self.expires.map(|at| (at.plus_micros(GRACE_MICROS), TimerKind::Expire(self.id)))
            }
            LotState::Lapsed | LotState::Closed => None,
        }
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
            LotState::Pending | LotState::Lapsed | LotState::Closed => false,
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
    /// Σ remaining of the lots that are live, in grace or lapsed; kept, so that a debit need not add
    /// up.
    pub(crate) remaining: Credits,
    /// The part of `remaining` that lies free in lots in grace.
    pub(crate) in_grace: Credits,
    /// Σ of what open holds hold.
    pub(crate) held: Credits,
    /// Holds that are open, or whose advance waits for its event; in the order of their ids.
    pub(crate) holds: Vec<Hold>,
    /// How many things its owner was told.
    pub(crate) events: u64,
    /// What most accounts lack, apart: it keeps those small.
    pub(crate) controls: Option<Box<Controls>>,
}

/// An account's plan, budgets and notices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Controls {
    pub(crate) plan: Option<Subscription>,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) notices: Notices,
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
            held: Credits::ZERO,
            holds: Vec::new(),
            events: 0,
            controls: None,
        }
    }

    pub fn balance(&self) -> Balance {
        Balance {
            settled: self.remaining - self.overage,
            overage: self.overage,
            held: self.held,
            in_grace: self.in_grace,
        }
    }

    pub fn lot(&self, id: LotId) -> Option<&Lot> {
        self.lots.iter().chain(&self.closed).find(|lot| lot.id == id)
    }

    pub(crate) fn open_lot_index(&self, id: LotId) -> Option<usize> {
        self.lots.iter().position(|lot| lot.id == id)
    }

    /// A hold that is open, or whose advance waits for its event.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(self.hold_index(id)?)
    }

    pub(crate) fn hold_index(&self, id: HoldId) -> Option<usize> {
        self.holds.binary_search_by_key(&id, |hold| hold.id).ok()
    }

    pub fn holds(&self) -> &[Hold] {
        &self.holds
    }

    pub fn plan(&self) -> Option<&Subscription> {
        self.controls.as_ref()?.plan.as_ref()
    }

    pub fn budgets(&self) -> &[Budget] {
        self.controls.as_ref().map_or(&[], |controls| &controls.budgets)
    }

    pub fn notices(&self) -> Notices {
        self.controls.as_ref().map_or_else(Notices::default, |controls| controls.notices)
    }

    /// Below which available balance its owner wants to know: the account's own mark, or the plan's.
    pub fn low_balance(&self) -> Option<Credits> {
        self.notices().low_balance.or_else(|| self.plan()?.low_balance)
    }

    pub(crate) fn controls_mut(&mut self) -> &mut Controls {
        self.controls.get_or_insert_default()
    }
}
