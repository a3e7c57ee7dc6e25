//! `tally doctor`: what the server sees of itself, and what only this side can see.

use domain::Timestamp;
use serde_json::{Value, json};

use super::{Context, now, objects, text};
use crate::failure::Failure;
use crate::table::cell;

/// How far this machine's clock may be off from tally's, the way of an answer included.
const CLOCK_MICROS_MAX: i64 = 3_000_000;

pub(crate) fn doctor(context: &Context) -> Result<(), Failure> {
    let mut answer = context.client.get("/v1/doctor", &[])?;
    let own = seen_from_here(&answer, now());
    if let Some(findings) = answer["findings"].as_array_mut() {
        findings.extend(own);
    }
    context.output.answer(&answer, || doctor_text(&answer));
    match answer["healthy"] == true {
        true => Ok(()),
        // Said already, in full.
        false => std::process::exit(1),
    }
}

/// The program that asks may be another version than the one that answers, on another machine.
fn seen_from_here(answer: &Value, now: Timestamp) -> Vec<Value> {
    let mut findings = Vec::new();
    let own = env!("CARGO_PKG_VERSION");
    let theirs = text(answer, "version").unwrap_or("?");
    findings.push(match theirs == own {
        true => json!({"check": "version", "severity": "ok",
            "found": format!("tally {own}, here and there"), "what_to_do": null}),
        false => json!({"check": "version", "severity": "warning",
            "found": format!("this program is tally {own}, and tally {theirs} answers"),
            "what_to_do": "use the same version for both"}),
    });
    let there = text(answer, "now").and_then(|time| time.parse::<Timestamp>().ok());
    if let Some(ahead) =
        there.map(|there| now.since(there)).filter(|it| it.abs() > CLOCK_MICROS_MAX)
    {
        findings.push(json!({"check": "clocks", "severity": "warning",
            "found": format!("this machine's clock is {} ms ahead of tally's", ahead / 1_000),
            "what_to_do": "set the clocks by NTP"}));
    }
    findings
}

fn doctor_text(answer: &Value) -> String {
    let mut out = String::new();
    for finding in objects(answer.get("findings")) {
        let severity = match finding.get("severity").and_then(Value::as_str) {
            Some("wrong") => "WRONG",
            Some("warning") => "warning",
            Some("note") => "note",
            Some(_) | None => "ok",
        };
        out.push_str(&format!(
            "{severity:<8} {:<12} {}\n",
            cell(finding.get("check")),
            cell(finding.get("found"))
        ));
        if let Some(todo) = finding.get("what_to_do").and_then(Value::as_str) {
            out.push_str(&format!("{:<21} → {todo}\n", ""));
        }
    }
    let count = |severity: &str| {
        let findings = objects(answer.get("findings"));
        findings.iter().filter(|it| it.get("severity").is_some_and(|is| is == severity)).count()
    };
    let (wrong, warnings) = (count("wrong"), count("warning"));
    out.push_str(&match (wrong, warnings) {
        (0, 0) => "\nnothing is wrong\n".to_owned(),
        (0, warnings) => format!("\nnothing is wrong; {warnings} to see to\n"),
        (wrong, warnings) => format!("\n{wrong} wrong, {warnings} more to see to\n"),
    });
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_to_do() {
        let answer = json!({"findings": [
            {"check": "topics", "severity": "ok", "found": "all keep", "what_to_do": null},
            {"check": "waiting", "severity": "warning", "found": "3 dead letters are open",
             "what_to_do": "tally dlq list"},
            {"check": "disk", "severity": "wrong", "found": "full", "what_to_do": "add space"}]});
        assert_eq!(
            doctor_text(&answer),
            "ok       topics       all keep\n\
             warning  waiting      3 dead letters are open\n                      → tally dlq list\n\
             WRONG    disk         full\n                      → add space\n\n1 wrong, 1 more to see to\n"
        );
    }

    #[test]
    fn another_version_and_another_clock_are_seen_from_here() {
        let at: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let answer = json!({"version": env!("CARGO_PKG_VERSION"), "now": "2026-11-20T12:00:02Z"});
        assert_eq!(seen_from_here(&answer, at).len(), 1);
        let answer = json!({"version": "0.0.0", "now": "2026-11-20T12:00:04Z"});
        let found = seen_from_here(&answer, at);
        assert!(found.iter().all(|finding| finding["severity"] == "warning"), "{found:?}");
        assert_eq!(found.len(), 2);
    }
}
