//! Budgets, notices, refunds and reversals: what people set, and what they take back.

use calendar::Window;
use domain::{Credits, Currency, EntryNumber, LotId, Money, Text, Timestamp};
use smallvec::SmallVec;

use super::{ByHand, Debit, Return};
use crate::{BudgetTerms, Category, TopUp};

/// What an entry adds to a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetUse<'a> {
    pub budget: Text<'a>,
    /// The window that it counts in; a later one than before begins that window at zero.
    pub window: Option<Window>,
    /// Used in that window, after the entry.
    pub used: Credits,
}

impl BudgetUse<'_> {
    pub fn into_owned(self) -> BudgetUse<'static> {
        let budget = Text::Owned(self.budget.into_owned());
        BudgetUse { budget, window: self.window, used: self.used }
    }
}

/// Nearly always none.
pub type BudgetUses<'a> = Vec<BudgetUse<'a>>;

/// A budget was set, or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetSet<'a> {
    pub by: ByHand<'a>,
    pub terms: BudgetTerms<'a>,
    pub window: Option<Window>,
    /// Used in that window: a changed limit keeps what was used, another scope or period begins at
    /// zero.
    pub used: Credits,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetRemoved<'a> {
    pub by: ByHand<'a>,
    pub budget: Text<'a>,
}

/// When somebody wants to know about the balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoticesSet<'a> {
    pub by: ByHand<'a>,
    /// Say so when the available balance falls below; `None` leaves it to the plan.
    pub low_balance: Option<Credits>,
    pub top_up: Option<TopUp>,
}

/// Unused credits of a lot taken back against money. Credits and money are apart: either may be
/// less than the other's share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refunded<'a> {
    pub by: ByHand<'a>,
    pub lot: LotId,
    pub category: Category,
    pub credits: Credits,
    pub money: Money,
    pub currency: Option<Currency>,
    /// What was paid, not refunded, and has no credits left that could earn it.
    pub revenue: Money,
}

/// A charge taken back: its exact inverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversed<'a> {
    pub by: ByHand<'a>,
    pub reverses: EntryNumber,
    /// When the reversed charge was recorded.
    pub recorded_at: Timestamp,
    /// The charge as it stands in the ledger; its dimensions are those of the correction.
    pub debit: Debit<'a>,
    pub returns: SmallVec<[Return; 1]>,
    /// The part of the charge's overage that is still outstanding, and goes.
    pub overage: Credits,
    /// The part of the charge's overage that was repaid or billed meanwhile: it becomes a
    /// promotional lot, named by this entry.
    pub lot: Credits,
    pub budgets: BudgetUses<'a>,
}
