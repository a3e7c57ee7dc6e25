//! Measures tally against what bounds it, on this machine and in one run: `cargo xtask bench`.
//!
//! Every figure is a ratio to something measured beside it, in alternating order, because absolute figures of a shared
//! machine say little. The report is Markdown, for `docs/performance.md`.

mod allocations;
mod at_least_once;
mod core_alone;
mod kafka;
mod latency;
mod machine;
mod memory;
mod projector;
mod rebuild;
mod recovery;
mod report;
mod stages;
mod workload;

use std::time::Instant;

use clap::{Parser, Subcommand};

use report::Report;
use workload::Workload;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Measures tally against what bounds it; prints Markdown.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    /// Usage events per round.
    #[arg(long, global = true, default_value_t = 1_000_000)]
    events: u64,
    /// Rounds of those that alternate; medians are taken over them.
    #[arg(long, global = true, default_value_t = 5)]
    rounds: usize,
    #[arg(long, global = true, default_value_t = 10_000)]
    accounts: u32,
    #[arg(long, global = true, default_value_t = 4)]
    partitions: u32,
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
enum What {
    /// Events per second through Kafka, against a bare transactional copy.
    Charger,
    /// The charger's core alone, from memory, and its stages one by one.
    Core,
    /// Ledger records to rows, and into a real ClickHouse.
    Projector,
    /// All tables rebuilt beside the live ones, against the live projector.
    Rebuild,
    /// Reserve round trips and event batches over HTTP, on the embedded log and on Kafka.
    Latency,
    /// From kill -9 with so many identities and accounts to steady state.
    Recovery(recovery::Size),
    /// The process that `recovery` kills.
    #[command(hide = true)]
    RecoveryVictim(recovery::Victim),
    /// State bytes per account and per identity.
    Memory,
    /// Says where rating alone is measured.
    Rating,
    /// Says where the codec is measured against apache-avro.
    Codec,
}

fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    if let Some(What::RecoveryVictim(victim)) = &arguments.what {
        return recovery::be_victim(victim, arguments.partitions);
    }
    let workload = Workload::new(&arguments)?;
    let recovery = recovery::Size { identities: 10_000_000, held_accounts: 100_000 };
    let chosen = match arguments.what.clone() {
        Some(what) => vec![what],
        None => vec![
            What::Core,
            What::Charger,
            What::Projector,
            What::Rebuild,
            What::Latency,
            What::Memory,
            What::Recovery(recovery),
        ],
    };
    let mut report = Report;
    report.machine();
    for what in chosen {
        let started = Instant::now();
        match &what {
            What::Recovery(size) => {
                let workload = workload.of_size(size.identities, size.held_accounts);
                recovery::measure(&workload, &mut report)?;
            }
            // Handled before anything is made.
            What::RecoveryVictim(_) => {}
            What::Core => core_alone::measure(&workload, arguments.rounds, &mut report)?,
            What::Charger => kafka::measure(&workload, arguments.rounds, &mut report)?,
            What::Projector => projector::measure(&workload, arguments.rounds, &mut report)?,
            What::Rebuild => rebuild::measure(&workload, arguments.rounds, &mut report)?,
            What::Latency => latency::measure(&mut report)?,
            What::Memory => memory::measure(&workload, &mut report)?,
            What::Rating => report.line("Rating alone: `cargo bench -p rating`."),
            What::Codec => report.line("The codec against apache-avro: `cargo bench -p wire`."),
        }
        eprintln!("{what:?} took {:.0} s", started.elapsed().as_secs_f64());
    }
    report.machine_load();
    Ok(())
}
