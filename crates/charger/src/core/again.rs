//! Deciding again what a ledger says was decided: for proofs that replay the inputs.
//!
//! Everything goes the way of live work, but for two things. The state follows the ledger: what is
//! decided here is set aside to be compared, and the entry that stands in the ledger is applied in
//! its place, so that one difference does not make everything after it differ. And time is what the
//! ledger says: nobody waits for a horizon.

use std::collections::VecDeque;

use domain::{EntryNumber, Timestamp, Topic};
use eventlog::Record;
use flow::Ending;
use ledger::decide::{self, Moment};
use ledger::{CatalogueAdopted, Cause, Entry};
use wire::LedgerRecord;

use super::plans::facts_of_timer;
use super::{Halt, PartitionCore, remember_in};
use crate::Prices;

/// What stands in the ledger for the step that is being decided.
#[derive(Debug, Default)]
pub(super) struct Again {
    expected: VecDeque<Vec<u8>>,
}

/// What a step came to.
#[derive(Debug, Default)]
pub struct DecidedAgain {
    /// How the input ended; `None` for a step that no input caused.
    pub ending: Option<Ending>,
    /// The records of the entries that were decided, in order.
    pub entries: Vec<Vec<u8>>,
    /// Nothing was decided: the decision needs to see this entry, see [`super::Taken::Wants`].
    pub wants: Option<EntryNumber>,
}

/// One step of a partition's life.
#[derive(Clone, Copy, Debug)]
pub enum Step<'r> {
    Input(Record<'r>),
    /// The timer of an account that is due then.
    Timer {
        due: Timestamp,
    },
    /// Usage that waits for a price.
    Waiting {
        unrated: EntryNumber,
    },
    /// The plan that accounts without one get.
    DefaultPlan {
        account: &'r str,
    },
}

impl PartitionCore {
    /// Decides one step at a ledger time, and then moves the state on by `expected`: the records of
    /// the entries that the ledger has for it. Nothing expected: nothing changes.
    ///
    /// # Errors
    /// [`Halt`]: an entry of the ledger cannot be applied, or identities cannot be read.
    pub fn decide_again(
        &mut self,
        step: Step<'_>,
        at: Timestamp,
        expected: &[Vec<u8>],
        prices: &Prices,
    ) -> Result<DecidedAgain, Halt> {
        if let Step::Input(record) = &step
            && let Some(wants) = self.wanted(record)?
        {
            return Ok(DecidedAgain { wants: Some(wants), ..DecidedAgain::default() });
        }
        self.again = Some(Again { expected: expected.iter().cloned().collect() });
        self.ledger_time = at;
        let ending = self.step_again(step, prices)?;
        let entries = self.outgoing.take_ledger();
        self.reasons.clear();
        // What today's code no longer writes happened all the same.
        while self.follow_expected()? {}
        self.again = None;
        self.provided = None;
        Ok(DecidedAgain { ending, entries, wants: None })
    }

    /// Moves the state on by an entry of the ledger, undecided.
    ///
    /// # Errors
    /// When it does not follow.
    pub fn follow(&mut self, entry: &Entry<'_>) -> Result<(), Halt> {
        self.state.apply(entry)?;
        for remember in entry.remember() {
            remember_in(&mut self.identity, &remember, entry.recorded_at.day());
        }
        self.ledger_time = self.ledger_time.max(entry.recorded_at);
        Ok(())
    }

    /// Moves the state on by an adoption of the ledger.
    pub fn follow_adopted(&mut self, adopted: &CatalogueAdopted) {
        self.state.adopt(adopted);
    }

    /// The entry that deciding an input needs to see, if it was not handed in.
    fn wanted(&self, record: &Record<'_>) -> Result<Option<EntryNumber>, Halt> {
        if record.at.topic == Topic::LedgerCommands {
            let command = wire::decode_command(record.value);
            command.map_or(Ok(None), |command| self.wanted_by_command(&command))
        } else {
            let decoded = wire::decode_usage(record.value);
            decoded.map_or(Ok(None), |decoded| self.wanted_by_event(&decoded.event))
        }
    }

    fn step_again(&mut self, step: Step<'_>, prices: &Prices) -> Result<Option<Ending>, Halt> {
        match step {
            Step::Input(record) => {
                let ending = match record.at.topic {
                    Topic::LedgerCommands => {
                        self.command(&record, wire::decode_command(record.value), prices)?
                    }
                    _ => self.usage(&record, wire::decode_usage(record.value), prices)?,
                };
                return Ok(Some(ending));
            }
            Step::Timer { due } => self.timer_again(due, prices)?,
            Step::Waiting { unrated } => {
                self.drain_from = Some(unrated);
                self.drain_waiting(1, prices)?;
                self.drain_from = None;
            }
            Step::DefaultPlan { account } => self.ensure_plan(account, prices)?,
        }
        Ok(None)
    }

    fn timer_again(&mut self, due: Timestamp, prices: &Prices) -> Result<(), Halt> {
        let Some(timer) = self.state.due(due) else { return Ok(()) };
        let moment = Moment {
            number: self.state.next_number(),
            ledger_time: self.ledger_time,
            cause: Cause::Timer { due: timer.due },
        };
        let account = self.state.account(&timer.account);
        let facts = facts_of_timer(account, prices, timer.kind, timer.due);
        match decide::timer(account, &timer.account, timer.kind, facts, moment) {
            Some(entry) => self.write(&entry),
            None => Ok(()),
        }
    }

    /// Applies the next entry that the ledger has for this step. Returns whether there was one.
    pub(super) fn follow_expected(&mut self) -> Result<bool, Halt> {
        let next = self.again.as_mut().and_then(|again| again.expected.pop_front());
        let Some(bytes) = next else { return Ok(false) };
        // What cannot be read is no entry: whoever handed it over has read it.
        if let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(&bytes) {
            self.follow(&entry)?;
        }
        Ok(true)
    }
}
