//! What a deployment may say: `tally.toml`, then `TALLY_…` environment variables, then flags.
//!
//! One table of keys serves all three. A key that is not in it is an error that names its nearest
//! neighbour; an environment variable that is not in it is one only when it looks like a misspelt
//! key, because Kubernetes makes variables such as `TALLY_SERVICE_HOST` for a service called tally.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::failure::Failure;

/// One thing that can be set.
#[derive(Debug)]
pub(crate) struct Key {
    /// In `tally.toml`, with the name of its section before the dot.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
}

const fn key(name: &'static str, about: &'static str) -> Key {
    Key { name, about }
}

/// All keys. `kafka.properties` is a section of its own, passed on to librdkafka.
pub(crate) const KEYS: &[Key] = &[
    key("data", "the data folder"),
    key("url", "the tally that commands talk to"),
    key(
        "key_file",
        "a file with the API key that commands present; by default the operator's in the data folder",
    ),
    key("key", "the API key itself; better in key_file or the environment"),
    key(
        "ca_file",
        "PEM: authorities to believe besides this machine's, of the API, ClickHouse and webhooks",
    ),
    key("actor", "who changes credits and prices; recorded with each change"),
    key(
        "listen",
        "address and port of the API, or of a service's metrics; port 0 takes a free one",
    ),
    key("partitions", "how many partitions a new deployment has; fixed from then on (8)"),
    key("watchdog_seconds", "a service without progress for so long ends the process (30)"),
    key("log.file", "where logs go instead of standard error"),
    key("log.format", "text or json"),
    key("log.level", "what is logged: error, warn, info, debug, or a filter such as charger=debug"),
    key(
        "gateway.operator_key_file",
        "where `run gateway` writes the first operator key, when there is none yet",
    ),
    key(
        "gateway.tls_listen",
        "address and port at which the API is served over TLS as well; commands and health stay at `listen`",
    ),
    key("gateway.tls_certificate_file", "PEM: its certificate, then those that signed it"),
    key("gateway.tls_key_file", "PEM: the certificate's private key"),
    key("clickhouse.url", "a ClickHouse to use instead of the embedded one"),
    key("clickhouse.user", "its user"),
    key("clickhouse.password", "its password; better in password_file or the environment"),
    key("clickhouse.password_file", "a file that holds the password"),
    key("clickhouse.database", "its database (tally)"),
    key("clickhouse.memory_mb", "the most memory that the embedded ClickHouse takes (1024)"),
    key("clickhouse.http_port", "the embedded one's HTTP port; a free one when not set"),
    key("clickhouse.native_port", "the embedded one's native port; a free one when not set"),
    key("kafka.bootstrap", "host:port of a broker, or several with commas"),
    key("kafka.prefix", "comes before every topic, group and transactional name"),
    key("kafka.replication_factor", "copies of each topic (3)"),
    key("kafka.min_insync_replicas", "copies that must have a record before it counts (2)"),
    key("kafka.static_membership", "true: a restarted service has its partitions back at once"),
    key(
        "webhooks.allow_private",
        "true: webhooks may be at private and local addresses (only in `up` by default)",
    ),
    key("replica", "the number of this charger among its likes (0); names its transactions"),
];
const PROPERTIES: &str = "kafka.properties";
const SECRETS: [&str; 2] = ["clickhouse.password", "key"];
/// Variables that are read elsewhere, or by clap.
const OTHER_VARIABLES: [&str; 2] = [fetch::CLICKHOUSE_LIBRARY_VARIABLE, "TALLY_CONFIG"];
const ENVIRONMENT_PREFIX: &str = "TALLY_";
const FILE: &str = "tally.toml";

/// The settings in force, each with where it came from.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    values: BTreeMap<&'static str, Set>,
    properties: Vec<(String, String)>,
}

#[derive(Clone)]
struct Set {
    value: String,
    from: String,
}

/// A setting for people.
#[derive(Clone, Debug)]
pub(crate) struct ShownSetting {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) value: Option<String>,
    pub(crate) from: Option<String>,
}

impl Settings {
    /// Reads the file and the environment. `file` must exist when it is named; otherwise
    /// `tally.toml` in the working folder is read when there is one.
    pub(crate) fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Failure> {
        let mut settings = Self::default();
        let path = file.map_or_else(|| PathBuf::from(FILE), Path::to_owned);
        match std::fs::read_to_string(&path) {
            Ok(text) => settings.read_file(&path.display().to_string(), &text)?,
            Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(usage(format!("{}: {error}", path.display()))),
        }
        for (variable, value) in environment {
            settings.read_variable(&variable, value)?;
        }
        Ok(settings)
    }

    /// A flag was given: it beats everything.
    pub(crate) fn flag(&mut self, name: &'static str, value: Option<impl ToString>) {
        if let Some(value) = value {
            let flag = format!("--{}", name.replace(['.', '_'], "-"));
            self.values.insert(name, Set { value: value.to_string(), from: flag });
        }
    }

    fn read_file(&mut self, path: &str, text: &str) -> Result<(), Failure> {
        let table: Table =
            text.parse().map_err(|error| usage(format!("{path} is not TOML: {error}")))?;
        self.read_table(path, "", &table)
    }

    fn read_table(&mut self, path: &str, section: &str, table: &Table) -> Result<(), Failure> {
        for (name, value) in table {
            let name = format!("{section}{name}");
            match value {
                Value::Table(properties) if name == PROPERTIES => {
                    for (property, value) in properties {
                        let value = scalar(value).ok_or_else(|| {
                            usage(format!("{path}: `{name}.{property}` must be a text, a number, or true or false"))
                        })?;
                        self.properties.push((property.clone(), value));
                    }
                }
                Value::Table(inner) if is_section(&name) => {
                    self.read_table(path, &format!("{name}."), inner)?;
                }
                value => {
                    let key = KEYS.iter().find(|key| key.name == name).ok_or_else(|| {
                        usage(format!("{path}: there is no setting `{name}`{}", suggestion(&name)))
                    })?;
                    let value = scalar(value).ok_or_else(|| {
                        usage(format!(
                            "{path}: `{name}` must be a text, a number, or true or false"
                        ))
                    })?;
                    self.values.insert(key.name, Set { value, from: path.to_owned() });
                }
            }
        }
        Ok(())
    }

    pub(crate) fn read_variable(&mut self, variable: &str, value: String) -> Result<(), Failure> {
        if !variable.starts_with(ENVIRONMENT_PREFIX)
            || OTHER_VARIABLES.contains(&variable)
            || value.is_empty()
        {
            return Ok(());
        }
        if let Some(key) = KEYS.iter().find(|key| variable_of(key.name) == variable) {
            self.values.insert(key.name, Set { value, from: variable.to_owned() });
            return Ok(());
        }
        let known: Vec<String> = KEYS.iter().map(|key| variable_of(key.name)).collect();
        // What they all begin with says nothing about how near they are.
        let tails = known.iter().filter_map(|known| known.strip_prefix(ENVIRONMENT_PREFIX));
        match domain::nearest(variable.strip_prefix(ENVIRONMENT_PREFIX).unwrap_or(variable), tails)
        {
            Some(near) => Err(usage(format!(
                "there is no setting {variable}; did you mean {ENVIRONMENT_PREFIX}{near}?"
            ))),
            None => Ok(()),
        }
    }

    /// All keys, with what is set of them; secrets are not shown.
    pub(crate) fn shown(&self) -> Vec<ShownSetting> {
        KEYS.iter()
            .map(|key| {
                let set = self.values.get(key.name);
                let value = set.map(|set| match SECRETS.contains(&key.name) {
                    true => "[redacted]".to_owned(),
                    false => set.value.clone(),
                });
                let from = set.map(|set| set.from.clone());
                ShownSetting { name: key.name, about: key.about, value, from }
            })
            .collect()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(KEYS.iter().any(|key| key.name == name), "{name} is no setting");
        self.values.get(name).map(|set| set.value.as_str())
    }

    /// Where a setting was made.
    pub(crate) fn origin(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|set| set.from.as_str())
    }

    /// A setting of another type.
    pub(crate) fn parsed<T: std::str::FromStr>(
        &self,
        name: &str,
        what: &str,
    ) -> Result<Option<T>, Failure> {
        let Some(set) = self.values.get(name) else { return Ok(None) };
        set.value.parse().map(Some).map_err(|_| {
            usage(format!("{}: `{name}` must be {what}, not {:?}", set.from, set.value))
        })
    }

    /// What is passed on to librdkafka.
    pub(crate) fn kafka_properties(&self) -> &[(String, String)] {
        &self.properties
    }

    pub(crate) fn clickhouse_password(&self) -> Result<Option<String>, Failure> {
        if let Some(password) = self.text("clickhouse.password") {
            return Ok(Some(password.to_owned()));
        }
        let Some(file) = self.text("clickhouse.password_file") else { return Ok(None) };
        std::fs::read_to_string(file)
            .map(|text| Some(text.trim_end_matches(['\r', '\n']).to_owned()))
            .map_err(|error| usage(format!("clickhouse.password_file {file}: {error}")))
    }

    /// The data folder: as set, else tally's in the user's data folder.
    pub(crate) fn data_folder(&self) -> Result<PathBuf, Failure> {
        match self.text("data") {
            Some(data) => Ok(PathBuf::from(data)),
            None => default_data_folder(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = formatter.debug_map();
        for (name, set) in &self.values {
            let shown = if SECRETS.contains(name) { "[redacted]" } else { set.value.as_str() };
            map.entry(name, &shown);
        }
        for (name, _) in &self.properties {
            map.entry(name, &"[redacted]");
        }
        map.finish()
    }
}

/// `$XDG_DATA_HOME/tally`, or where that stands for when it is not set.
pub(crate) fn default_data_folder() -> Result<PathBuf, Failure> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(data) = folder("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute())
    {
        return Ok(data.join("tally"));
    }
    let home = folder("HOME").map(PathBuf::from).ok_or_else(|| {
        usage("no home folder: say with --data where tally may keep its files".to_owned())
    })?;
    let data =
        if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    Ok(home.join(data).join("tally"))
}

/// The environment variable of a key.
pub(crate) fn variable_of(name: &str) -> String {
    format!("{ENVIRONMENT_PREFIX}{}", name.replace('.', "_").to_uppercase())
}

fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.name.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn suggestion(name: &str) -> String {
    let sections = KEYS.iter().filter_map(|key| Some(key.name.split_once('.')?.0));
    let names = KEYS.iter().map(|key| key.name).chain(sections).chain([PROPERTIES]);
    match domain::nearest(name, names) {
        Some(near) => format!("; did you mean `{near}`?"),
        None => "; `tally settings` lists them".to_owned(),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(truth) => Some(truth.to_string()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

fn usage(message: String) -> Failure {
    Failure::Usage(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        settings.read_file("tally.toml", text)?;
        Ok(settings)
    }

    #[test]
    fn flags_beat_the_environment_and_the_environment_beats_the_file() {
        let mut settings =
            file("data = \"/file\"\nurl = \"http://file\"\n[kafka]\nprefix = \"file\"").unwrap();
        settings.read_variable("TALLY_URL", "http://environment".to_owned()).unwrap();
        settings.read_variable("TALLY_KAFKA_PREFIX", "environment".to_owned()).unwrap();
        settings.flag("url", Some("http://flag"));
        assert_eq!(settings.text("data"), Some("/file"));
        assert_eq!(settings.text("kafka.prefix"), Some("environment"));
        assert_eq!(settings.text("url"), Some("http://flag"));
    }

    #[test]
    fn an_unknown_key_names_its_nearest_neighbour() {
        for (text, expected) in [
            ("dat = 1", "tally.toml: there is no setting `dat`; did you mean `data`?"),
            (
                "[clickhouse]\nuser_name = 1\n",
                "tally.toml: there is no setting `clickhouse.user_name`; did you mean `clickhouse.user`?",
            ),
            (
                "[clikhouse]\nurl = \"x\"\n",
                "tally.toml: there is no setting `clikhouse`; did you mean `clickhouse`?",
            ),
            (
                "[kafka.propertys]\nx = 1",
                "tally.toml: there is no setting `kafka.propertys`; did you mean `kafka.properties`?",
            ),
            ("zebra = 1", "tally.toml: there is no setting `zebra`; `tally settings` lists them"),
        ] {
            assert_eq!(file(text).unwrap_err().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn a_misspelt_variable_is_an_error_and_kubernetes_own_are_not() {
        let mut settings = Settings::default();
        let error = settings.read_variable("TALLY_CLICKHOUS_URL", "x".to_owned()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no setting TALLY_CLICKHOUS_URL; did you mean TALLY_CLICKHOUSE_URL?"
        );
        for variable in [
            "TALLY_SERVICE_HOST",
            "TALLY_PORT",
            "TALLY_PORT_9400_TCP_ADDR",
            "TALLY_CLICKHOUSE_LIBRARY",
            "HOME",
        ] {
            settings.read_variable(variable, "x".to_owned()).unwrap();
        }
        assert!(settings.values.is_empty());
    }

    #[test]
    fn a_value_of_the_wrong_type_says_where_it_stands() {
        let settings = file("partitions = \"eight\"").unwrap();
        let error = settings.parsed::<u32>("partitions", "a number").unwrap_err();
        assert_eq!(error.to_string(), "tally.toml: `partitions` must be a number, not \"eight\"");
        assert!(file("partitions = [8]").is_err());
        assert!(file("partitions = 8\npartitions = 9").is_err());
    }

    #[test]
    fn secrets_never_print() {
        let settings = file(
            "[clickhouse]\npassword = \"hunter2\"\n[kafka.properties]\n\"sasl.password\" = \"hunter3\"",
        )
        .unwrap();
        let shown = format!("{settings:?}");
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(
            settings.kafka_properties(),
            [("sasl.password".to_owned(), "hunter3".to_owned())]
        );
    }
}
