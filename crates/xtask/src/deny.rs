//! `deny.toml`, held by cargo-deny: licences, banned crates, sources.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::run::{Failed, cargo_command, finish, workspace};

const VERSION: &str = "0.20.2";

pub(crate) fn run() -> Result<(), Failed> {
    let program = program()?;
    // Advisories need a database that is not in any package registry.
    finish(
        Command::new(program)
            .args([
                "--all-features",
                "check",
                "--hide-inclusion-graph",
                "bans",
                "licenses",
                "sources",
            ])
            .current_dir(workspace()),
        "cargo deny check bans licenses sources",
    )
}

/// The machine's, else one of our own in the user's cache folder, built once. Built without optimisation: that takes half a
/// minute instead of several, and a check takes seconds either way.
fn program() -> Result<PathBuf, Failed> {
    if let Some(program) = fetch::find_on_path("cargo-deny") {
        return Ok(program);
    }
    let root = fetch::cache_folder().map_err(Failed::Fetch)?.join(format!("cargo-deny-{VERSION}"));
    let program = root.join("bin/cargo-deny");
    if !program.is_file() {
        println!("building cargo-deny {VERSION}, once");
        let build = root.join("build");
        finish(
            cargo_command(&[
                "install",
                "cargo-deny",
                "--version",
                VERSION,
                "--locked",
                "--debug",
                "--quiet",
            ])
            .arg("--root")
            .arg(&root)
            .env("CARGO_TARGET_DIR", &build)
            .env("CARGO_PROFILE_DEV_DEBUG", "0"),
            "cargo install cargo-deny",
        )?;
        // A quarter of a gigabyte that nobody needs again; when it stays, it only takes room.
        drop(fs::remove_dir_all(build));
    }
    Ok(program)
}
