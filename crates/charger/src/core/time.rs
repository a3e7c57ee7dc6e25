//! Ledger time, and what falls due as it moves.

use domain::{Offset, Timestamp, Topic};
use ledger::Cause;
use ledger::decide::{self, Moment};

use super::plans::facts_of_timer;
use super::{Halt, PartitionCore};
use crate::Prices;

impl PartitionCore {
    /// Ledger time follows the inputs' own times, and what is due before this record fires first.
    pub(super) fn advance(
        &mut self,
        topic: Topic,
        appended_at: Timestamp,
        prices: &Prices,
    ) -> Result<(), Halt> {
        self.horizon.read(topic, appended_at);
        self.ledger_time = self.ledger_time.max(appended_at);
        self.fire_timers(prices)
    }

    /// An input was seen to hold nothing more: everything up to `next` was delivered (offsets
    /// without a record are counted as empty), and time may move on to `now`.
    ///
    /// # Errors
    /// [`Halt`], as for a record.
    pub fn drained(
        &mut self,
        topic: Topic,
        next: Offset,
        now: Timestamp,
        prices: &Prices,
    ) -> Result<(), Halt> {
        if next > self.next(topic) {
            self.batch.pass(topic, next)?;
        }
        self.horizon.drained(topic, now);
        if sabotage::is_on(sabotage::Break::TimeByClock) {
            self.ledger_time = now;
        }
        self.fire_timers(prices)
    }

    fn fire_timers(&mut self, prices: &Prices) -> Result<(), Halt> {
        let up_to = self.horizon.timers_up_to();
        while let Some(timer) = self.state.due(up_to) {
            self.ledger_time = self.ledger_time.max(up_to);
            let moment = Moment {
                number: self.state.next_number(),
                ledger_time: self.ledger_time,
                cause: Cause::Timer { due: timer.due },
            };
            let account = self.state.account(&timer.account);
            let facts = facts_of_timer(account, prices, timer.kind, timer.due);
            let entry = decide::timer(account, &timer.account, timer.kind, facts, moment);
            match entry {
                Some(entry) => self.write(&entry)?,
                // `due` gives only timers whose subject still waits for them.
                None => break,
            }
        }
        Ok(())
    }
}
