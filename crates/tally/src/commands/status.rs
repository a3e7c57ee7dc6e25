//! `tally status` and `tally verify`.

use std::time::Duration;

use serde_json::Value;

use super::{Context, freshness_line, number, objects, text};
use crate::cli;
use crate::failure::Failure;
use crate::output::print;
use crate::table::{Align, Table, cell};

const WATCH_EVERY: Duration = Duration::from_secs(1);
/// ANSI: to the top left corner, and erase what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(crate) fn status(context: &Context, status: &cli::Status) -> Result<(), Failure> {
    loop {
        let answer = context.client.get("/v1/status", &[])?;
        if status.watch && !context.output.json {
            print(CLEAR);
        }
        context.output.answer(&answer, || status_text(&answer, context.client.url()));
        if !status.watch {
            return Ok(());
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

fn status_text(answer: &Value, url: &str) -> String {
    let mut out = format!(
        "tally {} at {url}, {} log, {} partitions\n\n",
        text(answer, "version").unwrap_or("?"),
        text(answer, "log").unwrap_or("?"),
        number(answer, "partitions").unwrap_or(0),
    );
    let mut table = Table::new([
        ("service", Align::Left),
        ("lag records", Align::Right),
        ("lag s", Align::Right),
        ("per s", Align::Right),
        ("state", Align::Left),
    ]);
    let mut halted = String::new();
    for service in objects(answer.get("services")) {
        let word = |name: &str| cell(service.get(name));
        let stopped = objects(service.get("halted"));
        for partition in &stopped {
            halted.push_str(&format!(
                "\n{} partition {} is halted: {}\n",
                word("name"),
                cell(partition.get("partition")),
                cell(partition.get("reason")),
            ));
        }
        let state = match stopped.len() {
            0 => {
                service.get("state").map_or_else(|| "running".to_owned(), |state| cell(Some(state)))
            }
            count => format!("{count} halted"),
        };
        table.row([
            word("name"),
            word("lag_records"),
            word("lag_s"),
            word("throughput_per_s"),
            state,
        ]);
    }
    out.push_str(&table.to_string());
    out.push_str(&halted);
    out.push('\n');
    for (name, words, next) in [
        (
            "unrated_waiting",
            "events wait for a price",
            "tally sql \"SELECT * FROM unrated_usage LIMIT 10\"",
        ),
        ("dead_letters", "dead letters", "tally sql \"SELECT * FROM dead_letters LIMIT 10\""),
        ("quarantined", "quarantined events", "tally sql \"SELECT * FROM quarantine LIMIT 10\""),
    ] {
        match number(answer, name) {
            Some(0) => out.push_str(&format!("no {words}\n")),
            Some(count) => out.push_str(&format!("{count} {words}: {next}\n")),
            None => {}
        }
    }
    if let Some(offset) = number(&answer["catalogue"], "offset") {
        out.push_str(&format!("prices up to catalogue offset {offset}\n"));
    }
    out.push_str(&freshness_line(answer));
    out
}

/// Prints the report; one that does not hold ends with exit code 1.
pub(crate) fn verify(context: &Context) -> Result<(), Failure> {
    let answer = context.client.get("/v1/verify", &[])?;
    context.output.answer(&answer, || verify_text(&answer));
    match holds(&answer) {
        true => Ok(()),
        // Said already, in full.
        false => std::process::exit(1),
    }
}

pub(crate) fn holds(answer: &Value) -> bool {
    let checks = objects(answer.get("checks"));
    let all = !checks.is_empty()
        && checks.iter().all(|check| check.get("broken").and_then(Value::as_u64) == Some(0));
    answer.get("holds").and_then(Value::as_bool).unwrap_or(all) && all
}

/// One line: what was checked, and whether it holds.
pub(crate) fn verify_line(answer: &Value) -> String {
    let checks = objects(answer.get("checks"));
    let sum = |name: &str| -> u64 {
        checks.iter().filter_map(|check| check.get(name).and_then(Value::as_u64)).sum()
    };
    match holds(answer) {
        true => format!(
            "verified: {} invariants hold over {} things looked at, 0 broken",
            checks.len(),
            crate::table::grouped(&sum("checked").to_string())
        ),
        false => format!("BROKEN: {} counterexamples; `tally verify` lists them", sum("broken")),
    }
}

fn verify_text(answer: &Value) -> String {
    let mut table = Table::new([
        ("invariant", Align::Right),
        ("", Align::Left),
        ("looked at", Align::Right),
        ("broken", Align::Right),
        ("about", Align::Left),
    ]);
    let mut examples = String::new();
    for check in objects(answer.get("checks")) {
        let word = |name: &str| cell(check.get(name));
        let broken = check.get("broken").and_then(Value::as_u64).unwrap_or(0);
        let verdict = if broken == 0 { "holds" } else { "BROKEN" };
        table.row([
            word("invariant"),
            verdict.to_owned(),
            word("checked"),
            word("broken"),
            word("about"),
        ]);
        for example in check.get("counterexamples").and_then(Value::as_array).into_iter().flatten()
        {
            examples.push_str(&format!("  {}: {}\n", word("invariant"), cell(Some(example))));
        }
    }
    match examples.is_empty() {
        true => format!("{table}\n{}\n", verify_line(answer)),
        false => format!("{table}\ncounterexamples\n{examples}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_names_what_is_halted_and_what_to_type() {
        let answer = json!({"version": "0.1.0", "log": "embedded", "partitions": 8,
            "services": [{"name": "charger", "lag_records": 12, "lag_s": "0.4", "throughput_per_s": 100,
                "halted": [{"partition": 3, "reason": "20 dead letters in a row"}]}],
            "unrated_waiting": 61, "dead_letters": 0, "quarantined": 0});
        let text = status_text(&answer, "http://127.0.0.1:1");
        assert!(text.contains("charger partition 3 is halted: 20 dead letters in a row"), "{text}");
        assert!(text.contains("61 events wait for a price: tally sql"), "{text}");
        assert!(text.contains("no dead letters"), "{text}");
    }

    #[test]
    fn a_report_holds_only_when_every_check_does() {
        let check = |broken: u64| {
            json!({"invariant": 2, "about": "postings balance", "checked": 10,
            "broken": broken, "counterexamples": if broken == 0 { json!([]) } else { json!(["3-88: 5 ≠ 4"]) }})
        };
        assert!(holds(&json!({"holds": true, "checks": [check(0)]})));
        assert!(!holds(&json!({"holds": true, "checks": [check(0), check(1)]})));
        assert!(!holds(&json!({"holds": true, "checks": []})), "nothing checked proves nothing");
        assert!(verify_text(&json!({"checks": [check(1)]})).contains("3-88: 5 ≠ 4"));
    }
}
