//! The identity index of one ledger partition, and the store of its snapshots.
mod bytes;
mod days;
mod directory;
mod error;
mod folder;
mod hot;
mod index;
mod manifest;
mod merge;
mod persist;
mod run;
mod snapshot;
mod table;

pub use error::IdentityError;
pub use folder::RunFolder;
pub use index::{IdentityIndex, Search, Seen, Settings, Statistics};
pub use manifest::IndexManifest;
pub use merge::{MergePlan, MergedRun};
pub use persist::{Fresh, WrittenRuns};
pub use run::RunEntry;
pub use snapshot::{Latest, Snapshot, SnapshotStore};
