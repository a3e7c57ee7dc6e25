//! The machine's own tools.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::FetchError;

/// How much of a failed tool's output an error quotes.
const OUTPUT_LINES: usize = 40;

/// The executable of this name on the PATH.
pub fn find_on_path(tool: &str) -> Option<PathBuf> {
    find_in(&std::env::var_os("PATH")?, tool)
}

fn find_in(path: &OsStr, tool: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(tool)).find(|file| is_executable(file))
}

pub(crate) fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The tool, or the error that says how to get it.
pub(crate) fn require(
    tool: &'static str,
    how_to_get_it: &'static str,
) -> Result<PathBuf, FetchError> {
    find_on_path(tool).ok_or(FetchError::MissingTool { tool, how_to_get_it })
}

/// Runs to the end; what it printed is quoted when it fails.
pub(crate) fn run(command: &mut Command) -> Result<(), FetchError> {
    let program = PathBuf::from(command.get_program());
    let output = command.output().map_err(FetchError::io(program))?;
    if output.status.success() {
        return Ok(());
    }
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(FetchError::ToolFailed {
        command: format!("{command:?}"),
        status: output.status.to_string(),
        output: lines[lines.len().saturating_sub(OUTPUT_LINES)..].join("\n"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_file_that_is_not_executable_is_not_a_tool() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clickhouse");
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(find_in(folder.path().as_os_str(), "clickhouse"), None);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(find_in(folder.path().as_os_str(), "clickhouse"), Some(file));
    }

    #[test]
    fn a_missing_tool_is_named_with_how_to_get_it() {
        let error = require("tally-no-such-tool", "install it").unwrap_err();
        assert_eq!(error.to_string(), "tally-no-such-tool not found: install it");
    }

    #[test]
    fn a_failed_tool_is_quoted() {
        let error =
            run(Command::new("sh").args(["-c", "echo no such package >&2; exit 7"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("no such package") && text.contains('7'), "{text}");
    }
}
