//! `POST /v1/events`: usage events, each judged by itself; and `POST /v1/ingest`: raw lines.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use domain::limits::TEXT_BYTES_MAX;
use domain::{Fault, Offset, Partition, Topic, TopicPartition};
use serde_json::{Value, json};
use wire::BatchError;

use crate::app::App;
use crate::appender::Outbound;
use crate::auth::Asker;
use crate::body;
use crate::follower::{Decided, Ending};
use crate::problem::Problem;
use crate::routes::binary_mode;
use crate::settings::{BODY_BYTES_MAX, EVENTS_MAX};

/// The longest that a request may wait for its events' outcomes.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// An event that is not taken, and its id where that can be read.
struct Refused {
    id: Option<String>,
    fault: Fault,
}

fn id_of(event: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Id {
        id: String,
    }
    let event: Id = serde_json::from_slice(event).ok()?;
    (event.id.len() <= TEXT_BYTES_MAX).then_some(event.id)
}

pub(crate) async fn post(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let wait = preferred_wait(&headers)?;
    let body = body::read(&headers, body, BODY_BYTES_MAX).await?;
    let body = binary_mode::structured(&headers, &body)?.unwrap_or(body);
    let events = wire::split_events(&body, EVENTS_MAX).map_err(bad_batch)?;
    let watch = wait.map(|patience| (app.followed.watch(), patience));

    let mut judged = Vec::with_capacity(events.len());
    let mut accepted = Vec::new();
    for event in events {
        let decoded = wire::decode_usage(event)
            .and_then(|decoded| asker.judge(&decoded.event).map(|()| decoded));
        match decoded {
            Ok(decoded) => {
                let account = &decoded.event.account;
                let to = TopicPartition { topic: Topic::UsageRaw, partition: app.home(account) };
                let key = Bytes::copy_from_slice(account.as_bytes());
                accepted.push(Outbound {
                    to,
                    key,
                    value: body.slice_ref(event),
                    headers: Vec::new(),
                });
                judged.push(Ok(decoded.event.id.into_owned()));
            }
            Err(fault) => judged.push(Err(Refused { id: id_of(event), fault })),
        }
    }
    let places: Vec<Partition> = accepted.iter().map(|record| record.to.partition).collect();
    let offsets = app.appending.append(accepted).await?;
    let inputs: Vec<(Partition, Offset)> = places.into_iter().zip(offsets).collect();
    count(&app, &judged);

    let decided = match &watch {
        Some((watch, patience)) => app.followed.outcomes(watch, &inputs, *patience).await,
        None => vec![None; inputs.len()],
    };
    let answer = answer(&judged, &inputs, &decided, watch.is_some());
    Ok(super::json(StatusCode::ACCEPTED, &answer))
}

fn count(app: &App, judged: &[Result<String, Refused>]) {
    for event in judged {
        match event {
            Ok(_) => app.metrics.events.with_label_values(&["accepted"]).inc(),
            Err(refused) => {
                app.metrics.events.with_label_values(&["refused"]).inc();
                app.metrics.refusals.with_label_values(&[refused.fault.reason.code()]).inc();
            }
        }
    }
}

fn answer(
    judged: &[Result<String, Refused>],
    inputs: &[(Partition, Offset)],
    decided: &[Option<Decided>],
    waited: bool,
) -> Value {
    let mut ends = inputs.iter().zip(decided);
    let events: Vec<Value> = judged
        .iter()
        .enumerate()
        .map(|(index, event)| match event {
            Err(event) => refused(index, event),
            Ok(id) => {
                let (input, decided) = match ends.next() {
                    Some((input, decided)) => (Some(*input), *decided),
                    None => (None, None),
                };
                accepted(index, id, input, decided, waited)
            }
        })
        .collect();
    let refused = judged.iter().filter(|event| event.is_err()).count();
    json!({ "accepted": judged.len() - refused, "refused": refused, "events": events })
}

fn refused(index: usize, event: &Refused) -> Value {
    let Refused { id, fault } = event;
    json!({
        "index": index,
        "id": id,
        "outcome": "refused",
        "code": fault.reason.code(),
        "field": fault.field,
        "value": fault.value,
        "detail": fault.reason.row().about,
    })
}

/// `accepted` is what it is until the ledger says how it ended.
pub(super) fn accepted(
    index: usize,
    id: &str,
    input: Option<(Partition, Offset)>,
    decided: Option<Decided>,
    waited: bool,
) -> Value {
    let mut event = json!({ "index": index, "id": id, "outcome": "accepted" });
    let Some((partition, offset)) = input else { return event };
    event["partition"] = partition.0.into();
    event["offset"] = offset.0.into();
    match decided {
        Some(decided) => ended(&mut event, partition, decided.ending),
        None if waited => event["outcome"] = "pending".into(),
        None => {}
    }
    event
}

pub(super) fn ended(event: &mut Value, partition: Partition, ending: Ending) {
    use ledger::ExceptionKind::{DeadLetter, Duplicate, Forwarded, Refused, Repeated};
    event["outcome"] = ending.word().into();
    let entry = |number| projection::entry_id(partition, number);
    match ending {
        Ending::Debit { entry: number, credits } => {
            event["entry"] = entry(number).into();
            event["credits"] = credits.to_string().into();
        }
        Ending::Corrected { entry: number, change } => {
            event["entry"] = entry(number).into();
            event["change"] = change.to_string().into();
        }
        Ending::Unrated { entry: number, reason }
        | Ending::Quarantined { entry: number, reason } => {
            event["entry"] = entry(number).into();
            event["code"] = reason.code().into();
            event["detail"] = reason.row().about.into();
        }
        Ending::Exception(Duplicate { repeats } | Repeated { repeats }) => {
            event["entry"] = entry(repeats).into();
        }
        Ending::Exception(DeadLetter { reason } | Refused { reason }) => {
            event["code"] = reason.code().into();
            event["detail"] = reason.row().about.into();
        }
        Ending::Exception(Forwarded { to }) => event["forwarded_to"] = to.0.into(),
    }
}

/// `Prefer: wait=5` (RFC 7240).
fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let preferences = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    for preference in preferences.flat_map(|value| value.split([',', ';'])) {
        if let Some(("wait", seconds)) = preference.trim().split_once('=') {
            return wait_of("Prefer", seconds.trim()).map(Some);
        }
    }
    Ok(None)
}

pub(crate) fn wait_of(field: &str, seconds: &str) -> Result<Duration, Problem> {
    match seconds.parse().map(Duration::from_secs) {
        Ok(wait) if wait <= WAIT_MAX => Ok(wait),
        _ => Err(Problem::bad_request("bad_value", "waits are whole seconds, 120 at most")
            .field(field)
            .value(seconds)),
    }
}

pub(crate) fn bad_batch(error: BatchError) -> Problem {
    let detail = error.to_string();
    match error {
        BatchError::Empty => Problem::bad_request("empty_body", detail).field(""),
        BatchError::TooManyEvents { .. } => {
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail).field("")
        }
        BatchError::BrokenArray { byte } => {
            Problem::bad_request("invalid_json", detail).field("").value(&format!("byte {byte}"))
        }
    }
}
