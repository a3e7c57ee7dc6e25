//! `tally status`.

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
}
