//! From a balance back to what made it, and from an entry to everything around it.

use serde_json::{Value, json};

use crate::tally::{Tally, chat, event, problem};

fn all_hold(at: &Value) -> bool {
    at["checks"].as_object().unwrap().values().all(|check| check == true)
}

#[test]
fn a_balance_at_any_time_is_that_of_its_entries() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "100", "category": "purchased", "paid": { "amount": "10", "currency": "USD" } });
    tally.posted(201, "/v1/accounts/a/grants", &grant);
    tally.send(&[chat("a", "1", 10_000)]);
    tally.send(&[chat("a", "2", 20_000)]);
    tally.wait_for_projection();
    let entries = tally.got("/v1/accounts/a/entries");
    let entries = entries["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 3);
    // The newest comes first.
    for (entry, available) in entries.iter().rev().zip(["100", "90", "70"]) {
        let at = entry["recorded_at"].as_str().unwrap();
        let told = tally.got(&format!("/v1/accounts/a/balance?at={at}"));
        assert_eq!(told["entry"], entry["entry_id"], "{told}");
        assert_eq!(told["balance"]["available"], available, "{told}");
        assert_eq!(told["lots"][0]["remaining"], available);
        assert_eq!(told["closing"], available);
        assert!(all_hold(&told), "{told}");
    }
    let first = entries[2]["recorded_at"].as_str().unwrap();
    let last = entries[0]["recorded_at"].as_str().unwrap();
    let told = tally.got(&format!("/v1/accounts/a/balance?at={last}&from={first}"));
    assert_eq!((&told["opening"], &told["closing"]), (&json!("100"), &json!("70")), "{told}");
    let movements = told["movements"].as_array().unwrap();
    assert_eq!(movements.len(), 1);
    assert_eq!((&movements[0]["kind"], &movements[0]["credits"]), (&json!("debit"), &json!("-30")));
    assert!(all_hold(&told), "{told}");
    let before = tally.got("/v1/accounts/a/balance?at=2020-01-01T00:00:00Z");
    assert_eq!((&before["known"], &before["balance"]["settled"]), (&json!(false), &json!("0")));
    let future = tally.got("/v1/accounts/a/balance?at=2100-01-01T00:00:00Z");
    assert_eq!((&future["complete"], &future["closing"]), (&json!(false), &json!("70")));

    let range = tally.got(&format!("/v1/accounts/a/entries?from={first}&to={last}"));
    assert_eq!(range["entries"].as_array().unwrap().len(), 2);
    let grants = tally.got("/v1/accounts/a/entries?kind=grant");
    assert_eq!(grants["entries"].as_array().unwrap().len(), 1);
    let older = tally.got("/v1/accounts/a/entries?before=2");
    assert_eq!(older["entries"].as_array().unwrap().len(), 1);
    for (path, field) in [
        ("balance?from=2020-01-01T00:00:00Z", "at"),
        ("balance?at=noon", "at"),
        ("balance?at=2020-01-01T00:00:00Z&from=2021-01-01T00:00:00Z", "from"),
        ("entries?before=x", "before"),
    ] {
        let refused = tally.get(&format!("/v1/accounts/a/{path}")).send().unwrap();
        assert_eq!(problem(refused).1["field"], field, "{path}");
    }
}

#[test]
fn an_explanation_goes_from_hold_to_reversal() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "100", "category": "purchased", "paid": { "amount": "10", "currency": "USD" } });
    let granted = tally.posted(201, "/v1/accounts/a/grants", &grant);
    let hold = json!({ "account": "a", "amount": "12", "expires_in_s": 600, "feature": "chat" });
    let hold = tally.posted(201, "/v1/holds", &hold);
    let items = json!([{ "model": "small", "tokens": { "input": 5_000 } }]);
    let data = json!({ "feature": "chat", "hold": hold["hold"], "items": items });
    let sent = tally.send(&[event("a", "1", data)]);
    assert_eq!(sent[0]["outcome"], "debit", "{sent:?}");
    let entry = sent[0]["entry"].as_str().unwrap();
    let reverse = json!({ "reason": "a failed run" });
    let path = format!("/v1/accounts/a/entries/{entry}/reverse");
    let reversed = tally.posted(201, &path, &reverse);
    tally.wait_for_projection();

    let explained = tally.got("/v1/events?source=test&id=1");
    assert_eq!(explained["hold"]["reserved"]["amount"], "12", "{explained}");
    let steps = explained["hold"]["steps"].as_array().unwrap();
    let words: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(words[0], "reserved", "{steps:?}");
    assert!(words.contains(&"charged"), "{steps:?}");
    let seal = &explained["seal"];
    assert!(seal["ledger_offset"].as_i64() > explained["ledger_offset"].as_i64(), "{explained}");
    assert_eq!(seal["chain_hash"].as_str().unwrap().len(), 64);
    let correction = &explained["corrections"][0];
    assert_eq!(
        (&correction["kind"], &correction["entry"]),
        (&json!("reversed"), &reversed["entry"])
    );
    assert_eq!(correction["reason"], "a failed run");
    let of = &explained["draws"][0]["of"];
    assert_eq!(
        (&of["granted"], &of["paid"], &of["entry"]),
        (&json!("100"), &json!("10"), &granted["entry"])
    );
    assert_eq!(of["gone_before"], "0");
    let tables = &explained["clickhouse"];
    assert_eq!(tables["usage_lines"]["credits"], "5", "{tables}");
    assert_eq!(tables["rollup_keys"][0]["feature"], "chat");

    // The same by its name, and any other entry as well.
    let by_name = tally.got(&format!("/v1/entries/{entry}"));
    for field in ["state", "credits", "seal", "corrections", "draws", "lines"] {
        assert_eq!(by_name[field], explained[field], "{field}");
    }
    let postings = by_name["postings"].as_array().unwrap();
    assert!(postings.len() >= 2, "{postings:?}");
    let granted = tally.got(&format!("/v1/entries/{}", granted["entry"].as_str().unwrap()));
    assert_eq!((&granted["state"], &granted["amount"]), (&json!("grant"), &json!("100")));
    assert_eq!(granted["balance_after"]["available"], "100");
    let entry = reversed["entry"].as_str().unwrap();
    assert_eq!(tally.got(&format!("/v1/entries/{entry}"))["reverses"], explained["entry"]);
    for (name, kind) in [("0-9999", "unknown_entry"), ("99-1", "unknown_entry"), ("x", "bad_value")]
    {
        let refused = tally.get(&format!("/v1/entries/{name}")).send().unwrap();
        assert_eq!(problem(refused).1["type"], kind, "{name}");
    }
}
