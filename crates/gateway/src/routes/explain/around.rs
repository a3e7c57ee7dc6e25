//! What stands around an explained entry: the seal over it, what corrects it and what it corrects,
//! the hold it was charged to, what was paid for the lots it drew, and its rows in ClickHouse.
//!
//! The entry itself comes from the ledger; what is here needs ClickHouse but for the seal and the
//! hold, and is left out, with a word why, when ClickHouse does not answer.

use domain::{EntryNumber, Offset, Partition, Topic, TopicPartition};
use ledger::HoldName;
use serde_json::{Value, json};
use warehouse::WarehouseError;
use wire::LedgerRecord;

use crate::answer;
use crate::app::{App, Shared, literal, scan};
use crate::command;
use crate::problem::Problem;
use crate::routes::rows;
use crate::routes::unrated::entry_named;
use crate::tail;

/// A transaction's records on one partition.
const SEAL_RECORDS_MAX: i64 = 500_000;
const CORRECTIONS_MAX: usize = 32;
const ROLLUP_KEYS_MAX: u32 = 20;

/// Adds it to an explained entry.
pub(super) async fn add(app: &App, explained: &mut Value) -> Result<(), Problem> {
    let Some((partition, number)) = explained["entry"].as_str().and_then(entry_named) else {
        return Ok(());
    };
    if let Some(name) = explained["hold"]["hold"].as_str().map(str::to_owned) {
        explained["hold"]["reserved"] = reserved(app, &name).await?;
    }
    let of_entry = Named::of(explained, partition, number);
    let offset = match explained["ledger_offset"].as_i64().map(Offset) {
        Some(offset) => Some(offset),
        None => of_entry.offset(app).await.unwrap_or_default(),
    };
    if let Some(offset) = offset {
        explained["ledger_offset"] = offset.0.into();
        explained["seal"] = scan(app, move |shared| seal_over(shared, partition, offset)).await?;
    }
    if let Err(error) = of_entry.tables(app, explained).await {
        explained["clickhouse"] = json!({ "answers": false, "error": error.to_string() });
    }
    Ok(())
}

/// The first seal after a place: the end of the transaction that wrote it.
fn seal_over(shared: &Shared, partition: Partition, from: Offset) -> Result<Value, Problem> {
    let at = TopicPartition { topic: Topic::LedgerEntries, partition };
    let mut found = Value::Null;
    tail::read_while(shared.log.as_ref(), at, from, SEAL_RECORDS_MAX, &mut |record| {
        if !wire::is_seal(record.value) {
            return true;
        }
        if let Ok(LedgerRecord::Seal(seal)) = wire::decode_ledger(record.value) {
            let chain: String = seal.chain.iter().map(|byte| format!("{byte:02x}")).collect();
            found = json!({
                "number": seal.number,
                "ledger_partition": partition,
                "ledger_offset": record.offset,
                "ledger_time": seal.ledger_time,
                "records": seal.records,
                "catalogue_next_offset": seal.catalogue,
                "chain_hash": chain,
            });
        }
        false
    })?;
    Ok(found)
}

/// How a hold began, from the ledger.
async fn reserved(app: &App, name: &str) -> Result<Value, Problem> {
    let Ok(name) = name.parse::<HoldName>() else { return Ok(Value::Null) };
    let Some(record) = command::found(app, name.partition, name.hold.0).await? else {
        return Ok(Value::Null);
    };
    let entry = command::read(&record)?;
    let Ok(answer) = answer::of_entry(name.partition, &entry) else { return Ok(Value::Null) };
    let mut reserved = answer.body;
    reserved["recorded_at"] = json!(entry.recorded_at);
    Ok(reserved)
}

/// An entry as ClickHouse finds it fast.
struct Named {
    /// In SQL.
    account: String,
    entry: String,
    sequence: u64,
    event_time: Option<String>,
}

impl Named {
    fn of(explained: &Value, partition: Partition, number: EntryNumber) -> Self {
        Self {
            account: literal(explained["account"].as_str().unwrap_or_default()),
            entry: literal(&projection::entry_id(partition, number)),
            sequence: explained["sequence"].as_u64().unwrap_or_default(),
            event_time: explained["event"]["time"].as_str().map(literal),
        }
    }

    async fn offset(&self, app: &App) -> Result<Option<Offset>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            offset: Offset,
        }
        let sql = format!(
            "SELECT e.ledger_offset AS offset FROM ledger_entries AS e
             WHERE e.account = {} AND e.sequence = {} AND e.entry_id = {} LIMIT 1",
            self.account, self.sequence, self.entry
        );
        let rows: Vec<Row> = app.warehouse.query_rows(&sql).await?;
        Ok(rows.first().map(|row| row.offset))
    }

    async fn tables(&self, app: &App, explained: &mut Value) -> Result<(), WarehouseError> {
        explained["corrections"] = self.corrections(app).await?.into();
        if let Some(name) = explained["hold"]["hold"].as_str() {
            let steps = rows(app, &self.hold_steps_sql(name)).await?;
            explained["hold"]["steps"] = steps.into();
        }
        self.lots(app, explained).await?;
        if let Some(time) = &self.event_time {
            explained["clickhouse"] = self.lines(app, time).await?;
        }
        Ok(())
    }

    /// What names this entry, what names that, and so on: reversals, re-rates, conflicts.
    async fn corrections(&self, app: &App) -> Result<Vec<Value>, WarehouseError> {
        let (mut found, mut names) = (Vec::new(), vec![self.entry.clone()]);
        while !names.is_empty() && found.len() < CORRECTIONS_MAX {
            let sql = format!(
                "SELECT e.entry_id AS entry, e.kind AS kind, e.corrects AS corrects,
                    e.recorded_at AS recorded_at, e.credits AS credits, e.reason AS reason,
                    e.actor AS actor
                 FROM ledger_entries AS e
                 WHERE e.account = {} AND e.corrects IN ({}) ORDER BY e.sequence
                 LIMIT {CORRECTIONS_MAX}",
                self.account,
                names.join(", ")
            );
            let next = rows(app, &sql).await?;
            names = next.iter().filter_map(|row| row["entry"].as_str()).map(literal).collect();
            found.extend(next);
        }
        Ok(found)
    }

    fn hold_steps_sql(&self, name: &str) -> String {
        format!(
            "SELECT s.step AS step, s.state AS state, s.amount AS amount, s.captured AS captured,
                s.held AS held, s.above AS above, s.advanced AS advanced, s.freed AS freed,
                s.expires_at AS expires_at, s.recorded_at AS recorded_at, s.entry_id AS entry,
                s.source AS source, s.event_id AS event_id, s.actor AS actor
             FROM hold_steps AS s WHERE s.account = {} AND s.hold = {}
             ORDER BY s.sequence LIMIT 100",
            self.account,
            literal(name)
        )
    }

    /// To each draw, what its lot is, what had been paid for it, and what was earned of it before.
    async fn lots(&self, app: &App, explained: &mut Value) -> Result<(), WarehouseError> {
        let offset = explained["ledger_offset"].as_i64().unwrap_or(i64::MAX);
        let Some(draws) = explained["draws"].as_array_mut() else { return Ok(()) };
        let lots: Vec<&str> = draws
            .iter()
            .filter_map(|draw| draw["lot"].as_str())
            .filter(|lot| !lot.is_empty() && lot.bytes().all(|byte| byte.is_ascii_digit()))
            .collect();
        if lots.is_empty() {
            return Ok(());
        }
        let sql = format!(
            "SELECT toString(g.lot) AS lot, g.granted AS granted, g.paid AS paid,
                g.currency AS currency, g.entry_id AS entry, g.reason AS reason,
                g.expires_at AS expires_at, m.gone AS gone_before, m.earned AS earned_before
             FROM lot_grants AS g
             LEFT JOIN
             (
                SELECT v.lot AS lot,
                    -sumIf(toDecimal256(v.credits, 12), v.kind != 'granted' AND v.kind != 'rolled_in')
                        AS gone,
                    sum(toDecimal256(v.revenue, 12)) AS earned
                FROM lot_movements AS v
                WHERE v.account = {account} AND v.lot IN ({lots}) AND v.ledger_offset < {offset}
                GROUP BY v.lot
             ) AS m ON m.lot = g.lot
             WHERE g.account = {account} AND g.lot IN ({lots})",
            account = self.account,
            lots = lots.join(", ")
        );
        let facts = rows(app, &sql).await?;
        for draw in draws {
            let fact = facts.iter().find(|fact| fact["lot"] == draw["lot"]);
            draw["of"] = fact.cloned().unwrap_or_default();
        }
        Ok(())
    }

    /// The entry's lines, and the sums that they are in.
    async fn lines(&self, app: &App, time: &str) -> Result<Value, WarehouseError> {
        let is_it = format!(
            "u.account = {} AND u.event_time = parseDateTime64BestEffort({time}, 6, 'UTC')
             AND u.entry_id = {}",
            self.account, self.entry
        );
        let lines = format!(
            "SELECT count() AS lines, sum(toDecimal256(u.credits, 12)) AS credits,
                sumOrNull(toDecimal256(u.vendor_cost, 12)) AS vendor_cost,
                sum(toDecimal256(u.revenue, 12)) AS revenue
             FROM usage_lines AS u WHERE {is_it}"
        );
        let keys = format!(
            "SELECT toStartOfHour(u.event_time) AS hour_at, u.plan AS plan, u.team AS team,
                u.feature AS feature, u.traffic AS traffic, u.provider AS provider,
                u.model AS model, u.meter AS meter, u.user AS user, count() AS lines,
                sum(toDecimal256(u.credits, 12)) AS credits
             FROM usage_lines AS u WHERE {is_it}
             GROUP BY hour_at, plan, team, feature, traffic, provider, model, meter, user
             ORDER BY min(u.line) LIMIT {ROLLUP_KEYS_MAX}"
        );
        let (lines, keys) = tokio::try_join!(rows(app, &lines), rows(app, &keys))?;
        let lines = lines.into_iter().next().unwrap_or_default();
        Ok(json!({
            "answers": true,
            "usage_lines": lines,
            "rollup_keys": keys,
            "query": format!("SELECT * FROM usage_lines WHERE account = {} AND entry_id = {}",
                self.account, self.entry),
        }))
    }
}
