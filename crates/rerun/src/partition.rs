//! One partition, seal by seal.

mod compare;

use std::collections::{BTreeMap, VecDeque};

use catalog::{History, Prices};
use charger::{CoreSettings, DecidedAgain, Folded, Halt, PartitionCore, Step};
use domain::{EntryNumber, Offset, Partition, Reason, Timestamp, Topic, TopicPartition};
use eventlog::EventLog;
use flow::{BrakeLimits, Ending};
use ledger::{Body, Cause, Debit, Entry, Exception, ExceptionKind, Seal};
use replay::{InputReader, Kept};
use wire::LedgerRecord;

use crate::report::{Difference, FieldDifference};
use crate::{PricesOf, RawReport, RawSettings, RerunError, prices_at};

/// Entries after which the scratch identities go to disk.
const PERSIST_EVERY: u64 = 1_000_000;

/// Replays one partition.
pub(crate) struct Rerun<'l> {
    log: &'l dyn EventLog,
    settings: &'l RawSettings,
    history: &'l History,
    partition: Partition,
    core: PartitionCore,
    prices: Prices,
    /// The records since the last seal.
    batch: Vec<Vec<u8>>,
    readers: BTreeMap<Topic, InputReader>,
    /// The input that waits for its place among the entries.
    held: Option<Kept>,
    now: Timestamp,
    read: u64,
    unpersisted: u64,
    report: RawReport,
}

/// What is left to do of one seal.
struct Pending {
    exceptions: VecDeque<Exception>,
    /// Input offsets that entries name, ascending, by topic.
    caused: BTreeMap<Topic, VecDeque<Offset>>,
}

impl Pending {
    fn of(entries: &[LedgerRecord<'_>], seal: &Seal) -> Self {
        let mut caused: BTreeMap<Topic, VecDeque<Offset>> = BTreeMap::new();
        for record in entries {
            if let LedgerRecord::Entry(Entry { cause: Cause::Input { topic, offset }, .. }) = record
            {
                caused.entry(*topic).or_default().push_back(*offset);
            }
        }
        Self { exceptions: seal.exceptions.iter().copied().collect(), caused }
    }

    /// Whether every input of the topic before this offset had its turn.
    fn is_next(&self, exception: &Exception) -> bool {
        let next = self.caused.get(&exception.topic).and_then(VecDeque::front);
        next.is_none_or(|next| *next > exception.offset)
    }

    /// Whether an input without an entry comes before this offset in its topic.
    fn has_before(&self, topic: Topic, offset: Offset) -> bool {
        self.exceptions.iter().any(|other| other.topic == topic && other.offset < offset)
    }

    fn caused(&mut self, topic: Topic) {
        if let Some(offsets) = self.caused.get_mut(&topic) {
            offsets.pop_front();
        }
    }
}

impl<'l> Rerun<'l> {
    pub(crate) fn new(
        log: &'l dyn EventLog,
        settings: &'l RawSettings,
        history: &'l History,
        (partition, scratch): (Partition, Folded),
    ) -> Self {
        let core_settings =
            CoreSettings { partitions: settings.partitions, brake: BrakeLimits::default() };
        Self {
            log,
            settings,
            history,
            partition,
            core: PartitionCore::new(partition, core_settings, scratch),
            prices: prices_at(history, settings, Offset::ZERO).unwrap_or_default(),
            batch: Vec::new(),
            readers: BTreeMap::new(),
            held: None,
            now: Timestamp::ZERO,
            read: 0,
            unpersisted: 0,
            report: RawReport::default(),
        }
    }

    pub(crate) fn take_read(&mut self) -> u64 {
        std::mem::take(&mut self.read)
    }

    /// Takes the next record of the ledger.
    pub(crate) fn record(&mut self, offset: Offset, bytes: &[u8]) -> Result<(), RerunError> {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition: self.partition };
        let unreadable = |why: String| RerunError::Unreadable { at, offset, why };
        let seal = match wire::decode_ledger(bytes).map_err(|why| unreadable(why.to_string()))? {
            LedgerRecord::Seal(seal) => seal,
            LedgerRecord::Entry(_) | LedgerRecord::Adopted(_) => {
                self.batch.push(bytes.to_vec());
                return Ok(());
            }
        };
        let batch = std::mem::take(&mut self.batch);
        let mut records = Vec::with_capacity(batch.len());
        for bytes in &batch {
            records.push(wire::decode_ledger(bytes).map_err(|why| unreadable(why.to_string()))?);
        }
        match seal.number >= self.settings.from_seal {
            true => self.seal(&batch, &records, &seal)?,
            false => records.iter().try_for_each(|record| self.follow(record))?,
        }
        self.now = self.now.max(seal.ledger_time);
        self.unpersisted += batch.len() as u64;
        if self.unpersisted >= PERSIST_EVERY {
            self.unpersisted = 0;
            let next = Offset(i64::try_from(self.core.state().next_number().0).unwrap_or(i64::MAX));
            let persisted = self.core.identity_mut().persist(next);
            persisted.map_err(|why| RerunError::Identities(why.to_string()))?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> RawReport {
        let followed = self.report.not_retained;
        if followed > 0 {
            let partition = self.partition;
            self.report.say(format!(
                "partition {partition}: {followed} inputs are past their retention, and their entries \
                 were taken as they stand"
            ));
        }
        self.report
    }

    fn follow(&mut self, record: &LedgerRecord<'_>) -> Result<(), RerunError> {
        match record {
            LedgerRecord::Entry(entry) => {
                self.now = self.now.max(entry.recorded_at);
                self.report.followed += 1;
                let number = entry.number;
                self.core.follow(entry).map_err(|why| self.damaged(number, why))
            }
            LedgerRecord::Adopted(adopted) => {
                self.core.follow_adopted(adopted);
                match prices_at(self.history, self.settings, adopted.next) {
                    Some(prices) => self.prices = prices,
                    None => self.report.say(format!(
                        "the catalogue at {} that partition {} adopted never was",
                        adopted.next, self.partition
                    )),
                }
                Ok(())
            }
            LedgerRecord::Seal(_) => Ok(()),
        }
    }

    fn damaged(&self, number: EntryNumber, why: Halt) -> RerunError {
        let at = format!("entry {}-{number}", self.partition);
        RerunError::Ledger { at, why: Box::new(why) }
    }

    fn seal(
        &mut self,
        batch: &[Vec<u8>],
        records: &[LedgerRecord<'_>],
        seal: &Seal,
    ) -> Result<(), RerunError> {
        self.report.seals += 1;
        let mut pending = Pending::of(records, seal);
        let mut index = 0;
        while let Some(record) = records.get(index) {
            // Also before a catalogue is adopted: what was refused under the one before must be.
            self.exceptions(&mut pending, None)?;
            let LedgerRecord::Entry(entry) = record else {
                self.follow(record)?;
                index += 1;
                continue;
            };
            // What is decided in one step: the entry, and those that it is the cause of.
            let more = records[index + 1..].iter().take_while(|next| is_of_the_step_before(next));
            let end = index + 1 + more.count();
            let same_step = &records[index..end];
            match self.settings.prices == PricesOf::Today && !is_charge(entry) {
                true => {
                    if let Cause::Input { topic, .. } = entry.cause {
                        pending.caused(topic);
                    }
                    same_step.iter().try_for_each(|record| self.follow(record))?;
                }
                false => self.step(entry, (same_step, &batch[index..end]), &mut pending)?,
            }
            index = end;
        }
        self.exceptions(&mut pending, Some(seal.ledger_time))
    }

    /// Decides one step again: the entry, and what follows from it.
    fn step(
        &mut self,
        entry: &Entry<'_>,
        (records, expected): (&[LedgerRecord<'_>], &[Vec<u8>]),
        pending: &mut Pending,
    ) -> Result<(), RerunError> {
        let at = entry.recorded_at;
        self.now = self.now.max(at);
        let input;
        let step = if let Cause::Input { topic, offset } = entry.cause {
            while pending.has_before(topic, offset) {
                self.first_exception(pending, Some(at))?;
            }
            pending.caused(topic);
            let Some(found) = self.input(topic, offset)? else {
                self.report.not_retained += 1;
                return records.iter().try_for_each(|record| self.follow(record));
            };
            input = found;
            Step::Input(input.record())
        } else if let Cause::Timer { due } = entry.cause {
            Step::Timer { due }
        } else if let Some(unrated) = resolved(entry) {
            Step::Waiting { unrated }
        } else {
            Step::DefaultPlan { account: &entry.account }
        };
        let decided = self.decide(step, at, expected, entry.number)?;
        self.compare(records, expected, &decided);
        Ok(())
    }

    /// Decides a step; an entry that the decision has to see is looked up in the ledger.
    fn decide(
        &mut self,
        step: Step<'_>,
        at: Timestamp,
        expected: &[Vec<u8>],
        number: EntryNumber,
    ) -> Result<DecidedAgain, RerunError> {
        loop {
            let decided = self.core.decide_again(step, at, expected, &self.prices);
            let decided = decided.map_err(|why| self.damaged(number, why))?;
            let Some(wanted) = decided.wants else { return Ok(decided) };
            let record = ledger_log::find_entry(self.log, self.partition, wanted)?;
            self.core.provide(wanted, record);
        }
    }

    /// Decides what left no entry, as far as its turn has come; with `until`, all of it.
    fn exceptions(
        &mut self,
        pending: &mut Pending,
        until: Option<Timestamp>,
    ) -> Result<(), RerunError> {
        while self.first_exception(pending, until)? {}
        Ok(())
    }

    /// Decides the first that is left, if its turn has come. With `must_by` it has, whatever comes of
    /// it. Returns whether it is done.
    fn first_exception(
        &mut self,
        pending: &mut Pending,
        must_by: Option<Timestamp>,
    ) -> Result<bool, RerunError> {
        let Some(exception) = pending.exceptions.front().copied() else { return Ok(false) };
        let is_known = match exception.kind {
            ExceptionKind::Duplicate { repeats } | ExceptionKind::Repeated { repeats } => {
                repeats < self.core.state().next_number()
            }
            ExceptionKind::DeadLetter { .. }
            | ExceptionKind::Forwarded { .. }
            | ExceptionKind::Refused { .. } => true,
        };
        if must_by.is_none() && !(is_known && pending.is_next(&exception)) {
            return Ok(false);
        }
        let is_by_the_clock =
            exception.kind == (ExceptionKind::Refused { reason: Reason::Deadline });
        if is_by_the_clock || self.settings.prices == PricesOf::Today {
            pending.exceptions.pop_front();
            return Ok(true);
        }
        let input = match self.held.take() {
            Some(held) => Some(held),
            None => self.input(exception.topic, exception.offset)?,
        };
        let Some(input) = input else {
            self.report.not_retained += 1;
            pending.exceptions.pop_front();
            return Ok(true);
        };
        let at = self.now.max(input.appended_at.min(must_by.unwrap_or(input.appended_at)));
        let decided = self.decide(Step::Input(input.record()), at, &[], EntryNumber(0))?;
        let is_same = decided.ending == Some(Ending::Exception(exception.kind));
        if !is_same && must_by.is_none() && matches!(exception.kind, ExceptionKind::Refused { .. })
        {
            // It was refused somewhere further on.
            self.held = Some(input);
            return Ok(false);
        }
        pending.exceptions.pop_front();
        self.report.endings += 1;
        if !is_same {
            self.report.endings_different += 1;
            self.report.difference(Difference {
                at: format!("{}@{}", input.at, input.offset),
                account: String::new(),
                kind: exception.kind.outcome().word().to_owned(),
                fields: vec![FieldDifference {
                    field: "ending",
                    then: format!("{:?}", exception.kind),
                    now: format!("{:?}", decided.ending),
                }],
            });
        }
        Ok(true)
    }

    /// The record at an input offset; `None` when it is past its retention.
    fn input(&mut self, topic: Topic, offset: Offset) -> Result<Option<Kept>, RerunError> {
        let at = TopicPartition { topic, partition: self.partition };
        let reader = match self.readers.entry(topic) {
            std::collections::btree_map::Entry::Occupied(reader) => reader.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(InputReader::open(self.log, at, offset)?)
            }
        };
        while let Some(record) = reader.next_before(offset.next())? {
            self.read += 1;
            if record.offset == offset {
                return Ok(Some(record));
            }
        }
        Ok(None)
    }
}

fn is_of_the_step_before(record: &LedgerRecord<'_>) -> bool {
    let LedgerRecord::Entry(entry) = record else { return false };
    !matches!(entry.cause, Cause::Input { .. } | Cause::Timer { .. } | Cause::Catalogue { .. })
}

fn charge<'e, 'a>(entry: &'e Entry<'a>) -> Option<&'e Debit<'a>> {
    let Body::Debit(debit) = &entry.body else { return None };
    Some(debit)
}

fn is_charge(entry: &Entry<'_>) -> bool {
    charge(entry).is_some()
}

fn resolved(entry: &Entry<'_>) -> Option<EntryNumber> {
    charge(entry)?.resolves
}

fn entry_of(bytes: &[u8]) -> Option<Entry<'_>> {
    match wire::decode_ledger(bytes) {
        Ok(LedgerRecord::Entry(entry)) => Some(entry),
        Ok(LedgerRecord::Seal(_) | LedgerRecord::Adopted(_)) | Err(_) => None,
    }
}
