//! The program that a test runs as a ClickHouse server.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::TestkitError;

const PACKAGE: &str = "clickhouse-server";
const PROGRAM: &str = "clickhouse-serve";

/// Built by cargo with the workspace's tests; when only another package was built, or it is older than its source, it is
/// built now.
pub(crate) fn program() -> Result<PathBuf, TestkitError> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let building = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let ours = std::env::current_exe().map_err(TestkitError::io("this program's path"))?;
    let build =
        BuildFolder::of(&ours).ok_or_else(|| TestkitError::NotABuildFolder(ours.clone()))?;
    let program = build.profile_folder.join(PROGRAM);
    if is_stale(&program).map_err(TestkitError::io("the launcher's source"))? {
        build.run_cargo()?;
    }
    drop(building);
    Ok(program)
}

/// `TARGET/PROFILE`, in which cargo leaves programs; tests are in `deps` below it, and so are examples in `examples`.
#[derive(Debug, PartialEq, Eq)]
struct BuildFolder {
    target_folder: PathBuf,
    profile_folder: PathBuf,
    profile: String,
}

impl BuildFolder {
    fn of(executable: &Path) -> Option<Self> {
        let folder = executable.parent()?;
        let profile_folder = match folder.file_name()?.to_str()? {
            "deps" | "examples" => folder.parent()?,
            _ => folder,
        };
        // Cargo's name for the profile whose folder is called debug.
        let profile = match profile_folder.file_name()?.to_str()? {
            "debug" => "dev",
            name => name,
        };
        Some(Self {
            target_folder: profile_folder.parent()?.to_owned(),
            profile_folder: profile_folder.to_owned(),
            profile: profile.to_owned(),
        })
    }

    fn run_cargo(&self) -> Result<(), TestkitError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
        let mut command = Command::new(cargo);
        command
            .args([
                "build",
                "--quiet",
                "--package",
                PACKAGE,
                "--bin",
                PROGRAM,
                "--profile",
                &self.profile,
            ])
            .arg("--target-dir")
            .arg(&self.target_folder)
            .current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = command.output().map_err(TestkitError::io("cargo"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(TestkitError::CommandFailed {
            command: format!("{command:?}"),
            status: output.status,
            output: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}

fn is_stale(program: &Path) -> io::Result<bool> {
    let Ok(built) = program.metadata().and_then(|meta| meta.modified()) else {
        return Ok(true);
    };
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../clickhouse-server/src");
    Ok(newest_in(&source)? > built)
}

fn newest_in(folder: &Path) -> io::Result<SystemTime> {
    let mut newest = SystemTime::UNIX_EPOCH;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let modified = match entry.file_type()?.is_dir() {
            true => newest_in(&entry.path())?,
            false => entry.metadata()?.modified()?,
        };
        newest = newest.max(modified);
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_folder_is_read_from_a_program_s_path() {
        let folder = |path: &str| BuildFolder::of(Path::new(path)).unwrap();
        let test = folder("/somewhere/target/debug/deps/charger-0123");
        assert_eq!(test.profile, "dev");
        assert_eq!(test.target_folder, Path::new("/somewhere/target"));
        assert_eq!(test.profile_folder, Path::new("/somewhere/target/debug"));
        assert_eq!(folder("/somewhere/target/release/bench").profile, "release");
    }
}
