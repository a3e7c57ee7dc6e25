//! `tally dlq retry`: asks page by page until all are through. What was sent is marked as it goes, so
//! that running it again after an interruption goes on where it stopped.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::filter;
use crate::cli::on_call::DlqRetry;
use crate::commands::{Context, number, objects, text};
use crate::failure::Failure;
use crate::table::{Align, Table, cell};

/// Letters that are listed; all are counted.
const SHOWN_MAX: usize = 1_000;
const ROWS_SHOWN: usize = 50;
const NOT_SENT: &str = "not_sent";

/// What became of all letters, or would.
#[derive(Debug, Default)]
struct Ended {
    letters: Vec<Value>,
    outcomes: BTreeMap<String, i64>,
}

pub(crate) fn retry(context: &Context, again: &DlqRetry) -> Result<(), Failure> {
    let mut body = Map::new();
    body.insert("dry_run".to_owned(), json!(!again.yes));
    for (name, value) in filter(&again.letters)? {
        body.insert(name.to_owned(), json!(value));
    }
    if let Some(letter) = &again.letter {
        body.insert("letter".to_owned(), json!(letter));
    }
    if again.again {
        body.insert("again".to_owned(), json!(true));
    }
    context.name_actor(None, &mut body);
    let mut ended = Ended::default();
    loop {
        let page = context.client.post("/v1/dead-letters/retry", &Value::Object(body.clone()))?;
        ended.add(&page);
        match text(&page, "next") {
            Some(next) => body.insert("from".to_owned(), json!(next)),
            None => break,
        };
        if again.yes {
            context.output.note(&format!("{} letters so far", ended.count()));
        }
    }
    let answer = json!({
        "dry_run": !again.yes,
        "letters": ended.letters,
        "letters_not_listed": ended.count() - i64::try_from(ended.letters.len()).unwrap_or(0),
        "outcomes": ended.outcomes,
    });
    context.output.answer(&answer, || retry_text(&answer));
    // Whoever names one letter wants that one.
    match again.letter.is_some() && again.yes && ended.outcomes.contains_key(NOT_SENT) {
        true => std::process::exit(1),
        false => Ok(()),
    }
}

impl Ended {
    fn add(&mut self, page: &Value) {
        for letter in objects(page.get("letters")) {
            if self.letters.len() < SHOWN_MAX {
                self.letters.push(Value::Object(letter));
            }
        }
        for (outcome, count) in page["outcomes"].as_object().into_iter().flatten() {
            *self.outcomes.entry(outcome.clone()).or_default() += count.as_i64().unwrap_or(0);
        }
    }

    fn count(&self) -> i64 {
        self.outcomes.values().sum()
    }
}

fn retry_text(answer: &Value) -> String {
    let is_dry = answer["dry_run"] == true;
    let letters = objects(answer.get("letters"));
    if letters.is_empty() {
        return "no open dead letter fits\n".to_owned();
    }
    let mut table = Table::new([
        ("letter", Align::Left),
        ("code", Align::Left),
        ("account", Align::Left),
        ("source", Align::Left),
        ("id", Align::Left),
        (if is_dry { "would end as" } else { "ended as" }, Align::Left),
        ("", Align::Left),
    ]);
    for letter in letters.iter().take(ROWS_SHOWN) {
        let end = letter.get(if is_dry { "would" } else { "ended" }).cloned().unwrap_or_default();
        let today = letter.get("today").cloned().unwrap_or_default();
        // What can be read is named as it is; of the rest, what could be glimpsed.
        let word = |name: &str| {
            let named = today.get(name).filter(|value| value.is_string());
            cell(named.or_else(|| letter.get(name)))
        };
        table.row([
            cell(letter.get("letter")),
            cell(letter.get("code")),
            word("account"),
            word("source"),
            word("id"),
            cell(end.get("outcome")),
            about(&end),
        ]);
    }
    let all: i64 = answer["outcomes"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, count)| count.as_i64())
        .sum();
    let mut out = table.to_string();
    let listed = i64::try_from(letters.len().min(ROWS_SHOWN)).unwrap_or(0);
    if all > listed {
        out.push_str(&format!("… and {} more\n", all - listed));
    }
    out.push('\n');
    for (outcome, count) in answer["outcomes"].as_object().into_iter().flatten() {
        out.push_str(&format!("{count} {}\n", words(outcome, is_dry)));
    }
    let sendable = all - number(&answer["outcomes"], NOT_SENT).unwrap_or(0);
    if is_dry && sendable > 0 {
        out.push_str(&format!("\nnothing was sent; the same with --yes sends {sendable}\n"));
    }
    out
}

fn about(end: &Value) -> String {
    let credits =
        text(end, "credits").map(|credits| format!("{} credits", crate::table::trimmed(credits)));
    let entry = text(end, "entry").map(|entry| format!("entry {entry}"));
    let conflict = text(end, "conflicts_with").map(|entry| format!("conflicts with {entry}"));
    let code = text(end, "code").map(str::to_owned);
    let parts: Vec<String> = [code, entry, credits, conflict].into_iter().flatten().collect();
    parts.join(", ")
}

fn words(outcome: &str, is_dry: bool) -> &str {
    match (outcome, is_dry) {
        ("debit", true) => "would be charged",
        ("debit", false) => "charged",
        ("duplicate", true) => "were charged meanwhile: nothing would happen",
        ("duplicate", false) => "were charged before: nothing happened",
        ("unrated", _) => "kept until a price covers them",
        ("quarantined", _) => "put aside as suspicious",
        ("dead_letter", _) => "became dead letters again",
        ("pending", _) => "sent, and not decided yet",
        (NOT_SENT, _) => "not sent: they still cannot be processed, and stay open",
        (other, _) => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_what_would_be_sent() {
        let letter = |name: &str, would: Value| {
            json!({"letter": name, "code": "unknown_pool", "account": null, "source": "/a", "id": null,
                "today": {"readable": true, "account": "acct_42", "source": "/a", "id": "1"}, "would": would})
        };
        let answer = json!({"dry_run": true, "outcomes": {"debit": 1, "not_sent": 1}, "letters": [
            letter("3-17", json!({"outcome": "debit", "credits": "2.500000000000"})),
            letter("3-18", json!({"outcome": "not_sent", "code": "bad_item"})),
        ]});
        let said = retry_text(&answer);
        assert!(
            said.contains("3-17    unknown_pool  acct_42  /a      1   debit         2.5 credits\n"),
            "{said}"
        );
        assert!(said.contains("not_sent      bad_item\n"), "{said}");
        assert!(
            said.ends_with(
                "1 would be charged\n1 not sent: they still cannot be processed, and stay open\n\n\
                 nothing was sent; the same with --yes sends 1\n"
            ),
            "{said}"
        );
        assert_eq!(retry_text(&json!({"letters": []})), "no open dead letter fits\n");
    }
}
