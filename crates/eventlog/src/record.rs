//! Records as they are read and written.

use domain::{Offset, Timestamp, TopicPartition};

/// Looks a header up by name; lazily, because most records are never asked for theirs.
pub trait HeaderLookup {
    /// The last header of that name.
    fn header(&self, name: &str) -> Option<&[u8]>;
}

/// For records without headers.
#[derive(Clone, Copy, Debug)]
pub struct NoHeaders;

impl HeaderLookup for NoHeaders {
    fn header(&self, _name: &str) -> Option<&[u8]> {
        None
    }
}

/// A record, lent by a reader for the length of one call.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    pub at: TopicPartition,
    pub offset: Offset,
    /// When the log took it (Kafka's LogAppendTime), to the log's precision.
    pub appended_at: Timestamp,
    /// Empty when the record has no key.
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub headers: &'a dyn HeaderLookup,
}

impl std::fmt::Debug for Record<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}@{} ({} bytes)", self.at, self.offset, self.value.len())
    }
}

/// A record to be written. The log copies what it needs before the call returns.
#[derive(Clone, Copy, Debug)]
pub struct Append<'a> {
    pub to: TopicPartition,
    pub key: &'a [u8],
    pub value: &'a [u8],
    pub headers: &'a [(&'a str, &'a [u8])],
}
