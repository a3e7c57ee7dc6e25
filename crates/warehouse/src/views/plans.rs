//! The plan of every account now, and its budgets.

use projection::tables::ColumnType::{
    Amount, Bool, NullableAmount, NullableTime, Text, Time, UInt32, UInt64, Word,
};
use projection::tables::{Column, column};

use super::View;

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");

pub(super) const SUBSCRIPTIONS: View = View {
    name: "subscriptions",
    comment: "The plan of every account that has one: one row per account. plan_changes has the history.",
    columns: &[
        ACCOUNT,
        column("plan", Word, "Plan that the account has."),
        column(
            "plan_version",
            UInt32,
            "Version of the plan that the period began under: its ordinal within the plan's id, from 1.",
        ),
        column("since", Time, "From when the account has this plan, UTC."),
        column("period_start", NullableTime, "Start of the current period, UTC; NULL when nothing renews."),
        column("period_end", NullableTime, "End of the current period and the next renewal, UTC; NULL when nothing renews."),
        column("trial", Bool, "True when the current period is a trial."),
        column(
            "allowance",
            Amount,
            "Credits that the plan granted for the current period, an upgrade's difference included.",
        ),
        column(
            "period_sequence",
            UInt64,
            "Number of the account's entry that began the period: the plan's lots from it on are the period's.",
        ),
        column("scheduled_plan", Word, "Plan that begins at the renewal; empty for the same."),
        column("scheduled_from", NullableTime, "When it begins, UTC; NULL for none."),
        column(
            "low_balance",
            NullableAmount,
            "Available credits below which the plan gives notice; NULL for never.",
        ),
        column("changed_at", Time, "Ledger time of the last assignment or renewal, UTC."),
        column("entry_id", Text, "Ledger entry of it: partition-number, as 3-8812."),
    ],
    // A period begins with each renewal, and with an assignment to another period than before (or
    // after a trial): an upgrade within the period adds to it.
    select: "SELECT
    n.account AS account,
    n.plan AS plan,
    n.plan_version AS plan_version,
    n.since AS since,
    n.period_start AS period_start,
    n.period_end AS period_end,
    n.trial AS trial,
    n.allowance AS allowance,
    n.period_sequence AS period_sequence,
    if(s.sequence > n.sequence, s.plan, '') AS scheduled_plan,
    if(s.sequence > n.sequence AND s.plan != '', s.from_at, NULL) AS scheduled_from,
    n.low_balance AS low_balance,
    n.changed_at AS changed_at,
    n.entry_id AS entry_id
FROM
(
    SELECT
        p.account AS account,
        max(p.sequence) AS sequence,
        argMax(p.plan, p.sequence) AS plan,
        argMax(p.plan_version, p.sequence) AS plan_version,
        max(p.since) AS since,
        tupleElement(argMax(tuple(p.period_start), p.sequence), 1) AS period_start,
        tupleElement(argMax(tuple(p.period_end), p.sequence), 1) AS period_end,
        argMax(p.trial, p.sequence) AS trial,
        argMax(p.allowance, p.period) AS allowance,
        argMax(p.period_sequence, p.period) AS period_sequence,
        tupleElement(argMax(tuple(p.low_balance), p.sequence), 1) AS low_balance,
        argMax(p.recorded_at, p.sequence) AS changed_at,
        argMax(p.entry_id, p.sequence) AS entry_id
    FROM
    (
        SELECT
            r.account AS account,
            r.period AS period,
            max(r.sequence) AS sequence,
            argMax(r.plan, r.sequence) AS plan,
            argMax(r.plan_version, r.sequence) AS plan_version,
            maxIf(r.from_at, r.kind = 'assigned' OR r.replaces != '') AS since,
            tupleElement(argMax(tuple(r.period_start), r.sequence), 1) AS period_start,
            tupleElement(argMax(tuple(r.period_end), r.sequence), 1) AS period_end,
            argMax(r.trial, r.sequence) AS trial,
            sum(toDecimal256(r.granted, 12)) AS allowance,
            min(r.sequence) AS period_sequence,
            tupleElement(argMax(tuple(r.low_balance), r.sequence), 1) AS low_balance,
            argMax(r.recorded_at, r.sequence) AS recorded_at,
            argMax(r.entry_id, r.sequence) AS entry_id
        FROM
        (
            SELECT b.*, sum(b.begins) OVER (PARTITION BY b.account ORDER BY b.sequence ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS period
            FROM
            (
                SELECT
                    c.*,
                    concat(ifNull(toString(c.period_start), ''), '/', ifNull(toString(c.period_end), '')) AS bounds,
                    c.kind = 'renewed' OR isNull(c.period_end)
                        OR lagInFrame(bounds) OVER w != bounds OR lagInFrame(c.trial) OVER w AS begins
                FROM plan_changes AS c
                WHERE c.kind != 'scheduled'
                WINDOW w AS (PARTITION BY c.account ORDER BY c.sequence ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
            ) AS b
        ) AS r
        GROUP BY r.account, r.period
    ) AS p
    GROUP BY p.account
) AS n
LEFT JOIN
(
    SELECT
        c.account AS account,
        max(c.sequence) AS sequence,
        argMax(c.plan, c.sequence) AS plan,
        argMax(c.from_at, c.sequence) AS from_at
    FROM plan_changes AS c
    WHERE c.kind = 'scheduled'
    GROUP BY c.account
) AS s ON s.account = n.account",
};

pub(super) const BUDGETS: View = View {
    name: "budgets",
    comment: "Every budget that is set, with what is used of it: one row per account and budget.",
    columns: &[
        ACCOUNT,
        column("budget", Text, "Budget within the account."),
        column("user", Text, "User that the budget watches; empty for all."),
        column("team", Word, "Team that the budget watches; empty for all."),
        column("feature", Word, "Feature that the budget watches; empty for all."),
        column("traffic", Word, "Traffic class that the budget watches; empty for all."),
        column("limit", Amount, "Credits that may be spent in a window."),
        column("period", Word, "Length of a window: day, week, month or year; empty for ever."),
        column("timezone", Word, "Time zone whose midnights begin the windows."),
        column(
            "window_start",
            NullableTime,
            "Start of the window that used counts, UTC; NULL for a budget for ever.",
        ),
        column(
            "window_end",
            NullableTime,
            "End of that window, UTC; NULL for a budget for ever. Once it is past, the next use begins another at zero.",
        ),
        column(
            "used",
            Amount,
            "Credits used in that window, by the events' own times, net of reversals.",
        ),
        column(
            "remaining",
            Amount,
            "limit - used, or limit once the window is past by the server's clock; what holds reserve is not counted. Negative when the limit is exceeded.",
        ),
        column("hard", Bool, "True when holds past the limit are refused; usage never is."),
        column(
            "thresholds",
            Text,
            "Whole percents of the limit at which notice is given, rising, as 50,80,100; empty for none.",
        ),
        column("actor", Text, "Who set it last."),
        column("set_at", Time, "Ledger time when it was set last, UTC."),
        column("changed_at", Time, "Ledger time of the last entry that set or used it, UTC."),
        column("entry_id", Text, "That entry: partition-number, as 3-8812."),
    ],
    select: "SELECT
    t.account AS account,
    t.budget AS budget,
    t.user AS user,
    t.team AS team,
    t.feature AS feature,
    t.traffic AS traffic,
    t.limit AS limit,
    t.period AS period,
    t.timezone AS timezone,
    t.window_start AS window_start,
    t.window_end AS window_end,
    t.used AS used,
    t.limit - if(t.window_end <= now64(6, 'UTC'), toDecimal128(0, 12), t.used) AS remaining,
    t.hard AS hard,
    t.thresholds AS thresholds,
    t.actor AS actor,
    t.set_at AS set_at,
    t.changed_at AS changed_at,
    t.entry_id AS entry_id
FROM
(
    SELECT
        s.account AS account,
        s.budget AS budget,
        argMaxIf(s.user, s.sequence, s.step = 'set') AS user,
        argMaxIf(s.team, s.sequence, s.step = 'set') AS team,
        argMaxIf(s.feature, s.sequence, s.step = 'set') AS feature,
        argMaxIf(s.traffic, s.sequence, s.step = 'set') AS traffic,
        argMaxIf(s.limit, s.sequence, s.step = 'set') AS limit,
        argMaxIf(s.period, s.sequence, s.step = 'set') AS period,
        argMaxIf(s.timezone, s.sequence, s.step = 'set') AS timezone,
        tupleElement(argMax(tuple(s.window_start), s.sequence), 1) AS window_start,
        tupleElement(argMax(tuple(s.window_end), s.sequence), 1) AS window_end,
        argMax(s.used, s.sequence) AS used,
        argMaxIf(s.hard, s.sequence, s.step = 'set') AS hard,
        argMaxIf(s.thresholds, s.sequence, s.step = 'set') AS thresholds,
        argMaxIf(s.actor, s.sequence, s.step = 'set') AS actor,
        argMaxIf(s.recorded_at, s.sequence, s.step = 'set') AS set_at,
        argMax(s.recorded_at, s.sequence) AS changed_at,
        argMax(s.entry_id, s.sequence) AS entry_id
    FROM budget_steps AS s
    GROUP BY s.account, s.budget
    HAVING argMax(s.step, s.sequence) != 'removed'
) AS t",
};
