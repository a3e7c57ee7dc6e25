//! Dead letters, read from their own topic.
//!
//! The topic is the record: it has every letter with its bytes, and behind them what was sent again.
//! ClickHouse has the same rows for analysts; but a letter may be what an operator looks at while
//! ClickHouse is away, so nothing here needs it.

pub(crate) mod groups;
pub(crate) mod judge;
mod place;

use std::collections::BTreeMap;

use domain::{Offset, Partition, Reason, Timestamp, Topic, TopicPartition};
use serde_json::{Value, json};
use wire::{DeadLetter, Framing};

use crate::app::Shared;
use crate::form::Params;
use crate::problem::Problem;
use crate::tail;

pub(crate) use place::{LetterName, LetterPlace, NotALetter, input_text};

/// The newest records of a partition that are looked through; an answer says when there are more.
const RECORDS_MAX: i64 = 300_000;

/// Which letters are meant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub(crate) code: Option<Reason>,
    pub(crate) source: Option<String>,
    pub(crate) schema: Option<String>,
    /// Put aside at or after this.
    pub(crate) since: Option<Timestamp>,
    /// `None` means both.
    pub(crate) retried: Option<bool>,
}

impl Filter {
    /// From the parameters `code`, `source`, `schema`, `since` and `state`.
    pub(crate) fn of(params: &mut Params) -> Result<Self, Problem> {
        let code = params.text("code").map(|code| code_of(&code)).transpose()?;
        let retried = state_of(params.text("state").as_deref())?;
        Ok(Self {
            code,
            source: params.text("source"),
            schema: params.text("schema"),
            since: params.parsed("since", "bad_time")?,
            retried,
        })
    }

    pub(crate) fn takes(&self, found: &Found<'_>) -> bool {
        let letter = &found.letter;
        self.code.is_none_or(|code| code == letter.reason)
            && self.source.as_deref().is_none_or(|source| source == found.source())
            && self.schema.as_deref().is_none_or(|schema| schema == found.schema().to_string())
            && self.since.is_none_or(|since| found.put_aside_at >= since)
            && self.retried.is_none_or(|retried| retried == found.retry.is_some())
    }
}

/// A reason code, as it is asked for.
pub(crate) fn code_of(code: &str) -> Result<Reason, Problem> {
    Reason::from_code(code).ok_or_else(|| {
        let detail = format!("`{code}` is no reason code: docs/reasons.md lists them");
        Problem::bad_request("bad_value", detail).field("code").value(code)
    })
}

/// Open, retried or all.
fn state_of(word: Option<&str>) -> Result<Option<bool>, Problem> {
    match word {
        None | Some("all") => Ok(None),
        Some("open") => Ok(Some(false)),
        Some("retried") => Ok(Some(true)),
        Some(other) => Err(Problem::bad_request("bad_value", "states are open, retried and all")
            .field("state")
            .value(other)),
    }
}

/// When a letter was sent again the last time, by whom, to where, and how often in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    pub(crate) partition: Partition,
    pub(crate) offset: Offset,
    pub(crate) times: u32,
}

/// What was sent again of one partition's letters.
pub(crate) type Retries = BTreeMap<Offset, Retry>;

/// A letter where it stands.
#[derive(Debug)]
pub(crate) struct Found<'r> {
    pub(crate) place: LetterPlace,
    pub(crate) put_aside_at: Timestamp,
    pub(crate) letter: DeadLetter<'r>,
    pub(crate) retry: Option<&'r Retry>,
}

impl Found<'_> {
    pub(crate) fn source(&self) -> &str {
        self.letter.source.as_deref().unwrap_or_default()
    }

    pub(crate) fn schema(&self) -> Framing {
        Framing::of(&self.letter.record)
    }

    /// What every answer says of a letter; its bytes are left to those that want them.
    pub(crate) fn json(&self) -> Value {
        let letter = &self.letter;
        json!({
            "letter": self.place.to_string(),
            "state": if self.retry.is_some() { "retried" } else { "open" },
            "code": letter.reason.code(),
            "about": letter.reason.row().about,
            "field": letter.field,
            "value": letter.value,
            "account": letter.account,
            "source": letter.source,
            "id": letter.id,
            "schema": self.schema().to_string(),
            "input": input_text(letter.at, letter.offset),
            "topic": letter.at.topic.name(),
            "partition": letter.at.partition,
            "offset": letter.offset,
            "received_at": letter.received_at,
            "put_aside_at": self.put_aside_at,
            "byte_count": letter.record.len(),
            "retry": self.retry.map(|retry| json!({
                "at": retry.at,
                "actor": retry.actor,
                "input": input_text(
                    TopicPartition { topic: Topic::UsageRaw, partition: retry.partition },
                    retry.offset,
                ),
                "partition": retry.partition,
                "offset": retry.offset,
                "times": retry.times,
            })),
        })
    }
}

const fn letters_of(partition: Partition) -> TopicPartition {
    TopicPartition { topic: Topic::DeadLetters, partition }
}

/// Where the newest records of a partition begin, and whether they are all.
fn newest(shared: &Shared, partition: Partition) -> Result<(Offset, bool), Problem> {
    let bounds = shared.log.bounds(letters_of(partition))?;
    let from = Offset(bounds.stable_end.0.saturating_sub(RECORDS_MAX)).max(bounds.start);
    Ok((from, from == bounds.start))
}

/// What was sent again of the newest letters of a partition.
pub(crate) fn retries(shared: &Shared, partition: Partition) -> Result<Retries, Problem> {
    let (from, _) = newest(shared, partition)?;
    let mut retries = Retries::new();
    let log = shared.log.as_ref();
    tail::read(log, letters_of(partition), from, RECORDS_MAX, &mut |record| {
        let Ok(mark) = wire::decode_dead_letter_retry(record.value) else { return };
        let times = retries.get(&mark.letter).map_or(1, |retry| retry.times + 1);
        let retry = Retry {
            at: mark.retried_at,
            actor: mark.actor.into_owned(),
            partition: mark.partition,
            offset: mark.offset,
            times,
        };
        retries.insert(mark.letter, retry);
    })?;
    Ok(retries)
}

/// Shows the letters of a partition from a place on to `visit`, until it returns false. Returns
/// whether all that the topic holds were within reach.
pub(crate) fn each(
    shared: &Shared,
    (partition, from): (Partition, Offset),
    visit: &mut dyn FnMut(&Found<'_>) -> bool,
) -> Result<bool, Problem> {
    let retries = retries(shared, partition)?;
    let (newest, is_all) = newest(shared, partition)?;
    let log = shared.log.as_ref();
    let at = letters_of(partition);
    tail::read_while(log, at, from.max(newest), RECORDS_MAX, &mut |record| {
        // A retry is no letter; what is neither was written by a newer tally, and is the
        // projector's to complain about.
        let Ok(letter) = wire::decode_dead_letter(record.value) else { return true };
        visit(&Found {
            place: LetterPlace { partition, offset: record.offset },
            put_aside_at: record.appended_at,
            letter,
            retry: retries.get(&record.offset),
        })
    })?;
    Ok(is_all)
}

/// The same over all partitions, from a letter on, in the order of their names.
pub(crate) fn each_from(
    shared: &Shared,
    from: LetterPlace,
    visit: &mut dyn FnMut(&Found<'_>) -> bool,
) -> Result<bool, Problem> {
    let (mut is_all, mut wants_more) = (true, true);
    for partition in shared.partitions().filter(|partition| *partition >= from.partition) {
        let first = if partition == from.partition { from.offset } else { Offset::ZERO };
        is_all &= each(shared, (partition, first), &mut |found| {
            wants_more = visit(found);
            wants_more
        })?;
        if !wants_more {
            break;
        }
    }
    Ok(is_all)
}

/// The letter of a name, shown to `take`.
pub(crate) fn one<T>(
    shared: &Shared,
    name: LetterName,
    take: &mut dyn FnMut(&Found<'_>) -> T,
) -> Result<T, Problem> {
    let (partition, from) = match name {
        LetterName::Letter(place) => (place.partition, place.offset),
        // A record is put aside in the partition of its own number.
        LetterName::Input { at, .. } => (at.partition, Offset::ZERO),
    };
    if partition.0 >= shared.settings.partitions {
        return Err(unknown(name));
    }
    let mut taken = None;
    each(shared, (partition, from), &mut |found| {
        if name.is(found) {
            taken = Some(take(found));
        }
        taken.is_none() && !name.is_before(found)
    })?;
    taken.ok_or_else(|| unknown(name))
}

fn unknown(name: LetterName) -> Problem {
    let detail = format!("there is no dead letter {name}; letters are kept for some days only");
    Problem::new(axum::http::StatusCode::NOT_FOUND, "unknown_letter", detail)
        .field("letter")
        .value(&name.to_string())
}
