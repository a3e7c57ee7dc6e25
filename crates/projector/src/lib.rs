//! The projector: reads `ledger.entries` and the dead letters, and writes ClickHouse exactly once.
//!
//! **How a batch survives anything.** A batch is a range of one partition's offsets, and of the
//! ledger it ends at a seal. Before its first insert, its planned end is committed beside its start:
//! a restart makes exactly that batch again, byte for byte. Every table's rows carry the offset that
//! made them, so a batch whose outcome is not known is looked up before it is sent again, and sent
//! with the same deduplication token (crate `warehouse`). `ledger_entries` is written last: what it
//! has, every table has.

mod metrics;
mod service;
mod sink;
mod stream;

pub use metrics::ProjectorMetrics;
pub use service::{PERMISSIONS, Projector, ProjectorError, ProjectorSettings};
pub use sink::{Sink, WarehouseSink};
