//! Random use of the logs of this crate, compared with a model that is a few vectors.

#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::memory::{NoFaults, Offsets};
use eventlog::{
    Append, Appender, CommitOutcome, EmbeddedLog, EventLog, Lane, Member, MemberSpec, MemoryLog,
    Position, TopicSpec,
};
use proptest::prelude::*;

const PARTITIONS: u32 = 3;
const TOPICS: [(Topic, Lane); 2] =
    [(Topic::UsageRaw, Lane::Bulk), (Topic::LedgerCommands, Lane::Priority)];

#[derive(Clone, Debug)]
enum Step {
    /// Appends outside transactions and flushes.
    Produce {
        to: usize,
        sizes: Vec<usize>,
    },
    /// Appends in the member's transaction.
    Write {
        to: usize,
        bytes: usize,
    },
    /// Commits with positions for some of the partitions, taken from the delivery.
    Commit {
        places: Vec<usize>,
    },
    Abort,
    Poll {
        lane: Lane,
        records_max: usize,
    },
    /// Starts a partition at some record of each of its topics.
    Start {
        partition: u32,
        permille: usize,
    },
    Pause {
        partition: u32,
    },
    /// Drops the member and joins again under the same names.
    Rejoin,
    /// Closes everything and opens it again, where that keeps the log.
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = 0..TOPICS.len() * PARTITIONS as usize;
    let bytes = prop_oneof![8 => 0_usize..300, 1 => 3_900_usize..4_100, 1 => Just(20_000_usize)];
    let lane = prop_oneof![Just(Lane::Bulk), Just(Lane::Priority)];
    let step = prop_oneof![
        3 => (place.clone(), prop::collection::vec(bytes.clone(), 1..30))
            .prop_map(|(to, sizes)| Step::Produce { to, sizes }),
        6 => (place.clone(), bytes).prop_map(|(to, bytes)| Step::Write { to, bytes }),
        3 => prop::collection::vec(place, 0..4).prop_map(|places| Step::Commit { places }),
        1 => Just(Step::Abort),
        5 => (lane, 0_usize..40).prop_map(|(lane, records_max)| Step::Poll { lane, records_max }),
        3 => (0..PARTITIONS, 0_usize..=1_000)
            .prop_map(|(partition, permille)| Step::Start { partition, permille }),
        1 => (0..PARTITIONS).prop_map(|partition| Step::Pause { partition }),
        1 => Just(Step::Rejoin),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

fn place(number: usize) -> TopicPartition {
    let partitions = PARTITIONS as usize;
    TopicPartition {
        topic: TOPICS[number / partitions].0,
        partition: Partition((number % partitions) as u32),
    }
}

fn places() -> impl Iterator<Item = TopicPartition> {
    (0..TOPICS.len() * PARTITIONS as usize).map(place)
}

/// What the log must be.
#[derive(Default)]
struct Model {
    /// Transactions take their places at the append and hold back what comes later.
    marked: bool,
    /// In order, each with whether its transaction is still open.
    records: BTreeMap<TopicPartition, Vec<(Vec<u8>, bool)>>,
    /// What a transaction wrote that takes its place at the commit.
    open: Vec<(TopicPartition, Vec<u8>)>,
    positions: BTreeMap<TopicPartition, (Offset, String)>,
    /// How many records come before the next to be delivered, where one may be.
    delivering: BTreeMap<TopicPartition, usize>,
    written: u64,
}

impl Model {
    fn write(&mut self, to: TopicPartition, value: Vec<u8>) {
        match self.marked {
            true => self.records.entry(to).or_default().push((value, true)),
            false => self.open.push((to, value)),
        }
    }

    fn end_transaction(&mut self, commit: bool) {
        for records in self.records.values_mut() {
            records.retain(|(_, open)| commit || !open);
            records.iter_mut().for_each(|(_, open)| *open = false);
        }
        for (to, value) in self.open.drain(..).filter(|_| commit) {
            self.records.entry(to).or_default().push((value, false));
        }
    }

    /// What a reader can reach.
    fn visible(&self, at: TopicPartition) -> Vec<&[u8]> {
        let records = self.records.get(&at).into_iter().flatten();
        records.take_while(|(_, open)| !open).map(|(value, _)| &value[..]).collect()
    }
}

/// The log beside its model.
struct Run<'a> {
    open: &'a dyn Fn() -> Arc<dyn EventLog>,
    /// Whether opening again finds the same log.
    durable: bool,
    log: Arc<dyn EventLog>,
    member: Option<Box<dyn Member>>,
    appender: Option<Box<dyn Appender>>,
    model: Model,
}

impl<'a> Run<'a> {
    fn new(open: &'a dyn Fn() -> Arc<dyn EventLog>, durable: bool, marked: bool) -> Self {
        let log = open();
        let specs = TOPICS.map(|(topic, _)| TopicSpec { topic, partitions: PARTITIONS });
        log.create_topics(&specs).unwrap();
        let model = Model { marked, ..Model::default() };
        let mut run = Self { open, durable, log, member: None, appender: None, model };
        run.join();
        run
    }

    fn join(&mut self) {
        self.member = None;
        let mut member = self
            .log
            .join(&MemberSpec {
                group: "model".to_owned(),
                topics: TOPICS.to_vec(),
                writer: Some("model-0".to_owned()),
            })
            .unwrap();
        member.poll(Lane::Bulk, 1, Duration::ZERO, &mut |_| {}).unwrap();
        self.member = Some(member);
        self.appender = Some(self.log.appender().unwrap());
        self.model.end_transaction(false);
        self.model.delivering.clear();
    }

    fn value(&mut self, bytes: usize) -> Vec<u8> {
        self.model.written += 1;
        let mut value = self.model.written.to_le_bytes().to_vec();
        value.resize(value.len() + bytes, self.model.written as u8);
        value
    }

    fn member(&mut self) -> &mut dyn Member {
        &mut **self.member.as_mut().unwrap()
    }

    /// All committed records of a partition, with their offsets.
    fn all(&self, at: TopicPartition) -> Vec<(Offset, Vec<u8>)> {
        let mut reader = self.log.reader(&[(at, Offset::ZERO)]).unwrap();
        let mut all = Vec::new();
        let mut visit = |record: eventlog::Record<'_>| {
            assert_eq!(record.key, &record.value[..8]);
            all.push((record.offset, record.value.to_vec()));
        };
        while reader.poll(7, Duration::ZERO, &mut visit).unwrap() > 0 {}
        let bounds = self.log.bounds(at).unwrap();
        assert_eq!(reader.position(at), bounds.stable_end);
        all
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Produce { to, sizes } => self.produce(place(to), &sizes),
            Step::Write { to, bytes } => {
                let (to, value) = (place(to), self.value(bytes));
                let key = &value[..8];
                self.member().append(Append { to, key, value: &value, headers: &[] }).unwrap();
                self.model.write(to, value);
            }
            Step::Commit { places } => self.commit(&places),
            Step::Abort => {
                self.member().abort().unwrap();
                self.model.end_transaction(false);
            }
            Step::Poll { lane, records_max } => self.poll(lane, records_max),
            Step::Start { partition, permille } => self.start(Partition(partition), permille),
            Step::Pause { partition } => {
                self.member().pause(Partition(partition)).unwrap();
                self.model.delivering.retain(|at, _| at.partition.0 != partition);
            }
            Step::Rejoin => self.join(),
            Step::Reopen if self.durable => {
                self.member = None;
                self.appender = None;
                // The folder is free only when the last of the log is gone.
                self.log = Arc::new(MemoryLog::default());
                self.log = (self.open)();
                self.join();
            }
            Step::Reopen => {}
        }
    }

    fn produce(&mut self, to: TopicPartition, sizes: &[usize]) {
        let mut appender = self.appender.take().unwrap();
        for bytes in sizes {
            let value = self.value(*bytes);
            appender.append(Append { to, key: &value[..8], value: &value, headers: &[] }).unwrap();
            self.model.records.entry(to).or_default().push((value, false));
        }
        let offsets = appender.flush().unwrap();
        assert_eq!(offsets.len(), sizes.len());
        assert!(offsets.is_sorted_by(|a, b| a < b));
        self.appender = Some(appender);
    }

    fn commit(&mut self, places: &[usize]) {
        let mut positions = BTreeMap::new();
        for at in places.iter().map(|number| place(*number)) {
            let (next, _) = self.member().position(at);
            positions.insert(at, (next, format!("{next} of {at}")));
        }
        let named: Vec<_> = positions
            .iter()
            .map(|(at, (next, metadata))| Position {
                at: *at,
                next: *next,
                metadata: metadata.clone(),
            })
            .collect();
        assert_eq!(self.member().commit(&named), CommitOutcome::Committed);
        self.model.positions.extend(positions);
        self.model.end_transaction(true);
    }

    fn poll(&mut self, lane: Lane, records_max: usize) {
        let mut seen = Vec::new();
        let mut visit =
            |record: eventlog::Record<'_>| seen.push((record.at, record.value.to_vec()));
        let polled = self.member().poll(lane, records_max, Duration::ZERO, &mut visit).unwrap();
        assert_eq!((polled.records, polled.assignments.len()), (seen.len(), 0));
        assert!(seen.len() <= records_max);
        for (at, value) in seen {
            assert!(TOPICS.contains(&(at.topic, lane)), "{at} is not of this lane");
            let next = self.model.delivering[&at];
            assert_eq!(value, self.model.visible(at)[next]);
            self.model.delivering.insert(at, next + 1);
        }
    }

    /// Polls until nothing comes, and checks that all was delivered that should be.
    fn drain(&mut self) {
        for (topic, lane) in TOPICS {
            let of_topic = |(at, _): &(&TopicPartition, &usize)| at.topic == topic;
            loop {
                let left = |model: &Model| -> usize {
                    let next = model.delivering.iter().filter(of_topic);
                    next.map(|(at, next)| model.visible(*at).len() - next).sum()
                };
                let before = left(&self.model);
                // Only control records may be left, and one poll passes them.
                self.poll(lane, 11);
                if before == 0 {
                    break;
                }
                assert!(left(&self.model) < before, "a poll brought nothing of {before} records");
            }
        }
    }

    fn start(&mut self, partition: Partition, permille: usize) {
        let mut from = Vec::new();
        for (topic, _) in TOPICS {
            let at = TopicPartition { topic, partition };
            let all = self.all(at);
            let index = all.len() * permille / 1_000;
            let end = self.log.bounds(at).unwrap().stable_end;
            from.push((topic, all.get(index).map_or(end, |(offset, _)| *offset)));
            self.model.delivering.insert(at, index);
        }
        self.member().start(partition, &from).unwrap();
    }

    fn check(&mut self) {
        for at in places() {
            let expected = self.model.visible(at);
            let found = self.all(at);
            assert!(found.is_sorted_by(|(a, _), (b, _)| a < b));
            let found: Vec<_> = found.iter().map(|(_, value)| &value[..]).collect();
            assert!(found == expected, "{at}: {} records for {}", found.len(), expected.len());
            let all = self.member().committed(at.partition).unwrap();
            let committed = all.into_iter().find(|committed| committed.at == at).unwrap();
            let (next, metadata) = self
                .model
                .positions
                .get(&at)
                .cloned()
                .map_or((None, String::new()), |(n, m)| (Some(n), m));
            assert_eq!((committed.next, committed.metadata), (next, metadata));
        }
        self.drain();
        let delivering: Vec<_> = self.model.delivering.keys().copied().collect();
        for at in delivering {
            let stable_end = self.log.bounds(at).unwrap().stable_end;
            assert_eq!(self.member().position(at), (stable_end, true));
        }
    }
}

fn compare(open: &dyn Fn() -> Arc<dyn EventLog>, durable: bool, marked: bool, steps: Vec<Step>) {
    let mut run = Run::new(open, durable, marked);
    for step in steps {
        run.take(step);
    }
    run.check();
    // What is open at the end counts for nothing.
    run.join();
    run.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_memory_log_is_its_model(steps in steps(), marked in any::<bool>()) {
        let offsets = if marked { Offsets::Marked } else { Offsets::Dense };
        compare(&|| Arc::new(MemoryLog::new(offsets, Box::new(NoFaults))), false, marked, steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_embedded_log_is_its_model(steps in steps()) {
        let folder = tempfile::tempdir().unwrap();
        compare(&|| Arc::new(EmbeddedLog::open(folder.path()).unwrap()), true, false, steps);
    }
}
