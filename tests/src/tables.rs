//! What ClickHouse says, as the tests compare it.

use std::collections::BTreeMap;

use anyhow::Context;
use domain::{Credits, Money, Offset, Partition, Topic, TopicPartition, Traffic};
use ledger::Balance;
use replay::{Dimensions, Sums};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use warehouse::Warehouse;

use crate::input_file;
use crate::service::{DATABASE, Drained};

/// A connection to the test's ClickHouse.
#[derive(Debug)]
pub struct Tables {
    runtime: Runtime,
    warehouse: Warehouse,
}

/// A dead letter or a quarantined record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutAside {
    pub reason: String,
    pub field: String,
    pub value: String,
    pub bytes: Vec<u8>,
}

#[derive(Deserialize)]
struct UsageRow {
    account: String,
    feature: String,
    model: String,
    traffic: String,
    line_count: i64,
    credit_sum: String,
    cost_sum: Option<String>,
    uncosted: i64,
}

#[derive(Deserialize)]
struct BalanceRow {
    account: String,
    settled: String,
    overage: String,
    held: String,
    in_grace: String,
    available: String,
}

#[derive(Deserialize)]
struct PutAsideRow {
    cause_topic: String,
    cause_partition: u32,
    cause_offset: i64,
    reason: String,
    field: String,
    value: String,
    hex_bytes: String,
}

impl Tables {
    /// Connects, and makes the tables when they are missing.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn open(url: &str) -> anyhow::Result<Self> {
        Self::open_in(url, DATABASE)
    }

    /// The same in a database of this name.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn open_in(url: &str, database: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let settings =
            warehouse::Settings { database: database.to_owned(), ..warehouse::Settings::new(url) };
        let warehouse = runtime.block_on(Warehouse::connect(settings))?;
        runtime.block_on(warehouse.migrate())?;
        Ok(Self { runtime, warehouse })
    }

    fn rows<T: DeserializeOwned>(&self, sql: &str) -> anyhow::Result<Vec<T>> {
        self.runtime.block_on(self.warehouse.query_rows(sql)).with_context(|| sql.to_owned())
    }

    /// The only number of a query.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn number(&self, expression: &str, from: &str) -> anyhow::Result<i64> {
        #[derive(Deserialize)]
        struct Row {
            number: i64,
        }
        let sql = format!("SELECT toInt64({expression}) AS number FROM {from}");
        let rows: Vec<Row> = self.rows(&sql)?;
        Ok(rows.first().context("no row")?.number)
    }

    /// The sums of `usage_lines` or of a rollup.
    ///
    /// # Errors
    /// Those of ClickHouse, and amounts that are none.
    pub fn usage(&self, table: &str) -> anyhow::Result<BTreeMap<Dimensions, Sums>> {
        let rows: Vec<UsageRow> = self.rows(&format!(
            "SELECT account, feature, model, traffic, sum(lines) AS line_count,
                    toString(sum(credits)) AS credit_sum, toString(sum(vendor_cost)) AS cost_sum,
                    sum(uncosted_lines) AS uncosted
             FROM {table} GROUP BY account, feature, model, traffic"
        ))?;
        rows.into_iter()
            .map(|row| {
                let traffic = Traffic::from_word(&row.traffic).context("no such traffic class")?;
                let dimensions = Dimensions {
                    account: row.account,
                    feature: row.feature,
                    model: row.model,
                    traffic: traffic.word(),
                };
                let cost: Option<Money> = row.cost_sum.map(|cost| cost.parse()).transpose()?;
                let sums = Sums {
                    lines: row.line_count,
                    credits: row.credit_sum.parse()?,
                    vendor_cost: cost.unwrap_or_default(),
                    uncosted_lines: row.uncosted,
                };
                Ok((dimensions, sums))
            })
            .collect()
    }

    /// The view `balances`, and whether each `available` follows from the rest.
    ///
    /// # Errors
    /// Those of ClickHouse, and amounts that are none.
    pub fn balances(&self) -> anyhow::Result<BTreeMap<String, Balance>> {
        let rows: Vec<BalanceRow> =
            self.rows("SELECT account, settled, overage, held, in_grace, available FROM balances")?;
        rows.into_iter()
            .map(|row| {
                let balance = Balance {
                    settled: row.settled.parse()?,
                    overage: row.overage.parse()?,
                    held: row.held.parse()?,
                    in_grace: row.in_grace.parse()?,
                };
                let available: Credits = row.available.parse()?;
                anyhow::ensure!(available == balance.available(), "{}: {available}", row.account);
                Ok((row.account, balance))
            })
            .collect()
    }

    /// The rows of `dead_letters` or `quarantine`, by the record that they are about, which each
    /// has one row for.
    ///
    /// # Errors
    /// Those of ClickHouse, and a record with two rows.
    pub fn put_aside(
        &self,
        table: &str,
    ) -> anyhow::Result<BTreeMap<(TopicPartition, Offset), PutAside>> {
        let rows: Vec<PutAsideRow> = self.rows(&format!(
            "SELECT cause_topic, cause_partition, cause_offset, reason, field, value,
                    hex(bytes) AS hex_bytes FROM {table}"
        ))?;
        let mut found = BTreeMap::new();
        for row in rows {
            let topic = Topic::ALL.into_iter().find(|topic| topic.name() == row.cause_topic);
            let topic = topic.context("no such topic")?;
            let at = TopicPartition { topic, partition: Partition(row.cause_partition) };
            let put_aside = PutAside {
                reason: row.reason,
                field: row.field,
                value: row.value,
                bytes: input_file::bytes(&row.hex_bytes)?,
            };
            let earlier = found.insert((at, Offset(row.cause_offset)), put_aside);
            anyhow::ensure!(earlier.is_none(), "{table}: {at}@{} twice", row.cause_offset);
        }
        Ok(found)
    }

    /// Whether ClickHouse has everything that the ledger had then.
    ///
    /// # Errors
    /// Those of ClickHouse.
    pub fn has_all(&self, drained: &Drained) -> anyhow::Result<bool> {
        if self.number("count()", "dead_letters")? < i64::try_from(drained.dead_letters)? {
            return Ok(false);
        }
        for (partition, offset) in &drained.last_entries {
            let from = format!("ledger_entries WHERE ledger_partition = {partition}");
            if self.number("max(ledger_offset)", &from)? < *offset {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
