//! The input topics against the ledger: every retained offset is read, and how it ended is right for
//! its bytes. Seal by seal, so that what is held is what one transaction took.

mod beside;

use std::collections::BTreeMap;

use domain::limits::OUTPUT_RECORD_BYTES_MAX;
use domain::{ContentHash, Currency, Offset, Partition, Reason, Topic, TopicPartition};
use eventlog::EventLog;
use ledger::{Cause, Entry, ExceptionKind, Seal};

use crate::entries_check::EntriesCheck;
use crate::input_reader::{InputReader, Kept};
use crate::judge::{Bench, Ended, EndedEntry};
use crate::{Check, Evidence, VerifyError};

/// What a dead letter keeps of a record that is larger than anything that may be written.
const LETTER_BYTES_MAX: usize = OUTPUT_RECORD_BYTES_MAX - 8 * 1024;
const NOT_RETAINED: &str = "the log no longer has them: past its retention";

/// Records that went from one partition to another, as a number and a sum of hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sent {
    records: u64,
    hashes: u64,
}

impl Sent {
    fn add(&mut self, origin: Offset, value: &[u8]) {
        self.records += 1;
        let mut bytes = origin.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(value);
        self.hashes = self.hashes.wrapping_add(ContentHash::of(&bytes).0);
    }
}

/// Reads the inputs of one partition after another.
pub(crate) struct InputsCheck<'l> {
    log: &'l dyn EventLog,
    partitions: u32,
    partition: Partition,
    currency: Option<Currency>,
    outcomes: Check,
    identities: Check,
    booked: Check,
    letters: Check,
    forwards: Check,
    /// What the entries since the last seal say of input offsets.
    ended: BTreeMap<(Topic, Offset), Ended>,
    readers: BTreeMap<Topic, InputReader>,
    letter_reader: Option<beside::LetterReader>,
    /// Of the seal that is being read: what its dead letters must say.
    dead: BTreeMap<(Topic, Offset), (Reason, ContentHash)>,
    /// From which partition to which.
    said: BTreeMap<(Partition, Partition), Sent>,
    /// The first offset of `usage.raw` whose forwards count, and the one after the last.
    covered: BTreeMap<Partition, (Offset, Offset)>,
    /// Records read since this was last asked.
    read: u64,
}

impl<'l> InputsCheck<'l> {
    pub(crate) fn new(log: &'l dyn EventLog, partitions: u32, currency: Option<Currency>) -> Self {
        let of = |invariant, about| Check::of(Evidence::Inputs, invariant, about);
        Self {
            log,
            partitions,
            partition: Partition(0),
            currency,
            outcomes: of(
                1,
                "every retained input ended as its bytes say, and empty offsets are empty",
            ),
            identities: of(6, "duplicates repeat their entry's meaning, and conflicts do not"),
            booked: of(10, "usage ended as usage does"),
            letters: of(1, "every dead letter stands in usage.dead-letters with the input's bytes"),
            forwards: of(1, "every forwarded event stands where its account lives, once"),
            ended: BTreeMap::new(),
            readers: BTreeMap::new(),
            letter_reader: None,
            dead: BTreeMap::new(),
            said: BTreeMap::new(),
            covered: BTreeMap::new(),
            read: 0,
        }
    }

    pub(crate) fn begin(&mut self, partition: Partition) {
        self.partition = partition;
        self.ended.clear();
        self.readers.clear();
        self.letter_reader = None;
        self.dead.clear();
    }

    /// How many records were read since this was last asked.
    pub(crate) fn take_read(&mut self) -> u64 {
        std::mem::take(&mut self.read)
    }

    pub(crate) fn entry(&mut self, entry: &Entry<'_>) {
        if let Cause::Input { topic, offset } = entry.cause {
            self.ended.insert((topic, offset), Ended::Entry(EndedEntry::of(entry)));
        }
    }

    /// Passes a seal over whose inputs are not to be read.
    pub(crate) fn pass(&mut self) {
        self.ended.clear();
    }

    /// Reads what a seal says was consumed.
    pub(crate) fn seal(
        &mut self,
        seal: &Seal,
        entries: &mut EntriesCheck,
    ) -> Result<(), VerifyError> {
        let mut ended = std::mem::take(&mut self.ended);
        for exception in &seal.exceptions {
            ended.insert((exception.topic, exception.offset), Ended::Exception(exception.kind));
        }
        for range in &seal.sources {
            if range.from < range.to {
                self.range(range.topic, range.from..range.to, &ended, entries)?;
            }
        }
        self.letters_of(seal)
    }

    fn range(
        &mut self,
        topic: Topic,
        range: std::ops::Range<Offset>,
        ended: &BTreeMap<(Topic, Offset), Ended>,
        entries: &mut EntriesCheck,
    ) -> Result<(), VerifyError> {
        let at = TopicPartition { topic, partition: self.partition };
        let mut reader = match self.readers.remove(&topic) {
            Some(reader) => reader,
            None => InputReader::open(self.log, at, range.start)?,
        };
        let from = range.start.max(reader.start()).min(range.end);
        self.outcomes.skip(from.0.abs_diff(range.start.0), NOT_RETAINED);
        if topic == Topic::UsageRaw {
            let covered = self.covered.entry(self.partition).or_insert((from, range.end));
            covered.1 = range.end;
        }
        let mut expected = ended.range((topic, from)..(topic, range.end)).peekable();
        let mut looked_at = from;
        while let Some(record) = reader.next_before(range.end)? {
            self.read += 1;
            while let Some((_, ending)) =
                expected.next_if(|((_, offset), _)| *offset < record.offset)
            {
                self.absent(at, ending);
            }
            looked_at = record.offset.next();
            match expected.next_if(|((_, offset), _)| *offset == record.offset) {
                Some((_, ending)) => self.judge(&record, ending, entries)?,
                None => self.outcomes.note(Some(format!(
                    "{at}@{} has a record, and the ledger says that it was empty",
                    record.offset
                ))),
            }
        }
        for (_, ending) in expected {
            self.absent(at, ending);
        }
        // Offsets without a record, that the ledger says were empty.
        self.outcomes.checked += range.end.0.abs_diff(looked_at.0);
        self.readers.insert(topic, reader);
        Ok(())
    }

    fn absent(&mut self, at: TopicPartition, ending: &Ended) {
        self.outcomes.note(Some(format!("{at}: the log has no record for an input: {ending:?}")));
    }

    fn judge(
        &mut self,
        record: &Kept,
        ending: &Ended,
        entries: &mut EntriesCheck,
    ) -> Result<(), VerifyError> {
        let mut bench = Bench {
            partition: self.partition,
            partitions: self.partitions,
            currency: self.currency,
            identity_of: &mut |entry| Ok(entries.row(entry)?.and_then(|row| row.identity)),
        };
        let judged = bench.judge(record, ending)?;
        let place = format!("{}@{}", record.at, record.offset);
        let fault = judged.err();
        let file = |check: &mut Check, invariant: u8| {
            let own = fault.as_ref().filter(|fault| fault.invariant == invariant);
            check.note(own.map(|fault| format!("{place}: {}", fault.why)));
        };
        file(&mut self.outcomes, 1);
        file(&mut self.identities, 6);
        file(&mut self.booked, 10);
        if let Ended::Exception(ExceptionKind::Forwarded { to }) = ending {
            self.said
                .entry((record.at.partition, *to))
                .or_default()
                .add(record.offset, &record.value);
        }
        if let Ended::Exception(ExceptionKind::DeadLetter { reason }) = ending {
            let kept = &record.value[..record.value.len().min(LETTER_BYTES_MAX)];
            self.dead.insert((record.at.topic, record.offset), (*reason, ContentHash::of(kept)));
        }
        Ok(())
    }

    /// # Errors
    /// When `usage.forwarded` cannot be read.
    pub(crate) fn finish(mut self) -> Result<[Check; 5], VerifyError> {
        self.compare_forwards()?;
        Ok([self.outcomes, self.identities, self.booked, self.letters, self.forwards])
    }
}
