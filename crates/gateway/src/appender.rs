//! The one appender of the process: requests hand it their records, it flushes for many of them at
//! once, and answers with their offsets when they are durable.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use domain::{Offset, TopicPartition};
use eventlog::{Append, Appender, EventLog, LogError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::problem::Problem;

/// What requests may have in the queue together. Permits are KiB.
const QUEUED_KIB_MAX: u32 = 64 * 1024;
/// Requests that share a flush at most hold this much.
const FLUSH_BYTES_MAX: usize = 8 * 1024 * 1024;
const JOBS_MAX: usize = 4_096;
/// How long a request waits for room.
const ROOM_PATIENCE: Duration = Duration::from_secs(5);

/// A record to append.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    pub(crate) to: TopicPartition,
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    /// Where it comes from, for one that was somewhere else before.
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
}

struct Job {
    records: Vec<Outbound>,
    bytes: usize,
    done: oneshot::Sender<Result<Vec<Offset>, String>>,
    _room: OwnedSemaphorePermit,
}

/// Hands records to the appender's thread.
#[derive(Clone)]
pub(crate) struct Appending {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
}

impl Appending {
    /// Starts the thread. It ends when the last handle is gone.
    pub(crate) fn start(log: Arc<dyn EventLog>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let thread = std::thread::Builder::new()
            .name("gateway-append".to_owned())
            .spawn(move || run(log.as_ref(), queue))?;
        Ok((Self { jobs, room: Arc::new(Semaphore::new(QUEUED_KIB_MAX as usize)) }, thread))
    }

    /// Appends all of them and returns their offsets once they are durable. After an error some of
    /// them may stand in the log: sending them again is safe, because their identity is known then.
    pub(crate) async fn append(&self, records: Vec<Outbound>) -> Result<Vec<Offset>, Problem> {
        if records.is_empty() {
            return Ok(Vec::new());
        }
        let bytes = records.iter().map(|record| record.key.len() + record.value.len() + 64).sum();
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(QUEUED_KIB_MAX);
        let busy = || Problem::unavailable("too much is waiting to be written; try again");
        let room = Arc::clone(&self.room).acquire_many_owned(kib);
        let room = tokio::time::timeout(ROOM_PATIENCE, room).await.map_err(|_| busy())?;
        let stopped = || Problem::unavailable("the gateway is shutting down");
        let (done, answer) = oneshot::channel();
        let job = Job { records, bytes, done, _room: room.map_err(|_| stopped())? };
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answer
            .await
            .map_err(|_| stopped())?
            .map_err(|why| Problem::unavailable(format!("{why}; sending the same again is safe")))
    }
}

/// How early a sabotaged answer is.
const EARLY: Duration = Duration::from_millis(50);

/// Tells that a job is done which is not: only a sabotaged build does.
fn answered_early(job: Job) -> Job {
    let Job { records, bytes, done, _room } = job;
    // Whoever asked may have gone.
    drop(done.send(Ok(vec![Offset::ZERO; records.len()])));
    let (done, _) = oneshot::channel();
    Job { records, bytes, done, _room }
}

fn run(log: &dyn EventLog, mut queue: mpsc::Receiver<Job>) {
    let mut appender: Option<Box<dyn Appender>> = None;
    while let Some(first) = queue.blocking_recv() {
        let mut bytes = first.bytes;
        let mut jobs = vec![first];
        while bytes < FLUSH_BYTES_MAX {
            let Ok(job) = queue.try_recv() else { break };
            bytes += job.bytes;
            jobs.push(job);
        }
        if sabotage::is_on(sabotage::Break::AnsweredEarly) {
            jobs = jobs.into_iter().map(answered_early).collect();
            std::thread::sleep(EARLY);
        }
        match write(log, &mut appender, &jobs) {
            Ok(offsets) => {
                let mut offsets = offsets.into_iter();
                for job in jobs {
                    let own = offsets.by_ref().take(job.records.len()).collect();
                    // Whoever asked may have gone.
                    drop(job.done.send(Ok(own)));
                }
            }
            Err(error) => {
                // What it still holds is of no use to anybody.
                appender = None;
                tracing::warn!(%error, "appending failed");
                for job in jobs {
                    drop(job.done.send(Err(error.to_string())));
                }
            }
        }
    }
}

fn write(
    log: &dyn EventLog,
    appender: &mut Option<Box<dyn Appender>>,
    jobs: &[Job],
) -> Result<Vec<Offset>, LogError> {
    let appender = match appender {
        Some(appender) => appender,
        None => appender.insert(log.appender()?),
    };
    let records = || jobs.iter().flat_map(|job| &job.records);
    for record in records() {
        let headers: Vec<(&str, &[u8])> =
            record.headers.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        appender.append(Append {
            to: record.to,
            key: &record.key,
            value: &record.value,
            headers: &headers,
        })?;
    }
    let offsets = appender.flush()?;
    match offsets.len() == records().count() {
        true => Ok(offsets),
        false => Err(LogError::Halt("the log gave another number of offsets".to_owned())),
    }
}
