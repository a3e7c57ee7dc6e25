//! `cargo xtask <command>`: the project's own commands.
//!
//! No dependency but `fetch`, so that the first `cargo xtask demo` on a new machine starts building tally at once.

mod deny;
mod run;
mod simulate;
mod test;

use std::process::ExitCode;

use run::{Failed, build_folder, cargo, replace_with};

const USAGE: &str = "\
cargo xtask demo [ARGUMENTS]    build tally (release) and run `tally demo ARGUMENTS`
cargo xtask test [--quick] [FILTER]
                                formatting, lints, every test (with a real Kafka and a real ClickHouse), 100,000 seeds
                                of the simulator, every class of faults, dependency policy; --quick: no test that
                                starts a server, a few seeds; FILTER: only tests so named
cargo xtask simulate [SEEDS] [FIRST]
                                so many seeds (100,000) of the simulator, optimised, on every core
cargo xtask faults [ARGUMENTS]  break a real Kafka, a real ClickHouse and our processes while a load runs, and audit;
                                `--list` names the classes, `--minutes`, `--events` and `--faults` make it a long run
cargo xtask bench [ARGUMENTS]   build the benchmarks (release) and run them; ARGUMENTS name one
cargo xtask deny                dependency policy alone (deny.toml)
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_str() {
        "demo" => demo(&rest),
        "test" => test::run(&rest),
        "bench" => bench(&rest),
        "simulate" => simulate::run(&rest),
        "faults" => faults(&rest),
        "deny" => deny::run(),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        _ => Err(Failed::Usage),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Usage) => {
            eprint!("{USAGE}");
            ExitCode::from(2)
        }
        Err(failed) => {
            eprintln!("cargo xtask {command}: {failed}");
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C has to reach tally and nobody else: it takes this process's place.
fn demo(arguments: &[String]) -> Result<(), Failed> {
    cargo(&["build", "--release", "--package", "tally"])?;
    let tally = build_folder()?.join("release/tally");
    Err(replace_with(&tally, &[&["demo".to_owned()], arguments].concat()))
}

/// Ctrl-C has to reach the harness, which then prints its summary.
fn faults(arguments: &[String]) -> Result<(), Failed> {
    let profile = ["--profile", simulate::PROFILE];
    let packages = ["--package", "e2e", "--package", "clickhouse-server", "--bins"];
    cargo(&[&["build"], &profile[..], &packages[..]].concat())?;
    let harness = build_folder()?.join(simulate::PROFILE).join("e2e-faults");
    Err(replace_with(&harness, arguments))
}

fn bench(arguments: &[String]) -> Result<(), Failed> {
    cargo(&["build", "--release", "--package", "bench"])?;
    let bench = build_folder()?.join("release/bench");
    Err(replace_with(&bench, arguments))
}
