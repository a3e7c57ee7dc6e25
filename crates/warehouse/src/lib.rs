//! ClickHouse: tables, inserts, embedded server; the only user of clickhouse.
