//! One stream of records out of several partitions: a consumer of its own that is told what to
//! fetch, and takes no part in any group.
//!
//! A member has one per [`eventlog::Lane`]. A consumer of its own, rather than a queue split off a
//! shared one, keeps a long-polling fetch of one lane from holding up the other; and stopping is
//! unassigning, so nothing depends on how the library pauses and resumes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{LogError, Record};
use rdkafka_sys::types::RDKafkaErrorCode as Code;

use crate::names::TopicNames;
use crate::native::{
    Batch, Client, Delivered, Failure, PartitionList, Queue, Role, Source, SourceId,
};
use crate::settings::Properties;

/// Where an input stands.
#[derive(Clone, Copy, Debug)]
struct Progress {
    /// The next offset that may hold a record.
    next: Offset,
    /// Everything that was there has been delivered.
    caught_up: bool,
    fetching: bool,
}

/// A consumer of some partitions.
pub(crate) struct FetchLane {
    names: Arc<TopicNames>,
    batch: Batch,
    queue: Queue,
    client: Arc<Client>,
    inputs: BTreeMap<TopicPartition, Progress>,
    /// A failure that was met behind records which had been lent already; told by the next poll.
    failure: Option<InputFailure>,
}

/// What went wrong while reading.
#[derive(Debug)]
pub(crate) enum InputFailure {
    /// The offset asked for is not in the log; its bounds are for the caller to look up.
    OutOfRange {
        at: TopicPartition,
        wanted: Offset,
    },
    Failed(LogError),
}

/// What one poll of a lane brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) records: usize,
    /// An end was reached: there is something new to see in the positions.
    pub(crate) ends: usize,
}

impl FetchLane {
    pub(crate) fn open(names: Arc<TopicNames>, properties: &Properties) -> Result<Self, LogError> {
        let client = Client::create(Role::Consumer, properties)?;
        let queue = Queue::of_consumer(&client)
            .ok_or_else(|| LogError::Halt("kafka: a consumer needs a group.id".to_owned()))?;
        Ok(Self {
            names,
            batch: Batch::new(),
            queue,
            client,
            inputs: BTreeMap::new(),
            failure: None,
        })
    }

    /// Delivers these partitions from these offsets on, whatever was delivered of them before.
    /// The library numbers every assignment of a partition and drops what an older one fetched.
    pub(crate) fn start(&mut self, from: &[(TopicPartition, Offset)]) -> Result<(), LogError> {
        let places: Vec<TopicPartition> = from.iter().map(|(at, _)| *at).collect();
        self.stop(&places)?;
        let mut list = PartitionList::new();
        for (at, offset) in from {
            list.add_at(self.names.of(at.topic), number(at.partition), *offset, "");
        }
        self.client
            .assign_more(&list)
            .map_err(|failure| failure.into_log_error("starting a partition"))?;
        for (at, offset) in from {
            let progress = Progress { next: *offset, caught_up: false, fetching: true };
            self.inputs.insert(*at, progress);
        }
        Ok(())
    }

    /// Stops delivery; positions stay known.
    pub(crate) fn stop(&mut self, places: &[TopicPartition]) -> Result<(), LogError> {
        let mut list = PartitionList::new();
        let mut any = false;
        for at in places {
            if self.inputs.get(at).is_some_and(|progress| progress.fetching) {
                list.add(self.names.of(at.topic), number(at.partition));
                any = true;
            }
        }
        if !any {
            return Ok(());
        }
        self.client
            .assign_fewer(&list)
            .map_err(|failure| failure.into_log_error("stopping a partition"))?;
        for at in places {
            if let Some(progress) = self.inputs.get_mut(at) {
                progress.fetching = false;
            }
        }
        Ok(())
    }

    pub(crate) fn forget(&mut self, places: &[TopicPartition]) -> Result<(), LogError> {
        self.stop(places)?;
        for at in places {
            self.inputs.remove(at);
        }
        Ok(())
    }

    pub(crate) fn position(&self, at: TopicPartition) -> Option<(Offset, bool)> {
        self.inputs.get(&at).map(|progress| (progress.next, progress.caught_up))
    }

    /// Lends what has been fetched, waiting for the first record or end.
    pub(crate) fn poll(
        &mut self,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Taken, InputFailure> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let Self { names, batch, queue, inputs, .. } = self;
        batch.fill(queue, records_max, wait);
        let mut pass =
            Pass { names, inputs, current: None, taken: Taken::default(), failure: None, visit };
        batch.drain(&mut |source, delivered| pass.take(source, delivered));
        pass.finish();
        let Pass { taken, failure, .. } = pass;
        match failure {
            Some(failure) if taken.records == 0 => Err(failure),
            failure => {
                self.failure = failure;
                Ok(taken)
            }
        }
    }
}

/// One walk over a batch. Messages of a partition come in runs, so its progress is looked up once
/// per run and written back at the run's end.
struct Pass<'a> {
    names: &'a TopicNames,
    inputs: &'a mut BTreeMap<TopicPartition, Progress>,
    current: Option<Run>,
    taken: Taken,
    failure: Option<InputFailure>,
    visit: &'a mut dyn FnMut(Record<'_>),
}

struct Run {
    id: SourceId,
    at: TopicPartition,
    progress: Progress,
}

impl Pass<'_> {
    fn take(&mut self, source: Source<'_>, delivered: Delivered<'_>) {
        if self.current.as_ref().is_none_or(|run| run.id != source.id()) {
            self.finish();
            self.current = self.run_of(source);
        }
        let Some(run) = &mut self.current else {
            if let Delivered::Failed(failure) = delivered {
                self.fail(None, failure);
            }
            return;
        };
        if !run.progress.fetching {
            return;
        }
        match delivered {
            Delivered::Message(message) => {
                let offset = message.offset();
                if offset < run.progress.next {
                    return;
                }
                run.progress.next = offset.next();
                run.progress.caught_up = false;
                self.taken.records += 1;
                (self.visit)(Record {
                    at: run.at,
                    offset,
                    appended_at: message.timestamp(),
                    key: message.key(),
                    value: message.value(),
                    headers: &message,
                });
            }
            Delivered::End(next) => {
                run.progress.next = run.progress.next.max(next);
                run.progress.caught_up = true;
                self.taken.ends += 1;
            }
            Delivered::Failed(failure) => {
                let at = (run.at, run.progress.next);
                self.fail(Some(at), failure);
            }
        }
    }

    fn run_of(&self, source: Source<'_>) -> Option<Run> {
        let topic = self.names.topic(source.topic_name())?;
        let partition = Partition(u32::try_from(source.partition).ok()?);
        let at = TopicPartition { topic, partition };
        let progress = *self.inputs.get(&at)?;
        Some(Run { id: source.id(), at, progress })
    }

    fn finish(&mut self) {
        if let Some(run) = self.current.take() {
            self.inputs.insert(run.at, run.progress);
        }
    }

    fn fail(&mut self, at: Option<(TopicPartition, Offset)>, failure: Failure) {
        let told = match (failure.code, at) {
            (
                Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation,
                Some((at, wanted)),
            ) => InputFailure::OutOfRange { at, wanted },
            _ => match failure.into_log_error("reading") {
                // The client goes on trying by itself; nothing was lost and nothing is to be done.
                LogError::Unavailable(text) => {
                    tracing::debug!("kafka fetch: {text}");
                    return;
                }
                error => InputFailure::Failed(error),
            },
        };
        self.failure.get_or_insert(told);
    }
}

/// A partition's number for C.
pub(crate) fn number(partition: Partition) -> i32 {
    i32::try_from(partition.0).unwrap_or(i32::MAX)
}

/// All topics of one partition number.
pub(crate) fn places(
    topics: impl Iterator<Item = Topic>,
    partition: Partition,
) -> Vec<TopicPartition> {
    topics.map(|topic| TopicPartition { topic, partition }).collect()
}
