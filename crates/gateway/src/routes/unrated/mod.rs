//! `GET /v1/unrated`: what waits for a price, grouped by what is missing, and what would cover it.

mod covering;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{EntryNumber, Partition};
use ledger::Body;
use serde_json::{Value, json};

use crate::app::{App, literal, scan};
use crate::command;
use crate::form::Params;
use crate::letters::code_of;
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::{limit_of, rows};

/// An example of each group is priced again, which reads the ledger once per group.
const GROUPS_MAX: u32 = 200;

pub(crate) async fn list(State(app): State<App>, mut params: Params) -> Result<Response, Problem> {
    let code = params.text("code").map(|code| code_of(&code)).transpose()?;
    let limit = limit_of(&mut params)?.min(GROUPS_MAX);
    params.finish()?;
    let condition =
        code.map_or_else(String::new, |code| format!(" WHERE u.reason = {}", literal(code.code())));
    let sql = format!(
        "SELECT u.reason AS code, u.provider AS provider, u.model AS model, u.meter AS meter,
            count() AS events, uniqExact(u.account) AS accounts,
            groupUniqArray(5)(toString(u.feature)) AS features,
            min(u.recorded_at) AS first_at, max(u.recorded_at) AS last_at,
            min(u.event_time) AS first_event_at, argMin(u.entry_id, u.recorded_at) AS example
         FROM unrated_usage AS u{condition}
         GROUP BY u.reason, u.provider, u.model, u.meter
         ORDER BY events DESC, code, model, meter LIMIT {limit}"
    );
    let total =
        "SELECT count() AS events, uniqExact(u.account) AS accounts FROM unrated_usage AS u";
    let (groups, total) = crate::app::both(rows(&app, &sql), rows(&app, total)).await?;
    let groups = scan(&app, move |shared| {
        groups.into_iter().map(|group| explained(shared, group)).collect::<Result<Vec<_>, _>>()
    })
    .await?;
    let total = total.into_iter().next().unwrap_or_default();
    let answer = json!({
        "events": total["events"],
        "accounts": total["accounts"],
        "groups": groups,
        "freshness": freshness_of(&app, None).await?,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

/// A group, with what would price its example.
fn explained(shared: &crate::app::Shared, mut group: Value) -> Result<Value, Problem> {
    for name in ["provider", "model", "meter"] {
        if group[name] == "" {
            group[name] = Value::Null;
        }
    }
    let code = group["code"].as_str().and_then(domain::Reason::from_code);
    group["about"] = code.map(|code| code.row().about).into();
    let Some((partition, number)) = group["example"].as_str().and_then(entry_named) else {
        return Ok(group);
    };
    let record = ledger_log::find_entry(shared.log.as_ref(), partition, number)?;
    let Some(record) = record else { return Ok(group) };
    let entry = command::read(&record)?;
    if let Body::Unrated(unrated) = &entry.body {
        let catalogue = shared.followed.prices().catalogue;
        let covering = covering::of(&catalogue, &unrated.event, unrated.plan.as_deref());
        group["rate_card"] = covering.rate_card.into();
        group["source"] = unrated.event.source.as_ref().into();
        group["event_id"] = unrated.event.id.as_ref().into();
        group["covered_by"] = json!({
            "words": covering.words,
            "document": covering.document,
            "toml": covering.toml,
        });
    }
    Ok(group)
}

/// `3-8812`.
pub(crate) fn entry_named(name: &str) -> Option<(Partition, EntryNumber)> {
    let (partition, number) = name.split_once('-')?;
    Some((Partition(partition.parse().ok()?), EntryNumber(number.parse().ok()?)))
}
