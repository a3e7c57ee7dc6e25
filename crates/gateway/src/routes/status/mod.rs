//! How everything is: `/v1/status`, `/v1/freshness`, `/healthz`, `/readyz`, `/metrics`.

mod lag;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{Topic, TopicPartition};
use prometheus::{Encoder, TextEncoder};
use serde_json::{Value, json};
use warehouse::{Pause, WarehouseError};

use crate::app::{App, scan};
use crate::form::Params;
use crate::freshness::{self, Freshness};
use crate::letters::input_text;
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use lag::PartitionLag;

/// The charger's gauges, when it runs in this process.
const HALTED: &str = "tally_charger_halted";
const HALT_REASON: &str = "tally_charger_halt_reason";
const LOOK: &str = "tally verify";
/// Whoever asks how things are waits no longer for the part that does not answer.
const CLICKHOUSE_PATIENCE: Duration = Duration::from_secs(3);

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

pub(crate) async fn status(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    Ok(super::json(StatusCode::OK, &measured(&app).await?))
}

/// How everything is now.
pub(crate) async fn measured(app: &App) -> Result<Value, Problem> {
    let tables = match tokio::time::timeout(CLICKHOUSE_PATIENCE, Tables::read(app)).await {
        Ok(tables) => tables.map_err(|error| error.to_string()),
        Err(_) => Err(format!("nothing within {CLICKHOUSE_PATIENCE:?}")),
    };
    let views = app.followed.views();
    let projected = tables.as_ref().ok().map(|tables| tables.projected.clone());
    let (charger, projector) = scan(app, move |shared| {
        let projector = projected.map(|projected| lag::of_projector(shared, &projected));
        Ok((lag::of_charger(shared, &views)?, projector.transpose()?))
    })
    .await?;
    let halted = halted(app, &charger);
    let halted_partitions: Vec<&str> =
        halted.iter().filter_map(|one| one["partition"].as_str()).collect();
    let standing: Vec<Value> = charger
        .iter()
        .filter(|one| one.stands())
        .filter(|one| !halted_partitions.contains(&one.partition.to_string().as_str()))
        .map(standing)
        .collect();
    let whole = lag::sum(&charger);
    let waiting = tables.as_ref().ok().map(|tables| &tables.waiting);
    let count = |pick: fn(&Waiting) -> u64| waiting.map(pick);
    let paused = tables.as_ref().ok().and_then(|tables| tables.paused.first());
    Ok(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "log": app.settings.log_name,
        "partitions": app.settings.partitions,
        "services": [
            {
                "name": "charger",
                "lag_records": whole.records,
                "lag_s": whole.seconds(),
                "oldest_waiting": whole.oldest_json(),
                "throughput_per_s": app.followed.inputs_per_second(),
                "halted": halted,
                "standing": standing,
            },
            projector_json(projector.as_deref(), count(|waiting| waiting.projected_per_s), paused),
        ],
        "clickhouse": {
            "answers": tables.is_ok(),
            "error": tables.as_ref().err(),
        },
        "open_holds": count(|waiting| waiting.open_holds),
        "unrated_waiting": count(|waiting| waiting.unrated),
        // Those that were sent again are not open.
        "dead_letters": count(|waiting| waiting.dead_letters - waiting.retried),
        "dead_letters_retried": count(|waiting| waiting.retried),
        "quarantined": count(|waiting| waiting.quarantined),
        "freshness": match tables {
            Ok(_) => freshness_of(app, None).await?,
            Err(_) => Value::Null,
        },
        "catalogue": { "offset": app.followed.prices().next },
    }))
}

fn projector_json(
    lags: Option<&[PartitionLag]>,
    per_second: Option<u64>,
    paused: Option<&Pause>,
) -> Value {
    let sum = lags.map(lag::sum);
    json!({
        "name": "projector",
        "lag_records": sum.map(|lag| lag.records),
        "lag_s": sum.map(|lag| lag.seconds()),
        "oldest_waiting": sum.map_or(Value::Null, |lag| lag.oldest_json()),
        "throughput_per_s": per_second,
        "halted": [],
        "standing": [],
        "state": paused.map_or_else(
            || "running".to_owned(),
            |pause| format!("paused for {} s by rebuild {}", pause.seconds, pause.replay),
        ),
    })
}

/// What ClickHouse says; all else is known without it.
struct Tables {
    projected: Vec<Freshness>,
    waiting: Waiting,
    /// The projector, while a rebuild has it stand still.
    paused: Vec<Pause>,
}

#[derive(Default, serde::Deserialize)]
struct Waiting {
    open_holds: u64,
    unrated: u64,
    dead_letters: u64,
    retried: u64,
    quarantined: u64,
    projected_per_s: u64,
}

impl Tables {
    async fn read(app: &App) -> Result<Self, WarehouseError> {
        let projected = freshness::partitions(&app.warehouse).await?;
        // Letters are put aside and sent again in their own order: one may be here before the other.
        let sql = "SELECT
            (SELECT count() FROM holds AS h WHERE h.state = 'open') AS open_holds,
            (SELECT count() FROM unrated_usage) AS unrated,
            (SELECT count() FROM dead_letters) AS dead_letters,
            (SELECT count() FROM dead_letters AS d
             WHERE (d.letter_partition, d.letter_offset) IN
                (SELECT r.letter_partition, r.letter_offset FROM dead_letter_retries AS r)
            ) AS retried,
            (SELECT count() FROM quarantine AS q WHERE q.state = 'held') AS quarantined,
            (SELECT toUInt64(ifNull(sum(p.records), 0) / 60) FROM
                (SELECT max(f.ledger_offset) - min(f.ledger_offset) AS records
                 FROM freshness_marks AS f WHERE f.marked_at > now64(6, 'UTC') - INTERVAL 60 SECOND
                 GROUP BY f.ledger_partition) AS p
            ) AS projected_per_s";
        let waiting: Vec<Waiting> = app.warehouse.query_rows(sql).await?;
        let waiting = waiting.into_iter().next().unwrap_or_default();
        Ok(Self { projected, waiting, paused: app.warehouse.pauses().await? })
    }
}

/// Partitions that wait for a person, of a charger in this process; another one's own metrics say it
/// of that.
fn halted(app: &App, lags: &[PartitionLag]) -> Vec<Value> {
    let families = app.registry.gather();
    let gauges = |name: &'static str| {
        let family = families.iter().filter(move |family| family.name() == name);
        family
            .flat_map(|family| family.get_metric())
            .filter(|metric| metric.get_gauge().get_value() > 0.0)
    };
    let label = |metric: &prometheus::proto::Metric, name: &str| {
        let pair = metric.get_label().iter().find(|pair| pair.name() == name);
        pair.map_or_else(String::new, |pair| pair.value().to_owned())
    };
    gauges(HALTED)
        .map(|metric| label(metric, "partition"))
        .map(|partition| {
            let reason = gauges(HALT_REASON)
                .find(|metric| label(metric, "partition") == partition)
                .map(|metric| label(metric, "reason"));
            let lag = lags.iter().find(|one| one.partition.to_string() == partition);
            let next = reason.as_deref().map_or(LOOK, |reason| match reason.contains("dlq") {
                true => "tally dlq list",
                false => LOOK,
            });
            json!({
                "partition": partition,
                "reason": reason.unwrap_or_else(|| "see the log of the charger".to_owned()),
                "offset": lag.map(|lag| lag.next),
                "input": lag.map(|lag| input_text(raw(lag.partition), lag.next)),
                "waiting": lag.map(|lag| lag.lag.records),
                "next": next,
            })
        })
        .collect()
}

fn raw(partition: domain::Partition) -> TopicPartition {
    TopicPartition { topic: Topic::UsageRaw, partition }
}

/// Something waits that nobody takes, and no charger here says why.
fn standing(lag: &PartitionLag) -> Value {
    json!({
        "partition": lag.partition.to_string(),
        "waiting": lag.lag.records,
        "oldest_waiting": lag.lag.oldest_json(),
        "next": "is a charger running for it? tally_charger_halted of its /metrics says whether it is \
                 halted, tally_charger_halt_reason why",
    })
}
