//! What only a real ClickHouse can prove.

mod crash;
mod proxy;
mod reading;
mod rows;
mod schema;
mod server;
mod views;
