//! Third-party runtimes, found on the machine or installed into the user's cache folder.
//!
//! tally runs a ClickHouse of its own when there is none, and its tests run a real Kafka. Both come from the package
//! registries that the machine's own clients (`npm`, `mvn`) are set up for; this crate knows package names, versions and
//! checksums, and no addresses. What is installed once is found at once the next time, by any clone.
//!
//! Architecture invariant: nothing here starts a server, and nothing here is downloaded by any other means than those
//! clients.

mod cache;
mod clickhouse;
mod kafka;
mod tools;

use std::io;
use std::path::PathBuf;

pub use cache::cache_folder;
pub use clickhouse::{CLICKHOUSE_LIBRARY_VARIABLE, Engine, clickhouse, clickhouse_library};
pub use kafka::{java, kafka_libs};
pub use tools::find_on_path;

/// Told, in one line each, what is about to take a while.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{tool} not found: {how_to_get_it}")]
    MissingTool { tool: &'static str, how_to_get_it: &'static str },
    #[error("no home folder: set XDG_CACHE_HOME or HOME to say where downloads are kept")]
    NoCacheFolder,
    #[error(
        "there is no embedded ClickHouse for this machine ({0}): install ClickHouse, or give the URL of one"
    )]
    UnsupportedPlatform(String),
    #[error("{variable} names {path}, which is not a file")]
    NotAFile { variable: &'static str, path: PathBuf },
    #[error("`{command}` failed ({status}):\n{output}")]
    ToolFailed { command: String, status: String, output: String },
    #[error("{what} is not what was pinned: its sha-512 is {found}, not {pinned}")]
    WrongContent { what: String, found: String, pinned: String },
    #[error("{what} lacks {missing}")]
    Incomplete { what: String, missing: String },
    #[error("{}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl FetchError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
