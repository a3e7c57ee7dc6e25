//! One partition on its way into the tables beside: records, batches, inserts.

use std::time::{Duration, Instant};

use domain::{Offset, Topic, TopicPartition};
use eventlog::{LogError, Reader};
use projection::tables::Table;
use projection::{Block, DecodedBatch, Names};
use tokio::task::JoinHandle;
use warehouse::{Batch, InsertOutcome, NewStep, Warehouse, WarehouseError};

use super::error::RebuildError;
use super::fill::Place;
use super::state::step;
use super::work::Work;

const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 200;
/// How long one batch is tried again before the step ends with an error; the next one goes on.
const INSERT_PATIENCE: Duration = Duration::from_secs(20);
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// A record on its way.
struct Taken {
    offset: Offset,
    value: Box<[u8]>,
}

impl Work<'_> {
    /// Reads and encodes a batch while the one before it is on its way.
    pub(super) fn partition(
        &self,
        place: &mut Place,
        deadline: Instant,
    ) -> Result<(), RebuildError> {
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

pub(super) fn ended(why: &str) -> RebuildError {
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
