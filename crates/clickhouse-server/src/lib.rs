//! A ClickHouse server as a child process, from the `clickhouse` program or from libchdb.
//!
//! libchdb is the ClickHouse engine as a shared library. Told to start its listeners, it serves the same HTTP and native
//! protocols as the program. It runs in a process of its own, never in ours: it takes over signal handlers, cannot be
//! unloaded, and may be killed with `kill -9` like any server.
//!
//! - [`Server`] is the handle on a running child: ready, stopped, killed, started again on the same folder and ports.
//! - [`serve`] turns the calling process into the server; a launcher's `main` ends in it. This package's own launcher is
//!   `clickhouse-serve`; the tally program has a hidden command that does the same.
//!
//! The server has no password, and its `file` function reads whatever this user may read. It listens on the loopback address
//! alone: whoever has an account on the machine is trusted.
//!
//! Make a database of your own. From the library, `default` is an overlay over the files of the server's folder, in which
//! an unknown table is looked for as a file and `EXCHANGE TABLES` is refused.

mod library;
mod server;
mod settings;

pub use library::{ServeError, serve};
pub use server::{Launcher, Server, ServerError};
pub use settings::Settings;
