//! The deterministic simulator: the real charger over the in-memory log, driven by one seed.
//!
//! A seed decides everything that happens: what producers send (duplicates, conflicts, misrouted
//! and broken records among it), when a charger polls, crashes, is expelled or joins again, how each
//! commit ends, when time passes and when prices are published. At the end the faults stop, the
//! backlog is drained, and what the ledger says is compared with what was sent.

mod credits;
mod faults;
mod random;
mod truth;
mod world;

pub use random::Random;
pub use world::{Summary, run};
