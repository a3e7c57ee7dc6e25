//! `GET /v1/accounts/{id}/balance` and `/lots`: what an account has, from ClickHouse, and how fresh
//! that is. `?consistency=strict` waits until everything that was sent before is in it; `?at=…` is
//! the balance at a past time.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::Credits;
use ledger::Category;
use serde_json::{Value, json};

use crate::app::{App, literal, now};
use crate::form::{self, Params};
use crate::freshness::whole_seconds;
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::history;
use crate::routes::outlook::word_of;
use crate::routes::plans::period;
use crate::routes::{limit_of, rows};
use crate::strict;

/// Open holds that are listed; all are counted.
const HOLDS_SHOWN_MAX: u32 = 100;
/// A projection that works is behind by less.
const FILLING_SECONDS_MIN: i64 = 10;
/// Fewer than these are there in a moment.
const FILLING_RECORDS_MIN: i64 = 1_000;

pub(crate) async fn balance(
    State(app): State<App>,
    Path(account): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let at = params.parsed("at", "bad_time")?;
    let from = params.parsed("from", "bad_time")?;
    if let Some(at) = at {
        params.finish()?;
        return history::balance_at(&app, &account, at, from).await;
    }
    if from.is_some() {
        return Err(form::missing("at"));
    }
    let consistency = params.text("consistency");
    let patience = strict::patience(&mut params)?;
    params.finish()?;
    match consistency.as_deref() {
        None | Some("eventual") => {}
        Some("strict") => strict::settled(&app, app.home(&account), patience).await?,
        Some(other) => {
            let detail = "`consistency` is eventual or strict";
            return Err(Problem::bad_request("bad_value", detail)
                .field("consistency")
                .value(other));
        }
    }
    let mut answer = Rows::read(&app, &account).await?.into_answer(&app);
    answer["account"] = account.as_str().into();
    let (open_holds, unrated) = (answer["open_holds"].take(), answer["unrated_events"].take());
    let mut freshness = freshness_of(&app, Some(app.home(&account))).await?;
    if answer["known"] == false && is_being_filled(&freshness) {
        let detail = format!(
            "ClickHouse is being filled and has nothing of this account yet; {} records of its part of the \
             ledger wait: what it has is not known. Ask again later (`tally status`), or ask the ledger \
             itself (`tally balance {account} --at {}`)",
            freshness["lag_records"],
            now(),
        );
        return Err(Problem::new(StatusCode::GATEWAY_TIMEOUT, "not_yet", detail));
    }
    freshness["open_holds"] = open_holds;
    freshness["unrated_events"] = unrated;
    if let Some(fields) = answer.as_object_mut() {
        fields.remove("open_holds");
        fields.remove("unrated_events");
    }
    answer["freshness"] = freshness;
    Ok(super::json(StatusCode::OK, &answer))
}

/// Whether the tables are so far behind, as after a restore, that they may lack accounts of long ago.
fn is_being_filled(freshness: &Value) -> bool {
    let seconds = freshness["lag_s"].as_str().and_then(whole_seconds);
    let is_far = seconds.is_none_or(|seconds| seconds >= FILLING_SECONDS_MIN);
    is_far
        && freshness["lag_records"].as_i64().is_some_and(|records| records >= FILLING_RECORDS_MIN)
}

/// What ClickHouse has of an account.
struct Rows {
    balance: Option<Value>,
    subscription: Option<Value>,
    lots: Vec<Value>,
    holds: Vec<Value>,
    counts: Option<Value>,
}

impl Rows {
    async fn read(app: &App, account: &str) -> Result<Self, Problem> {
        let name = literal(account);
        let balance = format!(
            "SELECT b.plan AS plan, b.settled AS settled, b.held AS held, b.in_grace AS in_grace,
                b.available AS available, b.overage AS overage, b.as_of AS as_of,
                b.entry_id AS entry_id, b.sequence AS sequence
             FROM balances AS b WHERE b.account = {name}"
        );
        // The period's own lots are those that the plan opened since the period began.
        let subscription = format!(
            "SELECT s.period_start AS period_start, s.period_end AS period_end, s.trial AS trial,
                s.allowance AS allowance,
                (SELECT groupArray(toString(c.sequence)) FROM plan_changes AS c
                 WHERE c.account = {name} AND c.granted > 0 AND c.sequence >= (
                    SELECT max(o.period_sequence) FROM subscriptions AS o WHERE o.account = {name}
                 )) AS lots
             FROM subscriptions AS s WHERE s.account = {name}"
        );
        let holds = format!(
            "SELECT h.hold AS hold, h.amount AS amount, h.captured AS captured, h.held AS held,
                h.state AS state, h.expires_at AS expires_at
             FROM holds AS h WHERE h.account = {name} AND h.state = 'open'
             ORDER BY h.expires_at LIMIT {HOLDS_SHOWN_MAX}"
        );
        let counts = format!(
            "SELECT (SELECT count() FROM holds AS h
                     WHERE h.account = {name} AND h.state = 'open') AS open_holds,
                (SELECT count() FROM unrated_usage AS u WHERE u.account = {name}) AS unrated_events"
        );
        let lots = lots_sql(account, "", None);
        let (balance, subscription, lots, holds, counts) = tokio::try_join!(
            rows(app, &balance),
            rows(app, &subscription),
            rows(app, &lots),
            rows(app, &holds),
            rows(app, &counts),
        )?;
        let first = |found: Vec<Value>| found.into_iter().next();
        Ok(Self {
            balance: first(balance),
            subscription: first(subscription),
            lots,
            holds,
            counts: first(counts),
        })
    }

    fn into_answer(self, app: &App) -> Value {
        let is_known = self.balance.is_some();
        let mut answer = self.balance.unwrap_or_else(|| {
            json!({
                "plan": "", "settled": "0", "held": "0", "in_grace": "0", "available": "0",
                "overage": "0", "as_of": null, "entry_id": null, "sequence": 0,
            })
        });
        // An account that nothing was recorded for yet has nothing; it is no error.
        answer["known"] = is_known.into();
        if answer["plan"] == "" {
            answer["plan"] = Value::Null;
        }
        let catalogue = app.followed.prices().catalogue;
        let terms = answer["plan"].as_str().and_then(|plan| catalogue.plan(plan, now()));
        let exhausted = terms.map(|(_, terms)| terms.on_exhausted).unwrap_or_default();
        answer["on_exhausted"] = word_of(exhausted).into();
        let mut subscription = self.subscription.unwrap_or_else(|| {
            json!({ "allowance": "0", "trial": false, "lots": [], "period_start": null, "period_end": null })
        });
        let end = subscription["period_end"].take();
        answer["renews_at"] = end.clone();
        answer["period"] = period(subscription["period_start"].take(), end);
        answer["allowance"] = subscription["allowance"].take();
        answer["trial"] = subscription["trial"].take();
        let period_lots = subscription["lots"].take();
        let (used, remaining) = of_period(&self.lots, &period_lots);
        answer["used"] = json!(used);
        answer["remaining"] = json!(remaining);
        let left: Vec<Value> =
            self.lots.into_iter().filter(|lot| amount(lot, "remaining").is_positive()).collect();
        answer["by_category"] = by_category(&left);
        answer["next_expiry"] = next_expiry(&left);
        answer["lots"] = left.into();
        answer["holds"] = self.holds.into();
        let counts = self.counts.unwrap_or_else(|| json!({ "open_holds": 0, "unrated_events": 0 }));
        answer["open_holds"] = counts["open_holds"].clone();
        answer["unrated_events"] = counts["unrated_events"].clone();
        answer
    }
}

fn amount(row: &Value, name: &str) -> Credits {
    row[name].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// What of the period's lots is drawn, and what is left.
fn of_period(lots: &[Value], period_lots: &Value) -> (Credits, Credits) {
    let named =
        |lot: &&Value| period_lots.as_array().is_some_and(|lots| lots.contains(&lot["lot"]));
    let own: Vec<&Value> = lots.iter().filter(named).collect();
    let sum = |name| own.iter().map(|lot| amount(lot, name)).sum();
    (sum("drawn"), sum("remaining"))
}

/// What is left in the lots that are effective, by category.
fn by_category(lots: &[Value]) -> Value {
    let of = |category: Category| -> Credits {
        let of_category =
            |lot: &&Value| lot["state"] != "upcoming" && lot["category"] == category.word();
        lots.iter().filter(of_category).map(|lot| amount(lot, "remaining")).sum()
    };
    Category::ALL
        .map(|category| (category.word().to_owned(), json!(of(category))))
        .into_iter()
        .collect()
}

/// When credits expire next, and how many are left of those.
fn next_expiry(lots: &[Value]) -> Value {
    let live = || lots.iter().filter(|lot| lot["state"] == "live");
    let Some(at) = live().filter_map(|lot| lot["expires_at"].as_str()).min() else {
        return Value::Null;
    };
    let going = || live().filter(|lot| lot["expires_at"] == at);
    let amount: Credits = going().map(|lot| amount(lot, "remaining")).sum();
    let lot = going().next().map(|lot| lot["lot"].clone());
    json!({ "at": at, "amount": amount, "lot": lot })
}

/// Lots in draw-down order.
fn lots_sql(account: &str, condition: &str, limit: Option<u32>) -> String {
    let limit = limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    format!(
        "SELECT toString(l.lot) AS lot, l.category AS category, l.state AS state,
            l.priority AS priority, l.granted AS granted, l.remaining AS remaining,
            l.drawn AS drawn, l.expired AS expired, l.voided AS voided, l.rolled AS rolled,
            l.refunded AS refunded, l.effective_at AS effective_at, l.expires_at AS expires_at,
            l.paid AS paid, l.currency AS currency, l.revenue_recognised AS revenue_recognised,
            l.reason AS reason, l.granted_at AS granted_at, l.entry_id AS entry
         FROM lots AS l WHERE l.account = {}{condition}
         ORDER BY l.priority, isNull(l.expires_at), l.expires_at, l.lot{limit}",
        literal(account)
    )
}

pub(crate) async fn lots(
    State(app): State<App>,
    Path(account): Path<String>,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = limit_of(&mut params)?;
    let all = match params.text("all").as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            let detail = "`all` is true or false";
            return Err(Problem::bad_request("bad_value", detail).field("all").value(other));
        }
    };
    params.finish()?;
    let condition = if all { "" } else { " AND l.remaining > 0" };
    let sql = lots_sql(&account, condition, Some(limit));
    let lots = rows(&app, &sql).await?;
    let freshness = freshness_of(&app, Some(app.home(&account))).await?;
    let answer = json!({ "account": account, "lots": lots, "freshness": freshness });
    Ok(super::json(StatusCode::OK, &answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_are_filled_anew_are_told_from_those_that_are_a_moment_behind() {
        let is_filled = |lag_s: Value, records: i64| {
            is_being_filled(&json!({ "lag_s": lag_s, "lag_records": records }))
        };
        assert!(is_filled(Value::Null, 7_000) && is_filled(json!("86400.120"), 7_000));
        assert!(!is_filled(Value::Null, 7) && !is_filled(json!("0.250"), 7_000));
        assert!(!is_filled(json!("90.000"), 0));
    }
}
