//! Partitions, records and transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Offset, Timestamp, Topic, TopicPartition};

use super::Offsets;
use crate::encoded::{encode, encoded_bytes_max};
use crate::{Append, Bounds, LogError, TopicSpec};

/// A committed record.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) appended_at: Timestamp,
    /// As [`encode`] writes it.
    pub(super) bytes: Arc<[u8]>,
}

/// One offset.
#[derive(Debug)]
enum Slot {
    Committed(Stored),
    /// Of an open transaction.
    Pending(Stored),
    /// A control record, or an aborted one.
    Nothing,
}

#[derive(Debug, Default)]
struct PartitionLog {
    /// By offset.
    slots: Vec<Slot>,
    start: usize,
    /// The first offset of every open transaction that wrote here.
    open: BTreeMap<TransactionId, usize>,
    newest: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TransactionId(u64);

/// What a transaction wrote so far.
#[derive(Debug, Default)]
struct Transaction {
    /// Not in the log yet ([`Offsets::Dense`]).
    buffered: Vec<(TopicPartition, Arc<[u8]>)>,
    /// In the log, pending ([`Offsets::Marked`]).
    pending: Vec<(TopicPartition, usize)>,
}

/// The right to write under a name, until somebody joins under it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WriterTerm {
    name: String,
    epoch: u64,
}

#[derive(Debug, Default)]
struct Writer {
    epoch: u64,
    transaction: Option<TransactionId>,
}

#[derive(Debug)]
pub(super) struct Storage {
    offsets: Offsets,
    topics: BTreeMap<Topic, Vec<PartitionLog>>,
    writers: BTreeMap<String, Writer>,
    transactions: BTreeMap<TransactionId, Transaction>,
    transactions_begun: u64,
}

impl Storage {
    pub(super) fn new(offsets: Offsets) -> Self {
        Self {
            offsets,
            topics: BTreeMap::new(),
            writers: BTreeMap::new(),
            transactions: BTreeMap::new(),
            transactions_begun: 0,
        }
    }

    pub(super) fn create_topics(&mut self, topics: &[TopicSpec]) -> Result<(), LogError> {
        for spec in topics {
            match self.partitions(spec.topic) {
                Some(partitions) => spec.must_have(partitions)?,
                None => {
                    let logs = (0..spec.partitions).map(|_| PartitionLog::default()).collect();
                    self.topics.insert(spec.topic, logs);
                }
            }
        }
        Ok(())
    }

    pub(super) fn partitions(&self, topic: Topic) -> Option<u32> {
        self.topics.get(&topic).and_then(|logs| u32::try_from(logs.len()).ok())
    }

    pub(super) fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        self.log(at).map(PartitionLog::bounds)
    }

    /// Refuses an offset that the partition does not hold; the end itself is allowed.
    pub(super) fn check_range(&self, at: TopicPartition, wanted: Offset) -> Result<(), LogError> {
        self.bounds(at)?.check(at, wanted)
    }

    /// Up to `records_max` committed records from an offset on, and the next offset to read.
    pub(super) fn read(
        &self,
        at: TopicPartition,
        from: Offset,
        records_max: usize,
    ) -> Result<(Vec<(Offset, Stored)>, Offset), LogError> {
        let log = self.log(at)?;
        let bounds = log.bounds();
        bounds.check(at, from)?;
        let mut records = Vec::new();
        let mut next = from;
        while next < bounds.stable_end && records.len() < records_max {
            match &log.slots[index(next)] {
                Slot::Committed(stored) => records.push((next, stored.clone())),
                // Pending ones lie past the stable end.
                Slot::Pending(_) | Slot::Nothing => {}
            }
            next = next.next();
        }
        Ok((records, next))
    }

    /// Appends outside any transaction.
    pub(super) fn append(
        &mut self,
        to: TopicPartition,
        bytes: Arc<[u8]>,
        now: Timestamp,
    ) -> Result<Offset, LogError> {
        let log = self.log_mut(to)?;
        Ok(offset(log.push(bytes, now, Slot::Committed)))
    }

    /// Fences whoever writes under a name, and hands the name out anew.
    pub(super) fn fence_and_register(&mut self, name: &str, now: Timestamp) -> WriterTerm {
        let writer = self.writers.entry(name.to_owned()).or_default();
        writer.epoch += 1;
        let term = WriterTerm { name: name.to_owned(), epoch: writer.epoch };
        if let Some(left_open) = writer.transaction.take() {
            self.end(left_open, now, false);
        }
        term
    }

    pub(super) fn is_current(&self, term: &WriterTerm) -> bool {
        self.writers.get(&term.name).is_some_and(|writer| writer.epoch == term.epoch)
    }

    /// Appends in the writer's transaction, opening one if there is none.
    pub(super) fn append_in_transaction(
        &mut self,
        term: &WriterTerm,
        append: &Append<'_>,
        now: Timestamp,
    ) -> Result<(), LogError> {
        let (to, bytes) = (append.to, bytes_of(append));
        self.log(to)?;
        let Some(writer) = self.writers.get_mut(&term.name).filter(|w| w.epoch == term.epoch)
        else {
            return Err(LogError::Fenced(term.fenced()));
        };
        let id = *writer.transaction.get_or_insert_with(|| {
            self.transactions_begun += 1;
            TransactionId(self.transactions_begun)
        });
        let offsets = self.offsets;
        match offsets {
            Offsets::Dense => {
                self.transactions.entry(id).or_default().buffered.push((to, bytes));
            }
            Offsets::Marked => {
                let log = self.log_mut(to)?;
                let index = log.push(bytes, now, Slot::Pending);
                log.open.entry(id).or_insert(index);
                self.transactions.entry(id).or_default().pending.push((to, index));
            }
        }
        Ok(())
    }

    /// Ends the writer's transaction, if one is open and the writer is still the one.
    pub(super) fn end_transaction(&mut self, term: &WriterTerm, now: Timestamp, commit: bool) {
        let writer = self.writers.get_mut(&term.name).filter(|w| w.epoch == term.epoch);
        if let Some(id) = writer.and_then(|writer| writer.transaction.take()) {
            self.end(id, now, commit);
        }
    }

    pub(super) fn expire_transactions(&mut self, now: Timestamp) {
        let mut expired = Vec::new();
        for writer in self.writers.values_mut() {
            if let Some(id) = writer.transaction.take() {
                writer.epoch += 1;
                expired.push(id);
            }
        }
        for id in expired {
            self.end(id, now, false);
        }
    }

    pub(super) fn trim(&mut self, at: TopicPartition, start: Offset) -> Result<(), LogError> {
        self.check_range(at, start)?;
        self.log_mut(at)?.start = index(start);
        Ok(())
    }

    pub(super) fn lose(&mut self, at: TopicPartition, end: Offset) -> Result<(), LogError> {
        self.check_range(at, end)?;
        let log = self.log_mut(at)?;
        if !log.open.is_empty() {
            return Err(LogError::Halt(format!("{at} has an open transaction")));
        }
        log.slots.truncate(index(end));
        Ok(())
    }

    fn end(&mut self, id: TransactionId, now: Timestamp, commit: bool) {
        let Some(Transaction { buffered, pending }) = self.transactions.remove(&id) else {
            return;
        };
        if commit {
            for (to, bytes) in buffered {
                if let Some(log) = self.topic_log(to) {
                    log.push(bytes, now, Slot::Committed);
                }
            }
        }
        for (at, index) in pending {
            let Some(log) = self.topic_log(at) else {
                continue;
            };
            let slot = std::mem::replace(&mut log.slots[index], Slot::Nothing);
            if let (true, Slot::Pending(stored)) = (commit, slot) {
                log.slots[index] = Slot::Committed(stored);
            }
        }
        for log in self.topics.values_mut().flatten() {
            if log.open.remove(&id).is_some() {
                // The control record.
                log.slots.push(Slot::Nothing);
            }
        }
    }

    fn topic_log(&mut self, at: TopicPartition) -> Option<&mut PartitionLog> {
        self.topics.get_mut(&at.topic)?.get_mut(at.partition.0 as usize)
    }

    fn log_mut(&mut self, at: TopicPartition) -> Result<&mut PartitionLog, LogError> {
        self.topic_log(at).ok_or_else(|| LogError::no_partition(at))
    }

    fn log(&self, at: TopicPartition) -> Result<&PartitionLog, LogError> {
        self.topics
            .get(&at.topic)
            .and_then(|logs| logs.get(at.partition.0 as usize))
            .ok_or_else(|| LogError::no_partition(at))
    }
}

impl PartitionLog {
    fn push(&mut self, bytes: Arc<[u8]>, now: Timestamp, slot: fn(Stored) -> Slot) -> usize {
        self.newest = self.newest.max(now);
        self.slots.push(slot(Stored { appended_at: self.newest, bytes }));
        self.slots.len() - 1
    }

    fn bounds(&self) -> Bounds {
        let end = self.slots.len();
        let stable_end = self.open.values().copied().min().unwrap_or(end);
        Bounds { start: offset(self.start), end: offset(end), stable_end: offset(stable_end) }
    }
}

impl WriterTerm {
    pub(super) fn fenced(&self) -> String {
        format!("another member writes as {}", self.name)
    }
}

pub(super) fn bytes_of(append: &Append<'_>) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(encoded_bytes_max(append));
    encode(append, &mut bytes);
    bytes.into()
}

fn offset(index: usize) -> Offset {
    Offset(i64::try_from(index).unwrap_or(i64::MAX))
}

/// Of an offset that was checked against the bounds.
fn index(offset: Offset) -> usize {
    usize::try_from(offset.0).unwrap_or(0)
}
