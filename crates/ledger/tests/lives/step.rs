//! What may happen to an account, drawn at random.

use std::borrow::Cow;

use calendar::{Period, Zone};
use domain::{Credits, Currency, HoldAction, LotId, Money};
use ledger::{
    BudgetScope, BudgetTerms, Category, CommandBody, GrantTerms, HoldId, Reserve, Scope, TopUp,
    Want, When,
};
use proptest::prelude::*;

use crate::world::{DAY, HOUR, MINUTE, Usage, World};

pub(crate) const ACCOUNTS: [&str; 2] = ["acct_0", "acct_1"];
const USERS: [Option<&str>; 3] = [None, Some("u_1"), Some("u_2")];
const FEATURES: [&str; 2] = ["chat", "search"];
const BUDGETS: [&str; 3] = ["b_0", "b_1", "b_2"];

/// Which of what there is: taken modulo how many there are.
type Pick = usize;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Use {
        account: usize,
        credits: i128,
        minutes_ago: i64,
        who: Pick,
        hold: Option<Pick>,
        capture: bool,
    },
    Grant {
        account: usize,
        terms: GrantTerms,
        starts_h: i64,
        lasts_h: Option<i64>,
    },
    Adjust {
        account: usize,
        credits: i128,
    },
    Void {
        account: usize,
        lot: Pick,
        part: Option<i128>,
    },
    Refund {
        account: usize,
        lot: Pick,
        percent: (i128, i128),
    },
    Reverse {
        debit: Pick,
    },
    /// The same usage at so many percent of its price.
    Rerate {
        debit: Pick,
        percent: i128,
    },
    /// The producer says that it was another usage, or none.
    Correct {
        debit: Pick,
        credits: Option<i128>,
        minutes_ago: i64,
        who: Pick,
    },
    Reserve {
        account: usize,
        credits: i128,
        minutes: i64,
        who: Pick,
        shrink: bool,
        of_usage: bool,
    },
    Capture {
        hold: Pick,
        credits: i128,
    },
    Extend {
        hold: Pick,
        minutes: i64,
    },
    Settle {
        hold: Pick,
        credits: Option<i128>,
    },
    Release {
        hold: Pick,
    },
    Assign {
        account: usize,
        plan: Pick,
        when: When,
    },
    DefaultPlan {
        account: usize,
        plan: Pick,
    },
    SetBudget {
        account: usize,
        budget: Pick,
        limit: i128,
        period: Option<Period>,
        who: Pick,
        hard: bool,
    },
    RemoveBudget {
        account: usize,
        budget: Pick,
    },
    Notices {
        account: usize,
        below: Option<i128>,
        top_up: Option<i128>,
    },
    /// Time passes and timers fire.
    Pass {
        micros: i64,
    },
    /// Ledger time passes, and no timer fires: another input lags.
    Lag {
        micros: i64,
    },
    Restart,
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step =
        prop_oneof![4 => spending(), 6 => holding(), 2 => plans(), 3 => by_hand(), 3 => time()];
    prop::collection::vec(step, 1..120)
}

fn amount() -> impl Strategy<Value = i128> {
    // Round amounts meet one another's limits exactly; odd ones round.
    prop_oneof![(1_i128..8).prop_map(|units| units * 1_000_000_000_000), 1_i128..5_000_000_000_000]
}

fn account() -> impl Strategy<Value = usize> {
    0..ACCOUNTS.len()
}

fn spending() -> impl Strategy<Value = Step> {
    let usage = (
        account(),
        prop_oneof![9 => amount(), 1 => Just(0)],
        prop_oneof![3 => -4_i64..60, 1 => 0_i64..4_000],
        any::<Pick>(),
        prop::option::weighted(0.7, any::<Pick>()),
        any::<bool>(),
    );
    usage.prop_map(|(account, credits, minutes_ago, who, hold, capture)| Step::Use {
        account,
        credits,
        minutes_ago,
        who,
        hold,
        capture,
    })
}

fn holding() -> impl Strategy<Value = Step> {
    let pick = any::<Pick>;
    prop_oneof![
        4 => (account(), amount(), 1_i64..9_000, pick(), any::<bool>(), any::<bool>()).prop_map(
            |(account, credits, minutes, who, shrink, of_usage)|
                Step::Reserve { account, credits, minutes, who, shrink, of_usage }),
        3 => (pick(), amount()).prop_map(|(hold, credits)| Step::Capture { hold, credits }),
        1 => (pick(), 1_i64..9_000).prop_map(|(hold, minutes)| Step::Extend { hold, minutes }),
        2 => (pick(), prop::option::of(prop_oneof![amount(), Just(0)]))
            .prop_map(|(hold, credits)| Step::Settle { hold, credits }),
        1 => pick().prop_map(|hold| Step::Release { hold }),
    ]
}

fn plans() -> impl Strategy<Value = Step> {
    let pick = any::<Pick>;
    let when = prop_oneof![Just(When::Fitting), Just(When::Now), Just(When::Renewal)];
    let period = prop::option::of(prop::sample::select(Period::ALL.to_vec()));
    prop_oneof![
        3 => (account(), pick(), when).prop_map(|(account, plan, when)| Step::Assign { account, plan, when }),
        1 => (account(), pick()).prop_map(|(account, plan)| Step::DefaultPlan { account, plan }),
        3 => (account(), pick(), prop_oneof![amount(), Just(0)], period, pick(), any::<bool>()).prop_map(
            |(account, budget, limit, period, who, hard)|
                Step::SetBudget { account, budget, limit, period, who, hard }),
        1 => (account(), pick()).prop_map(|(account, budget)| Step::RemoveBudget { account, budget }),
        1 => (account(), prop::option::of(amount()), prop::option::of(amount()))
            .prop_map(|(account, below, top_up)| Step::Notices { account, below, top_up }),
    ]
}

fn by_hand() -> impl Strategy<Value = Step> {
    let pick = any::<Pick>;
    let grant = (
        account(),
        amount(),
        prop_oneof![Just(0), amount()],
        48_u8..52,
        prop::sample::select(Category::ALL.to_vec()),
        -5_i64..40,
        prop::option::of(1_i64..60),
    );
    prop_oneof![
        4 => grant.prop_map(|(account, credits, paid, priority, category, starts_h, lasts_h)| {
            let (credits, paid) = (Credits::from_atoms(credits), Money::from_atoms(paid));
            let currency = Some(Currency::USD);
            let terms = GrantTerms { credits, category, priority, effective: None, expires: None, paid, currency };
            Step::Grant { account, terms, starts_h, lasts_h }
        }),
        1 => (account(), -3_000_000_000_000_i128..3_000_000_000_000)
            .prop_map(|(account, credits)| Step::Adjust { account, credits }),
        1 => (account(), pick(), prop::option::of(amount())).prop_map(|(account, lot, part)| Step::Void { account, lot, part }),
        1 => (account(), pick(), 1_i128..101, 0_i128..103)
            .prop_map(|(account, lot, credits, money)| Step::Refund { account, lot, percent: (credits, money) }),
        2 => pick().prop_map(|debit| Step::Reverse { debit }),
        1 => (pick(), 0_i128..250).prop_map(|(debit, percent)| Step::Rerate { debit, percent }),
        1 => (pick(), prop::option::of(amount()), 0_i64..4_000, pick()).prop_map(
            |(debit, credits, minutes_ago, who)| Step::Correct { debit, credits, minutes_ago, who }
        ),
    ]
}

fn time() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1_i64..90).prop_map(|minutes| Step::Pass { micros: minutes * MINUTE }),
        3 => (1_i64..30).prop_map(|hours| Step::Pass { micros: hours * HOUR }),
        1 => (3_i64..45).prop_map(|days| Step::Pass { micros: days * DAY }),
        1 => (1_i64..60).prop_map(|hours| Step::Lag { micros: hours * HOUR }),
        1 => Just(Step::Restart),
    ]
}

fn scope(who: Pick) -> Scope<'static> {
    Scope {
        user: USERS[who % 3].map(Cow::Borrowed),
        feature: Some(Cow::Borrowed(FEATURES[who / 3 % 2])),
        ..Scope::default()
    }
}

impl World {
    /// What a step asks for may be refused; what is done is checked when it is taken.
    pub(crate) fn step(&mut self, step: &Step) {
        match step.clone() {
            Step::Use { account, credits, minutes_ago, who, hold, capture } => {
                // Now and then a hold of another account: it is not found.
                let hold = hold.and_then(|pick| Some(self.hold(pick)?.1));
                self.usage(Usage {
                    account: ACCOUNTS[account],
                    credits: Credits::from_atoms(credits),
                    time: self.now.plus_micros(-minutes_ago * MINUTE),
                    hold,
                    action: if capture { HoldAction::Capture } else { HoldAction::Settle },
                    user: USERS[who % 3],
                    feature: FEATURES[who / 3 % 2],
                    more_items: who % 4,
                });
            }
            Step::Grant { account, mut terms, starts_h, lasts_h } => {
                let effective = self.now.plus_micros(starts_h * HOUR);
                terms.effective = Some(effective);
                terms.expires = lasts_h.map(|hours| effective.plus_micros(hours * HOUR));
                self.try_command(account, CommandBody::Grant(terms));
            }
            Step::Adjust { account, credits } => {
                let credits = Credits::from_atoms(credits);
                self.try_command(account, CommandBody::Adjust { credits });
            }
            Step::Void { account, lot, part } => {
                let lot = self.lot(account, lot);
                self.try_command(
                    account,
                    CommandBody::Void { lot, credits: part.map(Credits::from_atoms) },
                );
            }
            Step::Refund { account, lot, percent: (credits, money) } => {
                let lot = self.lot(account, lot);
                let Some(found) = self.state.account(ACCOUNTS[account]).lot(lot) else { return };
                let unearned = found.paid - found.paid_back - found.recognised;
                let credits = Credits::from_atoms(found.free().atoms() * credits / 100);
                let money = Money::from_atoms(unearned.atoms() * money / 100);
                self.try_command(account, CommandBody::Refund { lot, credits, money });
            }
            Step::Reverse { debit } => self.reverse(debit),
            Step::Rerate { debit, percent } => {
                let Some((entry, _)) = self.charge(debit) else { return };
                let before = entry.standing_charge().unwrap().credits;
                self.rerate(&entry, Credits::from_atoms(before.atoms() * percent / 100));
            }
            Step::Correct { debit, credits, minutes_ago, who } => {
                let Some((entry, account)) = self.charge(debit) else { return };
                let usage = credits.map(|credits| Usage {
                    account,
                    credits: Credits::from_atoms(credits),
                    time: self.now.plus_micros(-minutes_ago * MINUTE),
                    user: USERS[who % USERS.len()],
                    feature: FEATURES[who % FEATURES.len()],
                    ..Usage::default()
                });
                self.correct(&entry, usage);
            }
            Step::Reserve { account, credits, minutes, who, shrink, of_usage } => {
                let credits = Credits::from_atoms(credits);
                let want =
                    if of_usage { Want::Usage(Cow::Borrowed(&[])) } else { Want::Credits(credits) };
                let reserve = Reserve {
                    want,
                    scope: scope(who),
                    expires_in_micros: minutes * MINUTE,
                    shrink,
                };
                // A refusal for want of credits is an entry.
                drop(self.ask(
                    ACCOUNTS[account],
                    CommandBody::Reserve(Box::new(reserve)),
                    Some(credits),
                ));
            }
            Step::Capture { hold, credits } => {
                let credits = Credits::from_atoms(credits);
                self.on_hold(hold, |hold| CommandBody::Capture { hold, credits });
            }
            Step::Extend { hold, minutes } => {
                let expires_in_micros = minutes * MINUTE;
                self.on_hold(hold, |hold| CommandBody::Extend { hold, expires_in_micros });
            }
            Step::Settle { hold, credits } => {
                let credits = credits.map(Credits::from_atoms);
                self.on_hold(hold, |hold| CommandBody::Settle { hold, credits });
            }
            Step::Release { hold } => self.on_hold(hold, |hold| CommandBody::Release { hold }),
            Step::Assign { account, plan, when } => {
                let plan = Cow::Borrowed(self.plans[plan % self.plans.len()].id);
                self.try_command(account, CommandBody::AssignPlan { plan, when });
            }
            Step::DefaultPlan { account, plan } => {
                if self.state.account(ACCOUNTS[account]).plan().is_none() {
                    self.default_plan(ACCOUNTS[account], plan % self.plans.len());
                }
            }
            Step::SetBudget { account, budget, limit, period, who, hard } => {
                let scope = scope(who);
                let terms = BudgetTerms {
                    id: Cow::Borrowed(BUDGETS[budget % 3]),
                    scope: BudgetScope {
                        user: scope.user,
                        feature: scope.feature.filter(|_| who % 5 < 2),
                        ..BudgetScope::default()
                    },
                    limit: Credits::from_atoms(limit),
                    period,
                    zone: if who % 2 == 0 {
                        Zone::utc()
                    } else {
                        "Asia/Kathmandu".parse().unwrap()
                    },
                    thresholds: [50, 100].into_iter().collect(),
                    hard,
                };
                self.try_command(account, CommandBody::SetBudget(Box::new(terms)));
            }
            Step::RemoveBudget { account, budget } => {
                self.try_command(
                    account,
                    CommandBody::RemoveBudget { budget: Cow::Borrowed(BUDGETS[budget % 3]) },
                );
            }
            Step::Notices { account, below, top_up } => {
                let low_balance = below.map(Credits::from_atoms);
                let top_up =
                    top_up.map(Credits::from_atoms).map(|below| TopUp { below, amount: below });
                self.try_command(account, CommandBody::SetNotices { low_balance, top_up });
            }
            Step::Pass { micros } => self.pass(micros),
            Step::Lag { micros } => self.lag(micros),
            Step::Restart => self.restart_and_compare(),
        }
    }

    fn try_command(&mut self, account: usize, body: CommandBody<'static>) {
        drop(self.command(ACCOUNTS[account], body));
    }

    fn lag(&mut self, micros: i64) {
        let before = self.now;
        self.now = self.now.plus_micros(micros);
        self.fire(before.plus_micros(micros / 3));
    }

    /// Whatever waits for time does the same after a restart.
    fn restart_and_compare(&mut self) {
        let mut as_it_was = self.clone();
        self.restart();
        let mut restarted = self.clone();
        as_it_was.pass(40 * DAY);
        restarted.pass(40 * DAY);
        assert_eq!(as_it_was.entries, restarted.entries);
        assert_eq!(as_it_was.told, restarted.told);
    }

    fn charge(&self, pick: Pick) -> Option<(ledger::Entry<'static>, &'static str)> {
        let standing = self.standing();
        standing.get(pick % standing.len().max(1)).cloned()
    }

    fn reverse(&mut self, pick: Pick) {
        if let Some((entry, account)) = self.charge(pick) {
            let body = CommandBody::Reverse { entry: entry.number, record: Cow::Borrowed(&[]) };
            drop(self.command(account, body));
        }
    }

    /// All holds that ever were.
    fn hold(&self, pick: Pick) -> Option<(&'static str, HoldId)> {
        let granted =
            |entry: &&ledger::Entry<'_>| matches!(entry.body, ledger::Body::HoldReserved(_));
        let holds: Vec<_> = self.entries.iter().filter(granted).collect();
        // The newest are the likeliest to be open.
        let entry = holds.iter().rev().take(4).nth(pick % holds.len().clamp(1, 4))?;
        let account = ACCOUNTS.into_iter().find(|name| *name == entry.account)?;
        Some((account, HoldId(entry.number)))
    }

    fn on_hold(&mut self, pick: Pick, body: impl FnOnce(HoldId) -> CommandBody<'static>) {
        if let Some((account, hold)) = self.hold(pick) {
            drop(self.command(account, body(hold)));
        }
    }

    fn lot(&self, account: usize, pick: Pick) -> LotId {
        let account = self.state.account(ACCOUNTS[account]);
        let lots: Vec<_> = account.lots.iter().chain(&account.closed).map(|lot| lot.id).collect();
        lots.get(pick % lots.len().max(1)).copied().unwrap_or(LotId(0))
    }
}
