//! `tally budget`: how much a part of an account may spend.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::change::Change;
use super::hold::{scope_words, scoped};
use super::{Context, freshness_line, objects, text};
use crate::cli::budget::{Budget, BudgetList, BudgetRemove, BudgetSet};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table, cell};

pub(crate) fn budget(context: &Context, command: &Budget) -> Result<(), Failure> {
    match command {
        Budget::Set(set) => self::set(context, set),
        Budget::List(list) => self::list(context, list),
        Budget::Remove(remove) => self::remove(context, remove),
    }
}

fn set(context: &Context, set: &BudgetSet) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: format!("/v1/accounts/{}/budgets", segment(&set.account)),
        made: "budget",
        by_hand: &set.change.by_hand,
        reason: &set.change.reason,
    };
    let id = change.id()?;
    // Without a name it has that of the request: the same request again means the same budget.
    let name = set.budget.as_ref().unwrap_or(&id).clone();
    let done = change.send_as(context, id, terms(set, &name))?;
    done.print(context, is_set);
    Ok(())
}

fn terms(set: &BudgetSet, name: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("id".to_owned(), json!(name));
    body.insert("limit".to_owned(), json!(set.limit));
    body.insert("period".to_owned(), json!(set.period.word()));
    if let Some(zone) = &set.timezone {
        body.insert("timezone".to_owned(), json!(zone));
    }
    if !set.thresholds.is_empty() {
        // In whatever order they were typed; the API wants them rising.
        let mut thresholds = set.thresholds.clone();
        thresholds.sort_unstable();
        thresholds.dedup();
        body.insert("thresholds".to_owned(), json!(thresholds));
    }
    body.insert("hard".to_owned(), json!(!set.soft));
    scoped(&set.scope, &mut body);
    body
}

fn is_set(terms: &Value) -> String {
    let whom = scope_words(terms);
    format!(
        "budget {:?} is {} credits {}{}, {}",
        text(terms, "budget").unwrap_or_default(),
        cell(terms.get("limit")),
        per(text(terms, "period").unwrap_or("window")),
        if whom.is_empty() { String::new() } else { format!(" for {whom}") },
        strictness(terms),
    )
}

/// `a month`; nothing renews a budget for ever.
fn per(period: &str) -> String {
    match period {
        "ever" => "for ever".to_owned(),
        period => format!("a {period}"),
    }
}

fn strictness(budget: &Value) -> &'static str {
    match budget.get("hard").and_then(Value::as_bool).unwrap_or(true) {
        true => "hard: holds past it are refused",
        false => "soft: it only tells",
    }
}

fn list(context: &Context, list: &BudgetList) -> Result<(), Failure> {
    let path = format!("/v1/accounts/{}/budgets", segment(&list.account));
    let answer = context.client.get(&path, &[])?;
    context.output.answer(&answer, || listed(&list.account, &answer));
    Ok(())
}

fn listed(account: &str, answer: &Value) -> String {
    let budgets = objects(answer.get("budgets"));
    if budgets.is_empty() {
        return format!("{account} has no budgets\n{}", freshness_line(answer));
    }
    let mut table = Table::new([
        ("budget", Align::Left),
        ("for", Align::Left),
        ("limit", Align::Right),
        ("used", Align::Right),
        ("held", Align::Right),
        ("left", Align::Right),
        ("window", Align::Left),
        ("", Align::Left),
    ]);
    for budget in budgets {
        let budget = Value::Object(budget);
        let word = |name: &str| cell(budget.get(name));
        let whom = scope_words(&budget);
        let hard = budget.get("hard").and_then(Value::as_bool).unwrap_or(true);
        table.row([
            word("budget"),
            if whom.is_empty() { "everything".to_owned() } else { whom },
            word("limit"),
            word("used"),
            word("held"),
            word("remaining"),
            window(&budget),
            if hard { "hard" } else { "soft" }.to_owned(),
        ]);
    }
    format!("{table}\n{}", freshness_line(answer))
}

fn window(budget: &Value) -> String {
    let zone = text(budget, "timezone").filter(|zone| *zone != "UTC");
    let zone = zone.map_or_else(String::new, |zone| format!(" ({zone})"));
    let window = &budget["window"];
    match text(window, "start").zip(text(window, "end")) {
        Some((start, end)) => format!("{start} to {end}{zone}"),
        None => format!("{}{zone}", text(budget, "period").unwrap_or("ever")),
    }
}

fn remove(context: &Context, remove: &BudgetRemove) -> Result<(), Failure> {
    let change = Change {
        method: Method::DELETE,
        path: format!(
            "/v1/accounts/{}/budgets/{}",
            segment(&remove.account),
            segment(&remove.budget)
        ),
        made: "unbudget",
        by_hand: &remove.change.by_hand,
        reason: &remove.change.reason,
    };
    let done = change.send(context, Map::new())?;
    done.print(context, |_| format!("budget {:?} is removed", remove.budget));
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::spending::Spending;
    use crate::cli::{Cli, Command};

    fn parsed(line: &str) -> BudgetSet {
        match Cli::try_parse_from(line.split(' ')).unwrap().command {
            Command::Spending(Spending::Budget(Budget::Set(set))) => set,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_budget_is_what_the_api_takes() {
        let line = "tally budget set acct_42 growth --limit 1000.50 --period month --timezone Europe/Berlin \
            --team growth --threshold 80 --threshold 50 --threshold 80 --soft";
        assert_eq!(
            Value::Object(terms(&parsed(line), "growth")),
            json!({"id": "growth", "limit": "1000.5", "period": "month",
                "timezone": "Europe/Berlin", "team": "growth", "thresholds": [50, 80],
                "hard": false})
        );
        let plain = parsed("tally budget set acct_42 --limit 5 --period ever");
        assert_eq!(
            Value::Object(terms(&plain, "budget-1")),
            json!({"id": "budget-1", "limit": "5", "period": "ever", "hard": true})
        );
    }

    #[test]
    fn a_budget_that_is_set_says_its_terms() {
        let budget = json!({"id": "growth", "budget": "growth", "limit": "1000", "period": "month", "team": "growth", "hard": true});
        assert_eq!(
            is_set(&budget),
            "budget \"growth\" is 1000 credits a month for team growth, hard: holds past it are refused"
        );
        let soft = json!({"budget": "all", "limit": "5", "period": "ever", "hard": false});
        assert_eq!(is_set(&soft), "budget \"all\" is 5 credits for ever, soft: it only tells");
    }

    #[test]
    fn budgets_are_listed_with_what_is_left() {
        let answer = json!({"budgets": [
            {"budget": "growth", "team": "growth", "limit": "1000", "used": "940.500000000000",
             "held": "12.5", "remaining": "47", "period": "month", "timezone": "Europe/Berlin",
             "window": {"start": "2026-10-31T23:00:00Z", "end": "2026-11-30T23:00:00Z"},
             "hard": true, "thresholds": [50, 80]},
            {"budget": "all", "limit": "5", "used": "0", "held": "0", "remaining": "5", "period": "ever",
             "timezone": "UTC", "window": null, "hard": false}]});
        let expected = "\
budget  for          limit   used  held  left  window
──────  ───────────  ─────  ─────  ────  ────  ────────────────────────────────────────────────────────────  ────
growth  team growth   1000  940.5  12.5    47  2026-10-31T23:00:00Z to 2026-11-30T23:00:00Z (Europe/Berlin)  hard
all     everything       5      0     0     5  ever                                                          soft

";
        assert_eq!(listed("acct_42", &answer), expected);
        assert_eq!(listed("acct_42", &json!({"budgets": []})), "acct_42 has no budgets\n");
    }
}
