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
        ("oldest waiting", Align::Left),
        ("state", Align::Left),
    ]);
    let mut halted = String::new();
    for service in objects(answer.get("services")) {
        let word = |name: &str| cell(service.get(name));
        let stopped = objects(service.get("halted"));
        for partition in &stopped {
            halted.push_str(&halted_text(&word("name"), partition));
        }
        let standing = objects(service.get("standing"));
        for partition in &standing {
            halted.push_str(&format!(
                "\n{} partition {} stands: {} records wait\n  {}\n",
                word("name"),
                cell(partition.get("partition")),
                cell(partition.get("waiting")),
                cell(partition.get("next")),
            ));
        }
        let state = match (stopped.len(), standing.len(), service.get("lag_records")) {
            (0, 0, Some(Value::Null)) => "not known".to_owned(),
            (0, 0, _) => {
                service.get("state").map_or_else(|| "running".to_owned(), |state| cell(Some(state)))
            }
            (0, count, _) => format!("{count} standing"),
            (count, ..) => format!("{count} halted"),
        };
        let oldest = service.get("oldest_waiting").filter(|oldest| oldest.is_object());
        table.row([
            word("name"),
            word("lag_records"),
            word("lag_s"),
            word("throughput_per_s"),
            oldest.map_or_else(
                || "–".to_owned(),
                |oldest| format!("{} {}", cell(oldest.get("since")), cell(oldest.get("input"))),
            ),
            state,
        ]);
    }
    out.push_str(&table.to_string());
    out.push_str(&halted);
    out.push('\n');
    if answer["clickhouse"]["answers"] == false {
        out.push_str(&format!(
            "ClickHouse does not answer: {}\n  events, holds and the ledger go on; what waits is counted \
             once it is back. Meanwhile: tally dlq list, tally doctor\n",
            cell(answer["clickhouse"].get("error"))
        ));
    }
    if let Some(count) = number(answer, "open_holds") {
        out.push_str(&format!("{count} open holds\n"));
    }
    for (name, words, next) in [
        ("unrated_waiting", "events wait for a price", "tally unrated list"),
        ("dead_letters", "dead letters", "tally dlq list"),
        ("quarantined", "quarantined events", "tally quarantine list"),
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

/// Which partition waits for a person, where it goes on, why, and what to type.
fn halted_text(service: &str, partition: &serde_json::Map<String, Value>) -> String {
    let word = |name: &str| cell(partition.get(name));
    let at = partition.get("input").and_then(Value::as_str);
    let at = at.map_or_else(String::new, |at| format!(" at {at}"));
    let next = partition.get("next").and_then(Value::as_str);
    let next = next.map_or_else(String::new, |next| format!("  next: {next}\n"));
    format!("\n{service} partition {} is halted{at}: {}\n{next}", word("partition"), word("reason"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_names_what_is_halted_and_what_to_type() {
        let answer = json!({"version": "0.1.0", "log": "embedded", "partitions": 8,
            "services": [{"name": "charger", "lag_records": 12, "lag_s": "0.4", "throughput_per_s": 100,
                "halted": [{"partition": 3, "reason": "20 dead letters in a row",
                    "input": "usage.raw[3]@17", "next": "tally dlq list"}],
                "oldest_waiting": {"since": "2026-11-20T12:00:00Z", "input": "usage.raw[3]@17"}}],
            "unrated_waiting": 61, "open_holds": 2, "dead_letters": 0, "quarantined": 0});
        let text = status_text(&answer, "http://127.0.0.1:1");
        let halted = "charger partition 3 is halted at usage.raw[3]@17: 20 dead letters in a row\n  \
                      next: tally dlq list\n";
        assert!(text.contains(halted), "{text}");
        assert!(text.contains("2026-11-20T12:00:00Z usage.raw[3]@17  1 halted"), "{text}");
        assert!(
            text.contains("2 open holds\n61 events wait for a price: tally unrated list"),
            "{text}"
        );
        assert!(text.contains("no dead letters"), "{text}");
    }

    #[test]
    fn without_clickhouse_the_rest_is_told() {
        let answer = json!({"services": [{"name": "projector", "lag_records": null, "lag_s": null,
                "oldest_waiting": null, "halted": [], "standing": []}],
            "clickhouse": {"answers": false, "error": "connection refused"}, "dead_letters": null});
        let text = status_text(&answer, "u");
        assert!(text.contains("not known"), "{text}");
        assert!(text.contains("ClickHouse does not answer: connection refused"), "{text}");
        assert!(!text.contains("dead letters\n"), "{text}");
    }
}
