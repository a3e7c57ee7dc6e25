//! The handle: a connection, a database, and the suffix of the tables it works on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use domain::{Offset, Partition};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use projection::tables::Table;

use crate::ddl::{identifier, literal};
use crate::error::WarehouseError;
use crate::settings::Settings;

/// A ClickHouse database with tally's tables. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Warehouse {
    /// Requests run in the database.
    pub(crate) client: Client,
    /// Requests run outside it: a request that names a database that does not exist is refused.
    pub(crate) outside: Client,
    pub(crate) settings: Arc<Settings>,
    /// Settings that this server knows and that must be pinned where it does.
    pub(crate) pinned: Arc<[(&'static str, &'static str)]>,
    suffix: Arc<str>,
}

/// A suffix that is not 1 to 32 lowercase letters, digits and underscores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a suffix has 1 to 32 lowercase letters, digits and underscores")]
pub struct BadSuffix;

/// How long a connection that nobody uses is kept: a second less than the server's default.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(2);
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// The library's own client, or the same over TLS.
fn http_client(settings: &Settings) -> Result<Client, WarehouseError> {
    if !settings.url.starts_with("https://") {
        return Ok(Client::default());
    }
    let config = trust::client_config(settings.ca_file.as_deref())
        .map_err(|error| WarehouseError::Misconfigured(error.to_string()))?;
    let mut tcp = HttpConnector::new();
    tcp.set_keepalive(Some(TCP_KEEPALIVE));
    tcp.enforce_http(false);
    let tls = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .wrap_connector(tcp);
    let http =
        HyperClient::builder(TokioExecutor::new()).pool_idle_timeout(POOL_IDLE_TIMEOUT).build(tls);
    Ok(Client::with_http_client(http))
}

/// Settings of newer servers that override older ones, or that could cut an insert in two.
const OPTIONAL_SETTINGS: [(&str, &str); 2] =
    [("deduplicate_insert", "enable"), ("max_insert_block_size_bytes", "0")];

#[derive(serde::Deserialize)]
struct KnownSetting {
    name: String,
}

impl Warehouse {
    /// Connects, and asks the server which of the settings to pin it knows. Makes nothing: see
    /// [`Warehouse::migrate`].
    pub async fn connect(settings: Settings) -> Result<Self, WarehouseError> {
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        if settings.database.is_empty() || !settings.database.chars().all(is_name) {
            return Err(WarehouseError::Misconfigured(format!(
                "a database's name has letters, digits and underscores, not {:?}",
                settings.database
            )));
        }
        let mut client = http_client(&settings)?
            .with_url(&settings.url)
            .with_product_info("tally", env!("CARGO_PKG_VERSION"))
            // Answers are read as text; the crate's own row types are not used.
            .with_validation(false);
        if !settings.user.is_empty() {
            client = client.with_user(&settings.user).with_password(settings.password.expose());
        }
        let mut warehouse = Self {
            client: client.clone().with_database(&settings.database),
            outside: client,
            settings: Arc::new(settings),
            pinned: Arc::new([]),
            suffix: Arc::from(""),
        };
        let known = warehouse.known_settings().await?;
        warehouse.pinned = OPTIONAL_SETTINGS
            .into_iter()
            .filter(|(name, _)| known.iter().any(|known| known.name == *name))
            .collect();
        Ok(warehouse)
    }

    async fn known_settings(&self) -> Result<Vec<KnownSetting>, WarehouseError> {
        let names = OPTIONAL_SETTINGS.map(|(name, _)| literal(name)).join(", ");
        self.query_system(&format!("SELECT name FROM system.settings WHERE name IN ({names})"))
            .await
    }

    /// The same database with other tables: those that carry `suffix`, beside the live ones.
    pub fn shadow(&self, suffix: &str) -> Result<Self, BadSuffix> {
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if suffix.is_empty() || suffix.len() > 32 || !suffix.bytes().all(is_name) {
            return Err(BadSuffix);
        }
        Ok(Self { suffix: Arc::from(format!("__{suffix}")), ..self.clone() })
    }

    /// Whether these are the tables that analysts read.
    pub fn is_live(&self) -> bool {
        self.suffix.is_empty()
    }

    pub fn database(&self) -> &str {
        &self.settings.database
    }

    /// What a table is called here.
    pub fn table_name(&self, table: &Table) -> String {
        format!("{}{}", table.name, self.suffix)
    }

    /// `` `database`.`table` ``.
    pub(crate) fn qualified(&self, table: &Table) -> String {
        format!("{}.{}", identifier(self.database()), identifier(&self.table_name(table)))
    }

    /// How far a table has come: the largest offset per partition of the log that its rows come
    /// from (`ledger.entries` for all but the dead letters). Empty for a table without positions.
    pub async fn max_offsets(
        &self,
        table: &Table,
    ) -> Result<BTreeMap<Partition, Offset>, WarehouseError> {
        let Some(position) = table.position else { return Ok(BTreeMap::new()) };
        let sql = format!(
            "SELECT {partition} AS p, max({offset}) AS o FROM {table} GROUP BY p",
            partition = identifier(position.partition),
            offset = identifier(position.offset),
            table = self.qualified(table),
        );
        #[derive(serde::Deserialize)]
        struct Row {
            p: Partition,
            o: Offset,
        }
        let rows: Vec<Row> = self.query_rows(&sql).await?;
        Ok(rows.into_iter().map(|row| (row.p, row.o)).collect())
    }

    /// The largest offset of one partition in a table; `None` when it has no row of it.
    pub(crate) async fn max_offset(
        &self,
        table: &Table,
        partition: Partition,
    ) -> Result<Option<Offset>, WarehouseError> {
        let Some(position) = table.position else { return Ok(None) };
        let sql = format!(
            "SELECT maxOrNull({offset}) AS o FROM {table} WHERE {column} = {partition}",
            offset = identifier(position.offset),
            table = self.qualified(table),
            column = identifier(position.partition),
        );
        #[derive(serde::Deserialize)]
        struct Row {
            o: Option<Offset>,
        }
        let rows: Vec<Row> = self.query_rows(&sql).await?;
        Ok(rows.into_iter().find_map(|row| row.o))
    }
}
