//! The catalogue over HTTP: publish, list, show, import.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use catalog::{CatalogueError, Impact, Publication, PublishError, Published, PublishedVersion};
use domain::{Currency, Timestamp};
use rating::{DOCUMENT_BYTES_MAX, Document, DocumentError, import_litellm};
use serde_json::{Value, json};
use wire::DocumentKind;

use crate::app::{App, now, scan};
use crate::auth::Asker;
use crate::body;
use crate::form::{Form, Params, missing};
use crate::problem::Problem;
use crate::settings::BODY_BYTES_MAX;

const DEFAULT_BOOK: &str = "litellm";
const DEFAULT_CURRENCY: &str = "USD";

pub(crate) async fn publish(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let limit = DOCUMENT_BYTES_MAX * 2;
    let mut form = Form::parse(&body::read(&headers, body, limit).await?)?;
    let toml = form.required_text("toml")?;
    let actor = asker.actor(&mut form)?;
    let reason = form.text("reason")?.unwrap_or_default();
    let (retroactive, dry_run) = (form.flag("retroactive")?, form.flag("dry_run")?);
    form.finish()?;
    let rates = Arc::clone(&app.rates);
    let published = tokio::task::spawn_blocking(move || {
        rates.publish(&Publication {
            toml: &toml,
            actor: &actor,
            reason: &reason,
            retroactive,
            dry_run,
            now: now(),
        })
    })
    .await?
    .map_err(publish_problem)?;
    let behind = match published.offset {
        Some(offset) => app.followed.adopted(offset.next(), app.settings.adoption_patience).await,
        None => Vec::new(),
    };
    let status = match published.already_published || dry_run {
        true => StatusCode::OK,
        false => StatusCode::CREATED,
    };
    let mut answer = published_json(&published);
    answer["dry_run"] = dry_run.into();
    answer["adopted_by_all"] = (published.offset.is_some() && behind.is_empty()).into();
    answer["not_adopted_by"] =
        behind.iter().map(|partition| partition.0).collect::<Vec<_>>().into();
    Ok(super::json(status, &answer))
}

fn published_json(published: &Published) -> Value {
    json!({
        "id": published.id,
        "kind": published.kind.word(),
        "version": published.version,
        "offset": published.offset,
        "already_published": published.already_published,
        "warnings": published.warnings,
        "unrated_covered": published.impact.unrated_covered,
        "charged_that_would_differ": differing(&published.impact),
    })
}

fn differing(impact: &Impact) -> Value {
    json!({
        "events": impact.charged_events,
        "credits_difference": impact.charged_credits,
        "at_least": !impact.whole,
    })
}

fn publish_problem(error: PublishError) -> Problem {
    let detail = error.to_string();
    match error {
        PublishError::Document(error) => document_problem(&error),
        PublishError::TooLarge { .. } => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "document_too_large", detail)
                .field("toml")
        }
        PublishError::RetroactiveRequired(impact) => {
            Problem::new(StatusCode::CONFLICT, "retroactive_required", detail)
                .field("retroactive")
                .with("charged_that_would_differ", differing(&impact))
                .with("unrated_covered", impact.unrated_covered)
        }
        PublishError::Raced(_) => Problem::new(StatusCode::CONFLICT, "raced", detail),
        PublishError::Catalogue(error) => catalogue_problem(error),
        PublishError::Order(_) => Problem::internal(detail),
    }
}

fn catalogue_problem(error: CatalogueError) -> Problem {
    match error {
        CatalogueError::Log(error) => error.into(),
        CatalogueError::Late(_) => Problem::unavailable(error.to_string()),
        CatalogueError::Unreadable { .. } => Problem::internal(error.to_string()),
    }
}

fn document_problem(error: &DocumentError) -> Problem {
    let status = match error.fault {
        rating::DocumentFault::VersionConflict => StatusCode::CONFLICT,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, error.code(), error.to_string())
        .field(error.field.as_str())
        .with("document", error.document.as_str())
        .with("rule", error.place.as_str())
        .with("message", error.message.as_str())
}

pub(crate) async fn list(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let versions = published(&app).await?;
    let in_force = in_force(&versions, now());
    let rows: Vec<Value> =
        versions.iter().map(|version| row(version, in_force.contains(&version.offset.0))).collect();
    let prices = app.followed.prices();
    let answer = json!({
        "versions": rows,
        "currency": prices.catalogue.currency().map(|currency| currency.to_string()),
        "next_offset": prices.next,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path((kind, id)): Path<(String, String)>,
    mut params: Params,
) -> Result<Response, Problem> {
    let wanted = params.parsed::<u32>("version", "bad_value")?;
    params.finish()?;
    let of_kind = DocumentKind::from_word(&kind).ok_or_else(|| {
        Problem::bad_request("bad_value", "kinds are price_book, rate_card, plan and defaults")
            .field("kind")
            .value(&kind)
    })?;
    let versions = published(&app).await?;
    let in_force = in_force(&versions, now());
    let of_id = |version: &&PublishedVersion| {
        version.record.kind == of_kind && version.record.id == id.as_str()
    };
    // Unless one is asked for: the one in force, or else the last.
    let found = match wanted {
        Some(wanted) => versions.iter().filter(of_id).find(|version| version.version == wanted),
        None => versions
            .iter()
            .filter(of_id)
            .find(|version| in_force.contains(&version.offset.0))
            .or_else(|| versions.iter().rev().find(of_id)),
    };
    let Some(version) = found else {
        let detail = format!("there is no such version of {kind} {id:?}");
        return Err(Problem::new(StatusCode::NOT_FOUND, "unknown_document", detail)
            .field("id")
            .value(&id));
    };
    let mut answer = row(version, in_force.contains(&version.offset.0));
    answer["toml"] = version.record.toml.as_ref().into();
    Ok(super::json(StatusCode::OK, &answer))
}

async fn published(app: &App) -> Result<Vec<PublishedVersion>, Problem> {
    scan(app, |shared| catalog::published(shared.log.as_ref()).map_err(catalogue_problem)).await
}

fn row(version: &PublishedVersion, in_force: bool) -> Value {
    let record = &version.record;
    let parsed = Document::parse(&record.toml).ok();
    json!({
        "kind": record.kind.word(),
        "id": record.id,
        "version": version.version,
        "offset": version.offset,
        "effective_from": record.effective_from,
        "effective_to": parsed.as_ref().and_then(Document::effective_to),
        "description": parsed.as_ref().and_then(Document::description),
        "in_force": in_force,
        "published_at": record.published_at,
        "actor": record.actor,
        "reason": record.reason,
        "retroactive": record.retroactive,
    })
}

/// Of each id the version that holds now: the latest beginning wins, then the later publication.
fn in_force(versions: &[PublishedVersion], now: Timestamp) -> Vec<i64> {
    let holds = |version: &&PublishedVersion| {
        Document::parse(&version.record.toml).is_ok_and(|document| document.is_in_force(now))
    };
    let holding: Vec<_> = versions.iter().filter(holds).collect();
    holding
        .iter()
        .filter(|version| {
            let (kind, id) = (version.record.kind, &version.record.id);
            let rank = |of: &PublishedVersion| (of.record.effective_from, of.offset);
            !holding.iter().any(|other| {
                other.record.kind == kind && other.record.id == *id && rank(other) > rank(version)
            })
        })
        .map(|version| version.offset.0)
        .collect()
}

pub(crate) async fn import(
    State(_app): State<App>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let map = form.required_text("json")?;
    let from = form
        .parsed::<Timestamp>("effective_from", "bad_time")?
        .ok_or_else(|| missing("effective_from"))?;
    let id = form.text("id")?.unwrap_or_else(|| DEFAULT_BOOK.to_owned());
    let currency = form.text("currency")?.unwrap_or_else(|| DEFAULT_CURRENCY.to_owned());
    form.finish()?;
    let currency: Currency = currency.parse().map_err(|_| {
        Problem::bad_request("bad_currency", "a currency is three capital letters")
            .field("currency")
            .value(&currency)
    })?;
    let import = tokio::task::spawn_blocking(move || import_litellm(&map, from, &id, currency))
        .await?
        .map_err(|error| {
            let detail = error.to_string();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_price_map", detail).field("json")
        })?;
    let listed: Vec<Value> = import
        .listed
        .iter()
        .map(|one| json!({ "model": one.model, "field": one.field, "value": one.value }))
        .collect();
    let answer = json!({ "toml": import.toml, "represented": import.models, "listed": listed });
    Ok(super::json(StatusCode::OK, &answer))
}

impl From<CatalogueError> for Problem {
    fn from(error: CatalogueError) -> Self {
        catalogue_problem(error)
    }
}
