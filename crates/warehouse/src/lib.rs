//! ClickHouse: the tables and views, migrations, inserts that survive any crash, and read-only
//! queries. The only user of the `clickhouse` crate.
//!
//! - The tables are data in `projection::tables`; the views are data in [`views`]. [`ddl`] renders
//!   both, [`Warehouse::migrate`] makes them, [`Warehouse::check_schema`] compares what is there
//!   with what should be, and [`docs`] prints them for people.
//! - [`Warehouse::insert`] sends one batch of rows as one atomic part with a deduplication token;
//!   [`Warehouse::insert_again`] is for a batch whose first attempt has an unknown outcome.
//! - Tables beside the live ones, and the exchange of both, are in `shadow`; the journal of it and the
//!   lease under which it is done in `journal` and `lease`; [`Warehouse::compare`] compares both.
//! - [`Warehouse::query_json`], [`Warehouse::query_rows`] and [`Warehouse::export`] read.
//!
//! **Architecture invariant:** no rule of the ledger lives here, and no clock: what a row says is
//! decided in `projection`, and when a batch is sent again in the projector.

pub mod ddl;
mod diff;
pub mod docs;
mod error;
mod insert;
mod journal;
mod lease;
mod migrate;
mod native;
mod query;
mod schema_check;
mod settings;
mod shadow;
pub mod views;
mod warehouse;

pub use diff::{Compared, Comparison, Difference, Offsets};
pub use error::{Consequence, ServerError, WarehouseError};
pub use insert::{Batch, INSERT_BYTES_MAX, INSERT_ROWS_MAX, InsertOutcome};
pub use journal::{BatchPlan, JournalStep, NewStep, Pause};
pub use lease::{LEASE_SECONDS, Lease, LeaseHeld};
pub use migrate::{MIGRATIONS, Migration, SCHEMA_VERSION};
pub use query::{ColumnDescription, ExportFormat, JsonRows, QueryLimits, TableDescription};
pub use schema_check::Finding;
pub use settings::{Secret, Settings};
pub use shadow::ShadowTable;
pub use warehouse::{BadSuffix, Warehouse};
