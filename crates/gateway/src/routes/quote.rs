//! `POST /v1/quote`: what usage would cost, by the same code that charges it, and whether it could be
//! paid for.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::UsageEvent;
use rating::{Catalogue, EventRange, Rating, explain_lines, explain_total, quote_range};
use serde_json::{Map, Value, json};

use crate::app::{App, now};
use crate::auth::Asker;
use crate::body;
use crate::form::Form;
use crate::items::{self, About};
use crate::problem::Problem;
use crate::routes::outlook::Outlook;

const BODY_BYTES_MAX: usize = 512 * 1024;

pub(crate) async fn post(
    State(app): State<App>,
    asker: Asker,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let Asked { range, of_account, plan } = read(form)?;
    let event = &range.most;
    let account = of_account.then_some(event.account.as_ref());
    // Without an account it is a quote for nobody.
    if let Some(account) = account {
        asker.must_reach(account)?;
    }
    let catalogue = app.followed.prices().catalogue;
    let outlook = match account {
        Some(account) => Some(Outlook::of(&app, account, event, plan.as_deref()).await?),
        None => None,
    };
    let of_nobody = || plan.as_deref().or_else(|| catalogue.default_plan(event.time));
    let plan = outlook.as_ref().map_or_else(of_nobody, |outlook| outlook.plan());
    let quoted = quote_range(&catalogue, &range, plan, event.time).map_err(|why| {
        Problem::from(why.fault()).with("outcome", "unrated").with("item", json!(why.item))
    })?;
    let one = |event: &UsageEvent<'_>, rating: &Rating| {
        let mut one = rating_json(&catalogue, event, rating);
        let after = outlook.as_ref().map(|outlook| outlook.available() - rating.credits);
        one.insert("available_after".to_owned(), json!(after));
        Value::Object(one)
    };
    let mut answer = rating_json(&catalogue, &range.expected, &quoted.expected);
    answer.extend(common(&catalogue, &quoted.expected, plan));
    answer.insert("least".to_owned(), one(&range.least, &quoted.least));
    answer.insert("expected".to_owned(), one(&range.expected, &quoted.expected));
    answer.insert("most".to_owned(), one(&range.most, &quoted.most));
    if let Some(outlook) = &outlook {
        answer.extend(outlook.json(quoted.most.credits));
    }
    Ok(super::json(StatusCode::OK, &Value::Object(answer)))
}

/// What is asked.
struct Asked {
    range: EventRange<'static>,
    /// Whether the account is a real one.
    of_account: bool,
    plan: Option<String>,
}

fn read(mut form: Form) -> Result<Asked, Problem> {
    let of_account = form.has("event") || form.has("account");
    let plan = form.text("plan")?;
    let range = match form.raw("event") {
        Some(event) => {
            let event = wire::decode_usage(event.get().as_bytes())?.event.into_owned();
            items::exactly(event)?
        }
        None => {
            let about = About::of_quote(&mut form, now());
            items::range(&mut form, about)?
        }
    };
    form.finish()?;
    Ok(Asked { range, of_account, plan })
}

/// What holds for all three.
fn common(catalogue: &Catalogue, rating: &Rating, plan: Option<&str>) -> Map<String, Value> {
    let version = catalogue.version(rating.rate_card);
    Map::from_iter([
        ("currency".to_owned(), json!(catalogue.currency())),
        ("plan".to_owned(), json!(plan)),
        ("rate_card".to_owned(), json!(version.map(|version| version.document.id()))),
        ("rate_card_version".to_owned(), json!(version.map(|version| version.ordinal))),
    ])
}

fn rating_json(
    catalogue: &Catalogue,
    event: &UsageEvent<'_>,
    rating: &Rating,
) -> Map<String, Value> {
    let explained = explain_lines(catalogue, event, rating);
    let lines: Vec<Value> = event
        .items
        .iter()
        .zip(&rating.lines)
        .zip(&explained)
        .enumerate()
        .map(|(index, ((item, line), explained))| {
            let rule = catalogue.rule(rating.rate_card, line.rule);
            json!({
                "item": index,
                "model": item.model,
                "meter": item.meter(),
                "credits": line.credits,
                "vendor_cost": line.vendor_cost,
                "cost_status": line.cost_status.word(),
                "cost_missing": line.cost_missing.map(|reason| reason.code()),
                "rule": rule.map(|rule| rule.name.as_ref()),
                "explanation": explanation(explained),
            })
        })
        .collect();
    Map::from_iter([
        ("credits".to_owned(), json!(rating.credits)),
        ("residual".to_owned(), json!(rating.residual)),
        ("vendor_cost".to_owned(), json!(rating.vendor_cost)),
        ("lines".to_owned(), lines.into()),
        ("total".to_owned(), json!(explain_total(catalogue, rating))),
    ])
}

pub(crate) fn explanation(line: &rating::LineExplanation) -> Value {
    json!({
        "used": line.used,
        "rule": line.rule,
        "price": line.price,
        "cost": line.cost,
        "charge": line.charge,
    })
}
