//! `GET /v1/verify`: the ledger's own proofs, and ClickHouse against the ledger (invariant 12); with
//! `deep`, all twelve, also from the catalogue and the inputs.

mod clickhouse;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Offset, Partition};
use replay::{Check, DeepSettings, Evidence, Report, Since, Totals, Verified, VerifyError};
use replay::{verify_deep, verify_ledger};
use serde_json::{Value, json};

use crate::app::{App, now, scan};
use crate::form::Params;
use crate::problem::Problem;
use clickhouse::{Ends, compare, rollup, tables, wait_for_projection};

use super::proof::{self, Telling};

const MICROS_PER_SECOND: i64 = 1_000_000;

pub(crate) async fn get(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let is_deep = params.parsed::<bool>("deep", "bad_value")?.unwrap_or(false);
    if !is_deep {
        params.finish()?;
        return Ok(super::json(StatusCode::OK, &plain(&app).await?));
    }
    let settings = DeepSettings {
        since: since(params.text("from"))?,
        records_per_second: proof::rate(&mut params)?,
        reckon_every: params.parsed("every", "bad_value")?.unwrap_or(1),
        ..DeepSettings::new(app.settings.partitions)
    };
    params.finish()?;
    proof::stream(Arc::clone(&app), move |telling| deep(app, settings, telling))
}

async fn plain(app: &App) -> Result<Value, Problem> {
    let (mut report, totals, ends) = scan(app, |shared| {
        verify_ledger(shared.log.as_ref(), shared.settings.partitions).map_err(problem)
    })
    .await?;
    let mut check = Check::of(Evidence::Clickhouse, 12, "ClickHouse adds up to the ledger");
    let mut notes = Vec::new();
    if wait_for_projection(app, &ends, &mut check).await? {
        compare(app, &totals, &ends, &mut check, &mut notes).await?;
    }
    report.checks.push(check);
    app.metrics.verified(&report, "plain", now().micros() / MICROS_PER_SECOND);
    Ok(answer(&report, (&totals, &ends), &notes))
}

async fn deep(app: App, settings: DeepSettings, telling: Telling) -> Result<Value, Problem> {
    let log = Arc::clone(&app.log);
    let verified = tokio::task::spawn_blocking(move || {
        verify_deep(log.as_ref(), &settings, &mut |standing| telling.progress(standing))
    })
    .await?
    .map_err(problem)?;
    let Verified { mut report, totals, tables: sums, ends } = verified;
    let mut check = Check::of(Evidence::Clickhouse, 12, "ClickHouse adds up to the ledger");
    let about = "every table of ClickHouse has the ledger's rows, day by day";
    let mut rows = Check::of(Evidence::Clickhouse, 12, about);
    rows.say("dead_letters, input_marks and freshness_marks are not made from the ledger");
    let mut notes = Vec::new();
    if wait_for_projection(&app, &ends, &mut check).await? {
        compare(&app, &totals, &ends, &mut check, &mut notes).await?;
        for name in ["usage_hourly", "usage_daily_by_user"] {
            rollup(&app, name, (&totals, &ends), &mut check, &mut notes).await?;
        }
        tables(&app, &sums, &ends, &mut rows).await?;
    }
    report.checks.extend([check, rows]);
    app.metrics.verified(&report, "deep", now().micros() / MICROS_PER_SECOND);
    Ok(answer(&report, (&totals, &ends), &notes))
}

fn answer(report: &Report, (totals, ends): (&Totals, &Ends), notes: &[String]) -> Value {
    json!({
        "holds": report.holds(),
        "checks": report.checks,
        "entries": totals.entries,
        "accounts": totals.balances.len(),
        "ledger_ends": ends.iter().map(|(at, end)| (at.to_string(), end.0)).collect::<BTreeMap<_, _>>(),
        "notes": notes,
    })
}

fn problem(error: VerifyError) -> Problem {
    match error {
        VerifyError::Log(error) => error.into(),
        VerifyError::Stalled { .. } | VerifyError::Stopped(_) => {
            Problem::unavailable(error.to_string())
        }
        VerifyError::Scratch(_) | VerifyError::Catalogue(_) => Problem::internal(error.to_string()),
    }
}

/// A ledger time, or `0:1200,3:900`: ledger offsets by partition.
fn since(text: Option<String>) -> Result<Since, Problem> {
    let Some(text) = text else { return Ok(Since::Start) };
    if let Ok(time) = text.parse() {
        return Ok(Since::Time(time));
    }
    let pair = |pair: &str| -> Option<(Partition, Offset)> {
        let (partition, offset) = pair.split_once(':')?;
        Some((Partition(partition.trim().parse().ok()?), Offset(offset.trim().parse().ok()?)))
    };
    let pairs = text.split(',').map(pair).collect::<Option<_>>().map(Since::Offsets);
    pairs.ok_or_else(|| {
        let detail = "`from` is a time such as 2026-11-20T12:00:00Z, or ledger offsets by partition \
                      such as 0:1200,3:900";
        Problem::bad_request("bad_value", detail).field("from").value(&text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_a_time_or_offsets() {
        let read = |text: &str| since(Some(text.to_owned()));
        assert_eq!(since(None).unwrap(), Since::Start);
        let noon = "2026-11-20T12:00:00Z";
        assert_eq!(read(noon).unwrap(), Since::Time(noon.parse().unwrap()));
        let offsets = [(Partition(0), Offset(12)), (Partition(3), Offset(9))].into();
        assert_eq!(read("0:12, 3:9").unwrap(), Since::Offsets(offsets));
        for text in ["", "noon", "1", "1:", "1:2,", "a:2"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
