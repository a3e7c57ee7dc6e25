//! `docs/reasons.md` is the table of reason codes as the code has it.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use domain::{Outcome, REASONS, ReasonRow};

const HEAD: &str = "\
# Reason codes

<!-- Written by `cargo test -p xtask --test reasons_doc` from `domain::REASONS` (UPDATE_DOCS=1 rewrites it). -->

Why an input did not become a plain debit, or why a command was refused. The codes are stable: programs may match on them.

- The tables are in the order of the checks, and so are the rows: when several reasons hold for one record, the first is
  given, whatever the order of the record's fields.
- A dead letter and an API answer carry the same three things: the code, the field's path (`data.items[2].tokens.input`;
  empty when the fault is the record's as a whole) and the value as it was sent, shortened to 64 characters.
";

/// Each way to end that has reasons, with its heading and what it means for whoever sent the input.
const SECTIONS: &[(Outcome, &str, &str)] = &[
    (
        Outcome::DeadLetter,
        "Dead letter",
        "The record cannot be read, or breaks a limit. It is kept with its bytes on `usage.dead-letters` and in the ClickHouse \
         table `dead_letters`. It leaves no identity behind: sent again, mended or not, it is judged afresh. Over HTTP the \
         event is refused with the same code instead.",
    ),
    (
        Outcome::Quarantined,
        "Quarantined",
        "The event can be read and is suspicious. It is neither charged nor dropped: the ledger keeps it with its bytes, and \
         the ClickHouse view `quarantine` shows it.",
    ),
    (
        Outcome::Unrated,
        "Unrated",
        "The usage happened and no price covers it. The ledger keeps the event, the ClickHouse view `unrated_usage` shows it, \
         and it is charged by itself once a version that covers it is published.",
    ),
    (
        Outcome::Refused,
        "Refused",
        "A command that was not carried out. Nothing changed; the same id may be used again.",
    ),
];

fn rendered() -> String {
    let mut text = HEAD.to_owned();
    for (outcome, heading, about) in SECTIONS {
        write!(text, "\n## {heading}\n\n{about}\n\n| code | meaning, and the limit where there is one |\n|---|---|\n").unwrap();
        for ReasonRow { code, about, .. } in REASONS.iter().filter(|row| row.outcome == *outcome) {
            writeln!(text, "| `{code}` | {} |", about.replace('|', "\\|")).unwrap();
        }
    }
    text
}

#[test]
fn the_page_is_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reasons.md");
    let rendered = rendered();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &rendered).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == rendered,
        "docs/reasons.md is out of date: run UPDATE_DOCS=1 cargo test -p xtask --test reasons_doc"
    );
}

/// A reason whose outcome has no section would be left out in silence.
#[test]
fn every_reason_stands_on_the_page_once() {
    let page = rendered();
    for row in REASONS {
        assert_eq!(page.matches(&format!("| `{}` |", row.code)).count(), 1, "{}", row.code);
    }
}

/// The page says that its order is that of the checks, so the table must keep its outcomes together, in the page's order.
#[test]
fn the_sections_are_in_the_order_of_the_checks() {
    let mut outcomes: Vec<Outcome> = REASONS.iter().map(|row| row.outcome).collect();
    outcomes.dedup();
    let sections: Vec<Outcome> = SECTIONS.iter().map(|(outcome, ..)| *outcome).collect();
    assert_eq!(outcomes, sections);
}
