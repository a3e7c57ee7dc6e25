//! One partition as the charger drives it, with its own books beside it: every entry is checked
//! when it is taken.

use std::borrow::Cow;
use std::collections::BTreeMap;

use domain::{
    CatalogueId, ContentHash, Credits, EntryNumber, HoldAction, Item, Measure, Offset, Pools,
    RateLine, Reason, RuleId, Timestamp, Topic, UsageEvent,
};
use ledger::decide::{self, Charge, Facts, Moment, Replacement};
use ledger::{
    AccountEvent, Body, Cause, Command, CommandBody, Corrector, Entry, Happening, HoldId,
    PartitionState, PlanTerms, PostingAccount, Rerate, TimerKind, Unit, invariant, postings,
};

use crate::plans::Plan;

pub(crate) const MINUTE: i64 = 60_000_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;

/// Who used what: an event, priced.
#[derive(Clone, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) account: &'static str,
    pub(crate) credits: Credits,
    pub(crate) time: Timestamp,
    pub(crate) hold: Option<HoldId>,
    pub(crate) action: HoldAction,
    pub(crate) user: Option<&'static str>,
    pub(crate) feature: &'static str,
    /// One more item than this.
    pub(crate) more_items: usize,
}

/// Sums of all postings of an account.
type Books = BTreeMap<(PostingAccount, Unit), i128>;

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) state: PartitionState,
    pub(crate) now: Timestamp,
    pub(crate) plans: Vec<Plan>,
    pub(crate) entries: Vec<Entry<'static>>,
    pub(crate) told: Vec<AccountEvent<'static>>,
    books: BTreeMap<String, Books>,
    began: Timestamp,
    inputs: i64,
}

impl World {
    pub(crate) fn at(time: &str) -> Self {
        let now = time.parse().unwrap();
        Self { now, began: now, ..Self::default() }
    }

    pub(crate) fn with_plans(self, plans: Vec<Plan>) -> Self {
        Self { plans, ..self }
    }

    fn terms(&self, id: &str) -> Option<PlanTerms<'_>> {
        let place = self.plans.iter().position(|plan| plan.id == id)?;
        Some(self.plans[place].terms(place))
    }

    fn terms_of(&self, version: CatalogueId) -> Option<PlanTerms<'_>> {
        let place = version.0 as usize;
        Some(self.plans.get(place)?.terms(place))
    }

    pub(crate) fn facts(&self, account: &str) -> Facts<'_> {
        let plan = self.state.account(account).plan().and_then(|plan| self.terms(&plan.plan));
        Facts { plan, ..Facts::default() }
    }

    fn moment(&mut self) -> Moment {
        self.inputs += 1;
        let cause = Cause::Input { topic: Topic::UsageRaw, offset: Offset(self.inputs) };
        Moment { number: self.state.next_number(), ledger_time: self.now, cause }
    }

    /// Carries a command out. A hold of usage costs what `estimate` says.
    pub(crate) fn ask(
        &mut self,
        account: &'static str,
        body: CommandBody<'static>,
        estimate: Option<Credits>,
    ) -> Result<Entry<'static>, Reason> {
        let moment = self.moment();
        let command = Command {
            account: Cow::Borrowed(account),
            id: Cow::Owned(format!("c{}", self.inputs)),
            actor: Cow::Borrowed("test"),
            reason: Cow::Borrowed("test"),
            deadline: None,
            correlation: 0,
            within: Vec::new(),
            body,
        };
        let mut facts = Facts { estimate, ..self.facts(account) };
        match &command.body {
            CommandBody::AssignPlan { plan, .. } => facts.wanted = self.terms(plan),
            CommandBody::Reverse { .. }
            | CommandBody::Rerate(_)
            | CommandBody::DecideQuarantined { .. } => {
                let about = command.body.about().map(|(entry, _)| entry);
                facts.original = self.entries.iter().find(|other| Some(other.number) == about);
            }
            CommandBody::Grant(_)
            | CommandBody::Adjust { .. }
            | CommandBody::Void { .. }
            | CommandBody::Reserve(_)
            | CommandBody::Capture { .. }
            | CommandBody::Extend { .. }
            | CommandBody::Settle { .. }
            | CommandBody::Release { .. }
            | CommandBody::SetBudget(_)
            | CommandBody::RemoveBudget { .. }
            | CommandBody::SetNotices { .. }
            | CommandBody::Refund { .. } => {}
        }
        let state = self.state.account(account);
        let entry = decide::command(state, &command, ContentHash(0), facts, moment)?;
        self.take(entry.clone());
        Ok(entry)
    }

    pub(crate) fn command(
        &mut self,
        account: &'static str,
        body: CommandBody<'static>,
    ) -> Result<Entry<'static>, Reason> {
        self.ask(account, body, None)
    }

    pub(crate) fn usage(&mut self, usage: Usage) -> Entry<'static> {
        let moment = self.moment();
        let account = self.state.account(usage.account);
        let repays = self.facts(usage.account).plan.is_none_or(|plan| plan.repays);
        let id = Cow::Owned(format!("u{}", self.inputs));
        let entry = decide::debit(account, charge(usage, id, repays), moment);
        self.take(entry.clone());
        entry
    }

    /// An account that nobody gave a plan gets one.
    pub(crate) fn default_plan(&mut self, account: &'static str, plan: usize) {
        let moment = self.moment();
        let terms = self.plans[plan].terms(plan);
        let state = self.state.account(account);
        let entry = decide::default_plan(state, Cow::Borrowed(account), terms, moment);
        self.take(entry);
    }

    /// Time goes on, and what is due fires in its order.
    pub(crate) fn pass(&mut self, micros: i64) {
        self.now = self.now.plus_micros(micros);
        self.fire(self.now);
    }

    pub(crate) fn pass_to(&mut self, time: &str) {
        let time: Timestamp = time.parse().unwrap();
        self.pass(time.since(self.now));
    }

    /// Fires what is due up to a time that may lie behind ledger time: another input lags.
    pub(crate) fn fire(&mut self, up_to: Timestamp) {
        while let Some(timer) = self.state.due(up_to) {
            let moment = Moment {
                number: self.state.next_number(),
                ledger_time: self.now.max(up_to),
                cause: Cause::Timer { due: timer.due },
            };
            let account = self.state.account(&timer.account);
            let mut facts = self.facts(&timer.account);
            if let (TimerKind::Renew, Some(current)) = (timer.kind, account.plan()) {
                facts.plan = self.terms(current.scheduled.as_ref().unwrap_or(&current.plan));
                facts.begun_under = self.terms_of(current.version);
            }
            let entry = decide::timer(account, &timer.account, timer.kind, facts, moment).unwrap();
            self.take(entry);
        }
    }

    /// The process starts again from a snapshot.
    pub(crate) fn restart(&mut self) {
        let bytes = postcard::to_stdvec(&self.state).unwrap();
        let mut state: PartitionState = postcard::from_bytes(&bytes).unwrap();
        state.restore_derived();
        assert!(state == self.state);
        self.state = state;
    }

    fn take(&mut self, entry: Entry<'static>) {
        invariant::postings_balance(&entry).unwrap();
        invariant::charge_adds_up(&entry).unwrap();
        let events_before = self.told_to(&entry.account).count() as u64;
        let applied = self.state.apply(&entry);
        let events = applied.unwrap_or_else(|error| panic!("{error}: {entry:#?}"));
        for (number, event) in (events_before + 1..).zip(&events) {
            assert_eq!((event.number, event.entry), (number, entry.number));
            assert_eq!(event.account, entry.account);
        }
        self.told.extend(events);
        let books = self.books.entry(entry.account.to_string()).or_default();
        for posting in postings(&entry) {
            *books.entry((posting.account, posting.unit)).or_default() += posting.amount;
        }
        self.check(&entry.account);
        assert_eq!(self.state.account(&entry.account).balance(), entry.after);
        self.entries.push(entry);
    }

    /// What the books say of an account.
    pub(crate) fn book(&self, name: &str, account: PostingAccount, unit: Unit) -> i128 {
        let books = self.books.get(name);
        books.and_then(|books| books.get(&(account, unit))).copied().unwrap_or_default()
    }

    /// An account is what its postings add up to.
    fn check(&self, name: &str) {
        let account = self.state.account(name);
        invariant::lots_conserve(name, account).unwrap();
        let mut deferred = 0;
        for lot in account.lots.iter().chain(&account.closed) {
            let posted = self.book(name, PostingAccount::Lot(lot.id), Unit::Credits);
            assert_eq!(lot.remaining().atoms(), posted, "lot {}", lot.id);
            deferred += (lot.paid - lot.paid_back - lot.recognised).atoms();
            let held: Credits = account
                .holds()
                .iter()
                .flat_map(|hold| &hold.earmarks)
                .filter(|earmark| earmark.lot == lot.id)
                .map(|earmark| earmark.credits)
                .sum();
            assert_eq!(lot.held, held, "held of lot {}", lot.id);
        }
        assert_eq!(self.book(name, PostingAccount::Deferred, Unit::Money), deferred);
        let overage = self.book(name, PostingAccount::Overage, Unit::Credits);
        assert_eq!(account.overage.atoms(), -overage);
        let waiting: Credits = account.holds().iter().map(|hold| hold.outstanding()).sum();
        let advanced = self.book(name, PostingAccount::Advanced, Unit::Credits);
        // An advance that no event claims in 35 days is forgotten, and stays charged.
        let may_forget = self.now.since(self.began) >= 35 * DAY;
        assert!(waiting.atoms() == advanced || (may_forget && waiting.atoms() <= advanced));
        for hold in account.holds() {
            assert!(hold.is_open() || (hold.held().is_zero() && hold.outstanding().is_positive()));
            assert_eq!(self.state.holder(hold.id), Some(name));
        }
        for budget in account.budgets() {
            let holds =
                account.holds().iter().filter(|hold| budget.terms.scope.covers(&hold.scope));
            let held: Credits = holds.map(|hold| hold.held()).sum();
            assert_eq!(budget.held, held, "budget {}", budget.terms.id);
            assert!(!budget.used.is_negative());
        }
    }

    /// The live state is the fold of the entries.
    pub(crate) fn check_fold(&self) {
        let mut folded = PartitionState::default();
        let mut told = Vec::new();
        for entry in &self.entries {
            told.extend(folded.apply(entry).unwrap());
        }
        assert!(folded == self.state);
        assert_eq!(told, self.told);
        // Who has a hold is known exactly as long as the hold is.
        for entry in self.entries.iter().filter(|entry| matches!(entry.body, Body::HoldReserved(_)))
        {
            let hold = HoldId(entry.number);
            let known = self.state.account(&entry.account).hold(hold).is_some();
            assert_eq!(self.state.holder(hold).is_some(), known);
        }
    }

    fn told_to(&self, account: &str) -> impl Iterator<Item = &AccountEvent<'static>> {
        self.told.iter().filter(move |event| event.account == account)
    }

    /// The things of one kind that owners were told.
    pub(crate) fn heard(&self, kind: &str) -> Vec<&Happening<'static>> {
        self.told.iter().map(|event| &event.what).filter(|what| what.kind() == kind).collect()
    }

    pub(crate) fn available(&self, account: &str) -> Credits {
        self.state.account(account).balance().available()
    }

    /// Settled, held, available; as people read them.
    pub(crate) fn balance(&self, account: &str) -> [String; 3] {
        let balance = self.state.account(account).balance();
        [balance.settled, balance.held, balance.available()].map(|amount| amount.to_string())
    }

    pub(crate) fn last(&self) -> &Entry<'static> {
        self.entries.last().unwrap()
    }

    /// The charges so far: what can be reversed.
    /// The entries that stand for a charge, and that no other corrects: that there is one such entry
    /// per charge is the identity's to see to, which is the charger's.
    pub(crate) fn standing(&self) -> Vec<(Entry<'static>, &'static str)> {
        let names = crate::step::ACCOUNTS;
        let corrected: Vec<EntryNumber> = self
            .entries
            .iter()
            .filter_map(|entry| match &entry.body {
                Body::Reversed(reversed) => Some(reversed.reverses),
                Body::Corrected(corrected) => Some(corrected.corrects),
                _ => None,
            })
            .collect();
        let stands = |entry: &&Entry<'static>| {
            entry.standing_charge().is_some() && !corrected.contains(&entry.number)
        };
        let standing = self.entries.iter().filter(stands);
        standing
            .filter_map(|entry| {
                Some((entry.clone(), *names.iter().find(|name| **name == entry.account)?))
            })
            .collect()
    }

    /// What the producer says that a charge should have been; `None` takes it back.
    pub(crate) fn correct(
        &mut self,
        original: &Entry<'static>,
        usage: Option<Usage>,
    ) -> Entry<'static> {
        let moment = self.moment();
        let id: Cow<'static, str> = Cow::Owned(format!("u{}", self.inputs));
        let by = Corrector::Producer { id: id.clone(), time: self.now, content: ContentHash(0) };
        let replacement = usage.map(|usage| {
            let Charge {
                event, content, plan, rate_card, catalogue, lines, credits, residual, ..
            } = charge(usage, id, true);
            Replacement { event, content, plan, rate_card, catalogue, lines, credits, residual }
        });
        let account = self.state.account(&original.account);
        let standing = original.standing().unwrap();
        let entry = decide::correct(account, standing, (by, replacement), moment).unwrap();
        self.take(entry.clone());
        entry
    }

    /// The same usage at another price.
    pub(crate) fn rerate(&mut self, original: &Entry<'static>, credits: Credits) -> Entry<'static> {
        let standing = original.standing_charge().unwrap();
        let mut lines = standing.lines.clone();
        for line in &mut lines {
            line.credits = Credits::ZERO;
        }
        lines[0].credits = credits;
        let rerate = Rerate {
            entry: original.number,
            record: Cow::Borrowed(&[]),
            rate_card: standing.rate_card,
            catalogue: standing.catalogue.next(),
            lines,
            credits,
            residual: Credits::ZERO,
        };
        let account =
            *crate::step::ACCOUNTS.iter().find(|name| **name == original.account).unwrap();
        self.command(account, CommandBody::Rerate(Box::new(rerate))).unwrap()
    }
}

fn charge(usage: Usage, id: Cow<'static, str>, repays: bool) -> Charge<'static> {
    let items = usage.more_items as i128 + 1;
    let share = usage.credits.atoms() / items;
    let first = usage.credits.atoms() - share * (items - 1);
    let item = Item {
        model: Some(Cow::Borrowed("gpt-4o")),
        provider: None,
        service_tier: None,
        measure: Measure::Tokens(Pools::default()),
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    };
    let line = |credits| RateLine {
        rule: RuleId(0),
        credits: Credits::from_atoms(credits),
        price: None,
        computed: None,
        missing: Some(Reason::NoVendorPrice),
    };
    let others = std::iter::repeat_n(share, usage.more_items);
    Charge {
        event: UsageEvent {
            account: Cow::Borrowed(usage.account),
            id,
            time: usage.time,
            feature: Cow::Borrowed(usage.feature),
            user: usage.user.map(Cow::Borrowed),
            hold_action: usage.action,
            items: vec![item; usage.more_items + 1],
            ..UsageEvent::default()
        },
        content: ContentHash(0),
        plan: None,
        rate_card: CatalogueId(0),
        catalogue: Offset(1),
        lines: std::iter::once(first).chain(others).map(line).collect(),
        credits: usage.credits,
        residual: Credits::ZERO,
        resolves: None,
        hold: usage.hold,
        repays,
    }
}
