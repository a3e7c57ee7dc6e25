//! Time comes in as an argument: the machine's clocks here, a seed's in the simulator.

use std::time::{Duration, Instant};

use domain::Timestamp;

/// Where the service has its time from.
pub trait Clock: Send + Sync {
    /// What the calendar says; it may be set back.
    fn now(&self) -> Timestamp;
    /// Time since some beginning; never goes back.
    fn running(&self) -> Duration;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn running(&self) -> Duration {
        self.0.elapsed()
    }
}
