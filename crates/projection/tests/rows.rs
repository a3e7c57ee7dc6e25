//! Rows are read back by their table's own columns: an encoder that writes one column too few, or
//! two in the wrong order, shifts every value after it.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use domain::{Offset, Partition, Timestamp};
use ledger::{Body, Entry};
use projection::rowbinary::{Value, read_rows};
use projection::tables::Table;
use projection::{
    Block, DeadLetterRows, FreshnessMark, InputMark, LedgerBatch, Names, Place, mark_blocks,
};
use proptest::prelude::*;
use rating::Catalogue;
use wire::{LedgerRecord, arbitrary};

fn place(offset: i64) -> Place {
    Place { partition: Partition(3), offset: Offset(offset) }
}

fn project(entries: &[Entry<'static>]) -> Vec<Block> {
    let catalogue = Catalogue::new();
    let names = Names::new(&catalogue);
    let mut batch = LedgerBatch::default();
    for (offset, entry) in (0..).zip(entries) {
        batch.record(place(offset), &LedgerRecord::Entry(entry.clone()), &names);
    }
    batch.finish()
}

fn column(table: &Table, row: &[Value], name: &str) -> Value {
    let index = table.columns.iter().position(|column| column.name == name).unwrap();
    row[index].clone()
}

fn amount(table: &Table, row: &[Value], name: &str) -> i128 {
    match column(table, row, name) {
        Value::Amount(atoms) => atoms,
        Value::Null => 0,
        other => panic!("{name} is {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_block_reads_back_as_its_tables_columns(
        entries in prop::collection::vec(arbitrary::entry(), 1..12),
        seal in arbitrary::seal(),
    ) {
        let mut blocks = project(&entries);
        let catalogue = Catalogue::new();
        let mut batch = LedgerBatch::default();
        batch.record(place(99), &LedgerRecord::Seal(seal), &Names::new(&catalogue));
        blocks.extend(batch.finish());
        for block in &blocks {
            let rows = read_rows(block.table.columns, &block.bytes).unwrap();
            prop_assert_eq!(rows.len(), block.rows, "{}", block.table.name);
            if let Some(position) = block.table.position {
                for row in &rows {
                    prop_assert_eq!(column(block.table, row, position.partition), Value::Unsigned(3));
                }
            }
        }
        prop_assert_eq!(&project(&entries), &project(&entries));
    }

    #[test]
    fn rollups_are_the_sums_of_the_lines(entries in prop::collection::vec(arbitrary::entry(), 1..12)) {
        let blocks = project(&entries);
        let sums = |name: &str, column: &str| -> i128 {
            blocks
                .iter()
                .filter(|block| block.table.name == name)
                .flat_map(|block| {
                    let rows = read_rows(block.table.columns, &block.bytes).unwrap();
                    rows.into_iter().map(|row| amount(block.table, &row, column)).collect::<Vec<_>>()
                })
                .sum()
        };
        for measure in ["credits", "vendor_cost", "revenue", "quantity", "credits_overage"] {
            let lines = sums("usage_lines", measure);
            for rollup in ["usage_hourly", "usage_daily", "usage_daily_by_user"] {
                prop_assert_eq!(sums(rollup, measure), lines, "{} {}", rollup, measure);
            }
        }
        let mut expected: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &entries {
            let charges = match &entry.body {
                Body::Debit(debit) => vec![debit.as_ref()],
                Body::Reversed(reversed) => vec![&reversed.debit],
                // The same usage priced anew is its difference.
                Body::Corrected(corrected) if corrected.is_rerate() => corrected.now.iter().collect(),
                Body::Corrected(corrected) => {
                    std::iter::once(&corrected.before).chain(&corrected.now).collect()
                }
                _ => vec![],
            };
            for debit in charges {
                *expected.entry("usage_lines").or_default() +=
                    debit.lines.len().min(debit.event.items.len());
            }
            *expected.entry("ledger_entries").or_default() += 1;
        }
        for (table, rows) in expected {
            let found: usize = blocks.iter().filter(|block| block.table.name == table).map(|block| block.rows).sum();
            prop_assert_eq!(found, rows);
        }
    }

    #[test]
    fn a_dead_letter_keeps_its_bytes(letter in arbitrary::dead_letter()) {
        let mut rows = DeadLetterRows::default();
        let record = wire::LetterRecord::Letter(letter.clone());
        rows.record(place(5), Timestamp::from_seconds(9), b"key", &record);
        let blocks = rows.finish();
        let block = &blocks[0];
        let read = read_rows(block.table.columns, &block.bytes).unwrap();
        let bytes = match column(block.table, &read[0], "bytes") {
            Value::Text(text) => text.into_bytes(),
            Value::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(bytes.as_slice(), letter.record.as_ref());
    }
}

#[test]
fn a_retry_names_its_letter_and_where_its_bytes_went() {
    let mut rows = DeadLetterRows::default();
    let retry = wire::DeadLetterRetry {
        letter: Offset(3),
        partition: Partition(1),
        offset: Offset(40),
        retried_at: Timestamp::from_seconds(7),
        actor: "ada".into(),
    };
    let record = wire::LetterRecord::Retry(retry);
    rows.record(place(5), Timestamp::from_seconds(9), b"", &record);
    let blocks = rows.finish();
    assert_eq!(blocks.len(), 1);
    let block = &blocks[0];
    assert_eq!(block.table.name, "dead_letter_retries");
    let read = read_rows(block.table.columns, &block.bytes).unwrap();
    for (name, expected) in [
        ("letter_offset", Value::Signed(3)),
        ("retry_offset", Value::Signed(5)),
        ("raw_partition", Value::Unsigned(1)),
        ("raw_offset", Value::Signed(40)),
    ] {
        assert_eq!(column(block.table, &read[0], name), expected, "{name}");
    }
}

#[test]
fn marks_read_back() {
    let now = Timestamp::from_seconds(1);
    let freshness = FreshnessMark {
        partition: Partition(3),
        marked_at: now,
        next: Offset(7),
        as_of: now,
        lag_records: 0,
    };
    let input = InputMark {
        topic: domain::Topic::UsageRaw,
        partition: Partition(3),
        marked_at: now,
        consumed_to: Offset(9),
        as_of: now,
        lag_records: 2,
    };
    for block in mark_blocks(&[freshness], &[input]) {
        assert_eq!(read_rows(block.table.columns, &block.bytes).unwrap().len(), 1);
    }
}
