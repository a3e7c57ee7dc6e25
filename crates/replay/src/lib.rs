//! Proofs over the ledger. `verify` reads it from its first record, beside live traffic, and says
//! for each invariant what was checked, how much of it, and the first counterexamples.

mod ledger_check;
mod projection_check;
mod report;
mod rerate;
mod totals;

pub use ledger_check::{LedgerCheck, VerifyError, verify_ledger};
pub use projection_check::{Projected, check_balances, check_usage};
pub use report::{Check, Report};
pub use rerate::{
    Change, DIFFERENCES_MAX, Difference, Filter, Found, ItemDifference, Planner, Priced, Unpriced,
    rerate,
};
pub use totals::{Dimensions, Sums, Totals};
