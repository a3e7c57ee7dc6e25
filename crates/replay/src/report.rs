//! What a verification found.

use serde::Serialize;

/// Counterexamples that are kept per invariant; the rest are counted.
const COUNTEREXAMPLES_MAX: usize = 10;

/// One invariant, checked.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub invariant: u8,
    pub about: &'static str,
    /// How many things were looked at.
    pub checked: u64,
    pub broken: u64,
    /// The first of them.
    pub counterexamples: Vec<String>,
}

impl Check {
    pub fn new(invariant: u8, about: &'static str) -> Self {
        Self { invariant, about, checked: 0, broken: 0, counterexamples: Vec::new() }
    }

    /// Notes one thing that was looked at, and what is wrong with it.
    pub fn note(&mut self, fault: Option<String>) {
        self.checked += 1;
        if let Some(fault) = fault {
            self.broken += 1;
            if self.counterexamples.len() < COUNTEREXAMPLES_MAX {
                self.counterexamples.push(fault);
            }
        }
    }

    pub fn holds(&self) -> bool {
        self.broken == 0
    }
}

/// All checks of one verification.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub checks: Vec<Check>,
}

impl Report {
    pub fn holds(&self) -> bool {
        self.checks.iter().all(Check::holds)
    }
}
