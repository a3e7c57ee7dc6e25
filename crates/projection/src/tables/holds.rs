//! Holds: every step of their lives, and those that were refused.

use super::ColumnType::{Amount, Int64, NullableTime, Text, Time, UInt32, UInt64, Word};
use super::{Column, Engine, LEDGER_POSITION, Table, column};

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");
const USER: Column = column("user", Text, "User that the hold is for; empty for none.");
const TEAM: Column = column("team", Word, "Team that the hold is for; empty for none.");
const FEATURE: Column = column("feature", Word, "Feature that the hold is for; empty for none.");
const ENTRY_ID: Column =
    column("entry_id", Text, "Ledger entry that the row comes from: partition-number, as 3-8812.");
const LEDGER_PARTITION: Column =
    column("ledger_partition", UInt32, "Partition of ledger.entries that holds the entry.");
const LEDGER_OFFSET: Column =
    column("ledger_offset", Int64, "Offset of the entry in its ledger partition.");

/// Every step of a hold's life. Its scope and who reserved it stand on the first step alone.
pub const HOLD_STEPS: Table = Table {
    name: "hold_steps",
    comment: "A hold after each entry that changed it. Read the view holds for its current state.",
    engine: Engine::Facts,
    order_by: &["account", "hold", "sequence"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        column(
            "hold",
            Text,
            "Hold, named as events name it: hold_3-8812 was reserved by entry 3-8812.",
        ),
        column(
            "sequence",
            UInt64,
            "Number of the account's entry that made the step; the largest is current.",
        ),
        column(
            "step",
            Word,
            "What happened: reserved, captured (by a call), extended, charged (by a usage event), settled, released or expired.",
        ),
        column(
            "state",
            Word,
            "State that the step leads to: open, settled, released or expired. The first that is not open is the hold's end; an event that comes later changes amounts, not how it ended.",
        ),
        column("asked", Amount, "Credits that were asked for; 0 on steps after the first."),
        column("amount", Amount, "Credits reserved; less than asked when the hold was shrunk."),
        column(
            "captured",
            Amount,
            "Credits charged on the hold so far: by its events, or captured ahead of them.",
        ),
        column("held", Amount, "Credits still reserved after the step; 0 once the hold has ended."),
        column(
            "above",
            Amount,
            "Credits that the step charged above what was reserved; positive or 0. Adds up.",
        ),
        column(
            "advanced",
            Amount,
            "Change of the credits captured ahead of the events that they are for: positive for a capture or a settlement by call, negative when an event uses them or they go back. Adds up to what is outstanding.",
        ),
        column("freed", Amount, "Credits that were reserved and not drawn, given up by the step."),
        column("expires_at", Time, "When the hold expires unless it is extended, UTC."),
        USER,
        TEAM,
        FEATURE,
        column(
            "traffic",
            Word,
            "Traffic class that the hold is for; empty on steps after the first.",
        ),
        column("actor", Text, "Who made the step by a call; empty for a usage event or an expiry."),
        column("reason", Text, "Reason that came with the call; empty for none."),
        column("source", Word, "Producer of the usage event that made the step; empty for none."),
        column("event_id", Text, "Id of that usage event, or of the command; empty for an expiry."),
        column("recorded_at", Time, "Ledger time of the step, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// Holds that were not granted.
pub const HOLD_REFUSALS: Table = Table {
    name: "hold_refusals",
    comment: "One row per hold that was refused: what was asked, which limit stood in the way, and how much was missing.",
    engine: Engine::Facts,
    order_by: &["account", "sequence"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        column("sequence", UInt64, "Number of the account's entry that says so."),
        column("asked", Amount, "Credits that were asked for."),
        column("limit", Text, "What stood in the way: balance, or budget:<id>."),
        column("shortfall", Amount, "Credits that were missing under the limit; positive."),
        column("available", Amount, "Credits that there were under the limit; may be negative."),
        column(
            "resets_at",
            NullableTime,
            "When the limit opens by itself (the renewal, the budget's next window), UTC; NULL for never.",
        ),
        USER,
        TEAM,
        FEATURE,
        column("traffic", Word, "Traffic class that the hold was for."),
        column("actor", Text, "Who asked for the hold."),
        column("reason", Text, "Reason that came with the call; empty for none."),
        column("command_id", Text, "Idempotency id of the call."),
        column("recorded_at", Time, "Ledger time of the refusal, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};
