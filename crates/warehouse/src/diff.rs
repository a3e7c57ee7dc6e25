//! A table against the one beside it: where they differ, by day, account, feature and model.
//!
//! Sums are exact (`Decimal256`), and every group also has a fingerprint over whole rows, so that
//! equal sums hide nothing. Both are taken so that merges change nothing:
//! - of a table of facts, and of the latest row of a key, the fingerprint is the sum of 128-bit
//!   hashes of the rows;
//! - of rows that add up, it is linear in what adds up: per row, the hash of the key times a sum of
//!   the measures, each with a factor of its own. So a row that stands for two others counts as both.
//!
//! A difference is told as original minus rebuilt, whichever of the two is the live one, and so does
//! not change while both grow alike: what a person has seen and accepted stays what it was.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{Offset, Partition};
use projection::tables::{Column, ColumnType, DELTAS, Engine, MEASURES, Table};
use serde_json::{Map, Value};

use crate::ddl::{identifier, literal};
use crate::error::WarehouseError;
use crate::warehouse::Warehouse;

/// Both tables are read through: of a long ledger, for minutes.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Past it ClickHouse groups on disk.
const GROUPS_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Half-open ranges of offsets by partition.
pub type Offsets = BTreeMap<Partition, (Offset, Offset)>;

/// What is compared with what.
#[derive(Clone, Debug)]
pub struct Comparison<'c> {
    pub table: &'static Table,
    /// The tables of before.
    pub original: &'c Warehouse,
    /// The tables that were rebuilt.
    pub rebuilt: &'c Warehouse,
    /// Which rows; all when absent. Only a table of facts has rows of a range.
    pub offsets: Option<&'c Offsets>,
    /// How many groups are wanted; the others are counted.
    pub groups_max: u32,
}

/// One group that differs: its dimensions, and each sum that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    pub day: Option<String>,
    pub account: Option<String>,
    pub feature: Option<String>,
    pub model: Option<String>,
    /// Rows of the group; absent where rows add up and so may have been merged.
    pub rows_original: Option<u64>,
    pub rows_rebuilt: Option<u64>,
    /// By column: what the original and the rebuilt table sum up to, where that is not the same.
    /// Empty when rows differ in what does not add up.
    pub sums: Map<String, Value>,
}

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Compared {
    pub table: String,
    pub rows_original: u64,
    pub rows_rebuilt: u64,
    /// Groups that differ.
    pub groups: u64,
    /// Names exactly these differences; empty for none.
    pub fingerprint: String,
    /// The largest ones.
    pub differences: Vec<Difference>,
}

/// By which columns a table's differences are grouped.
struct Dimensions {
    day: Option<String>,
    plain: Vec<&'static str>,
}

impl Dimensions {
    fn of(table: &Table) -> Self {
        let has = |name: &&str| table.column(name).is_some();
        Self {
            day: day_of(table),
            plain: ["account", "feature", "model"].into_iter().filter(has).collect(),
        }
    }

    /// `expression AS name`, with names that no column has.
    fn select(&self) -> Vec<String> {
        let day = self.day.iter().map(|day| format!("toString({day}) AS d_day"));
        let plain =
            self.plain.iter().map(|name| format!("toString(t.{}) AS d_{name}", identifier(name)));
        day.chain(plain).collect()
    }

    fn names(&self) -> Vec<String> {
        let day = self.day.iter().map(|_| "d_day".to_owned());
        day.chain(self.plain.iter().map(|name| format!("d_{name}"))).collect()
    }
}

/// The day that a row counts for. The current row of a key moves from day to day: it has none.
fn day_of(table: &Table) -> Option<String> {
    if matches!(table.engine, Engine::Latest { .. }) {
        return None;
    }
    let names = ["day", "hour", "event_time", "recorded_at", "granted_at", "as_of"];
    names.into_iter().find_map(|name| match table.column(name)?.column_type {
        ColumnType::Date => Some(format!("t.{}", identifier(name))),
        ColumnType::Time => Some(format!("toDate(t.{})", identifier(name))),
        _ => None,
    })
}

/// The columns that are summed.
fn measures(table: &Table) -> Vec<&'static Column> {
    let is_sum = |column: &&'static Column| match column.column_type {
        ColumnType::Amount | ColumnType::NullableAmount => true,
        ColumnType::Int64 => MEASURES.iter().any(|measure| measure.name == column.name),
        _ => false,
    };
    table.columns.iter().filter(is_sum).collect()
}

fn sum(column: &Column) -> String {
    let name = identifier(column.name);
    match column.column_type {
        ColumnType::Amount => format!("toDecimal256(t.{name}, 12)"),
        ColumnType::NullableAmount => format!("toDecimal256(ifNull(t.{name}, 0), 12)"),
        _ => format!("toInt256(t.{name})"),
    }
}

/// What stands for one row, see the head of this file.
fn fingerprint(table: &Table) -> String {
    let hash = |columns: &mut dyn Iterator<Item = &str>| {
        let columns: Vec<String> =
            columns.map(|column| format!("t.{}", identifier(column))).collect();
        format!("reinterpretAsUInt128(sipHash128(tuple({})))", columns.join(", "))
    };
    match table.engine {
        Engine::Facts | Engine::Latest { .. } => {
            hash(&mut table.columns.iter().map(|column| column.name))
        }
        Engine::Sums { sums } => {
            // How often a row was added to, and how far its batches reached, is the writer's.
            let adds_up = |column: &&Column| {
                column.name != DELTAS.name && column.column_type != ColumnType::LargestInt64
            };
            let terms: Vec<String> = sums
                .iter()
                .filter(adds_up)
                .map(|column| {
                    let factor =
                        format!("reinterpretAsUInt128(sipHash128({}))", literal(column.name));
                    let name = identifier(column.name);
                    let value = match column.column_type {
                        ColumnType::Amount => format!("reinterpretAsUInt128(t.{name})"),
                        _ => format!("toUInt128(t.{name})"),
                    };
                    format!("{factor} * {value}")
                })
                .collect();
            format!("{} * ({})", hash(&mut table.order_by.iter().copied()), terms.join(" + "))
        }
    }
}

impl Comparison<'_> {
    fn condition(&self) -> String {
        let (Some(offsets), Some(position)) = (self.offsets, self.table.position) else {
            return "1".to_owned();
        };
        let (partition, offset) = (identifier(position.partition), identifier(position.offset));
        let ranges: Vec<String> = offsets
            .iter()
            .map(|(at, (from, to))| {
                format!("(t.{partition} = {at} AND t.{offset} >= {from} AND t.{offset} < {to})")
            })
            .collect();
        match ranges.is_empty() {
            true => "0".to_owned(),
            false => ranges.join(" OR "),
        }
    }

    fn side(&self, warehouse: &Warehouse, side: u8) -> String {
        let mut selected = Dimensions::of(self.table).select();
        selected.push(format!("{side} AS side"));
        selected.push(format!("{} AS fingerprint", fingerprint(self.table)));
        let measures = measures(self.table);
        selected.extend(
            measures.iter().enumerate().map(|(at, column)| format!("{} AS m{at}", sum(column))),
        );
        let final_rows = match self.table.engine {
            Engine::Latest { .. } => " FINAL",
            Engine::Facts | Engine::Sums { .. } => "",
        };
        format!(
            "SELECT {} FROM {} AS t{final_rows} WHERE {}",
            selected.join(", "),
            warehouse.qualified(self.table),
            self.condition(),
        )
    }

    /// The groups that differ, the largest first by the first sum of the table.
    fn sql(&self) -> String {
        let dimensions = Dimensions::of(self.table).names();
        let measures = measures(self.table);
        let mut selected = dimensions.clone();
        selected.push("countIf(side = 0) AS rows_original".to_owned());
        selected.push("countIf(side = 1) AS rows_rebuilt".to_owned());
        selected.push("sumIf(fingerprint, side = 0) AS f_original".to_owned());
        selected.push("sumIf(fingerprint, side = 1) AS f_rebuilt".to_owned());
        for at in 0..measures.len() {
            selected.push(format!("sumIf(m{at}, side = 0) AS o{at}"));
            selected.push(format!("sumIf(m{at}, side = 1) AS r{at}"));
        }
        // Rows that add up are merged on one side and not on the other.
        let rows_differ = match self.table.engine {
            Engine::Sums { .. } => String::new(),
            Engine::Facts | Engine::Latest { .. } => " OR rows_original != rows_rebuilt".to_owned(),
        };
        let sums_differ: String =
            (0..measures.len()).map(|at| format!(" OR o{at} != r{at}")).collect();
        let by = match dimensions.is_empty() {
            true => String::new(),
            false => format!("GROUP BY {}", dimensions.join(", ")),
        };
        let largest = measures
            .iter()
            .position(|column| column.name == "credits" || column.name == "settled")
            .or((!measures.is_empty()).then_some(0))
            .map_or_else(String::new, |at| format!("abs(o{at} - r{at}) DESC, "));
        let mut tagged = dimensions.clone();
        tagged.push("toInt64(rows_original) - toInt64(rows_rebuilt)".to_owned());
        if matches!(self.table.engine, Engine::Sums { .. }) {
            tagged.pop();
        }
        tagged.push("reinterpretAsInt128(f_original) - reinterpretAsInt128(f_rebuilt)".to_owned());
        tagged.extend((0..measures.len()).map(|at| format!("o{at} - r{at}")));
        let order = match dimensions.is_empty() {
            true => "groups".to_owned(),
            false => dimensions.join(", "),
        };
        format!(
            "SELECT *, count() OVER () AS groups,
                hex(sum(reinterpretAsUInt128(sipHash128(tuple({tagged})))) OVER ()) AS tag
             FROM
             (
                SELECT {selected} FROM ({original} UNION ALL {rebuilt}) {by}
                HAVING f_original != f_rebuilt{rows_differ}{sums_differ}
             )
             ORDER BY {largest}{order} LIMIT {limit}
             SETTINGS max_bytes_before_external_group_by = {GROUPS_BYTES_MAX}",
            tagged = tagged.join(", "),
            selected = selected.join(", "),
            original = self.side(self.original, 0),
            rebuilt = self.side(self.rebuilt, 1),
            limit = self.groups_max.max(1),
        )
    }

    fn read(&self, row: &Map<String, Value>) -> Difference {
        let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
        let rows = |name: &str| match self.table.engine {
            Engine::Sums { .. } => None,
            Engine::Facts | Engine::Latest { .. } => row.get(name).and_then(Value::as_u64),
        };
        let mut sums = Map::new();
        for (at, column) in measures(self.table).iter().enumerate() {
            let side = |side: &str| row.get(&format!("{side}{at}")).cloned().unwrap_or(Value::Null);
            let (original, rebuilt) = (side("o"), side("r"));
            if original != rebuilt {
                let both = serde_json::json!({ "original": original, "rebuilt": rebuilt });
                sums.insert(column.name.to_owned(), both);
            }
        }
        Difference {
            day: text("d_day"),
            account: text("d_account"),
            feature: text("d_feature"),
            model: text("d_model"),
            rows_original: rows("rows_original"),
            rows_rebuilt: rows("rows_rebuilt"),
            sums,
        }
    }
}

impl Warehouse {
    /// Compares a table with the one beside it. Both must have come equally far, or be cut at the
    /// same offsets: what one of them does not have yet is a difference here.
    pub async fn compare(&self, comparison: &Comparison<'_>) -> Result<Compared, WarehouseError> {
        let found: Vec<Map<String, Value>> =
            self.query_rows_within(PATIENCE, &comparison.sql()).await?;
        let number = |row: &Map<String, Value>, name: &str| row.get(name).and_then(Value::as_u64);
        let first = found.first();
        let tag = first.and_then(|row| row.get("tag")).and_then(Value::as_str);
        let counted = |warehouse: &Warehouse| {
            format!(
                "SELECT count() AS rows FROM {} AS t WHERE {}",
                warehouse.qualified(comparison.table),
                comparison.condition()
            )
        };
        let mut rows = [0_u64; 2];
        for (count, warehouse) in rows.iter_mut().zip([comparison.original, comparison.rebuilt]) {
            let answer: Vec<Map<String, Value>> =
                self.query_rows_within(PATIENCE, &counted(warehouse)).await?;
            *count = answer.first().and_then(|row| number(row, "rows")).unwrap_or(0);
        }
        Ok(Compared {
            table: comparison.table.name.to_owned(),
            rows_original: rows[0],
            rows_rebuilt: rows[1],
            groups: first.and_then(|row| number(row, "groups")).unwrap_or(0),
            fingerprint: tag.unwrap_or_default().to_owned(),
            differences: found.iter().map(|row| comparison.read(row)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use projection::tables::of_the_ledger;

    use super::*;

    #[test]
    fn every_table_is_grouped_by_what_it_has() {
        for table in of_the_ledger() {
            let dimensions = Dimensions::of(table);
            let latest = matches!(table.engine, Engine::Latest { .. });
            assert_eq!(dimensions.day.is_none(), latest, "{}", table.name);
            assert!(!dimensions.names().is_empty(), "{}", table.name);
        }
    }

    #[test]
    fn what_a_writer_alone_decides_is_in_no_fingerprint() {
        for table in of_the_ledger() {
            let print = fingerprint(table);
            match table.engine {
                Engine::Sums { .. } => {
                    assert!(
                        !print.contains("deltas") && !print.contains("ledger_offset"),
                        "{print}"
                    );
                    assert!(print.contains("ledger_partition"), "{print}");
                }
                Engine::Facts | Engine::Latest { .. } => {
                    for column in table.columns {
                        assert!(print.contains(column.name), "{}: {}", table.name, column.name);
                    }
                }
            }
        }
    }
}
