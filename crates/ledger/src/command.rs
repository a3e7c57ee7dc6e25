//! Commands: what people and the gateway ask of the ledger.

use std::borrow::Cow;

use domain::{
    CatalogueId, Credits, Currency, EntryNumber, LotId, Money, Offset, RateLine, Text, Timestamp,
};

use crate::{BudgetTerms, Category, HoldId, Scope, TopUp};

/// A command to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    /// Empty for a command to a hold, which knows its account.
    pub account: Text<'a>,
    /// Idempotency: the same id with the same content is answered with the first entry. Unique
    /// within the account, or within the hold.
    pub id: Text<'a>,
    pub actor: Text<'a>,
    pub reason: Text<'a>,
    /// After this ledger time it is refused rather than carried out for nobody.
    pub deadline: Option<Timestamp>,
    /// Comes back with the reply, so that the asker finds it; 0 wants no reply.
    pub correlation: u64,
    /// The accounts that the asker may touch; empty for all. A hold of another account is answered
    /// as one that does not exist.
    pub within: Vec<Text<'a>>,
    pub body: CommandBody<'a>,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandBody<'a> {
    Grant(GrantTerms),
    /// Positive adds, negative takes; never zero.
    Adjust {
        credits: Credits,
    },
    /// Removes what is left of a lot, or a part of it; never what is held.
    Void {
        lot: LotId,
        credits: Option<Credits>,
    },
    Reserve(Box<Reserve<'a>>),
    /// Charges a part of a hold ahead of its events.
    Capture {
        hold: HoldId,
        credits: Credits,
    },
    /// Lets a hold expire later than it would.
    Extend {
        hold: HoldId,
        expires_in_micros: i64,
    },
    /// Ends a hold at a total; `None` leaves it at what was captured.
    Settle {
        hold: HoldId,
        credits: Option<Credits>,
    },
    /// Ends a hold; what was captured stays charged.
    Release {
        hold: HoldId,
    },
    AssignPlan {
        plan: Text<'a>,
        when: When,
    },
    SetBudget(Box<BudgetTerms<'a>>),
    RemoveBudget {
        budget: Text<'a>,
    },
    SetNotices {
        low_balance: Option<Credits>,
        top_up: Option<TopUp>,
    },
    /// Takes unused credits of a lot back against money.
    Refund {
        lot: LotId,
        credits: Credits,
        money: Money,
    },
    /// Takes a charge back into its lots.
    Reverse {
        entry: EntryNumber,
        /// The ledger's own record of the entry.
        record: Cow<'a, [u8]>,
    },
    /// Prices a charge anew, under the catalogue as it was at an offset.
    Rerate(Box<Rerate<'a>>),
    /// Lets a record in that was held back, or leaves it out for good.
    DecideQuarantined {
        entry: EntryNumber,
        /// The ledger's own record of the entry.
        record: Cow<'a, [u8]>,
        accept: bool,
    },
}

/// What a charge comes to under other prices. Whoever asks has priced it; the ledger holds it to the
/// usage that it is for, and `verify` prices it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerate<'a> {
    /// The entry that stands for the charge now.
    pub entry: EntryNumber,
    /// The ledger's own record of it.
    pub record: Cow<'a, [u8]>,
    pub rate_card: CatalogueId,
    /// The catalogue that it was priced under: the next offset after the last version in it.
    pub catalogue: Offset,
    /// One per item.
    pub lines: Vec<RateLine>,
    pub credits: Credits,
    pub residual: Credits,
}

impl CommandBody<'_> {
    /// The entry that the command is about, with the ledger's record of it, when it is about one.
    pub fn about(&self) -> Option<(EntryNumber, &[u8])> {
        match self {
            Self::Reverse { entry, record } | Self::DecideQuarantined { entry, record, .. } => {
                Some((*entry, record))
            }
            Self::Rerate(rerate) => Some((rerate.entry, &rerate.record)),
            Self::Grant(_)
            | Self::Adjust { .. }
            | Self::Void { .. }
            | Self::Reserve(_)
            | Self::Capture { .. }
            | Self::Extend { .. }
            | Self::Settle { .. }
            | Self::Release { .. }
            | Self::AssignPlan { .. }
            | Self::SetBudget(_)
            | Self::RemoveBudget { .. }
            | Self::SetNotices { .. }
            | Self::Refund { .. } => None,
        }
    }

    /// Whether it decides about a record that was held back.
    pub fn decides_quarantined(&self) -> bool {
        matches!(self, Self::DecideQuarantined { .. })
    }

    /// The hold that the command is to, when it is to one.
    pub fn hold(&self) -> Option<HoldId> {
        match self {
            Self::Capture { hold, .. }
            | Self::Extend { hold, .. }
            | Self::Settle { hold, .. }
            | Self::Release { hold } => Some(*hold),
            Self::Grant(_)
            | Self::Adjust { .. }
            | Self::Void { .. }
            | Self::Reserve(_)
            | Self::AssignPlan { .. }
            | Self::SetBudget(_)
            | Self::RemoveBudget { .. }
            | Self::SetNotices { .. }
            | Self::Refund { .. }
            | Self::Reverse { .. }
            | Self::Rerate(_)
            | Self::DecideQuarantined { .. } => None,
        }
    }
}

/// The terms of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantTerms {
    /// Positive.
    pub credits: Credits,
    pub category: Category,
    /// Smaller is drawn first; 50 unless said.
    pub priority: u8,
    /// `None`: at once.
    pub effective: Option<Timestamp>,
    pub expires: Option<Timestamp>,
    /// Total paid, not negative.
    pub paid: Money,
    pub currency: Option<Currency>,
}

/// Credits to be set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserve<'a> {
    pub want: Want<'a>,
    pub scope: Scope<'a>,
    pub expires_in_micros: i64,
    /// Whether less will do when there is less.
    pub shrink: bool,
}

/// How much is to be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want<'a> {
    Credits(Credits),
    /// What this usage would cost: the record of a usage event, priced under the account's plan.
    Usage(Cow<'a, [u8]>),
}

/// When a plan begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum When {
    /// An upgrade at once, a downgrade with the renewal.
    #[default]
    Fitting = 0,
    Now = 1,
    Renewal = 2,
}

impl When {
    pub const ALL: [Self; 3] = [Self::Fitting, Self::Now, Self::Renewal];

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}
