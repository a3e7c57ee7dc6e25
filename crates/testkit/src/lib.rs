//! Real servers for tests: Kafka and ClickHouse, started and stopped by the test that needs them.
//!
//! Both run as child processes on loopback ports of their own, over a temporary folder, and end with the test process
//! however it ends. A test that only needs a broker shares one with its neighbours ([`Kafka::shared`]) and keeps to topics
//! of its own; a test that kills, pauses or restarts starts its own.
//!
//! Architecture invariant: testkit knows neither rdkafka nor the clickhouse crate. It starts servers; talking to them is
//! the business of the crates under test.

mod authority;
mod clickhouse;
mod disk;
mod kafka;
mod kafka_probe;
mod launcher;
mod proxy;
mod shared;
mod tls;

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

pub use authority::Authority;
pub use clickhouse::ClickHouse;
pub use disk::SmallDisk;
pub use kafka::{Kafka, KafkaOptions, KafkaUsers};
pub use proxy::{HttpMode, HttpProxy, KafkaDeed, KafkaProxy, KafkaRequest};
pub use subprocess::{TimedOut, free_port, wait_until};
pub use tempfile::TempDir;
pub use tls::{TlsFront, http_client};

#[derive(Debug, thiserror::Error)]
pub enum TestkitError {
    #[error(transparent)]
    Fetch(#[from] fetch::FetchError),
    #[error(transparent)]
    Process(#[from] subprocess::SubprocessError),
    #[error(transparent)]
    ClickHouse(#[from] clickhouse_server::ServerError),
    #[error("{what}: {source}")]
    Io { what: String, source: io::Error },
    #[error("a certificate: {0}")]
    Certificate(String),
    #[error("`{command}` failed ({status}): {output}")]
    CommandFailed { command: String, status: ExitStatus, output: String },
    #[error(
        "{0} is not a build folder of cargo's, so the ClickHouse launcher cannot be found beside it"
    )]
    NotABuildFolder(PathBuf),
}

impl TestkitError {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// A folder that is removed when dropped.
pub fn temp_dir() -> Result<TempDir, TestkitError> {
    tempfile::Builder::new()
        .prefix("tally-test-")
        .tempdir()
        .map_err(TestkitError::io("a temporary folder"))
}
