//! `/v1/accounts/{id}/plan`: which plan an account has, and which it is to have.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::Text;
use ledger::{CommandBody, When};
use serde_json::{Value, json};

use crate::app::{App, literal};
use crate::auth::Asker;
use crate::command::{self, Ask, By, ReasonIs, To, carry_out};
use crate::form::{Form, Params};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::rows;

pub(crate) async fn assign(
    State(app): State<App>,
    Path(account): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let body = read_plan(form)?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

fn read_plan(mut form: Form) -> Result<CommandBody<'static>, Problem> {
    let plan = form.required_text("plan")?;
    let when = form.word("when", read_when, "fitting, now or renewal")?.unwrap_or_default();
    form.finish()?;
    Ok(CommandBody::AssignPlan { plan: Text::Owned(plan), when })
}

fn read_when(word: &str) -> Option<When> {
    match word {
        "fitting" => Some(When::Fitting),
        "now" => Some(When::Now),
        "renewal" => Some(When::Renewal),
        _ => None,
    }
}

pub(crate) async fn get(
    State(app): State<App>,
    Path(account): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let mut answer = subscription(&app, &account).await?.unwrap_or_else(|| {
        // No plan, or nothing recorded for the account yet: no error.
        json!({
            "plan": null, "plan_version": null, "since": null, "period": null, "trial": false,
            "allowance": "0", "scheduled": null, "renews_at": null,
        })
    });
    answer["account"] = account.as_str().into();
    answer["freshness"] = freshness_of(&app, Some(app.home(&account))).await?;
    Ok(super::json(StatusCode::OK, &answer))
}

/// The plan that ClickHouse knows of the account.
async fn subscription(app: &App, account: &str) -> Result<Option<Value>, Problem> {
    let sql = format!(
        "SELECT s.plan AS plan, s.plan_version AS plan_version, s.since AS since,
            s.period_start AS period_start, s.period_end AS period_end, s.trial AS trial,
            s.allowance AS allowance, s.scheduled_plan AS scheduled_plan,
            s.scheduled_from AS scheduled_from, s.low_balance AS low_balance,
            s.changed_at AS changed_at, s.entry_id AS entry
         FROM subscriptions AS s WHERE s.account = {}",
        literal(account)
    );
    let found = rows(app, &sql).await?;
    Ok(found.into_iter().next().map(|mut row| {
        let (start, end) = (row["period_start"].take(), row["period_end"].take());
        row["renews_at"] = end.clone();
        row["period"] = period(start, end);
        let (next, at) = (row["scheduled_plan"].take(), row["scheduled_from"].take());
        row["scheduled"] = match at.is_null() {
            true => Value::Null,
            false => json!({ "plan": next, "at": at }),
        };
        if let Some(fields) = row.as_object_mut() {
            for name in ["period_start", "period_end", "scheduled_plan", "scheduled_from"] {
                fields.remove(name);
            }
        }
        row
    }))
}

/// A period that ends; null when nothing renews.
pub(crate) fn period(start: Value, end: Value) -> Value {
    if end.is_null() { Value::Null } else { json!({ "start": start, "end": end }) }
}
