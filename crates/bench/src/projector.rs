//! Ledger records to rows, and the rows into a real ClickHouse.

use std::time::{Duration, Instant};

use anyhow::{anyhow, ensure};
use bytes::Bytes;
use domain::{Offset, Partition};
use projection::{Block, LedgerBatch, Names, Place};
use testkit::ClickHouse;
use warehouse::{Batch, InsertOutcome, Settings, Warehouse};

use crate::core_alone::{Inputs, Records, charge};
use crate::machine::{cpu_of, thread_cpu};
use crate::report::{Report, median, thousands};
use crate::workload::Workload;

/// Ledger records per batch.
const BATCH_RECORDS: usize = 50_000;

/// What one round took.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    decode: Duration,
    rows: Duration,
    insert_wall: Duration,
    insert_client: Duration,
    server: Duration,
    row_count: usize,
    row_bytes: usize,
}

/// The rows of one run of records.
struct Batched {
    partition: Partition,
    from: Offset,
    to: Offset,
    blocks: Vec<Block>,
}

pub(crate) fn measure(
    workload: &Workload,
    rounds: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let charged = charge(workload, &Inputs::new(workload)?, true)?;
    let entries: usize = charged.ledger.iter().map(Records::len).sum();
    let entry_count = entries as f64;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = ClickHouse::start()?;
    let mut measured = Vec::new();
    for number in 0..rounds.max(1) {
        let mut round = Round::default();
        let batches = make_rows(workload, &charged.ledger, &mut round)?;
        runtime.block_on(insert(&server, number, batches, &mut round))?;
        measured.push(round);
    }
    let nanos = |time: Duration| time.as_secs_f64() * 1e9 / entry_count;
    let of = |part: fn(&Round) -> Duration| median(measured.iter().map(|round| nanos(part(round))));
    report.section("The projector's steps, one thread", &["step", "ns per ledger record"]);
    report.row(["decode".to_owned(), format!("{:.0}", of(|round| round.decode))]);
    report.row(["rows and rollups".to_owned(), format!("{:.0}", of(|round| round.rows))]);
    report.row(["insert: client".to_owned(), format!("{:.0}", of(|round| round.insert_client))]);
    report.row(["insert: server".to_owned(), format!("{:.0}", of(|round| round.server))]);
    report.row(["insert: wall".to_owned(), format!("{:.0}", of(|round| round.insert_wall))]);
    let all = |round: &Round| {
        let wall = round.decode + round.rows + round.insert_wall;
        entry_count / wall.as_secs_f64()
    };
    let round = measured.first().copied().unwrap_or_default();
    let rows = round.row_count as f64;
    let rate = median(measured.iter().map(all));
    report.line(&format!(
        "\nLedger records per second into ClickHouse, one batch and one table after another: {rate:.0} (all, thousands: {}); \
         {:.0} rows per second over all tables ({:.2} rows and {:.0} bytes per record).",
        thousands(measured.iter().map(all)),
        rate * rows / entry_count,
        rows / entry_count,
        round.row_bytes as f64 / entry_count,
    ));
    Ok(())
}

fn make_rows(
    workload: &Workload,
    ledger: &[Records],
    round: &mut Round,
) -> anyhow::Result<Vec<Batched>> {
    let names = Names::new(&workload.prices.catalogue);
    let mut batches = Vec::new();
    let mut batch = LedgerBatch::default();
    for (partition, records) in (0..).map(Partition).zip(ledger) {
        let records: Vec<&[u8]> = records.iter().collect();
        let mut from = Offset::ZERO;
        for chunk in records.chunks(BATCH_RECORDS) {
            let before = thread_cpu();
            let decoded = chunk
                .iter()
                .map(|record| wire::decode_ledger(record))
                .collect::<Result<Vec<_>, _>>()?;
            let between = thread_cpu();
            let mut offset = from;
            for record in &decoded {
                batch.record(Place { partition, offset }, record, &names);
                offset = offset.next();
            }
            let blocks = batch.finish();
            round.decode += between.saturating_sub(before);
            round.rows += thread_cpu().saturating_sub(between);
            round.row_count += blocks.iter().map(|block| block.rows).sum::<usize>();
            round.row_bytes += blocks.iter().map(|block| block.bytes.len()).sum::<usize>();
            batches.push(Batched { partition, from, to: offset, blocks });
            from = offset;
        }
    }
    Ok(batches)
}

async fn insert(
    server: &ClickHouse,
    number: usize,
    batches: Vec<Batched>,
    round: &mut Round,
) -> anyhow::Result<()> {
    let settings =
        Settings { database: format!("bench_{number}"), ..Settings::new(server.http_url()) };
    let warehouse = Warehouse::connect(settings).await?;
    warehouse.migrate().await?;
    let busy = cpu_of(server.pid());
    let (started, client) = (Instant::now(), thread_cpu());
    for Batched { partition, from, to, blocks } in batches {
        for block in blocks {
            let batch = Batch {
                table: block.table,
                rows: Bytes::from(block.bytes),
                row_count: block.rows,
                partition,
                from,
                token: format!("{}-{partition}-{from}-{to}", block.table.name),
            };
            match warehouse.insert(&batch).await {
                InsertOutcome::Stored => {}
                outcome @ (InsertOutcome::Unknown(_)
                | InsertOutcome::Busy(_)
                | InsertOutcome::Refused(_)) => return Err(anyhow!("{outcome:?}")),
            }
        }
    }
    round.insert_wall = started.elapsed();
    round.insert_client = thread_cpu().saturating_sub(client);
    round.server = cpu_of(server.pid()).saturating_sub(busy);
    ensure!(round.row_count > 0, "no rows");
    Ok(())
}
