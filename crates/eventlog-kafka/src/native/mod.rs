//! The few parts of librdkafka's C interface that tally uses, each wrapped in a type that owns what
//! it must free. All `unsafe` of the crate is in this folder.
//!
//! **Architecture invariant:** nothing here knows a topic of tally, a transaction's rules or a
//! retry; it turns pointers into types and return codes into [`Failure`]s.

mod admin;
mod client;
mod cpu;
mod event;
mod failure;
mod fetch;
mod log_lines;
mod partition_list;
mod producer;

pub(crate) use admin::{NativeAcl, Operation, ResourceKind};
pub(crate) use client::{Client, Role};
pub(crate) use cpu::process_cpu;
pub(crate) use event::{Event, Queue};
pub(crate) use failure::Failure;
pub(crate) use fetch::{Batch, Delivered, Source, SourceId};
pub(crate) use log_lines::write_log_line;
pub(crate) use partition_list::PartitionList;
pub(crate) use producer::{GroupMetadata, NativeProducer, NativeRecord, Reports};

use std::time::Duration;

/// Milliseconds for C; at least one when there is any wait at all.
fn milliseconds(wait: Duration) -> i32 {
    let rounded_up = wait.as_nanos().div_ceil(1_000_000);
    i32::try_from(rounded_up).unwrap_or(i32::MAX)
}
