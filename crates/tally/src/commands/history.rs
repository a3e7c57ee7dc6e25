//! `tally balance ACCOUNT --at TIME`: what an account had, and what made it so.

use serde_json::Value;

use super::on_call::entries_table;
use super::{Context, freshness_line, number, objects, text, time};
use crate::cli;
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table, cell, trimmed};

pub(crate) fn balance_at(context: &Context, balance: &cli::Balance) -> Result<(), Failure> {
    let path = format!("/v1/accounts/{}/balance", segment(&balance.account));
    let (at, from) =
        (time("--at", balance.at.as_deref())?, time("--from", balance.from.as_deref())?);
    let mut query = Vec::new();
    for (name, value) in [("at", &at), ("from", &from)] {
        if let Some(value) = value {
            query.push((name, value.as_str()));
        }
    }
    let answer = context.client.get(&path, &query)?;
    context.output.answer(&answer, || balance_at_text(&answer));
    let checks = answer["checks"].as_object().into_iter().flatten();
    // A ledger record past its retention cannot be compared, which is no contradiction.
    match checks.into_iter().any(|(_, holds)| *holds == Value::Bool(false)) {
        // Said already, in full.
        true => std::process::exit(1),
        false => Ok(()),
    }
}

fn balance_at_text(answer: &Value) -> String {
    let word = |name: &str| cell(answer.get(name));
    let balance = &answer["balance"];
    let amount = |name: &str| trimmed(text(balance, name).unwrap_or("0")).to_owned();
    let mut out = format!(
        "{} at {}: {} credits available\n",
        word("account"),
        word("at"),
        amount("available")
    );
    if answer["complete"] == false {
        out.push_str("  ClickHouse has not come that far yet: entries may be missing\n");
    }
    if answer["known"] == false {
        out.push_str("  it had no entry yet\n");
        return out;
    }
    out.push_str(&format!(
        "\n  settled {} − in grace {} − held {}\n",
        amount("settled"),
        amount("in_grace"),
        amount("held")
    ));
    if amount("overage") != "0" {
        out.push_str(&format!("  overage {}\n", amount("overage")));
    }
    out.push_str(&format!(
        "  after entry {} (number {} of the account) of {}\n",
        word("entry"),
        word("sequence"),
        word("recorded_at")
    ));
    out.push_str(&format!("\n{}", movements(answer)));
    let lots = objects(answer.get("lots"));
    if !lots.is_empty() {
        let mut table = Table::new([
            ("lot", Align::Left),
            ("category", Align::Left),
            ("state", Align::Left),
            ("granted", Align::Right),
            ("remaining", Align::Right),
            ("expires", Align::Left),
        ]);
        for lot in &lots {
            let names = ["lot", "category", "state", "granted", "remaining", "expires_at"];
            table.row(names.map(|name| cell(lot.get(name))));
        }
        out.push_str(&format!("\n{table}"));
    }
    out.push_str(&format!("\n{}\n", entries_table(answer)));
    out.push_str(&checks(answer));
    out.push_str(&freshness_line(answer));
    out
}

/// Opening, what moved by kind, closing: a column that adds up.
fn movements(answer: &Value) -> String {
    let mut table = Table::new([
        ("settled credits", Align::Left),
        ("entries", Align::Right),
        ("credits", Align::Right),
    ]);
    let amount =
        |value: Option<&Value>| value.and_then(Value::as_str).map_or("0", trimmed).to_owned();
    let opening = match text(answer, "from") {
        Some(from) => format!("opening, {from}"),
        None => "opening".to_owned(),
    };
    table.row([opening, String::new(), amount(answer.get("opening"))]);
    for row in objects(answer.get("movements")) {
        table.row([cell(row.get("kind")), cell(row.get("entries")), amount(row.get("credits"))]);
    }
    table.row(["closing".to_owned(), String::new(), amount(answer.get("closing"))]);
    table.to_string()
}

fn checks(answer: &Value) -> String {
    let said = [
        ("sequence_without_gap", "the account's entries are there without a gap"),
        ("entries_add_up", "all entries add up to it"),
        ("movements_add_up", "opening and movements add up to it"),
        ("lots_add_up", "its lots less its overage add up to it"),
        ("ledger_agrees", "the ledger's own record says the same"),
    ];
    let mut out = String::new();
    for (name, words) in said {
        let mark = match answer["checks"].get(name) {
            Some(Value::Bool(true)) => "ok    ",
            Some(Value::Bool(false)) => "BROKEN",
            Some(_) | None => "–     ",
        };
        out.push_str(&format!("{mark} {words}\n"));
    }
    if let Some(offset) = number(answer, "ledger_offset") {
        let partition = number(answer, "ledger_partition").unwrap_or(0);
        out.push_str(&format!("record ledger.entries[{partition}]@{offset}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_past_balance_adds_up_on_the_screen() {
        let answer = json!({"account": "acct_42", "at": "2026-11-20T12:00:00Z", "known": true, "complete": true,
            "entry": "3-9", "sequence": 3, "recorded_at": "2026-11-20T11:59:00Z",
            "ledger_partition": 3, "ledger_offset": 12,
            "balance": {"settled": "70", "held": "0", "in_grace": "0", "overage": "0", "available": "70"},
            "from": null, "opening": "0", "closing": "70.000000000000",
            "movements": [{"kind": "grant", "entries": 1, "credits": "100"}, {"kind": "debit", "entries": 2, "credits": "-30"}],
            "lots": [{"lot": "1", "category": "purchased", "state": "live", "granted": "100", "remaining": "70", "expires_at": null}],
            "entries": [],
            "checks": {"sequence_without_gap": true, "entries_add_up": true, "movements_add_up": true,
                "lots_add_up": true, "ledger_agrees": null}});
        let said = balance_at_text(&answer);
        assert!(said.starts_with("acct_42 at 2026-11-20T12:00:00Z: 70 credits available\n\n  settled 70 − in grace 0 − held 0\n  after entry 3-9"), "{said}");
        assert!(
            said.contains(
                "settled credits  entries  credits\n───────────────  ───────  ───────\nopening                         0\n\
                 grant                  1      100\ndebit                  2      -30\nclosing                        70\n"
            ),
            "{said}"
        );
        assert!(said.contains("–      the ledger's own record says the same\n"), "{said}");
        let unknown =
            balance_at_text(&json!({"account": "a", "at": "T", "known": false, "complete": false}));
        assert!(unknown.ends_with("entries may be missing\n  it had no entry yet\n"), "{unknown}");
    }
}
