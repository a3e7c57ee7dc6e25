//! Credits by hand: grants, adjustments, voids, refunds, reversals.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::{Credits, Currency, EntryNumber, LotId, Money, Partition, Reason, Timestamp};
use ledger::{Category, CommandBody, GrantTerms};

use crate::app::{App, now};
use crate::auth::Asker;
use crate::command::{self, Ask, By, ReasonIs, To, bad_terms, carry_out, positive};
use crate::form::Form;
use crate::problem::Problem;

/// An amount of money, as it stands in bodies.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MoneySaid {
    amount: Money,
    currency: Currency,
}

const MONEY: &str = r#"an object such as {"amount": "10.00", "currency": "USD"}"#;

pub(crate) async fn grant(
    State(app): State<App>,
    Path(account): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let body = read_grant(form, app.followed.prices().catalogue.currency(), now())?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

pub(crate) async fn adjust(
    State(app): State<App>,
    Path(account): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Required)?;
    let body = read_adjustment(form)?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

pub(crate) async fn void(
    State(app): State<App>,
    Path((account, lot)): Path<(String, String)>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let lot = lot_of(&lot)?;
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Required)?;
    let body = read_void(form, lot)?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

pub(crate) async fn refund(
    State(app): State<App>,
    Path((account, lot)): Path<(String, String)>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let lot = lot_of(&lot)?;
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Required)?;
    let body = read_refund(form, lot, app.followed.prices().catalogue.currency())?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

pub(crate) async fn reverse(
    State(app): State<App>,
    Path((account, entry)): Path<(String, String)>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Required)?;
    form.finish()?;
    let unknown = || {
        Problem::refused(Reason::UnknownEntry)
            .status(StatusCode::NOT_FOUND)
            .field("entry")
            .value(&entry)
    };
    let (partition, number) = entry_of(&entry).ok_or_else(unknown)?;
    if partition != app.home(&account) {
        return Err(unknown());
    }
    let record = command::found(&app, partition, number).await?.ok_or_else(unknown)?;
    if command::read(&record)?.account != account.as_str() {
        return Err(unknown());
    }
    let body = CommandBody::Reverse { entry: number, record: record.into() };
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

/// An entry by its name: `3-8812`.
pub(super) fn entry_of(text: &str) -> Option<(Partition, EntryNumber)> {
    let (partition, number) = text.split_once('-')?;
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(partition) || !digits(number) {
        return None;
    }
    Some((Partition(partition.parse().ok()?), EntryNumber(number.parse().ok()?)))
}

fn lot_of(text: &str) -> Result<LotId, Problem> {
    text.parse().map(LotId).map_err(|_| {
        Problem::bad_request("bad_value", "a lot is a number").field("lot").value(text)
    })
}

fn read_grant(
    mut form: Form,
    own: Option<Currency>,
    now: Timestamp,
) -> Result<CommandBody<'static>, Problem> {
    let credits = positive(&mut form, "amount")?.ok_or_else(|| form.missing("amount"))?;
    let words = "promotional, included or purchased";
    let category = form.word("category", Category::from_word, words)?;
    let paid: Option<MoneySaid> = form.typed("paid", MONEY)?;
    let terms = GrantTerms {
        credits,
        category: category.ok_or_else(|| form.missing("category"))?,
        priority: form
            .number("priority", "a whole number from 0 to 255")?
            .unwrap_or(GrantTerms::PRIORITY_DEFAULT),
        effective: form.parsed::<Timestamp>("effective", "bad_time")?,
        expires: form.parsed::<Timestamp>("expires", "bad_time")?,
        paid: paid.as_ref().map_or(Money::ZERO, |paid| paid.amount),
        currency: paid.map(|paid| paid.currency),
    };
    form.finish()?;
    if terms.paid.is_negative() {
        return Err(bad_terms("paid", &terms.paid.to_string()));
    }
    own_currency(terms.currency, own, "paid.currency")?;
    let from = terms.effective.map_or(now, |effective| effective.max(now));
    if let Some(expires) = terms.expires.filter(|expires| *expires <= from) {
        return Err(bad_terms("expires", &expires.to_string()));
    }
    Ok(CommandBody::Grant(terms))
}

/// One currency per deployment.
fn own_currency(said: Option<Currency>, own: Option<Currency>, field: &str) -> Result<(), Problem> {
    match (said, own) {
        (Some(said), Some(own)) if said != own => {
            Err(Problem::refused(Reason::BadCurrency).field(field).value(said.as_str()))
        }
        (Some(_) | None, Some(_) | None) => Ok(()),
    }
}

fn read_adjustment(mut form: Form) -> Result<CommandBody<'static>, Problem> {
    let credits: Option<Credits> = form.parsed("amount", "bad_amount")?;
    let credits = credits.ok_or_else(|| form.missing("amount"))?;
    form.finish()?;
    if credits.is_zero() {
        return Err(bad_terms("amount", "0"));
    }
    Ok(CommandBody::Adjust { credits })
}

fn read_void(mut form: Form, lot: LotId) -> Result<CommandBody<'static>, Problem> {
    let credits = positive(&mut form, "amount")?;
    form.finish()?;
    Ok(CommandBody::Void { lot, credits })
}

fn read_refund(
    mut form: Form,
    lot: LotId,
    own: Option<Currency>,
) -> Result<CommandBody<'static>, Problem> {
    let credits = positive(&mut form, "amount")?.ok_or_else(|| form.missing("amount"))?;
    let money: Option<MoneySaid> = form.typed("money", MONEY)?;
    let MoneySaid { amount, currency } = money.ok_or_else(|| form.missing("money"))?;
    form.finish()?;
    if amount.is_negative() {
        return Err(bad_terms("money.amount", &amount.to_string()));
    }
    own_currency(Some(currency), own, "money.currency")?;
    Ok(CommandBody::Refund { lot, credits, money: amount })
}
