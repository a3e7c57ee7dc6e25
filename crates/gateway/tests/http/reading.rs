//! Answers: balances, usage, explanations, SQL, status, proofs.

use serde_json::json;

use crate::tally::{Tally, chat, event};

#[test]
fn what_was_charged_is_found_explained_and_proved() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "100", "category": "purchased", "paid": { "amount": "10", "currency": "USD" } });
    let granted = tally.posted(201, "/v1/accounts/a/grants", &grant);
    let pages = json!({ "feature": "scan", "items": [
        { "meter": "pages", "quantity": "3" }, { "model": "small", "tokens": { "input": 500 } } ] });
    let ended = tally.send(&[chat("a", "1", 2_500), event("a", "2", pages), chat("b", "1", 1_000)]);
    assert!(ended.iter().all(|event| event["outcome"] == "debit"), "{ended:?}");

    let explained = tally.got("/v1/events?source=test&id=2");
    assert_eq!(explained["state"], "debit");
    assert_eq!(explained["entry"], ended[1]["entry"]);
    assert_eq!(explained["credits"], "6.5");
    assert_eq!(explained["lines"][0]["rule"], "pages");
    assert_eq!(explained["lines"][1]["credits"], "0.5");
    assert!(!explained["lines"][0]["explanation"]["charge"].as_array().unwrap().is_empty());
    assert_eq!(explained["draws"][0]["lot"], granted["lot"]);
    assert_eq!(explained["draws"][0]["revenue"], "0.65");
    assert_eq!(explained["rate_card"]["id"], "standard");
    assert_eq!(explained["balance_after"]["available"], "91");
    assert_eq!(explained["cause"]["topic"], "usage.raw");
    let unclear = tally.get("/v1/events?source=test&id=1").send().unwrap();
    assert_eq!(unclear.status().as_u16(), 409);
    assert_eq!(tally.got("/v1/events?source=test&id=1&account=b")["credits"], "1");
    assert_eq!(tally.got("/v1/events?source=test&id=none")["state"], "unknown");

    tally.wait_for_projection();
    assert_eq!(tally.got("/v1/events?source=test&id=2")["queryable"], true);
    let balance = tally.got("/v1/accounts/a/balance");
    assert_eq!(balance["available"], "91");
    assert_eq!(balance["lots"][0]["remaining"], "91");
    assert_eq!(balance["freshness"]["lag_records"], 0);
    assert_eq!(tally.got("/v1/accounts/nobody/balance")["known"], false);
    for path in ["/v1/usage?by=account,feature", "/v1/usage?by=account,feature,status"] {
        let usage = tally.got(path);
        let rows = usage["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 3, "{usage}");
        assert_eq!((&rows[0]["feature"], &rows[0]["credits"]), (&json!("scan"), &json!("6.5")));
        assert_eq!((&rows[0]["events"], &rows[0]["uncosted_lines"]), (&json!(1), &json!(2)));
    }
    let usage = tally.got("/v1/accounts/a/usage?by=model&top=1");
    assert_eq!(usage["rows"].as_array().unwrap().len(), 1);
    let entries = tally.got("/v1/accounts/a/entries?limit=2");
    assert_eq!(entries["entries"][0]["sequence"], 3);

    let verified = tally.got("/v1/verify");
    assert_eq!(verified["holds"], true, "{verified}");
    let checks = verified["checks"].as_array().unwrap();
    let projection = checks.iter().find(|check| check["invariant"] == 12).unwrap();
    assert!(projection["checked"].as_u64().unwrap() >= 8, "{projection}");

    // A line that is not in the ledger, and the proof says so.
    let sql = |query: &str| {
        let body = json!({ "query": query, "format": "json" }).to_string();
        tally.post("/v1/sql").body(body).send().unwrap().text().unwrap()
    };
    let rows = sql(
        "SELECT account, sum(credits) AS credits FROM usage_lines GROUP BY account ORDER BY account;",
    );
    assert_eq!(
        rows,
        "{\"account\":\"a\",\"credits\":\"9\"}\n{\"account\":\"b\",\"credits\":\"1\"}\n"
    );
    let pretty = json!({ "query": "SELECT 1 AS one, 'x' AS two", "format": "pretty" }).to_string();
    let pretty = tally.post("/v1/sql").body(pretty).send().unwrap().text().unwrap();
    assert_eq!(pretty, "one  two\n───  ───\n1    x\n");
    let csv = tally.get("/v1/export?account=a").send().unwrap().text().unwrap();
    assert_eq!(csv.lines().count(), 4);
    let parquet = tally.get("/v1/export?format=parquet").send().unwrap().bytes().unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    assert!(tally.got("/v1/schema")["tables"].as_array().unwrap().len() > 20);
    assert_eq!(tally.got("/v1/schema?table=balances")["name"], "balances");

    let status = tally.got("/v1/status");
    assert_eq!(status["services"][0]["lag_records"], 0, "{status}");
    assert_eq!(status["catalogue"]["offset"], 1);
    assert_eq!(tally.got("/readyz")["status"], "ready");
    assert_eq!(tally.got("/healthz")["status"], "ok");
    let metrics = tally.get("/metrics").send().unwrap().text().unwrap();
    assert!(metrics.contains("tally_gateway_requests_total"), "{metrics}");
}

#[test]
fn a_quote_is_what_the_charge_will_be() {
    let tally = Tally::start().with_rates();
    let items = json!([{ "model": "small", "tokens": { "input": 2_500 } }]);
    let quote = json!({ "feature": "chat", "items": items });
    let quote = tally.posted(200, "/v1/quote", &quote);
    assert_eq!((&quote["credits"], &quote["rate_card_version"]), (&json!("2.5"), &json!(1)));
    assert_eq!(quote["lines"][0]["cost_status"], "missing");
    let whole = json!({ "event": chat("a", "1", 2_500) });
    assert_eq!(tally.posted(200, "/v1/quote", &whole)["credits"], "2.5");
    let unpriced = json!({ "feature": "chat", "items": [{ "meter": "pens", "quantity": "1" }] });
    let refused = tally.posted(422, "/v1/quote", &unpriced);
    assert_eq!(
        (&refused["type"], &refused["field"]),
        (&json!("no_rule"), &json!("data.items[0].meter"))
    );
}

#[test]
fn bad_lines_are_found_among_the_dead_letters() {
    let tally = Tally::start().with_rates();
    let mut bad = chat("a", "1", 1);
    bad["data"]["items"][0]["vendor_cost"] = json!({ "amount": "1", "currency": "EUR" });
    let sent = tally.send(&[bad]);
    assert_eq!(
        (&sent[0]["outcome"], &sent[0]["code"]),
        (&json!("dead_letter"), &json!("bad_currency"))
    );
    for _ in 0..2 {
        let explained = tally.got("/v1/events?source=test&id=1");
        assert_eq!(explained["state"], "dead_letter");
        let letter = &explained["dead_letters"][0];
        assert_eq!((&letter["code"], &letter["value"]), (&json!("bad_currency"), &json!("EUR")));
        assert_eq!(letter["field"], "data.items[0].vendor_cost.currency");
        tally.wait_for_projection();
    }
}
