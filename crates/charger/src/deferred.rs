//! Records that cannot be decided within the poll that lent them, because an entry of the ledger has
//! to be looked up first. What comes after them in the poll waits behind them, so that the order of
//! an account's life stays. Bounded by one poll.

use std::collections::VecDeque;

use domain::{EntryNumber, Offset, Timestamp, TopicPartition};
use eventlog::{NoHeaders, Record};

/// A record that was kept.
#[derive(Debug)]
pub(crate) struct Kept {
    at: TopicPartition,
    offset: Offset,
    appended_at: Timestamp,
    key: Box<[u8]>,
    value: Box<[u8]>,
}

impl Kept {
    fn of(record: &Record<'_>) -> Self {
        Self {
            at: record.at,
            offset: record.offset,
            appended_at: record.appended_at,
            key: record.key.into(),
            value: record.value.into(),
        }
    }

    /// Nothing that is decided looks at headers.
    pub(crate) fn as_record(&self) -> Record<'_> {
        Record {
            at: self.at,
            offset: self.offset,
            appended_at: self.appended_at,
            key: &self.key,
            value: &self.value,
            headers: &NoHeaders,
        }
    }
}

/// The records of one partition that wait, in order; the first waits for an entry.
#[derive(Debug, Default)]
pub(crate) struct Deferred {
    wants: Option<EntryNumber>,
    records: VecDeque<Kept>,
}

impl Deferred {
    pub(crate) fn is_waiting(&self) -> bool {
        self.wants.is_some()
    }

    pub(crate) fn waits_for(&self) -> Option<EntryNumber> {
        self.wants
    }

    pub(crate) fn wait_for(&mut self, entry: EntryNumber, record: &Record<'_>) {
        self.wants = Some(entry);
        self.push(record);
    }

    pub(crate) fn push(&mut self, record: &Record<'_>) {
        self.records.push_back(Kept::of(record));
    }

    /// Takes all out; those that have to wait on are pushed again.
    pub(crate) fn take(&mut self) -> VecDeque<Kept> {
        self.wants = None;
        std::mem::take(&mut self.records)
    }
}
