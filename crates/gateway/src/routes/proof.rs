//! Long proofs, whose answer tells how they get on: NDJSON, lines of `{"progress"}` and at last one
//! `{"report"}` or `{"problem"}`. One runs at a time, and it ends when whoever asked goes away.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use replay::Standing;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::app::App;
use crate::form::Params;
use crate::problem::Problem;

/// Lines that wait for a slow reader; progress beyond that is not told.
const LINES_MAX: usize = 16;
/// Records per second when nothing is said: leaves most of a core to live traffic.
const RATE_DEFAULT: u32 = 20_000;

/// Where a proof tells how it gets on.
#[derive(Clone, Debug)]
pub(super) struct Telling(mpsc::Sender<Bytes>);

impl Telling {
    /// Returns whether anybody still listens.
    pub(super) fn progress(&self, standing: &Standing) -> bool {
        let line = line(&json!({ "progress": standing }));
        !matches!(self.0.try_send(line), Err(mpsc::error::TrySendError::Closed(_)))
    }
}

/// The parameter `rate`: `None` is no bound.
pub(super) fn rate(params: &mut Params) -> Result<Option<u32>, Problem> {
    let rate = params.parsed("rate", "bad_value")?.unwrap_or(RATE_DEFAULT);
    Ok((rate > 0).then_some(rate))
}

/// Runs a proof, and streams what it tells.
pub(super) fn stream<F>(
    app: App,
    prove: impl FnOnce(Telling) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<Value, Problem>> + Send + 'static,
{
    let Ok(permit) = Arc::clone(&app.proofs).try_acquire_owned() else {
        let detail = "another verification or raw replay is running; one runs at a time";
        return Err(Problem::new(StatusCode::CONFLICT, "busy", detail));
    };
    let (lines, told) = mpsc::channel(LINES_MAX);
    tokio::spawn(async move {
        let last = match prove(Telling(lines.clone())).await {
            Ok(report) => json!({ "report": report }),
            Err(problem) => json!({ "problem": problem.into_body().1 }),
        };
        drop(permit);
        // Whoever asked may have gone.
        drop(lines.send(line(&last)).await);
    });
    let headers = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((headers, Body::from_stream(Lines(told))).into_response())
}

fn line(value: &Value) -> Bytes {
    Bytes::from(format!("{value}\n"))
}

struct Lines(mpsc::Receiver<Bytes>);

impl futures_core::Stream for Lines {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|line| line.map(Ok))
    }
}
