//! The ClickHouse tables as data: names, columns in insert order, types, and what each column means.
//!
//! One definition serves the row encoders here, the DDL and the start-up comparison with
//! `system.columns` in `warehouse`, `tally schema`, and `docs/clickhouse.md`. An encoder writes a
//! row as RowBinary in exactly the order of [`Table::columns`].
//!
//! What holds for every table:
//! - A row is a fact with the ledger position that made it, and is inserted once. Nothing is right
//!   only after a merge: where rows replace or add up, the views read them so that merges change
//!   nothing.
//! - An amount is a signed `Decimal(38, 12)`. A text that does not apply is empty; a number that is
//!   not known (a vendor cost) is NULL, never zero.

mod credits;
mod exceptions;
mod holds;
mod ledger;
mod plans;
mod replays;
mod usage;

pub use credits::{ACCOUNT_BALANCES, LOT_GRANTS, LOT_MOVEMENTS};
pub use exceptions::{DEAD_LETTER_RETRIES, DEAD_LETTERS, QUARANTINE_STEPS, UNRATED_STEPS};
pub use holds::{HOLD_REFUSALS, HOLD_STEPS};
pub use ledger::{FRESHNESS_MARKS, INPUT_MARKS, LEDGER_ENTRIES, SEALS};
pub use plans::{BUDGET_STEPS, PLAN_CHANGES};
pub use replays::REPLAY_STEPS;
pub use usage::{DELTAS, MEASURES, USAGE_DAILY, USAGE_DAILY_BY_USER, USAGE_HOURLY, USAGE_LINES};

/// A column's type: what ClickHouse stores, and so which bytes RowBinary wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `Bool`: one byte, 0 or 1.
    Bool,
    /// `Int8`: one byte.
    Int8,
    /// `UInt16`: two bytes, little-endian, like every number below.
    UInt16,
    /// `UInt32`.
    UInt32,
    /// `UInt64`.
    UInt64,
    /// `Int64`.
    Int64,
    /// `Date`: days since 1970 as two bytes.
    Date,
    /// `DateTime64(6, 'UTC')`: microseconds since 1970 as an `i64`.
    Time,
    /// `Nullable(DateTime64(6, 'UTC'))`: a byte (1 is NULL), then the time unless it is NULL.
    NullableTime,
    /// `Decimal(38, 12)`: steps of 10⁻¹² as an `i128`.
    Amount,
    /// `Nullable(Decimal(38, 12))`: a byte (1 is NULL), then the amount unless it is NULL.
    NullableAmount,
    /// `String`: the length as a varint, then the bytes.
    Text,
    /// `LowCardinality(String)`: on the wire the same as [`ColumnType::Text`]. For texts that repeat.
    Word,
    /// `SimpleAggregateFunction(max, Int64)`: on the wire an `Int64`; of rows that add up, the
    /// largest. The watermark of a rollup.
    LargestInt64,
    /// `Nullable(Float64)`: ratios and seconds in views, for reading only. No table has one.
    NullableFloat,
}

impl ColumnType {
    /// The type as `system.columns` and `DESCRIBE` print it.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Bool => "Bool",
            Self::Int8 => "Int8",
            Self::UInt16 => "UInt16",
            Self::UInt32 => "UInt32",
            Self::UInt64 => "UInt64",
            Self::Int64 => "Int64",
            Self::Date => "Date",
            Self::Time => "DateTime64(6, 'UTC')",
            Self::NullableTime => "Nullable(DateTime64(6, 'UTC'))",
            Self::Amount => "Decimal(38, 12)",
            Self::NullableAmount => "Nullable(Decimal(38, 12))",
            Self::Text => "String",
            Self::Word => "LowCardinality(String)",
            Self::LargestInt64 => "SimpleAggregateFunction(max, Int64)",
            Self::NullableFloat => "Nullable(Float64)",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub column_type: ColumnType,
    /// What it means, with its unit and its sign.
    pub comment: &'static str,
}

/// Shorthand for the definitions.
pub const fn column(name: &'static str, column_type: ColumnType, comment: &'static str) -> Column {
    Column { name, column_type, comment }
}

/// How a table keeps its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// `MergeTree`: every row stays.
    Facts,
    /// `ReplacingMergeTree(version)`: of the rows with one sorting key, the one with the largest
    /// version counts. Read it through its view, or with `FINAL`.
    Latest { version: &'static str },
    /// `SummingMergeTree(sums)`: rows with one sorting key add up (or
    /// take the largest, for a column whose type says so). Read it with `sum`.
    Sums { sums: &'static [Column] },
}

/// The columns of a row's place in the log that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub partition: &'static str,
    pub offset: &'static str,
}

/// The place in `ledger.entries`.
pub const LEDGER_POSITION: Position =
    Position { partition: "ledger_partition", offset: "ledger_offset" };

/// One table. It has no partitions: then one insert is one part, and so is stored as a whole or not
/// at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub comment: &'static str,
    pub engine: Engine,
    pub order_by: &'static [&'static str],
    /// How many columns of `order_by` are in the primary index.
    pub primary_key_columns: usize,
    /// Which columns say where in a log the row comes from, for the check that a batch is stored:
    /// its partition there, and an offset that only grows from batch to batch.
    pub position: Option<Position>,
    /// A `TTL` clause without the word, or empty.
    pub ttl: &'static str,
    /// In insert order.
    pub columns: &'static [Column],
}

impl Table {
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Every table that is filled by inserts. `ledger_entries` is inserted last of a batch, then the
/// marks.
pub const TABLES: [&Table; 20] = [
    &USAGE_LINES,
    &USAGE_HOURLY,
    &USAGE_DAILY,
    &USAGE_DAILY_BY_USER,
    &ACCOUNT_BALANCES,
    &LOT_GRANTS,
    &LOT_MOVEMENTS,
    &HOLD_STEPS,
    &HOLD_REFUSALS,
    &PLAN_CHANGES,
    &BUDGET_STEPS,
    &UNRATED_STEPS,
    &DEAD_LETTERS,
    &DEAD_LETTER_RETRIES,
    &QUARANTINE_STEPS,
    &SEALS,
    &LEDGER_ENTRIES,
    &FRESHNESS_MARKS,
    &INPUT_MARKS,
    &REPLAY_STEPS,
];

/// The tables that the ledger alone makes, in the order of [`TABLES`]: what can be rebuilt from it.
pub fn of_the_ledger() -> impl Iterator<Item = &'static Table> {
    TABLES.into_iter().filter(|table| table.position == Some(LEDGER_POSITION))
}

/// The table of a name.
pub fn table(name: &str) -> Option<&'static Table> {
    TABLES.into_iter().find(|table| table.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use domain::ALL_POOLS;

    use super::*;

    #[test]
    fn names_are_unique_and_every_column_says_what_it_means() {
        let names: HashSet<_> = TABLES.iter().map(|table| table.name).collect();
        assert_eq!(names.len(), TABLES.len());
        for table in TABLES {
            let columns: HashSet<_> = table.columns.iter().map(|column| column.name).collect();
            assert_eq!(columns.len(), table.columns.len(), "{}", table.name);
            assert!(table.comment.len() > 10, "{}", table.name);
            for column in table.columns {
                assert!(column.comment.len() > 10, "{}.{}", table.name, column.name);
            }
        }
    }

    #[test]
    fn keys_are_columns() {
        for table in TABLES {
            for key in table.order_by {
                assert!(table.column(key).is_some(), "{}.{key}", table.name);
            }
            assert!((1..=table.order_by.len()).contains(&table.primary_key_columns));
            match table.engine {
                Engine::Facts => {}
                Engine::Latest { version } => {
                    assert!(table.column(version).is_some());
                }
                // What is neither a key nor combined would be taken from a row at random.
                Engine::Sums { sums } => {
                    assert_eq!(table.order_by.len() + sums.len(), table.columns.len());
                    for sum in sums {
                        assert!(table.column(sum.name).is_some());
                        assert!(!table.order_by.contains(&sum.name));
                    }
                }
            }
        }
    }

    #[test]
    fn every_table_of_the_ledger_says_where_its_rows_come_from() {
        for table in TABLES {
            match table.position {
                Some(position) => {
                    let partition = table.column(position.partition).unwrap();
                    assert_eq!(partition.column_type, ColumnType::UInt32, "{}", table.name);
                    assert!(table.column(position.offset).is_some(), "{}", table.name);
                }
                // A mark that is written twice says the same twice; a step is not the ledger's.
                None => assert!(
                    table.name.ends_with("_marks") || table.name == REPLAY_STEPS.name,
                    "{}",
                    table.name
                ),
            }
        }
    }

    #[test]
    fn lines_and_rollups_have_every_token_pool_and_every_measure() {
        for table in [&USAGE_LINES, &USAGE_HOURLY, &USAGE_DAILY, &USAGE_DAILY_BY_USER] {
            for pool in ALL_POOLS {
                let column = table.column(pool.name()).unwrap();
                assert_eq!(column.column_type, ColumnType::Int64);
            }
            for measure in MEASURES {
                assert!(table.column(measure.name).is_some(), "{}.{}", table.name, measure.name);
            }
        }
    }
}
