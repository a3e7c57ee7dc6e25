//! `simulator [seeds] [first seed]`: runs seeds and prints the one that failed.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let count = arguments.next().and_then(Result::ok).unwrap_or(1_000);
    let first = arguments.next().and_then(Result::ok).unwrap_or(1);
    let mut sum = simulator::Summary::default();
    for seed in first..first + count {
        match simulator::run(seed) {
            Ok(summary) => {
                sum.records += summary.records;
                sum.entries += summary.entries;
                sum.crashes += summary.crashes;
                sum.faults += summary.faults;
            }
            Err(error) => {
                eprintln!("seed {seed} failed: {error:#}");
                return ExitCode::FAILURE;
            }
        }
    }
    println!(
        "{count} seeds from {first}: {} records, {} entries, {} crashes, {} commit faults",
        sum.records, sum.entries, sum.crashes, sum.faults
    );
    ExitCode::SUCCESS
}
