//! The live projector against a rebuild beside its tables: the same ledger, the same server, in turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{Append, EmbeddedLog, EventLog, TopicSpec};
use projector::{Projector, ProjectorMetrics, ProjectorSettings, WarehouseSink};
use replay::rebuild::{Rebuilder, Wanted};
use testkit::ClickHouse;
use tokio::runtime::Runtime;
use warehouse::{Settings, Warehouse};

use crate::core_alone::{Inputs, charge};
use crate::machine::{cpu_of, peak_memory_mb};
use crate::report::{Report, median, thousands};
use crate::workload::Workload;

const LOOK_EVERY: Duration = Duration::from_millis(20);
const MERGES_LOOK_EVERY: Duration = Duration::from_millis(250);
const QUIET_LOOKS: u32 = 8;
const PATIENCE: Duration = Duration::from_secs(1_800);

/// What one of them took: on the clock, and of the processors.
#[derive(Clone, Copy, Debug)]
struct Took {
    wall: Duration,
    client: Duration,
    server: Duration,
}

/// One round of each.
#[derive(Clone, Copy, Debug)]
struct Round {
    live: Took,
    rebuild: Took,
}

/// Measures what `act` takes.
fn took(server: &ClickHouse, act: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Took> {
    let busy = || (cpu_of(std::process::id()), cpu_of(server.pid()));
    let (started, before) = (Instant::now(), busy());
    act()?;
    let (wall, after) = (started.elapsed(), busy());
    let (client, server) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    Ok(Took { wall, client, server })
}

pub(crate) fn measure(
    workload: &Workload,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = testkit::temp_dir()?;
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(folder.path().join("log"))?);
    let records = fill(workload, log.as_ref())?;
    let server = ClickHouse::start()?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut measured = Vec::new();
    for number in 0..rounds.max(1) {
        measured.push(round(workload, &log, &server, (&runtime, number))?);
    }
    let count = records as f64;
    let nanos = |time: Duration| time.as_secs_f64() * 1e9 / count;
    report.section(
        "A rebuild beside the live tables",
        &["", "ledger records per second", "all, thousands", "client ns", "server ns per record"],
    );
    for (name, part) in [
        ("live projector, catching up", (|round| round.live) as fn(&Round) -> Took),
        ("rebuild of all tables", |round| round.rebuild),
    ] {
        let parts: Vec<Took> = measured.iter().map(part).collect();
        let rates = || parts.iter().map(|took| count / took.wall.as_secs_f64());
        report.row([
            name.to_owned(),
            format!("{:.0}", median(rates())),
            thousands(rates()),
            format!("{:.0}", median(parts.iter().map(|took| nanos(took.client)))),
            format!("{:.0}", median(parts.iter().map(|took| nanos(took.server)))),
        ]);
    }
    let ratio = |of: fn(&Took) -> Duration| {
        let ratios = measured
            .iter()
            .map(move |round| of(&round.live).as_secs_f64() / of(&round.rebuild).as_secs_f64());
        median(ratios)
    };
    report.line(&format!(
        "\n{:.2} times as fast as the live projector, with 1/{:.2} of its processor time, over {records} \
         records on the embedded log; at most {} MB of memory in this process, which holds the \
         workload as well.",
        ratio(|took| took.wall),
        ratio(|took| took.client + took.server),
        peak_memory_mb()
    ));
    Ok(())
}

/// The workload's ledger, in a log.
fn fill(workload: &Workload, log: &dyn EventLog) -> anyhow::Result<usize> {
    let topics = Topic::ALL
        .map(|topic| TopicSpec { topic, partitions: topic.partitions(workload.partitions) });
    log.create_topics(&topics)?;
    let mut appender = log.appender()?;
    let mut append = |topic, partition, value: &[u8]| {
        let to = TopicPartition { topic, partition };
        appender.append(Append { to, key: b"bench", value, headers: &[] })
    };
    for version in &workload.versions {
        append(Topic::RatesCatalog, Partition(0), version)?;
    }
    let charged = charge(workload, &Inputs::new(workload)?, true)?;
    let mut count = 0;
    for (partition, records) in (0..).map(Partition).zip(&charged.ledger) {
        for record in records.iter() {
            append(Topic::LedgerEntries, partition, record)?;
            count += 1;
        }
    }
    appender.flush()?;
    Ok(count)
}

fn round(
    workload: &Workload,
    log: &Arc<dyn EventLog>,
    server: &ClickHouse,
    (runtime, number): (&Runtime, usize),
) -> anyhow::Result<Round> {
    let settings =
        Settings { database: format!("rebuild_{number}"), ..Settings::new(server.http_url()) };
    let warehouse = runtime.block_on(async {
        let warehouse = Warehouse::connect(settings).await?;
        warehouse.migrate().await?;
        anyhow::Ok(warehouse)
    })?;
    let live = took(server, || project(workload, log, &warehouse, (runtime, number)))?;
    // What the live tables have left to merge is not the rebuild's.
    until_merged(server)?;
    let rebuilder = Rebuilder::new(
        Arc::clone(log),
        warehouse,
        runtime.handle().clone(),
        (format!("bench {number}"), workload.partitions),
    );
    let plan = rebuilder.plan(&Wanted::default(), workload.now())?;
    let id = rebuilder.begin(&plan, "bench")?;
    let rebuild = took(server, || {
        let started = Instant::now();
        while !rebuilder.advance(&id)?.caught_up {
            ensure!(started.elapsed() < PATIENCE, "the rebuild makes no way");
        }
        Ok(())
    })?;
    rebuilder.discard(&id)?;
    until_merged(server)?;
    Ok(Round { live, rebuild })
}

/// Waits until the server merges nothing, a few looks long.
fn until_merged(server: &ClickHouse) -> anyhow::Result<()> {
    let client = testkit::http_client(PATIENCE)?;
    let (started, mut quiet) = (Instant::now(), 0);
    while quiet < QUIET_LOOKS {
        ensure!(started.elapsed() < PATIENCE, "the merges have no end");
        std::thread::sleep(MERGES_LOOK_EVERY);
        let asked = client.post(server.http_url()).body("SELECT count() FROM system.merges");
        let merges = asked.send()?.error_for_status()?.text()?;
        quiet = if merges.trim() == "0" { quiet + 1 } else { 0 };
    }
    Ok(())
}

/// Runs the projector until everything is in its tables.
fn project(
    workload: &Workload,
    log: &Arc<dyn EventLog>,
    warehouse: &Warehouse,
    (runtime, number): (&Runtime, usize),
) -> anyhow::Result<()> {
    let stop = AtomicBool::new(false);
    let projector = Projector::new(
        Arc::clone(log),
        WarehouseSink(warehouse.clone()),
        ProjectorSettings {
            group: format!("bench-{number}"),
            ..ProjectorSettings::new(workload.partitions)
        },
        ProjectorMetrics::new(&prometheus::Registry::new())?,
        Arc::new(now),
    );
    let mut ends = Vec::new();
    for partition in (0..workload.partitions).map(Partition) {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        ends.push((partition, log.bounds(at)?.stable_end));
    }
    let started = Instant::now();
    std::thread::scope(|scope| {
        let running = scope.spawn(|| projector.run(&stop));
        let outcome = loop {
            let marked = match runtime.block_on(warehouse.marked_offsets()) {
                Ok(marked) => marked,
                Err(error) => break Err(error.into()),
            };
            let has = |(partition, end): &(Partition, Offset)| {
                marked.iter().any(|(of, next)| of == partition && next >= end)
            };
            if ends.iter().all(has) {
                break Ok(());
            }
            if running.is_finished() || started.elapsed() > PATIENCE {
                break Err(anyhow!("the projector makes no way"));
            }
            std::thread::sleep(LOOK_EVERY);
        };
        stop.store(true, Ordering::Relaxed);
        let ended = running.join().map_err(|_| anyhow!("the projector panicked"))?;
        outcome.and(ended.context("the projector"))
    })
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let micros = since.map_or(0, |since| i64::try_from(since.as_micros()).unwrap_or(i64::MAX));
    Timestamp::from_micros(micros)
}
