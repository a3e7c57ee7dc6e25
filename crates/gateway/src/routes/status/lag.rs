//! How far behind the charger and the projector are: in records, and since when.

use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use serde_json::{Value, json};

use crate::app::{Shared, now};
use crate::follower::PartitionView;
use crate::freshness::Freshness;
use crate::letters::input_text;
use crate::problem::Problem;
use crate::tail;

/// A partition whose oldest record waits so long does not just have a lot to do.
const STANDING_MICROS: i64 = 60 * 1_000_000;
/// Control records that may stand before the first record.
const LOOK_RECORDS: i64 = 64;

/// Records that wait, and the oldest of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lag {
    pub(super) records: i64,
    oldest: Option<Waiting>,
}

/// The first record that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    since: Timestamp,
    at: TopicPartition,
    offset: Offset,
}

impl Lag {
    pub(super) fn micros(&self) -> i64 {
        self.oldest.map_or(0, |oldest| now().since(oldest.since).max(0))
    }

    pub(super) fn seconds(&self) -> String {
        let micros = self.micros();
        format!("{}.{:03}", micros / 1_000_000, micros / 1_000 % 1_000)
    }

    pub(super) fn oldest_json(&self) -> Value {
        self.oldest.map_or(Value::Null, |oldest| {
            json!({ "since": oldest.since, "input": input_text(oldest.at, oldest.offset) })
        })
    }

    fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.oldest = match (self.oldest, other.oldest) {
            (Some(one), Some(two)) => Some(if two.since < one.since { two } else { one }),
            (one, two) => one.or(two),
        };
    }
}

/// The lag of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartitionLag {
    pub(super) partition: Partition,
    pub(super) lag: Lag,
    /// Where `usage.raw` goes on.
    pub(super) next: Offset,
}

impl PartitionLag {
    /// Whether it waits longer than a busy one does.
    pub(super) fn stands(&self) -> bool {
        self.lag.micros() >= STANDING_MICROS
    }
}

pub(super) fn sum(lags: &[PartitionLag]) -> Lag {
    lags.iter().fold(Lag::default(), |mut sum, partition| {
        sum.merge(partition.lag);
        sum
    })
}

/// What the charger has not decided, by partition.
pub(super) fn of_charger(
    shared: &Shared,
    views: &[PartitionView],
) -> Result<Vec<PartitionLag>, Problem> {
    (0..)
        .map(Partition)
        .zip(views)
        .map(|(partition, view)| {
            let mut lag = Lag::default();
            for topic in Topic::INPUTS {
                let at = TopicPartition { topic, partition };
                lag.merge(behind(shared, at, view.consumed(topic).unwrap_or(Offset::ZERO))?);
            }
            let next = view.consumed(Topic::UsageRaw).unwrap_or(Offset::ZERO);
            Ok(PartitionLag { partition, lag, next })
        })
        .collect()
}

/// What ClickHouse does not have.
pub(super) fn of_projector(
    shared: &Shared,
    projected: &[Freshness],
) -> Result<Vec<PartitionLag>, Problem> {
    shared
        .partitions()
        .map(|partition| {
            let at = TopicPartition { topic: Topic::LedgerEntries, partition };
            let row = projected.iter().find(|row| row.partition == partition);
            let next = row.map_or(Offset::ZERO, |row| row.ledger_offset);
            Ok(PartitionLag { partition, lag: behind(shared, at, next)?, next })
        })
        .collect()
}

fn behind(shared: &Shared, at: TopicPartition, next: Offset) -> Result<Lag, Problem> {
    let bounds = shared.log.bounds(at)?;
    let next = next.max(bounds.start);
    if next >= bounds.stable_end {
        return Ok(Lag::default());
    }
    let mut oldest = None;
    tail::read_while(shared.log.as_ref(), at, next, LOOK_RECORDS, &mut |record| {
        oldest = Some(Waiting { since: record.appended_at, at, offset: record.offset });
        false
    })?;
    // Only control records: nothing waits.
    let Some(oldest) = oldest else { return Ok(Lag::default()) };
    Ok(Lag { records: bounds.stable_end.0 - next.0, oldest: Some(oldest) })
}
