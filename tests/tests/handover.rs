//! Two chargers share the partitions. One is stopped in its tracks past its session, and goes on
//! when another has its partitions: what it had begun never counts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use charger::{Clock, SystemClock};
use domain::{Partition, Topic, TopicPartition};
use e2e::audit::{audit, reached};
use e2e::ledger_tail::LedgerTail;
use e2e::load::{Load, Terms};
use e2e::service::{KafkaTerms, Role, ServiceSettings, create_topics, send};
use e2e::supervisor::Service;
use e2e::tables::Tables;
use e2e::truth::Pricing;
use eventlog::EventLog;
use eventlog_kafka::KafkaLog;
use testkit::{ClickHouse, Kafka, KafkaOptions, wait_until};

const SEED: u64 = 5;
const PARTITIONS: u32 = 4;
const EVENTS: usize = 12_000;
const PATIENCE: Duration = Duration::from_secs(90);
/// Far more than a session's time-out, after which a zombie learns of its fate.
const TOLD_PATIENCE: Duration = Duration::from_secs(15);
/// How often one of them is stopped and goes on.
const ROUNDS: usize = 3;

fn ledger_ends(log: &KafkaLog) -> anyhow::Result<Vec<i64>> {
    (0..PARTITIONS)
        .map(|partition| {
            let at =
                TopicPartition { topic: Topic::LedgerEntries, partition: Partition(partition) };
            Ok(log.bounds(at)?.stable_end.0)
        })
        .collect()
}

/// How often a charger said that its partitions are another's, or that what it had under way was
/// refused: one that stood still while it gave partitions up in order is told no more than that.
fn told(charger: &Service) -> anyhow::Result<usize> {
    Ok(charger.logged("partitions lost")?
        + charger.logged("another charger took over")?
        + charger.logged("commit aborted; going back to the ledger")?)
}

/// Whether the zombie was told again. A charger that ended by itself is started again, as a
/// supervisor does.
fn told_since(
    chargers: &mut [Service; 2],
    zombie: usize,
    before: usize,
    restarts: &mut u32,
) -> anyhow::Result<bool> {
    for charger in chargers.iter_mut() {
        *restarts += u32::from(charger.restart_if_ended()?);
    }
    Ok(told(&chargers[zombie])? > before)
}

/// How often a charger has taken over each partition.
fn takeovers(charger: &Service) -> anyhow::Result<Vec<usize>> {
    (0..PARTITIONS)
        .map(|partition| charger.logged(&format!("partition taken over partition={partition} ")))
        .collect()
}

#[test]
fn a_charger_that_comes_back_late_is_fenced() -> anyhow::Result<()> {
    let started = Instant::now();
    let kafka = Kafka::start(KafkaOptions::default())?;
    let clickhouse = ClickHouse::start()?;
    let folder = testkit::temp_dir()?;
    let terms = KafkaTerms {
        transaction_timeout: Duration::from_secs(3),
        ..KafkaTerms::quick(kafka.bootstrap())
    };
    let log = Arc::new(terms.connect()?);
    create_topics(log.as_ref(), PARTITIONS)?;
    let tables = Tables::open(&clickhouse.http_url())?;
    let now = SystemClock::default().now();
    let load = Load::plan(Terms { seed: SEED, partitions: PARTITIONS, events: EVENTS, now })?;
    let settings = |role| ServiceSettings {
        partitions: PARTITIONS,
        clickhouse_url: clickhouse.http_url(),
        folder: folder.path().to_owned(),
        role,
    };
    let program = env!("CARGO_BIN_EXE_e2e-service");
    let start = |name, slot| {
        let role = Role::Charger { kafka: terms.clone(), slot, snapshot_every_inputs: 1_000 };
        Service::start(name, program, folder.path(), settings(role))
    };
    let mut chargers = [start("charger-0", 0)?, start("charger-1", 1)?];
    let role = Role::Projector { kafka: terms.clone() };
    let mut projector = Service::start("projector", program, folder.path(), settings(role))?;

    let mut appender = log.appender()?;
    // The load comes in parts: while both work, while one stands still, after it is back.
    let part = load.lines.len().div_ceil(2 * ROUNDS);
    let mut restarts = 0;
    let mut untold = 0;
    let mut sent = 0;
    for round in 0..ROUNDS {
        let mut send_part = |up_to: usize| -> anyhow::Result<()> {
            for (index, line) in load.lines.iter().enumerate().take(up_to).skip(sent) {
                send(appender.as_mut(), index, line.to, &line.key, &line.value)?;
            }
            appender.flush()?;
            sent = up_to.min(load.lines.len());
            Ok(())
        };
        send_part((2 * round + 1) * part)?;
        let zombie = round % 2;
        // In the middle of its work, as likely as not with a transaction open.
        let before = ledger_ends(&log)?;
        wait_until(PATIENCE, || ledger_ends(&log).is_ok_and(|ends| ends > before))
            .context("nobody works")?;
        chargers[zombie].pause()?;
        let before = takeovers(&chargers[1 - zombie])?;
        send_part((2 * round + 2) * part)?;
        // The other charger takes over every partition, also those that stood still.
        wait_until(PATIENCE, || {
            takeovers(&chargers[1 - zombie])
                .is_ok_and(|now| now.iter().zip(&before).all(|(now, before)| now > before))
        })
        .with_context(|| format!("no takeover:\n{}", chargers[1 - zombie].log_tail()))?;
        let told = told(&chargers[zombie])?;
        chargers[zombie].resume()?;
        let mut failed = None;
        let noticed = wait_until(TOLD_PATIENCE, || {
            match told_since(&mut chargers, zombie, told, &mut restarts) {
                Ok(told) => told,
                Err(error) => {
                    failed = Some(error);
                    true
                }
            }
        });
        ensure!(failed.is_none(), "{failed:?}");
        // One that stood still between two assignments held nothing that it could be told of. Whether
        // it did harm is for the audit to say.
        untold += usize::from(noticed.is_err());
    }

    let pricing = Pricing::of(&load)?;
    let mut unrated = 0;
    for event in &load.events {
        unrated += u64::from(pricing.lines(event)?.is_none());
    }
    let mut tail = LedgerTail::open(log.as_ref(), PARTITIONS)?;
    wait_until(PATIENCE, || {
        for charger in &mut chargers {
            restarts += u32::from(charger.restart_if_ended().is_ok_and(|ended| ended));
        }
        tail.is_drained(log.as_ref(), unrated).is_ok_and(|drained| drained)
    })
    .with_context(|| format!("{}\n{}", chargers[0].log_tail(), chargers[1].log_tail()))?;
    let goal = reached(&tail);
    wait_until(PATIENCE, || tables.has_all(&goal).is_ok_and(|all| all))
        .with_context(|| format!("the projector is not through:\n{}", projector.log_tail()))?;
    let findings = audit(log.as_ref(), &load, &tail, &tables)?;
    for charger in &mut chargers {
        charger.stop()?;
    }
    projector.stop()?;
    let mut lost = 0;
    for charger in &chargers {
        lost += told(charger)?;
    }
    println!("seed                  {SEED}");
    println!(
        "zombies               {ROUNDS}; told so {lost} times, {untold} held nothing; ended and begun \
         anew {restarts}"
    );
    println!("input offsets         {}", findings.outcomes);
    println!("ledger entries        {}, seals {}", findings.entries, tail.seals);
    println!("time                  {:.1?}", started.elapsed());
    assert!(untold < ROUNDS && lost + untold >= ROUNDS, "zombies went on unnoticed");
    Ok(())
}
