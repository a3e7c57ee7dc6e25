//! Proofs over the ledger. `verify` reads it from its first record, beside live traffic, and says
//! for each invariant what was checked, how much of it, and the first counterexamples. The deep one
//! looks behind the ledger too: at the inputs, the prices and what corrects what. [`rebuild`] makes
//! ClickHouse's tables again beside the live ones, compares both, and exchanges them.

mod deep;
mod entries_check;
mod input_reader;
mod inputs_check;
mod judge;
mod ledger_check;
mod pace;
mod pricing_check;
mod projection_check;
pub mod rebuild;
mod report;
mod rerate;
mod totals;

mod scratch;
mod table_sums;

pub use deep::{DeepSettings, Since, Verified, verify_deep};
pub use input_reader::{InputReader, Kept};
pub use ledger_check::{LedgerCheck, VerifyError, verify_ledger};
pub use pace::{Pace, Standing, Stopped, Watch};
pub use projection_check::{Projected, check_balances, check_usage};
pub use report::{Check, Evidence, Report};
pub use rerate::{
    Change, DIFFERENCES_MAX, Difference, Filter, Found, ItemDifference, Planner, Priced, Unpriced,
    rerate,
};
pub use table_sums::{DaySums, TableSums, check_table};
pub use totals::{Dimensions, Sums, Totals};
