//! Reading committed records, and waiting for more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Offset, TopicPartition};

use super::chunk::{self, Chunk};
use super::commit::{Core, State};
use super::store::halt;
use crate::cursors::{Cursors, Source};
use crate::{Lane, LogError, Reader, Record};

/// A snapshot, taken when the first partition that has something is read.
pub(super) struct Snapshot<'a> {
    core: &'a Core,
    records: Option<redb::ReadOnlyTable<u128, &'static [u8]>>,
}

impl<'a> Snapshot<'a> {
    pub(super) const fn of(core: &'a Core) -> Self {
        Self { core, records: None }
    }
}

impl Source for Snapshot<'_> {
    fn read(
        &mut self,
        at: TopicPartition,
        from: Offset,
        records_max: usize,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<(usize, Offset), LogError> {
        let bounds = self.core.state().bounds(at)?;
        bounds.check(at, from)?;
        if from == bounds.end {
            return Ok((0, from));
        }
        let records = match &mut self.records {
            Some(records) => records,
            none @ None => none.insert(self.core.store.records()?),
        };
        // The chunk that holds the offset begins at it or before it.
        let first = records
            .range(chunk::keys_to(at, from))
            .map_err(halt)?
            .next_back()
            .transpose()
            .map_err(halt)?
            .map_or(from, |(key, _)| chunk::offset_of(key.value()));
        let mut next = from;
        let mut lent = 0;
        // A write that has just been synced may be in the snapshot already, while it has not ended: it
        // is read once it has.
        let records_max = records_max.min(usize::try_from(bounds.end.0 - from.0).unwrap_or(0));
        for row in records.range(chunk::keys_from(at, first)).map_err(halt)? {
            let (key, row) = row.map_err(halt)?;
            let chunk = Chunk::read(at, chunk::offset_of(key.value()), row.value())?;
            let of_chunk = chunk.lend(next, records_max - lent, visit)?;
            lent += of_chunk;
            next = Offset(next.0 + i64::try_from(of_chunk).unwrap_or(i64::MAX));
            if lent == records_max {
                break;
            }
        }
        Ok((lent, next))
    }
}

/// Waits until a cursor of the lane has something to deliver, `done` says to look up, or the wait
/// is over.
pub(super) fn wait_for_records(
    core: &Core,
    cursors: &Cursors,
    lane: Option<Lane>,
    wait: Duration,
    done: impl Fn(&State) -> bool,
) -> Result<(), LogError> {
    let deadline = Instant::now() + wait;
    let mut state = core.state();
    loop {
        state.must_be_whole()?;
        let ready = cursors
            .of_lane(lane)
            .any(|cursor| state.bounds(cursor.at).is_ok_and(|bounds| bounds.end != cursor.next));
        if ready || done(&state) || Instant::now() >= deadline {
            return Ok(());
        }
        state = core.wait(state, deadline);
    }
}

pub(super) struct EmbeddedReader {
    core: Arc<Core>,
    cursors: Cursors,
}

impl EmbeddedReader {
    pub(super) fn new(core: Arc<Core>, from: &[(TopicPartition, Offset)]) -> Self {
        Self { core, cursors: Cursors::delivering(from) }
    }
}

impl Reader for EmbeddedReader {
    fn poll(
        &mut self,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, LogError> {
        wait_for_records(&self.core, &self.cursors, None, wait, |_| false)?;
        self.cursors.poll(None, records_max, &mut Snapshot::of(&self.core), visit)
    }

    fn position(&self, at: TopicPartition) -> Offset {
        self.cursors.get(at).map_or(Offset::ZERO, |cursor| cursor.next)
    }
}
