//! Who has how many credits: balances, lots, holds.

use super::ColumnType::{
    Amount, Bool, Int64, NullableTime, Text, Time, UInt16, UInt32, UInt64, Word,
};
use super::{Column, Engine, LEDGER_POSITION, Table, column};

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");
const ENTRY_ID: Column =
    column("entry_id", Text, "Ledger entry that the row comes from: partition-number, as 3-8812.");
const LEDGER_PARTITION: Column =
    column("ledger_partition", UInt32, "Partition of ledger.entries that holds the entry.");
const LEDGER_OFFSET: Column =
    column("ledger_offset", Int64, "Offset of the entry in its ledger partition.");
const LOT: Column =
    column("lot", UInt64, "Lot within the account: the sequence of the entry that granted it.");
const CATEGORY: Column =
    column("category", Word, "Category of the lot: included, promotional or purchased.");

/// The balance after each account's last entry of a batch.
pub const ACCOUNT_BALANCES: Table = Table {
    name: "account_balances",
    comment: "An account's balance after its last entry of a batch; several rows per account are normal. Read the view balances.",
    engine: Engine::Latest { version: "sequence" },
    order_by: &["account"],
    primary_key_columns: 1,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        column(
            "sequence",
            UInt64,
            "Number of the account's entry that the balance follows; the largest is current.",
        ),
        column("as_of", Time, "Ledger time of that entry, UTC."),
        column("plan", Word, "Plan that the account has; empty for none."),
        column(
            "settled",
            Amount,
            "Credits in the lots minus outstanding overage; negative when overage is larger.",
        ),
        column("held", Amount, "Credits reserved by open holds; not negative."),
        column(
            "in_grace",
            Amount,
            "Credits in lots past their expiry and within grace; only late usage draws them.",
        ),
        column("available", Amount, "Credits that can be spent now: settled - in_grace - held."),
        column(
            "overage",
            Amount,
            "Outstanding overage or overdraft, as a positive amount; the next grant repays it.",
        ),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// What was granted: the facts of a lot, which never change.
pub const LOT_GRANTS: Table = Table {
    name: "lot_grants",
    comment: "One row per lot as it was granted; nothing in it changes. Read the view lots for what remains.",
    engine: Engine::Facts,
    order_by: &["account", "lot"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        LOT,
        CATEGORY,
        column("priority", UInt32, "Draw-down priority: smaller is drawn first, 50 by default."),
        column("granted", Amount, "Credits granted; positive."),
        column("effective_at", Time, "From when the credits can be drawn, UTC."),
        column(
            "expires_at",
            NullableTime,
            "When the credits expire, UTC (grace follows); NULL for never.",
        ),
        column(
            "paid",
            Amount,
            "Total paid for the lot, in currency; 0 for credits that were given.",
        ),
        column("currency", Word, "Currency of paid (ISO 4217)."),
        column("reason", Text, "Reason of the grant; empty for none."),
        column("actor", Text, "Who granted it; empty for a plan's own grants."),
        column("command_id", Text, "Idempotency id of the grant; empty for a plan's own grants."),
        column("granted_at", Time, "Ledger time of the grant, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// Every change of a lot.
pub const LOT_MOVEMENTS: Table = Table {
    name: "lot_movements",
    comment: "Every change of every lot, signed: what remains of a lot is the sum of its movements. Key: ledger_partition, ledger_offset, movement.",
    engine: Engine::Facts,
    order_by: &["account", "lot", "ledger_offset", "movement"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        LOT,
        CATEGORY,
        column("movement", UInt16, "The movement's place in its ledger entry, from 0."),
        column(
            "kind",
            Word,
            "What happened: granted, drawn, expired, voided, or returned (by a correction).",
        ),
        column(
            "credits",
            Amount,
            "Change of the lot's remaining credits: positive for granted and returned, negative for drawn, expired and voided.",
        ),
        column(
            "revenue",
            Amount,
            "Revenue recognised by the movement, in currency: positive for drawn and expired, negative for returned.",
        ),
        column(
            "dated_at",
            Time,
            "The time that the movement counts for, UTC: the expiry for expired credits (breakage), otherwise recorded_at.",
        ),
        column("recorded_at", Time, "Ledger time of the entry, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// Every step of a hold's life.
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
        column("hold", Text, "Hold within the account."),
        column(
            "sequence",
            UInt64,
            "Number of the account's entry that made the step; the largest is current.",
        ),
        column("state", Word, "State after the step: open, settled, released or expired."),
        column(
            "amount",
            Amount,
            "Credits reserved when the hold was opened, or after its last change.",
        ),
        column("captured", Amount, "Credits charged through the hold so far."),
        column("held", Amount, "Credits still reserved after the step; 0 once the hold is closed."),
        column("exceeded", Bool, "True when more was charged than was reserved."),
        column("opened_at", Time, "Ledger time of the reserve, UTC."),
        column("expires_at", Time, "When the hold expires unless it is extended, UTC."),
        column("user", Text, "User that the hold is for; empty for none."),
        column("team", Word, "Team that the hold is for; empty for none."),
        column("feature", Word, "Feature that the hold is for; empty for none."),
        column("recorded_at", Time, "Ledger time of the step, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};
