//! Over HTTP on loopback: the round trip of a reserve, on an idle system and beside usage at under half
//! of what the charger takes at most; and batches to `POST /v1/events`. On the embedded log and on a
//! real broker; broker, ClickHouse, services and client share the machine.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use charger::{Charger, ChargerMetrics, ChargerSettings, SystemClock};
use domain::{Topic, TopicPartition};
use eventlog::{Append, Appender, EmbeddedLog, EventLog, TopicSpec};
use eventlog_kafka::{KafkaLog, KafkaSettings};
use gateway::{Gateway, GatewaySettings};
use prometheus::Registry;
use reqwest::blocking::Client;
use serde_json::{Value, json};
use testkit::{ClickHouse, Kafka, KafkaOptions};
use warehouse::{Settings, Warehouse};

use crate::report::{Report, median};

const PARTITIONS: u32 = 4;
const RESERVES: usize = 600;
const WARM_UPS: usize = 50;
/// Appended at once to find out what the charger takes at most.
const FLOOD: u64 = 150_000;
const FLUSH_RECORDS: u64 = 500;
const BATCHES: usize = 60;
const BATCH_EVENTS: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(120);
const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1"
credit_decimals = 4
[[rule]]
name = "unit"
match = { meter = "unit" }
charge = { credits_per_unit = "1" }
"#;

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    report.section(
        "The API on loopback",
        &["log", "what", "p50 ms", "p99 ms", "beside usage, events/s"],
    );
    let clickhouse = ClickHouse::start()?;
    let folder = testkit::temp_dir()?;
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(folder.path().join("log"))?);
    on("embedded", (&log, &clickhouse, folder.path()), report)?;
    drop(log);
    let kafka = Kafka::start(KafkaOptions::for_benchmarks())?;
    let folder = testkit::temp_dir()?;
    let settings = KafkaSettings::single_broker(kafka.bootstrap());
    let log: Arc<dyn EventLog> = Arc::new(KafkaLog::connect(settings)?);
    on("Kafka", (&log, &clickhouse, folder.path()), report)
}

fn on(
    name: &str,
    (log, clickhouse, folder): (&Arc<dyn EventLog>, &ClickHouse, &Path),
    report: &mut Report,
) -> anyhow::Result<()> {
    let topics =
        Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(PARTITIONS) });
    log.create_topics(&topics)?;
    let stop = Arc::new(AtomicBool::new(false));
    let charger = {
        let settings = ChargerSettings::new(PARTITIONS, folder.join("state"));
        let metrics = ChargerMetrics::new(&Registry::new())?;
        let clock = Arc::new(SystemClock::default());
        let charger = Charger::new(Arc::clone(log), settings, clock, metrics);
        let stop = Arc::clone(&stop);
        thread::spawn(move || charger.run(&stop))
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let settings = GatewaySettings {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        operator_key_file: Some(folder.join("operator.key")),
        ..GatewaySettings::new(PARTITIONS)
    };
    let gateway = runtime.block_on(async {
        let database = format!("latency_{}", name.to_lowercase());
        let asked = Settings { database, ..Settings::new(clickhouse.http_url()) };
        let warehouse = Warehouse::connect(asked).await?;
        warehouse.migrate().await?;
        let (log, warehouse) = (Arc::clone(log), Arc::new(warehouse));
        anyhow::Ok(Gateway::start(log, warehouse, settings, Registry::new()).await?)
    })?;
    let key = std::fs::read_to_string(folder.join("operator.key"))?.trim_end().to_owned();
    let client = testkit::http_client(PATIENCE)?;
    let api = Api { client, url: format!("http://{}", gateway.address()), key };
    let measured = rows(name, log.as_ref(), &api, report);
    runtime.block_on(gateway.shutdown())?;
    stop.store(true, Ordering::Relaxed);
    let ended = charger.join().map_err(|_| anyhow::anyhow!("the charger panicked"))?;
    measured.and(ended.context("charger"))
}

fn rows(name: &str, log: &dyn EventLog, api: &Api, report: &mut Report) -> anyhow::Result<()> {
    api.post("/v1/rates/versions", &json!({ "toml": CARD, "reason": "bench" }))?;
    let grant = json!({ "amount": "1000000000", "category": "purchased", "reason": "bench" });
    api.post("/v1/accounts/acct_0/grants", &grant)?;
    let mut row = |what: &str, times: &[f64], beside: String| {
        let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
        let p50 = median(times.iter().copied());
        report.row([
            name.to_owned(),
            what.to_owned(),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            beside,
        ]);
    };
    reserves(api, WARM_UPS)?;
    row("reserve", &reserves(api, RESERVES)?, "none".to_owned());

    let usage = Usage::default();
    let started = Instant::now();
    usage.append(log.appender()?.as_mut(), FLOOD)?;
    let appended = started.elapsed();
    api.settled()?;
    let most = FLOOD as f64 / started.elapsed().max(appended).as_secs_f64();

    let stop = AtomicBool::new(false);
    let (times, paced) = thread::scope(|scope| -> anyhow::Result<(Vec<f64>, f64)> {
        let producer = scope.spawn(|| {
            let mut appender = log.appender()?;
            let started = Instant::now();
            let mut sent = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                usage.append(appender.as_mut(), FLUSH_RECORDS)?;
                sent += FLUSH_RECORDS;
                let due = Duration::from_secs_f64(sent as f64 / (most * 0.45));
                thread::sleep(due.saturating_sub(started.elapsed()));
            }
            anyhow::Ok(sent as f64 / started.elapsed().as_secs_f64())
        });
        let times = reserves(api, RESERVES);
        stop.store(true, Ordering::Relaxed);
        let paced = producer.join().map_err(|_| anyhow::anyhow!("the producer panicked"))??;
        Ok((times?, paced))
    })?;
    row("reserve", &times, format!("{paced:.0} of at most {most:.0}"));

    let mut times = Vec::new();
    let started = Instant::now();
    for batch in 0..BATCHES {
        let events: Vec<Value> =
            (0..BATCH_EVENTS).map(|_| Value::Object(usage.next_event())).collect();
        let body = Value::from(events).to_string();
        let sent = Instant::now();
        let answer = api.post_text("/v1/events", body)?;
        ensure!(answer["accepted"] == BATCH_EVENTS, "batch {batch}: {answer}");
        times.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    let rate = (BATCHES * BATCH_EVENTS) as f64 / started.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    row(
        &format!("batch of {BATCH_EVENTS} events, one at a time: {rate:.0} events/s"),
        &times,
        "itself".to_owned(),
    );
    Ok(())
}

/// Round trips in milliseconds, rising. Each hold is released outside of the time that is taken.
fn reserves(api: &Api, count: usize) -> anyhow::Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let body = json!({ "account": "acct_0", "amount": "1", "feature": "chat" });
        let started = Instant::now();
        let held = api.post("/v1/holds", &body)?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
        let hold = held["hold"].as_str().context("a hold has a name")?;
        api.post(&format!("/v1/holds/{hold}/settle"), &json!({ "amount": "0.5" }))?;
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// Usage of many accounts, each event once.
#[derive(Default)]
struct Usage {
    next: AtomicU64,
}

impl Usage {
    fn next_event(&self) -> serde_json::Map<String, Value> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let event = json!({
            "specversion": "1.0", "type": "tally.usage.v1", "source": "/bench",
            "id": format!("e{number}"), "time": "2026-11-21T12:00:00Z",
            "subject": format!("acct_{}", number % 1_000),
            "data": {
                "feature": "chat", "backfill": true,
                "items": [{ "meter": "unit", "quantity": "1" }],
            },
        });
        match event {
            Value::Object(event) => event,
            _ => serde_json::Map::new(),
        }
    }

    fn append(&self, appender: &mut dyn Appender, count: u64) -> anyhow::Result<()> {
        for number in 0..count {
            let event = self.next_event();
            let account =
                event.get("subject").and_then(Value::as_str).unwrap_or_default().to_owned();
            let partition = domain::partition_of(&account, PARTITIONS);
            let to = TopicPartition { topic: Topic::UsageRaw, partition };
            let value = Value::Object(event).to_string();
            appender.append(Append {
                to,
                key: account.as_bytes(),
                value: value.as_bytes(),
                headers: &[],
            })?;
            if number % FLUSH_RECORDS == 0 {
                appender.flush()?;
            }
        }
        appender.flush()?;
        Ok(())
    }
}

struct Api {
    client: Client,
    url: String,
    key: String,
}

impl Api {
    fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.post_text(path, body.to_string())
    }

    fn post_text(&self, path: &str, body: String) -> anyhow::Result<Value> {
        let request = self.client.post(format!("{}{path}", self.url)).bearer_auth(&self.key);
        let answer = request.header("content-type", "application/json").body(body).send()?;
        let (status, text) = (answer.status(), answer.text()?);
        ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Waits until the charger has taken what was sent: an event sent last is decided.
    fn settled(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let request = self.client.get(format!("{}/v1/status", self.url)).bearer_auth(&self.key);
            let status: Value = serde_json::from_str(&request.send()?.text()?)?;
            let services = status["services"].as_array().context("services")?;
            let charger = services.iter().find(|service| service["name"] == "charger");
            if charger.is_some_and(|charger| charger["lag_records"] == 0) {
                return Ok(());
            }
            ensure!(started.elapsed() < PATIENCE, "the charger does not come through: {status}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}
