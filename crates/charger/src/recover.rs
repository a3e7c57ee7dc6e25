//! A partition's state, made from its ledger: the newest valid snapshot, and the fold of every
//! record after it. A snapshot is a cache; without one, the fold begins at the ledger's start.

use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use flow::{Chain, SealError};
use identity::IdentityError;
use ledger::ApplyError;
use sabotage::Break;
use wire::{LedgerRecord, RecordError};

use crate::core::{Folded, remember_in};
use crate::snapshot::Snapshots;

const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(100);
/// A reader that brings nothing for so many polls, though the ledger has more, has stalled.
const EMPTY_POLLS_MAX: u32 = 300;

/// Why a partition's state cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error("{at}@{offset}: {why}")]
    Record { at: TopicPartition, offset: Offset, why: RecordError },
    #[error("{at}@{offset}: {why}")]
    Apply { at: TopicPartition, offset: Offset, why: ApplyError },
    #[error("{at}@{offset}: {why}")]
    Seal { at: TopicPartition, offset: Offset, why: SealError },
    #[error("{at}: the last transaction has no seal")]
    Unsealed { at: TopicPartition },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("{at}: the reader stopped at {position}, and the ledger ends at {end}")]
    Stalled { at: TopicPartition, position: Offset, end: Offset },
}

impl RecoverError {
    /// Whether the same may work in a moment.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Log(LogError::Unavailable(_)) | Self::Stalled { .. })
    }
}

/// Folds the records of one ledger partition, in order.
#[derive(Debug)]
pub struct Folder {
    at: TopicPartition,
    folded: Folded,
    chain: Chain,
    /// Records up to this seal are in the state already: the fold began a little before it.
    skip_to_seal: Option<u64>,
}

impl Folder {
    /// Goes on from a state. The records may begin anywhere before the seal that it was taken at:
    /// those up to that seal are passed over.
    pub fn new(partition: Partition, folded: Folded) -> Self {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let chain = Chain::after(&folded.progress.link);
        let seal = folded.progress.seal;
        Self { at, folded, chain, skip_to_seal: (seal > 0).then_some(seal) }
    }

    pub fn folded(&self) -> &Folded {
        &self.folded
    }

    /// Folds one record.
    ///
    /// # Errors
    /// When the record cannot be read, or does not follow: the ledger is damaged, and a person
    /// must look.
    pub fn record(&mut self, offset: Offset, bytes: &[u8]) -> Result<(), RecoverError> {
        let at = self.at;
        let record =
            wire::decode_ledger(bytes).map_err(|why| RecoverError::Record { at, offset, why })?;
        if let Some(last) = self.skip_to_seal {
            match record {
                LedgerRecord::Seal(seal) if seal.number == last => self.skip_to_seal = None,
                LedgerRecord::Seal(seal) if seal.number > last => {
                    let why = SealError::Number { expected: last, found: seal.number };
                    return Err(RecoverError::Seal { at, offset, why });
                }
                LedgerRecord::Seal(_) | LedgerRecord::Entry(_) | LedgerRecord::Adopted(_) => {}
            }
            return Ok(());
        }
        match record {
            LedgerRecord::Entry(entry) => {
                self.chain.record(bytes);
                self.folded.state.apply(&entry).map_err(|why| RecoverError::Apply {
                    at,
                    offset,
                    why,
                })?;
                for remember in entry.remember() {
                    remember_in(&mut self.folded.identity, &remember, entry.recorded_at.day());
                }
            }
            LedgerRecord::Adopted(adopted) => {
                self.chain.record(bytes);
                self.folded.state.adopt(&adopted);
            }
            LedgerRecord::Seal(seal) => {
                let chain = self.chain.hash();
                self.folded
                    .progress
                    .follow(&seal, &chain, bytes)
                    .map_err(|why| RecoverError::Seal { at, offset, why })?;
                self.chain.restart(&self.folded.progress.link);
            }
        }
        Ok(())
    }

    /// Ends the fold.
    ///
    /// # Errors
    /// [`RecoverError::Unsealed`] when records stand after the last seal.
    pub fn finish(self) -> Result<Folded, RecoverError> {
        if self.chain.records() > 0 {
            return Err(RecoverError::Unsealed { at: self.at });
        }
        Ok(self.folded)
    }
}

/// Makes the state of a partition from its newest snapshot and its ledger.
///
/// # Errors
/// [`RecoverError`]: those of the log are worth another try, the others want a person.
pub fn recover(
    log: &dyn EventLog,
    partition: Partition,
    snapshots: &Snapshots,
) -> Result<Folded, RecoverError> {
    let at = TopicPartition { topic: Topic::LedgerEntries, partition };
    let (from, folded) = snapshots.newest(partition)?;
    if sabotage::is_on(Break::FoldSkipped) {
        return Ok(folded);
    }
    let from_snapshot = folded.progress.seal > 0;
    match fold_from(log, at, from, folded) {
        Err(error) if from_snapshot && !error.is_passing() => {
            tracing::warn!(%partition, %error, "snapshot unusable, folding the whole ledger");
            fold_from(log, at, Offset::ZERO, snapshots.nothing(partition)?)
        }
        other => other,
    }
}

fn fold_from(
    log: &dyn EventLog,
    at: TopicPartition,
    from: Offset,
    folded: Folded,
) -> Result<Folded, RecoverError> {
    // Up to the high watermark: what a transaction of the owner before has written and not yet
    // ended must end first, so that nothing of it appears after the fold.
    let end = log.bounds(at)?.end;
    let mut folder = Folder::new(at.partition, folded);
    let mut reader = log.reader(&[(at, from)])?;
    let mut failed = None;
    let mut empty_polls = 0;
    while reader.position(at) < end {
        let count = reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
            if failed.is_none() {
                failed = folder.record(record.offset, record.value).err();
            }
        })?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            let position = reader.position(at);
            return Err(RecoverError::Stalled { at, position, end });
        }
    }
    folder.finish()
}
