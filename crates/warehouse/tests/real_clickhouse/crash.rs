//! Inserts happen once: repeats, restarts, lost answers, kills, and a deduplication log that lies.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use domain::{Offset, Partition};
use projection::tables::{
    DEAD_LETTERS, LEDGER_ENTRIES, TABLES, Table, UNRATED_STEPS, USAGE_DAILY, USAGE_HOURLY,
};
use testkit::{ClickHouse, HttpMode, HttpProxy};
use warehouse::{Batch, INSERT_ROWS_MAX, InsertOutcome, Warehouse};

use crate::rows::{batch, encode};
use crate::server::{connect, fresh, value};

const PATIENCE: Duration = Duration::from_secs(30);

async fn count(warehouse: &Warehouse, table: &Table) -> String {
    value(warehouse, &format!("SELECT count() FROM {}.{}", warehouse.database(), table.name)).await
}

/// Two rows of the ledger at offsets `from` and `from + 1`.
fn entries(from: i64) -> Batch {
    let (first, second) = (from.to_string(), (from + 1).to_string());
    let row = |offset| [("account", "a"), ("sequence", offset), ("ledger_offset", offset)];
    batch(&LEDGER_ENTRIES, from, &[&row(&first), &row(&second)])
}

/// Starts the server again, and forgets the connections to the old one.
async fn restart(server: &mut ClickHouse) -> Warehouse {
    server.restart().unwrap();
    connect(&server.http_url(), "t").await
}

#[tokio::test]
async fn a_token_is_taken_once_across_a_restart() {
    let mut server = ClickHouse::start().unwrap();
    let warehouse = connect(&server.http_url(), "t").await;
    warehouse.migrate().await.unwrap();
    assert_eq!(warehouse.insert(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(warehouse.insert(&entries(0)).await, InsertOutcome::Stored);
    let warehouse = restart(&mut server).await;
    assert_eq!(warehouse.insert(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(warehouse.insert_again(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(warehouse.insert(&entries(2)).await, InsertOutcome::Stored);
    assert_eq!(count(&warehouse, &LEDGER_ENTRIES).await, "4");
    let offsets = warehouse.max_offsets(&LEDGER_ENTRIES).await.unwrap();
    assert_eq!(offsets.into_iter().collect::<Vec<_>>(), [(Partition(0), Offset(3))]);
}

#[tokio::test]
async fn every_table_takes_its_token_once() {
    let warehouse = fresh().await;
    for table in TABLES {
        // Late enough for no TTL to take the row.
        let times = ["recorded_at", "marked_at", "retried_at"]
            .into_iter()
            .filter(|name| table.column(name).is_some());
        let row: Vec<_> = times.map(|name| (name, "2100-01-01T00:00:00Z")).collect();
        let batch = batch(table, 0, &[&row]);
        for _ in 0..2 {
            assert_eq!(warehouse.insert(&batch).await, InsertOutcome::Stored);
        }
        assert_eq!(warehouse.insert_again(&batch).await, InsertOutcome::Stored);
        assert_eq!(count(&warehouse, table).await, "1", "{}", table.name);
    }
}

/// A rebuild brings letters that are past their time: they go at once, and that is no lie.
#[tokio::test]
async fn rows_that_leave_with_age_are_taken_all_the_same() {
    let warehouse = fresh().await;
    let old = batch(&DEAD_LETTERS, 0, &[&[("recorded_at", "2020-01-01T00:00:00Z")]]);
    for _ in 0..2 {
        assert_eq!(warehouse.insert_again(&old).await, InsertOutcome::Stored);
    }
    let optimize = format!("OPTIMIZE TABLE {}.dead_letters FINAL", warehouse.database());
    crate::server::rows(&warehouse, &optimize).await;
    assert_eq!(count(&warehouse, &DEAD_LETTERS).await, "0");
    assert_eq!(warehouse.insert_again(&old).await, InsertOutcome::Stored);
}

#[tokio::test]
async fn an_answer_that_is_lost_leaves_the_outcome_unknown_and_the_rows_once() {
    let server = ClickHouse::start().unwrap();
    let proxy = HttpProxy::before(server.http_port()).unwrap();
    let warehouse = connect(&proxy.url(), "t").await;
    warehouse.migrate().await.unwrap();

    proxy.set(HttpMode::DropAnswers);
    let outcome = warehouse.insert(&entries(0)).await;
    assert!(matches!(outcome, InsertOutcome::Unknown(_)), "{outcome:?}");
    // The look-up is lost as well.
    let outcome = warehouse.insert_again(&entries(0)).await;
    assert!(matches!(outcome, InsertOutcome::Unknown(_)), "{outcome:?}");

    proxy.set(HttpMode::Pass);
    assert_eq!(warehouse.insert_again(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(count(&warehouse, &LEDGER_ENTRIES).await, "2");
}

/// `rows` rows of the hourly rollup, which SummingMergeTree may merge as it likes.
fn hours(from: i64, rows: usize) -> Batch {
    let offset = from.to_string();
    let accounts: Vec<_> = (0..rows).map(|row| format!("account-{row}")).collect();
    let mut bytes = Vec::new();
    for account in &accounts {
        let row = [
            ("account", account.as_str()),
            ("credits", "1.5"),
            ("lines", "1"),
            ("deltas", "1"),
            ("ledger_offset", &offset),
        ];
        bytes.extend(encode(&USAGE_HOURLY, &[&row]));
    }
    Batch { rows: bytes.into(), row_count: rows, ..batch(&USAGE_HOURLY, from, &[]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_in_the_middle_of_an_insert_has_the_batch_once() {
    const ROWS: usize = 20_000;
    let mut server = ClickHouse::start().unwrap();
    let proxy = HttpProxy::before(server.http_port()).unwrap();
    let direct = connect(&server.http_url(), "t").await;
    direct.migrate().await.unwrap();
    let bytes = hours(0, ROWS).rows.len();
    // In the body's first bytes, in its middle, near its end, and (the last) at the answer.
    let cuts = [1_000, bytes / 2, bytes - 1, usize::MAX];
    for (index, cut) in cuts.into_iter().enumerate() {
        let batch = hours(index as i64, ROWS);
        let through_proxy = connect(&proxy.url(), "t").await;
        let kill_at_answer = cut == usize::MAX;
        proxy.set(if kill_at_answer {
            HttpMode::DropAnswers
        } else {
            HttpMode::HoldRequestAfter(cut)
        });
        let sent = batch.clone();
        let sending = tokio::spawn(async move { through_proxy.insert(&sent).await });
        if !kill_at_answer {
            assert!(tokio::task::block_in_place(|| proxy.wait_until_held(PATIENCE)));
            server.kill().unwrap();
        }
        let outcome = sending.await.unwrap();
        assert!(matches!(outcome, InsertOutcome::Unknown(_)), "{outcome:?}");
        proxy.set(HttpMode::Pass);
        let direct = restart(&mut server).await;
        assert_eq!(direct.insert_again(&batch).await, InsertOutcome::Stored);
        let sums = "SELECT toString((sum(lines), sum(credits))) FROM t.usage_hourly";
        let lines = ROWS * (index + 1);
        assert_eq!(value(&direct, sums).await, format!("({lines},{})", lines * 3 / 2), "cut {cut}");
    }
}

/// The folder of a table's files.
async fn folder(warehouse: &Warehouse, server: &ClickHouse, table: &Table) -> PathBuf {
    let sql = format!(
        "SELECT data_paths[1] FROM system.tables WHERE database = '{}' AND name = '{}'",
        warehouse.database(),
        table.name
    );
    server.directory().join(value(warehouse, &sql).await)
}

/// A crash after the token was written to the deduplication log and before the part was named: what
/// it leaves is made here by hand, because it takes a kill within microseconds.
#[tokio::test]
async fn a_token_without_its_rows_does_not_lose_them() {
    let mut server = ClickHouse::start().unwrap();
    let warehouse = connect(&server.http_url(), "t").await;
    warehouse.migrate().await.unwrap();
    assert_eq!(warehouse.insert(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(warehouse.insert(&entries(2)).await, InsertOutcome::Stored);
    let folder = folder(&warehouse, &server, &LEDGER_ENTRIES).await;
    server.kill().unwrap();
    fs::remove_dir_all(folder.join("all_2_2_0")).unwrap();
    let warehouse = restart(&mut server).await;

    // Deduplication alone answers that all is well.
    assert_eq!(warehouse.insert(&entries(2)).await, InsertOutcome::Stored);
    assert_eq!(count(&warehouse, &LEDGER_ENTRIES).await, "2");

    assert_eq!(warehouse.insert_again(&entries(2)).await, InsertOutcome::Stored);
    assert_eq!(warehouse.insert_again(&entries(2)).await, InsertOutcome::Stored);
    assert_eq!(count(&warehouse, &LEDGER_ENTRIES).await, "4");
}

/// A crash after the part was named and before its token was in the log.
#[tokio::test]
async fn rows_without_their_token_are_not_stored_twice() {
    let mut server = ClickHouse::start().unwrap();
    let warehouse = connect(&server.http_url(), "t").await;
    warehouse.migrate().await.unwrap();
    assert_eq!(warehouse.insert(&entries(0)).await, InsertOutcome::Stored);
    let folder = folder(&warehouse, &server, &LEDGER_ENTRIES).await;
    server.kill().unwrap();
    fs::remove_dir_all(folder.join("deduplication_logs")).unwrap();
    let warehouse = restart(&mut server).await;

    assert_eq!(warehouse.insert_again(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(count(&warehouse, &LEDGER_ENTRIES).await, "2");

    // Deduplication alone would have doubled them.
    assert_eq!(warehouse.insert(&entries(0)).await, InsertOutcome::Stored);
    assert_eq!(count(&warehouse, &LEDGER_ENTRIES).await, "4");
}

/// Dictionaries of 256 and 257 words, and of 65,536 and 65,537: where indexes get wider.
#[tokio::test]
async fn words_arrive_as_they_were_sent_however_many_there_are() {
    let warehouse = fresh().await;
    for (from, words) in [(0, 256), (1, 257), (2, 65_536), (3, 65_537)] {
        let mut bytes = Vec::new();
        for word in 0..=words {
            // The first word comes again at the end, and one is empty.
            let source = if word == 1 { String::new() } else { format!("word-{}", word % words) };
            let id = (word % words).to_string();
            let row = [("source", source.as_str()), ("event_id", &id), ("account", &id)];
            bytes.extend(encode(&UNRATED_STEPS, &[&row]));
        }
        let row_count = words + 1;
        let sent = Batch { rows: bytes.into(), row_count, ..batch(&UNRATED_STEPS, from, &[]) };
        assert_eq!(warehouse.insert(&sent).await, InsertOutcome::Stored);
        let table = format!("{}.unrated_steps", warehouse.database());
        let counted = format!(
            "SELECT toString((count(), uniqExact(source), countIf(source = if(event_id = '1', '', 'word-' || event_id)))) FROM {table}"
        );
        assert_eq!(value(&warehouse, &counted).await, format!("({row_count},{words},{row_count})"));
        crate::server::rows(&warehouse, &format!("TRUNCATE TABLE {table}")).await;
    }
}

#[tokio::test]
async fn the_largest_batch_is_one_part() {
    let warehouse = fresh().await;
    let row = encode(&USAGE_DAILY, &[&[("account", "a"), ("lines", "1"), ("deltas", "1")]]);
    let rows = 400_000;
    let full =
        Batch { rows: row.repeat(rows).into(), row_count: rows, ..batch(&USAGE_DAILY, 0, &[]) };
    assert_eq!(warehouse.insert(&full).await, InsertOutcome::Stored);
    let parts = format!(
        "SELECT toString((count(), sum(rows))) FROM system.parts
         WHERE database = '{}' AND table = 'usage_daily' AND level = 0",
        warehouse.database()
    );
    assert_eq!(value(&warehouse, &parts).await, format!("(1,{rows})"));

    let small = encode(&projection::tables::FRESHNESS_MARKS, &[&[]]);
    let over = INSERT_ROWS_MAX + 1;
    let too_many = Batch {
        row_count: over,
        rows: small.into(),
        ..batch(&projection::tables::FRESHNESS_MARKS, 0, &[])
    };
    assert!(matches!(warehouse.insert(&too_many).await, InsertOutcome::Refused(_)));
}

#[tokio::test]
async fn a_batch_of_a_million_small_rows_is_one_part() {
    use projection::tables::FRESHNESS_MARKS;
    let warehouse = fresh().await;
    let row = encode(&FRESHNESS_MARKS, &[&[("marked_at", "2100-01-01T00:00:00Z")]]);
    let full = Batch {
        rows: row.repeat(INSERT_ROWS_MAX).into(),
        row_count: INSERT_ROWS_MAX,
        ..batch(&FRESHNESS_MARKS, 0, &[])
    };
    assert_eq!(warehouse.insert(&full).await, InsertOutcome::Stored);
    assert_eq!(warehouse.insert(&full).await, InsertOutcome::Stored);
    let parts = format!(
        "SELECT toString((count(), sum(rows))) FROM system.parts
         WHERE database = '{}' AND table = 'freshness_marks' AND level = 0",
        warehouse.database()
    );
    assert_eq!(value(&warehouse, &parts).await, format!("(1,{INSERT_ROWS_MAX})"));
}

/// A debit and its reversal in one hour cancel; what proves that they were stored must not go with
/// them in a merge.
#[tokio::test]
async fn a_rollup_whose_sums_cancel_keeps_its_watermark() {
    let warehouse = fresh().await;
    let delta = |from: &'static str, credits: &'static str| {
        [("account", "a"), ("credits", credits), ("deltas", "1"), ("ledger_offset", from)]
    };
    let first = batch(&USAGE_HOURLY, 1, &[&delta("1", "2")]);
    let second = batch(&USAGE_HOURLY, 2, &[&delta("2", "-2")]);
    for batch in [&first, &second] {
        assert_eq!(warehouse.insert(batch).await, InsertOutcome::Stored);
    }
    let optimize = format!("OPTIMIZE TABLE {}.usage_hourly FINAL", warehouse.database());
    crate::server::rows(&warehouse, &optimize).await;
    assert_eq!(count(&warehouse, &USAGE_HOURLY).await, "1");
    assert_eq!(warehouse.max_offsets(&USAGE_HOURLY).await.unwrap()[&Partition(0)], Offset(2));
    assert_eq!(warehouse.insert_again(&second).await, InsertOutcome::Stored);
    let sum = format!("SELECT toString(sum(credits)) FROM {}.usage_hourly", warehouse.database());
    assert_eq!(value(&warehouse, &sum).await, "0");
}

#[tokio::test]
async fn a_missing_table_refuses_and_no_server_is_unknown() {
    let mut server = ClickHouse::start().unwrap();
    let warehouse = connect(&server.http_url(), "t").await;
    let outcome = warehouse.insert(&entries(0)).await;
    assert!(matches!(outcome, InsertOutcome::Refused(_)), "{outcome:?}");
    server.kill().unwrap();
    let outcome = warehouse.insert(&entries(0)).await;
    assert!(matches!(outcome, InsertOutcome::Unknown(_)), "{outcome:?}");
}
