//! A member of a consumer group that may also write: the charger's and the projector's side of a
//! log.

use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};

use crate::{Append, LogError, Record};

/// Which of a member's inputs to poll. Commands have a lane of their own, so that they never wait
/// behind the bulk of usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    Bulk,
    Priority,
}

/// What a member joins with.
#[derive(Clone, Debug)]
pub struct MemberSpec {
    pub group: String,
    /// Every topic has the same number of partitions; a member is given the same partition
    /// numbers of all of them, or joining fails with [`LogError::Halt`].
    pub topics: Vec<(Topic, Lane)>,
    /// The transactional name, stable per replica slot (`charger-0`); `None` for a member that
    /// only commits positions.
    pub writer: Option<String>,
}

/// A change of what the member owns. Partition numbers stand for that partition of every topic
/// that the member joined with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assignment {
    /// New partitions, paused: nothing of them is delivered until [`Member::start`].
    Gained(Vec<Partition>),
    /// To be given up: commit what is done, then call [`Member::release`].
    Revoked(Vec<Partition>),
    /// Gone already; nothing of them can be committed. Call [`Member::release`] all the same.
    Lost(Vec<Partition>),
}

/// What one poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    pub records: usize,
    pub assignments: Vec<Assignment>,
}

/// A position to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    pub at: TopicPartition,
    /// The next offset to read.
    pub next: Offset,
    /// A short text that comes back with the committed position.
    pub metadata: String,
}

/// A position as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedPosition {
    pub at: TopicPartition,
    /// `None` when nothing was committed, or the commit expired.
    pub next: Option<Offset>,
    pub metadata: String,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// All records and positions are durable and visible together.
    Committed,
    /// Nothing of it is or will be visible. Rewind to the last commit.
    Aborted(String),
    /// It may or may not be visible: the ledger's tail decides. The writer has been destroyed and
    /// started anew, so that nothing of it can still become visible later unnoticed.
    Unknown(String),
    /// Another member owns the name or the partitions. Stop.
    Fenced(String),
}

/// A group member. One thread owns it; only its own calls move anything.
pub trait Member: Send {
    /// Lends up to `records_max` records of one lane, waiting up to `wait` for the first. Changes
    /// of assignment are returned from a poll of either lane, never acted on by themselves.
    fn poll(
        &mut self,
        lane: Lane,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Polled, LogError>;

    /// The stable committed positions of a partition, one per topic that the member joined with.
    fn committed(&mut self, partition: Partition) -> Result<Vec<CommittedPosition>, LogError>;

    /// Begins (or, after an abort, begins again) to deliver a partition from these positions, one
    /// per topic. An offset that the log does not have is [`LogError::OutOfRange`].
    fn start(&mut self, partition: Partition, from: &[(Topic, Offset)]) -> Result<(), LogError>;

    /// Stops delivery of a partition while it stays assigned.
    fn pause(&mut self, partition: Partition) -> Result<(), LogError>;

    /// The next offset of an input that may hold a record (past control records, once the end was
    /// reached), and whether everything that was in the log has been delivered.
    fn position(&self, at: TopicPartition) -> (Offset, bool);

    /// Completes a revocation or loss.
    fn release(&mut self, partitions: &[Partition]) -> Result<(), LogError>;

    /// Queues a record in the open transaction, opening one if there is none.
    ///
    /// [`LogError::Unavailable`] when an earlier record of the transaction could not be written:
    /// the abort that follows says whether that was because the writer is fenced.
    fn append(&mut self, record: Append<'_>) -> Result<(), LogError>;

    /// Commits everything appended since the last commit together with the positions. A member
    /// without a writer commits positions alone.
    fn commit(&mut self, positions: &[Position]) -> CommitOutcome;

    /// Gives up everything appended since the last commit. Delivery does not rewind by itself:
    /// call [`Member::start`].
    fn abort(&mut self) -> Result<(), LogError>;
}
