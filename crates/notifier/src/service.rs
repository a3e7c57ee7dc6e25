//! The notifier as a service: joins, and joins again when the log was away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{EventLog, LogError, Permissions};
use wire::RecordError;

use crate::metrics::NotifierMetrics;
use crate::outbox::Limits;
use crate::send::{Reach, Sender};
use crate::session::Session;

/// What a notifier does with the log.
pub const PERMISSIONS: Permissions = Permissions {
    service: "notifier",
    reads: &[Topic::AccountEvents, Topic::Access, Topic::WebhookDeliveries],
    writes: &[Topic::WebhookDeliveries],
    groups: "tally-notifier",
    writers: None,
};
/// Where everything that was tried stands.
pub const DELIVERIES: TopicPartition =
    TopicPartition { topic: Topic::WebhookDeliveries, partition: Partition(0) };
const REJOIN_WAIT_MIN: Duration = Duration::from_millis(100);
const REJOIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// What a deployment may set about its notifier.
#[derive(Clone, Debug)]
pub struct NotifierSettings {
    pub group: String,
    pub reach: Reach,
    /// How long an endpoint has for its answer.
    pub timeout: Duration,
    pub limits: Limits,
}

impl Default for NotifierSettings {
    fn default() -> Self {
        Self {
            group: "tally-notifier".to_owned(),
            reach: Reach::default(),
            timeout: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}

/// Why the notifier stopped for good.
#[derive(Debug, thiserror::Error)]
pub enum NotifierError {
    #[error("another notifier took over: {0}")]
    Fenced(String),
    #[error(transparent)]
    Log(LogError),
    /// It was written by a newer tally: passing over it could lose an alert, or a right.
    #[error("{at}@{offset}: {why}")]
    Record { at: TopicPartition, offset: Offset, why: RecordError },
    #[error(transparent)]
    Trust(#[from] trust::TrustError),
    #[error("the runtime cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

impl From<LogError> for NotifierError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(why) => Self::Fenced(why),
            LogError::Unavailable(_) | LogError::OutOfRange { .. } | LogError::Halt(_) => {
                Self::Log(error)
            }
        }
    }
}

impl NotifierError {
    fn is_passing(&self) -> bool {
        matches!(self, Self::Log(LogError::Unavailable(_)))
    }
}

/// The notifier service.
pub struct Notifier {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) settings: NotifierSettings,
    pub(crate) metrics: NotifierMetrics,
    pub(crate) now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Counts rounds; a watchdog sees by it that the loop is alive.
    pub heartbeat: Arc<AtomicU64>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Notifier").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Notifier {
    /// `now` is what the calendar says.
    pub fn new(
        log: Arc<dyn EventLog>,
        settings: NotifierSettings,
        metrics: NotifierMetrics,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self { log, settings, metrics, now, heartbeat: Arc::default() }
    }

    /// Runs until `stop`. While the log is away it waits for it.
    ///
    /// # Errors
    /// What no other try can mend.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), NotifierError> {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let sender = Sender::new(&self.settings.reach)?.with_timeout(self.settings.timeout);
        let mut wait = REJOIN_WAIT_MIN;
        let ended = loop {
            let started = Instant::now();
            let session = Session::join(self, runtime.handle().clone(), sender.clone());
            match session.and_then(|session| session.run(stop)) {
                Err(error) if error.is_passing() && !stop.load(Ordering::Relaxed) => {
                    tracing::warn!(%error, "joining again");
                    if started.elapsed() > REJOIN_WAIT_MAX {
                        wait = REJOIN_WAIT_MIN;
                    }
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(REJOIN_WAIT_MAX);
                    self.heartbeat.fetch_add(1, Ordering::Relaxed);
                }
                ended => break ended,
            }
        };
        // Requests under way are made again at the next start, under the same id.
        runtime.shutdown_background();
        ended
    }
}
