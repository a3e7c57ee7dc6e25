//! The routes, by what they are about.

pub(crate) mod accounts;
pub(crate) mod commands;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod explain_entry;
pub(crate) mod ingest;
pub(crate) mod quote;
pub(crate) mod rates;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod usage;
pub(crate) mod verify;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
