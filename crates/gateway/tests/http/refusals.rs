//! Whatever comes in that is wrong: a problem that names the field, and nothing has changed.

use domain::{Partition, Topic, TopicPartition};
use serde_json::{Value, json};

use crate::tally::{CARD, PARTITIONS, Tally, answer, chat, problem};

/// The ends of everything that a request could write to.
fn ends(tally: &Tally) -> Vec<i64> {
    let mut ends = Vec::new();
    for topic in [Topic::UsageRaw, Topic::LedgerCommands] {
        for partition in (0..PARTITIONS).map(Partition) {
            ends.push(tally.log.bounds(TopicPartition { topic, partition }).unwrap().end.0);
        }
    }
    let catalogue = TopicPartition { topic: Topic::RatesCatalog, partition: Partition(0) };
    ends.push(tally.log.bounds(catalogue).unwrap().end.0);
    ends
}

#[test]
fn bad_requests_change_nothing_and_name_the_field() {
    let tally = Tally::start().with_rates();
    let before = ends(&tally);
    let grant = |change: &[(&str, Value)]| {
        let mut body = json!({ "amount": "1", "category": "promotional", "id": "x" });
        for (name, value) in change {
            body[*name] = value.clone();
        }
        body.to_string()
    };
    let long = "x".repeat(300);
    let unreachable = format!(
        "{CARD}\n[[rule]]\nname = \"late\"\nmatch = {{ model = \"small\", feature = \"chat\" }}\n\
         charge = {{ free = true }}\n"
    );
    let toml = |toml: &str| json!({ "toml": toml }).to_string();
    let posts: Vec<(&str, String, u16, &str)> = vec![
        ("/v1/events", String::new(), 400, ""),
        ("/v1/events", "[{\"a\":1},".to_owned(), 400, ""),
        ("/v1/events", format!("[{}]", "1,".repeat(1_000) + "1"), 413, ""),
        ("/v1/ingest", "\n\n".to_owned(), 400, ""),
        ("/v1/ingest", "x\n".repeat(5_001), 413, ""),
        ("/v1/ingest?wait_s=x", "x".to_owned(), 400, "wait_s"),
        ("/v1/ingest?wat=1", "x".to_owned(), 400, "wat"),
        ("/v1/accounts/a/grants", "{".to_owned(), 400, ""),
        ("/v1/accounts/a/grants", "[]".to_owned(), 400, ""),
        ("/v1/accounts/a/grants", "{}".to_owned(), 400, "amount"),
        ("/v1/accounts/a/grants", grant(&[("amount", json!(5))]), 400, "amount"),
        ("/v1/accounts/a/grants", grant(&[("amount", json!("1e5"))]), 400, "amount"),
        ("/v1/accounts/a/grants", grant(&[("amount", json!("1000000000000001"))]), 400, "amount"),
        ("/v1/accounts/a/grants", grant(&[("amount", json!("0"))]), 422, "amount"),
        ("/v1/accounts/a/grants", grant(&[("amount", json!("-5"))]), 422, "amount"),
        ("/v1/accounts/a/grants", grant(&[("category", json!("gift"))]), 400, "category"),
        ("/v1/accounts/a/grants", grant(&[("priority", json!(256))]), 400, "priority"),
        ("/v1/accounts/a/grants", grant(&[("expires", json!("tomorrow"))]), 400, "expires"),
        ("/v1/accounts/a/grants", grant(&[("paid", json!("5"))]), 400, "paid"),
        ("/v1/accounts/a/grants", grant(&[("paid", json!({ "amount": "5" }))]), 400, "paid"),
        (
            "/v1/accounts/a/grants",
            grant(&[("paid", json!({ "amount": "5", "currency": "usd" }))]),
            400,
            "paid",
        ),
        (
            "/v1/accounts/a/grants",
            grant(&[("paid", json!({ "amount": "5", "currency": "EUR" }))]),
            422,
            "paid.currency",
        ),
        ("/v1/accounts/a/grants", grant(&[("reason", json!(long))]), 422, "reason"),
        ("/v1/accounts/a/grants", grant(&[("id", json!(""))]), 422, "id"),
        ("/v1/accounts/a/grants", grant(&[("colour", json!("red"))]), 400, "colour"),
        ("/v1/accounts/a%00b/grants", grant(&[]), 422, "account"),
        ("/v1/accounts/a/adjustments", json!({ "amount": "1" }).to_string(), 400, "reason"),
        (
            "/v1/accounts/a/adjustments",
            json!({ "amount": "0", "reason": "r" }).to_string(),
            422,
            "amount",
        ),
        ("/v1/accounts/a/lots/x/void", json!({ "reason": "r" }).to_string(), 400, "lot"),
        (
            "/v1/accounts/a/lots/1/void",
            json!({ "reason": "r", "amount": "-1" }).to_string(),
            422,
            "amount",
        ),
        ("/v1/quote", json!({ "items": [] }).to_string(), 400, "feature"),
        ("/v1/quote", json!({ "feature": "f", "items": [] }).to_string(), 422, "data.items"),
        ("/v1/rates/versions", toml("id = "), 422, ""),
        ("/v1/rates/versions", toml("id = \"a\"\nid = \"b\"\n"), 422, ""),
        ("/v1/rates/versions", toml(&unreachable), 422, "match"),
        (
            "/v1/rates/versions",
            toml(&CARD.replace("credit_decimals", "credit_decimal")),
            422,
            "credit_decimal",
        ),
        ("/v1/rates/versions", json!({ "toml": 7 }).to_string(), 400, "toml"),
        ("/v1/rates/import/litellm", json!({ "json": "{}" }).to_string(), 400, "effective_from"),
        (
            "/v1/rates/import/litellm",
            json!({ "json": "[]", "effective_from": "2023-01-01T00:00:00Z" }).to_string(),
            422,
            "json",
        ),
        ("/v1/sql", json!({ "query": " " }).to_string(), 400, "query"),
        ("/v1/sql", json!({ "query": "SELECT 1", "format": "xml" }).to_string(), 400, "format"),
        ("/v1/sql", json!({ "query": "SELECT nothing" }).to_string(), 422, "query"),
        ("/v1/sql", json!({ "query": "DROP TABLE usage_lines" }).to_string(), 422, "query"),
    ];
    for (path, body, status, field) in posts {
        let shown: String = body.chars().take(120).collect();
        let (found, body) = problem(tally.post(path).body(body).send().unwrap());
        assert_eq!(found, status, "{path} {shown}: {body}");
        if !field.is_empty() {
            assert_eq!(body["field"], field, "{path} {shown}: {body}");
        }
    }
    for (path, status, field) in [
        ("/v1/usage?by=colour", 400, "by"),
        ("/v1/usage?from=x", 400, "from"),
        ("/v1/usage?top=0", 400, "top"),
        ("/v1/usage?by=model&by=feature", 400, "by"),
        ("/v1/accounts/a/entries?limit=-1", 400, "limit"),
        ("/v1/accounts/a/balance?x=1", 400, "x"),
        ("/v1/events?source=a", 400, "id"),
        ("/v1/schema?table=nothing", 404, "table"),
        ("/v1/export?format=doc", 400, "format"),
        ("/v1/rates/card/x", 400, "kind"),
        ("/v1/rates/rate_card/x", 404, "id"),
        ("/v1/nothing", 404, ""),
        ("/v1/ingest", 405, ""),
    ] {
        let (found, body) = problem(tally.get(path).send().unwrap());
        assert_eq!(found, status, "{path}: {body}");
        if !field.is_empty() {
            assert_eq!(body["field"], field, "{path}: {body}");
        }
    }
    assert_eq!(ends(&tally), before);
}

#[test]
fn a_million_items_and_bombs_are_refused() {
    let tally = Tally::start();
    let before = ends(&tally);
    let item = "{\"meter\":\"m\",\"quantity\":\"1\"}";
    let mut many = chat("a", "1", 1);
    many["data"]["items"] = json!([]);
    let body = many
        .to_string()
        .replace("\"items\":[]", &format!("\"items\":[{}]", vec![item; 200_000].join(",")));
    let sent = answer(202, tally.post("/v1/events").body(body).send().unwrap());
    assert_eq!((sent["accepted"].as_u64(), sent["refused"].as_u64()), (Some(0), Some(1)));
    assert_eq!(sent["events"][0]["code"], "record_too_large");
    let body = format!("[{}]", vec![item; 1_000_000].join(","));
    let (status, body) = problem(tally.post("/v1/events").body(body).send().unwrap());
    assert_eq!((status, body["type"].as_str()), (413, Some("body_too_large")));
    let deep = "[".repeat(1_000_000);
    problem(tally.post("/v1/events").body(deep).send().unwrap());
    let bomb = zstd::stream::encode_all(vec![b' '; 50_000_000].as_slice(), 19).unwrap();
    let sent = tally.post("/v1/events").header("Content-Encoding", "zstd").body(bomb).send();
    assert_eq!(problem(sent.unwrap()).1["type"], "body_too_large");
    let sent = tally.post("/v1/events").header("Content-Encoding", "br").body("x").send();
    assert_eq!(problem(sent.unwrap()).0, 415);
    assert_eq!(ends(&tally), before);
}
