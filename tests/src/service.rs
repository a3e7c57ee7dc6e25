//! What a child process of the tests runs: the charger or the projector on Kafka, or everything in
//! one process on the embedded log.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use charger::{Charger, ChargerMetrics, ChargerSettings, Clock, SystemClock};
use domain::{Timestamp, Topic, TopicPartition};
use eventlog::{Append, Appender, EmbeddedLog, EventLog, TopicSpec};
use eventlog_kafka::{KafkaLog, KafkaSettings};
use gateway::GatewaySettings;
use projector::{Projector, ProjectorMetrics, ProjectorSettings, WarehouseSink};
use serde::{Deserialize, Serialize};
use warehouse::Warehouse;

use crate::input_file::{self, InputRecord};
use crate::ledger_tail::LedgerTail;
use crate::random::Random;
use crate::received::{LINE_HEADER, last_line};

/// The database of a test that has a ClickHouse of its own.
pub const DATABASE: &str = "tally";
/// Lines per flush of the producer in the embedded process.
const LINES_PER_FLUSH: usize = 40;
/// A producer that died sends up to so many lines again.
const RESENT_MAX: usize = 37;

/// Settings of one child process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceSettings {
    pub partitions: u32,
    pub clickhouse_url: String,
    pub database: String,
    /// Where state, snapshots and the embedded log are kept.
    pub folder: PathBuf,
    pub role: Role,
}

/// Which service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    Charger {
        kafka: KafkaTerms,
        slot: u32,
        snapshot_every_inputs: u64,
        hot_identities_max: usize,
        clock: ServiceClock,
    },
    Projector {
        kafka: KafkaTerms,
    },
    /// The HTTP API, on Kafka.
    Gateway {
        kafka: KafkaTerms,
        listen: SocketAddr,
    },
    /// Charger, projector and gateway, on the embedded log.
    Served {
        listen: SocketAddr,
    },
    /// Charger, projector and a producer that sends a file, on the embedded log.
    Together {
        input: PathBuf,
        pace: Duration,
        unrated: u64,
    },
}

impl Role {
    /// A charger with the defaults.
    pub fn charger(kafka: KafkaTerms, slot: u32, snapshot_every_inputs: u64) -> Self {
        Self::Charger {
            kafka,
            slot,
            snapshot_every_inputs,
            hot_identities_max: 4_000_000,
            clock: ServiceClock::default(),
        }
    }
}

/// A calendar that is set forward and back every so often, by a step that a seed decides.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ServiceClock {
    pub seed: u64,
    pub step_every_ms: u64,
    /// Either way; zero for a clock that is right.
    pub step_s_max: u64,
}

impl ServiceClock {
    fn start(self) -> SteppingClock {
        SteppingClock { terms: self, right: SystemClock::default() }
    }
}

struct SteppingClock {
    terms: ServiceClock,
    right: SystemClock,
}

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        let ServiceClock { seed, step_every_ms, step_s_max } = self.terms;
        if step_s_max == 0 {
            return self.right.now();
        }
        let step = self.right.running().as_millis() as u64 / step_every_ms.max(1);
        let most = 2 * step_s_max * 1_000_000;
        let off = Random::new(seed.wrapping_add(step)).below(most) as i64 - (most / 2) as i64;
        self.right.now().plus_micros(off)
    }

    fn running(&self) -> Duration {
        self.right.running()
    }
}

/// How to reach the broker.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KafkaTerms {
    pub bootstrap: String,
    /// Deployments that share a broker.
    pub prefix: String,
    pub session_timeout: Duration,
    pub transaction_timeout: Duration,
    pub static_membership: bool,
}

impl KafkaTerms {
    /// Quick to notice a dead member, so that a run fits many of them.
    pub fn quick(bootstrap: String) -> Self {
        Self {
            bootstrap,
            prefix: String::new(),
            session_timeout: Duration::from_millis(1_500),
            transaction_timeout: Duration::from_secs(10),
            static_membership: false,
        }
    }

    /// # Errors
    /// Settings that cannot work.
    pub fn connect(&self) -> anyhow::Result<KafkaLog> {
        let settings = KafkaSettings {
            session_timeout: self.session_timeout,
            transaction_timeout: self.transaction_timeout,
            static_membership: self.static_membership,
            prefix: self.prefix.clone(),
            ..KafkaSettings::single_broker(&self.bootstrap)
        };
        Ok(KafkaLog::connect(settings)?)
    }
}

/// Creates a deployment's topics where they are missing.
///
/// # Errors
/// Those of the log.
pub fn create_topics(log: &dyn EventLog, partitions: u32) -> anyhow::Result<()> {
    let topics =
        Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(partitions) });
    Ok(log.create_topics(&topics)?)
}

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_terminate(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

/// Runs the service until SIGTERM.
///
/// # Errors
/// What ended it.
pub fn run(settings: &str) -> anyhow::Result<()> {
    let settings: ServiceSettings = serde_json::from_str(settings)?;
    tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
    let handler = on_terminate as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing but store to an atomic.
    unsafe { libc::signal(libc::SIGTERM, handler as libc::sighandler_t) };
    match &settings.role {
        Role::Charger { kafka, slot, snapshot_every_inputs, hot_identities_max, clock } => {
            let log = Arc::new(kafka.connect()?);
            let charger = ChargerSettings {
                writer: format!("tally-charger-{slot}"),
                snapshot_every_inputs: *snapshot_every_inputs,
                hot_identities_max: *hot_identities_max,
                ..ChargerSettings::new(settings.partitions, settings.folder.join(slot.to_string()))
            };
            run_charger_at(log, charger, Arc::new(clock.start()), &STOP)
        }
        Role::Projector { kafka } => run_projector(Arc::new(kafka.connect()?), &settings, &STOP),
        Role::Gateway { kafka, listen } => {
            run_gateway(Arc::new(kafka.connect()?), &settings, *listen, &STOP)
        }
        Role::Served { listen } => served(&settings, *listen),
        Role::Together { input, pace, unrated } => {
            let input = input_file::read(input)?;
            together(&settings, &input, (*pace, *unrated))
        }
    }
}

/// # Errors
/// What ended it.
pub fn run_charger(
    log: Arc<dyn EventLog>,
    settings: ChargerSettings,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    run_charger_at(log, settings, Arc::new(SystemClock::default()), stop)
}

fn run_charger_at(
    log: Arc<dyn EventLog>,
    settings: ChargerSettings,
    clock: Arc<dyn Clock>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let metrics = ChargerMetrics::new(&prometheus::Registry::new())?;
    Charger::new(log, settings, clock, metrics).run(stop).context("charger")
}

/// # Errors
/// What ended it.
pub fn run_projector(
    log: Arc<dyn EventLog>,
    settings: &ServiceSettings,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    // With a thread of its own: connections that are made here are used by the projector's runtime,
    // and nobody else would drive them.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let warehouse = runtime.block_on(reach(settings))?;
    let metrics = ProjectorMetrics::new(&prometheus::Registry::new())?;
    let clock = SystemClock::default();
    let now = Arc::new(move || clock.now());
    let terms = ProjectorSettings::new(settings.partitions);
    Projector::new(log, WarehouseSink(warehouse), terms, metrics, now)
        .run(stop)
        .context("projector")
}

/// Connects to ClickHouse, and waits for a server that starts at this moment, as `tally run` does.
async fn reach(settings: &ServiceSettings) -> anyhow::Result<Warehouse> {
    loop {
        let asked = warehouse::Settings {
            database: settings.database.clone(),
            ..warehouse::Settings::new(&settings.clickhouse_url)
        };
        match Warehouse::connect(asked).await {
            Ok(warehouse) => return Ok(warehouse),
            Err(error) if error.consequence() == warehouse::Consequence::Retry => {
                tracing::warn!(%error, "ClickHouse is away");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Where a gateway of the tests leaves its operator's key.
pub fn operator_key_file(folder: &Path) -> PathBuf {
    folder.join("operator.key")
}

/// # Errors
/// What ended it.
pub fn run_gateway(
    log: Arc<dyn EventLog>,
    settings: &ServiceSettings,
    listen: SocketAddr,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let terms = GatewaySettings {
        listen,
        operator_key_file: Some(operator_key_file(&settings.folder)),
        alone: matches!(settings.role, Role::Served { .. }),
        ..GatewaySettings::new(settings.partitions)
    };
    runtime.block_on(async {
        let warehouse = Arc::new(reach(settings).await?);
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let registry = prometheus::Registry::new();
        gateway::serve(log, warehouse, terms, registry, stopped).await.context("gateway")
    })
}

fn served(settings: &ServiceSettings, listen: SocketAddr) -> anyhow::Result<()> {
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(embedded_folder(&settings.folder))?);
    create_topics(log.as_ref(), settings.partitions)?;
    std::thread::scope(|scope| {
        let charger = ChargerSettings {
            snapshot_every_inputs: 2_000,
            ..ChargerSettings::new(settings.partitions, settings.folder.join("state"))
        };
        let for_charger = Arc::clone(&log);
        scope.spawn(move || end_with(run_charger(for_charger, charger, &STOP)));
        let for_projector = Arc::clone(&log);
        scope.spawn(move || end_with(run_projector(for_projector, settings, &STOP)));
        end_with(run_gateway(log, settings, listen, &STOP));
    });
    Ok(())
}

/// Written once everything was sent and decided: how far ClickHouse has to come.
#[derive(Debug, Serialize, Deserialize)]
pub struct Drained {
    pub last_entries: Vec<(u32, i64)>,
    pub dead_letters: u64,
}

/// The file of [`Drained`] in the service's folder.
pub fn drained_file(folder: &Path) -> PathBuf {
    folder.join("drained.json")
}

/// The embedded log of a service's folder.
pub fn embedded_folder(folder: &Path) -> PathBuf {
    folder.join("log")
}

fn together(
    settings: &ServiceSettings,
    input: &[InputRecord],
    (pace, unrated): (Duration, u64),
) -> anyhow::Result<()> {
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(embedded_folder(&settings.folder))?);
    create_topics(log.as_ref(), settings.partitions)?;
    std::thread::scope(|scope| {
        let charger = ChargerSettings {
            snapshot_every_inputs: 2_000,
            ..ChargerSettings::new(settings.partitions, settings.folder.join("state"))
        };
        let for_charger = Arc::clone(&log);
        scope.spawn(move || end_with(run_charger(for_charger, charger, &STOP)));
        let for_projector = Arc::clone(&log);
        scope.spawn(move || end_with(run_projector(for_projector, settings, &STOP)));
        let produced = produce(log.as_ref(), settings.partitions, input, pace)
            .and_then(|()| drain(log.as_ref(), settings, unrated));
        if produced.is_err() {
            end_with(produced);
        }
    });
    Ok(())
}

/// A service that ended by itself ends the process: what it says is then in the log.
fn end_with(result: anyhow::Result<()>) {
    if let Err(error) = result {
        eprintln!("ended: {error:#}");
        std::process::exit(1);
    }
}

/// Sends the file from where the log ends, and a little from before it, as a producer does that did
/// not hear of its last records.
fn produce(
    log: &dyn EventLog,
    partitions: u32,
    input: &[InputRecord],
    pace: Duration,
) -> anyhow::Result<()> {
    let reached = last_line(log, partitions)?.map_or(0, |line| line + 1);
    let resent = if reached < input.len() { reached.min(reached % RESENT_MAX) } else { 0 };
    tracing::info!(reached, resent, "producing");
    let mut appender = log.appender()?;
    let from = reached - resent;
    for (index, record) in input.iter().enumerate().skip(from) {
        if STOP.load(Ordering::Relaxed) {
            return Ok(());
        }
        // A catalogue version is published once.
        if index < reached && record.to.topic == Topic::RatesCatalog {
            continue;
        }
        send(appender.as_mut(), index, record.to, &record.key, &record.value)?;
        if index % LINES_PER_FLUSH == 0 {
            appender.flush()?;
            std::thread::sleep(pace);
        }
    }
    appender.flush()?;
    Ok(())
}

/// Appends one line of a load.
///
/// # Errors
/// Those of the log.
pub fn send(
    appender: &mut dyn Appender,
    line: usize,
    to: TopicPartition,
    key: &str,
    value: &[u8],
) -> anyhow::Result<()> {
    let number = line.to_string();
    let headers = [(LINE_HEADER, number.as_bytes())];
    Ok(appender.append(Append { to, key: key.as_bytes(), value, headers: &headers })?)
}

fn drain(log: &dyn EventLog, settings: &ServiceSettings, unrated: u64) -> anyhow::Result<()> {
    let mut tail = LedgerTail::open(log, settings.partitions)?;
    loop {
        // Asking waits for the tail's next record, so this does not spin.
        if STOP.load(Ordering::Relaxed) || tail.is_drained(log, unrated)? {
            break;
        }
    }
    let drained = Drained {
        last_entries: tail.last_entries.iter().map(|(at, offset)| (at.0, offset.0)).collect(),
        dead_letters: tail.counts.get(domain::Outcome::DeadLetter),
    };
    let path = drained_file(&settings.folder);
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, serde_json::to_string(&drained)?)?;
    Ok(std::fs::rename(unfinished, path)?)
}
