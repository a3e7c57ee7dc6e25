//! What must come out of a load, reckoned without any of tally's own pricing or bookkeeping.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use domain::{Credits, Money, Outcome, UsageEvent, partition_of};
use replay::{Dimensions, Sums};

use crate::catalogue;
use crate::load::{Load, MODELS, Meaning};
use crate::price_map::PriceMap;
use crate::rate_card::{Line, RateCard};
use crate::received::Received;

/// What the ledger and ClickHouse must say.
#[derive(Debug, Default)]
pub struct Truth {
    pub usage: BTreeMap<Dimensions, Sums>,
    /// Granted minus charged, by account.
    pub settled: BTreeMap<String, Credits>,
    /// Events that are charged.
    pub charged: u64,
    /// Events that stay unrated.
    pub unrated: u64,
    /// Input offsets by how they must have ended, `Debit` standing for unrated usage as well.
    pub outcomes: BTreeMap<Outcome, u64>,
}

/// Prices usage a second time.
#[derive(Debug)]
pub struct Pricing {
    prices: PriceMap,
    /// The later one first.
    cards: Vec<RateCard>,
}

impl Pricing {
    /// # Errors
    /// Documents that cannot be read.
    pub fn of(load: &Load) -> anyhow::Result<Self> {
        let mut prices = PriceMap::default();
        prices.add_list(catalogue::PRICE_LIST, &MODELS)?;
        prices.add_book(catalogue::METERS)?;
        prices.add_book(catalogue::HOUSE)?;
        let cards = load.cards.iter().map(|(_, card)| RateCard::parse(card));
        Ok(Self { prices, cards: cards.collect::<anyhow::Result<_>>()? })
    }

    /// How much usage no price ever covers.
    ///
    /// # Errors
    /// When no card holds.
    pub fn unrated_for_good(&self, load: &Load) -> anyhow::Result<u64> {
        let mut unrated = 0;
        for event in &load.events {
            unrated += u64::from(self.lines(event)?.is_none());
        }
        Ok(unrated)
    }

    /// The lines of an event's debit; `None` when it stays unrated.
    ///
    /// # Errors
    /// When no card holds.
    pub fn lines(&self, event: &UsageEvent<'_>) -> anyhow::Result<Option<Vec<Line>>> {
        let card = self.cards.iter().find(|card| card.effective_from <= event.time);
        card.context("no card holds")?.lines(&self.prices, event)
    }
}

impl Truth {
    /// # Errors
    /// When a line of the load never reached the log.
    pub fn of(load: &Load, received: &Received) -> anyhow::Result<Self> {
        let mut truth = Self::default();
        let mut events = vec![0_u64; load.events.len()];
        let mut grants = vec![0_u64; load.grants.len()];
        for (number, line) in load.lines.iter().enumerate() {
            let sent = line.meaning == Meaning::Catalogue || received.times[number] > 0;
            ensure!(sent, "line {number} never reached the log");
        }
        for line in received.lines(load) {
            match line.meaning {
                Meaning::Event(index) => {
                    events[index] += 1;
                    let home = partition_of(&load.events[index].account, load.terms.partitions);
                    if line.to.partition != home {
                        truth.ended(Outcome::Forwarded, 1);
                    }
                }
                Meaning::Grant(index) => grants[index] += 1,
                Meaning::Conflict | Meaning::TooLate => truth.ended(Outcome::Quarantined, 1),
                Meaning::Broken => truth.ended(Outcome::DeadLetter, 1),
                Meaning::Catalogue => {}
            }
        }
        let pricing = Pricing::of(load)?;
        for (event, times) in load.events.iter().zip(events) {
            truth.ended(Outcome::Debit, 1);
            truth.ended(Outcome::Duplicate, times - 1);
            truth.charge(event, pricing.lines(event)?);
        }
        for (grant, times) in load.grants.iter().zip(grants) {
            truth.ended(Outcome::Applied, 1);
            truth.ended(Outcome::Repeated, times - 1);
            *truth.settled.entry(grant.account.clone()).or_default() += grant.credits;
        }
        Ok(truth)
    }

    fn ended(&mut self, outcome: Outcome, count: u64) {
        *self.outcomes.entry(outcome).or_default() += count;
    }

    fn charge(&mut self, event: &UsageEvent<'_>, lines: Option<Vec<Line>>) {
        let Some(lines) = lines else {
            self.unrated += 1;
            return;
        };
        self.charged += 1;
        for (item, line) in event.items.iter().zip(lines) {
            let dimensions = Dimensions {
                account: event.account.to_string(),
                feature: event.feature.to_string(),
                model: item.model.as_deref().unwrap_or_default().to_owned(),
                traffic: event.traffic.word(),
            };
            let sums = self.usage.entry(dimensions).or_default();
            let credits = Credits::from_atoms(line.credits);
            sums.lines += 1;
            sums.credits += credits;
            match line.vendor_cost {
                Some(cost) => sums.vendor_cost += Money::from_atoms(cost),
                None => sums.uncosted_lines += 1,
            }
            *self.settled.entry(event.account.to_string()).or_default() += -credits;
        }
    }
}
