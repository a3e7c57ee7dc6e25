//! What a raw replay came to.

use std::collections::BTreeMap;

use domain::Credits;
use serde::Serialize;

/// Differences that are kept in full; the rest are counted.
const EXAMPLES_MAX: usize = 20;
/// Accounts × features × models that are summed apart; the rest go into one sum.
const SUMS_MAX: usize = 10_000;
const NOTES_MAX: usize = 20;

/// What was decided again, and how it compares.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RawReport {
    /// Ledger entries that were decided again.
    pub decided: u64,
    /// Of those, with the same bytes.
    pub same: u64,
    pub different: u64,
    /// Inputs without an entry (duplicates, dead letters, forwards, refusals) that were decided again.
    pub endings: u64,
    pub endings_different: u64,
    /// Seals whose inputs were decided again.
    pub seals: u64,
    /// Entries that were taken as they stand: before the first seal asked for, or their input is past
    /// its retention.
    pub followed: u64,
    pub not_retained: u64,
    /// What the charges that differ came to, and come to now.
    pub credits_then: Credits,
    pub credits_now: Credits,
    /// The charges that differ, by account, feature and model.
    pub by_usage: Vec<UsageSum>,
    /// The first differences, in full.
    pub differences: Vec<Difference>,
    pub notes: Vec<String>,
    #[serde(skip)]
    sums: BTreeMap<(String, String, String), (Credits, Credits)>,
}

/// Charges that differ, summed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageSum {
    pub account: String,
    pub feature: String,
    pub model: String,
    pub credits_then: Credits,
    pub credits_now: Credits,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The entry's name, or the input's.
    pub at: String,
    pub account: String,
    pub kind: String,
    pub fields: Vec<FieldDifference>,
}

/// What stands in the ledger, and what is decided now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    pub field: &'static str,
    pub then: String,
    pub now: String,
}

impl RawReport {
    /// Whether everything that was decided again came to the same.
    pub fn holds(&self) -> bool {
        self.different == 0 && self.endings_different == 0
    }

    pub(crate) fn difference(&mut self, difference: Difference) {
        if self.differences.len() < EXAMPLES_MAX {
            self.differences.push(difference);
        }
    }

    pub(crate) fn say(&mut self, sentence: String) {
        if self.notes.len() < NOTES_MAX && !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }

    /// Adds a line of a charge that differs.
    pub(crate) fn usage(&mut self, at: (String, String, String), then: Credits, now: Credits) {
        self.credits_then += then;
        self.credits_now += now;
        let is_known = self.sums.contains_key(&at) || self.sums.len() < SUMS_MAX;
        let others = || ("(others)".to_owned(), String::new(), String::new());
        let sums = self.sums.entry(if is_known { at } else { others() }).or_default();
        sums.0 += then;
        sums.1 += now;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.decided += other.decided;
        self.same += other.same;
        self.different += other.different;
        self.endings += other.endings;
        self.endings_different += other.endings_different;
        self.seals += other.seals;
        self.followed += other.followed;
        self.not_retained += other.not_retained;
        for (at, (then, now)) in other.sums {
            self.usage(at, then, now);
        }
        for difference in other.differences {
            self.difference(difference);
        }
        for note in other.notes {
            self.say(note);
        }
        let of =
            |((account, feature, model), (then, now)): (&(String, String, String), &_)| UsageSum {
                account: account.clone(),
                feature: feature.clone(),
                model: model.clone(),
                credits_then: *then,
                credits_now: *now,
            };
        self.by_usage = self.sums.iter().map(of).collect();
    }
}
