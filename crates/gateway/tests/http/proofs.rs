//! Long proofs over HTTP: told while they run, refused while another runs, and true.

use serde_json::{Value, json};

use crate::tally::{Tally, chat, event};

/// The last line of a proof's answer.
fn proved(tally: &Tally, path: &str) -> Value {
    let response = tally.get(path).send().unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let text = response.text().unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, before) = lines.split_last().unwrap();
    assert!(before.iter().all(|line| line["progress"].is_object()), "{text}");
    last["report"].clone()
}

#[test]
fn everything_is_proved_and_decided_again() {
    let tally = Tally::start().with_rates();
    let grant = json!({ "amount": "100", "category": "promotional", "reason": "test" });
    tally.posted(201, "/v1/accounts/a/grants", &grant);
    let later = json!({ "feature": "scan", "items": [{ "meter": "pens", "quantity": "3" }] });
    let sent = [chat("a", "1", 2_500), event("a", "2", later), chat("b", "1", 1_000)];
    tally.send(&sent);
    tally.send(&sent[..1]);
    tally.wait_for_projection();

    let report = proved(&tally, "/v1/verify?deep=true&rate=0");
    assert_eq!(report["holds"], true, "{report:#}");
    let checks = report["checks"].as_array().unwrap();
    for invariant in 1..=12 {
        assert!(checks.iter().any(|check| check["invariant"] == invariant), "{invariant}");
    }
    let tables = checks.iter().find(|check| {
        check["evidence"] == "clickhouse" && check["about"].as_str().unwrap().contains("day by day")
    });
    assert!(tables.unwrap()["checked"].as_u64().unwrap() >= 4, "{report:#}");

    let replayed = proved(&tally, "/v1/replay/raw?rate=0");
    assert_eq!(replayed["holds"], true, "{replayed:#}");
    assert_eq!(replayed["decided"], 4, "{replayed:#}");
    assert_eq!(replayed["endings"], 1, "{replayed:#}");
    let newest = proved(&tally, "/v1/replay/raw?catalogue=newest");
    assert_eq!((&newest["decided"], &newest["same"]), (&json!(2), &json!(2)), "{newest:#}");

    let metrics = tally.get("/metrics").send().unwrap().text().unwrap();
    let broken = "tally_verify_broken{evidence=\"inputs\",invariant=\"1\"} 0";
    assert!(metrics.contains(broken), "{metrics}");
    assert!(metrics.contains("tally_verify_last_run_timestamp_seconds{depth=\"deep\"}"));

    for (path, field) in [
        ("/v1/verify?deep=maybe", "deep"),
        ("/v1/verify?deep=true&from=noon", "from"),
        ("/v1/verify?rate=5", "rate"),
        ("/v1/replay/raw?partition=99", "partition"),
        ("/v1/replay/raw?catalogue=old", "catalogue"),
    ] {
        let refused = tally.get(path).send().unwrap();
        assert_eq!(refused.status().as_u16(), 400, "{path}");
        let problem: Value = refused.json().unwrap();
        assert_eq!(problem["field"], field, "{problem}");
    }
}

#[test]
fn one_proof_runs_at_a_time_and_ends_with_whoever_asked() {
    let tally = Tally::start().with_rates();
    tally.send(&[chat("a", "1", 2_500), chat("b", "1", 1_000)]);
    // One record per second: it runs until it is dropped.
    let running = tally.get("/v1/verify?deep=true&rate=1").send().unwrap();
    assert_eq!(running.status().as_u16(), 200);
    let refused = tally.get("/v1/replay/raw").send().unwrap();
    assert_eq!(refused.status().as_u16(), 409);
    assert_eq!(refused.json::<Value>().unwrap()["type"], "busy");
    drop(running);
    // It notices within a second that nobody listens; until then it is still running.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while tally.get("/v1/replay/raw?rate=0").send().unwrap().status().as_u16() == 409 {
        assert!(std::time::Instant::now() < deadline, "it goes on for nobody");
        std::thread::yield_now();
    }
}
