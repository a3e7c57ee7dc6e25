//! Commands: what people and the gateway ask of the ledger.

use domain::{Credits, Currency, LotId, Money, Text, Timestamp};

use crate::Category;

/// A command to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    pub account: Text<'a>,
    /// Idempotency: the same id with the same content is answered with the first entry.
    pub id: Text<'a>,
    pub actor: Text<'a>,
    pub reason: Text<'a>,
    /// After this ledger time it is refused rather than carried out for nobody.
    pub deadline: Option<Timestamp>,
    /// Comes back with the reply, so that the asker finds it; 0 wants no reply.
    pub correlation: u64,
    pub body: CommandBody,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandBody {
    Grant(GrantTerms),
    /// Positive adds, negative takes; never zero.
    Adjust {
        credits: Credits,
    },
    /// Removes what is left of a lot, or a part of it.
    Void {
        lot: LotId,
        credits: Option<Credits>,
    },
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
