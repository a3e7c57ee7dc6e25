//! Starts services as processes, kills them, starts them again, and notices one that ends by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use subprocess::{Launch, Subprocess};

use crate::service::ServiceSettings;

/// How long a service may take to end in order.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// One service and the process that it is at the moment.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    program: PathBuf,
    log: PathBuf,
    pub settings: ServiceSettings,
    process: Subprocess,
    /// How often it was killed.
    pub kills: u32,
}

impl Service {
    /// Starts it. `program` is `e2e-service`; its output goes to a file in `folder`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        name: &'static str,
        program: &str,
        folder: &Path,
        settings: ServiceSettings,
    ) -> anyhow::Result<Self> {
        let program = PathBuf::from(program);
        let log = folder.join(format!("{name}.log"));
        let process = spawn(name, &program, &log, &settings)?;
        Ok(Self { name, program, log, settings, process, kills: 0 })
    }

    /// `kill -9`, and at once the next process.
    ///
    /// # Errors
    /// When it had ended by itself, or cannot be started again.
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.must_run()?;
        self.process.kill()?;
        self.kills += 1;
        self.process = spawn(self.name, &self.program, &self.log, &self.settings)?;
        Ok(())
    }

    /// Starts it again when it has ended by itself; returns whether it had.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_if_ended(&mut self) -> anyhow::Result<bool> {
        let ended = self.process.ended()?.is_some();
        if ended {
            self.process = spawn(self.name, &self.program, &self.log, &self.settings)?;
        }
        Ok(ended)
    }

    /// # Errors
    /// With the end of its log, when it has ended by itself.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.process.ended()? {
            bail!("{} ended by itself ({status}):\n{}", self.name, self.process.log_tail());
        }
        Ok(())
    }

    /// SIGTERM: it ends in order.
    ///
    /// # Errors
    /// When it had ended before, or does not end well.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.must_run()?;
        self.process.stop(STOP_PATIENCE)?;
        let status = self.process.ended()?.context("it has been waited for")?;
        if !status.success() {
            bail!("{} ended badly ({status}):\n{}", self.name, self.process.log_tail());
        }
        Ok(())
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> anyhow::Result<()> {
        Ok(self.process.pause()?)
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it has ended.
    pub fn resume(&mut self) -> anyhow::Result<()> {
        Ok(self.process.resume()?)
    }

    /// How often a text stands in its output.
    ///
    /// # Errors
    /// When its output cannot be read.
    pub fn logged(&self, text: &str) -> anyhow::Result<usize> {
        Ok(std::fs::read_to_string(&self.log)?.matches(text).count())
    }

    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn spawn(
    name: &'static str,
    program: &Path,
    log: &Path,
    settings: &ServiceSettings,
) -> anyhow::Result<Subprocess> {
    let mut command = Command::new(program);
    command.arg(serde_json::to_string(settings)?);
    Ok(Subprocess::spawn(Launch { name, command, log: log.to_owned() })?)
}
