//! ClickHouse: whether it answers, its version, its tables, its disks, its clock.

use std::time::Duration;

use warehouse::{SCHEMA_VERSION, WarehouseError};

use super::machine::{self, Space};
use super::{Finding, Severity};
use crate::app::{App, now};

const CHECK: &str = "clickhouse";
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(serde::Deserialize)]
struct Server {
    version: String,
    uptime_s: u64,
    schema: u32,
}

#[derive(serde::Deserialize)]
struct Disk {
    name: String,
    path: String,
    free: u64,
    total: u64,
}

pub(super) async fn findings(app: &App) -> Vec<Finding> {
    match tokio::time::timeout(PATIENCE, look(app)).await {
        Ok(Ok(findings)) => findings,
        Ok(Err(error)) => vec![away(error.to_string())],
        Err(_) => vec![away(format!("it does not answer within {PATIENCE:?}"))],
    }
}

fn away(why: String) -> Finding {
    let todo = "start it, or see what its own log says; events and holds go on meanwhile, and what it \
                misses is projected once it is back";
    Finding::new(CHECK, Severity::Wrong, why, todo)
}

async fn look(app: &App) -> Result<Vec<Finding>, WarehouseError> {
    let warehouse = &app.warehouse;
    let sql = "SELECT version() AS version, toUInt64(uptime()) AS uptime_s,
            (SELECT max(version) FROM schema_migrations) AS schema";
    let servers: Vec<Server> = warehouse.query_rows(sql).await?;
    let mut findings = Vec::new();
    for server in servers {
        let is_ours = server.schema == SCHEMA_VERSION;
        findings.push(match is_ours {
            true => Finding::fine(
                CHECK,
                format!(
                    "ClickHouse {} answers, up for {} s, tables of version {}",
                    server.version, server.uptime_s, server.schema
                ),
            ),
            false => Finding::new(
                CHECK,
                Severity::Wrong,
                format!(
                    "the tables are of version {}, and this tally is made for {SCHEMA_VERSION}",
                    server.schema
                ),
                "run the same version of tally everywhere: the newest brings the tables up to date \
                 at its start",
            ),
        });
    }
    let broken = warehouse.check_schema().await?;
    if broken.is_empty() {
        findings.push(Finding::fine(
            "tables",
            "every table and view is as tally made it, deduplication windows included",
        ));
    }
    findings.extend(broken.iter().map(|broken| {
        let severity = if broken.forbids_inserts() { Severity::Wrong } else { Severity::Warning };
        let todo = "put it back as docs/clickhouse.md says, or give tally a database of its own \
                    (clickhouse.database): it is filled again from the ledger";
        Finding::new("tables", severity, broken.to_string(), todo)
    }));
    let sql = "SELECT name, path, free_space AS free, total_space AS total FROM system.disks";
    let disks: Vec<Disk> = warehouse.query_rows(sql).await?;
    findings.extend(disks.iter().filter(|disk| disk.total > 0).map(|disk| {
        let what = format!("ClickHouse's disk {} ({})", disk.name, disk.path);
        let todo = "add space, or drop what analysts keep beside tally's tables; all of tally's can \
                    be made again from the ledger";
        machine::space(&what, Space { free: disk.free, total: disk.total }, todo)
    }));
    Ok(findings)
}

/// How far its clock is ahead of ours.
pub(super) async fn clock_ahead_micros(app: &App) -> Result<i64, WarehouseError> {
    #[derive(serde::Deserialize)]
    struct Row {
        micros: i64,
    }
    let sql = "SELECT toUnixTimestamp64Micro(now64(6, 'UTC')) AS micros";
    let before = now();
    let asked = app.warehouse.query_rows::<Row>(sql);
    let rows = match tokio::time::timeout(PATIENCE, asked).await {
        Ok(rows) => rows?,
        Err(_) => return Err(WarehouseError::Unanswered(format!("nothing within {PATIENCE:?}"))),
    };
    // It looked at its clock somewhere between the two.
    let middle = before.micros() + now().since(before) / 2;
    let row = rows.first();
    row.map(|row| row.micros - middle)
        .ok_or_else(|| WarehouseError::Unreadable("no row".to_owned()))
}
