//! How a command fails, and the exit code that says so.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command or the settings cannot work as they are given; exit code 2.
    Usage(String),
    /// tally refused, or a check failed; exit code 1.
    Refused(Box<Problem>),
    /// Something that is needed is away or broken; exit code 1.
    Failed(String),
    /// A service stopped by itself or made no progress; exit code 70 (BSD's EX_SOFTWARE), so that
    /// a supervisor starts the process again.
    Stalled(String),
}

/// A refusal: `application/problem+json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: String,
    pub(crate) title: String,
    pub(crate) detail: String,
    pub(crate) field: String,
    pub(crate) value: String,
    /// As it was answered, for `--json`.
    pub(crate) body: Value,
    /// It was refused before under the same idempotency key, and this is what was answered then.
    pub(crate) replayed: bool,
}

impl Problem {
    /// Reads an answer's body, whatever it is.
    pub(crate) fn read(status: u16, body: &str) -> Self {
        let value: Value = serde_json::from_str(body).unwrap_or(Value::Null);
        let text = |name: &str| match value.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        if value.is_object() {
            return Self {
                code: text("type"),
                title: text("title"),
                detail: text("detail"),
                field: text("field"),
                value: text("value"),
                body: value,
                replayed: false,
            };
        }
        Self {
            code: format!("http_{status}"),
            title: format!("HTTP {status}"),
            detail: body.trim().to_owned(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [&self.detail, &self.title].into_iter().find(|text| !text.is_empty());
        formatter.write_str(said.map_or("refused", String::as_str))?;
        if !self.field.is_empty() {
            write!(formatter, "\n  field: {}", self.field)?;
        }
        if !self.value.is_empty() {
            write!(formatter, "\n  value: {}", self.value)?;
        }
        if !self.code.is_empty() {
            write!(formatter, "\n  code:  {}", self.code)?;
        }
        Ok(())
    }
}

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Usage(_) => 2,
            Self::Refused(_) | Self::Failed(_) => 1,
            Self::Stalled(_) => 70,
        })
    }

    /// For `--json`.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Refused(problem) if problem.body.is_object() => problem.body.clone(),
            Self::Refused(problem) => {
                json!({"type": problem.code, "title": problem.title, "detail": problem.detail})
            }
            Self::Usage(detail) => json!({"type": "usage", "detail": detail}),
            Self::Failed(detail) => json!({"type": "failed", "detail": detail}),
            Self::Stalled(detail) => json!({"type": "stalled", "detail": detail}),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Failed(text) | Self::Stalled(text) => {
                formatter.write_str(text)
            }
            Self::Refused(problem) => problem.fmt(formatter),
        }
    }
}

/// Turns any error into a [`Failure::Failed`] that says what was being done.
pub(crate) fn failed<E: fmt::Display>(doing: impl fmt::Display) -> impl FnOnce(E) -> Failure {
    move |error| Failure::Failed(format!("{doing}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_field_and_value() {
        let problem = Problem::read(
            422,
            r#"{"type":"bad_amount","title":"bad amount","status":422,"detail":"amounts are decimal strings","field":"amount","value":"1e3"}"#,
        );
        assert_eq!(
            problem.to_string(),
            "amounts are decimal strings\n  field: amount\n  value: 1e3\n  code:  bad_amount"
        );
    }

    #[test]
    fn another_answer_is_shown_as_it_came() {
        let problem = Problem::read(502, "bad gateway\n");
        assert_eq!(problem.to_string(), "bad gateway\n  code:  http_502");
    }
}
