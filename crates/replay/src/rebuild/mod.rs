//! Rebuilding ClickHouse's tables from the ledger, beside the live ones.
//!
//! [`Rebuilder`] offers bounded steps, and whoever wants a rebuild asks for one after the other:
//! [`Rebuilder::advance`] until the tables beside have caught up, [`Rebuilder::diff`] to see what
//! would change, [`Rebuilder::swap`] to exchange them. There is no work in the background, and nothing
//! is remembered between two steps but what stands in ClickHouse: the journal (`replay_steps`) and the
//! tables. So any step may be interrupted anywhere and asked for again, of this process or another.
//!
//! - **One at a time.** Steps are taken under a lease whose number stands in the names of the tables
//!   beside (crate `warehouse`, `lease` and `shadow`): whoever lost it reaches none of them.
//! - **A batch is planned before it is sent**, as the projector does it: its range is in the journal
//!   before its first row is in a table, so that whoever goes on makes the same batch again, under the
//!   same token, after looking whether it is there.
//! - **The tables beside never get ahead of the live ones**, so both can be brought to one offset: the
//!   projector pauses at a batch boundary, the tables beside follow to exactly there, and only then
//!   are they compared or exchanged. What the projector has not written yet is never a difference.
//! - **An exchange is finished or undone, never left.** It is journalled with the ids of both tables of
//!   every pair before the first pair is exchanged; which pairs are done is told by id. While it is open
//!   the projector stays paused, however long that takes.

mod compare;
mod error;
mod fill;
mod pause;
mod plan;
mod planner;
mod read;
mod recover;
mod send;
mod state;
mod status;
mod swap;
mod work;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use catalog::Follower;
use eventlog::EventLog;
use tokio::runtime::Handle;
use warehouse::Warehouse;

pub use compare::{DiffReport, DiffStep, NotCompared, accepted_word};
pub use error::RebuildError;
pub use fill::{PartitionProgress, Progress};
pub use pause::Waiting;
pub use plan::{BadPlan, PartitionRange, Plan, Range};
pub use planner::Wanted;
pub use recover::Recovery;
pub use state::Side;
pub use status::{PausedFor, Status};
pub use swap::{SwapDone, SwapStep, SwapWish};

/// How large batches are, and how many are made at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub batch_records_max: usize,
    pub batch_bytes_max: usize,
    /// Partitions that are read at the same time. Each has at most two batches in memory: one on its
    /// way into ClickHouse and one in the making.
    pub workers: usize,
    /// How long one step may take before it answers; a batch that was begun is finished.
    pub step: Duration,
    /// No other process can be at it: one that has the lease has ended.
    pub alone: bool,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            batch_records_max: 50_000,
            batch_bytes_max: 16 * 1024 * 1024,
            workers: 2,
            step: Duration::from_secs(4),
            alone: false,
        }
    }
}

/// Rebuilds tables, step by step. Its methods wait, and are called from threads that may.
pub struct Rebuilder {
    log: Arc<dyn EventLog>,
    live: Warehouse,
    runtime: Handle,
    /// This process, as no other is called.
    who: String,
    partitions: u32,
    terms: Terms,
    busy: Mutex<()>,
    /// When a step was taken here last.
    stepped: Mutex<Instant>,
    /// Kept from step to step, because reading the catalogue takes a while.
    follower: Mutex<Option<Follower>>,
}

impl std::fmt::Debug for Rebuilder {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Rebuilder").field("who", &self.who).finish_non_exhaustive()
    }
}

impl Rebuilder {
    /// `who` names this process and no other; `partitions` is the ledger's number of them.
    pub fn new(
        log: Arc<dyn EventLog>,
        live: Warehouse,
        runtime: Handle,
        (who, partitions): (String, u32),
    ) -> Self {
        Self {
            log,
            live,
            runtime,
            who,
            partitions,
            terms: Terms::default(),
            busy: Mutex::new(()),
            stepped: Mutex::new(Instant::now()),
            follower: Mutex::new(None),
        }
    }

    /// The same with other terms.
    #[must_use]
    pub fn with_terms(mut self, terms: Terms) -> Self {
        self.terms = terms;
        self
    }
}
