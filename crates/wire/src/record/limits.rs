//! What a record on tally's own topics may hold.
//!
//! These are apart from [`domain::limits`] on purpose, and wider: those are policy for what comes
//! in and may be tightened; what was written once must stay readable forever.

use domain::limits::{
    ATTRIBUTES_MAX, BUDGETS_MAX, INPUT_RECORD_BYTES_MAX, ITEMS_MAX, LOTS_MAX, TEXT_BYTES_MAX,
};

/// The largest record of `ledger.entries`, `ledger.commands`, `ledger.replies`, `account.events` and
/// `usage.dead-letters`. Commands are inputs, but one that reverses an entry carries its record.
pub const LEDGER_RECORD_BYTES_MAX: usize = domain::limits::OUTPUT_RECORD_BYTES_MAX;
/// The largest record of `rates.catalog`: an imported price map has thousands of prices. The topic's
/// message size has to allow it.
pub const CATALOGUE_RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) const TEXT_MAX: usize = 1_024;
pub(super) const ITEMS: usize = 1_024;
pub(super) const ATTRIBUTES: usize = 128;
pub(super) const DRAWS: usize = 8_192;
pub(super) const BUDGETS: usize = 1_024;
pub(super) const THRESHOLDS: usize = 256;

/// What a command may hold, beside [`domain::limits`].
pub(super) mod command {
    pub(crate) const WITHIN_MAX: usize = 1_000;
    pub(crate) const USAGE_BYTES_MAX: usize = 64 * 1024;
    pub(crate) const THRESHOLDS_MAX: usize = 16;
    /// Whole percents of a budget's limit.
    pub(crate) const THRESHOLD_MAX: u16 = 1_000;
}

// What comes in within its limits can always be written.
const _: () = assert!(TEXT_MAX >= TEXT_BYTES_MAX);
const _: () = assert!(ITEMS >= ITEMS_MAX);
const _: () = assert!(ATTRIBUTES >= ATTRIBUTES_MAX);
const _: () = assert!(DRAWS >= LOTS_MAX);
const _: () = assert!(BUDGETS >= BUDGETS_MAX);
const _: () = assert!(THRESHOLDS >= command::THRESHOLDS_MAX);
const _: () = assert!(LEDGER_RECORD_BYTES_MAX >= 2 * INPUT_RECORD_BYTES_MAX);
