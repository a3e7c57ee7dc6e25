//! real servers for tests: Kafka and ClickHouse, started and stopped.
