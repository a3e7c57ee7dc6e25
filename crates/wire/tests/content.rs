//! What two events must share to mean the same, and the hashes that must never change.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Also in what the tests share.

use std::fs;
use std::path::Path;

use domain::ContentHash;
use serde_json::{Value, json};
use wire::decode_usage;

fn example(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/usage-event/examples");
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn hash(event: &Value) -> ContentHash {
    let text = event.to_string();
    decode_usage(text.as_bytes()).unwrap_or_else(|fault| panic!("{fault}: {text}")).content
}

/// These hashes stand in ledgers: a change here makes every resend a conflict.
#[test]
fn hashes_are_pinned() {
    for (name, pinned) in [
        ("minimal.json", "d0f67d1787fc47ba"),
        ("model-call.json", "09ba1e377eb20861"),
        ("agent-task.json", "84c0f4190e1c0da2"),
        ("every-field.json", "6390fa3b2411b5fe"),
    ] {
        assert_eq!(hash(&example(name)).to_string(), pinned, "{name}");
    }
}

/// The canonical form as its documentation says it, written out by hand.
#[test]
fn the_form_is_what_is_documented() {
    let mut bytes = vec![1];
    let text = |bytes: &mut Vec<u8>, tag: u8, text: &str| {
        bytes.push(tag);
        bytes.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    text(&mut bytes, 0x01, "acct_42");
    bytes.push(0x02);
    bytes.extend(1_795_176_000_123_000_i64.to_le_bytes());
    text(&mut bytes, 0x03, "email");
    bytes.push(0x40);
    text(&mut bytes, 0x47, "email_send");
    bytes.push(0x48);
    bytes.extend(1_000_000_000_000_i128.to_le_bytes());
    assert_eq!(hash(&example("minimal.json")), ContentHash::of(&bytes));
}

/// An event on which every field says something that is not its default.
fn full() -> Value {
    let mut event = example("every-field.json");
    event["data"]["items"][0]["service_tier"] = json!("batch");
    event
}

fn set(mut event: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    event.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(name.to_owned(), value);
    event
}

#[test]
fn what_means_nothing_changes_nothing() {
    let event = full();
    for (pointer, value) in [
        ("/data/trace", json!("another")),
        ("/data/trace", Value::Null),
        ("/data/unknown", json!({"a": [1, 2]})),
        ("/data/items/0/unknown", json!(1)),
        ("/partitionkey", json!("p")),
        ("/time", json!("2026-11-20T13:00:00.123000999+01:00")),
        ("/data/items/0/tokens/image_output", Value::Null),
        ("/data/items/1/quantity", json!("1000000000000000.000")),
        ("/data/items/1/service_tier", json!("standard")),
        ("/data/items/1/service_tier", json!("default")),
        ("/data/items/1/attributes", json!({})),
        ("/data/items/1/estimated", json!(false)),
        ("/data/attributes/absent", Value::Null),
    ] {
        assert_eq!(hash(&set(event.clone(), pointer, value)), hash(&event), "{pointer}");
    }
    let minimal = example("minimal.json");
    for (pointer, value) in [
        ("/data/traffic", json!("customer")),
        ("/data/status", json!("ok")),
        ("/data/hold_action", json!("settle")),
        ("/data/backfill", json!(false)),
        ("/data/user", Value::Null),
        ("/data/attributes", Value::Null),
        // Nothing is counted there.
        ("/data/items/0/counting", json!("inclusive")),
    ] {
        assert_eq!(hash(&set(minimal.clone(), pointer, value)), hash(&minimal), "{pointer}");
    }
    let half = set(minimal.clone(), "/data/items/0/quantity", json!("12.5"));
    let same_half = set(minimal, "/data/items/0/quantity", json!("12.50"));
    assert_eq!(hash(&half), hash(&same_half));
}

#[test]
fn counting_matters_only_where_there_are_parts() {
    let tokens = |tokens: Value, counting: Value| {
        let event = set(example("model-call.json"), "/data/items/0/tokens", tokens);
        hash(&set(event, "/data/items/0/counting", counting))
    };
    let whole = json!({"input": 10, "output": 5, "reasoning": 0});
    assert_eq!(tokens(whole.clone(), json!("inclusive")), tokens(whole, Value::Null));
    let parts = json!({"input": 10, "cache_read": 4, "output": 5});
    let (inclusive, exclusive) = (json!("inclusive"), json!("exclusive"));
    assert_ne!(tokens(parts.clone(), inclusive.clone()), tokens(parts.clone(), exclusive));
    assert_eq!(tokens(parts.clone(), inclusive), tokens(parts, json!({"input": "inclusive"})));
    // Taken as sent: the same disjoint pools, said in two ways, are two meanings.
    let (sent, other) =
        (json!({"input": 10, "cache_read": 4}), json!({"input": 6, "cache_read": 4}));
    assert_ne!(tokens(sent, json!("inclusive")), tokens(other, json!("exclusive")));
}

#[test]
fn every_field_that_means_something_changes_the_hash() {
    let event = full();
    let mut seen = vec![hash(&event)];
    for (pointer, value) in [
        ("/subject", json!("acct_43")),
        ("/time", json!("2026-11-20T12:00:00.123001Z")),
        ("/data/feature", json!("other")),
        ("/data/traffic", json!("test")),
        ("/data/status", json!("error")),
        ("/data/hold_action", json!("settle")),
        ("/data/backfill", json!(false)),
        ("/data/user", json!("other")),
        ("/data/team", json!("other")),
        ("/data/hold", json!("other")),
        ("/data/run", json!("other")),
        ("/data/step", json!("other")),
        ("/data/environment", json!("other")),
        ("/data/conversation", json!("other")),
        ("/data/requested_model", json!("other")),
        ("/data/vendor_request_id", json!("other")),
        ("/data/attributes/region", json!("us")),
        ("/data/attributes/empty", Value::Null),
        ("/data/items/0/model", json!("other")),
        ("/data/items/0/provider", json!("other")),
        ("/data/items/0/service_tier", Value::Null),
        ("/data/items/0/counting", json!({"input": "exclusive", "output": "exclusive"})),
        ("/data/items/0/tokens/cache_read", json!(2)),
        ("/data/items/0/vendor_cost/amount", json!("0.000000000002")),
        ("/data/items/0/vendor_cost/currency", json!("USD")),
        ("/data/items/0/vendor_cost", Value::Null),
        ("/data/items/0/attributes/a", json!("2")),
        ("/data/items/0/estimated", json!(false)),
        ("/data/items/1/model", Value::Null),
        ("/data/items/1/meter", json!("other")),
        ("/data/items/1/quantity", json!("1")),
    ] {
        let changed = hash(&set(event.clone(), pointer, value));
        assert!(!seen.contains(&changed), "{pointer}");
        seen.push(changed);
    }
    let mut swapped = event;
    swapped["data"]["items"].as_array_mut().unwrap().reverse();
    assert!(!seen.contains(&hash(&swapped)), "the items' order");
}

#[test]
fn pools_are_made_disjoint_after_the_hash_is_taken() {
    let text = example("model-call.json").to_string();
    let decoded = decode_usage(text.as_bytes()).unwrap();
    let domain::Measure::Tokens(pools) = decoded.event.items[0].measure else { panic!() };
    let counts: Vec<_> = pools.nonzero().map(|(pool, count)| (pool.name(), count)).collect();
    let disjoint = [("input", 3800), ("cache_read", 1200), ("output", 1600), ("reasoning", 400)];
    assert_eq!(counts, disjoint);
}
