//! The in-memory log, for the simulator: several members, rebalances, transactions, a logical
//! clock, and faults where the simulator decides.
//!
//! Nothing here is random and nothing waits: the `wait` of a poll is ignored, time is what
//! [`MemoryLog::set_time`] last said, and the same calls in the same order give the same log.
//! Dropping a [`Member`] is its end; [`Faults::departure`] decides whether the log notices at
//! once, or only when [`MemoryLog::expire_members`] and [`MemoryLog::expire_transactions`] say
//! that the time-outs have passed.

mod faults;
mod group;
mod member;
mod plain;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Offset, Timestamp, Topic, TopicPartition};

use crate::cursors::partitions_of;
use crate::{Appender, Bounds, EventLog, LogError, Member, MemberSpec, Reader, TopicSpec};

pub use faults::{CommitAttempt, CommitFault, Departure, Faults, NoFaults};
use group::Group;
use member::MemoryMember;
use plain::{MemoryAppender, MemoryReader};
use storage::Storage;

/// How transactions take offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offsets {
    /// At the commit, without gaps: as in the embedded log.
    #[default]
    Dense,
    /// As in Kafka: at the append, so that an open transaction holds back the stable end; each
    /// commit and each abort leaves a control record in every partition it wrote, and aborted
    /// records keep their offsets.
    Marked,
}

/// A log in memory. Clones are the same log.
#[derive(Clone)]
pub struct MemoryLog {
    shared: Arc<Shared>,
}

pub(crate) struct Shared {
    state: Mutex<State>,
    /// Beside the state, so that deciding a fault never holds the log.
    faults: Mutex<Box<dyn Faults>>,
}

pub(crate) struct State {
    storage: Storage,
    groups: BTreeMap<String, Group>,
    now: Timestamp,
}

impl std::fmt::Debug for MemoryLog {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("MemoryLog")
    }
}

impl Shared {
    // A check that panicked in another thread has not half-changed anything that matters here.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, Box<dyn Faults>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new(Offsets::Dense, Box::new(NoFaults))
    }
}

impl MemoryLog {
    /// An empty log at time zero.
    pub fn new(offsets: Offsets, faults: Box<dyn Faults>) -> Self {
        let state =
            State { storage: Storage::new(offsets), groups: BTreeMap::new(), now: Timestamp::ZERO };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), faults: Mutex::new(faults) }) }
    }

    /// What records that are committed or appended from now on carry as their append time; never
    /// earlier than that of the record before.
    pub fn set_time(&self, now: Timestamp) {
        self.shared.state().now = now;
    }

    /// Session time-outs: every member of the group is expelled, lingering and living ones alike.
    /// A living one's next commit of positions is fenced; its next poll says what it lost, and
    /// joins again.
    pub fn expire_members(&self, group: &str) {
        self.expel(group, |_| true);
    }

    /// The same for the members of one writer's name.
    pub fn expire_member(&self, group: &str, writer: &str) {
        self.expel(group, |name| name == Some(writer));
    }

    fn expel(&self, group: &str, chosen: impl Fn(Option<&str>) -> bool) {
        if let Some(group) = self.shared.state().groups.get_mut(group) {
            group.expel(chosen);
        }
    }

    /// Transaction time-outs: every open transaction is aborted and its writer is fenced.
    pub fn expire_transactions(&self) {
        let mut state = self.shared.state();
        let now = state.now;
        state.storage.expire_transactions(now);
    }

    /// Offset retention: the group's committed positions are forgotten.
    pub fn forget_positions(&self, group: &str) {
        if let Some(group) = self.shared.state().groups.get_mut(group) {
            group.positions.clear();
        }
    }

    /// Log retention: what lies before the offset is gone.
    pub fn trim(&self, at: TopicPartition, start: Offset) -> Result<(), LogError> {
        self.shared.state().storage.trim(at, start)
    }

    /// Data loss: what lies at the offset and after it is gone. There must be no open transaction
    /// in the partition.
    pub fn lose(&self, at: TopicPartition, end: Offset) -> Result<(), LogError> {
        self.shared.state().storage.lose(at, end)
    }
}

impl EventLog for MemoryLog {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.shared.state().storage.create_topics(topics)
    }

    fn partitions(&self, topic: Topic) -> Result<Option<u32>, LogError> {
        Ok(self.shared.state().storage.partitions(topic))
    }

    fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        self.shared.state().storage.bounds(at)
    }

    fn reader(&self, from: &[(TopicPartition, Offset)]) -> Result<Box<dyn Reader>, LogError> {
        let state = self.shared.state();
        for &(at, wanted) in from {
            state.storage.check_range(at, wanted)?;
        }
        Ok(Box::new(MemoryReader::new(self.shared.clone(), from)))
    }

    fn appender(&self) -> Result<Box<dyn Appender>, LogError> {
        Ok(Box::new(MemoryAppender::new(self.shared.clone())))
    }

    fn join(&self, spec: &MemberSpec) -> Result<Box<dyn Member>, LogError> {
        let mut state = self.shared.state();
        let now = state.now;
        let partitions = partitions_of(spec, |topic| state.storage.partitions(topic))?;
        let seat = match spec.topics.is_empty() {
            true => None,
            false => {
                let group = state.groups.entry(spec.group.clone()).or_default();
                Some(group.join(spec, partitions)?)
            }
        };
        let writer = spec.writer.as_ref().map(|name| state.storage.fence_and_register(name, now));
        drop(state);
        Ok(Box::new(MemoryMember::new(self.shared.clone(), spec.clone(), seat, writer)))
    }

    fn contract_findings(&self) -> Result<Vec<String>, LogError> {
        Ok(Vec::new())
    }
}
