//! What was sent, and so what the ledger must say, reckoned without any of tally's own pricing.

use std::collections::BTreeMap;

use domain::Credits;

/// Account and event id.
type Identity = (String, String);

/// One meaning that was sent under an identity.
#[derive(Debug)]
struct Content {
    /// Whole units, at one credit each.
    units: u32,
    times: u64,
}

/// Everything that producers sent.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    /// Records appended to `usage.raw`.
    pub(crate) records: u64,
    pub(crate) commands: u64,
    /// Records that are no event.
    pub(crate) broken: u64,
    /// What was sent under each identity.
    events: BTreeMap<Identity, Vec<Content>>,
    /// Where a record's content stands, by its bytes.
    places: BTreeMap<Vec<u8>, (Identity, usize)>,
    /// Grants by account and command id: whole credits.
    grants: BTreeMap<(String, String), u32>,
}

/// What the ledger charged.
#[derive(Debug, Default)]
pub(crate) struct Charged {
    pub(crate) events: BTreeMap<(String, String), Vec<Credits>>,
    pub(crate) granted: BTreeMap<String, Credits>,
    /// Records put aside, by their identity.
    pub(crate) quarantined: BTreeMap<(String, String), u64>,
}

impl Truth {
    pub(crate) fn event(&mut self, account: &str, id: &str, units: u32, record: &[u8]) {
        if self.places.contains_key(record) {
            self.again(record);
            return;
        }
        let identity = (account.to_owned(), id.to_owned());
        let contents = self.events.entry(identity.clone()).or_default();
        self.places.insert(record.to_owned(), (identity, contents.len()));
        contents.push(Content { units, times: 1 });
    }

    /// A record that may be an event was sent once more.
    pub(crate) fn again(&mut self, record: &[u8]) {
        if let Some((identity, index)) = self.places.get(record)
            && let Some(contents) = self.events.get_mut(identity)
        {
            contents[*index].times += 1;
        }
    }

    pub(crate) fn grant(&mut self, account: &str, id: &str, credits: u32) {
        self.grants.insert((account.to_owned(), id.to_owned()), credits);
    }

    /// Every identity is charged exactly once, with one of the meanings that were sent; grants are
    /// there once.
    pub(crate) fn compare(&self, charged: &Charged) -> Result<(), String> {
        for (identity, contents) in &self.events {
            let found = charged.events.get(identity).map(Vec::as_slice).unwrap_or_default();
            let [credits] = found else {
                return Err(format!("{identity:?} is charged {} times", found.len()));
            };
            // Whichever meaning came first is charged; the others are put aside, each time.
            let all: u64 = contents.iter().map(|content| content.times).sum();
            let quarantined = charged.quarantined.get(identity).copied().unwrap_or(0);
            let is_right = |content: &Content| {
                Credits::from_units(i64::from(content.units)) == *credits
                    && quarantined == all - content.times
            };
            if !contents.iter().any(is_right) {
                return Err(format!(
                    "{identity:?} is charged {credits}, {quarantined} put aside, of {contents:?}"
                ));
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
