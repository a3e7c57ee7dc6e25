//! One partition of one topic on its way into ClickHouse: what has been read, and where the next
//! batch may end.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{Offset, Timestamp, Topic, TopicPartition};
use eventlog::Record;
use sabotage::Break;

/// What marks a planned end in a committed position's metadata.
const PLANNED: &str = "planned_end=";

/// A record that waits for its batch.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) offset: Offset,
    pub(crate) appended_at: Timestamp,
    pub(crate) key: Box<[u8]>,
    pub(crate) value: Box<[u8]>,
}

/// How large and how old a batch may get.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) records_max: usize,
    pub(crate) bytes_max: usize,
    pub(crate) age_max: Duration,
}

/// A place where a batch may end, and how much had been taken by then.
#[derive(Clone, Copy, Debug)]
struct End {
    offset: Offset,
    taken: Size,
}

#[derive(Clone, Copy, Debug, Default)]
struct Size {
    records: usize,
    bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) at: TopicPartition,
    /// The first offset of the next batch.
    pub(crate) from: Offset,
    /// Where the batch that may have been begun before a restart ends.
    pub(crate) planned_end: Option<Offset>,
    waiting: VecDeque<Waiting>,
    /// Where batches may end: after each seal of the ledger, after any dead letter.
    ends: VecDeque<End>,
    /// Records and bytes taken so far, and cut so far.
    taken: Size,
    cut: Size,
    opened: Option<Duration>,
}

impl Stream {
    /// A stream at its committed position.
    pub(crate) fn new(at: TopicPartition, from: Offset, metadata: &str) -> Self {
        let planned_end = metadata
            .strip_prefix(PLANNED)
            .and_then(|end| end.parse().ok())
            .map(Offset)
            .filter(|end| *end > from && !sabotage::is_on(Break::PlannedEndForgotten));
        Self {
            at,
            from,
            planned_end,
            waiting: VecDeque::new(),
            ends: VecDeque::new(),
            taken: Size::default(),
            cut: Size::default(),
            opened: None,
        }
    }

    pub(crate) fn take(&mut self, record: &Record<'_>, now: Duration) {
        let ends_here = match self.at.topic {
            Topic::LedgerEntries => wire::is_seal(record.value),
            _ => true,
        };
        self.taken.records += 1;
        self.taken.bytes += record.key.len() + record.value.len();
        self.waiting.push_back(Waiting {
            offset: record.offset,
            appended_at: record.appended_at,
            key: record.key.into(),
            value: record.value.into(),
        });
        if ends_here {
            self.ends.push_back(End { offset: record.offset.next(), taken: self.taken });
            self.opened.get_or_insert(now);
        }
    }

    pub(crate) fn waiting_records(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn waiting_bytes(&self) -> usize {
        self.taken.bytes - self.cut.bytes
    }

    /// The end of the batch that is to be written now, if one is.
    pub(crate) fn due(&self, limits: &Limits, now: Duration) -> Option<Offset> {
        let last = self.ends.back()?;
        if let Some(planned) = self.planned_end {
            return (last.offset >= planned).then_some(planned);
        }
        let opened = self.opened?;
        let fits = |end: &&End| {
            end.taken.records - self.cut.records <= limits.records_max
                && end.taken.bytes - self.cut.bytes <= limits.bytes_max
        };
        let full = !fits(&last);
        if !full && now.saturating_sub(opened) < limits.age_max {
            return None;
        }
        // A single transaction may be larger than a batch should be: it is not split.
        let largest = self.ends.iter().take_while(fits).last().or_else(|| self.ends.front());
        largest.map(|end| end.offset)
    }

    /// Takes the records of a batch out. It begins at [`Self::from`], which moves on.
    pub(crate) fn cut(&mut self, to: Offset, now: Duration) -> Vec<Waiting> {
        let count = self.waiting.partition_point(|record| record.offset < to);
        let records: Vec<Waiting> = self.waiting.drain(..count).collect();
        let bytes: usize = records.iter().map(|record| record.key.len() + record.value.len()).sum();
        self.cut.records += records.len();
        self.cut.bytes += bytes;
        while self.ends.front().is_some_and(|end| end.offset <= to) {
            self.ends.pop_front();
        }
        self.opened = (!self.ends.is_empty()).then_some(now);
        self.planned_end = None;
        self.from = to;
        records
    }

    /// The metadata that says where the batch now begun will end.
    pub(crate) fn metadata(to: Offset) -> String {
        format!("{PLANNED}{to}")
    }
}
