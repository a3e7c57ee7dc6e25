//! The embedded log under `kill -9`: what was acknowledged is there, whole, and the positions
//! agree with the records.

#![allow(clippy::unwrap_used, reason = "all of it is a test")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{
    Append, CommitOutcome, EmbeddedLog, EventLog, Lane, Member, MemberSpec, Position, TopicSpec,
};

const FOLDER: &str = "EVENTLOG_CRASH_FOLDER";
const KILLS: u64 = 25;
const PARTITIONS: u32 = 4;
const INPUT: Topic = Topic::UsageRaw;
const OUTPUT: Topic = Topic::LedgerEntries;
const REPLIES: TopicPartition = TopicPartition { topic: Topic::Replies, partition: Partition(0) };

fn open(folder: &Path) -> EmbeddedLog {
    let log = EmbeddedLog::open(folder).unwrap();
    let topics =
        [INPUT, OUTPUT, Topic::Replies].map(|topic| TopicSpec { topic, partitions: PARTITIONS });
    log.create_topics(&topics).unwrap();
    log
}

fn join(log: &EmbeddedLog) -> Box<dyn Member> {
    let mut member = log
        .join(&MemberSpec {
            group: "crash".to_owned(),
            topics: vec![(INPUT, Lane::Bulk)],
            writer: Some("crash-0".to_owned()),
        })
        .unwrap();
    member.poll(Lane::Bulk, 1, Duration::ZERO, &mut |_| {}).unwrap();
    member
}

/// How many batches the position of each partition says were committed.
fn batches_by_positions(member: &mut dyn Member) -> Vec<u64> {
    (0..PARTITIONS)
        .map(|partition| {
            let committed = member.committed(Partition(partition)).unwrap().remove(0);
            let batches = committed.next.map_or(0, |next| u64::try_from(next.0).unwrap());
            let metadata = if batches == 0 { String::new() } else { format!("batch {batches}") };
            assert_eq!(committed.metadata, metadata);
            batches
        })
        .collect()
}

/// What batch number `batch` writes to a partition.
fn values(batch: u64, partition: u32) -> Vec<String> {
    let count = 1 + (batch * 7 + u64::from(partition)) % 40;
    (0..count).map(|number| format!("{batch}:{partition}:{number}/{count}")).collect()
}

/// Not a test of its own: the process that gets killed. It writes batches and, from a second
/// thread that shares their syncs, single records, and says what was acknowledged.
#[test]
fn child_that_writes_until_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let log = open(Path::new(&folder));
    let acknowledge = |what: &str, number: u64| {
        // One write per line, so that a kill cannot leave half of one that looks whole.
        let mut output = std::io::stdout().lock();
        output.write_all(format!("\nacknowledged {what} {number}\n").as_bytes()).unwrap();
        output.flush().unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut appender = log.appender().unwrap();
            loop {
                let number = log.bounds(REPLIES).unwrap().end;
                let value = number.to_string();
                let (to, value) = (REPLIES, value.as_bytes());
                appender.append(Append { to, key: b"", value, headers: &[] }).unwrap();
                assert_eq!(appender.flush().unwrap(), [number]);
                acknowledge("reply", u64::try_from(number.0).unwrap());
            }
        });
        let mut member = join(&log);
        let mut batch = batches_by_positions(&mut *member)[0];
        loop {
            for partition in 0..PARTITIONS {
                let to = TopicPartition { topic: OUTPUT, partition: Partition(partition) };
                for value in values(batch, partition) {
                    let value = value.as_bytes();
                    member.append(Append { to, key: b"key", value, headers: &[] }).unwrap();
                }
            }
            batch += 1;
            let positions: Vec<_> = (0..PARTITIONS)
                .map(|partition| Position {
                    at: TopicPartition { topic: INPUT, partition: Partition(partition) },
                    next: Offset(i64::try_from(batch).unwrap()),
                    metadata: format!("batch {batch}"),
                })
                .collect();
            assert_eq!(member.commit(&positions), CommitOutcome::Committed);
            acknowledge("batches", batch);
        }
    });
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child_that_writes_until_killed", "--exact", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets the child work until `lines` acknowledgements and `more` time have passed, kills it, and
/// returns the last acknowledged number of batches and of replies.
fn run_and_kill(folder: &Path, lines: u64, more: Duration) -> (u64, u64) {
    let mut child = spawn(folder);
    let output = BufReader::new(child.stdout.take().unwrap());
    let (mut batches, mut replies) = (0, 0);
    let mut count = 0;
    for line in output.lines() {
        let line = line.unwrap();
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("acknowledged"), Some("batches"), Some(number)) => {
                batches = number.parse().unwrap();
            }
            (Some("acknowledged"), Some("reply"), Some(number)) => {
                replies = number.parse::<u64>().unwrap() + 1;
            }
            _ => continue,
        }
        count += 1;
        if count == lines {
            // The kill comes at any moment of a write, not just after one.
            let until = Instant::now() + more;
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            child.kill().unwrap();
            // The rest of the lines were acknowledged before the kill.
        }
    }
    assert!(!child.wait().unwrap().success(), "the child must have been killed");
    assert!(count >= lines, "the child ended by itself");
    (batches, replies)
}

fn all_values(log: &EmbeddedLog, at: TopicPartition) -> Vec<String> {
    let mut reader = log.reader(&[(at, Offset::ZERO)]).unwrap();
    let mut values = Vec::new();
    let mut visit = |record: eventlog::Record<'_>| {
        assert_eq!(record.offset.0, i64::try_from(values.len()).unwrap());
        values.push(String::from_utf8(record.value.to_vec()).unwrap());
    };
    while reader.poll(10_000, Duration::ZERO, &mut visit).unwrap() > 0 {}
    values
}

fn check(folder: &Path, acknowledged: (u64, u64)) {
    let log = open(folder);
    let batches = batches_by_positions(&mut *join(&log));
    assert!(batches.iter().all(|of_one| *of_one == batches[0]), "torn positions: {batches:?}");
    let (found, least) = (batches[0], acknowledged.0);
    assert!(found == least || found == least + 1, "{least} batches acknowledged, {found} found");
    for partition in 0..PARTITIONS {
        let at = TopicPartition { topic: OUTPUT, partition: Partition(partition) };
        let expected: Vec<_> = (0..found).flat_map(|batch| values(batch, partition)).collect();
        assert!(all_values(&log, at) == expected, "{at} differs from its {found} batches");
    }
    let replies = all_values(&log, REPLIES);
    let (found, least) = (replies.len() as u64, acknowledged.1);
    assert!(found == least || found == least + 1, "{least} replies acknowledged, {found} found");
    let expected: Vec<_> = (0..found).map(|number| number.to_string()).collect();
    assert_eq!(replies, expected);
}

#[test]
fn an_acknowledged_commit_survives_kill_9() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut acknowledged = (0, 0);
    for _ in 0..KILLS {
        // Xorshift, seeded: the same moments in every run, as far as processes have any.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let (lines, more) = (1 + random % 60, Duration::from_micros((random >> 32) % 1_500));
        let (batches, replies) = run_and_kill(folder.path(), lines, more);
        // A run may end before one of the two threads has been acknowledged anything.
        let latest = (batches.max(acknowledged.0), replies.max(acknowledged.1));
        check(folder.path(), latest);
        acknowledged = latest;
        // One that was written and not acknowledged counts from now on.
        let log = open(folder.path());
        acknowledged.0 = batches_by_positions(&mut *join(&log))[0];
        acknowledged.1 = u64::try_from(log.bounds(REPLIES).unwrap().end.0).unwrap();
    }
    assert!(acknowledged.0 > KILLS && acknowledged.1 > KILLS, "too little work: {acknowledged:?}");
    println!("{KILLS} kills; batches and replies that survived: {acknowledged:?}");
}
