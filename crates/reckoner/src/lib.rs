//! A second opinion on prices. What `rating` compiles and multiplies with fast fractions, this reads
//! as text and reckons with fractions of any size: simple, slow, and written from the published
//! format alone, so that a mistake would have to be made twice to go unseen.
//!
//! **Architecture invariant:** nothing of `rating` is used here (its tests compare the two). The
//! words for usage are `domain`'s, because they are what both are asked about.

#![deny(clippy::float_arithmetic)]

mod card;
mod cost;
mod documents;
mod fraction;

use domain::{Reason, UsageEvent};

use crate::card::{Card, Priced};
use crate::cost::{Book, books_at};
use crate::documents::{Content, Published};
use crate::fraction::{Fraction, atoms_of, steps_of, whole};

/// A published document that this cannot read, or reads as no price can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the document at catalogue offset {offset}: {why}")]
pub struct Unreadable {
    pub offset: u32,
    pub why: String,
}

/// What an event comes to. Amounts are in steps of 10⁻¹².
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reckoned {
    /// The catalogue offset of the rate card.
    pub rate_card: u32,
    pub credits: i128,
    /// Exact minus charged, half to even.
    pub residual: i128,
    /// One per item, in order; their credits sum to `credits`.
    pub lines: Vec<ReckonedLine>,
}

/// One item of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReckonedLine {
    /// The rule's place in the card, from 0.
    pub rule: usize,
    pub credits: i128,
    /// Whether the item's exact credits are zero, before any rounding.
    pub is_free: bool,
    /// Why they are, when they are.
    pub freed_by: Option<FreedBy>,
    /// The vendor cost from the price books; `None` with the reason when there is none.
    pub computed: Result<i128, Reason>,
}

/// What says that something costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FreedBy {
    /// The rule: `free = true`.
    FreeRule,
    /// A rate or a price of zero, written down.
    ZeroRate,
    /// Nothing was used.
    NothingUsed,
    /// The item's share of a charge per event, by a vendor cost of zero beside others above it.
    NoShare,
}

impl FreedBy {
    pub const fn word(self) -> &'static str {
        match self {
            Self::FreeRule => "a free rule",
            Self::ZeroRate => "a rate of zero",
            Self::NothingUsed => "nothing used",
            Self::NoShare => "no share of a charge per event",
        }
    }
}

/// The published documents, in the order of publication.
#[derive(Clone, Debug, Default)]
pub struct Reckoner {
    published: Vec<Published>,
}

impl Reckoner {
    /// Adds the document at an offset of the catalogue.
    ///
    /// # Errors
    /// When it cannot be read; the documents after it may still be added.
    pub fn publish(&mut self, offset: u32, toml: &str) -> Result<(), Unreadable> {
        let published = Published::read(offset, toml).map_err(|why| Unreadable { offset, why })?;
        self.published.push(published);
        Ok(())
    }

    /// Prices an event under the documents whose offsets are below `next`, of an account with this
    /// plan (`None`: it was assigned none).
    ///
    /// # Errors
    /// Why the event as a whole has no price.
    pub fn reckon(
        &self,
        next: i64,
        event: &UsageEvent<'_>,
        plan: Option<&str>,
    ) -> Result<Reckoned, Reason> {
        let known: Vec<&Published> =
            self.published.iter().filter(|published| i64::from(published.offset) < next).collect();
        let found = in_force(&known, event, plan).ok_or(Reason::NoRateCard)?;
        price(&found, event)
    }
}

/// What prices an event.
struct InForce<'p> {
    card_offset: u32,
    card: &'p Card,
    books: Vec<&'p Book>,
    /// What `match = { plan = … }` sees.
    plan: Option<String>,
}

fn in_force<'p>(
    known: &[&'p Published],
    event: &UsageEvent<'_>,
    plan: Option<&str>,
) -> Option<InForce<'p>> {
    let time = event.time;
    let holding = |kind: fn(&Content) -> bool, id: &str| {
        let mut holding: Option<&Published> = None;
        for published in known.iter().filter(|one| one.id == id && kind(&one.content)) {
            let is_later = holding.is_none_or(|other| published.from >= other.from);
            if published.holds(time) && is_later {
                holding = Some(published);
            }
        }
        holding
    };
    let card_of = |id: &str| {
        holding(|content| matches!(content, Content::Card(_)), id)
            .and_then(|published| Some((published.offset, published.card()?)))
    };
    let plan_of = |id: &str| {
        holding(|content| matches!(content, Content::Plan { .. }), id)
            .and_then(Published::plan_card)
    };
    let defaults = holding(|content| matches!(content, Content::Defaults(_)), "defaults")
        .and_then(Published::defaults);
    let default_plan = defaults
        .and_then(|defaults| defaults.plan.as_deref())
        .filter(|default| plan_of(default).is_some());
    let plan = plan.or(default_plan);
    let (card_offset, card) = match plan {
        Some(plan) => card_of(plan_of(plan)?)?,
        None => match defaults.and_then(|defaults| defaults.card.as_deref()) {
            Some(named) => card_of(named)?,
            // Without a word about it, the only card there ever was.
            None => {
                let mut cards: Vec<&str> = known
                    .iter()
                    .filter(|published| published.card().is_some())
                    .map(|published| published.id.as_str())
                    .collect();
                cards.sort_unstable();
                cards.dedup();
                match cards.as_slice() {
                    [only] => card_of(only)?,
                    _ => return None,
                }
            }
        },
    };
    let books = books_at(known, defaults.and_then(|defaults| defaults.books.as_deref()), |id| {
        holding(|content| matches!(content, Content::Book(_)), id)
    });
    Some(InForce { card_offset, card, books, plan: plan.map(str::to_owned) })
}

fn price(found: &InForce<'_>, event: &UsageEvent<'_>) -> Result<Reckoned, Reason> {
    let card = found.card;
    let mut items = Vec::new();
    for item in &event.items {
        let rule = card.rule_for(event, item, found.plan.as_deref()).ok_or(Reason::NoRule)?;
        let cost = cost::of_item(&found.books, event, item);
        let computed = match &cost {
            Ok(cost) => Ok(atoms_of(&cost.amount).ok_or(Reason::AmountOutOfRange)?),
            Err(reason) => Err(*reason),
        };
        let reported = item.vendor_cost.map(|reported| reported.amount.atoms());
        let weight = reported.or(computed.ok()).unwrap_or(0);
        let charge = card.charge(rule, item, cost)?;
        items.push(Priced { rule, computed, weight, charge });
    }
    if items.iter().map(|item| item.weight).sum::<i128>() > fraction::MOST_ATOMS {
        return Err(Reason::AmountOutOfRange);
    }
    let exact = card::share_out(&items);
    let sum = exact.iter().fold(whole(0), |sum, (part, _)| sum + part);
    let steps = steps_of(&sum, card.decimals, card.rounding).ok_or(Reason::AmountOutOfRange)?;
    let step = 10_i128.pow(12 - card.decimals);
    let credits = steps
        .checked_mul(step)
        .filter(|credits| *credits <= fraction::MOST_ATOMS)
        .ok_or(Reason::AmountOutOfRange)?;
    let residual = atoms_of_signed(&(sum - fraction::of_atoms(credits)));
    let spread = card::spread(&exact, card.decimals, steps).ok_or(Reason::AmountOutOfRange)?;
    let lines = items
        .into_iter()
        .zip(exact)
        .zip(spread)
        .map(|((item, (exact, freed_by)), steps)| {
            let is_free = exact == whole(0);
            ReckonedLine {
                rule: item.rule,
                credits: steps * step,
                is_free,
                freed_by: freed_by.filter(|_| is_free),
                computed: item.computed,
            }
        })
        .collect();
    Ok(Reckoned { rate_card: found.card_offset, credits, residual, lines })
}

/// A residual is below one step, so it always fits.
fn atoms_of_signed(left: &Fraction) -> i128 {
    steps_of(left, 12, fraction::Rounding::HalfEven).unwrap_or_default()
}
