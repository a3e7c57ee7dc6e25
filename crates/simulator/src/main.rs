//! `simulator [seeds] [first seed]`: runs seeds on every core, and prints the one that failed and how to run it again.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use simulator::Summary;

const SEEDS_DEFAULT: u64 = 1_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Ok(count), Ok(first)) =
        (arguments.next().unwrap_or(Ok(SEEDS_DEFAULT)), arguments.next().unwrap_or(Ok(1)))
    else {
        eprintln!("usage: simulator [SEEDS] [FIRST SEED]");
        return ExitCode::from(2);
    };
    let started = Instant::now();
    let next = AtomicU64::new(first);
    let failed = AtomicBool::new(false);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let sum = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| work(&next, first + count, &failed))).collect();
        workers.into_iter().filter_map(|worker| worker.join().ok()).fold(
            Summary::default(),
            |sum, one| Summary {
                records: sum.records + one.records,
                entries: sum.entries + one.entries,
                crashes: sum.crashes + one.crashes,
                faults: sum.faults + one.faults,
                damaged: sum.damaged + one.damaged,
            },
        )
    });
    if failed.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    let took = started.elapsed();
    println!(
        "{count} seeds from {first}: {} records, {} entries, {} crashes, {} commit faults, {} files damaged; \
         {:.0} s on {threads} threads, {:.2} ms a seed and thread",
        sum.records,
        sum.entries,
        sum.crashes,
        sum.faults,
        sum.damaged,
        took.as_secs_f64(),
        took.as_secs_f64() * 1_000.0 * threads as f64 / count.max(1) as f64,
    );
    ExitCode::SUCCESS
}

/// Runs the next seed until there is none left, or one has failed.
fn work(next: &AtomicU64, end: u64, failed: &AtomicBool) -> Summary {
    let mut sum = Summary::default();
    while !failed.load(Ordering::Relaxed) {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        let why = match catch_unwind(|| simulator::run(seed)) {
            Ok(Ok(one)) => {
                sum.records += one.records;
                sum.entries += one.entries;
                sum.crashes += one.crashes;
                sum.faults += one.faults;
                sum.damaged += one.damaged;
                continue;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(_) => "a panic, printed above".to_owned(),
        };
        failed.store(true, Ordering::Relaxed);
        eprintln!("seed {seed} failed: {why}");
        eprintln!("again: cargo xtask simulate 1 {seed}");
    }
    sum
}
