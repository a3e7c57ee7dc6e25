//! A run of ledger records on its way to rows: decoded first, so that the catalogue can be followed
//! as far as they need it, then made into blocks.

use domain::{Offset, Partition};
use ledger::Seal;
use wire::{LedgerRecord, RecordError};

use super::{Block, LedgerBatch, Place};
use crate::Names;

/// The records of one batch, decoded. Whoever writes tables makes its rows through this, so that
/// there is one way from records to rows.
#[derive(Debug)]
pub struct DecodedBatch<'r> {
    partition: Partition,
    records: Vec<(Offset, LedgerRecord<'r>)>,
}

impl<'r> DecodedBatch<'r> {
    /// Decodes records of one partition, in the order of the log.
    ///
    /// # Errors
    /// The first record that cannot be read, with its offset.
    pub fn of(
        partition: Partition,
        records: impl Iterator<Item = (Offset, &'r [u8])>,
    ) -> Result<Self, (Offset, RecordError)> {
        let decoded = records.map(|(offset, value)| {
            wire::decode_ledger(value)
                .map(|record| (offset, record))
                .map_err(|error| (offset, error))
        });
        Ok(Self { partition, records: decoded.collect::<Result<_, _>>()? })
    }

    /// How far the catalogue must have been followed for the names of these records; `None` when
    /// none of them took a newer one into use.
    pub fn catalogue_needed(&self) -> Option<Offset> {
        let adopted = self.records.iter().filter_map(|(_, record)| match record {
            LedgerRecord::Adopted(adopted) => Some(adopted.next),
            LedgerRecord::Entry(_) | LedgerRecord::Seal(_) => None,
        });
        adopted.max()
    }

    /// The last seal, with its place in the run.
    pub fn last_seal(&self) -> Option<(usize, &Seal)> {
        self.records.iter().enumerate().rev().find_map(|(index, (_, record))| match record {
            LedgerRecord::Seal(seal) => Some((index, seal)),
            LedgerRecord::Entry(_) | LedgerRecord::Adopted(_) => None,
        })
    }

    /// The rows of every table, `ledger_entries` last.
    pub fn blocks(&self, names: &Names<'_>) -> Vec<Block> {
        let mut batch = LedgerBatch::default();
        for (offset, record) in &self.records {
            let place = Place { partition: self.partition, offset: *offset };
            batch.record(place, record, names);
        }
        batch.finish()
    }
}
