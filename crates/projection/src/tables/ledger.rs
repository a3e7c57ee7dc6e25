//! The ledger's own log: entries, seals, and how far each reader has come.

use super::ColumnType::{Amount, Int64, NullableTime, Text, Time, UInt32, UInt64, Word};
use super::{Column, Engine, LEDGER_POSITION, Table, column};

const LEDGER_PARTITION: Column =
    column("ledger_partition", UInt32, "Partition of ledger.entries that holds the entry.");
const LEDGER_OFFSET: Column =
    column("ledger_offset", Int64, "Offset of the entry in its ledger partition.");

/// One row per ledger entry.
pub const LEDGER_ENTRIES: Table = Table {
    name: "ledger_entries",
    comment: "One row per ledger entry, in the order of the account's life: account, sequence. Inserted last of a batch, so its largest offset says what is complete.",
    engine: Engine::Facts,
    order_by: &["account", "sequence"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        column(
            "account",
            Text,
            "Account that the entry belongs to; empty for entries of a whole partition.",
        ),
        column(
            "sequence",
            UInt64,
            "The entry's number within its account, from 1, without gaps; 0 for entries of a whole partition.",
        ),
        column("entry_id", Text, "The entry's name: partition-number, as 3-8812."),
        column(
            "kind",
            Word,
            "What the entry is: debit, unrated, grant, lot_expired, hold_reserved, plan_renewed, reversed and so on.",
        ),
        column("recorded_at", Time, "Ledger time of the entry, UTC."),
        column(
            "event_time",
            NullableTime,
            "When the usage happened, UTC; NULL for entries that no usage event caused.",
        ),
        column("cause_kind", Word, "What caused the entry: input, timer, catalogue or operator."),
        column("cause_topic", Word, "Input topic of the cause; empty when it is no input."),
        column(
            "cause_partition",
            UInt32,
            "Partition of the cause in its topic; 0 when it is no input.",
        ),
        column(
            "cause_offset",
            Int64,
            "Offset of the cause in its partition; -1 when it is no input.",
        ),
        column("source", Word, "Producer of the usage event; empty when there is none."),
        column(
            "event_id",
            Text,
            "Id of the usage event, or of the command; empty when there is none. A reversal has those of the event that it takes back.",
        ),
        column(
            "content_hash",
            Text,
            "Hash of the event's meaning, 16 hexadecimal digits; empty when there is no event.",
        ),
        column("hold", Text, "Hold that the entry opens, changes or names; empty for none."),
        column("corrects", Text, "entry_id of the entry that this one corrects; empty for none."),
        column(
            "credits",
            Amount,
            "Change of the account's settled credits: positive adds, negative takes. Summed over an account's entries it is settled_after of the last.",
        ),
        column(
            "residual",
            Amount,
            "Credits that rounding left: exact charge minus charged. Signed.",
        ),
        column(
            "settled_after",
            Amount,
            "Settled credits after the entry: what remains in the lots minus outstanding overage.",
        ),
        column("held_after", Amount, "Credits held after the entry."),
        column(
            "in_grace_after",
            Amount,
            "Credits in lots that are past their expiry and within grace, after the entry.",
        ),
        column(
            "available_after",
            Amount,
            "Credits that can be spent after the entry: settled - in grace - held.",
        ),
        column(
            "overage_after",
            Amount,
            "Outstanding overage after the entry, as a positive amount.",
        ),
        column(
            "catalogue_offset",
            Int64,
            "Offset of rates.catalog that was in use; -1 when none was.",
        ),
        column("reason", Text, "Reason that a person gave, or a reason code; empty for none."),
        column("actor", Text, "Who did it, for changes by hand; empty for none."),
        column(
            "postings",
            Text,
            "The double entry as JSON: [{\"account\", \"unit\", \"amount\"}], amounts signed, positive into the account. Sums to zero per unit.",
        ),
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// One row per seal.
pub const SEALS: Table = Table {
    name: "seals",
    comment: "One row per seal: what one transaction consumed from each input (half-open offset ranges), how each input ended, and the hash chained over the entries' bytes.",
    engine: Engine::Facts,
    order_by: &["ledger_partition", "ledger_offset"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        column("ledger_partition", UInt32, "Partition of ledger.entries that the seal closes."),
        column("ledger_offset", Int64, "Offset of the seal in its ledger partition."),
        column("recorded_at", Time, "Ledger time of the seal, UTC."),
        column("catalogue_offset", Int64, "Offset of rates.catalog in use; -1 when none was."),
        column("entries", UInt64, "Entries since the seal before."),
        column("usage_raw_from", Int64, "First offset of usage.raw that the transaction consumed."),
        column(
            "usage_raw_to",
            Int64,
            "Offset of usage.raw after the last consumed; equal to usage_raw_from when none was.",
        ),
        column(
            "usage_forwarded_from",
            Int64,
            "First offset of usage.forwarded that the transaction consumed.",
        ),
        column("usage_forwarded_to", Int64, "Offset of usage.forwarded after the last consumed."),
        column(
            "ledger_commands_from",
            Int64,
            "First offset of ledger.commands that the transaction consumed.",
        ),
        column("ledger_commands_to", Int64, "Offset of ledger.commands after the last consumed."),
        column("debits", UInt64, "Inputs that ended as a debit."),
        column("unrated", UInt64, "Inputs that ended as unrated usage."),
        column("duplicates", UInt64, "Inputs that repeated an event with the same meaning."),
        column("quarantined", UInt64, "Inputs that ended in quarantine."),
        column("dead_letters", UInt64, "Inputs that ended as a dead letter."),
        column("forwarded", UInt64, "Inputs that were forwarded to their account's partition."),
        column("applied", UInt64, "Commands that were applied."),
        column("refused", UInt64, "Commands that were refused."),
        column("repeated", UInt64, "Commands that repeated one already decided."),
        column("empty", UInt64, "Offsets that hold no record (control records)."),
        column("gaps", UInt64, "Offsets whose record was lost upstream, as a person acknowledged."),
        column("credits", Amount, "Sum of the entries' changes of settled credits. Signed."),
        column(
            "exceptions",
            Text,
            "Offsets of duplicates (with the entry they repeat), quarantined, forwarded and dead letters, as JSON.",
        ),
        column(
            "chain_hash",
            Text,
            "Hash chained over the entries' bytes since the seal before, in hexadecimal.",
        ),
    ],
};

/// How far the tables have come; a day and more of history.
pub const FRESHNESS_MARKS: Table = Table {
    name: "freshness_marks",
    comment: "Progress marks of the projector, one per batch and ledger partition, kept two days (then the newest of each key). Read the view freshness.",
    engine: Engine::Facts,
    order_by: &["table", "ledger_partition", "marked_at"],
    primary_key_columns: 3,
    position: None,
    ttl: "toDateTime(marked_at) + INTERVAL 2 DAY GROUP BY table, ledger_partition SET marked_at = max(marked_at), ledger_offset = max(ledger_offset), as_of = max(as_of), lag_records = argMax(lag_records, marked_at)",
    columns: &[
        column(
            "table",
            Word,
            "Table that the mark is about, or * for all tables of the projector.",
        ),
        column("ledger_partition", UInt32, "Partition of ledger.entries that the mark is about."),
        column("marked_at", Time, "When the mark was written, UTC."),
        column("ledger_offset", Int64, "Offset after the last ledger record that is in the table."),
        column(
            "as_of",
            Time,
            "Everything that the ledger recorded before this time is in the table, UTC.",
        ),
        column("lag_records", Int64, "Ledger records that were waiting when the mark was written."),
    ],
};

/// How far the charger has come in its inputs; a day and more of history.
pub const INPUT_MARKS: Table = Table {
    name: "input_marks",
    comment: "Progress marks of the charger in its inputs, one per batch, topic and partition, kept two days (then the newest of each key).",
    engine: Engine::Facts,
    order_by: &["topic", "input_partition", "marked_at"],
    primary_key_columns: 3,
    position: None,
    ttl: "toDateTime(marked_at) + INTERVAL 2 DAY GROUP BY topic, input_partition SET marked_at = max(marked_at), consumed_to = max(consumed_to), as_of = max(as_of), lag_records = argMax(lag_records, marked_at)",
    columns: &[
        column("topic", Word, "Input topic: usage.raw, usage.forwarded or ledger.commands."),
        column("input_partition", UInt32, "Partition of the input topic."),
        column("marked_at", Time, "When the mark was written, UTC."),
        column(
            "consumed_to",
            Int64,
            "Offset after the last input that a seal in the ledger covers.",
        ),
        column(
            "as_of",
            Time,
            "Everything that arrived in the input before this time is in the ledger, UTC.",
        ),
        column("lag_records", Int64, "Input records that were waiting when the mark was written."),
    ],
};
