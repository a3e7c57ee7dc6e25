use projection::tables::LOT_MOVEMENTS;
use warehouse::{Consequence, ExportFormat, QueryLimits, WarehouseError};

use crate::rows::insert;
use crate::server::{fresh, value};

#[tokio::test]
async fn amounts_are_strings_and_counts_are_numbers() {
    let warehouse = fresh().await;
    insert(
        &warehouse,
        &LOT_MOVEMENTS,
        &[&[
            ("account", "a\n\"é"),
            ("lot", "18446744073709551615"),
            ("credits", "-0.000000000001"),
            ("dated_at", "2026-11-20T12:00:00.000001Z"),
        ]],
    )
    .await;
    let sql = "SELECT account, lot, credits, dated_at FROM lot_movements ;\n";
    let mut rows = warehouse.query_json(sql, QueryLimits::default()).await.unwrap();
    assert_eq!(
        rows.next().await.unwrap().unwrap(),
        r#"{"account":"a\n\"é","lot":18446744073709551615,"credits":"-0.000000000001","dated_at":"2026-11-20T12:00:00.000001Z"}"#
    );
    assert_eq!(rows.next().await.unwrap(), None);
    assert_eq!(rows.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_person_s_query_can_only_read() {
    let warehouse = fresh().await;
    for sql in [
        "DROP TABLE usage_lines",
        "INSERT INTO lot_movements (account) VALUES ('a')",
        "TRUNCATE TABLE seals",
        "ALTER TABLE seals DELETE WHERE 1",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "SET readonly = 0",
        "SELECT * FROM url('http://127.0.0.1:1/', 'TSV', 'a String')",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM usage_lines INTO OUTFILE '/tmp/x'",
    ] {
        let refused = match warehouse.query_json(sql, QueryLimits::default()).await {
            Ok(mut rows) => rows.next().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(refused.consequence(), Consequence::Halt, "{sql}: {refused}");
    }
    assert_eq!(warehouse.check_schema().await, Ok(vec![]));
}

#[tokio::test]
async fn limits_hold_and_an_error_in_the_middle_is_an_error() {
    let warehouse = fresh().await;
    let limits = QueryLimits { result_rows_max: 10, ..QueryLimits::default() };
    let rows = warehouse.query_json("SELECT number FROM system.numbers", limits).await.unwrap();
    assert!(
        matches!(rows.collect().await, Err(WarehouseError::Server(error)) if error.code == 396)
    );

    // Hundreds of thousands of good rows first: the status line has long been sent.
    let sql =
        "SELECT throwIf(number = 3000000) FROM numbers(3000001) SETTINGS max_block_size = 1000";
    let failed = warehouse.query_rows::<serde_json::Value>(sql).await.unwrap_err();
    assert!(matches!(&failed, WarehouseError::Server(error) if error.code == 395), "{failed}");

    let sql = "SELECT number FROM numbers(200000)";
    let rows = warehouse.query_json(sql, QueryLimits::default()).await.unwrap();
    let rows = rows.collect().await.unwrap();
    assert_eq!(rows.len(), 200_000);
    assert_eq!(rows[199_999], r#"{"number":199999}"#);
}

#[tokio::test]
async fn exports_are_files() {
    let warehouse = fresh().await;
    let sql = "SELECT 'a,b' AS account, toDecimal128('1.5', 12) AS credits;";
    let mut csv = Vec::new();
    let limits = QueryLimits::default();
    let written = warehouse.export(sql, ExportFormat::Csv, limits, &mut csv).await.unwrap();
    assert_eq!(String::from_utf8(csv.clone()).unwrap(), "\"account\",\"credits\"\n\"a,b\",1.5\n");
    assert_eq!(written, csv.len() as u64);
    let mut parquet = Vec::new();
    warehouse.export(sql, ExportFormat::Parquet, limits, &mut parquet).await.unwrap();
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
}

#[tokio::test]
async fn a_sum_that_does_not_fit_is_refused_not_wrapped() {
    let warehouse = fresh().await;
    let database = warehouse.database();
    // Amounts that no ledger makes (the limit is 10^15), through SQL.
    let sql = format!(
        "INSERT INTO {database}.lot_movements (account, lot, category, kind, credits)
         SELECT 'a', number, 'included', 'granted', toDecimal128('90000000000000000000000000', 12) FROM numbers(2)"
    );
    crate::server::rows(&warehouse, &sql).await;
    let plain = format!("SELECT sum(credits) < 0 AS wrapped FROM {database}.lot_movements");
    assert_eq!(value(&warehouse, &plain).await, "1");
    let through_view = format!("SELECT closing FROM {database}.credit_rollforward_daily");
    let refused = warehouse.query_rows::<serde_json::Value>(&through_view).await.unwrap_err();
    assert!(matches!(&refused, WarehouseError::Server(error) if error.code == 407), "{refused}");
}
