//! The state of one partition: its accounts, what waits for time, and what waits for a price.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ContentHash, EntryNumber, LotId, Offset, Reason, Timestamp, UsageEvent};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::{Account, ApplyError, Body, CatalogueAdopted, Entry, apply};

/// What a due time does to a lot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimerKind {
    Activate,
    EnterGrace,
    Expire,
}

/// A lot that time will move on. Derived from the lots; the order is that of firing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    pub due: Timestamp,
    pub account: Box<str>,
    pub kind: TimerKind,
    pub lot: LotId,
}

/// Usage that waits for a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub event: UsageEvent<'static>,
    pub content: ContentHash,
    pub plan: Option<Box<str>>,
    pub reason: Reason,
}

/// The fold of one ledger partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PartitionState {
    accounts: HashMap<Box<str>, Account>,
    /// By the unrated entry: the order in which they came, so that draining can stop and go on.
    waiting: BTreeMap<EntryNumber, Waiting>,
    /// The number of the last entry.
    last: EntryNumber,
    /// The next offset of the catalogue in use; zero before the first adoption.
    pub catalogue: Offset,
    pub ledger_time: Timestamp,
    #[serde(skip)]
    timers: BTreeSet<Timer>,
}

impl PartialEq for PartitionState {
    /// Timers are left out: they follow from the lots, but for stale ones that are dropped lazily.
    fn eq(&self, other: &Self) -> bool {
        self.accounts == other.accounts
            && self.waiting == other.waiting
            && self.last == other.last
            && self.catalogue == other.catalogue
            && self.ledger_time == other.ledger_time
    }
}

/// What an account is before its first entry.
static NEW_ACCOUNT: Account = Account::new();

impl PartitionState {
    /// An account that has no entry yet is empty, not an error.
    pub fn account(&self, name: &str) -> &Account {
        self.accounts.get(name).unwrap_or(&NEW_ACCOUNT)
    }

    /// Whether the account has an entry.
    pub fn has_account(&self, name: &str) -> bool {
        self.accounts.contains_key(name)
    }

    pub fn accounts(&self) -> impl Iterator<Item = (&str, &Account)> {
        self.accounts.iter().map(|(name, account)| (name.as_ref(), account))
    }

    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }

    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// The first waiting usage from an entry on, and its own.
    pub fn waiting_from(&self, entry: EntryNumber) -> Option<(EntryNumber, &Waiting)> {
        self.waiting.range(entry..).next().map(|(entry, waiting)| (*entry, waiting))
    }

    /// The number that the next entry has.
    pub fn next_number(&self) -> EntryNumber {
        self.last.next()
    }

    /// Applies one entry: the account, what waits for a price, and what waits for time.
    ///
    /// # Errors
    /// When the entry does not continue its account: the ledger is damaged.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Result<(), ApplyError> {
        let expected = self.last.next();
        if entry.number != expected {
            return Err(ApplyError::NumberGap { expected, found: entry.number });
        }
        let account = match self.accounts.get_mut(entry.account.as_ref()) {
            Some(account) => account,
            None => self.accounts.entry(entry.account.as_ref().into()).or_default(),
        };
        apply(account, entry)?;
        self.last = expected;
        self.ledger_time = self.ledger_time.max(entry.recorded_at);
        match &entry.body {
            Body::Debit(debit) => {
                if let Some(resolved) = debit.resolves {
                    self.waiting.remove(&resolved);
                }
            }
            Body::Unrated(unrated) => {
                let waiting = Waiting {
                    event: unrated.event.clone().into_owned(),
                    content: unrated.content,
                    plan: unrated.plan.as_deref().map(Into::into),
                    reason: unrated.reason,
                };
                self.waiting.insert(entry.number, waiting);
            }
            Body::Grant(_) => self.set_timer(&entry.account, LotId(entry.sequence.0)),
            Body::LotActivated(activated) => self.set_timer(&entry.account, activated.lot),
            Body::LotInGrace(lapsed) => self.set_timer(&entry.account, lapsed.lot),
            // An adjustment's lot never expires.
            Body::Quarantined(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotExpired(_) => {}
        }
        Ok(())
    }

    pub fn adopt(&mut self, adopted: &CatalogueAdopted) {
        self.catalogue = adopted.next;
        self.ledger_time = self.ledger_time.max(adopted.recorded_at);
    }

    /// The next timer due at or before `up_to`, if any. It stays until an entry moves its lot on.
    pub fn due(&mut self, up_to: Timestamp) -> Option<Timer> {
        loop {
            let first = self.timers.first()?;
            if first.due > up_to {
                return None;
            }
            let current = self
                .accounts
                .get(&first.account)
                .and_then(|account| account.lots.iter().find(|lot| lot.id == first.lot))
                .and_then(crate::Lot::timer);
            if current == Some((first.due, first.kind)) {
                return Some(first.clone());
            }
            self.timers.pop_first();
        }
    }

    /// Puts the timers back after a snapshot was read.
    pub fn restore_timers(&mut self) {
        self.timers = self
            .accounts
            .iter()
            .flat_map(|(name, account)| {
                account.lots.iter().filter_map(|lot| {
                    let (due, kind) = lot.timer()?;
                    Some(Timer { due, account: name.clone(), kind, lot: lot.id })
                })
            })
            .collect();
    }

    fn set_timer(&mut self, name: &str, lot: LotId) {
        let timer = self
            .accounts
            .get(name)
            .and_then(|account| account.lots.iter().find(|open| open.id == lot))
            .and_then(crate::Lot::timer);
        if let Some((due, kind)) = timer {
            self.timers.insert(Timer { due, account: name.into(), kind, lot });
        }
    }
}
