//! A group member: lanes to read, a place in the group, and perhaps a transactional writer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{
    Append, Assignment, CommitOutcome, CommittedPosition, Lane, LogError, Member, Polled, Position,
    Record,
};

use crate::lane::{FetchLane, InputFailure, Taken, places};
use crate::membership::{Membership, PositionsCommit};
use crate::probe::Probe;
use crate::writer::{OffsetsToSend, Writer};

/// The longest that one wait goes without a look at the group, which has a queue of its own.
const GROUP_LOOK: Duration = Duration::from_millis(25);

pub(crate) struct KafkaMember {
    /// First to go when the member is dropped: an open transaction is aborted before the partitions
    /// are given back.
    pub(crate) writer: Option<Writer>,
    /// `None` for a writer that reads nothing.
    pub(crate) membership: Option<Membership>,
    pub(crate) lanes: Lanes,
    pub(crate) probe: Arc<Probe>,
    /// Changes that a failed poll could not tell.
    pub(crate) untold: Vec<Assignment>,
}

/// The consumers by lane, and which topic is read by which.
#[derive(Default)]
pub(crate) struct Lanes {
    pub(crate) bulk: Option<FetchLane>,
    pub(crate) priority: Option<FetchLane>,
    pub(crate) of_topic: BTreeMap<Topic, Lane>,
}

impl Lanes {
    fn get(&mut self, lane: Lane) -> Option<&mut FetchLane> {
        match lane {
            Lane::Bulk => self.bulk.as_mut(),
            Lane::Priority => self.priority.as_mut(),
        }
    }

    fn position(&self, at: TopicPartition) -> Option<(Offset, bool)> {
        match self.of_topic.get(&at.topic)? {
            Lane::Bulk => self.bulk.as_ref()?.position(at),
            Lane::Priority => self.priority.as_ref()?.position(at),
        }
    }

    /// Does something to the places of each lane that has any.
    fn each(
        &mut self,
        partitions: &[Partition],
        mut act: impl FnMut(&mut FetchLane, &[TopicPartition]) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        for lane in [Lane::Bulk, Lane::Priority] {
            let topics: Vec<Topic> = self
                .of_topic
                .iter()
                .filter(|(_, of)| **of == lane)
                .map(|(topic, _)| *topic)
                .collect();
            let all: Vec<TopicPartition> = partitions
                .iter()
                .flat_map(|partition| places(topics.iter().copied(), *partition))
                .collect();
            if let Some(lane) = self.get(lane) {
                act(lane, &all)?;
            }
        }
        Ok(())
    }
}

impl KafkaMember {
    /// Takes in what the group did; a partition that is going delivers nothing from here on.
    fn serve_group(&mut self) -> Result<(), LogError> {
        let Some(membership) = &mut self.membership else { return Ok(()) };
        for change in membership.serve()? {
            let going = match &change {
                Assignment::Gained(_) => &[][..],
                Assignment::Revoked(partitions) | Assignment::Lost(partitions) => &partitions[..],
            };
            let stopped = self.lanes.each(going, |lane, places| lane.stop(places));
            self.untold.push(change);
            stopped?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        lane: Lane,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Taken, LogError> {
        let Some(lane) = self.lanes.get(lane).filter(|_| records_max > 0) else {
            // Nothing to read, but the caller asked to wait.
            std::thread::sleep(wait);
            return Ok(Taken::default());
        };
        lane.poll(records_max, wait, visit).map_err(|failure| match failure {
            InputFailure::OutOfRange { at, wanted } => self.probe.out_of_range(at, wanted),
            InputFailure::Failed(error) => error,
        })
    }

    /// Why these positions cannot be committed any more, if they cannot.
    fn unheld(&self, positions: &[Position]) -> Option<String> {
        if positions.is_empty() {
            return None;
        }
        let Some(membership) = &self.membership else {
            return Some("a member without topics has no positions".to_owned());
        };
        if membership.is_lost() || membership.generation().is_none() {
            return Some("the group has taken the assignment away".to_owned());
        }
        let position =
            positions.iter().find(|position| !membership.holds(position.at.partition))?;
        Some(format!("{} is not this member's any more", position.at))
    }

    fn commit_positions(&self, positions: &[Position]) -> CommitOutcome {
        let Some(membership) = self.membership.as_ref().filter(|_| !positions.is_empty()) else {
            return CommitOutcome::Committed;
        };
        match membership.commit(positions) {
            PositionsCommit::Committed => CommitOutcome::Committed,
            PositionsCommit::NoAnswer => {
                CommitOutcome::Unknown("no answer from the group's coordinator".to_owned())
            }
            PositionsCommit::Refused(failure) => {
                use rdkafka_sys::types::RDKafkaErrorCode as Code;
                let text = failure.to_string();
                match failure.code {
                    Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress => {
                        CommitOutcome::Aborted(text)
                    }
                    _ if failure.is_fenced() => CommitOutcome::Fenced(text),
                    _ => CommitOutcome::Unknown(text),
                }
            }
        }
    }
}

impl Member for KafkaMember {
    fn poll(
        &mut self,
        lane: Lane,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Polled, LogError> {
        let deadline = Instant::now() + wait;
        loop {
            self.serve_group()?;
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = if self.untold.is_empty() { left.min(GROUP_LOOK) } else { Duration::ZERO };
            let taken = self.take(lane, records_max, wait, visit)?;
            let nothing = taken == Taken::default() && self.untold.is_empty();
            if !nothing || left <= wait {
                return Ok(Polled {
                    records: taken.records,
                    assignments: std::mem::take(&mut self.untold),
                });
            }
        }
    }

    fn committed(&mut self, partition: Partition) -> Result<Vec<CommittedPosition>, LogError> {
        if let Some(writer) = &mut self.writer {
            writer.must_be_settled()?;
        }
        self.membership
            .as_ref()
            .map_or(Ok(Vec::new()), |membership| membership.committed(partition))
    }

    /// A partition that is being given up is not started; its revocation is on the way to the
    /// caller, or there already.
    fn start(&mut self, partition: Partition, from: &[(Topic, Offset)]) -> Result<(), LogError> {
        if let Some(writer) = &mut self.writer {
            writer.must_be_settled()?;
        }
        let membership = self.membership.as_ref();
        if membership.is_some_and(|membership| membership.is_leaving(partition)) {
            return Ok(());
        }
        if !membership.is_some_and(|membership| membership.holds(partition)) {
            return Err(LogError::Halt(format!("partition {partition} is not this member's")));
        }
        let mut bulk = Vec::new();
        let mut priority = Vec::new();
        for (topic, wanted) in from {
            let at = TopicPartition { topic: *topic, partition };
            self.probe.check(at, *wanted)?;
            match self.lanes.of_topic.get(topic) {
                Some(Lane::Bulk) => bulk.push((at, *wanted)),
                Some(Lane::Priority) => priority.push((at, *wanted)),
                None => {
                    return Err(LogError::Halt(format!("the member did not join with {topic}")));
                }
            }
        }
        for (lane, from) in [(Lane::Bulk, bulk), (Lane::Priority, priority)] {
            if let Some(lane) = self.lanes.get(lane).filter(|_| !from.is_empty()) {
                lane.start(&from)?;
            }
        }
        Ok(())
    }

    fn pause(&mut self, partition: Partition) -> Result<(), LogError> {
        self.lanes.each(&[partition], |lane, places| lane.stop(places))
    }

    fn position(&self, at: TopicPartition) -> (Offset, bool) {
        self.lanes.position(at).unwrap_or((Offset::ZERO, false))
    }

    fn release(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        self.lanes.each(partitions, |lane, places| lane.forget(places))?;
        match &mut self.membership {
            Some(membership) => membership.release(partitions),
            None => Ok(()),
        }
    }

    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        match &mut self.writer {
            Some(writer) => writer.append(record),
            None => {
                Err(LogError::Halt("a member without a writer's name cannot append".to_owned()))
            }
        }
    }

    fn commit(&mut self, positions: &[Position]) -> CommitOutcome {
        if let Some(why) = self.unheld(positions) {
            return match self.abort() {
                Ok(()) => CommitOutcome::Aborted(why),
                Err(LogError::Fenced(why)) => CommitOutcome::Fenced(why),
                Err(
                    error @ (LogError::Unavailable(_)
                    | LogError::Halt(_)
                    | LogError::OutOfRange { .. }),
                ) => CommitOutcome::Unknown(format!("{why}; {error}")),
            };
        }
        let Some(writer) = &mut self.writer else {
            return self.commit_positions(positions);
        };
        let list = self.membership.as_ref().map(|membership| membership.list(positions));
        let group = self.membership.as_ref().and_then(Membership::generation);
        let offsets = match (&list, group) {
            (Some(positions_list), Some(group)) if !positions.is_empty() => {
                Some(OffsetsToSend { positions: positions_list, group })
            }
            (Some(_) | None, Some(_) | None) => None,
        };
        writer.commit(offsets)
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.writer.as_mut().map_or(Ok(()), Writer::abort)
    }
}
