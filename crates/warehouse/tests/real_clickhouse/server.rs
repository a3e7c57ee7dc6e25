//! A server for each test that breaks one, and one for all the others.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use testkit::ClickHouse;
use warehouse::{Settings, Warehouse};

/// The server that tests share; each has a database of its own.
pub(crate) fn shared() -> &'static ClickHouse {
    static SHARED: OnceLock<ClickHouse> = OnceLock::new();
    SHARED.get_or_init(|| ClickHouse::start().unwrap())
}

/// A migrated database of its own on the shared server.
pub(crate) async fn fresh() -> Warehouse {
    let warehouse = unmigrated().await;
    warehouse.migrate().await.unwrap();
    warehouse
}

pub(crate) async fn unmigrated() -> Warehouse {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let database = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    connect(&shared().http_url(), &database).await
}

pub(crate) async fn connect(url: &str, database: &str) -> Warehouse {
    let settings = Settings { database: database.to_owned(), ..Settings::new(url) };
    Warehouse::connect(settings).await.unwrap()
}

/// The rows of a query, as JSON values.
pub(crate) async fn rows(warehouse: &Warehouse, sql: &str) -> Vec<serde_json::Value> {
    warehouse.query_rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// The value of a query with one row and one column, as text.
pub(crate) async fn value(warehouse: &Warehouse, sql: &str) -> String {
    let rows = rows(warehouse, sql).await;
    assert_eq!(rows.len(), 1, "{sql}");
    let (_, value) = rows[0].as_object().unwrap().iter().next().unwrap();
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Runs a statement of the test's own on the shared server, in no database of ours.
pub(crate) async fn outside(sql: &str) {
    rows(&connect(&shared().http_url(), "default").await, sql).await;
}
