//! Usage: charged, kept for a price, or held back.

use domain::{
    CatalogueId, ContentHash, Credits, EntryNumber, Offset, RateLine, Reason, Text, Timestamp,
    UsageEvent,
};

use super::{BudgetUse, BudgetUses, Draw, Draws, HoldUse};

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
    /// What this charge draws; with `overage`, and what the hold had advanced, they sum to `credits`.
    pub draws: Draws,
    /// What the lots did not cover.
    pub overage: Credits,
    /// The unrated entry that this charge settles, when its price came later.
    pub resolves: Option<EntryNumber>,
    /// What it did to the hold that the event names. An event that names a hold and has none here
    /// found no hold: it was charged all the same, and is counted as unmatched.
    pub hold: Option<Box<HoldUse>>,
    pub budgets: BudgetUses<'a>,
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

impl Debit<'_> {
    pub fn into_owned(self) -> Debit<'static> {
        Debit {
            event: self.event.into_owned(),
            content: self.content,
            plan: self.plan.map(|plan| Text::Owned(plan.into_owned())),
            rate_card: self.rate_card,
            catalogue: self.catalogue,
            lines: self.lines,
            credits: self.credits,
            residual: self.residual,
            draws: self.draws,
            overage: self.overage,
            resolves: self.resolves,
            hold: self.hold,
            budgets: self.budgets.into_iter().map(BudgetUse::into_owned).collect(),
        }
    }

    /// What pays for it, in order: what was captured ahead, then what it draws itself.
    pub fn paying(&self) -> impl Iterator<Item = &Draw> {
        let advanced = self.hold.as_deref().map(|used| used.advanced.as_slice());
        advanced.unwrap_or_default().iter().chain(&self.draws)
    }

    /// The part that no lot pays, captured ahead or not.
    pub fn past_the_lots(&self) -> Credits {
        let advanced = self.hold.as_deref().map(|used| used.advanced_overage);
        self.overage + advanced.unwrap_or_default()
    }
}
