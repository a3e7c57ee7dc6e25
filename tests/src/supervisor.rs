//! Starts services as processes, kills them, starts them again, and notices one that ends by itself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail};
use sabotage::ARMED_VARIABLE;
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
    /// What its environment has besides, in every life.
    environment: Vec<(String, String)>,
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
        Self::start_in(name, program, folder, settings, Vec::new())
    }

    /// The same, with variables in its environment.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_in(
        name: &'static str,
        program: &str,
        folder: &Path,
        settings: ServiceSettings,
        environment: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let program = PathBuf::from(program);
        let log = folder.join(format!("{name}.log"));
        let process = spawn((name, &program, &log), &settings, &environment)?;
        Ok(Self { name, program, log, settings, environment, process, kills: 0 })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    fn spawn(&self, armed: Option<&str>) -> anyhow::Result<Subprocess> {
        let mut environment = self.environment.clone();
        if let Some(armed) = armed {
            environment.push((ARMED_VARIABLE.to_owned(), armed.to_owned()));
        }
        spawn((self.name, &self.program, &self.log), &self.settings, &environment)
    }

    /// `kill -9`, and at once a process that something happens to at a point of its code.
    ///
    /// # Errors
    /// When it had ended by itself, or cannot be started again.
    pub fn kill_and_restart_armed(&mut self, armed: &str) -> anyhow::Result<()> {
        self.must_run()?;
        self.process.kill()?;
        self.kills += 1;
        self.process = self.spawn(Some(armed))?;
        Ok(())
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// When it had ended by itself.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.must_run()?;
        self.process.kill()?;
        self.kills += 1;
        Ok(())
    }

    /// Starts it again after [`Self::kill`] or [`Self::stop`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.process = self.spawn(None)?;
        Ok(())
    }

    /// Whether it has ended, however.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn has_ended(&mut self) -> anyhow::Result<bool> {
        Ok(self.process.ended()?.is_some())
    }

    /// Whether it was stopped in its tracks (SIGSTOP), by whomever.
    pub fn is_paused(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.pid()));
        // The state stands after the program's name, which is in parentheses.
        stat.is_ok_and(|stat| {
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
        })
    }

    /// `kill -9`, and at once the next process.
    ///
    /// # Errors
    /// When it had ended by itself, or cannot be started again.
    pub fn kill_and_restart(&mut self) -> anyhow::Result<()> {
        self.must_run()?;
        self.process.kill()?;
        self.kills += 1;
        self.restart()
    }

    /// Starts it again when it has ended by itself; returns whether it had.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn restart_if_ended(&mut self) -> anyhow::Result<bool> {
        let ended = self.process.ended()?.is_some();
        if ended {
            self.restart()?;
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
        Ok(self.log()?.matches(text).count())
    }

    /// All that it and those before it printed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(&self.log)?)
    }

    pub fn log_tail(&self) -> String {
        self.process.log_tail()
    }
}

fn spawn(
    (name, program, log): (&'static str, &Path, &Path),
    settings: &ServiceSettings,
    environment: &[(String, String)],
) -> anyhow::Result<Subprocess> {
    let mut command = Command::new(program);
    command.arg(serde_json::to_string(settings)?);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    Ok(Subprocess::spawn(Launch { name, command, log: log.to_owned() })?)
}
