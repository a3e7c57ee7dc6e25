//! The event log on Kafka; the only user of rdkafka.
//!
//! [`KafkaLog`] implements [`eventlog::EventLog`]. Reading and writing go through librdkafka's C
//! interface (folder `native`, where all `unsafe` is), because its batch reader and its producer
//! with cached topic handles cost about 0.6 of the safe interface per record.
//!
//! **A member is three kinds of client.** One has a place in the group and fetches nothing
//! (`membership`); one per lane fetches what it is told to and knows no group (`lane`); one writes
//! transactions (`writer`). They meet in `member`, which one thread owns.
//!
//! **What exactness rests on**, each said where it is done:
//! - a commit names the group generation in which its partitions were given (`membership`);
//! - after anything indefinite the producer is replaced under the same name before the outcome is
//!   told (`writer`);
//! - an offset that is gone is an error, never a reset (`settings`);
//! - a partition's positions pass control records only where the broker said that the end is
//!   (`lane`).
//!
//! Deployments share a cluster by prefix: it comes before topics, groups and transactional names.

mod acl;
mod admin;
mod appender;
pub mod baseline;
mod contract;
mod lane;
mod log;
mod member;
mod membership;
mod names;
mod native;
mod outlet;
mod probe;
mod reader;
mod settings;
mod writer;

pub use acl::{Acl, Resource};
pub use log::KafkaLog;
pub use settings::KafkaSettings;
