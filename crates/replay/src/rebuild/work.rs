//! Work on one rebuild: the lease, its state, and the tables beside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use projection::tables::Table;
use serde::Serialize;
use warehouse::{Lease, LeaseHeld, NewStep, ShadowTable, Warehouse};

use super::Rebuilder;
use super::error::RebuildError;
use super::plan::{BadPlan, Plan};
use super::state::{State, step};

/// How often a lease is renewed while one thing takes long.
const RENEW_EVERY: Duration = Duration::from_secs(3);

/// One step's work, from its lease to its end. This process does one at a time.
pub(super) struct Work<'r> {
    pub(super) rebuilder: &'r Rebuilder,
    pub(super) state: State,
    pub(super) tables: Vec<&'static Table>,
    /// The tables beside, under the names of this lease.
    pub(super) shadow: Warehouse,
    pub(super) lease: Lease,
    number: AtomicU64,
    _busy: MutexGuard<'r, ()>,
}

impl Rebuilder {
    /// Takes the lease; refuses while another process has it.
    pub(super) fn lease(&self) -> Result<(Lease, MutexGuard<'_, ()>), RebuildError> {
        let busy = match self.busy.try_lock() {
            Ok(busy) => busy,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(RebuildError::Busy("a step of a rebuild is being taken".to_owned()));
            }
        };
        *self.stepped.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        match self.runtime.block_on(self.live.take_lease(&self.who, self.terms.alone))? {
            LeaseHeld::Mine(lease) => Ok((lease, busy)),
            LeaseHeld::Anothers { who, seconds } => Err(RebuildError::Busy(format!(
                "{who} worked on a rebuild {seconds} s ago and has not said that it is through"
            ))),
        }
    }

    /// The rebuild of that name.
    pub(super) fn state(&self, id: &str) -> Result<State, RebuildError> {
        let steps = self.runtime.block_on(self.live.journal())?;
        State::of(id, &steps)?.ok_or_else(|| RebuildError::Unknown(id.to_owned()))
    }

    /// The rebuild that was begun and not dropped.
    pub(super) fn active(&self) -> Result<Option<State>, RebuildError> {
        let steps = self.runtime.block_on(self.live.journal())?;
        Ok(State::active(&steps)?)
    }

    /// Begins what a plan says, or finds it begun.
    ///
    /// # Errors
    /// A plan that does not fit, another rebuild that is not through, or those of ClickHouse.
    pub fn begin(&self, plan: &Plan, who: &str) -> Result<String, RebuildError> {
        plan.fits(self.partitions)?;
        let id = plan.id()?;
        let (lease, _busy) = self.lease()?;
        let steps = self.runtime.block_on(self.live.journal())?;
        if let Some(known) = State::of(&id, &steps)? {
            return match known.dropped {
                false => Ok(id),
                true => Err(RebuildError::refused(
                    "replay_dropped",
                    "this plan was carried out and its tables were dropped: make a new plan",
                )),
            };
        }
        if let Some(other) = State::active(&steps)? {
            return Err(RebuildError::refused(
                "replay_active",
                format!(
                    "rebuild {} is not through: there is one at a time. Finish it (`tally replay swap`) \
                     and drop what is left of it (`tally replay drop`)",
                    other.id
                ),
            ));
        }
        let detail = plan.render()?;
        let step = NewStep {
            replay: &id,
            step: step::PLAN,
            number: 1,
            who,
            detail: &detail,
            ..NewStep::default()
        };
        match self.runtime.block_on(self.live.append_step(lease, &step))? {
            true => Ok(id),
            false => Err(RebuildError::lost_lease()),
        }
    }

    /// Takes the lease and the tables beside, which are made when they are not there yet.
    pub(super) fn work(&self, id: &str) -> Result<Work<'_>, RebuildError> {
        let mut work = self.remains(id)?;
        // What was begun to be exchanged is finished, whatever has changed since.
        if work.state.open.is_none() {
            work.state.plan.fits(self.partitions)?;
        }
        work.take_tables()?;
        Ok(work)
    }

    /// The same, when the tables beside are not needed whole, and without making any.
    pub(super) fn remains(&self, id: &str) -> Result<Work<'_>, RebuildError> {
        self.state(id)?;
        let (lease, busy) = self.lease()?;
        let state = self.state(id)?;
        if state.dropped {
            return Err(RebuildError::refused(
                "replay_dropped",
                format!("rebuild {id} was dropped: make a new plan"),
            ));
        }
        let tables = state.plan.tables()?;
        let shadow = self
            .live
            .shadow(&format!("{}_{}", prefix(id), lease.epoch))
            .map_err(|bad| BadPlan::new("id", bad.to_string()))?;
        let number = self.runtime.block_on(self.live.last_step_number(id))?;
        let number = AtomicU64::new(number);
        Ok(Work { rebuilder: self, state, tables, shadow, lease, number, _busy: busy })
    }
}

fn prefix(id: &str) -> String {
    format!("r{id}")
}

impl Work<'_> {
    /// Gives the tables beside the names of this lease, and says which there are.
    pub(super) fn adopt(&self) -> Result<Vec<ShadowTable>, RebuildError> {
        let (runtime, live) = (&self.rebuilder.runtime, &self.rebuilder.live);
        let found = runtime.block_on(live.shadows(&prefix(&self.state.id), &self.tables))?;
        runtime.block_on(self.shadow.adopt(&found))?;
        Ok(found)
    }

    fn take_tables(&mut self) -> Result<(), RebuildError> {
        let runtime = &self.rebuilder.runtime;
        let found = self.adopt()?;
        if !self.state.created {
            runtime.block_on(self.shadow.create_shadow_tables(&self.tables))?;
            self.append(step::CREATED, "")?;
            self.state.created = true;
            return Ok(());
        }
        let missing: Vec<&str> = self
            .tables
            .iter()
            .filter(|table| !found.iter().any(|shadow| shadow.table.name == table.name))
            .map(|table| table.name)
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(RebuildError::refused(
                "replay_tables_gone",
                format!(
                    "tables of this rebuild are gone ({}): drop it (`tally replay drop`) and make a \
                     new plan",
                    missing.join(", ")
                ),
            )),
        }
    }

    /// Journals a step, under the condition that the lease is still ours.
    pub(super) fn append(&self, word: &str, detail: &str) -> Result<u64, RebuildError> {
        let who = self.rebuilder.who.as_str();
        self.append_step(NewStep { step: word, detail, who, ..NewStep::default() })
    }

    pub(super) fn append_json(
        &self,
        word: &str,
        detail: &impl Serialize,
    ) -> Result<u64, RebuildError> {
        let detail =
            serde_json::to_string(detail).map_err(|error| BadPlan::new(word, error.to_string()))?;
        self.append(word, &detail)
    }

    /// Returns the number of the step.
    pub(super) fn append_step(&self, step: NewStep<'_>) -> Result<u64, RebuildError> {
        let number = self.number.fetch_add(1, Ordering::Relaxed) + 1;
        let step = NewStep { replay: &self.state.id, number, ..step };
        let live = &self.rebuilder.live;
        match self.rebuilder.runtime.block_on(live.append_step(self.lease, &step))? {
            true => Ok(number),
            false => Err(RebuildError::lost_lease()),
        }
    }

    /// Does something that may take longer than the lease holds, and keeps it meanwhile.
    pub(super) fn keeping_lease<T: Send>(
        &self,
        act: impl FnOnce() -> Result<T, RebuildError> + Send,
    ) -> Result<T, RebuildError> {
        let (rebuilder, epoch) = (self.rebuilder, self.lease.epoch);
        std::thread::scope(|scope| {
            let (done, is_done) = channel::<()>();
            scope.spawn(move || {
                while is_done.recv_timeout(RENEW_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let renewed = rebuilder.live.renew_lease(epoch, &rebuilder.who);
                    if let Err(error) = rebuilder.runtime.block_on(renewed) {
                        tracing::warn!(%error, "the lease of a rebuild was not renewed");
                    }
                }
            });
            let outcome = act();
            drop(done);
            outcome
        })
    }
}
