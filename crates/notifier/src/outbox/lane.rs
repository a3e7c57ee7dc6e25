//! One endpoint's deliveries: a queue per account, and the accounts in the order of what is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{Partition, Timestamp};
use wire::EventPlace;

use crate::delivery::{Delivery, DeliveryState};

/// When, and which: the order in which things are sent.
type Turn = (Timestamp, EventPlace);

#[derive(Debug, Default)]
pub(super) struct Lane {
    deliveries: BTreeMap<EventPlace, Tracked>,
    accounts: BTreeMap<Arc<str>, Queue>,
    /// The first of every account that has none under way.
    ready: BTreeMap<Turn, Arc<str>>,
    sending: usize,
    untried: usize,
}

/// A delivery that is not settled.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) delivery: Delivery,
    /// It has no record yet.
    pub(super) untried: bool,
    pub(super) step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Waiting,
    /// Under way, or ended and its record not read back.
    Sending,
    /// Its record is being written, and it waits from then on.
    Noted,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: BTreeSet<Turn>,
    sending: bool,
    /// What stands for the account in [`Lane::ready`].
    ready: Option<Turn>,
}

impl Tracked {
    fn turn(&self, place: EventPlace) -> Turn {
        match self.delivery.state {
            DeliveryState::Pending { next_at } => (next_at, place),
            // Settled ones are not kept in a lane.
            DeliveryState::Delivered | DeliveryState::Failed => (Timestamp::MAX, place),
        }
    }
}

impl Lane {
    pub(super) fn len(&self) -> usize {
        self.deliveries.len()
    }

    pub(super) fn sending(&self) -> usize {
        self.sending
    }

    pub(super) fn untried(&self) -> usize {
        self.untried
    }

    pub(super) fn has(&self, place: EventPlace) -> bool {
        self.deliveries.contains_key(&place)
    }

    pub(super) fn get(&self, place: EventPlace) -> Option<&Tracked> {
        self.deliveries.get(&place)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&EventPlace, &Tracked)> {
        self.deliveries.iter()
    }

    pub(super) fn places_of(&self, partition: Partition) -> impl Iterator<Item = EventPlace> {
        self.deliveries.keys().filter(move |place| place.partition == partition).copied()
    }

    /// Puts a delivery in; there must be none of its event.
    pub(super) fn insert(&mut self, place: EventPlace, tracked: Tracked) {
        debug_assert!(!self.has(place));
        let account = Arc::clone(&tracked.delivery.account);
        let queue = self.accounts.entry(Arc::clone(&account)).or_default();
        match tracked.step {
            Step::Waiting => {
                queue.waiting.insert(tracked.turn(place));
            }
            Step::Sending => {
                queue.sending = true;
                self.sending += 1;
            }
            Step::Noted => {}
        }
        self.untried += usize::from(tracked.untried);
        self.deliveries.insert(place, tracked);
        self.refresh(&account);
    }

    pub(super) fn remove(&mut self, place: EventPlace) -> Option<Tracked> {
        let tracked = self.deliveries.remove(&place)?;
        let account = Arc::clone(&tracked.delivery.account);
        if let Some(queue) = self.accounts.get_mut(&account) {
            match tracked.step {
                Step::Waiting => {
                    queue.waiting.remove(&tracked.turn(place));
                }
                Step::Sending => {
                    queue.sending = false;
                    self.sending -= 1;
                }
                Step::Noted => {}
            }
        }
        self.untried -= usize::from(tracked.untried);
        self.refresh(&account);
        Some(tracked)
    }

    /// Starts the earliest that is due, of an account that has none under way.
    pub(super) fn start(&mut self, now: Timestamp) -> Option<(EventPlace, &Delivery)> {
        let (&(next_at, place), account) = self.ready.first_key_value()?;
        if next_at > now {
            return None;
        }
        let account = Arc::clone(account);
        if let Some(queue) = self.accounts.get_mut(&account) {
            queue.waiting.remove(&(next_at, place));
            queue.sending = true;
            self.sending += 1;
        }
        self.refresh(&account);
        let tracked = self.deliveries.get_mut(&place)?;
        tracked.step = Step::Sending;
        Some((place, &tracked.delivery))
    }

    /// Brings [`Lane::ready`] up to what an account's queue says.
    fn refresh(&mut self, account: &Arc<str>) {
        let Some(queue) = self.accounts.get_mut(account) else { return };
        let wanted = if queue.sending { None } else { queue.waiting.first().copied() };
        if wanted != queue.ready {
            if let Some(old) = queue.ready {
                self.ready.remove(&old);
            }
            if let Some(turn) = wanted {
                self.ready.insert(turn, Arc::clone(account));
            }
            queue.ready = wanted;
        }
        if queue.waiting.is_empty() && !queue.sending {
            self.accounts.remove(account);
        }
    }
}
