//! entries, postings, lots: decide and apply, invariants. Pure.
