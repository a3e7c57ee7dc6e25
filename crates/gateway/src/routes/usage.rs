//! `GET /v1/usage` and `GET /v1/accounts/{id}/usage`: sums by whatever dimensions are asked for.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use domain::Timestamp;
use serde_json::{Value, json};

use crate::app::{App, literal};
use crate::auth::Asker;
use crate::form::Params;
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;

const ROWS: u32 = 1_000;
const ROWS_MAX: u32 = 100_000;

/// A dimension, its expression over `usage_lines` as `u`, and the one over `usage_daily`, which has
/// fewer.
const DIMENSIONS: &[(&str, &str, Option<&str>)] = &[
    ("account", "u.account", Some("u.account")),
    ("feature", "u.feature", Some("u.feature")),
    ("model", "u.model", Some("u.model")),
    ("provider", "u.provider", Some("u.provider")),
    ("meter", "u.meter", Some("u.meter")),
    ("traffic", "u.traffic", Some("u.traffic")),
    ("team", "u.team", Some("u.team")),
    ("plan", "u.plan", Some("u.plan")),
    ("day", "toString(toDate(u.event_time))", Some("toString(u.day)")),
    ("hour", "toStartOfHour(u.event_time)", None),
    ("user", "u.user", None),
    ("status", "u.status", None),
    ("run", "u.run", None),
    ("step", "u.step", None),
    ("environment", "u.environment", None),
    ("source", "u.source", None),
    ("rule", "u.rule", None),
    ("rate_card", "u.rate_card", None),
    ("service_tier", "u.service_tier", None),
    ("cost_status", "u.cost_status", None),
];
/// An event counts once for each of its models.
const BY_MODEL: &[&str] = &["model", "provider", "meter", "service_tier", "cost_status", "rule"];

pub(crate) async fn of_account(
    State(app): State<App>,
    Path(account): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    answer(&app, Question::read(params, Some(account))?).await
}

pub(crate) async fn of_all(
    State(app): State<App>,
    asker: Asker,
    params: Params,
) -> Result<Response, Problem> {
    asker.must_reach_all_of(params.peek("account"))?;
    answer(&app, Question::read(params, None)?).await
}

async fn answer(app: &App, question: Question) -> Result<Response, Problem> {
    let rows: Vec<Value> = app.warehouse.query_rows(&question.sql()).await?;
    let home = question.account.as_deref().map(|account| app.home(account));
    let currency = app.followed.prices().catalogue.currency();
    let answer = json!({
        "by": question.by.iter().map(|dimension| dimension.0).collect::<Vec<_>>(),
        "currency": currency.map(|currency| currency.to_string()),
        "rows": rows,
        "freshness": freshness_of(app, home).await?,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

#[derive(Debug)]
struct Question {
    by: Vec<&'static (&'static str, &'static str, Option<&'static str>)>,
    account: Option<String>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    top: u32,
}

impl Question {
    fn read(mut params: Params, account: Option<String>) -> Result<Self, Problem> {
        let mut by = Vec::new();
        let named = params.text("by").unwrap_or_else(|| "feature".to_owned());
        for name in named.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let found = DIMENSIONS.iter().find(|dimension| dimension.0 == name);
            let dimension = found.ok_or_else(|| {
                let known: Vec<_> = DIMENSIONS.iter().map(|dimension| dimension.0).collect();
                let detail = format!("usage is summed by {}", known.join(", "));
                Problem::bad_request("bad_value", detail).field("by").value(name)
            })?;
            if !by.contains(&dimension) {
                by.push(dimension);
            }
        }
        let filter = params.text("account");
        if account.is_some() && filter.is_some() {
            let detail = "the account is in the path";
            return Err(Problem::bad_request("unknown_field", detail).field("account"));
        }
        let question = Self {
            by,
            account: account.or(filter),
            from: params.parsed("from", "bad_time")?,
            to: params.parsed("to", "bad_time")?,
            top: params.parsed("top", "bad_value")?.unwrap_or(ROWS),
        };
        params.finish()?;
        if question.top == 0 || question.top > ROWS_MAX {
            let detail = format!("top is a number from 1 to {ROWS_MAX}");
            return Err(Problem::bad_request("bad_value", detail)
                .field("top")
                .value(&question.top.to_string()));
        }
        if let (Some(from), Some(to)) = (question.from, question.to)
            && to <= from
        {
            return Err(Problem::bad_request("bad_time", "`to` is not after `from`")
                .field("to")
                .value(&to.to_string()));
        }
        Ok(question)
    }

    /// Whole days by the rollup's dimensions are read from the rollup.
    fn fits_rollup(&self) -> bool {
        let is_day = |time: &Option<Timestamp>| time.is_none_or(|time| time == time.day().start());
        self.by.iter().all(|dimension| dimension.2.is_some())
            && is_day(&self.from)
            && is_day(&self.to)
    }

    fn sql(&self) -> String {
        let rollup = self.fits_rollup();
        let (table, time) = match rollup {
            true => ("usage_daily", "toDateTime64(u.day, 6, 'UTC')"),
            false => ("usage_lines", "u.event_time"),
        };
        let mut select = String::new();
        let mut keys = Vec::new();
        for (name, of_lines, of_rollup) in self.by.iter().copied() {
            let expression = of_rollup.filter(|_| rollup).unwrap_or(of_lines);
            select.push_str(&format!("{expression} AS `{name}`, "));
            keys.push(format!("`{name}`"));
        }
        let mut conditions = vec!["1".to_owned()];
        if let Some(account) = &self.account {
            conditions.push(format!("u.account = {}", literal(account)));
        }
        let at = |time: Timestamp| format!("fromUnixTimestamp64Micro({}, 'UTC')", time.micros());
        conditions.extend(self.from.map(|from| format!("{time} >= {}", at(from))));
        conditions.extend(self.to.map(|to| format!("{time} < {}", at(to))));
        let by_model = self.by.iter().any(|dimension| BY_MODEL.contains(&dimension.0));
        let events = if by_model { "u.model_events" } else { "u.events" };
        let cost = "sum(toDecimal256(ifNull(u.vendor_cost, 0), 12))";
        let uncosted = "sum(u.uncosted_lines) > 0 AND sum(u.uncosted_lines) = sum(u.lines)";
        let sum = |column: &str| format!("sum(toDecimal256(u.{column}, 12))");
        let group = match keys.is_empty() {
            true => String::new(),
            false => format!("GROUP BY {}", keys.join(", ")),
        };
        let order = match keys.is_empty() {
            true => String::new(),
            false => format!("ORDER BY {} DESC, {}", sum("credits"), keys.join(", ")),
        };
        format!(
            "SELECT {select}sum({events}) AS events, sum(u.lines) AS lines,
                {credits} AS credits,
                if({uncosted}, NULL, {cost}) AS vendor_cost,
                {revenue} AS revenue,
                if({uncosted}, NULL, {revenue} - {revenue_uncosted} - {cost}) AS margin,
                sum(u.uncosted_lines) AS uncosted_lines
             FROM {table} AS u WHERE {conditions} {group} {order} LIMIT {top}",
            credits = sum("credits"),
            revenue = sum("revenue"),
            revenue_uncosted = sum("revenue_uncosted"),
            conditions = conditions.join(" AND "),
            top = self.top,
        )
    }
}
