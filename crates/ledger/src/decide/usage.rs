//! Usage: charged, kept for a price, or held back.

use domain::{CatalogueId, ContentHash, Credits, EntryNumber, Offset, RateLine, Text, UsageEvent};

use super::controls::{Spender, budget_uses};
use super::lots::after_spending;
use super::{Moment, entry};
use crate::draw::draw;
use crate::entry::{BudgetUses, Draws};
use crate::workbook::{Workbook, split};
use crate::{
    Account, Balance, Body, Debit, Draw, Entry, Hold, HoldAfter, HoldId, HoldUse, Quarantined,
    Unrated,
};

/// A priced event, ready to be charged.
#[derive(Clone, Debug)]
pub struct Charge<'a> {
    pub event: UsageEvent<'a>,
    pub content: ContentHash,
    pub plan: Option<Text<'a>>,
    pub rate_card: CatalogueId,
    pub catalogue: Offset,
    pub lines: Vec<RateLine>,
    pub credits: Credits,
    pub residual: Credits,
    pub resolves: Option<EntryNumber>,
    /// The hold that the event names, if that is one of this account.
    pub hold: Option<HoldId>,
    /// Whether what a hold gives up repays outstanding overage: the plan's word.
    pub repays: bool,
}

/// What a charge draws.
struct Drawn {
    draws: Draws,
    overage: Credits,
    after: Balance,
    hold: Option<Box<HoldUse>>,
}

/// Charges priced usage. It is never refused: usage that happened is booked (invariant 10), and
/// what the lots do not cover becomes overage.
pub fn debit<'a>(account: &Account, charge: Charge<'a>, moment: Moment) -> Entry<'a> {
    let drawn = match charge.hold.and_then(|hold| account.hold(hold)) {
        Some(hold) => on_hold(account, hold, &charge, moment),
        None => {
            let (draws, overage) = draw(account, charge.credits, charge.event.time);
            let after = after_spending(account, charge.credits, &draws, overage);
            Drawn { draws, overage, after, hold: None }
        }
    };
    let budgets = used_of_budgets(account, &charge, &drawn, moment);
    let name = charge.event.account.clone();
    let debit = Debit {
        event: charge.event,
        content: charge.content,
        plan: charge.plan,
        rate_card: charge.rate_card,
        catalogue: charge.catalogue,
        lines: charge.lines,
        credits: charge.credits,
        residual: charge.residual,
        draws: drawn.draws,
        overage: drawn.overage,
        resolves: charge.resolves,
        hold: drawn.hold,
        budgets,
    };
    entry(account, name, moment, drawn.after, Body::Debit(Box::new(debit)))
}

/// What was captured ahead pays first, then what is reserved, then everything else. A final event
/// ends the hold: what is left of it is given up, and so is an advance that was too much. A final
/// event that comes after the end settles only the difference.
fn on_hold(account: &Account, hold: &Hold, charge: &Charge<'_>, moment: Moment) -> Drawn {
    let mut hold = hold.clone();
    let mut book = Workbook::new(account);
    let mut left = charge.credits;
    let advanced = claim(&mut hold, &mut left);
    let advanced_overage = left.min(hold.advanced_overage);
    hold.advanced_overage -= advanced_overage;
    left -= advanced_overage;
    let open = hold.is_open();
    let (draws, overage) = book.spend(open.then_some(&mut hold), left, charge.event.time);
    // What an ended hold had reserved has been given up.
    let above = if hold.is_open() { hold.above(left) } else { left };
    hold.captured += left;
    let is_final = charge.event.hold_action == domain::HoldAction::Settle;
    let freed = is_final.then(|| {
        let too_much = hold.outstanding();
        hold.captured -= too_much;
        book.free(&mut hold, too_much, moment.ledger_time, charge.repays)
    });
    let used =
        HoldUse { hold: hold.id, advanced, advanced_overage, above, freed, after: hold.after() };
    Drawn { draws, overage, after: book.after, hold: Some(Box::new(used)) }
}

/// Takes up to `left` from what was captured ahead, oldest first.
fn claim(hold: &mut Hold, left: &mut Credits) -> Draws {
    let mut claimed = Draws::new();
    while left.is_positive()
        && let Some(first) = hold.advances.first_mut()
    {
        let part = split(first, (*left).min(first.credits));
        if first.credits.is_zero() {
            hold.advances.remove(0);
        }
        *left -= part.credits;
        claimed.push(part);
    }
    claimed
}

/// Budgets count what is newly charged; what was captured ahead was counted then. An advance that was
/// too much goes back where it was counted, which is the hold's scope and ledger time; then nothing is
/// newly charged.
fn used_of_budgets(
    account: &Account,
    charge: &Charge<'_>,
    drawn: &Drawn,
    moment: Moment,
) -> BudgetUses<'static> {
    if account.budgets().is_empty() {
        return BudgetUses::new();
    }
    let new: Credits = drawn.draws.iter().map(|draw: &Draw| draw.credits).sum();
    let freed = drawn.hold.as_deref().and_then(|used| used.freed.as_ref());
    let back = freed.map_or(Credits::ZERO, crate::Freed::given_back);
    if back.is_positive()
        && let Some(hold) = charge.hold.and_then(|hold| account.hold(hold))
    {
        return budget_uses(account, &Spender::of_hold(hold), -back, moment.ledger_time);
    }
    let spender = Spender::of_event(&charge.event);
    budget_uses(account, &spender, new + drawn.overage, charge.event.time)
}

impl Hold {
    /// What of a further charge is above what was reserved.
    pub(super) fn above(&self, charge: Credits) -> Credits {
        let room = (self.amount - self.captured).max(Credits::ZERO);
        (charge - room).max(Credits::ZERO)
    }

    pub(super) fn after(&self) -> HoldAfter {
        HoldAfter { amount: self.amount, captured: self.captured, expires_at: self.expires_at }
    }
}

/// Keeps usage that no price covers.
pub fn unrated<'a>(account: &Account, unrated: Unrated<'a>, moment: Moment) -> Entry<'a> {
    let name = unrated.event.account.clone();
    entry(account, name, moment, account.balance(), Body::Unrated(Box::new(unrated)))
}

/// Holds a record back for a person to look at.
pub fn quarantine<'a>(
    account: &Account,
    name: Text<'a>,
    quarantined: Quarantined<'a>,
    moment: Moment,
) -> Entry<'a> {
    entry(account, name, moment, account.balance(), Body::Quarantined(quarantined))
}
