//! Records that are refused for what their bytes are; for what their fields say, see
//! `schemas/usage-event/examples/bad`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Also in what the tests share.

use domain::limits::INPUT_RECORD_BYTES_MAX;
use domain::{Item, Measure, Pool, Pools, Quantity, Timestamp, UsageEvent};
use wire::{USAGE_EVENT_V1_FINGERPRINT, decode_usage, encode_usage};

fn refusal(record: &[u8]) -> (&'static str, String, String) {
    let fault = decode_usage(record).unwrap_err();
    (fault.reason.code(), fault.field.into_owned(), fault.value)
}

fn refused(record: &[u8], code: &str, field: &str) {
    let (actual_code, actual_field, value) = refusal(record);
    assert_eq!((actual_code, actual_field.as_str()), (code, field), "{value}");
}

fn json(items: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"tally.usage.v1","source":"s","id":"i",
            "time":"2026-11-20T12:00:00Z","subject":"a","data":{{"feature":"f","items":{items}}}}}"#
    )
}

fn event(items: usize) -> UsageEvent<'static> {
    let mut pools = Pools::default();
    pools[Pool::Input] = 7;
    let item = Item {
        model: Some("m".into()),
        provider: None,
        service_tier: None,
        measure: Measure::Tokens(pools),
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    };
    UsageEvent {
        account: "a".into(),
        source: "s".into(),
        id: "i".into(),
        time: Timestamp::from_seconds(1),
        feature: "f".into(),
        items: vec![item; items],
        ..UsageEvent::default()
    }
}

fn avro(event: &UsageEvent<'_>) -> Vec<u8> {
    let mut record = Vec::new();
    encode_usage(event, &mut record);
    record
}

#[test]
fn framing_and_size() {
    refused(b"", "unsupported_framing", "");
    refused(b"\xc3", "unsupported_framing", "");
    refused(b"\xc3\x02aaaaaaaaaaaa", "unsupported_framing", "");
    refused(b"\x00\x00\x00\x00\x01confluent", "unsupported_framing", "");
    refused(b"[{}]", "unsupported_framing", "");
    refused(b"\xef\xbb\xbf{}", "unsupported_framing", "");
    refused(b" \r\n\t{", "invalid_json", "");
    assert!(
        decode_usage(format!("\n {}\n", json(r#"[{"meter":"m","quantity":"1"}]"#)).as_bytes())
            .is_ok()
    );
    let mut largest = json(r#"[{"meter":"m","quantity":"1"}]"#).into_bytes();
    largest.resize(INPUT_RECORD_BYTES_MAX, b' ');
    assert!(decode_usage(&largest).is_ok());
    largest.push(b' ');
    refused(&largest, "record_too_large", "");
}

#[test]
fn avro_headers() {
    refused(b"\xc3\x01\x01", "invalid_avro", "");
    let mut record = avro(&event(1));
    assert_eq!(record[2..10], USAGE_EVENT_V1_FINGERPRINT.to_le_bytes());
    record.push(0);
    assert_eq!(refusal(&record).0, "invalid_avro");
    record[5] ^= 1;
    refused(&record, "unknown_schema", "");
}

/// Bytes that are not UTF-8 come before everything that they hide, also where nobody looks.
#[test]
fn bytes_that_are_not_utf_8() {
    let good = json(r#"[{"meter":"m","quantity":"1","unknown":"@"}]"#);
    let position = good.find('@').unwrap();
    let mut record = good.into_bytes();
    record[position] = 0xff;
    refused(&record, "invalid_utf8", "");
    let mut record = avro(&event(1));
    let model = record.len() - 10 - 1;
    let position = record.iter().rposition(|byte| *byte == b'm').unwrap();
    assert!(position <= model);
    record[position] = 0xff;
    refused(&record, "invalid_utf8", "data.items[0].model");
}

#[test]
fn lone_surrogates_are_not_text() {
    refused(
        json(r#"[{"meter":"\ud800","quantity":"1"}]"#).as_bytes(),
        "invalid_json",
        "data.items[0].meter",
    );
    let escaped = json(r#"[{"meter":"\u00e9\ud83d\ude00\"","quantity":"1"}]"#);
    let event = decode_usage(escaped.as_bytes()).unwrap().event;
    assert_eq!(event.items[0].meter(), Some("é😀\""));
}

/// As many items as a record can hold, and a million of them announced: refused without building.
#[test]
fn too_many_items() {
    let items = format!("[{}{{}}]", "{},".repeat(80_000));
    refused(json(&items).as_bytes(), "too_many_items", "data.items");
    let item = r#"{"meter":"m","quantity":"1"}"#;
    let items = |count: usize| json(&format!("[{}]", vec![item; count].join(",")));
    assert!(decode_usage(items(256).as_bytes()).is_ok());
    refused(items(257).as_bytes(), "too_many_items", "data.items");
    let million = "0,".repeat(1_000_000);
    refused(json(&format!("[{million}0]")).as_bytes(), "record_too_large", "");

    assert!(decode_usage(&avro(&event(256))).is_ok());
    refused(&avro(&event(257)), "too_many_items", "data.items");
    let mut record = avro(&event(0));
    // The empty array's end becomes the count of a block of a million.
    record.pop();
    record.extend([0x80, 0x89, 0x7a]);
    refused(&record, "too_many_items", "data.items");
    refused(&avro(&event(0)), "no_items", "data.items");
}

#[test]
fn deep_nesting_is_skipped_or_refused_without_a_stack() {
    let open = "[".repeat(100_000);
    let close = "]".repeat(100_000);
    refused(json(&format!("{open}{close}")).as_bytes(), "wrong_type", "data.items[0]");
    refused(json(&open).as_bytes(), "invalid_json", "");
    let unknown = json(&format!(r#"[{{"meter":"m","quantity":"1","deep":{open}{close}}}]"#));
    assert_eq!(decode_usage(unknown.as_bytes()).unwrap().unknown_fields, 1);
    let objects = "{\"data\":".repeat(30_000);
    refused(objects.as_bytes(), "invalid_json", "");
}

#[test]
fn values_that_only_avro_can_have() {
    let with = |change: fn(&mut UsageEvent<'_>)| {
        let mut event = event(1);
        change(&mut event);
        avro(&event)
    };
    type Change = fn(&mut UsageEvent<'_>);
    let cases: [(Change, &str, &str); 7] = [
        (|event| event.time = Timestamp::from_micros(-1), "bad_time", "time"),
        (|event| event.time = Timestamp::MAX, "bad_time", "time"),
        (|event| event.account = "".into(), "empty_text", "subject"),
        (|event| event.team = Some("a\u{85}b".into()), "bad_text", "data.team"),
        (
            |event| event.attributes = vec![("a".into(), "1".into()); 2],
            "repeated_field",
            "data.attributes.a",
        ),
        (|event| event.items[0].model = None, "bad_item", "data.items[0]"),
        (
            |event| {
                let quantity = Quantity::from_atoms(i128::MIN);
                event.items[0].measure = Measure::Meter { meter: "m".into(), quantity };
            },
            "bad_quantity",
            "data.items[0].quantity",
        ),
    ];
    for (change, code, field) in cases {
        refused(&with(change), code, field);
    }
    let second = |event: &mut UsageEvent<'_>| {
        event.items = [event.items.clone(), event.items.clone()].concat();
        event.items[0].model = None;
        event.items[1].provider = Some("".into());
    };
    // An item at fault before it does not change an item's number.
    refused(&with(second), "empty_text", "data.items[1].provider");
    let many = |event: &mut UsageEvent<'_>| {
        let name = |n: usize| (format!("a{n:02}").into(), "v".into());
        event.attributes = (0..33).map(name).collect();
    };
    refused(&with(many), "too_many_attributes", "data.attributes");
    let tokens = |event: &mut UsageEvent<'_>| {
        if let Measure::Tokens(pools) = &mut event.items[0].measure {
            pools[Pool::Reasoning] = domain::limits::TOKENS_MAX + 1;
        }
    };
    refused(&with(tokens), "bad_token_count", "data.items[0].tokens.reasoning");
    // The traffic class stands after five texts and numbers; 9 is none.
    let mut record = avro(&event(1));
    let traffic = record.iter().position(|byte| *byte == b'f').unwrap() + 1;
    record[traffic] = 18;
    refused(&record, "bad_value", "data.traffic");
}
