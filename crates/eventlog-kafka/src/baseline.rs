//! The cheapest transactional copy that Kafka allows, to measure tally against: batches in, one
//! record out per record in, positions in the transaction, and nothing else. It reads no group
//! assignment, looks at no record, and stops at the first failure.

use std::time::{Duration, Instant};

use domain::{Offset, Topic, TopicPartition};
use eventlog::{EventLog, LogError};

use crate::KafkaLog;
use crate::KafkaSettings;
use crate::names::c_string;
use crate::native::{
    Batch, Client, Delivered, Failure, GroupMetadata, NativeProducer, NativeRecord, PartitionList,
    Queue, Reports, Role,
};

/// What to copy.
#[derive(Clone, Copy, Debug)]
pub struct CopyPlan {
    pub from: Topic,
    /// Has the same number of partitions; a record keeps its partition and key.
    pub to: Topic,
    /// From one commit to the next.
    pub cadence: Duration,
    /// Stops after so many records, which must be there.
    pub records: u64,
    /// The size of each value written.
    pub value_bytes: usize,
}

/// What it cost.
#[derive(Clone, Copy, Debug)]
pub struct CopyReport {
    pub records: u64,
    pub wall: Duration,
    /// Of this whole process, all threads, user and system.
    pub cpu: Duration,
    pub commits: u64,
}

const TAKE_RECORDS: usize = 2_000;
const TAKE_WAIT: Duration = Duration::from_millis(5);
const COMMIT_WAIT: Duration = Duration::from_secs(30);

/// Copies from the first offset on.
///
/// # Errors
/// Whatever goes wrong first; the copy is then of no use.
pub fn transactional_copy(
    settings: &KafkaSettings,
    plan: &CopyPlan,
) -> Result<CopyReport, LogError> {
    let failed = |failure: Failure| failure.into_log_error("the bare copy");
    let log = KafkaLog::connect(settings.clone())?;
    let names = log.names();
    let partitions = log
        .partitions(plan.from)?
        .ok_or_else(|| LogError::Halt(format!("there is no topic {}", plan.from)))?;

    let group = names.prefixed("bare-copy");
    let consumer = Client::create(Role::Consumer, &settings.fetcher(&group, settings.fetch_wait))?;
    let queue = Queue::of_consumer(&consumer)
        .ok_or_else(|| LogError::Halt("kafka: a consumer needs a group.id".to_owned()))?;
    let mut assignment = PartitionList::new();
    let mut next: Vec<Offset> = Vec::new();
    for partition in (0..partitions).map(domain::Partition) {
        let at = TopicPartition { topic: plan.from, partition };
        next.push(log.bounds(at)?.start);
        let from = next.last().copied().unwrap_or(Offset::ZERO);
        assignment.add_at(names.of(plan.from), crate::lane::number(partition), from, "");
    }
    consumer.assign(Some(&assignment)).map_err(failed)?;

    let writer = settings.writer(&names.prefixed("bare-copy"));
    let mut producer = NativeProducer::create(Reports::Failures, &writer)?;
    producer.open_topic(0, names.of(plan.to)).map_err(failed)?;
    producer.init_transactions(COMMIT_WAIT).map_err(failed)?;
    let metadata = GroupMetadata::without_membership(&c_string(&group)?)
        .ok_or_else(|| LogError::Halt("kafka: no group metadata".to_owned()))?;
    let value = vec![0x5a_u8; plan.value_bytes];

    let (started, cpu_before) = (Instant::now(), process_cpu());
    let (mut records, mut commits) = (0, 0);
    let mut batch = Batch::new();
    while records < plan.records {
        producer.begin_transaction().map_err(failed)?;
        let cut = Instant::now() + plan.cadence;
        let mut outcome = Ok(());
        while Instant::now() < cut && records < plan.records {
            batch.fill(&queue, TAKE_RECORDS, TAKE_WAIT);
            batch.drain(&mut |source, delivered| match delivered {
                Delivered::Message(message) if outcome.is_ok() => {
                    let record = NativeRecord {
                        partition: source.partition,
                        key: message.key(),
                        value: &value,
                        headers: &[],
                        number: 0,
                    };
                    outcome = producer.produce(0, record);
                    if let Some(next) =
                        usize::try_from(source.partition).ok().and_then(|index| next.get_mut(index))
                    {
                        *next = message.offset().next();
                    }
                    records += 1;
                }
                Delivered::Message(_) | Delivered::End(_) => {}
                Delivered::Failed(failure) => outcome = Err(failure),
            });
            std::mem::replace(&mut outcome, Ok(())).map_err(failed)?;
        }
        let mut positions = PartitionList::new();
        for (partition, next) in (0..).zip(&next) {
            positions.add_at(names.of(plan.from), partition, *next, "");
        }
        producer.send_offsets(&positions, &metadata, COMMIT_WAIT).map_err(failed)?;
        producer.commit_transaction(COMMIT_WAIT).map_err(failed)?;
        commits += 1;
    }
    let (wall, cpu) = (started.elapsed(), process_cpu().saturating_sub(cpu_before));
    Ok(CopyReport { records, wall, cpu, commits })
}

/// The processor time that this process has used so far, user and system.
pub fn process_cpu() -> Duration {
    crate::native::process_cpu()
}
