//! Server processes that end with the process that started them, on ports that stay theirs.
//!
//! Tests and the all-in-one binary start real servers. Two things go wrong with those: a server outlives a parent that was
//! killed, and a server that is restarted finds its port taken. This crate holds the answers to both, and nothing about
//! any particular server.

mod ports;
mod process;
mod spawner;
mod wait;

pub use ports::free_port;
pub use process::{Launch, Subprocess, SubprocessError};
pub use wait::{TimedOut, wait_until};
