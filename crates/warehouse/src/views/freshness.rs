//! How fresh the tables are.

use projection::tables::ColumnType::{Int64, NullableFloat, Time, UInt32, Word};
use projection::tables::{Column, column};

use super::View;

const LEDGER_PARTITION: Column = column("ledger_partition", UInt32, "Partition of ledger.entries.");

pub(super) const FRESHNESS: View = View {
    name: "freshness",
    comment: "How far each table has come, per ledger partition. complete_up_to is the answer to \"until when are my numbers whole?\".",
    columns: &[
        column(
            "table",
            Word,
            "Table that is filled from the ledger; views are as fresh as the tables they read.",
        ),
        LEDGER_PARTITION,
        column(
            "as_of",
            Time,
            "Everything that the ledger recorded in the partition before this time is in the table, UTC.",
        ),
        column(
            "ledger_offset",
            Int64,
            "Offset after the last ledger record of the partition that is in the table.",
        ),
        column(
            "lag_records",
            Int64,
            "Ledger records of the partition that were waiting at the last mark.",
        ),
        column(
            "lag_seconds",
            NullableFloat,
            "Seconds from as_of until now, by the server's clock; grows when the projector stands still.",
        ),
        column(
            "complete_up_to",
            Time,
            "The earliest as_of of the table's partitions: before it, nothing is missing, UTC.",
        ),
        column("marked_at", Time, "When the last mark was written, UTC."),
    ],
    select: "SELECT
    t.table AS table,
    t.ledger_partition AS ledger_partition,
    t.as_of AS as_of,
    t.ledger_offset AS ledger_offset,
    t.lag_records AS lag_records,
    dateDiff('microsecond', t.as_of, now64(6, 'UTC')) / 1000000 AS lag_seconds,
    min(t.as_of) OVER (PARTITION BY t.table) AS complete_up_to,
    t.marked_at AS marked_at
FROM
(
    SELECT
        arrayJoin(if(f.table = '*', [{tables}], [toString(f.table)])) AS table,
        f.ledger_partition AS ledger_partition,
        max(f.as_of) AS as_of,
        max(f.ledger_offset) AS ledger_offset,
        argMax(f.lag_records, f.marked_at) AS lag_records,
        max(f.marked_at) AS marked_at
    FROM freshness_marks AS f
    GROUP BY table, f.ledger_partition
) AS t",
};

pub(super) const FRESHNESS_HISTORY: View = View {
    name: "freshness_history",
    comment: "How far behind the tables were, per minute and ledger partition, for a day and more.",
    columns: &[
        column("minute", Time, "Start of the minute, UTC."),
        LEDGER_PARTITION,
        column("lag_records", Int64, "Most ledger records that were waiting in that minute."),
        column(
            "lag_seconds",
            NullableFloat,
            "Largest distance from as_of to the mark in that minute, in seconds.",
        ),
        column("ledger_offset", Int64, "Offset reached in that minute."),
    ],
    select: "SELECT
    toDateTime64(toStartOfMinute(f.marked_at), 6, 'UTC') AS minute,
    f.ledger_partition AS ledger_partition,
    max(f.lag_records) AS lag_records,
    max(dateDiff('microsecond', f.as_of, f.marked_at)) / 1000000 AS lag_seconds,
    max(f.ledger_offset) AS ledger_offset
FROM freshness_marks AS f
GROUP BY minute, f.ledger_partition",
};
