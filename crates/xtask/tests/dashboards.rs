//! What `ops` names is there: metrics and label values in the sources that report them, tables and views in the definitions,
//! a runbook for every alert. That the queries run is held by `dashboard_queries`.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

mod operations;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use operations::{dashboard_queries, files_below, root, tables_named};

/// The sources of our crates, in which metric names and label values stand as literals.
fn sources() -> String {
    let mut text = String::new();
    for package in fs::read_dir(root().join("crates")).unwrap() {
        for path in files_below(&package.unwrap().path().join("src")) {
            if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&fs::read_to_string(path).unwrap());
            }
        }
    }
    text
}

/// Everything under `ops`, with JSON's escaped quotes as quotes.
fn operations_text() -> String {
    let mut text = String::new();
    for path in files_below(&root().join("ops")) {
        text.push_str(&fs::read_to_string(path).unwrap().replace("\\\"", "\""));
        text.push('\n');
    }
    text
}

/// The metrics that a text names.
fn metrics_named(text: &str) -> BTreeSet<&str> {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("tally_"))
        .collect()
}

/// Those that no source has as a literal. A histogram is asked for by its parts.
fn unknown_metrics<'t>(text: &'t str, sources: &str) -> Vec<&'t str> {
    let known = |name: &str| sources.contains(&format!("\"{name}\""));
    metrics_named(text)
        .into_iter()
        .filter(|name| {
            let part =
                ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part));
            !known(name) && !part.is_some_and(known)
        })
        .collect()
}

/// The values that queries compare the labels of ours with: `outcome=~"a|b"` names two.
fn label_values(text: &str) -> BTreeSet<&str> {
    let mut values = BTreeSet::new();
    for label in ["outcome", "reason", "why"] {
        for (at, _) in text.match_indices(label) {
            let rest = text[at + label.len()..].trim_start_matches(['=', '!', '~']);
            let compared = text[at + label.len()..].starts_with(['=', '!']);
            if let Some((value, _)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'))
                && compared
            {
                values.extend(value.split('|'));
            }
        }
    }
    values
}

#[test]
fn every_metric_is_reported_by_a_service() {
    let (text, sources) = (operations_text(), sources());
    assert_eq!(unknown_metrics(&text, &sources), Vec::<&str>::new());
    assert!(metrics_named(&text).len() > 10);
}

#[test]
fn every_label_value_is_one_that_a_service_gives() {
    let (text, sources) = (operations_text(), sources());
    let values = label_values(&text);
    assert!(values.contains("dead_letter") && values.contains("unknown"), "{values:?}");
    for value in values {
        assert!(sources.contains(&format!("\"{value}\"")), "no service gives {value:?}");
    }
}

#[test]
fn every_table_is_defined() {
    let known: BTreeSet<&str> = projection::tables::TABLES
        .iter()
        .map(|table| table.name)
        .chain(warehouse::views::VIEWS.iter().map(|view| view.name))
        .collect();
    let queries = dashboard_queries();
    for query in &queries {
        let named = tables_named(query);
        assert!(!named.is_empty(), "no table in {query}");
        for name in named {
            assert!(known.contains(name), "there is no {name}, which is asked in {query}");
        }
    }
    assert!(queries.len() > 5);
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let rules = fs::read_to_string(root().join("ops/prometheus/alerts.yml")).unwrap();
    let after = |start: &str| -> BTreeSet<String> {
        rules.lines().filter_map(|line| Some(line.trim().strip_prefix(start)?.to_owned())).collect()
    };
    let runbooks: BTreeSet<String> = files_below(&root().join("ops/runbooks"))
        .iter()
        .map(|path| path.strip_prefix(root()).unwrap().display().to_string())
        .collect();
    assert_eq!(after("runbook: "), runbooks);
    let alerts = after("- alert: ");
    assert_eq!(rules.matches("- alert: ").count(), rules.matches("runbook: ").count());
    for path in runbooks {
        let page = fs::read_to_string(root().join(&path)).unwrap();
        for part in ["## Symptom", "## Check", "## Act", "## Verify"] {
            assert!(page.contains(part), "{path} has no {part}");
        }
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        assert!(alerts.contains(name), "no alert is called {name}");
    }
}

#[test]
fn what_is_missing_is_noticed() {
    let sources = r#"gauge("tally_a_lag", "help"), histogram("tally_a_seconds", "help")"#;
    assert_eq!(
        unknown_metrics("max(tally_a_lag) + tally_a_seconds_bucket - tally_a_lga", sources),
        ["tally_a_lga"]
    );
    let values = label_values(r#"x{outcome=~"a|b"} - y{why!="c"} by (reason) legend {{reason}}"#);
    assert_eq!(values, BTreeSet::from(["a", "b", "c"]));
    assert_eq!(tables_named("SELECT 1 FROM tally.a JOIN tally.b_c USING x"), ["a", "b_c"]);
}
