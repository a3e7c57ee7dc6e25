//! The charger on a real broker, against a bare transactional copy of as many records of the same size.
//!
//! Each round of the charger has topics, a group and a state of its own, filled with the same bytes; the copies share one
//! set. The clock runs from the moment at which the charger owns its partitions (the copy: at which it begins its first
//! transaction) to the commit after which everything is taken; joining, and folding the grants, come before it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use charger::{Charger, ChargerMetrics, ChargerSettings, Session, SystemClock};
use domain::{Outcome, Partition, Topic, TopicPartition};
use eventlog::{Append, Appender, EventLog, TopicSpec};
use eventlog_kafka::baseline::{CopyPlan, process_cpu, transactional_copy};
use eventlog_kafka::{KafkaLog, KafkaSettings};
use prometheus::Registry;
use testkit::{Kafka, KafkaOptions};

use crate::at_least_once::AtLeastOnce;
use crate::report::{Report, median, thousands};
use crate::workload::Workload;
use crate::{core_alone, machine};

/// Enough to know a debit's size.
pub(crate) const SAMPLE_EVENTS: u64 = 20_000;
const COMMIT_EVERY: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(180);
const RECORDS_PER_FLUSH: u64 = 100_000;
/// Records copied before anything is measured: a cold broker costs twice as much per record.
const WARM_UP_RECORDS: u64 = 3_000_000;

/// What is measured in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contestant {
    BareCopy,
    Charger,
    WithoutTransactions,
}

const CONTESTANTS: [Contestant; 3] =
    [Contestant::BareCopy, Contestant::Charger, Contestant::WithoutTransactions];

impl Contestant {
    const fn name(self) -> &'static str {
        match self {
            Self::BareCopy => "bare transactional copy",
            Self::Charger => "charger",
            Self::WithoutTransactions => "charger, idempotent without transactions",
        }
    }
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    contestant: Contestant,
    events: u64,
    wall: Duration,
    client: Duration,
    /// Of `client`: the thread that decides (the copy's: that takes and produces); the rest is the client library's.
    own: Duration,
    broker: Duration,
    commits: u64,
    /// Of one commit, on average; zero where it was not measured.
    commit: Duration,
}

impl Run {
    fn per_second(&self) -> f64 {
        self.events as f64 / self.wall.as_secs_f64()
    }

    fn micros(&self, time: Duration) -> f64 {
        time.as_secs_f64() * 1e6 / self.events as f64
    }
}

pub(crate) fn measure(
    workload: &Workload,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let debit_bytes = core_alone::debit_bytes(workload)?;
    let broker = Kafka::start(KafkaOptions::for_benchmarks())?;
    let stage = Stage { workload, broker, debit_bytes };
    let copy_settings = stage.settings("copy");
    stage.prepare_copy(&copy_settings)?;
    for _ in 0..WARM_UP_RECORDS.div_ceil(workload.events) {
        stage.copy(&copy_settings)?;
    }
    stage.charge("warm", Contestant::Charger)?;
    let mut runs = Vec::new();
    for round in 0..rounds.max(1) {
        let mut order = CONTESTANTS;
        if round % 2 == 1 {
            order.reverse();
        }
        for contestant in order {
            let run = match contestant {
                Contestant::BareCopy => stage.copy(&copy_settings)?,
                Contestant::Charger | Contestant::WithoutTransactions => {
                    stage.charge(&format!("round-{round}-{}", contestant as u8), contestant)?
                }
            };
            eprintln!("{}: {:.0} per second", contestant.name(), run.per_second());
            runs.push(run);
        }
    }
    show(report, &runs);
    let cpu = |contestant| {
        median(of_all(&runs, contestant).map(|run| run.micros(run.client + run.broker)))
    };
    report.line(&format!(
        "\nBy processor time, client and broker together, the charger reaches {:.2} of the copy.",
        cpu(Contestant::BareCopy) / cpu(Contestant::Charger)
    ));
    report.line(&format!(
        "\n{} events per run, {} partitions, commits every {} ms; the copy writes {debit_bytes} bytes per record, as a debit \
         has. Peak memory of this process {} MB (the copy's and the load's included).",
        workload.events,
        workload.partitions,
        COMMIT_EVERY.as_millis(),
        machine::peak_memory_mb(),
    ));
    Ok(())
}

fn of_all(runs: &[Run], contestant: Contestant) -> impl Iterator<Item = &Run> {
    runs.iter().filter(move |run| run.contestant == contestant)
}

fn show(report: &mut Report, runs: &[Run]) {
    report.section(
        "The charger on Kafka",
        &[
            "",
            "events/s, median",
            "to the copy",
            "all (thousands)",
            "client µs/event",
            "of it the deciding thread",
            "broker µs/event",
            "commits",
            "ms per commit",
        ],
    );
    let of = |contestant| of_all(runs, contestant);
    let copy = median(of(Contestant::BareCopy).map(Run::per_second));
    for contestant in CONTESTANTS {
        let rate = median(of(contestant).map(Run::per_second));
        report.row([
            contestant.name().to_owned(),
            format!("{rate:.0}"),
            format!("{:.2}", rate / copy),
            thousands(of(contestant).map(Run::per_second)),
            format!("{:.2}", median(of(contestant).map(|run| run.micros(run.client)))),
            format!("{:.2}", median(of(contestant).map(|run| run.micros(run.own)))),
            format!("{:.2}", median(of(contestant).map(|run| run.micros(run.broker)))),
            format!("{:.0}", median(of(contestant).map(|run| run.commits as f64))),
            format!("{:.0}", median(of(contestant).map(|run| run.commit.as_secs_f64() * 1e3))),
        ]);
    }
}

/// A warm broker and what is sent through it.
struct Stage<'w> {
    workload: &'w Workload,
    broker: Kafka,
    debit_bytes: usize,
}

impl Stage<'_> {
    fn settings(&self, prefix: &str) -> KafkaSettings {
        KafkaSettings {
            prefix: format!("{prefix}."),
            ..KafkaSettings::single_broker(self.broker.bootstrap())
        }
    }

    fn prepare_copy(&self, settings: &KafkaSettings) -> anyhow::Result<()> {
        let log = KafkaLog::connect(settings.clone())?;
        let partitions = self.workload.partitions;
        log.create_topics(
            &[Topic::UsageRaw, Topic::LedgerEntries].map(|topic| TopicSpec { topic, partitions }),
        )?;
        self.fill(&log)
    }

    fn copy(&self, settings: &KafkaSettings) -> anyhow::Result<Run> {
        let plan = CopyPlan {
            from: Topic::UsageRaw,
            to: Topic::LedgerEntries,
            cadence: COMMIT_EVERY,
            records: self.workload.events,
            value_bytes: self.debit_bytes,
        };
        let broker = machine::cpu_of(self.broker.pid());
        let own = machine::thread_cpu();
        let copied = transactional_copy(settings, &plan)?;
        Ok(Run {
            contestant: Contestant::BareCopy,
            events: copied.records,
            wall: copied.wall,
            client: copied.cpu,
            own: machine::thread_cpu().saturating_sub(own),
            broker: machine::cpu_of(self.broker.pid()).saturating_sub(broker),
            commits: copied.commits,
            commit: Duration::ZERO,
        })
    }

    fn charge(&self, prefix: &str, contestant: Contestant) -> anyhow::Result<Run> {
        let connect = || KafkaLog::connect(self.settings(prefix));
        let partitions = self.workload.partitions;
        let log = connect()?;
        log.create_topics(
            &Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(partitions) }),
        )?;
        let mut appender = log.appender()?;
        for version in &self.workload.versions {
            send(&mut *appender, Topic::RatesCatalog, (Partition(0), ""), version)?;
        }
        self.workload.grants(&mut |partition, account, record| {
            send(&mut *appender, Topic::LedgerCommands, (partition, account), record)
        })?;
        appender.flush()?;
        drop(appender);
        let folder = testkit::temp_dir()?;
        let settings = ChargerSettings {
            commit_every: COMMIT_EVERY,
            ..ChargerSettings::new(partitions, folder.path().to_owned())
        };
        let log: Arc<dyn EventLog> = match contestant {
            Contestant::WithoutTransactions => Arc::new(AtLeastOnce(log)),
            Contestant::BareCopy | Contestant::Charger => Arc::new(log),
        };
        let grants = Service::new(&log, &settings)?;
        let mut session = grants.charger.join()?;
        grants.until(&mut session, Outcome::Applied, self.workload.accounts.into())?;
        session.give_up()?;
        drop(session);
        self.fill(&*log)?;

        let service = Service::new(&log, &settings)?;
        let mut session = service.charger.join()?;
        service.until_owned(&mut session, partitions)?;
        let broker = machine::cpu_of(self.broker.pid());
        let (started, cpu, own) = (Instant::now(), process_cpu(), machine::thread_cpu());
        service.until(&mut session, Outcome::Debit, self.workload.events)?;
        let (wall, client) = (started.elapsed(), process_cpu().saturating_sub(cpu));
        let own = machine::thread_cpu().saturating_sub(own);
        let broker = machine::cpu_of(self.broker.pid()).saturating_sub(broker);
        session.give_up()?;
        let commits = service.metrics.commit_seconds.get_sample_count();
        let in_commits = service.metrics.commit_seconds.get_sample_sum();
        Ok(Run {
            contestant,
            events: self.workload.events,
            wall,
            client,
            own,
            broker,
            commits,
            commit: Duration::from_secs_f64(in_commits / (commits.max(1) as f64)),
        })
    }

    /// Fills `usage.raw`.
    fn fill(&self, log: &dyn EventLog) -> anyhow::Result<()> {
        let mut appender = log.appender()?;
        let mut waiting = 0;
        self.workload.events(&mut |partition, account, record| {
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
}

pub(crate) fn send(
    appender: &mut dyn Appender,
    topic: Topic,
    (partition, account): (Partition, &str),
    value: &[u8],
) -> anyhow::Result<()> {
    let to = TopicPartition { topic, partition };
    Ok(appender.append(Append { to, key: account.as_bytes(), value, headers: &[] })?)
}

/// A charger and its metrics.
pub(crate) struct Service {
    pub(crate) charger: Charger,
    pub(crate) metrics: ChargerMetrics,
}

/// A value of the gauge of halts that the charger itself never sets.
const NOT_OWNED: i64 = -1;

impl Service {
    pub(crate) fn new(log: &Arc<dyn EventLog>, settings: &ChargerSettings) -> anyhow::Result<Self> {
        let metrics = ChargerMetrics::new(&Registry::new())?;
        let clock = Arc::new(SystemClock::default());
        let charger = Charger::new(Arc::clone(log), settings.clone(), clock, metrics.clone());
        for partition in 0..settings.partitions {
            metrics.halted.with_label_values(&[&partition.to_string()]).set(NOT_OWNED);
            metrics.catalogue_offset.with_label_values(&[&partition.to_string()]).set(NOT_OWNED);
        }
        Ok(Self { charger, metrics })
    }

    /// Whether every partition is taken over.
    pub(crate) fn owns(&self, partitions: u32) -> bool {
        let owned = |partition: u32| {
            self.metrics.halted.with_label_values(&[&partition.to_string()]).get() != NOT_OWNED
        };
        (0..partitions).all(owned)
    }

    /// Whether the session has measured its lag since it took its partitions over.
    pub(crate) fn has_measured(&self, partitions: u32) -> bool {
        let offset = &self.metrics.catalogue_offset;
        (0..partitions)
            .all(|partition| offset.with_label_values(&[&partition.to_string()]).get() != NOT_OWNED)
    }

    /// Drives the session until every partition is taken over.
    fn until_owned(&self, session: &mut Session<'_>, partitions: u32) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.owns(partitions) {
            session.round()?;
            ensure!(Instant::now() < deadline, "the charger was given no partitions");
        }
        Ok(())
    }

    /// Drives the session until so many inputs have ended so, and are committed.
    fn until(&self, session: &mut Session<'_>, outcome: Outcome, count: u64) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let counter = self
            .metrics
            .outcomes
            .get_metric_with_label_values(&[outcome.word()])
            .context("a counter")?;
        while counter.get() < count {
            session.round()?;
            if Instant::now() > deadline {
                bail!("{} of {count} inputs ended as {}", counter.get(), outcome.word());
            }
        }
        Ok(())
    }
}
