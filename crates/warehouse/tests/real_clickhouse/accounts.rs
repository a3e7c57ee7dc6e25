//! Holds, plans, budgets, and the lots that they move.

use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use projection::tables::{
    ACCOUNT_BALANCES, BUDGET_STEPS, HOLD_REFUSALS, HOLD_STEPS, LOT_GRANTS, LOT_MOVEMENTS,
    PLAN_CHANGES, Table, USAGE_LINES,
};
use serde_json::{Value, json};
use warehouse::Warehouse;

use crate::rows::insert;
use crate::server::fresh;
use crate::views::{insert_lots, select};

const PAST: &str = "2020-01-01T00:00:00Z";
const FUTURE: &str = "2200-01-01T00:00:00Z";

/// Rows of account x, given as values of named columns.
async fn rows<const N: usize>(
    warehouse: &Warehouse,
    table: &'static Table,
    columns: [&str; N],
    values: &[[&str; N]],
) {
    let rows: Vec<Vec<(&str, &str)>> = values
        .iter()
        .map(|row| {
            let named = columns.iter().copied().zip(row.iter().copied());
            [("account", "x")]
                .into_iter()
                .chain(named.filter(|(_, value)| !value.is_empty()))
                .collect()
        })
        .collect();
    let rows: Vec<_> = rows.iter().map(Vec::as_slice).collect();
    insert(warehouse, table, &rows).await;
}

#[tokio::test]
async fn a_hold_is_what_its_steps_make_it() {
    let warehouse = fresh().await;
    // Inserted in another order than they happened. a: 10 reserved of 12 asked, 4 captured ahead, an
    // event of 12 uses them and settles it. b: captures 5, expires with 2 of them given back, and an
    // event uses the others later. c: open, extended.
    rows(
        &warehouse,
        &HOLD_STEPS,
        [
            "hold",
            "sequence",
            "step",
            "state",
            "asked",
            "amount",
            "captured",
            "held",
            "above",
            "advanced",
            "recorded_at",
            "expires_at",
            "actor",
            "user",
            "entry_id",
        ],
        &[
            [
                "a",
                "7",
                "charged",
                "settled",
                "",
                "10",
                "12",
                "0",
                "2",
                "-4",
                "2026-11-20T12:00:30Z",
                "2026-11-20T12:01:00Z",
                "",
                "",
                "0-7",
            ],
            [
                "a",
                "2",
                "reserved",
                "open",
                "12",
                "10",
                "0",
                "10",
                "0",
                "0",
                "2026-11-20T12:00:00Z",
                "2026-11-20T12:01:00Z",
                "app",
                "u",
                "0-2",
            ],
            [
                "a",
                "3",
                "captured",
                "open",
                "",
                "10",
                "4",
                "6",
                "0",
                "4",
                "2026-11-20T12:00:10Z",
                "2026-11-20T12:01:00Z",
                "app",
                "",
                "0-3",
            ],
            [
                "b",
                "9",
                "expired",
                "expired",
                "",
                "8",
                "3",
                "0",
                "0",
                "-2",
                "2026-11-20T12:02:00Z",
                "2026-11-20T12:02:00Z",
                "",
                "",
                "0-9",
            ],
            [
                "b",
                "4",
                "reserved",
                "open",
                "8",
                "8",
                "0",
                "8",
                "0",
                "0",
                "2026-11-20T12:01:00Z",
                "2026-11-20T12:02:00Z",
                "app",
                "",
                "0-4",
            ],
            [
                "b",
                "5",
                "captured",
                "open",
                "",
                "8",
                "5",
                "3",
                "0",
                "5",
                "2026-11-20T12:01:30Z",
                "2026-11-20T12:02:00Z",
                "app",
                "",
                "0-5",
            ],
            [
                "b",
                "11",
                "charged",
                "settled",
                "",
                "8",
                "3",
                "0",
                "0",
                "-3",
                "2026-11-20T12:05:00Z",
                "2026-11-20T12:02:00Z",
                "",
                "",
                "0-11",
            ],
            [
                "c",
                "13",
                "extended",
                "open",
                "",
                "1",
                "0",
                "1",
                "0",
                "0",
                "2026-11-20T12:06:30Z",
                "2026-11-20T12:09:00Z",
                "bot",
                "",
                "0-13",
            ],
            [
                "c",
                "12",
                "reserved",
                "open",
                "1",
                "1",
                "0",
                "1",
                "0",
                "0",
                "2026-11-20T12:06:00Z",
                "2026-11-20T12:07:00Z",
                "bot",
                "",
                "0-12",
            ],
        ],
    )
    .await;
    let columns = "hold, state, asked, amount, captured, held, above, advanced, expires_at, ended_at, user, actor, entry_id, changed_entry_id AS last";
    let at = |time: &str| format!("2026-11-20T{time}.000000Z");
    assert_eq!(
        select(&warehouse, columns, "holds ORDER BY hold").await,
        [
            json!({"hold": "a", "state": "settled", "asked": "12", "amount": "10", "captured": "12", "held": "0", "above": "2", "advanced": "0",
                   "expires_at": at("12:01:00"), "ended_at": at("12:00:30"), "user": "u", "actor": "app", "entry_id": "0-2", "last": "0-7"}),
            json!({"hold": "b", "state": "expired", "asked": "8", "amount": "8", "captured": "3", "held": "0", "above": "0", "advanced": "0",
                   "expires_at": at("12:02:00"), "ended_at": at("12:02:00"), "user": "", "actor": "app", "entry_id": "0-4", "last": "0-11"}),
            json!({"hold": "c", "state": "open", "asked": "1", "amount": "1", "captured": "0", "held": "1", "above": "0", "advanced": "0",
                   "expires_at": at("12:09:00"), "ended_at": null, "user": "", "actor": "bot", "entry_id": "0-12", "last": "0-13"}),
        ]
    );

    rows(&warehouse, &HOLD_REFUSALS, ["sequence", "actor"], &[["20", "app"], ["21", "app"]]).await;
    let lines = ["source", "hold", "hold_matched", "events", "event_id"];
    rows(
        &warehouse,
        &USAGE_LINES,
        lines,
        &[
            ["/chat", "a", "true", "1", "e1"],
            ["/chat", "hold_9-9", "", "1", "e2"],
            ["/chat", "hold_9-9", "", "", "e2"],
            ["/chat", "hold_9-8", "", "1", "e3"],
            ["/chat", "hold_9-8", "", "-1", "e3"],
            ["/chat", "", "", "1", "e4"],
        ],
    )
    .await;
    let columns = "source, reserved, open, settled, released, expired, refused, unmatched_events AS unmatched";
    let source = |source: &str, counts: [u64; 7]| {
        let [reserved, open, settled, released, expired, refused, unmatched] = counts;
        json!({"source": source, "reserved": reserved, "open": open, "settled": settled, "released": released,
               "expired": expired, "refused": refused, "unmatched": unmatched})
    };
    assert_eq!(
        select(&warehouse, columns, "holds_by_source ORDER BY source").await,
        [
            source("/chat", [0, 0, 0, 0, 0, 0, 1]),
            source("app", [2, 0, 1, 0, 1, 2, 0]),
            source("bot", [1, 1, 0, 0, 0, 0, 0]),
        ]
    );
}

#[tokio::test]
async fn lots_show_what_rolled_and_what_was_refunded() {
    let warehouse = fresh().await;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let an_hour_ago = i64::try_from(since_1970.as_secs()).unwrap() - 3_600;
    let an_hour_ago = Timestamp::from_seconds(an_hour_ago).to_string();
    rows(
        &warehouse,
        &LOT_GRANTS,
        ["lot", "category", "granted", "paid", "effective_at", "expires_at"],
        &[
            ["1", "included", "100", "10", PAST, "2026-11-02T00:00:00Z"],
            ["5", "included", "40", "4", PAST, FUTURE],
            ["7", "purchased", "50", "5", PAST, ""],
            ["8", "purchased", "6", "", PAST, "2026-11-02T00:00:00Z"],
            ["9", "purchased", "6", "", PAST, &an_hour_ago],
        ],
    )
    .await;
    const FIRST: &str = "2026-11-01T10:00:00Z";
    const SECOND: &str = "2026-11-02T01:00:00Z";
    const NINTH: &str = "2026-11-09T01:00:00Z";
    rows(
        &warehouse,
        &LOT_MOVEMENTS,
        ["lot", "category", "kind", "credits", "revenue", "paid", "dated_at", "at_expiry"],
        &[
            ["1", "included", "granted", "100", "", "", FIRST, ""],
            ["1", "included", "drawn", "-60", "6", "", FIRST, ""],
            ["1", "included", "rolled_out", "-40", "", "-4", SECOND, ""],
            ["5", "included", "rolled_in", "40", "", "", SECOND, ""],
            ["7", "purchased", "granted", "50", "", "", FIRST, ""],
            ["7", "purchased", "drawn", "-20", "2", "", FIRST, ""],
            ["7", "purchased", "returned", "10", "-1", "", SECOND, ""],
            ["7", "purchased", "refunded", "-40", "1", "-3", SECOND, ""],
            // Drawn on the first, given back on the ninth, after the expiry on the second.
            ["8", "purchased", "granted", "6", "", "", FIRST, ""],
            ["8", "purchased", "drawn", "-2", "", "", FIRST, ""],
            ["8", "purchased", "expired", "-1", "", "", "2026-11-02T00:00:00Z", ""],
            ["8", "purchased", "returned", "2", "", "", NINTH, "true"],
            ["8", "purchased", "expired", "-2", "", "", NINTH, "true"],
            ["9", "purchased", "granted", "6", "", "", NINTH, ""],
        ],
    )
    .await;
    let columns = "lot, state, remaining, drawn, expired, rolled, refunded, revenue_recognised AS revenue, paid_rolled, paid_refunded, deferred";
    let lot = |lot: u64, state: &str, amounts: [&str; 9]| {
        let [
            remaining,
            drawn,
            expired,
            rolled,
            refunded,
            revenue,
            paid_rolled,
            paid_refunded,
            deferred,
        ] = amounts;
        json!({"lot": lot, "state": state, "remaining": remaining, "drawn": drawn, "expired": expired, "rolled": rolled, "refunded": refunded,
               "revenue": revenue, "paid_rolled": paid_rolled, "paid_refunded": paid_refunded, "deferred": deferred})
    };
    assert_eq!(
        select(&warehouse, columns, "lots ORDER BY lot").await,
        [
            lot(1, "rolled", ["0", "60", "0", "40", "0", "6", "4", "0", "0"]),
            lot(5, "live", ["40", "0", "0", "0", "0", "0", "0", "0", "4"]),
            lot(7, "refunded", ["0", "10", "0", "0", "40", "2", "0", "3", "0"]),
            // Past its grace, with three credits that a hold holds.
            lot(8, "lapsed", ["3", "0", "3", "0", "0", "0", "0", "0", "0"]),
            lot(9, "in_grace", ["6", "0", "0", "0", "0", "0", "0", "0", "0"]),
        ]
    );
    let broken = "lots WHERE granted != remaining + drawn + expired + voided + rolled + refunded
        OR paid != revenue_recognised + deferred + paid_rolled + paid_refunded";
    assert!(select(&warehouse, "lot", broken).await.is_empty());

    let columns = "day, category, opening, granted, drawn, expired, returned, refunded, rolled_out AS out, rolled_in AS in, closing";
    let day = |day: &str, category: &str, amounts: [&str; 9]| {
        let [opening, granted, drawn, expired, returned, refunded, out, moved_in, closing] =
            amounts;
        json!({"day": day, "category": category, "opening": opening, "granted": granted, "drawn": drawn, "expired": expired,
               "returned": returned, "refunded": refunded, "out": out, "in": moved_in, "closing": closing})
    };
    assert_eq!(
        select(&warehouse, columns, "credit_rollforward_daily ORDER BY category, day").await,
        [
            day("2026-11-01", "included", ["0", "100", "-60", "0", "0", "0", "0", "0", "40"]),
            day("2026-11-02", "included", ["40", "0", "0", "0", "0", "0", "-40", "40", "40"]),
            day("2026-11-01", "purchased", ["0", "56", "-22", "0", "0", "0", "0", "0", "34"]),
            day("2026-11-02", "purchased", ["34", "0", "0", "-3", "12", "-40", "0", "0", "3"]),
            day("2026-11-09", "purchased", ["3", "6", "0", "0", "0", "0", "0", "0", "9"]),
        ]
    );
}

const PLAN: [&str; 9] = [
    "sequence",
    "kind",
    "plan",
    "replaces",
    "from_at",
    "period_start",
    "period_end",
    "trial",
    "granted",
];
const NOVEMBER: &str = "2026-11-01T00:00:00Z";
const DECEMBER: &str = "2026-12-01T00:00:00Z";
const JANUARY: &str = "2027-01-01T00:00:00Z";

async fn subscription(warehouse: &Warehouse) -> Value {
    let columns = "plan, since, period_start AS from, period_end AS to, trial, allowance, period_sequence AS first, scheduled_plan AS next, scheduled_from AS at";
    let found = select(warehouse, columns, "subscriptions").await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

fn shown(time: &str) -> String {
    time.replace('Z', ".000000Z")
}

#[tokio::test]
async fn a_subscription_is_the_last_change_and_its_allowance_that_of_the_period() {
    let warehouse = fresh().await;
    // A trial; the first period; an upgrade in its middle; a wish for the renewal.
    rows(
        &warehouse,
        &PLAN_CHANGES,
        PLAN,
        &[
            ["9", "scheduled", "basic", "", DECEMBER, "", "", "", ""],
            ["2", "renewed", "basic", "", NOVEMBER, NOVEMBER, DECEMBER, "", "100"],
            [
                "1",
                "assigned",
                "basic",
                "",
                "2026-10-20T00:00:00Z",
                "2026-10-20T00:00:00Z",
                NOVEMBER,
                "true",
                "7",
            ],
            [
                "5",
                "assigned",
                "pro",
                "basic",
                "2026-11-16T00:00:00Z",
                NOVEMBER,
                DECEMBER,
                "",
                "450",
            ],
        ],
    )
    .await;
    assert_eq!(
        subscription(&warehouse).await,
        json!({"plan": "pro", "since": shown("2026-11-16T00:00:00Z"), "from": shown(NOVEMBER), "to": shown(DECEMBER), "trial": false,
               "allowance": "550", "first": 2, "next": "basic", "at": shown(DECEMBER)})
    );
    // The wish is taken back.
    rows(&warehouse, &PLAN_CHANGES, PLAN, &[["10", "scheduled", "", "", DECEMBER, "", "", "", ""]])
        .await;
    let taken_back = subscription(&warehouse).await;
    assert_eq!((&taken_back["next"], &taken_back["at"]), (&json!(""), &Value::Null));
    // The renewal.
    rows(
        &warehouse,
        &PLAN_CHANGES,
        PLAN,
        &[["12", "renewed", "basic", "pro", DECEMBER, DECEMBER, JANUARY, "", "100"]],
    )
    .await;
    assert_eq!(
        subscription(&warehouse).await,
        json!({"plan": "basic", "since": shown(DECEMBER), "from": shown(DECEMBER), "to": shown(JANUARY), "trial": false,
               "allowance": "100", "first": 12, "next": "", "at": null})
    );
    // A plan that nothing renews, and the same window once more: not the same period.
    rows(
        &warehouse,
        &PLAN_CHANGES,
        PLAN,
        &[
            ["14", "assigned", "free", "basic", "2026-12-03T00:00:00Z", "", "", "", ""],
            ["15", "assigned", "pro", "free", "2026-12-04T00:00:00Z", DECEMBER, JANUARY, "", "870"],
        ],
    )
    .await;
    let again = subscription(&warehouse).await;
    assert_eq!(
        (&again["plan"], &again["allowance"], &again["first"]),
        (&json!("pro"), &json!("870"), &json!(15))
    );
    rows(&warehouse, &ACCOUNT_BALANCES, ["sequence", "settled"], &[["15", "1"]]).await;
    assert_eq!(select(&warehouse, "plan", "balances").await, [json!({"plan": "pro"})]);
}

#[tokio::test]
async fn a_budget_shows_its_terms_and_what_is_used() {
    let warehouse = fresh().await;
    rows(
        &warehouse,
        &BUDGET_STEPS,
        [
            "budget",
            "sequence",
            "step",
            "used",
            "window_start",
            "window_end",
            "limit",
            "period",
            "team",
            "hard",
            "thresholds",
        ],
        &[
            ["month", "8", "used", "30", NOVEMBER, FUTURE, "", "", "", "", ""],
            [
                "month", "3", "set", "0", NOVEMBER, FUTURE, "100", "month", "growth", "true",
                "50,100",
            ],
            ["month", "5", "used", "40", NOVEMBER, FUTURE, "", "", "", "", ""],
            ["past", "4", "set", "12", PAST, NOVEMBER, "10", "day", "", "", ""],
            ["ever", "6", "set", "0", "", "", "5", "", "", "", ""],
            ["ever", "7", "used", "6", "", "", "", "", "", "", ""],
            ["gone", "1", "set", "0", "", "", "5", "", "", "", ""],
            ["gone", "2", "removed", "", "", "", "", "", "", "", ""],
        ],
    )
    .await;
    let columns =
        "budget, team, limit, period, window_start AS from, used, remaining, hard, thresholds";
    assert_eq!(
        select(&warehouse, columns, "budgets ORDER BY budget").await,
        [
            json!({"budget": "ever", "team": "", "limit": "5", "period": "", "from": null, "used": "6", "remaining": "-1", "hard": false, "thresholds": ""}),
            json!({"budget": "month", "team": "growth", "limit": "100", "period": "month", "from": shown(NOVEMBER), "used": "30", "remaining": "70", "hard": true, "thresholds": "50,100"}),
            json!({"budget": "past", "team": "", "limit": "10", "period": "day", "from": shown(PAST), "used": "12", "remaining": "10", "hard": false, "thresholds": ""}),
        ]
    );
}

#[tokio::test]
async fn the_overview_says_all_that_a_balance_says() {
    let warehouse = fresh().await;
    insert_lots(&warehouse).await;
    // Lot 1 is the period's allowance and lot 6 what an upgrade added to it.
    rows(
        &warehouse,
        &PLAN_CHANGES,
        PLAN,
        &[
            ["1", "renewed", "pro", "", NOVEMBER, NOVEMBER, FUTURE, "", "100"],
            ["6", "assigned", "max", "pro", NOVEMBER, NOVEMBER, FUTURE, "", "3"],
        ],
    )
    .await;
    rows(&warehouse, &ACCOUNT_BALANCES, ["sequence", "settled"], &[["9", "88.999999999999"]]).await;
    insert(&warehouse, &ACCOUNT_BALANCES, &[&[("account", "idle"), ("sequence", "1")]]).await;
    let columns = "account, plan, trial, period_start AS from, renews_at, allowance, used, remaining, purchased, next_expiry_at AS at, next_expiry_amount AS expires";
    assert_eq!(
        select(&warehouse, columns, "account_overview ORDER BY account").await,
        [
            json!({"account": "idle", "plan": "", "trial": false, "from": null, "renews_at": null, "allowance": "0", "used": "0", "remaining": "0",
                   "purchased": "0", "at": null, "expires": "0"}),
            json!({"account": "x", "plan": "max", "trial": false, "from": shown(NOVEMBER), "renews_at": shown(FUTURE), "allowance": "103",
                   "used": "23.000000000001", "remaining": "79.999999999999", "purchased": "88.999999999999",
                   "at": shown(FUTURE), "expires": "79.999999999999"}),
        ]
    );
}
