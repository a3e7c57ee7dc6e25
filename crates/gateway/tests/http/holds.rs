//! Holds over HTTP: set aside, used, given back; refused; and everything again.

use reqwest::Method;
use serde_json::{Value, json};

use crate::tally::{Tally, answer, chat, event, problem};

fn granted(tally: &Tally, account: &str, amount: &str) {
    let grant = json!({ "amount": amount, "category": "promotional" });
    tally.posted(201, &format!("/v1/accounts/{account}/grants"), &grant);
}

fn hold(tally: &Tally, account: &str, amount: &str) -> Value {
    tally.posted(201, "/v1/holds", &json!({ "account": account, "amount": amount }))
}

fn path(hold: &Value, action: &str) -> String {
    format!("/v1/holds/{}{action}", hold["hold"].as_str().unwrap())
}

fn released(tally: &Tally, hold: &Value) -> reqwest::blocking::Response {
    tally.ask(Method::DELETE, &path(hold, ""), Some(tally.operator_key())).send().unwrap()
}

#[test]
fn a_hold_lives_as_the_example_says() {
    let tally = Tally::start().with_rates();
    granted(&tally, "acct_42", "100");
    let asked = json!({ "account": "acct_42", "amount": "12.5", "expires_in_s": 60, "user": "u_7",
        "team": "growth", "feature": "chat", "on_insufficient": "refuse" });
    let hold = tally.posted(201, "/v1/holds", &asked);
    for (name, value) in [
        ("account", json!("acct_42")),
        ("amount", json!("12.5")),
        ("captured", json!("0")),
        ("state", json!("open")),
        ("available", json!("87.5")),
        ("user", json!("u_7")),
        ("traffic", json!("customer")),
    ] {
        assert_eq!(hold[name], value, "{name} of {hold}");
    }
    assert!(hold["hold"].as_str().unwrap().starts_with("hold_"), "{hold}");
    // What was answered is there to be read at once.
    let read = tally.got(&path(&hold, ""));
    for name in ["hold", "account", "amount", "captured", "state", "available", "user", "team"] {
        assert_eq!(read[name], hold[name], "{name} of {read}");
    }
    assert_eq!(read["freshness"]["lag_records"], 0, "{read}");

    let captured = tally.posted(200, &path(&hold, "/capture"), &json!({ "amount": "3" }));
    assert_eq!((&captured["captured"], &captured["above"]), (&json!("3"), &json!("0")));
    let extended = tally.posted(200, &path(&hold, "/extend"), &json!({ "expires_in_s": 600 }));
    assert!(extended["expires_at"].as_str() > hold["expires_at"].as_str(), "{extended}");
    assert_eq!(tally.got(&path(&hold, ""))["captured"], "3");
    let settled = tally.posted(200, &path(&hold, "/settle"), &json!({ "amount": "9" }));
    assert_eq!(
        (&settled["state"], &settled["captured"], &settled["available"]),
        (&json!("settled"), &json!("9"), &json!("91"))
    );
    assert_eq!(tally.got(&path(&hold, ""))["state"], "settled");
    for (action, body) in [("/capture", r#"{"amount":"1"}"#), ("/settle", ""), ("/settle", "{}")] {
        let late = tally.post(&path(&hold, action)).body(body).send().unwrap();
        let (status, body) = problem(late);
        assert_eq!((status, &body["type"]), (404, &json!("unknown_hold")), "{body}");
    }
    let listed = tally.got("/v1/accounts/acct_42/holds?state=settled");
    assert_eq!(listed["holds"][0]["hold"], hold["hold"], "{listed}");
    assert_eq!(tally.got("/v1/accounts/acct_42/holds?state=open")["holds"], json!([]));
}

#[test]
fn a_refusal_says_what_stood_in_the_way_and_says_it_again() {
    let tally = Tally::start().with_rates();
    granted(&tally, "a", "10");
    let ask = |key: &str, body: &Value| {
        let request = tally.post("/v1/holds").header("Idempotency-Key", key);
        request.body(body.to_string()).send().unwrap()
    };
    let much = json!({ "account": "a", "amount": "12.5" });
    let (status, refused) = problem(ask("k1", &much));
    assert_eq!((status, &refused["type"]), (402, &json!("insufficient_credits")));
    assert_eq!(
        (&refused["limit"], &refused["shortfall"], &refused["available"]),
        (&json!("balance"), &json!("2.5"), &json!("10"))
    );
    assert_eq!(refused["resets_at"], Value::Null);
    // More credits come; the same request has its answer all the same.
    granted(&tally, "a", "10");
    let again = ask("k1", &much);
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(problem(again), (402, refused.clone()));
    let (status, conflict) = problem(ask("k1", &json!({ "account": "a", "amount": "12" })));
    assert_eq!((status, &conflict["type"]), (409, &json!("idempotency_conflict")));
    assert_eq!(conflict["conflicts_with"], refused["entry"]);
    let granted_now = answer(201, ask("k2", &much));
    assert_eq!(granted_now["available"], "7.5");
    // Less will do, but not nothing.
    let shrink = json!({ "account": "a", "amount": "100", "on_insufficient": "shrink" });
    let shrunk = answer(201, ask("k3", &shrink));
    assert_eq!((&shrunk["amount"], &shrunk["asked"]), (&json!("7.5"), &json!("100")));
    let (status, nothing) = problem(ask("k4", &shrink));
    assert_eq!((status, &nothing["available"]), (402, &json!("0")));
}

#[test]
fn every_answer_comes_again_from_any_gateway() {
    let tally = Tally::start().with_rates();
    granted(&tally, "a", "100");
    let other = tally.second_gateway(None).unwrap();
    let client = testkit::http_client(std::time::Duration::from_secs(60)).unwrap();
    let twice = |method: Method, path: &str, key: &str, body: &Value| {
        let first = tally
            .ask(method.clone(), path, Some(tally.operator_key()))
            .header("Idempotency-Key", key)
            .body(body.to_string())
            .send()
            .unwrap();
        assert!(!first.headers().contains_key("idempotent-replayed"), "{path}");
        let (status, first) = (first.status(), first.text().unwrap());
        assert!(status.is_success(), "{path}: {first}");
        let again = client
            .request(method, format!("http://{}{path}", other.address()))
            .bearer_auth(tally.operator_key())
            .header("Idempotency-Key", key)
            .body(body.to_string())
            .send()
            .unwrap();
        assert_eq!(again.headers()["idempotent-replayed"], "true", "{path}");
        assert_eq!((again.status(), again.text().unwrap()), (status, first.clone()), "{path}");
        serde_json::from_str::<Value>(&first).unwrap()
    };
    let post = |path: &str, key: &str, body: Value| twice(Method::POST, path, key, &body);
    let held = post("/v1/holds", "h", json!({ "account": "a", "amount": "10" }));
    // The same key means something else within a hold, and within another one.
    post(&path(&held, "/capture"), "h", json!({ "amount": "2" }));
    post(&path(&held, "/extend"), "x", json!({ "expires_in_s": 300 }));
    post(&path(&held, "/settle"), "s", json!({ "amount": "5" }));
    let held = post("/v1/holds", "h2", json!({ "account": "a", "amount": "10" }));
    twice(Method::DELETE, &path(&held, ""), "r", &json!({}));
    let paid = json!({ "amount": "10", "category": "purchased", "paid": { "amount": "1", "currency": "USD" } });
    let granted = post("/v1/accounts/a/grants", "g", paid);
    let lot = granted["lot"].as_str().unwrap();
    let refund =
        json!({ "amount": "4", "money": { "amount": "0.40", "currency": "USD" }, "reason": "r" });
    post(&format!("/v1/accounts/a/lots/{lot}/refund"), "f", refund);
    post(&format!("/v1/accounts/a/lots/{lot}/void"), "v", json!({ "amount": "1", "reason": "r" }));
    post("/v1/accounts/a/adjustments", "a", json!({ "amount": "-1", "reason": "r" }));
    let budget = json!({ "id": "b", "limit": "5", "period": "month", "hard": true });
    post("/v1/accounts/a/budgets", "b", budget);
    twice(Method::DELETE, "/v1/accounts/a/budgets/b", "bd", &json!({}));
    post("/v1/accounts/a/notices", "n", json!({ "low_balance": "5" }));
    let charged = tally.send(&[chat("a", "1", 1_000)]);
    let entry = charged[0]["entry"].as_str().unwrap();
    post(&format!("/v1/accounts/a/entries/{entry}/reverse"), "rev", json!({ "reason": "r" }));
    tally.end(other);
}

#[test]
fn a_hold_is_settled_by_its_event() {
    let tally = Tally::start().with_rates();
    granted(&tally, "a", "100");
    let held = hold(&tally, "a", "10");
    let spent = |id: &str, hold: &Value| {
        let mut event = chat("a", id, 12_500);
        event["data"]["hold"] = hold["hold"].clone();
        event
    };
    let done = spent("1", &held);
    let first = tally.posted(200, &path(&held, "/settle"), &done);
    assert_eq!(
        (&first["event"]["outcome"], &first["event"]["credits"]),
        (&json!("debit"), &json!("12.5"))
    );
    assert_eq!(
        (&first["hold"]["state"], &first["hold"]["captured"], &first["hold"]["above"]),
        (&json!("settled"), &json!("12.5"), &json!("2.5"))
    );
    assert_eq!(first["hold"]["available"], "87.5");
    let again = tally.post(&path(&held, "/settle")).body(done.to_string()).send().unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(answer(200, again), first);
    let explained = tally.got("/v1/events?source=test&id=1");
    assert_eq!(explained["hold"]["above"], "2.5", "{explained}");

    let held = hold(&tally, "a", "10");
    let refuse = |hold: &Value, event: &Value, status: u16, field: &str| {
        let sent = tally.post(&path(hold, "/settle")).body(event.to_string()).send().unwrap();
        let (found, body) = problem(sent);
        assert_eq!((found, body["field"].as_str()), (status, Some(field)), "{body}");
    };
    refuse(&held, &chat("a", "2", 1), 422, "data.hold");
    refuse(&held, &spent("2", &json!({ "hold": "hold_0-1" })), 422, "data.hold");
    let mut foreign = spent("2", &held);
    foreign["subject"] = json!("b");
    refuse(&held, &foreign, 404, "hold");
    let mut capture = spent("2", &held);
    capture["data"]["hold_action"] = json!("capture");
    refuse(&held, &capture, 422, "data.hold_action");
    let mut bad = spent("2", &held);
    bad["data"]["items"] = json!([]);
    refuse(&held, &bad, 422, "data.items");
    assert_eq!(tally.got(&path(&held, ""))["state"], "open");
}

/// What a hold of items sets aside is what the quote says at most, and what the event costs.
#[test]
fn a_hold_of_items_is_the_most_that_they_may_cost() {
    let tally = Tally::start().with_rates();
    granted(&tally, "a", "100");
    let items = json!([
        { "model": "small", "input_characters": 8_001, "max_output_tokens": 999 },
        { "meter": "pages", "quantity": "3" },
    ]);
    let asked = json!({ "account": "a", "feature": "chat", "items": items });
    tally.wait_for_projection();
    let quoted = tally.posted(200, "/v1/quote", &asked);
    assert_eq!(quoted["most"]["credits"], "9");
    assert_eq!(quoted["least"]["credits"], "8.001");
    assert_eq!(quoted["expected"]["credits"], "8.501");
    assert_eq!(quoted["credits"], quoted["expected"]["credits"]);
    assert_eq!(quoted["most"]["available_after"], "91");
    assert_eq!(quoted["on_exhausted"], "refuse");
    assert_eq!(quoted["hold_of_most"]["granted"], true);
    let ask = || {
        let request = tally.post("/v1/holds").header("Idempotency-Key", "k");
        answer(201, request.body(asked.to_string()).send().unwrap())
    };
    let held = ask();
    assert_eq!((&held["amount"], &held["available"]), (&json!("9"), &json!("91")));
    // However much later it is said again, it says the same.
    assert_eq!(ask(), held);
    let items = json!([
        { "model": "small", "tokens": { "input": 2_001, "output": 999 } },
        { "meter": "pages", "quantity": "3" },
    ]);
    let done = event("a", "1", json!({ "feature": "chat", "hold": held["hold"], "items": items }));
    let settled = tally.posted(200, &path(&held, "/settle"), &done);
    assert_eq!(settled["event"]["credits"], quoted["most"]["credits"]);
    assert_eq!(settled["hold"]["above"], "0");
    let quote = json!({ "feature": "chat", "account": "a", "items": items });
    assert_eq!(tally.posted(200, "/v1/quote", &quote)["credits"], settled["event"]["credits"]);
    // What has no price cannot be held.
    let unpriced = json!({ "account": "a", "feature": "chat", "items": [{ "meter": "pens", "quantity": "1" }] });
    let (status, body) =
        problem(tally.post("/v1/holds").body(unpriced.to_string()).send().unwrap());
    assert_eq!((status, &body["type"]), (422, &json!("no_rule")));
}

#[test]
fn a_foreign_hold_is_as_good_as_none() {
    let tally = Tally::start().with_rates();
    granted(&tally, "own", "100");
    granted(&tally, "canary", "100");
    let terms = json!({ "name": "app", "role": "app", "accounts": ["own"] });
    let key = tally.key(terms)["key"].as_str().unwrap().to_owned();
    let foreign = hold(&tally, "canary", "10");
    let ask = |method: Method, path: &str, key: &str, body: &Value| {
        tally.ask(method, path, Some(key)).body(body.to_string()).send().unwrap()
    };
    let mut event = chat("own", "1", 1);
    event["data"]["hold"] = foreign["hold"].clone();
    let nowhere = json!({ "hold": "hold_0-999999" });
    let outside = json!({ "hold": "hold_999-1" });
    let odd = json!({ "hold": "hold_x" });
    for (method, action, body) in [
        (Method::GET, "", json!({})),
        (Method::POST, "/extend", json!({ "expires_in_s": 600 })),
        (Method::POST, "/capture", json!({ "amount": "1" })),
        (Method::POST, "/settle", json!({ "amount": "1" })),
        (Method::DELETE, "", json!({})),
    ] {
        let answers = [&foreign, &nowhere, &outside, &odd].map(|hold| {
            let mut headers = ask(method.clone(), &path(hold, action), &key, &body);
            assert!(headers.headers_mut().remove("idempotent-replayed").is_none());
            let (status, mut body) = problem(headers);
            body.as_object_mut().unwrap().remove("id");
            (status, body)
        });
        assert_eq!(answers[0].0, 404, "{method} {action}: {:?}", answers[0]);
        assert!(answers.iter().all(|one| *one == answers[0]), "{method} {action}: {answers:?}");
    }
    let settled = ask(Method::POST, &path(&foreign, "/settle"), &key, &event);
    assert_eq!(problem(settled).0, 404);
    // An answer that was given to somebody else is not given again to this key.
    let released = |key: &str| {
        let request = tally.ask(Method::DELETE, &path(&foreign, ""), Some(key));
        request.header("Idempotency-Key", "r").send().unwrap()
    };
    answer(200, released(tally.operator_key()));
    assert_eq!(problem(released(&key)).0, 404);
    let held = json!({ "account": "canary", "amount": "1" });
    assert_eq!(problem(ask(Method::POST, "/v1/holds", &key, &held)).0, 403);
    let forged = json!({ "account": "own", "amount": "1", "traffic": "internal" });
    assert_eq!(problem(ask(Method::POST, "/v1/holds", &key, &forged)).1["field"], "traffic");
    let own = answer(
        201,
        ask(Method::POST, "/v1/holds", &key, &json!({ "account": "own", "amount": "1" })),
    );
    assert_eq!(answer(200, ask(Method::GET, &path(&own, ""), &key, &json!({})))["state"], "open");
    answer(200, ask(Method::DELETE, &path(&own, ""), &key, &json!({})));
}

/// Many at once, and never more than there is.
#[test]
fn parallel_holds_do_not_overspend() {
    let tally = Tally::start().with_rates();
    granted(&tally, "a", "10");
    let body = json!({ "account": "a", "amount": "3" }).to_string();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || tally.post("/v1/holds").body(body.clone()).send().unwrap().status().as_u16();
        let asking: Vec<_> = (0..12).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 3, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 402).count(), 9, "{statuses:?}");
    let balance = tally.got("/v1/accounts/a/balance?consistency=strict");
    assert_eq!((&balance["held"], &balance["available"]), (&json!("9"), &json!("1")));
    assert_eq!(balance["freshness"]["open_holds"], 3);
    let open = balance["holds"].as_array().unwrap().clone();
    for hold in &open {
        answer(200, released(&tally, hold));
    }
    let balance = tally.got("/v1/accounts/a/balance?consistency=strict");
    assert_eq!((&balance["held"], &balance["available"]), (&json!("0"), &json!("10")));
}
