//! Rows written by hand: a row names the columns that matter, the others are zero or empty.

use std::sync::atomic::{AtomicU32, Ordering};

use domain::{Credits, Day, Offset, Partition, Timestamp};
use projection::rowbinary::RowBinary;
use projection::tables::{ColumnType, Table};
use warehouse::{Batch, InsertOutcome, Warehouse};

/// Column and value, as text.
pub(crate) type Row<'a> = &'a [(&'a str, &'a str)];

pub(crate) fn encode(table: &Table, rows: &[Row<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for row in rows {
        for (name, _) in *row {
            assert!(table.column(name).is_some(), "{}.{name}", table.name);
        }
        for column in table.columns {
            let text = row.iter().find(|(name, _)| *name == column.name).map(|(_, text)| *text);
            put(&mut bytes, column.column_type, text);
        }
    }
    bytes
}

fn put(bytes: &mut Vec<u8>, column_type: ColumnType, text: Option<&str>) {
    let number = text.unwrap_or("0");
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    let amount = |text: &str| text.parse::<Credits>().unwrap();
    match column_type {
        ColumnType::Bool => bytes.put_bool(text == Some("true")),
        ColumnType::Int8 => bytes.put_i8(number.parse().unwrap()),
        ColumnType::UInt16 => bytes.put_u16(number.parse().unwrap()),
        ColumnType::UInt32 => bytes.put_u32(number.parse().unwrap()),
        ColumnType::UInt64 => bytes.put_u64(number.parse().unwrap()),
        ColumnType::Int64 | ColumnType::LargestInt64 => bytes.put_i64(number.parse().unwrap()),
        ColumnType::Date => {
            bytes.put_day(text.map_or(Day(0), |day| time(&format!("{day}T00:00:00Z")).day()));
        }
        ColumnType::Time => bytes.put_time(text.map_or(Timestamp::ZERO, time)),
        ColumnType::NullableTime => bytes.put_nullable_time(text.map(time)),
        ColumnType::Amount => bytes.put_amount(amount(number)),
        ColumnType::NullableAmount => bytes.put_nullable_amount(text.map(amount)),
        ColumnType::Text | ColumnType::Word => bytes.put_text(text.unwrap_or("")),
        ColumnType::NullableFloat => panic!("no table has floats"),
    }
}

/// A batch of the ledger's partition 0 that starts at `from`.
pub(crate) fn batch(table: &'static Table, from: i64, rows: &[Row<'_>]) -> Batch {
    Batch {
        table,
        rows: encode(table, rows).into(),
        row_count: rows.len(),
        partition: Partition(0),
        from: Offset(from),
        token: format!("{}-0-{from}-v1", table.name),
    }
}

/// Inserts rows one by one, each as a batch of its own, so that nothing is merged before a view
/// reads it.
pub(crate) async fn insert(warehouse: &Warehouse, table: &'static Table, rows: &[Row<'_>]) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for row in rows {
        let mut batch = batch(table, 0, &[row]);
        batch.token = format!("{}-{}", table.name, NEXT.fetch_add(1, Ordering::Relaxed));
        assert_eq!(warehouse.insert(&batch).await, InsertOutcome::Stored);
    }
}
