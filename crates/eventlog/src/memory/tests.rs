use std::collections::VecDeque;
use std::time::Duration;

use domain::Partition;

use super::*;
use crate::conformance::{CHECKS, Capabilities, run_all};
use crate::{Append, Assignment, CommitOutcome, Lane, Polled, Position};

const ENTRIES: TopicPartition =
    TopicPartition { topic: Topic::LedgerEntries, partition: Partition(0) };

#[test]
fn keeps_the_promises_of_a_log() {
    let capabilities = Capabilities { several_members: true, patience: Duration::from_secs(5) };
    for offsets in [Offsets::Dense, Offsets::Marked] {
        let checks =
            run_all(capabilities, &mut || Arc::new(MemoryLog::new(offsets, Box::new(NoFaults))));
        assert_eq!(checks, CHECKS.len());
    }
}

fn usage(partition: u32) -> TopicPartition {
    TopicPartition { topic: Topic::UsageRaw, partition: Partition(partition) }
}

fn with_topics(log: MemoryLog) -> MemoryLog {
    let topics = [Topic::UsageRaw, Topic::LedgerEntries];
    log.create_topics(&topics.map(|topic| TopicSpec { topic, partitions: 2 })).unwrap();
    log
}

fn join(log: &MemoryLog, writer: &str) -> Box<dyn Member> {
    log.join(&MemberSpec {
        group: "charger".to_owned(),
        topics: vec![(Topic::UsageRaw, Lane::Bulk)],
        writer: Some(writer.to_owned()),
    })
    .unwrap()
}

fn poll(member: &mut dyn Member) -> Polled {
    member.poll(Lane::Bulk, 100, Duration::ZERO, &mut |_| {}).unwrap()
}

fn told(member: &mut dyn Member) -> Option<Assignment> {
    poll(member).assignments.pop()
}

fn gained(partitions: &[u32]) -> Option<Assignment> {
    Some(Assignment::Gained(partitions.iter().copied().map(Partition).collect()))
}

fn write(member: &mut dyn Member, value: &str) {
    let value = value.as_bytes();
    member.append(Append { to: ENTRIES, key: b"", value, headers: &[] }).unwrap();
}

fn produce(log: &MemoryLog, to: TopicPartition, count: usize) {
    let mut appender = log.appender().unwrap();
    for _ in 0..count {
        appender.append(Append { to, key: b"", value: b"usage", headers: &[] }).unwrap();
    }
    appender.flush().unwrap();
}

fn at_zero(partition: u32) -> Position {
    Position { at: usage(partition), next: Offset(0), metadata: String::new() }
}

fn entries(log: &MemoryLog) -> Vec<(i64, String)> {
    let mut reader = log.reader(&[(ENTRIES, Offset::ZERO)]).unwrap();
    let mut entries = Vec::new();
    let mut visit = |record: crate::Record<'_>| {
        entries.push((record.offset.0, String::from_utf8(record.value.to_vec()).unwrap()));
    };
    reader.poll(1_000, Duration::ZERO, &mut visit).unwrap();
    entries
}

fn texts(log: &MemoryLog) -> Vec<String> {
    entries(log).into_iter().map(|(_, text)| text).collect()
}

/// Faults that were decided beforehand, and calm after them.
#[derive(Default)]
struct Script {
    commits: VecDeque<CommitFault>,
    polls: VecDeque<usize>,
    departures: VecDeque<Departure>,
}

impl Faults for Script {
    fn commit(&mut self, _attempt: &CommitAttempt<'_>) -> CommitFault {
        self.commits.pop_front().unwrap_or(CommitFault::Committed)
    }

    fn poll(&mut self, _group: &str, _lane: Lane, records_max: usize) -> usize {
        self.polls.pop_front().unwrap_or(records_max)
    }

    fn departure(&mut self, _group: &str, _writer: Option<&str>) -> Departure {
        self.departures.pop_front().unwrap_or(Departure::Leaves)
    }
}

fn scripted(offsets: Offsets, script: Script) -> MemoryLog {
    with_topics(MemoryLog::new(offsets, Box::new(script)))
}

#[test]
fn faults_decide_how_a_commit_ends() {
    for offsets in [Offsets::Dense, Offsets::Marked] {
        let commits = [
            CommitFault::AbortedBefore,
            CommitFault::UnknownApplied,
            CommitFault::UnknownNotApplied,
        ];
        let log = scripted(offsets, Script { commits: commits.into(), ..Script::default() });
        let mut member = join(&log, "charger-0");
        let outcomes =
            ["aborted", "unknown, there", "unknown, not there", "committed"].map(|text| {
                write(&mut *member, text);
                member.commit(&[])
            });
        assert!(
            matches!(
                outcomes,
                [
                    CommitOutcome::Aborted(_),
                    CommitOutcome::Unknown(_),
                    CommitOutcome::Unknown(_),
                    CommitOutcome::Committed,
                ]
            ),
            "{outcomes:?}"
        );
        assert_eq!(texts(&log), ["unknown, there", "committed"]);
    }
}

#[test]
fn marked_offsets_have_gaps_and_an_open_transaction_holds_the_stable_end() {
    let log = scripted(Offsets::Marked, Script::default());
    let mut first = join(&log, "charger-0");
    let mut second = join(&log, "charger-1");
    write(&mut *first, "a");
    write(&mut *second, "b");
    assert_eq!(second.commit(&[]), CommitOutcome::Committed);
    let bounds = log.bounds(ENTRIES).unwrap();
    assert_eq!((bounds.stable_end, bounds.end), (Offset(0), Offset(3)));
    assert_eq!(entries(&log), []);
    first.abort().unwrap();
    write(&mut *first, "c");
    assert_eq!(first.commit(&[]), CommitOutcome::Committed);
    // a: 0, aborted; b: 1, its control record: 2; the abort's: 3; c: 4, its control record: 5.
    assert_eq!(entries(&log), [(1, "b".to_owned()), (4, "c".to_owned())]);
    let bounds = log.bounds(ENTRIES).unwrap();
    assert_eq!((bounds.stable_end, bounds.end), (Offset(6), Offset(6)));
}

#[test]
fn a_killed_member_holds_its_partitions_and_transaction_until_they_expire() {
    let script = Script { departures: [Departure::Lingers].into(), ..Script::default() };
    let log = scripted(Offsets::Marked, script);
    let mut killed = join(&log, "charger-0");
    assert_eq!(told(&mut *killed), gained(&[0, 1]));
    write(&mut *killed, "never committed");
    drop(killed);
    let mut next = join(&log, "charger-1");
    assert_eq!(told(&mut *next), None, "the partitions are still the dead one's");
    log.expire_members("charger");
    // It was expelled as well, holding nothing, and is back.
    assert_eq!(told(&mut *next), gained(&[0, 1]));
    assert_eq!(log.bounds(ENTRIES).unwrap().stable_end, Offset(0));
    log.expire_transactions();
    let bounds = log.bounds(ENTRIES).unwrap();
    assert_eq!((bounds.stable_end, bounds.end), (Offset(2), Offset(2)));
    assert_eq!(entries(&log), []);
}

#[test]
fn a_zombie_is_fenced_and_learns_what_it_lost() {
    let log = scripted(Offsets::Dense, Script::default());
    let mut zombie = join(&log, "charger-0");
    assert_eq!(told(&mut *zombie), gained(&[0, 1]));
    write(&mut *zombie, "from a zombie");
    log.expire_member("charger", "charger-1");
    log.expire_member("charger", "charger-0");
    let mut next = join(&log, "charger-1");
    assert_eq!(told(&mut *next), gained(&[0, 1]));
    assert!(matches!(zombie.commit(&[at_zero(0)]), CommitOutcome::Fenced(_)));
    // The trap that the group does not guard: a transaction without positions.
    write(&mut *zombie, "without positions");
    assert_eq!(zombie.commit(&[]), CommitOutcome::Committed);
    assert_eq!(texts(&log), ["without positions"]);

    let both = vec![Partition(0), Partition(1)];
    assert_eq!(told(&mut *zombie), Some(Assignment::Lost(both.clone())));
    assert_eq!(told(&mut *next), Some(Assignment::Revoked(both.clone())));
    next.release(&both).unwrap();
    assert_eq!(told(&mut *zombie), None, "not before it has let go");
    zombie.release(&both).unwrap();
    assert_eq!(told(&mut *next), gained(&[0]));
    assert_eq!(told(&mut *zombie), gained(&[1]));
    assert!(matches!(zombie.commit(&[at_zero(0)]), CommitOutcome::Fenced(_)));
    assert_eq!(zombie.commit(&[at_zero(1)]), CommitOutcome::Committed);
}

#[test]
fn a_revoked_partition_is_committed_before_it_is_released_and_quiet_at_once() {
    let log = scripted(Offsets::Dense, Script::default());
    produce(&log, usage(0), 10);
    let mut first = join(&log, "charger-0");
    assert_eq!(told(&mut *first), gained(&[0, 1]));
    first.start(Partition(0), &[(Topic::UsageRaw, Offset(0))]).unwrap();
    let mut second = join(&log, "charger-1");
    let polled = poll(&mut *first);
    let both = vec![Partition(0), Partition(1)];
    assert_eq!(polled.assignments, [Assignment::Revoked(both.clone())]);
    assert_eq!((polled.records, poll(&mut *first).records), (0, 0));
    assert_eq!(told(&mut *second), None);
    assert_eq!(first.commit(&[at_zero(0)]), CommitOutcome::Committed);
    first.release(&both).unwrap();
    assert!(matches!(first.commit(&[at_zero(0)]), CommitOutcome::Fenced(_)));
    assert_eq!((told(&mut *first), told(&mut *second)), (gained(&[0]), gained(&[1])));
}

#[test]
fn a_poll_is_as_short_as_the_fault_says_and_takes_from_every_partition() {
    let script = Script { polls: [100, 0, 6].into(), ..Script::default() };
    let log = scripted(Offsets::Dense, script);
    produce(&log, usage(0), 1_000);
    produce(&log, usage(1), 10);
    let mut member = join(&log, "charger-0");
    poll(&mut *member);
    for partition in 0..2 {
        member.start(Partition(partition), &[(Topic::UsageRaw, Offset(0))]).unwrap();
    }
    assert_eq!(poll(&mut *member).records, 0);
    let mut seen = Vec::new();
    let mut visit = |record: crate::Record<'_>| seen.push(record.at.partition.0);
    member.poll(Lane::Bulk, 100, Duration::ZERO, &mut visit).unwrap();
    seen.sort();
    assert_eq!(seen, [0, 0, 0, 1, 1, 1]);
}

#[test]
fn append_times_follow_the_logical_clock_and_never_go_back() {
    let log = scripted(Offsets::Dense, Script::default());
    for micros in [50, 20, 70] {
        log.set_time(Timestamp::from_micros(micros));
        produce(&log, usage(0), 1);
    }
    let mut times = Vec::new();
    let mut reader = log.reader(&[(usage(0), Offset(0))]).unwrap();
    let mut visit = |record: crate::Record<'_>| times.push(record.appended_at.micros());
    reader.poll(10, Duration::ZERO, &mut visit).unwrap();
    assert_eq!(times, [50, 50, 70]);
}

#[test]
fn lost_data_and_forgotten_positions_are_seen() {
    let log = scripted(Offsets::Dense, Script::default());
    produce(&log, usage(0), 10);
    let mut member = join(&log, "charger-0");
    poll(&mut *member);
    assert_eq!(member.commit(&[at_zero(0)]), CommitOutcome::Committed);
    assert_eq!(member.committed(Partition(0)).unwrap()[0].next, Some(Offset(0)));
    log.forget_positions("charger");
    assert_eq!(member.committed(Partition(0)).unwrap()[0].next, None);

    log.trim(usage(0), Offset(4)).unwrap();
    log.lose(usage(0), Offset(8)).unwrap();
    let bounds = log.bounds(usage(0)).unwrap();
    assert_eq!((bounds.start, bounds.end), (Offset(4), Offset(8)));
    for (wanted, there) in [(3, false), (4, true), (8, true), (9, false)] {
        let started = member.start(Partition(0), &[(Topic::UsageRaw, Offset(wanted))]);
        assert_eq!(started.is_ok(), there, "{wanted}: {started:?}");
    }
}
