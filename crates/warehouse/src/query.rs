//! Reading: rows as JSON, typed rows, exports, and what the columns mean.

use std::time::Duration;

use clickhouse::query::{BytesCursor, Query};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::ddl::literal;
use crate::error::WarehouseError;
use crate::warehouse::Warehouse;

/// What a query that a person wrote may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    pub execution_time: Duration,
    /// A result with more rows is an error, not a shorter result.
    pub result_rows_max: u64,
    pub memory_bytes_max: u64,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            execution_time: Duration::from_secs(60),
            result_rows_max: 1_000_000,
            memory_bytes_max: 4 * 1024 * 1024 * 1024,
        }
    }
}

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// With a line of names first.
    Csv,
    Parquet,
}

impl ExportFormat {
    const fn name(self) -> &'static str {
        match self {
            Self::Csv => "CSVWithNames",
            Self::Parquet => "Parquet",
        }
    }
}

/// What a table or view is, for `tally schema`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct TableDescription {
    pub name: String,
    pub comment: String,
    pub columns: Vec<ColumnDescription>,
}

/// What a column means.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ColumnDescription {
    pub name: String,
    #[serde(rename = "type")]
    pub column_type: String,
    pub comment: String,
}

/// Rows as they arrive, each one JSON object. Decimals are strings, so that no reader takes them
/// for floats; counts are numbers; times are RFC 3339.
pub struct JsonRows {
    cursor: BytesCursor,
    /// Bytes after the last whole row that was handed out.
    buffered: Vec<u8>,
    /// Where in `buffered` the next row starts.
    at: usize,
    ended: bool,
}

impl std::fmt::Debug for JsonRows {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("JsonRows").field("ended", &self.ended).finish_non_exhaustive()
    }
}

impl JsonRows {
    /// The next row; `None` after the last. An error in the middle of a result is an error here,
    /// never a result that looks whole.
    pub async fn next(&mut self) -> Result<Option<String>, WarehouseError> {
        loop {
            let rest = &self.buffered[self.at..];
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let row = text(&rest[..length])?;
                self.at += length + 1;
                if row.is_empty() {
                    continue;
                }
                return Ok(Some(row));
            }
            if self.ended {
                let row = text(rest)?;
                self.at = self.buffered.len();
                return Ok(Some(row).filter(|row| !row.is_empty()));
            }
            self.buffered.drain(..self.at);
            self.at = 0;
            match self.cursor.next().await? {
                Some(chunk) => self.buffered.extend_from_slice(&chunk),
                None => self.ended = true,
            }
        }
    }

    /// All rows that are left.
    pub async fn collect(mut self) -> Result<Vec<String>, WarehouseError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }
}

fn text(bytes: &[u8]) -> Result<String, WarehouseError> {
    String::from_utf8(bytes.to_vec())
        .map_err(|_| WarehouseError::Unreadable("a row that is not UTF-8".to_owned()))
}

impl Warehouse {
    /// A query that a person wrote: it can read and nothing else (no settings of its own, no
    /// functions that reach files or the network), within the limits.
    pub async fn query_json(
        &self,
        sql: &str,
        limits: QueryLimits,
    ) -> Result<JsonRows, WarehouseError> {
        let query = limited(self.client.query_raw(trimmed(sql)), limits);
        json_rows(as_json(query))
    }

    /// The rows of a query of tally's own, as `T`.
    pub async fn query_rows<T: DeserializeOwned>(
        &self,
        sql: &str,
    ) -> Result<Vec<T>, WarehouseError> {
        self.typed_rows(self.client.query_raw(sql)).await
    }

    /// The same, for a query that reads whole tables.
    pub(crate) async fn query_rows_within<T: DeserializeOwned>(
        &self,
        patience: Duration,
        sql: &str,
    ) -> Result<Vec<T>, WarehouseError> {
        within(patience, typed(as_json(self.client.query_raw(sql)))).await
    }

    /// The same for what the server says about itself, whether or not the database exists.
    pub(crate) async fn query_system<T: DeserializeOwned>(
        &self,
        sql: &str,
    ) -> Result<Vec<T>, WarehouseError> {
        self.typed_rows(self.outside.query_raw(sql)).await
    }

    async fn typed_rows<T: DeserializeOwned>(
        &self,
        query: Query,
    ) -> Result<Vec<T>, WarehouseError> {
        self.in_time(typed(as_json(query))).await
    }

    /// Writes the result of a query that a person wrote, and returns how many bytes it took.
    pub async fn export(
        &self,
        sql: &str,
        format: ExportFormat,
        limits: QueryLimits,
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<u64, WarehouseError> {
        let output = |error: std::io::Error| WarehouseError::Output(error.to_string());
        let query = limited(self.client.query_raw(trimmed(sql)), limits);
        let mut cursor = query.fetch_bytes(format.name())?;
        let mut written = 0;
        while let Some(chunk) = cursor.next().await? {
            writer.write_all(&chunk).await.map_err(output)?;
            written += chunk.len() as u64;
        }
        writer.flush().await.map_err(output)?;
        Ok(written)
    }

    /// What a table or view is and what its columns mean, as the server knows it; `None` when there
    /// is no such table.
    pub async fn describe(&self, table: &str) -> Result<Option<TableDescription>, WarehouseError> {
        let (database, name) = (literal(self.database()), literal(table));
        let columns: Vec<ColumnDescription> = self
            .query_system(&format!(
                "SELECT name, type, comment FROM system.columns
                 WHERE database = {database} AND table = {name} ORDER BY position"
            ))
            .await?;
        let tables = self.tables_where(&format!("name = {name}")).await?;
        Ok(tables.into_iter().next().map(|table| TableDescription { columns, ..table }))
    }

    /// Every table and view, without columns, by name.
    pub async fn tables(&self) -> Result<Vec<TableDescription>, WarehouseError> {
        self.tables_where("1").await
    }

    async fn tables_where(&self, condition: &str) -> Result<Vec<TableDescription>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            name: String,
            comment: String,
        }
        let rows: Vec<Row> = self
            .query_system(&format!(
                "SELECT name, comment FROM system.tables WHERE database = {} AND {condition} ORDER BY name",
                literal(self.database())
            ))
            .await?;
        let describe = |row: Row| TableDescription {
            name: row.name,
            comment: row.comment,
            columns: Vec::new(),
        };
        Ok(rows.into_iter().map(describe).collect())
    }

    /// Runs a statement of tally's own in the database.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), WarehouseError> {
        let query = self.client.query_raw(sql).with_setting("wait_end_of_query", "1");
        self.in_time(async { Ok(query.execute().await?) }).await
    }

    /// Runs a statement that must not name the database, which may not exist yet.
    pub(crate) async fn execute_outside(&self, sql: &str) -> Result<(), WarehouseError> {
        let query = self.outside.query_raw(sql);
        self.in_time(async { Ok(query.execute().await?) }).await
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, WarehouseError>>,
    ) -> Result<T, WarehouseError> {
        within(self.settings.query_timeout, asked).await
    }
}

async fn within<T>(
    patience: Duration,
    asked: impl Future<Output = Result<T, WarehouseError>>,
) -> Result<T, WarehouseError> {
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(WarehouseError::Unanswered(format!("nothing within {patience:?}"))),
    }
}

async fn typed<T: DeserializeOwned>(query: Query) -> Result<Vec<T>, WarehouseError> {
    let mut rows = json_rows(query)?;
    let mut typed = Vec::new();
    while let Some(row) = rows.next().await? {
        typed.push(
            serde_json::from_str(&row)
                .map_err(|error| WarehouseError::Unreadable(format!("{error}: {row}")))?,
        );
    }
    Ok(typed)
}

fn json_rows(query: Query) -> Result<JsonRows, WarehouseError> {
    let cursor = query.fetch_bytes("JSONEachRow")?;
    Ok(JsonRows { cursor, buffered: Vec::new(), at: 0, ended: false })
}

fn as_json(query: Query) -> Query {
    query
        .with_setting("output_format_json_quote_decimals", "1")
        .with_setting("output_format_json_quote_64bit_integers", "0")
        .with_setting("date_time_output_format", "iso")
}

fn limited(query: Query, limits: QueryLimits) -> Query {
    query
        // 1 and not 2: with 2 the query's own SETTINGS clause would lift the limits.
        .with_setting("readonly", "1")
        .with_setting("max_execution_time", limits.execution_time.as_secs().max(1).to_string())
        .with_setting("max_result_rows", limits.result_rows_max.to_string())
        .with_setting("result_overflow_mode", "throw")
        .with_setting("max_memory_usage", limits.memory_bytes_max.to_string())
}

/// A person ends a statement with a semicolon; the server takes one statement and no end.
fn trimmed(sql: &str) -> &str {
    sql.trim_end().trim_end_matches(';')
}
