//! The identity index of one ledger partition, and the store of its snapshots.
//!
//! Which events did this partition already take, what did they mean, and which entry took them?
//! The index is a fold of the ledger: [`IdentityIndex::insert`] is called by applying an entry and
//! by nothing else, so an identity and its debit cannot part. After an aborted transaction
//! [`IdentityIndex::rollback`] takes back what was applied.
//!
//! ```text
//!             insert                 persist: one run per day       merge
//! entries ───────────────► hot ─────────────────────────────► runs ───────► fewer runs
//!                           │ when it is full, what is in runs   ▲
//!                           └───► directory: key → day? ─────────┘ find: one read of 4 KiB
//! ```
//!
//! - `table`, `hot`: the recent ones, whole, in memory. `directory`: one filter over all older ones
//!   within the horizon. So a new identity, the common case, costs two probes, however many runs
//!   there are.
//! - `run`, `persist`, `merge`, `folder`: immutable sorted files by ledger day, and how they come,
//!   merge and go. Planning is apart from doing, and the doing can be on another thread.
//! - `manifest`, `snapshot`: which runs make up the index at one ledger offset, kept together with
//!   the partition's state.
//!
//! **Architecture invariants.** An answer is a function of the ledger alone, never of what happens
//! to be in memory or of when a snapshot was taken; the newest taking of an identity decides. A
//! damaged or missing file is an error and never an answer
//! ([`IdentityError::is_rebuilt_by_fold`]): a snapshot is a cache. Nothing here reads a clock: the
//! day is the ledger's.
//!
//! # Measured
//!
//! With `examples/measure.rs` on two virtual cores of an AMD EPYC at 2.6 GHz with 4 KiB pages, as
//! processor time, while other builds kept both cores and the shared cache busy (load 6 to 8):
//!
//! | | 1 M hot | 10 M hot | 10 M hot, 20 M cold |
//! |---|---|---|---|
//! | memory per hot id | 33.5 B | 32.7 B | 32.5 B (35.6 after a restore) |
//! | memory per cold id | | | 6.0 B (6.5 after a restore) |
//! | miss | 46 ns | 102 ns | 188 ns |
//! | hit in memory | 156 ns | 233 ns | 293 ns |
//! | hit in memory, touched before | 106 ns | 145 ns | 240 ns |
//! | hit in a run, in the page cache | | | 2.4 µs |
//! | insert, from empty, with growth | 42 ns | 276 ns | 394 ns |
//! | persist, per id | 0.8 µs | 0.4 µs | 0.2 µs |
//! | of it gathering, longest | 4 ms | 24 ms | 25 ms |
//! | restore, per id | 78 ns | 116 ns | 71 ns |
//! | rollback of 50,000 | 13 ms | 138 ms | 143 ms |
//!
//! A file takes 32.1 bytes per identity. With ten persists a day each was merged about twice.

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
