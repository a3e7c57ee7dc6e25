//! The simulator notices each of the mistakes that it can be asked to make: one that finds nothing in a broken build proves
//! nothing in a sound one.

use std::process::Command;

use sabotage::{BREAKS_VARIABLE, Break};

/// Each bites within a few seeds, so far; a break that takes more than this has all but vanished.
const SEEDS: &str = "400";

/// What happens on the in-memory log. The rest is shown on real servers (`tests/`).
const BREAKS: [Break; 9] = [
    Break::UnknownTaken,
    Break::FoldSkipped,
    Break::IdentityForgotten,
    Break::DuplicatesUnseen,
    Break::RepeatsUnseen,
    Break::ConflictsUnseen,
    Break::DeadLetterDropped,
    Break::TimeByClock,
    Break::ChecksumsIgnored,
];

#[test]
fn every_break_is_noticed() {
    let mut missed = Vec::new();
    for wrong in BREAKS {
        let output = Command::new(env!("CARGO_BIN_EXE_simulator"))
            .args([SEEDS, "1"])
            .env(BREAKS_VARIABLE, wrong.word())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let first = said.lines().find(|line| line.starts_with("seed "));
        println!("{:20} {}", wrong.word(), first.unwrap_or("nothing"));
        if output.status.code() != Some(1) || first.is_none() {
            missed.push((wrong.word(), said.into_owned()));
        }
    }
    assert!(missed.is_empty(), "unnoticed: {missed:?}");
}
