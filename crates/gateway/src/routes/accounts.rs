//! `GET /v1/accounts/{id}/balance` and `/entries`, from ClickHouse, and how fresh that is.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Credits, Partition, Timestamp};
use ledger::Category;
use serde_json::{Value, json};

use crate::app::{App, both, literal, now};
use crate::form::Params;
use crate::problem::Problem;

const ENTRIES: u32 = 100;
const ENTRIES_MAX: u32 = 10_000;

pub(crate) async fn balance(
    State(app): State<App>,
    Path(account): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let name = literal(&account);
    let balances = format!(
        "SELECT b.plan AS plan, b.settled AS settled, b.held AS held, b.in_grace AS in_grace,
            b.available AS available, b.overage AS overage, b.as_of AS as_of,
            b.entry_id AS entry_id, b.sequence AS sequence
         FROM balances AS b WHERE b.account = {name}"
    );
    let lots = format!(
        "SELECT toString(l.lot) AS lot, l.category AS category, l.state AS state,
            l.priority AS priority, l.granted AS granted, l.remaining AS remaining,
            l.effective_at AS effective_at, l.expires_at AS expires_at, l.paid AS paid,
            l.currency AS currency, l.revenue_recognised AS revenue_recognised, l.reason AS reason
         FROM lots AS l WHERE l.account = {name} AND l.remaining > 0
         ORDER BY l.priority, isNull(l.expires_at), l.expires_at, l.lot"
    );
    let unrated =
        format!("SELECT count() AS events FROM unrated_usage AS u WHERE u.account = {name}");
    let (found, lots) = both(
        app.warehouse.query_rows::<Value>(&balances),
        app.warehouse.query_rows::<Value>(&lots),
    )
    .await?;
    let unrated: Vec<Value> = app.warehouse.query_rows(&unrated).await?;
    let known = found.into_iter().next();
    let is_known = known.is_some();
    let mut answer = known.unwrap_or_else(|| {
        json!({
            "plan": "", "settled": "0", "held": "0", "in_grace": "0", "available": "0",
            "overage": "0", "as_of": null, "entry_id": null, "sequence": 0,
        })
    });
    answer["account"] = account.as_str().into();
    // An account that nothing was recorded for yet has nothing; it is no error.
    answer["known"] = is_known.into();
    if answer["plan"] == "" {
        answer["plan"] = Value::Null;
    }
    answer["by_category"] = by_category(&lots);
    answer["next_expiry"] = next_expiry(&lots);
    answer["lots"] = lots.into();
    answer["holds"] = json!([]);
    answer["freshness"] = freshness_of(&app, Some(app.home(&account))).await?;
    let unrated = unrated.first().map_or(Value::from(0), |row| row["events"].clone());
    answer["freshness"]["unrated_events"] = unrated;
    Ok(super::json(StatusCode::OK, &answer))
}

/// What is left in the lots that are effective, by category.
fn by_category(lots: &[Value]) -> Value {
    let of = |category: Category| -> Credits {
        lots.iter()
            .filter(|lot| lot["state"] != "upcoming" && lot["category"] == category.word())
            .filter_map(|lot| lot["remaining"].as_str()?.parse::<Credits>().ok())
            .sum()
    };
    Category::ALL
        .map(|category| (category.word().to_owned(), json!(of(category))))
        .into_iter()
        .collect()
}

/// The lot that goes next: when, and how much of it is left now.
fn next_expiry(lots: &[Value]) -> Value {
    let live = lots.iter().filter(|lot| lot["state"] == "live");
    let expiring = live.filter_map(|lot| Some((lot["expires_at"].as_str()?, lot)));
    match expiring.min_by_key(|(at, _)| *at) {
        Some((at, lot)) => json!({ "at": at, "amount": lot["remaining"], "lot": lot["lot"] }),
        None => Value::Null,
    }
}

pub(crate) async fn entries(
    State(app): State<App>,
    Path(account): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = params.parsed::<u32>("limit", "bad_value")?.unwrap_or(ENTRIES);
    params.finish()?;
    if limit == 0 || limit > ENTRIES_MAX {
        let detail = format!("a limit is a number from 1 to {ENTRIES_MAX}");
        return Err(Problem::bad_request("bad_value", detail)
            .field("limit")
            .value(&limit.to_string()));
    }
    let sql = format!(
        "SELECT e.entry_id AS entry_id, e.sequence AS sequence, e.kind AS kind,
            e.recorded_at AS recorded_at, e.event_time AS event_time, e.credits AS credits,
            e.settled_after AS settled_after, e.held_after AS held_after,
            e.available_after AS available_after, e.overage_after AS overage_after,
            e.source AS source, e.event_id AS event_id, e.cause_kind AS cause_kind,
            e.cause_topic AS cause_topic, e.cause_partition AS cause_partition,
            e.cause_offset AS cause_offset, e.reason AS reason, e.actor AS actor
         FROM ledger_entries AS e WHERE e.account = {}
         ORDER BY e.sequence DESC LIMIT {limit}",
        literal(&account)
    );
    let entries: Vec<Value> = app.warehouse.query_rows(&sql).await?;
    let freshness = freshness_of(&app, Some(app.home(&account))).await?;
    let answer = json!({ "account": account, "entries": entries, "freshness": freshness });
    Ok(super::json(StatusCode::OK, &answer))
}

/// How far ClickHouse has come: in one partition, or the earliest of all.
pub(crate) async fn freshness_of(app: &App, home: Option<Partition>) -> Result<Value, Problem> {
    let rows = crate::freshness::partitions(&app.warehouse).await?;
    let relevant: Vec<_> =
        rows.iter().filter(|row| home.is_none_or(|home| home == row.partition)).collect();
    let views = app.followed.views();
    let lag: i64 = (0..)
        .map(Partition)
        .zip(&views)
        .filter(|(partition, _)| home.is_none_or(|home| home == *partition))
        .map(|(partition, view)| {
            let at = rows.iter().find(|row| row.partition == partition);
            (view.ledger_next.0 - at.map_or(0, |row| row.ledger_offset.0)).max(0)
        })
        .sum();
    let as_of = relevant.iter().map(|row| row.as_of.as_str()).min();
    let behind = as_of.and_then(|as_of| as_of.parse::<Timestamp>().ok());
    let behind_millis = behind.map(|as_of| now().since(as_of).max(0) / 1_000);
    Ok(json!({
        "as_of": as_of,
        "lag_s": behind_millis.map(|millis| format!("{}.{:03}", millis / 1_000, millis % 1_000)),
        "lag_records": lag,
        "ledger_offset": match relevant.as_slice() {
            [one] if home.is_some() => Value::from(one.ledger_offset.0),
            _ => Value::Null,
        },
    }))
}
