//! The charger: the only writer of the ledger. It reads partition p of its inputs, decides, and
//! appends to `ledger.entries[p]`, with everything that one batch says in one transaction.
//!
//! [`core`] decides and does no I/O; [`Charger`] owns the log's member, commits, takes partitions
//! over and gives them up; [`recover`] makes a partition's state again from its ledger.

mod clock;
pub mod core;
mod deferred;
mod metrics;
mod outgoing;
mod recover;
mod service;
mod session;
mod settings;
mod snapshot;

pub use catalog::Prices;
pub use clock::{Clock, SystemClock};
pub use core::{CoreSettings, DecidedAgain, Folded, Halt, PartitionCore, Step, Taken};
pub use metrics::ChargerMetrics;
pub use outgoing::Outgoing;
pub use recover::{Folder, RecoverError, recover};
pub use service::{Charger, ChargerError};
pub use session::Session;
pub use settings::{ChargerSettings, PERMISSIONS};
pub use snapshot::Snapshots;
