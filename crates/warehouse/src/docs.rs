//! `docs/clickhouse.md`: every table and view with its columns, from the definitions.

use std::fmt::Write as _;

use projection::tables::{Column, Engine, TABLES, Table};

use crate::views::VIEWS;

const INTRODUCTION: &str = "# ClickHouse tables and views

<!-- Written by `cargo test -p warehouse` from the definitions (UPDATE_DOCS=1 rewrites it). -->

Database `tally`. Everything here is derived from the ledger and can be rebuilt from it; the same
texts are the comments of the tables and columns, so `DESCRIBE` and `tally schema` show them too.

- Amounts are `Decimal(38, 12)`, credits and currency alike. Sum large ranges through the views, or
  as `sum(toDecimal256(credits, 12))`: a plain `sum` of a Decimal wraps without an error past 10^26.
- A text that does not apply is empty. A number that is not known is NULL, never zero.
- Times are UTC. `event_time` is when the usage happened, `recorded_at` when the ledger took it.
- Corrections are rows of their own with the opposite sign, at the original's event time.
- Query the views; the tables under them keep history or several rows per key. No query needs
  `FINAL`, and none is right only after a merge.
";

/// The page.
pub fn schema_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Views\n");
    for view in VIEWS {
        entry(&mut page, view.name, view.comment, view.columns);
    }
    page.push_str("\n## Tables\n");
    for table in TABLES {
        entry(&mut page, table.name, table.comment, table.columns);
        line(&mut page, &format!("\n{}", storage(table)));
    }
    page
}

fn entry(page: &mut String, name: &str, comment: &str, columns: &[Column]) {
    line(page, &format!("\n### {name}\n\n{comment}\n\n| column | type | meaning |\n|---|---|---|"));
    for column in columns {
        let meaning = column.comment.replace('|', "\\|");
        line(page, &format!("| `{}` | {} | {meaning} |", column.name, column.column_type.sql()));
    }
}

fn storage(table: &Table) -> String {
    let keys = table.order_by.join(", ");
    let engine = match table.engine {
        Engine::Facts => "MergeTree".to_owned(),
        Engine::Latest { version } => format!("ReplacingMergeTree by {version}"),
        Engine::Sums { .. } => "SummingMergeTree".to_owned(),
    };
    format!("{engine}, ordered by {keys}.")
}

fn line(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    writeln!(page, "{text}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_page_in_docs_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/clickhouse.md");
        let page = schema_markdown();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == page,
            "docs/clickhouse.md is out of date: run UPDATE_DOCS=1 cargo test -p warehouse"
        );
    }
}
