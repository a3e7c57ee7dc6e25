//! The HTTP API: usage events and commands go to the log, answers come from the ledger's replies,
//! from ClickHouse, and from the ledger itself.
//!
//! - Writing: an event is checked by the decoder that the charger uses, then appended to
//!   `usage.raw` in its account's partition. *Accepted* means durable. Commands are appended to
//!   `ledger.commands`; the charger decides them, and its reply is the answer.
//! - Waiting: one thread follows the ledger and the replies ([`follower`]); one thread appends for
//!   all requests ([`appender`]).
//! - On call: dead letters ([`letters`]), what waits, what is wrong.
//! - Reading: sums and balances come from ClickHouse, each with how fresh it is; `explain` and
//!   `verify` read the ledger itself.
//! - Letting in: every request but a few open ones carries an API key, and each route stands in one
//!   table with who may use it ([`auth`]).
//!
//! **Architecture invariant:** nothing is decided here. A price, a balance or a refusal that
//! matters comes from the same pure code that the charger runs, or from the charger.

mod answer;
mod app;
mod appender;
mod auth;
mod body;
mod command;
mod follower;
mod form;
mod freshness;
mod items;
mod letters;
mod metrics;
pub mod openapi;
mod problem;
mod problem_types;
mod routes;
mod server;
mod settings;
mod strict;
mod tail;
mod tls;

pub use auth::{OperatorKeyError, Reach, RouteRow};
pub use follower::FollowError;
pub use metrics::GatewayMetrics;
pub use problem_types::{PROBLEM_TYPES, ProblemType};
pub use server::{Gateway, GatewayError, route_table, serve};
pub use settings::{BODY_BYTES_MAX, EVENTS_MAX, GatewaySettings, LINES_MAX, PERMISSIONS};
pub use tls::{TlsError, TlsSettings};
