//! What `tally replay` says to people.

use std::path::Path;
use std::time::Duration;

use domain::Credits;
use serde_json::{Map, Value};

use crate::commands::{number, objects, text};
use crate::table::{Align, Table, cell, grouped, trimmed};

pub(super) fn planned(toml: &str, file: Option<&Path>) -> String {
    match file {
        Some(file) => {
            let file = file.display();
            format!("{toml}\nwritten to {file}. Next: tally replay apply {file}\n")
        }
        None => {
            format!("{toml}\n# Keep it in a file with --out FILE, then: tally replay apply FILE\n")
        }
    }
}

pub(super) fn count_of(value: &Value, name: &str) -> usize {
    value.get(name).and_then(Value::as_array).map_or(0, Vec::len)
}

pub(super) fn applied(begun: &Value, records: i64, took: Duration) -> String {
    let name = text(begun, "replay").unwrap_or("?");
    let what = match records {
        0 => "nothing was missing".to_owned(),
        records => {
            let per_second = u128::from(records.unsigned_abs()) * 1_000 / took.as_millis().max(1);
            format!(
                "{} ledger records in {}.{} s, {} per second",
                grouped(&records.to_string()),
                took.as_secs(),
                took.subsec_millis() / 100,
                grouped(&per_second.to_string())
            )
        }
    };
    format!(
        "rebuild {name}: {} tables beside the live ones have all that those have ({what})\n\
         Next: tally replay diff\n",
        count_of(begun, "tables")
    )
}

pub(super) fn status(answer: &Value) -> String {
    let word = |name: &str| text(answer, name).unwrap_or("–");
    let live = word("live");
    let mut out = format!(
        "rebuild {}: {}; the {live} tables are live\n",
        word("replay"),
        match word("state") {
            "exchanging" => "tables are being exchanged, or were when somebody was interrupted",
            state => state,
        }
    );
    out.push_str(&format!("begun {} by {}", word("begun_at"), word("by")));
    if let Some(why) = text(answer, "why") {
        out.push_str(&format!(": {why}"));
    }
    out.push('\n');
    let reached: i64 = objects(answer.get("reached"))
        .iter()
        .map(|range| {
            let offset = |name: &str| range.get(name).and_then(Value::as_i64).unwrap_or(0);
            offset("to") - offset("from")
        })
        .sum();
    let part = if answer["range"] == Value::Bool(true) { " (a part of the ledger)" } else { "" };
    out.push_str(&format!(
        "{} tables, {} ledger offsets{part}\n",
        count_of(answer, "tables"),
        grouped(&reached.to_string())
    ));
    match text(answer, "digest") {
        None => out.push_str("not compared yet: tally replay diff\n"),
        Some("none") => out.push_str(&format!("compared {}: no difference\n", word("compared_at"))),
        Some(digest) => out.push_str(&format!(
            "compared {}: {} groups differ, digest {digest}\n",
            word("compared_at"),
            number(answer, "differing_groups").unwrap_or(0)
        )),
    }
    if let Some(seconds) = answer.get("paused").and_then(|paused| number(paused, "seconds")) {
        let answered = number(&answer["paused"], "partitions").unwrap_or(0);
        out.push_str(&format!(
            "the projector was asked to pause {seconds} s ago ({answered} partitions stand still): \
             `tally replay swap` goes on, `tally replay abort` lets it go\n"
        ));
    }
    out
}

pub(super) fn exchanged(done: &Value) -> String {
    let (live, other) = sides(done);
    let again = if live == "rebuilt" { "tally replay swap --back" } else { "tally replay swap" };
    let resumed = match done["resumed"] == Value::Bool(true) {
        true => "an exchange that was interrupted is finished: ",
        false => "",
    };
    format!(
        "{resumed}the {live} tables are live ({}), the {other} ones stand beside them\n\
         `{again}` exchanges again; `tally verify` proves the live ones; `tally replay drop` drops the \
         {other} ones\n",
        count_of(done, "tables"),
    )
}

pub(super) fn aborted(done: &Value) -> String {
    let (live, other) = sides(done);
    format!(
        "the {live} tables are live, and the projector goes on; the {other} ones stand beside them\n\
         `tally replay drop` drops the {other} ones\n"
    )
}

pub(super) fn dropped(done: &Value) -> String {
    let (live, other) = sides(done);
    format!("dropped the {other} tables ({}); the {live} ones are live\n", count_of(done, "tables"))
}

/// What is live, and what is beside it.
fn sides(done: &Value) -> (&str, &'static str) {
    let live = text(done, "live").unwrap_or("?");
    (live, if live == "rebuilt" { "original" } else { "rebuilt" })
}

/// The largest differences, and how many there are.
pub(super) fn differences(report: &Value, top: usize) -> String {
    let mut out = String::new();
    for table in objects(report.get("not_compared")) {
        let word = |name: &str| cell(table.get(name));
        out.push_str(&format!("{} was not compared: {}\n", word("table"), word("why")));
    }
    let tables = objects(report.get("tables"));
    let groups =
        |table: &Map<String, Value>| table.get("groups").and_then(Value::as_u64).unwrap_or(0);
    let same: Vec<String> = tables
        .iter()
        .filter(|table| groups(table) == 0)
        .map(|table| cell(table.get("table")))
        .collect();
    if report["same"] == Value::Bool(true) {
        out.push_str(&format!("no difference in {} tables\nNext: tally replay swap\n", same.len()));
        return out;
    }
    let (mut listing, mut listed, mut all) = (listing(), 0, 0);
    for table in &tables {
        all += groups(table);
        for difference in objects(table.get("differences")) {
            if listed == top {
                break;
            }
            listed += 1;
            rows_of(&cell(table.get("table")), &difference, &mut listing);
        }
    }
    out.push_str(&listing.to_string());
    if all > listed as u64 {
        out.push_str(&format!("and {} more groups (--top N, --json)\n", all - listed as u64));
    }
    out.push_str(&format!("\nno difference: {}\n", same.join(", ")));
    let digest = text(report, "digest").unwrap_or("?");
    out.push_str(&match report["accepted"] == Value::Bool(true) {
        true => format!("{all} groups differ, digest {digest}: accepted before\n"),
        false => format!(
            "{all} groups differ. When this is what you want: \
             tally replay swap --accept-differences {digest}\n"
        ),
    });
    out
}

fn listing() -> Table {
    Table::new([
        ("table", Align::Left),
        ("day", Align::Left),
        ("account", Align::Left),
        ("feature", Align::Left),
        ("model", Align::Left),
        ("column", Align::Left),
        ("original", Align::Right),
        ("rebuilt", Align::Right),
        ("difference", Align::Right),
    ])
}

/// A line per column that differs, the group named on the first.
fn rows_of(table: &str, difference: &Map<String, Value>, listing: &mut Table) {
    let group = |name: &str| difference.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let mut columns: Vec<(String, Value, Value)> = Vec::new();
    let rows = |name: &str| difference.get(name).cloned().unwrap_or(Value::Null);
    if rows("rows_original") != rows("rows_rebuilt") {
        columns.push(("rows".to_owned(), rows("rows_original"), rows("rows_rebuilt")));
    }
    let sums = difference.get("sums").and_then(Value::as_object);
    for (column, sides) in sums.into_iter().flatten() {
        let side = |name: &str| sides.get(name).cloned().unwrap_or(Value::Null);
        columns.push((column.clone(), side("original"), side("rebuilt")));
    }
    if columns.is_empty() {
        columns.push(("rows differ".to_owned(), Value::Null, Value::Null));
    }
    for (at, (column, original, rebuilt)) in columns.into_iter().enumerate() {
        let named = |name: &str| if at == 0 { group(name) } else { String::new() };
        listing.row([
            if at == 0 { table.to_owned() } else { String::new() },
            named("day"),
            named("account"),
            named("feature"),
            named("model"),
            column,
            cell(Some(&original)),
            cell(Some(&rebuilt)),
            by(&original, &rebuilt),
        ]);
    }
}

/// Rebuilt less original, exactly.
fn by(original: &Value, rebuilt: &Value) -> String {
    let amount = |value: &Value| -> Option<Credits> {
        match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.to_string().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    };
    match (amount(original), amount(rebuilt)) {
        (Some(original), Some(rebuilt)) => {
            let difference = (rebuilt - original).to_string();
            match difference.starts_with('-') {
                true => trimmed(&difference).to_owned(),
                false => format!("+{}", trimmed(&difference)),
            }
        }
        (None, _) | (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn report() -> Value {
        json!({"replay": "ab", "same": false, "digest": "4f0c61d2a9b83e57", "accepted": false,
            "not_compared": [], "tables": [
                {"table": "usage_daily", "groups": 3, "differences": [
                    {"day": "2026-11-20", "account": "acct_42", "feature": "chat", "model": "m",
                     "rows_original": null, "rows_rebuilt": null,
                     "sums": {"credits": {"original": "1", "rebuilt": "3.500000000001"},
                              "lines": {"original": 1, "rebuilt": 2}}},
                    {"day": "2026-11-21", "account": "b", "feature": "", "model": "", "sums": {}}]},
                {"table": "seals", "groups": 0, "differences": []}]})
    }

    #[test]
    fn differences_are_shown_with_their_group_and_exactly() {
        let text = differences(&report(), 20);
        let line = text.lines().find(|line| line.contains("acct_42")).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(
            words,
            [
                "usage_daily",
                "2026-11-20",
                "acct_42",
                "chat",
                "m",
                "credits",
                "1",
                "3.500000000001",
                "+2.500000000001"
            ]
        );
        assert!(text.contains("rows differ"), "{text}");
        assert!(text.contains("and 1 more groups"), "{text}");
        assert!(text.contains("no difference: seals"), "{text}");
        assert!(text.contains("--accept-differences 4f0c61d2a9b83e57"), "{text}");
    }

    #[test]
    fn a_status_says_that_the_projector_waits_and_what_to_type() {
        let text = status(&json!({"replay": "ab", "state": "exchanging", "live": "original",
            "by": "ada", "begun_at": "2026-11-20T10:00:00Z", "why": "", "tables": ["a", "b"],
            "range": false, "reached": [{"partition": 0, "from": 0, "to": 1200}],
            "paused": {"seconds": 34, "partitions": 8}, "digest": "none",
            "compared_at": "2026-11-20T10:01:00Z"}));
        for part in ["34 s ago", "tally replay abort", "1,200 ledger offsets", "no difference"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
