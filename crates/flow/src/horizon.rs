//! How far time may move before an input is decided.
//!
//! A timer fires up to the smallest time that any input may still bring: neither a lag, nor a
//! command that overtakes the usage queue, may expire what queued usage still has a right to.

use domain::{Timestamp, Topic};

/// What is known of one input's next record.
#[derive(Clone, Copy, Debug)]
struct Input {
    /// The log's times never go back within a partition, so the next record is not older than the
    /// last one, nor than the moment at which the input was seen empty.
    next_not_before: Timestamp,
}

/// What is known of all inputs of one partition.
#[derive(Clone, Copy, Debug)]
pub struct Horizon {
    inputs: [Input; Topic::INPUTS.len()],
}

impl Horizon {
    /// Nothing has been read since `ledger_time`.
    pub fn new(ledger_time: Timestamp) -> Self {
        Self { inputs: [Input { next_not_before: ledger_time }; Topic::INPUTS.len()] }
    }

    /// A record of this input was read.
    pub fn read(&mut self, topic: Topic, appended_at: Timestamp) {
        self.at_least(topic, appended_at);
    }

    /// This input was seen to hold nothing more at `now` (the log's own clock, so that a clock
    /// elsewhere cannot run ahead of it).
    pub fn drained(&mut self, topic: Topic, now: Timestamp) {
        self.at_least(topic, now);
    }

    /// The time up to which timers may fire.
    pub fn timers_up_to(&self) -> Timestamp {
        self.inputs.iter().map(|input| input.next_not_before).min().unwrap_or(Timestamp::ZERO)
    }

    fn at_least(&mut self, topic: Topic, time: Timestamp) {
        for (input, known) in Topic::INPUTS.iter().zip(&mut self.inputs) {
            if *input == topic {
                known.next_not_before = known.next_not_before.max(time);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_overtakes_usage_moves_no_timer() {
        let at = Timestamp::from_seconds;
        let mut horizon = Horizon::new(at(10));
        horizon.read(Topic::LedgerCommands, at(100));
        assert_eq!(horizon.timers_up_to(), at(10));
        horizon.drained(Topic::UsageForwarded, at(99));
        horizon.read(Topic::UsageRaw, at(20));
        assert_eq!(horizon.timers_up_to(), at(20));
        horizon.drained(Topic::UsageRaw, at(101));
        assert_eq!(horizon.timers_up_to(), at(99));
    }
}
