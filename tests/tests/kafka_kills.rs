//! `kill -9` of the charger and of the projector at random moments, a broker and a ClickHouse that
//! are killed in the middle, while a load runs: nothing lost, nothing twice, exact to the last of 12
//! decimals.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use charger::{Clock, SystemClock};
use e2e::audit::{audit, reached};
use e2e::ledger_tail::LedgerTail;
use e2e::load::{Load, Terms};
use e2e::random::Random;
use e2e::service::{KafkaTerms, Role, ServiceSettings, create_topics, send};
use e2e::supervisor::Service;
use e2e::tables::Tables;
use e2e::truth::Pricing;
use eventlog::EventLog;
use eventlog_kafka::KafkaLog;
use testkit::{ClickHouse, Kafka, KafkaOptions, wait_until};

const SEED: u64 = 2_026;
const PARTITIONS: u32 = 4;
const EVENTS: usize = 62_000;
/// Kills of a service; each ends one step of the load.
const KILLS: u32 = 30;
const BROKER_KILL_AT: u32 = 10;
const CLICKHOUSE_KILL_AT: u32 = 20;
const LINES_PER_FLUSH: usize = 60;
/// A service lives at most this long, and at least a little.
const LIFE_MS_MIN: u64 = 150;
const LIFE_MS_MAX: u64 = 2_800;
const PATIENCE: Duration = Duration::from_secs(180);

/// A part of the load, and how long to take for it.
struct Step {
    lines: std::ops::Range<usize>,
    within: Duration,
}

fn produce(log: &KafkaLog, load: &Load, steps: &Receiver<Step>) -> anyhow::Result<()> {
    let mut appender = log.appender()?;
    for step in steps {
        let flushes = step.lines.len().div_ceil(LINES_PER_FLUSH).max(1);
        for (index, line) in
            load.lines.iter().enumerate().take(step.lines.end).skip(step.lines.start)
        {
            send(appender.as_mut(), index, line.to, &line.key, &line.value)?;
            if index % LINES_PER_FLUSH == 0 {
                appender.flush()?;
                // The load's pace.
                thread::sleep(step.within / u32::try_from(flushes)?);
            }
        }
        appender.flush()?;
    }
    Ok(())
}

#[test]
fn nothing_is_lost_and_nothing_is_twice() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut kafka = Kafka::start(KafkaOptions::default())?;
    let mut clickhouse = ClickHouse::start()?;
    let folder = testkit::temp_dir()?;
    let terms = KafkaTerms::quick(kafka.bootstrap());
    let log = Arc::new(terms.connect()?);
    create_topics(log.as_ref(), PARTITIONS)?;
    let tables = Tables::open(&clickhouse.http_url())?;
    let servers = started.elapsed();

    let now = SystemClock::default().now();
    let load = Load::plan(Terms { seed: SEED, partitions: PARTITIONS, events: EVENTS, now })?;
    let settings = |role| ServiceSettings {
        partitions: PARTITIONS,
        clickhouse_url: clickhouse.http_url(),
        folder: folder.path().to_owned(),
        role,
    };
    let program = env!("CARGO_BIN_EXE_e2e-service");
    let role = Role::Charger { kafka: terms.clone(), slot: 0, snapshot_every_inputs: 3_000 };
    let mut charger = Service::start("charger", program, folder.path(), settings(role))?;
    let role = Role::Projector { kafka: terms };
    let mut projector = Service::start("projector", program, folder.path(), settings(role))?;

    let mut random = Random::new(SEED);
    let run = Instant::now();
    thread::scope(|scope| -> anyhow::Result<()> {
        let (steps, queue) = channel();
        let producer = scope.spawn(|| {
            let queue = queue;
            produce(&log, &load, &queue)
        });
        let part = load.lines.len().div_ceil(KILLS as usize);
        for kill in 0..KILLS {
            let from = (kill as usize * part).min(load.lines.len());
            let lines = from..(from + part).min(load.lines.len());
            let life = Duration::from_millis(random.between(LIFE_MS_MIN, LIFE_MS_MAX));
            steps.send(Step { lines, within: life }).context("the producer ended")?;
            thread::sleep(life);
            if kill == BROKER_KILL_AT {
                kafka.kill()?;
                kafka.restart()?;
            }
            if kill == CLICKHOUSE_KILL_AT {
                clickhouse.kill()?;
                clickhouse.restart()?;
            }
            // Nothing but our own kill ends a service, whatever its servers do.
            charger.must_run()?;
            projector.must_run()?;
            let victim = if random.per_mille(500) { &mut charger } else { &mut projector };
            if let Role::Charger { kafka, .. } = &mut victim.settings.role {
                // A restarted replica may or may not keep its place in the group.
                kafka.static_membership = random.per_mille(500);
            }
            victim.kill_and_restart()?;
        }
        drop(steps);
        producer.join().map_err(|_| anyhow!("the producer panicked"))?
    })?;
    let loaded = run.elapsed();

    let unrated = unrated_for_good(&load)?;
    let mut tail = LedgerTail::open(log.as_ref(), PARTITIONS)?;
    let mut failed = None;
    let drained = wait_until(PATIENCE, || {
        let asked = charger.must_run().and_then(|()| tail.is_drained(log.as_ref(), unrated));
        asked.unwrap_or_else(|error| {
            failed = Some(error);
            true
        })
    });
    if let Some(error) = failed.take() {
        return Err(error);
    }
    drained
        .with_context(|| format!("the charger is not through: {tail:?}\n{}", charger.log_tail()))?;
    let goal = reached(&tail);
    let stored = wait_until(PATIENCE, || {
        let asked = projector.must_run().and_then(|()| tables.has_all(&goal));
        asked.unwrap_or_else(|error| {
            failed = Some(error);
            true
        })
    });
    if let Some(error) = failed.take() {
        return Err(error);
    }
    stored.with_context(|| format!("the projector is not through:\n{}", projector.log_tail()))?;
    let drained = run.elapsed() - loaded;
    charger.stop()?;
    projector.stop()?;

    let findings = audit(log.as_ref(), &load, &tail, &tables)?;
    let kinds: Vec<String> =
        tail.kinds.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    println!("seed                  {SEED}");
    println!("records sent          {} ({EVENTS} events)", findings.records);
    println!("kills                 charger {}, projector {}", charger.kills, projector.kills);
    println!("                      broker 1, ClickHouse 1");
    println!("input offsets         {}", findings.outcomes);
    println!("ledger entries        {} ({})", findings.entries, kinds.join(", "));
    println!("seals                 {}", tail.seals);
    println!("events charged        {}, unrated {unrated}", findings.charged);
    println!("sums compared         {} (exact to 12 decimals)", findings.sums_compared);
    println!("invariants' checks    {}", findings.checked);
    println!(
        "time                  servers {servers:.1?}, load {loaded:.1?}, drain {drained:.1?}, all {:.1?}",
        started.elapsed()
    );
    assert!(charger.kills >= 5 && projector.kills >= 5 && charger.kills + projector.kills >= 25);
    // Lots began and ended, prices came late, and old states were taken over from snapshots.
    for kind in ["lot_activated", "lot_in_grace", "unrated"] {
        assert!(tail.kinds.contains_key(kind), "no {kind} in {kinds:?}");
    }
    Ok(())
}

fn unrated_for_good(load: &Load) -> anyhow::Result<u64> {
    let pricing = Pricing::of(load)?;
    let mut unrated = 0;
    for event in &load.events {
        unrated += u64::from(pricing.lines(event)?.is_none());
    }
    Ok(unrated)
}
