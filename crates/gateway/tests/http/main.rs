//! The whole API over real HTTP: the embedded log, a charger, a projector and a real ClickHouse.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests for tests")]

mod canary;
mod catalogue;
mod corrections;
mod credits;
mod desk;
mod history;
mod holds;
mod hostile;
mod keys;
mod metered_cost;
mod proofs;
mod reading;
mod refusals;
mod tally;
mod tls;
mod webhooks;
mod writing;
