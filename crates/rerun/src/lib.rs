//! Raw replay: the charger's decisions, made again from the inputs, and compared with the ledger
//! entry by entry. It answers whether today's code still comes to the same, and what another
//! catalogue would have charged.
//!
//! The ledger says in which order things happened: each entry names its cause, and each seal lists
//! what left no entry. So every step is decided on exactly the state that it met, by the charger's own
//! core, and what stands in the ledger is applied before the next. One difference is therefore one
//! finding, and when there is none, a charger that started with the same inputs in the same order
//! would have written the same bytes.
//!
//! What the ledger does not say is where among other entries a refused command stood; any place that
//! its offset allows, and where it is refused in the same way, is taken. A refusal for a deadline
//! depended on a clock, and is taken as it stands.

mod difference;
mod partition;
mod report;

use std::time::Duration;

use catalog::{CatalogueError, History, Prices};
use charger::{ChargerSettings, Halt, Snapshots};
use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use replay::{Pace, Stopped, Watch};

use partition::Rerun;
pub use report::{Difference, FieldDifference, RawReport, UsageSum};

const CATALOGUE_PATIENCE: Duration = Duration::from_secs(60);
const RECORDS_PER_POLL: usize = 1_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 600;

/// Which prices the steps are decided with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PricesOf {
    /// The catalogue that the ledger says was in use.
    #[default]
    ThatTime,
    /// The newest one, for charges alone: what would it have charged?
    Today,
}

/// What to replay.
#[derive(Clone, Debug)]
pub struct RawSettings {
    /// How many partitions the topics have.
    pub partitions: u32,
    /// One partition; all of them when `None`.
    pub only: Option<Partition>,
    /// The first seal whose inputs are decided again; what is before it is folded.
    pub from_seal: u64,
    pub prices: PricesOf,
    /// Ledger and input records per second; `None` is no bound.
    pub records_per_second: Option<u32>,
}

impl RawSettings {
    /// Everything, under the prices of its time, at 20,000 records per second.
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions,
            only: None,
            from_seal: 1,
            prices: PricesOf::ThatTime,
            records_per_second: Some(20_000),
        }
    }
}

/// Why a replay could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum RerunError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error("the scratch folder: {0}")]
    Scratch(#[from] std::io::Error),
    #[error("the scratch identities: {0}")]
    Identities(String),
    /// The ledger itself does not hold: `verify` says where.
    #[error("{at}: the ledger does not follow from itself: {why}")]
    Ledger { at: String, why: Box<Halt> },
    #[error("{at}@{offset}: {why}")]
    Unreadable { at: TopicPartition, offset: Offset, why: String },
    #[error("{at} made no way")]
    Stalled { at: TopicPartition },
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Decides the inputs again, and compares.
///
/// # Errors
/// When a log cannot be read, the ledger is damaged, or it was stopped. Differences are in the report.
pub fn replay_raw(
    log: &dyn EventLog,
    settings: &RawSettings,
    watch: Watch<'_>,
) -> Result<RawReport, RerunError> {
    let history = History::read(log, CATALOGUE_PATIENCE)?;
    let chosen = |partition: &Partition| settings.only.is_none_or(|only| only == *partition);
    let partitions: Vec<Partition> =
        (0..settings.partitions).map(Partition).filter(chosen).collect();
    let mut ends = Vec::new();
    for partition in partitions {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        ends.push((at, log.bounds(at)?.stable_end));
    }
    let records = ends.iter().map(|(_, end)| end.0.unsigned_abs()).sum();
    let mut pace = Pace::new(settings.records_per_second, records, watch);
    let mut report = RawReport::default();
    for (at, end) in ends {
        pace.begin(at.partition);
        // A folder of its own: the identities that a charger keeps are not touched.
        let folder = tempfile::tempdir()?;
        let charger = ChargerSettings::new(settings.partitions, folder.path().to_path_buf());
        let scratch = Snapshots::open(&charger)
            .and_then(|snapshots| snapshots.nothing(at.partition))
            .map_err(|why| RerunError::Identities(why.to_string()))?;
        let mut rerun = Rerun::new(log, settings, &history, (at.partition, scratch));
        read(log, (at, end), &mut rerun, &mut pace)?;
        report.merge(rerun.finish());
    }
    Ok(report)
}

fn read(
    log: &dyn EventLog,
    (at, end): (TopicPartition, Offset),
    rerun: &mut Rerun<'_>,
    pace: &mut Pace<'_>,
) -> Result<(), RerunError> {
    let mut reader = log.reader(&[(at, log.bounds(at)?.start)])?;
    let mut empty_polls = 0;
    while reader.position(at) < end {
        let mut failed = None;
        let count = reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
            if record.offset < end && failed.is_none() {
                failed = rerun.record(record.offset, record.value).err();
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        pace.ledger(count as u64)?;
        pace.inputs(rerun.take_read())?;
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            return Err(RerunError::Stalled { at });
        }
    }
    Ok(())
}

/// The prices that a partition decides with.
fn prices_at(history: &History, settings: &RawSettings, next: Offset) -> Option<Prices> {
    match settings.prices {
        PricesOf::ThatTime => history.as_of(next),
        PricesOf::Today => Some(history.latest().clone()),
    }
}
