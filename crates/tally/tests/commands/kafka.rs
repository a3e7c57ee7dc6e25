//! Services as they run in production: everything over TLS, and a Kafka that asks who they are, and lets each do
//! what it does and no more.

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use serde_json::{Value, json};
use subprocess::{Launch, Subprocess};
use testkit::{Authority, ClickHouse, Kafka, KafkaOptions, KafkaUsers, TlsFront};

use crate::runbooks;

const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "secret";
const USERS: [&str; 5] =
    ["tally-deploy", "tally-charger", "tally-projector", "tally-gateway", "tally-stranger"];
const CARD: &str = r#"
id = "card"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "100"
credit_decimals = 4
rounding = "half_even"
[[rule]]
name = "pages"
match = { meter = "pages" }
charge = { credits_per_unit = "2" }
"#;

/// `tally` as somebody of the cluster, in a folder of its own; without a name, as whoever may do everything.
struct Somebody<'s> {
    home: tempfile::TempDir,
    servers: &'s Servers,
}

struct Servers {
    authority: Authority,
    kafka: Kafka,
    /// Keeps running; it is reached through the front alone.
    _clickhouse: ClickHouse,
    clickhouse: TlsFront,
}

impl Servers {
    fn start() -> Self {
        let authority = Authority::new().unwrap();
        let users = KafkaUsers {
            names: USERS.map(str::to_owned).to_vec(),
            password: PASSWORD.to_owned(),
            keystore: authority.key_and_certificate_file(),
        };
        let kafka =
            Kafka::start(KafkaOptions { users: Some(users), ..KafkaOptions::default() }).unwrap();
        let clickhouse = ClickHouse::start().unwrap();
        let front = TlsFront::before(clickhouse.http_port(), &authority).unwrap();
        Self { authority, kafka, _clickhouse: clickhouse, clickhouse: front }
    }
}

impl<'s> Somebody<'s> {
    fn new(name: &str, servers: &'s Servers) -> Self {
        let home = tempfile::tempdir().unwrap();
        let Servers { authority, kafka, clickhouse, .. } = servers;
        let ca = authority.ca_file().display().to_string();
        let (bootstrap, login) = match name {
            "" => (kafka.bootstrap(), String::new()),
            name => {
                let login = format!(
                    "[kafka.properties]\n\"security.protocol\" = \"sasl_ssl\"\n\
                     \"ssl.ca.location\" = \"{ca}\"\n\
                     \"sasl.mechanisms\" = \"SCRAM-SHA-512\"\n\"sasl.username\" = \"{name}\"\n\
                     \"sasl.password\" = \"{PASSWORD}\"\n"
                );
                (kafka.users_bootstrap(), login)
            }
        };
        let settings = format!(
            "key_file = \"{0}/operator.key\"\ndata = \"{0}/data\"\nlisten = \"127.0.0.1:0\"\npartitions = 2\n\
             ca_file = \"{ca}\"\n\
             [gateway]\noperator_key_file = \"{0}/operator.key\"\ntls_listen = \"127.0.0.1:0\"\n\
             tls_certificate_file = \"{1}\"\ntls_key_file = \"{2}\"\n\
             [clickhouse]\nurl = \"{3}\"\n\
             [kafka]\nbootstrap = \"{bootstrap}\"\nprefix = \"blue.\"\nreplication_factor = 1\n{login}",
            home.path().display(),
            authority.certificate_file().display(),
            authority.key_file().display(),
            clickhouse.url(),
        );
        std::fs::write(home.path().join("tally.toml"), settings).unwrap();
        Self { home, servers }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command
            .args(arguments)
            .arg("--json")
            .env_clear()
            .env("HOME", self.home.path())
            .current_dir(self.home.path());
        command
    }

    /// What it says when it does not do it.
    fn is_refused(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        said
    }

    fn answer(&self, arguments: &[&str]) -> Value {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let said = [String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)].concat();
        assert!(status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&stdout).unwrap()
    }

    /// A service that runs on, and where it listens: over TLS, where it does.
    fn serves(&self, service: &'static str) -> (Subprocess, String) {
        let log = self.home.path().join("log");
        let command = self.command(&["run", service]);
        let mut process =
            Subprocess::spawn(Launch { name: service, command, log: log.clone() }).unwrap();
        process.wait_ready(PATIENCE, || address_in(&log).is_some()).unwrap();
        let address = address_in(&log).unwrap();
        (process, address)
    }

    /// Another authority than that of the servers.
    fn believes(&self, authority: &Authority) {
        let file = self.home.path().join("tally.toml");
        let ca = self.servers.authority.ca_file().display().to_string();
        let settings = std::fs::read_to_string(&file).unwrap();
        let other = authority.ca_file().display().to_string();
        std::fs::write(&file, settings.replace(&ca, &other)).unwrap();
    }

    fn of_name(&self, name: &str) -> Self {
        Self::new(name, self.servers)
    }
}

fn event() -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_micros(i64::try_from(now.as_micros()).unwrap());
    json!({
        "specversion": "1.0", "type": "tally.usage.v1", "source": "/shop", "id": "e1",
        "time": now, "subject": "acct_42",
        "data": {"feature": "ocr", "items": [{"meter": "pages", "quantity": "21"}]},
    })
}

fn address_in(log: &Path) -> Option<String> {
    let text = std::fs::read_to_string(log).ok()?;
    let answer = text.lines().find(|line| line.contains("\"listen\""))?;
    let answer: Value = serde_json::from_str(answer).ok()?;
    let address = answer.get("tls_listen").or(answer.get("listen"))?;
    Some(address.as_str()?.to_owned())
}

#[test]
fn each_service_does_its_work_with_what_it_is_allowed_and_does_not_start_without() {
    let servers = Servers::start();
    let owner = Somebody::new("", &servers);
    let acls = owner.answer(&["topics", "acls", "--apply"]);
    assert_eq!(acls["applied"], true);
    // Applying them again changes nothing, and is no error.
    assert_eq!(owner.answer(&["topics", "acls", "--apply"]), acls);
    owner.of_name("tally-deploy").answer(&["topics", "create"]);

    let said = owner.of_name("tally-stranger").is_refused(&["run", "charger"]);
    assert!(said.contains("the charger may not Describe"), "{said}");
    assert!(said.contains("--operation Write --topic blue.ledger.entries"), "{said}");
    // A projector may read the ledger; that does not make it a charger.
    let said = owner.of_name("tally-projector").is_refused(&["run", "charger"]);
    assert!(said.contains("the charger may not Write blue.ledger.entries"), "{said}");
    assert!(!said.contains("may not Read blue.ledger.entries"), "{said}");

    let (charger, projector) = (owner.of_name("tally-charger"), owner.of_name("tally-projector"));
    let gateway = owner.of_name("tally-gateway");
    let _charger = charger.serves("charger");
    let _projector = projector.serves("projector");
    let (_gateway, url) = gateway.serves("gateway");
    let here = gateway.home.path();
    std::fs::write(here.join("card.toml"), CARD).unwrap();
    std::fs::write(here.join("events.jsonl"), event().to_string()).unwrap();
    let at = |arguments: &[&str]| gateway.answer(&[arguments, &["--url", &url]].concat());
    at(&["rates", "publish", "card.toml"]);
    at(&["grant", "acct_42", "100", "--category", "promotional", "--id", "g1"]);
    at(&["ingest", "events.jsonl", "--wait"]);
    let balance = at(&["balance", "acct_42", "--strict"]);
    assert_eq!(balance["available"], "58", "{balance}");
    let doctor = at(&["doctor"]);
    let finding = doctor["findings"].as_array().unwrap().iter().find(|finding| {
        finding["found"].as_str().is_some_and(|found| found.contains("allows the gateway"))
    });
    assert!(finding.is_some(), "{doctor}");
    runbooks_can_be_followed(&gateway, &url);

    // Whose certificate nobody vouches for is told nothing.
    let stranger = Authority::new().unwrap();
    let unbelieving = owner.of_name("tally-charger");
    unbelieving.believes(&stranger);
    let Output { stdout, .. } = unbelieving.command(&["topics", "create"]).output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(said.contains("broker certificate could not be verified"), "{said}");
    let mut status = gateway.command(&["status", "--url", &url]);
    let Output { stdout, .. } = status.env("TALLY_CA_FILE", stranger.ca_file()).output().unwrap();
    let said = String::from_utf8(stdout).unwrap();
    assert!(said.contains("invalid peer certificate"), "{said}");
}

/// Every command of every runbook, on a deployment that runs. What it is about may not be there: that is said. No command
/// is unknown to the API, or more than it can take.
fn runbooks_can_be_followed(at: &Somebody<'_>, url: &str) {
    let commands = runbooks::of_runbooks();
    assert!(commands.len() > 50, "{}", commands.len());
    let (mut done, mut wrong) = (0, Vec::new());
    for command in &commands {
        let arguments = runbooks::ready(command, at.home.path());
        let arguments: Vec<&str> =
            arguments.into_iter().filter(|argument| *argument != "--json").collect();
        let Output { status, stdout, stderr } =
            at.command(&[&arguments[..], &["--url", url]].concat()).output().unwrap();
        let said = String::from_utf8([stdout, stderr].concat()).unwrap();
        done += usize::from(status.success());
        let signs = ["\"status\":5", "\"status\":405", "not_found\"", "unreachable"];
        if !matches!(status.code(), Some(0 | 1)) || signs.iter().any(|sign| said.contains(sign)) {
            wrong.push(format!("tally {}: {said}", command.join(" ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(done > commands.len() / 2, "{done} of {} did something", commands.len());
}
