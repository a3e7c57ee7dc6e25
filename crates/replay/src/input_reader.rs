//! One partition of a topic, record by record, in step with what the ledger says of it.

use std::collections::VecDeque;
use std::time::Duration;

use domain::{Offset, Timestamp, TopicPartition};
use eventlog::{EventLog, HeaderLookup, LogError, Reader, Record};

/// Records that are kept at once: with the largest ones, 64 MiB.
const RECORDS_PER_POLL: usize = 256;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 100;
/// The headers that tally writes and reads.
const HEADERS: [&str; 2] = [ORIGIN_PARTITION, ORIGIN_OFFSET];
pub(crate) const ORIGIN_PARTITION: &str = "tally-origin-partition";
pub(crate) const ORIGIN_OFFSET: &str = "tally-origin-offset";

/// A record, kept.
#[derive(Clone, Debug)]
pub struct Kept {
    pub at: TopicPartition,
    pub offset: Offset,
    pub appended_at: Timestamp,
    key: Vec<u8>,
    pub value: Vec<u8>,
    headers: Headers,
}

#[derive(Clone, Debug, Default)]
struct Headers(Vec<(&'static str, Vec<u8>)>);

impl HeaderLookup for Headers {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_slice())
    }
}

impl Kept {
    fn of(record: &Record<'_>) -> Self {
        let headers = HEADERS
            .into_iter()
            .filter_map(|name| Some((name, record.headers.header(name)?.to_vec())))
            .collect();
        Self {
            at: record.at,
            offset: record.offset,
            appended_at: record.appended_at,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
            headers: Headers(headers),
        }
    }

    /// The record, lent again.
    pub fn record(&self) -> Record<'_> {
        Record {
            at: self.at,
            offset: self.offset,
            appended_at: self.appended_at,
            key: &self.key,
            value: &self.value,
            headers: &self.headers,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.header(name)
    }
}

/// Reads one partition of a topic forwards.
pub struct InputReader {
    at: TopicPartition,
    reader: Box<dyn Reader>,
    pending: VecDeque<Kept>,
    /// The first offset that is still there.
    start: Offset,
}

impl std::fmt::Debug for InputReader {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("InputReader").field("at", &self.at).finish_non_exhaustive()
    }
}

impl InputReader {
    /// From an offset on, or from the first that is retained when that is later.
    ///
    /// # Errors
    /// Those of the log.
    pub fn open(log: &dyn EventLog, at: TopicPartition, from: Offset) -> Result<Self, LogError> {
        let bounds = log.bounds(at)?;
        let start = bounds.start;
        let reader = log.reader(&[(at, from.max(start).min(bounds.end))])?;
        Ok(Self { at, reader, pending: VecDeque::new(), start })
    }

    /// The first offset that was retained when this was opened.
    pub fn start(&self) -> Offset {
        self.start
    }

    /// The next record before `to`, which the log must have been read to before; `None` when there
    /// is none left.
    ///
    /// # Errors
    /// Those of the log; when it makes no way.
    pub fn next_before(&mut self, to: Offset) -> Result<Option<Kept>, LogError> {
        self.fill(to)?;
        match self.pending.front() {
            Some(first) if first.offset < to => Ok(self.pending.pop_front()),
            Some(_) | None => Ok(None),
        }
    }

    /// The next record before `to`, left where it is.
    ///
    /// # Errors
    /// As [`Self::next_before`].
    pub(crate) fn peek_before(&mut self, to: Offset) -> Result<Option<&Kept>, LogError> {
        self.fill(to)?;
        Ok(self.pending.front().filter(|first| first.offset < to))
    }

    /// Passes over what is before `from`.
    ///
    /// # Errors
    /// As [`Self::next_before`].
    pub fn skip_to(&mut self, from: Offset) -> Result<(), LogError> {
        while self.next_before(from)?.is_some() {}
        Ok(())
    }

    fn fill(&mut self, to: Offset) -> Result<(), LogError> {
        let mut empty_polls = 0;
        while self.pending.is_empty() && self.reader.position(self.at) < to {
            let pending = &mut self.pending;
            let count = self.reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
                pending.push_back(Kept::of(&record));
            })?;
            empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
            if empty_polls > EMPTY_POLLS_MAX {
                let at = self.at;
                return Err(LogError::Unavailable(format!("reading {at} made no way")));
            }
        }
        Ok(())
    }
}
