//! Ledger records to rows. A batch is a run of records of one ledger partition; making it again
//! from the same records gives the same bytes, so that an insert can be repeated.

mod balances;
mod budgets;
mod decoded;
mod exceptions;
mod holds;
mod ledger;
mod lots;
mod marks;
mod measures;
mod plans;
mod split;
mod usage;

use ::ledger::Entry;
use domain::{EntryNumber, Offset, Partition};
use wire::LedgerRecord;

use crate::Names;
use crate::tables::Table;

pub use decoded::DecodedBatch;
pub use exceptions::DeadLetterRows;
pub use marks::{FreshnessMark, InputMark, mark_blocks};

/// Where a record stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub partition: Partition,
    pub offset: Offset,
}

/// Rows of one table, as RowBinary in the order of its columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub table: &'static Table,
    pub rows: usize,
    pub bytes: Vec<u8>,
}

/// Rows that are being collected.
#[derive(Debug, Default)]
struct Rows {
    count: usize,
    bytes: Vec<u8>,
}

impl Rows {
    fn add(&mut self, put: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        put(&mut self.bytes);
    }

    fn take(&mut self, table: &'static Table) -> Option<Block> {
        let Self { count, bytes } = std::mem::take(self);
        (count > 0).then_some(Block { table, rows: count, bytes })
    }
}

/// The rows of one batch of `ledger.entries`.
#[derive(Debug, Default)]
pub struct LedgerBatch {
    usage: usage::Usage,
    balances: balances::BalanceRows,
    lots: lots::LotRows,
    holds: holds::HoldRows,
    plans: plans::PlanRows,
    budgets: budgets::BudgetRows,
    exceptions: exceptions::ExceptionRows,
    ledger: ledger::LedgerRows,
    reached: Option<Place>,
}

impl LedgerBatch {
    /// Adds one record, in the order of the log.
    pub fn record(&mut self, place: Place, record: &LedgerRecord<'_>, names: &Names<'_>) {
        self.reached = Some(place);
        match record {
            LedgerRecord::Entry(entry) => self.entry(place, entry, names),
            LedgerRecord::Seal(seal) => self.ledger.seal(place, seal),
            LedgerRecord::Adopted(_) => {}
        }
    }

    fn entry(&mut self, place: Place, entry: &Entry<'_>, names: &Names<'_>) {
        for charged in usage::Charged::of(place, entry) {
            self.usage.charged(&charged, names);
        }
        self.balances.entry(place, entry);
        self.lots.entry(place, entry);
        self.holds.entry(place, entry);
        self.plans.entry(place, entry, names);
        self.budgets.entry(place, entry);
        self.exceptions.entry(place, entry);
        self.ledger.entry(place, entry);
    }

    /// The blocks, `ledger_entries` last; the batch is empty afterwards.
    pub fn finish(&mut self) -> Vec<Block> {
        let mut blocks = Vec::new();
        if let Some(reached) = self.reached.take() {
            self.usage.finish(reached, &mut blocks);
            self.balances.finish(&mut blocks);
            self.lots.finish(&mut blocks);
            self.holds.finish(&mut blocks);
            self.plans.finish(&mut blocks);
            self.budgets.finish(&mut blocks);
            self.exceptions.finish(&mut blocks);
            self.ledger.finish(&mut blocks);
        }
        blocks
    }
}

/// An entry's name to people: `3-8812`, the ledger partition and the entry's number in it.
pub fn entry_id(partition: Partition, number: EntryNumber) -> String {
    format!("{partition}-{number}")
}
