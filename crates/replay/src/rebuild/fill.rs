//! Filling the tables beside: ledger records to batches to ClickHouse, several partitions at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use catalog::{CatalogueError, Follower, Prices};
use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{LogError, Reader};
use projection::tables::Table;
use projection::{Block, DecodedBatch, Names};
use serde::Serialize;
use tokio::task::JoinHandle;
use warehouse::{Batch, BatchPlan, InsertOutcome, NewStep, Warehouse, WarehouseError};

use super::Rebuilder;
use super::error::RebuildError;
use super::state::step;
use super::work::Work;

const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 200;
const CATALOGUE_PATIENCE: Duration = Duration::from_secs(60);
/// How long one batch is tried again before the step ends with an error; the next one goes on.
const INSERT_PATIENCE: Duration = Duration::from_secs(20);
const RETRY_WAIT: Duration = Duration::from_millis(200);

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
struct Place {
    partition: Partition,
    reached: Offset,
    /// The end of a batch that begins at `reached` and may be stored.
    pending: Option<Offset>,
    target: Offset,
    caught_up: bool,
    records: u64,
}

/// A record on its way.
struct Taken {
    offset: Offset,
    value: Box<[u8]>,
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
    fn prices_up_to(&self, needed: Option<Offset>) -> Result<Prices, RebuildError> {
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

    /// Reads and encodes a batch while the one before it is on its way.
    fn partition(&self, place: &mut Place, deadline: Instant) -> Result<(), RebuildError> {
        let rebuilder = self.rebuilder;
        let at = TopicPartition { topic: Topic::LedgerEntries, partition: place.partition };
        let began = place.reached;
        let mut reader = rebuilder.log.reader(&[(at, place.reached)])?;
        let mut next = place.reached;
        let mut sent: Option<JoinHandle<Result<(), RebuildError>>> = None;
        loop {
            let limit = place.pending.unwrap_or(place.target);
            let records = self.read(reader.as_mut(), at, limit, place.pending.is_some())?;
            let Some(last) = records.last() else {
                place.caught_up = true;
                break;
            };
            let to = place.pending.unwrap_or(last.offset.next());
            let batches = self.batches(at, (next, to), &records)?;
            self.finish(&mut sent)?;
            let again = place.pending.take().is_some();
            if !again {
                self.append_step(NewStep {
                    step: step::PLANNED,
                    partition: place.partition,
                    from: next,
                    to,
                    ..NewStep::default()
                })?;
            }
            place.records += records.len() as u64;
            let storing = store(self.shadow.clone(), batches, again);
            sent = Some(rebuilder.runtime.spawn(storing));
            next = to;
            if Instant::now() >= deadline {
                break;
            }
        }
        self.finish(&mut sent)?;
        if next > began {
            self.append_step(NewStep {
                step: step::REACHED,
                partition: place.partition,
                to: next,
                ..NewStep::default()
            })?;
        }
        place.reached = next;
        Ok(())
    }

    fn finish(
        &self,
        sent: &mut Option<JoinHandle<Result<(), RebuildError>>>,
    ) -> Result<(), RebuildError> {
        match sent.take() {
            Some(sent) => self
                .rebuilder
                .runtime
                .block_on(sent)
                .unwrap_or_else(|_| Err(ended("an insert panicked"))),
            None => Ok(()),
        }
    }

    /// Records before `limit`: a batch of them, or, when the batch was planned before, all.
    fn read(
        &self,
        reader: &mut dyn Reader,
        at: TopicPartition,
        limit: Offset,
        whole: bool,
    ) -> Result<Vec<Taken>, RebuildError> {
        let terms = &self.rebuilder.terms;
        let (mut records, mut bytes, mut empty_polls) = (Vec::new(), 0, 0);
        loop {
            let left = limit.0 - reader.position(at).0;
            let is_full =
                records.len() >= terms.batch_records_max || bytes >= terms.batch_bytes_max;
            if left <= 0 || (is_full && !whole) {
                return Ok(records);
            }
            // Each record takes an offset, so no poll can pass the limit.
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(RECORDS_PER_POLL);
            let count = reader.poll(most, POLL_WAIT, &mut |record| {
                bytes += record.value.len();
                records.push(Taken { offset: record.offset, value: record.value.into() });
            })?;
            empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
            if empty_polls > EMPTY_POLLS_MAX {
                let why = format!("reading {at} made no way at {}", reader.position(at));
                return Err(LogError::Unavailable(why).into());
            }
        }
    }

    fn batches(
        &self,
        at: TopicPartition,
        range: (Offset, Offset),
        records: &[Taken],
    ) -> Result<Vec<Batch>, RebuildError> {
        let values = records.iter().map(|record| (record.offset, &*record.value));
        let decoded = DecodedBatch::of(at.partition, values)
            .map_err(|(offset, why)| RebuildError::Record { at, offset, why })?;
        let prices = self.rebuilder.prices_up_to(decoded.catalogue_needed())?;
        let blocks = decoded.blocks(&Names::new(&prices.catalogue));
        let writer = format!("r{}", self.state.id);
        let is_wanted = |block: &Block| is_one_of(&self.tables, block.table);
        Ok(blocks
            .into_iter()
            .filter(is_wanted)
            .map(|block| Batch::of(block, at.partition, range, &writer))
            .collect())
    }
}

fn is_one_of(tables: &[&'static Table], table: &Table) -> bool {
    tables.iter().any(|wanted| wanted.name == table.name)
}

/// From where a partition goes on, and the end of the batch that may be stored.
fn standing(plan: Option<&BatchPlan>, begun: Offset) -> (Offset, Option<Offset>) {
    let reached = plan.and_then(|plan| plan.reached).unwrap_or(begun);
    match plan.and_then(|plan| plan.from.zip(plan.to)) {
        Some((from, to)) if to > reached => (from, Some(to)),
        Some(_) | None => (reached, None),
    }
}

fn ended(why: &str) -> RebuildError {
    RebuildError::Busy(why.to_owned())
}

/// Stores what a range made: all tables together, `ledger_entries` last. Each has a thread of its
/// own, because rows are turned into columns there.
async fn store(
    shadow: Warehouse,
    mut batches: Vec<Batch>,
    again: bool,
) -> Result<(), RebuildError> {
    let Some(last) = batches.pop() else { return Ok(()) };
    let send = |batch: Batch| {
        let (shadow, runtime) = (shadow.clone(), tokio::runtime::Handle::current());
        tokio::task::spawn_blocking(move || runtime.block_on(store_one(&shadow, &batch, again)))
    };
    let first: Vec<_> = batches.into_iter().map(&send).collect();
    let mut outcome = Ok(());
    for sent in first {
        // All are waited for, whatever became of the others: nothing may still run afterwards.
        let stored = sent.await.unwrap_or_else(|_| Err(ended("an insert panicked")));
        outcome = outcome.and(stored);
    }
    outcome?;
    send(last).await.unwrap_or_else(|_| Err(ended("an insert panicked")))
}

async fn store_one(shadow: &Warehouse, batch: &Batch, again: bool) -> Result<(), RebuildError> {
    let deadline = Instant::now() + INSERT_PATIENCE;
    let mut outcome =
        if again { shadow.insert_again(batch).await } else { shadow.insert(batch).await };
    loop {
        let error: WarehouseError = match outcome {
            InsertOutcome::Stored => return Ok(()),
            InsertOutcome::Refused(error) => return Err(error.into()),
            InsertOutcome::Unknown(error) | InsertOutcome::Busy(error) => error,
        };
        if Instant::now() > deadline {
            return Err(error.into());
        }
        tracing::warn!(table = batch.table.name, %error, "a rebuild's insert is tried again");
        tokio::time::sleep(RETRY_WAIT).await;
        outcome = shadow.insert_again(batch).await;
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
