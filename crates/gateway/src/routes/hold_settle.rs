//! Settling a hold with the usage event that it was for: the event takes the way of every other one,
//! and the answer says what became of it and of the hold.

use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::{EntryNumber, Fault, HoldAction, Reason, Topic, TopicPartition};
use ledger::{Body, ExceptionKind, HoldName};
use serde_json::{Value, json};

use crate::answer::{Answer, hold_json};
use crate::app::App;
use crate::appender::Outbound;
use crate::auth::Asker;
use crate::command;
use crate::follower::Ending;
use crate::problem::Problem;
use crate::routes::events::{accepted, ended};
use crate::routes::holds::account_of;

pub(super) async fn by_event(
    app: &App,
    asker: &Asker,
    name: HoldName,
    record: Bytes,
) -> Result<Response, Problem> {
    let decoded = wire::decode_usage(&record)?;
    let event = &decoded.event;
    asker.judge(event).map_err(|fault| Problem::from(fault).status(StatusCode::FORBIDDEN))?;
    let hold = name.to_string();
    if event.hold.as_deref() != Some(hold.as_str()) {
        let named = event.hold.as_deref().unwrap_or_default();
        let fault = Fault::new(Reason::BadValue, "data.hold", named);
        return Err(Problem::from(fault).with("expected", hold));
    }
    if event.hold_action != HoldAction::Settle {
        let fault = Fault::new(Reason::BadValue, "data.hold_action", event.hold_action.word());
        return Err(Problem::from(fault).with("expected", HoldAction::Settle.word()));
    }
    let account = account_of(app, asker, name).await?;
    if account != event.account {
        return Err(command::unknown_hold());
    }
    let to = TopicPartition { topic: Topic::UsageRaw, partition: name.partition };
    let key = Bytes::copy_from_slice(account.as_bytes());
    let id = event.id.to_string();
    let watch = app.followed.watch();
    let offsets = app
        .appending
        .append(vec![Outbound { to, key, value: record.clone(), headers: Vec::new() }])
        .await?;
    app.metrics.events.with_label_values(&["accepted"]).inc();
    let inputs: Vec<_> = offsets.into_iter().map(|offset| (name.partition, offset)).collect();
    let patience = app.settings.command_patience;
    let decided = app.followed.outcomes(&watch, &inputs, patience).await;
    let input = inputs.first().copied();
    let Some(decided) = decided.into_iter().flatten().next() else {
        let event = accepted(0, &id, input, None, true);
        let body = json!({ "event": event, "hold": { "hold": hold, "account": account } });
        return Ok(Answer { status: StatusCode::ACCEPTED, body }.into_response());
    };
    // A duplicate is answered as the first one was.
    let (ending, entry, repeated) = first_of(app, name, decided.ending).await?;
    let mut event = json!({ "id": id, "outcome": "accepted" });
    ended(&mut event, name.partition, ending);
    let after = match entry {
        Some(number) => after(app, name, number).await?,
        None => Value::Null,
    };
    let body = json!({ "event": event, "hold": whole(after, &hold, &account) });
    let mut response = Answer { status: StatusCode::OK, body }.into_response();
    if repeated {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// What is not known of the hold stays out; its name and account are.
fn whole(mut after: Value, hold: &str, account: &str) -> Value {
    if after.is_null() {
        after = json!({});
    }
    after["hold"] = hold.into();
    after["account"] = account.into();
    after
}

/// The entry that a usage event ended as; of a duplicate, the one that it repeats.
async fn first_of(
    app: &App,
    name: HoldName,
    ending: Ending,
) -> Result<(Ending, Option<EntryNumber>, bool), Problem> {
    match ending {
        Ending::Debit { entry, .. }
        | Ending::Unrated { entry, .. }
        | Ending::Corrected { entry, .. }
        | Ending::Quarantined { entry, .. } => Ok((ending, Some(entry), false)),
        Ending::Exception(ExceptionKind::Duplicate { repeats }) => {
            let record = command::found(app, name.partition, repeats).await?;
            let record = record.ok_or_else(|| Problem::internal("the first entry is not there"))?;
            let first = Ending::of(&command::read(&record)?).unwrap_or(ending);
            Ok((first, Some(repeats), true))
        }
        Ending::Exception(_) => Ok((ending, None, false)),
    }
}

/// The hold after its event's entry; null when the event did nothing to it.
async fn after(app: &App, name: HoldName, number: EntryNumber) -> Result<Value, Problem> {
    let record = command::found(app, name.partition, number).await?;
    let record = record.ok_or_else(|| Problem::internal("the entry is not there"))?;
    let entry = command::read(&record)?;
    let Body::Debit(debit) = &entry.body else { return Ok(Value::Null) };
    let Some(used) = debit.hold.as_deref() else { return Ok(Value::Null) };
    let state = if used.freed.is_some() { "settled" } else { "open" };
    let mut shown = hold_json(name, state, &used.after, &entry.after);
    shown["above"] = json!(used.above);
    if let Some(freed) = &used.freed {
        shown["freed"] = json!(freed.credits);
        shown["returned"] = json!(freed.given_back());
    }
    Ok(shown)
}
