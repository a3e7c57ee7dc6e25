//! A vendor's bill beside what was metered: by day, model and token pool, with what explains each
//! difference.
//!
//! [`Mapping`] says how a vendor writes its exports (two come with the crate: [`preset`]);
//! [`Bill::read`] takes files in, row by row; [`Metered`] is our side; [`compare`] puts both side
//! by side and attributes every difference, in tokens and in money, to causes that add up to it.
//!
//! Differences are ours minus theirs: negative when the vendor bills more than was metered.
//!
//! **Architecture invariant:** the parts of a difference sum to it, always, to the last of 12
//! decimals; there is no floating point, and what rounding leaves has a part of its own.
//!
//! **Architecture invariant:** no row of a bill gets lost. It is compared, or shown among what is no
//! token usage, or counted among what the mapping says to ignore; anything else is refused, with its
//! line.
#![deny(clippy::float_arithmetic)]

mod attribute;
mod bill;
mod compare;
mod item;
mod mapping;
mod metered;
mod names;
mod number;
mod row;
mod split;

pub use attribute::{Attributed, CAUSES, Cause, Parts, Theirs, attribute};
pub use bill::{Bill, BillError, Charge, Fault};
pub use compare::{Cell, CompareError, Comparison, Key, Other, Rules, Totals, compare};
pub use mapping::{Mapping, MappingError, PRESETS, preset};
pub use metered::{Metered, MeteredRow, Usage};
pub use split::{Group, price_of, split};
