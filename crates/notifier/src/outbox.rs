//! What is to be sent, to whom, and when. Pure: events, records and time come in, and what goes out
//! is sends to make and records to write.
//!
//! - Per endpoint and account one delivery is under way at a time, the earliest that is due: so
//!   alerts come in order while they come through, and one that does not is passed by others.
//! - An endpoint has so many under way and no more, and its own queue: nobody waits for another's.
//! - What has been handed over to be written is changed here only when its record is read back.

mod lane;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, Partition, Timestamp};
use wire::{Attempt, AttemptOutcome, DeliveryChange, DeliveryRecord, EventPlace};

use crate::delivery::{Delivery, DeliveryState};
use crate::schedule::next_at;
use lane::{Lane, Step, Tracked};

const LATE: &str = "others wait before it";
const FULL: &str = "too many wait for this endpoint; it can be asked to be sent again";

/// The bounds of what one endpoint takes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests under way at a time.
    pub in_flight_max: usize,
    /// Deliveries without a record; from there on they get one before they are sent, so that the
    /// position on `account.events` goes on.
    pub untried_max: usize,
    /// Deliveries that wait, tried or not; what comes beyond is given up at once.
    pub waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { in_flight_max: 4, untried_max: 1_000, waiting_max: 20_000 }
    }
}

/// An event as it was read.
#[derive(Clone, Debug)]
pub struct Taken {
    pub place: EventPlace,
    pub appended_at: Timestamp,
    pub account: Arc<str>,
    pub number: u64,
    /// Its record.
    pub event: Arc<[u8]>,
}

/// A request to make.
#[derive(Clone, Debug)]
pub struct Sending {
    pub webhook: Arc<str>,
    pub event: Taken,
    /// Tries before it.
    attempts: u32,
}

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Tried {
    pub outcome: AttemptOutcome,
    pub took_ms: u32,
    pub retry: Retry,
}

/// Whether what failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    BySchedule {
        /// How long the endpoint asked to be left alone.
        not_before: Option<Duration>,
    },
    Never,
}

/// How far one partition of `account.events` is.
#[derive(Debug)]
struct Span {
    /// The next offset to take.
    next: Offset,
    /// From where on events are read again after a restart.
    committed: Offset,
    /// How many deliveries have no record, by their event.
    untried: BTreeMap<Offset, usize>,
    /// Who was served already, of events that a restart would read again.
    settled: BTreeMap<Offset, BTreeSet<Arc<str>>>,
}

/// The deliveries of the partitions that this process has.
#[derive(Debug)]
pub struct Outbox {
    limits: Limits,
    lanes: BTreeMap<Arc<str>, Lane>,
    spans: BTreeMap<Partition, Span>,
}

impl Outbox {
    pub fn new(limits: Limits) -> Self {
        Self { limits, lanes: BTreeMap::new(), spans: BTreeMap::new() }
    }

    /// Takes a partition over, whose events are read from `from` on. Its records come next, all of
    /// them from the start.
    pub fn gain(&mut self, partition: Partition, from: Offset) {
        let (untried, settled) = (BTreeMap::new(), BTreeMap::new());
        self.spans.insert(partition, Span { next: from, committed: from, untried, settled });
    }

    /// Gives a partition up: another one continues from the records and the committed position.
    pub fn release(&mut self, partition: Partition) {
        self.spans.remove(&partition);
        for lane in self.lanes.values_mut() {
            let of_it: Vec<_> = lane.places_of(partition).collect();
            for place in of_it {
                lane.remove(place);
            }
        }
    }

    /// Takes a record of `webhook.deliveries`.
    pub fn fold(&mut self, record: &DeliveryRecord) {
        let place = record.place;
        let Some(span) = self.spans.get_mut(&place.partition) else { return };
        let webhook: Arc<str> = match self.lanes.get_key_value(record.webhook.as_str()) {
            Some((webhook, _)) => Arc::clone(webhook),
            None => record.webhook.as_str().into(),
        };
        let lane = self.lanes.entry(Arc::clone(&webhook)).or_default();
        let is_attempt = match record.change {
            DeliveryChange::Attempted(_) => true,
            DeliveryChange::ReplayAsked { .. } => false,
        };
        let before = lane.remove(place);
        if before.is_none() && is_attempt && span.has_settled(place.offset, &webhook) {
            // The late word of one who had lost the partition.
            return;
        }
        let was_sending = before.as_ref().is_some_and(|tracked| tracked.step == Step::Sending);
        if before.as_ref().is_some_and(|tracked| tracked.untried) {
            span.tried(place.offset);
        }
        let delivery = Delivery::after(before.map(|tracked| tracked.delivery), record);
        match delivery.state {
            DeliveryState::Pending { .. } => {
                // A replay that is asked for during a try does not make it two tries at once.
                let step = if was_sending && !is_attempt { Step::Sending } else { Step::Waiting };
                lane.insert(place, Tracked { delivery, untried: false, step });
            }
            DeliveryState::Delivered | DeliveryState::Failed => span.settle(place.offset, webhook),
        }
    }

    /// Takes the next event, for the endpoints that want it. Returns what is to be written of those
    /// that are not sent now.
    pub fn take(
        &mut self,
        event: &Taken,
        wanted_by: &[&str],
        now: Timestamp,
    ) -> Vec<DeliveryRecord> {
        let mut records = Vec::new();
        let offset = event.place.offset;
        let Some(span) = self.spans.get_mut(&event.place.partition) else { return records };
        if offset < span.next {
            return records;
        }
        span.next = offset.next();
        for &webhook in wanted_by {
            if !self.lanes.contains_key(webhook) {
                self.lanes.insert(webhook.into(), Lane::default());
            }
            let Some(lane) = self.lanes.get_mut(webhook) else { continue };
            if lane.has(event.place) || span.has_settled(offset, webhook) {
                continue;
            }
            let first_at = event.appended_at.min(now);
            let write = if lane.len() >= self.limits.waiting_max {
                Some(event.not_sent(webhook, FULL, (now, None)))
            } else if lane.untried() >= self.limits.untried_max {
                Some(event.not_sent(webhook, LATE, (now, Some(first_at))))
            } else {
                None
            };
            let step = if write.is_some() { Step::Noted } else { Step::Waiting };
            let delivery = event.delivery(first_at);
            lane.insert(event.place, Tracked { delivery, untried: true, step });
            *span.untried.entry(offset).or_default() += 1;
            records.extend(write);
        }
        records
    }

    /// The requests to make now.
    pub fn due(&mut self, now: Timestamp) -> Vec<Sending> {
        let mut due = Vec::new();
        for (webhook, lane) in &mut self.lanes {
            while lane.sending() < self.limits.in_flight_max
                && let Some((place, delivery)) = lane.start(now)
            {
                let event = Taken {
                    place,
                    appended_at: delivery.appended_at,
                    account: Arc::clone(&delivery.account),
                    number: delivery.number,
                    event: Arc::clone(&delivery.event),
                };
                let attempts = delivery.attempts;
                due.push(Sending { webhook: Arc::clone(webhook), event, attempts });
            }
        }
        due
    }

    /// What is to be written of a request that has ended. Until it is read back, nothing more is
    /// sent of that account to that endpoint.
    pub fn finish(&self, send: &Sending, tried: Tried, now: Timestamp) -> DeliveryRecord {
        let tracked = self.lanes.get(&send.webhook).and_then(|lane| lane.get(send.event.place));
        let before = tracked.map_or(send.attempts, |tracked| tracked.delivery.attempts);
        let attempt = match tried.outcome {
            AttemptOutcome::Answered { .. } | AttemptOutcome::Unanswered { .. } => before + 1,
            AttemptOutcome::NotSent { .. } => before,
        };
        let next_at = match tried.retry {
            Retry::Never => None,
            Retry::BySchedule { .. } if tried.outcome.is_delivered() => None,
            Retry::BySchedule { not_before } => {
                next_at((&send.webhook, send.event.place), attempt, now, not_before)
            }
        };
        let (outcome, took_ms) = (tried.outcome, tried.took_ms);
        let attempt = Attempt { attempt, outcome, took_ms, next_at };
        send.event.record(&send.webhook, now, DeliveryChange::Attempted(attempt))
    }

    /// Up to where a partition's events need not be read again.
    pub fn position(&self, partition: Partition) -> Option<Offset> {
        let span = self.spans.get(&partition)?;
        Some(span.untried.keys().next().copied().unwrap_or(span.next))
    }

    /// That position is durable.
    pub fn committed(&mut self, partition: Partition, position: Offset) {
        if let Some(span) = self.spans.get_mut(&partition) {
            span.committed = position;
            span.settled = span.settled.split_off(&position);
        }
    }

    /// Drops what was for endpoints that are no more.
    pub fn retain(&mut self, is_there: impl Fn(&str) -> bool) {
        let spans = &mut self.spans;
        self.lanes.retain(|webhook, lane| {
            let stays = is_there(webhook);
            for (place, tracked) in lane.all().filter(|_| !stays) {
                if let Some(span) = spans.get_mut(&place.partition).filter(|_| tracked.untried) {
                    span.tried(place.offset);
                }
            }
            stays
        });
    }

    /// Deliveries that wait or are under way, and since when the oldest does.
    pub fn waiting(&self) -> (usize, Option<Timestamp>) {
        let count = self.lanes.values().map(Lane::len).sum();
        let all = self.lanes.values().flat_map(Lane::all);
        (count, all.map(|(_, tracked)| tracked.delivery.since).min())
    }
}

impl Span {
    fn has_settled(&self, offset: Offset, webhook: &str) -> bool {
        self.settled.get(&offset).is_some_and(|served| served.contains(webhook))
    }

    /// Remembered while a restart would read the event again, and not longer.
    fn settle(&mut self, offset: Offset, webhook: Arc<str>) {
        if offset >= self.committed {
            self.settled.entry(offset).or_default().insert(webhook);
        }
    }

    /// One delivery of an event has its record.
    fn tried(&mut self, offset: Offset) {
        if let Some(count) = self.untried.get_mut(&offset) {
            *count -= 1;
            if *count == 0 {
                self.untried.remove(&offset);
            }
        }
    }
}

impl Taken {
    /// A record of its delivery to an endpoint.
    pub fn record(&self, webhook: &str, at: Timestamp, change: DeliveryChange) -> DeliveryRecord {
        DeliveryRecord {
            at,
            webhook: webhook.to_owned(),
            place: self.place,
            account: self.account.to_string(),
            number: self.number,
            appended_at: self.appended_at,
            event: self.event.to_vec(),
            change,
        }
    }

    fn not_sent(
        &self,
        webhook: &str,
        why: &str,
        (now, next_at): (Timestamp, Option<Timestamp>),
    ) -> DeliveryRecord {
        let outcome = AttemptOutcome::NotSent { why: why.to_owned() };
        let attempt = Attempt { attempt: 0, outcome, took_ms: 0, next_at };
        self.record(webhook, now, DeliveryChange::Attempted(attempt))
    }

    fn delivery(&self, first_at: Timestamp) -> Delivery {
        Delivery {
            account: Arc::clone(&self.account),
            number: self.number,
            appended_at: self.appended_at,
            event: Arc::clone(&self.event),
            attempts: 0,
            since: self.appended_at,
            last: None,
            state: DeliveryState::Pending { next_at: first_at },
        }
    }
}
