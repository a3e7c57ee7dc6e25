//! Tables and views as SQL.

use std::fmt::Write as _;

use domain::limits::GRACE_MICROS;
use domain::{ALL_POOLS, Pool, Side};
use projection::tables::{Column, Engine, TABLES, Table};

use crate::views::View;

/// Batches that a table remembers the tokens of. A projector has one batch in flight per ledger
/// partition, so the window holds every batch that can still be sent again many times over.
pub const DEDUPLICATION_WINDOW: u32 = 10_000;

/// The statement that makes a table under `name`. Unqualified: it runs in the session's database.
pub fn create_table(table: &Table, name: &str) -> String {
    let engine = match table.engine {
        Engine::Facts => "MergeTree".to_owned(),
        Engine::Latest { version } => format!("ReplacingMergeTree({version})"),
        Engine::Sums { sums } => format!("SummingMergeTree(({}))", names(sums).join(", ")),
    };
    let primary_key = &table.order_by[..table.primary_key_columns];
    let ttl = match table.ttl {
        "" => String::new(),
        ttl => format!("\nTTL {ttl}"),
    };
    format!(
        "CREATE TABLE IF NOT EXISTS {name}\n(\n{columns}\n)\nENGINE = {engine}\n\
         PRIMARY KEY ({primary_key})\nORDER BY ({order_by}){ttl}\n\
         SETTINGS non_replicated_deduplication_window = {DEDUPLICATION_WINDOW}\n\
         COMMENT {comment}",
        columns = columns(table.columns),
        primary_key = primary_key.join(", "),
        order_by = table.order_by.join(", "),
        comment = literal(table.comment),
    )
}

/// The statement that makes a view, or replaces it in one step.
pub fn create_view(view: &View) -> String {
    format!(
        "CREATE OR REPLACE VIEW {name}\n(\n{columns}\n)\nAS {select}\nCOMMENT {comment}",
        name = view.name,
        columns = columns(view.columns),
        select = expand(view.select),
        comment = literal(view.comment),
    )
}

/// The statement that an insert of whole rows starts with.
pub(crate) fn insert_into(table: &Table, name: &str) -> String {
    format!("INSERT INTO {name} ({}) FORMAT Native", names(table.columns).join(", "))
}

fn names(columns: &[Column]) -> Vec<String> {
    columns.iter().map(|column| identifier(column.name)).collect()
}

fn columns(columns: &[Column]) -> String {
    let lines: Vec<_> = columns
        .iter()
        .map(|column| {
            format!(
                "    {} {} COMMENT {}",
                identifier(column.name),
                column.column_type.sql(),
                literal(column.comment)
            )
        })
        .collect();
    lines.join(",\n")
}

/// Quoted, because `table`, `user` and others are words of SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Fills in what a view's text leaves open, so that a new token pool or table is in every view
/// that sums or lists them.
fn expand(select: &str) -> String {
    let cached =
        |pool: &Pool| matches!(pool, Pool::CacheRead | Pool::CacheReadAudio | Pool::CacheReadImage);
    let tables: Vec<_> = TABLES
        .iter()
        .filter(|table| table.position.is_some())
        .map(|table| literal(table.name))
        .collect();
    select
        .replace("{input_tokens}", &pools(|pool| pool.side() == Side::Input))
        .replace("{cached_tokens}", &pools(cached))
        .replace("{output_tokens}", &pools(|pool| pool.side() == Side::Output))
        .replace("{tokens}", &pools(|_| true))
        .replace("{tables}", &tables.join(", "))
        .replace("{grace}", &format!("INTERVAL {} SECOND", GRACE_MICROS / 1_000_000))
}

/// The sum of some pools of `u`.
fn pools(wanted: impl Fn(&Pool) -> bool) -> String {
    let mut sum = String::new();
    for pool in ALL_POOLS.iter().filter(|pool| wanted(pool)) {
        let plus = if sum.is_empty() { "" } else { " + " };
        // Writing to a String cannot fail.
        write!(sum, "{plus}u.{}", pool.name()).unwrap_or_default();
    }
    sum
}

#[cfg(test)]
mod tests {
    use projection::tables::{LOT_GRANTS, USAGE_DAILY};

    use super::*;
    use crate::views::VIEWS;

    #[test]
    fn literals_and_identifiers_cannot_be_left() {
        assert_eq!(literal("an account's \\ lot"), r"'an account\'s \\ lot'");
        assert_eq!(identifier("a`b"), r"`a\`b`");
    }

    #[test]
    fn every_table_deduplicates() {
        for table in TABLES {
            let sql = create_table(table, table.name);
            assert!(sql.contains("non_replicated_deduplication_window = 10000"), "{sql}");
        }
        assert!(create_table(&LOT_GRANTS, "x").starts_with("CREATE TABLE IF NOT EXISTS x\n"));
        assert!(create_table(&USAGE_DAILY, "x").contains("PRIMARY KEY (account, day, plan)"));
    }

    #[test]
    fn views_leave_nothing_open() {
        for view in VIEWS {
            let sql = create_view(view);
            let select = sql.split_once("\nAS ").unwrap().1;
            assert!(!select.contains('{'), "{sql}");
        }
    }
}
