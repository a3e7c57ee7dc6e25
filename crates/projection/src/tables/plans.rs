//! What an account has and may spend: plans and budgets.

use super::ColumnType::{
    Amount, Bool, Int64, NullableAmount, NullableTime, Text, Time, UInt32, UInt64, Word,
};
use super::{Column, Engine, LEDGER_POSITION, Table, column};

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");
const ENTRY_ID: Column =
    column("entry_id", Text, "Ledger entry that the row comes from: partition-number, as 3-8812.");
const LEDGER_PARTITION: Column =
    column("ledger_partition", UInt32, "Partition of ledger.entries that holds the entry.");
const LEDGER_OFFSET: Column =
    column("ledger_offset", Int64, "Offset of the entry in its ledger partition.");

/// Every change of an account's plan, renewals included.
pub const PLAN_CHANGES: Table = Table {
    name: "plan_changes",
    comment: "One row per entry about an account's plan: assigned, scheduled for the renewal, renewed. Read the view subscriptions for the plan now.",
    engine: Engine::Facts,
    order_by: &["account", "sequence"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        column("sequence", UInt64, "Number of the account's entry that made the change."),
        column("kind", Word, "What happened: assigned, scheduled or renewed."),
        column(
            "plan",
            Word,
            "Plan from then on; for scheduled the plan of the next renewal, empty when an earlier wish was taken back.",
        ),
        column(
            "plan_version",
            UInt32,
            "Version of the plan: its ordinal within the plan's id, from 1; 0 for scheduled.",
        ),
        column("replaces", Word, "Plan that it replaces; empty when it replaces none."),
        column(
            "from_at",
            Time,
            "From when it holds, UTC: usage from then on is priced under it (a renewal: the period's start).",
        ),
        column(
            "period_start",
            NullableTime,
            "Start of the period that begins or goes on, UTC; NULL when nothing renews.",
        ),
        column(
            "period_end",
            NullableTime,
            "End of that period and the next renewal, UTC; NULL when nothing renews.",
        ),
        column("trial", Bool, "True when that period is a trial."),
        column(
            "granted",
            Amount,
            "Credits of the lot that the change opened (allowance, trial, or an upgrade's prorated difference); 0 for none. The lot is named by sequence.",
        ),
        column("paid", Amount, "Cost basis of those credits, in currency; 0 for a trial."),
        column(
            "billed_credits",
            Amount,
            "Overage of the ended period that is invoiced and no longer outstanding; positive or 0.",
        ),
        column("billed", Amount, "Price of that overage, in currency; positive or 0."),
        column("currency", Word, "Currency of paid and billed (ISO 4217); empty for none."),
        column(
            "repaid",
            Amount,
            "Outstanding overage that the new lot repaid at once; positive or 0.",
        ),
        column(
            "low_balance",
            NullableAmount,
            "Available credits below which the plan gives notice; NULL for never.",
        ),
        column("actor", Text, "Who changed the plan; empty for a renewal and the default plan."),
        column("reason", Text, "Reason that was given; empty for none."),
        column("command_id", Text, "Idempotency id of the command; empty for none."),
        column("recorded_at", Time, "Ledger time of the entry, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};

/// Every change of a budget: its terms, and what is used of it.
pub const BUDGET_STEPS: Table = Table {
    name: "budget_steps",
    comment: "A budget after each entry that changed it: set, used or removed. Its terms stand on the rows that set it. Read the view budgets for its current state.",
    engine: Engine::Facts,
    order_by: &["account", "budget", "sequence"],
    primary_key_columns: 2,
    position: Some(LEDGER_POSITION),
    ttl: "",
    columns: &[
        ACCOUNT,
        column("budget", Text, "Budget within the account."),
        column(
            "sequence",
            UInt64,
            "Number of the account's entry that made the step; the largest is current.",
        ),
        column("step", Word, "What happened: set, used or removed."),
        column(
            "used",
            Amount,
            "Credits used in the window, after the step; a reversal makes it smaller.",
        ),
        column(
            "window_start",
            NullableTime,
            "Start of the window that used counts, UTC; NULL for a budget for ever, and on removed.",
        ),
        column("window_end", NullableTime, "End of that window, UTC; NULL as window_start."),
        column(
            "limit",
            Amount,
            "Credits that may be spent in a window; 0 on rows that do not set.",
        ),
        column(
            "period",
            Word,
            "Length of a window: day, week, month or year; empty for ever, and on rows that do not set.",
        ),
        column(
            "timezone",
            Word,
            "Time zone whose midnights begin the windows; empty on rows that do not set.",
        ),
        column("user", Text, "User that the budget watches; empty for all."),
        column("team", Word, "Team that the budget watches; empty for all."),
        column("feature", Word, "Feature that the budget watches; empty for all."),
        column("traffic", Word, "Traffic class that the budget watches; empty for all."),
        column("hard", Bool, "True when holds past the limit are refused; usage never is."),
        column(
            "thresholds",
            Text,
            "Whole percents of the limit at which notice is given, rising, as 50,80,100; empty for none.",
        ),
        column("actor", Text, "Who set or removed it; empty on used."),
        column("reason", Text, "Reason that was given; empty for none."),
        column("recorded_at", Time, "Ledger time of the step, UTC."),
        ENTRY_ID,
        LEDGER_PARTITION,
        LEDGER_OFFSET,
    ],
};
