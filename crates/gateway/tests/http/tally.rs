//! A whole tally in this process, and a client for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use charger::{Charger, ChargerMetrics, ChargerSettings, SystemClock};
use domain::{Timestamp, Topic};
use eventlog::{EmbeddedLog, EventLog, TopicSpec};
use gateway::{Gateway, GatewayError, GatewaySettings, TlsSettings};
use projector::{Projector, ProjectorMetrics, ProjectorSettings, WarehouseSink};
use prometheus::Registry;
use reqwest::Method;
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
    warehouse: Arc<Warehouse>,
    runtime: tokio::runtime::Runtime,
    gateway: Option<Gateway>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    url: String,
    client: Client,
    /// The operator's key.
    key: String,
    folder: TempDir,
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap())
}

/// An embedded log with all topics.
pub(crate) fn new_log(folder: &Path) -> Arc<dyn EventLog> {
    let log = EmbeddedLog::open(folder).unwrap();
    let topics =
        Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(PARTITIONS) });
    log.create_topics(&topics).unwrap();
    Arc::new(log)
}

impl Tally {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let folder = testkit::temp_dir().unwrap();
        let log = new_log(&folder.path().join("log"));
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
        let warehouse = Arc::new(warehouse);
        let key_file = folder.path().join("operator.key");
        let pem = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name);
        let settings = GatewaySettings {
            operator_key_file: Some(key_file.clone()),
            tls: Some(TlsSettings {
                listen: SocketAddr::from(([127, 0, 0, 1], 0)),
                certificate_file: pem("certificate.pem"),
                key_file: pem("key.pem"),
            }),
            webhooks: notifier::Reach { allow_private: true, ..notifier::Reach::default() },
            ..GatewaySettings::new(PARTITIONS)
        };
        let gateway = runtime
            .block_on(Gateway::start(Arc::clone(&log), Arc::clone(&warehouse), settings, registry))
            .unwrap();
        let key = std::fs::read_to_string(key_file).unwrap().trim_end().to_owned();
        let url = format!("http://{}", gateway.address());
        let client = testkit::http_client(Duration::from_secs(60)).unwrap();
        let gateway = Some(gateway);
        Self { log, warehouse, runtime, gateway, stop, threads, url, client, key, folder }
    }

    /// Where the same API is served over TLS.
    pub(crate) fn tls_address(&self) -> SocketAddr {
        self.gateway.as_ref().unwrap().tls_address().unwrap()
    }

    /// As the operator.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.ask(Method::GET, path, Some(&self.key))
    }

    /// As the operator.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.ask(Method::POST, path, Some(&self.key))
    }

    /// As whoever has the key, or as nobody.
    pub(crate) fn ask(&self, method: Method, path: &str, key: Option<&str>) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Makes a key, and returns its answer.
    pub(crate) fn key(&self, terms: Value) -> Value {
        self.posted(201, "/v1/keys", &terms)
    }

    pub(crate) fn operator_key(&self) -> &str {
        &self.key
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("operator.key")
    }

    /// Another gateway over the same log. It ends with the runtime.
    pub(crate) fn second_gateway(
        &self,
        operator_key_file: Option<PathBuf>,
    ) -> Result<Gateway, GatewayError> {
        self.gateway_over(Arc::clone(&self.log), operator_key_file)
    }

    pub(crate) fn end(&self, gateway: Gateway) {
        self.runtime.block_on(gateway.shutdown()).unwrap();
    }

    /// A gateway over a log of its own.
    pub(crate) fn gateway_over(
        &self,
        log: Arc<dyn EventLog>,
        operator_key_file: Option<PathBuf>,
    ) -> Result<Gateway, GatewayError> {
        let settings = GatewaySettings { operator_key_file, ..GatewaySettings::new(PARTITIONS) };
        let warehouse = Arc::clone(&self.warehouse);
        self.runtime.block_on(Gateway::start(log, warehouse, settings, Registry::new()))
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
