//! Decoding and encoding one usage event: by hand, with apache-avro's `Value`, and with its serde
//! path over a reader and writer that are made once.
//!
//! Ours does more in the same call: it checks every limit, hashes the meaning and makes the pools
//! disjoint. The examples are those of `schemas/usage-event`.

#![allow(clippy::unwrap_used)] // A bench that cannot run is to say so and stop.

use std::collections::HashMap;
use std::hint::black_box;

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Decimal, Schema};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde::{Deserialize, Serialize};
use wire::{decode_usage, encode_usage};

const SCHEMA: &str = include_str!("../../../schemas/usage-event/v1.avsc");
const EXAMPLES: [(&str, &str); 2] = [
    ("model_call", include_str!("../../../schemas/usage-event/examples/model-call.json")),
    ("agent_task", include_str!("../../../schemas/usage-event/examples/agent-task.json")),
];
const HEADER_BYTES: usize = 10;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename = "UsageEvent")]
struct Event {
    source: String,
    id: String,
    time: i64,
    subject: String,
    feature: String,
    traffic: Traffic,
    status: Status,
    hold_action: HoldAction,
    backfill: bool,
    user: Option<String>,
    team: Option<String>,
    hold: Option<String>,
    run: Option<String>,
    step: Option<String>,
    trace: Option<String>,
    environment: Option<String>,
    conversation: Option<String>,
    requested_model: Option<String>,
    vendor_request_id: Option<String>,
    attributes: HashMap<String, String>,
    items: Vec<Item>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Traffic {
    Customer,
    Internal,
    Test,
    Demo,
    Evaluation,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    Error,
    Cancelled,
    Aborted,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HoldAction {
    Settle,
    Capture,
}

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    model: Option<String>,
    provider: Option<String>,
    service_tier: Option<String>,
    counting: CountingSaid,
    tokens: Option<Vec<PoolCount>>,
    meter: Option<String>,
    quantity: Option<Decimal>,
    vendor_cost: Option<VendorCost>,
    attributes: HashMap<String, String>,
    estimated: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Counting {
    Inclusive,
    Exclusive,
}

#[derive(Debug, Serialize, Deserialize)]
struct CountingBySide {
    input: Option<Counting>,
    output: Option<Counting>,
}

/// A union of more than null and one type: one variant per branch.
#[derive(Debug, Serialize, Deserialize)]
enum CountingSaid {
    Null,
    Counting(Counting),
    CountingBySide(CountingBySide),
}

#[derive(Debug, Serialize, Deserialize)]
struct PoolCount {
    pool: Pool,
    count: i64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Pool {
    Input,
    CacheRead,
    CacheWrite,
    #[serde(rename = "cache_write_1h")]
    CacheWrite1h,
    AudioInput,
    ImageInput,
    VideoInput,
    DocumentInput,
    CacheReadAudio,
    CacheReadImage,
    CacheWriteAudio,
    Output,
    Reasoning,
    AudioOutput,
    ImageOutput,
}

#[derive(Debug, Serialize, Deserialize)]
struct VendorCost {
    amount: Decimal,
    currency: String,
}

fn benches(criterion: &mut Criterion) {
    let schema = Schema::parse_str(SCHEMA).unwrap();
    let reader = GenericDatumReader::builder(&schema).human_readable(false).build().unwrap();
    let writer = GenericDatumWriter::builder(&schema).human_readable(false).build().unwrap();
    for (name, json) in EXAMPLES {
        // As a producer would send it: without the example's indentation.
        let json = serde_json::from_str::<serde_json::Value>(json).unwrap().to_string();
        let decoded = decode_usage(json.as_bytes()).unwrap();
        let mut avro = Vec::new();
        encode_usage(&decoded.event, &mut avro);
        let body = &avro[HEADER_BYTES..];
        let value = reader.read_value(&mut &body[..]).unwrap();

        let mut group = criterion.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Elements(1));
        group.bench_function("avro_ours", |bencher| {
            bencher.iter(|| decode_usage(black_box(&avro)).unwrap());
        });
        group.bench_function("avro_apache_value", |bencher| {
            bencher.iter(|| reader.read_value(&mut black_box(body)).unwrap());
        });
        match reader.read_deser::<Event>(&mut &body[..]) {
            Ok(_) => {
                group.bench_function("avro_apache_deser", |bencher| {
                    bencher.iter(|| reader.read_deser::<Event>(&mut black_box(body)).unwrap());
                });
            }
            Err(error) => eprintln!("apache-avro's serde path cannot read {name}: {error}"),
        }
        group.bench_function("json_ours", |bencher| {
            bencher.iter(|| decode_usage(black_box(json.as_bytes())).unwrap());
        });
        group.bench_function("json_serde_value", |bencher| {
            bencher.iter(|| {
                serde_json::from_slice::<serde_json::Value>(black_box(json.as_bytes())).unwrap()
            });
        });
        group.finish();

        let mut group = criterion.benchmark_group(format!("encode/{name}"));
        group.throughput(Throughput::Elements(1));
        let mut out = Vec::with_capacity(1_024);
        group.bench_function("avro_ours", |bencher| {
            bencher.iter(|| {
                out.clear();
                encode_usage(black_box(&decoded.event), &mut out);
                out.len()
            });
        });
        group.bench_function("avro_apache_value", |bencher| {
            bencher.iter(|| {
                out.clear();
                writer.write_value_ref(&mut out, black_box(&value)).unwrap()
            });
        });
        if let Ok(event) = reader.read_deser::<Event>(&mut &body[..]) {
            if let Err(error) = writer.write_ser(&mut Vec::new(), &event) {
                eprintln!("apache-avro's serde path cannot write {name}: {error}");
            } else {
                group.bench_function("avro_apache_ser", |bencher| {
                    bencher.iter(|| {
                        out.clear();
                        writer.write_ser(&mut out, black_box(&event)).unwrap()
                    });
                });
            }
        }
        group.finish();
    }
}

criterion_group!(decode, benches);
criterion_main!(decode);
