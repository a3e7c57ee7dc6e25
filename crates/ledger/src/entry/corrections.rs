//! Charges that are replaced, and held-back records whose fate a person decided.

use domain::{ContentHash, Credits, EntryNumber, Offset, Reason, Sequence, Text, Timestamp, Topic};
use smallvec::SmallVec;

use super::{BudgetUses, ByHand, Debit, Draws, Return};

/// A charge replaced by what it should have been: re-rated under other prices, or corrected by its
/// producer. Only the difference moves credits; the charge as it stood and as it stands are both here,
/// so a reader needs no other entry.
///
/// The corrections of a charge are a chain: each names the entry that stood for it until then, and an
/// entry is corrected once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corrected<'a> {
    pub by: Corrector<'a>,
    /// The entry that stood for the charge until now: its debit, or the correction before this one.
    pub corrects: EntryNumber,
    /// The debit that the chain begins with.
    pub charge: EntryNumber,
    /// When that debit was recorded.
    pub recorded_at: Timestamp,
    pub before: Debit<'a>,
    /// As it stands now: its draws and overage say who pays for all of it. `None`: its producer took
    /// it back.
    pub now: Option<Debit<'a>>,
    /// What goes back into lots, when it costs less than before.
    pub returns: SmallVec<[Return; 1]>,
    /// Outstanding overage that goes.
    pub forgiven: Credits,
    /// Overage that goes and was repaid or billed meanwhile: it becomes a promotional lot, named by
    /// this entry.
    pub lot: Credits,
    /// What is drawn on top, when it costs more.
    pub draws: Draws,
    /// What the lots did not cover of that.
    pub overage: Credits,
    pub budgets: BudgetUses<'a>,
}

impl Corrected<'_> {
    /// By how much the charge changes.
    pub fn change(&self) -> Credits {
        self.now.as_ref().map_or(Credits::ZERO, |now| now.credits) - self.before.credits
    }

    /// Whether the same usage is priced anew, item by item.
    pub fn is_rerate(&self) -> bool {
        self.now.as_ref().is_some_and(|now| now.event == self.before.event)
    }
}

/// A charge as it stands, with the entry that stands for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingCharge {
    pub entry: EntryNumber,
    pub sequence: Sequence,
    pub account: Text<'static>,
    /// The debit that it began with, and when that was recorded.
    pub charge: EntryNumber,
    pub recorded_at: Timestamp,
    pub debit: Debit<'static>,
}

/// Who says that a charge should have been another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Corrector<'a> {
    ByHand(ByHand<'a>),
    /// The charge's own source, with an event that corrects it.
    Producer {
        id: Text<'a>,
        time: Timestamp,
        content: ContentHash,
    },
}

/// A person decided what becomes of a record that was held back. When it is let in, the entry that
/// it makes follows, with this one as its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineDecided<'a> {
    pub by: ByHand<'a>,
    /// The entry that held it back, and where the record stands in the partition's inputs.
    pub held: EntryNumber,
    pub topic: Topic,
    pub offset: Offset,
    pub source: Text<'a>,
    pub id: Text<'a>,
    /// Why it was held back.
    pub reason: Reason,
    pub accepted: bool,
}
