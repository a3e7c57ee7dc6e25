//! What was sent, and so what the ledger must say, reckoned without any of tally's own pricing.

use std::collections::{BTreeMap, BTreeSet};

use domain::Credits;

/// Everything that producers sent.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Records appended to `usage.raw`.
    pub(crate) records: u64,
    pub(crate) commands: u64,
    /// The contents sent under each identity: whole units, at one credit each.
    events: BTreeMap<(String, String), BTreeSet<u32>>,
    /// Grants by account and command id: whole credits.
    grants: BTreeMap<(String, String), u32>,
}

/// What the ledger charged.
#[derive(Debug, Default)]
pub(crate) struct Charged {
    pub(crate) events: BTreeMap<(String, String), Vec<Credits>>,
    pub(crate) granted: BTreeMap<String, Credits>,
}

impl Truth {
    pub(crate) fn event(&mut self, account: &str, id: &str, units: u32) {
        self.events.entry((account.to_owned(), id.to_owned())).or_default().insert(units);
    }

    pub(crate) fn grant(&mut self, account: &str, id: &str, credits: u32) {
        self.grants.insert((account.to_owned(), id.to_owned()), credits);
    }

    /// Every identity is charged exactly once, with one of the meanings that were sent; grants are
    /// there once.
    pub(crate) fn compare(&self, charged: &Charged) -> Result<(), String> {
        for (identity, units) in &self.events {
            let found = charged.events.get(identity).map(Vec::as_slice).unwrap_or_default();
            let [credits] = found else {
                return Err(format!("{identity:?} is charged {} times", found.len()));
            };
            if !units.iter().any(|units| Credits::from_units(i64::from(*units)) == *credits) {
                return Err(format!("{identity:?} is charged {credits}, sent were {units:?}"));
            }
        }
        if let Some(extra) = charged.events.keys().find(|key| !self.events.contains_key(*key)) {
            return Err(format!("{extra:?} is charged and was never sent"));
        }
        let mut granted: BTreeMap<String, Credits> = BTreeMap::new();
        for ((account, _), credits) in &self.grants {
            *granted.entry(account.clone()).or_default() +=
                Credits::from_units(i64::from(*credits));
        }
        if granted != charged.granted {
            return Err(format!("granted {:?}, sent {granted:?}", charged.granted));
        }
        Ok(())
    }
}
