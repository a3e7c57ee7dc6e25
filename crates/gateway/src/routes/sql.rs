//! Reading ClickHouse as it is: `POST /v1/sql`, `GET /v1/schema`, `GET /v1/export`.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::Timestamp;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;
use warehouse::{ExportFormat, QueryLimits, WarehouseError};

use crate::app::{App, literal};
use crate::auth::Asker;
use crate::body;
use crate::form::{Form, Params, missing};
use crate::problem::Problem;

const BODY_BYTES_MAX: usize = 256 * 1024;
/// Chunks that wait for a slow reader; ClickHouse waits behind them.
const CHUNKS_MAX: usize = 16;
const CHUNK_BYTES: usize = 64 * 1024;
/// Rows of a table that is drawn for people.
const PRETTY_ROWS_MAX: usize = 10_000;
const EXPORT_ROWS_MAX: u64 = 1_000_000_000;
const EXPORT_SECONDS_MAX: u64 = 3_600;

/// What a query's result comes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One JSON object per line.
    Json,
    Csv,
    Parquet,
    /// A table of text.
    Pretty,
}

pub(crate) async fn sql(
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let query = form.required_text("query")?;
    let format = match form.text("format")?.as_deref() {
        None | Some("json") => Format::Json,
        Some("csv") => Format::Csv,
        Some("parquet") => Format::Parquet,
        Some("pretty") => Format::Pretty,
        Some(other) => return Err(unknown_format(other)),
    };
    form.finish()?;
    if query.trim().is_empty() {
        return Err(missing("query"));
    }
    run(app, query, format, QueryLimits::default()).await
}

pub(crate) async fn export(
    State(app): State<App>,
    asker: Asker,
    mut params: Params,
) -> Result<Response, Problem> {
    asker.must_reach_all_of(params.peek("account"))?;
    let format = match params.text("format").as_deref() {
        None | Some("csv") => Format::Csv,
        Some("parquet") => Format::Parquet,
        Some(other) => return Err(unknown_format(other)),
    };
    let mut conditions = vec!["1".to_owned()];
    let at = |time: Timestamp| format!("fromUnixTimestamp64Micro({}, 'UTC')", time.micros());
    if let Some(from) = params.parsed("from", "bad_time")? {
        conditions.push(format!("u.event_time >= {}", at(from)));
    }
    if let Some(to) = params.parsed("to", "bad_time")? {
        conditions.push(format!("u.event_time < {}", at(to)));
    }
    if let Some(account) = params.text("account") {
        conditions.push(format!("u.account = {}", literal(&account)));
    }
    params.finish()?;
    let query = format!(
        "SELECT u.* FROM usage_lines AS u WHERE {} \
         ORDER BY u.account, u.event_time, u.ledger_partition, u.ledger_offset, u.line",
        conditions.join(" AND ")
    );
    let limits = QueryLimits {
        execution_time: std::time::Duration::from_secs(EXPORT_SECONDS_MAX),
        result_rows_max: EXPORT_ROWS_MAX,
        ..QueryLimits::default()
    };
    run(app, query, format, limits).await
}

pub(crate) async fn schema(
    State(app): State<App>,
    mut params: Params,
) -> Result<Response, Problem> {
    let table = params.text("table");
    params.finish()?;
    let answer = match table {
        None => json!({ "tables": app.warehouse.tables().await? }),
        Some(table) => {
            let described = app.warehouse.describe(&table).await?.ok_or_else(|| {
                let detail = format!("there is no table or view {table:?}");
                Problem::new(StatusCode::NOT_FOUND, "unknown_table", detail)
                    .field("table")
                    .value(&table)
            })?;
            json!(described)
        }
    };
    Ok(super::json(StatusCode::OK, &answer))
}

fn unknown_format(format: &str) -> Problem {
    Problem::bad_request(
        "bad_value",
        "formats are json, csv, parquet and pretty (export: csv, parquet)",
    )
    .field("format")
    .value(format)
}

/// What is wrong with a query is its writer's to mend.
fn query_problem(error: WarehouseError) -> Problem {
    match error {
        WarehouseError::Server(server) => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "query_failed", server.message)
                .field("query")
                .with("clickhouse_code", server.code)
        }
        other => other.into(),
    }
}

async fn run(
    app: App,
    query: String,
    format: Format,
    limits: QueryLimits,
) -> Result<Response, Problem> {
    let content_type = match format {
        Format::Pretty => return pretty(&app, &query, limits).await,
        Format::Json => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
        Format::Parquet => "application/vnd.apache.parquet",
    };
    let (chunks, mut stream) = mpsc::channel(CHUNKS_MAX);
    let warehouse = Arc::clone(&app.warehouse);
    tokio::spawn(async move {
        let outcome = match format {
            Format::Csv => export_to(&warehouse, &query, ExportFormat::Csv, limits, &chunks).await,
            Format::Parquet => {
                export_to(&warehouse, &query, ExportFormat::Parquet, limits, &chunks).await
            }
            Format::Json | Format::Pretty => rows_to(&warehouse, &query, limits, &chunks).await,
        };
        if let Err(error) = outcome {
            // Whoever asked may have gone.
            drop(chunks.send(Err(error)).await);
        }
    });
    // An error before the first byte is still an answer of its own; one after it cuts the answer
    // short, so that half a result never looks whole.
    let first = match stream.recv().await {
        Some(Err(error)) => return Err(query_problem(error)),
        Some(Ok(first)) => first,
        None => Bytes::new(),
    };
    let body = Body::from_stream(Chunks { first: Some(first), rest: stream });
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

type Chunk = Result<Bytes, WarehouseError>;

struct Chunks {
    first: Option<Bytes>,
    rest: mpsc::Receiver<Chunk>,
}

impl futures_core::Stream for Chunks {
    type Item = Chunk;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Chunk>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => self.rest.poll_recv(context),
        }
    }
}

async fn export_to(
    warehouse: &warehouse::Warehouse,
    query: &str,
    format: ExportFormat,
    limits: QueryLimits,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), WarehouseError> {
    let (mut writer, mut reader) = tokio::io::duplex(CHUNK_BYTES);
    let copy = async {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            let count = reader
                .read(&mut buffer)
                .await
                .map_err(|error| WarehouseError::Output(error.to_string()))?;
            if count == 0 {
                return Ok(());
            }
            let chunk = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
            if chunks.send(Ok(chunk)).await.is_err() {
                return Err(WarehouseError::Output("the reader went away".to_owned()));
            }
        }
    };
    let write = async {
        let written = warehouse.export(query, format, limits, &mut writer).await;
        drop(writer);
        written.map(|_| ())
    };
    tokio::try_join!(write, copy).map(|_| ())
}

async fn rows_to(
    warehouse: &warehouse::Warehouse,
    query: &str,
    limits: QueryLimits,
    chunks: &mpsc::Sender<Chunk>,
) -> Result<(), WarehouseError> {
    let mut rows = warehouse.query_json(query, limits).await?;
    let mut buffer = String::new();
    loop {
        let row = rows.next().await?;
        let is_last = row.is_none();
        if let Some(row) = row {
            buffer.push_str(&row);
            buffer.push('\n');
        }
        if buffer.len() >= CHUNK_BYTES || is_last {
            let chunk = Bytes::from(std::mem::take(&mut buffer));
            if chunks.send(Ok(chunk)).await.is_err() || is_last {
                return Ok(());
            }
        }
    }
}

async fn pretty(app: &App, query: &str, limits: QueryLimits) -> Result<Response, Problem> {
    let mut rows = app.warehouse.query_json(query, limits).await.map_err(query_problem)?;
    let mut table: Vec<Vec<String>> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut cut = false;
    while let Some(row) = rows.next().await.map_err(query_problem)? {
        if table.len() == PRETTY_ROWS_MAX {
            cut = true;
            break;
        }
        let form: Columns = serde_json::from_str(&row)
            .map_err(|error| Problem::internal(format!("a row that is not JSON: {error}")))?;
        if names.is_empty() {
            names = form.0.iter().map(|(name, _)| name.clone()).collect();
        }
        table.push(form.0.into_iter().map(|(_, value)| value).collect());
    }
    let mut text = draw(&names, &table);
    if cut {
        text.push_str(&format!("… only the first {PRETTY_ROWS_MAX} rows are shown\n"));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}

/// A row's columns in the order of the query.
struct Columns(Vec<(String, String)>);

impl<'de> serde::Deserialize<'de> for Columns {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> serde::de::Visitor<'de> for Visit {
            type Value = Columns;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a row")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Columns, A::Error> {
                let mut columns = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    let shown = match value {
                        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
                        Value::Null => "-".to_owned(),
                        other => other.to_string(),
                    };
                    columns.push((name, shown));
                }
                Ok(Columns(columns))
            }
        }
        deserializer.deserialize_map(Visit)
    }
}

fn draw(names: &[String], rows: &[Vec<String>]) -> String {
    if names.is_empty() {
        return "no rows\n".to_owned();
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        let name = names.get(column).map_or(0, |name| name.chars().count());
        cells.max().unwrap_or(0).max(name)
    };
    let widths: Vec<usize> = (0..names.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let mut line = padded.collect::<Vec<_>>().join("  ");
        line.truncate(line.trim_end().len());
        line.push('\n');
        line
    };
    let mut text = line(names);
    text.push_str(&line(&widths.iter().map(|width| "─".repeat(*width)).collect::<Vec<_>>()));
    rows.iter().for_each(|row| text.push_str(&line(row)));
    text
}
