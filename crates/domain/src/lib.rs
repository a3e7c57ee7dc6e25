//! What tally's words mean: amounts, ids, time, usage events, reason codes.
//!
//! **Architecture invariant:** nothing here reads a clock, an environment variable, a file or a
//! socket, and nothing here knows a wire format or a price.
#![deny(clippy::float_arithmetic)]

mod amount;
mod identity;
mod ids;
pub mod limits;
mod nearest;
mod partition;
mod pools;
mod rated;
mod reason;
mod time;
mod usage;

pub use amount::{Amount, AmountError, Credits, DECIMALS, Money, Quantity, SCALE};
pub use identity::{ContentHash, IdentityKey};
pub use ids::{
    CatalogueId, Currency, EntryNumber, LotId, Offset, Partition, RuleId, Sequence, Topic,
    TopicPartition,
};
pub use nearest::{nearest, suggestion};
pub use partition::{murmur2, partition_of};
pub use pools::{ALL_POOLS, Pool, Pools, Side};
pub use rated::{CostStatus, PriceRef, RateLine};
pub use reason::{Fault, Outcome, REASONS, Reason, ReasonRow};
pub use time::{Day, TimeError, Timestamp};
pub use usage::{
    Attributes, HoldAction, Item, Measure, ReportedCost, Status, Text, Traffic, UsageEvent,
};
