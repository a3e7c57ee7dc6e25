//! What was used: one row per rate line, and the sums of those rows by hour, day and user.

use domain::Pool;

use super::ColumnType::{
    Amount, Bool, Date, Int64, LargestInt64, NullableAmount, Text, Time, UInt16, UInt32, UInt64,
    Word,
};
use super::{Column, Engine, LEDGER_POSITION, Table, column};

/// One pool's column. Tokens are signed because corrections are rows too.
const fn pool(pool: Pool, comment: &'static str) -> Column {
    column(pool.name(), Int64, comment)
}

/// What lines and rollups count. Every measure is signed and adds up: a rollup's row is the sum of
/// the lines with its key, column by column.
macro_rules! measures {
    ($vendor_cost:expr, [$($key:expr),* $(,)?], [$($last:expr),* $(,)?]) => {
        [
            $($key,)*
            column("events", Int64, "Usage events: 1 on the first line of an event's debit, -1 on its reversal's, otherwise 0. Adds up over anything."),
            column("model_events", Int64, "Usage events that used this provider and model: 1 on the first such line of a debit, -1 on its reversal's, otherwise 0. Adds up over everything but provider and model."),
            column("lines", Int64, "Rate lines: 1 for a debit's line, -1 for a reversal's, 0 for an adjustment's."),
            pool(Pool::Input, "Input tokens that are in none of the other input-side pools. Pools are disjoint; reversals are negative, a change of price alone is 0."),
            pool(Pool::CacheRead, "Tokens read from the prompt cache (text), disjoint, signed."),
            pool(Pool::CacheWrite, "Tokens written to the short-lived prompt cache (text), disjoint, signed."),
            pool(Pool::CacheWrite1h, "Tokens written to the one-hour prompt cache, disjoint, signed."),
            pool(Pool::AudioInput, "Audio input tokens, disjoint, signed."),
            pool(Pool::ImageInput, "Image input tokens, disjoint, signed."),
            pool(Pool::VideoInput, "Video input tokens, disjoint, signed."),
            pool(Pool::DocumentInput, "Document input tokens, disjoint, signed."),
            pool(Pool::CacheReadAudio, "Audio tokens read from the prompt cache, disjoint, signed."),
            pool(Pool::CacheReadImage, "Image tokens read from the prompt cache, disjoint, signed."),
            pool(Pool::CacheWriteAudio, "Audio tokens written to the prompt cache, disjoint, signed."),
            pool(Pool::Output, "Output tokens that are in none of the other output-side pools, disjoint, signed."),
            pool(Pool::Reasoning, "Reasoning tokens, disjoint, signed."),
            pool(Pool::AudioOutput, "Audio output tokens, disjoint, signed."),
            pool(Pool::ImageOutput, "Image output tokens, disjoint, signed."),
            column("quantity", Amount, "Units of the meter (pages, seconds, images); 0 for token lines. Signed."),
            column("credits", Amount, "Credits charged: the sum of the four columns after this one. Positive for a charge, negative for what is given back."),
            column("credits_included", Amount, "Credits drawn from included lots (a plan's allowance). Signed as credits."),
            column("credits_promotional", Amount, "Credits drawn from promotional lots. Signed as credits."),
            column("credits_purchased", Amount, "Credits drawn from purchased lots. Signed as credits."),
            column("credits_overage", Amount, "Credits charged past the lots (overage or overdraft). Signed as credits."),
            $vendor_cost,
            column("uncosted_lines", Int64, "Rate lines whose vendor cost is not known: what vendor_cost leaves out. Signed as lines."),
            column("revenue", Amount, "Revenue recognised by the draw, in currency: what was paid for the credits drawn. Promotional credits bring none. Signed as credits."),
            column("revenue_uncosted", Amount, "The part of revenue on lines whose vendor cost is not known: margin is revenue - revenue_uncosted - vendor_cost."),
            $($last,)*
        ]
    };
}

const VENDOR_COST_OF_LINE: Column = column(
    "vendor_cost",
    NullableAmount,
    "What the vendor charges for the line, in currency: reported by the producer, else computed from the price book. NULL when not known (see cost_status), never 0 for that. Signed.",
);
const VENDOR_COST_SUM: Column = column(
    "vendor_cost",
    Amount,
    "What vendors charge, in currency, over the lines whose cost is known; uncosted_lines counts the others. Signed.",
);

/// The measures, as the rollups have them, in order.
pub const MEASURES: &[Column] = &measures!(VENDOR_COST_SUM, [], []);

/// How many deltas a rollup's row is the sum of. Being never zero, it keeps a row whose measures
/// all cancel from being dropped in a merge, and the watermark with it.
pub const DELTAS: Column = column(
    "deltas",
    UInt64,
    "Deltas that the row is the sum of: 1 per batch of the projector; never 0.",
);

/// What SummingMergeTree combines. It leaves every other column as the first row has it, also one
/// whose type says how to combine it, so the watermark is named here as well.
const SUMS: &[Column] = &measures!(VENDOR_COST_SUM, [], [DELTAS, ROLLUP_OFFSET]);

const ROLLUP_PARTITION: Column = column(
    "ledger_partition",
    UInt32,
    "Partition of ledger.entries that holds the account's entries.",
);
const ROLLUP_OFFSET: Column = column(
    "ledger_offset",
    LargestInt64,
    "Largest offset of the ledger partition that the batches added up in the row had reached.",
);

const EVENT_HOUR: Column = column(
    "hour",
    Time,
    "The start of the hour of the event time, UTC. Corrections stand in the original's hour.",
);
const EVENT_DAY: Column =
    column("day", Date, "The day of the event time, UTC. Corrections stand on the original's day.");
const ACCOUNT: Column = column("account", Text, "Account that was charged (the event's subject).");
const PLAN: Column =
    column("plan", Word, "Plan that the account had at the event time; empty for none.");
const TEAM: Column =
    column("team", Word, "Team within the account; empty when the event names none.");
const USER: Column =
    column("user", Text, "User within the account; empty when the event names none.");
const FEATURE: Column = column("feature", Word, "Product feature that used the model or meter.");
const TRAFFIC: Column =
    column("traffic", Word, "Traffic class: customer, internal, test, demo or evaluation.");
const PROVIDER: Column =
    column("provider", Word, "Vendor of the model as the event names it; empty for none.");
const MODEL: Column =
    column("model", Word, "Model as the event names it; empty for a meter without a model.");
const METER: Column = column("meter", Word, "Meter of a quantity; empty for token lines.");

/// One row per rate line.
pub const USAGE_LINES: Table = Table {
    name: "usage_lines",
    comment: "One row per rate line of every debit, adjustment and reversal: what was used, what it cost and what was charged. Corrections are further rows with the opposite sign. Key: ledger_partition, ledger_offset, line.",
    engine: Engine::Facts,
    order_by: &["account", "event_time", "ledger_partition", "ledger_offset", "line"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &measures!(
        VENDOR_COST_OF_LINE,
        [
            column(
                "event_time",
                Time,
                "When the usage happened, as the producer says, UTC. Prices are chosen by it."
            ),
            column("recorded_at", Time, "Ledger time of the entry, UTC: when it was charged."),
            ACCOUNT,
            PLAN,
            TEAM,
            USER,
            FEATURE,
            TRAFFIC,
            column("source", Word, "Producer of the event (CloudEvents source)."),
            column(
                "event_id",
                Text,
                "The event's id; account, source and event_id identify an event."
            ),
            column("run", Text, "Run (agent task) that the event belongs to; empty for none."),
            column("step", Word, "Step of the run; empty for none."),
            column("environment", Word, "Environment that the producer names; empty for none."),
            column("conversation", Text, "Conversation that the event belongs to; empty for none."),
            column("hold", Text, "Hold that the event names; empty for none."),
            column(
                "hold_matched",
                Bool,
                "True when that hold was found and the charge came out of it; false for an event that names none, or one that does not exist or ended before with nothing waiting for the event (it is charged all the same)."
            ),
            column(
                "above_hold",
                Amount,
                "The part of credits above what the hold had reserved: lines are walked in order, so it lies on the last ones. Signed as credits."
            ),
            column("status", Word, "How the work ended: ok, error, cancelled or aborted."),
            column("estimated", Bool, "True when no vendor confirmed the counts."),
            column("item", UInt16, "The item's place in the event, from 0."),
            column("line", UInt16, "The line's place in the ledger entry, from 0."),
            PROVIDER,
            MODEL,
            column(
                "service_tier",
                Word,
                "Service tier of the model call: standard, batch and so on."
            ),
            METER,
        ],
        [
            column(
                "vendor_cost_computed",
                NullableAmount,
                "Vendor cost computed from the price book, in currency, also when the producer reported one; NULL when no price covers the line. Signed."
            ),
            column(
                "cost_status",
                Word,
                "Where vendor_cost comes from: computed, reported or missing."
            ),
            column(
                "cost_missing_reason",
                Word,
                "Reason code when cost_status is missing; empty otherwise."
            ),
            column("currency", Word, "Currency of vendor_cost and revenue (ISO 4217)."),
            column("rate_card", Word, "Rate card that priced the line."),
            column(
                "rate_card_version",
                UInt32,
                "Version of the rate card: its ordinal within the card's id, from 1."
            ),
            column("rule", Word, "Name of the rate card's rule that decided the line."),
            column(
                "price_book",
                Word,
                "Price book that vendor_cost_computed comes from; empty when there is none."
            ),
            column(
                "price_book_version",
                UInt32,
                "Version of the price book: its ordinal within the book's id, from 1; 0 when there is none."
            ),
            column("entry_kind", Word, "Kind of the ledger entry: debit, adjustment or reversal."),
            column(
                "corrects",
                Text,
                "entry_id of the entry that this one corrects; empty for a debit."
            ),
            column(
                "entry_id",
                Text,
                "Ledger entry that the line belongs to: partition-number, as 3-8812."
            ),
            column("ledger_partition", UInt32, "Partition of ledger.entries that holds the entry."),
            column("ledger_offset", Int64, "Offset of the entry in its ledger partition."),
        ]
    ),
};

/// Sums by hour.
pub const USAGE_HOURLY: Table = Table {
    name: "usage_hourly",
    comment: "Usage summed by hour of the event time. Rows are signed deltas, several per key are normal: always sum().",
    engine: Engine::Sums { sums: SUMS },
    order_by: &[
        "account",
        "hour",
        "plan",
        "team",
        "feature",
        "traffic",
        "provider",
        "model",
        "meter",
        "ledger_partition",
    ],
    primary_key_columns: 3,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &measures!(
        VENDOR_COST_SUM,
        [EVENT_HOUR, ACCOUNT, PLAN, TEAM, FEATURE, TRAFFIC, PROVIDER, MODEL, METER],
        [DELTAS, ROLLUP_PARTITION, ROLLUP_OFFSET]
    ),
};

/// Sums by day.
pub const USAGE_DAILY: Table = Table {
    name: "usage_daily",
    comment: "Usage summed by day of the event time. Rows are signed deltas, several per key are normal: always sum().",
    engine: Engine::Sums { sums: SUMS },
    order_by: &[
        "account",
        "day",
        "plan",
        "team",
        "feature",
        "traffic",
        "provider",
        "model",
        "meter",
        "ledger_partition",
    ],
    primary_key_columns: 3,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &measures!(
        VENDOR_COST_SUM,
        [EVENT_DAY, ACCOUNT, PLAN, TEAM, FEATURE, TRAFFIC, PROVIDER, MODEL, METER],
        [DELTAS, ROLLUP_PARTITION, ROLLUP_OFFSET]
    ),
};

/// Sums by day and user.
pub const USAGE_DAILY_BY_USER: Table = Table {
    name: "usage_daily_by_user",
    comment: "Usage summed by day of the event time and user. Rows are signed deltas, several per key are normal: always sum().",
    engine: Engine::Sums { sums: SUMS },
    order_by: &[
        "account",
        "day",
        "user",
        "team",
        "feature",
        "traffic",
        "provider",
        "model",
        "meter",
        "ledger_partition",
    ],
    primary_key_columns: 3,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &measures!(
        VENDOR_COST_SUM,
        [EVENT_DAY, ACCOUNT, USER, TEAM, FEATURE, TRAFFIC, PROVIDER, MODEL, METER],
        [DELTAS, ROLLUP_PARTITION, ROLLUP_OFFSET]
    ),
};
