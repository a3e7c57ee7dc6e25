//! Readers and appenders outside any group.

use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, TopicPartition};

use super::Shared;
use super::storage::bytes_of;
use crate::cursors::{Cursors, Source};
use crate::encoded::{refuse_oversized, take};
use crate::{Append, Appender, LogError, Reader, Record};

/// Reads the log for [`Cursors`]. The records are shared out of the log before they are lent, so
/// that whoever visits them may use the log.
pub(super) struct MemorySource<'a>(pub(super) &'a Shared);

impl Source for MemorySource<'_> {
    fn read(
        &mut self,
        at: TopicPartition,
        from: Offset,
        records_max: usize,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<(usize, Offset), LogError> {
        let (records, next) = self.0.state().storage.read(at, from, records_max)?;
        for (offset, stored) in &records {
            let Some(decoded) = take(&mut &stored.bytes[..]) else {
                return Err(LogError::Halt(format!("{at}@{offset} is damaged")));
            };
            visit(Record {
                at,
                offset: *offset,
                appended_at: stored.appended_at,
                key: decoded.key,
                value: decoded.value,
                headers: &decoded.headers,
            });
        }
        Ok((records.len(), next))
    }
}

pub(super) struct MemoryReader {
    shared: Arc<Shared>,
    cursors: Cursors,
}

impl MemoryReader {
    pub(super) fn new(shared: Arc<Shared>, from: &[(TopicPartition, Offset)]) -> Self {
        Self { shared, cursors: Cursors::delivering(from) }
    }
}

impl Reader for MemoryReader {
    fn poll(
        &mut self,
        records_max: usize,
        _wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, LogError> {
        self.cursors.poll(None, records_max, &mut MemorySource(&self.shared), visit)
    }

    fn position(&self, at: TopicPartition) -> Offset {
        self.cursors.get(at).map_or(Offset::ZERO, |cursor| cursor.next)
    }
}

/// Appends at the flush: what was not flushed when it is dropped never happened.
pub(super) struct MemoryAppender {
    shared: Arc<Shared>,
    queued: Vec<(TopicPartition, Arc<[u8]>)>,
}

impl MemoryAppender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, queued: Vec::new() }
    }
}

impl Appender for MemoryAppender {
    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        refuse_oversized(&record)?;
        self.shared.state().storage.bounds(record.to)?;
        self.queued.push((record.to, bytes_of(&record)));
        Ok(())
    }

    fn flush(&mut self) -> Result<Vec<Offset>, LogError> {
        let mut state = self.shared.state();
        let now = state.now;
        self.queued.drain(..).map(|(to, bytes)| state.storage.append(to, bytes, now)).collect()
    }
}
