//! One running server process.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::spawner;
use crate::wait::wait_until;

/// How much of the log an error quotes.
const LOG_TAIL_LINES: usize = 30;

/// What to start.
#[derive(Debug)]
pub struct Launch {
    /// For messages: "Kafka", "ClickHouse".
    pub name: &'static str,
    pub command: Command,
    /// Standard output and standard error are appended here.
    pub log: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum SubprocessError {
    #[error("{name} could not be started ({program}): {source}")]
    NotStarted { name: &'static str, program: String, source: io::Error },
    #[error("{name} ended before it was ready ({status}); its log {log} says:\n{tail}")]
    EndedEarly { name: &'static str, status: ExitStatus, log: PathBuf, tail: String },
    #[error("{name} was not ready after {} s; its log {log} says:\n{tail}", .patience.as_secs())]
    NotReady { name: &'static str, patience: Duration, log: PathBuf, tail: String },
    #[error("{name} (process {pid}): {source}")]
    NotSignalled { name: &'static str, pid: u32, source: io::Error },
}

/// A server process of ours. Dropped, it is killed; killed with this whole process (Linux), it is too.
#[derive(Debug)]
pub struct Subprocess {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Subprocess {
    pub fn spawn(launch: Launch) -> Result<Self, SubprocessError> {
        let Launch { name, mut command, log } = launch;
        let program = command.get_program().to_string_lossy().into_owned();
        let not_started = |source| SubprocessError::NotStarted { name, program, source };
        let output = match OpenOptions::new().create(true).append(true).open(&log) {
            Ok(file) => file,
            Err(source) => return Err(not_started(source)),
        };
        let errors = match output.try_clone() {
            Ok(file) => file,
            Err(source) => return Err(not_started(source)),
        };
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        match spawner::spawn(command) {
            Ok(child) => Ok(Self { name, child, log }),
            Err(source) => Err(not_started(source)),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Asks `ready` until it says yes. A server that ends meanwhile, or takes longer than `patience`, is an error that
    /// quotes its log.
    pub fn wait_ready(
        &mut self,
        patience: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), SubprocessError> {
        let mut ended = None;
        let waited = wait_until(patience, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some() || ready()
        });
        let (name, log) = (self.name, self.log.clone());
        match (ended, waited) {
            (Some(status), _) => {
                Err(SubprocessError::EndedEarly { name, status, log, tail: self.log_tail() })
            }
            (None, Err(_)) => {
                Err(SubprocessError::NotReady { name, patience, log, tail: self.log_tail() })
            }
            (None, Ok(())) => Ok(()),
        }
    }

    /// The exit status when the process has ended.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks it to end (SIGTERM) and waits; past `patience` it is killed.
    pub fn stop(&mut self, patience: Duration) -> Result<(), SubprocessError> {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return Ok(());
        }
        self.signal(libc::SIGTERM)?;
        // A paused process would not see it.
        self.signal(libc::SIGCONT)?;
        match wait_until(patience, || matches!(self.child.try_wait(), Ok(Some(_)))) {
            Ok(()) => Ok(()),
            Err(_) => self.kill(),
        }
    }

    /// `kill -9`, and waits until the process is gone.
    pub fn kill(&mut self) -> Result<(), SubprocessError> {
        let (name, pid) = (self.name, self.pid());
        let not_signalled = |source| SubprocessError::NotSignalled { name, pid, source };
        self.child.kill().map_err(not_signalled)?;
        self.child.wait().map_err(not_signalled)?;
        Ok(())
    }

    /// Stops it in its tracks (SIGSTOP): alive, silent, its sockets open.
    pub fn pause(&mut self) -> Result<(), SubprocessError> {
        self.signal(libc::SIGSTOP)
    }

    pub fn resume(&mut self) -> Result<(), SubprocessError> {
        self.signal(libc::SIGCONT)
    }

    /// The last lines of its log.
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    fn signal(&mut self, signal: libc::c_int) -> Result<(), SubprocessError> {
        let (name, pid) = (self.name, self.pid());
        let not_signalled = |source| SubprocessError::NotSignalled { name, pid, source };
        // Once reaped, the pid may be another process's.
        if self.child.try_wait().map_err(not_signalled)?.is_some() {
            return Err(not_signalled(io::Error::from_raw_os_error(libc::ESRCH)));
        }
        // SAFETY: kill takes two integers and has no memory effects.
        if unsafe { libc::kill(pid as libc::pid_t, signal) } == 0 {
            return Ok(());
        }
        Err(not_signalled(io::Error::last_os_error()))
    }
}

impl Drop for Subprocess {
    fn drop(&mut self) {
        // Already gone is as good; there is nobody to tell anything else.
        drop(self.kill());
    }
}
