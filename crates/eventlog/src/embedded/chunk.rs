//! A row of the record table: the append time (8 bytes, little-endian microseconds), the number of
//! records (4 bytes), and the records one after another as [`encoded`](crate::encoded) has them.
//! Its key is topic, partition and the first record's offset in one number, in that order.

use std::ops::RangeInclusive;

use domain::{Offset, Timestamp, TopicPartition};

use crate::encoded::take;
use crate::{LogError, Record};

const HEADER_BYTES: usize = 12;

/// A chunk with its key and what redb adds fills two pages of 4 KiB. Measured with
/// 1,000 records of 200 bytes per commit: one page takes nearly twice the processor time to write
/// and to read; four lose an eighth of the space to the ends of commits.
pub(super) const BODY_BYTES_FULL: usize = 8_100 - HEADER_BYTES;

pub(super) fn key(at: TopicPartition, offset: Offset) -> u128 {
    // Offsets are never negative here, so that their order is the numbers' order.
    let offset = u64::try_from(offset.0).unwrap_or(0);
    (u128::from(at.topic.code()) << 96) | (u128::from(at.partition.0) << 64) | u128::from(offset)
}

pub(super) fn offset_of(key: u128) -> Offset {
    Offset(i64::try_from(key & u128::from(u64::MAX)).unwrap_or(i64::MAX))
}

/// The keys of a partition from an offset on.
pub(super) fn keys_from(at: TopicPartition, from: Offset) -> RangeInclusive<u128> {
    key(at, from)..=key(at, Offset(i64::MAX))
}

/// The keys of a partition up to that of an offset.
pub(super) fn keys_to(at: TopicPartition, to: Offset) -> RangeInclusive<u128> {
    key(at, Offset::ZERO)..=key(at, to)
}

pub(super) const fn bytes(body: &[u8]) -> usize {
    HEADER_BYTES + body.len()
}

/// Writes a chunk into `row`, which is [`bytes`] long.
pub(super) fn write(row: &mut [u8], appended_at: Timestamp, records: u32, body: &[u8]) {
    let (header, rest) = row.split_at_mut(HEADER_BYTES);
    header[..8].copy_from_slice(&appended_at.micros().to_le_bytes());
    header[8..].copy_from_slice(&records.to_le_bytes());
    rest.copy_from_slice(body);
}

/// A chunk where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    at: TopicPartition,
    first: Offset,
    pub(super) appended_at: Timestamp,
    records: u32,
    body: &'a [u8],
}

impl<'a> Chunk<'a> {
    pub(super) fn read(at: TopicPartition, first: Offset, row: &'a [u8]) -> Result<Self, LogError> {
        let header = row.split_first_chunk::<8>().and_then(|(appended_at, rest)| {
            let (records, body) = rest.split_first_chunk::<4>()?;
            Some((i64::from_le_bytes(*appended_at), u32::from_le_bytes(*records), body))
        });
        let Some((micros, records, body)) = header else {
            return Err(damaged(at, first));
        };
        Ok(Self { at, first, appended_at: Timestamp::from_micros(micros), records, body })
    }

    /// The offset after its last record.
    pub(super) fn end(&self) -> Offset {
        Offset(self.first.0 + i64::from(self.records))
    }

    /// Lends up to `records_max` of its records from an offset on; returns how many.
    pub(super) fn lend(
        &self,
        from: Offset,
        records_max: usize,
        visit: &mut dyn FnMut(Record<'_>),
    ) -> Result<usize, LogError> {
        let mut rest = self.body;
        let mut offset = self.first;
        let mut lent = 0;
        while offset < self.end() && lent < records_max {
            let Some(decoded) = take(&mut rest) else {
                return Err(damaged(self.at, offset));
            };
            if offset >= from {
                visit(Record {
                    at: self.at,
                    offset,
                    appended_at: self.appended_at,
                    key: decoded.key,
                    value: decoded.value,
                    headers: &decoded.headers,
                });
                lent += 1;
            }
            offset = offset.next();
        }
        Ok(lent)
    }
}

fn damaged(at: TopicPartition, offset: Offset) -> LogError {
    LogError::Halt(format!("the embedded log is damaged at {at}@{offset}"))
}
