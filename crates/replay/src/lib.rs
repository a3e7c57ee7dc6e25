//! Proofs over the ledger. `verify` reads it from its first record, beside live traffic, and says
//! for each invariant what was checked, how much of it, and the first counterexamples. [`rebuild`]
//! makes ClickHouse's tables again beside the live ones, compares both, and exchanges them.

mod find;
mod ledger_check;
mod projection_check;
pub mod rebuild;
mod report;
mod totals;

pub use find::find_entry;
pub use ledger_check::{LedgerCheck, VerifyError, verify_ledger};
pub use projection_check::{Projected, check_balances, check_usage};
pub use report::{Check, Report};
pub use totals::{Dimensions, Sums, Totals};
