//! The comparison: ledger, ClickHouse, and what must come out of the load.

use std::collections::BTreeMap;
use std::fmt::Debug;

use anyhow::{anyhow, bail, ensure};
use domain::{Credits, Offset, Outcome, Partition, TopicPartition};
use eventlog::EventLog;
use replay::{DeepSettings, Verified, verify_deep};
use rerun::{RawSettings, replay_raw};

use crate::ledger_tail::LedgerTail;
use crate::load::{Load, Meaning};
use crate::received::Received;
use crate::tables::{PutAside, Tables};
use crate::truth::Truth;

/// Differences that are shown.
const SHOWN_MAX: usize = 5;

/// What was found to be as it must.
#[derive(Clone, Debug)]
pub struct Findings {
    pub records: u64,
    pub entries: u64,
    pub charged: u64,
    pub outcomes: String,
    pub sums_compared: usize,
    pub checked: u64,
}

/// All that can be said about a deployment that has come to rest.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn everything(
    log: &dyn EventLog,
    load: &Load,
    tail: &LedgerTail,
    tables: &Tables,
) -> anyhow::Result<Findings> {
    audit(log, load, tail, tables)
}

/// Holds the ledger and ClickHouse against each other and against the load.
///
/// # Errors
/// The first thing that is not as it must be.
pub fn audit(
    log: &dyn EventLog,
    load: &Load,
    tail: &LedgerTail,
    tables: &Tables,
) -> anyhow::Result<Findings> {
    let partitions = load.terms.partitions;
    // None of the three needs another's answer.
    let (verified, again, truth) = std::thread::scope(|scope| {
        let verified = scope.spawn(|| {
            let settings =
                DeepSettings { records_per_second: None, ..DeepSettings::new(partitions) };
            verify_deep(log, &settings, &mut |_| true)
        });
        let again = scope.spawn(|| {
            let settings = RawSettings { records_per_second: None, ..RawSettings::new(partitions) };
            replay_raw(log, &settings, &mut |_| true)
        });
        let truth = Received::read(log, load)
            .and_then(|received| Ok((Truth::of(load, &received)?, received)));
        (verified.join(), again.join(), truth)
    });
    let panicked = |_| anyhow!("a panic, printed above");
    let Verified { report, totals, .. } = verified.map_err(panicked)??;
    let again = again.map_err(panicked)??;
    let (truth, received) = truth?;
    for check in &report.checks {
        ensure!(
            check.holds(),
            "invariant {} ({}): {} of {} broken: {:#?}",
            check.invariant,
            check.about,
            check.broken,
            check.checked,
            check.counterexamples
        );
    }
    ensure!(again.holds(), "decided again, it differs: {:#?}", again.differences);
    ensure!(again.same == again.decided && again.not_retained == 0, "{again:#?}");

    // Every offset that was produced has one outcome, and the right one.
    let (expected, found) = outcomes(&truth, &received, tail);
    same("outcomes", &expected, &found)?;
    let inputs: i64 = domain::Topic::INPUTS.map(|topic| tail.consumed(topic)).iter().sum();
    ensure!(i64::try_from(tail.counts.total())? == inputs, "{inputs} offsets were consumed");
    ensure!(tail.unrated == truth.unrated, "{} unrated, not {}", tail.unrated, truth.unrated);

    // Credits and costs, to the last decimal.
    same("ledger's sums", &truth.usage, &totals.usage)?;
    for table in ["usage_lines", "usage_hourly", "usage_daily", "usage_daily_by_user"] {
        same(table, &truth.usage, &tables.usage(table)?)?;
        let events = tables.number("sum(events)", table)?;
        ensure!(events == i64::try_from(truth.charged)?, "{table} counts {events} events");
    }
    let settled: BTreeMap<String, Credits> =
        totals.balances.iter().map(|(account, after)| (account.clone(), after.settled)).collect();
    same("settled credits", &with_zeros(&truth.settled, &settled), &settled)?;
    same("balances", &totals.balances, &tables.balances()?)?;

    // Every entry is in ClickHouse once, and every record that was put aside has its bytes.
    let entries = tables.number("count()", "ledger_entries")?;
    ensure!(entries == i64::try_from(totals.entries)?, "ledger_entries has {entries} rows");
    ensure!(
        tables.number("uniqExact(ledger_partition, ledger_offset)", "ledger_entries")? == entries,
        "ledger_entries has an entry twice"
    );
    ensure!(tables.number("count()", "seals")? == i64::try_from(tail.seals)?, "seals");
    let unrated = tables.number("count()", "unrated_usage")?;
    ensure!(unrated == i64::try_from(truth.unrated)?, "unrated_usage has {unrated} rows");
    put_aside(load, &received, tables)?;

    let words: Vec<String> = tail
        .counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(outcome, count)| format!("{} {count}", outcome.word()))
        .collect();
    Ok(Findings {
        records: received.places.len() as u64,
        entries: totals.entries,
        charged: truth.charged,
        outcomes: words.join(", "),
        sums_compared: truth.usage.len() * 5,
        checked: report.checks.iter().map(|check| check.checked).sum(),
    })
}

/// Inputs by how they must have ended and how they did. How commands that are none of the load's ended is
/// theirs: then commands are counted together.
fn outcomes(
    truth: &Truth,
    received: &Received,
    tail: &LedgerTail,
) -> (BTreeMap<Outcome, u64>, BTreeMap<Outcome, u64>) {
    let mut expected = truth.outcomes.clone();
    let mut found = tail.outcomes();
    if received.other_commands > 0 {
        *expected.entry(Outcome::Applied).or_default() += received.other_commands;
        for outcomes in [&mut expected, &mut found] {
            for outcome in [Outcome::Repeated, Outcome::Refused] {
                let count = outcomes.remove(&outcome).unwrap_or(0);
                *outcomes.entry(Outcome::Applied).or_default() += count;
            }
        }
    }
    expected.retain(|_, count| *count > 0);
    (expected, found)
}

fn put_aside(load: &Load, received: &Received, tables: &Tables) -> anyhow::Result<()> {
    let expected = |wanted: &[Meaning]| -> BTreeMap<(TopicPartition, Offset), Vec<u8>> {
        let lines = received.places.iter().map(|(place, number)| (place, &load.lines[*number]));
        lines
            .filter(|(_, line)| wanted.contains(&line.meaning))
            .map(|(place, line)| (*place, line.value.clone()))
            .collect()
    };
    let bytes = |found: BTreeMap<(TopicPartition, Offset), PutAside>| {
        found.into_iter().map(|(place, row)| (place, row.bytes)).collect()
    };
    same("dead_letters", &expected(&[Meaning::Broken]), &bytes(tables.put_aside("dead_letters")?))?;
    let quarantined = expected(&[Meaning::Conflict, Meaning::TooLate]);
    same("quarantine", &quarantined, &bytes(tables.put_aside("quarantine")?))
}

/// An account without any entry has no balance.
fn with_zeros(
    settled: &BTreeMap<String, Credits>,
    found: &BTreeMap<String, Credits>,
) -> BTreeMap<String, Credits> {
    let mut all = settled.clone();
    for account in found.keys() {
        all.entry(account.clone()).or_default();
    }
    all
}

/// # Errors
/// With the first differences.
pub fn same<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    expected: &BTreeMap<K, V>,
    found: &BTreeMap<K, V>,
) -> anyhow::Result<()> {
    let keys = expected.keys().chain(found.keys().filter(|key| !expected.contains_key(key)));
    let differing: Vec<_> = keys.filter(|key| expected.get(key) != found.get(key)).collect();
    if differing.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = differing
        .iter()
        .take(SHOWN_MAX)
        .map(|key| format!("{key:?}: expected {:?}, found {:?}", expected.get(key), found.get(key)))
        .collect();
    bail!("{what}: {} of {} differ: {shown:#?}", differing.len(), expected.len())
}

/// What ClickHouse has to reach, as the ledger stands.
pub fn reached(tail: &LedgerTail) -> crate::service::Drained {
    let place = |(at, offset): (&Partition, &Offset)| (at.0, offset.0);
    crate::service::Drained {
        last_entries: tail.last_entries.iter().map(place).collect(),
        dead_letters: tail.counts.get(domain::Outcome::DeadLetter),
    }
}
