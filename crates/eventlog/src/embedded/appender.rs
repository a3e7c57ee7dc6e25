//! Appending outside groups and transactions.

use std::sync::Arc;

use domain::Offset;

use super::batch::{Batch, Place, offset_of};
use super::commit::{Core, Finished, Job};
use crate::encoded::refuse_oversized;
use crate::{Append, Appender, LogError};

/// What an appender holds before it writes by itself.
const QUEUED_BYTES_MAX: usize = 8 * 1024 * 1024;
const QUEUED_RECORDS_MAX: usize = 65_536;

pub(super) struct EmbeddedAppender {
    core: Arc<Core>,
    batch: Batch,
    places: Vec<Place>,
    /// Of what was written since the last flush, because the queue was full.
    written: Vec<Offset>,
}

impl EmbeddedAppender {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, batch: Batch::default(), places: Vec::new(), written: Vec::new() }
    }

    fn write(&mut self) -> Result<(), LogError> {
        let places = std::mem::take(&mut self.places);
        if places.is_empty() {
            return self.core.state().must_be_whole();
        }
        match self.core.submit(Job::of(std::mem::take(&mut self.batch))) {
            Finished::Written(first) => {
                self.written.extend(places.into_iter().map(|place| offset_of(place, &first)));
                Ok(())
            }
            Finished::Fenced(why) => Err(LogError::Fenced(why)),
            Finished::NotWritten(why) | Finished::Unknown(why) => Err(LogError::Halt(why)),
        }
    }
}

impl Appender for EmbeddedAppender {
    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        refuse_oversized(&record)?;
        if !self.batch.knows(record.to) {
            self.core.state().bounds(record.to)?;
        }
        self.places.push(self.batch.push(&record));
        if self.batch.bytes >= QUEUED_BYTES_MAX || self.batch.records >= QUEUED_RECORDS_MAX {
            self.write()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<Vec<Offset>, LogError> {
        self.write()?;
        Ok(std::mem::take(&mut self.written))
    }
}
