//! One real ClickHouse server.

use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

use clickhouse_server::{Launcher, Server, Settings};
use fetch::Engine;
use tempfile::TempDir;

use crate::{TestkitError, free_port, launcher, temp_dir};

const MEMORY_MB_MAX: u32 = 2_048;

/// A running server with nothing in it, ready since [`ClickHouse::start`] returned. Dropped, it is killed and its data
/// removed. What it can do ([`Server::kill`], [`Server::restart`], [`Server::http_url`], …) is the server's own.
///
/// Create a database for the test. Run from the library, `default` is an overlay over the files of the server's folder: an
/// unknown table is looked for as a file, and `EXCHANGE TABLES` is refused.
#[derive(Debug)]
pub struct ClickHouse {
    // Dropped in this order: the server before its folder.
    server: Server,
    _folder: TempDir,
}

impl ClickHouse {
    pub fn start() -> Result<Self, TestkitError> {
        let folder = temp_dir()?;
        let directory = folder.path().to_owned();
        Self::start_in(directory, folder)
    }

    /// Keeps its data in a folder of the caller's.
    pub fn start_on(directory: PathBuf) -> Result<Self, TestkitError> {
        Self::start_in(directory, temp_dir()?)
    }

    fn start_in(directory: PathBuf, folder: TempDir) -> Result<Self, TestkitError> {
        let launcher = match fetch::clickhouse(&mut |line| eprintln!("{line}"))? {
            Engine::Binary(binary) => Launcher::Binary(binary),
            Engine::Library(library) => {
                Launcher::Library { library, program: launcher::program()?, arguments: Vec::new() }
            }
        };
        let free = || free_port().map_err(TestkitError::io("a free port"));
        let settings = Settings {
            directory,
            http_port: free()?,
            native_port: free()?,
            memory_mb_max: MEMORY_MB_MAX,
        };
        Ok(Self { server: Server::start(launcher, settings)?, _folder: folder })
    }
}

impl Deref for ClickHouse {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for ClickHouse {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
