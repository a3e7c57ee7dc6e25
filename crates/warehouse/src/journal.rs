//! The journal of rebuilds, `replay_steps`: appended to under a lease, and read by whoever rebuilds,
//! by the projector, and by whoever asks how it stands.

use std::collections::BTreeMap;

use domain::{Offset, Partition, Timestamp};

use crate::ddl::literal;
use crate::error::WarehouseError;
use crate::lease::Lease;
use crate::warehouse::Warehouse;

/// A step as it stands in the journal; batches and leases are read apart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct JournalStep {
    pub replay: String,
    pub step: String,
    pub epoch: u64,
    pub number: u64,
    pub ledger_partition: Partition,
    pub to_offset: Offset,
    pub at: Timestamp,
    pub who: String,
    pub detail: String,
}

/// A step to append.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewStep<'s> {
    pub replay: &'s str,
    pub step: &'s str,
    pub number: u64,
    pub partition: Partition,
    pub from: Offset,
    pub to: Offset,
    pub who: &'s str,
    pub detail: &'s str,
}

/// Where a rebuild stands in one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct BatchPlan {
    pub partition: Partition,
    /// Everything before is stored, where a row says so; otherwise nothing is known.
    pub reached: Option<Offset>,
    /// The last batch that was planned: all before it are stored, it may be.
    pub from: Option<Offset>,
    pub to: Option<Offset>,
}

/// A wish that the projector may not write, which was not withdrawn.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct Pause {
    pub replay: String,
    /// With `number` it names the wish: each is answered by itself.
    pub epoch: u64,
    pub number: u64,
    pub at: Timestamp,
    /// How long ago that was, by the server's clock.
    pub seconds: u64,
}

impl Warehouse {
    /// Appends a step, unless the lease has passed on to another. Returns whether it is in the
    /// journal. Appending it twice says the same twice.
    pub async fn append_step(
        &self,
        lease: Lease,
        step: &NewStep<'_>,
    ) -> Result<bool, WarehouseError> {
        let epoch = lease.epoch;
        let guard = format!(
            "(SELECT max(epoch) FROM replay_steps WHERE replay = '' AND step = 'lease') = {epoch}"
        );
        self.execute(&insert(step, epoch, &guard)).await?;
        let sql = format!(
            "SELECT count() AS rows FROM replay_steps
             WHERE replay = {} AND step = {} AND epoch = {epoch} AND number = {}",
            literal(step.replay),
            literal(step.step),
            step.number,
        );
        Ok(self.counted(&sql).await? > 0)
    }

    async fn counted(&self, sql: &str) -> Result<u64, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            rows: u64,
        }
        let rows: Vec<Row> = self.query_rows(sql).await?;
        Ok(rows.first().map_or(0, |row| row.rows))
    }

    /// What a projector says: it writes nothing of a partition from `to` on until the pause is
    /// withdrawn. It needs no lease, and answers one pause alone.
    pub async fn confirm_pause(
        &self,
        pause: &Pause,
        reached: &[(Partition, Offset)],
        who: &str,
    ) -> Result<(), WarehouseError> {
        if reached.is_empty() {
            return Ok(());
        }
        let values: Vec<String> = reached
            .iter()
            .map(|(partition, to)| {
                format!(
                    "({}, 'paused', {}, {}, {partition}, {to}, now64(6, 'UTC'), {})",
                    literal(&pause.replay),
                    pause.epoch,
                    pause.number,
                    literal(who)
                )
            })
            .collect();
        let columns = "(replay, step, epoch, number, ledger_partition, to_offset, at, who)";
        self.execute(&format!(
            "INSERT INTO replay_steps {columns} SETTINGS async_insert = 0 VALUES {}",
            values.join(", ")
        ))
        .await
    }

    /// The pauses in force, one of a rebuild: the last that was asked for and not withdrawn later.
    /// Its time is that of the first that was not.
    pub async fn pauses(&self) -> Result<Vec<Pause>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            step: String,
            #[serde(flatten)]
            pause: Pause,
        }
        let rows: Vec<Row> = self
            .query_rows(
                "SELECT s.step AS step, s.replay AS replay, s.epoch AS epoch, s.number AS number,
                    s.at AS at,
                    toUInt64(greatest(0, dateDiff('second', s.at, now64(6, 'UTC')))) AS seconds
                 FROM replay_steps AS s WHERE s.step IN ('pause', 'resume')
                 ORDER BY s.epoch, s.number",
            )
            .await?;
        let mut in_force = BTreeMap::<String, Pause>::new();
        for Row { step, pause } in rows {
            if step != "pause" {
                in_force.remove(&pause.replay);
                continue;
            }
            match in_force.get_mut(&pause.replay) {
                Some(asked) => (asked.epoch, asked.number) = (pause.epoch, pause.number),
                None => {
                    in_force.insert(pause.replay.clone(), pause);
                }
            }
        }
        Ok(in_force.into_values().collect())
    }

    /// Where the projector said that it stands, by partition, in answer to one pause.
    pub async fn paused_at(
        &self,
        replay: &str,
        (epoch, number): (u64, u64),
    ) -> Result<Vec<(Partition, Offset)>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            partition: Partition,
            reached: Offset,
        }
        let sql = format!(
            "SELECT s.ledger_partition AS partition, argMax(s.to_offset, s.at) AS reached
             FROM replay_steps AS s
             WHERE s.replay = {} AND s.step = 'paused' AND s.epoch = {epoch}
                AND s.number = {number}
             GROUP BY partition ORDER BY partition",
            literal(replay)
        );
        let rows: Vec<Row> = self.query_rows(&sql).await?;
        Ok(rows.into_iter().map(|row| (row.partition, row.reached)).collect())
    }

    /// The steps of all rebuilds but batches, leases and what projectors answered, oldest first.
    pub async fn journal(&self) -> Result<Vec<JournalStep>, WarehouseError> {
        self.query_rows(
            "SELECT DISTINCT s.replay AS replay, s.step AS step, s.epoch AS epoch,
                s.number AS number, s.ledger_partition AS ledger_partition,
                s.to_offset AS to_offset, s.at AS at, s.who AS who, s.detail AS detail
             FROM replay_steps AS s
             WHERE s.step NOT IN ('lease', 'planned', 'reached', 'paused')
             ORDER BY s.at, s.number",
        )
        .await
    }

    /// How far a rebuild has come, by partition.
    pub async fn batch_plans(&self, replay: &str) -> Result<Vec<BatchPlan>, WarehouseError> {
        let sql = format!(
            "SELECT s.ledger_partition AS partition,
                maxOrNullIf(s.to_offset, s.step = 'reached') AS reached,
                maxOrNullIf(s.from_offset, s.step = 'planned') AS from,
                argMaxOrNullIf(s.to_offset, tuple(s.from_offset, s.epoch), s.step = 'planned') AS to
             FROM replay_steps AS s
             WHERE s.replay = {} AND s.step IN ('planned', 'reached')
             GROUP BY partition ORDER BY partition",
            literal(replay)
        );
        self.query_rows(&sql).await
    }

    /// The largest number of a rebuild's steps, batches among them.
    pub async fn last_step_number(&self, replay: &str) -> Result<u64, WarehouseError> {
        let sql = format!(
            "SELECT max(s.number) AS rows FROM replay_steps AS s WHERE s.replay = {}",
            literal(replay)
        );
        self.counted(&sql).await
    }

    /// How far the projector's own tables have come, by its marks: the offset after the last record
    /// that is in all of them. It may have come further, never less far.
    pub async fn marked_offsets(&self) -> Result<Vec<(Partition, Offset)>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            partition: Partition,
            next: Offset,
        }
        let rows: Vec<Row> = self
            .query_rows(
                "SELECT f.ledger_partition AS partition, max(f.ledger_offset) AS next
                 FROM freshness_marks AS f GROUP BY partition ORDER BY partition",
            )
            .await?;
        Ok(rows.into_iter().map(|row| (row.partition, row.next)).collect())
    }
}

fn insert(step: &NewStep<'_>, epoch: u64, condition: &str) -> String {
    format!(
        "INSERT INTO replay_steps
            (replay, step, epoch, number, ledger_partition, from_offset, to_offset, at, who, detail)
         SETTINGS async_insert = 0
         SELECT {replay}, {step}, {epoch}, {number}, {partition}, {from}, {to}, now64(6, 'UTC'),
            {who}, {detail}
         WHERE {condition}",
        replay = literal(step.replay),
        step = literal(step.step),
        number = step.number,
        partition = step.partition,
        from = step.from,
        to = step.to,
        who = literal(step.who),
        detail = literal(step.detail),
    )
}
