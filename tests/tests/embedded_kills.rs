//! The same on the embedded log: charger, projector and producer in one process, killed as a whole.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use charger::{Clock, SystemClock};
use e2e::audit::audit;
use e2e::input_file;
use e2e::ledger_tail::LedgerTail;
use e2e::load::{Load, Terms};
use e2e::random::Random;
use e2e::service::{DATABASE, Drained, Role, ServiceSettings, drained_file, embedded_folder};
use e2e::supervisor::Service;
use e2e::tables::Tables;
use e2e::truth::Pricing;
use eventlog::EmbeddedLog;
use testkit::{ClickHouse, wait_until};

const SEED: u64 = 11;
const PARTITIONS: u32 = 3;
const EVENTS: usize = 16_000;
const KILLS: u32 = 12;
const CLICKHOUSE_KILL_AT: u32 = 6;
const LIFE_MS_MIN: u64 = 200;
const LIFE_MS_MAX: u64 = 1_800;
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn nothing_is_lost_and_nothing_is_twice() -> anyhow::Result<()> {
    let started = Instant::now();
    let mut clickhouse = ClickHouse::start()?;
    let tables = Tables::open(&clickhouse.http_url())?;
    let folder = testkit::temp_dir()?;
    let now = SystemClock::default().now();
    let load = Load::plan(Terms::new(SEED, PARTITIONS, EVENTS, now))?;
    let pricing = Pricing::of(&load)?;
    let mut unrated = 0;
    for event in &load.events {
        unrated += u64::from(pricing.lines(event)?.is_none());
    }
    let input = folder.path().join("input.jsonl");
    input_file::write(&load, &input)?;
    let settings = ServiceSettings {
        partitions: PARTITIONS,
        clickhouse_url: clickhouse.http_url(),
        database: DATABASE.to_owned(),
        folder: folder.path().to_owned(),
        role: Role::Together { input, pace: Duration::from_millis(20), unrated },
    };
    let program = env!("CARGO_BIN_EXE_e2e-service");
    let mut service = Service::start("tally", program, folder.path(), settings)?;
    let mut random = Random::new(SEED);
    for kill in 0..KILLS {
        thread::sleep(Duration::from_millis(random.between(LIFE_MS_MIN, LIFE_MS_MAX)));
        if kill == CLICKHOUSE_KILL_AT {
            clickhouse.kill()?;
            clickhouse.restart()?;
        }
        service.kill_and_restart()?;
    }
    let marker = drained_file(folder.path());
    let mut ended = None;
    let drained = wait_until(PATIENCE, || {
        ended = service.must_run().err();
        ended.is_some() || marker.exists()
    });
    if let Some(error) = ended.take() {
        return Err(error);
    }
    drained.with_context(|| format!("not through:\n{}", service.log_tail()))?;
    let goal: Drained = serde_json::from_str(&std::fs::read_to_string(&marker)?)?;
    let stored = wait_until(PATIENCE, || {
        let asked = service.must_run().and_then(|()| tables.has_all(&goal));
        asked.unwrap_or_else(|error| {
            ended = Some(error);
            true
        })
    });
    if let Some(error) = ended.take() {
        return Err(error);
    }
    stored.with_context(|| format!("ClickHouse is behind:\n{}", service.log_tail()))?;
    service.stop()?;

    let log = EmbeddedLog::open(embedded_folder(folder.path()))?;
    let mut tail = LedgerTail::open(&log, PARTITIONS)?;
    assert!(tail.is_drained(&log, unrated)?);
    let findings = audit(&log, &load, &tail, &tables)?;
    println!("seed                  {SEED}");
    println!(
        "records in the log    {} of {} lines ({EVENTS} events): {} sent again",
        findings.records,
        load.lines.len(),
        (findings.records as usize + 5).saturating_sub(load.lines.len())
    );
    println!("kills                 {} of the process, 1 of ClickHouse", service.kills);
    println!("input offsets         {}", findings.outcomes);
    println!("ledger entries        {}, seals {}", findings.entries, tail.seals);
    println!("sums compared         {} (exact to 12 decimals)", findings.sums_compared);
    println!("time                  {:.1?}", started.elapsed());
    assert!(service.kills >= 10);
    Ok(())
}
