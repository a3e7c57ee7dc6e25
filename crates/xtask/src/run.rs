//! Running cargo and what cargo built.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

#[derive(Debug)]
pub(crate) enum Failed {
    Usage,
    Step { step: String, status: ExitStatus },
    NotStarted { program: String, source: io::Error },
    NoBuildFolder,
    NoTestRan,
    Fetch(fetch::FetchError),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage => write!(formatter, "no such command"),
            Self::Step { step, status } => write!(formatter, "`{step}` failed ({status})"),
            Self::NotStarted { program, source } => {
                write!(formatter, "{program} could not be started: {source}")
            }
            Self::NoBuildFolder => write!(formatter, "cargo's build folder could not be found"),
            Self::NoTestRan => write!(formatter, "no test ran"),
            Self::Fetch(error) => write!(formatter, "{error}"),
        }
    }
}

/// The cargo that runs us, at the workspace's root.
pub(crate) fn cargo_command(arguments: &[&str]) -> Command {
    let mut command =
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments).current_dir(workspace());
    command
}

pub(crate) fn cargo(arguments: &[&str]) -> Result<(), Failed> {
    finish(&mut cargo_command(arguments), &format!("cargo {}", arguments.join(" ")))
}

pub(crate) fn finish(command: &mut Command, step: &str) -> Result<(), Failed> {
    let status = command.status().map_err(not_started(command.get_program()))?;
    match status.success() {
        true => Ok(()),
        false => Err(Failed::Step { step: step.to_owned(), status }),
    }
}

pub(crate) fn not_started(program: &OsStr) -> impl FnOnce(io::Error) -> Failed + use<> {
    let program = program.to_string_lossy().into_owned();
    move |source| Failed::NotStarted { program, source }
}

/// Returns only when it could not.
pub(crate) fn replace_with(program: &Path, arguments: &[String]) -> Failed {
    let source = Command::new(program).args(arguments).exec();
    not_started(program.as_os_str())(source)
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Where cargo leaves what it builds, whatever the settings: this program lies in `FOLDER/PROFILE`.
pub(crate) fn build_folder() -> Result<PathBuf, Failed> {
    let ours = std::env::current_exe().map_err(not_started(OsStr::new("xtask")))?;
    ours.parent().and_then(Path::parent).map(Path::to_owned).ok_or(Failed::NoBuildFolder)
}
