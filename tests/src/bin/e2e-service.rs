//! One service of the tests, as a process of its own: settings as JSON in the only argument.

use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args().nth(1).map(|text| e2e::service::run(&text)) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("ended: {error:#}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("usage: e2e-service SETTINGS");
            ExitCode::FAILURE
        }
    }
}
