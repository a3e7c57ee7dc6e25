//! Lives of accounts: everything that can happen to one, at random and by example. Whatever is
//! decided, the invariants hold after every entry, and plain counts of the tests' own agree.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

mod asks;
mod control_examples;
mod correction_examples;
mod everything;
mod hold_examples;
mod holds;
mod lot_examples;
mod plan_examples;
mod plans;
mod reversal_examples;
mod step;
mod world;

/// So many cases. What fails is printed whole, and shrunk; no file of seeds is kept.
fn cases(cases: u32) -> proptest::test_runner::Config {
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}
