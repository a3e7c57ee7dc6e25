//! Inserts that happen once, whatever crashes.
//!
//! **One insert is one part.** A batch is bounded, its settings make the server form one block of
//! it, and no table has partitions; so it is stored as a whole or not at all.
//!
//! **A batch is sent again with the same token**, and ClickHouse drops what its deduplication log
//! has seen. That alone is not enough across a `kill -9` of the server: the log and the part are two
//! files, written one after the other without a common commit (`MergeTreeSink.cpp`: the log first in
//! versions up to 26.x, the part first in newer ones). A crash between them leaves a token without
//! its rows (a repeat is dropped: rows lost), or rows without their token (a repeat is stored: rows
//! twice). So a batch whose outcome is unknown is looked up first: every row carries the log
//! position that made it, the batches of one partition come in order, and therefore *the batch is
//! stored exactly when the table's largest offset has reached the batch's first*. If it is not
//! there and the server drops it all the same, the token lies, and the next token of the batch is
//! used. (Dead letters leave with age, so of them only presence proves anything; the letter itself is
//! in its topic.)

use bytes::Bytes;
use domain::{Offset, Partition};
use projection::Block;
use projection::tables::Table;
use sabotage::Break;

use crate::ddl::insert_into;
use crate::error::{Consequence, WarehouseError};
use crate::native;
use crate::warehouse::Warehouse;

/// The most rows of one insert: below the size at which ClickHouse would form a second block.
pub const INSERT_ROWS_MAX: usize = 1_000_000;
/// The most bytes of one insert.
pub const INSERT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How often a token may turn out to lie before a person must look. Each time takes a crash of the
/// server within microseconds.
const TOKENS_MAX: u32 = 4;

/// The rows of one table that one range of a log makes. The same range always makes the same batch,
/// byte for byte.
#[derive(Clone, Debug)]
pub struct Batch {
    pub table: &'static Table,
    /// Whole rows in RowBinary, in the order of the table's columns (sent as one block of columns,
    /// see `native`). A clone costs nothing.
    pub rows: Bytes,
    /// How many rows there are.
    pub row_count: usize,
    /// The partition of the log that the rows come from.
    pub partition: Partition,
    /// The first offset of the range: no row of the batch comes from before it, and no row of an
    /// earlier batch of the table and partition from it or after.
    pub from: Offset,
    /// Names the batch: table, partition, offset range and schema version. No other batch may have
    /// it: the server would drop that one's rows without a word.
    pub token: String,
}

impl Batch {
    /// The batch that a range of a partition makes. `writer` sets its token apart from that of the
    /// same range as others write it, to this table or to one that is exchanged with it: a table's
    /// tokens move with its rows.
    pub fn of(
        block: Block,
        partition: Partition,
        (from, to): (Offset, Offset),
        writer: &str,
    ) -> Self {
        let Block { table, rows, bytes } = block;
        let token = format!("{}/{partition}/{from}-{to}/{writer}", table.name);
        Self { table, rows: Bytes::from(bytes), row_count: rows, partition, from, token }
    }
}

/// What became of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InsertOutcome {
    /// The rows are in the table, once.
    Stored,
    /// No answer came. The rows may be in the table, or come into it yet: use
    /// [`Warehouse::insert_again`] with the same batch.
    Unknown(WarehouseError),
    /// The server answered that it cannot now: [`Warehouse::insert_again`], after a pause.
    Busy(WarehouseError),
    /// It will be refused again: a person must act.
    Refused(WarehouseError),
}

impl InsertOutcome {
    fn of(error: WarehouseError) -> Self {
        match (&error, error.consequence()) {
            (WarehouseError::Unanswered(_), _) => Self::Unknown(error),
            (_, Consequence::Retry) => Self::Busy(error),
            (_, Consequence::Halt) => Self::Refused(error),
        }
    }
}

impl Warehouse {
    /// Inserts a batch that was never sent before. A batch without rows is stored at once.
    pub async fn insert(&self, batch: &Batch) -> InsertOutcome {
        match self.send(batch, 0).await {
            Ok(()) => InsertOutcome::Stored,
            Err(error) => InsertOutcome::of(error),
        }
    }

    /// Inserts a batch that may have been sent before: after an unknown outcome, or after a restart.
    /// Batches of the same table and partition must not be sent while this runs.
    pub async fn insert_again(&self, batch: &Batch) -> InsertOutcome {
        match self.send_until_stored(batch).await {
            Ok(outcome) => outcome,
            Err(error) => InsertOutcome::of(error),
        }
    }

    async fn send_until_stored(&self, batch: &Batch) -> Result<InsertOutcome, WarehouseError> {
        if sabotage::is_on(Break::RetryRenamed) || sabotage::is_on(Break::LookupSkipped) {
            let attempt = u32::from(sabotage::is_on(Break::RetryRenamed));
            self.send(batch, attempt).await?;
            return Ok(InsertOutcome::Stored);
        }
        if batch.row_count == 0 || self.is_stored(batch).await? {
            return Ok(InsertOutcome::Stored);
        }
        for attempt in 0..TOKENS_MAX {
            // The earlier attempt may still be running on the server. With the token that it used,
            // whichever of the two commits second is dropped.
            self.send(batch, attempt).await?;
            // Where rows have no position, or leave with age, that they are not there says nothing.
            let can_tell = batch.table.position.is_some() && batch.table.ttl.is_empty();
            if !can_tell || self.is_stored(batch).await? {
                return Ok(InsertOutcome::Stored);
            }
            // The server took the batch for a repeat, and the rows are not there: the attempt that
            // wrote this token died before it wrote its part. Nothing of it is running any more.
        }
        Ok(InsertOutcome::Refused(WarehouseError::Unreadable(format!(
            "{} took batch {} {TOKENS_MAX} times and does not have it",
            batch.table.name, batch.token
        ))))
    }

    async fn is_stored(&self, batch: &Batch) -> Result<bool, WarehouseError> {
        let reached = self.max_offset(batch.table, batch.partition).await?;
        Ok(reached.is_some_and(|reached| reached >= batch.from))
    }

    async fn send(&self, batch: &Batch, attempt: u32) -> Result<(), WarehouseError> {
        if batch.row_count == 0 {
            return Ok(());
        }
        if batch.row_count > INSERT_ROWS_MAX || batch.rows.len() > INSERT_BYTES_MAX {
            return Err(WarehouseError::Misconfigured(format!(
                "a batch has at most {INSERT_ROWS_MAX} rows and {INSERT_BYTES_MAX} bytes, not {} and {}",
                batch.row_count,
                batch.rows.len()
            )));
        }
        let block =
            native::block(batch.table.columns, &batch.rows, batch.row_count).map_err(|error| {
                let (table, token) = (batch.table.name, &batch.token);
                WarehouseError::Misconfigured(format!(
                    "batch {token} has no rows of {table}: {error}"
                ))
            })?;
        let token = match attempt {
            0 => batch.token.clone(),
            more => format!("{}/{more}", batch.token),
        };
        let block_rows = INSERT_ROWS_MAX.to_string();
        let mut insert = self
            .client
            .insert_formatted_with(insert_into(batch.table, &self.qualified(batch.table)))
            .with_timeouts(Some(self.settings.insert_timeout), Some(self.settings.insert_timeout))
            .with_setting("insert_deduplicate", "1")
            .with_setting("insert_deduplication_token", token)
            // On by default in new versions: it would answer for rows that are in a queue.
            .with_setting("async_insert", "0")
            // The status line is written when the insert is done, not when it begins.
            .with_setting("wait_end_of_query", "1")
            // One block: formed and squashed at the same bound, on rows alone, by one thread.
            .with_setting("max_insert_block_size", &block_rows)
            .with_setting("min_insert_block_size_rows", &block_rows)
            .with_setting("min_insert_block_size_bytes", "0")
            .with_setting("input_format_parallel_parsing", "0")
            .with_setting("max_partitions_per_insert_block", "1")
            .with_setting("throw_on_max_partitions_per_insert_block", "1")
            // As it was sent: a block whose sums cancel would otherwise vanish, and the proof that
            // it was stored with it.
            .with_setting("optimize_on_insert", "0")
            // The caller's timeout decides, not a profile's.
            .with_setting("max_execution_time", "0");
        for (name, value) in self.pinned.iter() {
            insert = insert.with_setting(*name, *value);
        }
        insert.send(block.into()).await?;
        insert.end().await?;
        Ok(())
    }
}
