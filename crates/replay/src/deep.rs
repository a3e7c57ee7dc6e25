//! All twelve invariants, in one reading of the ledger beside the catalogue and the inputs. What
//! ClickHouse holds is compared by whoever can ask it, with the sums that this hands over.
//!
//! What is held in memory: the state of one partition (as a charger holds it), the sums per account,
//! feature, model and traffic class, what one transaction took, and a million identities while they
//! are sorted. On disk, without a name: 40 bytes per entry of one partition, 36 per charge.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use catalog::History;
use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::EventLog;
use ledger::Body;
use projection::Names;
use wire::LedgerRecord;

use crate::entries_check::EntriesCheck;
use crate::inputs_check::InputsCheck;
use crate::ledger_check::VerifyError;
use crate::pricing_check::PricingCheck;
use crate::{Check, Evidence, LedgerCheck, Pace, Report, TableSums, Totals, Watch};

const RECORDS_PER_POLL: usize = 1_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 600;
const CATALOGUE_PATIENCE: Duration = Duration::from_secs(60);

/// From where on everything is looked at. What comes before is folded and checked as the plain
/// verification does, without its prices and inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Since {
    #[default]
    Start,
    /// Recorded at this ledger time or later.
    Time(Timestamp),
    /// Per ledger partition; a partition that is not named is looked at whole.
    Offsets(BTreeMap<Partition, Offset>),
}

impl Since {
    fn covers(&self, partition: Partition, offset: Offset, recorded_at: Timestamp) -> bool {
        match self {
            Self::Start => true,
            Self::Time(from) => recorded_at >= *from,
            Self::Offsets(from) => from.get(&partition).is_none_or(|from| offset >= *from),
        }
    }
}

/// How deep to look.
#[derive(Clone, Debug)]
pub struct DeepSettings {
    pub partitions: u32,
    pub since: Since,
    /// Ledger and input records per second, so that live traffic goes on; `None` is no bound.
    pub records_per_second: Option<u32>,
    /// One charge of so many is reckoned independently; 1 is every one.
    pub reckon_every: u32,
    /// How long usage may wait for a price that is there before that is a finding.
    pub grace: Duration,
}

impl DeepSettings {
    /// Everything, at 20,000 records per second.
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions,
            since: Since::Start,
            records_per_second: Some(20_000),
            reckon_every: 1,
            grace: Duration::from_secs(10),
        }
    }
}

/// What was found, and what the ledger adds up to.
#[derive(Debug)]
pub struct Verified {
    pub report: Report,
    pub totals: Totals,
    pub tables: TableSums,
    /// The offset that each ledger partition was read to.
    pub ends: BTreeMap<Partition, Offset>,
}

/// Reads every partition of the ledger from its start to the end that it has now, with the catalogue
/// and the inputs that are retained.
///
/// # Errors
/// When a log or the scratch files cannot be read, or it was stopped. What is found broken is in the
/// report.
pub fn verify_deep(
    log: &dyn EventLog,
    settings: &DeepSettings,
    watch: Watch<'_>,
) -> Result<Verified, VerifyError> {
    let partitions = || (0..settings.partitions).map(Partition);
    let mut ends = BTreeMap::new();
    let mut records = 0;
    for partition in partitions() {
        let bounds = log.bounds(ledger_of(partition))?;
        records += bounds.stable_end.0.abs_diff(bounds.start.0);
        ends.insert(partition, bounds.stable_end);
    }
    let history = History::read(log, CATALOGUE_PATIENCE)?;
    let mut pace = Pace::new(settings.records_per_second, records, watch);
    let mut deep = Deep::new(log, settings, &history)?;
    for (partition, end) in &ends {
        pace.begin(*partition);
        deep.partition(*partition, *end, &mut pace)?;
    }
    let (report, totals, tables) = deep.finish()?;
    Ok(Verified { report, totals, tables, ends })
}

fn ledger_of(partition: Partition) -> TopicPartition {
    TopicPartition { topic: Topic::LedgerEntries, partition }
}

struct Deep<'l> {
    log: &'l dyn EventLog,
    settings: &'l DeepSettings,
    names: Names<'l>,
    ledger: LedgerCheck,
    entries: EntriesCheck,
    pricing: PricingCheck<'l>,
    inputs: InputsCheck<'l>,
    tables: TableSums,
    rows: Check,
    /// Whether the records since the last seal are covered.
    passed: u64,
}

impl<'l> Deep<'l> {
    fn new(
        log: &'l dyn EventLog,
        settings: &'l DeepSettings,
        history: &'l History,
    ) -> Result<Self, VerifyError> {
        let catalogue = &history.latest().catalogue;
        Ok(Self {
            log,
            settings,
            names: Names::new(catalogue),
            ledger: LedgerCheck::default(),
            entries: EntriesCheck::new()?,
            pricing: PricingCheck::new(history, settings.reckon_every),
            inputs: InputsCheck::new(log, settings.partitions, catalogue.currency()),
            tables: TableSums::default(),
            rows: Check::of(Evidence::Ledger, 12, "every entry's rows can be made again"),
            passed: 0,
        })
    }

    fn partition(
        &mut self,
        partition: Partition,
        end: Offset,
        pace: &mut Pace<'_>,
    ) -> Result<(), VerifyError> {
        self.ledger.begin(partition);
        self.entries.begin(partition);
        self.inputs.begin(partition);
        let at = ledger_of(partition);
        let mut reader = self.log.reader(&[(at, self.log.bounds(at)?.start)])?;
        let mut empty_polls = 0;
        while reader.position(at) < end {
            let mut failed = None;
            let count = reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
                if record.offset < end && failed.is_none() {
                    failed = self.record(partition, record.offset, record.value).err();
                }
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
            pace.ledger(count as u64)?;
            pace.inputs(self.inputs.take_read())?;
            empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
            if empty_polls > EMPTY_POLLS_MAX {
                return Err(VerifyError::Stalled { at, position: reader.position(at), end });
            }
        }
        self.ledger.end();
        self.waiting(partition, end)
    }

    fn record(
        &mut self,
        partition: Partition,
        offset: Offset,
        bytes: &[u8],
    ) -> Result<(), VerifyError> {
        let record = match wire::decode_ledger(bytes) {
            Ok(record) => record,
            Err(why) => {
                self.ledger.unreadable(offset, &why.to_string());
                return Ok(());
            }
        };
        let made = self.tables.record(partition, offset, &record, &self.names);
        self.rows.note(made.err());
        match &record {
            LedgerRecord::Entry(entry) => {
                if self.settings.since.covers(partition, offset, entry.recorded_at) {
                    let at = format!("ledger.entries[{partition}]@{offset}");
                    self.pricing.entry(&at, entry, self.ledger.state());
                }
                self.entries.entry(offset, entry)?;
                self.inputs.entry(entry);
            }
            LedgerRecord::Adopted(adopted) => {
                self.pricing.adopted(&format!("ledger.entries[{partition}]@{offset}"), adopted);
            }
            LedgerRecord::Seal(seal) => {
                self.entries.seal(seal)?;
                match self.settings.since.covers(partition, offset, seal.ledger_time) {
                    true => self.inputs.seal(seal, &mut self.entries)?,
                    false => {
                        self.passed += 1;
                        self.inputs.pass();
                    }
                }
            }
        }
        self.ledger.decoded(offset, &record, bytes);
        Ok(())
    }

    /// Usage that waits although its price is there is about to be charged: that is waited for.
    fn waiting(&mut self, partition: Partition, end: Offset) -> Result<(), VerifyError> {
        let Some(state) = self.ledger.state() else { return Ok(()) };
        let mut left = self.pricing.priceable(state);
        if left.is_empty() {
            return Ok(());
        }
        let found = left.clone();
        let at = ledger_of(partition);
        let mut reader = self.log.reader(&[(at, end)])?;
        let deadline = Instant::now() + self.settings.grace;
        while !left.is_empty() && Instant::now() < deadline {
            reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
                if let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(record.value)
                    && let Body::Debit(debit) = &entry.body
                {
                    left.retain(|waiting| debit.resolves != Some(*waiting));
                }
            })?;
        }
        for entry in found {
            self.pricing.waited(partition, entry, !left.contains(&entry));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Report, Totals, TableSums), VerifyError> {
        let settled = self.tables.settle();
        self.rows.note(settled.err());
        self.ledger.seals().say(
            "committed positions are compared with the last seal by every charger that takes a \
             partition over; a log shows them to the members of its group alone",
        );
        let (mut report, totals) = self.ledger.finish();
        report.checks.extend(self.entries.finish()?);
        report.checks.extend(self.pricing.finish());
        let mut inputs = self.inputs.finish()?;
        if self.passed > 0 {
            inputs[0].say(&format!("the inputs of {} earlier seals were passed over", self.passed));
        }
        report.checks.extend(inputs);
        report.checks.push(self.rows);
        report.checks.sort_by_key(|check| check.invariant);
        Ok((report, totals, self.tables))
    }
}
