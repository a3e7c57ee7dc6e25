//! How a rebuild stands, for whoever asks; without the lease.

use domain::{Partition, Timestamp};
use serde::Serialize;

use super::Rebuilder;
use super::error::RebuildError;
use super::plan::PartitionRange;
use super::state::{Side, State};

/// How a rebuild stands.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub replay: String,
    /// planned, building, exchanging (interrupted, or at it), swapped or dropped.
    pub state: &'static str,
    /// What analysts read.
    pub live: Side,
    pub why: String,
    pub by: String,
    pub begun_at: Timestamp,
    pub tables: Vec<String>,
    /// Only a part of the ledger: can be compared, not exchanged.
    pub range: bool,
    /// By partition: from where, and up to where it is rebuilt.
    pub reached: Vec<PartitionRange>,
    /// The projector was asked to stand still, and not told to go on.
    pub paused: Option<PausedFor>,
    /// The differences that were found last; absent before any comparison.
    pub digest: Option<String>,
    pub differing_groups: Option<u64>,
    pub compared_at: Option<Timestamp>,
    pub accepted: Vec<String>,
}

/// For how long, and how many partitions have answered.
#[derive(Clone, Debug, Serialize)]
pub struct PausedFor {
    pub seconds: u64,
    pub partitions: usize,
}

impl Rebuilder {
    /// The rebuild of that name; without one, the one that was begun and not dropped.
    ///
    /// # Errors
    /// [`RebuildError::Unknown`] and [`RebuildError::Nothing`]; those of ClickHouse.
    pub fn status(&self, id: Option<&str>) -> Result<Status, RebuildError> {
        let state = match id {
            Some(id) => self.state(id)?,
            None => self.active()?.ok_or(RebuildError::Nothing)?,
        };
        let plans = self.runtime.block_on(self.live.batch_plans(&state.id))?;
        let reached_of = |range: &PartitionRange| {
            let plan = plans.iter().find(|plan| plan.partition == range.partition);
            plan.and_then(|plan| plan.reached).unwrap_or(range.from)
        };
        let reached = state
            .plan
            .ledger
            .iter()
            .map(|range| PartitionRange { to: reached_of(range), ..*range })
            .collect();
        let paused = self.paused_for(&state)?;
        let (compared_at, diffed) = state.diffed.clone().unzip();
        Ok(Status {
            state: state.word(),
            live: state.live,
            why: state.plan.why.clone(),
            by: state.by.clone(),
            begun_at: state.begun_at,
            tables: state.plan.tables.clone(),
            range: state.plan.is_range(),
            reached,
            paused,
            digest: diffed.as_ref().map(|diffed| diffed.digest.clone()),
            differing_groups: diffed.map(|diffed| diffed.groups),
            compared_at,
            accepted: state.accepted.iter().cloned().collect(),
            replay: state.id,
        })
    }

    fn paused_for(&self, state: &State) -> Result<Option<PausedFor>, RebuildError> {
        let Some((asked, _)) = state.pause else { return Ok(None) };
        let pauses = self.runtime.block_on(self.live.pauses())?;
        let Some(pause) = pauses.into_iter().find(|pause| pause.replay == state.id) else {
            return Ok(None);
        };
        let answered: Vec<(Partition, _)> =
            self.runtime.block_on(self.live.paused_at(&state.id, asked))?;
        Ok(Some(PausedFor { seconds: pause.seconds, partitions: answered.len() }))
    }
}
