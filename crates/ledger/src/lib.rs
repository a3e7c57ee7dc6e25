//! The ledger: immutable entries, the lots that they move, and the two functions that everything
//! rests on. `decide` says what an input does (it reads state and never changes it); `apply` is the
//! only way that state changes, live and in replay alike, and is arithmetic.
//!
//! **Architecture invariant:** nothing here reads a clock, prices anything, or knows how an entry is
//! written. Prices come in as rate lines, time as an argument.
#![deny(clippy::float_arithmetic)]

mod account;
mod apply;
mod command;
pub mod decide;
mod draw;
mod entry;
pub mod invariant;
mod posting;
mod seal;
mod state;

pub use account::{Account, Category, Lot, LotState};
pub use apply::{ApplyError, Remember, apply};
pub use command::{Command, CommandBody, GrantTerms};
pub use draw::recognised;
pub use entry::{
    Adjustment, Balance, Body, ByHand, CatalogueAdopted, Cause, Debit, Draw, Draws, Entry, Grant,
    LotActivated, LotClosed, LotInGrace, Quarantined, Unrated,
};
pub use posting::{Posting, PostingAccount, Unit, postings};
pub use seal::{ChainHash, Counts, Exception, ExceptionKind, Seal, SourceRange};
pub use state::{PartitionState, Timer, TimerKind, Waiting};
