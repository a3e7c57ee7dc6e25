//! `POST /v1/rerates/plan`, `POST /v1/rerates`: what another catalogue would have charged, and charges
//! priced anew by it.
//!
//! The gateway keeps nothing between the two: the plan is the asker's, and each charge in it names the
//! entry that it was made from. What has changed since is refused charge by charge.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::{Credits, EntryNumber, Offset, Partition, Reason, Topic, TopicPartition};
use futures_util::future::join_all;
use ledger::{Body, CommandBody};
use replay::{Filter, Found, Planner};
use serde_json::{Value, json};
use wire::ReplyOutcome;

use super::commands::entry_of;
use crate::app::{App, Shared, scan};
use crate::auth::Asker;
use crate::body;
use crate::command::{self, Ask, By, To};
use crate::form::Form;
use crate::problem::Problem;
use crate::tail;

const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Charges of one request: each waits for its reply.
const CHARGES_MAX: usize = 500;
/// Records between two charges that are read over rather than skipped.
const GAP_MAX: i64 = 5_000;

pub(crate) async fn plan(
    State(app): State<App>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse_optional(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let filter: Filter =
        form.typed("filter", "an object of what is looked at")?.unwrap_or_default();
    let next = form.number::<i64>("catalogue", "an offset of rates.catalog")?.map(Offset);
    form.finish()?;
    let (next, found) = scan(&app, move |shared| find(shared, &filter, next)).await?;
    let differences: Vec<Value> = found.differences.iter().map(difference).collect();
    let unpriced: Vec<Value> = found
        .unpriced_examples
        .iter()
        .map(|unpriced| {
            let entry = projection::entry_id(unpriced.partition, unpriced.entry);
            json!({ "entry": entry, "code": unpriced.reason.code() })
        })
        .collect();
    let answer = json!({
        "catalogue": next,
        "looked_at": found.looked_at,
        "whole": found.whole,
        "unpriced": found.unpriced,
        "unpriced_examples": unpriced,
        "charges": differences,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

fn find(
    shared: &Shared,
    filter: &Filter,
    next: Option<Offset>,
) -> Result<(Offset, Found), Problem> {
    let prices = shared.followed.prices();
    let next = next.unwrap_or(prices.next);
    let catalogue = catalogue_at(shared, next)?;
    let mut planner = Planner::new(filter, &catalogue);
    for partition in (0..shared.settings.partitions).map(Partition) {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        planner.begin(partition);
        tail::read(shared.log.as_ref(), at, Offset::ZERO, i64::MAX, &mut |record| {
            planner.record(record.offset, record.value);
        })?;
    }
    Ok((next, planner.finish()))
}

/// The catalogue as it was when its next offset was `next`.
fn catalogue_at(shared: &Shared, next: Offset) -> Result<rating::Catalogue, Problem> {
    let prices = shared.followed.prices();
    let id = u32::try_from(next.0).ok().filter(|_| next <= prices.next);
    let id = id.ok_or_else(|| {
        let detail = format!("the catalogue has come to {}", prices.next);
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_value", detail)
            .field("catalogue")
            .value(&next.to_string())
    })?;
    Ok(prices.catalogue.as_of(domain::CatalogueId(id)))
}

fn difference(difference: &replay::Difference) -> Value {
    json!({
        "entry": projection::entry_id(difference.partition, difference.entry),
        "offset": difference.offset,
        "account": difference.account,
        "feature": difference.feature,
        "source": difference.source,
        "event": difference.event,
        "time": difference.time.to_string(),
        "before": difference.before(),
        "now": difference.now(),
        "items": difference.items,
    })
}

/// One charge of a plan.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    partition: Partition,
    entry: EntryNumber,
    offset: Offset,
    /// What it is to come to.
    credits: Credits,
}

pub(crate) async fn apply(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let plan = form.required_text("plan")?;
    let reason = form.required_text("reason")?;
    if reason.trim().is_empty() {
        return Err(form.missing("reason"));
    }
    let actor = asker.actor(&mut form)?;
    let next = form.number::<i64>("catalogue", "an offset of rates.catalog")?.map(Offset);
    let next = next.ok_or_else(|| form.missing("catalogue"))?;
    let charges = form.objects("charges", "an array of charges")?;
    let wanted = read_charges(charges.ok_or_else(|| form.missing("charges"))?, &form)?;
    form.finish()?;
    let (catalogue, records) =
        scan(&app, move |shared| Ok((catalogue_at(shared, next)?, records(shared, wanted)?)))
            .await?;
    let one = |(wanted, record): (Wanted, Option<Vec<u8>>)| {
        let name = projection::entry_id(wanted.partition, wanted.entry);
        let by = By {
            // The same plan again is the same command.
            id: format!("rerate {plan} {name}"),
            actor: actor.clone(),
            reason: reason.clone(),
        };
        let (app, asker, catalogue) = (&app, &asker, &catalogue);
        async move {
            let mut answer = match rerated(wanted, record, catalogue, next) {
                Ok((account, rerate)) => {
                    let to = To::Account(account);
                    let body = CommandBody::Rerate(Box::new(rerate));
                    sent(app, asker, Ask { to, by, body, waits: None }).await
                }
                Err(refused) => refused,
            };
            answer["entry"] = name.into();
            answer
        }
    };
    let results = join_all(records.into_iter().map(one)).await;
    Ok(super::json(StatusCode::OK, &json!({ "results": results })))
}

fn read_charges(charges: Vec<Form>, whole: &Form) -> Result<Vec<Wanted>, Problem> {
    if charges.len() > CHARGES_MAX {
        let detail = format!("at most {CHARGES_MAX} charges at once");
        return Err(whole.refuse("charges", "too_many_charges", &detail));
    }
    let mut wanted = Vec::with_capacity(charges.len());
    for mut charge in charges {
        let entry = charge.required_text("entry")?;
        let (partition, number) = entry_of(&entry).ok_or_else(|| {
            charge.refuse("entry", "bad_value", "an entry is named like 3-8812").value(&entry)
        })?;
        let offset = charge.number::<i64>("offset", "an offset of the ledger")?.map(Offset);
        let offset = offset.ok_or_else(|| charge.missing("offset"))?;
        let credits = charge.parsed::<Credits>("credits", "bad_amount")?;
        let credits = credits.ok_or_else(|| charge.missing("credits"))?;
        charge.finish()?;
        wanted.push(Wanted { partition, entry: number, offset, credits });
    }
    Ok(wanted)
}

type Looked = Vec<(Wanted, Option<Vec<u8>>)>;

/// The records of charges, read in the order of the ledger.
fn records(shared: &Shared, mut wanted: Vec<Wanted>) -> Result<Looked, Problem> {
    wanted.sort_unstable_by_key(|wanted| (wanted.partition, wanted.offset));
    let mut found: BTreeMap<(Partition, Offset), Vec<u8>> = BTreeMap::new();
    let apart = |one: &Wanted, other: &Wanted| {
        one.partition == other.partition && other.offset.0 - one.offset.0 <= GAP_MAX
    };
    for near in wanted.chunk_by(apart) {
        let (Some(first), Some(last)) = (near.first(), near.last()) else { continue };
        let partition = first.partition;
        if partition.0 >= shared.settings.partitions {
            continue;
        }
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let records = last.offset.0 - first.offset.0 + 1;
        tail::read(shared.log.as_ref(), at, first.offset, records, &mut |record| {
            let is_wanted = near.binary_search_by_key(&record.offset, |near| near.offset).is_ok();
            if is_wanted {
                found.insert((partition, record.offset), record.value.to_vec());
            }
        })?;
    }
    let record = |wanted: &Wanted| found.get(&(wanted.partition, wanted.offset)).cloned();
    Ok(wanted.iter().map(|wanted| (*wanted, record(wanted))).collect())
}

/// The command for one charge, and its account; or what is answered for it.
fn rerated(
    wanted: Wanted,
    record: Option<Vec<u8>>,
    catalogue: &rating::Catalogue,
    next: Offset,
) -> Result<(String, ledger::Rerate<'static>), Value> {
    let refused = |reason: Reason| refused(reason.code(), reason.row().about);
    let record = record.ok_or_else(|| refused(Reason::UnknownEntry))?;
    let account = match command::read(&record) {
        Ok(entry) if entry.number == wanted.entry => entry.account.to_string(),
        Ok(_) | Err(_) => return Err(refused(Reason::UnknownEntry)),
    };
    let rerate = replay::rerate(&record, catalogue, next).map_err(refused)?;
    if rerate.credits != wanted.credits {
        let detail = format!("it comes to {}, not to what the plan says", rerate.credits);
        return Err(self::refused("plan_differs", &detail));
    }
    Ok((account, rerate))
}

fn refused(code: &str, detail: &str) -> Value {
    json!({ "outcome": "refused", "code": code, "detail": detail })
}

/// Sends one command, and says what became of it.
async fn sent(app: &App, asker: &Asker, ask: Ask) -> Value {
    let reply = match command::send(app, asker, ask).await {
        Ok(reply) => reply,
        Err(problem) => {
            let (code, detail) = problem.said();
            return json!({ "outcome": "undecided", "code": code, "detail": detail });
        }
    };
    let entry = |number| projection::entry_id(reply.partition, number);
    match &reply.outcome {
        ReplyOutcome::Applied { entry: number, record } => {
            let change = command::read(record).ok().and_then(|entry| match &entry.body {
                Body::Corrected(corrected) => Some(corrected.change()),
                _ => None,
            });
            json!({ "outcome": "applied", "correction": entry(*number), "change": change })
        }
        ReplyOutcome::Repeated { entry: number, .. } => {
            json!({ "outcome": "repeated", "correction": entry(*number) })
        }
        ReplyOutcome::Refused { reason, conflicts_with, .. } => {
            let mut answer = refused(reason.code(), reason.row().about);
            answer["corrected_by"] = json!(conflicts_with.map(entry));
            answer
        }
        ReplyOutcome::BadCommand { reason, field, .. } => refused(reason.code(), field),
    }
}
