//! What the ledger records. An entry carries absolute consequences (amounts, lots drawn, the balance
//! after), never rules to run again.
//!
//! Texts borrow: from the input while an entry is being made, from the record while it is read.

mod controls;
mod corrections;
mod holds;
mod lots;
mod plans;
mod usage;

use domain::{
    ContentHash, Credits, EntryNumber, LotId, Money, Offset, Outcome, Sequence, Text, Timestamp,
    Topic,
};
use smallvec::SmallVec;

use crate::Category;

pub use controls::{
    BudgetRemoved, BudgetSet, BudgetUse, BudgetUses, NoticesSet, Refunded, Reversed,
};
pub use corrections::{Corrected, Corrector, QuarantineDecided, StandingCharge};
pub use holds::{
    Freed, HoldAfter, HoldCaptured, HoldEnded, HoldEnding, HoldExtended, HoldRefused, HoldReserved,
    HoldUse, Limit, Lost, Return, ReturnTo,
};
pub use lots::{Adjustment, Grant, LotActivated, LotClosed, LotExpiring, LotInGrace, RolledOver};
pub use plans::{Billed, PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled};
pub use usage::{Debit, Quarantined, Unrated};

/// One entry of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub number: EntryNumber,
    pub account: Text<'a>,
    /// One more than the account's entry before.
    pub sequence: Sequence,
    /// Ledger time when it was decided.
    pub recorded_at: Timestamp,
    pub cause: Cause,
    /// The account's balance after it.
    pub after: Balance,
    pub body: Body<'a>,
}

impl<'a> Entry<'a> {
    /// The charge that this entry stands for: its own, or the one that it put in another's place.
    pub fn standing_charge(&self) -> Option<&Debit<'a>> {
        match &self.body {
            Body::Debit(debit) => Some(debit),
            Body::Corrected(corrected) => corrected.now.as_ref(),
            Body::Unrated(_)
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
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::Reversed(_)
            | Body::LotExpiring(_)
            | Body::QuarantineDecided(_) => None,
        }
    }

    /// The same on its own, with where it began.
    pub fn standing(&self) -> Option<StandingCharge> {
        let debit = self.standing_charge()?.clone().into_owned();
        let (mut charge, mut recorded_at) = (self.number, self.recorded_at);
        if let Body::Corrected(corrected) = &self.body {
            (charge, recorded_at) = (corrected.charge, corrected.recorded_at);
        }
        let account = Text::Owned(self.account.to_string());
        let (entry, sequence) = (self.number, self.sequence);
        Some(StandingCharge { entry, sequence, account, charge, recorded_at, debit })
    }

    /// The lot that it opens, if it opens one; it is named by the entry's sequence number.
    pub fn opens(&self) -> Option<LotId> {
        let opens = match &self.body {
            Body::Grant(_) | Body::RolledOver(_) => true,
            Body::Adjustment(adjustment) => adjustment.credits.is_positive(),
            Body::PlanAssigned(assigned) => assigned.grant.is_some(),
            Body::PlanRenewed(renewed) => renewed.grant.is_some(),
            Body::Reversed(reversed) => reversed.lot.is_positive(),
            Body::Corrected(corrected) => corrected.lot.is_positive(),
            Body::HoldEnded(ended) => ended.freed.lot.is_positive(),
            Body::Debit(debit) => {
                let freed = debit.hold.as_deref().and_then(|used| used.freed.as_ref());
                freed.is_some_and(|freed| freed.lot.is_positive())
            }
            Body::Unrated(_)
            | Body::Quarantined(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::LotExpiring(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::HoldExtended(_)
            | Body::PlanScheduled(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::QuarantineDecided(_) => false,
        };
        opens.then_some(LotId(self.sequence.0))
    }
}

/// What made the charger write an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A record of an input topic, of the entry's own partition number.
    Input { topic: Topic, offset: Offset },
    /// A due time that ledger time passed.
    Timer { due: Timestamp },
    /// A catalogue version that was adopted: the catalogue's next offset.
    Catalogue { next: Offset },
    /// The entry before it in the same transaction, which let a held-back record in.
    Decision { entry: EntryNumber },
}

/// available = settled − in grace − held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Σ remaining of effective lots − outstanding overage; negative when overage exceeds lots.
    pub settled: Credits,
    pub overage: Credits,
    pub held: Credits,
    pub in_grace: Credits,
}

impl Balance {
    pub fn available(&self) -> Credits {
        self.settled - self.in_grace - self.held
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    Debit(Box<Debit<'a>>),
    Unrated(Box<Unrated<'a>>),
    Quarantined(Quarantined<'a>),
    Grant(Grant<'a>),
    Adjustment(Adjustment<'a>),
    LotVoided(LotClosed<'a>),
    LotActivated(LotActivated),
    LotInGrace(LotInGrace),
    LotExpired(LotClosed<'a>),
    HoldReserved(Box<HoldReserved<'a>>),
    HoldRefused(Box<HoldRefused<'a>>),
    HoldCaptured(Box<HoldCaptured<'a>>),
    HoldExtended(Box<HoldExtended<'a>>),
    HoldEnded(Box<HoldEnded<'a>>),
    PlanAssigned(Box<PlanAssigned<'a>>),
    PlanScheduled(Box<PlanScheduled<'a>>),
    PlanRenewed(Box<PlanRenewed<'a>>),
    RolledOver(RolledOver),
    BudgetSet(Box<BudgetSet<'a>>),
    BudgetRemoved(Box<BudgetRemoved<'a>>),
    NoticesSet(Box<NoticesSet<'a>>),
    Refunded(Box<Refunded<'a>>),
    Reversed(Box<Reversed<'a>>),
    LotExpiring(LotExpiring),
    Corrected(Box<Corrected<'a>>),
    QuarantineDecided(Box<QuarantineDecided<'a>>),
}

impl Body<'_> {
    /// How the input that caused the entry ended.
    pub const fn outcome(&self) -> Outcome {
        match self {
            Self::Debit(_) => Outcome::Debit,
            Self::Unrated(_) => Outcome::Unrated,
            Self::Quarantined(_) => Outcome::Quarantined,
            Self::HoldRefused(_) => Outcome::Refused,
            Self::Grant(_)
            | Self::Adjustment(_)
            | Self::LotVoided(_)
            | Self::LotActivated(_)
            | Self::LotInGrace(_)
            | Self::LotExpired(_)
            | Self::HoldReserved(_)
            | Self::HoldCaptured(_)
            | Self::HoldExtended(_)
            | Self::HoldEnded(_)
            | Self::PlanAssigned(_)
            | Self::PlanScheduled(_)
            | Self::PlanRenewed(_)
            | Self::RolledOver(_)
            | Self::BudgetSet(_)
            | Self::BudgetRemoved(_)
            | Self::NoticesSet(_)
            | Self::Refunded(_)
            | Self::Reversed(_)
            | Self::LotExpiring(_)
            | Self::Corrected(_)
            | Self::QuarantineDecided(_) => Outcome::Applied,
        }
    }

    /// The kind's name in tables and answers.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Debit(_) => "debit",
            Self::Unrated(_) => "unrated",
            Self::Quarantined(_) => "quarantined",
            Self::Grant(_) => "grant",
            Self::Adjustment(_) => "adjustment",
            Self::LotVoided(_) => "lot_voided",
            Self::LotActivated(_) => "lot_activated",
            Self::LotInGrace(_) => "lot_in_grace",
            Self::LotExpired(_) => "lot_expired",
            Self::HoldReserved(_) => "hold_reserved",
            Self::HoldRefused(_) => "hold_refused",
            Self::HoldCaptured(_) => "hold_captured",
            Self::HoldExtended(_) => "hold_extended",
            Self::HoldEnded(ended) => ended.how.kind(),
            Self::PlanAssigned(_) => "plan_assigned",
            Self::PlanScheduled(_) => "plan_scheduled",
            Self::PlanRenewed(_) => "plan_renewed",
            Self::RolledOver(_) => "rolled_over",
            Self::BudgetSet(_) => "budget_set",
            Self::BudgetRemoved(_) => "budget_removed",
            Self::NoticesSet(_) => "notices_set",
            Self::Refunded(_) => "refunded",
            Self::Reversed(_) => "reversed",
            Self::LotExpiring(_) => "lot_expiring",
            Self::Corrected(_) => "corrected",
            Self::QuarantineDecided(_) => "quarantine_decided",
        }
    }
}

/// Credits taken from one lot, and what had been paid for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Draw {
    pub lot: LotId,
    pub category: Category,
    /// Never negative.
    pub credits: Credits,
    /// The share of the lot's total paid that this draw recognises; zero for a promotional lot.
    pub revenue: Money,
}

/// The draws of one entry; nearly always one.
pub type Draws = SmallVec<[Draw; 2]>;

/// Who did something by hand, and the command that said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand<'a> {
    /// The command's id, unique within the account (its idempotency).
    pub command: Text<'a>,
    pub content: ContentHash,
    pub actor: Text<'a>,
    pub reason: Text<'a>,
}

/// A partition took a newer catalogue into use; written before its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueAdopted {
    /// The next offset after the last version that is in it.
    pub next: Offset,
    /// BLAKE3 over the versions' bytes.
    pub hash: [u8; 32],
    pub recorded_at: Timestamp,
}
