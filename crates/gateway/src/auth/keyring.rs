//! The keys as the follower has read them, and when each was last used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use access::{Access, Caller, KeyId};
use domain::{Offset, Timestamp};

use crate::problem::Problem;

/// A key's use is recorded once in so long.
const RECORDED_EVERY_MICROS: i64 = 3_600_000_000;

#[derive(Default)]
pub(crate) struct Keyring {
    access: RwLock<Arc<Access>>,
    uses: Mutex<HashMap<KeyId, Use>>,
    /// The record that could not be read.
    unreadable: RwLock<Option<Offset>>,
}

#[derive(Clone, Copy)]
struct Use {
    seen: Timestamp,
    /// When a use was last handed to the log; `None` when it is to be tried again.
    recorded: Option<Timestamp>,
}

impl Keyring {
    /// All keys and endpoints, as of now.
    pub(crate) fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the next record of `access`.
    pub(crate) fn take(&self, offset: Offset, value: &[u8]) {
        match wire::decode_access(value) {
            Ok(record) => {
                let mut access = self.access.write().unwrap_or_else(PoisonError::into_inner);
                Arc::make_mut(&mut access).apply(record);
            }
            Err(error) => {
                // It may be what takes a key's rights away: without it nobody is let in.
                tracing::error!(%offset, %error, "a record of `access` cannot be read; all requests are refused: was it written by a newer tally?");
                let mut unreadable =
                    self.unreadable.write().unwrap_or_else(PoisonError::into_inner);
                unreadable.get_or_insert(offset);
            }
        }
    }

    /// The record that could not be read, if there is one.
    pub(crate) fn unreadable(&self) -> Option<Offset> {
        *self.unreadable.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who presents this key; `None` when nobody may be told by it.
    pub(crate) fn authenticate(
        &self,
        presented: &str,
        now: Timestamp,
    ) -> Result<Option<Caller>, Problem> {
        if self.unreadable().is_some() {
            return Err(Problem::unavailable(
                "the keys cannot be read; the gateway's log says why",
            ));
        }
        match self.access().authenticate(presented, now) {
            Ok(caller) => Ok(Some(caller)),
            Err(why) => {
                tracing::debug!(%why, "a key was refused");
                Ok(None)
            }
        }
    }

    /// Notes that a key is used, and says whether that is to be recorded.
    pub(crate) fn is_due(&self, key: KeyId, now: Timestamp) -> bool {
        let recorded = self.access().key(key).and_then(|key| key.last_used);
        let mut uses = self.uses();
        let last = uses.entry(key).or_insert(Use { seen: now, recorded });
        last.seen = last.seen.max(now);
        let is_due =
            last.recorded.is_none_or(|recorded| now.since(recorded) >= RECORDED_EVERY_MICROS);
        if is_due {
            last.recorded = Some(now);
        }
        is_due
    }

    /// The next use is to be recorded again.
    pub(crate) fn forget_use(&self, key: KeyId) {
        if let Some(last) = self.uses().get_mut(&key) {
            last.recorded = None;
        }
    }

    /// When this process last saw a key.
    pub(crate) fn last_seen(&self, key: KeyId) -> Option<Timestamp> {
        self.uses().get(&key).map(|last| last.seen)
    }

    fn uses(&self) -> MutexGuard<'_, HashMap<KeyId, Use>> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> KeyId {
        "000000000000".parse().unwrap()
    }

    #[test]
    fn a_use_is_recorded_once_an_hour_and_again_when_that_failed() {
        let keyring = Keyring::default();
        let at = |micros: i64| Timestamp::from_micros(RECORDED_EVERY_MICROS * 1_000 + micros);
        assert!(keyring.is_due(key(), at(0)));
        assert!(!keyring.is_due(key(), at(RECORDED_EVERY_MICROS - 1)));
        assert_eq!(keyring.last_seen(key()), Some(at(RECORDED_EVERY_MICROS - 1)));
        assert!(keyring.is_due(key(), at(RECORDED_EVERY_MICROS)));
        keyring.forget_use(key());
        assert!(keyring.is_due(key(), at(RECORDED_EVERY_MICROS + 1)));
    }

    #[test]
    fn a_record_that_cannot_be_read_lets_nobody_in() {
        let keyring = Keyring::default();
        assert!(matches!(keyring.authenticate("x", Timestamp::from_micros(0)), Ok(None)));
        keyring.take(Offset(7), b"\xc3\x01from tomorrow");
        assert_eq!(keyring.unreadable(), Some(Offset(7)));
        assert!(keyring.authenticate("x", Timestamp::from_micros(0)).is_err());
    }
}
