//! Filling the tables beside: ledger records to batches to ClickHouse, several partitions at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use catalog::{CatalogueError, Follower, Prices};
use domain::{Offset, Partition};
use serde::Serialize;
use warehouse::BatchPlan;

use super::Rebuilder;
use super::error::RebuildError;
use super::send::ended;
use super::work::Work;

const POLL_WAIT: Duration = Duration::from_millis(50);
const CATALOGUE_PATIENCE: Duration = Duration::from_secs(60);

/// How far the tables beside have come.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    pub replay: String,
    /// They have everything up to where they were to come in this step.
    pub caught_up: bool,
    /// Offsets of the ledger that are in them, and that are still to come.
    pub done: u64,
    pub remaining: u64,
    /// Of this step alone.
    pub records: u64,
    pub milliseconds: u64,
    pub partitions: Vec<PartitionProgress>,
}

/// The same of one partition of the ledger.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct PartitionProgress {
    pub partition: Partition,
    pub from: Offset,
    pub reached: Offset,
    pub target: Offset,
    pub caught_up: bool,
}

/// Where a partition stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) partition: Partition,
    pub(super) reached: Offset,
    /// The end of a batch that begins at `reached` and may be stored.
    pub(super) pending: Option<Offset>,
    pub(super) target: Offset,
    pub(super) caught_up: bool,
    pub(super) records: u64,
}

impl Rebuilder {
    /// Fills the tables beside for as long as one step may take.
    ///
    /// # Errors
    /// Those of the log and of ClickHouse; an exchange that is open.
    pub fn advance(&self, id: &str) -> Result<Progress, RebuildError> {
        let work = self.work(id)?;
        if work.state.open.is_some() {
            return Err(RebuildError::refused(
                "replay_exchanging",
                "an exchange was interrupted: finish it (`tally replay swap`) or undo it \
                 (`tally replay abort`)",
            ));
        }
        let targets = work.targets()?;
        work.fill(&targets)
    }

    /// The prices as far as these records need them.
    pub(super) fn prices_up_to(&self, needed: Option<Offset>) -> Result<Prices, RebuildError> {
        let mut kept = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = match kept.as_mut() {
            Some(follower) => follower,
            None => kept.insert(Follower::start(self.log.as_ref(), CATALOGUE_PATIENCE)?),
        };
        let deadline = Instant::now() + CATALOGUE_PATIENCE;
        while needed.is_some_and(|needed| follower.prices().next < needed) {
            follower.poll(POLL_WAIT)?;
            if Instant::now() > deadline {
                return Err(CatalogueError::Late(CATALOGUE_PATIENCE).into());
            }
        }
        Ok(follower.prices().clone())
    }
}

impl Work<'_> {
    /// Where the tables beside may come now: a range to its end, all others as far as the live tables.
    pub(super) fn targets(&self) -> Result<BTreeMap<Partition, Offset>, RebuildError> {
        let ledger = &self.state.plan.ledger;
        if self.state.plan.is_range() {
            return Ok(ledger.iter().map(|range| (range.partition, range.to)).collect());
        }
        let rebuilder = self.rebuilder;
        let marked = rebuilder.runtime.block_on(rebuilder.live.marked_offsets())?;
        let mut targets: BTreeMap<Partition, Offset> =
            ledger.iter().map(|range| (range.partition, range.from)).collect();
        for (partition, next) in marked {
            if let Some(target) = targets.get_mut(&partition) {
                *target = next.max(*target);
            }
        }
        Ok(targets)
    }

    fn places(&self, targets: &BTreeMap<Partition, Offset>) -> Result<Vec<Place>, RebuildError> {
        let rebuilder = self.rebuilder;
        let plans = rebuilder.runtime.block_on(rebuilder.live.batch_plans(&self.state.id))?;
        let place = |(partition, target): (&Partition, &Offset)| {
            let plan = plans.iter().find(|plan| plan.partition == *partition);
            let begun = self.state.plan.of_partition(*partition).map_or(Offset::ZERO, |it| it.from);
            let (reached, pending) = standing(plan, begun);
            Place {
                partition: *partition,
                reached,
                pending,
                // A mark of the projector may be older than what is known.
                target: (*target).max(reached),
                caught_up: false,
                records: 0,
            }
        };
        Ok(targets.iter().map(place).collect())
    }

    /// Refuses when the tables beside have come further than the live ones stand.
    pub(super) fn must_not_be_ahead(
        &self,
        live: &BTreeMap<Partition, Offset>,
    ) -> Result<(), RebuildError> {
        let is_ahead = |place: &Place| {
            let stands = live.get(&place.partition).copied().unwrap_or_default();
            (place.reached > stands).then_some((place.partition, place.reached, stands))
        };
        match self.places(live)?.iter().find_map(is_ahead) {
            None => Ok(()),
            Some((partition, reached, stands)) => Err(RebuildError::refused(
                "replay_ahead",
                format!(
                    "partition {partition} was rebuilt up to {reached}, and the live tables have come \
                     to {stands} only: the projector went back. Wait until it has come as far"
                ),
            )),
        }
    }

    /// Brings every partition towards its target, until all have come or the step's time is over.
    pub(super) fn fill(
        &self,
        targets: &BTreeMap<Partition, Offset>,
    ) -> Result<Progress, RebuildError> {
        let started = Instant::now();
        let deadline = started + self.rebuilder.terms.step;
        let mut places = self.places(targets)?;
        let queue: Mutex<VecDeque<&mut Place>> = Mutex::new(places.iter_mut().collect());
        let workers = self.rebuilder.terms.workers.max(1);
        thread::scope(|scope| {
            let work = || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(place) = next.filter(|_| Instant::now() < deadline) else {
                        return Ok(());
                    };
                    self.partition(place, deadline)?;
                }
            };
            let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            running
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|_| Err(ended("a worker panicked"))))
                .collect::<Result<Vec<()>, RebuildError>>()
        })?;
        Ok(self.progress(&places, started.elapsed()))
    }

    fn progress(&self, places: &[Place], took: Duration) -> Progress {
        let plan = &self.state.plan;
        let from =
            |place: &Place| plan.of_partition(place.partition).map_or(Offset::ZERO, |it| it.from);
        let size = |from: Offset, to: Offset| u64::try_from(to.0 - from.0).unwrap_or(0);
        let open = |place: &&Place| !place.caught_up;
        Progress {
            replay: self.state.id.clone(),
            caught_up: places.iter().all(|place| place.caught_up),
            done: places.iter().map(|place| size(from(place), place.reached)).sum(),
            remaining: places
                .iter()
                .filter(open)
                .map(|place| size(place.reached, place.target))
                .sum(),
            records: places.iter().map(|place| place.records).sum(),
            milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            partitions: places
                .iter()
                .map(|place| PartitionProgress {
                    partition: place.partition,
                    from: from(place),
                    reached: place.reached,
                    target: place.target,
                    caught_up: place.caught_up,
                })
                .collect(),
        }
    }
}

/// From where a partition goes on, and the end of the batch that may be stored.
fn standing(plan: Option<&BatchPlan>, begun: Offset) -> (Offset, Option<Offset>) {
    let reached = plan.and_then(|plan| plan.reached).unwrap_or(begun);
    match plan.and_then(|plan| plan.from.zip(plan.to)) {
        Some((from, to)) if to > reached => (from, Some(to)),
        Some(_) | None => (reached, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(reached: Option<i64>, batch: Option<(i64, i64)>) -> BatchPlan {
        BatchPlan {
            partition: Partition(0),
            reached: reached.map(Offset),
            from: batch.map(|(from, _)| Offset(from)),
            to: batch.map(|(_, to)| Offset(to)),
        }
    }

    #[test]
    fn a_partition_goes_on_where_its_last_batch_may_have_been_stored() {
        let standing = |plan: BatchPlan| {
            let (from, pending) = standing(Some(&plan), Offset(5));
            (from.0, pending.map(|to| to.0))
        };
        assert_eq!(super::standing(None, Offset(5)), (Offset(5), None));
        assert_eq!(standing(plan(None, Some((5, 9)))), (5, Some(9)));
        assert_eq!(standing(plan(Some(9), Some((5, 9)))), (9, None));
        // Two were planned since the last stop: the first of them is stored.
        assert_eq!(standing(plan(Some(9), Some((20, 31)))), (20, Some(31)));
        assert_eq!(standing(plan(Some(9), None)), (9, None));
    }
}
