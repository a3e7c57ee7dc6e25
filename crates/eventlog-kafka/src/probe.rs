//! Questions to the cluster that need no group: how many partitions, which offsets.

use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{Bounds, LogError};

use crate::lane::number;
use crate::names::TopicNames;
use crate::native::{Client, Failure, NativeAcl, Operation, Role};
use crate::settings::{KafkaSettings, Properties};

/// How long one question may take, retries included.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two clients, because what an offset query calls the end depends on the client's isolation level:
/// the high watermark, or with read_committed (the default, for producers too) the last stable
/// offset.
pub(crate) struct Probe {
    names: Arc<TopicNames>,
    committed: Arc<Client>,
    uncommitted: Arc<Client>,
}

impl Probe {
    pub(crate) fn open(settings: &KafkaSettings, names: Arc<TopicNames>) -> Result<Self, LogError> {
        let open = |level: &str| {
            let asking: Properties =
                [("isolation.level", level), ("allow.auto.create.topics", "false")]
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .to_vec();
            Client::create(Role::Consumer, &[settings.client(), asking].concat())
        };
        Ok(Self {
            names,
            committed: open("read_committed")?,
            uncommitted: open("read_uncommitted")?,
        })
    }

    pub(crate) fn partitions(&self, topic: Topic) -> Result<Option<u32>, LogError> {
        self.committed
            .partition_count(self.names.of(topic), PATIENCE)
            .map_err(|failure| failure.into_log_error(&format!("looking up {topic}")))
    }

    /// What we may do with each topic, in the order of `Topic::ALL`.
    pub(crate) fn allowed(&self) -> Result<Vec<Result<Vec<Operation>, Failure>>, LogError> {
        let topics = Topic::ALL.map(|topic| self.names.of(topic));
        let allowed = self.committed.allowed(&topics, PATIENCE);
        allowed.map_err(|failure| failure.into_log_error("asking what is allowed"))
    }

    pub(crate) fn allow(&self, acls: &[NativeAcl]) -> Result<(), LogError> {
        let done = self.committed.allow(acls, PATIENCE);
        done.map_err(|failure| failure.into_log_error("allowing"))
    }

    /// The stable end is asked for first, so it is never past the end.
    pub(crate) fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        let (_, stable_end) = self.watermarks(&self.committed, at)?;
        let (start, end) = self.watermarks(&self.uncommitted, at)?;
        Ok(Bounds { start, end, stable_end })
    }

    /// Refuses an offset that the log does not have; its end is not past it.
    pub(crate) fn check(&self, at: TopicPartition, wanted: Offset) -> Result<(), LogError> {
        let (start, end) = self.watermarks(&self.uncommitted, at)?;
        if start <= wanted && wanted <= end {
            return Ok(());
        }
        Err(LogError::OutOfRange { at, wanted, start, end })
    }

    /// Names the bounds that an offset was found to lie outside of.
    pub(crate) fn out_of_range(&self, at: TopicPartition, wanted: Offset) -> LogError {
        match self.watermarks(&self.uncommitted, at) {
            Ok((start, end)) => LogError::OutOfRange { at, wanted, start, end },
            Err(error) => error,
        }
    }

    /// Whether every partition has a leader that answers.
    pub(crate) fn all_led(&self, topic: Topic, partitions: u32) -> bool {
        (0..partitions)
            .map(|partition| TopicPartition { topic, partition: Partition(partition) })
            .all(|at| self.bounds(at).is_ok())
    }

    fn watermarks(
        &self,
        client: &Client,
        at: TopicPartition,
    ) -> Result<(Offset, Offset), LogError> {
        client
            .watermarks(self.names.of(at.topic), number(at.partition), PATIENCE)
            .map_err(|failure| failure.into_log_error(&format!("asking for the bounds of {at}")))
    }
}
