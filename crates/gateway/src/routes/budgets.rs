//! `/v1/accounts/{id}/budgets` and `/notices`: how much may be spent, and who is told when.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use calendar::{Period, Zone};
use domain::{Credits, EntryNumber, Text, Traffic};
use ledger::{Body, BudgetScope, BudgetTerms, CommandBody, Thresholds, TopUp};
use serde_json::{Value, json};

use crate::app::{App, literal};
use crate::auth::Asker;
use crate::command::{self, Ask, By, ReasonIs, To, bad_terms, carry_out};
use crate::form::{Form, Params};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::routes::holds::read_traffic;
use crate::routes::plans::period;
use crate::routes::rows;
use crate::strict;

/// How long reading the notices waits for ClickHouse to have the last of them.
const NOTICES_PATIENCE: Duration = Duration::from_secs(5);
const EVER: &str = "ever";
const PERIODS: &str = "day, week, month, year or ever";
/// At which percents of a limit somebody is told, when nothing is said.
const THRESHOLDS: [u16; 3] = [50, 80, 100];
const THRESHOLDS_MAX: usize = 16;
const THRESHOLD_MAX: u16 = 1_000;

pub(crate) async fn set(
    State(app): State<App>,
    Path(account): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    // The body's id is the budget's.
    let by = By::read_keyed(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let body = read_budget(form, &by.id)?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

pub(crate) async fn remove(
    State(app): State<App>,
    Path((account, budget)): Path<(String, String)>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    form.finish()?;
    let body = CommandBody::RemoveBudget { budget: Text::Owned(budget) };
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

pub(crate) async fn notices(
    State(app): State<App>,
    Path(account): Path<String>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = command::form(&headers, body).await?;
    let by = By::read(&mut form, &headers, (&app, &asker), ReasonIs::Optional)?;
    let body = read_notices(form)?;
    carry_out(&app, &asker, Ask { to: To::Account(account), by, body, waits: None }).await
}

/// What the account's owner wants to be told, as it was last set: from the entry that says so.
pub(crate) async fn noticed(
    State(app): State<App>,
    Path(account): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    #[derive(serde::Deserialize)]
    struct Row {
        entry_number: u64,
    }
    params.finish()?;
    let home = app.home(&account);
    // Setting replaces everything, so whoever changes a part must read what stands now.
    strict::projected_to_end(&app, home, NOTICES_PATIENCE).await?;
    let sql = format!(
        "SELECT toUInt64(splitByChar('-', e.entry_id)[2]) AS entry_number FROM ledger_entries AS e
         WHERE e.account = {} AND e.kind = 'notices_set' ORDER BY entry_number DESC LIMIT 1",
        literal(&account)
    );
    let rows: Vec<Row> = app.warehouse.query_rows(&sql).await?;
    let mut answer = json!({ "account": account, "low_balance": null, "top_up": null });
    if let Some(Row { entry_number }) = rows.into_iter().next()
        && let Some(record) = command::found(&app, home, EntryNumber(entry_number)).await?
        && let Body::NoticesSet(set) = command::read(&record)?.body
    {
        answer["low_balance"] = json!(set.low_balance);
        answer["top_up"] = set.top_up.map_or(
            Value::Null,
            |top_up| json!({ "below": top_up.below, "amount": top_up.amount }),
        );
    }
    Ok(super::json(StatusCode::OK, &answer))
}

pub(crate) async fn list(
    State(app): State<App>,
    Path(account): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.finish()?;
    let sql = format!(
        "SELECT b.budget AS budget, b.budget AS id, nullIf(b.user, '') AS user,
            nullIf(b.team, '') AS team, nullIf(b.feature, '') AS feature,
            nullIf(b.traffic, '') AS traffic, b.limit AS limit, b.period AS period,
            b.timezone AS timezone, b.hard AS hard, b.thresholds AS thresholds, b.used AS used,
            b.remaining AS remaining, b.window_start AS window_start, b.window_end AS window_end
         FROM budgets AS b WHERE b.account = {} ORDER BY b.budget",
        literal(&account)
    );
    let budgets: Vec<Value> = rows(&app, &sql).await?.into_iter().map(shown).collect();
    let freshness = freshness_of(&app, Some(app.home(&account))).await?;
    let answer = json!({ "account": account, "budgets": budgets, "freshness": freshness });
    Ok(super::json(StatusCode::OK, &answer))
}

/// A row as budgets are asked for.
fn shown(mut row: Value) -> Value {
    let percents = row["thresholds"].as_str().unwrap_or_default().split(',');
    row["thresholds"] = percents.filter_map(|one| one.parse::<u16>().ok()).collect();
    if row["period"] == "" {
        row["period"] = EVER.into();
    }
    let (start, end) = (row["window_start"].take(), row["window_end"].take());
    row["window"] = period(start, end);
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|name, _| !name.starts_with("window_"));
    }
    row
}

/// `id` names the command; a budget without a name of its own takes it, so that a retry means the
/// same budget.
fn read_budget(mut form: Form, id: &str) -> Result<CommandBody<'static>, Problem> {
    let name = form.text("id")?.unwrap_or_else(|| id.to_owned());
    if name.is_empty() {
        return Err(bad_terms("id", ""));
    }
    let owned = |text: Option<String>| text.map(Text::Owned);
    let scope = BudgetScope {
        user: owned(form.text("user")?),
        team: owned(form.text("team")?),
        feature: owned(form.text("feature")?),
        traffic: read_traffic(&mut form)?,
    };
    let limit: Option<Credits> = form.parsed("limit", "bad_amount")?;
    let limit = limit.ok_or_else(|| form.missing("limit"))?;
    let period = form.word("period", read_period, PERIODS)?;
    let terms = BudgetTerms {
        id: Text::Owned(name),
        scope,
        limit,
        period: period.ok_or_else(|| form.missing("period"))?,
        zone: form.parsed::<Zone>("timezone", "bad_timezone")?.unwrap_or_default(),
        thresholds: read_thresholds(&mut form)?,
        hard: form.flag("hard")?,
    };
    form.finish()?;
    if terms.limit.is_negative() {
        return Err(bad_terms("limit", &terms.limit.to_string()));
    }
    Ok(CommandBody::SetBudget(Box::new(terms)))
}

fn read_period(word: &str) -> Option<Option<Period>> {
    if word == EVER { Some(None) } else { Period::from_word(word).map(Some) }
}

fn read_thresholds(form: &mut Form) -> Result<Thresholds, Problem> {
    const WANTED: &str = "a list of rising whole percents from 1 to 1000, 16 at most";
    let said: Option<Vec<u16>> = form.typed("thresholds", WANTED)?;
    let Some(said) = said else { return Ok(Thresholds::from_slice(&THRESHOLDS)) };
    let rises = said.windows(2).all(|pair| pair.first() < pair.last());
    let fits = said.iter().all(|percent| (1..=THRESHOLD_MAX).contains(percent));
    match rises && fits && said.len() <= THRESHOLDS_MAX {
        true => Ok(said.into_iter().collect()),
        false => Err(form.refuse("thresholds", "bad_value", &format!("`thresholds` is {WANTED}"))),
    }
}

fn read_notices(mut form: Form) -> Result<CommandBody<'static>, Problem> {
    let low_balance: Option<Credits> = form.parsed("low_balance", "bad_amount")?;
    let top_up = form
        .object("top_up", r#"an object such as {"below": "100", "amount": "1000"}"#)?
        .map(|mut top_up| {
            let below: Option<Credits> = top_up.parsed("below", "bad_amount")?;
            let below = below.ok_or_else(|| top_up.missing("below"))?;
            let amount = command::positive(&mut top_up, "amount")?;
            let amount = amount.ok_or_else(|| top_up.missing("amount"))?;
            top_up.finish()?;
            Ok::<_, Problem>(TopUp { below, amount })
        })
        .transpose()?;
    form.finish()?;
    Ok(CommandBody::SetNotices { low_balance, top_up })
}

pub(crate) fn traffic_words() -> String {
    Traffic::ALL.iter().map(|traffic| traffic.word()).collect::<Vec<_>>().join(", ")
}
