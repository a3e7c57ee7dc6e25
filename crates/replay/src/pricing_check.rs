//! Invariants 8 and 9: every charge priced again, by the same code and by another, and nothing free
//! without something that says so.

use std::collections::BTreeMap;

use catalog::{History, Prices};
use domain::{Amount, EntryNumber, Offset, Partition, RateLine};
use ledger::{Body, CatalogueAdopted, Cause, Debit, Entry, PartitionState};
use reckoner::{FreedBy, Reckoned, Reckoner};

use crate::{Check, Evidence};

/// Reads entries in order.
#[derive(Debug)]
pub(crate) struct PricingCheck<'h> {
    history: &'h History,
    reckoner: Reckoner,
    /// The catalogue that the last charge named.
    current: Option<Prices>,
    /// One charge of so many is reckoned independently.
    reckon_every: u64,
    charges: u64,
    adoptions: Check,
    plans: Check,
    again: Check,
    independent: Check,
    free: Check,
    costs: Check,
    waiting: Check,
    /// Free lines by what made them so.
    freed: BTreeMap<FreedBy, u64>,
    missing: u64,
}

impl<'h> PricingCheck<'h> {
    pub(crate) fn new(history: &'h History, reckon_every: u32) -> Self {
        let of = |invariant, about| Check::of(Evidence::Catalogue, invariant, about);
        let mut independent = of(8, "an independent reckoning of every charge comes to the same");
        let mut reckoner = Reckoner::default();
        for version in history.latest().catalogue.versions() {
            if let Err(unreadable) = reckoner.publish(version.id.0, version.document.toml()) {
                independent.note(Some(unreadable.to_string()));
            }
        }
        if reckon_every > 1 {
            independent.say(&format!("one charge of {reckon_every} was reckoned independently"));
        }
        Self {
            history,
            reckoner,
            current: None,
            reckon_every: u64::from(reckon_every.max(1)),
            charges: 0,
            adoptions: of(
                8,
                "catalogues are adopted before they are used, as rates.catalog had them",
            ),
            plans: of(8, "every charge was made under the plan that held at its time"),
            again: of(8, "every charge, priced again under the catalogue it names, is the same"),
            independent,
            free: of(9, "nothing is free but by a rule, a rate of zero, or nothing used"),
            costs: of(
                9,
                "a vendor cost that is missing says why, and one that is known has a price",
            ),
            waiting: of(9, "no usage waits for a price that there is"),
            freed: BTreeMap::new(),
            missing: 0,
        }
    }

    pub(crate) fn adopted(&mut self, at: &str, adopted: &CatalogueAdopted) {
        let fault = match self.history.as_of(adopted.next) {
            None => Some(format!("{at}: the catalogue never ended at {}", adopted.next)),
            Some(prices) if prices.hash != adopted.hash => {
                Some(format!("{at}: the catalogue at {} was another", adopted.next))
            }
            Some(_) => None,
        };
        self.adoptions.note(fault);
    }

    /// Prices an entry's charge again. `state` is its partition's before the entry, if the fold holds.
    pub(crate) fn entry(&mut self, at: &str, entry: &Entry<'_>, state: Option<&PartitionState>) {
        let Some(debit) = entry.standing_charge() else { return };
        match state {
            // A charge that was priced anew names whichever catalogue it was priced under.
            _ if !matches!(entry.body, Body::Debit(_)) => {}
            Some(state) => self.circumstances(at, entry, debit, state),
            None => self.adoptions.skip(1, "the fold of their partition broke before"),
        }
        let Some(prices) = self.prices(debit.catalogue) else {
            self.again.note(Some(format!(
                "{at}: it names the catalogue at {}, which never was",
                debit.catalogue
            )));
            return;
        };
        let rated = rating::rate(&prices.catalogue, &debit.event, debit.plan.as_deref());
        self.again.note(match rated {
            Err(unrated) => Some(format!("{at}: it has no price: {unrated}")),
            Ok(rating) => {
                let lines: Vec<RateLine> = rating.lines.iter().map(RateLine::from).collect();
                let same = rating.rate_card == debit.rate_card
                    && rating.credits == debit.credits
                    && rating.residual == debit.residual
                    && lines == debit.lines;
                (!same).then(|| {
                    let (was, is) = (debit.credits, rating.credits);
                    format!("{at}: charged {was}, priced again {is}; {}", difference(debit, &lines))
                })
            }
        });
        self.charges += 1;
        if self.charges.is_multiple_of(self.reckon_every) {
            self.reckon(at, debit);
        }
        for (index, line) in debit.lines.iter().enumerate() {
            let fault = match (line.computed, line.missing, line.price) {
                (Some(_), None, Some(_)) => None,
                (None, Some(_), _) => {
                    self.missing += 1;
                    None
                }
                (Some(_), _, _) | (None, None, _) => Some(format!(
                    "{at}: item {index} has a cost of {:?} for no reason",
                    line.computed
                )),
            };
            self.costs.note(fault);
        }
    }

    /// What the charge says of its plan and its catalogue, against the state that it met.
    fn circumstances(
        &mut self,
        at: &str,
        entry: &Entry<'_>,
        debit: &Debit<'_>,
        state: &PartitionState,
    ) {
        self.adoptions.note((debit.catalogue != state.catalogue).then(|| {
            let (used, adopted) = (debit.catalogue, state.catalogue);
            format!("{at}: priced by the catalogue at {used}, the partition had adopted {adopted}")
        }));
        // A charge that came later has the plan that its usage waited with.
        if matches!(entry.cause, Cause::Input { .. }) && debit.resolves.is_none() {
            let account = state.account(&entry.account);
            let plan = account.plan().and_then(|plan| plan.plan_at(debit.event.time));
            self.plans.note((plan != debit.plan.as_deref()).then(|| {
                let said = &debit.plan;
                format!("{at}: charged under plan {said:?}, the account had {plan:?}")
            }));
        }
    }

    fn reckon(&mut self, at: &str, debit: &Debit<'_>) {
        let plan = debit.plan.as_deref();
        match self.reckoner.reckon(debit.catalogue.0, &debit.event, plan) {
            Err(reason) => {
                self.independent.note(Some(format!("{at}: reckoned, it has no price: {reason}")));
            }
            Ok(reckoned) => {
                let fault = disagreement(debit, &reckoned);
                self.independent.note(fault.map(|fault| format!("{at}: {fault}")));
                self.freed(at, debit, &reckoned);
            }
        }
    }

    fn freed(&mut self, at: &str, debit: &Debit<'_>, reckoned: &Reckoned) {
        for (index, (line, reckoned)) in debit.lines.iter().zip(&reckoned.lines).enumerate() {
            // What rounding left of very little is on the entry as its residual.
            if !line.credits.is_zero() || !reckoned.is_free {
                self.free.note(None);
                continue;
            }
            match reckoned.freed_by {
                Some(by) => {
                    *self.freed.entry(by).or_default() += 1;
                    self.free.note(None);
                }
                None => {
                    self.free.note(Some(format!("{at}: item {index} is free, nothing says so")))
                }
            }
        }
    }

    /// The unrated entries of a partition that the catalogue in use would price: they are about to be
    /// charged, or forgotten.
    pub(crate) fn priceable(&mut self, state: &PartitionState) -> Vec<EntryNumber> {
        let mut found = Vec::new();
        let mut from = EntryNumber(0);
        let Some(prices) = self.prices(state.catalogue).cloned() else { return found };
        while let Some((entry, waiting)) = state.waiting_from(from) {
            from = EntryNumber(entry.0 + 1);
            let rated = rating::rate(&prices.catalogue, &waiting.event, waiting.plan.as_deref());
            match rated {
                Ok(_) => found.push(entry),
                Err(_) => self.waiting.note(None),
            }
        }
        found
    }

    /// Says of those whether they were charged in the end.
    pub(crate) fn waited(&mut self, partition: Partition, entry: EntryNumber, charged: bool) {
        self.waiting.note((!charged).then(|| {
            format!("entry {partition}-{entry} waits for a price that the catalogue in use has")
        }));
    }

    fn prices(&mut self, next: Offset) -> Option<&Prices> {
        if self.current.as_ref().is_none_or(|prices| prices.next != next) {
            self.current = self.history.as_of(next);
        }
        self.current.as_ref()
    }

    pub(crate) fn finish(mut self) -> [Check; 7] {
        for (by, count) in &self.freed {
            self.free.say(&format!("{count} lines are free by {}", by.word()));
        }
        if self.missing > 0 {
            self.costs.say(&format!("{} lines have no known vendor cost", self.missing));
        }
        [
            self.adoptions,
            self.plans,
            self.again,
            self.independent,
            self.free,
            self.costs,
            self.waiting,
        ]
    }
}

fn difference(debit: &Debit<'_>, lines: &[RateLine]) -> String {
    let differing = debit.lines.iter().zip(lines).position(|(was, is)| was != is);
    match differing {
        Some(index) => {
            format!("item {index}: {:?} then, {:?} now", debit.lines[index], lines[index])
        }
        None => "the versions, the residual or the number of lines differ".to_owned(),
    }
}

/// What a charge and its independent reckoning do not agree on.
fn disagreement(debit: &Debit<'_>, reckoned: &Reckoned) -> Option<String> {
    let charged = (debit.rate_card.0, debit.credits.atoms(), debit.residual.atoms());
    let other = (reckoned.rate_card, reckoned.credits, reckoned.residual);
    if charged != other {
        let credits = domain::Credits::from_atoms(reckoned.credits);
        return Some(format!(
            "charged {} under card {}, reckoned {credits} under card {}",
            debit.credits, debit.rate_card, reckoned.rate_card
        ));
    }
    if debit.lines.len() != reckoned.lines.len() {
        return Some("the number of lines differs".to_owned());
    }
    debit.lines.iter().zip(&reckoned.lines).enumerate().find_map(|(index, (line, reckoned))| {
        let computed = line.computed.map(Amount::atoms);
        let agrees = usize::from(line.rule.0) == reckoned.rule
            && line.credits.atoms() == reckoned.credits
            && computed == reckoned.computed.ok()
            && line.missing == reckoned.computed.err();
        (!agrees).then(|| format!("item {index}: {line:?} in the ledger, {reckoned:?} reckoned"))
    })
}
