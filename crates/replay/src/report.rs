//! What a verification found.

use serde::Serialize;

/// Counterexamples that are kept per check; the rest are counted.
const COUNTEREXAMPLES_MAX: usize = 10;
/// Sentences about a check that are kept.
const NOTES_MAX: usize = 20;

/// What a check was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// The ledger alone.
    Ledger,
    /// The ledger and the catalogue: prices made again.
    Catalogue,
    /// The input topics, and what was written beside the ledger.
    Inputs,
    /// ClickHouse against the ledger.
    Clickhouse,
}

impl Evidence {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Catalogue => "catalogue",
            Self::Inputs => "inputs",
            Self::Clickhouse => "clickhouse",
        }
    }
}

/// One invariant, checked.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub invariant: u8,
    pub about: &'static str,
    pub evidence: Evidence,
    /// How many things were looked at.
    pub checked: u64,
    pub broken: u64,
    /// How many could not be looked at; the notes say why.
    pub skipped: u64,
    /// The first of those that are broken.
    pub counterexamples: Vec<String>,
    /// What else there is to say, first come.
    pub notes: Vec<String>,
}

impl Check {
    /// A check of the ledger alone.
    pub fn new(invariant: u8, about: &'static str) -> Self {
        Self::of(Evidence::Ledger, invariant, about)
    }

    pub fn of(evidence: Evidence, invariant: u8, about: &'static str) -> Self {
        Self {
            invariant,
            about,
            evidence,
            checked: 0,
            broken: 0,
            skipped: 0,
            counterexamples: Vec::new(),
            notes: Vec::new(),
        }
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

    /// Counts what could not be looked at. The same reason is kept once.
    pub fn skip(&mut self, count: u64, why: &str) {
        if count > 0 {
            self.skipped += count;
            self.say(why);
        }
    }

    /// Keeps a sentence.
    pub fn say(&mut self, sentence: &str) {
        if self.notes.len() < NOTES_MAX && !self.notes.iter().any(|known| known == sentence) {
            self.notes.push(sentence.to_owned());
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

    /// How much was looked at, over all checks.
    pub fn checked(&self) -> u64 {
        self.checks.iter().map(|check| check.checked).sum()
    }
}
