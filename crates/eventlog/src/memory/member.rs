//! A member of a group.

use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};

use super::faults::{CommitAttempt, CommitFault, Departure};
use super::group::SeatId;
use super::plain::MemorySource;
use super::storage::WriterTerm;
use super::{Shared, State};
use crate::cursors::Cursors;
use crate::encoded::refuse_oversized;
use crate::{
    Append, Assignment, CommitOutcome, CommittedPosition, Lane, LogError, Member, MemberSpec,
    Polled, Position, Record,
};

pub(super) struct MemoryMember {
    shared: Arc<Shared>,
    spec: MemberSpec,
    /// `None` when it joined without topics.
    seat: Option<SeatId>,
    writer: Option<WriterTerm>,
    cursors: Cursors,
    /// Appended since the last commit.
    records: usize,
    /// It was told that it lost partitions which it has not released yet.
    lost: bool,
}

impl MemoryMember {
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: MemberSpec,
        seat: Option<SeatId>,
        writer: Option<WriterTerm>,
    ) -> Self {
        let cursors = Cursors::default();
        Self { shared, spec, seat, writer, cursors, records: 0, lost: false }
    }

    /// A change of assignment, if there is one to be told.
    fn news(&mut self) -> Option<Assignment> {
        let seat = self.seat?;
        let mut state = self.shared.state();
        let group = state.groups.get_mut(&self.spec.group)?;
        if !group.has(seat) && !self.lost {
            // Expelled: it joins again, as a Kafka client does, once it has heard of its loss.
            self.seat = Some(group.sit_down(self.spec.writer.clone()));
            let lost = self.cursors.partitions();
            if !lost.is_empty() {
                self.lost = true;
                pause_all(&mut self.cursors, &lost);
                return Some(Assignment::Lost(lost));
            }
        }
        if self.lost {
            return None;
        }
        let news = group.news(self.seat?)?;
        match &news {
            Assignment::Gained(gained) => self.cursors.gain(&self.spec.topics, gained),
            Assignment::Revoked(revoked) => pause_all(&mut self.cursors, revoked),
            Assignment::Lost(_) => {}
        }
        Some(news)
    }

    /// Why the log would not take a commit from this member any more.
    fn fenced(&self, state: &State, positions: &[Position]) -> Option<String> {
        if let Some(term) = &self.writer
            && !state.storage.is_current(term)
        {
            return Some(term.fenced());
        }
        // As in Kafka: a transaction without positions is not bound to the group.
        let foreign = positions.iter().find(|position| {
            let group = state.groups.get(&self.spec.group);
            let owned = self
                .seat
                .zip(group)
                .is_some_and(|(seat, group)| group.owns(seat, position.at.partition));
            !owned || !self.cursors.owns(position.at)
        });
        foreign.map(|position| {
            format!("{} is not this member's in group {}", position.at, self.spec.group)
        })
    }

    fn end(&mut self, state: &mut State, positions: &[Position], commit: bool) {
        let now = state.now;
        if let Some(term) = &self.writer {
            state.storage.end_transaction(term, now, commit);
        }
        if let (true, Some(group)) = (commit, state.groups.get_mut(&self.spec.group)) {
            for position in positions {
                group.positions.insert(position.at, (position.next, position.metadata.clone()));
            }
        }
    }
}

/// Stops the delivery of partitions that the cursors have.
fn pause_all(cursors: &mut Cursors, partitions: &[Partition]) {
    for partition in partitions {
        // It fails only for a partition that was released, of which nothing is delivered.
        cursors.pause(*partition).ok();
    }
}

impl Member for MemoryMember {
    fn poll(
        &mut self,
        lane: Lane,
        records_max: usize,
        _wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Polled, LogError> {
        let records_max =
            self.shared.faults().poll(&self.spec.group, lane, records_max).min(records_max);
        let assignments: Vec<_> = self.news().into_iter().collect();
        let mut source = MemorySource(&self.shared);
        let records = self.cursors.poll(Some(lane), records_max, &mut source, visit)?;
        Ok(Polled { records, assignments })
    }

    fn committed(&mut self, partition: Partition) -> Result<Vec<CommittedPosition>, LogError> {
        let state = self.shared.state();
        let positions = state.groups.get(&self.spec.group).map(|group| &group.positions);
        let committed = self.spec.topics.iter().map(|(topic, _)| {
            let at = TopicPartition { topic: *topic, partition };
            let position = positions.and_then(|positions| positions.get(&at));
            CommittedPosition {
                at,
                next: position.map(|(next, _)| *next),
                metadata: position.map_or_else(String::new, |(_, metadata)| metadata.clone()),
            }
        });
        Ok(committed.collect())
    }

    fn start(&mut self, partition: Partition, from: &[(Topic, Offset)]) -> Result<(), LogError> {
        let state = self.shared.state();
        self.cursors.start(partition, from, |at, wanted| state.storage.check_range(at, wanted))
    }

    fn pause(&mut self, partition: Partition) -> Result<(), LogError> {
        self.cursors.pause(partition)
    }

    fn position(&self, at: TopicPartition) -> (Offset, bool) {
        let Some(cursor) = self.cursors.get(at) else {
            return (Offset::ZERO, false);
        };
        let bounds = self.shared.state().storage.bounds(at);
        (cursor.next, bounds.is_ok_and(|bounds| cursor.next >= bounds.stable_end))
    }

    fn release(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        self.cursors.release(partitions);
        if self.lost {
            // The new seat has nothing to give up.
            self.lost = !self.cursors.partitions().is_empty();
        } else if let (Some(seat), Some(group)) =
            (self.seat, self.shared.state().groups.get_mut(&self.spec.group))
        {
            group.release(seat, partitions);
        }
        Ok(())
    }

    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        let Some(term) = &self.writer else {
            return Err(LogError::no_writer(&self.spec));
        };
        refuse_oversized(&record)?;
        let mut state = self.shared.state();
        let now = state.now;
        state.storage.append_in_transaction(term, &record, now)?;
        self.records += 1;
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> CommitOutcome {
        let fault = self.shared.faults().commit(&CommitAttempt {
            group: &self.spec.group,
            writer: self.spec.writer.as_deref(),
            records: self.records,
            positions,
        });
        let shared = self.shared.clone();
        let mut state = shared.state();
        self.records = 0;
        if let Some(fenced) = self.fenced(&state, positions) {
            self.end(&mut state, positions, false);
            return CommitOutcome::Fenced(fenced);
        }
        let (commit, outcome) = match fault {
            CommitFault::Committed => (true, CommitOutcome::Committed),
            CommitFault::AbortedBefore => {
                (false, CommitOutcome::Aborted("an injected abort".to_owned()))
            }
            CommitFault::UnknownApplied => {
                (true, CommitOutcome::Unknown("an injected loss of the answer".to_owned()))
            }
            CommitFault::UnknownNotApplied => {
                (false, CommitOutcome::Unknown("an injected loss of the request".to_owned()))
            }
        };
        self.end(&mut state, positions, commit);
        outcome
    }

    fn abort(&mut self) -> Result<(), LogError> {
        let shared = self.shared.clone();
        self.records = 0;
        self.end(&mut shared.state(), &[], false);
        Ok(())
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        let departure =
            self.shared.faults().departure(&self.spec.group, self.spec.writer.as_deref());
        match departure {
            Departure::Lingers => {}
            Departure::Leaves => {
                let shared = self.shared.clone();
                let mut state = shared.state();
                self.end(&mut state, &[], false);
                if let (Some(seat), Some(group)) =
                    (self.seat, state.groups.get_mut(&self.spec.group))
                {
                    group.leave(seat);
                }
            }
        }
    }
}
