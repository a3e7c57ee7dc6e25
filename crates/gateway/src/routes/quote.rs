//! `POST /v1/quote`: what usage would cost, by the same code that charges it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::Text;
use rating::{Catalogue, Rating, explain_lines, explain_total};
use serde_json::{Value, json};

use crate::app::{App, now};
use crate::body;
use crate::form::{Form, missing};
use crate::problem::Problem;

const BODY_BYTES_MAX: usize = 512 * 1024;

pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    body: axum::body::Body,
) -> Result<Response, Problem> {
    let mut form = Form::parse(&body::read(&headers, body, BODY_BYTES_MAX).await?)?;
    let record = match form.raw("event") {
        Some(event) => event.get().as_bytes().to_vec(),
        None => composed(&mut form)?,
    };
    form.finish()?;
    let decoded = wire::decode_usage(&record)?;
    let event = decoded.event;
    let catalogue = app.followed.prices().catalogue;
    let rating = rating::rate(&catalogue, &event, None).map_err(|why| {
        Problem::from(why.fault()).with("outcome", "unrated").with("item", json!(why.item))
    })?;
    let explained = explain_lines(&catalogue, &event, &rating);
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
    let (card, version) = version(&catalogue, &rating);
    let answer = json!({
        "credits": rating.credits,
        "residual": rating.residual,
        "vendor_cost": rating.vendor_cost,
        "currency": catalogue.currency().map(|currency| currency.to_string()),
        "rate_card": card,
        "rate_card_version": version,
        "lines": lines,
        "total": explain_total(&catalogue, &rating),
    });
    Ok(super::json(StatusCode::OK, &answer))
}

fn version(catalogue: &Catalogue, rating: &Rating) -> (String, u32) {
    catalogue.version(rating.rate_card).map_or_else(Default::default, |version| {
        (version.document.id().to_owned(), version.ordinal)
    })
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

/// An event around the given items, so that they are read and checked as an event's are.
fn composed(form: &mut Form) -> Result<Vec<u8>, Problem> {
    let feature = form.raw("feature").ok_or_else(|| missing("feature"))?;
    let items = form.raw("items").ok_or_else(|| missing("items"))?;
    let text = |value: Option<Box<serde_json::value::RawValue>>, otherwise: Text<'_>| match value {
        Some(value) => value.get().to_owned(),
        None => Value::from(otherwise).to_string(),
    };
    let account = text(form.raw("account"), Text::Borrowed("quote"));
    let time = text(form.raw("time"), Text::Owned(now().to_string()));
    let traffic = text(form.raw("traffic"), Text::Borrowed("customer"));
    let mut optional = String::new();
    for name in ["team", "user", "status", "attributes"] {
        if let Some(value) = form.raw(name) {
            optional.push_str(&format!(",\"{name}\":{}", value.get()));
        }
    }
    Ok(format!(
        "{{\"specversion\":\"1.0\",\"type\":\"tally.usage.v1\",\"source\":\"quote\",\
         \"id\":\"quote\",\"time\":{time},\"subject\":{account},\"data\":{{\"feature\":{feature},\
         \"traffic\":{traffic}{optional},\"items\":{items}}}}}"
    )
    .into_bytes())
}
