//! Pricing charges anew: what a catalogue would have charged instead, and by how much that differs.
//!
//! A plan is made from the ledger alone. It follows each charge to the entry that stands for it now,
//! so that a charge that was taken back is left alone, and one that was priced anew is compared as it
//! stands. Applying it is a command per charge, which names that entry: whatever corrected the charge
//! meanwhile makes the command be refused, never counted twice.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Credits, EntryNumber, Money, Offset, Partition, Reason, Text, Timestamp};
use ledger::{Body, Debit, Entry, Rerate};
use rating::Catalogue;
use serde::{Deserialize, Serialize};
use wire::LedgerRecord;

/// Charges of one plan: what is more is for the next one, which begins where this one ended.
pub const DIFFERENCES_MAX: usize = 250_000;
/// Examples that are kept of charges without a price.
const UNPRICED_SHOWN: usize = 10;

/// Which charges are looked at. An empty set takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    pub accounts: BTreeSet<String>,
    pub features: BTreeSet<String>,
    /// Charges with an item of one of them.
    pub models: BTreeSet<String>,
    pub sources: BTreeSet<String>,
    /// Event times, `[from, to)`.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

impl Filter {
    fn takes(&self, debit: &Debit<'_>) -> bool {
        let event = &debit.event;
        let has = |set: &BTreeSet<String>, text: &str| set.is_empty() || set.contains(text);
        let models = || event.items.iter().filter_map(|item| item.model.as_deref());
        has(&self.accounts, &event.account)
            && has(&self.features, &event.feature)
            && has(&self.sources, &event.source)
            && (self.models.is_empty() || models().any(|model| self.models.contains(model)))
            && self.from.is_none_or(|from| event.time >= from)
            && self.to.is_none_or(|to| event.time < to)
    }
}

/// What something is charged and costs us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Priced {
    pub credits: Credits,
    /// Σ known vendor cost.
    pub vendor_cost: Money,
    /// Lines whose vendor cost is not known.
    pub uncosted_lines: i64,
    /// What the lots that pay for it earn. Of what a charge would draw on top, that is known only when
    /// it is drawn, and counts as nothing here.
    pub revenue: Money,
}

impl std::ops::AddAssign for Priced {
    fn add_assign(&mut self, other: Self) {
        self.credits += other.credits;
        self.vendor_cost += other.vendor_cost;
        self.uncosted_lines += other.uncosted_lines;
        self.revenue += other.revenue;
    }
}

/// One item of a charge, before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemDifference {
    /// Empty for a meter without a model.
    pub model: String,
    pub before: Priced,
    pub now: Priced,
}

/// One charge that would be another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The entry that stands for the charge.
    pub partition: Partition,
    pub entry: EntryNumber,
    /// Where it stands in the ledger.
    pub offset: Offset,
    pub account: String,
    pub feature: String,
    pub source: String,
    pub event: String,
    pub time: Timestamp,
    pub items: Vec<ItemDifference>,
}

impl Difference {
    pub fn before(&self) -> Priced {
        sum(self.items.iter().map(|item| item.before))
    }

    pub fn now(&self) -> Priced {
        sum(self.items.iter().map(|item| item.now))
    }
}

fn sum(parts: impl Iterator<Item = Priced>) -> Priced {
    let mut sum = Priced::default();
    parts.for_each(|part| sum += part);
    sum
}

/// A charge that the other catalogue has no price for: it stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpriced {
    pub partition: Partition,
    pub entry: EntryNumber,
    pub reason: Reason,
}

/// What a plan found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// Charges that the filter takes, as they stand.
    pub looked_at: u64,
    pub differences: Vec<Difference>,
    pub unpriced: u64,
    /// The first of them.
    pub unpriced_examples: Vec<Unpriced>,
    /// Whether there are no more than are listed.
    pub whole: bool,
}

/// Reads the ledger, partition by partition, and finds what would be charged differently.
#[derive(Debug)]
pub struct Planner<'c> {
    filter: &'c Filter,
    catalogue: &'c Catalogue,
    partition: Partition,
    /// Of the current partition: charges that differ or have no price, by the entry that stands for
    /// them, until another takes its place.
    standing: BTreeMap<EntryNumber, Judged>,
    found: Found,
    differing: usize,
}

#[derive(Debug)]
enum Judged {
    Same,
    Differs(Box<Difference>),
    Unpriced(Reason),
}

impl<'c> Planner<'c> {
    pub fn new(filter: &'c Filter, catalogue: &'c Catalogue) -> Self {
        Self {
            filter,
            catalogue,
            partition: Partition(0),
            standing: BTreeMap::new(),
            found: Found { whole: true, ..Found::default() },
            differing: 0,
        }
    }

    /// Begins a partition.
    pub fn begin(&mut self, partition: Partition) {
        self.end();
        self.partition = partition;
    }

    /// Whether more would not be listed.
    pub fn is_full(&self) -> bool {
        self.differing >= DIFFERENCES_MAX
    }

    /// Takes one record of the ledger, in order. What cannot be read is for `verify`.
    pub fn record(&mut self, offset: Offset, bytes: &[u8]) {
        if let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(bytes) {
            self.entry(offset, &entry);
        }
    }

    fn entry(&mut self, offset: Offset, entry: &Entry<'_>) {
        if let Some(corrected) = corrected_by(entry)
            && let Some(Judged::Differs(_)) = self.standing.remove(&corrected)
        {
            self.differing -= 1;
        }
        let Some(debit) = entry.standing_charge().filter(|debit| self.filter.takes(debit)) else {
            return;
        };
        if self.is_full() {
            self.found.whole = false;
            return;
        }
        let judged = self.judge(offset, entry, debit);
        self.differing += usize::from(matches!(judged, Judged::Differs(_)));
        self.standing.insert(entry.number, judged);
    }

    fn judge(&self, offset: Offset, entry: &Entry<'_>, debit: &Debit<'_>) -> Judged {
        let rating = match rating::rate(self.catalogue, &debit.event, debit.plan.as_deref()) {
            Ok(rating) => rating,
            Err(unrated) => return Judged::Unpriced(unrated.reason),
        };
        let lines: Vec<domain::RateLine> =
            rating.lines.iter().map(domain::RateLine::from).collect();
        let mut items: Vec<ItemDifference> = debit
            .event
            .items
            .iter()
            .zip(debit.lines.iter().zip(&lines))
            .map(|(item, (before, now))| ItemDifference {
                model: item.model.as_ref().map(Text::to_string).unwrap_or_default(),
                before: priced(before, item),
                now: priced(now, item),
            })
            .collect();
        if items.iter().all(|item| item.before == item.now) {
            return Judged::Same;
        }
        let earned = earned(debit, debit.credits);
        spread(earned, items.iter_mut().map(|item| &mut item.before));
        let earned = self::earned(debit, rating.credits);
        spread(earned, items.iter_mut().map(|item| &mut item.now));
        Judged::Differs(Box::new(Difference {
            partition: self.partition,
            entry: entry.number,
            offset,
            account: entry.account.to_string(),
            feature: debit.event.feature.to_string(),
            source: debit.event.source.to_string(),
            event: debit.event.id.to_string(),
            time: debit.event.time,
            items,
        }))
    }

    fn end(&mut self) {
        for (entry, judged) in std::mem::take(&mut self.standing) {
            self.found.looked_at += 1;
            match judged {
                Judged::Same => {}
                Judged::Differs(difference) => self.found.differences.push(*difference),
                Judged::Unpriced(reason) => {
                    self.found.unpriced += 1;
                    if self.found.unpriced_examples.len() < UNPRICED_SHOWN {
                        let partition = self.partition;
                        self.found.unpriced_examples.push(Unpriced { partition, entry, reason });
                    }
                }
            }
        }
    }

    pub fn finish(mut self) -> Found {
        self.end();
        self.found
    }
}

/// The entry that another stands for a charge instead of.
fn corrected_by(entry: &Entry<'_>) -> Option<EntryNumber> {
    if let Body::Reversed(reversed) = &entry.body {
        return Some(reversed.reverses);
    }
    if let Body::Corrected(corrected) = &entry.body {
        return Some(corrected.corrects);
    }
    None
}

fn priced(line: &domain::RateLine, item: &domain::Item<'_>) -> Priced {
    let cost = line.cost(item.vendor_cost.map(|reported| reported.amount));
    Priced {
        credits: line.credits,
        vendor_cost: cost.unwrap_or(Money::ZERO),
        uncosted_lines: i64::from(cost.is_none()),
        revenue: Money::ZERO,
    }
}

/// What the first so many credits of a charge earn: a charge that becomes smaller gives back what was
/// drawn last.
fn earned(debit: &Debit<'_>, credits: Credits) -> Money {
    let mut left = credits;
    let mut earned = Money::ZERO;
    for draw in debit.paying() {
        let part = left.min(draw.credits);
        earned += ledger::recognised(draw.revenue, part, draw.credits);
        left -= part;
    }
    earned
}

/// Shares revenue by credits; the last part takes what rounding left.
fn spread<'p>(revenue: Money, parts: impl Iterator<Item = &'p mut Priced>) {
    let mut parts: Vec<_> = parts.collect();
    let all: Credits = parts.iter().map(|part| part.credits).sum();
    let (mut so_far, mut given) = (Credits::ZERO, Money::ZERO);
    for part in &mut parts {
        so_far += part.credits;
        let now =
            if all.is_zero() { Money::ZERO } else { ledger::recognised(revenue, so_far, all) };
        part.revenue = now - given;
        given = now;
    }
}

/// The command that prices the charge of an entry anew, from the entry's record.
///
/// # Errors
/// [`Reason::NotACharge`] when it stands for none, and the reason why there is no price.
pub fn rerate(
    record: &[u8],
    catalogue: &Catalogue,
    next: Offset,
) -> Result<Rerate<'static>, Reason> {
    let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(record) else {
        return Err(Reason::NotACharge);
    };
    let debit = entry.standing_charge().ok_or(Reason::NotACharge)?;
    let rating = rating::rate(catalogue, &debit.event, debit.plan.as_deref())
        .map_err(|unrated| unrated.reason)?;
    Ok(Rerate {
        entry: entry.number,
        record: record.to_vec().into(),
        rate_card: rating.rate_card,
        catalogue: next,
        lines: rating.lines.iter().map(domain::RateLine::from).collect(),
        credits: rating.credits,
        residual: rating.residual,
    })
}

/// What a list of differences comes to, by anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Change {
    pub charges: u64,
    pub before: Priced,
    pub now: Priced,
}

impl Change {
    /// What is earned less what it costs, before and now, over the lines whose cost is known.
    pub fn margins(&self) -> (Money, Money) {
        let margin = |priced: Priced| priced.revenue - priced.vendor_cost;
        (margin(self.before), margin(self.now))
    }

    pub fn add(&mut self, before: Priced, now: Priced) {
        self.charges += 1;
        self.before += before;
        self.now += now;
    }
}
