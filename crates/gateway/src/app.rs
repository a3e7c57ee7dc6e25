//! What all requests share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use catalog::RateService;
use domain::{ContentHash, Partition, Timestamp, partition_of};
use eventlog::EventLog;
use prometheus::Registry;
use replay::rebuild::{Rebuilder, Terms};
use tokio::sync::{Mutex, Semaphore};
use warehouse::Warehouse;

use crate::GatewaySettings;
use crate::appender::Appending;
use crate::follower::Followed;
use crate::metrics::GatewayMetrics;
use crate::problem::Problem;

/// Requests that read through a log at the same time.
const SCANS_MAX: usize = 4;

pub(crate) struct Shared {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) warehouse: Arc<Warehouse>,
    pub(crate) settings: GatewaySettings,
    pub(crate) registry: Registry,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) appending: Appending,
    pub(crate) followed: Arc<Followed>,
    pub(crate) rates: Arc<RateService>,
    pub(crate) rebuilder: Arc<Rebuilder>,
    /// For pings; alerts are the notifier's.
    pub(crate) webhook_sender: notifier::Sender,
    pub(crate) scans: Semaphore,
    /// One long proof at a time.
    pub(crate) proofs: Arc<Semaphore>,
    /// Held while a key is made or taken away.
    pub(crate) key_changes: Mutex<()>,
    /// Made from the start time, so that no two processes send the same correlations.
    seed: u64,
    count: AtomicU64,
}

/// The state of every handler.
pub(crate) type App = Arc<Shared>;

pub(crate) struct Parts {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) warehouse: Arc<Warehouse>,
    pub(crate) settings: GatewaySettings,
    pub(crate) registry: Registry,
    pub(crate) metrics: GatewayMetrics,
    pub(crate) appending: Appending,
    pub(crate) followed: Arc<Followed>,
    pub(crate) webhook_sender: notifier::Sender,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> App {
        let Parts {
            log,
            warehouse,
            settings,
            registry,
            metrics,
            appending,
            followed,
            webhook_sender,
        } = parts;
        let rates = RateService::new(Arc::clone(&log), settings.partitions);
        let seed = u64::try_from(now().micros()).unwrap_or_default()
            ^ (u64::from(std::process::id()) << 52);
        let rebuilder = Rebuilder::new(
            Arc::clone(&log),
            Warehouse::clone(&warehouse),
            tokio::runtime::Handle::current(),
            (format!("gateway {} ({seed:016x})", std::process::id()), settings.partitions),
        )
        .with_terms(Terms { alone: settings.alone, ..Terms::default() });
        Arc::new(Self {
            rebuilder: Arc::new(rebuilder),
            log,
            warehouse,
            settings,
            registry,
            metrics,
            appending,
            followed,
            rates: Arc::new(rates),
            webhook_sender,
            scans: Semaphore::new(SCANS_MAX),
            proofs: Arc::new(Semaphore::new(1)),
            key_changes: Mutex::new(()),
            seed,
            count: AtomicU64::new(0),
        })
    }

    /// A number that no other command has: never 0, which would want no reply.
    pub(crate) fn correlation(&self) -> u64 {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.seed.to_le_bytes());
        bytes[8..].copy_from_slice(&count.to_le_bytes());
        ContentHash::of(&bytes).0.max(1)
    }

    pub(crate) fn home(&self, account: &str) -> Partition {
        partition_of(account, self.settings.partitions)
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = Partition> + use<> {
        (0..self.settings.partitions).map(Partition)
    }
}

/// Runs something that blocks on the log, a few at a time.
pub(crate) async fn scan<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let here = Arc::clone(app);
    let permit = app.scans.acquire().await.map_err(|_| Problem::unavailable("shutting down"))?;
    let result = tokio::task::spawn_blocking(move || read(&here)).await?;
    drop(permit);
    result
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A text in SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Both answers, asked for at once.
pub(crate) async fn both<A, B>(
    first: impl Future<Output = Result<A, warehouse::WarehouseError>>,
    second: impl Future<Output = Result<B, warehouse::WarehouseError>>,
) -> Result<(A, B), Problem> {
    Ok(tokio::try_join!(first, second)?)
}
