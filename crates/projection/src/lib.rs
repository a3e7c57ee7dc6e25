//! ledger entry to ClickHouse rows and rollup deltas. Pure.
