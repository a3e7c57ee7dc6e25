//! The faults that a seed injects into the log.

use std::sync::{Arc, Mutex, PoisonError};

use eventlog::Lane;
use eventlog::memory::{CommitAttempt, CommitFault, Departure, Faults};

use crate::Random;

/// Shared with the world, which turns it off at the end.
#[derive(Clone, Debug)]
pub(crate) struct Injected(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    random: Random,
    calm: bool,
    injected: u64,
}

impl Injected {
    pub(crate) fn new(random: Random) -> Self {
        Self(Arc::new(Mutex::new(State { random, calm: false, injected: 0 })))
    }

    pub(crate) fn stop(&self) {
        self.with(|state| state.calm = true);
    }

    pub(crate) fn count(&self) -> u64 {
        self.with(|state| state.injected)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Faults for Injected {
    fn commit(&mut self, _attempt: &CommitAttempt<'_>) -> CommitFault {
        self.with(|state| {
            if state.calm {
                return CommitFault::Committed;
            }
            let fault = match state.random.below(20) {
                0 => CommitFault::AbortedBefore,
                1 => CommitFault::UnknownApplied,
                2 => CommitFault::UnknownNotApplied,
                _ => CommitFault::Committed,
            };
            state.injected += u64::from(fault != CommitFault::Committed);
            fault
        })
    }

    fn poll(&mut self, _group: &str, _lane: Lane, records_max: usize) -> usize {
        self.with(|state| {
            if state.calm || !state.random.percent(30) {
                return records_max;
            }
            usize::try_from(state.random.below(4)).unwrap_or(0)
        })
    }

    fn departure(&mut self, _group: &str, _writer: Option<&str>) -> Departure {
        self.with(|state| {
            if !state.calm && state.random.percent(50) {
                Departure::Lingers
            } else {
                Departure::Leaves
            }
        })
    }
}
