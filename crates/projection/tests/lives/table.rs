//! Rows read back by their columns' names.

use std::collections::BTreeMap;

use domain::{Credits, Offset, Partition, Timestamp};
use ledger::Entry;
use projection::rowbinary::{Value, read_rows};
use projection::tables::Table;
use projection::{LedgerBatch, Names, Place};
use rating::Catalogue;
use wire::LedgerRecord;

pub(crate) const PARTITION: Partition = Partition(3);

/// The rows of every table.
pub(crate) struct Tables(BTreeMap<&'static str, Vec<Row>>);

#[derive(Clone, Debug)]
pub(crate) struct Row(BTreeMap<&'static str, Value>);

impl Tables {
    /// Of entries that stand one after the other in a partition.
    pub(crate) fn of(entries: &[Entry<'static>]) -> Self {
        let catalogue = Catalogue::new();
        let names = Names::new(&catalogue);
        let mut batch = LedgerBatch::default();
        for (offset, entry) in (0..).map(Offset).zip(entries) {
            let place = Place { partition: PARTITION, offset };
            batch.record(place, &LedgerRecord::Entry(entry.clone()), &names);
        }
        let mut tables = BTreeMap::<_, Vec<Row>>::new();
        for block in batch.finish() {
            let columns = block.table.columns;
            for row in read_rows(columns, &block.bytes).unwrap() {
                let row = columns.iter().map(|column| column.name).zip(row).collect();
                tables.entry(block.table.name).or_default().push(Row(row));
            }
        }
        Self(tables)
    }

    pub(crate) fn rows(&self, table: &Table) -> &[Row] {
        self.0.get(table.name).map_or(&[], Vec::as_slice)
    }
}

impl Row {
    fn value(&self, column: &str) -> &Value {
        self.0.get(column).unwrap_or_else(|| panic!("no column {column}"))
    }

    pub(crate) fn text(&self, column: &str) -> String {
        match self.value(column) {
            Value::Text(text) => text.clone(),
            other => panic!("{column} is {other:?}"),
        }
    }

    /// An amount that is not known counts as none.
    pub(crate) fn amount(&self, column: &str) -> i128 {
        match self.value(column) {
            Value::Amount(atoms) => *atoms,
            Value::Null => 0,
            other => panic!("{column} is {other:?}"),
        }
    }

    pub(crate) fn number(&self, column: &str) -> i128 {
        match self.value(column) {
            Value::Signed(number) => (*number).into(),
            Value::Unsigned(number) => (*number).into(),
            other => panic!("{column} is {other:?}"),
        }
    }

    pub(crate) fn unsigned(&self, column: &str) -> u64 {
        u64::try_from(self.number(column)).unwrap()
    }

    pub(crate) fn flag(&self, column: &str) -> bool {
        match self.value(column) {
            Value::Bool(flag) => *flag,
            other => panic!("{column} is {other:?}"),
        }
    }

    pub(crate) fn time(&self, column: &str) -> Option<Timestamp> {
        match self.value(column) {
            Value::Time(time) => Some(*time),
            Value::Null => None,
            other => panic!("{column} is {other:?}"),
        }
    }

    /// As people read it; an empty text is a dash.
    pub(crate) fn show(&self, column: &str) -> String {
        match self.value(column) {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Unsigned(number) => number.to_string(),
            Value::Signed(number) => number.to_string(),
            Value::Time(time) => time.to_string(),
            Value::Amount(atoms) => Credits::from_atoms(*atoms).to_string(),
            Value::Text(text) if text.is_empty() => "-".to_owned(),
            Value::Text(text) => text.clone(),
            Value::Day(_) | Value::Bytes(_) => panic!("{column} is no text"),
        }
    }
}
