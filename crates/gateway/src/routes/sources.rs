//! `GET /v1/sources`: how each producer behaves.
//!
//! Everything here is from the ledger's own rows. What leaves no entry is known all the same: a
//! duplicate by the entry that its seal says it repeats, a misrouted event by where it was found in
//! the end (`usage.forwarded`), as an entry, a duplicate or a dead letter. What the API refused never
//! reached the log, and is counted in the gateway's metrics alone.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, literal, now};
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::history::time_literal;
use crate::routes::limit_of;

const WINDOW_MICROS: i64 = 7 * 86_400 * 1_000_000;
/// Sources come from outside: the busiest are told.
const SOURCES_MAX: u32 = 1_000;
/// A query of people's never stands in the way of the projector for longer.
const BOUNDS: &str = "SETTINGS max_execution_time = 20, max_memory_usage = 2000000000";

/// What is asked for: since when, and one source or all.
struct Asked {
    since: Timestamp,
    source: Option<String>,
}

impl Asked {
    /// As a condition on the columns of `alias`.
    fn condition(&self, alias: &str) -> String {
        let since = format!("{alias}.recorded_at >= {}", time_literal(self.since));
        match &self.source {
            Some(source) => format!("{since} AND {alias}.source = {}", literal(source)),
            None => since,
        }
    }
}

pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let since = params.parsed("since", "bad_time")?;
    let asked = Asked {
        since: since.unwrap_or_else(|| now().plus_micros(-WINDOW_MICROS)),
        source: params.text("source"),
    };
    let limit = limit_of(&mut params)?;
    params.finish()?;
    let (entries, duplicates) = (entries_sql(&asked), duplicates_sql(&asked));
    let (letters, holds, unrated) = (letters_sql(&asked), holds_sql(&asked), unrated_sql(&asked));
    let (entries, duplicates, letters, holds, unrated) = tokio::try_join!(
        app.warehouse.query_rows::<Entries>(&entries),
        app.warehouse.query_rows::<Duplicates>(&duplicates),
        app.warehouse.query_rows::<Letters>(&letters),
        app.warehouse.query_rows::<Count>(&holds),
        app.warehouse.query_rows::<Count>(&unrated),
    )?;
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    for row in entries {
        let source = sources.entry(row.source.clone()).or_default();
        source.entries = Some(row);
    }
    for row in duplicates {
        let source = sources.entry(row.source.clone()).or_default();
        source.duplicates = Some(row);
    }
    for row in letters {
        let source = sources.entry(row.source.clone()).or_default();
        source.letters = Some(row);
    }
    for row in holds {
        sources.entry(row.source).or_default().unmatched_holds = row.count;
    }
    for row in unrated {
        sources.entry(row.source).or_default().unrated_waiting = row.count;
    }
    let mut sources: Vec<(String, Source)> = sources.into_iter().collect();
    let count = sources.len();
    sources.sort_by_key(|(name, source)| (std::cmp::Reverse(source.inputs()), name.clone()));
    sources.truncate(limit as usize);
    let shown: Vec<Value> = sources.iter().map(|(name, source)| source.json(name)).collect();
    let answer = json!({
        "since": asked.since,
        "count": count,
        "sources": shown,
        "freshness": freshness_of(&app, None).await?,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

#[derive(Default)]
struct Source {
    entries: Option<Entries>,
    duplicates: Option<Duplicates>,
    letters: Option<Letters>,
    unmatched_holds: u64,
    unrated_waiting: u64,
}

/// What became entries.
#[derive(Deserialize)]
struct Entries {
    source: String,
    events: u64,
    conflicts: u64,
    too_early: u64,
    too_late: u64,
    misrouted: u64,
    ahead_ms_max: i64,
    behind_ms_p50: i64,
    behind_ms_p99: i64,
    behind_ms_max: i64,
    last_seen: String,
}

#[derive(Deserialize)]
struct Duplicates {
    source: String,
    duplicates: u64,
    misrouted: u64,
    last_seen: String,
}

#[derive(Deserialize)]
struct Letters {
    source: String,
    dead_letters: u64,
    misrouted: u64,
    last_seen: String,
}

#[derive(Deserialize)]
struct Count {
    source: String,
    count: u64,
}

impl Source {
    fn inputs(&self) -> u64 {
        let entries = self.entries.as_ref();
        let aside = entries.map_or(0, |row| row.conflicts + row.too_early + row.too_late);
        entries.map_or(0, |row| row.events)
            + aside
            + self.duplicates.as_ref().map_or(0, |row| row.duplicates)
            + self.letters.as_ref().map_or(0, |row| row.dead_letters)
    }

    fn json(&self, name: &str) -> Value {
        let entries = self.entries.as_ref();
        let of = |pick: fn(&Entries) -> u64| entries.map_or(0, pick);
        let last = [
            entries.map(|row| &row.last_seen),
            self.duplicates.as_ref().map(|row| &row.last_seen),
            self.letters.as_ref().map(|row| &row.last_seen),
        ];
        let last: Option<Timestamp> =
            last.into_iter().flatten().filter_map(|time| time.parse().ok()).max();
        json!({
            // Letters whose producer could not be read.
            "source": if name.is_empty() { Value::Null } else { name.into() },
            "inputs": self.inputs(),
            "events": of(|row| row.events),
            "duplicates": self.duplicates.as_ref().map_or(0, |row| row.duplicates),
            "conflicts": of(|row| row.conflicts),
            "too_early": of(|row| row.too_early),
            "too_late": of(|row| row.too_late),
            "misrouted": of(|row| row.misrouted)
                + self.duplicates.as_ref().map_or(0, |row| row.misrouted)
                + self.letters.as_ref().map_or(0, |row| row.misrouted),
            "dead_letters": self.letters.as_ref().map_or(0, |row| row.dead_letters),
            "unrated_waiting": self.unrated_waiting,
            "unmatched_holds": self.unmatched_holds,
            "clock": entries.map(|row| json!({
                "ahead_s_max": seconds(row.ahead_ms_max.max(0)),
                "behind_s_p50": seconds(row.behind_ms_p50),
                "behind_s_p99": seconds(row.behind_ms_p99),
                "behind_s_max": seconds(row.behind_ms_max),
            })),
            "last_seen": last,
        })
    }
}

fn seconds(millis: i64) -> String {
    let sign = if millis < 0 { "-" } else { "" };
    let millis = millis.unsigned_abs();
    format!("{sign}{}.{:03}", millis / 1_000, millis % 1_000)
}

/// An event is behind by its way: from when it happened to when the ledger had it. One that is ahead
/// has a clock that is wrong.
fn entries_sql(asked: &Asked) -> String {
    let behind = "dateDiff('millisecond', e.event_time, e.recorded_at)";
    format!(
        "SELECT e.source AS source, countIf(e.kind IN ('debit', 'unrated')) AS events,
            countIf(e.kind = 'quarantined' AND e.reason = 'identity_conflict') AS conflicts,
            countIf(e.kind = 'quarantined' AND e.reason = 'too_early') AS too_early,
            countIf(e.kind = 'quarantined' AND e.reason = 'too_late') AS too_late,
            countIf(e.cause_topic = 'usage.forwarded') AS misrouted,
            ifNull(max(-{behind}), 0) AS ahead_ms_max,
            toInt64(ifNotFinite(quantileTDigest(0.5)({behind}), 0)) AS behind_ms_p50,
            toInt64(ifNotFinite(quantileTDigest(0.99)({behind}), 0)) AS behind_ms_p99,
            ifNull(max({behind}), 0) AS behind_ms_max,
            max(e.recorded_at) AS last_seen
         FROM ledger_entries AS e
         WHERE e.cause_kind = 'input' AND e.kind IN ('debit', 'unrated', 'quarantined')
            AND e.event_time IS NOT NULL AND {}
         GROUP BY e.source ORDER BY events DESC LIMIT {SOURCES_MAX} {BOUNDS}",
        asked.condition("e")
    )
}

/// A duplicate is of the source of what it repeats.
fn duplicates_sql(asked: &Asked) -> String {
    let of_source = asked
        .source
        .as_ref()
        .map_or_else(String::new, |source| format!(" WHERE e.source = {}", literal(source)));
    format!(
        "SELECT e.source AS source, sum(d.times) AS duplicates, sum(d.misrouted) AS misrouted,
            max(d.last_at) AS last_seen
         FROM ledger_entries AS e
         INNER JOIN
         (
            SELECT JSONExtractString(exception, 'repeats') AS repeats, count() AS times,
                countIf(JSONExtractString(exception, 'topic') = 'usage.forwarded') AS misrouted,
                max(s.recorded_at) AS last_at
            FROM seals AS s
            ARRAY JOIN JSONExtractArrayRaw(s.exceptions) AS exception
            WHERE s.duplicates > 0
                AND s.recorded_at >= {}
                AND JSONExtractString(exception, 'outcome') = 'duplicate'
            GROUP BY repeats
         ) AS d ON e.entry_id = d.repeats{of_source}
         GROUP BY e.source ORDER BY duplicates DESC LIMIT {SOURCES_MAX} {BOUNDS}",
        time_literal(asked.since)
    )
}

fn letters_sql(asked: &Asked) -> String {
    format!(
        "SELECT d.source AS source, count() AS dead_letters,
            countIf(d.cause_topic = 'usage.forwarded') AS misrouted,
            max(d.recorded_at) AS last_seen
         FROM dead_letters AS d WHERE d.cause_topic != 'ledger.commands' AND {}
         GROUP BY d.source ORDER BY dead_letters DESC LIMIT {SOURCES_MAX} {BOUNDS}",
        asked.condition("d")
    )
}

/// Events whose hold was not there, or had ended with nothing waiting.
fn holds_sql(asked: &Asked) -> String {
    format!(
        "SELECT u.source AS source, sum(u.events) AS count FROM usage_lines AS u
         WHERE u.hold != '' AND NOT u.hold_matched AND u.entry_kind = 'debit' AND {}
         GROUP BY u.source HAVING count > 0 ORDER BY count DESC LIMIT {SOURCES_MAX} {BOUNDS}",
        asked.condition("u")
    )
}

fn unrated_sql(asked: &Asked) -> String {
    let of_source = asked
        .source
        .as_ref()
        .map_or_else(String::new, |source| format!(" WHERE n.source = {}", literal(source)));
    format!(
        "SELECT n.source AS source, count() AS count FROM unrated_usage AS n{of_source}
         GROUP BY n.source ORDER BY count DESC LIMIT {SOURCES_MAX} {BOUNDS}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_keep_their_sign() {
        assert_eq!(seconds(0), "0.000");
        assert_eq!(seconds(61_005), "61.005");
        assert_eq!(seconds(-250), "-0.250");
    }
}
