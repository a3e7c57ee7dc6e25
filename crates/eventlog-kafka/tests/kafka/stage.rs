//! What the tests share: logs of their own on a broker, waiting, and reading everything.

use std::time::{Duration, Instant};

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{Append, Assignment, EventLog, Lane, Member, MemberSpec, Position, TopicSpec};
use eventlog_kafka::{KafkaLog, KafkaSettings};

pub(crate) const USAGE: Topic = Topic::UsageRaw;
pub(crate) const COMMANDS: Topic = Topic::LedgerCommands;
pub(crate) const ENTRIES: Topic = Topic::LedgerEntries;
pub(crate) const WAIT: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// Settings on the shared broker under a prefix of their own.
pub(crate) fn settings(test: &str) -> KafkaSettings {
    settings_on(testkit::Kafka::shared().unwrap(), test)
}

pub(crate) fn settings_on(broker: &testkit::Kafka, test: &str) -> KafkaSettings {
    let mut settings = KafkaSettings::single_broker(broker.bootstrap());
    settings.prefix = format!("{test}.");
    settings
}

/// A log with these topics, of so many partitions each.
pub(crate) fn log(settings: KafkaSettings, topics: &[Topic], partitions: u32) -> KafkaLog {
    let log = KafkaLog::connect(settings).unwrap();
    let specs: Vec<_> = topics.iter().map(|&topic| TopicSpec { topic, partitions }).collect();
    log.create_topics(&specs).unwrap();
    log
}

pub(crate) fn at(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition: Partition(partition) }
}

pub(crate) fn position(at: TopicPartition, next: i64) -> Position {
    Position { at, next: Offset(next), metadata: String::new() }
}

pub(crate) fn record(to: TopicPartition, value: &str) -> Append<'_> {
    Append { to, key: b"account", value: value.as_bytes(), headers: &[] }
}

/// Calls `done`, which must wait inside, until it says yes.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
    }
}

pub(crate) fn join(
    log: &KafkaLog,
    group: &str,
    topics: &[(Topic, Lane)],
    writer: Option<&str>,
) -> Box<dyn Member> {
    let spec = MemberSpec {
        group: group.to_owned(),
        topics: topics.to_vec(),
        writer: writer.map(str::to_owned),
    };
    log.join(&spec).unwrap()
}

pub(crate) fn fill(log: &KafkaLog, to: TopicPartition, count: usize) {
    let mut appender = log.appender().unwrap();
    for number in 0..count {
        appender.append(record(to, &number.to_string())).unwrap();
    }
    assert_eq!(appender.flush().unwrap().len(), count);
}

/// Polls until a change of assignment comes.
pub(crate) fn next_change(member: &mut dyn Member) -> Assignment {
    let mut changes = Vec::new();
    until("a change of assignment", || {
        changes = member
            .poll(Lane::Bulk, 10, WAIT, &mut |record| panic!("{record:?}"))
            .unwrap()
            .assignments;
        !changes.is_empty()
    });
    assert_eq!(changes.len(), 1, "{changes:?}");
    changes.remove(0)
}

/// Everything committed in a partition, as text.
pub(crate) fn all(log: &KafkaLog, place: TopicPartition) -> Vec<String> {
    let mut reader = log.reader(&[(place, Offset(0))]).unwrap();
    let mut values = Vec::new();
    until("reading to the end", || {
        reader
            .poll(1_000, WAIT, &mut |record| {
                values.push(String::from_utf8(record.value.to_vec()).unwrap());
            })
            .unwrap();
        let bounds = log.bounds(place).unwrap();
        bounds.stable_end == bounds.end && reader.position(place) >= bounds.end
    });
    values
}
