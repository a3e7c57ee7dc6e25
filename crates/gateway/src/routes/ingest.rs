//! `POST /v1/ingest`: lines to `usage.raw`, byte for byte. What is wrong with a line is the
//! charger's to say, as it is for a record from Kafka.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use domain::limits::OUTPUT_RECORD_BYTES_MAX;
use domain::{Offset, Partition, Topic, TopicPartition};
use serde_json::json;

use crate::app::App;
use crate::appender::Outbound;
use crate::body;
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::events::wait_of;
use crate::settings::{BODY_BYTES_MAX, LINES_MAX};

/// A key longer than this says nothing that a partition needs.
const KEY_BYTES_MAX: usize = 256;

pub(crate) async fn post(
    State(app): State<App>,
    mut params: Params,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let wait = params.text("wait_s").map(|text| wait_of("wait_s", &text)).transpose()?;
    params.finish()?;
    let body = body::read(&headers, body, BODY_BYTES_MAX).await?;
    let lines = lines(&body)?;
    let watch = wait.map(|patience| (app.followed.watch(), patience));
    let records: Vec<Outbound> =
        lines.into_iter().map(|line| outbound(&app, &body, line)).collect();
    let places: Vec<Partition> = records.iter().map(|record| record.to.partition).collect();
    let count = records.len();
    let offsets = app.appending.append(records).await?;
    let inputs: Vec<(Partition, Offset)> = places.into_iter().zip(offsets).collect();
    app.metrics.events.with_label_values(&["ingested"]).inc_by(count as u64);

    let Some((watch, patience)) = watch else {
        let answer =
            json!({ "records": count, "outcomes": { "accepted": count }, "ledger_ends": {} });
        return Ok(super::json(StatusCode::OK, &answer));
    };
    let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
    let mut ends: BTreeMap<Partition, Offset> = BTreeMap::new();
    let decided = app.followed.outcomes(&watch, &inputs, patience).await;
    for ((partition, _), decided) in inputs.iter().zip(&decided) {
        let word = decided.map_or("pending", |decided| decided.ending.word());
        *outcomes.entry(word).or_default() += 1;
        if let Some(decided) = decided {
            let end = ends.entry(*partition).or_default();
            *end = decided.ledger_next.max(*end);
        }
    }
    let ends: BTreeMap<String, i64> =
        ends.into_iter().map(|(partition, end)| (partition.to_string(), end.0)).collect();
    let answer = json!({ "records": count, "outcomes": outcomes, "ledger_ends": ends });
    Ok(super::json(StatusCode::OK, &answer))
}

/// The lines as they are, without their ends. Empty ones are no records.
fn lines(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let mut lines = Vec::new();
    for line in body.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        if lines.len() == LINES_MAX {
            let detail = format!("a body has at most {LINES_MAX} lines");
            return Err(
                Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_lines", detail).field("")
            );
        }
        // The log takes no larger record; the charger would say the same of it.
        if line.len() > OUTPUT_RECORD_BYTES_MAX / 2 {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "record_too_large",
                format!("line {} has {} bytes", lines.len() + 1, line.len()),
            )
            .field(format!("line {}", lines.len() + 1)));
        }
        lines.push(line);
    }
    match lines.is_empty() {
        true => Err(Problem::bad_request("empty_body", "the body has no lines").field("")),
        false => Ok(lines),
    }
}

/// To its account's partition; a line without a readable account goes to partition 0, where it
/// becomes a dead letter.
fn outbound(app: &App, body: &Bytes, line: &[u8]) -> Outbound {
    #[derive(serde::Deserialize)]
    struct Subject<'a> {
        #[serde(borrow)]
        subject: std::borrow::Cow<'a, str>,
    }
    let read = serde_json::from_slice::<Subject<'_>>(line).ok();
    let account = read.map(|read| read.subject).filter(|account| account.len() <= KEY_BYTES_MAX);
    let (partition, key) = match account {
        Some(account) => (app.home(&account), Bytes::copy_from_slice(account.as_bytes())),
        None => (Partition(0), Bytes::new()),
    };
    let to = TopicPartition { topic: Topic::UsageRaw, partition };
    Outbound { to, key, value: body.slice_ref(line) }
}
