//! One partition on its way into the tables beside: records, batches, inserts.

use std::time::{Duration, Instant};

use domain::{Offset, Topic, TopicPartition};
use projection::tables::Table;
use projection::{Block, DecodedBatch, Names};
use tokio::task::JoinHandle;
use warehouse::{Batch, InsertOutcome, NewStep, Warehouse, WarehouseError};

use super::error::RebuildError;
use super::fill::Place;
use super::read::{BatchSize, LedgerReader, Taken};
use super::state::step;
use super::work::Work;

/// How long one batch is tried again before the step ends with an error; the next one goes on.
const INSERT_PATIENCE: Duration = Duration::from_secs(20);
const RETRY_WAIT: Duration = Duration::from_millis(200);

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
        let mut reader = LedgerReader::open(rebuilder.log.as_ref(), at, place.reached)?;
        let size = BatchSize {
            records_max: rebuilder.terms.batch_records_max,
            bytes_max: rebuilder.terms.batch_bytes_max,
        };
        let mut next = place.reached;
        let mut sent: Option<JoinHandle<Result<(), RebuildError>>> = None;
        loop {
            // One that was planned before is made again as it was.
            let records = match place.pending {
                Some(end) => reader.batch(end, None)?,
                None => reader.batch(place.target, Some(size))?,
            };
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
