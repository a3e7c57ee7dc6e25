//! `tally explain`: why an event was charged what it was, and what an entry says.

mod around;

use serde_json::{Map, Value};

use super::{Context, objects, text};
use crate::cli;
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{cell, trimmed};

pub(crate) fn explain(context: &Context, explain: &cli::Explain) -> Result<(), Failure> {
    let answer = match &explain.id {
        Some(id) => ask(context, &explain.source, id, explain.account.as_deref())?,
        None => context.client.get(&format!("/v1/entries/{}", segment(&explain.source)), &[])?,
    };
    context.output.answer(&answer, || explanation(&answer));
    Ok(())
}

pub(crate) fn ask(
    context: &Context,
    source: &str,
    id: &str,
    account: Option<&str>,
) -> Result<Value, Failure> {
    let mut query = vec![("source", source), ("id", id)];
    if let Some(account) = account {
        query.push(("account", account));
    }
    context.client.get("/v1/events", &query)
}

/// The whole story of one event.
pub(crate) fn explanation(answer: &Value) -> String {
    let state = text(answer, "state").unwrap_or("unknown");
    let mut lines = format!("{}\n", headline(state, answer));
    lines.push_str(&lines_text(answer));
    lines.push_str(&draws_text(answer));
    lines.push_str(&around::hold_text(answer));
    lines.push_str(&around::corrections_text(answer));
    lines.push_str(&around::postings_text(answer));
    lines.push_str(&provenance(answer));
    lines.push_str(&around::proof_text(answer));
    for letter in objects(answer.get("dead_letters")) {
        lines.push_str(&dead_letter(&letter));
    }
    lines
}

fn headline(state: &str, answer: &Value) -> String {
    match state {
        "debit" => format!(
            "charged {} credits{}",
            trimmed(text(answer, "credits").unwrap_or("0")),
            text(answer, "account").map_or_else(String::new, |account| format!(" to {account}")),
        ),
        "pending" => "pending: accepted, and on its way; ask again in a moment".to_owned(),
        "unrated" => format!(
            "unrated: no price covers it ({}); it is charged by itself once one is published",
            text(answer, "code").unwrap_or("no reason given")
        ),
        "quarantined" => format!(
            "quarantined ({}): neither charged nor dropped",
            text(answer, "code").unwrap_or("no reason given")
        ),
        "dead_letter" => "dead letter: it could not be read, and nothing was charged".to_owned(),
        "unknown" => "no such event was seen".to_owned(),
        // An entry that no usage caused.
        kind => format!(
            "{}{}{}",
            kind.replace('_', " "),
            text(answer, "amount")
                .map_or_else(String::new, |it| format!(" of {} credits", trimmed(it))),
            text(answer, "account").map_or_else(String::new, |account| format!(", {account}")),
        ),
    }
}

/// The lines of a charge or a quote, each with its arithmetic.
pub(crate) fn lines_text(answer: &Value) -> String {
    let mut out = String::new();
    for (place, line) in objects(answer.get("lines")).iter().enumerate() {
        let word =
            |name: &str| line.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let story = &line.get("explanation").cloned().unwrap_or_default();
        let what = text(story, "used").map_or_else(
            || [word("model"), word("meter")].into_iter().flatten().collect::<Vec<_>>().join(" · "),
            str::to_owned,
        );
        let number = line.get("item").map_or_else(|| place.to_string(), |item| cell(Some(item)));
        let credits = word("credits").map_or("0", trimmed);
        out.push_str(&format!("\n  {number}  {what}: {credits} credits\n"));
        let rule = text(story, "rule").map(str::to_owned);
        let rule = rule.or_else(|| word("rule").map(|rule| format!("rule {rule:?}")));
        for said in rule.as_deref().into_iter().chain(text(story, "price")) {
            out.push_str(&format!("       {said}\n"));
        }
        let cost = match word("vendor_cost") {
            Some(cost) => format!("{} ({})", trimmed(cost), word("cost_status").unwrap_or("known")),
            None => match word("cost_missing") {
                Some(why) => format!("not known ({why})"),
                None => "not known".to_owned(),
            },
        };
        steps(&mut out, "vendor cost", story.get("cost"), &cost);
        steps(&mut out, "credits", story.get("charge"), credits);
    }
    for said in sentences(answer.get("total")) {
        out.push_str(&format!("\n  {said}"));
    }
    if answer.get("total").is_some_and(|total| !total.is_null()) {
        out.push('\n');
    } else if let Some(residual) =
        text(answer, "residual").map(trimmed).filter(|residual| *residual != "0")
    {
        out.push_str(&format!("\n  rounding left {residual} credits\n"));
    }
    out
}

/// What a figure is, and the steps that lead to it.
fn steps(out: &mut String, name: &str, story: Option<&Value>, figure: &str) {
    let said = sentences(story);
    if said.is_empty() {
        out.push_str(&format!("       {name} {figure}\n"));
        return;
    }
    out.push_str(&format!("       {name}\n"));
    for step in said {
        out.push_str(&format!("         {step}\n"));
    }
}

fn sentences(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => text.lines().map(str::to_owned).collect(),
        Some(Value::Array(items)) => {
            items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

fn draws_text(answer: &Value) -> String {
    let draws = objects(answer.get("draws"));
    let mut out = String::new();
    if !draws.is_empty() {
        out.push_str("\n  drawn from\n");
    }
    for draw in &draws {
        let said = |name: &str| draw.get(name).filter(|value| !value.is_null());
        out.push_str(&format!("       lot {}", cell(said("lot"))));
        if let Some(category) = said("category").and_then(Value::as_str) {
            out.push_str(&format!(" ({category})"));
        }
        out.push_str(&format!(": {} credits", cell(said("credits").or_else(|| said("amount")))));
        if let Some(revenue) = said("revenue") {
            out.push_str(&format!(", revenue {}", cell(Some(revenue))));
        }
        out.push('\n');
        out.push_str(&around::lot_line(draw));
    }
    for (name, words) in [("overage", "past the lots"), ("balance_after", "available after it")] {
        let value = match answer.get(name) {
            Some(Value::Object(balance)) => balance.get("available"),
            other => other,
        };
        if let Some(amount) = value
            .and_then(Value::as_str)
            .map(trimmed)
            .filter(|it| *it != "0" || name == "balance_after")
        {
            out.push_str(&format!("       {words}: {amount} credits\n"));
        }
    }
    out
}

/// Where the charge comes from, so that it can be checked.
fn provenance(answer: &Value) -> String {
    let mut out = String::new();
    let mut say = |words: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            out.push_str(&format!("  {words:<12} {value}\n"));
        }
    };
    let versioned = |name: &str| {
        let version = answer.get(name).filter(|version| version.is_object())?;
        Some(format!("{} version {}", cell(version.get("id")), cell(version.get("version"))))
    };
    say("event time", text(&answer["event"], "time").map(str::to_owned));
    say("recorded", text(answer, "recorded_at").map(str::to_owned));
    say(
        "entry",
        answer.get("entry").filter(|entry| entry.is_string()).map(|entry| cell(Some(entry))),
    );
    say("rate card", versioned("rate_card"));
    say(
        "cause",
        answer.get("cause").filter(|cause| cause.is_object()).map(|cause| {
            format!(
                "{}[{}]@{}",
                cell(cause.get("topic")),
                cell(cause.get("partition")),
                cell(cause.get("offset"))
            )
        }),
    );
    if !out.is_empty() {
        out.insert(0, '\n');
    }
    out
}

fn dead_letter(letter: &Map<String, Value>) -> String {
    let word = |name: &str| cell(letter.get(name).filter(|value| !value.is_null()));
    let code = letter.get("code").or_else(|| letter.get("reason"));
    let mut out = format!("\n  {} at {}: {}\n", cell(code), word("field"), word("value"));
    if let Some(detail) =
        letter.get("detail").or_else(|| letter.get("about")).and_then(Value::as_str)
    {
        out.push_str(&format!("  {detail}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_charge_tells_its_whole_story() {
        let answer = json!({"state": "debit", "account": "acct_42", "credits": "12.500000000000",
            "event": {"time": "2026-11-20T12:00:00Z"},
            "lines": [{"item": 0, "model": "gpt-4o", "credits": "12.5", "vendor_cost": "0.0125",
                "cost_status": "computed", "explanation": {"used": "gpt-4o (openai)",
                "rule": "rule 8 \"cost plus\" of standard version 1", "price": "price 1 of vendors version 1",
                "cost": ["5,000 input × 2.50 / 1,000,000 = 0.0125"], "charge": ["0.0125 × 1.30"]}}],
            "total": ["12.5 in all"],
            "draws": [{"lot": "7", "category": "purchased", "credits": "12.5", "revenue": "0.00125"}],
            "balance_after": {"available": "87.5"}, "entry": "3-88",
            "rate_card": {"id": "standard", "version": 1, "offset": 2},
            "cause": {"topic": "usage.raw", "partition": 3, "offset": 17}});
        let expected = "charged 12.5 credits to acct_42

  0  gpt-4o (openai): 12.5 credits
       rule 8 \"cost plus\" of standard version 1
       price 1 of vendors version 1
       vendor cost
         5,000 input × 2.50 / 1,000,000 = 0.0125
       credits
         0.0125 × 1.30

  12.5 in all

  drawn from
       lot 7 (purchased): 12.5 credits, revenue 0.00125
       available after it: 87.5 credits

  event time   2026-11-20T12:00:00Z
  entry        3-88
  rate card    standard version 1
  cause        usage.raw[3]@17
";
        assert_eq!(explanation(&answer), expected);
    }

    #[test]
    fn a_dead_letter_says_code_field_and_value() {
        let answer = json!({"state": "dead_letter", "dead_letters": [
            {"code": "bad_token_count", "field": "data.items[0].tokens.input", "value": "-12", "detail": "token counts are whole numbers"}]});
        let text = explanation(&answer);
        assert!(text.contains("bad_token_count at data.items[0].tokens.input: -12\n  token counts are whole numbers"), "{text}");
    }

    #[test]
    fn pending_is_no_error() {
        assert!(explanation(&json!({"state": "pending"})).starts_with("pending"));
    }
}
