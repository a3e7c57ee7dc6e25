//! `cargo xtask simulate`: the simulator, optimised.

use std::path::Path;
use std::process::Command;

use crate::run::{Failed, build_folder, cargo, finish};

/// Optimised, and quicker to build than a release.
pub(crate) const PROFILE: &str = "optimised";
/// What a change has to pass.
pub(crate) const SEEDS: u64 = 100_000;

pub(crate) fn run(arguments: &[String]) -> Result<(), Failed> {
    if arguments.len() > 2 || arguments.iter().any(|argument| argument.parse::<u64>().is_err()) {
        return Err(Failed::Usage);
    }
    cargo(&["build", "--quiet", "--profile", PROFILE, "--package", "simulator"])?;
    let program = build_folder()?.join(PROFILE).join("simulator");
    let default = [SEEDS.to_string()];
    let arguments = if arguments.is_empty() { &default[..] } else { arguments };
    let mut command = Command::new(program);
    command.args(arguments);
    // Its proofs keep a few files for each seed, which no crash of this machine has to spare.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        command.env("TMPDIR", memory);
    }
    finish(&mut command, &format!("simulator {}", arguments.join(" ")))
}
