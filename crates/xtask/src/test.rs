//! `cargo xtask test`: all that a change has to pass, cheapest first.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, IsTerminal};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::run::{Failed, build_folder, cargo, cargo_command, finish, not_started, workspace};
use crate::{deny, simulate};

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    /// Only tests that start no server: those inside the crates.
    quick: bool,
    filter: Option<String>,
}

fn parse(arguments: &[String]) -> Result<Options, Failed> {
    let mut options = Options::default();
    for argument in arguments {
        match argument.as_str() {
            "--quick" => options.quick = true,
            name if !name.starts_with('-') && options.filter.is_none() => {
                options.filter = Some(name.to_owned());
            }
            _ => return Err(Failed::Usage),
        }
    }
    Ok(options)
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failed> {
    let options = parse(arguments)?;
    let started = Instant::now();
    let mut counts = Counts::default();
    if options.filter.is_none() {
        step("formatting", || cargo(&["fmt", "--all", "--", "--check"]))?;
        step("lints", || {
            cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"])
        })?;
    }
    step("tests", || tests(&options, &mut counts))?;
    if options.filter.is_none() && !options.quick {
        step("simulator", || simulate::run(&[]))?;
        step("faults", faults)?;
    }
    if options.filter.is_none() && !options.quick {
        step("docker-compose.yml", compose)?;
        step("dependency policy", deny::run)?;
    }
    if counts.passed == 0 {
        return Err(Failed::NoTestRan);
    }
    println!("all steps took {}", seconds(started.elapsed()));
    println!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.ignored);
    Ok(())
}

fn step(name: &str, work: impl FnOnce() -> Result<(), Failed>) -> Result<(), Failed> {
    println!("==> {name}");
    let started = Instant::now();
    work()?;
    println!("==> {name}: {}", seconds(started.elapsed()));
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

/// One cargo call, one profile and one set of features: nothing is compiled twice.
fn tests(options: &Options, counts: &mut Counts) -> Result<(), Failed> {
    let mut command = cargo_command(&["test", "--workspace"]);
    if options.quick {
        command.args(["--lib", "--bins"]);
    }
    // The record of a run should name every failure.
    if std::env::var_os("CI").is_some() {
        command.arg("--no-fail-fast");
    }
    command.args(&options.filter);
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child =
        command.stdout(Stdio::piped()).spawn().map_err(not_started(OsStr::new("cargo")))?;
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            println!("{line}");
            counts.add(&line);
        }
    }
    let status = child.wait().map_err(not_started(OsStr::new("cargo")))?;
    match status.success() {
        true => Ok(()),
        false => {
            println!("{} passed, {} failed", counts.passed, counts.failed.max(1));
            Err(Failed::Step { step: "cargo test".to_owned(), status })
        }
    }
}

/// Every class once, by the build that the tests have made.
fn faults() -> Result<(), Failed> {
    cargo(&["build", "--quiet", "--workspace", "--bins"])?;
    finish(&mut Command::new(build_folder()?.join("debug/e2e-faults")), "cargo xtask faults")
}

/// Compose reads and resolves the file without an engine; without compose, a test reads it as YAML and no more.
fn compose() -> Result<(), Failed> {
    let file = workspace().join("docker-compose.yml");
    if !file.exists() {
        println!("there is none");
        return Ok(());
    }
    let quiet = |arguments: &[&str]| {
        Command::new("docker")
            .args(arguments)
            .current_dir(workspace())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !quiet(&["compose", "version"]) {
        println!("not checked by compose: `docker compose` is not on this machine");
        return Ok(());
    }
    finish(
        Command::new("docker").args(["compose", "config", "--quiet"]).current_dir(workspace()),
        "docker compose config",
    )
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// libtest's closing line: `test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; …`, the word
    /// after the colon coloured at a terminal.
    fn add(&mut self, line: &str) {
        let Some(("test result", rest)) = line.split_once(':') else { return };
        let Some((_, parts)) = rest.split_once(". ") else { return };
        for part in parts.split("; ") {
            let Some((count, what)) = part.split_once(' ') else { continue };
            let Ok(count) = count.parse::<u64>() else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.ignored += count,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_over_binaries() {
        let mut counts = Counts::default();
        counts.add("test result: ok. 4 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s");
        counts.add("test result: \u{1b}[31mFAILED\u{1b}[m. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        counts.add("test passing: it says 9 passed; 9 failed");
        assert_eq!(counts, Counts { passed: 7, failed: 2, ignored: 1 });
    }

    #[test]
    fn arguments_are_a_flag_and_a_filter() {
        let given = |arguments: &[&str]| {
            parse(&arguments.iter().map(|argument| (*argument).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(given(&[]).unwrap(), Options::default());
        assert_eq!(
            given(&["--quick", "seal"]).unwrap(),
            Options { quick: true, filter: Some("seal".to_owned()) }
        );
        assert!(given(&["--quik"]).is_err());
        assert!(given(&["one", "two"]).is_err());
    }
}
