//! Errors as people and programs see them: `application/problem+json` with a stable `type`.

use std::borrow::Cow;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Fault, Reason};
use eventlog::LogError;
use serde_json::{Map, Value};
use warehouse::{Consequence, WarehouseError};

/// The longest value that is shown back, in characters.
const VALUE_CHARACTERS_MAX: usize = 64;

/// An error answer. Boxed, because it is the error of nearly every function here.
#[derive(Debug)]
pub(crate) struct Problem(Box<Said>);

#[derive(Debug)]
struct Said {
    status: StatusCode,
    code: Cow<'static, str>,
    detail: String,
    field: Option<String>,
    value: Option<String>,
    more: Map<String, Value>,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self(Box::new(Said {
            status,
            code: code.into(),
            detail: detail.into(),
            field: None,
            value: None,
            more: Map::new(),
        }))
    }

    /// A body or a parameter that is not what the route takes.
    pub(crate) fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// A request that is well formed and cannot be carried out.
    pub(crate) fn refused(reason: Reason) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, reason.code(), reason.row().about)
    }

    /// Its type and what it says, for an answer that lists several.
    pub(crate) fn said(&self) -> (&str, &str) {
        (&self.0.code, &self.0.detail)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
    }

    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    pub(crate) fn field(mut self, field: impl Into<String>) -> Self {
        self.0.field = Some(field.into());
        self
    }

    /// The offending value, shortened.
    pub(crate) fn value(mut self, value: &str) -> Self {
        let mut shown: String = value.chars().take(VALUE_CHARACTERS_MAX).collect();
        if shown.len() < value.len() {
            shown.push('…');
        }
        self.0.value = Some(shown);
        self
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.more.insert(name.to_owned(), value.into());
        self
    }

    /// What is the matter, in a sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.0.detail
    }

    /// Another status for the same problem.
    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.0.status = status;
        self
    }
}

impl Problem {
    /// The answer's status and body.
    pub(crate) fn into_body(self) -> (StatusCode, Value) {
        let Said { status, code, detail, field, value, more } = *self.0;
        if status.is_server_error() {
            tracing::warn!(code = %code, detail = %detail, "request failed");
        }
        let mut body = Map::new();
        let title = status.canonical_reason().unwrap_or("Error");
        body.insert("type".to_owned(), Value::from(code.into_owned()));
        body.insert("title".to_owned(), Value::from(title));
        body.insert("status".to_owned(), Value::from(status.as_u16()));
        body.insert("detail".to_owned(), Value::from(detail));
        let optional = [("field", field), ("value", value)];
        for (name, text) in optional {
            if let Some(text) = text {
                body.insert(name.to_owned(), Value::from(text));
            }
        }
        body.extend(more);
        (status, Value::Object(body))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, body) = self.into_body();
        let headers = [(header::CONTENT_TYPE, "application/problem+json")];
        (status, headers, body.to_string()).into_response()
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        Self::refused(fault.reason).field(fault.field).value(&fault.value)
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Unavailable(_) | LogError::Fenced(_) => Self::unavailable(error.to_string()),
            LogError::OutOfRange { .. } | LogError::Halt(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<WarehouseError> for Problem {
    fn from(error: WarehouseError) -> Self {
        match error.consequence() {
            Consequence::Retry => Self::unavailable(error.to_string()),
            Consequence::Halt => Self::internal(error.to_string()),
        }
    }
}

impl From<tokio::task::JoinError> for Problem {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(error.to_string())
    }
}
