//! How everything is: `/v1/status`, `/v1/freshness`, `/healthz`, `/readyz`, `/metrics`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Offset, Partition, Topic, TopicPartition};
use prometheus::{Encoder, TextEncoder};
use serde_json::{Value, json};

use crate::app::{App, Shared, now, scan};
use crate::follower::PartitionView;
use crate::form::Params;
use crate::freshness::{self, Freshness};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::tail;

/// The charger's gauge, when it runs in this process.
const HALTED: &str = "tally_charger_halted";

pub(crate) async fn healthz() -> Response {
    super::json(StatusCode::OK, &json!({ "status": "ok" }))
}

pub(crate) async fn readyz(State(app): State<App>) -> Result<Response, Problem> {
    if !app.followed.is_healthy() {
        return Err(Problem::unavailable("the log is not followed"));
    }
    app.warehouse.query_rows::<Value>("SELECT 1 AS one").await?;
    Ok(super::json(StatusCode::OK, &json!({ "status": "ready" })))
}

pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&app.registry.gather(), &mut text)
        .map_err(|error| Problem::internal(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response())
}

pub(crate) async fn freshness(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let rows = freshness::partitions(&app.warehouse).await?;
    let partitions: BTreeMap<String, Value> = rows
        .iter()
        .map(|row| {
            let at = json!({ "ledger_offset": row.ledger_offset, "as_of": row.as_of });
            (row.partition.to_string(), at)
        })
        .collect();
    Ok(super::json(StatusCode::OK, &json!({ "partitions": partitions })))
}

/// How far behind a service is.
#[derive(Clone, Copy, Debug, Default)]
struct Lag {
    records: i64,
    /// Since the oldest record that waits was appended.
    micros: i64,
}

impl Lag {
    fn seconds(self) -> String {
        format!("{}.{:03}", self.micros / 1_000_000, self.micros / 1_000 % 1_000)
    }
}

pub(crate) async fn status(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let projected = freshness::partitions(&app.warehouse).await?;
    #[derive(serde::Deserialize)]
    struct Waiting {
        unrated: u64,
        dead_letters: u64,
        quarantined: u64,
    }
    let waiting: Vec<Waiting> = app
        .warehouse
        .query_rows(
            "SELECT (SELECT count() FROM unrated_usage) AS unrated,
                (SELECT count() FROM dead_letters) AS dead_letters,
                (SELECT count() FROM quarantine AS q WHERE q.state = 'held') AS quarantined",
        )
        .await?;
    let paused = app.warehouse.pauses().await?;
    let views = app.followed.views();
    let (charger, projector) = scan(&app, move |shared| {
        Ok((charger_lag(shared, &views)?, projector_lag(shared, &projected)?))
    })
    .await?;
    let prices = app.followed.prices();
    let waiting = waiting.first();
    let halted = halted(&app);
    let answer = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "log": app.settings.log_name,
        "partitions": app.settings.partitions,
        "services": [
            {
                "name": "charger",
                "lag_records": charger.records,
                "lag_s": charger.seconds(),
                "throughput_per_s": app.followed.inputs_per_second(),
                "halted": halted,
            },
            {
                "name": "projector",
                "lag_records": projector.records,
                "lag_s": projector.seconds(),
                "throughput_per_s": null,
                "halted": [],
                "state": paused.first().map_or_else(
                    || "running".to_owned(),
                    |pause| format!("paused for {} s by rebuild {}", pause.seconds, pause.replay),
                ),
            },
        ],
        "unrated_waiting": waiting.map_or(0, |waiting| waiting.unrated),
        "dead_letters": waiting.map_or(0, |waiting| waiting.dead_letters),
        "quarantined": waiting.map_or(0, |waiting| waiting.quarantined),
        "freshness": freshness_of(&app, None).await?,
        "catalogue": { "offset": prices.next },
    });
    Ok(super::json(StatusCode::OK, &answer))
}

/// Halted partitions of a charger in this process; another process's own metrics say it of that.
fn halted(app: &App) -> Vec<Value> {
    let families = app.registry.gather();
    let halted = families.iter().filter(|family| family.name() == HALTED);
    halted
        .flat_map(|family| family.get_metric())
        .filter(|metric| metric.get_gauge().get_value() > 0.0)
        .filter_map(|metric| metric.get_label().first())
        .map(|label| {
            json!({ "partition": label.value(), "reason": "halted; see the log of the charger" })
        })
        .collect()
}

fn charger_lag(shared: &Shared, views: &[PartitionView]) -> Result<Lag, Problem> {
    let mut lag = Lag::default();
    for (partition, view) in (0..).map(Partition).zip(views) {
        for topic in Topic::INPUTS {
            let at = TopicPartition { topic, partition };
            let next = view.consumed(topic).unwrap_or(Offset::ZERO);
            add(shared, &mut lag, at, next)?;
        }
    }
    Ok(lag)
}

fn projector_lag(shared: &Shared, projected: &[Freshness]) -> Result<Lag, Problem> {
    let mut lag = Lag::default();
    for partition in shared.partitions() {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let row = projected.iter().find(|row| row.partition == partition);
        add(shared, &mut lag, at, row.map_or(Offset::ZERO, |row| row.ledger_offset))?;
    }
    Ok(lag)
}

fn add(shared: &Shared, lag: &mut Lag, at: TopicPartition, next: Offset) -> Result<(), Problem> {
    let bounds = shared.log.bounds(at)?;
    let next = next.max(bounds.start);
    if next >= bounds.stable_end {
        return Ok(());
    }
    let mut first = None;
    tail::read(shared.log.as_ref(), at, next, 64, &mut |record| {
        first.get_or_insert(record.appended_at);
    })?;
    // Only control records: nothing waits.
    let Some(first) = first else { return Ok(()) };
    lag.records += bounds.stable_end.0 - next.0;
    lag.micros = lag.micros.max(now().since(first).max(0));
    Ok(())
}
