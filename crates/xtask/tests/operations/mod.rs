//! Reading what is under `ops`, and the commands that the pages give.

// Each test binary uses its own part.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder and of those in it, in order; none when there is no such folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files.sort();
    files
}

/// The ClickHouse queries of all dashboards, as they are written there.
pub(crate) fn dashboard_queries() -> Vec<String> {
    let mut queries = Vec::new();
    for path in files_below(&root().join("ops/grafana/dashboards")) {
        let dashboard: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                queries.extend(target["rawSql"].as_str().map(str::to_owned));
            }
        }
    }
    queries
}

/// The tables and views of the database `tally` that a query names.
pub(crate) fn tables_named(query: &str) -> Vec<&str> {
    query
        .match_indices("tally.")
        .map(|(at, start)| {
            let rest = &query[at + start.len()..];
            let end =
                rest.find(|character: char| !character.is_ascii_alphanumeric() && character != '_');
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

/// The queries of every `tally sql "…"` that the pages tell people to type.
pub(crate) fn typed_queries() -> Vec<String> {
    let mut pages = vec![root().join("README.md"), root().join("docs/getting-started.md")];
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    pages.extend(files_below(&root().join("ops")).into_iter().filter(is_page));
    let mut queries = Vec::new();
    for page in pages {
        let text = fs::read_to_string(page).unwrap();
        for (at, start) in text.match_indices("tally sql \"") {
            let (query, _) = text[at + start.len()..].split_once('"').unwrap();
            // The README's table of commands shows the form.
            if !query.contains('…') {
                queries.push(query.to_owned());
            }
        }
    }
    queries
}
