//! Records that are no usage: each gets its reason and its field, keeps its bytes, and stops nobody.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use charger::{ChargerSettings, Clock, SystemClock};
use domain::limits::INPUT_RECORD_BYTES_MAX;
use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use e2e::audit::{reached, same};
use e2e::catalogue;
use e2e::ledger_tail::LedgerTail;
use e2e::service::{
    DATABASE, Role, ServiceSettings, create_topics, run_charger, run_projector, send,
};
use e2e::tables::{PutAside, Tables};
use eventlog::{EmbeddedLog, EventLog};
use replay::verify_ledger;
use testkit::{ClickHouse, wait_until};
use wire::DocumentKind;

const PATIENCE: Duration = Duration::from_secs(60);
const RAW: TopicPartition = TopicPartition { topic: Topic::UsageRaw, partition: Partition(0) };
/// What the logs take from a producer.
const LOG_RECORD_BYTES_MAX: usize = 1_000_000;
const DAY_MICROS: i64 = 86_400_000_000;

/// Bytes, and what must become of them.
struct Bad {
    bytes: Vec<u8>,
    reason: String,
    field: String,
}

fn bad(bytes: impl Into<Vec<u8>>, reason: &str, field: &str) -> Bad {
    Bad { bytes: bytes.into(), reason: reason.to_owned(), field: field.to_owned() }
}

/// An event that is right but for its items.
fn with_items(items: &str) -> String {
    format!(
        r#"{{"specversion":"1.0","type":"tally.usage.v1","source":"s","id":"i","time":"2026-11-20T12:00:00Z","subject":"a","data":{{"feature":"f","items":{items}}}}}"#
    )
}

fn good(id: &str, time: Timestamp, quantity: u32) -> String {
    with_items(&format!(r#"[{{"meter":"compute_seconds","quantity":"{quantity}"}}]"#))
        .replace("\"i\"", &format!("{id:?}"))
        .replace("2026-11-20T12:00:00Z", &time.to_string())
}

/// The published examples of bad events.
fn examples() -> anyhow::Result<Vec<Bad>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/usage-event/examples/bad");
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder)? {
        let example: serde_json::Value = serde_json::from_slice(&std::fs::read(file?.path())?)?;
        let bytes = match example["text"].as_str() {
            Some(text) => text.to_owned(),
            None => example["event"].to_string(),
        };
        let expect = |key: &str| example["expect"][key].as_str().context("no expectation");
        found.push(bad(bytes, expect("reason")?, expect("field")?));
    }
    Ok(found)
}

/// What no example can show.
fn beyond_examples() -> Vec<Bad> {
    let unknown_schema = b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08rest";
    let padded = |length: usize| {
        let mut bytes = with_items(r#"[{"meter":"m","quantity":"1"}]"#).into_bytes();
        bytes.resize(length, b' ');
        bytes
    };
    let mut not_text = with_items(r#"[{"meter":"@","quantity":"1"}]"#).into_bytes();
    if let Some(at) = not_text.iter().position(|byte| *byte == b'@') {
        not_text[at] = 0xff;
    }
    let many = |count: usize, item: &str| with_items(&format!("[{}]", vec![item; count].join(",")));
    vec![
        bad("", "unsupported_framing", ""),
        bad(b"\x00\x00\x00\x00\x01confluent".as_slice(), "unsupported_framing", ""),
        bad(unknown_schema.as_slice(), "unknown_schema", ""),
        bad(b"\xc3\x01\x01".as_slice(), "invalid_avro", ""),
        bad(not_text, "invalid_utf8", ""),
        bad(padded(INPUT_RECORD_BYTES_MAX + 1), "record_too_large", ""),
        // The largest that the log takes: its dead letter, with all that it says, must fit as well.
        bad(padded(LOG_RECORD_BYTES_MAX), "record_too_large", ""),
        // Of a million items, as many as a record of the log can hold.
        bad(many(499_900, "0"), "record_too_large", ""),
        bad(many(80_000, "{}"), "too_many_items", "data.items"),
        bad(many(257, r#"{"meter":"m","quantity":"1"}"#), "too_many_items", "data.items"),
        bad(
            with_items(r#"[{"model":"m","tokens":{"input":-1}}]"#),
            "bad_token_count",
            "data.items[0].tokens.input",
        ),
        bad(
            with_items(r#"[{"meter":"m","quantity":"1000000000000001"}]"#),
            "bad_quantity",
            "data.items[0].quantity",
        ),
        bad(
            good("t1", Timestamp::ZERO, 1).replace("1970-01-01T00:00:00Z", "1969-07-20T20:17:40Z"),
            "bad_time",
            "time",
        ),
        bad(
            with_items(
                r#"[{"meter":"m","quantity":"1","vendor_cost":{"amount":"1","currency":"EUR"}}]"#,
            ),
            "bad_currency",
            "data.items[0].vendor_cost.currency",
        ),
    ]
}

#[test]
fn each_has_its_reason_and_its_bytes_and_stops_nobody() -> anyhow::Result<()> {
    let started = Instant::now();
    let clickhouse = ClickHouse::start()?;
    let tables = Tables::open(&clickhouse.http_url())?;
    let folder = testkit::temp_dir()?;
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(folder.path().join("log"))?);
    create_topics(log.as_ref(), 1)?;
    let mut appender = log.appender()?;
    let now = SystemClock::default().now();
    let documents = [
        (DocumentKind::PriceBook, "meters", catalogue::METERS),
        (DocumentKind::RateCard, "standard", catalogue::FIRST_CARD),
    ];
    for (kind, id, toml) in documents {
        let to = TopicPartition { topic: Topic::RatesCatalog, partition: Partition(0) };
        send(appender.as_mut(), 0, to, id, &catalogue::record(kind, id, toml, now))?;
    }
    appender.flush()?;

    // Between any two bad ones, a good one.
    let mut letters = examples()?;
    letters.extend(beyond_examples());
    let mut dead = BTreeMap::new();
    let mut held = BTreeMap::new();
    let mut next = 0;
    let mut append = |bytes: &[u8]| -> anyhow::Result<(TopicPartition, Offset)> {
        send(appender.as_mut(), next, RAW, "a", bytes)?;
        let offset = *appender.flush()?.last().context("no offset")?;
        next += 1;
        Ok((RAW, offset))
    };
    let mut charged = 0;
    for (index, letter) in letters.iter().enumerate() {
        append(good(&format!("g{index}"), now, 1).as_bytes())?;
        charged += 1;
        let place = append(&letter.bytes)?;
        dead.insert(place, (letter.reason.clone(), letter.field.clone(), letter.bytes.clone()));
    }
    let quarantined = [
        (good("far", now.plus_micros(DAY_MICROS), 1), "too_early", "time"),
        (good("very-far", "9999-12-31T23:59:59Z".parse()?, 1), "too_early", "time"),
        (good("old", now.plus_micros(-36 * DAY_MICROS), 1), "too_late", "time"),
        (good("very-old", Timestamp::ZERO, 1), "too_late", "time"),
        (good("g0", now, 2), "identity_conflict", "id"),
    ];
    for (record, reason, field) in quarantined {
        let place = append(record.as_bytes())?;
        held.insert(place, (reason.to_owned(), field.to_owned(), record.into_bytes()));
    }
    append(good("last", now, 1).as_bytes())?;
    charged += 1;

    let stop = AtomicBool::new(false);
    let settings = ServiceSettings {
        partitions: 1,
        clickhouse_url: clickhouse.http_url(),
        database: DATABASE.to_owned(),
        folder: folder.path().to_owned(),
        role: Role::Together { input: "none".into(), pace: Duration::ZERO, unrated: 0 },
    };
    thread::scope(|scope| -> anyhow::Result<()> {
        let core = ChargerSettings::new(1, folder.path().join("state"));
        let charger = scope.spawn(|| run_charger(Arc::clone(&log), core, &stop));
        let projector = scope.spawn(|| run_projector(Arc::clone(&log), &settings, &stop));
        let ended = || charger.is_finished() || projector.is_finished();
        let checked = (|| -> anyhow::Result<()> {
            let mut tail = LedgerTail::open(log.as_ref(), 1)?;
            wait_until(PATIENCE, || {
                ended() || tail.is_drained(log.as_ref(), 0).is_ok_and(|drained| drained)
            })
            .context("the partition stands still")?;
            let goal = reached(&tail);
            wait_until(PATIENCE, || ended() || tables.has_all(&goal).is_ok_and(|all| all))
                .context("ClickHouse is behind")
        })();
        stop.store(true, Ordering::Relaxed);
        charger.join().map_err(|_| anyhow!("the charger panicked"))??;
        projector.join().map_err(|_| anyhow!("the projector panicked"))??;
        checked
    })?;

    let (report, ..) = verify_ledger(log.as_ref(), 1)?;
    assert!(report.holds(), "{report:#?}");
    let row = |row: PutAside| (row.reason, row.field, row.bytes);
    let rows = |table: &str| -> anyhow::Result<BTreeMap<_, _>> {
        Ok(tables.put_aside(table)?.into_iter().map(|(place, found)| (place, row(found))).collect())
    };
    // Sizes, not megabytes, in a message.
    let short = |rows: &BTreeMap<_, (String, String, Vec<u8>)>| -> BTreeMap<_, _> {
        let sized = |(place, (reason, field, bytes)): (&_, &(String, String, Vec<u8>))| {
            (*place, (reason.clone(), field.clone(), bytes.len()))
        };
        rows.iter().map(sized).collect()
    };
    let found = rows("dead_letters")?;
    same("dead letters", &short(&dead), &short(&found))?;
    assert!(dead == found, "a dead letter has other bytes");
    same("quarantine", &held, &rows("quarantine")?)?;
    assert_eq!(tables.number("sum(events)", "usage_lines")?, charged);
    println!("dead letters          {} of {} kinds", dead.len(), {
        let mut kinds: Vec<&String> = dead.values().map(|(reason, ..)| reason).collect();
        kinds.sort();
        kinds.dedup();
        kinds.len()
    });
    println!("quarantined           {}", held.len());
    println!("charged between       {charged}");
    println!("time                  {:.1?}", started.elapsed());
    Ok(())
}
