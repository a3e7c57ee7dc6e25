//! `/v1/webhooks`: the endpoints that alerts go to. A secret is in the answer that makes it, and
//! nowhere else, ever; sending is the notifier's, but for a ping that somebody waits for.

mod deliveries;
mod events;

use access::{Access, KeyId, Webhook};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::Timestamp;
use ledger::HAPPENINGS;
use notifier::{Outgoing, Target};
use serde_json::{Value, json};
use wire::{
    ACCESS_LIST_MAX, AccessChange, AccessRecord, AttemptOutcome, WEBHOOK_SECRETS_MAX,
    WebhookSecret, WebhookSet,
};

use crate::app::{App, now};
use crate::auth::{self, Asker};
use crate::body;
use crate::form::{Form, Params, missing};
use crate::problem::Problem;

pub(crate) use deliveries::{list as deliveries, replay};
pub(crate) use events::of_account as account_events;

const BODY_BYTES_MAX: usize = 512 * 1024;
const NAME_BYTES_MAX: usize = 256;
/// Each has its own queue and its own requests under way.
const WEBHOOKS_MAX: usize = 100;
const LIST: &str = "a list of strings";

pub(crate) async fn create(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let url = form.required_text("url")?;
    let events = form.typed::<Vec<String>>("events", LIST)?;
    let accounts = form.typed::<Vec<String>>("accounts", LIST)?;
    let description = form.text("description")?.unwrap_or_default();
    form.finish()?;
    Target::parse(&url, app.settings.webhooks.allow_private).map_err(|bad| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_url", bad.to_string())
            .field("url")
            .value(&url)
    })?;
    check_events(events.as_deref())?;
    check_names("accounts", accounts.as_deref().unwrap_or_default())?;
    check_names("description", std::slice::from_ref(&description))?;
    if accounts.as_ref().is_some_and(Vec::is_empty) {
        return Err(empty_list("accounts"));
    }
    let changing = app.key_changes.lock().await;
    if app.followed.keyring().access().webhooks().count() >= WEBHOOKS_MAX {
        let detail = format!("there are {WEBHOOKS_MAX} endpoints, and no more are possible");
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_webhooks", detail));
    }
    let (id, secret) = fresh()?;
    let set = WebhookSet {
        webhook: id.clone(),
        url,
        secrets: vec![WebhookSecret { secret: secret.clone(), until: None }],
        events: events.unwrap_or_default(),
        accounts,
        enabled: true,
        description,
    };
    record(&app, &asker, AccessChange::WebhookSet(set)).await?;
    drop(changing);
    answer_secret(&app, StatusCode::CREATED, &id, &secret)
}

pub(crate) async fn list(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let (access, now) = (app.followed.keyring().access(), now());
    let mut webhooks: Vec<(&str, &Webhook)> = access.webhooks().collect();
    webhooks.sort_by_key(|(id, webhook)| (webhook.created_at, *id));
    let rows: Vec<Value> = webhooks.into_iter().map(|(id, one)| row(id, one, now)).collect();
    Ok(super::json(StatusCode::OK, &json!({ "webhooks": rows })))
}

pub(crate) async fn remove(
    State(app): State<App>,
    Path(id): Path<String>,
    asker: Asker,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let changing = app.key_changes.lock().await;
    find(&app.followed.keyring().access(), &id)?;
    record(&app, &asker, AccessChange::WebhookRemoved { webhook: id.clone() }).await?;
    drop(changing);
    Ok(super::json(StatusCode::OK, &json!({ "id": id, "removed": true })))
}

/// A new secret; the one before signs beside it until the overlap ends.
pub(crate) async fn rotate(
    State(app): State<App>,
    Path(id): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let overlap_s = super::keys::overlap(&headers, body).await?;
    let changing = app.key_changes.lock().await;
    let access = app.followed.keyring().access();
    let webhook = find(&access, &id)?;
    let (_, secret) = fresh()?;
    let until = now().plus_micros(i64::try_from(overlap_s).unwrap_or(0).saturating_mul(1_000_000));
    let secrets = rotated(&webhook.secrets, &secret, until, now())?;
    let set = WebhookSet {
        webhook: id.clone(),
        url: webhook.url.clone(),
        secrets,
        events: webhook.events.clone(),
        accounts: webhook.accounts.clone(),
        enabled: webhook.enabled,
        description: webhook.description.clone(),
    };
    record(&app, &asker, AccessChange::WebhookSet(set)).await?;
    drop(changing);
    answer_secret(&app, StatusCode::OK, &id, &secret)
}

/// The new one first; of the others those that still sign, none of them for longer than `until`.
fn rotated(
    before: &[WebhookSecret],
    secret: &str,
    until: Timestamp,
    now: Timestamp,
) -> Result<Vec<WebhookSecret>, Problem> {
    let still = before.iter().filter(|one| one.until.is_none_or(|ends| now < ends));
    let retiring = still.map(|one| WebhookSecret {
        secret: one.secret.clone(),
        until: Some(one.until.map_or(until, |ends| ends.min(until))),
    });
    let new = WebhookSecret { secret: secret.to_owned(), until: None };
    let all: Vec<_> =
        std::iter::once(new).chain(retiring.filter(|one| one.until > Some(now))).collect();
    if all.len() > WEBHOOK_SECRETS_MAX {
        let detail =
            "several secrets are still being replaced: wait for an overlap to end, or give 0";
        return Err(Problem::new(StatusCode::CONFLICT, "too_many_secrets", detail));
    }
    Ok(all)
}

/// Sends a ping now, and answers with what came back.
pub(crate) async fn test(
    State(app): State<App>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let access = app.followed.keyring().access();
    let webhook = find(&access, &id)?;
    let (ping, at) = (format!("ping_{}", random()?.0), now());
    let body = json!({"id": ping, "type": "ping", "at": at, "data": {}}).to_string();
    let (url, secrets) = (webhook.url.clone(), webhook.secrets.clone());
    let answer = app.webhook_sender.post(&Outgoing { url, id: ping, body, secrets, at }).await;
    let (status, error) = match &answer.outcome {
        AttemptOutcome::Answered { status } => (Some(*status), None),
        AttemptOutcome::Unanswered { error } => (None, Some(error)),
        AttemptOutcome::NotSent { why } => (None, Some(why)),
    };
    let told = json!({
        "webhook": id,
        "delivered": answer.outcome.is_delivered(),
        "status": status,
        "error": error,
        "took_ms": answer.took_ms,
        "body": answer.excerpt,
    });
    Ok(super::json(StatusCode::OK, &told))
}

fn check_events(events: Option<&[String]>) -> Result<(), Problem> {
    let Some(events) = events else { return Ok(()) };
    if events.is_empty() {
        return Err(empty_list("events"));
    }
    match events.iter().find(|kind| !HAPPENINGS.contains(&kind.as_str())) {
        None if events.len() <= HAPPENINGS.len() => Ok(()),
        None => Err(Problem::bad_request("bad_value", "a type stands twice").field("events")),
        Some(unknown) => {
            let detail = format!("types of alerts are {}", HAPPENINGS.join(", "));
            Err(Problem::bad_request("bad_value", detail).field("events").value(unknown))
        }
    }
}

fn check_names(field: &'static str, names: &[String]) -> Result<(), Problem> {
    let bad = |name: &&String| name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control);
    if names.len() > ACCESS_LIST_MAX {
        let detail = format!("at most {ACCESS_LIST_MAX}");
        return Err(Problem::bad_request("bad_value", detail).field(field));
    }
    match names.iter().find(bad) {
        None => Ok(()),
        Some(name) => {
            let detail = "plain texts of at most 256 bytes";
            Err(Problem::bad_request("bad_text", detail).field(field).value(name))
        }
    }
}

fn empty_list(field: &'static str) -> Problem {
    let detail = "an empty list lets nothing through; leave it out for all";
    Problem::bad_request("bad_value", detail).field(field)
}

/// How many rows are asked for.
fn limit(params: &mut Params, otherwise: usize, max: usize) -> Result<usize, Problem> {
    let limit = params.parsed::<usize>("limit", "bad_value")?.unwrap_or(otherwise);
    match (1..=max).contains(&limit) {
        true => Ok(limit),
        false => {
            let detail = format!("a limit is a number from 1 to {max}");
            let problem = Problem::bad_request("bad_value", detail).field("limit");
            Err(problem.value(&limit.to_string()))
        }
    }
}

fn find<'a>(access: &'a Access, id: &str) -> Result<&'a Webhook, Problem> {
    access.webhook(id).ok_or_else(|| {
        let detail = "there is no such endpoint; GET /v1/webhooks lists them";
        Problem::new(StatusCode::NOT_FOUND, "unknown_webhook", detail).field("id").value(id)
    })
}

/// An id and a secret that nobody has.
fn fresh() -> Result<(String, String), Problem> {
    let (id, secret) = random()?;
    Ok((format!("wh_{id}"), notifier::whsec(&secret)))
}

fn random() -> Result<(KeyId, [u8; notifier::SECRET_BYTES]), Problem> {
    let entropy = auth::entropy().map_err(|error| {
        Problem::unavailable(format!("the system gives no randomness: {error}"))
    })?;
    Ok((KeyId::of_random(entropy.id), entropy.secret))
}

/// Appends a change, and returns once this gateway goes by it.
async fn record(app: &App, asker: &Asker, change: AccessChange) -> Result<(), Problem> {
    let record = AccessRecord { at: now(), by: asker.caller().actor(), change };
    let next = auth::append(&app.appending, &record).await?;
    match app.followed.access_read(next, app.settings.command_patience).await {
        true => Ok(()),
        false => Err(Problem::new(
            StatusCode::GATEWAY_TIMEOUT,
            "undecided",
            "the change is in the log and was not read back in time: look at GET /v1/webhooks",
        )),
    }
}

fn answer_secret(
    app: &App,
    status: StatusCode,
    id: &str,
    secret: &str,
) -> Result<Response, Problem> {
    let access = app.followed.keyring().access();
    let webhook = access.webhook(id).ok_or_else(|| missing("webhook"))?;
    let mut answer = row(id, webhook, now());
    answer["secret"] = secret.into();
    let mut response = super::json(status, &answer);
    // No cache between here and there may keep it.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// An endpoint as it is shown: of its secrets only how many sign, and until when.
fn row(id: &str, webhook: &Webhook, now: Timestamp) -> Value {
    let signing = webhook.secrets.iter().filter(|one| one.until.is_none_or(|until| now < until));
    let events = (!webhook.events.is_empty()).then_some(&webhook.events);
    json!({
        "id": id,
        "url": webhook.url,
        "description": webhook.description,
        "events": events,
        "accounts": webhook.accounts,
        "enabled": webhook.enabled,
        "secrets": signing.map(|one| json!({"until": one.until})).collect::<Vec<_>>(),
        "created_at": webhook.created_at,
        "changed_at": webhook.changed_at,
        "changed_by": webhook.changed_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn a_rotation_keeps_what_still_signs_and_not_for_longer() {
        let secret = |text: &str, until: Option<i64>| WebhookSecret {
            secret: text.into(),
            until: until.map(at),
        };
        let before = [secret("b", None), secret("a", Some(50)), secret("gone", Some(10))];
        let after = rotated(&before, "c", at(100), at(20)).unwrap();
        assert_eq!(after, [secret("c", None), secret("b", Some(100)), secret("a", Some(50))]);
        // Without an overlap the others end at once.
        assert_eq!(rotated(&before, "c", at(20), at(20)).unwrap(), [secret("c", None)]);
        let many: Vec<_> = (0..4).map(|_| secret("x", Some(500))).collect();
        assert!(rotated(&many, "c", at(100), at(20)).is_err());
    }

    #[test]
    fn types_of_alerts_are_known_ones() {
        let check = |kinds: &[&str]| {
            let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
            check_events(Some(&kinds))
        };
        assert!(check_events(None).is_ok() && check(&HAPPENINGS).is_ok());
        assert!(check(&[]).is_err() && check(&["balance.lo"]).is_err());
        assert!(check(&["balance.low"; 9]).is_err());
    }
}
