//! Dead letters: grouped, one by one with what today's code says of them, as records, and sent
//! again.

mod retry;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{Offset, Partition, Topic, TopicPartition};
use serde_json::{Value, json};

use crate::app::{App, Shared, scan};
use crate::form::Params;
use crate::letters::groups::Groups;
use crate::letters::{self, Filter, Found, LetterName, LetterPlace, NotALetter, input_text, judge};
use crate::problem::Problem;
use crate::tail;

pub(crate) use retry::post as retry;

/// Bytes of records that one answer carries.
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The headers of a forwarded event: where it was found first.
const ORIGIN_PARTITION: &str = "tally-origin-partition";
const ORIGIN_OFFSET: &str = "tally-origin-offset";

/// The letters by code, source and schema.
pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let filter = Filter::of(&mut params)?;
    params.finish()?;
    let groups = scan(&app, move |shared| Groups::read(shared, &filter)).await?;
    Ok(super::json(StatusCode::OK, &groups.into_json()))
}

/// One letter, with its bytes.
pub(crate) async fn show(
    State(app): State<App>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let name: LetterName = named(&name)?;
    let answer = scan(&app, move |shared| {
        let catalogue = shared.followed.prices().catalogue;
        let (mut letter, from) = letters::one(shared, name, &mut |found| {
            let mut letter = with_record(found);
            letter["today"] = judge::of_letter(&catalogue, &found.letter).json();
            (letter, (found.letter.at, found.letter.offset))
        })?;
        letter["found_first"] = found_first(shared, from)?.into();
        Ok(letter)
    })
    .await?;
    Ok(super::json(StatusCode::OK, &answer))
}

/// Letters with their bytes, page by page, in the order of their names.
pub(crate) async fn records(
    State(app): State<App>,
    mut params: Params,
) -> Result<Response, Problem> {
    let filter = Filter::of(&mut params)?;
    let limit = super::limit_of(&mut params)? as usize;
    let from = params.parsed::<LetterPlace>("from", "bad_value")?.unwrap_or_default();
    params.finish()?;
    let answer = scan(&app, move |shared| {
        let (mut page, mut bytes, mut next) = (Vec::new(), 0, None);
        let is_all = letters::each_from(shared, from, &mut |found| {
            if !filter.takes(found) {
                return true;
            }
            if page.len() == limit || bytes > RECORD_BYTES_MAX {
                next = Some(found.place.to_string());
                return false;
            }
            bytes += found.letter.record.len();
            page.push(with_record(found));
            true
        })?;
        Ok(json!({ "letters": page, "next": next, "complete": is_all }))
    })
    .await?;
    Ok(super::json(StatusCode::OK, &answer))
}

fn named(name: &str) -> Result<LetterName, Problem> {
    name.parse().map_err(|error: NotALetter| {
        Problem::bad_request("bad_value", error.to_string()).field("letter").value(name)
    })
}

/// A letter and its bytes: as they are in base64, and as text where they are one.
fn with_record(found: &Found<'_>) -> Value {
    let mut letter = found.json();
    let record = &found.letter.record;
    letter["base64"] = STANDARD.encode(record).into();
    letter["text"] = std::str::from_utf8(record).ok().into();
    letter
}

/// A forwarded event was found elsewhere first: its headers say where.
fn found_first(
    shared: &Shared,
    (at, offset): (TopicPartition, Offset),
) -> Result<Option<String>, Problem> {
    if at.topic != Topic::UsageForwarded {
        return Ok(None);
    }
    let origin = tail::record_at(shared.log.as_ref(), at, offset, |record| {
        let text = |name| std::str::from_utf8(record.headers.header(name)?).ok();
        let partition = Partition(text(ORIGIN_PARTITION)?.parse().ok()?);
        let offset = Offset(text(ORIGIN_OFFSET)?.parse().ok()?);
        Some(input_text(TopicPartition { topic: Topic::UsageRaw, partition }, offset))
    })?;
    Ok(origin.flatten())
}
