//! Seals: one per partition and transaction. They say what was consumed and how every input ended,
//! so that the audit of invariant 1, and the proof that no byte changed, need nothing but the ledger.

use domain::{Credits, EntryNumber, Money, Offset, Outcome, Partition, Reason, Timestamp, Topic};

/// BLAKE3 over the chain hash before and the bytes of the records since.
pub type ChainHash = [u8; 32];

/// Input offsets consumed: `[from, to)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRange {
    pub topic: Topic,
    pub from: Offset,
    pub to: Offset,
}

/// How many inputs ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    pub fn add(&mut self, outcome: Outcome, count: u64) {
        self.0[outcome as usize] += count;
    }

    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        Outcome::ALL.into_iter().zip(self.0)
    }

    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

/// An input that left no entry of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exception {
    pub topic: Topic,
    pub offset: Offset,
    pub kind: ExceptionKind,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExceptionKind {
    /// A usage event seen before: the entry that took it.
    Duplicate {
        repeats: EntryNumber,
    },
    DeadLetter {
        reason: Reason,
    },
    /// Sent to the partition that its account lives in.
    Forwarded {
        to: Partition,
    },
    Refused {
        reason: Reason,
    },
    /// A command seen before: the entry that it made.
    Repeated {
        repeats: EntryNumber,
    },
}

impl ExceptionKind {
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Duplicate { .. } => Outcome::Duplicate,
            Self::DeadLetter { .. } => Outcome::DeadLetter,
            Self::Forwarded { .. } => Outcome::Forwarded,
            Self::Refused { .. } => Outcome::Refused,
            Self::Repeated { .. } => Outcome::Repeated,
        }
    }
}

/// The end of one transaction on one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// From 1, without gaps per partition.
    pub number: u64,
    pub ledger_time: Timestamp,
    /// One per input topic, in the order of [`Topic::INPUTS`].
    pub sources: Vec<SourceRange>,
    /// Over the inputs of the ranges; their sum is the ranges' length.
    pub counts: Counts,
    /// Σ credits of the debits since the last seal.
    pub credits: Credits,
    /// Σ known vendor cost of them.
    pub vendor_cost: Money,
    /// Ledger records since the last seal, this one not counted.
    pub records: u64,
    /// The catalogue in use: its next offset.
    pub catalogue: Offset,
    /// In the order they were decided.
    pub exceptions: Vec<Exception>,
    /// Over the records since the last seal and the chain before.
    pub chain: ChainHash,
}

impl Seal {
    /// Where an input continues after this seal.
    pub fn next(&self, topic: Topic) -> Option<Offset> {
        self.sources.iter().find(|range| range.topic == topic).map(|range| range.to)
    }
}
