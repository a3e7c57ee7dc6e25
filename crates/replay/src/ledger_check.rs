//! The invariants that the ledger alone can prove, record by record: 1, 2, 3, 5, 7, 10 and 11.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Credits, Money, Offset, Outcome, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use flow::{Chain, Progress};
use ledger::{Body, Cause, Counts, Entry, PartitionState, Seal, invariant};
use wire::LedgerRecord;

use crate::{Check, Report, Totals};

const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(100);
const EMPTY_POLLS_MAX: u32 = 300;

/// Why a verification could not be carried through.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{at}: the reader stopped at {position}, and the ledger ends at {end}")]
    Stalled { at: TopicPartition, position: Offset, end: Offset },
    #[error("the scratch file: {0}")]
    Scratch(#[from] std::io::Error),
    #[error(transparent)]
    Catalogue(#[from] catalog::CatalogueError),
    #[error(transparent)]
    Stopped(#[from] crate::Stopped),
}

/// Reads every partition of the ledger from its start to the end that it has now, and checks it.
/// Also returns what it adds up to, for the comparison with a projection, and the offset that each
/// partition was read to.
///
/// # Errors
/// When the log cannot be read. What is found broken is in the report.
pub fn verify_ledger(
    log: &dyn EventLog,
    partitions: u32,
) -> Result<(Report, Totals, BTreeMap<Partition, Offset>), VerifyError> {
    let mut check = LedgerCheck::default();
    let mut ends = BTreeMap::new();
    for partition in (0..partitions).map(Partition) {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let end = log.bounds(at)?.stable_end;
        ends.insert(partition, end);
        check.begin(partition);
        read(log, at, end, &mut check)?;
        check.end();
    }
    let (report, totals) = check.finish();
    Ok((report, totals, ends))
}

fn read(
    log: &dyn EventLog,
    at: TopicPartition,
    end: Offset,
    check: &mut LedgerCheck,
) -> Result<(), VerifyError> {
    let mut reader = log.reader(&[(at, Offset::ZERO)])?;
    let mut empty_polls = 0;
    while reader.position(at) < end {
        let count = reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
            if record.offset < end {
                check.record(record.offset, record.value);
            }
        })?;
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            return Err(VerifyError::Stalled { at, position: reader.position(at), end });
        }
    }
    Ok(())
}

/// Checks ledger records in order, one partition after another.
#[derive(Debug)]
pub struct LedgerCheck {
    outcomes: Check,
    postings: Check,
    lots: Check,
    fold: Check,
    sums: Check,
    booked: Check,
    seals: Check,
    totals: Totals,
    partition: Partition,
    state: PartitionState,
    /// Where the fold of this partition broke: what follows cannot be judged by it.
    broken_at: Option<Offset>,
    progress: Progress,
    chain: Chain,
    /// What the entries since the last seal say of input offsets.
    caused: BTreeMap<(Topic, Offset), Outcome>,
    counted: Counts,
    /// What the charges since the last seal come to.
    charged: (Credits, Money),
}

impl Default for LedgerCheck {
    fn default() -> Self {
        Self {
            outcomes: Check::new(1, "one outcome per input offset"),
            postings: Check::new(2, "the postings of every entry sum to zero per unit"),
            lots: Check::new(3, "lots conserve, and settled = Σ remaining − overage"),
            fold: Check::new(5, "every entry continues its account, and its balance is the fold's"),
            sums: Check::new(
                7,
                "the lines and the draws of every debit sum to it, and debits to their seals",
            ),
            booked: Check::new(10, "no usage ended as refused"),
            seals: Check::new(11, "every seal continues the one before, and its chain holds"),
            totals: Totals::default(),
            partition: Partition(0),
            state: PartitionState::default(),
            broken_at: None,
            progress: Progress::default(),
            chain: Chain::after(&[0; 32]),
            caused: BTreeMap::new(),
            counted: Counts::default(),
            charged: Default::default(),
        }
    }
}

impl LedgerCheck {
    /// Begins a partition.
    pub fn begin(&mut self, partition: Partition) {
        self.partition = partition;
        self.state = PartitionState::default();
        self.broken_at = None;
        self.progress = Progress::default();
        self.chain = Chain::after(&self.progress.link);
        self.caused.clear();
        self.charged = Default::default();
    }

    /// Checks one record.
    pub fn record(&mut self, offset: Offset, bytes: &[u8]) {
        match wire::decode_ledger(bytes) {
            Ok(record) => self.decoded(offset, &record, bytes),
            Err(why) => self.unreadable(offset, &why.to_string()),
        }
    }

    /// Checks one record that was read already.
    pub(crate) fn decoded(&mut self, offset: Offset, record: &LedgerRecord<'_>, bytes: &[u8]) {
        match record {
            LedgerRecord::Entry(entry) => {
                self.chain.record(bytes);
                self.entry(offset, entry);
            }
            LedgerRecord::Adopted(adopted) => {
                self.chain.record(bytes);
                self.state.adopt(adopted);
            }
            LedgerRecord::Seal(seal) => self.seal(seal, bytes),
        }
    }

    pub(crate) fn unreadable(&mut self, offset: Offset, why: &str) {
        let partition = self.partition;
        self.fold.note(Some(format!("ledger.entries[{partition}]@{offset}: {why}")));
    }

    /// The fold of the partition up to the last record; `None` once it broke.
    pub(crate) fn state(&self) -> Option<&PartitionState> {
        self.broken_at.is_none().then_some(&self.state)
    }

    /// The check of the seals, for what else is to be said of progress.
    pub(crate) fn seals(&mut self) -> &mut Check {
        &mut self.seals
    }

    fn entry(&mut self, offset: Offset, entry: &Entry<'_>) {
        let partition = self.partition;
        let place = |why: String| format!("ledger.entries[{partition}]@{offset}: {why}");
        self.postings
            .note(invariant::postings_balance(entry).err().map(|why| place(why.to_string())));
        if let Body::Debit(debit) = &entry.body {
            self.charged.0 += debit.credits;
            let costs = debit.lines.iter().zip(&debit.event.items);
            let costs = costs.filter_map(|(line, item)| {
                line.cost(item.vendor_cost.map(|reported| reported.amount))
            });
            self.charged.1 += costs.sum();
        }
        if entry.standing_charge().is_some() {
            let adds_up = invariant::charge_adds_up(entry);
            self.sums.note(adds_up.err().map(|why| place(why.to_string())));
        }
        self.fold(offset, entry);
        if let Cause::Input { topic, offset: input } = entry.cause {
            let outcome = entry.body.outcome();
            if topic != Topic::LedgerCommands {
                self.booked.note((outcome == Outcome::Refused).then(|| {
                    place(format!("{topic}@{input} was refused by a {}", entry.body.kind()))
                }));
            }
            if self.caused.insert((topic, input), outcome).is_some() {
                self.outcomes.note(Some(place(format!("{topic}@{input} has two entries"))));
            }
        }
        self.totals.add(entry);
    }

    /// One entry that does not follow is one finding: what comes after it in its partition would be
    /// judged by a state that is not the ledger's.
    fn fold(&mut self, offset: Offset, entry: &Entry<'_>) {
        let partition = self.partition;
        if let Some(broken_at) = self.broken_at {
            let why =
                format!("after ledger.entries[{partition}]@{broken_at}, where the fold broke");
            self.fold.skip(1, &why);
            self.lots.skip(1, &why);
            return;
        }
        let place = |why: String| format!("ledger.entries[{partition}]@{offset}: {why}");
        let applied = self.state.apply(entry).map(drop);
        if applied.is_err() {
            self.broken_at = Some(offset);
        }
        self.fold.note(applied.err().map(|why| place(why.to_string())));
        let account = self.state.account(&entry.account);
        let conserved = invariant::lots_conserve(&entry.account, account);
        self.lots.note(conserved.err().map(|why| place(why.to_string())));
    }

    fn seal(&mut self, seal: &Seal, bytes: &[u8]) {
        let partition = self.partition;
        let chain = self.chain.hash();
        let followed = self.progress.follow(seal, &chain, bytes);
        let charged = std::mem::take(&mut self.charged);
        self.sums.note((charged != (seal.credits, seal.vendor_cost)).then(|| {
            let (number, said) = (seal.number, (seal.credits, seal.vendor_cost));
            format!(
                "partition {partition}, seal {number}: it sums {said:?}, its charges {charged:?}"
            )
        }));
        self.seals.note(followed.err().map(|why| format!("partition {partition}: {why}")));
        self.chain.restart(&self.progress.link);

        for exception in &seal.exceptions {
            let outcome = exception.kind.outcome();
            if exception.topic != Topic::LedgerCommands {
                let (topic, offset) = (exception.topic, exception.offset);
                self.booked.note((outcome == Outcome::Refused).then(|| {
                    format!("{topic}[{partition}]@{offset} was refused, seal {}", seal.number)
                }));
            }
            if self.caused.insert((exception.topic, exception.offset), outcome).is_some() {
                let (topic, offset) = (exception.topic, exception.offset);
                let fault = format!("{topic}[{partition}]@{offset} has two outcomes");
                self.outcomes.note(Some(fault));
            }
        }
        let mut counts = Counts::default();
        for ((topic, offset), outcome) in std::mem::take(&mut self.caused) {
            counts.add(outcome, 1);
            let inside = seal
                .sources
                .iter()
                .any(|range| range.topic == topic && range.from <= offset && offset < range.to);
            self.outcomes.note((!inside).then(|| {
                format!("{topic}[{partition}]@{offset} is outside of seal {}", seal.number)
            }));
        }
        for (outcome, said) in seal.counts.iter() {
            let found = match outcome {
                // The rest of the ranges, which `Progress::follow` has summed up.
                Outcome::Empty => said,
                Outcome::Debit
                | Outcome::Unrated
                | Outcome::Duplicate
                | Outcome::Quarantined
                | Outcome::DeadLetter
                | Outcome::Forwarded
                | Outcome::Applied
                | Outcome::Refused
                | Outcome::Repeated
                | Outcome::Gap => counts.get(outcome),
            };
            if found != said {
                let word = outcome.word();
                self.outcomes.note(Some(format!(
                    "partition {partition}, seal {}: it counts {said} {word}, the records {found}",
                    seal.number
                )));
            }
        }
        self.counted.merge(&seal.counts);
    }

    /// Ends a partition: everything stands before a seal.
    pub fn end(&mut self) {
        let open = self.chain.records();
        let partition = self.partition;
        self.seals.note(
            (open > 0)
                .then(|| format!("partition {partition}: {open} records after the last seal")),
        );
    }

    /// Input offsets by how they ended, over all seals.
    pub fn counted(&self) -> &Counts {
        &self.counted
    }

    pub fn finish(self) -> (Report, Totals) {
        let checks = vec![
            self.outcomes,
            self.postings,
            self.lots,
            self.fold,
            self.sums,
            self.booked,
            self.seals,
        ];
        (Report { checks }, self.totals)
    }
}
