//! The files beside the schemas: `golden/v<version>-<name>.hex` is what a writer once wrote and
//! must stay readable forever; `examples/<name>.json` is the same record in Avro's JSON encoding.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::avro_json::AvroJson;
use super::*;

fn folder(subject: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(subject)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// What a version's writer once wrote.
pub(super) fn golden(subject: &str, version: u32, name: &str) -> Vec<u8> {
    let path = folder(subject).join(format!("golden/v{version}-{name}.hex"));
    from_hex(&fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")))
}

/// The examples that a version's writer wrote.
pub(super) fn golden_names(subject: &str, version: u32) -> Vec<String> {
    let prefix = format!("v{version}-");
    fs::read_dir(folder(subject).join("golden"))
        .unwrap()
        .filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            Some(name.strip_prefix(&prefix)?.strip_suffix(".hex")?.to_owned())
        })
        .collect()
}

/// Every golden file, whichever version wrote it, is read; and what is read is written under the
/// newest version and read again.
#[test]
fn golden_bytes_of_every_version_stay_readable() {
    for subject in subjects() {
        let mut read = 0;
        for file in fs::read_dir(folder(subject).join("golden")).unwrap() {
            let path = file.unwrap().path();
            let record = from_hex(&fs::read_to_string(&path).unwrap());
            let again =
                rewritten(subject, &record).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            assert_eq!(rewritten(subject, &again).unwrap(), again, "{path:?}");
            read += 1;
        }
        assert!(read > 0, "{subject} has no golden bytes");
    }
}

/// Whether new files are to be written: `NEW_GOLDEN=1 cargo test -p wire`.
#[allow(clippy::disallowed_methods, reason = "whoever adds a version says it on the command line")]
fn wants_new_files() -> bool {
    std::env::var_os("NEW_GOLDEN").is_some()
}

/// Today's writer still writes the golden bytes of today's version, from today's types: no field
/// has taken another's place.
#[test]
fn samples_are_the_golden_bytes() {
    for (subject, name, record) in samples::all() {
        let version = schema_file(subject).version;
        let path = folder(subject).join(format!("golden/v{version}-{name}.hex"));
        if !path.exists() && wants_new_files() {
            // What was written once is never written again.
            fs::write(&path, hex(&record) + "\n").unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(golden.trim(), hex(&record), "{path:?}");
        assert_eq!(rewritten(subject, &record), Ok(record), "{path:?}");
    }
}

#[test]
fn examples_are_the_golden_records_in_json() {
    for (subject, name, record) in samples::all() {
        let file = schema_file(subject);
        let schema = Schema::parse_str(file.text).unwrap();
        let schema_json: Json = serde_json::from_str(file.text).unwrap();
        let codec = AvroJson::new(&schema_json);
        let path = folder(subject).join(format!("examples/{name}.json"));
        let shown = codec.write(&apache_value(file, &schema, &record));
        if !path.exists() && wants_new_files() {
            fs::write(&path, format!("{shown:#}\n")).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap_or_default();
        let example = serde_json::from_str(&text).unwrap_or(Json::Null);
        assert_eq!(example, shown, "{path:?} should be\n{shown:#}");
        let theirs = apache_record(file, &schema, codec.read(&example));
        assert_eq!(rewritten(subject, &theirs).unwrap(), record, "{path:?}");
    }
}

fn subjects() -> Vec<&'static str> {
    let mut subjects: Vec<_> = RECORD_SCHEMAS.iter().map(|schema| schema.subject).collect();
    subjects.dedup();
    subjects
}

/// What DESIGN promises of the hot record.
#[test]
fn a_debit_of_one_model_takes_about_250_bytes() {
    let sizes: Vec<_> = samples::all()
        .into_iter()
        .map(|(subject, name, record)| (subject, name, record.len()))
        .collect();
    for (subject, name, bytes) in &sizes {
        println!("{subject:>18} {name:<20} {bytes:>4} bytes");
    }
    let (.., bytes) = sizes.iter().find(|(_, name, _)| *name == "debit").unwrap();
    assert!(*bytes <= 280, "{bytes}");
}
