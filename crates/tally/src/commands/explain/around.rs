//! What stands around an explained entry: lots and what was paid for them, the hold, corrections, the
//! seal, and the rows in ClickHouse.

use domain::Credits;
use serde_json::{Map, Value};

use crate::commands::{objects, text};
use crate::table::{cell, trimmed};

/// How the revenue of a draw comes about: cumulatively from what was paid, so that the last draw takes
/// what rounding left.
pub(super) fn lot_line(draw: &Map<String, Value>) -> String {
    let Some(of) = draw.get("of").filter(|of| of.is_object()) else { return String::new() };
    let word = |name: &str| text(of, name).map(trimmed);
    let (Some(granted), Some(paid)) = (word("granted"), word("paid")) else { return String::new() };
    let entry = word("entry").unwrap_or("?");
    let gone = word("gone_before").unwrap_or("0");
    if paid == "0" {
        return format!(
            "         {granted} granted by entry {entry}, nothing paid; {gone} were gone before\n"
        );
    }
    let currency = word("currency").unwrap_or_default();
    let credits = draw.get("credits").and_then(Value::as_str).map_or("0", trimmed);
    let earned = word("earned_before").unwrap_or("0");
    format!(
        "         {paid} {currency} paid for {granted} (entry {entry}); {gone} were gone before\n         \
         revenue: {paid} × ({gone} + {credits}) / {granted} − {earned} recognised before\n"
    )
}

/// The hold that a charge came out of: how it began, and every step.
pub(super) fn hold_text(answer: &Value) -> String {
    let hold = &answer["hold"];
    if !hold.is_object() {
        return String::new();
    }
    let word = |name: &str| cell(hold.get(name));
    let mut out = format!("\n  hold {}\n", word("hold"));
    let reserved = &hold["reserved"];
    if reserved.is_object() {
        out.push_str(&format!(
            "       {} reserved at {} by {}, until {}\n",
            cell(reserved.get("amount")),
            cell(reserved.get("recorded_at")),
            cell(reserved.get("entry")),
            cell(reserved.get("expires_at")),
        ));
    }
    let steps = objects(hold.get("steps"));
    for step in steps.iter().filter(|step| step.get("step").is_none_or(|word| word != "reserved")) {
        let word = |name: &str| cell(step.get(name));
        out.push_str(&format!(
            "       {} by {} at {}: {} captured, {} held\n",
            word("step"),
            word("entry"),
            word("recorded_at"),
            word("captured"),
            word("held"),
        ));
    }
    if hold["ended"] == true {
        out.push_str(&format!(
            "       it ended with this charge: {} freed, {} returned\n",
            word("freed"),
            word("returned")
        ));
    }
    if let Some(above) = text(hold, "above").map(trimmed).filter(|above| *above != "0") {
        out.push_str(&format!("       {above} above what it had reserved\n"));
    }
    out
}

/// What names the entry: reversals and the like, and events with the same identity that were put
/// aside.
pub(super) fn corrections_text(answer: &Value) -> String {
    let corrections = objects(answer.get("corrections"));
    if corrections.is_empty() {
        return String::new();
    }
    let mut out = "\n  corrections\n".to_owned();
    let mut stands = text(answer, "credits").and_then(|credits| credits.parse::<Credits>().ok());
    for correction in corrections {
        let word =
            |name: &str| correction.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
        out.push_str(&format!(
            "       {} {} at {}: {} credits to the account",
            word("kind").unwrap_or("?"),
            word("entry").unwrap_or("?"),
            word("recorded_at").unwrap_or("?"),
            word("credits").map_or("0", trimmed),
        ));
        let moved = word("credits").and_then(|credits| credits.parse::<Credits>().ok());
        stands = stands.zip(moved).map(|(stands, moved)| stands - moved);
        for (said, name) in [("by", "actor"), ("because", "reason")] {
            if let Some(word) = word(name) {
                out.push_str(&format!(", {said} {word}"));
            }
        }
        out.push('\n');
    }
    if let Some(stands) = stands {
        out.push_str(&format!(
            "       the charge stands at {} credits\n",
            trimmed(&stands.to_string())
        ));
    }
    out
}

/// The seal over it, and its rows.
pub(super) fn proof_text(answer: &Value) -> String {
    let mut out = String::new();
    let seal = &answer["seal"];
    if seal.is_object() {
        out.push_str(&format!(
            "  seal         {} at ledger.entries[{}]@{}, chain {}\n",
            cell(seal.get("number")),
            cell(seal.get("ledger_partition")),
            cell(seal.get("ledger_offset")),
            text(seal, "chain_hash").unwrap_or("?"),
        ));
    }
    let tables = &answer["clickhouse"];
    if tables["answers"] == false {
        out.push_str(&format!("  ClickHouse   does not answer: {}\n", cell(tables.get("error"))));
        return out;
    }
    let lines = &tables["usage_lines"];
    if lines.is_object() {
        out.push_str(&format!(
            "  ClickHouse   {} usage_lines: {} credits, vendor cost {}, revenue {}\n",
            cell(lines.get("lines")),
            cell(lines.get("credits")),
            cell(lines.get("vendor_cost")),
            cell(lines.get("revenue")),
        ));
    }
    for key in objects(tables.get("rollup_keys")) {
        let named: Vec<String> =
            ["hour_at", "plan", "team", "user", "feature", "traffic", "provider", "model", "meter"]
                .into_iter()
                .filter_map(|name| {
                    let value =
                        key.get(name).and_then(Value::as_str).filter(|it| !it.is_empty())?;
                    Some(format!("{}={value}", name.trim_end_matches("_at")))
                })
                .collect();
        out.push_str(&format!(
            "               rollups {}: {} credits\n",
            named.join(" "),
            cell(key.get("credits"))
        ));
    }
    if let Some(query) = text(tables, "query") {
        out.push_str(&format!("               tally sql \"{query}\"\n"));
    }
    out
}

/// Both sides of the entry.
pub(super) fn postings_text(answer: &Value) -> String {
    let postings = objects(answer.get("postings"));
    if postings.is_empty() {
        return String::new();
    }
    let mut out = "\n  postings\n".to_owned();
    for posting in postings {
        let word = |name: &str| cell(posting.get(name));
        out.push_str(&format!(
            "       {:<20} {:>16} {}\n",
            word("account"),
            word("amount"),
            word("unit")
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_revenue_of_a_draw_is_written_out() {
        let draw = json!({"lot": "7", "credits": "12.5", "revenue": "0.125", "of": {
            "granted": "1000", "paid": "10", "currency": "USD", "entry": "3-7",
            "gone_before": "100", "earned_before": "1"}});
        assert_eq!(
            lot_line(draw.as_object().unwrap()),
            "         10 USD paid for 1000 (entry 3-7); 100 were gone before\n         \
             revenue: 10 × (100 + 12.5) / 1000 − 1 recognised before\n"
        );
    }

    #[test]
    fn a_hold_a_reversal_and_a_seal_are_told() {
        let answer = json!({
            "credits": "5",
            "hold": {"hold": "hold_3-8", "above": "0", "ended": true, "freed": "7", "returned": "0",
                "reserved": {"amount": "12", "recorded_at": "T1", "entry": "3-8", "expires_at": "T9"},
                "steps": [{"step": "reserved", "entry": "3-8"},
                    {"step": "charged", "entry": "3-9", "recorded_at": "T2", "captured": "5", "held": "0"}]},
            "corrections": [{"kind": "reversed", "entry": "3-10", "recorded_at": "T3", "credits": "5.0",
                "actor": "ada", "reason": "a failed run"}],
            "seal": {"number": 4, "ledger_partition": 3, "ledger_offset": 12, "chain_hash": "ab"},
            "clickhouse": {"answers": true, "usage_lines": {"lines": 1, "credits": "5", "vendor_cost": null, "revenue": "0.5"},
                "rollup_keys": [{"hour_at": "H", "feature": "chat", "plan": "", "credits": "5"}]}});
        assert_eq!(
            hold_text(&answer),
            "\n  hold hold_3-8\n       12 reserved at T1 by 3-8, until T9\n       \
             charged by 3-9 at T2: 5 captured, 0 held\n       \
             it ended with this charge: 7 freed, 0 returned\n"
        );
        assert_eq!(
            corrections_text(&answer),
            "\n  corrections\n       reversed 3-10 at T3: 5 credits to the account, by ada, because a failed \
             run\n       the charge stands at 0 credits\n"
        );
        assert_eq!(
            proof_text(&answer),
            "  seal         4 at ledger.entries[3]@12, chain ab\n  \
             ClickHouse   1 usage_lines: 5 credits, vendor cost –, revenue 0.5\n               \
             rollups hour=H feature=chat: 5 credits\n"
        );
    }
}
