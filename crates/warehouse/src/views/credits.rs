//! Balances, lots, and how credits moved.

use projection::tables::ColumnType::{
    Amount, Date, Int64, NullableTime, Text, Time, UInt32, UInt64, Word,
};
use projection::tables::{Column, column};

use super::View;

const ACCOUNT: Column = column("account", Text, "Account that owns the credits.");
const CATEGORY: Column =
    column("category", Word, "Category of the lot: included, promotional or purchased.");

pub(super) const BALANCES: View = View {
    name: "balances",
    comment: "The current balance of every account: one row per account.",
    columns: &[
        ACCOUNT,
        column(
            "sequence",
            UInt64,
            "Number of the account's last entry, which the balance follows.",
        ),
        column("as_of", Time, "Ledger time of that entry, UTC."),
        column("plan", Word, "Plan that the account has; empty for none."),
        column(
            "settled",
            Amount,
            "Credits in the lots minus outstanding overage; negative when overage is larger.",
        ),
        column("held", Amount, "Credits reserved by open holds; not negative."),
        column(
            "in_grace",
            Amount,
            "Credits in lots past their expiry and within grace; only late usage draws them.",
        ),
        column("available", Amount, "Credits that can be spent now: settled - in_grace - held."),
        column("overage", Amount, "Outstanding overage or overdraft, as a positive amount."),
        column("entry_id", Text, "That entry: partition-number, as 3-8812."),
        column("ledger_partition", UInt32, "Partition of ledger.entries that holds it."),
        column("ledger_offset", Int64, "Its offset in that partition."),
    ],
    select: "SELECT
    b.account AS account,
    b.sequence AS sequence,
    b.as_of AS as_of,
    p.plan AS plan,
    b.settled AS settled,
    b.held AS held,
    b.in_grace AS in_grace,
    b.available AS available,
    b.overage AS overage,
    b.entry_id AS entry_id,
    b.ledger_partition AS ledger_partition,
    b.ledger_offset AS ledger_offset
FROM account_balances AS b FINAL
LEFT JOIN
(
    SELECT c.account AS account, argMax(c.plan, c.sequence) AS plan
    FROM plan_changes AS c
    WHERE c.kind != 'scheduled'
    GROUP BY c.account
) AS p ON p.account = b.account",
};

pub(super) const LOTS: View = View {
    name: "lots",
    comment: "Every lot with what remains of it: one row per account and lot. granted = remaining + drawn + expired + voided + rolled + refunded, and paid = revenue_recognised + deferred + paid_rolled + paid_refunded.",
    columns: &[
        ACCOUNT,
        column("lot", UInt64, "Lot within the account: the sequence of the entry that granted it."),
        CATEGORY,
        column(
            "state",
            Word,
            "upcoming (not yet effective), live, in_grace (past its expiry, drawn only by late usage), lapsed (past its grace: what remains is held, and only its holds draw it), or, once nothing remains: used, expired, voided, rolled or refunded. By the server's clock.",
        ),
        column("priority", UInt32, "Draw-down priority: smaller is drawn first."),
        column("granted", Amount, "Credits granted; positive."),
        column("remaining", Amount, "Credits left; not negative."),
        column(
            "drawn",
            Amount,
            "Credits drawn (by usage, captures and repaid overage), net of what came back; positive.",
        ),
        column("expired", Amount, "Credits forfeited by expiry (breakage); positive."),
        column("voided", Amount, "Credits removed on purpose; positive."),
        column("rolled", Amount, "Credits that rollover moved to another lot; positive."),
        column("refunded", Amount, "Credits taken back against money; positive."),
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
        column(
            "paid_rolled",
            Amount,
            "The part of paid that moved with rolled credits, in currency; positive.",
        ),
        column(
            "paid_refunded",
            Amount,
            "The part of paid that was refunded, in currency; positive.",
        ),
        column(
            "deferred",
            Amount,
            "The part of paid that is not earned yet, in currency; not negative.",
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
        m.remaining <= 0 AND m.rolled > 0, 'rolled',
        m.remaining <= 0 AND m.refunded > 0, 'refunded',
        m.remaining <= 0, 'used',
        g.expires_at + {grace} <= now64(6, 'UTC'), 'lapsed',
        g.expires_at <= now64(6, 'UTC'), 'in_grace',
        g.effective_at > now64(6, 'UTC'), 'upcoming',
        'live') AS state,
    g.priority AS priority,
    g.granted AS granted,
    m.remaining AS remaining,
    m.drawn AS drawn,
    m.expired AS expired,
    m.voided AS voided,
    m.rolled AS rolled,
    m.refunded AS refunded,
    g.effective_at AS effective_at,
    g.expires_at AS expires_at,
    g.paid AS paid,
    g.currency AS currency,
    m.revenue_recognised AS revenue_recognised,
    m.paid_rolled AS paid_rolled,
    m.paid_refunded AS paid_refunded,
    toDecimal256(g.paid, 12) - m.paid_rolled - m.paid_refunded - m.revenue_recognised AS deferred,
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
        -sumIf(toDecimal256(l.credits, 12), l.kind = 'rolled_out') AS rolled,
        -sumIf(toDecimal256(l.credits, 12), l.kind = 'refunded') AS refunded,
        -sumIf(toDecimal256(l.paid, 12), l.kind = 'rolled_out') AS paid_rolled,
        -sumIf(toDecimal256(l.paid, 12), l.kind = 'refunded') AS paid_refunded,
        sum(toDecimal256(l.revenue, 12)) AS revenue_recognised
    FROM lot_movements AS l
    GROUP BY l.account, l.lot
) AS m ON m.account = g.account AND m.lot = g.lot",
};

pub(super) const CREDIT_ROLLFORWARD_DAILY: View = View {
    name: "credit_rollforward_daily",
    comment: "How the credits in all lots moved, per day and category: opening + granted + drawn + expired + voided + returned + refunded + rolled_out + rolled_in = closing, each with its sign. Days without a movement have no row: the closing before is the opening after.",
    columns: &[
        column("day", Date, "Day that the movements count for, UTC (of the expiry for expired credits, of the period's start for what a plan grants or rolls over, else of the ledger time)."),
        CATEGORY,
        column("opening", Amount, "Credits in the lots of the category before the day."),
        column("granted", Amount, "Credits granted; positive or 0."),
        column("drawn", Amount, "Credits drawn by usage and by captures ahead of it, also when a grant repays overage; negative or 0."),
        column("expired", Amount, "Credits forfeited by expiry (breakage); negative or 0."),
        column("voided", Amount, "Credits removed on purpose; negative or 0."),
        column("returned", Amount, "Credits that reversals, and holds that had captured too much, gave back to their lots; positive or 0."),
        column("refunded", Amount, "Credits taken back against money; negative or 0."),
        column("rolled_out", Amount, "Credits that rollover took out of lots; negative or 0."),
        column("rolled_in", Amount, "The same credits in the lots that they moved to; positive or 0."),
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
    d.refunded AS refunded,
    d.rolled_out AS rolled_out,
    d.rolled_in AS rolled_in,
    sum(d.net) OVER (PARTITION BY d.category ORDER BY d.day ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS closing,
    d.revenue AS revenue_recognised
FROM
(
    SELECT
        l.day AS day,
        l.category AS category,
        sum(toDecimal256(l.credits, 12)) AS net,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'granted') AS granted,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'drawn') AS drawn,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'expired') AS expired,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'voided') AS voided,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'returned') AS returned,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'refunded') AS refunded,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'rolled_out') AS rolled_out,
        sumIf(toDecimal256(l.credits, 12), l.kind = 'rolled_in') AS rolled_in,
        sum(toDecimal256(l.revenue, 12)) AS revenue
    FROM
    (
        SELECT toDate(m.dated_at) AS day, m.category AS category, m.kind AS kind, m.credits AS credits, m.revenue AS revenue
        FROM lot_movements AS m
        WHERE NOT m.at_expiry
        UNION ALL
        SELECT toDate(ifNull(g.expires_at, m.dated_at)) AS day, m.category AS category, m.kind AS kind, m.credits AS credits, m.revenue AS revenue
        FROM lot_movements AS m
        LEFT JOIN lot_grants AS g ON g.account = m.account AND g.lot = m.lot
        WHERE m.at_expiry
    ) AS l
    GROUP BY l.day, l.category
) AS d",
};
