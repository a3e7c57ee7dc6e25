//! Whatever happens in whatever order, no alert is forgotten: events, answers, crashes, replays and
//! records that are read back late.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Offset, Partition, Timestamp};
use notifier::{Delivery, DeliveryState, Limits, Outbox, Retry, Sending, Taken, Tried};
use proptest::prelude::*;
use wire::{AttemptOutcome, DeliveryChange, DeliveryRecord, EventPlace};

const PARTITION: Partition = Partition(0);
const ENDPOINTS: [&str; 2] = ["wh_a", "wh_b"];
const LIMITS: Limits = Limits { in_flight_max: 2, untried_max: 3, waiting_max: 6 };
const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const DAY_S: i64 = 86_400;

#[derive(Clone, Debug)]
enum Step {
    Happens { account: u8 },
    Take(usize),
    Send,
    Answer { which: usize, delivered: bool },
    Write,
    ReadBack(usize),
    Commit,
    Crash,
    Tick { seconds: i64 },
    Replay { which: usize, endpoint: usize },
}

/// The log, and one notifier at a time.
struct World {
    events: Vec<Taken>,
    log: Vec<DeliveryRecord>,
    committed: Offset,
    now: Timestamp,
    outbox: Outbox,
    taken: usize,
    read: usize,
    under_way: Vec<Sending>,
    unwritten: Vec<DeliveryRecord>,
    /// Requests that were answered with 200.
    served: BTreeMap<(String, EventPlace), u32>,
    /// In the order in which they were first tried, per endpoint and account.
    firsts: BTreeMap<(String, String), Vec<u64>>,
    limits: Limits,
}

fn place(offset: usize) -> EventPlace {
    EventPlace { partition: PARTITION, offset: Offset(i64::try_from(offset).unwrap()) }
}

impl World {
    fn new(limits: Limits) -> Self {
        let mut world = Self {
            events: Vec::new(),
            log: Vec::new(),
            committed: Offset(0),
            now: START,
            outbox: Outbox::new(limits),
            taken: 0,
            read: 0,
            under_way: Vec::new(),
            unwritten: Vec::new(),
            served: BTreeMap::new(),
            firsts: BTreeMap::new(),
            limits,
        };
        world.start();
        world
    }

    /// Everything in memory is gone; what a session does when it takes a partition over.
    fn start(&mut self) {
        self.under_way.clear();
        self.unwritten.clear();
        self.outbox = Outbox::new(self.limits);
        self.outbox.gain(PARTITION, self.committed);
        for record in &self.log {
            self.outbox.fold(record);
        }
        self.read = self.log.len();
        self.taken = usize::try_from(self.committed.0).unwrap();
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Happens { account } => {
                let account: Arc<str> = format!("acct_{account}").into();
                let earlier = self.events.iter().filter(|event| event.account == account).count();
                self.events.push(Taken {
                    place: place(self.events.len()),
                    appended_at: self.now,
                    account,
                    number: earlier as u64 + 1,
                    event: Arc::from(&b"event"[..]),
                });
            }
            Step::Take(count) => {
                for event in self.events.iter().skip(self.taken).take(count) {
                    self.unwritten.extend(self.outbox.take(event, &ENDPOINTS, self.now));
                    self.taken += 1;
                }
            }
            Step::Send => self.send(),
            Step::Answer { which, delivered } => {
                if !self.under_way.is_empty() {
                    let sending = self.under_way.remove(which % self.under_way.len());
                    self.answer(&sending, delivered);
                }
            }
            Step::Write => self.log.append(&mut self.unwritten),
            Step::ReadBack(count) => {
                for record in self.log.iter().skip(self.read).take(count) {
                    self.outbox.fold(record);
                    self.read += 1;
                }
            }
            Step::Commit => {
                let position = self.outbox.position(PARTITION).unwrap();
                assert!(position >= self.committed, "a position went back");
                self.committed = position;
                self.outbox.committed(PARTITION, position);
            }
            Step::Crash => self.start(),
            Step::Tick { seconds } => self.now = self.now.plus_micros(seconds * 1_000_000),
            Step::Replay { which, endpoint } => {
                // Only what has a record can be asked for: that is what people see.
                let webhook = ENDPOINTS[endpoint % ENDPOINTS.len()];
                let known: Vec<_> =
                    self.log.iter().filter(|record| record.webhook == webhook).collect();
                if let Some(record) = known.get(which % known.len().max(1)) {
                    let change = DeliveryChange::ReplayAsked { by: "somebody".to_owned() };
                    let asked = DeliveryRecord { at: self.now, change, ..(*record).clone() };
                    self.log.push(asked);
                }
            }
        }
    }

    fn send(&mut self) {
        for sending in self.outbox.due(self.now) {
            let of_it = self.log[..self.read].iter().filter(|record| {
                record.webhook == *sending.webhook && record.place == sending.event.place
            });
            let known = of_it.fold(None, |before, record| Some(Delivery::after(before, record)));
            let open = known.is_none_or(|known| known.state.next_at().is_some());
            assert!(open, "{} was settled, and is sent again", sending.event.place);
            self.under_way.push(sending);
        }
        let mut keys: Vec<_> = self
            .under_way
            .iter()
            .map(|sending| (Arc::clone(&sending.webhook), Arc::clone(&sending.event.account)))
            .collect();
        for endpoint in ENDPOINTS {
            let of_it = keys.iter().filter(|(webhook, _)| &**webhook == endpoint).count();
            assert!(of_it <= self.limits.in_flight_max, "{of_it} at once to {endpoint}");
        }
        keys.sort();
        assert!(keys.windows(2).all(|pair| pair[0] != pair[1]), "two at once of one account");
    }

    fn answer(&mut self, sending: &Sending, delivered: bool) {
        let status = if delivered { 200 } else { 500 };
        if delivered {
            let key = (sending.webhook.to_string(), sending.event.place);
            *self.served.entry(key).or_default() += 1;
        }
        let firsts = self
            .firsts
            .entry((sending.webhook.to_string(), sending.event.account.to_string()))
            .or_default();
        if !firsts.contains(&sending.event.number) {
            firsts.push(sending.event.number);
        }
        let outcome = AttemptOutcome::Answered { status };
        let tried = Tried { outcome, took_ms: 1, retry: Retry::BySchedule { not_before: None } };
        self.unwritten.push(self.outbox.finish(sending, tried, self.now));
    }

    /// From now on everything works; until nothing is left to do.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            self.step(&Step::Take(usize::MAX));
            while !self.under_way.is_empty() {
                self.step(&Step::Answer { which: 0, delivered: true });
            }
            self.step(&Step::Write);
            self.step(&Step::ReadBack(usize::MAX));
            self.step(&Step::Commit);
            self.step(&Step::Send);
            if self.under_way.is_empty() {
                match self.outbox.waiting() {
                    (0, _) => return,
                    _ => self.step(&Step::Tick { seconds: 3_600 }),
                }
            }
        }
        panic!("it never comes to rest: {:?}", self.outbox.waiting());
    }

    /// Every delivery, as the records alone make it.
    fn deliveries(&self) -> BTreeMap<(&str, EventPlace), Delivery> {
        let mut all: BTreeMap<_, Delivery> = BTreeMap::new();
        for record in &self.log {
            let key = (record.webhook.as_str(), record.place);
            let after = Delivery::after(all.remove(&key), record);
            all.insert(key, after);
        }
        all
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..3).prop_map(|account| Step::Happens { account }),
        3 => (1_usize..4).prop_map(Step::Take),
        4 => Just(Step::Send),
        5 => (0_usize..8, any::<bool>()).prop_map(|(which, delivered)| Step::Answer { which, delivered }),
        4 => Just(Step::Write),
        4 => (1_usize..4).prop_map(Step::ReadBack),
        2 => Just(Step::Commit),
        1 => Just(Step::Crash),
        2 => prop_oneof![1_i64..20, Just(7 * 3_600), Just(3 * DAY_S)].prop_map(|seconds| Step::Tick { seconds }),
        1 => (0_usize..20, 0_usize..2).prop_map(|(which, endpoint)| Step::Replay { which, endpoint }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_is_forgotten(steps in prop::collection::vec(step(), 0..200), crash in any::<bool>()) {
        let mut world = World::new(LIMITS);
        for step in &steps {
            world.step(step);
        }
        if crash {
            world.start();
        }
        world.settle();
        prop_assert_eq!(world.committed, place(world.events.len()).offset);
        let deliveries = world.deliveries();
        for event in &world.events {
            for endpoint in ENDPOINTS {
                let delivery = deliveries.get(&(endpoint, event.place));
                prop_assert!(delivery.is_some(), "{} was forgotten for {endpoint}", event.place);
                let delivery = delivery.unwrap();
                let served = world.served.contains_key(&(endpoint.to_owned(), event.place));
                match delivery.state {
                    DeliveryState::Delivered => prop_assert!(served, "{} is not so", event.place),
                    DeliveryState::Failed => {
                        let nothing_sent =
                            matches!(delivery.last, Some((_, AttemptOutcome::NotSent { .. })));
                        prop_assert!(nothing_sent || delivery.attempts == notifier::ATTEMPTS_MAX);
                    }
                    DeliveryState::Pending { .. } => prop_assert!(false, "{} waits", event.place),
                }
            }
        }
        // And a restart has nothing to add.
        world.start();
        world.step(&Step::Take(usize::MAX));
        world.step(&Step::Send);
        prop_assert!(world.under_way.is_empty() && world.unwritten.is_empty());
    }

    #[test]
    fn without_crashes_and_replays_each_is_served_once_and_in_order(
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let roomy = Limits { untried_max: 1_000, waiting_max: 1_000, ..LIMITS };
        let mut world = World::new(roomy);
        for step in &steps {
            match step {
                Step::Crash | Step::Replay { .. } => {}
                step => world.step(step),
            }
        }
        world.settle();
        for (key, count) in &world.served {
            prop_assert_eq!(*count, 1, "{:?}", key);
        }
        for (key, numbers) in &world.firsts {
            prop_assert!(numbers.is_sorted(), "{:?}: {:?}", key, numbers);
        }
    }
}

#[test]
fn one_that_fails_is_passed_by_the_next_and_comes_again() {
    let mut world = World::new(LIMITS);
    world.step(&Step::Happens { account: 0 });
    world.step(&Step::Happens { account: 0 });
    world.step(&Step::Take(2));
    world.step(&Step::Send);
    let numbers = |world: &World| -> Vec<_> {
        world
            .under_way
            .iter()
            .map(|sending| (sending.webhook.to_string(), sending.event.number))
            .collect()
    };
    assert_eq!(numbers(&world), [("wh_a".to_owned(), 1), ("wh_b".to_owned(), 1)]);
    world.step(&Step::Answer { which: 0, delivered: false });
    // Written, but not read back: nobody knows yet.
    world.step(&Step::Write);
    world.step(&Step::Send);
    assert_eq!(numbers(&world), [("wh_b".to_owned(), 1)]);
    world.step(&Step::ReadBack(1));
    world.step(&Step::Send);
    assert_eq!(numbers(&world), [("wh_b".to_owned(), 1), ("wh_a".to_owned(), 2)]);
    world.step(&Step::Answer { which: 1, delivered: true });
    world.step(&Step::Write);
    world.step(&Step::ReadBack(1));
    world.step(&Step::Tick { seconds: 6 });
    world.step(&Step::Send);
    assert_eq!(numbers(&world), [("wh_b".to_owned(), 1), ("wh_a".to_owned(), 1)]);
}

#[test]
fn an_endpoint_that_hangs_holds_up_neither_the_others_nor_the_position() {
    let mut world = World::new(LIMITS);
    for account in 0..20 {
        world.step(&Step::Happens { account });
        world.step(&Step::Take(1));
        world.step(&Step::Send);
        let served: Vec<usize> = (0..world.under_way.len())
            .rev()
            .filter(|at| &*world.under_way[*at].webhook == "wh_b")
            .collect();
        for which in served {
            world.step(&Step::Answer { which, delivered: true });
        }
        world.step(&Step::Write);
        world.step(&Step::ReadBack(10));
    }
    let to_b = world.served.keys().filter(|(webhook, _)| webhook == "wh_b").count();
    assert_eq!(to_b, 20);
    world.step(&Step::Commit);
    // The three that have no record yet hold it; nothing was given up but past the bound.
    assert_eq!(world.committed, Offset(0));
    let waiting = world.deliveries().values().filter(|one| one.state.next_at().is_some()).count();
    let failed =
        world.deliveries().values().filter(|one| one.state == DeliveryState::Failed).count();
    assert_eq!(
        (waiting, failed),
        (LIMITS.waiting_max - LIMITS.untried_max, 20 - LIMITS.waiting_max)
    );
}
