//! Holds in their current state, and how those of each source end.

use projection::tables::ColumnType::{Amount, Int64, NullableTime, Text, Time, UInt64, Word};
use projection::tables::column;

use super::View;

pub(super) const HOLDS: View = View {
    name: "holds",
    comment: "Every hold in its current state: one row per account and hold.",
    columns: &[
        column("account", Text, "Account that owns the credits."),
        column("hold", Text, "Hold, named as events name it: hold_3-8812 was reserved by entry 3-8812."),
        column("state", Word, "open, settled, released or expired: how the hold ended first."),
        column("asked", Amount, "Credits that were asked for; more than amount when it was shrunk."),
        column("amount", Amount, "Credits reserved."),
        column(
            "captured",
            Amount,
            "Credits charged on the hold: by its events, or captured ahead of them.",
        ),
        column("held", Amount, "Credits still reserved; 0 once the hold has ended."),
        column("above", Amount, "Credits charged above what was reserved: captured - amount, or 0."),
        column(
            "advanced",
            Amount,
            "Credits captured ahead that no event has used and that did not go back; positive or 0.",
        ),
        column("created_at", Time, "Ledger time of the reservation, UTC."),
        column("expires_at", Time, "When the hold expires unless it is extended, UTC."),
        column("ended_at", NullableTime, "Ledger time of its end, UTC; NULL while it is open."),
        column("user", Text, "User that the hold is for; empty for none."),
        column("team", Word, "Team that the hold is for; empty for none."),
        column("feature", Word, "Feature that the hold is for; empty for none."),
        column("traffic", Word, "Traffic class that the hold is for."),
        column("actor", Text, "Who reserved it."),
        column("reason", Text, "Reason that came with the reservation; empty for none."),
        column("entry_id", Text, "Ledger entry of the reservation: partition-number, as 3-8812."),
        column("changed_at", Time, "Ledger time of the last change, UTC."),
        column("changed_entry_id", Text, "Ledger entry of the last change."),
    ],
    select: "SELECT
    h.account AS account,
    h.hold AS hold,
    if(countIf(h.state != 'open') = 0, 'open', argMinIf(h.state, h.sequence, h.state != 'open')) AS state,
    max(h.asked) AS asked,
    argMax(h.amount, h.sequence) AS amount,
    argMax(h.captured, h.sequence) AS captured,
    if(countIf(h.state != 'open') = 0, argMax(h.held, h.sequence), toDecimal128(0, 12)) AS held,
    greatest(argMax(h.captured, h.sequence) - argMax(h.amount, h.sequence), toDecimal128(0, 12)) AS above,
    sum(toDecimal256(h.advanced, 12)) AS advanced,
    minIf(h.recorded_at, h.step = 'reserved') AS created_at,
    argMax(h.expires_at, h.sequence) AS expires_at,
    if(countIf(h.state != 'open') = 0, NULL, argMinIf(h.recorded_at, h.sequence, h.state != 'open')) AS ended_at,
    anyIf(h.user, h.step = 'reserved') AS user,
    anyIf(h.team, h.step = 'reserved') AS team,
    anyIf(h.feature, h.step = 'reserved') AS feature,
    anyIf(h.traffic, h.step = 'reserved') AS traffic,
    anyIf(h.actor, h.step = 'reserved') AS actor,
    anyIf(h.reason, h.step = 'reserved') AS reason,
    anyIf(h.entry_id, h.step = 'reserved') AS entry_id,
    argMax(h.recorded_at, h.sequence) AS changed_at,
    argMax(h.entry_id, h.sequence) AS changed_entry_id
FROM hold_steps AS h
GROUP BY h.account, h.hold",
};

pub(super) const HOLDS_BY_SOURCE: View = View {
    name: "holds_by_source",
    comment: "How holds end, per source: whoever reserves them (the actor of the call), and producers whose events name holds that do not exist. Many expired or unmatched ones are a fault of that source.",
    columns: &[
        column("source", Text, "Actor of the reservations, or producer (CloudEvents source) of the unmatched events."),
        column("reserved", UInt64, "Holds that were granted; the sum of the four columns after this one."),
        column("open", UInt64, "Those that are open."),
        column("settled", UInt64, "Those that were settled, by a usage event or by a call."),
        column("released", UInt64, "Those that were released."),
        column("expired", UInt64, "Those that expired: nobody settled or released them."),
        column("refused", UInt64, "Holds that were refused."),
        column("unmatched_events", Int64, "Usage events that name a hold that was not found (or ended before with nothing waiting for them), and were charged all the same; net of reversals."),
    ],
    select: "SELECT
    t.source AS source,
    sum(t.reserved) AS reserved,
    sum(t.open) AS open,
    sum(t.settled) AS settled,
    sum(t.released) AS released,
    sum(t.expired) AS expired,
    sum(t.refused) AS refused,
    sum(t.unmatched_events) AS unmatched_events
FROM
(
    SELECT
        o.actor AS source,
        count() AS reserved,
        countIf(o.state = 'open') AS open,
        countIf(o.state = 'settled') AS settled,
        countIf(o.state = 'released') AS released,
        countIf(o.state = 'expired') AS expired,
        toUInt64(0) AS refused,
        toInt64(0) AS unmatched_events
    FROM holds AS o
    GROUP BY o.actor
    UNION ALL
    SELECT r.actor AS source, 0 AS reserved, 0 AS open, 0 AS settled, 0 AS released, 0 AS expired, count() AS refused, toInt64(0) AS unmatched_events
    FROM hold_refusals AS r
    GROUP BY r.actor
    UNION ALL
    SELECT toString(u.source) AS source, 0 AS reserved, 0 AS open, 0 AS settled, 0 AS released, 0 AS expired, toUInt64(0) AS refused, sum(u.events) AS unmatched_events
    FROM usage_lines AS u
    WHERE u.hold != '' AND NOT u.hold_matched
    GROUP BY u.source
) AS t
GROUP BY t.source",
};
