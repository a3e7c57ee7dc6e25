//! A transactional writer: one open transaction at a time, and one rule for every doubt.
//!
//! The rule: after anything indefinite (a time-out, a lost connection, an error that is neither
//! "abort" nor "fenced") the producer is destroyed and a new one is initialised under the same
//! transactional name. Initialising raises the name's epoch, so that no late request of the old
//! producer can be taken any more, and settles the transaction that it left. Only then is
//! [`CommitOutcome::Unknown`] told. librdkafka does not speak the protocol (KIP-890) that would
//! make this needless.

use std::time::{Duration, Instant};

use eventlog::{Append, CommitOutcome, LogError};

use crate::native::{Failure, GroupMetadata, PartitionList};
use crate::outlet::{Outlet, OutletPlan};

/// How long a new producer tries to get its name in one attempt.
const INITIALISE_WAIT: Duration = Duration::from_secs(10);
/// How long a commit or abort in doubt goes on trying to settle before it tells its caller.
const SETTLE_WAIT: Duration = Duration::from_secs(60);
/// On top of the transaction's own timeout, for the answer to the last attempt.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Between attempts that fail at once.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) struct Writer {
    plan: OutletPlan,
    name: String,
    transaction_timeout: Duration,
    state: State,
}

enum State {
    Ready(Outlet),
    Open {
        outlet: Outlet,
        since: Instant,
    },
    /// The producer is gone, and a transaction of it may be unsettled.
    Unsettled,
    Fenced(String),
}

/// Positions to commit, with the member's place in its group.
pub(crate) struct OffsetsToSend<'a> {
    pub(crate) positions: &'a PartitionList,
    pub(crate) group: &'a GroupMetadata,
}

/// What a failed step of a transaction means.
enum Verdict {
    /// Nothing is visible or will be, once the transaction is aborted.
    Abort(String),
    Fenced(String),
    /// It may have happened.
    Doubt(String),
}

impl Writer {
    /// Takes over the name: whoever wrote under it is fenced, its open transaction aborted.
    pub(crate) fn initialise(
        plan: OutletPlan,
        name: String,
        transaction_timeout: Duration,
    ) -> Result<Self, LogError> {
        let mut writer = Self { plan, name, transaction_timeout, state: State::Unsettled };
        writer.settle_within(INITIALISE_WAIT)?;
        Ok(writer)
    }

    pub(crate) fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        let outlet = self.open()?;
        if outlet.producer.deliveries.failed() > 0 {
            return Err(LogError::Unavailable(
                "a record of this transaction could not be delivered: abort it".to_owned(),
            ));
        }
        outlet.produce(record, 0)
    }

    pub(crate) fn commit(&mut self, offsets: Option<OffsetsToSend<'_>>) -> CommitOutcome {
        match self.try_commit(offsets) {
            Ok(()) => CommitOutcome::Committed,
            Err(verdict) => self.conclude(verdict),
        }
    }

    /// Gives up the open transaction, if there is one.
    pub(crate) fn abort(&mut self) -> Result<(), LogError> {
        match std::mem::replace(&mut self.state, State::Unsettled) {
            State::Ready(outlet) => {
                self.state = State::Ready(outlet);
                Ok(())
            }
            State::Unsettled => self.settle_within(SETTLE_WAIT),
            State::Fenced(why) => {
                self.state = State::Fenced(why.clone());
                Err(LogError::Fenced(why))
            }
            State::Open { outlet, since } => self.abort_open(outlet, since),
        }
    }

    /// An error unless the writer's past is settled: nothing of it can become visible any more.
    pub(crate) fn must_be_settled(&mut self) -> Result<(), LogError> {
        match &self.state {
            State::Ready(_) | State::Open { .. } => Ok(()),
            State::Unsettled => self.settle_within(INITIALISE_WAIT),
            State::Fenced(why) => Err(LogError::Fenced(why.clone())),
        }
    }

    /// The producer with a transaction open, beginning one if there is none.
    fn open(&mut self) -> Result<&mut Outlet, LogError> {
        self.must_be_settled()?;
        if let State::Ready(outlet) = &mut self.state {
            if let Err(failure) = outlet.producer.begin_transaction() {
                let error = failure.clone().into_log_error("beginning a transaction");
                if failure.is_fenced() {
                    self.state = State::Fenced(error.to_string());
                } else {
                    self.state = State::Unsettled;
                }
                return Err(error);
            }
            let State::Ready(outlet) = std::mem::replace(&mut self.state, State::Unsettled) else {
                return Err(LogError::Unavailable("the writer is unsettled".to_owned()));
            };
            self.state = State::Open { outlet, since: Instant::now() };
        }
        match &mut self.state {
            State::Open { outlet, .. } => Ok(outlet),
            State::Ready(_) | State::Unsettled | State::Fenced(_) => {
                Err(LogError::Unavailable("the writer is unsettled".to_owned()))
            }
        }
    }

    /// Offsets go first: they travel while the records are still being sent, and the commit
    /// flushes what is left.
    fn try_commit(&mut self, offsets: Option<OffsetsToSend<'_>>) -> Result<(), Verdict> {
        if matches!(self.state, State::Ready(_)) && offsets.is_none() {
            return Ok(());
        }
        if matches!(self.state, State::Unsettled) {
            // What was appended before is gone with the old producer.
            return Err(Verdict::Doubt("the writer was being replaced".to_owned()));
        }
        let timeout = self.transaction_timeout;
        let outlet = match self.open() {
            Ok(outlet) => outlet,
            Err(LogError::Fenced(why)) => return Err(Verdict::Fenced(why)),
            Err(
                error
                @ (LogError::Unavailable(_) | LogError::Halt(_) | LogError::OutOfRange { .. }),
            ) => {
                return Err(Verdict::Doubt(error.to_string()));
            }
        };
        let producer = &outlet.producer;
        let committed = match offsets {
            Some(OffsetsToSend { positions, group }) => {
                insist(timeout, |left| producer.send_offsets(positions, group, left))
            }
            None => Ok(()),
        }
        .and_then(|()| {
            sabotage::pass(sabotage::Point::PositionsSent);
            insist(timeout + ANSWER_WAIT, |left| producer.commit_transaction(left))
        });
        match committed {
            Ok(()) => {
                self.close();
                Ok(())
            }
            Err(failure) => Err(self.judge(failure)),
        }
    }

    /// The open transaction has ended.
    fn close(&mut self) {
        if let State::Open { outlet, .. } = std::mem::replace(&mut self.state, State::Unsettled) {
            // What was purged by an abort is not a failure of the next transaction.
            outlet.producer.deliveries.take_failure();
            self.state = State::Ready(outlet);
        }
    }

    /// Sorts a failure into abort, fenced and doubt.
    ///
    /// A coordinator also fences a producer whose transaction outlived its timeout. Told apart by
    /// age: an old transaction is in doubt and the name is taken back, which ends a true successor
    /// at worst once; a young one was ended by a successor, and this writer stops.
    fn judge(&self, failure: Failure) -> Verdict {
        let fatal = match &self.state {
            State::Open { outlet, .. } | State::Ready(outlet) => outlet.producer.fatal_error(),
            State::Unsettled | State::Fenced(_) => None,
        };
        let cause = if failure.is_fenced() { failure } else { fatal.unwrap_or(failure) };
        let outlived = match &self.state {
            State::Open { since, .. } => since.elapsed() >= self.transaction_timeout,
            State::Ready(_) | State::Unsettled | State::Fenced(_) => false,
        };
        let text = format!("transaction of {}: {cause}", self.name);
        if cause.is_fenced() && !outlived {
            Verdict::Fenced(text)
        } else if cause.requires_abort && !cause.fatal {
            Verdict::Abort(text)
        } else {
            Verdict::Doubt(text)
        }
    }

    fn conclude(&mut self, verdict: Verdict) -> CommitOutcome {
        match verdict {
            Verdict::Fenced(why) => {
                self.state = State::Fenced(why.clone());
                CommitOutcome::Fenced(why)
            }
            Verdict::Abort(why) => match self.abort() {
                Ok(()) => CommitOutcome::Aborted(why),
                Err(LogError::Fenced(why)) => CommitOutcome::Fenced(why),
                Err(
                    error @ (LogError::Unavailable(_)
                    | LogError::Halt(_)
                    | LogError::OutOfRange { .. }),
                ) => CommitOutcome::Unknown(format!("{why}; {error}")),
            },
            Verdict::Doubt(why) => {
                tracing::warn!(
                    writer = self.name,
                    "commit in doubt, replacing the producer: {why}"
                );
                self.state = State::Unsettled;
                match self.settle_within(SETTLE_WAIT) {
                    Ok(()) => CommitOutcome::Unknown(why),
                    Err(LogError::Fenced(why)) => CommitOutcome::Fenced(why),
                    // Every further call settles first; see `must_be_settled`.
                    Err(
                        error @ (LogError::Unavailable(_)
                        | LogError::Halt(_)
                        | LogError::OutOfRange { .. }),
                    ) => CommitOutcome::Unknown(format!("{why}; {error}")),
                }
            }
        }
    }

    fn abort_open(&mut self, outlet: Outlet, since: Instant) -> Result<(), LogError> {
        let aborted = outlet.producer.abort_transaction(self.transaction_timeout + ANSWER_WAIT);
        self.state = State::Open { outlet, since };
        let Err(failure) = aborted else {
            self.close();
            return Ok(());
        };
        match self.judge(failure) {
            Verdict::Fenced(why) => {
                self.state = State::Fenced(why.clone());
                Err(LogError::Fenced(why))
            }
            Verdict::Abort(why) | Verdict::Doubt(why) => {
                tracing::warn!(writer = self.name, "abort in doubt, replacing the producer: {why}");
                self.state = State::Unsettled;
                self.settle_within(SETTLE_WAIT)
            }
        }
    }

    /// Makes a new producer under the same name, trying for as long as said.
    fn settle_within(&mut self, patience: Duration) -> Result<(), LogError> {
        // The old producer is destroyed before the new one asks for its name.
        self.state = State::Unsettled;
        let deadline = Instant::now() + patience;
        loop {
            let attempt = Outlet::open(self.plan.clone()).and_then(|outlet| {
                let left = deadline.saturating_duration_since(Instant::now()).min(INITIALISE_WAIT);
                outlet.producer.init_transactions(left).map_err(|failure| {
                    failure.into_log_error(&format!("initialising the writer {}", self.name))
                })?;
                Ok(outlet)
            });
            match attempt {
                Ok(outlet) => {
                    self.state = State::Ready(outlet);
                    return Ok(());
                }
                Err(LogError::Unavailable(why)) if Instant::now() + PAUSE < deadline => {
                    tracing::debug!(writer = self.name, "not settled yet: {why}");
                    std::thread::sleep(PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Takes a step again as long as the library says that it may be: such a step resumes where it was.
fn insist(
    patience: Duration,
    step: impl Fn(Duration) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let deadline = Instant::now() + patience;
    loop {
        match step(deadline.saturating_duration_since(Instant::now())) {
            Err(failure) if failure.retriable && Instant::now() + PAUSE < deadline => {
                tracing::debug!("once more: {failure}");
                std::thread::sleep(PAUSE);
            }
            result => return result,
        }
    }
}

impl Drop for Writer {
    /// Readers of committed records wait for an open transaction: it is not left to its timeout.
    fn drop(&mut self) {
        if let State::Open { outlet, .. } = &self.state
            && let Err(failure) = outlet.producer.abort_transaction(Duration::from_secs(2))
        {
            tracing::debug!(writer = self.name, "left an open transaction behind: {failure}");
        }
    }
}
