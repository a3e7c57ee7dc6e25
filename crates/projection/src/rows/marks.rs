//! Progress marks: how far the tables and the charger have come.

use domain::{Offset, Partition, Timestamp, Topic};

use super::{Block, Rows};
use crate::rowbinary::RowBinary;
use crate::tables;

/// How far the projector's tables have come in one ledger partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshnessMark {
    pub partition: Partition,
    pub marked_at: Timestamp,
    /// The offset after the last ledger record that is in the tables.
    pub next: Offset,
    /// Everything that the ledger recorded before is in the tables.
    pub as_of: Timestamp,
    pub lag_records: i64,
}

/// How far the charger has come in one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InputMark {
    pub topic: Topic,
    pub partition: Partition,
    pub marked_at: Timestamp,
    pub consumed_to: Offset,
    pub as_of: Timestamp,
    pub lag_records: i64,
}

/// The marks as blocks.
pub fn mark_blocks(freshness: &[FreshnessMark], inputs: &[InputMark]) -> Vec<Block> {
    let mut rows = Rows::default();
    for mark in freshness {
        rows.add(|row| {
            row.put_text("*");
            row.put_u32(mark.partition.0);
            row.put_time(mark.marked_at);
            row.put_i64(mark.next.0);
            row.put_time(mark.as_of);
            row.put_i64(mark.lag_records);
        });
    }
    let mut blocks: Vec<Block> = rows.take(&tables::FRESHNESS_MARKS).into_iter().collect();
    let mut rows = Rows::default();
    for mark in inputs {
        rows.add(|row| {
            row.put_text(mark.topic.name());
            row.put_u32(mark.partition.0);
            row.put_time(mark.marked_at);
            row.put_i64(mark.consumed_to.0);
            row.put_time(mark.as_of);
            row.put_i64(mark.lag_records);
        });
    }
    blocks.extend(rows.take(&tables::INPUT_MARKS));
    blocks
}
