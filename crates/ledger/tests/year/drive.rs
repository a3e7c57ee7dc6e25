//! Drives the ledger through a year as the charger does, and compares it with the calculation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use calendar::{Period, Zone};
use domain::{
    CatalogueId, ContentHash, Credits, Currency, Item, Measure, Money, Offset, Pools, RateLine,
    Reason, RuleId, Timestamp, Topic, UsageEvent,
};
use ledger::decide::{self, Charge, Facts, Moment};
use ledger::{
    Account, AllowanceTerms, Body, BudgetScope, BudgetTerms, Cause, Command, CommandBody, Entry,
    Exhausted, PartitionState, PlanTerms, RolloverTerms, TimerKind, When, invariant,
};

use crate::civil::{Cut, LocalTime};
use crate::sums::{Sums, Terms};

const PLANS: [&str; 3] = ["a", "b", "c"];
const BUDGET: i128 = 1_000_000_000_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Use(i128),
    Assign(usize),
}

/// One account's year.
pub(crate) struct Life<'l> {
    pub(crate) name: String,
    pub(crate) zone: &'static str,
    pub(crate) clock: &'l LocalTime,
    pub(crate) terms: [Terms; 3],
    pub(crate) begins: i64,
    pub(crate) acts: Vec<(i64, Act)>,
    /// The period of the account's budget.
    pub(crate) budget: Cut,
}

struct One<'l> {
    life: &'l Life<'l>,
    zone: Zone,
    sums: Option<Sums<'l>>,
    used: Vec<(i64, i128)>,
    paid: i128,
    billed: i128,
}

pub(crate) struct Year<'l> {
    state: PartitionState,
    ones: BTreeMap<&'l str, One<'l>>,
    inputs: i64,
}

fn period(cut: Cut) -> Period {
    match cut {
        Cut::Day => Period::Day,
        Cut::Week => Period::Week,
        Cut::Month => Period::Month,
        Cut::Year => Period::Year,
    }
}

impl One<'_> {
    fn terms(&self, plan: usize) -> PlanTerms<'_> {
        let terms = self.life.terms[plan];
        PlanTerms {
            id: PLANS[plan],
            version: CatalogueId(plan as u32),
            price: Some((Money::from_atoms(terms.price), Currency::USD)),
            allowance: Some(AllowanceTerms {
                credits: Credits::from_atoms(terms.credits),
                period: period(terms.cut),
                calendar: terms.calendar,
                zone: &self.zone,
            }),
            rollover: terms.rollover.map(|(most, periods)| RolloverTerms {
                max_credits: most.map(Credits::from_atoms),
                expires_after_periods: periods,
            }),
            exhausted: match terms.overage_price {
                Some(price) => {
                    Exhausted::Overage { max: None, price_per_1000: Some(Money::from_atoms(price)) }
                }
                None => Exhausted::Refuse,
            },
            trial: terms.trial.map(|(credits, days)| (Credits::from_atoms(credits), days as u32)),
            repays: true,
            low_balance: None,
        }
    }

    fn named(&self, plan: &str) -> Option<PlanTerms<'_>> {
        Some(self.terms(PLANS.iter().position(|name| *name == plan)?))
    }
}

impl<'l> Year<'l> {
    pub(crate) fn of(lives: &'l [Life<'l>]) -> Self {
        let one = |life: &'l Life<'l>| {
            let zone = life.zone.parse().unwrap();
            (
                life.name.as_str(),
                One { life, zone, sums: None, used: Vec::new(), paid: 0, billed: 0 },
            )
        };
        let ones = lives.iter().map(one).collect();
        Self { state: PartitionState::default(), ones, inputs: 0 }
    }

    pub(crate) fn account(&self, name: &str) -> &Account {
        self.state.account(name)
    }

    /// Everything that comes in, in the order of time; what is due fires before each, and every so often
    /// between them.
    pub(crate) fn run(&mut self, every_s: i64, ends: i64) {
        let mut acts: Vec<(i64, &'l str, Option<Act>)> = Vec::new();
        for (name, one) in &self.ones {
            acts.push((one.life.begins, *name, None));
            acts.extend(one.life.acts.iter().map(|(at, act)| (*at, *name, Some(*act))));
        }
        acts.sort_by_key(|(at, ..)| *at);
        let mut tick = acts[0].0;
        let mut ticks = 0;
        for (at, name, act) in
            acts.into_iter().map(Some).chain([None]).map(|act| act.unwrap_or((ends, "", None)))
        {
            while tick < at {
                self.fire(tick);
                tick += every_s;
                ticks += 1;
                // A dozen times a year, at other places for every way to fire.
                if ticks % (5 + 2_000_000 / every_s) == 4 {
                    self.restart();
                }
            }
            self.fire(at);
            match act {
                _ if name.is_empty() => {}
                Some(Act::Use(credits)) => self.usage(name, credits, at),
                Some(Act::Assign(plan)) => self.assign(name, plan, at),
                None => self.begin(name, at),
            }
            if !name.is_empty() {
                self.compare(name, at);
            }
        }
        let names: Vec<&str> = self.ones.keys().copied().collect();
        names.into_iter().for_each(|name| self.compare(name, ends));
    }

    fn moment(&mut self, at: i64) -> Moment {
        self.inputs += 1;
        let cause = Cause::Input { topic: Topic::UsageRaw, offset: Offset(self.inputs) };
        Moment { number: self.state.next_number(), ledger_time: Timestamp::from_seconds(at), cause }
    }

    fn fire(&mut self, up_to: i64) {
        let up_to = Timestamp::from_seconds(up_to);
        while let Some(timer) = self.state.due(up_to) {
            let number = self.state.next_number();
            let moment =
                Moment { number, ledger_time: up_to, cause: Cause::Timer { due: timer.due } };
            let account = self.state.account(&timer.account);
            let one = &self.ones[timer.account.as_ref()];
            let current = account.plan().unwrap();
            let mut facts = Facts { plan: one.named(&current.plan), ..Facts::default() };
            if timer.kind == TimerKind::Renew {
                facts.plan = one.named(current.scheduled.as_ref().unwrap_or(&current.plan));
                facts.begun_under = Some(one.terms(current.version.0 as usize));
            }
            let entry = decide::timer(account, &timer.account, timer.kind, facts, moment).unwrap();
            self.take(entry);
        }
    }

    fn restart(&mut self) {
        let bytes = postcard::to_stdvec(&self.state).unwrap();
        self.state = postcard::from_bytes(&bytes).unwrap();
        self.state.restore_derived();
    }

    fn take(&mut self, entry: Entry<'static>) {
        invariant::postings_balance(&entry).unwrap();
        self.state.apply(&entry).unwrap();
        let one = self.ones.get_mut(entry.account.as_ref()).unwrap();
        let grant = match &entry.body {
            Body::PlanAssigned(assigned) => assigned.grant,
            Body::PlanRenewed(renewed) => {
                one.billed += renewed.billed.map_or(0, |billed| billed.price.atoms());
                renewed.grant
            }
            _ => None,
        };
        one.paid += grant.map_or(0, |grant| grant.paid.atoms());
    }

    fn command(
        &mut self,
        name: &'l str,
        at: i64,
        body: CommandBody<'static>,
    ) -> Result<(), Reason> {
        let moment = self.moment(at);
        let one = &self.ones[name];
        let account = self.state.account(name);
        let plan = account.plan().and_then(|plan| one.named(&plan.plan));
        let mut facts = Facts { plan, ..Facts::default() };
        if let CommandBody::AssignPlan { plan, .. } = &body {
            facts.wanted = one.named(plan);
        }
        let command = Command {
            account: Cow::Owned(name.to_owned()),
            id: Cow::Owned(format!("c{}", self.inputs)),
            actor: Cow::Borrowed("test"),
            reason: Cow::Borrowed(""),
            deadline: None,
            correlation: 0,
            within: Vec::new(),
            body,
        };
        let entry = decide::command(account, &command, ContentHash(0), facts, moment)?;
        self.take(entry);
        Ok(())
    }

    fn begin(&mut self, name: &'l str, at: i64) {
        let one = &self.ones[name];
        let terms = BudgetTerms {
            id: Cow::Borrowed("budget"),
            scope: BudgetScope::default(),
            limit: Credits::from_atoms(BUDGET),
            period: Some(period(one.life.budget)),
            zone: one.zone.clone(),
            thresholds: Default::default(),
            hard: true,
        };
        self.command(name, at, CommandBody::SetBudget(Box::new(terms))).unwrap();
        let assign = CommandBody::AssignPlan { plan: Cow::Borrowed(PLANS[0]), when: When::Fitting };
        self.command(name, at, assign).unwrap();
        let one = self.ones.get_mut(name).unwrap();
        one.sums = Some(Sums::begin(one.life.clock, one.life.terms, at));
    }

    fn assign(&mut self, name: &'l str, plan: usize, at: i64) {
        let assign =
            CommandBody::AssignPlan { plan: Cow::Borrowed(PLANS[plan]), when: When::Fitting };
        let unchanged = self.command(name, at, assign) == Err(Reason::PlanUnchanged);
        let sums = self.ones.get_mut(name).unwrap().sums.as_mut().unwrap();
        sums.run_to(at);
        assert_eq!(unchanged, plan == sums.plan && sums.scheduled.is_none());
        sums.assign(plan, at);
    }

    fn usage(&mut self, name: &'l str, credits: i128, at: i64) {
        let moment = self.moment(at);
        let item = Item {
            model: None,
            provider: None,
            service_tier: None,
            measure: Measure::Tokens(Pools::default()),
            vendor_cost: None,
            attributes: Vec::new(),
            estimated: false,
        };
        let line = RateLine {
            rule: RuleId(0),
            credits: Credits::from_atoms(credits),
            price: None,
            computed: None,
            missing: Some(Reason::NoVendorPrice),
        };
        let charge = Charge {
            event: UsageEvent {
                account: Cow::Owned(name.to_owned()),
                time: moment.ledger_time,
                items: vec![item],
                ..UsageEvent::default()
            },
            content: ContentHash(0),
            plan: None,
            rate_card: CatalogueId(0),
            catalogue: Offset(1),
            lines: vec![line],
            credits: Credits::from_atoms(credits),
            residual: Credits::ZERO,
            resolves: None,
            hold: None,
            repays: true,
        };
        let entry = decide::debit(self.state.account(name), charge, moment);
        self.take(entry);
        let one = self.ones.get_mut(name).unwrap();
        one.used.push((at, credits));
        let sums = one.sums.as_mut().unwrap();
        sums.run_to(at);
        sums.spend(credits);
    }

    /// The account is what was calculated.
    fn compare(&mut self, name: &str, at: i64) {
        let account = self.state.account(name);
        invariant::lots_conserve(name, account).unwrap();
        let one = self.ones.get_mut(name).unwrap();
        let sums = one.sums.as_mut().unwrap();
        sums.run_to(at);
        let now = Timestamp::from_seconds(at);
        let context = format!("{name} at {now}");
        let plan = account.plan().unwrap();
        let period = plan.period.unwrap();
        let seconds = |at: Timestamp| at.micros() / 1_000_000;
        assert_eq!((seconds(period.start), seconds(period.end)), sums.period, "{context}");
        assert_eq!(plan.plan.as_ref(), PLANS[sums.plan], "{context}");
        assert_eq!(plan.plan_at(now), Some(PLANS[sums.plan]), "{context}");
        assert_eq!(plan.scheduled.as_deref(), sums.scheduled.map(|plan| PLANS[plan]), "{context}");
        assert_eq!(plan.allowance.atoms(), sums.granted, "{context}");
        assert_eq!(account.overage.atoms(), sums.overage, "{context}");
        assert_eq!(account.balance().available().atoms(), sums.available(), "{context}");
        assert_eq!((one.paid, one.billed), (sums.paid, sums.billed), "{context}");
        let cut = one.life.budget;
        let begins = sums.clock.calendar_before(cut, at);
        let used: i128 =
            one.used.iter().filter(|(used, _)| *used >= begins).map(|(_, credits)| credits).sum();
        let (room, resets_at) = account.budgets()[0].room(now);
        assert_eq!(room.atoms(), BUDGET - used, "{context}");
        assert_eq!(resets_at.map(seconds), Some(sums.clock.calendar_after(cut, at)), "{context}");
    }
}
