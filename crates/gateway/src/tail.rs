//! Reading a stretch of a partition through: what the tables do not have yet.

use std::time::Duration;

use domain::{Offset, TopicPartition};
use eventlog::{EventLog, LogError, Record};

const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 40;

/// Visits the records from `from` to the end that there is now, `records_max` at most. Returns
/// whether that was all of them.
pub(crate) fn read(
    log: &dyn EventLog,
    at: TopicPartition,
    from: Offset,
    records_max: i64,
    visit: &mut dyn FnMut(&Record<'_>),
) -> Result<bool, LogError> {
    read_while(log, at, from, records_max, &mut |record| {
        visit(record);
        true
    })
}

/// The same, until `visit` has what it wants and returns false.
pub(crate) fn read_while(
    log: &dyn EventLog,
    at: TopicPartition,
    from: Offset,
    records_max: i64,
    visit: &mut dyn FnMut(&Record<'_>) -> bool,
) -> Result<bool, LogError> {
    let bounds = log.bounds(at)?;
    let from = from.max(bounds.start).min(bounds.stable_end);
    let to = Offset(from.0.saturating_add(records_max)).min(bounds.stable_end);
    if from >= to {
        return Ok(from >= bounds.stable_end);
    }
    let mut reader = log.reader(&[(at, from)])?;
    let (mut empty_polls, mut wants_more) = (0, true);
    while wants_more && reader.position(at) < to {
        let count = reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
            if wants_more && record.offset < to {
                wants_more = visit(&record);
            }
        })?;
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            return Err(LogError::Unavailable(format!("reading {at} made no way")));
        }
    }
    Ok(wants_more && to == bounds.stable_end)
}

/// The record at an offset, if there is one.
pub(crate) fn record_at<T>(
    log: &dyn EventLog,
    at: TopicPartition,
    offset: Offset,
    take: impl FnOnce(&Record<'_>) -> T,
) -> Result<Option<T>, LogError> {
    let bounds = log.bounds(at)?;
    if offset < bounds.start || offset >= bounds.stable_end {
        return Ok(None);
    }
    let mut reader = log.reader(&[(at, offset)])?;
    let (mut take, mut taken) = (Some(take), None);
    for _ in 0..EMPTY_POLLS_MAX {
        reader.poll(1, POLL_WAIT, &mut |record| {
            if let Some(take) = take.take()
                && record.offset == offset
            {
                taken = Some(take(&record));
            }
        })?;
        if take.is_none() || reader.position(at) > offset {
            break;
        }
    }
    Ok(taken)
}
