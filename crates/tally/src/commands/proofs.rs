//! `tally verify` and `tally replay raw`.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::{Context, number, objects, text};
use crate::cli::proofs::{ReplayRaw, Verify, WhichCatalogue};
use crate::failure::{Failure, Problem, failed};
use crate::table::{Align, Table, cell, grouped};

/// Prints the report; one that does not hold ends with exit code 1.
pub(crate) fn verify(context: &Context, verify: &Verify) -> Result<(), Failure> {
    let answer = match verify.deep {
        false => context.client.get("/v1/verify", &[])?,
        true => {
            let rate = verify.rate.map(|rate| rate.to_string());
            let every = verify.every.map(|every| every.to_string());
            let mut query = vec![("deep", "true")];
            query.extend(verify.from.as_deref().map(|from| ("from", from)));
            query.extend(rate.as_deref().map(|rate| ("rate", rate)));
            query.extend(every.as_deref().map(|every| ("every", every)));
            told(context, "/v1/verify", &query)?
        }
    };
    context.output.answer(&answer, || verify_text(&answer));
    end(holds(&answer))
}

pub(crate) fn replay_raw(context: &Context, raw: &ReplayRaw) -> Result<(), Failure> {
    let partition = raw.partition.map(|partition| partition.to_string());
    let from_seal = raw.from_seal.map(|seal| seal.to_string());
    let rate = raw.rate.map(|rate| rate.to_string());
    let mut query = Vec::new();
    query.extend(partition.as_deref().map(|partition| ("partition", partition)));
    query.extend(from_seal.as_deref().map(|seal| ("from_seal", seal)));
    query.extend(rate.as_deref().map(|rate| ("rate", rate)));
    match raw.catalogue {
        WhichCatalogue::Then => {}
        WhichCatalogue::Newest => query.push(("catalogue", "newest")),
    }
    let answer = told(context, "/v1/replay/raw", &query)?;
    if let Some(path) = &raw.output {
        let doing = format!("writing {}", path.display());
        std::fs::write(path, format!("{answer:#}\n")).map_err(failed(doing))?;
    }
    context.output.answer(&answer, || replay_text(&answer));
    end(answer.get("holds").and_then(Value::as_bool) == Some(true))
}

/// A failed check has been said already, in full.
fn end(holds: bool) -> Result<(), Failure> {
    match holds {
        true => Ok(()),
        false => std::process::exit(1),
    }
}

/// Reads an answer that tells how it gets on, and returns its last line.
fn told(context: &Context, path: &str, query: &[(&str, &str)]) -> Result<Value, Failure> {
    let response = context.client.stream(path, query, None)?;
    let bar = context.output.bar(0, "ledger records");
    for line in BufReader::new(response).lines() {
        let line = line.map_err(failed("reading tally's answer"))?;
        let line: Value = serde_json::from_str(&line).map_err(failed("reading tally's answer"))?;
        if let Some(progress) = line.get("progress") {
            let of = |name: &str| progress.get(name).and_then(Value::as_u64).unwrap_or(0);
            bar.set_length(of("ledger"));
            bar.set_position(of("ledger_read"));
        }
        if let Some(problem) = line.get("problem") {
            let status = number(problem, "status").and_then(|status| u16::try_from(status).ok());
            let read = Problem::read(status.unwrap_or(500), &problem.to_string());
            return Err(Failure::Refused(Box::new(read)));
        }
        if let Some(report) = line.get("report") {
            bar.finish_and_clear();
            return Ok(report.clone());
        }
    }
    Err(Failure::Failed("tally's answer ended before its report".to_owned()))
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
    let invariants: BTreeSet<u64> =
        checks.iter().filter_map(|check| check.get("invariant").and_then(Value::as_u64)).collect();
    let skipped = match sum("skipped") {
        0 => String::new(),
        skipped => format!(", {} could not be looked at", grouped(&skipped.to_string())),
    };
    match holds(answer) {
        true => format!(
            "verified: {} invariants hold over {} things looked at, 0 broken{skipped}",
            invariants.len(),
            grouped(&sum("checked").to_string())
        ),
        false => {
            format!("BROKEN: {} counterexamples; `tally verify` lists them{skipped}", sum("broken"))
        }
    }
}

fn verify_text(answer: &Value) -> String {
    let mut table = Table::new([
        ("invariant", Align::Right),
        ("", Align::Left),
        ("looked at", Align::Right),
        ("broken", Align::Right),
        ("from", Align::Left),
        ("about", Align::Left),
    ]);
    let (mut examples, mut notes) = (String::new(), String::new());
    for check in objects(answer.get("checks")) {
        let word = |name: &str| cell(check.get(name));
        let broken = check.get("broken").and_then(Value::as_u64).unwrap_or(0);
        let checked = check.get("checked").and_then(Value::as_u64).unwrap_or(0);
        let verdict = match (broken, checked) {
            (0, 0) => "nothing",
            (0, _) => "holds",
            (_, _) => "BROKEN",
        };
        table.row([
            word("invariant"),
            verdict.to_owned(),
            word("checked"),
            word("broken"),
            word("evidence"),
            word("about"),
        ]);
        for (name, into) in [("counterexamples", &mut examples), ("notes", &mut notes)] {
            for said in check.get(name).and_then(Value::as_array).into_iter().flatten() {
                into.push_str(&format!("  {}: {}\n", word("invariant"), cell(Some(said))));
            }
        }
        match check.get("skipped").and_then(Value::as_u64) {
            None | Some(0) => {}
            Some(skipped) => notes.push_str(&format!(
                "  {}: {} could not be looked at ({})\n",
                word("invariant"),
                grouped(&skipped.to_string()),
                word("about"),
            )),
        }
    }
    for said in answer.get("notes").and_then(Value::as_array).into_iter().flatten() {
        notes.push_str(&format!("  {}\n", cell(Some(said))));
    }
    let mut out = format!("{table}\n");
    if !notes.is_empty() {
        out.push_str(&format!("notes\n{notes}\n"));
    }
    match examples.is_empty() {
        true => out.push_str(&format!("{}\n", verify_line(answer))),
        false => out.push_str(&format!("counterexamples\n{examples}")),
    }
    out
}

fn replay_text(answer: &Value) -> String {
    let count = |name: &str| grouped(&number(answer, name).unwrap_or(0).to_string());
    let mut out = format!(
        "{} entries decided again: {} the same, {} different\n\
         {} inputs without an entry decided again: {} different\n\
         {} seals; {} entries taken as they stand, {} inputs past their retention\n",
        count("decided"),
        count("same"),
        count("different"),
        count("endings"),
        count("endings_different"),
        count("seals"),
        count("followed"),
        count("not_retained"),
    );
    for said in answer.get("notes").and_then(Value::as_array).into_iter().flatten() {
        out.push_str(&format!("note: {}\n", cell(Some(said))));
    }
    let sums = objects(answer.get("by_usage"));
    if !sums.is_empty() {
        let mut table = Table::new([
            ("account", Align::Left),
            ("feature", Align::Left),
            ("model", Align::Left),
            ("credits then", Align::Right),
            ("credits now", Align::Right),
        ]);
        for sum in &sums {
            let word = |name: &str| cell(sum.get(name));
            table.row([
                word("account"),
                word("feature"),
                word("model"),
                word("credits_then"),
                word("credits_now"),
            ]);
        }
        let all = |name: &str| text(answer, name).unwrap_or("0").to_owned();
        out.push_str(&format!(
            "\ncharges that differ\n{table}\nin all {} then, {} now\n",
            all("credits_then"),
            all("credits_now")
        ));
    }
    for difference in objects(answer.get("differences")) {
        let word = |name: &str| cell(difference.get(name));
        out.push_str(&format!("\n{} {} {}\n", word("at"), word("kind"), word("account")));
        for field in objects(difference.get("fields")) {
            let word = |name: &str| cell(field.get(name));
            let (name, then, now) = (word("field"), word("then"), word("now"));
            out.push_str(&format!("  {name}\n    then {then}\n    now  {now}\n"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(broken: u64) -> Value {
        json!({"invariant": 2, "about": "postings balance", "evidence": "ledger", "checked": 10,
            "broken": broken, "skipped": 3, "notes": ["a note"],
            "counterexamples": if broken == 0 { json!([]) } else { json!(["3-88: 5 ≠ 4"]) }})
    }

    #[test]
    fn a_report_holds_only_when_every_check_does() {
        assert!(holds(&json!({"holds": true, "checks": [check(0)]})));
        assert!(!holds(&json!({"holds": true, "checks": [check(0), check(1)]})));
        assert!(!holds(&json!({"holds": true, "checks": []})), "nothing checked proves nothing");
        assert!(verify_text(&json!({"checks": [check(1)]})).contains("3-88: 5 ≠ 4"));
    }

    #[test]
    fn what_was_not_looked_at_is_said() {
        let text = verify_text(&json!({"holds": true, "checks": [check(0), check(0)]}));
        assert!(text.contains("a note") && text.contains("2: 3 could not be looked at"), "{text}");
        let line = "1 invariants hold over 20 things looked at, 0 broken, 6 could not be looked at";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a_difference_is_shown_with_its_fields_and_sums() {
        let text = replay_text(&json!({"decided": 1200, "same": 1199, "different": 1,
            "credits_then": "5", "credits_now": "6",
            "by_usage": [{"account": "a", "feature": "f", "model": "m",
                "credits_then": "5", "credits_now": "6"}],
            "differences": [{"at": "3-88", "account": "a", "kind": "debit",
                "fields": [{"field": "credits", "then": "5", "now": "6"}]}]}));
        for expected in ["1,199 the same, 1 different", "in all 5 then, 6 now", "3-88 debit a"] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
    }
}
