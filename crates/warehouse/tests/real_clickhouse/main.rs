//! What only a real ClickHouse can prove.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests for tests")]

mod accounts;
mod crash;
mod journal;
mod reading;
mod rows;
mod schema;
mod server;
mod views;
