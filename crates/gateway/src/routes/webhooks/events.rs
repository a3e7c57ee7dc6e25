//! `GET /v1/accounts/{id}/events`: what an account's owner was told, from `account.events` itself.

use std::collections::VecDeque;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Offset, Topic, TopicPartition};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::app::{App, Shared, scan};
use crate::form::Params;
use crate::problem::Problem;
use crate::tail;

const EVENTS_SHOWN: usize = 100;
const EVENTS_SHOWN_MAX: usize = 1_000;
/// The newest events of all accounts of the partition, in which one's are looked for.
const RECORDS_MAX: i64 = 200_000;

pub(crate) async fn of_account(
    State(app): State<App>,
    Path(account): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = super::limit(&mut params, EVENTS_SHOWN, EVENTS_SHOWN_MAX)?;
    params.finish()?;
    let name = account.clone();
    let (found, complete) = scan(&app, move |app| read(app, &name, limit)).await?;
    let events: Vec<Value> = found
        .iter()
        .rev()
        .map(|body| serde_json::to_value(body).map_err(|why| Problem::internal(why.to_string())))
        .collect::<Result<_, _>>()?;
    let answer = json!({ "account": account, "events": events, "complete": complete });
    Ok(crate::routes::json(StatusCode::OK, &answer))
}

/// The newest events of an account, the newest last; and whether all that there are were looked at.
fn read(
    app: &Shared,
    account: &str,
    limit: usize,
) -> Result<(VecDeque<Box<RawValue>>, bool), Problem> {
    let at = TopicPartition { topic: Topic::AccountEvents, partition: app.home(account) };
    let log = app.log.as_ref();
    let bounds = log.bounds(at)?;
    let from = Offset(bounds.stable_end.0.saturating_sub(RECORDS_MAX)).max(bounds.start);
    let (mut found, mut failed) = (VecDeque::new(), None);
    tail::read(log, at, from, RECORDS_MAX, &mut |record| {
        let event = match wire::decode_account_event(record.value) {
            Ok(event) if event.account == account => event,
            Ok(_) => return,
            Err(error) => {
                failed = Some(format!("{at}@{}: {error}", record.offset));
                return;
            }
        };
        let body = notifier::event_json(&event, at.partition).and_then(RawValue::from_string);
        match body {
            Ok(body) => found.push_back(body),
            Err(error) => failed = Some(error.to_string()),
        }
        if found.len() > limit {
            found.pop_front();
        }
    })?;
    match failed {
        Some(why) => Err(Problem::internal(why)),
        None => Ok((found, from == bounds.start)),
    }
}
