//! The files under `schemas/`: every published example decodes as it says, and every version that
//! ever was stays readable.

#![allow(clippy::unwrap_used, clippy::expect_used)] // Also in what the tests share.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use apache_avro::schema_compatibility::SchemaCompatibility;
use domain::{ALL_POOLS, HoldAction, Status, Traffic};
use serde_json::Value;
use wire::{USAGE_EVENT_V1_FINGERPRINT, USAGE_EVENT_V2_FINGERPRINT, decode_usage, encode_usage};

fn schemas() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

/// The files of a folder whose names end in `suffix`, in order; at least one.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no *{suffix} in {}", folder.display());
    files
}

#[test]
fn every_example_decodes_and_survives_avro() {
    for path in files(&schemas().join("usage-event/examples"), ".json") {
        let json = fs::read(&path).unwrap();
        let decoded = decode_usage(&json).unwrap_or_else(|fault| panic!("{path:?}: {fault}"));
        let mut avro = Vec::new();
        encode_usage(&decoded.event, &mut avro);
        assert_eq!(decode_usage(&avro).unwrap().event, decoded.event, "{path:?}");
    }
}

/// `{"about", "expect": {"reason", "field", "value"}, "event": {…}}`, or instead of `event`, for
/// what is no JSON, `"text"`.
#[test]
fn every_bad_example_gets_its_reason() {
    for path in files(&schemas().join("usage-event/examples/bad"), ".json") {
        let example: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let record = match example.get("text") {
            Some(text) => text.as_str().unwrap().to_owned(),
            None => example["event"].to_string(),
        };
        let fault = decode_usage(record.as_bytes()).expect_err(&format!("{path:?}"));
        let expect = &example["expect"];
        assert_eq!(fault.reason.code(), expect["reason"], "{path:?}: {fault}");
        assert_eq!(fault.field, expect["field"].as_str().unwrap(), "{path:?}: {fault}");
        assert_eq!(fault.value, expect["value"].as_str().unwrap(), "{path:?}: {fault}");
    }
}

fn versions() -> Vec<(u32, Schema)> {
    let folder = schemas().join("usage-event");
    (1..)
        .map(|version| (version, folder.join(format!("v{version}.avsc"))))
        .take_while(|(_, path)| path.exists())
        .map(|(version, path)| {
            (version, Schema::parse_str(&fs::read_to_string(path).unwrap()).unwrap())
        })
        .collect()
}

#[test]
fn fingerprints_are_pinned() {
    let pinned = [USAGE_EVENT_V1_FINGERPRINT, USAGE_EVENT_V2_FINGERPRINT];
    let versions = versions();
    assert_eq!(versions.len(), pinned.len(), "a new version needs its reader and its fingerprint");
    for ((version, schema), pinned) in versions.iter().zip(pinned) {
        let bytes = schema.fingerprint::<Rabin>().bytes;
        let fingerprint = u64::from_le_bytes(bytes.try_into().unwrap());
        assert_eq!(fingerprint, pinned, "v{version}: {fingerprint:#018x}");
    }
}

#[test]
fn each_version_reads_the_one_before() {
    let versions = versions();
    assert!(!versions.is_empty());
    for (version, schema) in &versions {
        // The first stands for itself, so that the check is never empty.
        let before = versions.iter().find(|(other, _)| other + 1 == *version);
        let before = before.map_or(schema, |(_, before)| before);
        SchemaCompatibility::can_read(before, schema).unwrap();
    }
}

/// `golden/v<version>-<example>.hex` holds bytes that a version's writer once wrote, and names the
/// example whose meaning they must keep.
#[test]
fn golden_bytes_of_every_version_stay_readable() {
    let folder = schemas().join("usage-event");
    for (version, _) in versions() {
        for path in files(&folder.join("golden"), ".hex") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let Some(example) = name.strip_prefix(&format!("v{version}-")) else { continue };
            let hex = fs::read_to_string(&path).unwrap();
            let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let record: Vec<u8> = digits
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let json = fs::read(folder.join("examples").join(format!("{example}.json"))).unwrap();
            let (from_avro, from_json) =
                (decode_usage(&record).unwrap(), decode_usage(&json).unwrap());
            assert_eq!(from_avro.event, from_json.event, "{path:?}");
            assert_eq!(from_avro.content, from_json.content, "{path:?}");
        }
    }
}

#[test]
fn enum_symbols_stand_at_our_numbers() {
    let text = fs::read_to_string(schemas().join("usage-event/v2.avsc")).unwrap();
    let schema: Value = serde_json::from_str(&text).unwrap();
    let words = |all: Vec<&str>| Value::from(all);
    for (name, expected) in [
        ("Traffic", words(Traffic::ALL.iter().map(|word| word.word()).collect())),
        ("Status", words(Status::ALL.iter().map(|word| word.word()).collect())),
        ("HoldAction", words(HoldAction::ALL.iter().map(|word| word.word()).collect())),
        ("Pool", words(ALL_POOLS.iter().map(|pool| pool.name()).collect())),
    ] {
        assert_eq!(find_enum(&schema, name), Some(&expected), "{name}");
    }
}

fn find_enum<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    if value["type"] == "enum" && value["name"] == name {
        return value.get("symbols");
    }
    match value {
        Value::Object(members) => members.values().find_map(|member| find_enum(member, name)),
        Value::Array(elements) => elements.iter().find_map(|element| find_enum(element, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}
