//! A command on its way: under which id, by whom, to what, for how long; and what it is answered.
//!
//! The gateway decides nothing: it appends the command, and the charger's reply is the answer. The
//! reply carries the entry that the command made; a request that repeats an earlier one is answered
//! from that one's entry, which is found again in the ledger. So both get the same answer, whichever
//! gateway they ask and whatever happened in between.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use domain::{Credits, EntryNumber, Partition, Reason, Text, Topic, TopicPartition};
use ledger::{Body, Command, CommandBody, Entry, HoldName};
use wire::{LedgerRecord, RecordError, Reply, ReplyOutcome};

use crate::answer::{self, balance_json};
use crate::app::{App, now, scan};
use crate::appender::Outbound;
use crate::auth::Asker;
use crate::body;
use crate::form::Form;
use crate::problem::Problem;

const BODY_BYTES_MAX: usize = 64 * 1024;
/// Ledger time may run ahead of this clock by a little.
const DEADLINE_MARGIN_MICROS: i64 = 5_000_000;
/// Says that the request was carried out before, and this is its first answer.
const REPLAYED: &str = "idempotent-replayed";

/// Reads a body of fields; nothing at all is an object without fields.
pub(crate) async fn form(headers: &HeaderMap, body: axum::body::Body) -> Result<Form, Problem> {
    Form::parse_optional(&body::read(headers, body, BODY_BYTES_MAX).await?)
}

/// Whether a change by hand must say why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReasonIs {
    Required,
    Optional,
}

/// Who asks, why, and under which idempotency id.
#[derive(Clone, Debug)]
pub(crate) struct By {
    pub(crate) id: String,
    pub(crate) actor: String,
    pub(crate) reason: String,
}

impl By {
    /// From the header and the body's own `id`, `actor` and `reason`.
    pub(crate) fn read(
        form: &mut Form,
        headers: &HeaderMap,
        (app, asker): (&App, &Asker),
        reason_is: ReasonIs,
    ) -> Result<Self, Problem> {
        let own = form.text("id")?;
        let id = idempotency_id(headers, own, || made_id(app))?;
        Self::with_id(id, form, asker, reason_is)
    }

    /// The same where the body's `id` names something else: the header alone is the id.
    pub(crate) fn read_keyed(
        form: &mut Form,
        headers: &HeaderMap,
        (app, asker): (&App, &Asker),
        reason_is: ReasonIs,
    ) -> Result<Self, Problem> {
        let id = idempotency_id(headers, None, || made_id(app))?;
        Self::with_id(id, form, asker, reason_is)
    }

    fn with_id(
        id: String,
        form: &mut Form,
        asker: &Asker,
        reason_is: ReasonIs,
    ) -> Result<Self, Problem> {
        let reason = match reason_is {
            ReasonIs::Optional => form.text("reason")?.unwrap_or_default(),
            ReasonIs::Required => {
                let reason = form.required_text("reason")?;
                if reason.trim().is_empty() {
                    return Err(form.missing("reason"));
                }
                reason
            }
        };
        Ok(Self { id, actor: asker.actor(form)?, reason })
    }
}

fn made_id(app: &App) -> String {
    format!("made-{:016x}", app.correlation())
}

/// The `Idempotency-Key`, or the body's own id, or one that is made.
fn idempotency_id(
    headers: &HeaderMap,
    own: Option<String>,
    made: impl FnOnce() -> String,
) -> Result<String, Problem> {
    const HEADER: &str = "idempotency-key";
    let mut keys = headers.get_all(HEADER).iter();
    let (key, others) = (keys.next(), keys.next());
    if others.is_some() {
        let detail = "one Idempotency-Key at most";
        return Err(Problem::bad_request("repeated_field", detail).field("Idempotency-Key"));
    }
    let key = match key.map(|key| std::str::from_utf8(key.as_bytes())) {
        None => None,
        Some(Ok(key)) => Some(key.to_owned()),
        Some(Err(_)) => {
            let detail = "the key is not plain text";
            return Err(Problem::bad_request("bad_text", detail).field("Idempotency-Key"));
        }
    };
    match (key, own) {
        (Some(key), Some(own)) if key != own => {
            let detail = "the Idempotency-Key and the body's id are not the same";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", detail)
                .field("id")
                .value(&own))
        }
        (Some(id), _) | (None, Some(id)) => Ok(id),
        (None, None) => Ok(made()),
    }
}

/// What a command is to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Account(String),
    Hold(HoldName),
}

/// A command as it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) to: To,
    pub(crate) by: By,
    pub(crate) body: CommandBody<'static>,
    /// How long whoever asks waits; `None` is the gateway's own patience.
    pub(crate) waits: Option<Duration>,
}

/// Sends a command and waits for what becomes of it.
pub(crate) async fn carry_out(app: &App, asker: &Asker, ask: Ask) -> Result<Response, Problem> {
    let (id, doubtful) = (ask.by.id.clone(), doubtful(&ask.body));
    let answered = match send(app, asker, ask).await {
        Ok(reply) => answered(app, asker, &reply, doubtful).await,
        Err(problem) => Err(problem),
    };
    answered.map_err(|problem| problem.with("id", id.as_str()))
}

/// The field that is at fault when the ledger says no more than that the terms are bad.
fn doubtful(body: &CommandBody<'_>) -> &'static str {
    match body {
        CommandBody::Grant(_) => "expires",
        CommandBody::Extend { .. } => "expires_in_s",
        CommandBody::SetBudget(_) => "limit",
        CommandBody::SetNotices { .. } => "top_up.amount",
        CommandBody::Adjust { .. }
        | CommandBody::Void { .. }
        | CommandBody::Reserve(_)
        | CommandBody::Capture { .. }
        | CommandBody::Settle { .. }
        | CommandBody::Release { .. }
        | CommandBody::AssignPlan { .. }
        | CommandBody::RemoveBudget { .. }
        | CommandBody::Refund { .. }
        | CommandBody::Reverse { .. } => "amount",
        CommandBody::Rerate(_) => "credits",
        CommandBody::DecideQuarantined { .. } => "entry",
    }
}

/// Sends a command, and gives the charger's own reply.
pub(crate) async fn send(app: &App, asker: &Asker, ask: Ask) -> Result<Reply<'static>, Problem> {
    let Ask { to, by, body, waits } = ask;
    let (partition, account, within) = match to {
        To::Account(account) => (app.home(&account), account, Vec::new()),
        To::Hold(name) => (name.partition, String::new(), within(asker)),
    };
    if partition.0 >= app.settings.partitions {
        return Err(unknown_hold());
    }
    let patience = app.settings.command_patience.min(waits.unwrap_or(Duration::MAX));
    let margin = if waits.is_some() { 0 } else { DEADLINE_MARGIN_MICROS };
    let micros = i64::try_from(patience.as_micros()).unwrap_or(i64::MAX);
    let correlation = app.correlation();
    let command = Command {
        account: Text::Owned(account),
        id: Text::Owned(by.id),
        actor: Text::Owned(by.actor),
        reason: Text::Owned(by.reason),
        // A command whose asker has given up is not carried out later, unseen.
        deadline: Some(now().plus_micros(micros.saturating_add(margin))),
        correlation,
        within,
        body,
    };
    let mut value = Vec::new();
    wire::encode_command(&command, &mut value);
    // The charger's own check, before it is written instead of after.
    wire::decode_command(&value).map_err(bad_command)?;
    let to = TopicPartition { topic: Topic::LedgerCommands, partition };
    let key = Bytes::copy_from_slice(command.account.as_bytes());
    let reply = app.followed.expect_reply(correlation)?;
    let record = Outbound { to, key, value: Bytes::from(value), headers: Vec::new() };
    if let Err(problem) = app.appending.append(vec![record]).await {
        app.followed.forget_reply(correlation);
        return Err(problem);
    }
    match tokio::time::timeout(patience, reply).await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(_)) | Err(_) => {
            app.followed.forget_reply(correlation);
            app.metrics.commands.with_label_values(&["undecided"]).inc();
            Err(Problem::new(
                StatusCode::GATEWAY_TIMEOUT,
                "undecided",
                "the command is in the log and was not decided in time: the same request with the \
                 same id tells what became of it",
            ))
        }
    }
}

/// The accounts that a command to a hold may touch; empty for all.
fn within(asker: &Asker) -> Vec<Text<'static>> {
    let accounts = asker.caller().bounds().accounts.iter().flatten();
    accounts.map(|account| Text::Owned(account.clone())).collect()
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

async fn answered(
    app: &App,
    asker: &Asker,
    reply: &Reply<'_>,
    doubtful: &'static str,
) -> Result<Response, Problem> {
    let count = |outcome| app.metrics.commands.with_label_values(&[outcome]).inc();
    let partition = reply.partition;
    match &reply.outcome {
        ReplyOutcome::Applied { record, .. } => {
            let entry = read(record)?;
            count(if is_refusal(&entry) { "refused" } else { "applied" });
            Ok(answer::of_entry(partition, &entry)?.into_response())
        }
        ReplyOutcome::Repeated { entry, .. } => {
            count("repeated");
            let record = found(app, partition, *entry).await?.ok_or_else(|| {
                let entry = projection::entry_id(partition, *entry);
                Problem::internal(format!("the ledger does not have its entry {entry}"))
            })?;
            let entry = read(&record)?;
            if !asker.caller().may_reach(&entry.account) {
                return Err(unknown_hold());
            }
            let mut response = answer::of_entry(partition, &entry).into_response();
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        ReplyOutcome::Refused { reason, conflicts_with, now } => {
            count("refused");
            // A hold that the key may not touch is not told of, not even by the ids used on it.
            if let Some(first) = conflicts_with
                && !asker.caller().may_span_accounts()
                && !is_reachable(app, asker, (partition, *first)).await?
            {
                return Err(unknown_hold());
            }
            if *reason == Reason::UnknownHold {
                return Err(unknown_hold());
            }
            let mut problem = refused(*reason, doubtful).with("balance", balance_json(now));
            if let Some(first) = conflicts_with {
                problem = problem.with("conflicts_with", projection::entry_id(partition, *first));
            }
            Err(problem)
        }
        ReplyOutcome::BadCommand { reason, field, value } => {
            count("bad_command");
            Err(Problem::refused(*reason).field(field.as_ref()).value(value))
        }
    }
}

async fn is_reachable(
    app: &App,
    asker: &Asker,
    (partition, number): (Partition, EntryNumber),
) -> Result<bool, Problem> {
    let Some(record) = found(app, partition, number).await? else { return Ok(false) };
    Ok(asker.caller().may_reach(&read(&record)?.account))
}

fn is_refusal(entry: &Entry<'_>) -> bool {
    matches!(entry.body, Body::HoldRefused(_))
}

/// An entry's record, looked up in the ledger.
pub(crate) async fn found(
    app: &App,
    partition: Partition,
    number: EntryNumber,
) -> Result<Option<Vec<u8>>, Problem> {
    scan(app, move |shared| Ok(ledger_log::find_entry(shared.log.as_ref(), partition, number)?))
        .await
}

/// An entry, from its record.
pub(crate) fn read(record: &[u8]) -> Result<Entry<'_>, Problem> {
    match wire::decode_ledger(record) {
        Ok(LedgerRecord::Entry(entry)) => Ok(entry),
        Ok(LedgerRecord::Seal(_) | LedgerRecord::Adopted(_)) => {
            Err(Problem::internal("the ledger's record is no entry"))
        }
        Err(error) => Err(Problem::internal(error.to_string())),
    }
}

/// Refusals that are about a part of the request, or that are no plain 422.
const REFUSALS: &[(Reason, StatusCode, Option<&str>)] = &[
    (Reason::IdempotencyConflict, StatusCode::CONFLICT, Some("id")),
    (Reason::Deadline, StatusCode::SERVICE_UNAVAILABLE, None),
    (Reason::UnknownHold, StatusCode::NOT_FOUND, Some("hold")),
    (Reason::UnknownLot, StatusCode::NOT_FOUND, Some("lot")),
    (Reason::UnknownBudget, StatusCode::NOT_FOUND, Some("budget")),
    (Reason::UnknownEntry, StatusCode::NOT_FOUND, Some("entry")),
    (Reason::LotClosed, StatusCode::UNPROCESSABLE_ENTITY, Some("lot")),
    (Reason::LotHeld, StatusCode::UNPROCESSABLE_ENTITY, Some("lot")),
    (Reason::UnknownPlan, StatusCode::UNPROCESSABLE_ENTITY, Some("plan")),
    (Reason::PlanUnchanged, StatusCode::UNPROCESSABLE_ENTITY, Some("plan")),
    (Reason::NotACharge, StatusCode::UNPROCESSABLE_ENTITY, Some("entry")),
    (Reason::AlreadyCorrected, StatusCode::CONFLICT, Some("entry")),
    (Reason::NotQuarantined, StatusCode::CONFLICT, Some("entry")),
    (Reason::CorrectionUnrated, StatusCode::UNPROCESSABLE_ENTITY, Some("entry")),
    (Reason::IdentityConflict, StatusCode::CONFLICT, Some("entry")),
];

/// What the ledger refused, with the status and the field that it is about.
fn refused(reason: Reason, doubtful: &'static str) -> Problem {
    let problem = Problem::refused(reason);
    if reason == Reason::BadTerms {
        return problem.field(doubtful);
    }
    match REFUSALS.iter().find(|(about, ..)| *about == reason) {
        Some((_, status, Some(field))) => problem.status(*status).field(*field),
        Some((_, status, None)) => problem.status(*status),
        None => problem,
    }
}

/// The one answer about a hold that is not there, is over, or is somebody else's.
pub(crate) fn unknown_hold() -> Problem {
    refused(Reason::UnknownHold, "hold")
}

/// An amount that must be there and be more than nothing.
pub(crate) fn positive(form: &mut Form, name: &str) -> Result<Option<Credits>, Problem> {
    let Some(credits) = form.parsed::<Credits>(name, "bad_amount")? else { return Ok(None) };
    match credits.is_positive() {
        true => Ok(Some(credits)),
        false => Err(bad_terms(form.path_of(name), &credits.to_string())),
    }
}

/// What the ledger would refuse without saying which field it was.
pub(crate) fn bad_terms(field: impl Into<String>, value: &str) -> Problem {
    Problem::refused(Reason::BadTerms).field(field).value(value)
}
