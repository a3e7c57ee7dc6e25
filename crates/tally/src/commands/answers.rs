//! `tally balance` and `tally usage`.

use serde_json::Value;

use super::{Context, freshness_line, history, number, objects, plan, text, time};
use crate::cli;
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Fields, Table, trimmed};

pub(crate) fn balance(context: &Context, balance: &cli::Balance) -> Result<(), Failure> {
    if balance.at.is_some() {
        return history::balance_at(context, balance);
    }
    let path = format!("/v1/accounts/{}/balance", segment(&balance.account));
    let answer = context.client.get(&path, consistency(balance.strict))?;
    context.output.answer(&answer, || balance_text(&balance.account, &answer));
    Ok(())
}

/// Strict: everything that was sent before is in the answer.
pub(super) fn consistency(strict: bool) -> &'static [(&'static str, &'static str)] {
    if strict { &[("consistency", "strict")] } else { &[] }
}

fn balance_text(account: &str, answer: &Value) -> String {
    let amount = |value: &Value, name: &str| trimmed(text(value, name).unwrap_or("0")).to_owned();
    let mut lines = format!(
        "{account}: {} credits available\n\n  settled {} − in grace {} − held {}{}\n",
        amount(answer, "available"),
        amount(answer, "settled"),
        amount(answer, "in_grace"),
        amount(answer, "held"),
        match number(&answer["freshness"], "open_holds") {
            None | Some(0) => String::new(),
            Some(1) => " by 1 open hold".to_owned(),
            Some(count) => format!(" by {count} open holds"),
        },
    );
    let by_category = &answer["by_category"];
    if by_category.is_object() {
        lines.push_str(&format!(
            "  included {} · promotional {} · purchased {}\n",
            amount(by_category, "included"),
            amount(by_category, "promotional"),
            amount(by_category, "purchased"),
        ));
    }
    if amount(answer, "overage") != "0" {
        lines.push_str(&format!("  overage {}\n", amount(answer, "overage")));
    }
    if let (Some(expires), Some(at)) =
        (text(&answer["next_expiry"], "amount"), text(&answer["next_expiry"], "at"))
    {
        lines.push_str(&format!("  {} expire at {at}\n", trimmed(expires)));
    }
    lines.push_str(&plan::plan_lines(answer));
    if let Some(sentence) = plan::at_zero(answer) {
        lines.push_str(&format!("  {sentence}\n"));
    }
    if let Some(unrated) = number(&answer["freshness"], "unrated_events").filter(|count| *count > 0)
    {
        lines.push_str(&format!("  {unrated} events wait for a price\n"));
    }
    lines.push('\n');
    lines.push_str(&freshness_line(answer));
    lines
}

pub(crate) fn usage(context: &Context, usage: &cli::Usage) -> Result<(), Failure> {
    let answer = ask_usage(context, usage)?;
    context.output.answer(&answer, || {
        let rows = objects(answer.get("rows"));
        if rows.is_empty() {
            return "no usage there\n".to_owned();
        }
        format!("{}\n{}", Table::of_fields(&ordered(&rows, &usage.by)), freshness_line(&answer))
    });
    Ok(())
}

pub(crate) fn ask_usage(context: &Context, usage: &cli::Usage) -> Result<Value, Failure> {
    let path = match &usage.account {
        Some(account) => format!("/v1/accounts/{}/usage", segment(account)),
        None => "/v1/usage".to_owned(),
    };
    let by = usage.by.join(",");
    let from = time("--from", usage.range.from.as_deref())?;
    let to = time("--to", usage.range.to.as_deref())?;
    let top = usage.top.map(|top| top.to_string());
    let mut query = vec![("by", by.as_str())];
    for (name, value) in [("from", &from), ("to", &to), ("top", &top)] {
        if let Some(value) = value {
            query.push((name, value));
        }
    }
    context.client.get(&path, &query)
}

/// What was grouped by comes first, in the order in which it was asked for; JSON objects do not
/// keep theirs.
pub(crate) fn ordered(rows: &[serde_json::Map<String, Value>], by: &[String]) -> Vec<Fields> {
    const FIGURES: [&str; 8] = [
        "events",
        "lines",
        "credits",
        "vendor_cost",
        "revenue",
        "margin",
        "uncosted_lines",
        "coverage",
    ];
    rows.iter()
        .map(|row| {
            let names = by.iter().map(String::as_str).chain(FIGURES);
            let known: Fields = names
                .filter_map(|name| row.get(name).map(|value| (name.to_owned(), value.clone())))
                .collect();
            let others = row
                .iter()
                .filter(|(name, _)| !known.iter().any(|(known, _)| known == *name))
                .map(|(name, value)| (name.clone(), value.clone()));
            known.iter().cloned().chain(others).collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_balance_adds_up_on_the_screen() {
        let answer = json!({"settled": "100.000000000000", "held": "12.5", "available": "87.5", "in_grace": "0",
            "by_category": {"included": "60", "promotional": "0", "purchased": "40"}, "overage": "0",
            "next_expiry": {"amount": "60", "at": "2026-12-01T00:00:00Z"},
            "freshness": {"as_of": "2026-11-20T12:00:00Z", "lag_s": "0.4", "unrated_events": 2}});
        assert_eq!(
            balance_text("acct_42", &answer),
            "acct_42: 87.5 credits available\n\n  settled 100 − in grace 0 − held 12.5\n  \
             included 60 · promotional 0 · purchased 40\n  60 expire at 2026-12-01T00:00:00Z\n  \
             2 events wait for a price\n\nas of 2026-11-20T12:00:00Z, 0.4 s behind\n"
        );
    }

    #[test]
    fn a_balance_under_a_plan_says_what_the_plan_leaves() {
        let answer = json!({"account": "acct_42", "settled": "100", "held": "12.5",
            "available": "87.5", "in_grace": "0",
            "by_category": {"included": "60", "promotional": "0", "purchased": "40"},
            "plan": "pro", "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
            "allowance": "20000", "used": "19940", "remaining": "60", "overage": "0",
            "next_expiry": {"amount": "60", "at": "2026-12-01T00:00:00Z"},
            "on_exhausted": "refuse", "renews_at": "2026-12-01T00:00:00Z",
            "freshness": {"ledger_partition": 3, "ledger_offset": 8812, "as_of": "2026-11-20T12:00:00Z",
                "lag_records": 0, "lag_s": "0.4", "open_holds": 1, "unrated_events": 0}});
        assert_eq!(
            balance_text("acct_42", &answer),
            "acct_42: 87.5 credits available\n\n  settled 100 − in grace 0 − held 12.5 by 1 open hold\n  \
             included 60 · promotional 0 · purchased 40\n  60 expire at 2026-12-01T00:00:00Z\n  \
             plan pro, period 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z\n  \
             19940 of 20000 used, 60 remaining\n  renews at 2026-12-01T00:00:00Z\n  \
             at zero, holds are refused; usage that happens all the same is booked\n\n\
             as of 2026-11-20T12:00:00Z, 0.4 s behind\n"
        );
    }

    #[test]
    fn columns_come_in_the_order_asked_for() {
        let row = json!({"credits": "1", "events": 2, "feature": "chat", "model": "m", "zeta": 1});
        let rows = ordered(
            &[row.as_object().unwrap().clone()],
            &["model".to_owned(), "feature".to_owned()],
        );
        let names: Vec<&str> = rows[0].iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["model", "feature", "events", "credits", "zeta"]);
    }
}
