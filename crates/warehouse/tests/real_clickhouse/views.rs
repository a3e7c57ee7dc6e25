use projection::tables::{
    ACCOUNT_BALANCES, FRESHNESS_MARKS, HOLD_STEPS, LOT_GRANTS, LOT_MOVEMENTS, QUARANTINE_STEPS,
    UNRATED_STEPS, USAGE_DAILY, USAGE_HOURLY, USAGE_LINES,
};
use serde_json::{Value, json};
use warehouse::Warehouse;
use warehouse::views::VIEWS;

use crate::rows::insert;
use crate::server::{fresh, rows};

pub(crate) async fn select(warehouse: &Warehouse, columns: &str, rest: &str) -> Vec<Value> {
    let (from, order) = rest.split_once(' ').unwrap_or((rest, ""));
    let sql = format!("SELECT {columns} FROM {}.{from} {order}", warehouse.database());
    rows(warehouse, &sql).await
}

#[tokio::test]
async fn every_view_answers_when_there_is_nothing() {
    let warehouse = fresh().await;
    for view in VIEWS {
        assert!(select(&warehouse, "*", view.name).await.is_empty(), "{}", view.name);
    }
}

#[tokio::test]
async fn balances_show_one_current_row_per_account() {
    let warehouse = fresh().await;
    let at = |sequence: &'static str, settled: &'static str, account: &'static str| {
        [("account", account), ("sequence", sequence), ("settled", settled)]
    };
    // The newest is not the last that was inserted.
    let (a, b, c, d) =
        (at("1", "5", "x"), at("3", "2.5", "x"), at("2", "4", "x"), at("7", "1", "y"));
    insert(&warehouse, &ACCOUNT_BALANCES, &[&a, &b, &c, &d]).await;
    assert_eq!(
        select(&warehouse, "account, sequence, settled", "balances ORDER BY account").await,
        [
            json!({"account": "x", "sequence": 3, "settled": "2.5"}),
            json!({"account": "y", "sequence": 7, "settled": "1"}),
        ]
    );
    // A condition on something else than the key looks at current rows only.
    assert!(select(&warehouse, "account", "balances WHERE settled = 5").await.is_empty());
}

/// Three lots: a live one partly drawn and given back, one voided, one expired; and one to come.
pub(crate) async fn insert_lots(warehouse: &Warehouse) {
    let grant = |lot: &'static str,
                 granted: &'static str,
                 effective: &'static str,
                 expires: &'static str| {
        [
            ("account", "x"),
            ("lot", lot),
            ("category", "purchased"),
            ("priority", "50"),
            ("granted", granted),
            ("paid", "10"),
            ("effective_at", effective),
            ("expires_at", expires),
        ]
    };
    const PAST: &str = "2020-01-01T00:00:00Z";
    const FUTURE: &str = "2200-01-01T00:00:00Z";
    insert(
        warehouse,
        &LOT_GRANTS,
        &[
            &grant("1", "100", PAST, FUTURE),
            &grant("2", "50", PAST, FUTURE),
            &grant("3", "20", PAST, "2026-11-02T00:00:00Z"),
            &grant("4", "7", FUTURE, FUTURE),
            &grant("5", "9", PAST, "2026-11-02T00:00:00Z"),
            &grant("6", "3", PAST, FUTURE),
        ],
    )
    .await;
    let moved = |lot: &'static str,
                 kind: &'static str,
                 credits: &'static str,
                 revenue: &'static str,
                 day: &'static str| {
        [
            ("account", "x"),
            ("lot", lot),
            ("category", if lot == "2" { "promotional" } else { "purchased" }),
            ("kind", kind),
            ("credits", credits),
            ("revenue", revenue),
            ("dated_at", day),
        ]
    };
    const FIRST: &str = "2026-11-01T10:00:00Z";
    const SECOND: &str = "2026-11-02T00:00:00Z";
    const THIRD: &str = "2026-11-03T23:59:59.999999Z";
    insert(
        warehouse,
        &LOT_MOVEMENTS,
        &[
            &moved("1", "granted", "100", "0", FIRST),
            &moved("2", "granted", "50", "0", FIRST),
            &moved("3", "granted", "20", "0", FIRST),
            &moved("4", "granted", "7", "0", FIRST),
            &moved("5", "granted", "9", "0", FIRST),
            &moved("6", "granted", "3", "0", FIRST),
            &moved("1", "drawn", "-30.000000000001", "3", SECOND),
            &moved("3", "drawn", "-5", "2.5", FIRST),
            &moved("3", "expired", "-15", "7.5", SECOND),
            &moved("1", "returned", "10", "-1", THIRD),
            &moved("2", "voided", "-50", "0", THIRD),
            &moved("6", "drawn", "-3", "10", THIRD),
        ],
    )
    .await;
}

#[tokio::test]
async fn lots_conserve_and_say_their_state() {
    let warehouse = fresh().await;
    insert_lots(&warehouse).await;
    let columns =
        "lot, state, granted, remaining, drawn, expired, voided, revenue_recognised AS revenue";
    let lot = |lot: u64, state: &str, amounts: [&str; 6]| {
        let [granted, remaining, drawn, expired, voided, revenue] = amounts;
        json!({"lot": lot, "state": state, "granted": granted, "remaining": remaining,
               "drawn": drawn, "expired": expired, "voided": voided, "revenue": revenue})
    };
    assert_eq!(
        select(&warehouse, columns, "lots ORDER BY lot").await,
        [
            lot(1, "live", ["100", "79.999999999999", "20.000000000001", "0", "0", "2"]),
            lot(2, "voided", ["50", "0", "0", "0", "50", "0"]),
            lot(3, "expired", ["20", "0", "5", "15", "0", "10"]),
            lot(4, "upcoming", ["7", "7", "0", "0", "0", "0"]),
            // Weeks past its grace: by the clock, only holds can still draw it.
            lot(5, "lapsed", ["9", "9", "0", "0", "0", "0"]),
            lot(6, "used", ["3", "0", "3", "0", "0", "10"]),
        ]
    );
    let broken = "lots WHERE granted != remaining + drawn + expired + voided";
    assert!(select(&warehouse, "lot", broken).await.is_empty());
}

#[tokio::test]
async fn the_rollforward_opens_where_it_closed() {
    let warehouse = fresh().await;
    insert_lots(&warehouse).await;
    let columns = "day, category, opening, granted, drawn, expired, voided, returned, closing";
    let day = |day: &str, category: &str, amounts: [&str; 7]| {
        let [opening, granted, drawn, expired, voided, returned, closing] = amounts;
        json!({"day": day, "category": category, "opening": opening, "granted": granted, "drawn": drawn,
               "expired": expired, "voided": voided, "returned": returned, "closing": closing})
    };
    assert_eq!(
        select(&warehouse, columns, "credit_rollforward_daily ORDER BY category, day").await,
        [
            day("2026-11-01", "promotional", ["0", "50", "0", "0", "0", "0", "50"]),
            day("2026-11-03", "promotional", ["50", "0", "0", "0", "-50", "0", "0"]),
            day("2026-11-01", "purchased", ["0", "139", "-5", "0", "0", "0", "134"]),
            day(
                "2026-11-02",
                "purchased",
                ["134", "0", "-30.000000000001", "-15", "0", "0", "88.999999999999",]
            ),
            day(
                "2026-11-03",
                "purchased",
                ["88.999999999999", "0", "-3", "0", "0", "10", "95.999999999999",]
            ),
        ]
    );
    let broken = "credit_rollforward_daily WHERE opening + granted + drawn + expired + voided + returned != closing";
    assert!(select(&warehouse, "day", broken).await.is_empty());
}

#[tokio::test]
async fn unrated_usage_and_quarantine_show_their_last_step() {
    let warehouse = fresh().await;
    let unrated =
        |id: &'static str, sequence: &'static str, state: &'static str, reason: &'static str| {
            [
                ("account", "x"),
                ("source", "s"),
                ("event_id", id),
                ("sequence", sequence),
                ("state", state),
                ("reason", reason),
                ("event_time", "2026-11-20T12:00:00Z"),
            ]
        };
    insert(
        &warehouse,
        &UNRATED_STEPS,
        &[
            &unrated("e1", "1", "unrated", "no_rule"),
            &unrated("e2", "2", "unrated", "no_rule"),
            &unrated("e1", "5", "charged", ""),
        ],
    )
    .await;
    assert_eq!(
        select(&warehouse, "event_id, reason, event_time", "unrated_usage").await,
        [
            json!({"event_id": "e2", "reason": "no_rule", "event_time": "2026-11-20T12:00:00.000000Z"})
        ]
    );

    let held = [
        ("cause_topic", "usage.raw"),
        ("cause_offset", "7"),
        ("state", "held"),
        ("reason", "too_late"),
        ("event_id", "e"),
        ("bytes", "{}"),
    ];
    let decided = [
        ("cause_topic", "usage.raw"),
        ("cause_offset", "7"),
        ("step", "1"),
        ("state", "rejected"),
        ("actor", "ann"),
        ("recorded_at", "2026-11-21T00:00:00Z"),
    ];
    insert(&warehouse, &QUARANTINE_STEPS, &[&held, &decided]).await;
    assert_eq!(
        select(&warehouse, "state, reason, event_id, bytes, actor, decided_at", "quarantine").await,
        [json!({"state": "rejected", "reason": "too_late", "event_id": "e", "bytes": "{}",
                "actor": "ann", "decided_at": "2026-11-21T00:00:00.000000Z"})]
    );
}

#[tokio::test]
async fn margin_leaves_out_what_has_no_cost_and_says_so() {
    let warehouse = fresh().await;
    // Two deltas of one key, and a model without any cost.
    let costed = [
        ("account", "x"),
        ("day", "2026-11-20"),
        ("feature", "chat"),
        ("model", "m"),
        ("traffic", "customer"),
        ("events", "3"),
        ("model_events", "3"),
        ("lines", "4"),
        ("input", "100"),
        ("cache_read", "20"),
        ("cache_read_audio", "3"),
        ("output", "7"),
        ("reasoning", "2"),
        ("credits", "40"),
        ("credits_purchased", "40"),
        ("vendor_cost", "1.25"),
        ("uncosted_lines", "1"),
        ("revenue", "4"),
        ("revenue_uncosted", "1"),
        ("deltas", "1"),
    ];
    let correction = [
        ("account", "x"),
        ("day", "2026-11-20"),
        ("feature", "chat"),
        ("model", "m"),
        ("traffic", "customer"),
        ("credits", "-10"),
        ("credits_purchased", "-10"),
        ("revenue", "-1"),
        ("deltas", "1"),
    ];
    let uncosted = [
        ("account", "x"),
        ("day", "2026-11-20"),
        ("feature", "chat"),
        ("model", "n"),
        ("traffic", "customer"),
        ("model_events", "2"),
        ("lines", "2"),
        ("credits", "5"),
        ("uncosted_lines", "2"),
        ("revenue", "0.5"),
        ("revenue_uncosted", "0.5"),
        ("deltas", "1"),
    ];
    insert(&warehouse, &USAGE_DAILY, &[&costed, &correction, &uncosted]).await;
    assert_eq!(
        select(
            &warehouse,
            "model, revenue, vendor_cost, margin, uncosted_lines, coverage",
            "margin_by_model ORDER BY model"
        )
        .await,
        [
            json!({"model": "m", "revenue": "3", "vendor_cost": "1.25", "margin": "0.75", "uncosted_lines": 1, "coverage": 0.75}),
            json!({"model": "n", "revenue": "0.5", "vendor_cost": null, "margin": null, "uncosted_lines": 2, "coverage": 0}),
        ]
    );
    assert_eq!(
        select(&warehouse, "feature, events, lines, input_tokens, cached_tokens, output_tokens, credits, vendor_cost", "usage_by_feature").await,
        [json!({"feature": "chat", "events": 3, "lines": 6, "input_tokens": 123, "cached_tokens": 23,
                "output_tokens": 9, "credits": "35", "vendor_cost": "1.25"})]
    );
    assert_eq!(
        select(&warehouse, "model, events, credits", "usage_by_model WHERE model = 'n'").await,
        [json!({"model": "n", "events": 2, "credits": "5"})]
    );
    // The same after the merge.
    rows(&warehouse, &format!("OPTIMIZE TABLE {}.usage_daily FINAL", warehouse.database())).await;
    assert_eq!(
        select(&warehouse, "margin", "margin_by_model WHERE model = 'm'").await,
        [json!({"margin": "0.75"})]
    );
}

#[tokio::test]
async fn a_unit_costs_what_its_median_event_costs() {
    let warehouse = fresh().await;
    let mut lines = Vec::new();
    let numbers: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    for number in &numbers {
        lines.push(vec![
            ("event_time", "2026-11-20T12:00:00Z"),
            ("account", "x"),
            ("source", "s"),
            ("event_id", number.as_str()),
            ("feature", "chat"),
            ("model", "m"),
            ("lines", "1"),
            ("input", number.as_str()),
            ("credits", number.as_str()),
            ("vendor_cost", number.as_str()),
        ]);
    }
    // Event 20 is repriced to 40, event 1 is reversed, and an event without a cost is added.
    let correction = |id: &'static str, lines: &'static str, credits: &'static str| {
        vec![
            ("event_time", "2026-11-20T12:00:00Z"),
            ("account", "x"),
            ("source", "s"),
            ("event_id", id),
            ("feature", "chat"),
            ("model", "m"),
            ("lines", lines),
            ("input", lines),
            ("credits", credits),
            ("vendor_cost", "0"),
        ]
    };
    lines.push(correction("20", "0", "20"));
    lines.push(correction("1", "-1", "-1"));
    lines.push(vec![
        ("event_time", "2026-11-20T12:00:00Z"),
        ("event_id", "21"),
        ("feature", "chat"),
        ("model", "m"),
        ("lines", "1"),
        ("uncosted_lines", "1"),
        ("cost_missing_reason", "no_vendor_price"),
        ("credits", "3"),
        ("input", "3"),
    ]);
    let lines: Vec<_> = lines.iter().map(Vec::as_slice).collect();
    insert(&warehouse, &USAGE_LINES, &lines).await;
    assert_eq!(
        select(&warehouse, "events, credits_median, credits_p95, vendor_cost_median, vendor_cost_p95, uncosted_events, tokens_median", "unit_cost_daily").await,
        // Of 2, 3, 3, 4, … 19, 40: the tenth, and the twentieth.
        [json!({"events": 20, "credits_median": "10", "credits_p95": "40", "vendor_cost_median": "11",
                "vendor_cost_p95": "20", "uncosted_events": 1, "tokens_median": 10})]
    );
    assert_eq!(
        select(&warehouse, "model, reason, lines, credits", "uncosted_usage").await,
        [json!({"model": "m", "reason": "no_vendor_price", "lines": 1, "credits": "3"})]
    );
}

#[tokio::test]
async fn the_overview_joins_the_balance_with_recent_usage() {
    let warehouse = fresh().await;
    insert_lots(&warehouse).await;
    let hold =
        |hold, state| [("account", "x"), ("hold", hold), ("step", "reserved"), ("state", state)];
    insert(&warehouse, &HOLD_STEPS, &[&hold("a", "open"), &hold("b", "released")]).await;
    let unrated = [("account", "x"), ("source", "s"), ("event_id", "e"), ("state", "unrated")];
    insert(&warehouse, &UNRATED_STEPS, &[&unrated]).await;
    let balance =
        |account: &'static str| [("account", account), ("sequence", "1"), ("settled", "8")];
    insert(&warehouse, &ACCOUNT_BALANCES, &[&balance("x"), &balance("idle")]).await;
    let used = |hour: &'static str, credits: &'static str| {
        [
            ("account", "x"),
            ("hour", hour),
            ("events", "1"),
            ("lines", "1"),
            ("credits", credits),
            ("vendor_cost", "0.5"),
            ("deltas", "1"),
        ]
    };
    insert(
        &warehouse,
        &USAGE_HOURLY,
        &[&used("2020-01-01T00:00:00Z", "7"), &used("2100-01-01T00:00:00Z", "2")],
    )
    .await;
    assert_eq!(
        select(&warehouse, "account, settled, events_30_days AS events, credits_30_days AS credits, vendor_cost_30_days AS cost, last_usage_hour AS last", "account_overview ORDER BY account").await,
        [
            json!({"account": "idle", "settled": "8", "events": 0, "credits": "0", "cost": "0", "last": null}),
            json!({"account": "x", "settled": "8", "events": 1, "credits": "2", "cost": "0.5", "last": "2100-01-01T00:00:00.000000Z"}),
        ]
    );
    // Lot 4 is not effective yet.
    assert_eq!(
        select(
            &warehouse,
            "included, promotional, purchased, open_holds, unrated_events",
            "account_overview WHERE account = 'x'"
        )
        .await,
        [json!({"included": "0", "promotional": "0", "purchased": "88.999999999999",
                "open_holds": 1, "unrated_events": 1})]
    );
}

#[tokio::test]
async fn freshness_is_per_table_and_complete_up_to_the_slowest_partition() {
    let warehouse = fresh().await;
    let mark = |table: &'static str,
                partition: &'static str,
                at: &'static str,
                as_of: &'static str,
                offset: &'static str,
                lag: &'static str| {
        [
            ("table", table),
            ("ledger_partition", partition),
            ("marked_at", at),
            ("as_of", as_of),
            ("ledger_offset", offset),
            ("lag_records", lag),
        ]
    };
    insert(
        &warehouse,
        &FRESHNESS_MARKS,
        &[
            &mark("*", "0", "2026-11-20T12:00:01Z", "2026-11-20T12:00:00Z", "10", "5"),
            &mark("*", "0", "2026-11-20T12:00:03Z", "2026-11-20T12:00:02Z", "20", "0"),
            &mark("*", "1", "2026-11-20T12:00:02Z", "2026-11-20T12:00:01Z", "7", "1"),
            &mark("lot_grants", "1", "2026-11-20T12:00:04Z", "2026-11-20T12:00:04Z", "9", "0"),
        ],
    )
    .await;
    let columns = "ledger_partition AS p, ledger_offset, lag_records, complete_up_to, lag_seconds > 0 AS late";
    assert_eq!(
        select(&warehouse, columns, "freshness WHERE table = 'usage_lines' ORDER BY p").await,
        [
            json!({"p": 0, "ledger_offset": 20, "lag_records": 0, "complete_up_to": "2026-11-20T12:00:01.000000Z", "late": 1}),
            json!({"p": 1, "ledger_offset": 7, "lag_records": 1, "complete_up_to": "2026-11-20T12:00:01.000000Z", "late": 1}),
        ]
    );
    assert_eq!(
        select(
            &warehouse,
            columns,
            "freshness WHERE table = 'lot_grants' AND ledger_partition = 1"
        )
        .await,
        [
            json!({"p": 1, "ledger_offset": 9, "lag_records": 0, "complete_up_to": "2026-11-20T12:00:02.000000Z", "late": 1})
        ]
    );
    assert_eq!(
        select(
            &warehouse,
            "ledger_partition AS p, lag_records, lag_seconds",
            "freshness_history ORDER BY p"
        )
        .await,
        [
            json!({"p": 0, "lag_records": 5, "lag_seconds": 1}),
            json!({"p": 1, "lag_records": 1, "lag_seconds": 1}),
        ]
    );
}

/// Marks older than two days fold into one row per key instead of vanishing: a projector that has
/// stood still since last week is late, not unknown.
#[tokio::test]
async fn old_marks_leave_their_newest() {
    let warehouse = fresh().await;
    let mark = |at: &'static str, offset: &'static str, lag: &'static str| {
        [
            ("table", "*"),
            ("marked_at", at),
            ("as_of", at),
            ("ledger_offset", offset),
            ("lag_records", lag),
        ]
    };
    insert(
        &warehouse,
        &FRESHNESS_MARKS,
        &[
            &mark("2020-01-01T00:00:00Z", "1", "9"),
            &mark("2020-01-02T00:00:00Z", "2", "3"),
            &mark("2020-01-01T12:00:00Z", "1", "4"),
        ],
    )
    .await;
    rows(&warehouse, &format!("OPTIMIZE TABLE {}.freshness_marks FINAL", warehouse.database()))
        .await;
    assert_eq!(
        select(&warehouse, "marked_at, as_of, ledger_offset, lag_records", "freshness_marks").await,
        [
            json!({"marked_at": "2020-01-02T00:00:00.000000Z", "as_of": "2020-01-02T00:00:00.000000Z", "ledger_offset": 2, "lag_records": 3})
        ]
    );
}
