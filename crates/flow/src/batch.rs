//! The work since the last seal, and the seal that ends it.

use blake3::Hasher;
use domain::{Credits, Money, Offset, Outcome, Timestamp, Topic};
use ledger::{ChainHash, Counts, Exception, ExceptionKind, Seal, SourceRange};

use crate::Progress;

/// Hashing small records one by one costs three times as much as hashing them together.
const HASH_CHUNK_BYTES: usize = 64 * 1024;

/// An input offset that was taken and must end. It cannot be copied, and only [`Batch::end`]
/// consumes it.
#[derive(Debug)]
#[must_use = "every input offset ends as exactly one outcome"]
pub struct Ticket {
    topic: Topic,
    offset: Offset,
}

impl Ticket {
    pub fn topic(&self) -> Topic {
        self.topic
    }

    pub fn offset(&self) -> Offset {
        self.offset
    }
}

/// How a taken offset ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// An entry that names the offset as its cause says it.
    Debit {
        credits: Credits,
        vendor_cost: Money,
    },
    Unrated,
    Quarantined,
    Applied,
    /// A refusal that is an entry.
    Refused,
    /// The seal says it.
    Exception(ExceptionKind),
}

/// An input that does not continue where the last one ended: the reader is not where it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlowError {
    #[error("{topic}: offset {found} came where {expected} or later was due")]
    Rewound { topic: Topic, expected: Offset, found: Offset },
    #[error("{topic} is not an input")]
    NotAnInput { topic: Topic },
    #[error("{open} taken offsets have not ended")]
    Unended { open: u64 },
}

/// What one partition has taken and written since its last seal.
#[derive(Debug)]
pub struct Batch {
    number: u64,
    sources: [SourceRange; Topic::INPUTS.len()],
    counts: Counts,
    exceptions: Vec<Exception>,
    credits: Credits,
    vendor_cost: Money,
    open: u64,
    chain: Chain,
}

/// Hashes the records since a seal, in order.
#[derive(Debug)]
pub struct Chain {
    hasher: Hasher,
    pending: Vec<u8>,
    records: u64,
}

impl Chain {
    pub fn after(link: &ChainHash) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(link);
        Self { hasher, pending: Vec::new(), records: 0 }
    }

    /// Adds a ledger record's bytes, in the order of the log.
    pub fn record(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        self.records += 1;
        if self.pending.len() >= HASH_CHUNK_BYTES {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
    }

    /// Adds several records that lie one after another.
    pub fn records_together(&mut self, bytes: &[u8], records: u64) {
        if !self.pending.is_empty() {
            self.hasher.update(&self.pending);
            self.pending.clear();
        }
        self.hasher.update(bytes);
        self.records += records;
    }

    pub fn records(&self) -> u64 {
        self.records
    }

    pub fn hash(&mut self) -> ChainHash {
        self.hasher.update(&self.pending);
        self.pending.clear();
        *self.hasher.finalize().as_bytes()
    }

    /// Begins again after a seal.
    pub fn restart(&mut self, link: &ChainHash) {
        self.hasher.reset();
        self.hasher.update(link);
        self.pending.clear();
        self.records = 0;
    }
}

impl Batch {
    /// The batch that follows a seal.
    pub fn after(progress: &Progress) -> Self {
        Self {
            number: progress.seal + 1,
            sources: Topic::INPUTS.map(|topic| {
                let next = progress.next(topic);
                SourceRange { topic, from: next, to: next }
            }),
            counts: Counts::default(),
            exceptions: Vec::new(),
            credits: Credits::ZERO,
            vendor_cost: Money::ZERO,
            open: 0,
            chain: Chain::after(&progress.link),
        }
    }

    /// Takes an input offset. Offsets that were passed over held no record for us (control
    /// records), and are counted as empty.
    ///
    /// # Errors
    /// When the offset was taken before.
    pub fn take(&mut self, topic: Topic, offset: Offset) -> Result<Ticket, FlowError> {
        self.pass(topic, offset)?;
        let source = self.source(topic)?;
        source.to = offset.next();
        self.open += 1;
        Ok(Ticket { topic, offset })
    }

    /// Says that an input has no record for us before `to`.
    ///
    /// # Errors
    /// When `to` lies before what was taken.
    pub fn pass(&mut self, topic: Topic, to: Offset) -> Result<(), FlowError> {
        let source = self.source(topic)?;
        if to < source.to {
            return Err(FlowError::Rewound { topic, expected: source.to, found: to });
        }
        let empty = to.0.abs_diff(source.to.0);
        source.to = to;
        self.counts.add(Outcome::Empty, empty);
        Ok(())
    }

    /// Ends a taken offset.
    pub fn end(&mut self, ticket: Ticket, ending: Ending) {
        self.open -= 1;
        let outcome = match ending {
            Ending::Debit { credits, vendor_cost } => {
                self.credits += credits;
                self.vendor_cost += vendor_cost;
                Outcome::Debit
            }
            Ending::Unrated => Outcome::Unrated,
            Ending::Quarantined => Outcome::Quarantined,
            Ending::Applied => Outcome::Applied,
            Ending::Refused => Outcome::Refused,
            Ending::Exception(kind) => {
                let Ticket { topic, offset } = ticket;
                self.exceptions.push(Exception { topic, offset, kind });
                kind.outcome()
            }
        };
        self.counts.add(outcome, 1);
    }

    /// Counts a debit that no input of this batch caused (waiting usage whose price came).
    pub fn charged_later(&mut self, credits: Credits, vendor_cost: Money) {
        self.credits += credits;
        self.vendor_cost += vendor_cost;
    }

    /// Notes records that were written to the ledger, in order, lying one after another.
    pub fn written(&mut self, bytes: &[u8], records: u64) {
        self.chain.records_together(bytes, records);
    }

    /// Input offsets taken or passed since the last seal.
    pub fn inputs(&self) -> u64 {
        self.counts.total() + self.open
    }

    /// Whether there is nothing to seal.
    pub fn is_empty(&self) -> bool {
        self.inputs() == 0 && self.chain.records() == 0
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The next offset of an input after this batch.
    pub fn next(&self, topic: Topic) -> Option<Offset> {
        self.sources.iter().find(|source| source.topic == topic).map(|source| source.to)
    }

    /// The seal over all of it.
    ///
    /// # Errors
    /// When a taken offset has not ended.
    pub fn seal(&mut self, ledger_time: Timestamp, catalogue: Offset) -> Result<Seal, FlowError> {
        if self.open != 0 {
            return Err(FlowError::Unended { open: self.open });
        }
        Ok(Seal {
            number: self.number,
            ledger_time,
            sources: self.sources.to_vec(),
            counts: self.counts,
            credits: self.credits,
            vendor_cost: self.vendor_cost,
            records: self.chain.records(),
            catalogue,
            exceptions: std::mem::take(&mut self.exceptions),
            chain: self.chain.hash(),
        })
    }

    fn source(&mut self, topic: Topic) -> Result<&mut SourceRange, FlowError> {
        self.sources
            .iter_mut()
            .find(|source| source.topic == topic)
            .ok_or(FlowError::NotAnInput { topic })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{EntryNumber, Reason};
    use proptest::prelude::*;

    proptest! {
        /// Whatever is taken, passed and ended: a seal's counts cover its ranges exactly, the next
        /// seal continues it, and a changed byte breaks the chain.
        #[test]
        fn seals_cover_every_offset_once(
            gaps in prop::collection::vec((0_usize..3, 0_i64..3, 0_u8..4), 0..200),
            cut in 1_usize..20,
        ) {
            let mut progress = Progress::default();
            let mut follower = Progress::default();
            let mut next = [0_i64; 3];
            let mut ended = 0_u64;
            for chunk in gaps.chunks(cut) {
                let mut batch = Batch::after(&progress);
                let mut reader = Chain::after(&follower.link);
                for (input, gap, how) in chunk {
                    let topic = Topic::INPUTS[*input];
                    let offset = Offset(next[*input] + gap);
                    next[*input] = offset.0 + 1;
                    let ticket = batch.take(topic, offset).unwrap();
                    ended += 1;
                    batch.end(ticket, match how {
                        0 => Ending::Debit { credits: Credits::from_units(1), vendor_cost: Money::ZERO },
                        1 => Ending::Exception(ExceptionKind::Duplicate { repeats: EntryNumber(1) }),
                        2 => Ending::Exception(ExceptionKind::DeadLetter { reason: Reason::InvalidJson }),
                        _ => Ending::Unrated,
                    });
                    batch.written(&offset.0.to_le_bytes(), 1);
                    reader.record(&offset.0.to_le_bytes());
                    prop_assert!(batch.take(topic, offset).is_err());
                }
                let seal = batch.seal(Timestamp::ZERO, Offset::ZERO).unwrap();
                let bytes = seal.number.to_le_bytes();
                let mut other = Chain::after(&follower.link);
                other.record(b"changed");
                prop_assert!(follower.clone().follow(&seal, &other.hash(), &bytes).is_err());
                follower.follow(&seal, &reader.hash(), &bytes).unwrap();
                progress = follower.clone();
            }
            let total: i64 = Topic::INPUTS.iter().map(|topic| progress.next(*topic).0).sum();
            prop_assert_eq!(total, next.iter().sum::<i64>());
            prop_assert!(ended <= total.unsigned_abs());
        }
    }

    #[test]
    fn an_offset_that_has_not_ended_cannot_be_sealed() {
        let mut batch = Batch::after(&Progress::default());
        let ticket = batch.take(Topic::UsageRaw, Offset(0)).unwrap();
        assert_eq!(batch.seal(Timestamp::ZERO, Offset::ZERO), Err(FlowError::Unended { open: 1 }));
        batch.end(ticket, Ending::Unrated);
        assert!(batch.seal(Timestamp::ZERO, Offset::ZERO).is_ok());
    }
}
