//! No overspend, against a plain ledger of totals that knows no lots: what is granted to holds is what
//! there was, whatever is captured, settled, released, expired or late.

use domain::{Credits, HoldAction, Timestamp};
use ledger::{
    Body, Category, CommandBody, Freed, GrantTerms, HoldId, Limit, LotState, PostingAccount,
    Reserve, Return, ReturnTo, Scope, Unit, Want,
};
use proptest::prelude::*;

use crate::plans::of_every_sort;
use crate::step::{ACCOUNTS, Step, steps};
use crate::world::{DAY, MINUTE, Usage, World};

const ACCOUNT: &str = ACCOUNTS[0];

/// An account in totals.
#[derive(Default)]
struct Totals {
    granted: i128,
    charged: i128,
    holds: Vec<HoldTotals>,
    /// Spent without having been reserved, and so without having been asked for: usage without a
    /// hold or after its end, the part above a hold, what was taken by hand.
    unasked: i128,
    rated: i128,
}

struct HoldTotals {
    id: HoldId,
    amount: i128,
    charged: i128,
    advance: i128,
    expires: Timestamp,
    open: bool,
}

impl HoldTotals {
    fn held(&self) -> i128 {
        if self.open { (self.amount - self.charged).max(0) } else { 0 }
    }
}

impl Totals {
    fn held(&self) -> i128 {
        self.holds.iter().map(HoldTotals::held).sum()
    }

    fn available(&self) -> i128 {
        self.granted - self.charged - self.held()
    }

    /// Charges on a hold; returns what is above what it has reserved.
    fn charge(&mut self, place: usize, credits: i128) -> i128 {
        let hold = &mut self.holds[place];
        let above = credits - credits.min(hold.held());
        hold.charged += credits;
        self.charged += credits;
        self.unasked += above;
        above
    }

    fn give_back(&mut self, place: usize, credits: i128) {
        let hold = &mut self.holds[place];
        hold.charged -= credits;
        hold.advance -= credits;
        self.charged -= credits;
    }

    fn use_on(&mut self, place: usize, credits: i128, last: bool) {
        let hold = &mut self.holds[place];
        let claimed = credits.min(hold.advance);
        hold.advance -= claimed;
        self.charge(place, credits - claimed);
        if last {
            self.give_back(place, self.holds[place].advance);
            self.holds[place].open = false;
        }
    }
}

#[derive(Clone, Debug)]
enum Act {
    Grant(i128),
    Adjust(i128),
    Reserve { credits: i128, minutes: i64, shrink: bool },
    Use { credits: i128, hold: Option<usize>, last: bool },
    Capture { hold: usize, credits: i128 },
    Settle { hold: usize, total: Option<i128> },
    Release { hold: usize },
    Pass { minutes: i64 },
    Restart,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    // Small whole numbers meet each other exactly.
    let credits = || {
        prop_oneof![2 => 1_i128..9, 1 => 1_i128..1_000].prop_map(|units| units * 10_i128.pow(11))
    };
    let hold = || 0_usize..6;
    let act = prop_oneof![
        3 => credits().prop_map(|credits| Act::Grant(credits * 3)),
        1 => (-9_i128..9).prop_filter("not zero", |units| *units != 0).prop_map(|units| Act::Adjust(units * 10_i128.pow(11))),
        6 => (credits(), 1_i64..60, any::<bool>())
            .prop_map(|(credits, minutes, shrink)| Act::Reserve { credits, minutes, shrink }),
        5 => (credits(), prop::option::weighted(0.8, hold()), any::<bool>())
            .prop_map(|(credits, hold, last)| Act::Use { credits, hold, last }),
        3 => (hold(), credits()).prop_map(|(hold, credits)| Act::Capture { hold, credits }),
        2 => (hold(), prop::option::of(prop_oneof![3 => credits(), 1 => Just(0)]))
            .prop_map(|(hold, total)| Act::Settle { hold, total }),
        1 => hold().prop_map(|hold| Act::Release { hold }),
        2 => (1_i64..30).prop_map(|minutes| Act::Pass { minutes }),
        1 => Just(Act::Restart),
    ];
    prop::collection::vec(act, 1..60)
}

/// Both at once.
struct Pair {
    world: World,
    totals: Totals,
}

impl Pair {
    fn place(&self, pick: usize) -> Option<usize> {
        // The newest first: they are open.
        self.totals.holds.len().checked_sub(1 + pick)
    }

    fn act(&mut self, act: &Act) {
        match act.clone() {
            Act::Grant(credits) => {
                let terms = GrantTerms {
                    credits: Credits::from_atoms(credits),
                    category: Category::Purchased,
                    priority: 50,
                    effective: None,
                    expires: None,
                    paid: Default::default(),
                    currency: None,
                };
                self.world.command(ACCOUNT, CommandBody::Grant(terms)).unwrap();
                self.totals.granted += credits;
            }
            Act::Adjust(credits) => {
                let amount = Credits::from_atoms(credits);
                self.world.command(ACCOUNT, CommandBody::Adjust { credits: amount }).unwrap();
                self.totals.granted += credits;
                self.totals.unasked += (-credits).max(0);
            }
            Act::Reserve { credits, minutes, shrink } => self.reserve(credits, minutes, shrink),
            Act::Use { credits, hold, last } => {
                self.usage(credits, hold.and_then(|pick| self.place(pick)), last)
            }
            Act::Capture { hold, credits } => {
                let Some(place) = self.place(hold) else { return };
                let hold = self.totals.holds[place].id;
                let amount = Credits::from_atoms(credits);
                let entry =
                    self.world.command(ACCOUNT, CommandBody::Capture { hold, credits: amount });
                assert_eq!(entry.is_ok(), self.totals.holds[place].open);
                let Ok(Body::HoldCaptured(captured)) = entry.map(|entry| entry.body) else {
                    return;
                };
                let above = self.totals.charge(place, credits);
                self.totals.holds[place].advance += credits;
                assert_eq!(captured.above.atoms(), above);
            }
            Act::Settle { hold, total } => {
                let Some(place) = self.place(hold) else { return };
                let hold = self.totals.holds[place].id;
                let credits = total.map(Credits::from_atoms);
                let entry = self.world.command(ACCOUNT, CommandBody::Settle { hold, credits });
                assert_eq!(entry.is_ok(), self.totals.holds[place].open);
                let Ok(Body::HoldEnded(ended)) = entry.map(|entry| entry.body) else { return };
                let of_hold = &self.totals.holds[place];
                let more = total.unwrap_or(of_hold.charged) - of_hold.charged;
                let above = if more > 0 {
                    let above = self.totals.charge(place, more);
                    self.totals.holds[place].advance += more;
                    above
                } else {
                    self.totals.give_back(place, (-more).min(of_hold.advance));
                    0
                };
                assert_eq!(ended.above.atoms(), above);
                self.totals.holds[place].open = false;
            }
            Act::Release { hold } => {
                let Some(place) = self.place(hold) else { return };
                let hold = self.totals.holds[place].id;
                let entry = self.world.command(ACCOUNT, CommandBody::Release { hold });
                assert_eq!(entry.is_ok(), self.totals.holds[place].open);
                self.totals.holds[place].open = false;
            }
            Act::Pass { minutes } => {
                self.world.pass(minutes * MINUTE);
                for hold in &mut self.totals.holds {
                    hold.open &= hold.expires > self.world.now;
                }
            }
            Act::Restart => self.world.restart(),
        }
    }

    fn reserve(&mut self, credits: i128, minutes: i64, shrink: bool) {
        let there = self.totals.available();
        let reserve = Reserve {
            want: Want::Credits(Credits::from_atoms(credits)),
            scope: Scope::default(),
            expires_in_micros: minutes * MINUTE,
            shrink,
        };
        let entry = self.world.command(ACCOUNT, CommandBody::Reserve(Box::new(reserve))).unwrap();
        let granted = if shrink { credits.min(there) } else { credits };
        match entry.body {
            Body::HoldReserved(reserved) => {
                assert!(granted > 0 && granted <= there, "granted {granted} of {there}");
                assert_eq!(reserved.amount.atoms(), granted);
                assert!(reserved.beyond.is_zero());
                self.totals.holds.push(HoldTotals {
                    id: HoldId(entry.number),
                    amount: granted,
                    charged: 0,
                    advance: 0,
                    expires: self.world.now.plus_micros(minutes * MINUTE),
                    open: true,
                });
            }
            Body::HoldRefused(refused) => {
                assert!(granted <= 0 || granted > there, "refused {granted} of {there}");
                assert_eq!(refused.limit, Limit::Balance);
                assert_eq!(
                    (refused.available.atoms(), refused.shortfall.atoms()),
                    (there, credits - there)
                );
            }
            other => panic!("{other:?}"),
        }
    }

    fn usage(&mut self, credits: i128, place: Option<usize>, last: bool) {
        let entry = self.world.usage(Usage {
            account: ACCOUNT,
            credits: Credits::from_atoms(credits),
            time: self.world.now,
            hold: place.map(|place| self.totals.holds[place].id),
            action: if last { HoldAction::Settle } else { HoldAction::Capture },
            ..Usage::default()
        });
        self.totals.rated += credits;
        let known = place.filter(|place| {
            let hold = &self.totals.holds[*place];
            hold.open || hold.advance > 0
        });
        let Body::Debit(debit) = entry.body else { panic!() };
        assert_eq!(debit.hold.is_some(), known.is_some());
        match known {
            Some(place) => self.totals.use_on(place, credits, last),
            None => {
                self.totals.charged += credits;
                self.totals.unasked += credits;
            }
        }
    }

    fn compare(&self) {
        let balance = self.world.state.account(ACCOUNT).balance();
        assert_eq!(balance.settled.atoms(), self.totals.granted - self.totals.charged);
        assert_eq!(balance.held.atoms(), self.totals.held());
        assert_eq!(balance.available().atoms(), self.totals.available());
        let overspent = (-balance.available().atoms()).max(0);
        assert!(overspent <= self.totals.unasked, "holds overspent");
    }
}

proptest! {
    #![proptest_config(crate::cases(1_000))]

    #[test]
    fn holds_never_overspend_and_never_leak(acts in acts(), last in prop::collection::vec(0_i128..3_000, 60)) {
        let world = World::at("2026-11-20T12:00:00Z");
        let mut pair = Pair { world, totals: Totals::default() };
        for act in &acts {
            pair.act(act);
            pair.compare();
        }
        // Every hold expires, and gives back what it did not use.
        pair.act(&Act::Pass { minutes: 60 });
        pair.compare();
        prop_assert_eq!(pair.world.state.account(ACCOUNT).balance().held, Credits::ZERO);
        // Whatever was captured or settled ahead: with its last event, a hold has cost what its events
        // were rated at.
        for (place, credits) in (0..pair.totals.holds.len()).zip(last) {
            pair.usage(credits * 10_i128.pow(9), Some(place), true);
            pair.compare();
        }
        prop_assert!(pair.world.state.account(ACCOUNT).holds().is_empty());
        prop_assert_eq!(pair.totals.charged, pair.totals.rated);
        let settled = pair.world.state.account(ACCOUNT).balance().settled.atoms();
        prop_assert_eq!(settled, pair.totals.granted - pair.totals.rated);
    }
}

/// What of an entry came into, or went out of, an account, other than by usage.
fn other_than_usage(body: &Body<'_>) -> Credits {
    let lost = |returns: &[Return]| -> Credits {
        returns.iter().filter(|back| back.to == ReturnTo::Expired).map(|back| back.credits).sum()
    };
    let freed = |freed: &Freed| -> Credits {
        lost(&freed.returns) + freed.lost.iter().map(|lost| lost.credits).sum()
    };
    match body {
        Body::Grant(grant) => grant.credits,
        Body::Adjustment(adjustment) => adjustment.credits,
        Body::PlanAssigned(assigned) => assigned.grant.map_or(Credits::ZERO, |grant| grant.credits),
        Body::PlanRenewed(renewed) => {
            renewed.grant.map_or(Credits::ZERO, |grant| grant.credits)
                + renewed.billed.map_or(Credits::ZERO, |billed| billed.credits)
        }
        Body::LotVoided(closed) | Body::LotExpired(closed) => -closed.credits,
        Body::Refunded(refunded) => -refunded.credits,
        Body::Reversed(reversed) => reversed.debit.credits - lost(&reversed.returns),
        Body::Corrected(corrected) => -corrected.change() - lost(&corrected.returns),
        Body::HoldEnded(ended) => -freed(&ended.freed),
        Body::Debit(debit) => {
            -debit.hold.as_ref().and_then(|used| used.freed.as_ref()).map_or(Credits::ZERO, freed)
        }
        _ => Credits::ZERO,
    }
}

proptest! {
    #![proptest_config(crate::cases(400))]

    /// The same with plans, expiries and reversals: when every hold had its last event, what came in
    /// less what was rated, less what went otherwise, is the balance.
    #[test]
    fn what_is_left_is_what_came_less_what_was_rated(steps in steps(), last in 0_i128..3_000) {
        let mut world = World::at("2026-01-29T22:40:00Z").with_plans(of_every_sort());
        let began = world.now;
        for step in &steps {
            let passes = match step {
                Step::Pass { micros } | Step::Lag { micros } => *micros,
                _ => 0,
            };
            // An advance is forgotten in the end, and stays charged.
            if world.now.plus_micros(passes).since(began) < 35 * DAY {
                world.step(step);
            }
        }
        for name in ACCOUNTS {
            let holds: Vec<HoldId> = world.state.account(name).holds().iter().map(|hold| hold.id).collect();
            for hold in holds {
                world.usage(Usage {
                    account: name,
                    credits: Credits::from_atoms(last * 10_i128.pow(9)),
                    time: world.now,
                    hold: Some(hold),
                    ..Usage::default()
                });
            }
            let account = world.state.account(name);
            prop_assert_eq!(account.balance().held, Credits::ZERO);
            prop_assert_eq!(world.book(name, PostingAccount::Advanced, Unit::Credits), 0);
            let of_account = || world.entries.iter().filter(|entry| entry.account == name);
            let rated: Credits = of_account()
                .map(|entry| if let Body::Debit(debit) = &entry.body { debit.credits } else { Credits::ZERO })
                .sum();
            let others: Credits = of_account().map(|entry| other_than_usage(&entry.body)).sum();
            let pending: Credits = account
                .lots
                .iter()
                .filter(|lot| lot.state == LotState::Pending)
                .map(|lot| lot.remaining())
                .sum();
            prop_assert_eq!(account.balance().settled + pending, others - rated);
        }
    }
}
