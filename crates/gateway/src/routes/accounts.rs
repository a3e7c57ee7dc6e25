//! `GET /v1/accounts/{id}/entries`, from ClickHouse, and how fresh that is.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Partition, Timestamp};
use serde_json::{Value, json};

use crate::app::{App, literal, now};
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::history::time_literal;
use crate::routes::limit_of;

pub(crate) async fn entries(
    State(app): State<App>,
    Path(account): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = limit_of(&mut params)?;
    let mut condition = format!("e.account = {}", literal(&account));
    if let Some(from) = params.parsed("from", "bad_time")? {
        condition.push_str(&format!(" AND e.recorded_at >= {}", time_literal(from)));
    }
    if let Some(to) = params.parsed("to", "bad_time")? {
        condition.push_str(&format!(" AND e.recorded_at < {}", time_literal(to)));
    }
    if let Some(before) = params.parsed::<u64>("before", "bad_value")? {
        condition.push_str(&format!(" AND e.sequence < {before}"));
    }
    if let Some(kind) = params.text("kind") {
        condition.push_str(&format!(" AND e.kind = {}", literal(&kind)));
    }
    params.finish()?;
    let sql = format!(
        "SELECT e.entry_id AS entry_id, e.sequence AS sequence, e.kind AS kind,
            e.recorded_at AS recorded_at, e.event_time AS event_time, e.credits AS credits,
            e.settled_after AS settled_after, e.held_after AS held_after,
            e.available_after AS available_after, e.overage_after AS overage_after,
            e.source AS source, e.event_id AS event_id, e.cause_kind AS cause_kind,
            e.cause_topic AS cause_topic, e.cause_partition AS cause_partition,
            e.cause_offset AS cause_offset, e.reason AS reason, e.actor AS actor,
            e.corrects AS corrects, e.ledger_offset AS ledger_offset
         FROM ledger_entries AS e WHERE {condition}
         ORDER BY e.sequence DESC LIMIT {limit}"
    );
    let entries: Vec<Value> = app.warehouse.query_rows(&sql).await?;
    let freshness = freshness_of(&app, Some(app.home(&account))).await?;
    let answer = json!({ "account": account, "entries": entries, "freshness": freshness });
    Ok(super::json(StatusCode::OK, &answer))
}

/// How far ClickHouse has come: in one partition, or the earliest of all.
pub(crate) async fn freshness_of(app: &App, home: Option<Partition>) -> Result<Value, Problem> {
    let rows = crate::freshness::partitions(&app.warehouse).await?;
    let relevant: Vec<_> =
        rows.iter().filter(|row| home.is_none_or(|home| home == row.partition)).collect();
    let views = app.followed.views();
    let lag: i64 = (0..)
        .map(Partition)
        .zip(&views)
        .filter(|(partition, _)| home.is_none_or(|home| home == *partition))
        .map(|(partition, view)| {
            let at = rows.iter().find(|row| row.partition == partition);
            (view.ledger_next.0 - at.map_or(0, |row| row.ledger_offset.0)).max(0)
        })
        .sum();
    let as_of = relevant.iter().map(|row| row.as_of.as_str()).min();
    let behind = as_of.and_then(|as_of| as_of.parse::<Timestamp>().ok());
    let behind_millis = behind.map(|as_of| now().since(as_of).max(0) / 1_000);
    Ok(json!({
        "as_of": as_of,
        "lag_s": behind_millis.map(|millis| format!("{}.{:03}", millis / 1_000, millis % 1_000)),
        "lag_records": lag,
        "ledger_partition": home,
        "ledger_offset": match relevant.as_slice() {
            [one] if home.is_some() => Value::from(one.ledger_offset.0),
            _ => Value::Null,
        },
    }))
}
