//! The state of one partition: its accounts, what waits for time, and what waits for a price.

use std::collections::{BTreeMap, BTreeSet};

use domain::{ContentHash, EntryNumber, LotId, Offset, Reason, Text, Timestamp, UsageEvent};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::happening::{Before, happenings};
use crate::{
    Account, AccountEvent, ApplyError, Body, CatalogueAdopted, Entry, Hold, HoldId, Lot, apply,
};

/// What a due time does. The order is that of firing when several are due at once: an allowance is
/// rolled over before its lot enters its grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TimerKind {
    /// The plan's period ends.
    Renew,
    Activate(LotId),
    Warn(LotId),
    EnterGrace(LotId),
    Expire(LotId),
    EndHold(HoldId),
}

/// Something that time will do to an account. Derived from the account; the order is that of firing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    pub due: Timestamp,
    pub account: Box<str>,
    pub kind: TimerKind,
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
    /// Whose hold it is, of the holds that accounts have.
    #[serde(skip)]
    holders: HashMap<HoldId, Box<str>>,
}

impl PartialEq for PartitionState {
    /// Timers and holders are left out: they follow from the accounts, but for stale timers, which are
    /// dropped lazily.
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

    /// The account that a hold is of, while the hold is open or waits for its event.
    pub fn holder(&self, hold: HoldId) -> Option<&str> {
        self.holders.get(&hold).map(Box::as_ref)
    }

    /// Applies one entry: the account, what waits for a price, and what waits for time. Returns what
    /// the account's owner is to be told.
    ///
    /// # Errors
    /// When the entry does not continue its account: the ledger is damaged.
    pub fn apply<'a>(&mut self, entry: &Entry<'a>) -> Result<Vec<AccountEvent<'a>>, ApplyError> {
        let expected = self.last.next();
        if entry.number != expected {
            return Err(ApplyError::NumberGap { expected, found: entry.number });
        }
        let account = match self.accounts.get_mut(entry.account.as_ref()) {
            Some(account) => account,
            None => self.accounts.entry(entry.account.as_ref().into()).or_default(),
        };
        let before = Before::of(account);
        let ended = ended_holds(account, &entry.body);
        apply(account, entry)?;
        for hold in ended.into_iter().filter(|hold| account.hold(*hold).is_none()) {
            self.holders.remove(&hold);
        }
        let events = tell(account, &before, entry);
        self.last = expected;
        self.ledger_time = self.ledger_time.max(entry.recorded_at);
        match &entry.body {
            Body::Debit(debit) => {
                if let Some(resolved) = debit.resolves {
                    self.waiting.remove(&resolved);
                }
                if let Some(used) = &debit.hold {
                    self.held(&entry.account, used.hold);
                    if let Some(freed) = &used.freed {
                        freed
                            .returns
                            .iter()
                            .for_each(|back| self.time_lot(&entry.account, back.lot));
                    }
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
            Body::Grant(_) => self.time_lot(&entry.account, LotId(entry.sequence.0)),
            Body::LotActivated(activated) => self.time_lot(&entry.account, activated.lot),
            Body::LotExpiring(expiring) => self.time_lot(&entry.account, expiring.lot),
            Body::LotInGrace(lapsed) => self.time_lot(&entry.account, lapsed.lot),
            Body::RolledOver(_) => self.time_lot(&entry.account, LotId(entry.sequence.0)),
            Body::PlanAssigned(_) | Body::PlanRenewed(_) => {
                self.time_lot(&entry.account, LotId(entry.sequence.0));
                self.time_renewal(&entry.account);
            }
            Body::HoldReserved(_) => {
                let hold = HoldId(entry.number);
                self.holders.insert(hold, entry.account.as_ref().into());
                self.held(&entry.account, hold);
            }
            Body::HoldExtended(extended) => self.held(&entry.account, extended.hold),
            Body::HoldEnded(ended) => {
                self.held(&entry.account, ended.hold);
                let returns = &ended.freed.returns;
                returns.iter().for_each(|back| self.time_lot(&entry.account, back.lot));
            }
            Body::Reversed(reversed) => {
                let returns = &reversed.returns;
                returns.iter().for_each(|back| self.time_lot(&entry.account, back.lot));
            }
            Body::Corrected(corrected) => {
                let returns = &corrected.returns;
                returns.iter().for_each(|back| self.time_lot(&entry.account, back.lot));
            }
            // An adjustment's lot never expires.
            Body::Quarantined(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotExpired(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::PlanScheduled(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::QuarantineDecided(_) => {}
        }
        Ok(events)
    }

    pub fn adopt(&mut self, adopted: &CatalogueAdopted) {
        self.catalogue = adopted.next;
        self.ledger_time = self.ledger_time.max(adopted.recorded_at);
    }

    /// The next timer due at or before `up_to`, if any. It stays until an entry moves its subject on.
    pub fn due(&mut self, up_to: Timestamp) -> Option<Timer> {
        loop {
            let first = self.timers.first()?;
            if first.due > up_to {
                return None;
            }
            if self.accounts.get(&first.account).is_some_and(|account| account.waits_for(first)) {
                return Some(first.clone());
            }
            self.timers.pop_first();
        }
    }

    /// Puts what is derived back after a snapshot was read.
    pub fn restore_derived(&mut self) {
        self.timers = self
            .accounts
            .iter()
            .flat_map(|(name, account)| {
                account.timers().map(|(due, kind)| Timer { due, account: name.clone(), kind })
            })
            .collect();
        self.holders = self
            .accounts
            .iter()
            .flat_map(|(name, account)| account.holds().iter().map(|hold| (hold.id, name.clone())))
            .collect();
    }

    fn time_lot(&mut self, name: &str, lot: LotId) {
        let lot = self.account(name).lots.iter().find(|open| open.id == lot);
        let timer = lot.and_then(Lot::timer);
        self.set_timer(name, timer);
    }

    fn time_renewal(&mut self, name: &str) {
        let renewal = self.account(name).renewal();
        self.set_timer(name, renewal);
    }

    /// A hold changed: its timer, and whether anybody still asks for it.
    fn held(&mut self, name: &str, hold: HoldId) {
        let found = self.account(name).hold(hold);
        let timer = found.and_then(Hold::timer);
        if found.is_none() {
            self.holders.remove(&hold);
        }
        self.set_timer(name, timer);
    }

    fn set_timer(&mut self, name: &str, timer: Option<(Timestamp, TimerKind)>) {
        if let Some((due, kind)) = timer {
            self.timers.insert(Timer { due, account: name.into(), kind });
        }
    }
}

/// The holds whose advances an entry may forget: the end of a hold forgets those of older ones.
fn ended_holds(account: &Account, body: &Body<'_>) -> Vec<HoldId> {
    if !matches!(body, Body::HoldEnded(_)) {
        return Vec::new();
    }
    account.holds().iter().filter(|hold| !hold.is_open()).map(|hold| hold.id).collect()
}

/// Numbers what an entry has to tell.
fn tell<'a>(account: &mut Account, before: &Before, entry: &Entry<'a>) -> Vec<AccountEvent<'a>> {
    let found = happenings(before, entry, account);
    let first = account.events + 1;
    account.events += found.len() as u64;
    (first..)
        .zip(found)
        .map(|(number, what)| AccountEvent {
            account: Text::clone(&entry.account),
            number,
            entry: entry.number,
            at: entry.recorded_at,
            what,
        })
        .collect()
}

impl Hold {
    pub(crate) fn timer(&self) -> Option<(Timestamp, TimerKind)> {
        self.is_open().then_some((self.expires_at, TimerKind::EndHold(self.id)))
    }
}

impl Account {
    fn renewal(&self) -> Option<(Timestamp, TimerKind)> {
        Some((self.plan()?.renews_at()?, TimerKind::Renew))
    }

    fn timers(&self) -> impl Iterator<Item = (Timestamp, TimerKind)> {
        let lots = self.lots.iter().filter_map(Lot::timer);
        lots.chain(self.holds().iter().filter_map(Hold::timer)).chain(self.renewal())
    }

    fn waits_for(&self, timer: &Timer) -> bool {
        let current = match timer.kind {
            TimerKind::Renew => self.renewal(),
            TimerKind::Activate(lot)
            | TimerKind::Warn(lot)
            | TimerKind::EnterGrace(lot)
            | TimerKind::Expire(lot) => {
                self.lots.iter().find(|open| open.id == lot).and_then(Lot::timer)
            }
            TimerKind::EndHold(hold) => self.hold(hold).and_then(Hold::timer),
        };
        current == Some((timer.due, timer.kind))
    }
}
