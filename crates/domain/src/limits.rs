//! The stated limits. Every queue, text and count on the path has one, with a clear refusal.

/// The largest amount in whole units, either sign (10¹⁵). A hundred thousand million of them still
/// fit an `i128` sum and ClickHouse's `Decimal(38, 12)`.
pub const AMOUNT_MAX_UNITS: i128 = 1_000_000_000_000_000;
/// The most tokens in one pool of one item (10¹²).
pub const TOKENS_MAX: u64 = 1_000_000_000_000;
/// The most items in one usage event.
pub const ITEMS_MAX: usize = 256;
/// The most attributes on an event, and on an item.
pub const ATTRIBUTES_MAX: usize = 32;
/// The longest id or name, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// The largest record that is read from an input topic, in bytes.
pub const INPUT_RECORD_BYTES_MAX: usize = 256 * 1024;
/// The largest record that is written: the largest input and its headers always fit, so that a
/// dead letter can be kept whole.
pub const OUTPUT_RECORD_BYTES_MAX: usize = 1024 * 1024;
/// The most lots that an account may have open.
pub const LOTS_MAX: usize = 1_000;
/// An event dated further ahead of ledger time than this is quarantined.
pub const EVENT_AHEAD_MICROS_MAX: i64 = 5 * 60 * 1_000_000;
/// Grace after a lot's expiry, in which late usage dated before the expiry still draws it.
pub const GRACE_MICROS: i64 = 24 * 3_600 * 1_000_000;
/// How long identities are kept for the duplicate check, and the lateness bound without `backfill`.
pub const IDENTITY_HORIZON_DAYS: i64 = 35;
/// The most holds that an account may have, open or waiting for their event.
pub const HOLDS_MAX: usize = 10_000;
/// The most captures of a hold that may wait for an event.
pub const CAPTURES_MAX: usize = 1_000;
/// The longest that a hold may stay open without being extended: seven days.
pub const HOLD_MICROS_MAX: i64 = 7 * 86_400 * 1_000_000;
/// How long a hold stays open when nothing is said: a minute.
pub const HOLD_MICROS_DEFAULT: i64 = 60 * 1_000_000;
/// The most budgets of an account.
pub const BUDGETS_MAX: usize = 100;
