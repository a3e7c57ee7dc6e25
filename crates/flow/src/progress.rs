//! How far a partition has come, as its last seal says (invariant 11).

use domain::{Offset, Timestamp, Topic};
use ledger::{ChainHash, Seal};
use serde::{Deserialize, Serialize};

/// The truth about a partition's progress. It lives in the ledger; this is the fold of the seals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The last seal's number; 0 before the first.
    pub seal: u64,
    /// The next offset of each input, in the order of [`Topic::INPUTS`].
    next: [Offset; Topic::INPUTS.len()],
    pub ledger_time: Timestamp,
    /// BLAKE3 of the last seal's bytes: where the next seal's chain begins.
    pub link: ChainHash,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            seal: 0,
            next: [Offset::ZERO; Topic::INPUTS.len()],
            ledger_time: Timestamp::ZERO,
            link: [0; 32],
        }
    }
}

/// A seal that does not follow the one before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("seal {found} where seal {expected} was due")]
    Number { expected: u64, found: u64 },
    #[error("seal {seal} takes {topic} from {found}, the seal before ended at {expected}")]
    Range { seal: u64, topic: Topic, expected: Offset, found: Offset },
    #[error("seal {seal} does not list every input once")]
    Inputs { seal: u64 },
    #[error("seal {seal} counts {counted} outcomes over {offsets} offsets")]
    Counts { seal: u64, counted: u64, offsets: u64 },
    #[error("seal {seal}: the chain over the records differs: a record was changed, lost or added")]
    Chain { seal: u64 },
}

impl Progress {
    /// The next offset of an input.
    pub fn next(&self, topic: Topic) -> Offset {
        Topic::INPUTS
            .iter()
            .zip(self.next)
            .find_map(|(input, next)| (*input == topic).then_some(next))
            .unwrap_or(Offset::ZERO)
    }

    /// Moves on to a seal. `chain` is the hash that the reader made over the records since the
    /// seal before; `bytes` are the seal's own.
    ///
    /// # Errors
    /// When the seal does not follow, or the records are not those that it was made over.
    pub fn follow(
        &mut self,
        seal: &Seal,
        chain: &ChainHash,
        bytes: &[u8],
    ) -> Result<(), SealError> {
        let number = seal.number;
        if number != self.seal + 1 {
            return Err(SealError::Number { expected: self.seal + 1, found: number });
        }
        if seal.sources.len() != Topic::INPUTS.len() {
            return Err(SealError::Inputs { seal: number });
        }
        let mut next = self.next;
        let mut offsets = 0;
        for ((range, topic), next) in seal.sources.iter().zip(Topic::INPUTS).zip(&mut next) {
            if range.topic != topic {
                return Err(SealError::Inputs { seal: number });
            }
            if range.from != *next || range.to < range.from {
                return Err(SealError::Range {
                    seal: number,
                    topic,
                    expected: *next,
                    found: range.from,
                });
            }
            offsets += range.to.0.abs_diff(range.from.0);
            *next = range.to;
        }
        if seal.counts.total() != offsets {
            let counted = seal.counts.total();
            return Err(SealError::Counts { seal: number, counted, offsets });
        }
        if seal.chain != *chain {
            return Err(SealError::Chain { seal: number });
        }
        self.seal = number;
        self.next = next;
        self.ledger_time = seal.ledger_time;
        self.link = *blake3::hash(bytes).as_bytes();
        Ok(())
    }
}
