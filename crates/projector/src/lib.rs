//! ledger to ClickHouse.
