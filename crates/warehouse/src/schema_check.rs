//! Comparing what is in the database with what should be: at every start, before the first insert.
//!
//! An insert says which types it sends, and the server casts them to what the columns are: a column
//! that someone changed from scale 12 to scale 6 would lose decimals of every amount, without an
//! error.

use std::collections::BTreeMap;
use std::fmt;

use projection::tables::{Column, Engine, TABLES};

use crate::ddl::{DEDUPLICATION_WINDOW, literal};
use crate::error::WarehouseError;
use crate::views::VIEWS;
use crate::warehouse::Warehouse;

/// A difference between the database and what this code expects of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    MissingTable {
        table: String,
    },
    MissingColumn {
        table: String,
        column: String,
    },
    UnexpectedColumn {
        table: String,
        column: String,
    },
    WrongType {
        table: String,
        column: String,
        expected: String,
        found: String,
    },
    WrongComment {
        table: String,
        column: String,
    },
    WrongEngine {
        table: String,
        expected: String,
        found: String,
    },
    WrongSortingKey {
        table: String,
        expected: String,
        found: String,
    },
    /// Without its window a table stores a repeated batch twice.
    NoDeduplication {
        table: String,
    },
    /// A table with partitions may store half of an insert.
    Partitioned {
        table: String,
        by: String,
    },
}

impl Finding {
    /// Whether inserting could lose, double or distort rows. The others concern readers.
    pub fn forbids_inserts(&self) -> bool {
        match self {
            Self::MissingTable { .. }
            | Self::MissingColumn { .. }
            | Self::WrongType { .. }
            | Self::WrongEngine { .. }
            | Self::WrongSortingKey { .. }
            | Self::NoDeduplication { .. }
            | Self::Partitioned { .. } => true,
            // Inserts name their columns, so one more takes its default.
            Self::UnexpectedColumn { .. } | Self::WrongComment { .. } => false,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingTable { table } => write!(formatter, "{table} is missing"),
            Self::MissingColumn { table, column } => {
                write!(formatter, "{table}.{column} is missing")
            }
            Self::UnexpectedColumn { table, column } => {
                write!(formatter, "{table}.{column} is not tally's")
            }
            Self::WrongType { table, column, expected, found } => {
                write!(formatter, "{table}.{column} is {found}, expected {expected}")
            }
            Self::WrongComment { table, column } => {
                write!(formatter, "{table}.{column} has another comment")
            }
            Self::WrongEngine { table, expected, found } => {
                write!(formatter, "{table} has engine {found}, expected {expected}")
            }
            Self::WrongSortingKey { table, expected, found } => {
                write!(formatter, "{table} is sorted by ({found}), expected ({expected})")
            }
            Self::NoDeduplication { table } => write!(
                formatter,
                "{table} does not deduplicate: non_replicated_deduplication_window is not {DEDUPLICATION_WINDOW}"
            ),
            Self::Partitioned { table, by } => {
                write!(formatter, "{table} is partitioned by {by}, expected one partition")
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct TableRow {
    name: String,
    engine: String,
    sorting_key: String,
    partition_key: String,
    create_table_query: String,
}

#[derive(serde::Deserialize)]
struct ColumnRow {
    table: String,
    name: String,
    #[serde(rename = "type")]
    column_type: String,
    comment: String,
}

impl Warehouse {
    /// Every difference between the database and the definitions, tables and views. Empty is good.
    pub async fn check_schema(&self) -> Result<Vec<Finding>, WarehouseError> {
        let database = literal(self.database());
        let tables: Vec<TableRow> = self
            .query_system(&format!(
                "SELECT name, engine, sorting_key, partition_key, create_table_query
                 FROM system.tables WHERE database = {database}"
            ))
            .await?;
        let tables: BTreeMap<_, _> = tables.iter().map(|row| (row.name.as_str(), row)).collect();
        let columns: Vec<ColumnRow> = self
            .query_system(&format!(
                "SELECT table, name, type, comment FROM system.columns
                 WHERE database = {database} ORDER BY table, position"
            ))
            .await?;
        let mut columns_of = BTreeMap::<&str, Vec<&ColumnRow>>::new();
        for row in &columns {
            columns_of.entry(&row.table).or_default().push(row);
        }

        let mut findings = Vec::new();
        for table in TABLES {
            let name = self.table_name(table);
            let Some(found) = tables.get(name.as_str()) else {
                findings.push(Finding::MissingTable { table: name });
                continue;
            };
            compare_engine(table.engine, found, &mut findings);
            compare_key(table.order_by, found, &mut findings);
            if !found.partition_key.is_empty() {
                findings.push(Finding::Partitioned {
                    table: name.clone(),
                    by: found.partition_key.clone(),
                });
            }
            let window = format!("non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}");
            if !found.create_table_query.contains(&window) {
                findings.push(Finding::NoDeduplication { table: name.clone() });
            }
            compare_columns(&name, table.columns, &columns_of, &mut findings);
        }
        // Views are over the live tables only.
        for view in VIEWS.iter().filter(|_| self.is_live()) {
            if tables.contains_key(view.name) {
                compare_columns(view.name, view.columns, &columns_of, &mut findings);
            } else {
                findings.push(Finding::MissingTable { table: view.name.to_owned() });
            }
        }
        Ok(findings)
    }
}

fn compare_engine(engine: Engine, found: &TableRow, findings: &mut Vec<Finding>) {
    let expected = match engine {
        Engine::Facts => "MergeTree",
        Engine::Latest { .. } => "ReplacingMergeTree",
        Engine::Sums { .. } => "SummingMergeTree",
    };
    if found.engine != expected {
        findings.push(Finding::WrongEngine {
            table: found.name.clone(),
            expected: expected.to_owned(),
            found: found.engine.clone(),
        });
    }
}

fn compare_key(order_by: &[&str], found: &TableRow, findings: &mut Vec<Finding>) {
    let expected = order_by.join(", ");
    // Printed as `account` or `(account, lot)`, with quotes where a name is a word of SQL.
    let plain = found.sorting_key.replace(['`', '(', ')'], "");
    if plain != expected {
        findings.push(Finding::WrongSortingKey {
            table: found.name.clone(),
            expected,
            found: found.sorting_key.clone(),
        });
    }
}

fn compare_columns(
    table: &str,
    expected: &[Column],
    columns_of: &BTreeMap<&str, Vec<&ColumnRow>>,
    findings: &mut Vec<Finding>,
) {
    let found = columns_of.get(table).map_or(&[][..], Vec::as_slice);
    let name = |column: &str| (table.to_owned(), column.to_owned());
    for column in expected {
        let Some(row) = found.iter().find(|row| row.name == column.name) else {
            let (table, column) = name(column.name);
            findings.push(Finding::MissingColumn { table, column });
            continue;
        };
        if row.column_type != column.column_type.sql() {
            let (table, name) = name(column.name);
            findings.push(Finding::WrongType {
                table,
                column: name,
                expected: column.column_type.sql().to_owned(),
                found: row.column_type.clone(),
            });
        }
        if row.comment != column.comment {
            let (table, column) = name(column.name);
            findings.push(Finding::WrongComment { table, column });
        }
    }
    for row in found {
        if !expected.iter().any(|column| column.name == row.name) {
            let (table, column) = name(&row.name);
            findings.push(Finding::UnexpectedColumn { table, column });
        }
    }
}
