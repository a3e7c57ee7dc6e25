//! ClickHouse against the ledger (invariant 12).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use domain::{Credits, Day, Money, Offset, Partition, Traffic};
use ledger::Balance;
use projection::tables::Table;
use replay::{Check, DaySums, Dimensions, Projected, Sums, TableSums, Totals};

use crate::app::{App, scan};
use crate::problem::Problem;
use crate::{freshness, tail};

const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) type Ends = BTreeMap<Partition, Offset>;

/// Waits until ClickHouse has every record before the ends. That it does not come is a finding.
pub(super) async fn wait_for_projection(
    app: &App,
    ends: &Ends,
    check: &mut Check,
) -> Result<bool, Problem> {
    let last = last_records(app, ends.clone()).await?;
    let deadline = Instant::now() + app.settings.projection_patience;
    loop {
        let come = freshness::partitions(&app.warehouse).await?;
        let reached = |partition: &Partition| {
            let row = come.iter().find(|row| row.partition == *partition);
            row.map_or(Offset::ZERO, |row| row.ledger_offset)
        };
        let behind: Vec<_> =
            last.iter().filter(|(partition, next)| reached(partition) < **next).collect();
        if behind.is_empty() {
            return Ok(true);
        }
        if Instant::now() > deadline {
            for (partition, next) in behind {
                check.note(Some(format!(
                    "ledger partition {partition}: ClickHouse has come to {}, the ledger to {next}; \
                     nothing was compared",
                    reached(partition)
                )));
            }
            return Ok(false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The offset after the last record of each partition: its end may be that of a control record.
async fn last_records(app: &App, ends: Ends) -> Result<Ends, Problem> {
    scan(app, move |shared| {
        let mut last = Ends::new();
        for (partition, end) in ends {
            let at = domain::TopicPartition { topic: domain::Topic::LedgerEntries, partition };
            // The followed end is the usual answer; a short look at the tail settles the rest.
            let mut next = Offset::ZERO;
            let from = Offset(end.0.saturating_sub(5_000));
            tail::read(shared.log.as_ref(), at, from, i64::MAX, &mut |record| {
                if record.offset < end {
                    next = record.offset.next();
                }
            })?;
            last.insert(partition, next);
        }
        Ok(last)
    })
    .await
}

pub(super) async fn compare(
    app: &App,
    totals: &Totals,
    ends: &Ends,
    check: &mut Check,
    notes: &mut Vec<String>,
) -> Result<(), Problem> {
    let before: Vec<String> = ends
        .iter()
        .map(|(partition, end)| {
            format!("(u.ledger_partition = {partition} AND u.ledger_offset < {end})")
        })
        .collect();
    let lines = usage(app, "usage_lines", &before.join(" OR ")).await?;
    replay::check_usage(check, totals, &lines);
    let (balances, covered) = balances(app, ends).await?;
    replay::check_balances(check, totals, &balances, |account| {
        covered.get(account).copied().unwrap_or(true)
    });
    rollup(app, "usage_daily", (totals, ends), check, notes).await
}

/// A rollup has no offsets to cut at: it is compared while nothing new comes in.
pub(super) async fn rollup(
    app: &App,
    name: &'static str,
    (totals, ends): (&Totals, &Ends),
    check: &mut Check,
    notes: &mut Vec<String>,
) -> Result<(), Problem> {
    let rollup = usage(app, name, "1").await?;
    let now_at = freshness::partitions(&app.warehouse).await?;
    let moved = |partition: &Partition, end: &Offset| {
        now_at.iter().any(|row| row.partition == *partition && row.ledger_offset > *end)
    };
    match ends.iter().any(|(partition, end)| moved(partition, end)) {
        false => replay::check_usage(check, totals, &rollup),
        true => notes.push(format!(
            "{name} was not compared: the ledger grew meanwhile; verify again when it rests"
        )),
    }
    Ok(())
}

/// Every table that takes each row once: rows and sums by day, as the ledger makes them.
pub(super) async fn tables(
    app: &App,
    sums: &TableSums,
    ends: &Ends,
    check: &mut Check,
) -> Result<(), Problem> {
    let nothing = BTreeMap::new();
    for table in TableSums::tables() {
        let there = days(app, table, ends).await?;
        replay::check_table(check, table, sums.tables.get(table.name).unwrap_or(&nothing), &there);
    }
    Ok(())
}

async fn days(app: &App, table: &Table, ends: &Ends) -> Result<BTreeMap<Day, DaySums>, Problem> {
    #[derive(serde::Deserialize)]
    struct Row {
        day: i32,
        rows: u64,
        sums: Vec<String>,
    }
    let Some(position) = table.position else { return Ok(BTreeMap::new()) };
    let before: Vec<String> = ends
        .iter()
        .map(|(partition, end)| {
            format!("(t.{} = {partition} AND t.{} < {end})", position.partition, position.offset)
        })
        .collect();
    let day = match TableSums::day_column(table) {
        Some(column) => format!("toInt32(toUInt16(toDate(t.{}, 'UTC')))", column.name),
        None => "toInt32(0)".to_owned(),
    };
    let sums: Vec<String> = TableSums::amounts(table)
        .map(|column| format!("toString(sum(toDecimal256(ifNull(t.{}, 0), 12)))", column.name))
        .collect();
    let sql = format!(
        "SELECT {day} AS day, count() AS rows, CAST([{}] AS Array(String)) AS sums
         FROM {} AS t WHERE {} GROUP BY day",
        sums.join(", "),
        table.name,
        before.join(" OR ")
    );
    let rows: Vec<Row> = app.warehouse.query_rows(&sql).await?;
    rows.into_iter()
        .map(|row| {
            let sums = row.sums.iter().map(|sum| atoms(sum)).collect::<Option<_>>();
            let sums = sums.ok_or_else(|| {
                Problem::internal(format!("{}: a sum that is no amount", table.name))
            })?;
            Ok((Day(row.day), DaySums { rows: row.rows, sums }))
        })
        .collect()
}

/// A sum in steps of 10⁻¹²: sums may be larger than any amount.
fn atoms(text: &str) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (units, decimals) = digits.split_once('.').unwrap_or((digits, ""));
    let atoms: i128 = format!("{units}{decimals:0<12}").parse().ok()?;
    (decimals.len() <= 12).then_some(sign * atoms)
}

async fn usage(app: &App, place: &'static str, condition: &str) -> Result<Projected, Problem> {
    #[derive(serde::Deserialize)]
    struct Row {
        account: String,
        feature: String,
        model: String,
        traffic: String,
        lines: i64,
        credits: Credits,
        vendor_cost: Money,
        uncosted_lines: i64,
    }
    let sql = format!(
        "SELECT u.account AS account, u.feature AS feature, u.model AS model,
            u.traffic AS traffic, sum(u.lines) AS lines,
            sum(toDecimal256(u.credits, 12)) AS credits,
            sum(toDecimal256(ifNull(u.vendor_cost, 0), 12)) AS vendor_cost,
            sum(u.uncosted_lines) AS uncosted_lines
         FROM {place} AS u WHERE {condition}
         GROUP BY u.account, u.feature, u.model, u.traffic"
    );
    let rows: Vec<Row> = app.warehouse.query_rows(&sql).await?;
    let mut projected = Projected { place, usage: BTreeMap::new() };
    for row in rows {
        let dimensions = Dimensions {
            account: row.account,
            feature: row.feature,
            model: row.model,
            // A word that tally does not know is a difference, not an error.
            traffic: Traffic::from_word(&row.traffic).map_or("unknown", Traffic::word),
        };
        let sums = Sums {
            lines: row.lines,
            credits: row.credits,
            vendor_cost: row.vendor_cost,
            uncosted_lines: row.uncosted_lines,
        };
        projected.usage.insert(dimensions, sums);
    }
    Ok(projected)
}

/// Every account's balance, and whether it is from before the ends.
async fn balances(
    app: &App,
    ends: &Ends,
) -> Result<(BTreeMap<String, Balance>, BTreeMap<String, bool>), Problem> {
    #[derive(serde::Deserialize)]
    struct Row {
        account: String,
        settled: Credits,
        overage: Credits,
        held: Credits,
        in_grace: Credits,
        ledger_partition: Partition,
        ledger_offset: Offset,
    }
    let sql = "SELECT b.account AS account, b.settled AS settled, b.overage AS overage,
            b.held AS held, b.in_grace AS in_grace, b.ledger_partition AS ledger_partition,
            b.ledger_offset AS ledger_offset
        FROM balances AS b";
    let rows: Vec<Row> = app.warehouse.query_rows(sql).await?;
    let (mut balances, mut covered) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let end = ends.get(&row.ledger_partition).copied().unwrap_or_default();
        covered.insert(row.account.clone(), row.ledger_offset < end);
        let balance = Balance {
            settled: row.settled,
            overage: row.overage,
            held: row.held,
            in_grace: row.in_grace,
        };
        balances.insert(row.account, balance);
    }
    Ok((balances, covered))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_to_the_last_decimal() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1.5", Some(-1_500_000_000_000)),
            ("12345678901234567890.000000000001", Some(12_345_678_901_234_567_890_000_000_000_001)),
            ("1.0000000000000", None),
            ("x", None),
        ] {
            assert_eq!(atoms(text), expected, "{text}");
        }
    }
}
