//! Usage by feature and by model, margin, and what a unit costs.

use projection::tables::ColumnType::{
    Amount, Date, Int64, NullableAmount, NullableFloat, Text, Time, UInt64, Word,
};
use projection::tables::{Column, column};

use super::View;

const DAY: Column = column("day", Date, "Day of the event time, UTC.");
const ACCOUNT: Column = column("account", Text, "Account that was charged.");
const FEATURE: Column = column("feature", Word, "Product feature that used the model or meter.");
const TRAFFIC: Column =
    column("traffic", Word, "Traffic class: customer, internal, test, demo or evaluation.");
const PROVIDER: Column =
    column("provider", Word, "Vendor of the model as the event names it; empty for none.");
const MODEL: Column =
    column("model", Word, "Model as the event names it; empty for a meter without a model.");
const METER: Column = column("meter", Word, "Meter of a quantity; empty for token usage.");
const LINES: Column =
    column("lines", Int64, "Rate lines (model calls and metered quantities), net of reversals.");
const INPUT_TOKENS: Column =
    column("input_tokens", Int64, "Input-side tokens, all pools, cached ones included. Net.");
const CACHED_TOKENS: Column =
    column("cached_tokens", Int64, "The part of input_tokens read from a prompt cache. Net.");
const OUTPUT_TOKENS: Column =
    column("output_tokens", Int64, "Output-side tokens, all pools, reasoning included. Net.");
const QUANTITY: Column =
    column("quantity", Amount, "Units of the meter; 0 for token usage. Net of reversals.");
const CREDITS: Column =
    column("credits", Amount, "Credits charged, net of corrections; positive for a charge.");
const VENDOR_COST: Column = column(
    "vendor_cost",
    NullableAmount,
    "What vendors charge, in currency, over the lines whose cost is known; NULL when no line's is. Net.",
);
const UNCOSTED_LINES: Column = column(
    "uncosted_lines",
    Int64,
    "Lines whose vendor cost is not known: what vendor_cost leaves out. Net.",
);
const REVENUE: Column = column(
    "revenue",
    Amount,
    "Revenue recognised, in currency: what was paid for the credits drawn. Net of corrections.",
);

pub(super) const USAGE_BY_FEATURE: View = View {
    name: "usage_by_feature",
    comment: "Usage per day, account, feature and traffic class. Everything adds up: sum() over what you do not want to see.",
    columns: &[
        DAY,
        ACCOUNT,
        FEATURE,
        TRAFFIC,
        column("events", Int64, "Usage events, net of reversals."),
        LINES,
        INPUT_TOKENS,
        CACHED_TOKENS,
        OUTPUT_TOKENS,
        CREDITS,
        column("credits_included", Amount, "Credits drawn from included lots. Net, signed as credits."),
        column("credits_promotional", Amount, "Credits drawn from promotional lots. Net, signed as credits."),
        column("credits_purchased", Amount, "Credits drawn from purchased lots. Net, signed as credits."),
        column("credits_overage", Amount, "Credits charged past the lots. Net, signed as credits."),
        VENDOR_COST,
        UNCOSTED_LINES,
        REVENUE,
    ],
    select: "SELECT
    u.day AS day,
    u.account AS account,
    u.feature AS feature,
    u.traffic AS traffic,
    sum(u.events) AS events,
    sum(u.lines) AS lines,
    sum({input_tokens}) AS input_tokens,
    sum({cached_tokens}) AS cached_tokens,
    sum({output_tokens}) AS output_tokens,
    sum(toDecimal256(u.credits, 12)) AS credits,
    sum(toDecimal256(u.credits_included, 12)) AS credits_included,
    sum(toDecimal256(u.credits_promotional, 12)) AS credits_promotional,
    sum(toDecimal256(u.credits_purchased, 12)) AS credits_purchased,
    sum(toDecimal256(u.credits_overage, 12)) AS credits_overage,
    if(sum(u.uncosted_lines) > 0 AND sum(u.uncosted_lines) = sum(u.lines), NULL, sum(toDecimal256(u.vendor_cost, 12))) AS vendor_cost,
    sum(u.uncosted_lines) AS uncosted_lines,
    sum(toDecimal256(u.revenue, 12)) AS revenue
FROM usage_daily AS u
GROUP BY u.day, u.account, u.feature, u.traffic",
};

pub(super) const USAGE_BY_MODEL: View = View {
    name: "usage_by_model",
    comment: "Usage per day, account, model (with its provider and meter) and traffic class.",
    columns: &[
        DAY,
        ACCOUNT,
        PROVIDER,
        MODEL,
        METER,
        TRAFFIC,
        column("events", Int64, "Usage events that used the model, net of reversals. An event that used two models counts for both."),
        LINES,
        INPUT_TOKENS,
        CACHED_TOKENS,
        OUTPUT_TOKENS,
        QUANTITY,
        CREDITS,
        VENDOR_COST,
        UNCOSTED_LINES,
        REVENUE,
    ],
    select: "SELECT
    u.day AS day,
    u.account AS account,
    u.provider AS provider,
    u.model AS model,
    u.meter AS meter,
    u.traffic AS traffic,
    sum(u.model_events) AS events,
    sum(u.lines) AS lines,
    sum({input_tokens}) AS input_tokens,
    sum({cached_tokens}) AS cached_tokens,
    sum({output_tokens}) AS output_tokens,
    sum(toDecimal256(u.quantity, 12)) AS quantity,
    sum(toDecimal256(u.credits, 12)) AS credits,
    if(sum(u.uncosted_lines) > 0 AND sum(u.uncosted_lines) = sum(u.lines), NULL, sum(toDecimal256(u.vendor_cost, 12))) AS vendor_cost,
    sum(u.uncosted_lines) AS uncosted_lines,
    sum(toDecimal256(u.revenue, 12)) AS revenue
FROM usage_daily AS u
GROUP BY u.day, u.account, u.provider, u.model, u.meter, u.traffic",
};

pub(super) const MARGIN_BY_MODEL: View = View {
    name: "margin_by_model",
    comment: "Revenue, vendor cost and margin per day, model and traffic class. Usage without a known cost is in columns of its own and not in the margin; coverage says how much that leaves.",
    columns: &[
        DAY,
        PROVIDER,
        MODEL,
        METER,
        TRAFFIC,
        LINES,
        CREDITS,
        REVENUE,
        VENDOR_COST,
        column("margin", NullableAmount, "Revenue of the lines whose cost is known, minus that cost, in currency; NULL when no line's cost is known. Adds up."),
        UNCOSTED_LINES,
        column("revenue_uncosted", Amount, "Revenue of the lines whose cost is not known, in currency: not in margin."),
        column("coverage", NullableFloat, "Share of the lines whose cost is known, 0 to 1; NULL without lines. Does not add up."),
    ],
    select: "SELECT
    u.day AS day,
    u.provider AS provider,
    u.model AS model,
    u.meter AS meter,
    u.traffic AS traffic,
    sum(u.lines) AS lines,
    sum(toDecimal256(u.credits, 12)) AS credits,
    sum(toDecimal256(u.revenue, 12)) AS revenue,
    if(sum(u.uncosted_lines) > 0 AND sum(u.uncosted_lines) = sum(u.lines), NULL, sum(toDecimal256(u.vendor_cost, 12))) AS vendor_cost,
    if(sum(u.uncosted_lines) > 0 AND sum(u.uncosted_lines) = sum(u.lines), NULL, sum(toDecimal256(u.revenue, 12)) - sum(toDecimal256(u.revenue_uncosted, 12)) - sum(toDecimal256(u.vendor_cost, 12))) AS margin,
    sum(u.uncosted_lines) AS uncosted_lines,
    sum(toDecimal256(u.revenue_uncosted, 12)) AS revenue_uncosted,
    if(sum(u.lines) > 0, (sum(u.lines) - sum(u.uncosted_lines)) / sum(u.lines), NULL) AS coverage
FROM usage_daily AS u
GROUP BY u.day, u.provider, u.model, u.meter, u.traffic",
};

pub(super) const UNCOSTED_USAGE: View = View {
    name: "uncosted_usage",
    comment: "Charged usage whose vendor cost is not known, per day, model and reason. Empty when every line is costed.",
    columns: &[
        DAY,
        PROVIDER,
        MODEL,
        METER,
        column("service_tier", Word, "Service tier of the model call."),
        column("reason", Word, "Reason code: why there is no cost."),
        LINES,
        INPUT_TOKENS,
        OUTPUT_TOKENS,
        QUANTITY,
        CREDITS,
        REVENUE,
        column("first_event_time", Time, "Earliest event time of such a line, UTC."),
        column("last_event_time", Time, "Latest event time of such a line, UTC."),
    ],
    select: "SELECT
    toDate(u.event_time) AS day,
    u.provider AS provider,
    u.model AS model,
    u.meter AS meter,
    u.service_tier AS service_tier,
    u.cost_missing_reason AS reason,
    sum(u.uncosted_lines) AS lines,
    sum({input_tokens}) AS input_tokens,
    sum({output_tokens}) AS output_tokens,
    sum(toDecimal256(u.quantity, 12)) AS quantity,
    sum(toDecimal256(u.credits, 12)) AS credits,
    sum(toDecimal256(u.revenue_uncosted, 12)) AS revenue,
    min(u.event_time) AS first_event_time,
    max(u.event_time) AS last_event_time
FROM usage_lines AS u
WHERE u.uncosted_lines != 0
GROUP BY day, u.provider, u.model, u.meter, u.service_tier, u.cost_missing_reason
HAVING lines != 0",
};

pub(super) const UNIT_COST_DAILY: View = View {
    name: "unit_cost_daily",
    comment: "What one event costs, per day, feature and model: exact median and 95th percentile (values that occurred, not interpolated) over the events that used the model, corrections applied.",
    columns: &[
        DAY,
        FEATURE,
        PROVIDER,
        MODEL,
        column(
            "events",
            UInt64,
            "Events counted: those that used the model and were not reversed.",
        ),
        column(
            "credits_median",
            Amount,
            "Median of the credits that an event's lines of the model were charged.",
        ),
        column("credits_p95", Amount, "95th percentile of the same."),
        column(
            "vendor_cost_median",
            NullableAmount,
            "Median vendor cost of an event's lines of the model, in currency, over the events whose cost is known; NULL when none is.",
        ),
        column("vendor_cost_p95", NullableAmount, "95th percentile of the same."),
        column(
            "uncosted_events",
            UInt64,
            "Events with a line of the model whose cost is not known.",
        ),
        column(
            "tokens_median",
            Int64,
            "Median tokens of an event's lines of the model, both sides, all pools.",
        ),
        column("tokens_p95", Int64, "95th percentile of the same."),
    ],
    select: "SELECT
    e.day AS day,
    e.feature AS feature,
    e.provider AS provider,
    e.model AS model,
    count() AS events,
    quantileExactLow(0.5)(e.event_credits) AS credits_median,
    quantileExact(0.95)(e.event_credits) AS credits_p95,
    quantileExactLowOrNullIf(0.5)(e.event_cost, e.uncosted = 0) AS vendor_cost_median,
    quantileExactOrNullIf(0.95)(e.event_cost, e.uncosted = 0) AS vendor_cost_p95,
    countIf(e.uncosted > 0) AS uncosted_events,
    quantileExactLow(0.5)(e.event_tokens) AS tokens_median,
    quantileExact(0.95)(e.event_tokens) AS tokens_p95
FROM
(
    SELECT
        toDate(u.event_time) AS day,
        u.feature AS feature,
        u.provider AS provider,
        u.model AS model,
        toDecimal128(sum(toDecimal256(u.credits, 12)), 12) AS event_credits,
        toDecimal128(sum(toDecimal256(ifNull(u.vendor_cost, 0), 12)), 12) AS event_cost,
        sum(u.uncosted_lines) AS uncosted,
        sum({tokens}) AS event_tokens
    FROM usage_lines AS u
    GROUP BY day, u.feature, u.provider, u.model, u.account, u.source, u.event_id
    HAVING sum(u.lines) > 0
) AS e
GROUP BY e.day, e.feature, e.provider, e.model",
};
