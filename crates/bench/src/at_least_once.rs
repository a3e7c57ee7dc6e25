//! Kafka without its transactions, to see what they cost: records go out through an idempotent producer, and positions are
//! committed after they are durable. A crash between the two would write records twice; tally never runs so.

use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{
    Append, Appender, Bounds, CommitOutcome, CommittedPosition, EventLog, Lane, LogError, Member,
    MemberSpec, Polled, Position, Reader, Record, TopicSpec,
};
use eventlog_kafka::KafkaLog;

pub(crate) struct AtLeastOnce(pub(crate) KafkaLog);

struct Loose {
    member: Box<dyn Member>,
    appender: Box<dyn Appender>,
}

impl EventLog for AtLeastOnce {
    fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        self.0.create_topics(topics)
    }

    fn partitions(&self, topic: Topic) -> Result<Option<u32>, LogError> {
        self.0.partitions(topic)
    }

    fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        self.0.bounds(at)
    }

    fn reader(&self, from: &[(TopicPartition, Offset)]) -> Result<Box<dyn Reader>, LogError> {
        self.0.reader(from)
    }

    fn appender(&self) -> Result<Box<dyn Appender>, LogError> {
        self.0.appender()
    }

    fn join(&self, spec: &MemberSpec) -> Result<Box<dyn Member>, LogError> {
        let member = self.0.join(&MemberSpec { writer: None, ..spec.clone() })?;
        Ok(Box::new(Loose { member, appender: self.0.appender()? }))
    }

    fn contract_findings(&self) -> Result<Vec<String>, LogError> {
        self.0.contract_findings()
    }
}

impl Member for Loose {
    fn poll(
        &mut self,
        lane: Lane,
        records_max: usize,
        wait: Duration,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<Polled, LogError> {
        self.member.poll(lane, records_max, wait, visit)
    }

    fn committed(&mut self, partition: Partition) -> Result<Vec<CommittedPosition>, LogError> {
        self.member.committed(partition)
    }

    fn start(&mut self, partition: Partition, from: &[(Topic, Offset)]) -> Result<(), LogError> {
        self.member.start(partition, from)
    }

    fn pause(&mut self, partition: Partition) -> Result<(), LogError> {
        self.member.pause(partition)
    }

    fn position(&self, at: TopicPartition) -> (Offset, bool) {
        self.member.position(at)
    }

    fn release(&mut self, partitions: &[Partition]) -> Result<(), LogError> {
        self.member.release(partitions)
    }

    fn append(&mut self, record: Append<'_>) -> Result<(), LogError> {
        self.appender.append(record)
    }

    fn commit(&mut self, positions: &[Position]) -> CommitOutcome {
        match self.appender.flush() {
            Ok(_) => self.member.commit(positions),
            Err(error) => CommitOutcome::Unknown(error.to_string()),
        }
    }

    fn abort(&mut self) -> Result<(), LogError> {
        self.appender.flush().map(|_| ())
    }
}
