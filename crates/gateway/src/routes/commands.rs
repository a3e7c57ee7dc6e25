//! Credits by hand: grants, adjustments, voids. Each becomes a command on the log; the answer is
//! the charger's reply.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use domain::{
    Credits, Currency, LotId, Money, Partition, Reason, Text, Timestamp, Topic, TopicPartition,
};
use ledger::{Balance, Category, Command, CommandBody, GrantTerms};
use serde_json::{Value, json};
use wire::{RecordError, Reply, ReplyOutcome};

use crate::app::{App, now};
use crate::appender::Outbound;
use crate::body;
use crate::form::{Form, missing};
use crate::problem::Problem;

const BODY_BYTES_MAX: usize = 64 * 1024;
const PRIORITY: u8 = 50;
/// Who did it, when the body does not say.
const ACTOR: &str = "operator";
/// Ledger time may run ahead of this clock by a little.
const DEADLINE_MARGIN_MICROS: i64 = 5_000_000;

/// What was paid for a grant, in all.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Paid {
    amount: Money,
    currency: Currency,
}

pub(crate) async fn grant(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let by = By::read(&mut form, &headers, &app, ReasonIs::Optional)?;
    let credits = required_amount(&mut form)?;
    let category = form.required_text("category")?;
    let paid: Option<Paid> =
        form.typed("paid", r#"an object such as {"amount": "10.00", "currency": "USD"}"#)?;
    let terms = GrantTerms {
        credits,
        category: Category::from_word(&category).ok_or_else(|| {
            let detail = "a category is promotional, included or purchased";
            Problem::bad_request("bad_value", detail).field("category").value(&category)
        })?,
        priority: form.number("priority", "a whole number from 0 to 255")?.unwrap_or(PRIORITY),
        effective: form.parsed::<Timestamp>("effective", "bad_time")?,
        expires: form.parsed::<Timestamp>("expires", "bad_time")?,
        paid: paid.as_ref().map_or(Money::ZERO, |paid| paid.amount),
        currency: paid.map(|paid| paid.currency),
    };
    form.finish()?;
    check_terms(&app, &terms)?;
    by.send(&app, account, CommandBody::Grant(terms)).await
}

pub(crate) async fn adjust(
    State(app): State<App>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let by = By::read(&mut form, &headers, &app, ReasonIs::Required)?;
    let credits = required_amount(&mut form)?;
    form.finish()?;
    if credits.is_zero() {
        return Err(Problem::refused(Reason::BadTerms).field("amount").value("0"));
    }
    by.send(&app, account, CommandBody::Adjust { credits }).await
}

pub(crate) async fn void(
    State(app): State<App>,
    Path((account, lot)): Path<(String, String)>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let lot = lot.parse().map(LotId).map_err(|_| {
        Problem::bad_request("bad_value", "a lot is a number").field("lot").value(&lot)
    })?;
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let by = By::read(&mut form, &headers, &app, ReasonIs::Required)?;
    let credits = form.parsed::<Credits>("amount", "bad_amount")?;
    form.finish()?;
    if let Some(credits) = credits.filter(|credits| !credits.is_positive()) {
        return Err(not_positive("amount", &credits.to_string()));
    }
    by.send(&app, account, CommandBody::Void { lot, credits }).await
}

fn required_amount(form: &mut Form) -> Result<Credits, Problem> {
    form.parsed("amount", "bad_amount")?.ok_or_else(|| missing("amount"))
}

fn not_positive(field: &str, value: &str) -> Problem {
    Problem::refused(Reason::BadTerms).field(field).value(value)
}

/// What the ledger would refuse without saying which field it was.
fn check_terms(app: &App, terms: &GrantTerms) -> Result<(), Problem> {
    if !terms.credits.is_positive() {
        return Err(not_positive("amount", &terms.credits.to_string()));
    }
    if terms.paid.is_negative() {
        return Err(not_positive("paid", &terms.paid.to_string()));
    }
    if let (Some(currency), Some(own)) =
        (terms.currency, app.followed.prices().catalogue.currency())
        && currency != own
    {
        return Err(Problem::refused(Reason::BadCurrency)
            .field("paid.currency")
            .value(currency.as_str()));
    }
    if let (Some(effective), Some(expires)) = (terms.effective, terms.expires)
        && expires <= effective
    {
        return Err(Problem::refused(Reason::BadTerms)
            .field("expires")
            .value(&expires.to_string()));
    }
    Ok(())
}

enum ReasonIs {
    Required,
    Optional,
}

/// Who asks, why, and under which idempotency id.
struct By {
    id: String,
    actor: String,
    reason: String,
}

impl By {
    fn read(
        form: &mut Form,
        headers: &HeaderMap,
        app: &App,
        reason_is: ReasonIs,
    ) -> Result<Self, Problem> {
        let key = match headers.get("idempotency-key").map(|key| key.to_str()) {
            None => None,
            Some(Ok(key)) => Some(key.to_owned()),
            Some(Err(_)) => {
                return Err(Problem::bad_request("bad_text", "the key is not plain text")
                    .field("Idempotency-Key"));
            }
        };
        let id = match (key, form.text("id")?) {
            (Some(key), Some(id)) if key != id => {
                let detail = "the Idempotency-Key and the body's id are not the same";
                return Err(Problem::bad_request("bad_value", detail).field("id").value(&id));
            }
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => format!("made-{:016x}", app.correlation()),
        };
        let reason = match reason_is {
            ReasonIs::Optional => form.text("reason")?.unwrap_or_default(),
            ReasonIs::Required => {
                let reason = form.required_text("reason")?;
                if reason.trim().is_empty() {
                    return Err(missing("reason"));
                }
                reason
            }
        };
        let actor = form.text("actor")?.unwrap_or_else(|| ACTOR.to_owned());
        Ok(Self { id, actor, reason })
    }

    async fn send(
        self,
        app: &App,
        account: String,
        command: CommandBody,
    ) -> Result<Response, Problem> {
        let patience = app.settings.command_patience;
        let waits = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
        let correlation = app.correlation();
        let command = Command {
            account: Text::Owned(account),
            id: Text::Owned(self.id),
            actor: Text::Owned(self.actor),
            reason: Text::Owned(self.reason),
            // A command whose asker has given up is not carried out later, unseen.
            deadline: Some(now().plus_micros(waits.saturating_add(DEADLINE_MARGIN_MICROS))),
            correlation,
            body: command,
        };
        let mut value = Vec::new();
        wire::encode_command(&command, &mut value);
        // The charger's own check, before it is written instead of after.
        wire::decode_command(&value).map_err(bad_command)?;
        let partition = app.home(&command.account);
        let to = TopicPartition { topic: Topic::LedgerCommands, partition };
        let key = Bytes::copy_from_slice(command.account.as_bytes());
        let reply = app.followed.expect_reply(correlation)?;
        let record = Outbound { to, key, value: Bytes::from(value) };
        if let Err(problem) = app.appending.append(vec![record]).await {
            app.followed.forget_reply(correlation);
            return Err(problem.with("id", command.id.as_ref()));
        }
        let outcome = tokio::time::timeout(patience, reply).await;
        let Ok(Ok(reply)) = outcome else {
            app.followed.forget_reply(correlation);
            app.metrics.commands.with_label_values(&["undecided"]).inc();
            return Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "undecided",
                "the command is in the log and was not decided in time: the same request with the \
                 same id tells what became of it",
            )
            .with("id", command.id.as_ref()));
        };
        answer(app, partition, &reply)
    }
}

fn bad_command(error: RecordError) -> Problem {
    let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_command", error.to_string());
    match error {
        RecordError::Malformed(malformed) => problem.field(malformed.field()),
        RecordError::TooLarge { .. }
        | RecordError::NotARecord
        | RecordError::UnknownSchema { .. } => problem.field(""),
    }
}

fn answer(app: &App, partition: Partition, reply: &Reply<'_>) -> Result<Response, Problem> {
    let count = |outcome| app.metrics.commands.with_label_values(&[outcome]).inc();
    let entry = |number| projection::entry_id(partition, number);
    let done = |status, number, lot: Option<LotId>, already, balance: &Balance| {
        let body = json!({
            "account": reply.account,
            "id": reply.command,
            "entry": entry(number),
            "lot": lot.map(|lot| lot.to_string()),
            "already_applied": already,
            "balance": balance_json(balance),
        });
        Ok(super::json(status, &body))
    };
    match &reply.outcome {
        ReplyOutcome::Applied { entry, lot, after } => {
            count("applied");
            done(StatusCode::CREATED, *entry, *lot, false, after)
        }
        ReplyOutcome::Repeated { entry, now } => {
            count("repeated");
            done(StatusCode::OK, *entry, None, true, now)
        }
        ReplyOutcome::Refused { reason, conflicts_with, now } => {
            count("refused");
            let status = match reason {
                Reason::IdempotencyConflict => StatusCode::CONFLICT,
                Reason::Deadline => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let mut problem = Problem::refused(*reason)
                .status(status)
                .with("id", reply.command.as_ref())
                .with("balance", balance_json(now));
            if let Some(field) = field_of(*reason) {
                problem = problem.field(field);
            }
            if let Some(first) = conflicts_with {
                problem = problem.with("conflicts_with", entry(*first));
            }
            Err(problem)
        }
        ReplyOutcome::BadCommand { reason, field, value } => {
            count("bad_command");
            Err(Problem::refused(*reason).field(field.as_ref()).value(value))
        }
    }
}

/// The field that a refusal by the ledger is about, where there is one.
fn field_of(reason: Reason) -> Option<&'static str> {
    match reason {
        Reason::BadTerms => Some("amount"),
        Reason::UnknownLot | Reason::LotClosed => Some("lot"),
        Reason::IdempotencyConflict => Some("id"),
        _ => None,
    }
}

pub(crate) fn balance_json(balance: &Balance) -> Value {
    json!({
        "settled": balance.settled,
        "held": balance.held,
        "available": balance.available(),
        "overage": balance.overage,
        "in_grace": balance.in_grace,
    })
}
