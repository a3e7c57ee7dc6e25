//! One real Kafka broker: KRaft, a single node that is broker and controller.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use subprocess::{Launch, Subprocess, free_port};
use tempfile::TempDir;

use crate::{TestkitError, kafka_probe, shared, temp_dir};

/// A start takes about two seconds on an idle machine, and many times that beside a build.
const READY_PATIENCE: Duration = Duration::from_secs(120);
/// A controlled shutdown moves leaders and flushes logs.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// Any base64 of 16 bytes will do; it is the same for every broker of ours, and none meets another.
const CLUSTER_ID: &str = "dGFsbHktdGVzdC1rYWZrYQ";

const SCRAM: &str = "SCRAM-SHA-512";

#[derive(Clone, Debug)]
pub struct KafkaOptions {
    pub heap_mb: u32,
    /// Compiles with C2 as well. Slower to start, faster once warm: for benchmarks, not for tests.
    pub optimizing_compiler: bool,
    /// A second listener, for whoever comes through a proxy on this port.
    pub proxy_port: Option<u16>,
    /// Who may log in at the second listener, which then is not for a proxy. At the first everybody may do everything.
    pub users: Option<KafkaUsers>,
    /// Where the records are kept, when not in a temporary folder.
    pub data: Option<PathBuf>,
    /// Further lines for `server.properties`, which come last and so win.
    pub properties: Vec<(String, String)>,
}

/// They log in over TLS, by SCRAM-SHA-512; an authorizer decides what they may do.
#[derive(Clone, Debug)]
pub struct KafkaUsers {
    pub names: Vec<String>,
    /// The same for all of them.
    pub password: String,
    /// PEM: the broker's key and certificate. Must be there as long as the broker.
    pub keystore: PathBuf,
}

impl Default for KafkaOptions {
    /// The cheapest broker that was measured: about 350 MB in all, ready first.
    fn default() -> Self {
        Self {
            heap_mb: 256,
            optimizing_compiler: false,
            proxy_port: None,
            users: None,
            data: None,
            properties: Vec::new(),
        }
    }
}

impl KafkaOptions {
    /// For measuring: a gigabyte of heap and the optimizing compiler. Warm it with several million records first.
    pub fn for_benchmarks() -> Self {
        Self { heap_mb: 1_024, optimizing_compiler: true, ..Self::default() }
    }
}

/// A running broker, ready since [`Kafka::start`] returned. Dropped, it is killed and its data removed.
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
    port: u16,
    proxied_port: u16,
    process: Subprocess,
    folder: TempDir,
}

impl Kafka {
    /// Formats and starts a broker with nothing in it.
    pub fn start(options: KafkaOptions) -> Result<Self, TestkitError> {
        let folder = temp_dir()?;
        let free = || free_port().map_err(TestkitError::io("a free port"));
        let (port, proxied_port, controller_port) = (free()?, free()?, free()?);
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let mut further = Vec::new();
        if let Some(proxy) = options.proxy_port {
            further = second_listener(port, (proxied_port, proxy), controller_port);
        } else if let Some(users) = &options.users {
            further = second_listener(port, (proxied_port, proxied_port), controller_port);
            further.extend(authorized(users));
        }
        further.extend(options.properties.iter().cloned());
        let properties = server_properties(&data, port, controller_port, &further);
        fs::write(properties_file(folder.path()), properties)
            .map_err(TestkitError::io("the broker's properties"))?;
        format_storage(folder.path(), &options)?;
        let process = launch(folder.path(), &options, port)?;
        Ok(Self { options, port, proxied_port, process, folder })
    }

    /// The broker that the tests of this process share, started by the first that asks. It cannot be stopped, killed or
    /// paused through this handle; it goes with the process.
    pub fn shared() -> Result<&'static Self, TestkitError> {
        shared::broker()
    }

    /// For `bootstrap.servers`.
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// For `bootstrap.servers` of those who log in.
    pub fn users_bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.proxied_port)
    }

    /// Where the second listener is, for a proxy.
    pub fn proxied_port(&self) -> u16 {
        self.proxied_port
    }

    /// Whether it still runs: a broker whose only disk fails ends by itself.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.ended(), Ok(None))
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The file that everything the broker prints goes to.
    pub fn log(&self) -> &Path {
        self.process.log()
    }

    /// The last lines that the broker printed.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    /// A controlled shutdown (SIGTERM).
    pub fn stop(&mut self) -> Result<(), TestkitError> {
        Ok(self.process.stop(STOP_PATIENCE)?)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<(), TestkitError> {
        Ok(self.process.kill()?)
    }

    /// Starts it again, on the same data and ports, after [`stop`](Self::stop) or [`kill`](Self::kill) (a broker that still
    /// runs is killed).
    pub fn restart(&mut self) -> Result<(), TestkitError> {
        self.process.kill()?;
        self.process = launch(self.folder.path(), &self.options, self.port)?;
        Ok(())
    }

    /// SIGSTOP: connections stay open and nothing answers, as behind a network that drops everything. Past the broker's
    /// session timeout (2 s) its controller, once resumed, fences and then unfences it.
    pub fn pause(&mut self) -> Result<(), TestkitError> {
        Ok(self.process.pause()?)
    }

    pub fn resume(&mut self) -> Result<(), TestkitError> {
        Ok(self.process.resume()?)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn properties_file(folder: &Path) -> std::path::PathBuf {
    folder.join("server.properties")
}

/// Whoever connects to the second listener is sent to the proxy's port for everything.
fn second_listener(
    port: u16,
    (proxied_port, proxy): (u16, u16),
    controller_port: u16,
) -> Vec<(String, String)> {
    let own = |name: &str, value: String| (name.to_owned(), value);
    vec![
        own(
            "listeners",
            format!(
                "PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxied_port},\
                 CONTROLLER://127.0.0.1:{controller_port}"
            ),
        ),
        own(
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{port},PROXIED://127.0.0.1:{proxy}"),
        ),
        own(
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        own("inter.broker.listener.name", "PLAINTEXT".to_owned()),
    ]
}

/// The second listener speaks TLS and wants a name and a password; an authorizer allows what it was told to.
fn authorized(users: &KafkaUsers) -> Vec<(String, String)> {
    let own = |name: &str, value: String| (name.to_owned(), value);
    vec![
        own(
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,PROXIED:SASL_SSL,CONTROLLER:PLAINTEXT".to_owned(),
        ),
        own("ssl.keystore.type", "PEM".to_owned()),
        own("ssl.keystore.location", users.keystore.display().to_string()),
        own("sasl.enabled.mechanisms", SCRAM.to_owned()),
        own(
            "listener.name.proxied.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ),
        own(
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        ),
        own("super.users", "User:ANONYMOUS".to_owned()),
    ]
}

fn server_properties(
    data: &Path,
    port: u16,
    controller_port: u16,
    further: &[(String, String)],
) -> String {
    let mut lines = vec![
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller_port}"),
        format!("listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}"),
        "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
        "controller.listener.names=CONTROLLER".to_owned(),
        format!("log.dirs={}", data.display()),
        // A topic that appears by itself, with one partition, hides a mistake.
        "auto.create.topics.enable=false".to_owned(),
        // One node.
        "default.replication.factor=1".to_owned(),
        "min.insync.replicas=1".to_owned(),
        "offsets.topic.replication.factor=1".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "share.coordinator.state.topic.replication.factor=1".to_owned(),
        "share.coordinator.state.topic.min.isr=1".to_owned(),
        // The defaults of 50 each are most of the time that the first transaction and the first group wait for.
        "offsets.topic.num.partitions=4".to_owned(),
        "transaction.state.log.num.partitions=4".to_owned(),
        // Tests kill members and take over at once.
        "group.initial.rebalance.delay.ms=0".to_owned(),
        "group.min.session.timeout.ms=1000".to_owned(),
        // A broker that was killed cannot register again before its former session has ended: 9 s by default.
        "broker.session.timeout.ms=2000".to_owned(),
        "broker.heartbeat.interval.ms=250".to_owned(),
        // How often timed-out transactions are looked for: 10 s by default, as long as our transactions' own timeout.
        "transaction.abort.timed.out.transaction.cleanup.interval.ms=500".to_owned(),
        // Segments are preallocated nowhere, but an index file is 10 MB for each of dozens of partitions.
        "log.index.size.max.bytes=1048576".to_owned(),
        "num.network.threads=2".to_owned(),
        "num.io.threads=4".to_owned(),
        "log.cleaner.dedupe.buffer.size=2097152".to_owned(),
    ];
    lines.extend(further.iter().map(|(name, value)| format!("{name}={value}")));
    lines.push(String::new());
    lines.join("\n")
}

fn format_storage(folder: &Path, options: &KafkaOptions) -> Result<(), TestkitError> {
    let mut command = java(options)?;
    command
        .args(["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"])
        .arg(properties_file(folder))
        .stdin(Stdio::null());
    if let Some(KafkaUsers { names, password, .. }) = &options.users {
        for name in names {
            command.arg("--add-scram").arg(format!("{SCRAM}=[name={name},password={password}]"));
        }
    }
    let output = command.output().map_err(TestkitError::io("java"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(TestkitError::CommandFailed {
        command: format!("{command:?}"),
        status: output.status,
        output: String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
    })
}

fn launch(folder: &Path, options: &KafkaOptions, port: u16) -> Result<Subprocess, TestkitError> {
    let mut command = java(options)?;
    command.arg("kafka.Kafka").arg(properties_file(folder));
    let mut process =
        Subprocess::spawn(Launch { name: "Kafka", command, log: folder.join("broker.log") })?;
    process.wait_ready(READY_PATIENCE, || kafka_probe::lists_a_broker(port).unwrap_or(false))?;
    Ok(process)
}

fn java(options: &KafkaOptions) -> Result<Command, TestkitError> {
    let jars = fetch::kafka_libs(&mut |line| eprintln!("{line}"))?;
    let mut command = Command::new(fetch::java()?);
    command.arg(format!("-Xmx{}m", options.heap_mb)).arg("-XX:+UseSerialGC");
    if !options.optimizing_compiler {
        command.arg("-XX:TieredStopAtLevel=1");
    }
    command
        .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        .arg("-Dorg.slf4j.simpleLogger.showDateTime=true")
        .arg("-Djava.net.preferIPv4Stack=true")
        .arg("-cp")
        .arg(jars.join("*"));
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_given_come_last_and_so_win() {
        let further = [("min.insync.replicas".to_owned(), "2".to_owned())];
        let text = server_properties(Path::new("/somewhere"), 1, 2, &further);
        let ours = text.find("min.insync.replicas=1").unwrap();
        let theirs = text.find("min.insync.replicas=2").unwrap();
        assert!(ours < theirs, "{text}");
        assert!(text.contains("listeners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"));
    }
}
