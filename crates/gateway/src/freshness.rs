//! How far ClickHouse has come in each ledger partition.

use domain::{Offset, Partition};
use warehouse::{Warehouse, WarehouseError};

#[derive(Clone, Debug, serde::Deserialize)]
pub(crate) struct Freshness {
    pub(crate) partition: Partition,
    /// The offset after the last record that every table has.
    pub(crate) ledger_offset: Offset,
    pub(crate) as_of: String,
}

/// One row per partition that anything was projected of. The marks come last of each batch; of a
/// batch whose marks are not there yet, `ledger_entries` (the last of its tables) says as much.
pub(crate) async fn partitions(warehouse: &Warehouse) -> Result<Vec<Freshness>, WarehouseError> {
    let marks = "SELECT f.ledger_partition AS partition, max(f.ledger_offset) AS ledger_offset,
            max(f.as_of) AS as_of
        FROM freshness_marks AS f GROUP BY f.ledger_partition ORDER BY partition";
    let rows: Vec<Freshness> = warehouse.query_rows(marks).await?;
    if !rows.is_empty() {
        return Ok(rows);
    }
    let entries = "SELECT e.ledger_partition AS partition,
            max(e.ledger_offset) + 1 AS ledger_offset, max(e.recorded_at) AS as_of
        FROM ledger_entries AS e GROUP BY e.ledger_partition ORDER BY partition";
    warehouse.query_rows(entries).await
}

/// The whole seconds of a lag as answers tell it (`61.500`).
pub(crate) fn whole_seconds(lag: &str) -> Option<i64> {
    lag.split('.').next()?.parse().ok()
}
