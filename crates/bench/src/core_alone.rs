//! The charger's core without a log: records from memory, entries into a counter. What is left of the charger's cost when
//! Kafka is free; and, by [`crate::stages`], what each of its steps takes.

use std::time::Duration;

use anyhow::{Context, ensure};
use charger::{ChargerSettings, CoreSettings, PartitionCore, Snapshots, Taken};
use domain::{Offset, Outcome, Partition, Topic, TopicPartition};
use eventlog::{NoHeaders, Record};
use flow::BrakeLimits;

use crate::report::{Report, median};
use crate::stages;
use crate::workload::Workload;
use crate::{kafka, machine};

/// As many as the charger asks of one poll.
const RECORDS_PER_POLL: usize = 2_000;
/// Inputs per seal: about what a tenth of a second brings to one of four partitions.
const RECORDS_PER_SEAL: usize = 12_000;

/// Records of one partition, one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    pub(crate) fn push(&mut self, record: &[u8]) {
        self.bytes.extend_from_slice(record);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn byte_count(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.bytes.get(start..*end))
    }
}

/// The inputs of every partition, in memory.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) usage: Vec<Records>,
    grants: Vec<Records>,
}

impl Inputs {
    pub(crate) fn new(workload: &Workload) -> anyhow::Result<Self> {
        let partitions = workload.partitions as usize;
        let mut inputs = Self {
            usage: vec![Records::default(); partitions],
            grants: vec![Records::default(); partitions],
        };
        workload.events(&mut |partition, _, record| add(&mut inputs.usage, partition, record))?;
        workload.grants(&mut |partition, _, record| add(&mut inputs.grants, partition, record))?;
        Ok(inputs)
    }
}

fn add(to: &mut [Records], partition: Partition, record: &[u8]) -> anyhow::Result<()> {
    to.get_mut(partition.0 as usize).context("a partition")?.push(record);
    Ok(())
}

/// What came out.
#[derive(Debug)]
pub(crate) struct Charged {
    /// Of the usage alone; grants come before the clock starts.
    cpu: Duration,
    /// By partition, from the ledger's first record on.
    pub(crate) ledger: Vec<Records>,
    entry_bytes: usize,
    /// Of one partition's state, once everything is in it.
    snapshot: Duration,
    snapshot_inputs: usize,
}

/// Charges everything, as the service would.
pub(crate) fn charge(
    workload: &Workload,
    inputs: &Inputs,
    keep_ledger: bool,
) -> anyhow::Result<Charged> {
    let folder = testkit::temp_dir()?;
    let snapshots =
        Snapshots::open(&ChargerSettings::new(workload.partitions, folder.path().to_owned()))?;
    let settings = CoreSettings { partitions: workload.partitions, brake: BrakeLimits::default() };
    let mut cores = Vec::new();
    for partition in (0..workload.partitions).map(Partition) {
        let mut core = PartitionCore::new(partition, settings, snapshots.nothing(partition)?);
        core.adopt(&workload.prices);
        cores.push(core);
    }
    let mut charged = Charged {
        cpu: Duration::ZERO,
        ledger: vec![Records::default(); cores.len()],
        entry_bytes: 0,
        snapshot: Duration::ZERO,
        snapshot_inputs: inputs.usage.first().map_or(0, Records::len),
    };
    let mut debits = 0;
    let partitions = cores.iter_mut().zip(&mut charged.ledger);
    let inputs = inputs.grants.iter().zip(&inputs.usage);
    for (partition, ((core, ledger), (grants, usage))) in (0..).zip(partitions.zip(inputs)) {
        let at = |topic| TopicPartition { topic, partition: Partition(partition) };
        feed(workload, core, at(Topic::LedgerCommands), grants, &mut |value| {
            if keep_ledger {
                ledger.push(value);
            }
        })?;
        core.take_outcomes();
        let mut entry_bytes = 0;
        let before = machine::thread_cpu();
        feed(workload, core, at(Topic::UsageRaw), usage, &mut |value| {
            entry_bytes += value.len();
            if keep_ledger {
                ledger.push(value);
            }
        })?;
        charged.cpu += machine::thread_cpu().saturating_sub(before);
        charged.entry_bytes += entry_bytes;
        debits += core.take_outcomes().0.get(Outcome::Debit);
    }
    ensure!(debits == workload.events, "{debits} of {} events became debits", workload.events);
    if let Some(core) = cores.first_mut() {
        let before = std::time::Instant::now();
        snapshots.save(Partition(0), Offset(0), core)?;
        charged.snapshot = before.elapsed();
    }
    Ok(charged)
}

fn feed(
    workload: &Workload,
    core: &mut PartitionCore,
    at: TopicPartition,
    records: &Records,
    out: &mut dyn FnMut(&[u8]),
) -> anyhow::Result<()> {
    let mut since_seal = 0;
    for (number, value) in records.iter().enumerate() {
        let record = Record {
            at,
            offset: Offset(i64::try_from(number)?),
            appended_at: workload.now(),
            key: &[],
            value,
            headers: &NoHeaders,
        };
        let Taken::Done = core.take(&record, &workload.prices)? else {
            anyhow::bail!("the workload corrects nothing");
        };
        since_seal += 1;
        if since_seal >= RECORDS_PER_SEAL || number + 1 == records.len() {
            since_seal = 0;
            core.seal()?;
        }
        if since_seal % RECORDS_PER_POLL == 0 {
            core.flush(&mut |append| {
                out(append.value);
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// Measures the core and its stages.
pub(crate) fn measure(
    workload: &Workload,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let inputs = Inputs::new(workload)?;
    let events = workload.events as f64;
    let bytes: usize = inputs.usage.iter().map(Records::byte_count).sum();
    let mut runs = Vec::new();
    let mut steps = Vec::new();
    for _ in 0..rounds.max(1) {
        runs.push(charge(workload, &inputs, false)?);
        steps.push(stages::measure(workload, &inputs)?);
    }
    let whole = median(runs.iter().map(|run| nanos(run.cpu) / events));
    report.section("The charger's core alone, one thread, from memory", &["step", "ns per event"]);
    report.row(["whole core".to_owned(), format!("{whole:.0}")]);
    for step in stages::STEPS {
        let each = median(steps.iter().map(|run| nanos(run.of(step)) / events));
        report.row([step.name().to_owned(), format!("{each:.0}")]);
    }
    if let Some(run) = runs.first() {
        report.line(&format!(
            "\n{} events of {:.0} bytes over {} accounts; {:.0} bytes of ledger each, seals included.",
            workload.events,
            bytes as f64 / events,
            workload.accounts,
            run.entry_bytes as f64 / events,
        ));
    }
    let save = median(runs.iter().map(|run| run.snapshot.as_secs_f64() * 1e3));
    let inputs = runs.first().map_or(0, |run| run.snapshot_inputs);
    report.line(&format!(
        "A snapshot of one partition after {inputs} inputs: {save:.0} ms ({:.0} ns per input since the last one).",
        save * 1e6 / (inputs.max(1) as f64)
    ));
    Ok(())
}

fn nanos(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

/// The size of a debit on the ledger, seals shared among them: what the bare copy writes per record.
pub(crate) fn debit_bytes(workload: &Workload) -> anyhow::Result<usize> {
    let sample = workload.sample(kafka::SAMPLE_EVENTS);
    let charged = charge(&sample, &Inputs::new(&sample)?, false)?;
    Ok(charged.entry_bytes / usize::try_from(sample.events)?.max(1))
}
