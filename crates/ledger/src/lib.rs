//! The ledger: immutable entries, the lots that they move, and the two functions that everything
//! rests on. `decide` says what an input does (it reads state and never changes it); `apply` is the
//! only way that state changes, live and in replay alike, and is arithmetic.
//!
//! **Architecture invariant:** nothing here reads a clock, prices anything, or knows how an entry is
//! written. Prices come in as rate lines, time as an argument.
#![deny(clippy::float_arithmetic)]

mod account;
mod apply;
mod budget;
mod command;
pub mod decide;
mod draw;
mod entry;
mod happening;
mod hold;
pub mod invariant;
mod plan;
mod posting;
mod seal;
mod state;
mod workbook;

pub use account::{Account, Category, EXPIRY_NOTICE_MICROS, Lot, LotState};
pub use apply::{
    ApplyError, Missing, Remember, Remembered, apply, correction_id, decision_id, hold_scope,
};
pub use budget::{Budget, BudgetScope, BudgetTerms, Thresholds};
pub use command::{Command, CommandBody, GrantTerms, Rerate, Reserve, Want, When};
pub use draw::recognised;
pub use entry::{
    Adjustment, Balance, Billed, Body, BudgetRemoved, BudgetSet, BudgetUse, BudgetUses, ByHand,
    CatalogueAdopted, Cause, Corrected, Corrector, Debit, Draw, Draws, Entry, Freed, Grant,
    HoldAfter, HoldCaptured, HoldEnded, HoldEnding, HoldExtended, HoldRefused, HoldReserved,
    HoldUse, Limit, Lost, LotActivated, LotClosed, LotExpiring, LotInGrace, NoticesSet,
    PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled, QuarantineDecided, Quarantined, Refunded,
    Return, ReturnTo, Reversed, RolledOver, StandingCharge, Unrated,
};
pub use happening::{AccountEvent, HAPPENINGS, Happening};
pub use hold::{Earmark, Earmarks, Hold, HoldId, HoldName, NotAHoldName, Scope};
pub use plan::{AllowanceTerms, Exhausted, Notices, PlanTerms, RolloverTerms, Subscription, TopUp};
pub use posting::{Posting, PostingAccount, Unit, postings};
pub use seal::{ChainHash, Counts, Exception, ExceptionKind, Seal, SourceRange};
pub use state::{PartitionState, Timer, TimerKind, Waiting};
