//! What tally needs of an event log: partitioned append, ordered read, and one atomic commit over
//! several partitions and the reader's positions.
//!
//! Three logs implement it and pass one conformance suite: Kafka (crate
//! `eventlog-kafka`), the embedded log (one process, durable, no server), and the in-memory
//! log with injected crashes, for the simulator.
//!
//! Everything here is synchronous and belongs to one thread at a time: a service owns its member
//! and drives it. Records are lent (`&[u8]`) for the length of one call, so that a log over Kafka
//! costs no copy.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod cursors;
pub mod embedded;
mod encoded;
mod log;
mod member;
pub mod memory;
mod permissions;
mod record;

pub use embedded::EmbeddedLog;
pub use log::{Appender, Bounds, EventLog, LogError, Reader, TopicSpec};
pub use member::{
    Assignment, CommitOutcome, CommittedPosition, Lane, Member, MemberSpec, Polled, Position,
};
pub use memory::MemoryLog;
pub use permissions::Permissions;
pub use record::{Append, HeaderLookup, NoHeaders, Record};
