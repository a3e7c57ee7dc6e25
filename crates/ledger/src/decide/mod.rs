//! What an input does to an account. Pure: state is read, an entry comes out, nothing changes.
//!
//! Prices have been found and identity has been checked before these are called; here it is decided
//! which lots pay, what the balance becomes, and which commands are refused.

mod controls;
mod corrections;
mod holds;
mod lots;
mod plans;
mod time;
mod usage;

use domain::{ContentHash, Credits, EntryNumber, Reason, Text, Timestamp};

use crate::{Account, Balance, Body, ByHand, Cause, Command, CommandBody, Entry, PlanTerms};

pub use corrections::{Replacement, correct};
pub use plans::default_plan;
pub use time::timer;
pub use usage::{Charge, debit, quarantine, unrated};

/// When, and because of what, something is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The number that the entry will have: [`crate::PartitionState::next_number`].
    pub number: EntryNumber,
    pub ledger_time: Timestamp,
    pub cause: Cause,
}

/// What a decision needs beside the account, resolved by the caller from the catalogue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts<'c> {
    /// The account's plan, as it is in force now.
    pub plan: Option<PlanTerms<'c>>,
    /// The plan that is asked for, in an assignment.
    pub wanted: Option<PlanTerms<'c>>,
    /// The plan that the ending period was begun under, at a renewal; `plan` is then the one that the
    /// next begins under.
    pub begun_under: Option<PlanTerms<'c>>,
    /// What a hold of usage would cost.
    pub estimate: Option<Credits>,
    /// The entry that the command is about, read from its record.
    pub original: Option<&'c Entry<'c>>,
}

impl Facts<'_> {
    /// Whether grants repay what was spent past the lots: they do unless the plan says otherwise.
    pub fn repays(&self) -> bool {
        self.plan.is_none_or(|plan| plan.repays)
    }
}

/// Carries out a command, or says why not.
///
/// # Errors
/// The reason of the refusal; nothing changes.
pub fn command<'a>(
    account: &Account,
    command: &Command<'a>,
    content: ContentHash,
    facts: Facts<'_>,
    moment: Moment,
) -> Result<Entry<'a>, Reason> {
    let now = moment.ledger_time;
    if command.deadline.is_some_and(|deadline| deadline < now) {
        return Err(Reason::Deadline);
    }
    let by = ByHand {
        command: command.id.clone(),
        content,
        actor: command.actor.clone(),
        reason: command.reason.clone(),
    };
    let (after, body) = match &command.body {
        CommandBody::Grant(terms) => lots::grant(account, terms, facts.repays(), by, now)?,
        CommandBody::Adjust { credits } => {
            lots::adjust(account, *credits, facts.repays(), by, now)?
        }
        CommandBody::Void { lot, credits } => lots::void(account, *lot, *credits, by)?,
        CommandBody::Refund { lot, credits, money } => {
            lots::refund(account, (*lot, *credits, *money), by)?
        }
        CommandBody::Reserve(reserve) => holds::reserve(account, reserve, facts, by, now)?,
        CommandBody::Capture { hold, credits } => {
            holds::capture(account, *hold, *credits, by, now)?
        }
        CommandBody::Extend { hold, expires_in_micros } => {
            holds::extend(account, *hold, *expires_in_micros, by, now)?
        }
        CommandBody::Settle { hold, credits } => {
            holds::settle(account, (*hold, *credits), facts.repays(), by, now)?
        }
        CommandBody::Release { hold } => holds::release(account, *hold, facts.repays(), by, now)?,
        CommandBody::AssignPlan { when, .. } => plans::assign(account, *when, facts, by, now)?,
        CommandBody::SetBudget(terms) => controls::set_budget(account, terms, by, now)?,
        CommandBody::RemoveBudget { budget } => controls::remove_budget(account, budget, by)?,
        CommandBody::SetNotices { low_balance, top_up } => {
            controls::set_notices(account, *low_balance, *top_up, by)?
        }
        CommandBody::Reverse { .. } => {
            let original = facts.original.ok_or(Reason::NotACharge)?;
            corrections::reverse(account, original, by, now)?
        }
        CommandBody::Rerate(rerate) => {
            let original = facts.original.ok_or(Reason::NotACharge)?;
            corrections::rerate(account, rerate, original, by, now)?
        }
        CommandBody::DecideQuarantined { accept, .. } => {
            let held = facts.original.ok_or(Reason::NotQuarantined)?;
            corrections::decide_quarantined(account, held, *accept, by)?
        }
    };
    // A command to a hold may not have named the account.
    Ok(entry(account, command.account.clone(), moment, after, body))
}

fn entry<'a>(
    account: &Account,
    name: Text<'a>,
    moment: Moment,
    after: Balance,
    body: Body<'a>,
) -> Entry<'a> {
    Entry {
        number: moment.number,
        account: name,
        sequence: account.sequence.next(),
        recorded_at: moment.ledger_time,
        cause: moment.cause,
        after,
        body,
    }
}
