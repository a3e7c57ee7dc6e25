//! `POST /v1/ingest`: lines to `usage.raw`, byte for byte. What is wrong with a line is the
//! charger's to say, as it is for a record from Kafka; unless the key that they came with is bound to
//! something: then each line is judged by it here, and one that cannot be read is refused, because
//! nobody could say what it is about.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use domain::limits::OUTPUT_RECORD_BYTES_MAX;
use domain::{Fault, Offset, Partition, Topic, TopicPartition};
use serde_json::{Value, json};

use crate::app::App;
use crate::appender::Outbound;
use crate::auth::Asker;
use crate::body;
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::events::wait_of;
use crate::settings::{BODY_BYTES_MAX, LINES_MAX};

/// A key longer than this says nothing that a partition needs.
const KEY_BYTES_MAX: usize = 256;
/// Lines that were refused and are listed in the answer; all are counted.
const REFUSED_SHOWN_MAX: usize = 100;

pub(crate) async fn post(
    State(app): State<App>,
    asker: Asker,
    mut params: Params,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let wait = params.text("wait_s").map(|text| wait_of("wait_s", &text)).transpose()?;
    params.finish()?;
    let body = body::read(&headers, body, BODY_BYTES_MAX).await?;
    let (lines, refused) = judged(&asker, lines(&body)?);
    let watch = wait.map(|patience| (app.followed.watch(), patience));
    let records: Vec<Outbound> =
        lines.into_iter().map(|line| outbound(&app, &body, line)).collect();
    let places: Vec<Partition> = records.iter().map(|record| record.to.partition).collect();
    let count = records.len();
    let offsets = app.appending.append(records).await?;
    let inputs: Vec<(Partition, Offset)> = places.into_iter().zip(offsets).collect();
    app.metrics.events.with_label_values(&["ingested"]).inc_by(count as u64);
    for (_, fault) in &refused {
        app.metrics.events.with_label_values(&["refused"]).inc();
        app.metrics.refusals.with_label_values(&[fault.reason.code()]).inc();
    }

    let Some((watch, patience)) = watch else {
        let mut answer =
            json!({ "records": count, "outcomes": { "accepted": count }, "ledger_ends": {} });
        tell_refused(&mut answer, &refused);
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
    let mut answer = json!({ "records": count, "outcomes": outcomes, "ledger_ends": ends });
    tell_refused(&mut answer, &refused);
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

/// A line that the key may not send, by its place, and why.
type Refused = (usize, Fault);

/// Splits the lines into those that the key may send and those that it may not. Places count from 1
/// among the lines that are not empty.
fn judged<'b>(asker: &Asker, lines: Vec<&'b [u8]>) -> (Vec<&'b [u8]>, Vec<Refused>) {
    if asker.caller().sends_freely() {
        return (lines, Vec::new());
    }
    let mut refused = Vec::new();
    let mut allowed = Vec::with_capacity(lines.len());
    for (place, line) in (1..).zip(lines) {
        match wire::decode_usage(line).and_then(|decoded| asker.judge(&decoded.event)) {
            Ok(()) => allowed.push(line),
            Err(fault) => refused.push((place, fault)),
        }
    }
    (allowed, refused)
}

fn tell_refused(answer: &mut Value, refused: &[Refused]) {
    if refused.is_empty() {
        return;
    }
    answer["outcomes"]["refused"] = refused.len().into();
    let shown = refused.iter().take(REFUSED_SHOWN_MAX).map(|(line, fault)| {
        json!({ "line": line, "code": fault.reason.code(), "field": fault.field, "value": fault.value })
    });
    answer["refused"] = shown.collect();
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
    Outbound { to, key, value: body.slice_ref(line), headers: Vec::new() }
}
