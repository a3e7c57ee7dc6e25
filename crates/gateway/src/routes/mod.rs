//! The routes, by what they are about.

pub(crate) mod accounts;
pub(crate) mod balance;
mod binary_mode;
pub(crate) mod budgets;
pub(crate) mod commands;
pub(crate) mod dead_letters;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod explain;
mod history;
mod hold_settle;
pub(crate) mod holds;
pub(crate) mod ingest;
pub(crate) mod keys;
pub(crate) mod metered_cost;
mod outlook;
pub(crate) mod plans;
pub(crate) mod price_list;
mod proof;
pub(crate) mod quarantine;
pub(crate) mod quote;
pub(crate) mod rates;
pub(crate) mod raw_replay;
pub(crate) mod replays;
pub(crate) mod rerates;
pub(crate) mod sources;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod unrated;
pub(crate) mod usage;
pub(crate) mod verify;
pub(crate) mod webhooks;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;
use serde_json::Value;
use warehouse::WarehouseError;

use crate::app::App;
use crate::form::Params;
use crate::problem::Problem;

/// Columns that hold times and are not named so.
const TIMES: [&str; 7] = [
    "as_of",
    "since",
    "period_start",
    "period_end",
    "window_start",
    "window_end",
    "scheduled_from",
];

const ROWS: u32 = 100;
const ROWS_MAX: u32 = 10_000;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

/// Rows of ClickHouse, with times as tally writes them: without decimals that say nothing.
async fn rows(app: &App, sql: &str) -> Result<Vec<Value>, WarehouseError> {
    let mut rows: Vec<Value> = app.warehouse.query_rows(sql).await?;
    for (name, value) in rows.iter_mut().filter_map(Value::as_object_mut).flatten() {
        let is_time = name.ends_with("_at") || TIMES.contains(&name.as_str());
        if let Some(time) = value.as_str().filter(|_| is_time)
            && let Ok(time) = time.parse::<Timestamp>()
        {
            *value = time.to_string().into();
        }
    }
    Ok(rows)
}

/// How many rows are wanted: `?limit=100`.
fn limit_of(params: &mut Params) -> Result<u32, Problem> {
    let limit = params.parsed::<u32>("limit", "bad_value")?.unwrap_or(ROWS);
    if (1..=ROWS_MAX).contains(&limit) {
        return Ok(limit);
    }
    let detail = format!("a limit is a number from 1 to {ROWS_MAX}");
    Err(Problem::bad_request("bad_value", detail).field("limit").value(&limit.to_string()))
}
