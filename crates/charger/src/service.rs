//! The charger service: it joins the group, runs until it is told to stop, and joins again when the
//! log was away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use catalog::CatalogueError;
use eventlog::{EventLog, LogError};
use flow::TakeoverError;

use crate::clock::Clock;
use crate::recover::RecoverError;
use crate::session::Session;
use crate::{ChargerMetrics, ChargerSettings};

const REJOIN_WAIT_MIN: Duration = Duration::from_millis(50);
const REJOIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why the charger stopped for good.
#[derive(Debug, thiserror::Error)]
pub enum ChargerError {
    /// Another charger owns the name or the partitions: a person decides which one lives.
    #[error("another charger took over: {0}")]
    Fenced(String),
    #[error(transparent)]
    Log(LogError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Recover(RecoverError),
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
}

impl From<LogError> for ChargerError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(why) => Self::Fenced(why),
            other => Self::Log(other),
        }
    }
}

impl ChargerError {
    /// Whether joining again may help.
    fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Log(LogError::Unavailable(_))
                | Self::Catalogue(CatalogueError::Log(LogError::Unavailable(_)))
        ) || matches!(self, Self::Recover(error) if error.is_passing())
    }
}

/// The charger service.
pub struct Charger {
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) settings: ChargerSettings,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) metrics: ChargerMetrics,
    /// Counts rounds; a watchdog sees by it that the loop is alive.
    pub heartbeat: Arc<AtomicU64>,
}

impl std::fmt::Debug for Charger {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Charger").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Charger {
    pub fn new(
        log: Arc<dyn EventLog>,
        settings: ChargerSettings,
        clock: Arc<dyn Clock>,
        metrics: ChargerMetrics,
    ) -> Self {
        Self { log, settings, clock, metrics, heartbeat: Arc::default() }
    }

    /// Runs until `stop`; then what was decided is committed and the partitions are given up. When
    /// the log is away for a while, it joins again by itself.
    ///
    /// # Errors
    /// What no other try can mend.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), ChargerError> {
        let mut wait = REJOIN_WAIT_MIN;
        loop {
            let started = Instant::now();
            match self.session(stop) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_passing() && !stop.load(Ordering::Relaxed) => {
                    tracing::warn!(%error, "the log is away; joining again");
                    if started.elapsed() > REJOIN_WAIT_MAX {
                        wait = REJOIN_WAIT_MIN;
                    }
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(REJOIN_WAIT_MAX);
                    self.heartbeat.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn session(&self, stop: &AtomicBool) -> Result<(), ChargerError> {
        let mut session = self.join()?;
        while !stop.load(Ordering::Relaxed) {
            self.heartbeat.fetch_add(1, Ordering::Relaxed);
            session.round()?;
        }
        session.give_up()
    }

    /// Joins the group: the beginning of a session, which the caller drives.
    ///
    /// # Errors
    /// Those of the log and of the catalogue.
    pub fn join(&self) -> Result<Session<'_>, ChargerError> {
        Session::join(self)
    }
}
