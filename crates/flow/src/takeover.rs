//! Where a new owner of a partition continues. The ledger's last seal decides; the group's
//! committed positions are a hint that is checked against it.

use domain::{Offset, Topic};

use crate::Progress;

/// A committed position of the consumer group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub topic: Topic,
    pub next: Option<Offset>,
}

/// Why a partition cannot be taken over without a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeoverError {
    /// Offsets and entries are committed in one transaction, so this cannot happen while the
    /// ledger is whole.
    #[error(
        "{topic}: the group has committed offset {committed}, but the ledger's last seal ends at \
         {sealed}: ledger data was lost"
    )]
    LedgerLost { topic: Topic, committed: Offset, sealed: Offset },
}

/// The offsets to read from, one per input: those of the seal. Missing or older commits are fine
/// (they expire); a commit beyond the seal says that ledger data was lost.
///
/// # Errors
/// [`TakeoverError::LedgerLost`].
pub fn takeover(
    progress: &Progress,
    committed: &[Committed],
) -> Result<[(Topic, Offset); Topic::INPUTS.len()], TakeoverError> {
    for position in committed {
        let sealed = progress.next(position.topic);
        match position.next {
            Some(committed) if committed > sealed => {
                return Err(TakeoverError::LedgerLost { topic: position.topic, committed, sealed });
            }
            Some(_) | None => {}
        }
    }
    Ok(Topic::INPUTS.map(|topic| (topic, progress.next(topic))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seal_wins_over_older_commits_and_stops_at_newer_ones() {
        let progress = Progress::default();
        let at = |next| [Committed { topic: Topic::UsageRaw, next }];
        assert_eq!(takeover(&progress, &at(None)).unwrap()[0], (Topic::UsageRaw, Offset(0)));
        assert!(takeover(&progress, &at(Some(Offset(0)))).is_ok());
        assert!(takeover(&progress, &at(Some(Offset(1)))).is_err());
    }
}
