//! What the examples ask of the one account that they are about, in few words.

use std::borrow::Cow;

use domain::{Credits, Currency, EntryNumber, HoldAction, LotId, Money};
use ledger::{
    Body, Category, CommandBody, Debit, Entry, GrantTerms, HoldEnded, HoldId, HoldRefused, Reserve,
    Reversed, Scope, Want, When,
};

use crate::world::{MINUTE, Usage, World};

pub(crate) const ACCT: &str = crate::step::ACCOUNTS[0];

pub(crate) fn credits(text: &str) -> Credits {
    text.parse().unwrap()
}

pub(crate) fn noon() -> World {
    World::at("2026-11-20T12:00:00Z")
}

/// A request for a hold of a minute.
pub(crate) fn asking_for(amount: &str) -> Reserve<'static> {
    Reserve {
        want: Want::Credits(credits(amount)),
        scope: Scope { user: Some(Cow::Borrowed("u_7")), ..Scope::default() },
        expires_in_micros: MINUTE,
        shrink: false,
    }
}

impl World {
    /// Free credits without an end.
    pub(crate) fn grant(&mut self, amount: &str) -> LotId {
        self.grant_with(amount, "0", None)
    }

    pub(crate) fn grant_with(&mut self, amount: &str, paid: &str, lasts: Option<i64>) -> LotId {
        let terms = GrantTerms {
            credits: credits(amount),
            category: Category::Purchased,
            priority: GrantTerms::PRIORITY_DEFAULT,
            effective: None,
            expires: lasts.map(|micros| self.now.plus_micros(micros)),
            paid: paid.parse().unwrap(),
            currency: Some(Currency::USD),
        };
        let entry = self.command(ACCT, CommandBody::Grant(terms)).unwrap();
        entry.opens().unwrap()
    }

    pub(crate) fn reserve_as(
        &mut self,
        reserve: Reserve<'static>,
    ) -> Result<HoldId, Box<HoldRefused<'static>>> {
        let entry = self.command(ACCT, CommandBody::Reserve(Box::new(reserve))).unwrap();
        match entry.body {
            Body::HoldReserved(_) => Ok(HoldId(entry.number)),
            Body::HoldRefused(refused) => Err(refused),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn reserve(&mut self, amount: &str) -> HoldId {
        self.reserve_as(asking_for(amount)).unwrap()
    }

    pub(crate) fn capture(&mut self, hold: HoldId, amount: &str) -> Entry<'static> {
        self.command(ACCT, CommandBody::Capture { hold, credits: credits(amount) }).unwrap()
    }

    pub(crate) fn settle(&mut self, hold: HoldId, total: Option<&str>) -> HoldEnded<'static> {
        let body = CommandBody::Settle { hold, credits: total.map(credits) };
        match self.command(ACCT, body).unwrap().body {
            Body::HoldEnded(ended) => *ended,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn use_as(&mut self, usage: Usage) -> Debit<'static> {
        match self.usage(Usage { account: ACCT, feature: "chat", ..usage }).body {
            Body::Debit(debit) => *debit,
            other => panic!("{other:?}"),
        }
    }

    /// Usage of now without a hold.
    pub(crate) fn spend(&mut self, amount: &str) -> EntryNumber {
        self.use_as(Usage { credits: credits(amount), time: self.now, ..Usage::default() });
        self.last().number
    }

    /// The last event of a hold.
    pub(crate) fn event(&mut self, hold: HoldId, amount: &str) -> Debit<'static> {
        let (credits, time) = (credits(amount), self.now);
        self.use_as(Usage { credits, time, hold: Some(hold), ..Usage::default() })
    }

    /// One event of several.
    pub(crate) fn event_on_the_way(&mut self, hold: HoldId, amount: &str) -> Debit<'static> {
        let (credits, time, action) = (credits(amount), self.now, HoldAction::Capture);
        self.use_as(Usage { credits, time, action, hold: Some(hold), ..Usage::default() })
    }

    pub(crate) fn reverse_entry(&mut self, entry: EntryNumber) -> Reversed<'static> {
        let body = CommandBody::Reverse { entry, record: Cow::Borrowed(&[]) };
        match self.command(ACCT, body).unwrap().body {
            Body::Reversed(reversed) => *reversed,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn assign(&mut self, plan: &'static str) -> Entry<'static> {
        self.assign_when(plan, When::Fitting)
    }

    pub(crate) fn assign_when(&mut self, plan: &'static str, when: When) -> Entry<'static> {
        self.command(ACCT, CommandBody::AssignPlan { plan: Cow::Borrowed(plan), when }).unwrap()
    }

    /// What a lot has earned.
    pub(crate) fn earned(&self, lot: LotId) -> Money {
        self.state.account(ACCT).lot(lot).unwrap().recognised
    }

    pub(crate) fn left(&self, lot: LotId) -> String {
        self.state.account(ACCT).lot(lot).unwrap().remaining().to_string()
    }
}
