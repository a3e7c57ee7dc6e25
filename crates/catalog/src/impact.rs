//! What a version would change: usage already charged that it prices differently, and waiting usage
//! that it covers. Both are read from the ledger itself, so that the answer is exact.

use std::collections::HashSet;
use std::time::Duration;

use domain::limits::EVENT_AHEAD_MICROS_MAX;
use domain::{Credits, EntryNumber, Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use ledger::{Body, Entry};
use rating::{Catalogue, Document, rate, would_differ};
use wire::LedgerRecord;

/// Debits that are priced again at most; past them the answer is "at least".
const DEBITS_MAX: u64 = 2_000_000;
const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(100);
const EMPTY_POLLS_MAX: u32 = 100;

/// What publishing a version comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impact {
    /// Charged events that the version would price differently.
    pub charged_events: u64,
    /// Credits with the version minus credits without it, over those events. Signed.
    pub charged_credits: Credits,
    /// Waiting events that get a price by it.
    pub unrated_covered: u64,
    /// False when the ledger was too long to be read to its end: then each number is a lower bound
    /// of what was looked at.
    pub whole: bool,
}

impl Default for Impact {
    fn default() -> Self {
        Self { charged_events: 0, charged_credits: Credits::ZERO, unrated_covered: 0, whole: true }
    }
}

/// Prices before and after a version, and when it is in force.
pub(crate) struct Comparison<'a> {
    pub(crate) before: &'a Catalogue,
    pub(crate) after: &'a Catalogue,
    pub(crate) document: &'a Document,
}

impl Comparison<'_> {
    /// Reads the ledger, unless no usage can be dated within the version.
    pub(crate) fn measure(
        &self,
        log: &dyn EventLog,
        partitions: u32,
        now: Timestamp,
    ) -> Result<Impact, LogError> {
        let mut impact = Impact::default();
        if self.document.effective_from() > now.plus_micros(EVENT_AHEAD_MICROS_MAX) {
            return Ok(impact);
        }
        let mut debits = 0;
        for partition in (0..partitions).map(Partition) {
            let mut waiting = HashSet::new();
            let at = TopicPartition { topic: Topic::LedgerEntries, partition };
            read(log, at, &mut |value| {
                // Damaged and newer records are for `verify`; here they only are no debits.
                if let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(value) {
                    debits += self.weigh(&entry, &mut waiting, &mut impact);
                }
                debits < DEBITS_MAX
            })?;
            impact.unrated_covered += waiting.len() as u64;
            if debits >= DEBITS_MAX {
                impact.whole = false;
                break;
            }
        }
        Ok(impact)
    }

    /// Returns how many debits it priced again.
    fn weigh(
        &self,
        entry: &Entry<'_>,
        waiting: &mut HashSet<EntryNumber>,
        impact: &mut Impact,
    ) -> u64 {
        match &entry.body {
            Body::Debit(debit) => {
                if let Some(unrated) = debit.resolves {
                    waiting.remove(&unrated);
                }
                if !self.document.is_in_force(debit.event.time) {
                    return 0;
                }
                let plan = debit.plan.as_deref();
                if let Some(change) = would_differ(self.before, self.after, &debit.event, plan) {
                    impact.charged_events += 1;
                    impact.charged_credits += change.credits();
                }
                1
            }
            Body::Unrated(unrated) => {
                let plan = unrated.plan.as_deref();
                let priced = |catalogue| rate(catalogue, &unrated.event, plan).is_ok();
                if self.document.is_in_force(unrated.event.time)
                    && !priced(self.before)
                    && priced(self.after)
                {
                    waiting.insert(entry.number);
                }
                0
            }
            Body::Quarantined(_)
            | Body::Corrected(_)
            | Body::QuarantineDecided(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::LotExpiring(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::HoldExtended(_)
            | Body::HoldEnded(_)
            | Body::PlanAssigned(_)
            | Body::PlanScheduled(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::Reversed(_) => 0,
        }
    }
}

/// Reads a partition to the end that it has now, or until `visit` says no.
fn read(
    log: &dyn EventLog,
    at: TopicPartition,
    visit: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), LogError> {
    let bounds = log.bounds(at)?;
    let mut reader = log.reader(&[(at, bounds.start)])?;
    let (mut go_on, mut empty_polls) = (true, 0);
    while go_on && reader.position(at) < bounds.stable_end {
        let end: Offset = bounds.stable_end;
        let count = reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
            if go_on && record.offset < end {
                go_on = visit(record.value);
            }
        })?;
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            let position = reader.position(at);
            return Err(LogError::Unavailable(format!("reading {at} stopped at {position}")));
        }
    }
    Ok(())
}
