//! `tally webhook`: where alerts go, and what became of them.

use serde_json::{Map, Value, json};

use super::{Context, number, text};
use crate::cli::{WebhookAdd, WebhookDeliveries, WebhookRotate, Webhooks};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table};

pub(crate) fn webhooks(context: &Context, command: &Webhooks) -> Result<(), Failure> {
    match command {
        Webhooks::Add(added) => add(context, added),
        Webhooks::List => list(context),
        Webhooks::Remove(webhook) => remove(context, &webhook.id),
        Webhooks::Rotate(webhook) => rotate(context, webhook),
        Webhooks::Test(webhook) => test(context, &webhook.id),
        Webhooks::Deliveries(asked) => deliveries(context, asked),
        Webhooks::Replay(asked) => replay(context, &asked.id, &asked.delivery),
    }
}

fn at(id: &str) -> String {
    format!("/v1/webhooks/{}", segment(id))
}

fn add(context: &Context, added: &WebhookAdd) -> Result<(), Failure> {
    let mut body = Map::from_iter([("url".to_owned(), json!(added.url))]);
    for (name, listed) in [("events", &added.events), ("accounts", &added.accounts)] {
        if !listed.is_empty() {
            body.insert(name.to_owned(), json!(listed));
        }
    }
    if let Some(description) = &added.description {
        body.insert("description".to_owned(), json!(description));
    }
    let answer = context.client.post("/v1/webhooks", &Value::Object(body))?;
    context.output.answer(&answer, || with_secret(&answer));
    Ok(())
}

fn rotate(context: &Context, webhook: &WebhookRotate) -> Result<(), Failure> {
    let path = format!("{}/rotate", at(&webhook.id));
    let answer = context.client.post(&path, &json!({"overlap_s": webhook.overlap.0}))?;
    context.output.answer(&answer, || with_secret(&answer));
    Ok(())
}

fn remove(context: &Context, id: &str) -> Result<(), Failure> {
    let answer = context.client.delete(&at(id))?;
    context.output.answer(&answer, || format!("webhook {id} is removed\n"));
    Ok(())
}

fn list(context: &Context) -> Result<(), Failure> {
    let answer = context.client.get("/v1/webhooks", &[])?;
    context.output.answer(&answer, || listed(&answer).to_string());
    Ok(())
}

fn test(context: &Context, id: &str) -> Result<(), Failure> {
    let answer = context.client.post(&format!("{}/test", at(id)), &json!({}))?;
    context.output.answer(&answer, || came_back(&answer));
    match answer["delivered"].as_bool() {
        Some(true) => Ok(()),
        Some(false) | None => Err(Failure::Failed(format!("webhook {id} did not take the ping"))),
    }
}

fn deliveries(context: &Context, asked: &WebhookDeliveries) -> Result<(), Failure> {
    let limit = asked.limit.map(|limit| limit.to_string());
    let mut query = Vec::new();
    query.extend(limit.as_deref().map(|limit| ("limit", limit)));
    query.extend(asked.state.as_deref().map(|state| ("state", state)));
    let answer = context.client.get(&format!("{}/deliveries", at(&asked.id)), &query)?;
    context.output.answer(&answer, || delivered(&answer).to_string());
    Ok(())
}

fn replay(context: &Context, id: &str, delivery: &str) -> Result<(), Failure> {
    let path = format!("{}/deliveries/{}/replay", at(id), segment(delivery));
    let answer = context.client.post(&path, &json!({}))?;
    context.output.answer(&answer, || format!("{delivery} is sent again\n"));
    Ok(())
}

/// The secret on a line of its own, to be taken and kept.
fn with_secret(answer: &Value) -> String {
    let of = |name| text(answer, name).unwrap_or_default();
    format!(
        "webhook {} ({}); its secret is shown this once:\n\n{}\n\n",
        of("id"),
        of("url"),
        of("secret")
    )
}

fn came_back(answer: &Value) -> String {
    let came = match (number(answer, "status"), text(answer, "error")) {
        (Some(status), _) => format!("it answered {status}"),
        (None, error) => error.unwrap_or("it did not answer").to_owned(),
    };
    let took_ms = number(answer, "took_ms").unwrap_or_default();
    match text(answer, "body") {
        Some(body) => format!("{came} after {took_ms} ms:\n{body}\n"),
        None => format!("{came} after {took_ms} ms\n"),
    }
}

fn listed(answer: &Value) -> Table {
    let left = ["webhook", "url", "events", "accounts", "secrets", "made", "description"];
    let mut table = Table::new(left.map(|name| (name, Align::Left)));
    for webhook in answer["webhooks"].as_array().into_iter().flatten() {
        let shown = |name: &str| text(webhook, name).unwrap_or("–").to_owned();
        table.row([
            shown("id"),
            shown("url"),
            names(&webhook["events"]),
            names(&webhook["accounts"]),
            webhook["secrets"].as_array().map_or(0, Vec::len).to_string(),
            shown("created_at"),
            shown("description"),
        ]);
    }
    table
}

fn names(listed: &Value) -> String {
    match listed.as_array() {
        Some(listed) => listed.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        None => "all".to_owned(),
    }
}

fn delivered(answer: &Value) -> Table {
    let mut table = Table::new([
        ("delivery", Align::Left),
        ("type", Align::Left),
        ("event", Align::Left),
        ("state", Align::Left),
        ("tries", Align::Right),
        ("last answer", Align::Left),
        ("next", Align::Left),
    ]);
    for delivery in answer["deliveries"].as_array().into_iter().flatten() {
        let shown = |name: &str| text(delivery, name).unwrap_or("–").to_owned();
        let last = match number(delivery, "last_status") {
            Some(status) => status.to_string(),
            None => shown("last_error"),
        };
        table.row([
            shown("delivery"),
            shown("type"),
            shown("event"),
            shown("state"),
            number(delivery, "attempts").unwrap_or_default().to_string(),
            last,
            shown("next_at"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_stands_on_a_line_of_its_own_and_a_list_has_none() {
        let answer = json!({"id": "wh_1", "url": "https://example.com", "secret": "whsec_x"});
        assert!(with_secret(&answer).lines().any(|line| line == "whsec_x"));
        let answer = json!({"webhooks": [{"id": "wh_1", "url": "https://example.com",
            "events": ["balance.low", "topup.wanted"], "accounts": null, "secrets": [{"until": null}],
            "description": ""}]});
        let table = listed(&answer).to_string();
        assert!(table.contains("balance.low, topup.wanted") && table.contains("all"), "{table}");
    }

    #[test]
    fn what_came_back_is_told_with_what_was_said() {
        let answer = json!({"status": 401, "error": null, "took_ms": 12, "body": "no"});
        assert_eq!(came_back(&answer), "it answered 401 after 12 ms:\nno\n");
        let answer = json!({"status": null, "error": "no answer within 10 s", "took_ms": 10_000, "body": ""});
        assert_eq!(came_back(&answer), "no answer within 10 s after 10000 ms\n");
    }
}
