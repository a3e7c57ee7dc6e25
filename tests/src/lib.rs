//! End to end: the services as processes of their own, on real servers, killed while a load runs; and
//! what the ledger and ClickHouse then say, against a reckoning that shares no line with tally's own.
//!
//! - [`load`] plans from a seed what producers send; [`price_map`] and [`rate_card`] price it a second
//!   time, with fractions, straight from the vendors' price list and the rate card's text; [`truth`]
//!   says what must come out.
//! - [`service`] is what a child process runs (`e2e-service`), [`supervisor`] starts and kills it.
//! - [`audit`] compares.
//! - [`faults`] break things meanwhile, class by class, and in a build that is broken on purpose.
//! - [`spenders`] are an application's many parallel requests for credits.

pub mod audit;
pub mod catalogue;
pub mod faults;
pub mod input_file;
pub mod ledger_tail;
pub mod load;
pub mod price_map;
pub mod random;
pub mod rate_card;
pub mod received;
pub mod service;
pub mod spenders;
pub mod supervisor;
pub mod tables;
pub mod truth;
pub mod usage_json;
