//! `tally plan`: what accounts have each period, and what happens at zero.

use reqwest::Method;
use serde_json::{Map, Value, json};

use super::answers::consistency;
use super::change::Change;
use super::{Context, freshness_line, objects, price_list, rates, text};
use crate::cli::plan::{Plan, PlanAssign, PriceList};
use crate::client::segment;
use crate::failure::Failure;
use crate::table::{Align, Table, cell, trimmed};

pub(crate) fn plan(context: &Context, command: &Plan) -> Result<(), Failure> {
    match command {
        Plan::Publish(publish) => rates::publish(context, publish),
        Plan::Assign(assign) => self::assign(context, assign),
        Plan::Show(show) => {
            let at = |what| format!("/v1/accounts/{}/{what}", segment(&show.account));
            // The balance first: what it has seen, the plan has seen as well.
            let query = consistency(show.strict);
            let balance = context.client.get(&at("balance"), query)?;
            let plan = context.client.get(&at("plan"), &[])?;
            let answer = with_balance(plan, &balance);
            context.output.answer(&answer, || shown(&show.account, &answer));
            Ok(())
        }
        Plan::List => self::list(context),
        Plan::PriceList(wanted) => self::price_list(context, wanted),
    }
}

fn assign(context: &Context, assign: &PlanAssign) -> Result<(), Failure> {
    let change = Change {
        method: Method::POST,
        path: format!("/v1/accounts/{}/plan", segment(&assign.account)),
        made: "plan",
        by_hand: &assign.change.by_hand,
        reason: &assign.change.reason,
    };
    let body = [("plan", json!(assign.plan)), ("when", json!(assign.when.word()))];
    let body = body.map(|(name, value)| (name.to_owned(), value));
    let done = change.send(context, Map::from_iter(body))?;
    done.print(context, |answer| assigned(&assign.account, answer));
    Ok(())
}

fn assigned(account: &str, answer: &Value) -> String {
    if let Some((plan, at)) = scheduled(answer) {
        return format!("{account} has plan {plan:?} from {at} on");
    }
    let Some(plan) = text(answer, "plan") else {
        return format!("{account} keeps its plan: the change that was scheduled is taken back");
    };
    let mut said = format!("{account} has plan {plan:?}");
    if let Some((start, end)) = period(answer) {
        said.push_str(&format!(", {} {start} to {end}", kind_of(answer)));
    }
    if let Some(granted) = text(answer, "granted").map(trimmed).filter(|it| *it != "0") {
        said.push_str(&format!(", {granted} credits granted"));
    }
    said
}

/// What a period is.
fn kind_of(answer: &Value) -> &'static str {
    match answer.get("trial").and_then(Value::as_bool).unwrap_or(false) {
        true => "trial",
        false => "period",
    }
}

/// What is left of the allowance, and what happens at zero, stand with the balance.
fn with_balance(mut plan: Value, balance: &Value) -> Value {
    if let Some(fields) = plan.as_object_mut() {
        for name in ["used", "remaining", "on_exhausted", "freshness"] {
            let value = balance.get(name).cloned().unwrap_or(Value::Null);
            fields.entry(name).or_insert(value);
        }
    }
    plan
}

fn shown(account: &str, answer: &Value) -> String {
    let plan = plan_lines(answer);
    let mut lines = match plan.is_empty() {
        true => format!("{account} has no plan\n"),
        false => format!("{account}\n\n{plan}"),
    };
    if let Some(sentence) = at_zero(answer) {
        lines.push_str(&format!("  {sentence}\n"));
    }
    let fresh = freshness_line(answer);
    if !fresh.is_empty() {
        lines.push_str(&format!("\n{fresh}"));
    }
    lines
}

/// The plan, its period, what is left of the allowance, and what comes next. Empty without a plan.
pub(super) fn plan_lines(answer: &Value) -> String {
    let Some(plan) = text(answer, "plan") else { return String::new() };
    let mut lines = format!("  plan {plan}");
    if let Some((start, end)) = period(answer) {
        lines.push_str(&format!(", {} {start} to {end}", kind_of(answer)));
    }
    lines.push('\n');
    let of = |name: &str| text(answer, name).map(trimmed);
    if let (Some(allowance), Some(used), Some(remaining)) =
        (of("allowance").filter(|it| *it != "0"), of("used"), of("remaining"))
    {
        lines.push_str(&format!("  {used} of {allowance} used, {remaining} remaining\n"));
    }
    match (scheduled(answer), text(answer, "renews_at")) {
        (Some((plan, from)), _) => lines.push_str(&format!("  plan {plan} begins at {from}\n")),
        (None, Some(at)) => lines.push_str(&format!("  renews at {at}\n")),
        (None, None) => {}
    }
    lines
}

fn period(answer: &Value) -> Option<(&str, &str)> {
    let period = answer.get("period")?;
    Some((text(period, "start")?, text(period, "end")?))
}

fn scheduled(answer: &Value) -> Option<(&str, &str)> {
    let scheduled = answer.get("scheduled")?;
    Some((text(scheduled, "plan")?, text(scheduled, "at")?))
}

/// What happens when nothing is left, in a sentence: the plan's own, or else its policy's.
pub(super) fn at_zero(answer: &Value) -> Option<String> {
    if let Some(said) = text(answer, "at_zero") {
        return Some(format!("at zero, {said}"));
    }
    let policy = text(answer, "on_exhausted")?;
    let sentence = match policy {
        "refuse" => "at zero, holds are refused; usage that happens all the same is booked",
        "overage" => "at zero, usage goes on as overage, which is billed",
        "overdraft" => "at zero, the balance may go below zero as far as the plan allows",
        other => return Some(format!("at zero: {other}")),
    };
    Some(sentence.to_owned())
}

fn list(context: &Context) -> Result<(), Failure> {
    let mut answer = context.client.get("/v1/rates", &[])?;
    let plans: Vec<Value> = objects(answer.get("versions"))
        .into_iter()
        .filter(|version| version.get("kind").is_some_and(|kind| kind == "plan"))
        .map(Value::Object)
        .collect();
    answer["versions"] = Value::Array(plans);
    context.output.answer(&answer, || listed(&answer));
    Ok(())
}

fn listed(answer: &Value) -> String {
    let plans = objects(answer.get("versions"));
    if plans.is_empty() {
        return "no plan is published: `tally plan publish FILE.toml`\n".to_owned();
    }
    let mut table = Table::new([
        ("plan", Align::Left),
        ("version", Align::Right),
        ("from", Align::Left),
        ("to", Align::Left),
        ("in force", Align::Left),
        ("description", Align::Left),
    ]);
    for plan in plans {
        let word = |name: &str| cell(plan.get(name));
        let description = plan.get("description").and_then(Value::as_str).unwrap_or_default();
        table.row([
            word("id"),
            word("version"),
            word("effective_from"),
            word("effective_to"),
            word("in_force"),
            description.to_owned(),
        ]);
    }
    table.to_string()
}

fn price_list(context: &Context, wanted: &PriceList) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> = [("plan", &wanted.plan), ("account", &wanted.account)]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
        .collect();
    let answer = context.client.get("/v1/price-list", &query)?;
    context.output.answer(&answer, || price_list::text_of(&answer));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance() -> Value {
        json!({"account": "acct_42", "plan": "pro",
            "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
            "allowance": "20000", "used": "19940.000000000000", "remaining": "60", "scheduled": null,
            "on_exhausted": "overage", "renews_at": "2026-12-01T00:00:00Z"})
    }

    #[test]
    fn a_plan_says_what_is_left_and_what_comes() {
        assert_eq!(
            shown("acct_42", &balance()),
            "acct_42\n\n  plan pro, period 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z\n  \
             19940 of 20000 used, 60 remaining\n  renews at 2026-12-01T00:00:00Z\n  \
             at zero, usage goes on as overage, which is billed\n"
        );
        let mut changing = balance();
        changing["scheduled"] = json!({"plan": "free", "at": "2026-12-01T00:00:00Z"});
        changing["trial"] = json!(true);
        let text = shown("acct_42", &changing);
        assert!(text.contains("plan pro, trial 2026-11-01"), "{text}");
        assert!(text.contains("  plan free begins at 2026-12-01T00:00:00Z\n"), "{text}");
        assert!(!text.contains("renews"), "{text}");
    }

    #[test]
    fn an_assignment_says_what_begins_and_when() {
        let now = json!({"plan": "pro", "replaces": "free", "scheduled": null, "trial": false,
            "period": {"start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z"},
            "granted": "12000.000", "lot": "9"});
        assert_eq!(
            assigned("acct_42", &now),
            "acct_42 has plan \"pro\", period 2026-11-01T00:00:00Z to 2026-12-01T00:00:00Z, \
             12000 credits granted"
        );
        let later = json!({"scheduled": {"plan": "free", "at": "2026-12-01T00:00:00Z"}});
        assert_eq!(
            assigned("acct_42", &later),
            "acct_42 has plan \"free\" from 2026-12-01T00:00:00Z on"
        );
        assert!(assigned("acct_42", &json!({"scheduled": null})).contains("keeps its plan"));
    }

    #[test]
    fn the_balance_says_what_the_plan_does_not() {
        let plan = json!({"plan": "pro", "allowance": "20000", "used": "7"});
        let balance = json!({"plan": "other", "used": "8", "remaining": "12", "on_exhausted": "refuse",
            "freshness": {"lag_s": "0.4"}, "settled": "100"});
        assert_eq!(
            with_balance(plan, &balance),
            json!({"plan": "pro", "allowance": "20000", "used": "7", "remaining": "12",
                "on_exhausted": "refuse", "freshness": {"lag_s": "0.4"}})
        );
    }

    #[test]
    fn without_a_plan_it_says_so() {
        let answer = json!({"account": "acct_42", "plan": null, "on_exhausted": "refuse"});
        assert_eq!(
            shown("acct_42", &answer),
            "acct_42 has no plan\n  at zero, holds are refused; usage that happens all the same is booked\n"
        );
    }

    #[test]
    fn plans_are_listed_by_version() {
        let answer = json!({"versions": [{"kind": "plan", "id": "pro", "version": 2,
            "effective_from": "2026-01-01T00:00:00Z", "effective_to": null, "in_force": true,
            "description": null}]});
        assert_eq!(
            listed(&answer),
            "plan  version  from                  to  in force  description\n\
             ────  ───────  ────────────────────  ──  ────────  ───────────\n\
             pro         2  2026-01-01T00:00:00Z  –   yes\n"
        );
        assert!(listed(&json!({"versions": []})).contains("tally plan publish"));
    }
}
