//! Who may work on rebuilds: one process at a time, by a lease in the journal.
//!
//! A lease has a number that only grows. It is taken by an insert whose deduplication token is that
//! number: of two that take it at once the server keeps one, and both then read whose it is. Its
//! holder writes to the journal under the condition, judged by the server, that no larger number is
//! there, and works on tables that carry the number in their names (see `shadow`).
//!
//! ClickHouse's clock says whether a lease has run out; no other clock takes part.

use crate::ddl::literal;
use crate::error::WarehouseError;
use crate::warehouse::Warehouse;

/// How long a lease holds after its last renewal.
pub const LEASE_SECONDS: u64 = 10;

/// How often a number may turn out to be burnt: a server that was killed between a token and its row.
const ATTEMPTS_MAX: u64 = 3;

/// The lease of whoever asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub epoch: u64,
    /// It was another's before, or nobody's.
    pub is_new: bool,
}

/// What became of asking for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseHeld {
    Mine(Lease),
    /// Another process works on a rebuild; so many seconds ago it said so last.
    Anothers {
        who: String,
        seconds: u64,
    },
}

#[derive(serde::Deserialize)]
struct Row {
    epoch: u64,
    who: String,
    age_ms: i64,
}

impl Warehouse {
    /// Takes the lease, or renews it. `who` names this process, and no other has that name. `alone`
    /// says that whoever had it has ended for certain: then nothing is waited for.
    pub async fn take_lease(&self, who: &str, alone: bool) -> Result<LeaseHeld, WarehouseError> {
        let last = self.last_lease().await?;
        if let Some(row) = &last {
            if row.who == who {
                self.renew_lease(row.epoch, who).await?;
                return Ok(LeaseHeld::Mine(Lease { epoch: row.epoch, is_new: false }));
            }
            let seconds = u64::try_from(row.age_ms / 1_000).unwrap_or(0);
            if seconds < LEASE_SECONDS && !alone {
                return Ok(LeaseHeld::Anothers { who: row.who.clone(), seconds });
            }
        }
        let next = last.map_or(1, |row| row.epoch + 1);
        for epoch in next..next + ATTEMPTS_MAX {
            let sql = format!(
                "INSERT INTO replay_steps (step, epoch, at, who)
                 SETTINGS async_insert = 0, insert_deduplicate = 1,
                    insert_deduplication_token = 'lease/{epoch}'
                 SELECT 'lease', {epoch}, now64(6, 'UTC'), {}",
                literal(who)
            );
            self.execute(&sql).await?;
            match self.last_lease().await? {
                Some(row) if row.who == who => {
                    return Ok(LeaseHeld::Mine(Lease { epoch: row.epoch, is_new: true }));
                }
                Some(row) if row.epoch >= epoch => {
                    return Ok(LeaseHeld::Anothers { who: row.who, seconds: 0 });
                }
                Some(_) | None => {}
            }
        }
        Err(WarehouseError::Unreadable(format!(
            "lease {next} and the {ATTEMPTS_MAX} after it were taken and are not there"
        )))
    }

    /// Renews a lease; nothing happens when it has passed on.
    pub async fn renew_lease(&self, epoch: u64, who: &str) -> Result<(), WarehouseError> {
        let sql = format!(
            "INSERT INTO replay_steps (step, epoch, at, who) SETTINGS async_insert = 0
             SELECT 'lease', {epoch}, now64(6, 'UTC'), {}
             WHERE (SELECT max(epoch) FROM replay_steps WHERE replay = '' AND step = 'lease') = {epoch}",
            literal(who)
        );
        self.execute(&sql).await
    }

    /// Of two that took one number at once, the one whose row came first (the other has none).
    async fn last_lease(&self) -> Result<Option<Row>, WarehouseError> {
        let sql = "SELECT l.epoch AS epoch, argMin(l.who, l.at) AS who,
                dateDiff('millisecond', max(l.at), now64(6, 'UTC')) AS age_ms
            FROM replay_steps AS l WHERE l.replay = '' AND l.step = 'lease'
            GROUP BY l.epoch ORDER BY epoch DESC LIMIT 1";
        Ok(self.query_rows(sql).await?.into_iter().next())
    }
}
