//! A place in a consumer group, and nothing else: rebalances, positions, the generation that a
//! commit names. What is fetched is fetched elsewhere (see [`crate::lane`]), so this consumer's
//! own assignment is always empty and serves only to answer the group.
//!
//! Rebalances arrive as events of a queue that the member's polls serve; no callback of ours ever
//! runs inside the library. The range assignor is eager: every rebalance first takes everything
//! away, and goes on only when all of it was released.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{Partition, Topic, TopicPartition};
use eventlog::{Assignment, CommittedPosition, LogError, Position};

use crate::lane::number;
use crate::names::TopicNames;
use crate::native::{Client, Event, Failure, GroupMetadata, PartitionList, Queue, Role};
use crate::settings::Properties;

/// How long committed positions are waited for. An open transaction over them makes it as long as
/// that transaction lives.
const COMMITTED_WAIT: Duration = Duration::from_secs(15);
const COMMIT_WAIT: Duration = Duration::from_secs(10);
const LEAVE_WAIT: Duration = Duration::from_secs(3);

pub(crate) struct Membership {
    names: Arc<TopicNames>,
    topics: Vec<Topic>,
    queue: Queue,
    client: Arc<Client>,
    held: BTreeSet<Partition>,
    /// Revoked or lost, not yet released.
    leaving: BTreeSet<Partition>,
    /// The generation in which `held` was given. Taken once per assignment: a newer generation may
    /// have other owners, and the coordinator compares generations, not partitions.
    generation: Option<GroupMetadata>,
    /// Set for good when the assignment cannot be worked with.
    halted: Option<String>,
}

/// How a commit of positions alone ended.
pub(crate) enum PositionsCommit {
    Committed,
    Refused(Failure),
    NoAnswer,
}

impl Membership {
    pub(crate) fn join(
        names: Arc<TopicNames>,
        topics: Vec<Topic>,
        properties: &Properties,
    ) -> Result<Self, LogError> {
        let client = Client::create(Role::Member, properties)?;
        let queue = Queue::of_consumer(&client)
            .ok_or_else(|| LogError::Halt("kafka: a member needs a group".to_owned()))?;
        let mut subscription = PartitionList::new();
        for topic in &topics {
            // Any partition: the group shares them out.
            subscription.add(names.of(*topic), -1);
        }
        client
            .subscribe(&subscription)
            .map_err(|failure| failure.into_log_error("joining the group"))?;
        Ok(Self {
            names,
            topics,
            queue,
            client,
            held: BTreeSet::new(),
            leaving: BTreeSet::new(),
            generation: None,
            halted: None,
        })
    }

    /// Whether positions of this partition may still be committed.
    pub(crate) fn holds(&self, partition: Partition) -> bool {
        self.held.contains(&partition)
    }

    pub(crate) fn is_leaving(&self, partition: Partition) -> bool {
        self.leaving.contains(&partition)
    }

    /// The generation to commit in.
    pub(crate) fn generation(&self) -> Option<&GroupMetadata> {
        self.generation.as_ref()
    }

    /// The group has taken the assignment away, whether or not that was told yet.
    pub(crate) fn is_lost(&self) -> bool {
        self.client.assignment_lost()
    }

    /// Takes in what has happened, without waiting.
    pub(crate) fn serve(&mut self) -> Result<Vec<Assignment>, LogError> {
        let mut changes = Vec::new();
        while self.halted.is_none() {
            let Some(event) = self.queue.poll(Duration::ZERO) else { break };
            match event {
                Event::Assigned(list) => changes.extend(self.gain(&list)?),
                Event::Revoked(list) => changes.extend(self.lose(&list)?),
                Event::Failed(failure) => self.note(failure)?,
                Event::Committed(_) | Event::Other => {}
            }
        }
        match (&self.halted, changes.is_empty()) {
            // What was gained or lost before is told first.
            (Some(why), true) => Err(LogError::Halt(why.clone())),
            (Some(_) | None, _) => Ok(changes),
        }
    }

    fn gain(&mut self, list: &PartitionList) -> Result<Option<Assignment>, LogError> {
        let mut topics_of: BTreeMap<Partition, BTreeSet<Topic>> = BTreeMap::new();
        for listed in list.iter() {
            if let (Some(topic), Ok(partition)) =
                (self.names.topic(listed.topic), u32::try_from(listed.partition))
            {
                topics_of.entry(Partition(partition)).or_default().insert(topic);
            }
        }
        let wanted: BTreeSet<Topic> = self.topics.iter().copied().collect();
        if let Some((partition, given)) = topics_of.iter().find(|(_, given)| **given != wanted) {
            self.halted = Some(format!(
                "the group gave partition {partition} of {given:?} and not of all of {wanted:?}: every member \
                 must read the same topics, with the same number of partitions"
            ));
            return Ok(None);
        }
        self.generation = GroupMetadata::of(&self.client);
        self.answer(Some(&PartitionList::new()))?;
        self.held = topics_of.into_keys().collect();
        let gained: Vec<Partition> = self.held.iter().copied().collect();
        Ok((!gained.is_empty()).then_some(Assignment::Gained(gained)))
    }

    fn lose(&mut self, list: &PartitionList) -> Result<Option<Assignment>, LogError> {
        let lost = self.client.assignment_lost();
        let going: BTreeSet<Partition> = list
            .iter()
            .filter_map(|listed| u32::try_from(listed.partition).ok())
            .map(Partition)
            .collect();
        if going.is_empty() {
            self.answer(None)?;
            return Ok(None);
        }
        let partitions: Vec<Partition> = going.iter().copied().collect();
        self.leaving = going;
        if lost {
            self.held.clear();
            self.generation = None;
            return Ok(Some(Assignment::Lost(partitions)));
        }
        Ok(Some(Assignment::Revoked(partitions)))
    }

    /// Completes a revocation when all of it was released.
    pub(crate) fn release(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        let was_leaving = !self.leaving.is_empty();
        for partition in partitions {
            self.leaving.remove(partition);
            self.held.remove(partition);
        }
        if was_leaving && self.leaving.is_empty() {
            self.generation = None;
            self.answer(None)?;
        }
        Ok(())
    }

    fn answer(&self, partitions: Option<&PartitionList>) -> Result<(), LogError> {
        self.client
            .assign(partitions)
            .map_err(|failure| failure.into_log_error("answering a rebalance"))
    }

    /// Fatal failures and those that need a person are told; the rest the client retries by itself.
    fn note(&mut self, failure: Failure) -> Result<(), LogError> {
        let fatal = failure.fatal;
        match failure.into_log_error("the consumer group") {
            LogError::Unavailable(why) if fatal => Err(LogError::Halt(why)),
            LogError::Unavailable(why) => {
                tracing::debug!("kafka group: {why}");
                Ok(())
            }
            error => Err(error),
        }
    }

    /// The stable committed positions of a partition, one per topic.
    pub(crate) fn committed(
        &self,
        partition: Partition,
    ) -> Result<Vec<CommittedPosition>, LogError> {
        let mut list = PartitionList::new();
        for topic in &self.topics {
            list.add(self.names.of(*topic), number(partition));
        }
        let asking = |failure: Failure| failure.into_log_error("asking for committed positions");
        self.client.committed(&list, COMMITTED_WAIT).map_err(asking)?;
        let mut positions = Vec::new();
        for listed in list.iter() {
            listed.result.map_err(asking)?;
            let Some(topic) = self.names.topic(listed.topic) else { continue };
            positions.push(CommittedPosition {
                at: TopicPartition { topic, partition },
                next: listed.offset,
                metadata: String::from_utf8_lossy(listed.metadata).into_owned(),
            });
        }
        Ok(positions)
    }

    /// Commits positions alone.
    pub(crate) fn commit(&self, positions: &[Position]) -> PositionsCommit {
        match Queue::commit(&self.client, &self.list(positions), COMMIT_WAIT) {
            Some(Ok(())) => PositionsCommit::Committed,
            Some(Err(failure)) => PositionsCommit::Refused(failure),
            None => PositionsCommit::NoAnswer,
        }
    }

    pub(crate) fn list(&self, positions: &[Position]) -> PartitionList {
        let mut list = PartitionList::new();
        for position in positions {
            let name = self.names.of(position.at.topic);
            list.add_at(name, number(position.at.partition), position.next, &position.metadata);
        }
        list
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.queue.leave_group(LEAVE_WAIT);
    }
}
