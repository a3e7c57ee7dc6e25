//! `GET /v1/price-list`: what things cost, before anything is run.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use crate::app::{App, literal, now};
use crate::auth::Asker;
use crate::form::Params;
use crate::problem::Problem;

pub(crate) async fn get(
    State(app): State<App>,
    asker: Asker,
    mut params: Params,
) -> Result<Response, Problem> {
    let (plan, account) = (params.text("plan"), params.text("account"));
    params.finish()?;
    if plan.is_some() && account.is_some() {
        let detail = "either a plan, or the account whose plan it is";
        return Err(Problem::bad_request("bad_value", detail).field("plan"));
    }
    let plan = match account {
        Some(account) => {
            asker.must_reach(&account)?;
            plan_of(&app, &account).await?
        }
        None => plan,
    };
    let catalogue = app.followed.prices().catalogue;
    let now = now();
    let plan = plan.or_else(|| catalogue.default_plan(now).map(str::to_owned));
    if let Some(plan) = plan.as_deref().filter(|plan| catalogue.plan(plan, now).is_none()) {
        return Err(Problem::refused(domain::Reason::UnknownPlan)
            .status(StatusCode::NOT_FOUND)
            .field("plan")
            .value(plan));
    }
    let list = rating::price_list(&catalogue, plan.as_deref(), now);
    let answer =
        serde_json::to_value(&list).map_err(|error| Problem::internal(error.to_string()))?;
    Ok(super::json(StatusCode::OK, &answer))
}

/// The plan that ClickHouse knows of an account.
async fn plan_of(app: &App, account: &str) -> Result<Option<String>, Problem> {
    let sql =
        format!("SELECT b.plan AS plan FROM balances AS b WHERE b.account = {}", literal(account));
    let rows: Vec<Value> = app.warehouse.query_rows(&sql).await?;
    let plan = rows.first().and_then(|row| row["plan"].as_str());
    Ok(plan.filter(|plan| !plan.is_empty()).map(str::to_owned))
}
