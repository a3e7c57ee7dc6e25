//! Finding one entry of the ledger by its number, without reading the ledger through.
//!
//! Numbers rise by one from entry to entry, and so do offsets from record to record; but seals,
//! adoptions and the log's own control records take offsets without taking a number. So the place
//! is estimated from two places that are known, looked at, and estimated again: the share of seals
//! hardly changes, and a few looks are enough.

use std::time::Duration;

use domain::{EntryNumber, Offset, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use wire::LedgerRecord;

/// Records of one look: more than an estimate is usually off by.
const WINDOW: i64 = 256;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 40;

/// The record of an entry, as it stands in the ledger; `None` when the partition has no entry of
/// that number (yet).
///
/// # Errors
/// When the log cannot be read, or holds a record that is none of the ledger's.
pub fn find_entry(
    log: &dyn EventLog,
    partition: Partition,
    number: EntryNumber,
) -> Result<Option<Vec<u8>>, LogError> {
    let at = TopicPartition { topic: Topic::LedgerEntries, partition };
    let bounds = log.bounds(at)?;
    let mut range = Range {
        low: Known { offset: bounds.start, number: 0 },
        high: None,
        end: bounds.stable_end,
    };
    // What is asked for again was nearly always asked for a moment ago.
    let mut probe = Offset(range.end.0 - WINDOW).max(range.low.offset);
    let mut width = i64::MAX;
    while range.low.offset < range.end {
        let look = look(log, at, probe..range.end, number)?;
        match look {
            Look::Found(record) => return Ok(Some(record)),
            Look::Before { first } => {
                range.end = probe;
                range.high = Some(Known { offset: probe, number: first.0 });
            }
            Look::After { last, next } => range.low = Known { offset: next, number: last.0 },
            // From the probe to the end there is none.
            Look::Nothing => range.end = probe,
            Look::Between => return Ok(None),
        }
        // An estimate that does not halve the range is followed by a plain halving.
        let left = range.end.0 - range.low.offset.0;
        probe = if left > width / 2 { range.middle() } else { range.estimate(number) };
        width = left;
    }
    Ok(None)
}

/// A place, and the number of the nearest entry before it (or, for the upper one, from it on).
#[derive(Clone, Copy, Debug)]
struct Known {
    offset: Offset,
    number: u64,
}

/// Where the entry may be: `[low, end)`.
#[derive(Clone, Copy, Debug)]
struct Range {
    low: Known,
    high: Option<Known>,
    end: Offset,
}

impl Range {
    /// Half a window before the place where the entry would be if seals were spread evenly.
    fn estimate(&self, number: EntryNumber) -> Offset {
        let Some(high) = self.high else { return self.middle() };
        let offsets = i128::from(high.offset.0 - self.low.offset.0);
        let numbers = i128::from(high.number.saturating_sub(self.low.number)).max(1);
        let wanted = i128::from(number.0.saturating_sub(self.low.number));
        let ahead = i64::try_from(offsets * wanted / numbers).unwrap_or(i64::MAX);
        self.within(self.low.offset.0.saturating_add(ahead).saturating_sub(WINDOW / 2))
    }

    fn middle(&self) -> Offset {
        self.within(self.low.offset.0 + (self.end.0 - self.low.offset.0) / 2)
    }

    fn within(&self, offset: i64) -> Offset {
        Offset(offset.min(self.end.0 - 1).max(self.low.offset.0))
    }
}

/// What one look says of the entry.
enum Look {
    Found(Vec<u8>),
    /// The first entry there has a larger number.
    Before {
        first: EntryNumber,
    },
    /// The last entry there has a smaller number; `next` is where the look ended.
    After {
        last: EntryNumber,
        next: Offset,
    },
    /// Smaller and larger ones were met, and it is not among them.
    Between,
    /// No entry at all.
    Nothing,
}

/// Reads on from the start of `range`: a window, or further until an entry is met.
fn look(
    log: &dyn EventLog,
    at: TopicPartition,
    range: std::ops::Range<Offset>,
    number: EntryNumber,
) -> Result<Look, LogError> {
    let mut reader = log.reader(&[(at, range.start)])?;
    let window = Offset(range.start.0.saturating_add(WINDOW)).min(range.end);
    let (mut first, mut last) = (None, None);
    let (mut found, mut broken) = (None, None);
    let mut empty_polls = 0;
    while reader.position(at) < if last.is_some() { window } else { range.end } {
        let count = reader.poll(WINDOW as usize, POLL_WAIT, &mut |record| {
            if record.offset >= range.end || found.is_some() || wire::is_seal(record.value) {
                return;
            }
            match wire::decode_ledger(record.value) {
                Ok(LedgerRecord::Entry(entry)) => {
                    first = first.or(Some(entry.number));
                    last = Some(entry.number);
                    if entry.number == number {
                        found = Some(record.value.to_vec());
                    }
                }
                Ok(LedgerRecord::Seal(_) | LedgerRecord::Adopted(_)) => {}
                Err(error) => broken = Some(format!("{at}@{}: {error}", record.offset)),
            }
        })?;
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            return Err(LogError::Unavailable(format!("reading {at} made no way")));
        }
        if let Some(record) = found {
            return Ok(Look::Found(record));
        }
        if let Some(why) = broken {
            return Err(LogError::Halt(why));
        }
        let passed = last.is_some_and(|last| last > number);
        if passed {
            break;
        }
    }
    let next = reader.position(at).min(range.end);
    Ok(match (first, last) {
        (Some(first), _) if first > number => Look::Before { first },
        (_, Some(last)) if last < number => Look::After { last, next },
        (Some(_), Some(_)) => Look::Between,
        (None, _) | (_, None) => Look::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use domain::{Credits, LotId, Sequence, Text, Timestamp};
    use eventlog::memory::{NoFaults, Offsets};
    use eventlog::{
        Append, Appender, Bounds, CommitOutcome, Lane, Member, MemberSpec, MemoryLog, Reader,
        TopicSpec,
    };
    use ledger::{Balance, Body, CatalogueAdopted, Category, Cause, Entry, LotInGrace};
    use proptest::prelude::*;

    use super::*;

    const AT: TopicPartition =
        TopicPartition { topic: Topic::LedgerEntries, partition: Partition(0) };

    /// Counts the looks: each makes one reader.
    struct Counted(MemoryLog, AtomicUsize);

    impl EventLog for Counted {
        fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
            self.0.create_topics(topics)
        }
        fn partitions(&self, topic: Topic) -> Result<Option<u32>, LogError> {
            self.0.partitions(topic)
        }
        fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
            self.0.bounds(at)
        }
        fn reader(&self, from: &[(TopicPartition, Offset)]) -> Result<Box<dyn Reader>, LogError> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.reader(from)
        }
        fn appender(&self) -> Result<Box<dyn Appender>, LogError> {
            self.0.appender()
        }
        fn join(&self, spec: &MemberSpec) -> Result<Box<dyn Member>, LogError> {
            self.0.join(spec)
        }
        fn contract_findings(&self) -> Result<Vec<String>, LogError> {
            self.0.contract_findings()
        }
    }

    fn entry(number: u64) -> Vec<u8> {
        let in_grace = LotInGrace {
            lot: LotId(1),
            category: Category::Promotional,
            credits: Credits::from_units(1),
        };
        let entry = Entry {
            number: EntryNumber(number),
            account: Text::Borrowed("a"),
            sequence: Sequence(number),
            recorded_at: Timestamp::from_seconds(1),
            cause: Cause::Timer { due: Timestamp::from_seconds(1) },
            after: Balance::default(),
            body: Body::LotInGrace(in_grace),
        };
        let mut record = Vec::new();
        wire::encode_entry(&entry, &mut record);
        record
    }

    fn adopted() -> Vec<u8> {
        let adopted = CatalogueAdopted {
            next: Offset(1),
            hash: [0; 32],
            recorded_at: Timestamp::from_seconds(1),
        };
        let mut record = Vec::new();
        wire::encode_adopted(&adopted, &mut record);
        record
    }

    /// A ledger of transactions, each of so many entries and then so many other records; each also
    /// leaves a control record.
    fn ledger(transactions: &[(u64, u64)]) -> (Counted, u64) {
        let log = MemoryLog::new(Offsets::Marked, Box::new(NoFaults));
        for topic in [Topic::LedgerEntries, Topic::LedgerCommands] {
            log.create_topics(&[TopicSpec { topic, partitions: 1 }]).unwrap();
        }
        let spec = MemberSpec {
            group: "g".to_owned(),
            topics: vec![(Topic::LedgerCommands, Lane::Bulk)],
            writer: Some("w".to_owned()),
        };
        let mut member = log.join(&spec).unwrap();
        let mut number = 0;
        for (entries, others) in transactions {
            let mut append = |value: &[u8]| {
                member.append(Append { to: AT, key: b"a", value, headers: &[] }).unwrap();
            };
            for _ in 0..*entries {
                number += 1;
                append(&entry(number));
            }
            for _ in 0..*others {
                append(&adopted());
            }
            assert_eq!(member.commit(&[]), CommitOutcome::Committed);
        }
        (Counted(log, AtomicUsize::new(0)), number)
    }

    fn find(log: &Counted, number: u64) -> Option<Vec<u8>> {
        find_entry(log, AT.partition, EntryNumber(number)).unwrap()
    }

    #[test]
    fn a_long_ledger_takes_a_few_looks() {
        // Dense at first, then mostly seals: as when an idle deployment wakes up.
        let mut transactions = vec![(300, 1); 60];
        transactions.extend(vec![(1, 1); 2_000]);
        let (log, last) = ledger(&transactions);
        let mut looks_max = 0;
        for number in (1..=last).step_by(97).chain([1, last]) {
            log.1.store(0, Ordering::Relaxed);
            assert_eq!(find(&log, number), Some(entry(number)), "{number}");
            looks_max = looks_max.max(log.1.load(Ordering::Relaxed));
        }
        assert!(looks_max <= 12, "{looks_max} looks");
        log.1.store(0, Ordering::Relaxed);
        assert_eq!(find(&log, last), Some(entry(last)));
        assert_eq!(log.1.load(Ordering::Relaxed), 1, "the newest is found at once");
        assert_eq!(find(&log, last + 1), None);
        assert_eq!(find(&log, u64::MAX), None);
        assert_eq!(find(&log, 0), None);
    }

    #[test]
    fn an_empty_ledger_has_none() {
        let (log, _) = ledger(&[]);
        assert_eq!(find(&log, 1), None);
        let (log, _) = ledger(&[(0, 700)]);
        assert_eq!(find(&log, 1), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_entry_is_found_and_no_other(
            transactions in proptest::collection::vec((0_u64..400, 0_u64..400), 0..24)
        ) {
            let (log, last) = ledger(&transactions);
            for number in (0..=last + 1).step_by(29).chain([1, last, last + 1]) {
                let expected = (1..=last).contains(&number).then(|| entry(number));
                prop_assert_eq!(find(&log, number), expected, "{} of {}", number, last);
            }
        }
    }
}
