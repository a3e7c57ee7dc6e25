//! How fast a proof may read, beside live traffic, and what it tells while it does.

use std::time::{Duration, Instant};

/// How often progress is told, at most.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// The longest that is waited in one go, so that a stop is noticed.
const NAP_MAX: Duration = Duration::from_millis(200);

/// Where a long proof stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// Ledger and input records read.
    pub read: u64,
    /// How many ledger records there were when it began.
    pub ledger: u64,
    /// How many of them were read.
    pub ledger_read: u64,
    pub partition: u32,
}

/// Whoever asked has gone, or wants it to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was stopped")]
pub struct Stopped;

/// Holds a reader to a rate, and tells its progress. Returns `false` to stop it.
pub type Watch<'w> = &'w mut dyn FnMut(&Standing) -> bool;

/// A bounded rate.
pub struct Pace<'w> {
    started: Instant,
    records_per_second: Option<u32>,
    told: Instant,
    standing: Standing,
    watch: Watch<'w>,
}

impl std::fmt::Debug for Pace<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Pace").field("standing", &self.standing).finish_non_exhaustive()
    }
}

impl<'w> Pace<'w> {
    /// At most so many records per second; as fast as it goes when `None`.
    pub fn new(records_per_second: Option<u32>, ledger: u64, watch: Watch<'w>) -> Self {
        let now = Instant::now();
        let standing = Standing { read: 0, ledger, ledger_read: 0, partition: 0 };
        Self { started: now, records_per_second, told: now, standing, watch }
    }

    pub fn begin(&mut self, partition: domain::Partition) {
        self.standing.partition = partition.0;
    }

    /// Counts ledger records that were read.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn ledger(&mut self, records: u64) -> Result<(), Stopped> {
        self.standing.ledger_read += records;
        self.inputs(records)
    }

    /// Counts other records that were read, and waits until they are due.
    ///
    /// # Errors
    /// [`Stopped`].
    pub fn inputs(&mut self, records: u64) -> Result<(), Stopped> {
        self.standing.read += records;
        self.tell()?;
        let Some(rate) = self.records_per_second.filter(|rate| *rate > 0) else { return Ok(()) };
        let due = Duration::from_micros(self.standing.read * 1_000_000 / u64::from(rate));
        while let Some(early) = due.checked_sub(self.started.elapsed()).filter(|nap| !nap.is_zero())
        {
            std::thread::sleep(early.min(NAP_MAX));
            self.tell()?;
        }
        Ok(())
    }

    fn tell(&mut self) -> Result<(), Stopped> {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            if !(self.watch)(&self.standing) {
                return Err(Stopped);
            }
        }
        Ok(())
    }
}
