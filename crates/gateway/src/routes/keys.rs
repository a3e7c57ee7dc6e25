//! `/v1/keys`: API keys made, listed, rotated and revoked. A key's text is in the answer that makes
//! it, and nowhere else, ever.

use access::{Access, Key, KeyBounds, KeyId, KeyState, KeyTerms, NewKey, Role};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use domain::{Timestamp, Traffic};
use serde_json::{Value, json};
use wire::{AccessChange, AccessRecord, KeyCreated, Replaced};

use crate::app::{App, now};
use crate::auth::{self, Asker};
use crate::body;
use crate::command;
use crate::form::{Form, Params, missing};
use crate::problem::Problem;

const BODY_BYTES_MAX: usize = 512 * 1024;
const REQUEST_BYTES_MAX: usize = 256;
const OVERLAP_S: u64 = 24 * 3_600;
const OVERLAP_S_MAX: u64 = 30 * 24 * 3_600;
const LIST: &str = "a list of strings";

pub(crate) async fn create(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let now = now();
    let terms = read_terms(&mut form)?;
    form.finish()?;
    let terms = terms.checked(now).map_err(|bad| {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_terms", bad.why).field(bad.field)
    })?;
    let request = idempotency_key(&headers)?;
    // One change after the other, so that each sees the ones before it.
    let changing = app.key_changes.lock().await;
    if let Some(request) = &request
        && let Some((id, key)) = app.followed.keyring().access().requested(request)
    {
        return Err(repeated(id, key.terms() == terms));
    }
    let made = make(&app, &asker, terms, (None, request)).await?;
    drop(changing);
    answer_made(&app, &made, now)
}

fn read_terms(form: &mut Form) -> Result<KeyTerms, Problem> {
    let role = form.required_text("role")?;
    let role = Role::from_word(&role).ok_or_else(|| {
        let detail = "roles are producer, app, finance, operator and analyst";
        Problem::bad_request("bad_value", detail).field("role").value(&role)
    })?;
    let traffic = form.typed::<Vec<String>>("traffic", LIST)?;
    Ok(KeyTerms {
        name: form.required_text("name")?,
        role,
        bounds: KeyBounds {
            accounts: form.typed("accounts", LIST)?,
            sources: form.typed("sources", LIST)?,
            traffic: traffic.map(read_traffic).transpose()?,
        },
        expires: form.parsed("expires", "bad_time")?,
    })
}

fn read_traffic(words: Vec<String>) -> Result<Vec<Traffic>, Problem> {
    let read = |word: String| {
        Traffic::from_word(&word).ok_or_else(|| {
            let known: Vec<&str> = Traffic::ALL.iter().map(|traffic| traffic.word()).collect();
            let detail = format!("classes of traffic are {}", known.join(", "));
            Problem::bad_request("bad_value", detail).field("traffic").value(&word)
        })
    };
    words.into_iter().map(read).collect()
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= REQUEST_BYTES_MAX => Ok(Some(key.to_owned())),
        Ok(_) | Err(_) => {
            let detail = "the key is a plain text of 1 to 256 bytes";
            Err(Problem::bad_request("bad_text", detail).field("Idempotency-Key"))
        }
    }
}

/// The text was shown to whoever got the first answer, and cannot be shown again.
fn repeated(id: KeyId, same: bool) -> Problem {
    let (code, detail) = match same {
        true => (
            "already_created",
            "the key was made by an earlier request and is shown once: rotate it if its text was lost",
        ),
        false => ("idempotency_conflict", "another key was made with this Idempotency-Key"),
    };
    Problem::new(StatusCode::CONFLICT, code, detail).with("key_id", id.as_str())
}

pub(crate) async fn list(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let (access, now) = (app.followed.keyring().access(), now());
    let mut keys: Vec<(KeyId, &Key)> = access.keys().collect();
    keys.sort_by_key(|(id, key)| (key.created_at, *id));
    let rows: Vec<Value> = keys.into_iter().map(|(id, key)| row(&app, id, key, now)).collect();
    Ok(super::json(StatusCode::OK, &json!({ "keys": rows })))
}

/// How long what a rotation replaces stays valid.
pub(crate) async fn overlap(headers: &HeaderMap, body: axum::body::Body) -> Result<u64, Problem> {
    let mut form = command::form(headers, body).await?;
    let overlap_s: u64 =
        form.number("overlap_s", "a whole number of seconds")?.unwrap_or(OVERLAP_S);
    form.finish()?;
    if overlap_s > OVERLAP_S_MAX {
        let detail = "an overlap lasts at most 30 days, 2592000 seconds";
        return Err(Problem::bad_request("bad_value", detail)
            .field("overlap_s")
            .value(&overlap_s.to_string()));
    }
    Ok(overlap_s)
}

pub(crate) async fn rotate(
    State(app): State<App>,
    Path(id): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let overlap_s = overlap(&headers, body).await?;
    let changing = app.key_changes.lock().await;
    let now = now();
    let access = app.followed.keyring().access();
    let (old, key) = find(&access, &id)?;
    let refused = |code, detail: &str| Problem::new(StatusCode::CONFLICT, code, detail);
    if let Some(successor) = key.replaced_by {
        let detail = "the key was rotated before: its successor is named here";
        return Err(refused("already_rotated", detail).with("key_id", successor.as_str()));
    }
    match key.state(now) {
        KeyState::Active | KeyState::Retiring => {}
        KeyState::Revoked | KeyState::Expired => {
            return Err(refused("key_not_valid", "the key is no longer valid: make a new one"));
        }
    }
    let overlap = i64::try_from(overlap_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let replaced = Replaced { key: old, until: now.plus_micros(overlap) };
    let made = make(&app, &asker, key.terms(), (Some(replaced), None)).await?;
    drop(changing);
    answer_made(&app, &made, now)
}

pub(crate) async fn revoke(
    State(app): State<App>,
    Path(id): Path<String>,
    asker: Asker,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let changing = app.key_changes.lock().await;
    let now = now();
    let access = app.followed.keyring().access();
    let (id, key) = find(&access, &id)?;
    if key.state(now) != KeyState::Revoked {
        if key.is_operator() && !access.has_lasting_operator(now, id) {
            let detail = "nobody could make keys any more: make another operator key first";
            return Err(Problem::new(StatusCode::CONFLICT, "last_operator_key", detail));
        }
        record(&app, &asker, AccessChange::KeyRevoked { key: id, from: now }).await?;
    }
    drop(changing);
    let access = app.followed.keyring().access();
    let (id, key) = find(&access, id.as_str())?;
    Ok(super::json(StatusCode::OK, &row(&app, id, key, now)))
}

fn find<'a>(access: &'a Access, id: &str) -> Result<(KeyId, &'a Key), Problem> {
    let found = id.parse().ok().and_then(|id| Some((id, access.key(id)?)));
    found.ok_or_else(|| {
        let detail = "there is no such key; GET /v1/keys lists them";
        Problem::new(StatusCode::NOT_FOUND, "unknown_key", detail).field("id").value(id)
    })
}

async fn make(
    app: &App,
    asker: &Asker,
    terms: KeyTerms,
    (replaces, request): (Option<Replaced>, Option<String>),
) -> Result<NewKey, Problem> {
    let entropy = auth::entropy().map_err(|error| {
        Problem::unavailable(format!("the system gives no randomness: {error}"))
    })?;
    let made = NewKey::of(&entropy);
    let KeyTerms { name, role, bounds, expires } = terms;
    let created = KeyCreated {
        key: made.id,
        name,
        role,
        hash: made.hash,
        bounds,
        expires,
        replaces,
        request,
    };
    record(app, asker, AccessChange::KeyCreated(created)).await?;
    Ok(made)
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
            "the change is in the log and was not read back in time: look at GET /v1/keys",
        )),
    }
}

fn answer_made(app: &App, made: &NewKey, now: Timestamp) -> Result<Response, Problem> {
    let access = app.followed.keyring().access();
    let key = access.key(made.id).ok_or_else(|| missing("key"))?;
    let mut answer = row(app, made.id, key, now);
    answer["key"] = made.text.reveal().into();
    if let Some(old) = key.replaces.and_then(|old| access.key(old)) {
        answer["replaced_valid_until"] = json!(old.revoked_from);
    }
    let mut response = super::json(StatusCode::CREATED, &answer);
    // No cache between here and there may keep it.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// A key as it is shown: never its text, nor the hash.
fn row(app: &App, id: KeyId, key: &Key, now: Timestamp) -> Value {
    let caller = key.caller();
    let bounds = caller.bounds();
    let traffic = bounds.traffic.as_ref();
    let last_used = key.last_used.max(app.followed.keyring().last_seen(id));
    json!({
        "id": id.as_str(),
        "name": caller.name(),
        "role": caller.role().word(),
        "accounts": bounds.accounts,
        "sources": bounds.sources,
        "traffic": traffic.map(|listed| listed.iter().map(|one| one.word()).collect::<Vec<_>>()),
        "state": key.state(now).word(),
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires": key.expires,
        "revoked_from": key.revoked_from,
        "revoked_by": key.revoked_by,
        "last_used": last_used,
        "replaces": key.replaces.map(|id| id.to_string()),
        "replaced_by": key.replaced_by.map(|id| id.to_string()),
    })
}
