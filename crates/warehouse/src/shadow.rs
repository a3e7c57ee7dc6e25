//! Tables beside the live ones, and the exchange of both.
//!
//! **Who may touch a shadow stands in its name**: `usage_daily__r1f_7` belongs to the rebuild `r1f`
//! and to whoever holds lease 7. A new holder renames the shadows first ([`Warehouse::adopt`]). So
//! whoever was stopped for so long that its lease passed on, and wakes up, names tables that do not
//! exist any more: its inserts and its exchanges fail, instead of being carried out at the wrong
//! moment. `EXCHANGE TABLES` itself asks for nothing but names.
//!
//! A table's rows, its deduplication log and its id (`uuid`) move together: which of two tables is
//! the live one is told by id.

use std::collections::BTreeMap;

use projection::tables::Table;

use crate::ddl::{identifier, literal};
use crate::error::WarehouseError;
use crate::warehouse::Warehouse;

/// A table beside a live one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowTable {
    pub table: &'static Table,
    pub name: String,
    /// What the server knows it by, whatever it is called.
    pub uuid: String,
}

#[derive(serde::Deserialize)]
struct Row {
    name: String,
    uuid: String,
}

impl Warehouse {
    /// The ids of these of the handle's tables that exist, by the table's plain name.
    pub async fn table_ids(
        &self,
        tables: &[&'static Table],
    ) -> Result<BTreeMap<&'static str, String>, WarehouseError> {
        let names: Vec<String> =
            tables.iter().map(|table| literal(&self.table_name(table))).collect();
        let rows = self.named(&format!("name IN ({})", names.join(", "))).await?;
        let id_of = |table: &&'static Table| {
            let name = self.table_name(table);
            let row = rows.iter().find(|row| row.name == name)?;
            Some((table.name, row.uuid.clone()))
        };
        Ok(tables.iter().filter_map(id_of).collect())
    }

    /// Every table beside a live one whose suffix is `prefix`, an underscore and a number.
    pub async fn shadows(
        &self,
        prefix: &str,
        tables: &[&'static Table],
    ) -> Result<Vec<ShadowTable>, WarehouseError> {
        let part = format!("__{prefix}_");
        let rows = self.named(&format!("position(name, {}) > 0", literal(&part))).await?;
        let shadow = |row: Row| {
            let (plain, number) = row.name.split_once(&part)?;
            let table = tables.iter().find(|table| table.name == plain)?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| ShadowTable { table, name: row.name.clone(), uuid: row.uuid.clone() })
        };
        Ok(rows.into_iter().filter_map(shadow).collect())
    }

    async fn named(&self, condition: &str) -> Result<Vec<Row>, WarehouseError> {
        let database = literal(self.database());
        let sql = format!(
            "SELECT name, toString(uuid) AS uuid FROM system.tables
             WHERE database = {database} AND {condition} ORDER BY name"
        );
        self.query_system(&sql).await
    }

    /// Gives the shadows of an earlier holder the names of this handle. From then on the earlier
    /// holder reaches none of them.
    pub async fn adopt(&self, shadows: &[ShadowTable]) -> Result<(), WarehouseError> {
        for shadow in shadows {
            let name = self.shadow_name(shadow.table)?;
            if name == shadow.name {
                continue;
            }
            let (from, to) = (identifier(&shadow.name), identifier(&name));
            self.execute(&format!("RENAME TABLE {from} TO {to}")).await?;
        }
        Ok(())
    }

    /// Exchanges a live table with this handle's table of that name: at once, or not at all.
    pub async fn exchange_with_live(&self, table: &Table) -> Result<(), WarehouseError> {
        let (live, shadow) = (identifier(table.name), identifier(&self.shadow_name(table)?));
        self.execute(&format!("EXCHANGE TABLES {live} AND {shadow}")).await
    }

    /// How many rows each of the handle's tables has, for people: rows that add up or replace one
    /// another may not have been merged.
    pub async fn row_counts(
        &self,
        tables: &[&'static Table],
    ) -> Result<BTreeMap<&'static str, u64>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Counted {
            name: String,
            rows: Option<u64>,
        }
        let sql = format!(
            "SELECT name, total_rows AS rows FROM system.tables WHERE database = {}",
            literal(self.database())
        );
        let counted: Vec<Counted> = self.query_system(&sql).await?;
        let rows_of = |table: &&'static Table| {
            let name = self.table_name(table);
            let row = counted.iter().find(|row| row.name == name)?;
            Some((table.name, row.rows.unwrap_or(0)))
        };
        Ok(tables.iter().filter_map(rows_of).collect())
    }
}
