//! What the trait's documentation promises, as checks that every log passes.
//!
//! A check takes a [`Stage`]: one fresh, empty log. It waits only through the `wait` of polls and
//! gives up after [`Capabilities::patience`]. It never assumes that offsets are without gaps where
//! a transaction wrote, since a log may keep control records, nor that a commit is visible at the
//! instant it returns, since a log may complete it in the background. A failure is a panic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a suite of tests, in the library so that other crates' tests can run it"
)]

mod handover;
mod members;
mod positions;
mod records;
mod stage;
mod topics;
mod transactions;

use std::sync::Arc;
use std::time::Duration;

use crate::EventLog;

pub use handover::{a_handover_loses_and_repeats_nothing, members_split_the_partitions};
pub use members::{
    a_paused_partition_stays_quiet, a_start_out_of_range_is_named, a_start_rewinds,
    an_assignment_comes_from_either_lane, nothing_is_delivered_before_start,
    partition_counts_must_agree, the_bulk_lane_reaches_every_partition,
    the_priority_lane_does_not_wait_behind_bulk,
};
pub use positions::{
    a_member_says_when_it_has_caught_up, a_member_without_a_writer_commits_positions,
    committed_positions_round_trip, groups_have_their_own_positions,
    positions_are_none_before_the_first_commit,
};
pub use records::{
    a_reader_begins_where_it_is_told, a_reader_follows_the_tail, a_reader_out_of_range_is_told,
    flush_returns_offsets_in_order, large_records_fit, one_reader_reads_several_partitions,
    records_come_back_as_written,
};
pub use stage::Stage;
pub use topics::{an_existing_topic_keeps_its_partitions, topics_are_created_once};
pub use transactions::{
    a_commit_spans_partitions_and_positions, a_dropped_member_leaves_nothing,
    a_newer_writer_fences_the_older, a_reader_passes_what_was_aborted, a_writer_needs_no_topics,
    an_abort_leaves_nothing, an_open_transaction_is_invisible, commits_keep_their_order,
};

/// What the suite may ask of a log, and how long it may wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// Several members share a group's partitions. Without it, a group has one member.
    pub several_members: bool,
    /// How long a check waits for something that must happen, before it fails.
    pub patience: Duration,
}

/// One promise, checked on one fresh log.
pub type Check = fn(&Stage);

/// Every check by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("topics_are_created_once", topics_are_created_once),
    ("an_existing_topic_keeps_its_partitions", an_existing_topic_keeps_its_partitions),
    ("flush_returns_offsets_in_order", flush_returns_offsets_in_order),
    ("records_come_back_as_written", records_come_back_as_written),
    ("large_records_fit", large_records_fit),
    ("a_reader_begins_where_it_is_told", a_reader_begins_where_it_is_told),
    ("a_reader_out_of_range_is_told", a_reader_out_of_range_is_told),
    ("a_reader_follows_the_tail", a_reader_follows_the_tail),
    ("one_reader_reads_several_partitions", one_reader_reads_several_partitions),
    ("an_open_transaction_is_invisible", an_open_transaction_is_invisible),
    ("a_commit_spans_partitions_and_positions", a_commit_spans_partitions_and_positions),
    ("commits_keep_their_order", commits_keep_their_order),
    ("an_abort_leaves_nothing", an_abort_leaves_nothing),
    ("a_reader_passes_what_was_aborted", a_reader_passes_what_was_aborted),
    ("a_dropped_member_leaves_nothing", a_dropped_member_leaves_nothing),
    ("a_newer_writer_fences_the_older", a_newer_writer_fences_the_older),
    ("a_writer_needs_no_topics", a_writer_needs_no_topics),
    ("positions_are_none_before_the_first_commit", positions_are_none_before_the_first_commit),
    ("committed_positions_round_trip", committed_positions_round_trip),
    ("groups_have_their_own_positions", groups_have_their_own_positions),
    ("a_member_without_a_writer_commits_positions", a_member_without_a_writer_commits_positions),
    ("a_member_says_when_it_has_caught_up", a_member_says_when_it_has_caught_up),
    ("an_assignment_comes_from_either_lane", an_assignment_comes_from_either_lane),
    ("partition_counts_must_agree", partition_counts_must_agree),
    ("nothing_is_delivered_before_start", nothing_is_delivered_before_start),
    ("a_start_rewinds", a_start_rewinds),
    ("a_start_out_of_range_is_named", a_start_out_of_range_is_named),
    ("a_paused_partition_stays_quiet", a_paused_partition_stays_quiet),
    ("the_bulk_lane_reaches_every_partition", the_bulk_lane_reaches_every_partition),
    ("the_priority_lane_does_not_wait_behind_bulk", the_priority_lane_does_not_wait_behind_bulk),
    ("members_split_the_partitions", members_split_the_partitions),
    ("a_handover_loses_and_repeats_nothing", a_handover_loses_and_repeats_nothing),
];

/// Runs every check, each on a log of its own from `factory`, and returns how many there were.
/// Prints each name before it runs, so that a failure or a hang shows where. Checks that need
/// several members pass over a log that has one.
pub fn run_all(
    capabilities: Capabilities,
    factory: &mut dyn FnMut() -> Arc<dyn EventLog>,
) -> usize {
    for (name, check) in CHECKS {
        println!("conformance: {name}");
        check(&Stage { log: factory(), capabilities });
    }
    CHECKS.len()
}
