//! The ledger's own random lives of accounts, as rows: folded as ClickHouse's views fold them, they
//! are the ledger's state.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.
#![allow(dead_code)] // The lives are the ledger's; not all of them is used here.

#[path = "../../../ledger/tests/lives/plans.rs"]
mod plans;
#[path = "../../../ledger/tests/lives/step.rs"]
mod step;
#[path = "../../../ledger/tests/lives/world.rs"]
mod world;

mod fold;
mod table;

use std::collections::BTreeMap;

use domain::LotId;
use ledger::{Body, HoldId, HoldName};
use projection::tables::{self, ColumnType, MEASURES};
use proptest::prelude::*;

use crate::plans::of_every_sort;
use crate::step::{ACCOUNTS, Step, steps};
use crate::table::{PARTITION, Tables};
use crate::world::{DAY, World};

fn lived(steps: &[Step]) -> (World, Tables) {
    let mut world = World::at("2026-01-29T22:40:00Z").with_plans(of_every_sort());
    steps.iter().for_each(|step| world.step(step));
    let tables = Tables::of(&world.entries);
    (world, tables)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn balances_are_the_ledgers(steps in steps()) {
        let (world, tables) = lived(&steps);
        let rows = tables.rows(&tables::ACCOUNT_BALANCES);
        prop_assert_eq!(rows.len(), world.state.account_count());
        for row in rows {
            let balance = world.state.account(&row.text("account")).balance();
            prop_assert_eq!(row.amount("settled"), balance.settled.atoms());
            prop_assert_eq!(row.amount("held"), balance.held.atoms());
            prop_assert_eq!(row.amount("in_grace"), balance.in_grace.atoms());
            prop_assert_eq!(row.amount("available"), balance.available().atoms());
            prop_assert_eq!(row.amount("overage"), balance.overage.atoms());
        }
        // The changes sum to every balance on the way. A refund does not say that its lot was pending.
        let mut sums = BTreeMap::<String, i128>::new();
        for row in tables.rows(&tables::LEDGER_ENTRIES) {
            if row.text("kind") == "refunded" {
                let before = sums.get(&row.text("account")).copied().unwrap_or_default();
                prop_assume!(before != row.amount("settled_after"));
            }
            let sum = sums.entry(row.text("account")).or_default();
            *sum += row.amount("credits");
            prop_assert_eq!(*sum, row.amount("settled_after"), "{}", row.text("kind"));
        }
    }

    #[test]
    fn lots_are_the_ledgers(steps in steps()) {
        let (world, tables) = lived(&steps);
        let mut lots = fold::lots(&tables);
        for name in ACCOUNTS {
            let account = world.state.account(name);
            for lot in account.lots.iter().chain(&account.closed) {
                let found = lots.remove(&(name.to_owned(), lot.id.0)).unwrap();
                prop_assert_eq!(&found.category, lot.category.word());
                prop_assert_eq!(found.priority, u64::from(lot.priority));
                prop_assert_eq!((found.effective, found.expires), (lot.effective, lot.expires));
                prop_assert_eq!(found.granted, lot.granted.atoms());
                prop_assert_eq!(found.remaining, lot.remaining().atoms());
                prop_assert_eq!(found.drawn, lot.drawn.atoms());
                prop_assert_eq!(found.expired, lot.expired.atoms());
                prop_assert_eq!(found.voided, lot.voided.atoms());
                prop_assert_eq!(found.rolled, lot.rolled.atoms());
                prop_assert_eq!(found.refunded, lot.refunded.atoms());
                prop_assert_eq!(found.paid, lot.paid.atoms());
                prop_assert_eq!(found.paid_back, lot.paid_back.atoms());
                prop_assert_eq!(found.recognised, lot.recognised.atoms());
                // On no day are there fewer than none, wherever movements are dated.
                let mut left = 0;
                for (day, credits) in &found.days {
                    left += credits;
                    prop_assert!(left >= 0, "lot {} on day {}: {:?}", lot.id, day, found.days);
                }
            }
        }
        prop_assert!(lots.is_empty(), "{:?}", lots.keys());
    }

    #[test]
    fn holds_are_the_ledgers(steps in steps()) {
        let (world, tables) = lived(&steps);
        let holds = fold::holds(&tables);
        let reserved = world.entries.iter().filter(|entry| matches!(entry.body, Body::HoldReserved(_)));
        prop_assert_eq!(holds.len(), reserved.clone().count());
        for entry in reserved {
            let id = HoldId(entry.number);
            let name = HoldName { partition: PARTITION, hold: id }.to_string();
            let found = &holds[&(entry.account.to_string(), name)];
            let Some(hold) = world.state.account(&entry.account).hold(id) else {
                prop_assert!(found.state != "open" && found.held == 0, "{:?}", found);
                // What no event claims in 35 days stays charged, and is shown.
                prop_assert!(found.advanced == 0 || world.now.since(entry.recorded_at) >= 35 * DAY);
                continue;
            };
            prop_assert_eq!(found.state == "open", hold.is_open(), "{:?}", found);
            prop_assert_eq!(found.ended_at, hold.ended_at);
            prop_assert_eq!(found.expires_at, hold.expires_at);
            prop_assert_eq!(found.amount, hold.amount.atoms());
            prop_assert_eq!(found.captured, hold.captured.atoms());
            prop_assert_eq!(found.held, hold.held().atoms());
            prop_assert_eq!(found.advanced, hold.outstanding().atoms());
        }
        let refused = world.entries.iter().filter(|entry| matches!(entry.body, Body::HoldRefused(_)));
        prop_assert_eq!(tables.rows(&tables::HOLD_REFUSALS).len(), refused.count());
    }

    #[test]
    fn plans_and_budgets_are_the_ledgers(steps in steps()) {
        let (world, tables) = lived(&steps);
        let (plans, budgets) = (fold::plans(&tables), fold::budgets(&tables));
        for name in ACCOUNTS {
            let account = world.state.account(name);
            prop_assert_eq!(plans.contains_key(name), account.plan().is_some());
            if let Some(plan) = account.plan() {
                let found = &plans[name];
                prop_assert_eq!(&found.plan, plan.plan.as_ref());
                prop_assert_eq!(found.start, plan.period.map(|period| period.start));
                prop_assert_eq!(found.end, plan.period.map(|period| period.end));
                prop_assert_eq!(found.trial, plan.trial);
                prop_assert_eq!(found.allowance, plan.allowance.atoms());
                prop_assert_eq!(found.scheduled.as_deref(), plan.scheduled.as_deref());
                // Rolled over lots leave the period before it ends.
                let lots: Vec<LotId> = found.lots.iter().copied().map(LotId).collect();
                prop_assert!(plan.lots.iter().all(|lot| lots.contains(lot)));
                let left = lots.iter().filter(|lot| !plan.lots.contains(lot));
                for lot in left {
                    prop_assert!(account.lot(*lot).unwrap().rolled.is_positive());
                }
            }
            let of_account = budgets.iter().filter(|((account, _), _)| account == name);
            prop_assert_eq!(of_account.count(), account.budgets().len());
            for budget in account.budgets() {
                let found = &budgets[&(name.to_owned(), budget.terms.id.to_string())];
                prop_assert_eq!(found.used, budget.used.atoms());
                prop_assert_eq!(found.limit, budget.terms.limit.atoms());
                prop_assert_eq!(found.start, budget.window.map(|window| window.start));
                prop_assert_eq!(found.end, budget.window.map(|window| window.end));
            }
        }
    }

    /// A charge and its reversal leave nothing, in lines and rollups; everything else is the charges.
    #[test]
    fn usage_is_what_was_charged_and_not_taken_back(steps in steps()) {
        let (world, tables) = lived(&steps);
        let lines = tables.rows(&tables::USAGE_LINES);
        // What corrects a charge, or a correction of it, belongs to the debit that it began with.
        let mut began = BTreeMap::<String, String>::new();
        for line in lines {
            let (id, corrects) = (line.text("entry_id"), line.text("corrects"));
            let first = began.get(&corrects).cloned().unwrap_or(corrects);
            began.insert(id.clone(), if first.is_empty() { id } else { first });
        }
        let standing: Vec<String> = world
            .standing()
            .iter()
            .map(|(entry, _)| projection::entry_id(PARTITION, entry.standing().unwrap().charge))
            .collect();
        for measure in MEASURES {
            let is_amount = measure.column_type == ColumnType::Amount;
            let value = |row: &table::Row| if is_amount { row.amount(measure.name) } else { row.number(measure.name) };
            let mut nets = BTreeMap::<String, i128>::new();
            for line in lines {
                *nets.entry(began[&line.text("entry_id")].clone()).or_default() += value(line);
            }
            for (id, net) in nets.iter().filter(|(id, _)| !standing.contains(id)) {
                prop_assert_eq!(*net, 0, "{} of {}", measure.name, id);
            }
            let total: i128 = nets.values().sum();
            for rollup in [&tables::USAGE_HOURLY, &tables::USAGE_DAILY, &tables::USAGE_DAILY_BY_USER] {
                let sum: i128 = tables.rows(rollup).iter().map(value).sum();
                prop_assert_eq!(sum, total, "{} of {}", measure.name, rollup.name);
            }
        }
        let (mut credits, mut overage) = (0, 0);
        for entry in &world.entries {
            match &entry.body {
                Body::Debit(debit) => {
                    credits += debit.credits.atoms();
                    overage += debit.past_the_lots().atoms();
                }
                Body::Reversed(reversed) => {
                    credits -= reversed.debit.credits.atoms();
                    overage -= reversed.debit.past_the_lots().atoms();
                }
                Body::Corrected(corrected) => {
                    credits += corrected.change().atoms();
                    let now = corrected.now.as_ref().map(|now| now.past_the_lots().atoms());
                    overage += now.unwrap_or(0) - corrected.before.past_the_lots().atoms();
                }
                _ => {}
            }
        }
        let sum = |name: &str| lines.iter().map(|line| line.amount(name)).sum::<i128>();
        prop_assert_eq!(sum("credits"), credits);
        prop_assert_eq!(sum("credits_overage"), overage);
    }
}
