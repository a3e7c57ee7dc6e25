//! `GET /v1/replay/raw`: the inputs decided again, and compared with the ledger.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use domain::Partition;
use rerun::{PricesOf, RawSettings, RerunError, replay_raw};
use serde_json::{Value, json};

use super::proof::{self, Telling};
use crate::app::App;
use crate::form::Params;
use crate::problem::Problem;

pub(crate) async fn get(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let partitions = app.settings.partitions;
    let only: Option<u32> = params.parsed("partition", "bad_value")?;
    if let Some(partition) = only.filter(|partition| *partition >= partitions) {
        let detail = format!("there are partitions 0 to {}", partitions - 1);
        let problem = Problem::bad_request("bad_value", detail).field("partition");
        return Err(problem.value(&partition.to_string()));
    }
    let prices = match params.text("catalogue").as_deref() {
        None | Some("then") => PricesOf::ThatTime,
        Some("newest") => PricesOf::Today,
        Some(other) => {
            let detail = "`catalogue` is then (the one that was in use, by default) or newest";
            return Err(Problem::bad_request("bad_value", detail).field("catalogue").value(other));
        }
    };
    let settings = RawSettings {
        only: only.map(Partition),
        from_seal: params.parsed("from_seal", "bad_value")?.unwrap_or(1),
        prices,
        records_per_second: proof::rate(&mut params)?,
        ..RawSettings::new(partitions)
    };
    params.finish()?;
    proof::stream(Arc::clone(&app), move |telling| replay(app, settings, telling))
}

async fn replay(app: App, settings: RawSettings, telling: Telling) -> Result<Value, Problem> {
    let log = Arc::clone(&app.log);
    let is_of_that_time = settings.prices == PricesOf::ThatTime;
    let replayed = tokio::task::spawn_blocking(move || {
        replay_raw(log.as_ref(), &settings, &mut |standing| telling.progress(standing))
    });
    let report = replayed.await?.map_err(problem)?;
    if is_of_that_time {
        let different = report.different + report.endings_different;
        app.metrics.raw_replay_different.set(i64::try_from(different).unwrap_or(i64::MAX));
    }
    let mut answer = json!(report);
    answer["holds"] = Value::from(report.holds());
    Ok(answer)
}

fn problem(error: RerunError) -> Problem {
    match error {
        RerunError::Log(error) => error.into(),
        RerunError::Stalled { .. } | RerunError::Stopped(_) => {
            Problem::unavailable(error.to_string())
        }
        RerunError::Catalogue(_)
        | RerunError::Scratch(_)
        | RerunError::Identities(_)
        | RerunError::Ledger { .. }
        | RerunError::Unreadable { .. } => Problem::internal(error.to_string()),
    }
}
