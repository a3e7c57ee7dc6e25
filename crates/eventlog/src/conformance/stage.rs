//! The one log that a check plays on, and the ways to wait for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};

use super::Capabilities;
use crate::{
    Append, Assignment, CommitOutcome, EventLog, Lane, Member, MemberSpec, Position, Reader,
    Record, TopicSpec,
};

/// How long one poll waits; the whole wait is [`Capabilities::patience`].
pub(super) const WAIT: Duration = Duration::from_millis(20);

/// A record, kept past the poll that lent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) at: TopicPartition,
    pub(super) offset: Offset,
    pub(super) appended_at: Timestamp,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl Seen {
    pub(super) fn of(record: Record<'_>) -> Self {
        Self {
            at: record.at,
            offset: record.offset,
            appended_at: record.appended_at,
            key: record.key.to_vec(),
            value: record.value.to_vec(),
        }
    }
}

/// The values of records, as text.
pub(super) fn values(seen: &[Seen]) -> Vec<String> {
    seen.iter().map(|record| String::from_utf8(record.value.clone()).unwrap()).collect()
}

pub(super) fn at(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition: Partition(partition) }
}

pub(super) fn position(at: TopicPartition, next: Offset, metadata: &str) -> Position {
    Position { at, next, metadata: metadata.to_owned() }
}

/// A plain record: no headers, the value also the key.
pub(super) fn plain(to: TopicPartition, value: &str) -> Append<'_> {
    Append { to, key: value.as_bytes(), value: value.as_bytes(), headers: &[] }
}

/// What a check plays on: a fresh log, and what it can do.
#[allow(missing_debug_implementations, reason = "a log has no text form")]
pub struct Stage {
    pub log: Arc<dyn EventLog>,
    pub capabilities: Capabilities,
}

impl Stage {
    /// Calls `done` until it says yes; `done` must wait inside (in a poll). Panics with `what`
    /// when patience ends.
    pub(super) fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + self.capabilities.patience;
        while !done() {
            assert!(Instant::now() < deadline, "in vain: {what}");
        }
    }

    pub(super) fn create(&self, topics: &[(Topic, u32)]) {
        let topics: Vec<_> =
            topics.iter().map(|&(topic, partitions)| TopicSpec { topic, partitions }).collect();
        self.log.create_topics(&topics).unwrap();
    }

    /// Appends outside any transaction and returns the offsets.
    pub(super) fn fill(&self, to: TopicPartition, values: &[&str]) -> Vec<Offset> {
        let mut appender = self.log.appender().unwrap();
        for value in values {
            appender.append(plain(to, value)).unwrap();
        }
        appender.flush().unwrap()
    }

    /// `count` records `prefix-0`, `prefix-1`, ….
    pub(super) fn fill_numbered(&self, to: TopicPartition, prefix: &str, count: usize) {
        let values: Vec<_> = (0..count).map(|number| format!("{prefix}-{number}")).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        self.fill(to, &values);
    }

    /// Reads exactly `count` records from a reader.
    pub(super) fn read(&self, reader: &mut dyn Reader, count: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.until(&format!("reading {count} records"), || {
            let wanted = count - seen.len();
            let before = seen.len();
            let got = reader.poll(wanted, WAIT, &mut |record| seen.push(Seen::of(record))).unwrap();
            assert_eq!(seen.len() - before, got, "a poll must count what it lent");
            assert!(seen.len() <= count, "a poll must not lend more than was asked for");
            seen.len() == count
        });
        seen
    }

    /// Everything that is committed in these partitions, in the order read. Waits for open
    /// transactions to end, so there must be none that stays.
    pub(super) fn all(&self, partitions: &[TopicPartition]) -> Vec<Seen> {
        let from: Vec<_> =
            partitions.iter().map(|at| (*at, self.log.bounds(*at).unwrap().start)).collect();
        let mut reader = self.log.reader(&from).unwrap();
        let mut seen = Vec::new();
        self.until("reading to the end", || {
            reader.poll(1_000, WAIT, &mut |record| seen.push(Seen::of(record))).unwrap();
            partitions.iter().all(|at| {
                let bounds = self.log.bounds(*at).unwrap();
                assert!(bounds.start <= bounds.stable_end && bounds.stable_end <= bounds.end);
                bounds.stable_end == bounds.end && reader.position(*at) >= bounds.stable_end
            })
        });
        seen
    }

    pub(super) fn join(&self, group: &str, topics: &[(Topic, Lane)]) -> Box<dyn Member> {
        self.join_as(group, topics, None)
    }

    pub(super) fn join_writing(
        &self,
        group: &str,
        topics: &[(Topic, Lane)],
        writer: &str,
    ) -> Box<dyn Member> {
        self.join_as(group, topics, Some(writer.to_owned()))
    }

    fn join_as(
        &self,
        group: &str,
        topics: &[(Topic, Lane)],
        writer: Option<String>,
    ) -> Box<dyn Member> {
        let spec = MemberSpec { group: group.to_owned(), topics: topics.to_vec(), writer };
        self.log.join(&spec).unwrap()
    }

    /// Polls until the only member of a group has gained all partitions.
    pub(super) fn gain(&self, member: &mut dyn Member, partitions: u32) {
        let mut gained = Vec::new();
        self.until("gaining the partitions", || {
            let polled = member
                .poll(Lane::Bulk, 10, WAIT, &mut |record| panic!("{record:?} before start"))
                .unwrap();
            for assignment in polled.assignments {
                match assignment {
                    Assignment::Gained(partitions) => gained.extend(partitions),
                    Assignment::Revoked(partitions) | Assignment::Lost(partitions) => {
                        member.release(&partitions).unwrap();
                        gained.retain(|partition| !partitions.contains(partition));
                    }
                }
            }
            gained.len() == partitions as usize
        });
        gained.sort();
        assert_eq!(gained, (0..partitions).map(Partition).collect::<Vec<_>>());
    }

    /// Gains and starts everything from offset 0.
    pub(super) fn gain_and_start(
        &self,
        member: &mut dyn Member,
        topics: &[(Topic, Lane)],
        partitions: u32,
    ) {
        self.gain(member, partitions);
        let from: Vec<_> = topics.iter().map(|(topic, _)| (*topic, Offset::ZERO)).collect();
        for partition in 0..partitions {
            member.start(Partition(partition), &from).unwrap();
        }
    }

    /// Polls one lane of a member until `count` records came.
    pub(super) fn take(&self, member: &mut dyn Member, lane: Lane, count: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        self.until(&format!("polling {count} records"), || {
            let wanted = count - seen.len();
            let before = seen.len();
            let polled =
                member.poll(lane, wanted, WAIT, &mut |record| seen.push(Seen::of(record))).unwrap();
            assert_eq!(seen.len() - before, polled.records, "a poll must count what it lent");
            assert!(seen.len() <= count, "a poll must not lend more than was asked for");
            assert!(polled.assignments.is_empty(), "nothing changed: {:?}", polled.assignments);
            seen.len() == count
        });
        seen
    }
}

/// Asserts that a commit went through.
pub(super) fn must_commit(member: &mut dyn Member, positions: &[Position]) {
    assert_eq!(member.commit(positions), CommitOutcome::Committed);
}
