//! What holds of every record: apache-avro reads and writes the same bytes, every version stays
//! readable, and no bytes do harm.

mod access;
mod avro_json;
mod commands;
mod content;
mod golden;
mod hostile;
mod interop;
mod samples;
mod schemas;
mod versions;
mod webhook;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use super::*;

/// Reads a record of a subject and writes it again.
fn rewritten(subject: &str, record: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut out = Vec::new();
    match subject {
        "ledger-entry" | "seal" | "catalogue-adopted" => match decode_ledger(record)? {
            LedgerRecord::Entry(entry) => encode_entry(&entry, &mut out),
            LedgerRecord::Seal(seal) => encode_seal(&seal, &mut out),
            LedgerRecord::Adopted(adopted) => encode_adopted(&adopted, &mut out),
        },
        "command" => encode_command(&decode_command(record)?, &mut out),
        "account-event" => encode_account_event(&decode_account_event(record)?, &mut out),
        "reply" => encode_reply(&decode_reply(record)?, &mut out),
        "catalogue-version" => {
            encode_catalogue_version(&decode_catalogue_version(record)?, &mut out);
        }
        "dead-letter" => encode_dead_letter(&decode_dead_letter(record)?, &mut out),
        "dead-letter-retry" => {
            encode_dead_letter_retry(&decode_dead_letter_retry(record)?, &mut out);
        }
        "access" => encode_access(&decode_access(record)?, &mut out),
        "webhook-delivery" => encode_delivery(&decode_delivery(record)?, &mut out),
        unknown => panic!("{unknown}"),
    }
    Ok(out)
}

fn written(encode: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out);
    out
}

fn schema_file(subject: &str) -> &'static RecordSchema {
    RECORD_SCHEMAS.iter().rfind(|schema| schema.subject == subject).unwrap()
}

fn header(file: &RecordSchema) -> Vec<u8> {
    written(|out| crate::avro::Writer::new(out).single_object_header(file.fingerprint))
}

/// A record as apache-avro reads it; all of it.
fn apache_value(file: &RecordSchema, schema: &Schema, record: &[u8]) -> Value {
    let mut body = record.strip_prefix(&header(file)[..]).expect("another schema");
    let reader = GenericDatumReader::builder(schema).build().unwrap();
    let value = reader.read_value(&mut body).unwrap();
    assert!(body.is_empty(), "apache-avro left {} bytes", body.len());
    value
}

/// A value as apache-avro writes it, with the header.
fn apache_record(file: &RecordSchema, schema: &Schema, value: Value) -> Vec<u8> {
    let mut record = header(file);
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    record.extend(writer.write_value_to_vec(value).unwrap());
    record
}
