//! `/v1/holds`: credits set aside before a call, so that parallel requests cannot spend them twice.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::limits::{HOLD_MICROS_DEFAULT, HOLD_MICROS_MAX};
use domain::{Reason, Text, Traffic};
use ledger::{Body, CommandBody, HoldName, Reserve, Scope, Want};
use serde_json::{Value, json};

use crate::app::{App, literal};
use crate::auth::Asker;
use crate::body;
use crate::command::{self, Ask, By, ReasonIs, To, bad_terms, carry_out, positive, unknown_hold};
use crate::form::{Form, Params};
use crate::items::{self, About};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::budgets::traffic_words;
use crate::routes::{hold_settle, limit_of, rows};
use crate::strict;

/// Items may be many.
const BODY_BYTES_MAX: usize = 256 * 1024;
const MICROS_PER_S: i64 = 1_000_000;
/// The longest that an asker may say it waits.
const DEADLINE_S_MAX: u64 = 120;

pub(crate) async fn reserve(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let body = body::read(&headers, body, BODY_BYTES_MAX).await?;
    let mut form = Form::parse(&body)?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let Asked { account, waits, body } = read_reserve(form)?;
    asker.must_reach(&account)?;
    if let CommandBody::Reserve(reserve) = &body {
        let traffic = reserve.scope.traffic;
        if !asker.caller().may_send_traffic(traffic) {
            return Err(Problem::refused(Reason::NotAllowed)
                .status(StatusCode::FORBIDDEN)
                .field("traffic")
                .value(traffic.word()));
        }
    }
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits }).await
}

struct Asked {
    account: String,
    waits: Option<Duration>,
    body: CommandBody<'static>,
}

fn read_reserve(mut form: Form) -> Result<Asked, Problem> {
    let account = form.required_text("account")?;
    let expires_in_micros = read_span(&mut form)?.unwrap_or(HOLD_MICROS_DEFAULT);
    let deadline: Option<u64> = form.number("deadline_s", "a whole number of seconds")?;
    if let Some(seconds) = deadline.filter(|seconds| !(1..=DEADLINE_S_MAX).contains(seconds)) {
        let detail = format!("`deadline_s` is from 1 to {DEADLINE_S_MAX}");
        return Err(form.refuse("deadline_s", "bad_value", &detail).value(&seconds.to_string()));
    }
    let shrinks = |word: &str| match word {
        "refuse" => Some(false),
        "shrink" => Some(true),
        _ => None,
    };
    let shrink = form.word("on_insufficient", shrinks, "refuse or shrink")?.unwrap_or(false);
    let owned = |text: Option<String>| text.map(Text::Owned);
    let scope = Scope {
        user: owned(form.text("user")?),
        team: owned(form.text("team")?),
        feature: owned(form.text("feature")?),
        traffic: read_traffic(&mut form)?.unwrap_or_default(),
    };
    let want = match (positive(&mut form, "amount")?, form.has("items")) {
        (Some(_), true) => {
            return Err(form.refuse("amount", "bad_value", "either an amount or items, not both"));
        }
        (Some(amount), false) => Want::Credits(amount),
        (None, true) => {
            let about = About::of_hold(&account, &scope);
            Want::Usage(items::most(&mut form, about)?.into())
        }
        (None, false) => return Err(form.missing("amount")),
    };
    form.finish()?;
    let reserve = Reserve { want, scope, expires_in_micros, shrink };
    let waits = deadline.map(Duration::from_secs);
    Ok(Asked { account, waits, body: CommandBody::Reserve(Box::new(reserve)) })
}

/// `expires_in_s`, in microseconds.
fn read_span(form: &mut Form) -> Result<Option<i64>, Problem> {
    let wanted = "a whole number of seconds, from 1 to 604800";
    let Some(seconds) = form.number::<u64>("expires_in_s", wanted)? else { return Ok(None) };
    let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(MICROS_PER_S);
    match (1..=HOLD_MICROS_MAX).contains(&micros) {
        true => Ok(Some(micros)),
        false => Err(bad_terms(form.path_of("expires_in_s"), &seconds.to_string())),
    }
}

pub(crate) fn read_traffic(form: &mut Form) -> Result<Option<Traffic>, Problem> {
    form.word("traffic", Traffic::from_word, &format!("one of {}", traffic_words()))
}

/// A hold by its name. One that has none is one that is not there.
fn name_of(text: &str) -> Result<HoldName, Problem> {
    text.parse().map_err(|_| unknown_hold())
}

pub(crate) async fn extend(
    State(app): State<App>,
    Path(hold): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let name = name_of(&hold)?;
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let expires_in_micros = read_span(&mut form)?.ok_or_else(|| form.missing("expires_in_s"))?;
    form.finish()?;
    let body = CommandBody::Extend { hold: name.hold, expires_in_micros };
    carry_out(&app, &asker, Ask { to: To::Hold(name), by, body, waits: None }).await
}

pub(crate) async fn capture(
    State(app): State<App>,
    Path(hold): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let name = name_of(&hold)?;
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let credits = positive(&mut form, "amount")?.ok_or_else(|| form.missing("amount"))?;
    form.finish()?;
    let body = CommandBody::Capture { hold: name.hold, credits };
    carry_out(&app, &asker, Ask { to: To::Hold(name), by, body, waits: None }).await
}

/// Ends a hold at a total, or with the usage event that it was for.
pub(crate) async fn settle(
    State(app): State<App>,
    Path(hold): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let name = name_of(&hold)?;
    let body = body::read(&headers, body, BODY_BYTES_MAX).await?;
    let mut form = Form::parse_optional(&body)?;
    if form.has("specversion") {
        return hold_settle::by_event(&app, &asker, name, body).await;
    }
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let credits = form.parsed::<domain::Credits>("amount", "bad_amount")?;
    form.finish()?;
    if let Some(credits) = credits.filter(|credits| credits.is_negative()) {
        return Err(bad_terms("amount", &credits.to_string()));
    }
    let body = CommandBody::Settle { hold: name.hold, credits };
    carry_out(&app, &asker, Ask { to: To::Hold(name), by, body, waits: None }).await
}

pub(crate) async fn release(
    State(app): State<App>,
    Path(hold): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let name = name_of(&hold)?;
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    form.finish()?;
    let body = CommandBody::Release { hold: name.hold };
    carry_out(&app, &asker, Ask { to: To::Hold(name), by, body, waits: None }).await
}

/// The account of a hold that the key may touch, from the ledger itself.
pub(crate) async fn account_of(
    app: &App,
    asker: &Asker,
    name: HoldName,
) -> Result<String, Problem> {
    if name.partition.0 >= app.settings.partitions {
        return Err(unknown_hold());
    }
    let record = command::found(app, name.partition, name.hold.0).await?;
    let record = record.ok_or_else(unknown_hold)?;
    let entry = command::read(&record)?;
    let is_hold = matches!(entry.body, Body::HoldReserved(_));
    match is_hold && asker.caller().may_reach(&entry.account) {
        true => Ok(entry.account.into_owned()),
        false => Err(unknown_hold()),
    }
}

/// What ClickHouse shows of a hold.
const COLUMNS: &str = "h.hold AS hold, h.account AS account, h.amount AS amount,
    h.captured AS captured, h.state AS state, h.expires_at AS expires_at, h.asked AS asked,
    h.held AS held, h.above AS above, h.advanced AS advanced, h.created_at AS created_at,
    h.ended_at AS ended_at, nullIf(h.user, '') AS user, nullIf(h.team, '') AS team,
    nullIf(h.feature, '') AS feature, h.traffic AS traffic, h.actor AS actor,
    h.entry_id AS entry";

/// A hold as of now: everything that was decided before the request came is in the answer.
pub(crate) async fn get(
    State(app): State<App>,
    Path(hold): Path<String>,
    asker: Asker,
    mut params: Params,
) -> Result<Response, Problem> {
    let patience = strict::patience(&mut params)?;
    params.finish()?;
    let name = name_of(&hold)?;
    let account = account_of(&app, &asker, name).await?;
    strict::projected_to_end(&app, name.partition, patience).await?;
    let (account_name, hold) = (literal(&account), literal(&name.to_string()));
    let of_hold = format!(
        "SELECT {COLUMNS} FROM holds AS h WHERE h.account = {account_name} AND h.hold = {hold}"
    );
    let available = format!(
        "SELECT b.available AS available FROM balances AS b WHERE b.account = {account_name}"
    );
    let (holds, balances) = crate::app::both(rows(&app, &of_hold), rows(&app, &available)).await?;
    let mut answer = holds.into_iter().next().ok_or_else(|| {
        Problem::unavailable("ClickHouse does not have the hold yet, though it says that it should")
    })?;
    let balance = balances.into_iter().next();
    answer["available"] = balance.map_or(Value::Null, |row| row["available"].clone());
    answer["freshness"] = freshness_of(&app, Some(name.partition)).await?;
    Ok(super::json(StatusCode::OK, &answer))
}

/// The holds of an account, the newest first.
pub(crate) async fn list(
    State(app): State<App>,
    Path(account): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    const STATES: [&str; 4] = ["open", "settled", "released", "expired"];
    let state = params.text("state");
    if let Some(state) = state.as_deref().filter(|state| !STATES.contains(state)) {
        let detail = format!("states are {}", STATES.join(", "));
        return Err(Problem::bad_request("bad_value", detail).field("state").value(state));
    }
    let limit = limit_of(&mut params)?;
    params.finish()?;
    let in_state =
        state.map_or_else(String::new, |state| format!(" AND h.state = {}", literal(&state)));
    let sql = format!(
        "SELECT {COLUMNS} FROM holds AS h WHERE h.account = {}{in_state}
         ORDER BY h.created_at DESC, h.hold DESC LIMIT {limit}",
        literal(&account)
    );
    let holds = rows(&app, &sql).await?;
    let freshness = freshness_of(&app, Some(app.home(&account))).await?;
    let answer = json!({ "account": account, "holds": holds, "freshness": freshness });
    Ok(super::json(StatusCode::OK, &answer))
}
