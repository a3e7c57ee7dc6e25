//! `/v1/webhooks/{id}/deliveries`: what became of each, from `webhook.deliveries` itself, and sending
//! one again.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use bytes::Bytes;
use domain::Offset;
use notifier::{DELIVERIES, Delivery};
use serde_json::{Value, json};
use wire::{AttemptOutcome, DeliveryChange, DeliveryRecord, EventPlace};

use super::find;
use crate::app::{App, Shared, now, scan};
use crate::appender::Outbound;
use crate::auth::Asker;
use crate::form::Params;
use crate::problem::Problem;
use crate::tail;

const DELIVERIES_SHOWN: usize = 100;
const DELIVERIES_SHOWN_MAX: usize = 1_000;
/// The newest records of all endpoints, in which one's deliveries are looked for.
const RECORDS_MAX: i64 = 200_000;

pub(crate) async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = super::limit(&mut params, DELIVERIES_SHOWN, DELIVERIES_SHOWN_MAX)?;
    let state = params.text("state");
    params.finish()?;
    if let Some(state) = &state
        && !["pending", "delivered", "failed"].contains(&state.as_str())
    {
        let detail = "states are pending, delivered and failed";
        return Err(Problem::bad_request("bad_value", detail).field("state").value(state));
    }
    find(&app.followed.keyring().access(), &id)?;
    let webhook = id.clone();
    let (found, complete) = scan(&app, move |app| read(app, &webhook)).await?;
    let rows: Vec<Value> = found
        .iter()
        .rev()
        .filter(|(_, (delivery, _))| {
            state.as_ref().is_none_or(|state| delivery.state.word() == state)
        })
        .take(limit)
        .map(|(place, (delivery, _))| row(*place, delivery))
        .collect();
    let answer = json!({ "webhook": id, "deliveries": rows, "complete": complete });
    Ok(crate::routes::json(StatusCode::OK, &answer))
}

pub(crate) async fn replay(
    State(app): State<App>,
    Path((id, delivery)): Path<(String, String)>,
    asker: Asker,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    find(&app.followed.keyring().access(), &id)?;
    let unknown = || {
        let detail =
            "the endpoint has no such delivery; GET /v1/webhooks/{id}/deliveries lists them";
        Problem::new(StatusCode::NOT_FOUND, "unknown_delivery", detail)
            .field("delivery")
            .value(&delivery)
    };
    let place: EventPlace = delivery.parse().map_err(|_| unknown())?;
    let webhook = id.clone();
    let (mut found, _) = scan(&app, move |app| read(app, &webhook)).await?;
    let (_, last) = found.remove(&place).ok_or_else(unknown)?;
    let by = asker.caller().actor();
    let asked = DeliveryRecord { at: now(), change: DeliveryChange::ReplayAsked { by }, ..last };
    let mut value = Vec::new();
    wire::encode_delivery(&asked, &mut value);
    let key = Bytes::from(asked.webhook.clone());
    app.appending
        .append(vec![Outbound { to: DELIVERIES, key, value: value.into(), headers: Vec::new() }])
        .await?;
    let told = row(place, &Delivery::after(None, &asked));
    Ok(crate::routes::json(StatusCode::ACCEPTED, &told))
}

/// An endpoint's deliveries by their events, each with its last record; and whether those are all.
type Found = (BTreeMap<EventPlace, (Delivery, DeliveryRecord)>, bool);

fn read(app: &Shared, webhook: &str) -> Result<Found, Problem> {
    let log = app.log.as_ref();
    let bounds = log.bounds(DELIVERIES)?;
    let from = Offset(bounds.stable_end.0.saturating_sub(RECORDS_MAX)).max(bounds.start);
    let mut found: BTreeMap<EventPlace, (Delivery, DeliveryRecord)> = BTreeMap::new();
    let mut unreadable = None;
    tail::read(log, DELIVERIES, from, RECORDS_MAX, &mut |record| match wire::decode_delivery(
        record.value,
    ) {
        Ok(record) if record.webhook == webhook => {
            let before = found.remove(&record.place).map(|(delivery, _)| delivery);
            found.insert(record.place, (Delivery::after(before, &record), record));
        }
        Ok(_) => {}
        Err(error) => unreadable = Some(format!("{DELIVERIES}@{}: {error}", record.offset)),
    })?;
    match unreadable {
        Some(why) => Err(Problem::internal(why)),
        None => Ok((found, from == bounds.start)),
    }
}

fn row(place: EventPlace, delivery: &Delivery) -> Value {
    let kind = wire::decode_account_event(&delivery.event).map(|event| event.what.kind());
    let (status, error) = match delivery.last.as_ref().map(|(_, outcome)| outcome) {
        None => (None, None),
        Some(AttemptOutcome::Answered { status }) => (Some(*status), None),
        Some(AttemptOutcome::Unanswered { error }) => (None, Some(error.as_str())),
        Some(AttemptOutcome::NotSent { why }) => (None, Some(why.as_str())),
    };
    json!({
        "delivery": place.to_string(),
        "event": notifier::event_id(&delivery.account, delivery.number),
        "type": kind.ok(),
        "account": &*delivery.account,
        "number": delivery.number,
        "state": delivery.state.word(),
        "attempts": delivery.attempts,
        "last_at": delivery.last.as_ref().map(|(at, _)| *at),
        "last_status": status,
        "last_error": error,
        "next_at": delivery.state.next_at(),
    })
}
