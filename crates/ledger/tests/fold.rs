//! Random lives of accounts: whatever is decided, the invariants hold after every entry, and what
//! was drawn, granted and lost adds up in an independent count.
#![allow(clippy::unwrap_used)]

use std::borrow::Cow;

use domain::{
    CatalogueId, ContentHash, Credits, Item, LotId, Measure, Money, Offset, Pools, RateLine,
    Reason, RuleId, Timestamp, Topic, UsageEvent,
};
use ledger::decide::{self, Charge, Facts, Moment};
use ledger::{
    Body, Category, Cause, Command, CommandBody, Entry, GrantTerms, LotState, PartitionState,
    invariant,
};
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000;

#[derive(Clone, Debug)]
enum Step {
    Use {
        account: u8,
        credits: i128,
        hours_ago: i64,
        items: usize,
    },
    Grant {
        account: u8,
        credits: i128,
        paid: i128,
        starts_h: i64,
        lasts_h: Option<i64>,
        priority: u8,
        category: Category,
    },
    Adjust {
        account: u8,
        credits: i128,
    },
    Void {
        account: u8,
        lot: u64,
        part: Option<i128>,
    },
    Pass {
        hours: i64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amount = 1_i128..5_000_000_000_000;
    let category = prop_oneof![
        Just(Category::Promotional),
        Just(Category::Included),
        Just(Category::Purchased)
    ];
    let step = prop_oneof![
        5 => (0_u8..3, amount.clone(), 0_i64..40, 1_usize..4).prop_map(|(account, credits, hours_ago, items)|
            Step::Use { account, credits, hours_ago, items }),
        3 => (0_u8..3, amount.clone(), 0_i128..1_000_000_000_000, -5_i64..20, prop::option::of(1_i64..60), 48_u8..52, category)
            .prop_map(|(account, credits, paid, starts_h, lasts_h, priority, category)|
                Step::Grant { account, credits, paid, starts_h, lasts_h, priority, category }),
        1 => (0_u8..3, -3_000_000_000_000_i128..3_000_000_000_000).prop_map(|(account, credits)| Step::Adjust { account, credits }),
        1 => (0_u8..3, 1_u64..12, prop::option::of(1_i128..1_000_000_000_000)).prop_map(|(account, lot, part)| Step::Void { account, lot, part }),
        2 => (1_i64..30).prop_map(|hours| Step::Pass { hours }),
    ];
    prop::collection::vec(step, 1..60)
}

struct World {
    state: PartitionState,
    now: Timestamp,
    inputs: i64,
    entries: Vec<Entry<'static>>,
}

impl World {
    fn new() -> Self {
        let now = Timestamp::from_seconds(1_795_000_000);
        Self { state: PartitionState::default(), now, inputs: 0, entries: Vec::new() }
    }

    fn moment(&mut self) -> Moment {
        self.inputs += 1;
        let cause = Cause::Input { topic: Topic::UsageRaw, offset: Offset(self.inputs) };
        Moment { number: self.state.next_number(), ledger_time: self.now, cause }
    }

    fn take(&mut self, entry: Entry<'static>) {
        invariant::postings_balance(&entry).unwrap();
        invariant::charge_adds_up(&entry).unwrap();
        self.state.apply(&entry).unwrap();
        invariant::lots_conserve(&entry.account, self.state.account(&entry.account)).unwrap();
        assert_eq!(self.state.account(&entry.account).balance(), entry.after);
        self.entries.push(entry);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Use { account, credits, hours_ago, items } => {
                let charge = charge(
                    &name(*account),
                    *credits,
                    *items,
                    self.now.plus_micros(-hours_ago * HOUR),
                );
                let moment = self.moment();
                let entry = decide::debit(self.state.account(&name(*account)), charge, moment);
                self.take(entry);
            }
            Step::Grant { account, credits, paid, starts_h, lasts_h, priority, category } => {
                let effective = self.now.plus_micros(starts_h * HOUR);
                let terms = GrantTerms {
                    credits: Credits::from_atoms(*credits),
                    category: *category,
                    priority: *priority,
                    effective: Some(effective),
                    expires: lasts_h.map(|hours| effective.plus_micros(hours * HOUR)),
                    paid: Money::from_atoms(*paid),
                    currency: None,
                };
                self.command(*account, CommandBody::Grant(terms));
            }
            Step::Adjust { account, credits } => {
                self.command(
                    *account,
                    CommandBody::Adjust { credits: Credits::from_atoms(*credits) },
                );
            }
            Step::Void { account, lot, part } => self.command(
                *account,
                CommandBody::Void { lot: LotId(*lot), credits: part.map(Credits::from_atoms) },
            ),
            Step::Pass { hours } => {
                self.now = self.now.plus_micros(hours * HOUR);
                while let Some(timer) = self.state.due(self.now) {
                    let moment = Moment {
                        number: self.state.next_number(),
                        ledger_time: self.now,
                        cause: Cause::Timer { due: timer.due },
                    };
                    let account = self.state.account(&timer.account);
                    let entry = decide::timer(
                        account,
                        &timer.account,
                        timer.kind,
                        Facts::default(),
                        moment,
                    )
                    .unwrap();
                    self.take(entry);
                }
            }
        }
    }

    fn command(&mut self, account: u8, body: CommandBody<'static>) {
        let moment = self.moment();
        let command = Command {
            account: Cow::Owned(name(account)),
            id: Cow::Owned(format!("c{}", self.inputs)),
            actor: Cow::Borrowed("test"),
            reason: Cow::Borrowed("test"),
            deadline: None,
            correlation: 0,
            within: Vec::new(),
            body,
        };
        let state = self.state.account(&name(account));
        if let Ok(entry) =
            decide::command(state, &command, ContentHash(0), Facts::default(), moment)
        {
            self.take(entry);
        }
    }
}

fn name(account: u8) -> String {
    format!("acct_{account}")
}

fn charge(account: &str, credits: i128, items: usize, time: Timestamp) -> Charge<'static> {
    let item = Item {
        model: Some(Cow::Borrowed("gpt-4o")),
        provider: None,
        service_tier: None,
        measure: Measure::Tokens(Pools::default()),
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    };
    let share = credits / items as i128;
    let lines = (0..items)
        .map(|index| RateLine {
            rule: RuleId(0),
            credits: Credits::from_atoms(if index == 0 {
                credits - share * (items as i128 - 1)
            } else {
                share
            }),
            price: None,
            computed: None,
            missing: Some(Reason::NoVendorPrice),
        })
        .collect();
    Charge {
        event: UsageEvent {
            account: Cow::Owned(account.to_owned()),
            time,
            items: vec![item; items],
            ..UsageEvent::default()
        },
        content: ContentHash(0),
        plan: None,
        rate_card: CatalogueId(0),
        catalogue: Offset(1),
        lines,
        credits: Credits::from_atoms(credits),
        residual: Credits::ZERO,
        resolves: None,
        hold: None,
        repays: true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_life_of_an_account_keeps_the_invariants(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        // An independent count: what came in went somewhere.
        let mut granted = Credits::ZERO;
        let mut gone = Credits::ZERO;
        let mut pending = Credits::ZERO;
        for entry in &world.entries {
            match &entry.body {
                Body::Grant(grant) => granted += grant.credits,
                Body::Adjustment(adjustment) => granted += adjustment.credits,
                Body::Debit(debit) => gone += debit.credits,
                Body::LotVoided(closed) | Body::LotExpired(closed) => gone += closed.credits,
                Body::LotActivated(_) | Body::LotInGrace(_) | Body::LotExpiring(_) => {}
                other => panic!("nothing here does {other:?}"),
            }
        }
        let mut settled = Credits::ZERO;
        for (_, account) in world.state.accounts() {
            settled += account.balance().settled;
            pending += account.lots.iter().filter(|lot| lot.state == LotState::Pending).map(|lot| lot.remaining()).sum();
        }
        prop_assert_eq!(granted - gone, settled + pending);
    }

    #[test]
    fn the_fold_of_the_entries_is_the_live_state(steps in steps()) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        let mut folded = PartitionState::default();
        for entry in &world.entries {
            folded.apply(entry).unwrap();
        }
        prop_assert!(folded == world.state);
    }
}

#[test]
fn lots_are_drawn_by_priority_then_expiry_then_category() {
    let mut world = World::new();
    let grant = |priority, lasts_h, category| Step::Grant {
        account: 0,
        credits: 1_000_000_000_000,
        paid: 0,
        starts_h: 0,
        lasts_h,
        priority,
        category,
    };
    world.step(&grant(50, None, Category::Purchased));
    world.step(&grant(50, None, Category::Promotional));
    world.step(&grant(50, Some(10), Category::Purchased));
    world.step(&grant(10, None, Category::Purchased));
    world.step(&Step::Use { account: 0, credits: 5_500_000_000_000, hours_ago: 0, items: 1 });
    let Body::Debit(debit) = &world.entries.last().unwrap().body else { panic!() };
    let order: Vec<u64> = debit.draws.iter().map(|draw| draw.lot.0).collect();
    assert_eq!(order, [4, 3, 2, 1]);
    assert_eq!(debit.overage.to_string(), "1.5");
    // The next grant repays it.
    world.step(&grant(50, None, Category::Purchased));
    assert_eq!(world.entries.last().unwrap().after.settled.to_string(), "-0.5");
}

#[test]
fn grace_serves_only_usage_dated_before_the_expiry() {
    let mut world = World::new();
    world.step(&Step::Grant {
        account: 0,
        credits: 4_000_000_000_000,
        paid: 8_000_000_000_000,
        starts_h: 0,
        lasts_h: Some(10),
        priority: 50,
        category: Category::Purchased,
    });
    world.step(&Step::Pass { hours: 11 });
    assert_eq!(world.state.account("acct_0").balance().available(), Credits::ZERO);
    world.step(&Step::Use { account: 0, credits: 1_000_000_000_000, hours_ago: 2, items: 1 });
    world.step(&Step::Use { account: 0, credits: 1_000_000_000_000, hours_ago: 0, items: 1 });
    let balance = world.state.account("acct_0").balance();
    assert_eq!(
        (balance.settled.to_string(), balance.overage.to_string()),
        ("2".into(), "1".into())
    );
    world.step(&Step::Pass { hours: 24 });
    let Body::LotExpired(expired) = &world.entries.last().unwrap().body else { panic!() };
    assert_eq!(
        (expired.credits.to_string(), expired.revenue.to_string()),
        ("3".into(), "6".into())
    );
}
