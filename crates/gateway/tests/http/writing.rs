//! Events and commands, and what becomes of them.

use serde_json::json;

use crate::tally::{Tally, answer, chat, event, problem};

#[test]
fn events_end_as_the_ledger_says() {
    let tally = Tally::start().with_rates();
    let unpriced = event(
        "a",
        "e3",
        json!({ "feature": "x", "items": [{ "meter": "pens", "quantity": "1" }] }),
    );
    let mut changed = chat("a", "e1", 9_000);
    let mut bad = chat("a", "e4", 1);
    bad["data"]["items"][0]["tokens"]["input"] = json!(-1);
    let first = chat("a", "e1", 2_500);
    changed["time"] = first["time"].clone();
    let ended = tally.send(&[first.clone(), first, changed, unpriced, bad, chat("b", "e1", 10)]);
    let words: Vec<&str> = ended.iter().map(|event| event["outcome"].as_str().unwrap()).collect();
    assert_eq!(words, ["debit", "duplicate", "quarantined", "unrated", "refused", "debit"]);
    assert_eq!(ended[0]["credits"], "2.5");
    assert_eq!(ended[1]["entry"], ended[0]["entry"]);
    assert_eq!(ended[2]["code"], "identity_conflict");
    assert_eq!(ended[3]["code"], "no_rule");
    assert_eq!(ended[4]["code"], "bad_token_count");
    assert_eq!(ended[4]["field"], "data.items[0].tokens.input");
    assert_eq!(ended[4]["value"], "-1");
    assert_eq!(ended[4]["id"], "e4");
    assert_eq!(ended[5]["credits"], "0.01");
}

#[test]
fn bodies_come_as_one_as_many_as_lines_and_compressed() {
    let tally = Tally::start().with_rates();
    let (one, two) = (chat("a", "1", 1_000).to_string(), chat("a", "2", 1_000).to_string());
    let gzip = {
        use std::io::Write;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(format!("[{one},{two}]").as_bytes()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::stream::encode_all(one.as_bytes(), 1).unwrap();
    let send = |body: Vec<u8>, encoding: &str| {
        let request = tally.post("/v1/events").header("Content-Encoding", encoding);
        answer(202, request.header("Prefer", "wait=20").body(body).send().unwrap())
    };
    for (body, encoding, count) in [
        (one.clone().into_bytes(), "identity", 1),
        (format!("{one}\n{two}\n").into_bytes(), "identity", 2),
        (gzip, "gzip", 2),
        (zstd, "zstd", 1),
    ] {
        let answer = send(body, encoding);
        assert_eq!(answer["accepted"], count);
        assert_ne!(answer["events"][0]["outcome"], "pending");
    }
}

#[test]
fn raw_lines_are_kept_and_counted_by_outcome() {
    let tally = Tally::start().with_rates();
    let good = chat("a", "1", 1_000).to_string();
    let body = format!("{good}\n{good}\r\nnot json\n{}\n", chat("b", "1", 1_000));
    let sent = tally.post("/v1/ingest?wait_s=20").body(body).send().unwrap();
    let answer = answer(200, sent);
    assert_eq!(answer["records"], 4);
    assert_eq!(answer["outcomes"], json!({ "debit": 2, "duplicate": 1, "dead_letter": 1 }));
    tally.wait_for_projection();
    let fresh = tally.got("/v1/freshness");
    for (partition, end) in answer["ledger_ends"].as_object().unwrap() {
        let reached = fresh["partitions"][partition]["ledger_offset"].as_i64().unwrap();
        assert!(reached >= end.as_i64().unwrap(), "{fresh}");
    }
}

#[test]
fn a_command_is_carried_out_once() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "100", "category": "purchased", "paid": { "amount": "10", "currency": "USD" },
        "reason": "test", "id": "g1" });
    let first = tally.posted(201, "/v1/accounts/a/grants", &grant);
    assert_eq!(first["balance"]["available"], "100");
    let again = tally.post("/v1/accounts/a/grants").body(grant.to_string()).send().unwrap();
    assert_eq!(again.headers()["idempotent-replayed"], "true");
    assert_eq!(answer(201, again), first);

    // The same id with another body.
    let mut other = grant.clone();
    other["amount"] = json!("101");
    let sent = tally.post("/v1/accounts/a/grants").body(other.to_string()).send().unwrap();
    let (status, problem_body) = problem(sent);
    assert_eq!((status, problem_body["type"].as_str()), (409, Some("idempotency_conflict")));
    assert_eq!(problem_body["conflicts_with"], first["entry"]);

    // The header is the id as well; without either one is made.
    let mut keyed = grant;
    keyed.as_object_mut().unwrap().remove("id");
    let request = tally.post("/v1/accounts/a/grants").header("Idempotency-Key", "g1");
    assert_eq!(answer(201, request.body(keyed.to_string()).send().unwrap()), first);
    let other = json!({ "amount": "1", "category": "promotional", "id": "g2" });
    let request = tally.post("/v1/accounts/a/grants").header("Idempotency-Key", "g1");
    let (status, refused) = problem(request.body(other.to_string()).send().unwrap());
    assert_eq!((status, &refused["field"]), (422, &json!("id")));
    let made = tally.posted(201, "/v1/accounts/a/grants", &keyed);
    assert_eq!(made["balance"]["available"], "200");

    let adjusted = json!({ "amount": "-30", "reason": "gone wrong" });
    let adjusted = tally.posted(201, "/v1/accounts/a/adjustments", &adjusted);
    assert_eq!(adjusted["balance"]["available"], "170");
    let lot = made["lot"].as_str().unwrap();
    let voided = json!({ "reason": "mistake" });
    let path = format!("/v1/accounts/a/lots/{lot}/void");
    let voided = tally.posted(201, &path, &voided);
    assert_eq!(voided["balance"]["available"], "70");
    let gone = tally.post(&path).body(r#"{"reason":"again"}"#).send().unwrap();
    assert_eq!(problem(gone).1["field"], "lot");
}

#[test]
fn attributes_may_come_as_headers() {
    let tally = Tally::start().with_rates();
    let event = chat("a", "café", 1_000);
    let request = || {
        tally
            .post("/v1/events")
            .header("Prefer", "wait=20")
            .header("Content-Type", "application/json")
            .header("ce-specversion", "1.0")
            .header("ce-type", "tally.usage.v1")
            .header("ce-source", "test")
            .header("ce-id", "caf%C3%A9")
            .header("ce-time", event["time"].as_str().unwrap())
            .header("ce-subject", "a")
    };
    let sent = answer(202, request().body(event["data"].to_string()).send().unwrap());
    assert_eq!(sent["events"][0]["outcome"], "debit", "{sent}");
    assert_eq!(tally.send(std::slice::from_ref(&event))[0]["outcome"], "duplicate");
    // What is wrong with one is told as of every other event.
    let sent = answer(202, request().body(r#"{"feature":"chat"}"#).send().unwrap());
    assert_eq!(sent["events"][0]["code"], "missing_field", "{sent}");
    let structured = |content_type: &str, body: String| {
        let request = tally.post("/v1/events").header("Content-Type", content_type);
        request.header("Prefer", "wait=20").body(body).send().unwrap()
    };
    let (one, two) = (chat("a", "1", 1_000), chat("a", "2", 1_000));
    let sent = structured("application/cloudevents+json; charset=utf-8", one.to_string());
    assert_eq!(answer(202, sent)["events"][0]["outcome"], "debit");
    let batch = json!([one, two]).to_string();
    let sent = answer(202, structured("application/cloudevents-batch+json", batch));
    assert_eq!(sent["events"][0]["outcome"], "duplicate");
    assert_eq!(sent["events"][1]["outcome"], "debit");
    let sent = structured("application/cloudevents+avro", "x".to_owned());
    assert_eq!(problem(sent).0, 415);
}
