//! What the ledger records. An entry carries absolute consequences (amounts, lots drawn, the balance
//! after), never rules to run again.
//!
//! Texts borrow: from the input while an entry is being made, from the record while it is read.

use domain::{
    CatalogueId, ContentHash, Credits, Currency, EntryNumber, LotId, Money, Offset, RateLine,
    Reason, Sequence, Text, Timestamp, Topic, UsageEvent,
};
use smallvec::SmallVec;

use crate::Category;

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

/// What made the charger write an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A record of an input topic, of the entry's own partition number.
    Input { topic: Topic, offset: Offset },
    /// A due time that ledger time passed.
    Timer { due: Timestamp },
    /// A catalogue version that was adopted: the catalogue's next offset.
    Catalogue { next: Offset },
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
}

impl Body<'_> {
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
        }
    }
}

/// Credits taken from one lot, and what had been paid for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// A charge that proves itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Debit<'a> {
    /// The event as it was priced, pools disjoint.
    pub event: UsageEvent<'a>,
    pub content: ContentHash,
    /// The plan that the account had at the event's time.
    pub plan: Option<Text<'a>>,
    pub rate_card: CatalogueId,
    /// The catalogue in use: the next offset after the last version that was known.
    pub catalogue: Offset,
    /// One per item, in order; their credits sum to `credits`.
    pub lines: Vec<RateLine>,
    pub credits: Credits,
    /// exact − charged, half-even to 12 decimals.
    pub residual: Credits,
    /// In draw-down order; with `overage` they sum to `credits`.
    pub draws: Draws,
    /// What the lots did not cover.
    pub overage: Credits,
    /// The unrated entry that this charge settles, when its price came later.
    pub resolves: Option<EntryNumber>,
}

/// Usage that no price covers yet: kept whole, to be charged once one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unrated<'a> {
    pub event: UsageEvent<'a>,
    pub content: ContentHash,
    pub plan: Option<Text<'a>>,
    pub reason: Reason,
    /// The item that has no price; `None` when it is the event as a whole.
    pub item: Option<u16>,
}

/// A record that is held back for a person to look at, with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined<'a> {
    pub source: Text<'a>,
    pub id: Text<'a>,
    pub time: Timestamp,
    pub reason: Reason,
    /// The entry that took the identity first, in a conflict.
    pub conflicts_with: Option<EntryNumber>,
    pub record: std::borrow::Cow<'a, [u8]>,
}

/// Who did something by hand, and the command that said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHand<'a> {
    /// The command's id, unique within the account (its idempotency).
    pub command: Text<'a>,
    pub content: ContentHash,
    pub actor: Text<'a>,
    pub reason: Text<'a>,
}

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

/// A partition took a newer catalogue into use; written before its first use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogueAdopted {
    /// The next offset after the last version that is in it.
    pub next: Offset,
    /// BLAKE3 over the versions' bytes.
    pub hash: [u8; 32],
    pub recorded_at: Timestamp,
}
