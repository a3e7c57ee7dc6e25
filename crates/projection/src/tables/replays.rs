//! The journal of rebuilds: what was planned, how far it came, who is working on it, and which
//! tables stand where.

use super::ColumnType::{Int64, Text, Time, UInt32, UInt64, Word};
use super::{Engine, Table, column};

/// One row per step of a rebuild of the tables beside the live ones.
pub const REPLAY_STEPS: Table = Table {
    name: "replay_steps",
    comment: "The journal of rebuilds (tally replay): one row per step, and nothing in it changes. Who rebuilds, and the projector, find here what was done and what is to be done. Not derived from the ledger.",
    engine: Engine::Facts,
    order_by: &["replay", "step", "epoch", "number"],
    primary_key_columns: 2,
    position: None,
    ttl: "",
    columns: &[
        column("replay", Text, "Rebuild, named by the hash of its plan; empty for a lease."),
        column(
            "step",
            Word,
            "What happened: plan, created, planned (a batch), reached, diffed, pause, paused, resume, exchange, exchanged, swapped, undone, dropped; or lease (who may work on rebuilds).",
        ),
        column(
            "epoch",
            UInt64,
            "Number of the lease under which it was written; the tables beside carry it in their names.",
        ),
        column("number", UInt64, "Number of the step within its rebuild; 0 where none is given."),
        column(
            "ledger_partition",
            UInt32,
            "Partition of ledger.entries; 0 where it is about none.",
        ),
        column("from_offset", Int64, "First offset of a planned batch; otherwise 0."),
        column(
            "to_offset",
            Int64,
            "Offset after the last of a planned batch, or up to which a partition is complete; otherwise 0.",
        ),
        column("at", Time, "When it was written, UTC, by the server's clock."),
        column("who", Text, "Who asked for it, or the process that did it."),
        column("detail", Text, "The plan, or what the step found or did, as TOML or JSON."),
    ],
};
