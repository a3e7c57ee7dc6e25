//! Balances, lots, holds, and how credits moved.

use projection::tables::ColumnType::{
    Amount, Bool, Date, Int64, NullableAmount, NullableTime, Text, Time, UInt32, UInt64, Word,
};
use projection::tables::{ACCOUNT_BALANCES, Column, column};

use super::View;

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");
const CATEGORY: Column =
    column("category", Word, "Category of the lot: included, promotional or purchased.");

pub(super) const BALANCES: View = View {
    name: "balances",
    comment: "The current balance of every account: one row per account.",
    columns: ACCOUNT_BALANCES.columns,
    select: "SELECT b.* FROM account_balances AS b FINAL",
};

pub(super) const LOTS: View = View {
    name: "lots",
    comment: "Every lot with what remains of it: one row per account and lot. granted = remaining + drawn + expired + voided.",
    columns: &[
        ACCOUNT,
        column("lot", UInt64, "Lot within the account: the sequence of the entry that granted it."),
        CATEGORY,
        column(
            "state",
            Word,
            "upcoming (not yet effective), live, in_grace (past its expiry, drawn only by late usage), or, once nothing remains: used, expired or voided. By the server's clock.",
        ),
        column("priority", UInt32, "Draw-down priority: smaller is drawn first."),
        column("granted", Amount, "Credits granted; positive."),
        column("remaining", Amount, "Credits left; not negative."),
        column(
            "drawn",
            Amount,
            "Credits drawn by usage, net of what corrections returned; positive.",
        ),
        column("expired", Amount, "Credits forfeited by expiry (breakage); positive."),
        column("voided", Amount, "Credits removed on purpose; positive."),
        column("effective_at", Time, "From when the credits can be drawn, UTC."),
        column(
            "expires_at",
            NullableTime,
            "When the credits expire, UTC (grace follows); NULL for never.",
        ),
        column(
            "paid",
            Amount,
            "Total paid for the lot, in currency; 0 for credits that were given.",
        ),
        column("currency", Word, "Currency of paid and revenue_recognised (ISO 4217)."),
        column(
            "revenue_recognised",
            Amount,
            "Revenue recognised from paid so far, in currency; at most paid.",
        ),
        column("reason", Text, "Reason of the grant; empty for none."),
        column("granted_at", Time, "Ledger time of the grant, UTC."),
        column("entry_id", Text, "Ledger entry of the grant: partition-number, as 3-8812."),
    ],
    select: "SELECT
    g.account AS account,
    g.lot AS lot,
    g.category AS category,
    multiIf(
        m.remaining <= 0 AND m.expired > 0, 'expired',
        m.remaining <= 0 AND m.voided > 0, 'voided',
        m.remaining <= 0, 'used',
        g.expires_at <= now64(6, 'UTC'), 'in_grace',
        g.effective_at > now64(6, 'UTC'), 'upcoming',
        'live') AS state,
    g.priority AS priority,
    g.granted AS granted,
    m.remaining AS remaining,
    m.drawn AS drawn,
    m.expired AS expired,
    m.voided AS voided,
    g.effective_at AS effective_at,
    g.expires_at AS expires_at,
    g.paid AS paid,
    g.currency AS currency,
    m.revenue_recognised AS revenue_recognised,
    g.reason AS reason,
    g.granted_at AS granted_at,
    g.entry_id AS entry_id
FROM lot_grants AS g
INNER JOIN
(
    SELECT
        l.account AS account,
        l.lot AS lot,
        sum(toDecimal256(l.credits, 12)) AS remaining,
        -sumIf(toDecimal256(l.credits, 12), l.kind IN ('drawn', 'returned')) AS drawn,
        -sumIf(toDecimal256(l.credits, 12), l.kind = 'expired') AS expired,
        -sumIf(toDecimal256(l.credits, 12), l.kind = 'voided') AS voided,
        sum(toDecimal256(l.revenue, 12)) AS revenue_recognised
    FROM lot_movements AS l
    GROUP BY l.account, l.lot
) AS m ON m.account = g.account AND m.lot = g.lot",
};

pub(super) const HOLDS: View = View {
    name: "holds",
    comment: "Every hold in its current state: one row per account and hold.",
    columns: &[
        ACCOUNT,
        column("hold", Text, "Hold within the account."),
        column("state", Word, "open, settled, released or expired."),
        column(
            "amount",
            Amount,
            "Credits reserved when the hold was opened, or after its last change.",
        ),
        column("captured", Amount, "Credits charged through the hold so far."),
        column("held", Amount, "Credits still reserved; 0 once the hold is closed."),
        column("exceeded", Bool, "True when more was charged than was reserved."),
        column("opened_at", Time, "Ledger time of the reserve, UTC."),
        column("expires_at", Time, "When the hold expires unless it is extended, UTC."),
        column("user", Text, "User that the hold is for; empty for none."),
        column("team", Word, "Team that the hold is for; empty for none."),
        column("feature", Word, "Feature that the hold is for; empty for none."),
        column("changed_at", Time, "Ledger time of the last change, UTC."),
        column("entry_id", Text, "Ledger entry of the last change: partition-number, as 3-8812."),
    ],
    select: "SELECT
    h.account AS account,
    h.hold AS hold,
    argMax(h.state, h.sequence) AS state,
    argMax(h.amount, h.sequence) AS amount,
    argMax(h.captured, h.sequence) AS captured,
    argMax(h.held, h.sequence) AS held,
    argMax(h.exceeded, h.sequence) AS exceeded,
    argMax(h.opened_at, h.sequence) AS opened_at,
    argMax(h.expires_at, h.sequence) AS expires_at,
    argMax(h.user, h.sequence) AS user,
    argMax(h.team, h.sequence) AS team,
    argMax(h.feature, h.sequence) AS feature,
    argMax(h.recorded_at, h.sequence) AS changed_at,
    argMax(h.entry_id, h.sequence) AS entry_id
FROM hold_steps AS h
GROUP BY h.account, h.hold",
};

pub(super) const ACCOUNT_OVERVIEW: View = View {
    name: "account_overview",
    comment: "One row per account: its balance now, and its usage of the last 30 days.",
    columns: &[
        ACCOUNT,
        column("plan", Word, "Plan that the account has; empty for none."),
        column("settled", Amount, "Credits in the lots minus outstanding overage; negative when overage is larger."),
        column("held", Amount, "Credits reserved by open holds."),
        column("in_grace", Amount, "Credits in lots past their expiry and within grace."),
        column("available", Amount, "Credits that can be spent now: settled - in_grace - held."),
        column("overage", Amount, "Outstanding overage or overdraft, as a positive amount."),
        column("included", Amount, "Credits left in included lots that are effective, with those in grace."),
        column("promotional", Amount, "Credits left in promotional lots that are effective, with those in grace."),
        column("purchased", Amount, "Credits left in purchased lots that are effective, with those in grace."),
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
    b.settled AS settled,
    b.held AS held,
    b.in_grace AS in_grace,
    b.available AS available,
    b.overage AS overage,
    c.included AS included,
    c.promotional AS promotional,
    c.purchased AS purchased,
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
LEFT JOIN
(
    SELECT
        l.account AS account,
        sumIf(toDecimal256(l.remaining, 12), l.category = 'included') AS included,
        sumIf(toDecimal256(l.remaining, 12), l.category = 'promotional') AS promotional,
        sumIf(toDecimal256(l.remaining, 12), l.category = 'purchased') AS purchased
    FROM lots AS l
    WHERE l.state != 'upcoming'
    GROUP BY l.account
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

pub(super) const CREDIT_ROLLFORWARD_DAILY: View = View {
    name: "credit_rollforward_daily",
    comment: "How the credits in all lots moved, per day and category: opening + granted + drawn + expired + voided + returned = closing, each with its sign. Days without a movement have no row: the closing before is the opening after.",
    columns: &[
        column("day", Date, "Day that the movements count for, UTC (of the expiry for expired credits, else of the ledger time)."),
        CATEGORY,
        column("opening", Amount, "Credits in the lots of the category before the day."),
        column("granted", Amount, "Credits granted; positive or 0."),
        column("drawn", Amount, "Credits drawn by usage, also when a grant repays overage; negative or 0."),
        column("expired", Amount, "Credits forfeited by expiry (breakage); negative or 0."),
        column("voided", Amount, "Credits removed on purpose; negative or 0."),
        column("returned", Amount, "Credits that corrections gave back to their lots; positive or 0."),
        column("closing", Amount, "Credits in the lots of the category after the day."),
        column("revenue_recognised", Amount, "Revenue that the movements recognised, in currency."),
    ],
    select: "SELECT
    d.day AS day,
    d.category AS category,
    sum(d.net) OVER (PARTITION BY d.category ORDER BY d.day ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) - d.net AS opening,
    d.granted AS granted,
    d.drawn AS drawn,
    d.expired AS expired,
    d.voided AS voided,
    d.returned AS returned,
    sum(d.net) OVER (PARTITION BY d.category ORDER BY d.day ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS closing,
    d.revenue AS revenue_recognised
FROM
(
    SELECT
        toDate(l.dated_at) AS day,
        l.category AS category,
        sum(toDecimal256(l.credits, 12)) AS net,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'granted') AS granted,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'drawn') AS drawn,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'expired') AS expired,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'voided') AS voided,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'returned') AS returned,
        sum(toDecimal256(l.revenue, 12)) AS revenue
    FROM lot_movements AS l
    GROUP BY day, l.category
) AS d",
};
