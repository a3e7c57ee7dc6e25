//! What an account had at a past time, and the entries that made it: `balance?at=…`.
//!
//! The time is ledger time. The entry that the balance follows is found in ClickHouse and read again
//! from the ledger itself; the answer says whether both agree, whether the account's entries up to it
//! are there without a gap, and whether their changes add up to it.

use axum::http::StatusCode;
use axum::response::Response;
use domain::{Credits, Offset, Timestamp, Topic, TopicPartition};
use ledger::Balance;
use serde::Deserialize;
use serde_json::{Value, json};
use wire::LedgerRecord;

use crate::answer::balance_json;
use crate::app::{App, literal, scan};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::rows;
use crate::tail;

/// Entries that are listed; all are counted and summed.
const ENTRIES_SHOWN: u32 = 20;

/// A ledger time in SQL.
pub(crate) fn time_literal(time: Timestamp) -> String {
    format!("parseDateTime64BestEffort('{time}', 6, 'UTC')")
}

/// The entry that a balance follows.
#[derive(Deserialize)]
struct Closing {
    entry_id: String,
    sequence: u64,
    recorded_at: String,
    ledger_offset: Offset,
    settled: Credits,
    held: Credits,
    in_grace: Credits,
    overage: Credits,
}

impl Closing {
    fn balance(&self) -> Balance {
        Balance {
            settled: self.settled,
            overage: self.overage,
            held: self.held,
            in_grace: self.in_grace,
        }
    }
}

/// Everything up to the closing entry.
#[derive(Default, Deserialize)]
struct Whole {
    entries: u64,
    last: u64,
    settled: Credits,
}

#[derive(Deserialize)]
struct Lots {
    remaining: Credits,
}

/// The account at `at`; its movements since `from`, or since its first entry.
pub(crate) async fn balance_at(
    app: &App,
    account: &str,
    at: Timestamp,
    from: Option<Timestamp>,
) -> Result<Response, Problem> {
    if from.is_some_and(|from| from > at) {
        let detail = "`from` is not after `at`";
        return Err(Problem::bad_request("bad_time", detail).field("from"));
    }
    let name = literal(account);
    let closing = closing(app, &name, at).await?;
    let opening = match from {
        Some(from) => self::closing(app, &name, from).await?,
        None => None,
    };
    let freshness = freshness_of(app, Some(app.home(account))).await?;
    let as_of = freshness["as_of"].as_str().and_then(|time| time.parse::<Timestamp>().ok());
    let is_complete = as_of.is_some_and(|as_of| as_of >= at);
    let Some(closing) = closing else {
        let answer = json!({
            "account": account, "at": at, "known": false, "complete": is_complete,
            "balance": balance_json(&Balance::default()), "freshness": freshness,
        });
        return Ok(super::json(StatusCode::OK, &answer));
    };
    let (first, last) = (opening.as_ref().map_or(0, |opening| opening.sequence), closing.sequence);
    let (whole, movements) = crate::app::both(
        rows(app, &whole_sql(&name, last)),
        rows(app, &movements_sql(&name, first, last)),
    )
    .await?;
    let (lots, entries) = crate::app::both(
        rows(app, &lots_sql(&name, at, last)),
        rows(app, &entries_sql(&name, first, last)),
    )
    .await?;
    let whole: Whole = typed(whole.into_iter().next())?.unwrap_or_default();
    let remaining: Credits = lots
        .iter()
        .filter(|lot| lot["state"] != "upcoming")
        .filter_map(|lot| Lots::deserialize(lot).ok())
        .map(|lots| lots.remaining)
        .sum();
    let opened = opening.as_ref().map_or(Credits::ZERO, |opening| opening.settled);
    let moved: Credits =
        movements.iter().filter_map(|row| row["credits"].as_str()?.parse::<Credits>().ok()).sum();
    let in_ledger = in_ledger(app, account, &closing).await?;
    let answer = json!({
        "account": account,
        "at": at,
        "known": true,
        "complete": is_complete,
        "entry": closing.entry_id,
        "sequence": closing.sequence,
        "recorded_at": closing.recorded_at,
        "ledger_partition": app.home(account),
        "ledger_offset": closing.ledger_offset,
        "balance": balance_json(&closing.balance()),
        "lots": lots,
        "from": from,
        "opening": opened,
        "movements": movements,
        "closing": closing.settled,
        "entries": entries,
        "checks": {
            "sequence_without_gap": whole.entries == whole.last && whole.last == closing.sequence,
            "entries_add_up": whole.settled == closing.settled,
            "movements_add_up": opened + moved == closing.settled,
            "lots_add_up": remaining - closing.overage == closing.settled,
            "ledger_agrees": in_ledger,
        },
        "freshness": freshness,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

fn typed<T: for<'de> Deserialize<'de>>(row: Option<Value>) -> Result<Option<T>, Problem> {
    row.map(serde_json::from_value)
        .transpose()
        .map_err(|error| Problem::internal(error.to_string()))
}

async fn closing(app: &App, account: &str, at: Timestamp) -> Result<Option<Closing>, Problem> {
    let sql = format!(
        "SELECT e.entry_id AS entry_id, e.sequence AS sequence, e.recorded_at AS recorded_at,
            e.ledger_offset AS ledger_offset, e.settled_after AS settled,
            e.held_after AS held, e.in_grace_after AS in_grace, e.overage_after AS overage
         FROM ledger_entries AS e WHERE e.account = {account} AND e.recorded_at <= {}
         ORDER BY e.sequence DESC LIMIT 1",
        time_literal(at)
    );
    typed(rows(app, &sql).await?.into_iter().next())
}

fn whole_sql(account: &str, last: u64) -> String {
    format!(
        "SELECT count() AS entries, max(e.sequence) AS last,
            sum(toDecimal256(e.credits, 12)) AS settled
         FROM ledger_entries AS e WHERE e.account = {account} AND e.sequence <= {last}"
    )
}

fn movements_sql(account: &str, first: u64, last: u64) -> String {
    format!(
        "SELECT e.kind AS kind, count() AS entries, sum(toDecimal256(e.credits, 12)) AS credits
         FROM ledger_entries AS e
         WHERE e.account = {account} AND e.sequence > {first} AND e.sequence <= {last}
         GROUP BY e.kind ORDER BY min(e.sequence)"
    )
}

fn entries_sql(account: &str, first: u64, last: u64) -> String {
    format!(
        "SELECT e.entry_id AS entry_id, e.sequence AS sequence, e.kind AS kind,
            e.recorded_at AS recorded_at, e.credits AS credits, e.settled_after AS settled_after,
            e.available_after AS available_after, e.source AS source, e.event_id AS event_id,
            e.reason AS reason, e.actor AS actor, e.corrects AS corrects,
            e.ledger_offset AS ledger_offset
         FROM ledger_entries AS e
         WHERE e.account = {account} AND e.sequence > {first} AND e.sequence <= {last}
         ORDER BY e.sequence DESC LIMIT {ENTRIES_SHOWN}"
    )
}

/// What was left of each lot then.
fn lots_sql(account: &str, at: Timestamp, last: u64) -> String {
    let at = time_literal(at);
    format!(
        "SELECT toString(g.lot) AS lot, g.category AS category, g.granted AS granted,
            m.remaining AS remaining, g.paid AS paid, g.currency AS currency,
            g.effective_at AS effective_at, g.expires_at AS expires_at, g.entry_id AS entry,
            multiIf(g.effective_at > {at}, 'upcoming', g.expires_at <= {at}, 'in_grace', 'live') AS state
         FROM lot_grants AS g
         INNER JOIN
         (
            SELECT v.lot AS lot, sum(toDecimal256(v.credits, 12)) AS remaining
            FROM lot_movements AS v
            WHERE v.account = {account} AND v.ledger_offset <= (
                SELECT max(e.ledger_offset) FROM ledger_entries AS e
                WHERE e.account = {account} AND e.sequence <= {last}
            )
            GROUP BY v.lot
         ) AS m ON m.lot = g.lot
         WHERE g.account = {account} AND g.granted_at <= {at} AND m.remaining != 0
         ORDER BY g.priority, isNull(g.expires_at), g.expires_at, g.lot"
    )
}

/// Whether the ledger's own record says the same; `None` when it is not there.
async fn in_ledger(app: &App, account: &str, closing: &Closing) -> Result<Option<bool>, Problem> {
    let at = TopicPartition { topic: Topic::LedgerEntries, partition: app.home(account) };
    let (offset, sequence, balance) = (closing.ledger_offset, closing.sequence, closing.balance());
    let account = account.to_owned();
    scan(app, move |shared| {
        let agrees = tail::record_at(shared.log.as_ref(), at, offset, |record| {
            match wire::decode_ledger(record.value) {
                Ok(LedgerRecord::Entry(entry)) => {
                    entry.account == account
                        && entry.sequence.0 == sequence
                        && entry.after == balance
                }
                Ok(LedgerRecord::Seal(_) | LedgerRecord::Adopted(_)) | Err(_) => false,
            }
        })?;
        Ok(agrees)
    })
    .await
}
