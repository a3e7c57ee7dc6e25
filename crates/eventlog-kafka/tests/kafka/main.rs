//! The Kafka log on a real broker: the suite of promises, and what only a broker can prove.

mod conformance;
mod contract;
mod group;
mod outage;
mod stage;
mod transactions;
