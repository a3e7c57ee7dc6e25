//! `GET /v1/verify`: the ledger's own proofs, and ClickHouse against the ledger (invariant 12).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Credits, Money, Offset, Partition, Traffic};
use ledger::Balance;
use replay::{Check, Dimensions, Projected, Sums, Totals, VerifyError, verify_ledger};
use serde_json::json;

use crate::app::{App, scan};
use crate::form::Params;
use crate::problem::Problem;
use crate::{freshness, tail};

const LOOK_EVERY: Duration = Duration::from_millis(100);

type Ends = BTreeMap<Partition, Offset>;

pub(crate) async fn get(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    params.finish()?;
    let (mut report, totals, ends) = scan(&app, |shared| {
        verify_ledger(shared.log.as_ref(), shared.settings.partitions).map_err(
            |error| match error {
                VerifyError::Log(error) => error.into(),
                VerifyError::Stalled { .. } => Problem::unavailable(error.to_string()),
            },
        )
    })
    .await?;
    let mut check = Check::new(12, "ClickHouse adds up to the ledger");
    let mut notes = Vec::new();
    if wait_for_projection(&app, &ends, &mut check).await? {
        compare(&app, &totals, &ends, &mut check, &mut notes).await?;
    }
    report.checks.push(check);
    let answer = json!({
        "holds": report.holds(),
        "checks": report.checks,
        "entries": totals.entries,
        "accounts": totals.balances.len(),
        "ledger_ends": ends.iter().map(|(at, end)| (at.to_string(), end.0)).collect::<BTreeMap<_, _>>(),
        "notes": notes,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

/// Waits until ClickHouse has every record before the ends. That it does not come is a finding.
async fn wait_for_projection(app: &App, ends: &Ends, check: &mut Check) -> Result<bool, Problem> {
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

async fn compare(
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
    // A rollup has no offsets to cut at: it is compared while nothing new comes in.
    let rollup = usage(app, "usage_daily", "1").await?;
    let now_at = freshness::partitions(&app.warehouse).await?;
    let moved = |partition: &Partition, end: &Offset| {
        now_at.iter().any(|row| row.partition == *partition && row.ledger_offset > *end)
    };
    match ends.iter().any(|(partition, end)| moved(partition, end)) {
        false => replay::check_usage(check, totals, &rollup),
        true => notes.push(
            "usage_daily was not compared: the ledger grew meanwhile; verify again when it rests"
                .to_owned(),
        ),
    }
    Ok(())
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
