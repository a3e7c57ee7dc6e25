//! `tally quote`: what usage would cost, before it happens.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::hold::scoped;
use super::{Context, explain, freshness_line, number, objects, plan, read_text, refusal, text};
use crate::cli::quote::Quote;
use crate::failure::Failure;
use crate::table::{Align, Table, cell, trimmed};

pub(crate) fn quote(context: &Context, quote: &Quote) -> Result<(), Failure> {
    match &quote.file {
        Some(path) => of_file(context, path, quote.account.as_deref()),
        None => ask(context, &asked(quote)),
    }
}

/// Of a file: a usage event, or what `POST /v1/quote` takes.
pub(crate) fn of_file(
    context: &Context,
    path: &Path,
    account: Option<&str>,
) -> Result<(), Failure> {
    let wrong = |what: String| Failure::Usage(format!("{}: {what}", path.display()));
    let read: Value =
        serde_json::from_str(&read_text(path)?).map_err(|error| wrong(error.to_string()))?;
    let Value::Object(mut body) = read else {
        return Err(wrong("not a JSON object".to_owned()));
    };
    // A whole usage event has a specversion; the other form is the quote's own.
    let is_event = body.contains_key("specversion");
    if let Some(account) = account {
        let name = if is_event { "subject" } else { "account" };
        match body.get(name).and_then(Value::as_str) {
            Some(other) if other != account => {
                return Err(wrong(format!("its {name} is {other:?}, not {account:?}")));
            }
            Some(_) => {}
            None => {
                body.insert(name.to_owned(), json!(account));
            }
        }
    }
    let body = Value::Object(body);
    ask(context, &if is_event { json!({ "event": body }) } else { body })
}

/// Usage has a feature; without one it is of a feature that no rule is about.
const NO_FEATURE: &str = "quote";

fn asked(quote: &Quote) -> Value {
    let items = Value::Array(quote.expected.items());
    let mut body = Map::from_iter([("items".to_owned(), items)]);
    if let Some(account) = &quote.account {
        body.insert("account".to_owned(), json!(account));
    }
    if let Some(time) = quote.time {
        body.insert("time".to_owned(), json!(time.to_string()));
    }
    scoped(&quote.scope, &mut body);
    body.entry("feature").or_insert_with(|| json!(NO_FEATURE));
    Value::Object(body)
}

fn ask(context: &Context, body: &Value) -> Result<(), Failure> {
    let answer = context.client.post("/v1/quote", body)?;
    context.output.answer(&answer, || quote_text(&answer));
    Ok(())
}

/// The three prices that a quote has.
const RANGE: [&str; 3] = ["least", "expected", "most"];

fn quote_text(answer: &Value) -> String {
    let mut lines = headline(answer);
    if let Some(table) = range_table(answer) {
        lines.push_str(&format!("\n{table}"));
    }
    lines.push_str(&explain::lines_text(answer));
    let zero = at_zero(answer);
    if !zero.is_empty() {
        lines.push_str(&format!("\n{zero}"));
    }
    let fresh = freshness_line(answer);
    if !fresh.is_empty() {
        lines.push_str(&format!("\n{fresh}"));
    }
    lines
}

fn headline(answer: &Value) -> String {
    let [least, expected, most] = RANGE.map(|name| credits(answer, name));
    let mut line = match (least, expected, most) {
        (Some(least), Some(expected), Some(most)) if least != most => {
            format!("{expected} credits expected, {least} at the least, {most} at the most")
        }
        _ => format!("{} credits", trimmed(text(answer, "credits").unwrap_or("0"))),
    };
    line.push_str(&format!(
        ", by rate card {:?} version {}",
        text(answer, "rate_card").unwrap_or_default(),
        number(answer, "rate_card_version").unwrap_or(0),
    ));
    if let Some(plan) = text(answer, "plan") {
        line.push_str(&format!(" of plan {plan:?}"));
    }
    line.push('\n');
    line
}

fn credits<'a>(answer: &'a Value, name: &str) -> Option<&'a str> {
    text(answer.get(name)?, "credits").map(trimmed)
}

/// Line by line from least to most, and what would be left; nothing when all are the same and no
/// balance is known.
fn range_table(answer: &Value) -> Option<Table> {
    let [least, _, most] = RANGE.map(|name| credits(answer, name));
    let after = RANGE.map(|name| available_after(answer.get(name)?));
    if (least == most && after.iter().all(Option::is_none)) || least.is_none() {
        return None;
    }
    let mut table = Table::new([
        ("item", Align::Left),
        ("", Align::Left),
        ("least", Align::Right),
        ("expected", Align::Right),
        ("most", Align::Right),
    ]);
    let of_item = |name: &str, place: usize| {
        let lines = answer.get(name).and_then(|range| range.get("lines"));
        objects(lines).get(place).map_or_else(|| "–".to_owned(), |line| cell(line.get("credits")))
    };
    for (place, line) in objects(answer.get("lines")).iter().enumerate() {
        let named = ["model", "meter"].map(|name| line.get(name).and_then(Value::as_str));
        let what = named.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        let [least, expected, most] = RANGE.map(|name| of_item(name, place));
        table.row([place.to_string(), what, least, expected, most]);
    }
    let shown = |value: Option<&str>| value.unwrap_or("–").to_owned();
    let totals = RANGE.map(|name| shown(credits(answer, name)));
    table.row(["".to_owned(), "in all".to_owned()].into_iter().chain(totals));
    if after.iter().any(Option::is_some) {
        let after = after.map(shown);
        table.row(["".to_owned(), "available after it".to_owned()].into_iter().chain(after));
    }
    Some(table)
}

fn available_after(range: &Value) -> Option<&str> {
    text(range, "available_after").map(trimmed)
}

/// Whether a hold of the most would be granted now, and what happens at zero.
fn at_zero(answer: &Value) -> String {
    let mut lines = String::new();
    let hold = &answer["hold_of_most"];
    match hold.get("granted").and_then(Value::as_bool) {
        Some(true) => lines.push_str("  a hold of the most would be granted now\n"),
        Some(false) => {
            let why = refusal::limit_words(hold);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            lines.push_str(&format!("  a hold of the most would be refused now{why}\n"));
        }
        None => {}
    }
    if let Some(said) = plan::at_zero(answer) {
        lines.push_str(&format!("  {said}\n"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::spending::Spending;
    use crate::cli::{Cli, Command};

    fn parsed(line: &str) -> Quote {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Spending(Spending::Quote(quote)) => quote,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_question_is_what_the_api_takes() {
        let line = "tally quote acct_42 --model gpt-4o --characters 8000 --max-output 1000 --feature chat \
            --time 2026-11-20T12:00:00Z";
        assert_eq!(
            asked(&parsed(line)),
            json!({"account": "acct_42", "feature": "chat", "time": "2026-11-20T12:00:00Z",
                "items": [{"model": "gpt-4o", "input_characters": 8000, "max_output_tokens": 1000}]})
        );
    }

    #[test]
    fn usage_without_a_feature_is_of_one_that_no_rule_is_about() {
        let asked = asked(&parsed("tally quote acct_42 --item model=m,input=1"));
        assert_eq!(asked["feature"], "quote");
    }

    #[test]
    fn a_quote_in_three_numbers_goes_line_by_line() {
        let answer = json!({"credits": "75", "rate_card": "standard", "rate_card_version": 3,
            "plan": "pro", "lines": [{"item": 0, "model": "gpt-4o", "credits": "65"},
                {"item": 1, "meter": "email_send", "credits": "10"}],
            "least": {"credits": "30.000", "lines": [{"credits": "20"}, {"credits": "10"}], "available_after": "57.5"},
            "expected": {"credits": "75", "lines": [{"credits": "65"}, {"credits": "10"}], "available_after": "12.5"},
            "most": {"credits": "120", "lines": [{"credits": "110"}, {"credits": "10"}], "available_after": "-32.5"},
            "available": "87.5", "on_exhausted": "refuse",
            "at_zero": "holds are refused; usage that happens all the same is booked",
            "hold_of_most": {"amount": "120", "granted": false, "limit": "balance", "shortfall": "32.5",
                "resets_at": null},
            "freshness": {"as_of": "2026-11-20T12:00:00Z"}});
        let text = quote_text(&answer);
        let head = "75 credits expected, 30 at the least, 120 at the most, by rate card \"standard\" version 3 of plan \"pro\"

item                      least  expected   most
────  ──────────────────  ─────  ────────  ─────
0     gpt-4o                 20        65    110
1     email_send             10        10     10
      in all                 30        75    120
      available after it   57.5      12.5  -32.5
";
        assert!(text.starts_with(head), "{text}");
        let tail = "  a hold of the most would be refused now: the balance leaves 32.5 credits too few; nothing is due \
            to come by itself\n  at zero, holds are refused; usage that happens all the same is booked\n\n\
            as of 2026-11-20T12:00:00Z\n";
        assert!(text.ends_with(tail), "{text}");
    }

    #[test]
    fn a_quote_of_exact_counts_is_one_number() {
        let answer = json!({"credits": "75.50", "rate_card": "standard", "rate_card_version": 3,
            "lines": [], "least": {"credits": "75.5"}, "expected": {"credits": "75.5"},
            "most": {"credits": "75.5"}});
        assert_eq!(quote_text(&answer), "75.5 credits, by rate card \"standard\" version 3\n");
    }
}
