//! The redb tables, and what is read from them at the start.

use std::collections::BTreeMap;
use std::path::Path;

use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use redb::{
    Builder, Database, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};

use super::batch::PendingChunk;
use super::chunk::{self, Chunk};
use crate::{Bounds, CommittedPosition, LogError, Position, TopicSpec};

const FILE: &str = "log.redb";
/// Of the tables and rows below; any change of them is a new number.
const FORMAT: u64 = 1;

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Topic code to the number of partitions.
const TOPICS: TableDefinition<'_, u8, u32> = TableDefinition::new("topics");
/// Group, topic code and partition to the next offset and its metadata.
const POSITIONS: TableDefinition<'_, (&str, u8, u32), (i64, &str)> =
    TableDefinition::new("positions");
pub(super) const RECORDS: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("records");

const FORMAT_KEY: &str = "format";

/// What is known of the partitions without asking redb.
#[derive(Debug, Default)]
pub(super) struct Extents {
    pub(super) topics: BTreeMap<Topic, u32>,
    pub(super) bounds: BTreeMap<TopicPartition, (Offset, Offset)>,
    /// The largest append time of any record.
    pub(super) newest: Timestamp,
}

impl Extents {
    pub(super) fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        let &(start, end) = self.bounds.get(&at).ok_or_else(|| LogError::no_partition(at))?;
        Ok(Bounds { start, end, stable_end: end })
    }

    pub(super) fn add_topic(&mut self, topic: Topic, partitions: u32) {
        self.topics.insert(topic, partitions);
        for partition in 0..partitions {
            let at = TopicPartition { topic, partition: Partition(partition) };
            self.bounds.insert(at, (Offset::ZERO, Offset::ZERO));
        }
    }
}

/// Chunks and positions that go into one write transaction.
#[derive(Debug, Default)]
pub(super) struct Write {
    pub(super) appended_at: Timestamp,
    pub(super) chunks: Vec<(Offset, PendingChunk)>,
    pub(super) positions: Vec<(String, Position)>,
}

/// Why a write did not go through.
#[derive(Debug)]
pub(super) enum WriteFailure {
    /// Nothing of it is in the log.
    NotWritten(String),
    /// It failed in the commit itself.
    Unknown(String),
}

pub(super) struct Store {
    database: Database,
}

pub(super) fn halt(error: impl std::fmt::Display) -> LogError {
    LogError::Halt(format!("the embedded log's storage failed: {error}"))
}

impl Store {
    pub(super) fn open(folder: &Path, cache_bytes_max: usize) -> Result<(Self, Extents), LogError> {
        let path = folder.join(FILE);
        let database = Builder::new()
            .set_cache_size(cache_bytes_max)
            .create(&path)
            .map_err(|error| LogError::Halt(format!("cannot open {}: {error}", path.display())))?;
        let store = Self { database };
        store.prepare(folder)?;
        let extents = store.extents()?;
        // A new file's name is durable only once its folder is.
        std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(halt)?;
        Ok((store, extents))
    }

    /// Creates the tables, or refuses a format that is not this one.
    fn prepare(&self, folder: &Path) -> Result<(), LogError> {
        let transaction = self.database.begin_write().map_err(halt)?;
        let found = {
            let mut meta = transaction.open_table(META).map_err(halt)?;
            let found = meta.get(FORMAT_KEY).map_err(halt)?.map(|format| format.value());
            if found.is_none() {
                meta.insert(FORMAT_KEY, FORMAT).map_err(halt)?;
            }
            found
        };
        match found {
            Some(FORMAT) => return transaction.abort().map_err(halt),
            None => {}
            Some(other) => {
                return Err(LogError::Halt(format!(
                    "the log in {} has format {other}, and this version of tally reads format \
                     {FORMAT}: open it with the version that wrote it, or use another folder",
                    folder.display()
                )));
            }
        }
        transaction.open_table(TOPICS).map_err(halt)?;
        transaction.open_table(POSITIONS).map_err(halt)?;
        transaction.open_table(RECORDS).map_err(halt)?;
        transaction.commit().map_err(halt)
    }

    fn extents(&self) -> Result<Extents, LogError> {
        let transaction = self.database.begin_read().map_err(halt)?;
        let topics = transaction.open_table(TOPICS).map_err(halt)?;
        let records = transaction.open_table(RECORDS).map_err(halt)?;
        let mut extents = Extents::default();
        for row in topics.iter().map_err(halt)? {
            let (code, partitions) = row.map_err(halt)?;
            let topic = Topic::from_code(code.value())
                .ok_or_else(|| halt(format!("an unknown topic, {}", code.value())))?;
            extents.add_topic(topic, partitions.value());
        }
        for (at, bounds) in &mut extents.bounds {
            let mut rows = records.range(chunk::keys_from(*at, Offset::ZERO)).map_err(halt)?;
            let Some(first) = rows.next().transpose().map_err(halt)? else {
                continue;
            };
            bounds.0 = chunk::offset_of(first.0.value());
            let last = rows.next_back().transpose().map_err(halt)?.unwrap_or(first);
            let last = Chunk::read(*at, chunk::offset_of(last.0.value()), last.1.value())
                .map(|chunk| (chunk.end(), chunk.appended_at))?;
            bounds.1 = last.0;
            extents.newest = extents.newest.max(last.1);
        }
        Ok(extents)
    }

    pub(super) fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let transaction = self.database.begin_write().map_err(halt)?;
        {
            let mut table = transaction.open_table(TOPICS).map_err(halt)?;
            for spec in topics {
                table.insert(spec.topic.code(), spec.partitions).map_err(halt)?;
            }
        }
        transaction.commit().map_err(halt)
    }

    /// One durable transaction.
    pub(super) fn write(&self, write: &Write) -> Result<(), WriteFailure> {
        let not_written = |error: redb::Error| WriteFailure::NotWritten(error.to_string());
        let mut transaction =
            self.database.begin_write().map_err(|error| not_written(error.into()))?;
        // Synced before the commit returns.
        transaction
            .set_durability(Durability::Immediate)
            .map_err(|error| WriteFailure::NotWritten(error.to_string()))?;
        insert(&transaction, write).map_err(not_written)?;
        transaction.commit().map_err(|error| WriteFailure::Unknown(error.to_string()))
    }

    pub(super) fn position(
        &self,
        group: &str,
        places: &[TopicPartition],
    ) -> Result<Vec<CommittedPosition>, LogError> {
        let transaction = self.database.begin_read().map_err(halt)?;
        let table = transaction.open_table(POSITIONS).map_err(halt)?;
        let mut committed = Vec::with_capacity(places.len());
        for &at in places {
            let row = table.get((group, at.topic.code(), at.partition.0)).map_err(halt)?;
            let (next, metadata) = match &row {
                Some(row) => {
                    let (next, metadata) = row.value();
                    (Some(Offset(next)), metadata.to_owned())
                }
                None => (None, String::new()),
            };
            committed.push(CommittedPosition { at, next, metadata });
        }
        Ok(committed)
    }

    /// A snapshot of the records as they are now.
    pub(super) fn records(&self) -> Result<redb::ReadOnlyTable<u128, &'static [u8]>, LogError> {
        let transaction = self.database.begin_read().map_err(halt)?;
        transaction.open_table(RECORDS).map_err(halt)
    }
}

fn insert(transaction: &WriteTransaction, write: &Write) -> Result<(), redb::Error> {
    if !write.chunks.is_empty() {
        let mut records = transaction.open_table(RECORDS)?;
        for (first, pending) in &write.chunks {
            let key = chunk::key(pending.to, *first);
            let mut row = records.insert_reserve(key, chunk::bytes(&pending.body))?;
            chunk::write(row.as_mut(), write.appended_at, pending.records, &pending.body);
        }
    }
    if !write.positions.is_empty() {
        let mut positions = transaction.open_table(POSITIONS)?;
        for (group, position) in &write.positions {
            let at = position.at;
            positions.insert(
                (group.as_str(), at.topic.code(), at.partition.0),
                (position.next.0, position.metadata.as_str()),
            )?;
        }
    }
    Ok(())
}
