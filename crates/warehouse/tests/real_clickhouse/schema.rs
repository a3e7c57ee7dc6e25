use projection::tables::{TABLES, USAGE_LINES};
use warehouse::views::VIEWS;
use warehouse::{Consequence, Finding, SCHEMA_VERSION, WarehouseError};

use crate::rows::batch;
use crate::server::{self, fresh, rows, unmigrated, value};

#[tokio::test]
async fn migrating_twice_changes_nothing_and_leaves_nothing_to_find() {
    let warehouse = unmigrated().await;
    assert!(
        warehouse
            .check_schema()
            .await
            .unwrap()
            .contains(&Finding::MissingTable { table: "usage_lines".to_owned() })
    );
    assert_eq!(warehouse.migrate().await, Ok(None));
    assert_eq!(warehouse.check_schema().await, Ok(vec![]));
    assert_eq!(warehouse.migrate().await, Ok(Some(SCHEMA_VERSION)));
    assert_eq!(warehouse.check_schema().await, Ok(vec![]));
}

/// A database that the first release made comes to the same end as a new one.
#[tokio::test]
async fn an_old_database_is_brought_to_the_same_end() {
    let warehouse = unmigrated().await;
    let database = warehouse.database();
    let create = format!("CREATE DATABASE {database}");
    server::outside(&create).await;
    let first =
        include_str!("../../ddl/v001.sql").replace("EXISTS ", &format!("EXISTS {database}."));
    for statement in first.split(";\n").filter(|statement| !statement.trim().is_empty()) {
        server::outside(statement).await;
    }
    server::outside(&format!(
        "CREATE TABLE {database}.schema_migrations (version UInt32, name String, applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC'))
         ENGINE = ReplacingMergeTree(applied_at) ORDER BY version"
    ))
    .await;
    server::outside(&format!(
        "INSERT INTO {database}.schema_migrations (version, name) VALUES (1, 'initial tables')"
    ))
    .await;
    // Rows that the first release wrote; its hold names are unmatched, because there were no holds.
    for row in [
        "account_balances (account, sequence, plan, settled) VALUES ('x', 3, '', 7)",
        "usage_lines (account, source, event_id, hold, events, lines, credits) VALUES ('x', '/chat', 'e', 'hold_9', 1, 1, 2)",
        "lot_grants (account, lot, granted, paid) VALUES ('x', 1, 9, 4)",
        "lot_movements (account, lot, kind, credits, dated_at) VALUES ('x', 1, 'granted', 9, '2026-11-20 00:00:00')",
    ] {
        server::outside(&format!("INSERT INTO {database}.{row}")).await;
    }
    assert_eq!(warehouse.migrate().await, Ok(Some(1)));
    assert_eq!(warehouse.check_schema().await, Ok(vec![]));
    // A step that was interrupted before it was recorded runs again, with the rows in place.
    server::outside(&format!(
        "ALTER TABLE {database}.schema_migrations DELETE WHERE version > 1 SETTINGS mutations_sync = 2"
    ))
    .await;
    assert_eq!(warehouse.migrate().await, Ok(Some(1)));
    assert_eq!(warehouse.check_schema().await, Ok(vec![]));
    for (sql, expected) in [
        ("SELECT settled FROM {db}.balances", "7"),
        ("SELECT unmatched_events FROM {db}.holds_by_source WHERE source = '/chat'", "1"),
        ("SELECT sum(credits) FROM {db}.usage_lines WHERE above_hold = 0", "2"),
        ("SELECT deferred FROM {db}.lots", "4"),
        ("SELECT closing FROM {db}.credit_rollforward_daily", "9"),
    ] {
        assert_eq!(value(&warehouse, &sql.replace("{db}", database)).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let warehouse = fresh().await;
    rows(
        &warehouse,
        &format!(
            "INSERT INTO {}.schema_migrations (version, name) VALUES (99, 'x')",
            warehouse.database()
        ),
    )
    .await;
    let refused = WarehouseError::NewerSchema { found: 99, known: SCHEMA_VERSION };
    assert_eq!(refused.consequence(), Consequence::Halt);
    assert_eq!(warehouse.migrate().await, Err(refused));
}

#[tokio::test]
async fn every_column_of_every_table_and_view_has_its_comment() {
    let warehouse = fresh().await;
    let tables = warehouse.tables().await.unwrap();
    // schema_migrations is beside them.
    assert_eq!(tables.len(), TABLES.len() + VIEWS.len() + 1);
    for table in tables {
        assert!(table.comment.len() > 10, "{} has no comment", table.name);
        let described = warehouse.describe(&table.name).await.unwrap().unwrap();
        assert!(!described.columns.is_empty(), "{}", table.name);
        for column in described.columns {
            assert!(column.comment.len() > 10, "{}.{} has no comment", table.name, column.name);
        }
    }
    assert_eq!(warehouse.describe("nothing").await, Ok(None));
}

#[tokio::test]
async fn drift_is_found() {
    let warehouse = fresh().await;
    let text = str::to_owned;
    for (statement, finding, forbids_inserts) in [
        (
            "ALTER TABLE {db}.usage_lines MODIFY COLUMN credits Decimal(38, 6)",
            Finding::WrongType {
                table: text("usage_lines"),
                column: text("credits"),
                expected: text("Decimal(38, 12)"),
                found: text("Decimal(38, 6)"),
            },
            true,
        ),
        (
            "ALTER TABLE {db}.seals DROP COLUMN chain_hash",
            Finding::MissingColumn { table: text("seals"), column: text("chain_hash") },
            true,
        ),
        (
            "ALTER TABLE {db}.seals ADD COLUMN mine UInt8",
            Finding::UnexpectedColumn { table: text("seals"), column: text("mine") },
            false,
        ),
        (
            "ALTER TABLE {db}.lot_grants COMMENT COLUMN paid 'other'",
            Finding::WrongComment { table: text("lot_grants"), column: text("paid") },
            false,
        ),
        (
            "ALTER TABLE {db}.ledger_entries MODIFY SETTING non_replicated_deduplication_window = 0",
            Finding::NoDeduplication { table: text("ledger_entries") },
            true,
        ),
        ("DROP VIEW {db}.balances", Finding::MissingTable { table: text("balances") }, true),
        (
            "DROP TABLE {db}.hold_steps SYNC; CREATE TABLE {db}.hold_steps (account String) ENGINE = Log",
            Finding::WrongEngine {
                table: text("hold_steps"),
                expected: text("MergeTree"),
                found: text("Log"),
            },
            true,
        ),
    ] {
        for statement in statement.replace("{db}", warehouse.database()).split(';') {
            rows(&warehouse, statement).await;
        }
        let findings = warehouse.check_schema().await.unwrap();
        assert!(findings.contains(&finding), "{statement}: {findings:?}");
        assert_eq!(finding.forbids_inserts(), forbids_inserts, "{finding}");
    }
}

#[tokio::test]
async fn shadows_stand_beside_the_live_tables() {
    let live = fresh().await;
    let shadow = live.shadow("replay_1").unwrap();
    assert!(live.shadow("a-b").is_err());
    shadow.create_shadow_tables(&TABLES).await.unwrap();
    assert_eq!(shadow.check_schema().await, Ok(vec![]));
    let batch = batch(&USAGE_LINES, 5, &[&[("ledger_offset", "5")]]);
    shadow.insert(&batch).await;
    assert_eq!(shadow.max_offsets(&USAGE_LINES).await.unwrap().len(), 1);
    assert!(live.max_offsets(&USAGE_LINES).await.unwrap().is_empty());
    shadow.drop_shadow_tables(&TABLES).await.unwrap();
    assert!(live.drop_shadow_tables(&TABLES).await.is_err());
    assert_eq!(live.check_schema().await, Ok(vec![]));
    let count = format!("SELECT count() FROM system.tables WHERE database = '{}'", live.database());
    assert_eq!(value(&live, &count).await, (TABLES.len() + VIEWS.len() + 1).to_string());
}
