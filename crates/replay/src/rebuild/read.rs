//! One partition of the ledger, batch by batch, none further than it is to be read.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{Offset, TopicPartition};
use eventlog::{EventLog, LogError, Reader};

const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 200;

/// A record on its way.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) offset: Offset,
    pub(super) value: Box<[u8]>,
}

/// How much a batch may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchSize {
    pub(super) records_max: usize,
    pub(super) bytes_max: usize,
}

impl BatchSize {
    fn is_reached(self, records: usize, bytes: usize) -> bool {
        records >= self.records_max || bytes >= self.bytes_max
    }
}

/// Reads forwards. A poll may come past where a batch is to end, because commits and aborts take
/// offsets too and are no records: what it brought too early waits here.
pub(super) struct LedgerReader {
    at: TopicPartition,
    reader: Box<dyn Reader>,
    early: VecDeque<Taken>,
}

impl LedgerReader {
    pub(super) fn open(
        log: &dyn EventLog,
        at: TopicPartition,
        from: Offset,
    ) -> Result<Self, LogError> {
        Ok(Self { at, reader: log.reader(&[(at, from)])?, early: VecDeque::new() })
    }

    /// The next records before `limit`, as many as a batch may hold; without a size, all of them. None
    /// when there is none left.
    pub(super) fn batch(
        &mut self,
        limit: Offset,
        size: Option<BatchSize>,
    ) -> Result<Vec<Taken>, LogError> {
        let (mut records, mut bytes, mut empty_polls) = (Vec::new(), 0, 0);
        loop {
            while let Some(taken) = self.early.pop_front_if(|taken| taken.offset < limit) {
                bytes += taken.value.len();
                records.push(taken);
                if size.is_some_and(|size| size.is_reached(records.len(), bytes)) {
                    return Ok(records);
                }
            }
            let position = self.reader.position(self.at);
            if !self.early.is_empty() || position >= limit {
                return Ok(records);
            }
            let left = usize::try_from(limit.0 - position.0).unwrap_or(usize::MAX);
            let early = &mut self.early;
            let count = self.reader.poll(left.min(RECORDS_PER_POLL), POLL_WAIT, &mut |record| {
                early.push_back(Taken { offset: record.offset, value: record.value.into() });
            })?;
            empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
            if empty_polls > EMPTY_POLLS_MAX {
                let why = format!("reading {} made no way at {position}", self.at);
                return Err(LogError::Unavailable(why));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::{Partition, Topic};
    use eventlog::memory::{MemoryLog, NoFaults, Offsets};
    use eventlog::{Append, CommitOutcome, Lane, MemberSpec, Position, TopicSpec};

    use super::*;

    const AT: TopicPartition =
        TopicPartition { topic: Topic::LedgerEntries, partition: Partition(0) };
    const NO_SIZE: Option<BatchSize> = None;

    /// A log with transactions of one record each, and so with a mark after every record.
    fn log(transactions: i64) -> MemoryLog {
        let log = MemoryLog::new(Offsets::Marked, Box::new(NoFaults));
        let topics = [Topic::UsageRaw, Topic::LedgerEntries];
        log.create_topics(&topics.map(|topic| TopicSpec { topic, partitions: 1 })).unwrap();
        let usage = TopicPartition { topic: Topic::UsageRaw, partition: Partition(0) };
        let mut charger = log
            .join(&MemberSpec {
                group: "charger".to_owned(),
                topics: vec![(Topic::UsageRaw, Lane::Bulk)],
                writer: Some("charger".to_owned()),
            })
            .unwrap();
        charger.poll(Lane::Bulk, 1, Duration::ZERO, &mut |_| {}).unwrap();
        charger.committed(usage.partition).unwrap();
        charger.start(usage.partition, &[(Topic::UsageRaw, Offset::ZERO)]).unwrap();
        for number in 0..transactions {
            let append = Append { to: AT, key: b"", value: b"an entry", headers: &[] };
            charger.append(append).unwrap();
            let next = Offset(number);
            let position = Position { at: usage, next, metadata: String::new() };
            assert_eq!(charger.commit(&[position]), CommitOutcome::Committed);
        }
        log
    }

    fn offsets(batch: &[Taken]) -> Vec<i64> {
        batch.iter().map(|taken| taken.offset.0).collect()
    }

    #[test]
    fn no_batch_comes_past_its_limit() {
        let log = log(8);
        let mut reader = LedgerReader::open(&log, AT, Offset::ZERO).unwrap();
        assert_eq!(offsets(&reader.batch(Offset(5), NO_SIZE).unwrap()), [0, 2, 4]);
        assert!(reader.batch(Offset(5), NO_SIZE).unwrap().is_empty());
        assert_eq!(offsets(&reader.batch(Offset(8), NO_SIZE).unwrap()), [6]);
        assert_eq!(offsets(&reader.batch(Offset(16), NO_SIZE).unwrap()), [8, 10, 12, 14]);
        assert!(reader.batch(Offset(16), NO_SIZE).unwrap().is_empty());
    }

    #[test]
    fn a_batch_is_as_large_as_it_may_be_and_loses_nothing() {
        let log = log(8);
        let mut reader = LedgerReader::open(&log, AT, Offset::ZERO).unwrap();
        let three = Some(BatchSize { records_max: 3, bytes_max: usize::MAX });
        let ten_bytes = Some(BatchSize { records_max: 100, bytes_max: 10 });
        assert_eq!(offsets(&reader.batch(Offset(16), three).unwrap()), [0, 2, 4]);
        assert_eq!(offsets(&reader.batch(Offset(16), ten_bytes).unwrap()), [6, 8]);
        assert_eq!(offsets(&reader.batch(Offset(16), NO_SIZE).unwrap()), [10, 12, 14]);
    }
}
