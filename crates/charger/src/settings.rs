//! What a deployment may set about its charger.

use std::path::PathBuf;
use std::time::Duration;

use domain::Topic;
use eventlog::Permissions;
use flow::BrakeLimits;

/// What a charger does with the log.
pub const PERMISSIONS: Permissions = Permissions {
    service: "charger",
    reads: &[
        Topic::UsageRaw,
        Topic::UsageForwarded,
        Topic::LedgerCommands,
        Topic::LedgerEntries,
        Topic::RatesCatalog,
    ],
    writes: &[
        Topic::LedgerEntries,
        Topic::UsageForwarded,
        Topic::DeadLetters,
        Topic::Replies,
        Topic::AccountEvents,
    ],
    groups: "tally-charger",
    writers: Some("tally-charger-"),
};

/// Settings of one charger.
#[derive(Clone, Debug)]
pub struct ChargerSettings {
    /// How many partitions the topics have; fixed when the deployment was created.
    pub partitions: u32,
    pub group: String,
    /// The transactional name, stable per replica slot.
    pub writer: String,
    /// Where snapshots and identity runs are kept. They are a cache.
    pub state_dir: PathBuf,
    /// How long a batch of usage may stay open.
    pub commit_every: Duration,
    /// Inputs per batch and partition: bounds a seal's size.
    pub batch_inputs_max: u64,
    /// Bytes to be written per batch and partition: bounds what a projection stores at once.
    pub batch_bytes_max: usize,
    /// Inputs between snapshots, per partition.
    pub snapshot_every_inputs: u64,
    /// Identities kept in memory, per partition; older ones are looked up in their runs.
    pub hot_identities_max: usize,
    pub brake: BrakeLimits,
}

impl ChargerSettings {
    /// The defaults, for a deployment of so many partitions.
    pub fn new(partitions: u32, state_dir: PathBuf) -> Self {
        Self {
            partitions,
            group: "tally-charger".to_owned(),
            writer: "tally-charger-0".to_owned(),
            state_dir,
            commit_every: Duration::from_millis(100),
            batch_inputs_max: 20_000,
            batch_bytes_max: 8 * 1024 * 1024,
            snapshot_every_inputs: 500_000,
            hot_identities_max: 4_000_000,
            brake: BrakeLimits::default(),
        }
    }
}
