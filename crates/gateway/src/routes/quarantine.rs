//! `GET /v1/quarantine`, `POST /v1/quarantine/{entry}/accept` and `/reject`: records that were held
//! back, and what a person decides about them.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::Reason;
use ledger::{Body, CommandBody};
use serde_json::json;

use super::commands::entry_of;
use crate::app::{App, literal};
use crate::auth::Asker;
use crate::command::{self, Ask, By, ReasonIs, To, carry_out};
use crate::form::Params;
use crate::problem::Problem;

const ROWS_MAX: u32 = 1_000;

/// Held records as ClickHouse has them, the oldest first.
pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let mut conditions = vec!["1".to_owned()];
    let state = params.text("state").unwrap_or_else(|| "held".to_owned());
    if state != "all" {
        conditions.push(format!("q.state = {}", literal(&state)));
    }
    for (name, column) in [("account", "account"), ("source", "source"), ("reason", "reason")] {
        if let Some(value) = params.text(name) {
            conditions.push(format!("q.{column} = {}", literal(&value)));
        }
    }
    params.finish()?;
    let sql = format!(
        "SELECT e.entry_id AS entry, q.state AS state, q.reason AS reason, q.account AS account, \
         q.source AS source, q.event_id AS event, q.event_time AS event_time, \
         q.conflicts_with AS conflicts_with, q.recorded_at AS recorded_at, \
         q.decided_at AS decided_at, q.actor AS actor, q.note AS note, \
         if(isValidUTF8(q.bytes), q.bytes, hex(q.bytes)) AS record \
         FROM quarantine AS q INNER JOIN \
         (SELECT entry_id, cause_topic, cause_partition, cause_offset FROM ledger_entries \
         WHERE kind = 'quarantined') AS e \
         ON e.cause_topic = q.cause_topic AND e.cause_partition = q.cause_partition \
         AND e.cause_offset = q.cause_offset \
         WHERE {} ORDER BY q.recorded_at, entry LIMIT {ROWS_MAX}",
        conditions.join(" AND ")
    );
    let rows = super::rows(&app, &sql).await?;
    Ok(super::json(StatusCode::OK, &json!({ "quarantine": rows })))
}

pub(crate) async fn accept(
    State(app): State<App>,
    Path(entry): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    decide(app, (entry, true), asker, headers, body).await
}

pub(crate) async fn reject(
    State(app): State<App>,
    Path(entry): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    decide(app, (entry, false), asker, headers, body).await
}

async fn decide(
    app: App,
    (name, accept): (String, bool),
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Required)?;
    form.finish()?;
    let unknown = || {
        Problem::refused(Reason::UnknownEntry)
            .status(StatusCode::NOT_FOUND)
            .field("entry")
            .value(&name)
    };
    let (partition, number) = entry_of(&name).ok_or_else(unknown)?;
    if partition.0 >= app.settings.partitions {
        return Err(unknown());
    }
    let record = command::found(&app, partition, number).await?.ok_or_else(unknown)?;
    let entry = command::read(&record)?;
    let Body::Quarantined(_) = entry.body else {
        let problem = Problem::refused(Reason::NotQuarantined).status(StatusCode::CONFLICT);
        return Err(problem.field("entry").value(&name));
    };
    let to = To::Account(entry.account.to_string());
    drop(entry);
    let body = CommandBody::DecideQuarantined { entry: number, record: record.into(), accept };
    carry_out(&app, &asker, Ask { to, by, body, waits: None }).await
}
