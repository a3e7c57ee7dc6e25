//! What is done when: which input offsets a batch has taken and how each ended, what a seal says,
//! how far time may move, where a new owner of a partition continues, and when to stop.
//!
//! **Architecture invariant:** offsets and times come in as arguments; nothing here knows a client
//! of any log, and nothing here can lose an offset: a taken one is a [`Ticket`] that only an ending
//! consumes.
#![deny(clippy::float_arithmetic)]

mod batch;
mod brake;
mod horizon;
mod progress;
mod takeover;

pub use batch::{Batch, Chain, Ending, FlowError, Ticket};
pub use brake::{Brake, BrakeLimits};
pub use horizon::Horizon;
pub use progress::{Progress, SealError};
pub use takeover::{Committed, TakeoverError, takeover};
