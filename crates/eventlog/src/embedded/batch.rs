//! Records on their way to a commit, already in the layout that they are stored in.

use std::collections::BTreeMap;

use domain::{Offset, TopicPartition};

use super::chunk::BODY_BYTES_FULL;
use crate::Append;
use crate::encoded::{encode, encoded_bytes_max};

/// Records of one partition, to be stored as one row.
#[derive(Debug)]
pub(super) struct PendingChunk {
    pub(super) to: TopicPartition,
    pub(super) records: u32,
    pub(super) body: Vec<u8>,
}

/// Where in a batch a record went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    chunk: usize,
    /// Its number within the chunk.
    within: u32,
}

#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) chunks: Vec<PendingChunk>,
    /// The chunk of each partition that still has room.
    filling: BTreeMap<TopicPartition, usize>,
    pub(super) records: usize,
    pub(super) bytes: usize,
}

impl Batch {
    /// Whether it has a record for this partition, which then exists.
    pub(super) fn knows(&self, to: TopicPartition) -> bool {
        self.filling.contains_key(&to)
    }

    pub(super) fn push(&mut self, append: &Append<'_>) -> Place {
        let chunk = self.chunk_for(append.to, encoded_bytes_max(append));
        let pending = &mut self.chunks[chunk];
        let before = pending.body.len();
        encode(append, &mut pending.body);
        self.bytes += pending.body.len() - before;
        self.records += 1;
        let within = pending.records;
        pending.records += 1;
        Place { chunk, within }
    }

    fn chunk_for(&mut self, to: TopicPartition, bytes: usize) -> usize {
        match self.filling.get(&to) {
            Some(&chunk) if self.chunks[chunk].body.len() + bytes <= BODY_BYTES_FULL => chunk,
            Some(_) | None => {
                self.chunks.push(PendingChunk { to, records: 0, body: Vec::with_capacity(bytes) });
                let chunk = self.chunks.len() - 1;
                self.filling.insert(to, chunk);
                chunk
            }
        }
    }
}

/// The offset of a record, once the first offset of each chunk is known.
pub(super) fn offset_of(place: Place, first: &[Offset]) -> Offset {
    Offset(first[place.chunk].0 + i64::from(place.within))
}
