//! `cargo xtask <command>`: the project's own commands.
//!
//! No dependency but `fetch`, so that the first `cargo xtask demo` on a new machine starts building tally at once.

mod deny;
mod run;
mod test;

use std::process::ExitCode;

use run::{Failed, build_folder, cargo, replace_with};

const USAGE: &str = "\
cargo xtask demo [ARGUMENTS]    build tally (release) and run `tally demo ARGUMENTS`
cargo xtask test [--quick] [FILTER]
                                formatting, lints, every test (with a real Kafka and a real ClickHouse), dependency
                                policy; --quick: no test that starts a server; FILTER: only tests so named
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

fn bench(arguments: &[String]) -> Result<(), Failed> {
    cargo(&["build", "--release", "--package", "bench"])?;
    let bench = build_folder()?.join("release/bench");
    Err(replace_with(&bench, arguments))
}
