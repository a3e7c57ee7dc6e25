//! Ledger records to ClickHouse rows and rollup deltas, and the tables that take them. Pure: the
//! same records give the same bytes, so that an interrupted insert can be repeated, and so that a
//! test can compute what ClickHouse must hold.
#![deny(clippy::float_arithmetic)]

mod names;
pub mod rowbinary;
mod rows;
pub mod tables;

pub use names::Names;
pub use rows::{
    Block, DeadLetterRows, DecodedBatch, FreshnessMark, InputMark, LedgerBatch, Place, entry_id,
    mark_blocks,
};
