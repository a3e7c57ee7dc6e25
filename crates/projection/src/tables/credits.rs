//! Who has how many credits: balances and lots.

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
            "Outstanding overage or overdraft, as a positive amount; a grant or a renewal repays it, as the plan says.",
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
            "Total paid for the lot, in currency; for a rolled-over lot what moved with its credits; 0 for credits that were given.",
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
            "What happened: granted, drawn, expired, voided, returned (by a reversal, or by a hold that had captured too much), refunded, rolled_out (into another lot, by rollover) or rolled_in.",
        ),
        column(
            "credits",
            Amount,
            "Change of the lot's remaining credits: positive for granted, returned and rolled_in, negative for the others.",
        ),
        column(
            "revenue",
            Amount,
            "Revenue recognised by the movement, in currency: positive for drawn, expired, voided and refunded, negative for returned, 0 for the others.",
        ),
        column(
            "paid",
            Amount,
            "Money that leaves the lot without being earned, in currency: negative for rolled_out (it moves to the other lot) and refunded (it goes back), otherwise 0.",
        ),
        column(
            "dated_at",
            Time,
            "The time that the movement counts for, UTC: the expiry for expired credits (breakage), the period's start for what a plan grants or rolls over, otherwise recorded_at. See at_expiry.",
        ),
        column(
            "at_expiry",
            Bool,
            "True when the movement counts for the lot's expiry (lot_grants.expires_at) in place of dated_at: credits that a hold or a reversal gave back after it, and what is forfeited of them.",
        ),
        column("recorded_at", Time, "Ledger time of the entry, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};
