//! Keys over their lives: the first one, new ones, rotated, revoked; and who did what.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use domain::{Partition, Topic, TopicPartition};
use gateway::GatewayError;
use reqwest::Method;
use serde_json::{Value, json};

use crate::tally::{Tally, answer, new_log, problem};

fn status(tally: &Tally, key: &str) -> u16 {
    tally.ask(Method::GET, "/v1/freshness", Some(key)).send().unwrap().status().as_u16()
}

fn row(tally: &Tally, id: &Value) -> Value {
    let listed = tally.got("/v1/keys");
    let rows = listed["keys"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == *id).cloned().unwrap()
}

#[test]
fn the_first_key_is_the_operators_and_for_its_user_alone() {
    let tally = Tally::start();
    let mode = std::fs::metadata(tally.key_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let listed = tally.got("/v1/keys");
    let rows = listed["keys"].as_array().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0]["role"], &rows[0]["state"]), (&json!("operator"), &json!("active")));
    assert!(rows[0]["last_used"].is_string(), "{listed}");
    let secret = tally.operator_key().rsplit('_').next().unwrap();
    assert!(!listed.to_string().contains(secret));

    // The next start finds it, with the file and without.
    for file in [Some(tally.key_file()), None] {
        tally.end(tally.second_gateway(file).unwrap());
    }
    assert_eq!(tally.got("/v1/keys")["keys"].as_array().unwrap().len(), 1);
    // Over a log without keys: nowhere to write one, and the file of another deployment.
    let folder = testkit::temp_dir().unwrap();
    let log = new_log(&folder.path().join("log"));
    let refused = tally.gateway_over(log.clone(), None).unwrap_err();
    assert!(matches!(refused, GatewayError::OperatorKey(_)), "{refused}");
    assert!(refused.to_string().contains("TALLY_GATEWAY_OPERATOR_KEY_FILE"), "{refused}");
    let own = folder.path().join("operator.key");
    tally.end(tally.gateway_over(log, Some(own.clone())).unwrap());
    assert_ne!(
        std::fs::read_to_string(own).unwrap(),
        std::fs::read_to_string(tally.key_file()).unwrap()
    );
}

#[test]
fn a_key_is_shown_once_and_rotated_and_revoked() {
    let tally = Tally::start();
    let made = tally.key(json!({ "name": "chat", "role": "app", "accounts": ["a"] }));
    let text = made["key"].as_str().unwrap().to_owned();
    assert!(text.starts_with(&format!("tally_{}_", made["id"].as_str().unwrap())));
    assert_eq!(made["traffic"], json!(["customer"]));
    assert_eq!(made["last_used"], Value::Null);
    assert_eq!(status(&tally, &text), 200);
    let listed = row(&tally, &made["id"]);
    assert!(listed["last_used"].is_string() && listed["key"].is_null(), "{listed}");

    // With an overlap both are valid; the terms are the old one's.
    let path = format!("/v1/keys/{}/rotate", made["id"].as_str().unwrap());
    let rotated = tally.posted(201, &path, &json!({ "overlap_s": 3600 }));
    for name in ["name", "role", "accounts", "traffic", "expires"] {
        assert_eq!(rotated[name], made[name], "{name}");
    }
    let second = rotated["key"].as_str().unwrap().to_owned();
    assert_eq!((status(&tally, &text), status(&tally, &second)), (200, 200));
    let old = row(&tally, &made["id"]);
    assert_eq!((&old["state"], &old["replaced_by"]), (&json!("retiring"), &rotated["id"]));
    let again = tally.post(&path).send().unwrap();
    let (code, again) = problem(again);
    assert_eq!((code, again["type"].as_str()), (409, Some("already_rotated")));
    assert_eq!(again["key_id"], rotated["id"]);

    // Without one the old key is gone at once.
    let path = format!("/v1/keys/{}/rotate", rotated["id"].as_str().unwrap());
    let third = tally.posted(201, &path, &json!({ "overlap_s": 0 }));
    assert_eq!(status(&tally, &second), 401);
    let third_text = third["key"].as_str().unwrap();
    assert_eq!(status(&tally, third_text), 200);
    let path = format!("/v1/keys/{}", third["id"].as_str().unwrap());
    let revoke =
        |path: &str| tally.ask(Method::DELETE, path, Some(tally.operator_key())).send().unwrap();
    assert_eq!(answer(200, revoke(&path))["state"], "revoked");
    assert_eq!(status(&tally, third_text), 401);
    // Revoked is revoked; saying it twice changes nothing.
    assert_eq!(answer(200, revoke(&path))["state"], "revoked");
    let (code, _) = problem(tally.post(&format!("{path}/rotate")).send().unwrap());
    assert_eq!(code, 409);
    assert_eq!(problem(revoke("/v1/keys/000000000000")).0, 404);
    assert_eq!(problem(revoke("/v1/keys/none")).0, 404);
}

#[test]
fn nobody_locks_everybody_out() {
    let tally = Tally::start();
    let listed = tally.got("/v1/keys");
    let first = listed["keys"][0]["id"].as_str().unwrap().to_owned();
    let revoke = |key: &str| {
        tally.ask(Method::DELETE, &format!("/v1/keys/{first}"), Some(key)).send().unwrap()
    };
    // One that ends by itself is no help.
    let soon =
        domain::Timestamp::from_micros(crate::tally::now().micros() + 60_000_000).to_string();
    tally.key(json!({ "name": "short", "role": "operator", "expires": soon }));
    tally.key(json!({ "name": "bound", "role": "operator", "accounts": ["a"] }));
    let (code, refused) = problem(revoke(tally.operator_key()));
    assert_eq!((code, refused["type"].as_str()), (409, Some("last_operator_key")));
    let other = tally.key(json!({ "name": "second", "role": "operator" }));
    let other = other["key"].as_str().unwrap();
    assert_eq!(answer(200, revoke(other))["state"], "revoked");
    assert_eq!(status(&tally, tally.operator_key()), 401);
    assert_eq!(status(&tally, other), 200);
}

#[test]
fn a_request_that_is_repeated_makes_one_key() {
    let tally = Tally::start();
    let terms = json!({ "name": "chat", "role": "producer", "sources": ["/chat"] });
    let send = |terms: &Value| {
        let request = tally.post("/v1/keys").header("Idempotency-Key", "order-77");
        request.body(terms.to_string()).send().unwrap()
    };
    let sent = send(&terms);
    assert_eq!(sent.headers()["cache-control"], "no-store");
    let made = answer(201, sent);
    let (code, again) = problem(send(&terms));
    assert_eq!((code, again["type"].as_str()), (409, Some("already_created")));
    assert_eq!(again["key_id"], made["id"]);
    let (code, other) = problem(send(&json!({ "name": "chat", "role": "operator" })));
    assert_eq!((code, other["type"].as_str()), (409, Some("idempotency_conflict")));
    assert_eq!(tally.got("/v1/keys")["keys"].as_array().unwrap().len(), 2);
}

#[test]
fn terms_that_do_not_work_make_nothing() {
    let tally = Tally::start();
    let access = TopicPartition { topic: Topic::Access, partition: Partition(0) };
    // The operator's use is on record before anything is counted.
    testkit::wait_until(Duration::from_secs(10), || {
        tally.got("/v1/freshness");
        tally.log.bounds(access).unwrap().end.0 >= 2
    })
    .unwrap();
    let before = tally.log.bounds(access).unwrap().end;
    for (terms, code, field) in [
        (json!({}), 400, "role"),
        (json!({ "role": "king", "name": "n" }), 400, "role"),
        (json!({ "role": "app" }), 400, "name"),
        (json!({ "role": "app", "name": "" }), 422, "name"),
        (json!({ "role": "app", "name": "n", "accounts": [] }), 422, "accounts"),
        (json!({ "role": "app", "name": "n", "accounts": "a" }), 400, "accounts"),
        (json!({ "role": "app", "name": "n", "traffic": ["free"] }), 400, "traffic"),
        (json!({ "role": "analyst", "name": "n", "traffic": ["test"] }), 422, "traffic"),
        (json!({ "role": "app", "name": "n", "expires": "2020-01-01T00:00:00Z" }), 422, "expires"),
        (json!({ "role": "app", "name": "n", "wat": 1 }), 400, "wat"),
    ] {
        let sent = tally.post("/v1/keys").body(terms.to_string()).send().unwrap();
        let (found, body) = problem(sent);
        assert_eq!((found, body["field"].as_str()), (code, Some(field)), "{terms}: {body}");
    }
    assert_eq!(tally.log.bounds(access).unwrap().end, before);
}

#[test]
fn other_gateways_follow() {
    let tally = Tally::start();
    let second = tally.second_gateway(None).unwrap();
    let url = format!("http://{}/v1/freshness", second.address());
    let client = testkit::http_client(std::time::Duration::from_secs(60)).unwrap();
    let there = |key: &str| client.get(&url).bearer_auth(key).send().unwrap().status().as_u16();
    let made = tally.key(json!({ "name": "chat", "role": "app" }));
    let key = made["key"].as_str().unwrap();
    let patience = Duration::from_secs(20);
    testkit::wait_until(patience, || there(key) == 200).unwrap();
    let path = format!("/v1/keys/{}", made["id"].as_str().unwrap());
    answer(200, tally.ask(Method::DELETE, &path, Some(tally.operator_key())).send().unwrap());
    testkit::wait_until(patience, || there(key) == 401).unwrap();
    tally.end(second);
}

#[test]
fn the_ledger_says_which_key_did_it() {
    let tally = Tally::start().with_rates();
    let finance = tally.key(json!({ "name": "billing", "role": "finance" }));
    let key = finance["key"].as_str().unwrap();
    let grant = |key: &str, actor: Option<&str>| {
        let mut body = json!({ "amount": "1", "category": "promotional" });
        if let Some(actor) = actor {
            body["actor"] = json!(actor);
        }
        tally
            .ask(Method::POST, "/v1/accounts/a/grants", Some(key))
            .body(body.to_string())
            .send()
            .unwrap()
    };
    answer(201, grant(key, None));
    let (code, refused) = problem(grant(key, Some("the chief")));
    assert_eq!((code, refused["field"].as_str()), (403, Some("actor")));
    answer(201, grant(tally.operator_key(), Some("alice")));
    answer(201, grant(tally.operator_key(), None));
    tally.wait_for_projection();
    let entries = tally.got("/v1/accounts/a/entries");
    let actors: Vec<&str> = entries["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["kind"] == "grant")
        .map(|entry| entry["actor"].as_str().unwrap())
        .collect();
    assert_eq!(actors.len(), 3, "{entries}");
    assert!(actors[0].starts_with("operator (key:"), "{actors:?}");
    assert_eq!(actors[1], "alice");
    assert_eq!(actors[2], format!("billing (key:{})", finance["id"].as_str().unwrap()));
}

/// What this version cannot read may be what takes a key's rights away.
#[test]
fn a_record_from_tomorrow_closes_the_door() {
    let tally = Tally::start();
    let mut appender = tally.log.appender().unwrap();
    let at = TopicPartition { topic: Topic::Access, partition: Partition(0) };
    let value = b"\xc3\x01tomorrow's";
    appender.append(eventlog::Append { to: at, key: b"", value, headers: &[] }).unwrap();
    appender.flush().unwrap();
    testkit::wait_until(Duration::from_secs(10), || status(&tally, tally.operator_key()) == 503)
        .unwrap();
    assert_eq!(tally.ask(Method::GET, "/healthz", None).send().unwrap().status().as_u16(), 200);
    assert!(tally.second_gateway(None).is_err());
}
