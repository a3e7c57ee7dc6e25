//! The parts put together: which log, which ClickHouse, which services, in which order they start
//! and stop. The only place that knows them all.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use charger::{Charger, ChargerMetrics, ChargerSettings, Clock, SystemClock};
use clickhouse_server::{Launcher, Server};
use domain::Topic;
use eventlog::{EventLog, LogError, TopicSpec};
use fetch::Engine;
use gateway::{Gateway, GatewayError, GatewaySettings, TlsSettings};
use notifier::{Notifier, NotifierMetrics, NotifierSettings, Reach};
use projector::{Projector, ProjectorMetrics, ProjectorSettings, WarehouseSink};
use prometheus::Registry;
use tokio::runtime::Runtime;
use warehouse::{Secret, Warehouse, WarehouseError};

use crate::cli::CLICKHOUSE_SERVER;
use crate::failure::{Failure, failed};
use crate::folder::PARTITIONS_MAX;
use crate::service::{Named, Services};
use crate::settings::Settings;

const CLICKHOUSE_MEMORY_MB: u32 = 1_024;
const WATCHDOG: Duration = Duration::from_secs(30);
const GATEWAY_STOP_PATIENCE: Duration = Duration::from_secs(10);
const RUNTIME_THREADS: usize = 2;

/// The topics of a deployment.
pub(crate) fn topic_specs(partitions: u32) -> Vec<TopicSpec> {
    Topic::ALL
        .into_iter()
        .map(|topic| TopicSpec { topic, partitions: topic.partitions(partitions) })
        .collect()
}

/// How many partitions the settings ask for.
pub(crate) fn wanted_partitions(settings: &Settings) -> Result<Option<u32>, Failure> {
    let wanted = settings.parsed::<u32>("partitions", "a whole number")?;
    match wanted {
        Some(0) | Some(PARTITIONS_MAX..) => {
            Err(Failure::Usage(format!("partitions must lie between 1 and {}", PARTITIONS_MAX - 1)))
        }
        other => Ok(other),
    }
}

/// A log's refusal, by what it wants of whom: a person's set-up is wrong usage.
pub(crate) fn log_failure(error: LogError) -> Failure {
    match error {
        LogError::Halt(_) => Failure::Usage(error.to_string()),
        LogError::Unavailable(_) | LogError::Fenced(_) | LogError::OutOfRange { .. } => {
            Failure::Failed(error.to_string())
        }
    }
}

/// For everything that waits in an asynchronous way.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("http")
        .enable_all()
        .build()
        .map_err(failed("starting the runtime"))
}

/// A ClickHouse: given, or ours.
#[derive(Debug)]
pub(crate) enum ClickHouse {
    Given { url: String },
    Embedded(Box<Server>),
}

impl ClickHouse {
    /// The one that the settings name; else the embedded one, over `folder`, fetched when this
    /// machine does not have it yet.
    pub(crate) fn start(
        settings: &Settings,
        folder: &Path,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, Failure> {
        if let Some(url) = settings.text("clickhouse.url") {
            return Ok(Self::Given { url: url.to_owned() });
        }
        let server = clickhouse_server::Settings {
            directory: folder.to_owned(),
            http_port: port(settings, "clickhouse.http_port")?,
            native_port: port(settings, "clickhouse.native_port")?,
            memory_mb_max: settings
                .parsed("clickhouse.memory_mb", "a number of megabytes")?
                .unwrap_or(CLICKHOUSE_MEMORY_MB),
        };
        let engine = fetch::clickhouse(progress).map_err(|error| {
            Failure::Failed(format!(
                "no ClickHouse: {error}\n(a running one can be given with --clickhouse-url)"
            ))
        })?;
        let launcher = match engine {
            Engine::Binary(binary) => Launcher::Binary(binary),
            Engine::Library(library) => Launcher::Library {
                library,
                program: std::env::current_exe().map_err(failed("finding tally's own program"))?,
                arguments: vec![CLICKHOUSE_SERVER.into()],
            },
        };
        let server = Server::start(launcher, server).map_err(failed("starting ClickHouse"))?;
        Ok(Self::Embedded(Box::new(server)))
    }

    pub(crate) fn http_url(&self) -> String {
        match self {
            Self::Given { url } => url.clone(),
            Self::Embedded(server) => server.http_url(),
        }
    }

    pub(crate) fn native_address(&self) -> Option<String> {
        match self {
            Self::Given { .. } => None,
            Self::Embedded(server) => Some(format!("127.0.0.1:{}", server.native_port())),
        }
    }

    /// Starts ours again when it has ended; inserts wait meanwhile and are repeated.
    pub(crate) fn mend(&mut self) -> Result<(), Failure> {
        let Self::Embedded(server) = self else { return Ok(()) };
        if server.is_running() {
            return Ok(());
        }
        tracing::warn!(log = %server.log_tail(), "ClickHouse ended; starting it again");
        server.restart().map_err(failed("starting ClickHouse again"))
    }

    pub(crate) fn stop(self) -> Result<(), Failure> {
        match self {
            Self::Given { .. } => Ok(()),
            Self::Embedded(mut server) => server.stop().map_err(failed("stopping ClickHouse")),
        }
    }
}

fn port(settings: &Settings, name: &'static str) -> Result<u16, Failure> {
    match settings.parsed::<u16>(name, "a port")? {
        None | Some(0) => subprocess::free_port().map_err(failed("a free port for ClickHouse")),
        Some(port) => match TcpListener::bind(("127.0.0.1", port)) {
            Ok(_) => Ok(port),
            Err(error) => Err(Failure::Usage(format!(
                "{name}: port {port} of this machine cannot be used: {error}; set another, or 0 for a free one"
            ))),
        },
    }
}

/// ClickHouse at `url` with all tables, as this version wants them.
pub(crate) fn warehouse(
    runtime: &Runtime,
    settings: &Settings,
    url: &str,
) -> Result<Warehouse, Failure> {
    let mut at = warehouse::Settings::new(url);
    at.ca_file = settings.text("ca_file").map(PathBuf::from);
    if let Some(user) = settings.text("clickhouse.user") {
        at.user = user.to_owned();
    }
    if let Some(password) = settings.clickhouse_password()? {
        at.password = Secret::new(password);
    }
    if let Some(database) = settings.text("clickhouse.database") {
        at.database = database.to_owned();
    }
    let refused = |error: WarehouseError| match error {
        WarehouseError::Misconfigured(_) | WarehouseError::NewerSchema { .. } => {
            Failure::Usage(format!("ClickHouse at {url}: {error}"))
        }
        other => Failure::Failed(format!("ClickHouse at {url}: {other}")),
    };
    runtime.block_on(async {
        let warehouse = Warehouse::connect(at).await.map_err(refused)?;
        warehouse.migrate().await.map_err(refused)?;
        let findings = warehouse.check_schema().await.map_err(refused)?;
        let (grave, light): (Vec<_>, Vec<_>) =
            findings.iter().partition(|finding| finding.forbids_inserts());
        for finding in light {
            tracing::warn!(%finding, "a table is not as tally made it");
        }
        if grave.is_empty() {
            return Ok(warehouse);
        }
        let grave: Vec<String> = grave.iter().map(|finding| format!("  {finding}")).collect();
        Err(Failure::Usage(format!(
            "the tables in ClickHouse at {url} are not as tally made them:\n{}\nGive tally a \
             database of its own (clickhouse.database); it is filled again from the ledger",
            grave.join("\n")
        )))
    })
}

fn patience(settings: &Settings) -> Result<Duration, Failure> {
    let seconds = settings.parsed::<u64>("watchdog_seconds", "a number of seconds")?;
    Ok(seconds.map_or(WATCHDOG, Duration::from_secs))
}

/// What every service is started with.
pub(crate) struct Common<'c> {
    pub(crate) settings: &'c Settings,
    pub(crate) log: Arc<dyn EventLog>,
    pub(crate) registry: &'c Registry,
}

/// Starts the charger in a thread of its own.
pub(crate) fn start_charger(
    services: &mut Services,
    common: &Common<'_>,
    charger: ChargerSettings,
) -> Result<(), Failure> {
    let metrics = ChargerMetrics::new(common.registry).map_err(failed("the charger's metrics"))?;
    let clock = Arc::new(SystemClock::default());
    let charger = Charger::new(Arc::clone(&common.log), charger, clock, metrics);
    let named = Named {
        name: "charger",
        heartbeat: Arc::clone(&charger.heartbeat),
        patience: patience(common.settings)?,
    };
    services.start(named, move |stop| charger.run(stop))
}

/// Starts the projector in a thread of its own.
pub(crate) fn start_projector(
    services: &mut Services,
    common: &Common<'_>,
    warehouse: Warehouse,
    projector: ProjectorSettings,
) -> Result<(), Failure> {
    let metrics =
        ProjectorMetrics::new(common.registry).map_err(failed("the projector's metrics"))?;
    let clock = SystemClock::default();
    let now = Arc::new(move || clock.now());
    let sink = WarehouseSink(warehouse);
    let projector = Projector::new(Arc::clone(&common.log), sink, projector, metrics, now);
    let named = Named {
        name: "projector",
        heartbeat: Arc::clone(&projector.heartbeat),
        // It waits for an insert's answer as long as ClickHouse may take to give one.
        patience: patience(common.settings)? + warehouse::Settings::new("").insert_timeout,
    };
    services.start(named, move |stop| projector.run(stop))
}

/// Where webhooks may be. At private addresses, when the settings do not say: `allow_private`.
pub(crate) fn webhooks(settings: &Settings, allow_private: bool) -> Result<Reach, Failure> {
    let said = settings.parsed("webhooks.allow_private", "true or false")?;
    let ca_file = settings.text("ca_file").map(PathBuf::from);
    Ok(Reach { allow_private: said.unwrap_or(allow_private), ca_file })
}

/// Where the API is served over TLS as well, when the settings say so.
pub(crate) fn tls(settings: &Settings) -> Result<Option<TlsSettings>, Failure> {
    let listen = settings.parsed("gateway.tls_listen", "an address and a port")?;
    let file = |name: &str| settings.text(name).map(PathBuf::from);
    match (listen, file("gateway.tls_certificate_file"), file("gateway.tls_key_file")) {
        (None, None, None) => Ok(None),
        (Some(listen), Some(certificate_file), Some(key_file)) => {
            Ok(Some(TlsSettings { listen, certificate_file, key_file }))
        }
        _ => Err(Failure::Usage(
            "TLS wants all of gateway.tls_listen, gateway.tls_certificate_file and \
             gateway.tls_key_file"
                .to_owned(),
        )),
    }
}

/// Starts the notifier in a thread of its own.
pub(crate) fn start_notifier(
    services: &mut Services,
    common: &Common<'_>,
    reach: Reach,
) -> Result<(), Failure> {
    let metrics =
        NotifierMetrics::new(common.registry).map_err(failed("the notifier's metrics"))?;
    let clock = SystemClock::default();
    let settings = NotifierSettings { reach, ..NotifierSettings::default() };
    let now = Arc::new(move || clock.now());
    let notifier = Notifier::new(Arc::clone(&common.log), settings, metrics, now);
    let named = Named {
        name: "notifier",
        heartbeat: Arc::clone(&notifier.heartbeat),
        patience: patience(common.settings)?,
    };
    services.start(named, move |stop| notifier.run(stop))
}

/// The address that the settings give the API, or a service's metrics; tried, so that a taken port
/// is said before anything has started.
pub(crate) fn listen_address(settings: &Settings) -> Result<SocketAddr, Failure> {
    let text = settings.text("listen").unwrap_or("127.0.0.1:0");
    let address =
        text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).ok_or_else(
            || Failure::Usage(format!("listen: {text:?} is no address such as 127.0.0.1:9400")),
        )?;
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) => Err(cannot_listen(address, &error)),
    }
}

pub(crate) fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> Failure {
    Failure::Usage(format!(
        "cannot listen on {address}: {error}; choose another with --listen, or port 0 for a free one"
    ))
}

/// Starts the API.
pub(crate) fn start_gateway(
    runtime: &Runtime,
    log: Arc<dyn EventLog>,
    warehouse: Warehouse,
    settings: GatewaySettings,
    registry: Registry,
) -> Result<Gateway, Failure> {
    let started = Gateway::start(log, Arc::new(warehouse), settings, registry);
    runtime.block_on(started).map_err(|error| match error {
        GatewayError::Listen { address, source } => cannot_listen(address, &source),
        // A person's to set up.
        GatewayError::OperatorKey(error) => Failure::Usage(error.to_string()),
        other => Failure::Failed(format!("the API: {other}")),
    })
}

/// Stops taking requests and finishes those that run, within bounds.
pub(crate) fn stop_gateway(runtime: &Runtime, gateway: Gateway) -> Option<String> {
    let stopped = runtime
        .block_on(async { tokio::time::timeout(GATEWAY_STOP_PATIENCE, gateway.shutdown()).await });
    match stopped {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("the API stopped: {error}")),
        Err(_) => {
            tracing::warn!("requests were cut off at the end");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_says_what_to_do() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut settings = Settings::default();
        settings.flag("listen", Some(taken.local_addr().unwrap()));
        let error = listen_address(&settings).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("--listen")), "{error}");
        settings.flag("listen", Some("nowhere"));
        assert!(matches!(listen_address(&settings), Err(Failure::Usage(_))));
    }

    #[test]
    fn inputs_and_ledger_share_their_partitions() {
        let specs = topic_specs(8);
        assert_eq!(specs.len(), Topic::ALL.len());
        let of = |topic: Topic| specs.iter().find(|spec| spec.topic == topic).unwrap().partitions;
        for topic in Topic::INPUTS.into_iter().chain([Topic::LedgerEntries, Topic::DeadLetters]) {
            assert_eq!(of(topic), 8, "{topic}");
        }
        assert_eq!(of(Topic::AccountEvents), 8);
        for topic in [Topic::Replies, Topic::RatesCatalog, Topic::Access, Topic::WebhookDeliveries]
        {
            assert_eq!(of(topic), 1, "{topic}");
        }
    }

    #[test]
    fn partitions_have_bounds() {
        let mut settings = Settings::default();
        assert_eq!(wanted_partitions(&settings).unwrap(), None);
        settings.flag("partitions", Some(0));
        assert!(wanted_partitions(&settings).is_err());
        settings.flag("partitions", Some(16));
        assert_eq!(wanted_partitions(&settings).unwrap(), Some(16));
    }
}
