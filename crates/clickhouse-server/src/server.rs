//! The handle on a running server.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{self, Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use subprocess::{Launch, Subprocess, SubprocessError};

use crate::settings::{Settings, configuration_of};

/// A start takes a fifth of a second; a folder with much data, or a machine under load, longer.
const READY_PATIENCE: Duration = Duration::from_secs(60);
/// Nothing is lost by a kill: what was acknowledged is in files.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// How a server process comes to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// The `clickhouse` program.
    Binary(PathBuf),
    /// A program that calls [`serve`](crate::serve): run with `arguments`, then `--library LIBRARY --directory DIRECTORY`.
    Library { library: PathBuf, program: PathBuf, arguments: Vec<OsString> },
}

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("the server's folder {path}: {source}")]
    Folder { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Process(#[from] SubprocessError),
}

/// A ClickHouse server of ours, ready since [`Server::start`] returned. Dropped, it is killed; its folder stays.
#[derive(Debug)]
pub struct Server {
    launcher: Launcher,
    settings: Settings,
    process: Subprocess,
}

impl Server {
    /// Starts a server over `settings.directory` and waits until it answers.
    pub fn start(launcher: Launcher, mut settings: Settings) -> Result<Self, ServerError> {
        // The server runs in its own folder, so a relative path would mean another one there.
        settings.directory = path::absolute(&settings.directory)
            .map_err(|source| ServerError::Folder { path: settings.directory.clone(), source })?;
        let process = launch(&launcher, &settings)?;
        Ok(Self { launcher, settings, process })
    }

    /// Starts it again, on the same folder and ports, after [`stop`](Self::stop) or [`kill`](Self::kill) (a server that
    /// still runs is killed).
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.process.kill()?;
        self.process = launch(&self.launcher, &self.settings)?;
        Ok(())
    }

    pub fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.settings.http_port)
    }

    pub fn http_port(&self) -> u16 {
        self.settings.http_port
    }

    pub fn native_port(&self) -> u16 {
        self.settings.native_port
    }

    pub fn directory(&self) -> &Path {
        &self.settings.directory
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// False once the process has ended, however it ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.process.ended(), Ok(None))
    }

    /// The last lines that the server printed.
    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }

    pub fn stop(&mut self) -> Result<(), ServerError> {
        Ok(self.process.stop(STOP_PATIENCE)?)
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<(), ServerError> {
        Ok(self.process.kill()?)
    }

    /// SIGSTOP: it takes connections and never answers.
    pub fn pause(&mut self) -> Result<(), ServerError> {
        Ok(self.process.pause()?)
    }

    pub fn resume(&mut self) -> Result<(), ServerError> {
        Ok(self.process.resume()?)
    }
}

fn launch(launcher: &Launcher, settings: &Settings) -> Result<Subprocess, ServerError> {
    settings
        .write()
        .map_err(|source| ServerError::Folder { path: settings.directory.clone(), source })?;
    let mut process = Subprocess::spawn(Launch {
        name: "ClickHouse",
        command: command(launcher, &settings.directory),
        log: settings.log(),
    })?;
    process.wait_ready(READY_PATIENCE, || {
        ping(settings.http_port).unwrap_or(false) && accepts(settings.native_port)
    })?;
    Ok(process)
}

fn command(launcher: &Launcher, directory: &Path) -> Command {
    let mut command = match launcher {
        Launcher::Binary(binary) => {
            let mut command = Command::new(binary);
            command.arg("server").arg("--config-file").arg(configuration_of(directory));
            command
        }
        Launcher::Library { library, program, arguments } => {
            let mut command = Command::new(program);
            command.args(arguments).arg("--library").arg(library).arg("--directory").arg(directory);
            command
        }
    };
    // The library takes the time zone from here and not from its configuration.
    command.env("TZ", "UTC").current_dir(directory);
    command
}

/// ClickHouse answers `GET /ping` with `Ok.` as soon as it takes queries. Spoken by hand: this crate needs no HTTP client
/// for one line.
fn ping(port: u16) -> io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&loopback(port), PING_TIMEOUT)?;
    stream.set_read_timeout(Some(PING_TIMEOUT))?;
    stream.set_write_timeout(Some(PING_TIMEOUT))?;
    stream.write_all(b"GET /ping HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}

fn accepts(port: u16) -> bool {
    TcpStream::connect_timeout(&loopback(port), PING_TIMEOUT).is_ok()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
