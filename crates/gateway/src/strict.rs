//! Reading what was written: waiting until ClickHouse has everything up to now.
//!
//! The inputs' ends are taken first; then the charger must have sealed past them, and then ClickHouse
//! must have reached what the ledger holds after that. So whatever was acknowledged before the
//! request came is in the answer.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::LogError;

use crate::app::{App, Shared, scan};
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::events::wait_of;
use crate::{freshness, tail};

const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How much before an end is looked through for its last record: control records come alone.
const TAIL: i64 = 64;

/// How long a reader waits: `?wait=5`.
pub(crate) fn patience(params: &mut Params) -> Result<Duration, Problem> {
    params.text("wait").map_or(Ok(PATIENCE), |seconds| wait_of("wait", &seconds))
}

/// Waits until ClickHouse has everything that was sent to a partition before this was called.
pub(crate) async fn settled(
    app: &App,
    partition: Partition,
    patience: Duration,
) -> Result<(), Problem> {
    let deadline = Instant::now() + patience;
    let ends = scan(app, move |shared| {
        let ends = Topic::INPUTS.map(|topic| {
            Ok::<_, LogError>((topic, last_record(shared, TopicPartition { topic, partition })?))
        });
        ends.into_iter().collect::<Result<Vec<_>, _>>().map_err(Problem::from)
    })
    .await?;
    if !app.followed.consumed(partition, &ends, patience).await {
        return Err(not_yet("the charger has not decided all that was sent before"));
    }
    projected_to_end(app, partition, deadline.saturating_duration_since(Instant::now())).await
}

/// Waits until ClickHouse has the whole ledger of a partition, as it is now.
pub(crate) async fn projected_to_end(
    app: &App,
    partition: Partition,
    patience: Duration,
) -> Result<(), Problem> {
    let deadline = Instant::now() + patience;
    let at = TopicPartition { topic: Topic::LedgerEntries, partition };
    let end = scan(app, move |shared| Ok(last_record(shared, at)?)).await?;
    loop {
        let rows = freshness::partitions(&app.warehouse).await?;
        let row = rows.iter().find(|row| row.partition == partition);
        if row.map_or(Offset::ZERO, |row| row.ledger_offset) >= end {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(not_yet("ClickHouse has not reached the ledger's end"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn not_yet(detail: &str) -> Problem {
    let detail = format!("{detail}; wait longer (?wait=), or read what there is without it");
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "not_yet", detail)
}

/// The offset after the last record that is there now: the end itself may be that of a control
/// record, which nobody consumes.
fn last_record(shared: &Shared, at: TopicPartition) -> Result<Offset, LogError> {
    let end = shared.log.bounds(at)?.stable_end;
    let from = Offset((end.0 - TAIL).max(0));
    let mut last = from;
    tail::read(shared.log.as_ref(), at, from, TAIL, &mut |record| {
        if record.offset < end {
            last = record.offset.next();
        }
    })?;
    Ok(last)
}
