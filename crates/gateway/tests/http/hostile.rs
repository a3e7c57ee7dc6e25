//! Whatever bytes come in, at every route: an answer that says what is wrong with them, never one
//! that something is wrong here.

use reqwest::Method;
use serde_json::{Value, json};

use crate::tally::{Tally, chat, problem};

/// Good bodies of every route that takes one.
fn bodies() -> Vec<(&'static str, Value)> {
    let items = json!([{ "model": "small", "input_characters": 9, "max_output_tokens": 5 }]);
    vec![
        ("/v1/events", chat("a", "1", 5)),
        (
            "/v1/quote",
            json!({ "feature": "chat", "account": "a", "items": items, "traffic": "customer" }),
        ),
        (
            "/v1/holds",
            json!({ "account": "a", "amount": "1", "expires_in_s": 5, "deadline_s": 5, "user": "u",
            "on_insufficient": "shrink", "id": "x", "reason": "r" }),
        ),
        ("/v1/holds", json!({ "account": "a", "feature": "chat", "items": items })),
        ("/v1/holds/hold_0-1/capture", json!({ "amount": "1" })),
        ("/v1/holds/hold_0-1/extend", json!({ "expires_in_s": 5 })),
        ("/v1/holds/hold_0-1/settle", json!({ "amount": "1" })),
        ("/v1/holds/hold_0-1/settle", chat("a", "1", 5)),
        (
            "/v1/accounts/a/grants",
            json!({ "amount": "1", "category": "promotional", "priority": 5,
            "expires": "2999-01-01T00:00:00Z", "paid": { "amount": "1", "currency": "USD" } }),
        ),
        ("/v1/accounts/a/adjustments", json!({ "amount": "1", "reason": "r" })),
        ("/v1/accounts/a/lots/1/void", json!({ "amount": "1", "reason": "r" })),
        (
            "/v1/accounts/a/lots/1/refund",
            json!({ "amount": "1", "reason": "r", "money": { "amount": "1", "currency": "USD" } }),
        ),
        ("/v1/accounts/a/entries/0-1/reverse", json!({ "reason": "r" })),
        ("/v1/accounts/a/plan", json!({ "plan": "p", "when": "now" })),
        (
            "/v1/accounts/a/budgets",
            json!({ "id": "b", "user": "u", "limit": "1", "period": "day",
            "timezone": "UTC", "thresholds": [50], "hard": true, "traffic": "customer" }),
        ),
        (
            "/v1/accounts/a/notices",
            json!({ "low_balance": "1", "top_up": { "below": "1", "amount": "2" } }),
        ),
    ]
}

/// The same numbers every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

/// Values that are wrong nearly everywhere.
fn odd(dice: &mut Dice) -> Value {
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(18_446_744_073_709_551_615_u64),
        json!(""),
        json!(" "),
        json!("-1"),
        json!("0"),
        json!("1e9"),
        json!("0.0000000000001"),
        json!("999999999999999999999999999999999999999999"),
        json!("NaN"),
        json!("\u{0}"),
        json!("é"),
        json!("x".repeat(5_000)),
        json!([]),
        json!([[]]),
        json!({}),
        json!({ "a": { "b": [] } }),
        json!("Mars/Olympus"),
        json!("hold_0-1"),
        json!("9999-99-99T99:99:99Z"),
        json!([1, 1]),
        json!([70_000]),
    ];
    odd[dice.below(odd.len())].clone()
}

/// One change somewhere in a value.
fn mutated(value: &Value, dice: &mut Dice) -> Value {
    match value {
        Value::Object(fields) if !fields.is_empty() && dice.below(4) > 0 => {
            let mut fields = fields.clone();
            let name = fields.keys().nth(dice.below(fields.len())).unwrap().clone();
            match dice.below(6) {
                0 => drop(fields.remove(&name)),
                1 => drop(fields.insert(format!("{name}x"), json!(1))),
                _ => {
                    let changed = mutated(&fields[&name], dice);
                    fields.insert(name, changed);
                }
            }
            Value::Object(fields)
        }
        Value::Array(elements) if !elements.is_empty() && dice.below(4) > 0 => {
            let mut elements = elements.clone();
            let place = dice.below(elements.len());
            elements[place] = mutated(&elements[place], dice);
            Value::Array(elements)
        }
        _ => odd(dice),
    }
}

#[test]
fn no_body_breaks_anything() {
    let tally = Tally::start().with_rates();
    let mut dice = Dice(7);
    let mut refused = 0;
    for (path, good) in bodies() {
        let whole = good.to_string();
        for round in 0..60 {
            let body: Vec<u8> = match round % 6 {
                // Cut short, or with a byte that is another.
                0 => whole.as_bytes()[..dice.below(whole.len())].to_vec(),
                1 => {
                    let mut bytes = whole.clone().into_bytes();
                    let place = dice.below(bytes.len());
                    bytes[place] = u8::try_from(dice.below(256)).unwrap();
                    bytes
                }
                2 => (0..dice.below(64)).map(|_| u8::try_from(dice.below(256)).unwrap()).collect(),
                _ => mutated(&good, &mut dice).to_string().into_bytes(),
            };
            let shown = String::from_utf8_lossy(&body).chars().take(300).collect::<String>();
            let sent = tally.post(path).body(body).send().unwrap();
            let status = sent.status().as_u16();
            assert!(status < 500, "{path} {shown}: {status} {}", sent.text().unwrap());
            if status >= 400 {
                problem(sent);
                refused += 1;
            }
        }
    }
    assert!(refused > 300, "only {refused} were refused");
    let proof = tally.got("/v1/verify");
    assert_eq!(proof["holds"], true, "{proof}");
}

#[test]
fn no_path_and_no_query_breaks_anything() {
    let tally = Tally::start().with_rates();
    let odd = [
        "%00",
        "%ff",
        "-1",
        "0",
        "99999999999999999999",
        "'%20OR%201=1",
        "%5C'",
        "%2F",
        "é",
        "hold_0-0",
        "hold_4294967296-1",
        "0-18446744073709551616",
        ".",
        "%F0%9F%92%A9",
        "x",
    ];
    for segment in odd {
        for (method, path) in [
            (Method::GET, format!("/v1/accounts/{segment}/balance")),
            (Method::GET, format!("/v1/accounts/{segment}/plan")),
            (Method::GET, format!("/v1/accounts/{segment}/budgets")),
            (Method::GET, format!("/v1/accounts/{segment}/holds")),
            (Method::GET, format!("/v1/accounts/{segment}/lots")),
            (Method::GET, format!("/v1/accounts/a/lots?limit={segment}")),
            (Method::GET, format!("/v1/accounts/a/holds?state={segment}")),
            (Method::GET, format!("/v1/holds/{segment}")),
            (Method::GET, format!("/v1/holds/hold_0-1?wait={segment}")),
            (Method::DELETE, format!("/v1/holds/{segment}")),
            (Method::DELETE, format!("/v1/accounts/a/budgets/{segment}")),
            (Method::DELETE, format!("/v1/accounts/{segment}/budgets/x")),
            (Method::GET, format!("/v1/price-list?plan={segment}")),
            (Method::GET, format!("/v1/price-list?account={segment}")),
            (Method::POST, format!("/v1/holds/{segment}/settle")),
            (Method::POST, format!("/v1/accounts/a/entries/{segment}/reverse")),
        ] {
            let sent = tally.ask(method.clone(), &path, Some(tally.operator_key()));
            let sent = sent.header("Idempotency-Key", format!("{segment} {path}")).send().unwrap();
            let status = sent.status().as_u16();
            assert!(status < 500, "{method} {path}: {status} {}", sent.text().unwrap());
        }
    }
}
