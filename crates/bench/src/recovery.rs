//! `kill -9` of a charger that knows many identities and accounts, and the time until everything is as it was.
//!
//! The charger is a process of its own (this program again, with a hidden command), on a real broker. It is killed while it
//! works, with some of the load before it. The clock runs from the start of the next process to the moment at which every
//! partition is owned again and nothing is left to decide.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use charger::ChargerSettings;
use clap::Args;
use domain::{Outcome, Partition, Topic};
use eventlog::{EventLog, TopicSpec};
use eventlog_kafka::{KafkaLog, KafkaSettings};
use testkit::{Kafka, KafkaOptions};

use crate::kafka::{Service, send};
use crate::machine;
use crate::report::Report;
use crate::workload::Workload;

const PREFIX: &str = "recovery.";
/// The charger is killed when it has decided so much of the load.
const KILLED_AT: f64 = 0.97;
const TARGET: Duration = Duration::from_secs(15);
const TOLD_EVERY: Duration = Duration::from_millis(100);
const RECORDS_PER_FLUSH: u64 = 100_000;

/// How much it knows when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Args)]
pub(crate) struct Size {
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) identities: u64,
    #[arg(long, default_value_t = 100_000)]
    pub(crate) held_accounts: u32,
}

/// What the charger's process is told.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Victim {
    #[arg(long)]
    bootstrap: String,
    #[arg(long)]
    state: PathBuf,
}

pub(crate) fn measure(workload: &Workload, report: &mut Report) -> anyhow::Result<()> {
    let broker = Kafka::start(KafkaOptions::for_benchmarks())?;
    let log = KafkaLog::connect(settings(&broker.bootstrap()))?;
    let partitions = workload.partitions;
    log.create_topics(
        &Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(partitions) }),
    )?;
    fill(&log, workload)?;
    let folder = testkit::temp_dir()?;
    let mut first = Process::start(&broker.bootstrap(), folder.path(), partitions)?;
    let kill_at = (workload.events as f64 * KILLED_AT) as u64;
    first.until(|told| told.debits >= kill_at)?;
    let before = first.kill()?;
    let left = workload.events - before.debits;

    let started = Instant::now();
    let mut second = Process::start(&broker.bootstrap(), folder.path(), partitions)?;
    second.until(|told| told.owned)?;
    let owned = started.elapsed();
    // What was decided and not committed is decided again, so this counts from the ledger's own state.
    second.until(|told| told.lag == 0)?;
    let steady = started.elapsed();
    let told = second.kill()?;
    report.section(
        "Recovery from kill -9",
        &[
            "",
            "identities",
            "accounts",
            "left to decide",
            "owns its partitions after",
            "steady after",
            "target",
        ],
    );
    report.row([
        "charger on Kafka".to_owned(),
        workload.events.to_string(),
        workload.accounts.to_string(),
        left.to_string(),
        format!("{:.1} s", owned.as_secs_f64()),
        format!("{:.1} s", steady.as_secs_f64()),
        format!("{} s", TARGET.as_secs()),
    ]);
    report.line(&format!(
        "\nOf the time until it owns its partitions, {} took them over one after another: ms {:?}. State on disk {} MB; \
         memory of the second process {} MB at its peak.",
        partitions,
        told.recoveries,
        megabytes_below(folder.path())?,
        told.peak_mb,
    ));
    ensure!(steady <= TARGET, "recovery took {:.1} s", steady.as_secs_f64());
    Ok(())
}

fn settings(bootstrap: &str) -> KafkaSettings {
    KafkaSettings {
        prefix: PREFIX.to_owned(),
        // A restarted replica has its partitions back at once: as a deployment of replicas with names has it.
        static_membership: true,
        ..KafkaSettings::single_broker(bootstrap)
    }
}

fn fill(log: &dyn EventLog, workload: &Workload) -> anyhow::Result<()> {
    let mut appender = log.appender()?;
    for version in &workload.versions {
        send(&mut *appender, Topic::RatesCatalog, (Partition(0), ""), version)?;
    }
    let mut waiting = 0;
    workload.grants(&mut |partition, account, record| {
        send(&mut *appender, Topic::LedgerCommands, (partition, account), record)
    })?;
    appender.flush()?;
    workload.events(&mut |partition, account, record| {
        send(&mut *appender, Topic::UsageRaw, (partition, account), record)?;
        waiting += 1;
        if waiting % RECORDS_PER_FLUSH == 0 {
            appender.flush()?;
        }
        Ok(())
    })?;
    appender.flush()?;
    Ok(())
}

/// What the process says of itself, a line every so often.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
struct Told {
    owned: bool,
    debits: u64,
    lag: i64,
    recoveries: Vec<i64>,
    peak_mb: u64,
}

struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    last: Told,
}

impl Process {
    fn start(bootstrap: &str, state: &Path, partitions: u32) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("--partitions")
            .arg(partitions.to_string())
            .args(["recovery-victim", "--bootstrap", bootstrap, "--state"])
            .arg(state)
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("no output")?;
        Ok(Self { child, lines: BufReader::new(output).lines(), last: Told::default() })
    }

    fn until(&mut self, holds: impl Fn(&Told) -> bool) -> anyhow::Result<()> {
        while !holds(&self.last) {
            let Some(line) = self.lines.next() else { bail!("the charger ended") };
            self.last = serde_json::from_str(&line?)?;
        }
        Ok(())
    }

    /// `kill -9`; returns what it said last.
    fn kill(mut self) -> anyhow::Result<Told> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(std::mem::take(&mut self.last))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already, when all went well.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The charger's process: works until it is killed, and says how far it has come.
pub(crate) fn be_victim(victim: &Victim, partitions: u32) -> anyhow::Result<()> {
    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(settings(&victim.bootstrap))?);
    let terms = ChargerSettings::new(partitions, victim.state.clone());
    let service = Service::new(&log, &terms)?;
    let mut session = service.charger.join()?;
    let mut owned = false;
    let mut told_at = Instant::now();
    let mut output = std::io::stdout().lock();
    loop {
        session.round()?;
        let owns = service.owns(partitions);
        if told_at.elapsed() < TOLD_EVERY && owns == owned {
            continue;
        }
        owned = owns;
        told_at = Instant::now();
        let of = |partition: u32, gauge: &prometheus::IntGaugeVec| {
            gauge.with_label_values(&[&partition.to_string()]).get()
        };
        let debits = service.metrics.outcomes.with_label_values(&[Outcome::Debit.word()]).get();
        let metrics = &service.metrics;
        let mut lag = 0;
        for partition in (0..partitions).map(Partition) {
            for topic in Topic::INPUTS {
                let at = domain::TopicPartition { topic, partition };
                lag += log.bounds(at)?.stable_end.0;
            }
        }
        let told = Told {
            owned,
            debits,
            // Measured by the session once a second; before that, everything counts as left.
            lag: if owned && service.has_measured(partitions) {
                (0..partitions).map(|partition| of(partition, &metrics.lag_records)).sum()
            } else {
                lag.max(1)
            },
            recoveries: (0..partitions)
                .map(|partition| of(partition, &metrics.recovery_milliseconds))
                .collect(),
            peak_mb: machine::peak_memory_mb(),
        };
        writeln!(output, "{}", serde_json::to_string(&told)?)?;
        output.flush()?;
    }
}

fn megabytes_below(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for found in std::fs::read_dir(folder)? {
            let found = found?;
            let about = found.metadata()?;
            if about.is_dir() {
                folders.push(found.path());
            } else {
                bytes += about.len();
            }
        }
    }
    Ok(bytes >> 20)
}
