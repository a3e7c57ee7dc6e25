//! Plans, budgets, notices, refunds, reversals; balances that are read at once.

use reqwest::Method;
use serde_json::{Value, json};

use crate::tally::{Tally, answer, chat, problem};

const PLANS: [&str; 2] = [
    r#"
id = "pro"
effective_from = "2023-01-01T00:00:00Z"
rate_card = "standard"
price = { amount = "49", currency = "USD" }
allowance = { credits = "100", period = "month", anchor = "calendar", timezone = "UTC" }
on_exhausted = "overage"
overage = { max_credits = "50", price_per_1000_credits = "3.00" }
"#,
    r#"
id = "free"
effective_from = "2023-01-01T00:00:00Z"
rate_card = "standard"
allowance = { credits = "10", period = "month", anchor = "calendar", timezone = "UTC" }
on_exhausted = "refuse"
"#,
];

fn with_plans() -> Tally {
    let tally = Tally::start().with_rates();
    for toml in PLANS {
        tally.posted(201, "/v1/rates/versions", &json!({ "toml": toml, "reason": "test" }));
    }
    tally
}

fn strict(tally: &Tally, account: &str) -> Value {
    tally.got(&format!("/v1/accounts/{account}/balance?consistency=strict&wait=30"))
}

#[test]
fn a_plan_is_had_and_changed() {
    let tally = with_plans();
    let assigned = tally.posted(201, "/v1/accounts/a/plan", &json!({ "plan": "pro" }));
    assert_eq!((&assigned["plan"], &assigned["granted"]), (&json!("pro"), &json!("100")));
    assert_eq!(assigned["balance"]["available"], "100");
    let ended = tally.send(&[chat("a", "1", 40_000)]);
    assert_eq!(ended[0]["credits"], "40");
    let balance = strict(&tally, "a");
    for (name, value) in [
        ("plan", "pro"),
        ("allowance", "100"),
        ("used", "40"),
        ("remaining", "60"),
        ("settled", "60"),
        ("available", "60"),
        ("overage", "0"),
        ("on_exhausted", "overage"),
    ] {
        assert_eq!(balance[name], value, "{name} of {balance}");
    }
    assert_eq!(
        balance["by_category"],
        json!({ "included": "60", "promotional": "0", "purchased": "0" })
    );
    assert_eq!(balance["period"]["end"], balance["renews_at"]);
    assert_eq!(balance["next_expiry"]["amount"], "60");
    assert_eq!(balance["next_expiry"]["at"], balance["renews_at"]);
    assert_eq!(balance["freshness"]["unrated_events"], 0);
    assert!(balance["freshness"]["ledger_partition"].is_u64(), "{balance}");

    // A downgrade waits; asking for what is there takes the wish back.
    let wish = tally.posted(201, "/v1/accounts/a/plan", &json!({ "plan": "free" }));
    assert_eq!(wish["scheduled"]["plan"], "free", "{wish}");
    strict(&tally, "a");
    let plan = tally.got("/v1/accounts/a/plan");
    assert_eq!((&plan["plan"], &plan["scheduled"]["plan"]), (&json!("pro"), &json!("free")));
    let back = tally.posted(201, "/v1/accounts/a/plan", &json!({ "plan": "pro" }));
    assert_eq!(back["scheduled"], Value::Null);
    let refuse = |body: Value, status: u16, kind: &str| {
        let sent = tally.post("/v1/accounts/a/plan").body(body.to_string()).send().unwrap();
        let (found, body) = problem(sent);
        assert_eq!((found, body["type"].as_str()), (status, Some(kind)), "{body}");
        assert!(body["field"].is_string(), "{body}");
    };
    refuse(json!({ "plan": "pro" }), 422, "plan_unchanged");
    refuse(json!({ "plan": "gold" }), 422, "unknown_plan");
    refuse(json!({ "plan": "pro", "when": "soon" }), 400, "bad_value");
    refuse(json!({ "plna": "pro" }), 400, "missing_field");

    // Past the allowance: overage, up to its maximum.
    let hold = |amount: &str| {
        let body = json!({ "account": "a", "amount": amount }).to_string();
        tally.post("/v1/holds").body(body).send().unwrap()
    };
    let (status, refused) = problem(hold("111"));
    assert_eq!((status, &refused["available"]), (402, &json!("110")));
    assert_eq!(refused["resets_at"], balance["renews_at"]);
    answer(201, hold("110"));
    strict(&tally, "a");
    let quote = json!({ "account": "a", "feature": "chat",
        "items": [{ "model": "small", "input_tokens": 5_000, "max_output_tokens": 5_000 }] });
    let quote = tally.posted(200, "/v1/quote", &quote);
    assert_eq!((&quote["plan"], &quote["on_exhausted"]), (&json!("pro"), &json!("overage")));
    assert_eq!(quote["available"], "-50");
    assert_eq!(quote["hold_of_most"]["granted"], false);
    assert_eq!(quote["hold_of_most"]["limit"], "balance");
    assert_eq!(quote["hold_of_most"]["shortfall"], "10");
    let list = tally.got("/v1/price-list?account=a");
    assert_eq!(list["plan"]["id"], "pro", "{list}");
    assert_eq!(tally.got("/v1/price-list?plan=free")["plan"]["id"], "free");
    assert_eq!(problem(tally.get("/v1/price-list?plan=gold").send().unwrap()).0, 404);
    let nobody = tally.got("/v1/accounts/nobody/plan");
    assert_eq!(nobody["plan"], Value::Null);
}

#[test]
fn a_hard_budget_refuses_holds() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "100", "category": "promotional" });
    tally.posted(201, "/v1/accounts/a/grants", &grant);
    let budget = json!({ "id": "growth-june", "team": "growth", "limit": "5", "period": "month",
        "timezone": "Europe/Berlin", "thresholds": [50, 100], "hard": true });
    let set = tally.posted(201, "/v1/accounts/a/budgets", &budget);
    for (name, value) in budget.as_object().unwrap() {
        assert_eq!(set[name], *value, "{name} of {set}");
    }
    assert!(set["window"]["end"].is_string(), "{set}");
    let ask = |team: &str, amount: &str| {
        let body = json!({ "account": "a", "team": team, "amount": amount }).to_string();
        tally.post("/v1/holds").body(body).send().unwrap()
    };
    let (status, refused) = problem(ask("growth", "6"));
    assert_eq!((status, &refused["limit"]), (402, &json!("budget:growth-june")));
    assert_eq!(refused["resets_at"], set["window"]["end"]);
    answer(201, ask("growth", "4"));
    answer(201, ask("sales", "6"));
    strict(&tally, "a");
    let quote = json!({ "account": "a", "team": "growth", "feature": "chat",
        "items": [{ "model": "small", "input_tokens": 1_500 }] });
    let quote = tally.posted(200, "/v1/quote", &quote);
    assert_eq!(quote["hold_of_most"]["limit"], "budget:growth-june", "{quote}");
    assert_eq!(quote["hold_of_most"]["shortfall"], "0.5", "{quote}");
    let listed = tally.got("/v1/accounts/a/budgets");
    assert_eq!(listed["budgets"][0]["thresholds"], json!([50, 100]), "{listed}");
    assert_eq!(listed["budgets"][0]["timezone"], "Europe/Berlin");
    // One that has no name of its own is named by its request, however often that is sent.
    let unnamed = json!({ "limit": "5", "period": "ever" });
    let named = tally.posted(201, "/v1/accounts/a/budgets", &unnamed);
    assert_eq!((&named["period"], &named["window"]), (&json!("ever"), &Value::Null));
    assert_eq!(named["id"], named["command"]);
    let remove = |budget: &str| {
        let path = format!("/v1/accounts/a/budgets/{budget}");
        tally.ask(Method::DELETE, &path, Some(tally.operator_key())).send().unwrap()
    };
    assert_eq!(answer(200, remove("growth-june"))["removed"], true);
    let (status, gone) = problem(remove("growth-june"));
    assert_eq!((status, &gone["type"]), (404, &json!("unknown_budget")));
    strict(&tally, "a");
    assert_eq!(tally.got("/v1/accounts/a/budgets")["budgets"].as_array().unwrap().len(), 1);
}

#[test]
fn a_charge_is_reversed_and_a_lot_refunded() {
    let tally = Tally::start().with_rates();
    let paid = json!({ "amount": "100", "category": "purchased", "paid": { "amount": "10", "currency": "USD" } });
    let granted = tally.posted(201, "/v1/accounts/a/grants", &paid);
    let lot = granted["lot"].as_str().unwrap();
    let charged = tally.send(&[chat("a", "1", 40_000), chat("b", "1", 1_000)]);
    let reverse = |account: &str, entry: &str, body: Value| {
        let path = format!("/v1/accounts/{account}/entries/{entry}/reverse");
        tally.post(&path).body(body.to_string()).send().unwrap()
    };
    let entry = charged[0]["entry"].as_str().unwrap();
    let foreign = charged[1]["entry"].as_str().unwrap();
    let why = json!({ "reason": "the answer was empty" });
    let reversed = answer(201, reverse("a", entry, why.clone()));
    assert_eq!((&reversed["reverses"], &reversed["amount"]), (&json!(entry), &json!("40")));
    assert_eq!(reversed["balance"]["available"], "100");
    // A second one is the first one.
    assert_eq!(answer(201, reverse("a", entry, why.clone()))["entry"], reversed["entry"]);
    let (status, body) = problem(reverse("a", entry, json!({ "reason": "again" })));
    assert_eq!((status, &body["conflicts_with"]), (409, &reversed["entry"]));
    for odd in [foreign, "0-0", "x", "-1", "99-1", "1-99999999999999999999"] {
        let (status, body) = problem(reverse("a", odd, why.clone()));
        assert_eq!((status, &body["type"]), (404, &json!("unknown_entry")), "{odd}: {body}");
    }
    let (status, body) = problem(reverse("a", granted["entry"].as_str().unwrap(), why));
    assert_eq!((status, &body["type"]), (422, &json!("not_a_charge")));

    let path = format!("/v1/accounts/a/lots/{lot}/refund");
    let refund = |amount: &str, money: &str| {
        let body = json!({ "amount": amount, "money": { "amount": money, "currency": "USD" }, "reason": "r" });
        tally.post(&path).body(body.to_string()).send().unwrap()
    };
    let refunded = answer(201, refund("30", "2.50"));
    assert_eq!(refunded["balance"]["available"], "70");
    assert_eq!(refunded["money"], json!({ "amount": "2.5", "currency": "USD" }));
    assert_eq!(problem(refund("71", "0")).1["field"], "amount");
    assert_eq!(problem(refund("1", "100")).0, 422);
    strict(&tally, "a");
    let lots = tally.got("/v1/accounts/a/lots");
    assert_eq!(lots["lots"][0]["refunded"], "30", "{lots}");
    let proof = tally.got("/v1/verify");
    assert_eq!(proof["holds"], true, "{proof}");
}

#[test]
fn a_strict_balance_has_what_was_sent_before_it() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "1000", "category": "promotional" });
    tally.posted(201, "/v1/accounts/a/grants", &grant);
    let mut spent = 0;
    for round in 0..10 {
        let events: Vec<Value> =
            (0..10).map(|one| chat("a", &format!("{round}-{one}"), 1_000)).collect();
        let sent = tally.post("/v1/events").body(Value::from(events).to_string()).send().unwrap();
        assert_eq!(answer(202, sent)["accepted"], 10);
        spent += 10;
        assert_eq!(strict(&tally, "a")["available"], (1_000 - spent).to_string());
    }
    assert_eq!(strict(&tally, "nobody")["available"], "0");
    let odd = tally.get("/v1/accounts/a/balance?consistency=always").send().unwrap();
    assert_eq!(problem(odd).1["field"], "consistency");
    let odd = tally.get("/v1/accounts/a/balance?consistency=strict&wait=x").send().unwrap();
    assert_eq!(problem(odd).1["field"], "wait");
}
