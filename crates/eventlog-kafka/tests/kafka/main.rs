//! The Kafka log on a real broker: the suite of promises, and what only a broker can prove.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

mod conformance;
mod contract;
mod group;
mod outage;
mod stage;
mod transactions;
