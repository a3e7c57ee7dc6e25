//! A whole tally in this process, and a client for it.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use charger::{Charger, ChargerMetrics, ChargerSettings, SystemClock};
use domain::{Timestamp, Topic};
use eventlog::{EmbeddedLog, EventLog, TopicSpec};
use gateway::{Gateway, GatewaySettings};
use projector::{Projector, ProjectorMetrics, ProjectorSettings, WarehouseSink};
use prometheus::Registry;
use reqwest::blocking::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use testkit::{ClickHouse, TempDir};
use warehouse::{Settings, Warehouse};

pub(crate) const PARTITIONS: u32 = 3;

/// The server that the tests share; each has a database of its own.
fn server() -> &'static ClickHouse {
    static SHARED: OnceLock<ClickHouse> = OnceLock::new();
    SHARED.get_or_init(|| ClickHouse::start().unwrap())
}

pub(crate) struct Tally {
    pub(crate) log: Arc<dyn EventLog>,
    runtime: tokio::runtime::Runtime,
    gateway: Option<Gateway>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    url: String,
    client: Client,
    _folder: TempDir,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

impl Tally {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = testkit::temp_dir().unwrap();
        let log: Arc<dyn EventLog> =
            Arc::new(EmbeddedLog::open(folder.path().join("log")).unwrap());
        let topics = Topic::ALL.map(|topic| TopicSpec {
            topic,
            partitions: match topic {
                Topic::RatesCatalog | Topic::Replies => 1,
                _ => PARTITIONS,
            },
        });
        log.create_topics(&topics).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let database = format!("gateway_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let settings = Settings { database, ..Settings::new(server().http_url()) };
        let warehouse = runtime.block_on(async {
            let warehouse = Warehouse::connect(settings).await.unwrap();
            warehouse.migrate().await.unwrap();
            warehouse
        });
        let registry = Registry::new();
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        let mut charger_settings = ChargerSettings::new(PARTITIONS, folder.path().join("charger"));
        charger_settings.commit_every = Duration::from_millis(20);
        let charger = Charger::new(
            Arc::clone(&log),
            charger_settings,
            Arc::new(SystemClock::default()),
            ChargerMetrics::new(&registry).unwrap(),
        );
        let (here, stopping) = (Arc::clone(&log), Arc::clone(&stop));
        threads.push(std::thread::spawn(move || charger.run(&stopping).unwrap()));
        let projector = Projector::new(
            here,
            WarehouseSink(warehouse.clone()),
            ProjectorSettings {
                flush_every: Duration::from_millis(20),
                ..ProjectorSettings::new(PARTITIONS)
            },
            ProjectorMetrics::new(&registry).unwrap(),
            Arc::new(now),
        );
        let stopping = Arc::clone(&stop);
        threads.push(std::thread::spawn(move || projector.run(&stopping).unwrap()));
        let gateway = runtime
            .block_on(Gateway::start(
                Arc::clone(&log),
                Arc::new(warehouse),
                GatewaySettings::new(PARTITIONS),
                registry,
            ))
            .unwrap();
        let url = format!("http://{}", gateway.address());
        let client = Client::builder().timeout(Duration::from_secs(60)).build().unwrap();
        let gateway = Some(gateway);
        Self { log, runtime, gateway, stop, threads, url, client, _folder: folder }
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    /// Posts JSON and expects a status.
    pub(crate) fn posted(&self, status: u16, path: &str, body: &Value) -> Value {
        answer(status, self.post(path).body(body.to_string()).send().unwrap())
    }

    pub(crate) fn got(&self, path: &str) -> Value {
        answer(200, self.get(path).send().unwrap())
    }

    /// Publishes the rate card that the tests charge by.
    pub(crate) fn with_rates(self) -> Self {
        let card = json!({ "toml": CARD, "reason": "test" });
        let published = self.posted(201, "/v1/rates/versions", &card);
        assert_eq!(published["adopted_by_all"], true, "{published}");
        self
    }

    /// Sends events and waits for what became of each.
    pub(crate) fn send(&self, events: &[Value]) -> Vec<Value> {
        let body = Value::from(events.to_vec()).to_string();
        let sent = self.post("/v1/events").header("Prefer", "wait=20").body(body).send().unwrap();
        let answer = answer(202, sent);
        answer["events"].as_array().unwrap().clone()
    }

    /// Asks until ClickHouse has all that the ledger has.
    pub(crate) fn wait_for_projection(&self) {
        let caught_up = || {
            let status = self.got("/v1/status");
            status["services"].as_array().unwrap().iter().all(|service| service["lag_records"] == 0)
        };
        testkit::wait_until(Duration::from_secs(30), caught_up).unwrap();
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        if let Some(gateway) = self.gateway.take()
            && !std::thread::panicking()
        {
            self.runtime.block_on(gateway.shutdown()).unwrap();
        }
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

pub(crate) fn answer(status: u16, response: Response) -> Value {
    let found = response.status().as_u16();
    let text = response.text().unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A problem: its status, that it is one, and its field.
pub(crate) fn problem(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    assert!((400..500).contains(&status), "{status}: {}", response.text().unwrap());
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let body: Value = serde_json::from_str(&response.text().unwrap()).unwrap();
    assert_eq!(body["status"], status, "{body}");
    for member in ["type", "title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{body}");
    }
    (status, body)
}

pub(crate) fn event(account: &str, id: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0",
        "type": "tally.usage.v1",
        "source": "test",
        "id": id,
        "time": now().to_string(),
        "subject": account,
        "data": data,
    })
}

/// A chat of so many tokens.
pub(crate) fn chat(account: &str, id: &str, tokens: u64) -> Value {
    let items = json!([{ "model": "small", "tokens": { "input": tokens } }]);
    event(account, id, json!({ "feature": "chat", "items": items }))
}

pub(crate) const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1000"
credit_decimals = 4

[[rule]]
name = "chat by token"
match = { model = "small" }
charge = { tokens_per_credit = "1000" }

[[rule]]
name = "pages"
match = { meter = "pages" }
charge = { credits_per_unit = "2" }
"#;
