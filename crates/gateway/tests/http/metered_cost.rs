//! Our side of a vendor's bill: vendor cost by day, model and pool.

use serde_json::{Value, json};

use crate::tally::{Tally, event, problem};

const BOOK: &str = r#"
id = "vendors"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"

[[price]]
model = "small"
provider = "v"
per_million_tokens = { input = "2", output = "10" }

[[price.when]]
prompt_tokens_over = 200000
per_million_tokens = { input = "4" }
"#;

/// The card takes tokens of `small` and `bare`; `bare` has no vendor price, `other` no rule.
const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 4

[[rule]]
name = "by token"
match = { model = ["small", "bare"] }
charge = { tokens_per_credit = "1000" }
"#;

const TIME: &str = "2025-11-02T12:00:00Z";

fn started() -> Tally {
    let tally = Tally::start();
    for toml in [BOOK, CARD] {
        tally.posted(201, "/v1/rates/versions", &json!({ "toml": toml, "reason": "test" }));
    }
    tally
}

/// All at one time, so that midnight does not come between them.
fn call(id: &str, model: &str, tokens: Value) -> Value {
    let item =
        json!({ "model": model, "provider": "v", "tokens": tokens, "counting": "exclusive" });
    let mut event = event("a", id, json!({ "feature": "chat", "backfill": true, "items": [item] }));
    event["time"] = TIME.into();
    event
}

/// The rows, without their day, as (model, pool, costed, uncosted, unrated, cost, is_estimated).
fn rows(answer: &Value) -> Vec<String> {
    let rows = answer["rows"].as_array().unwrap().iter();
    let mut rows: Vec<String> = rows
        .map(|row| {
            let of = |name: &str| row[name].to_string().replace('"', "");
            let names = ["model", "pool", "costed_tokens", "uncosted_tokens", "unrated_tokens"];
            let counts = names.map(of).join(" ");
            format!("{counts} {} {}", of("cost"), of("is_estimated"))
        })
        .collect();
    rows.sort();
    rows
}

#[test]
fn cost_is_known_by_pool_and_what_has_none_is_counted() {
    let tally = started();
    let plain = call("1", "small", json!({ "input": 100_000, "output": 1_000 }));
    let mut reported = call("5", "small", json!({ "input": 50_000, "output": 1_000 }));
    reported["data"]["items"][0]["service_tier"] = json!("flex");
    reported["data"]["items"][0]["vendor_cost"] = json!({ "amount": "1", "currency": "USD" });
    tally.send(&[
        plain,
        // Past the threshold the input costs twice as much; each pool's cost is exact all the same.
        call("2", "small", json!({ "input": 300_000, "output": 2_000 })),
        call("3", "bare", json!({ "input": 7 })),
        call("4", "other", json!({ "input": 9, "output": 4 })),
    ]);
    tally.wait_for_projection();
    let path = "/v1/metered-cost?from=2025-11-02&to=2025-11-03";
    let answer = tally.got(path);
    assert_eq!(
        rows(&answer),
        [
            "bare input 0 7 0 0 false",
            "other input 0 0 9 0 false",
            "other output 0 0 4 0 false",
            "small input 400000 0 0 1.4 false",
            "small output 3000 0 0 0.03 false",
        ],
        "{answer}"
    );
    assert_eq!(answer["currency"], "USD");
    assert_eq!(
        (&answer["unrated_events"], &answer["unrated_events_left_out"]),
        (&json!(1), &json!(false))
    );

    // What a producer was really billed is one sum over the pools.
    tally.send(&[reported]);
    tally.wait_for_projection();
    let answer = tally.got(path);
    let rows = rows(&answer);
    let of_small: Vec<&String> = rows.iter().filter(|row| row.starts_with("small")).collect();
    assert!(of_small.iter().all(|row| row.ends_with(" true")), "{rows:?}");
    let cost = answer["rows"].as_array().unwrap().iter().map(|row| &row["cost"]);
    let cost: i128 =
        cost.map(|cost| cost.as_str().unwrap().parse::<domain::Money>().unwrap().atoms()).sum();
    assert_eq!(domain::Money::from_atoms(cost).to_string(), "2.43");

    // Another day has nothing, and days must be days.
    // At noon in London the next day has begun in Auckland.
    let on = |zone: &str| {
        let path = "/v1/metered-cost?from=2025-11-03&to=2025-11-04&timezone=";
        tally.got(&format!("{path}{zone}"))["rows"].as_array().unwrap().len()
    };
    assert_eq!((on("UTC"), on("Pacific/Auckland")), (0, 5));
    for (query, field) in [
        ("", "from"),
        ("from=2025-11-01", "to"),
        ("from=2025-11-01&to=2025-11-01", "to"),
        ("from=2025-11-01&to=2027-11-01", "to"),
        ("from=yesterday&to=2025-11-01", "from"),
        ("from=2025-11-01&to=2025-11-02&timezone=Mars", "timezone"),
    ] {
        let refused = tally.get(&format!("/v1/metered-cost?{query}")).send().unwrap();
        let (status, problem) = problem(refused);
        assert_eq!((status, &problem["field"]), (400, &json!(field)), "{query}: {problem}");
    }
}

/// Most books have no price that depends on the size of a prompt.
#[test]
fn a_book_without_thresholds_and_no_book_at_all_are_answered() {
    let tally = Tally::start();
    let path = "/v1/metered-cost?from=2025-11-02&to=2025-11-03";
    let nothing = tally.got(path);
    assert_eq!((&nothing["rows"], &nothing["currency"]), (&json!([]), &Value::Null));
    let plain = BOOK.split("[[price.when]]").next().unwrap();
    for toml in [plain, CARD] {
        tally.posted(201, "/v1/rates/versions", &json!({ "toml": toml, "reason": "test" }));
    }
    tally.send(&[call("1", "small", json!({ "input": 100_000, "output": 1_000 }))]);
    tally.wait_for_projection();
    let answer = tally.got(path);
    assert_eq!(
        rows(&answer),
        ["small input 100000 0 0 0.2 false", "small output 1000 0 0 0.01 false"],
        "{answer}"
    );
}

/// A re-rate writes the difference in money beside the tokens of the charge.
#[test]
fn a_charge_that_was_priced_anew_has_the_price_it_has_now() {
    let tally = started();
    tally.send(&[
        call("1", "small", json!({ "input": 100_000, "output": 1_000 })),
        call("2", "bare", json!({ "input": 50_000, "output": 2_000 })),
        call("3", "small", json!({ "input": 30_000 })),
    ]);
    let bare = "[[price]]\nmodel = \"bare\"\nprovider = \"v\"\nper_million_tokens = { input = \"4\", output = \"8\" }\n";
    let book = format!("{}{bare}", BOOK.replace("input = \"2\"", "input = \"3\""));
    let body = json!({ "toml": book, "reason": "it was wrong", "retroactive": true });
    tally.posted(201, "/v1/rates/versions", &body);
    let plan = tally.posted(200, "/v1/rerates/plan", &json!({}));
    let charges: Vec<Value> = plan["charges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|charge| {
            let credits = &charge["now"]["credits"];
            json!({ "entry": charge["entry"], "offset": charge["offset"], "credits": credits })
        })
        .collect();
    assert_eq!(charges.len(), 3, "{plan}");
    let body = json!({
        "plan": "p1", "catalogue": plan["catalogue"], "reason": "wrong price", "charges": charges,
    });
    let done = tally.posted(200, "/v1/rerates", &body);
    let is_applied = |result: &Value| result["outcome"] == "applied";
    assert!(done["results"].as_array().unwrap().iter().all(is_applied), "{done}");
    tally.wait_for_projection();
    let path = "/v1/metered-cost?from=2025-11-02&to=2025-11-03";
    let now = [
        "bare input 50000 0 0 0.2 false",
        "bare output 2000 0 0 0.016 false",
        "small input 130000 0 0 0.39 false",
        "small output 1000 0 0 0.01 false",
    ];
    assert_eq!(rows(&tally.got(path)), now);

    // What is taken back is gone, tokens and money alike.
    let explained = tally.got("/v1/events?source=test&id=3");
    let entry = explained["corrections"][0]["entry"].as_str().unwrap();
    let body = json!({ "reason": "it never happened", "id": "r1" });
    tally.posted(201, &format!("/v1/accounts/a/entries/{entry}/reverse"), &body);
    tally.wait_for_projection();
    let left = rows(&tally.got(path));
    assert!(left.contains(&"small input 100000 0 0 0.3 false".to_owned()), "{left:?}");
}
