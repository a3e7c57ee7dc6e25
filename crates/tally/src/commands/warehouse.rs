//! `tally sql`, `schema` and `export`: reading ClickHouse.

use std::fs::File;
use std::io::{Write, stdout};

use serde_json::{Value, json};

use super::{Context, objects, time};
use crate::cli::{self, ExportFormat};
use crate::failure::{Failure, failed};
use crate::table::{Align, Table};

pub(crate) fn sql(context: &Context, sql: &cli::Sql) -> Result<(), Failure> {
    let format = if context.output.json { "json" } else { "pretty" };
    let body = json!({"query": sql.query, "format": format});
    let mut answer = context.client.stream("/v1/sql", &[], Some(&body))?;
    copy(&mut answer, &mut stdout().lock())
}

pub(crate) fn schema(context: &Context, schema: &cli::Schema) -> Result<(), Failure> {
    let query: Vec<(&str, &str)> =
        schema.table.iter().map(|table| ("table", table.as_str())).collect();
    let answer = context.client.get("/v1/schema", &query)?;
    context.output.answer(&answer, || schema_text(&answer, schema.table.is_some()));
    Ok(())
}

fn schema_text(answer: &Value, one: bool) -> String {
    let tables = match answer.get("tables") {
        Some(tables) => objects(Some(tables)),
        None if answer.is_array() => objects(Some(answer)),
        None => answer.as_object().cloned().into_iter().collect(),
    };
    let word = |table: &serde_json::Map<String, Value>, name: &str| {
        table.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    if !one {
        let mut listed = Table::new([("table", Align::Left), ("what", Align::Left)]);
        for table in &tables {
            let comment = word(table, "comment");
            let sentence = comment.split_once(". ").map_or(comment.as_str(), |(first, _)| first);
            listed.row([word(table, "name"), sentence.trim_end_matches('.').to_owned()]);
        }
        return format!("{listed}\n`tally schema TABLE` shows the columns of one\n");
    }
    let mut out = String::new();
    for table in &tables {
        out.push_str(&format!("{}: {}\n\n", word(table, "name"), word(table, "comment")));
        let mut columns =
            Table::new([("column", Align::Left), ("type", Align::Left), ("what", Align::Left)]);
        for column in objects(table.get("columns")) {
            let kind = ["type", "column_type"]
                .iter()
                .map(|name| word(&column, name))
                .find(|kind| !kind.is_empty());
            columns.row([
                word(&column, "name"),
                kind.unwrap_or_default(),
                word(&column, "comment"),
            ]);
        }
        out.push_str(&columns.to_string());
    }
    out
}

pub(crate) fn export(context: &Context, export: &cli::Export) -> Result<(), Failure> {
    let format = match export.format {
        ExportFormat::Csv => "csv",
        ExportFormat::Parquet => "parquet",
    };
    let from = time("--from", export.range.from.as_deref())?;
    let to = time("--to", export.range.to.as_deref())?;
    let mut query = vec![("format", format)];
    for (name, value) in [("from", &from), ("to", &to), ("account", &export.account)] {
        if let Some(value) = value {
            query.push((name, value));
        }
    }
    let mut answer = context.client.stream("/v1/export", &query, None)?;
    let Some(path) = &export.output else { return copy(&mut answer, &mut stdout().lock()) };
    // Written beside it first: a file of that name is always a whole export.
    let mut partial = path.clone().into_os_string();
    partial.push(".part");
    let mut file = File::create(&partial).map_err(failed(format!("writing {}", path.display())))?;
    let bytes = copy_counted(&mut answer, &mut file)?;
    file.sync_all()
        .and_then(|()| std::fs::rename(&partial, path))
        .map_err(failed(format!("writing {}", path.display())))?;
    let done = json!({"file": path.display().to_string(), "bytes": bytes, "format": format});
    context.output.answer(&done, || format!("{bytes} bytes written to {}\n", path.display()));
    Ok(())
}

/// A reader that has gone away (`tally sql … | head`) is no failure.
fn copy(from: &mut reqwest::blocking::Response, to: &mut dyn Write) -> Result<(), Failure> {
    copy_counted(from, to).map(|_| ())
}

fn copy_counted(
    from: &mut reqwest::blocking::Response,
    to: &mut dyn Write,
) -> Result<u64, Failure> {
    match std::io::copy(from, to).and_then(|bytes| to.flush().map(|()| bytes)) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(0),
        other => other.map_err(failed("the answer was cut short")),
    }
}

/// Runs a query of the demo's own and gives its rows.
pub(crate) fn query(
    context: &Context,
    sql: &str,
) -> Result<Vec<serde_json::Map<String, Value>>, Failure> {
    let body = json!({"query": sql, "format": "json"});
    let answer = context.client.stream("/v1/sql", &[], Some(&body))?;
    let lines = answer.text().map_err(failed("reading tally's answer"))?;
    lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).map_err(failed("a row is not JSON")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_lists_tables_and_explains_columns() {
        let answer = json!({"tables": [{"name": "usage_lines", "comment": "one row per line",
            "columns": [{"name": "credits", "type": "Decimal(38, 12)", "comment": "Credits charged."}]}]});
        assert!(schema_text(&answer, false).contains("usage_lines  one row per line"));
        assert!(schema_text(&answer, true).contains("credits  Decimal(38, 12)  Credits charged."));
        // A single table may come without the list around it.
        assert!(schema_text(&answer["tables"][0], true).contains("Decimal(38, 12)"));
    }
}
