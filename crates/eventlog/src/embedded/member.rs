//! The one member of a group.

use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};

use super::batch::Batch;
use super::commit::{Core, Finished, Job, Term};
use super::read::{Snapshot, wait_for_records};
use crate::cursors::Cursors;
use crate::encoded::refuse_oversized;
use crate::{
    Append, Assignment, CommitOutcome, CommittedPosition, Lane, LogError, Member, MemberSpec,
    Polled, Position, Record,
};

/// The most bytes of one transaction.
const TRANSACTION_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What the member was told of its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Nothing,
    Gained,
    Lost,
}

pub(super) struct EmbeddedMember {
    core: Arc<Core>,
    spec: MemberSpec,
    partitions: u32,
    term: Term,
    told: Told,
    cursors: Cursors,
    batch: Batch,
}

impl EmbeddedMember {
    pub(super) fn new(core: Arc<Core>, spec: MemberSpec, partitions: u32, term: Term) -> Self {
        Self {
            core,
            spec,
            partitions,
            term,
            told: Told::Nothing,
            cursors: Cursors::default(),
            batch: Batch::default(),
        }
    }

    /// A change of assignment that is still to be told.
    fn news(&mut self) -> Result<Option<Assignment>, LogError> {
        let fenced = self.core.state().fenced(&self.term);
        match (fenced, self.told) {
            (Some(why), Told::Nothing | Told::Lost) => Err(LogError::Fenced(why)),
            (Some(_), Told::Gained) => {
                self.told = Told::Lost;
                let lost = self.cursors.partitions();
                lost.iter().try_for_each(|partition| self.cursors.pause(*partition))?;
                Ok((!lost.is_empty()).then_some(Assignment::Lost(lost)))
            }
            (None, Told::Nothing) => {
                self.told = Told::Gained;
                let gained: Vec<_> = match self.spec.topics.is_empty() {
                    true => Vec::new(),
                    false => (0..self.partitions).map(Partition).collect(),
                };
                self.cursors.gain(&self.spec.topics, &gained);
                Ok((!gained.is_empty()).then_some(Assignment::Gained(gained)))
            }
            (None, Told::Gained | Told::Lost) => Ok(None),
        }
    }
}

impl Member for EmbeddedMember {
    fn poll(
        &mut self,
        lane: Lane,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Polled, LogError> {
        if let Some(assignment) = self.news()? {
            return Ok(Polled { records: 0, assignments: vec![assignment] });
        }
        wait_for_records(&self.core, &self.cursors, Some(lane), wait, |state| {
            state.fenced(&self.term).is_some()
        })?;
        if let Some(assignment) = self.news()? {
            return Ok(Polled { records: 0, assignments: vec![assignment] });
        }
        let mut source = Snapshot::of(&self.core);
        let records = self.cursors.poll(Some(lane), records_max, &mut source, visit)?;
        Ok(Polled { records, assignments: Vec::new() })
    }

    fn committed(&mut self, partition: Partition) -> Result<Vec<CommittedPosition>, LogError> {
        let places: Vec<_> = self
            .spec
            .topics
            .iter()
            .map(|(topic, _)| TopicPartition { topic: *topic, partition })
            .collect();
        self.core.store.position(&self.spec.group, &places)
    }

    fn start(&mut self, partition: Partition, from: &[(Topic, Offset)]) -> Result<(), LogError> {
        let state = self.core.state();
        self.cursors.start(partition, from, |at, wanted| state.bounds(at)?.check(at, wanted))
    }

    fn pause(&mut self, partition: Partition) -> Result<(), LogError> {
        self.cursors.pause(partition)
    }

    fn position(&self, at: TopicPartition) -> (Offset, bool) {
        let Some(cursor) = self.cursors.get(at) else {
            return (Offset::ZERO, false);
        };
        let bounds = self.core.state().bounds(at);
        (cursor.next, bounds.is_ok_and(|bounds| cursor.next >= bounds.end))
    }

    fn release(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        self.cursors.release(partitions);
        Ok(())
    }

    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        if self.spec.writer.is_none() {
            return Err(LogError::no_writer(&self.spec));
        }
        refuse_oversized(&record)?;
        if !self.batch.knows(record.to) {
            self.core.state().bounds(record.to)?;
        }
        if self.batch.bytes >= TRANSACTION_BYTES_MAX {
            return Err(LogError::Halt(format!(
                "a transaction of {} records has more than {TRANSACTION_BYTES_MAX} bytes",
                self.batch.records
            )));
        }
        self.batch.push(&record);
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> CommitOutcome {
        let batch = std::mem::take(&mut self.batch);
        if let Some(foreign) = positions.iter().find(|position| !self.cursors.owns(position.at)) {
            return CommitOutcome::Fenced(format!(
                "{} is not this member's in group {}",
                foreign.at, self.spec.group
            ));
        }
        let positions =
            positions.iter().map(|position| (self.spec.group.clone(), position.clone())).collect();
        let job = Job { chunks: batch.chunks, positions, term: self.term.clone() };
        match self.core.submit(job) {
            Finished::Written(_) => CommitOutcome::Committed,
            Finished::Fenced(why) => CommitOutcome::Fenced(why),
            Finished::NotWritten(why) => CommitOutcome::Aborted(why),
            Finished::Unknown(why) => CommitOutcome::Unknown(why),
        }
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.batch = Batch::default();
        Ok(())
    }
}
