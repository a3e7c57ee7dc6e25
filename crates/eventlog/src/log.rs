//! The log itself: topics, bounds, plain readers and appenders.

use std::time::Duration;

use domain::{Offset, Topic, TopicPartition};

use crate::{Append, Member, MemberSpec, Permissions, Record};

/// Why a log could not do something, named by what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Nothing is broken; the same call may work in a moment (a broker restarts, a time-out).
    #[error("the log is not available right now: {0}")]
    Unavailable(String),
    /// Another holder took over; this one must stop.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The position asked for is not in the log (data was lost, or retention passed it).
    #[error("{at} has no offset {wanted}: it holds {start} to {end}")]
    OutOfRange { at: TopicPartition, wanted: Offset, start: Offset, end: Offset },
    /// A person must act: wrong set-up, refused permission, damaged storage.
    #[error("{0}")]
    Halt(String),
}

/// What a topic is created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicSpec {
    pub topic: Topic,
    pub partitions: u32,
}

/// The offsets that a partition holds: `[start, end)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub start: Offset,
    /// The high watermark: the next offset to be written, open transactions included.
    pub end: Offset,
    /// The last stable offset: what a reader of committed records can reach now. Equal to `end`
    /// unless a transaction is open.
    pub stable_end: Offset,
}

impl TopicSpec {
    /// Refuses a topic that exists with another partition count.
    pub(crate) fn must_have(&self, partitions: u32) -> Result<(), LogError> {
        if self.partitions == partitions {
            return Ok(());
        }
        Err(LogError::Halt(format!(
            "topic {} exists with {partitions} partitions, and {} are asked for: the count is \
             fixed when a deployment is created",
            self.topic, self.partitions
        )))
    }
}

impl Bounds {
    /// Refuses an offset to read from that is not there; the end itself is allowed.
    pub(crate) fn check(&self, at: TopicPartition, wanted: Offset) -> Result<(), LogError> {
        if self.start <= wanted && wanted <= self.end {
            return Ok(());
        }
        Err(LogError::OutOfRange { at, wanted, start: self.start, end: self.end })
    }
}

impl LogError {
    pub(crate) fn no_partition(at: TopicPartition) -> Self {
        Self::Halt(format!("there is no {at}: create its topic first"))
    }

    pub(crate) fn no_writer(spec: &MemberSpec) -> Self {
        Self::Halt(format!("a member of {} without a writer's name cannot append", spec.group))
    }
}

/// A partitioned, durable, append-only log.
pub trait EventLog: Send + Sync {
    /// Creates those of the topics that do not exist; an existing topic with another partition
    /// count is [`LogError::Halt`].
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError>;

    /// How many partitions a topic has; `None` when it does not exist.
    fn partitions(&self, topic: Topic) -> Result<Option<u32>, LogError>;

    fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError>;

    /// A reader of committed records from the given positions on, outside any group.
    fn reader(&self, from: &[(TopicPartition, Offset)]) -> Result<Box<dyn Reader>, LogError>;

    /// An appender outside any transaction (producers, the gateway).
    fn appender(&self) -> Result<Box<dyn Appender>, LogError>;

    /// Joins a consumer group. With [`MemberSpec::writer`] the member writes transactionally, and
    /// joining fences whoever wrote under that name before.
    fn join(&self, spec: &MemberSpec) -> Result<Box<dyn Member>, LogError>;

    /// What about the topics breaks tally's contract with its log (retention, timestamps, minimum
    /// in-sync replicas, message size), one sentence each with what to do; empty when all is well.
    fn contract_findings(&self) -> Result<Vec<String>, LogError>;

    /// What of this the log does not allow us, one sentence each with what to do; `None` where
    /// everybody in the process may do everything.
    fn refusals(&self, _wanted: &Permissions) -> Result<Option<Vec<String>>, LogError> {
        Ok(None)
    }
}

/// Reads committed records in order, per partition.
pub trait Reader: Send {
    /// Lends up to `records_max` records to `visit`, waiting up to `wait` for the first one.
    /// Returns how many there were.
    fn poll(
        &mut self,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, LogError>;

    /// The next offset that may hold a record. Once the end has been reached, this is the end,
    /// also when the last offsets hold control records only: `position >= bounds.stable_end` says
    /// that a reader has caught up.
    fn position(&self, at: TopicPartition) -> Offset;
}

/// Appends records outside transactions; retries inside never write one twice.
pub trait Appender: Send {
    /// Queues a record. Waits while the queue is full (it is bounded in records and bytes).
    fn append(&mut self, record: Append<'_>) -> Result<(), LogError>;

    /// Waits until everything queued is durable; returns the offset of the last record of each
    /// append since the last flush, in the order of the appends.
    fn flush(&mut self) -> Result<Vec<Offset>, LogError>;
}
