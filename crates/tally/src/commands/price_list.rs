//! A price list for people: the plan's terms, then rule by rule what usage takes.

use serde_json::{Map, Value};

use super::{number, objects, text};
use crate::table::{Align, Table, cell, trimmed};

/// The price list of `GET /v1/price-list`.
pub(crate) fn text_of(answer: &Value) -> String {
    let mut lines = String::new();
    let plan = &answer["plan"];
    if let Some(id) = text(plan, "id") {
        lines.push_str(&format!("plan {id} version {}\n", number(plan, "version").unwrap_or(0)));
        for said in sentences(plan) {
            lines.push_str(&format!("  {said}\n"));
        }
        lines.push('\n');
    }
    let card = &answer["rate_card"];
    let Some(id) = text(card, "id") else {
        lines.push_str("no rate card is in force: nothing has a price\n");
        return lines;
    };
    lines.push_str(&format!("rate card {id} version {}\n", number(card, "version").unwrap_or(0)));
    for rule in objects(answer.get("rules")) {
        lines.push_str(&rule_text(&Value::Object(rule)));
    }
    let notes: Vec<&str> =
        answer["notes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !notes.is_empty() {
        lines.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    lines
}

fn sentences(plan: &Value) -> Vec<&str> {
    plan["says"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

fn rule_text(rule: &Value) -> String {
    let mut lines = format!("\n  {}", cell(rule.get("number")));
    if let Some(name) = text(rule, "name") {
        lines.push_str(&format!("  {name}"));
    }
    if rule["internal_only"] == Value::Bool(true) {
        lines.push_str("  (not for customers' traffic)");
    }
    lines.push('\n');
    if let Some(said) = text(rule, "says") {
        lines.push_str(&format!("     {said}\n"));
    }
    let models = objects(rule["charge"].get("models"));
    if !models.is_empty() {
        lines.push('\n');
        for line in model_table(&models).to_string().lines() {
            lines.push_str(&format!("     {line}\n"));
        }
    }
    lines
}

/// Every model with what it takes; a condition stands under its model.
fn model_table(models: &[Map<String, Value>]) -> Table {
    let mut table = Table::new([
        ("model", Align::Left),
        ("provider", Align::Left),
        ("when", Align::Left),
        ("credits", Align::Left),
    ]);
    for model in models {
        let model = Value::Object(model.clone());
        let named = [text(&model, "model"), text(&model, "meter")];
        let mut name = named.into_iter().flatten().collect::<Vec<_>>().join(" · ");
        let aliases = model["aliases"].as_array().map_or(0, Vec::len);
        if aliases > 0 {
            name.push_str(&format!(" (+{aliases})"));
        }
        let provider = text(&model, "provider").unwrap_or_default();
        let mut rows = Vec::new();
        rows.extend(price(&model).map(|price| (String::new(), price)));
        for condition in objects(model.get("conditions")) {
            let condition = Value::Object(condition);
            rows.extend(price(&condition).map(|price| (condition_words(&condition), price)));
        }
        for (place, (when, price)) in rows.into_iter().enumerate() {
            // The names stand once.
            let (name, provider) = if place == 0 { (&*name, provider) } else { ("", "") };
            table.row([name.to_owned(), provider.to_owned(), when, price]);
        }
    }
    table
}

/// `input 25000 · output 100000 per million tokens`, or `400 per unit`.
fn price(of: &Value) -> Option<String> {
    if let Some(unit) = text(of, "credits_per_unit") {
        return Some(format!("{} per unit", trimmed(unit)));
    }
    let pools = of.get("credits_per_million_tokens")?.as_object()?;
    let priced: Vec<String> =
        in_order(pools).map(|(pool, credits)| format!("{pool} {}", cell(Some(credits)))).collect();
    Some(format!("{} per million tokens", priced.join(" · ")))
}

/// Input before output, each before its parts; JSON objects do not keep their order.
fn in_order(pools: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    domain::ALL_POOLS
        .iter()
        .filter_map(|pool| pools.get(pool.name()).map(|credits| (pool.name(), credits)))
}

fn condition_words(condition: &Value) -> String {
    let prompt = number(condition, "prompt_tokens_over");
    let prompt = prompt.map(|tokens| format!("prompt over {tokens} tokens"));
    let matches = objects(condition.get("matches")).into_iter().map(|one| {
        let values = one.get("values").and_then(Value::as_array);
        let values: Vec<String> =
            values.into_iter().flatten().map(|value| cell(Some(value))).collect();
        format!("{} {}", cell(one.get("field")), values.join(" or "))
    });
    prompt.into_iter().chain(matches).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_price_list_reads_from_the_plan_to_the_models() {
        let answer = json!({"at": "2026-11-20T12:00:00Z",
            "plan": {"id": "pro", "version": 2, "on_exhausted": "refuse",
                "says": ["It includes 20000 credits each month.", "When the credits are used up, nothing new can be reserved."]},
            "rate_card": {"id": "standard", "version": 3, "credit_decimals": 4, "rounding": "half_even"},
            "rules": [
                {"number": 1, "name": "free", "internal_only": true, "matches": [], "charge": {"kind": "free"}, "says": "Free."},
                {"number": 3, "internal_only": false, "matches": [], "says": "By model.",
                 "charge": {"kind": "by_model", "models": [
                    {"model": "gpt-4o", "aliases": ["gpt-4o-2024-08-06"], "provider": "openai",
                     "credits_per_million_tokens": {"output": "130000", "input": "32500.000", "cache_read": "16250"},
                     "conditions": [{"prompt_tokens_over": 200000, "matches": [{"field": "service_tier", "values": ["batch", "flex"]}],
                        "credits_per_million_tokens": {"input": "65000"}}]},
                    {"model": "image-xl", "meter": "image", "credits_per_unit": "520.0"}]}}],
            "notes": ["For each item, the first rule that matches decides."]});
        let expected = "plan pro version 2
  It includes 20000 credits each month.
  When the credits are used up, nothing new can be reserved.

rate card standard version 3

  1  free  (not for customers' traffic)
     Free.

  3
     By model.

     model             provider  when                                                   credits
     ────────────────  ────────  ─────────────────────────────────────────────────────  ─────────────────────────────────────────────────────────────────
     gpt-4o (+1)       openai                                                           input 32500 · cache_read 16250 · output 130000 per million tokens
                                 prompt over 200000 tokens, service_tier batch or flex  input 65000 per million tokens
     image-xl · image                                                                   520 per unit

For each item, the first rule that matches decides.
";
        assert_eq!(text_of(&answer), expected);
    }

    #[test]
    fn without_a_card_nothing_has_a_price() {
        let text = text_of(&json!({"at": "2026-11-20T12:00:00Z", "rules": [], "notes": []}));
        assert_eq!(text, "no rate card is in force: nothing has a price\n");
    }
}
