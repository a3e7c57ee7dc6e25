//! What ClickHouse's tables of facts must hold, made again from the ledger: rows and sums of amounts,
//! by table and day. Pure: whoever reads ClickHouse hands over what is there.

use std::collections::BTreeMap;

use domain::{Day, Offset, Partition};
use projection::rowbinary::{Value, read_rows};
use projection::tables::{Column, ColumnType, Engine, LEDGER_POSITION, TABLES, Table};
use projection::{LedgerBatch, Names, Place};
use wire::LedgerRecord;

use crate::Check;

/// Records whose rows are held at once.
const RECORDS_PER_BATCH: u64 = 2_000;

/// One day of one table: the rows, and the sum of each column of amounts, in steps of 10⁻¹².
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaySums {
    pub rows: u64,
    pub sums: Vec<i128>,
}

/// The tables that take each row once, by name and then by day: some hundred bytes for a day.
#[derive(Debug, Default)]
pub struct TableSums {
    pub tables: BTreeMap<&'static str, BTreeMap<Day, DaySums>>,
    batch: LedgerBatch,
    pending: u64,
}

impl TableSums {
    /// The tables that are compared: those whose rows come from the ledger, one by one.
    pub fn tables() -> impl Iterator<Item = &'static Table> {
        TABLES.iter().copied().filter(|table| {
            table.engine == Engine::Facts && table.position == Some(LEDGER_POSITION)
        })
    }

    /// The column that a table's days are those of; `None` when it has no time.
    pub fn day_column(table: &Table) -> Option<&'static Column> {
        table.columns.iter().find(|column| column.column_type == ColumnType::Time)
    }

    /// The columns that are summed, in order.
    pub fn amounts(table: &Table) -> impl Iterator<Item = &'static Column> {
        table.columns.iter().filter(|column| is_amount(column))
    }

    /// Adds a record of the ledger.
    pub(crate) fn record(
        &mut self,
        partition: Partition,
        offset: Offset,
        record: &LedgerRecord<'_>,
        names: &Names<'_>,
    ) -> Result<(), String> {
        self.batch.record(Place { partition, offset }, record, names);
        self.pending += 1;
        match self.pending >= RECORDS_PER_BATCH {
            true => self.settle(),
            false => Ok(()),
        }
    }

    /// Adds up what is held.
    pub(crate) fn settle(&mut self) -> Result<(), String> {
        self.pending = 0;
        for block in self.batch.finish() {
            if !Self::tables().any(|table| table.name == block.table.name) {
                continue;
            }
            let rows = read_rows(block.table.columns, &block.bytes)
                .map_err(|why| format!("{}: {why}", block.table.name))?;
            let days = self.tables.entry(block.table.name).or_default();
            for row in &rows {
                let sums = days.entry(day_of(block.table, row)).or_default();
                sums.rows += 1;
                let amounts = block.table.columns.iter().zip(row).filter(|(it, _)| is_amount(it));
                for (index, (_, value)) in amounts.enumerate() {
                    if sums.sums.len() <= index {
                        sums.sums.resize(index + 1, 0);
                    }
                    if let Value::Amount(atoms) = value {
                        sums.sums[index] = sums.sums[index].wrapping_add(*atoms);
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_amount(column: &Column) -> bool {
    matches!(column.column_type, ColumnType::Amount | ColumnType::NullableAmount)
}

fn day_of(table: &Table, row: &[Value]) -> Day {
    let at = table.columns.iter().position(|column| column.column_type == ColumnType::Time);
    match at.and_then(|at| row.get(at)) {
        Some(Value::Time(time)) => time.day(),
        Some(_) | None => Day(0),
    }
}

/// Compares one table day by day, both ways.
pub fn check_table(
    check: &mut Check,
    table: &Table,
    ledger: &BTreeMap<Day, DaySums>,
    there: &BTreeMap<Day, DaySums>,
) {
    let nothing = DaySums { rows: 0, sums: vec![0; TableSums::amounts(table).count()] };
    let days: std::collections::BTreeSet<&Day> = ledger.keys().chain(there.keys()).collect();
    for day in days {
        let one = ledger.get(day).unwrap_or(&nothing);
        let other = there.get(day).unwrap_or(&nothing);
        check.note((one != other).then(|| difference(table, *day, one, other)));
    }
}

fn difference(table: &Table, day: Day, ledger: &DaySums, there: &DaySums) -> String {
    let date = domain::Timestamp::from_seconds(i64::from(day.0) * 86_400).to_string();
    let date = date.get(..10).unwrap_or_default();
    if ledger.rows != there.rows {
        let (rows, found) = (ledger.rows, there.rows);
        return format!("{} on {date}: {rows} rows by the ledger, {found} there", table.name);
    }
    let differing = TableSums::amounts(table)
        .zip(ledger.sums.iter().zip(&there.sums))
        .find(|(_, (one, other))| one != other);
    match differing {
        Some((column, (one, other))) => {
            let amount =
                |atoms: &i128| <domain::Credits as domain::Amount>::from_atoms(*atoms).to_string();
            let (one, other) = (amount(one), amount(other));
            format!("{}.{} on {date}: {one} by the ledger, {other} there", table.name, column.name)
        }
        None => format!("{} on {date}: another number of sums", table.name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_too_many_and_a_sum_that_differs_are_named_with_their_day() {
        let table = TableSums::tables().next().unwrap();
        let width = TableSums::amounts(table).count();
        let day = |rows, first| {
            let mut sums = vec![0; width];
            sums[0] = first;
            BTreeMap::from([(Day(20_000), DaySums { rows, sums })])
        };
        let none = BTreeMap::new();
        for (ledger, there, says) in [
            (day(2, 5), day(2, 5), None),
            (day(2, 5), day(3, 5), Some("2 rows by the ledger, 3 there")),
            (day(2, 5), day(2, 6), Some("0.000000000005 by the ledger")),
            (day(2, 5), none.clone(), Some("0 there")),
            (none.clone(), day(1, 0), Some("0 rows by the ledger, 1 there")),
        ] {
            let mut check = Check::new(12, "tables");
            check_table(&mut check, table, &ledger, &there);
            assert_eq!((check.checked, check.broken), (1, u64::from(says.is_some())));
            if let Some(says) = says {
                let found = &check.counterexamples[0];
                assert!(found.contains(says) && found.contains("2024-10-04"), "{found}");
            }
        }
    }
}
