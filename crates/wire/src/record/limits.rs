//! What a record on tally's own topics may hold.
//!
//! These are apart from [`domain::limits`] on purpose, and wider: those are policy for what comes
//! in and may be tightened; what was written once must stay readable forever.

use domain::limits::{ATTRIBUTES_MAX, INPUT_RECORD_BYTES_MAX, ITEMS_MAX, LOTS_MAX, TEXT_BYTES_MAX};

/// The largest record of `ledger.entries`, `ledger.replies` and `usage.dead-letters`.
pub const LEDGER_RECORD_BYTES_MAX: usize = domain::limits::OUTPUT_RECORD_BYTES_MAX;
/// The largest record of `rates.catalog`: an imported price map has thousands of prices. The topic's
/// message size has to allow it.
pub const CATALOGUE_RECORD_BYTES_MAX: usize = 4 * 1024 * 1024;

pub(super) const TEXT_MAX: usize = 1_024;
pub(super) const ITEMS: usize = 1_024;
pub(super) const ATTRIBUTES: usize = 128;
pub(super) const DRAWS: usize = 8_192;

// What comes in within its limits can always be written.
const _: () = assert!(TEXT_MAX >= TEXT_BYTES_MAX);
const _: () = assert!(ITEMS >= ITEMS_MAX);
const _: () = assert!(ATTRIBUTES >= ATTRIBUTES_MAX);
const _: () = assert!(DRAWS >= LOTS_MAX);
const _: () = assert!(LEDGER_RECORD_BYTES_MAX >= 2 * INPUT_RECORD_BYTES_MAX);
