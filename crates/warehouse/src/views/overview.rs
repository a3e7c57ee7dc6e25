//! One row per account: everything that a balance says, and recent usage.

use projection::tables::ColumnType::{
    Amount, Bool, Int64, NullableAmount, NullableTime, Text, Time, UInt64, Word,
};
use projection::tables::{Column, column};

use super::View;

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");

pub(super) const ACCOUNT_OVERVIEW: View = View {
    name: "account_overview",
    comment: "One row per account: its balance now, and its usage of the last 30 days.",
    columns: &[
        ACCOUNT,
        column("plan", Word, "Plan that the account has; empty for none."),
        column("trial", Bool, "True when the current period is a trial."),
        column("period_start", NullableTime, "Start of the plan's current period, UTC; NULL when nothing renews."),
        column("period_end", NullableTime, "End of that period, UTC; NULL when nothing renews."),
        column("renews_at", NullableTime, "When the plan renews, UTC: the period's end; NULL for never."),
        column("allowance", Amount, "Credits that the plan granted for the period."),
        column("used", Amount, "The part of them that is drawn."),
        column("remaining", Amount, "The part of them that is left, holds included."),
        column("settled", Amount, "Credits in the lots minus outstanding overage; negative when overage is larger."),
        column("held", Amount, "Credits reserved by open holds."),
        column("in_grace", Amount, "Credits in lots past their expiry and within grace."),
        column("available", Amount, "Credits that can be spent now: settled - in_grace - held."),
        column("overage", Amount, "Outstanding overage or overdraft, as a positive amount."),
        column("included", Amount, "Credits left in included lots that are effective, with those in grace."),
        column("promotional", Amount, "Credits left in promotional lots that are effective, with those in grace."),
        column("purchased", Amount, "Credits left in purchased lots that are effective, with those in grace."),
        column("next_expiry_at", NullableTime, "When the next credits expire, UTC; NULL when none do."),
        column("next_expiry_amount", Amount, "How many are left of those; 0 when none expire."),
        column("open_holds", UInt64, "Holds that are open."),
        column("unrated_events", UInt64, "Usage events that no price covers yet."),
        column("as_of", Time, "Ledger time of the account's last entry, UTC."),
        column("events_30_days", Int64, "Usage events of the last 30 days by event time, net of reversals."),
        column("credits_30_days", Amount, "Credits charged for them, net of corrections."),
        column("revenue_30_days", Amount, "Revenue recognised from them, in currency."),
        column("vendor_cost_30_days", NullableAmount, "Their vendor cost where it is known, in currency; NULL when no line's is."),
        column("uncosted_lines_30_days", Int64, "Their rate lines whose vendor cost is not known."),
        column("last_usage_hour", NullableTime, "Start of the hour of the account's latest usage by event time, UTC; NULL for none."),
    ],
    select: "SELECT
    b.account AS account,
    b.plan AS plan,
    p.trial AS trial,
    p.period_start AS period_start,
    p.period_end AS period_end,
    p.period_end AS renews_at,
    p.allowance AS allowance,
    c.used AS used,
    c.left AS remaining,
    b.settled AS settled,
    b.held AS held,
    b.in_grace AS in_grace,
    b.available AS available,
    b.overage AS overage,
    c.included AS included,
    c.promotional AS promotional,
    c.purchased AS purchased,
    c.next_expiry_at AS next_expiry_at,
    c.next_expiry_amount AS next_expiry_amount,
    h.open_holds AS open_holds,
    n.unrated_events AS unrated_events,
    b.as_of AS as_of,
    s.events AS events_30_days,
    s.credits AS credits_30_days,
    s.revenue AS revenue_30_days,
    if(s.uncosted_lines > 0 AND s.uncosted_lines = s.lines, NULL, s.vendor_cost) AS vendor_cost_30_days,
    s.uncosted_lines AS uncosted_lines_30_days,
    if(s.last_hour = toDateTime64(0, 6, 'UTC'), NULL, s.last_hour) AS last_usage_hour
FROM balances AS b
LEFT JOIN subscriptions AS p ON p.account = b.account
LEFT JOIN
(
    SELECT
        e.account AS account,
        sum(e.included) AS included,
        sum(e.promotional) AS promotional,
        sum(e.purchased) AS purchased,
        sum(e.used) AS used,
        sum(e.left) AS left,
        minIf(e.expires_at, e.expiring > 0) AS next_expiry_at,
        ifNull(argMinIf(e.expiring, e.expires_at, e.expiring > 0), toDecimal256(0, 12)) AS next_expiry_amount
    FROM
    (
        SELECT
            l.account AS account,
            l.expires_at AS expires_at,
            sumIf(toDecimal256(l.remaining, 12), l.state != 'upcoming' AND l.category = 'included') AS included,
            sumIf(toDecimal256(l.remaining, 12), l.state != 'upcoming' AND l.category = 'promotional') AS promotional,
            sumIf(toDecimal256(l.remaining, 12), l.state != 'upcoming' AND l.category = 'purchased') AS purchased,
            sumIf(toDecimal256(l.drawn, 12), a.lot != 0) AS used,
            sumIf(toDecimal256(l.remaining, 12), a.lot != 0) AS left,
            sumIf(toDecimal256(l.remaining, 12), l.state = 'live' AND isNotNull(l.expires_at)) AS expiring
        FROM lots AS l
        LEFT JOIN
        (
            SELECT g.account AS account, g.sequence AS lot
            FROM plan_changes AS g
            INNER JOIN subscriptions AS s ON s.account = g.account
            WHERE g.granted > 0 AND g.sequence >= s.period_sequence
        ) AS a ON a.account = l.account AND a.lot = l.lot
        GROUP BY l.account, l.expires_at
    ) AS e
    GROUP BY e.account
) AS c ON c.account = b.account
LEFT JOIN
(
    SELECT o.account AS account, count() AS open_holds
    FROM holds AS o
    WHERE o.state = 'open'
    GROUP BY o.account
) AS h ON h.account = b.account
LEFT JOIN
(
    SELECT w.account AS account, count() AS unrated_events
    FROM unrated_usage AS w
    GROUP BY w.account
) AS n ON n.account = b.account
LEFT JOIN
(
    SELECT
        u.account AS account,
        sumIf(u.events, u.hour >= now() - INTERVAL 30 DAY) AS events,
        sumIf(u.lines, u.hour >= now() - INTERVAL 30 DAY) AS lines,
        sumIf(toDecimal256(u.credits, 12), u.hour >= now() - INTERVAL 30 DAY) AS credits,
        sumIf(toDecimal256(u.revenue, 12), u.hour >= now() - INTERVAL 30 DAY) AS revenue,
        sumIf(toDecimal256(u.vendor_cost, 12), u.hour >= now() - INTERVAL 30 DAY) AS vendor_cost,
        sumIf(u.uncosted_lines, u.hour >= now() - INTERVAL 30 DAY) AS uncosted_lines,
        max(u.hour) AS last_hour
    FROM usage_hourly AS u
    GROUP BY u.account
) AS s ON s.account = b.account",
};
