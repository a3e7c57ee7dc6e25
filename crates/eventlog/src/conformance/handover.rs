//! Several members of one group: who has what, and what happens when that changes.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Offset, Partition, Topic, TopicPartition};

use super::Stage;
use super::stage::{Seen, WAIT, at, position};
use crate::{Append, Assignment, CommitOutcome, Lane, Member};

const USAGE: Topic = Topic::UsageRaw;
const COMMANDS: Topic = Topic::LedgerCommands;
const ENTRIES: Topic = Topic::LedgerEntries;
const INPUTS: [(Topic, Lane); 2] = [(USAGE, Lane::Bulk), (COMMANDS, Lane::Priority)];
const PARTITIONS: u32 = 4;

/// A member that copies each input record to `ledger.entries` of the same partition, the value
/// naming where the record came from, and commits now and then and when it is told to give up.
struct Copier {
    member: Box<dyn Member>,
    owned: BTreeSet<Partition>,
    /// The next offset of every input that was read since the last commit.
    uncommitted: BTreeMap<TopicPartition, Offset>,
    steps: usize,
}

impl Copier {
    fn join(stage: &Stage, slot: usize) -> Self {
        let member = stage.join_writing("charger", &INPUTS, &format!("charger-{slot}"));
        Self { member, owned: BTreeSet::new(), uncommitted: BTreeMap::new(), steps: 0 }
    }

    /// One poll of each lane, and what follows from it.
    fn step(&mut self) {
        self.steps += 1;
        for lane in [Lane::Priority, Lane::Bulk] {
            let mut seen = Vec::new();
            let polled =
                self.member.poll(lane, 7, WAIT, &mut |record| seen.push(Seen::of(record))).unwrap();
            for record in seen {
                self.copy(&record);
            }
            for assignment in polled.assignments {
                self.change(assignment);
            }
        }
        if self.steps.is_multiple_of(3) {
            self.commit();
        }
    }

    fn copy(&mut self, record: &Seen) {
        let partition = record.at.partition;
        assert!(self.owned.contains(&partition), "{} is not this member's", record.at);
        let value = format!("{}@{}", record.at, record.offset);
        let to = TopicPartition { topic: ENTRIES, partition };
        self.member
            .append(Append { to, key: &record.key, value: value.as_bytes(), headers: &[] })
            .unwrap();
        self.uncommitted.insert(record.at, record.offset.next());
    }

    fn commit(&mut self) {
        if self.uncommitted.is_empty() {
            return;
        }
        let positions: Vec<_> =
            self.uncommitted.iter().map(|(at, next)| position(*at, *next, "")).collect();
        self.uncommitted.clear();
        match self.member.commit(&positions) {
            CommitOutcome::Committed => {}
            CommitOutcome::Aborted(_) => self.rewind(),
            outcome @ (CommitOutcome::Unknown(_) | CommitOutcome::Fenced(_)) => {
                panic!("a calm log commits: {outcome:?}")
            }
        }
    }

    fn rewind(&mut self) {
        for partition in self.owned.clone() {
            self.start(partition);
        }
    }

    fn start(&mut self, partition: Partition) {
        let from: Vec<_> = self
            .member
            .committed(partition)
            .unwrap()
            .into_iter()
            .map(|position| (position.at.topic, position.next.unwrap_or(Offset::ZERO)))
            .collect();
        self.member.start(partition, &from).unwrap();
    }

    fn change(&mut self, assignment: Assignment) {
        match assignment {
            Assignment::Gained(partitions) => {
                for partition in partitions {
                    assert!(self.owned.insert(partition), "{partition} was gained twice");
                    self.start(partition);
                }
            }
            Assignment::Revoked(partitions) => {
                self.commit();
                self.give_up(&partitions);
            }
            Assignment::Lost(partitions) => {
                self.member.abort().unwrap();
                self.uncommitted.clear();
                self.give_up(&partitions);
                self.rewind();
            }
        }
    }

    fn give_up(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            assert!(self.owned.remove(partition), "{partition} was not this member's");
        }
        self.member.release(partitions).unwrap();
    }
}

/// Steps the copiers in turn until each has a part and all partitions have one owner.
fn settle(stage: &Stage, copiers: &mut [&mut Copier]) {
    stage.until("the partitions to be shared out", || {
        for copier in copiers.iter_mut() {
            copier.step();
        }
        let sizes: Vec<_> = copiers.iter().map(|copier| copier.owned.len()).collect();
        let all: BTreeSet<_> = copiers.iter().flat_map(|copier| copier.owned.clone()).collect();
        all.len() == PARTITIONS as usize
            && sizes.iter().sum::<usize>() == all.len()
            && sizes.iter().all(|size| *size > 0)
    });
}

fn fill(stage: &Stage, round: &str) {
    for partition in 0..PARTITIONS {
        stage.fill_numbered(at(USAGE, partition), round, 40);
        stage.fill_numbered(at(COMMANDS, partition), round, 5);
    }
}

/// Each partition of every input arrived once, in order, in the same partition of the output.
fn check(stage: &Stage, rounds: i64) {
    for partition in 0..PARTITIONS {
        let entries = stage.all(&[at(ENTRIES, partition)]);
        for (topic, each) in [(USAGE, 40), (COMMANDS, 5)] {
            let place = at(topic, partition);
            let prefix = format!("{place}@");
            let found: Vec<_> = entries
                .iter()
                .map(|entry| std::str::from_utf8(&entry.value).unwrap())
                .filter_map(|value| value.strip_prefix(&prefix))
                .map(|offset| offset.parse::<i64>().unwrap())
                .collect();
            assert_eq!(found, (0..each * rounds).collect::<Vec<_>>(), "copies of {place}");
        }
        assert_eq!(entries.len(), usize::try_from(45 * rounds).unwrap());
    }
}

fn copied(stage: &Stage, rounds: i64, copiers: &mut [&mut Copier]) {
    stage.until("all inputs to be copied", || {
        for copier in copiers.iter_mut() {
            copier.step();
        }
        let all_read = copiers.iter().all(|copier| {
            copier.uncommitted.is_empty()
                && copier.owned.iter().all(|partition| {
                    INPUTS.iter().zip([40, 5]).all(|((topic, _), each)| {
                        let place = TopicPartition { topic: *topic, partition: *partition };
                        copier.member.position(place).0 >= Offset(each * rounds)
                    })
                })
        });
        let owned: usize = copiers.iter().map(|copier| copier.owned.len()).sum();
        all_read && owned == PARTITIONS as usize
    });
}

/// Two members share the partitions, none has two owners, and a member has the same partition
/// numbers of every topic.
pub fn members_split_the_partitions(stage: &Stage) {
    if !stage.capabilities.several_members {
        return;
    }
    stage.create(&[(USAGE, PARTITIONS), (COMMANDS, PARTITIONS), (ENTRIES, PARTITIONS)]);
    let mut first = Copier::join(stage, 0);
    let mut second = Copier::join(stage, 1);
    settle(stage, &mut [&mut first, &mut second]);
    assert_eq!((first.owned.len(), second.owned.len()), (2, 2));
    // The copiers refuse a record of a partition that is not theirs.
    fill(stage, "round-1");
    copied(stage, 1, &mut [&mut first, &mut second]);
    check(stage, 1);
}

/// A second member comes and goes, uncommitted work in its hands, while records flow.
pub fn a_handover_loses_and_repeats_nothing(stage: &Stage) {
    if !stage.capabilities.several_members {
        return;
    }
    stage.create(&[(USAGE, PARTITIONS), (COMMANDS, PARTITIONS), (ENTRIES, PARTITIONS)]);
    fill(stage, "round-1");
    let mut first = Copier::join(stage, 0);
    settle(stage, &mut [&mut first]);
    first.step();
    let mut second = Copier::join(stage, 1);
    settle(stage, &mut [&mut first, &mut second]);
    fill(stage, "round-2");
    // The second goes in the middle of a transaction: what it read since its last commit is the
    // first's to do again.
    stage.until("uncommitted work of the second member", || {
        first.step();
        second.step();
        !second.uncommitted.is_empty()
    });
    drop(second);
    settle(stage, &mut [&mut first]);
    fill(stage, "round-3");
    copied(stage, 3, &mut [&mut first]);
    check(stage, 3);
}
