//! Every query that a dashboard or a page gives, run on a real ClickHouse with tally's own tables and views.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

mod operations;

use operations::{dashboard_queries, typed_queries};
use testkit::ClickHouse;
use warehouse::{QueryLimits, Settings, Warehouse};

/// What Grafana and its ClickHouse plugin put in place of their variables.
fn filled_in(query: &str) -> String {
    let query = query
        .replace("$__fromTime", "toDateTime(1700000000)")
        .replace("$__toTime", "toDateTime(1800000000)")
        .replace("${traffic:singlequote}", "'customer','internal'");
    assert!(!query.contains('$'), "a variable that is not filled in: {query}");
    query
}

#[test]
fn every_query_runs() {
    let server = ClickHouse::start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let warehouse = Warehouse::connect(Settings::new(server.http_url())).await.unwrap();
        warehouse.migrate().await.unwrap();
        let dashboards: Vec<String> =
            dashboard_queries().iter().map(|query| filled_in(query)).collect();
        let typed = typed_queries();
        assert!(!dashboards.is_empty() && !typed.is_empty());
        let mut refused = Vec::new();
        for query in dashboards.iter().chain(&typed) {
            let rows = match warehouse.query_json(query, QueryLimits::default()).await {
                Ok(rows) => rows.collect().await,
                Err(error) => Err(error),
            };
            refused.extend(rows.err().map(|error| format!("{query}: {error}")));
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    });
}
