//! Where the simulator decides what goes wrong.

use crate::{Lane, Position};

/// What a member is about to commit.
#[derive(Clone, Copy, Debug)]
pub struct CommitAttempt<'a> {
    pub group: &'a str,
    pub writer: Option<&'a str>,
    /// Records appended since the last commit.
    pub records: usize,
    pub positions: &'a [Position],
}

/// How a commit that nobody has fenced ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitFault {
    /// None: it is committed.
    Committed,
    /// It is aborted, and the member is told so.
    AbortedBefore,
    /// It is committed, and the member is told that nobody knows.
    UnknownApplied,
    /// It is aborted, and the member is told that nobody knows.
    UnknownNotApplied,
}

/// What the log notices of a member that was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It said good-bye: its transaction is aborted and the others share its partitions.
    Leaves,
    /// It was killed: partitions and transaction are held until they are expired, or, for the
    /// transaction, until its writer's name joins again.
    Lingers,
}

/// Decides faults. Each is asked before the log is touched, so a decision may look at the log and
/// change it (expire a member in the middle of another's commit, say).
pub trait Faults: Send {
    fn commit(&mut self, _attempt: &CommitAttempt<'_>) -> CommitFault {
        CommitFault::Committed
    }

    /// How many records a poll may lend, of those it was asked for; 0 for an empty poll.
    fn poll(&mut self, _group: &str, _lane: Lane, records_max: usize) -> usize {
        records_max
    }

    fn departure(&mut self, _group: &str, _writer: Option<&str>) -> Departure {
        Departure::Leaves
    }
}

/// A calm log.
#[derive(Clone, Copy, Debug)]
pub struct NoFaults;

impl Faults for NoFaults {}
