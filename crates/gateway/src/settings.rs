//! What a deployment may set about its gateway, and the limits of the API.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::Topic;
use eventlog::Permissions;

/// What a gateway does with the log. Publishing prices takes a transactional name.
pub const PERMISSIONS: Permissions = Permissions {
    service: "gateway",
    reads: &Topic::ALL,
    writes: &[
        Topic::UsageRaw,
        Topic::LedgerCommands,
        Topic::DeadLetters,
        Topic::RatesCatalog,
        Topic::Access,
        Topic::WebhookDeliveries,
    ],
    groups: "tally-",
    writers: Some("tally-rates"),
};
/// The most events in one request to `/v1/events`.
pub const EVENTS_MAX: usize = 1_000;
/// The most lines in one request to `/v1/ingest`.
pub const LINES_MAX: usize = 5_000;
/// The largest body, after decompression.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Settings of one gateway.
#[derive(Clone, Debug)]
pub struct GatewaySettings {
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// How many partitions the topics have; fixed when the deployment was created.
    pub partitions: u32,
    /// What `/v1/status` calls the log: `embedded` or `kafka`.
    pub log_name: &'static str,
    /// No other gateway can be over the same log: what one before left in the middle has no owner.
    pub alone: bool,
    /// Where the first operator key is written, when there is none yet. It has to be set then.
    pub operator_key_file: Option<PathBuf>,
    /// Where this process keeps what it must not lose, and its state: `/v1/doctor` looks at the
    /// disks and the permissions there.
    pub data_folder: Option<PathBuf>,
    pub state_folder: Option<PathBuf>,
    /// Where webhooks may be.
    pub webhooks: notifier::Reach,
    /// The same API over TLS, beside the plain listener.
    pub tls: Option<crate::TlsSettings>,
    /// How long a command waits for its reply.
    pub command_patience: Duration,
    /// How long publishing waits for every partition to take the version into use.
    pub adoption_patience: Duration,
    /// How long `/v1/verify` waits for ClickHouse to reach the ledger's end.
    pub projection_patience: Duration,
}

impl GatewaySettings {
    /// The defaults: loopback, a free port.
    pub fn new(partitions: u32) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            partitions,
            log_name: "embedded",
            alone: false,
            operator_key_file: None,
            data_folder: None,
            state_folder: None,
            tls: None,
            webhooks: notifier::Reach::default(),
            command_patience: Duration::from_secs(15),
            adoption_patience: Duration::from_secs(30),
            projection_patience: Duration::from_secs(60),
        }
    }
}
