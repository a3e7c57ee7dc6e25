//! What is still unrated, and what is in quarantine.

use projection::tables::ColumnType::{Int64, NullableTime, Text, Time, UInt16, UInt32, Word};
use projection::tables::column;

use super::View;

pub(super) const UNRATED_USAGE: View = View {
    name: "unrated_usage",
    comment: "Usage that no price covers yet: one row per event; it leaves once a covering price is published and the event is charged.",
    columns: &[
        column("account", Text, "Account of the event."),
        column("source", Word, "Producer of the event (CloudEvents source)."),
        column("event_id", Text, "The event's id; account, source and event_id identify an event."),
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
        column("event_time", NullableTime, "When the usage happened, UTC."),
        column("user", Text, "User within the account; empty when the event names none."),
        column("team", Word, "Team within the account; empty when the event names none."),
        column("feature", Word, "Product feature of the event."),
        column("traffic", Word, "Traffic class: customer, internal, test, demo or evaluation."),
        column("provider", Word, "Vendor of that item's model; empty for none."),
        column("model", Word, "That item's model; empty for none."),
        column("meter", Word, "That item's meter; empty for token items."),
        column("recorded_at", Time, "Ledger time when it was kept, UTC."),
        column("entry_id", Text, "Ledger entry that keeps it: partition-number, as 3-8812."),
    ],
    select: "SELECT
    s.account AS account,
    s.source AS source,
    s.event_id AS event_id,
    argMax(s.reason, s.sequence) AS reason,
    argMax(s.item, s.sequence) AS item,
    tupleElement(argMax(tuple(s.event_time), s.sequence), 1) AS event_time,
    argMax(s.user, s.sequence) AS user,
    argMax(s.team, s.sequence) AS team,
    argMax(s.feature, s.sequence) AS feature,
    argMax(s.traffic, s.sequence) AS traffic,
    argMax(s.provider, s.sequence) AS provider,
    argMax(s.model, s.sequence) AS model,
    argMax(s.meter, s.sequence) AS meter,
    argMax(s.recorded_at, s.sequence) AS recorded_at,
    argMax(s.entry_id, s.sequence) AS entry_id
FROM unrated_steps AS s
GROUP BY s.account, s.source, s.event_id
HAVING argMax(s.state, s.sequence) = 'unrated'",
};

pub(super) const QUARANTINE: View = View {
    name: "quarantine",
    comment: "Suspicious events, neither charged nor dropped, with what was decided: one row per record.",
    columns: &[
        column("cause_topic", Word, "Input topic that the record came from."),
        column("cause_partition", UInt32, "Partition of the record in its input topic."),
        column("cause_offset", Int64, "Offset of the record in its input partition."),
        column("state", Word, "held, accepted or rejected."),
        column("reason", Word, "Reason code: identity_conflict, too_early or too_late."),
        column("field", Text, "Path of the offending field."),
        column("value", Text, "The offending value as it was sent, shortened to 64 characters."),
        column("account", Text, "Account of the event."),
        column("source", Word, "Producer of the event (CloudEvents source)."),
        column("event_id", Text, "The event's id."),
        column("event_time", NullableTime, "When the usage happened, as the event says, UTC."),
        column(
            "conflicts_with",
            Text,
            "entry_id of the entry with the same identity and another meaning; empty for other reasons.",
        ),
        column("bytes", Text, "Value of the record, bytes as they came."),
        column("recorded_at", Time, "Ledger time when it was put aside, UTC."),
        column(
            "decided_at",
            NullableTime,
            "Ledger time of the decision, UTC; NULL while it is held.",
        ),
        column("actor", Text, "Who decided; empty while it is held."),
        column("note", Text, "Reason that the person gave; empty while it is held."),
    ],
    select: "SELECT
    s.cause_topic AS cause_topic,
    s.cause_partition AS cause_partition,
    s.cause_offset AS cause_offset,
    argMax(s.state, s.step) AS state,
    argMin(s.reason, s.step) AS reason,
    argMin(s.field, s.step) AS field,
    argMin(s.value, s.step) AS value,
    argMin(s.account, s.step) AS account,
    argMin(s.source, s.step) AS source,
    argMin(s.event_id, s.step) AS event_id,
    tupleElement(argMin(tuple(s.event_time), s.step), 1) AS event_time,
    argMin(s.conflicts_with, s.step) AS conflicts_with,
    argMin(s.bytes, s.step) AS bytes,
    argMin(s.recorded_at, s.step) AS recorded_at,
    if(argMax(s.state, s.step) = 'held', NULL, argMax(s.recorded_at, s.step)) AS decided_at,
    argMax(s.actor, s.step) AS actor,
    argMax(s.note, s.step) AS note
FROM quarantine_steps AS s
GROUP BY s.cause_topic, s.cause_partition, s.cause_offset",
};
