//! The catalogue as it was at every offset: what proofs price with.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::{CatalogueId, Offset};
use eventlog::EventLog;

use crate::follower::{CATALOGUE, CatalogueError, Prices};

const RECORDS_PER_POLL: usize = 256;
const POLL_WAIT: Duration = Duration::from_millis(50);

/// Every published version, and the hash that the catalogue had after each.
#[derive(Clone, Debug, Default)]
pub struct History {
    latest: Prices,
    /// By the next offset after a version.
    hashes: BTreeMap<Offset, [u8; 32]>,
}

impl History {
    /// Reads the catalogue to the end that it has now.
    ///
    /// # Errors
    /// Those of the log, an unreadable version, or [`CatalogueError::Late`].
    pub fn read(log: &dyn EventLog, patience: Duration) -> Result<Self, CatalogueError> {
        let bounds = log.bounds(CATALOGUE)?;
        let mut reader = log.reader(&[(CATALOGUE, bounds.start)])?;
        let mut history = Self::default();
        let mut failed = None;
        let deadline = Instant::now() + patience;
        while reader.position(CATALOGUE) < bounds.end {
            reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
                if failed.is_none() {
                    failed = history.fold(record.offset, record.value).err();
                }
            })?;
            if let Some(error) = failed.take() {
                return Err(error);
            }
            if Instant::now() > deadline {
                return Err(CatalogueError::Late(patience));
            }
        }
        Ok(history)
    }

    /// Adds the version at `offset`.
    ///
    /// # Errors
    /// [`CatalogueError::Unreadable`].
    pub fn fold(&mut self, offset: Offset, bytes: &[u8]) -> Result<(), CatalogueError> {
        self.latest.fold(offset, bytes)?;
        self.hashes.insert(self.latest.next, self.latest.hash);
        Ok(())
    }

    /// The newest catalogue.
    pub fn latest(&self) -> &Prices {
        &self.latest
    }

    /// The catalogue when its next offset was `next`; `None` when it never was.
    pub fn as_of(&self, next: Offset) -> Option<Prices> {
        if next == Offset::ZERO {
            return Some(Prices::default());
        }
        let hash = *self.hashes.get(&next)?;
        let id = CatalogueId(u32::try_from(next.0).ok()?);
        Some(Prices { catalogue: self.latest.catalogue.as_of(id), next, hash })
    }
}
