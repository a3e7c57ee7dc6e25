//! Input that did not become a plain debit: unrated usage, quarantine, dead letters.

use super::ColumnType::{Int64, NullableTime, Text, Time, UInt16, UInt32, UInt64, Word};
use super::{Column, Engine, LEDGER_POSITION, Position, Table, column};

const ACCOUNT: Column = column("account", Text, "Account of the event.");
const SOURCE: Column = column("source", Word, "Producer of the event (CloudEvents source).");
const EVENT_ID: Column =
    column("event_id", Text, "The event's id; account, source and event_id identify an event.");
const CAUSE_TOPIC: Column = column("cause_topic", Word, "Input topic that the record came from.");
const CAUSE_PARTITION: Column =
    column("cause_partition", UInt32, "Partition of the record in its input topic.");
const CAUSE_OFFSET: Column =
    column("cause_offset", Int64, "Offset of the record in its input partition.");
const LEDGER_PARTITION: Column =
    column("ledger_partition", UInt32, "Partition of ledger.entries that holds the entry.");
const LEDGER_OFFSET: Column =
    column("ledger_offset", Int64, "Offset of the entry in its ledger partition.");

/// Unrated usage: a row when an event is kept, a row when it is charged.
pub const UNRATED_STEPS: Table = Table {
    name: "unrated_steps",
    comment: "One row when an event is kept because no price covers it, another when it is charged or dropped. Read the view unrated_usage for what is still unrated.",
    engine: Engine::Facts,
    order_by: &["account", "source", "event_id", "sequence"],
    primary_key_columns: 3,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        SOURCE,
        EVENT_ID,
        column(
            "sequence",
            UInt64,
            "Number of the account's entry that made the step; the largest is current.",
        ),
        column(
            "state",
            Word,
            "State after the step: unrated, charged or dropped. Rows that are not unrated may leave the event's columns empty.",
        ),
        column(
            "reason",
            Word,
            "Reason code: what is missing (no_rule, no_vendor_price and so on).",
        ),
        column(
            "item",
            UInt16,
            "The first item that could not be priced: its place in the event, from 0.",
        ),
        column(
            "event_time",
            NullableTime,
            "When the usage happened, UTC; NULL on rows that only close.",
        ),
        column("user", Text, "User within the account; empty when the event names none."),
        column("team", Word, "Team within the account; empty when the event names none."),
        column("feature", Word, "Product feature of the event."),
        column("traffic", Word, "Traffic class: customer, internal, test, demo or evaluation."),
        column("provider", Word, "Vendor of that item's model; empty for none."),
        column("model", Word, "That item's model; empty for none."),
        column("meter", Word, "That item's meter; empty for token items."),
        column("recorded_at", Time, "Ledger time of the step, UTC."),
        column("entry_id", Text, "Ledger entry that made the step: partition-number, as 3-8812."),
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// Records that could not be processed, with their bytes.
pub const DEAD_LETTERS: Table = Table {
    name: "dead_letters",
    comment: "Records that could not be processed, with their bytes and the reason; kept 30 days. One row per record. Key: letter_partition, letter_offset.",
    engine: Engine::Facts,
    order_by: &["recorded_at", "letter_partition", "letter_offset"],
    primary_key_columns: 1,
    position: Some(Position { partition: "letter_partition", offset: "letter_offset" }),
    ttl: "toDateTime(recorded_at) + INTERVAL 30 DAY",
    columns: &[
        column("recorded_at", Time, "Ledger time when the record was put aside, UTC."),
        column(
            "received_at",
            NullableTime,
            "When the record arrived in its input (log append time), UTC; NULL when not known.",
        ),
        column("reason", Word, "Reason code (see the table of reason codes)."),
        column(
            "field",
            Text,
            "Path of the offending field; empty when the fault is in the whole record.",
        ),
        column("value", Text, "The offending value as it was sent, shortened to 64 characters."),
        column("account", Text, "Account, where it could be read; empty otherwise."),
        column("source", Text, "Producer, where it could be read; empty otherwise."),
        column("event_id", Text, "Id of the event, where it could be read; empty otherwise."),
        CAUSE_TOPIC,
        CAUSE_PARTITION,
        CAUSE_OFFSET,
        column("key", Text, "Key of the record, bytes as they came."),
        column("bytes", Text, "Value of the record, bytes as they came."),
        column("byte_count", UInt64, "Length of bytes."),
        column(
            "letter_partition",
            UInt32,
            "Partition of usage.dead-letters that holds the letter.",
        ),
        column("letter_offset", Int64, "Offset of the letter in its partition."),
    ],
};

/// What was sent again of the dead letters.
pub const DEAD_LETTER_RETRIES: Table = Table {
    name: "dead_letter_retries",
    comment: "One row each time a dead letter's bytes were sent to usage.raw again; what became of them stands in ledger_entries under that input, or among its seal's exceptions. Kept as long as the letters.",
    engine: Engine::Facts,
    order_by: &["letter_partition", "letter_offset", "retry_offset"],
    primary_key_columns: 2,
    position: Some(Position { partition: "letter_partition", offset: "retry_offset" }),
    ttl: "toDateTime(retried_at) + INTERVAL 30 DAY",
    columns: &[
        column(
            "letter_partition",
            UInt32,
            "Partition of usage.dead-letters that holds the letter, and the record of its retry.",
        ),
        column("letter_offset", Int64, "Offset of the letter in that partition."),
        column("retry_offset", Int64, "Offset of the record that says so, in that partition."),
        column("raw_partition", UInt32, "Partition of usage.raw that the bytes were sent to."),
        column("raw_offset", Int64, "Offset of the bytes in that partition."),
        column("actor", Text, "Who had them sent."),
        column("retried_at", Time, "When they were sent, UTC."),
    ],
};

/// Suspicious events: a row when one is put aside, a row when a person decides.
pub const QUARANTINE_STEPS: Table = Table {
    name: "quarantine_steps",
    comment: "One row when a suspicious event is put aside, another when a person accepts or rejects it. Read the view quarantine for its current state.",
    engine: Engine::Facts,
    order_by: &["cause_topic", "cause_partition", "cause_offset", "step"],
    primary_key_columns: 3,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        CAUSE_TOPIC,
        CAUSE_PARTITION,
        CAUSE_OFFSET,
        column(
            "step",
            UInt32,
            "0 when it was put aside, then one more for each decision; the largest is current.",
        ),
        column(
            "state",
            Word,
            "State after the step: held, accepted or rejected. Rows that are not held may leave the event's columns empty.",
        ),
        column("reason", Word, "Reason code: identity_conflict, too_early or too_late."),
        column("field", Text, "Path of the offending field."),
        column("value", Text, "The offending value as it was sent, shortened to 64 characters."),
        ACCOUNT,
        SOURCE,
        EVENT_ID,
        column(
            "event_time",
            NullableTime,
            "When the usage happened, as the event says, UTC; NULL on rows that only decide.",
        ),
        column(
            "conflicts_with",
            Text,
            "entry_id of the entry with the same identity and another meaning; empty for other reasons.",
        ),
        column("bytes", Text, "Value of the record, bytes as they came."),
        column("actor", Text, "Who decided; empty while it is held."),
        column("note", Text, "Reason that the person gave; empty while it is held."),
        column("recorded_at", Time, "Ledger time of the step, UTC."),
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};
