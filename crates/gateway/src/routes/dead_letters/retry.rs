//! `POST /v1/dead-letters/retry`: the bytes of dead letters to `usage.raw` again.
//!
//! Only what today's code can read is sent; the rest would come back as a letter. What is sent are
//! the original bytes, so that the event keeps its identity: one that was charged meanwhile, or that
//! is sent twice because somebody was interrupted, is a duplicate by construction. Where the bytes
//! came from travels in the record's headers. Behind each letter a mark says that it was sent again;
//! it is written once the bytes are durable, never before.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use domain::{Offset, Partition, Topic, TopicPartition};
use rating::Catalogue;
use serde_json::{Value, json};
use wire::DeadLetterRetry;

use crate::app::{App, literal, now, scan};
use crate::appender::Outbound;
use crate::auth::Asker;
use crate::command;
use crate::form::Form;
use crate::letters::judge::{self, Known, Readable, Today};
use crate::letters::{self, Filter, LetterName, LetterPlace};
use crate::problem::Problem;
use crate::routes::events::{ended, wait_of};

const LETTERS_MAX: usize = 500;
/// Bytes that one request holds in memory.
const BYTES_MAX: usize = 8 * 1024 * 1024;
const WAIT: Duration = Duration::from_secs(10);
/// Without ClickHouse a forecast knows no duplicates and no plans; nothing else needs it.
const KNOWN_PATIENCE: Duration = Duration::from_secs(3);

const LETTER: &str = "tally-dead-letter";
const ORIGIN_TOPIC: &str = "tally-origin-topic";
const ORIGIN_PARTITION: &str = "tally-origin-partition";
const ORIGIN_OFFSET: &str = "tally-origin-offset";
const ACTOR: &str = "tally-retried-by";

/// What is asked for.
#[derive(Debug)]
struct Asked {
    filter: Filter,
    letter: Option<LetterName>,
    from: LetterPlace,
    limit: usize,
    /// Nothing is sent; the answer says what would become of it.
    is_dry: bool,
    wait: Duration,
    actor: String,
}

impl Asked {
    fn read(mut form: Form, asker: &Asker) -> Result<Self, Problem> {
        let code = form.text("code")?.map(|code| letters::code_of(&code)).transpose()?;
        let again = form.flag("again")?;
        let asked = Self {
            filter: Filter {
                code,
                source: form.text("source")?,
                schema: form.text("schema")?,
                since: form.parsed("since", "bad_time")?,
                retried: (!again).then_some(false),
            },
            letter: form.parsed("letter", "bad_value")?,
            from: form.parsed("from", "bad_value")?.unwrap_or_default(),
            limit: form.number("limit", "a whole number")?.unwrap_or(LETTERS_MAX),
            is_dry: form.typed("dry_run", "true or false")?.unwrap_or(true),
            wait: match form.number::<u64>("wait_s", "a number of seconds")? {
                Some(seconds) => wait_of("wait_s", &seconds.to_string())?,
                None => WAIT,
            },
            actor: asker.actor(&mut form)?,
        };
        form.finish()?;
        match (1..=LETTERS_MAX).contains(&asked.limit) {
            true => Ok(asked),
            false => {
                let detail = format!("a limit is a number from 1 to {LETTERS_MAX}");
                Err(Problem::bad_request("bad_value", detail)
                    .field("limit")
                    .value(&asked.limit.to_string()))
            }
        }
    }
}

/// A letter that was chosen.
struct Chosen {
    place: LetterPlace,
    from: (TopicPartition, Offset),
    about: Value,
    today: Today,
    record: Bytes,
}

#[derive(Default)]
struct Choice {
    letters: Vec<Chosen>,
    /// Where the next request goes on.
    next: Option<LetterPlace>,
}

pub(crate) async fn post(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let asked = Asked::read(command::form(&headers, body).await?, &asker)?;
    let (is_dry, wait, actor) = (asked.is_dry, asked.wait, asked.actor.clone());
    let choice =
        scan(&app, move |shared| choose(shared, &shared.followed.prices().catalogue, &asked))
            .await?;
    let told = match is_dry {
        true => foreseen(&app, &choice.letters).await,
        false => send(&app, &choice.letters, wait, &actor).await?,
    };
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for end in &told {
        *counts.entry(end["outcome"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    let letters: Vec<Value> = choice
        .letters
        .iter()
        .zip(told)
        .map(|(letter, end)| {
            let mut about = letter.about.clone();
            about["today"] = letter.today.json();
            about[if is_dry { "would" } else { "ended" }] = end;
            about
        })
        .collect();
    let answer = json!({
        "dry_run": is_dry,
        "letters": letters,
        "outcomes": counts,
        "next": choice.next.map(|place| place.to_string()),
    });
    Ok(crate::routes::json(StatusCode::OK, &answer))
}

fn choose(
    shared: &crate::app::Shared,
    catalogue: &Catalogue,
    asked: &Asked,
) -> Result<Choice, Problem> {
    let chosen = |found: &letters::Found<'_>| Chosen {
        place: found.place,
        from: (found.letter.at, found.letter.offset),
        about: found.json(),
        today: judge::of_letter(catalogue, &found.letter),
        record: Bytes::copy_from_slice(&found.letter.record),
    };
    if let Some(name) = asked.letter {
        // The one that is named is sent again however often it was before.
        let letter = letters::one(shared, name, &mut |found| chosen(found))?;
        return Ok(Choice { letters: vec![letter], next: None });
    }
    let (mut choice, mut bytes) = (Choice::default(), 0);
    letters::each_from(shared, asked.from, &mut |found| {
        if !asked.filter.takes(found) {
            return true;
        }
        if choice.letters.len() == asked.limit || bytes > BYTES_MAX {
            choice.next = Some(found.place);
            return false;
        }
        bytes += found.letter.record.len();
        choice.letters.push(chosen(found));
        true
    })?;
    Ok(choice)
}

/// Why a letter is not sent.
fn not_sent(today: &Today) -> Value {
    let (code, detail) = match today {
        Today::Fault(fault) => (fault.reason.code(), "it still cannot be processed: it stays open"),
        Today::Command => (
            domain::Reason::BadCommand.code(),
            "a command is given again by whoever gave it: its deadline has passed",
        ),
        Today::Event(_) => ("", ""),
    };
    json!({ "outcome": "not_sent", "code": code, "detail": detail })
}

/// What would become of each.
async fn foreseen(app: &App, letters: &[Chosen]) -> Vec<Value> {
    let known = match tokio::time::timeout(KNOWN_PATIENCE, known_of(app, letters)).await {
        Ok(Ok(known)) => known,
        Ok(Err(error)) => {
            tracing::warn!(error = error.detail(), "duplicates are not foreseen");
            HashMap::new()
        }
        Err(_) => HashMap::new(),
    };
    let catalogue = app.followed.prices().catalogue;
    let views = app.followed.views();
    letters
        .iter()
        .map(|letter| match &letter.today {
            Today::Event(readable) => {
                let nothing = Known::default();
                let known = known.get(&identity(readable)).unwrap_or(&nothing);
                let home = app.home(&readable.event.account);
                let time = views.get(home.0 as usize).map_or_else(now, |view| view.ledger_time);
                // A partition that never decided anything knows no time yet.
                judge::forecast(&catalogue, readable, known, time.max(letter_time(letter)))
            }
            Today::Fault(_) | Today::Command => not_sent(&letter.today),
        })
        .collect()
}

/// Ledger time was at least this when the letter was put aside.
fn letter_time(letter: &Chosen) -> domain::Timestamp {
    letter.about["put_aside_at"]
        .as_str()
        .and_then(|time| time.parse().ok())
        .unwrap_or(domain::Timestamp::ZERO)
}

/// Account, source and id.
type Identity = (String, String, String);

fn identity(readable: &Readable) -> Identity {
    let event = &readable.event;
    (event.account.to_string(), event.source.to_string(), event.id.to_string())
}

/// Plans of the accounts, and entries of the identities, as far as ClickHouse has them.
async fn known_of(app: &App, letters: &[Chosen]) -> Result<HashMap<Identity, Known>, Problem> {
    #[derive(serde::Deserialize)]
    struct Taken {
        account: String,
        source: String,
        event_id: String,
        entry_id: String,
        content_hash: String,
    }
    #[derive(serde::Deserialize)]
    struct Planned {
        account: String,
        plan: String,
    }
    let wanted: Vec<Identity> = letters
        .iter()
        .filter_map(|letter| match &letter.today {
            Today::Event(readable) => Some(identity(readable)),
            Today::Fault(_) | Today::Command => None,
        })
        .collect();
    if wanted.is_empty() {
        return Ok(HashMap::new());
    }
    let tuples: Vec<String> = wanted
        .iter()
        .map(|(account, source, id)| {
            format!("({}, {}, {})", literal(account), literal(source), literal(id))
        })
        .collect();
    let accounts: Vec<String> = wanted.iter().map(|(account, ..)| literal(account)).collect();
    let taken = format!(
        "SELECT e.account AS account, e.source AS source, e.event_id AS event_id,
            e.entry_id AS entry_id, e.content_hash AS content_hash
         FROM ledger_entries AS e
         WHERE e.account IN ({}) AND e.kind IN ('debit', 'unrated') AND e.cause_kind = 'input'
            AND (e.account, e.source, e.event_id) IN ({})",
        accounts.join(", "),
        tuples.join(", ")
    );
    let plans = format!(
        "SELECT b.account AS account, b.plan AS plan FROM balances AS b WHERE b.account IN ({})",
        accounts.join(", ")
    );
    let (taken, plans): (Vec<Taken>, Vec<Planned>) =
        crate::app::both(app.warehouse.query_rows(&taken), app.warehouse.query_rows(&plans))
            .await?;
    let plan_of: HashMap<&str, &str> =
        plans.iter().map(|row| (row.account.as_str(), row.plan.as_str())).collect();
    let mut known: HashMap<Identity, Known> = wanted
        .into_iter()
        .map(|identity| {
            let plan = plan_of.get(identity.0.as_str()).filter(|plan| !plan.is_empty());
            let plan = plan.map(|plan| (*plan).to_owned());
            (identity, Known { plan, taken: None })
        })
        .collect();
    for row in taken {
        if let Some(known) = known.get_mut(&(row.account, row.source, row.event_id)) {
            known.taken = Some((row.entry_id, row.content_hash));
        }
    }
    Ok(known)
}

/// Sends what can be read, marks it, and waits for what becomes of it.
async fn send(
    app: &App,
    letters: &[Chosen],
    patience: Duration,
    actor: &str,
) -> Result<Vec<Value>, Problem> {
    let watch = app.followed.watch();
    let readable: Vec<(&Chosen, &Readable)> = letters
        .iter()
        .filter_map(|letter| match &letter.today {
            Today::Event(readable) => Some((letter, readable.as_ref())),
            Today::Fault(_) | Today::Command => None,
        })
        .collect();
    let records: Vec<Outbound> =
        readable.iter().map(|(letter, readable)| outbound(app, letter, readable, actor)).collect();
    let places: Vec<Partition> = records.iter().map(|record| record.to.partition).collect();
    let offsets = app.appending.append(records).await?;
    let inputs: Vec<(Partition, Offset)> = places.into_iter().zip(offsets).collect();
    let marks =
        readable.iter().zip(&inputs).map(|((letter, _), input)| mark(letter.place, *input, actor));
    app.appending.append(marks.collect()).await?;

    let decided = app.followed.outcomes(&watch, &inputs, patience).await;
    let mut ends = inputs.iter().zip(decided);
    Ok(letters
        .iter()
        .map(|letter| match &letter.today {
            Today::Event(_) => {
                let Some(((partition, offset), decided)) = ends.next() else {
                    return json!({ "outcome": "pending" });
                };
                let mut end = json!({ "partition": partition, "offset": offset });
                match decided {
                    Some(decided) => ended(&mut end, *partition, decided.ending),
                    None => end["outcome"] = "pending".into(),
                }
                end
            }
            Today::Fault(_) | Today::Command => not_sent(&letter.today),
        })
        .collect())
}

/// The bytes as they were, to the account's own partition.
fn outbound(app: &App, letter: &Chosen, readable: &Readable, actor: &str) -> Outbound {
    let account = readable.event.account.as_ref();
    let (at, offset) = letter.from;
    Outbound {
        to: TopicPartition { topic: Topic::UsageRaw, partition: app.home(account) },
        key: Bytes::copy_from_slice(account.as_bytes()),
        value: letter.record.clone(),
        headers: vec![
            (LETTER, letter.place.to_string().into_bytes()),
            (ORIGIN_TOPIC, at.topic.name().as_bytes().to_vec()),
            (ORIGIN_PARTITION, at.partition.to_string().into_bytes()),
            (ORIGIN_OFFSET, offset.to_string().into_bytes()),
            (ACTOR, actor.as_bytes().to_vec()),
        ],
    }
}

/// Behind the letter, in its own partition.
fn mark(letter: LetterPlace, (partition, offset): (Partition, Offset), actor: &str) -> Outbound {
    let retry = DeadLetterRetry {
        letter: letter.offset,
        partition,
        offset,
        retried_at: now(),
        actor: actor.into(),
    };
    let mut value = Vec::new();
    wire::encode_dead_letter_retry(&retry, &mut value);
    let to = TopicPartition { topic: Topic::DeadLetters, partition: letter.partition };
    Outbound { to, key: Bytes::new(), value: value.into(), headers: Vec::new() }
}
