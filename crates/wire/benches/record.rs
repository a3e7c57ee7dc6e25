//! What a ledger record costs, ours and apache-avro's own path:
//! `cargo bench -p wire --bench record`.

#![allow(clippy::unwrap_used)] // A bench that cannot run is to say so and stop.

use std::hint::black_box;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use wire::{
    LedgerRecord, RECORD_SCHEMAS, RecordSchema, decode_command, decode_ledger, encode_command,
    encode_entry, encode_seal,
};

/// Marker and fingerprint, which apache-avro's datum reader does not read.
const HEADER_BYTES: usize = 10;

/// The newest version of a subject.
fn schema_file(subject: &str) -> &'static RecordSchema {
    RECORD_SCHEMAS.iter().rfind(|file| file.subject == subject).unwrap()
}

/// What the newest version's writer writes of an example.
fn golden(subject: &str, name: &str) -> Vec<u8> {
    let version = schema_file(subject).version;
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../schemas")
        .join(subject)
        .join(format!("golden/v{version}-{name}.hex"));
    let hex = std::fs::read_to_string(&path).unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.trim().as_bytes().chunks(2).map(byte).collect()
}

fn entries(criterion: &mut Criterion) {
    for name in ["debit", "debit-of-many-items", "grant"] {
        let record = golden("ledger-entry", name);
        let LedgerRecord::Entry(entry) = decode_ledger(&record).unwrap() else { panic!() };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(record.len() as u64));
        let mut out = Vec::with_capacity(64 * 1024);
        group.bench_function("encode", |bencher| {
            bencher.iter(|| {
                // As the charger does: one record after another into one buffer.
                if out.len() > 60 * 1024 {
                    out.clear();
                }
                encode_entry(black_box(&entry), &mut out);
            });
        });
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode_ledger(black_box(&record)).is_ok());
        });
        let file = schema_file("ledger-entry");
        let schema = Schema::parse_str(file.text).unwrap();
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        group.bench_function("decode, apache-avro's Value", |bencher| {
            bencher.iter(|| reader.read_value(&mut black_box(&record[HEADER_BYTES..])).unwrap());
        });
        let value = reader.read_value(&mut &record[HEADER_BYTES..]).unwrap();
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        group.bench_function("encode, apache-avro's Value", |bencher| {
            bencher
                .iter(|| writer.write_value_ref(&mut out, black_box(&value)).map(|_| out.clear()));
        });
        group.finish();
    }
}

fn others(criterion: &mut Criterion) {
    let record = golden("seal", "with-exceptions");
    let LedgerRecord::Seal(mut seal) = decode_ledger(&record).unwrap() else { panic!() };
    let exceptions = seal.exceptions.clone();
    seal.exceptions = exceptions.iter().copied().cycle().take(1_000).collect();
    let mut out = Vec::new();
    criterion.bench_function("seal of 1,000 exceptions/encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_seal(black_box(&seal), &mut out);
        });
    });
    criterion.bench_function("seal of 1,000 exceptions/decode", |bencher| {
        bencher.iter(|| decode_ledger(black_box(&out)).is_ok());
    });

    let record = golden("command", "grant");
    let command = decode_command(&record).unwrap();
    let mut out = Vec::new();
    criterion.bench_function("command/encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            encode_command(black_box(&command), &mut out);
        });
    });
    criterion.bench_function("command/decode", |bencher| {
        bencher.iter(|| decode_command(black_box(&record)).is_ok());
    });
}

criterion_group!(benches, entries, others);
criterion_main!(benches);
