//! What makes two commands the same.

use domain::{Amount, ContentHash, Text};
use ledger::{BudgetTerms, Command, CommandBody, GrantTerms, Rerate, Reserve, Scope, Want};

use super::body::{WANT_CREDITS, WANT_USAGE, place};

/// The hash of a command's meaning: what it asks of which account, and why. The same id with
/// another hash is a conflict.
///
/// Left out: the id itself, the deadline and the correlation, which a retry sets anew; the actor and
/// the accounts that it may touch, because its key may have been changed between two tries.
///
/// The bytes hashed are a version byte, texts, bytes and lists with their length (8 bytes,
/// little-endian), numbers little-endian at full width, words as their numbers in the schema, and before each value that may be absent a byte that says whether
/// it is there. Hashes are kept in the ledger forever: the form never changes.
pub fn command_content(command: &Command<'_>) -> ContentHash {
    let mut meaning = Meaning(vec![1]);
    meaning.text(&command.account);
    meaning.text(&command.reason);
    meaning.0.push(place(&command.body));
    match &command.body {
        CommandBody::Grant(terms) => meaning.grant(terms),
        CommandBody::Adjust { credits } => meaning.amount(*credits),
        CommandBody::Void { lot, credits } => {
            meaning.number(lot.0);
            meaning.optional(*credits, Meaning::amount);
        }
        CommandBody::Reserve(reserve) => meaning.reserve(reserve),
        CommandBody::Capture { hold, credits } => {
            meaning.number(hold.0.0);
            meaning.amount(*credits);
        }
        CommandBody::Extend { hold, expires_in_micros } => {
            meaning.number(hold.0.0);
            meaning.long(*expires_in_micros);
        }
        CommandBody::Settle { hold, credits } => {
            meaning.number(hold.0.0);
            meaning.optional(*credits, Meaning::amount);
        }
        CommandBody::Release { hold } => meaning.number(hold.0.0),
        CommandBody::AssignPlan { plan, when } => {
            meaning.text(plan);
            meaning.0.push(when.code());
        }
        CommandBody::SetBudget(terms) => meaning.budget(terms),
        CommandBody::RemoveBudget { budget } => meaning.text(budget),
        CommandBody::SetNotices { low_balance, top_up } => {
            meaning.optional(*low_balance, Meaning::amount);
            meaning.optional(*top_up, |meaning, top_up| {
                meaning.amount(top_up.below);
                meaning.amount(top_up.amount);
            });
        }
        CommandBody::Refund { lot, credits, money } => {
            meaning.number(lot.0);
            meaning.amount(*credits);
            meaning.amount(*money);
        }
        CommandBody::Reverse { entry, record } => {
            meaning.number(entry.0);
            meaning.bytes(record);
        }
        CommandBody::Rerate(rerate) => meaning.rerate(rerate),
        CommandBody::DecideQuarantined { entry, record, accept } => {
            meaning.number(entry.0);
            meaning.bytes(record);
            meaning.0.push(u8::from(*accept));
        }
    }
    ContentHash::of(&meaning.0)
}

struct Meaning(Vec<u8>);

impl Meaning {
    fn grant(&mut self, terms: &GrantTerms) {
        self.amount(terms.credits);
        self.0.extend([terms.category.code(), terms.priority]);
        self.optional(terms.effective, |meaning, time| meaning.long(time.micros()));
        self.optional(terms.expires, |meaning, time| meaning.long(time.micros()));
        self.amount(terms.paid);
        self.optional(terms.currency, |meaning, currency| meaning.text(currency.as_str()));
    }

    fn rerate(&mut self, rerate: &Rerate<'_>) {
        self.number(rerate.entry.0);
        self.bytes(&rerate.record);
        self.number(u64::from(rerate.rate_card.0));
        self.long(rerate.catalogue.0);
        self.number(rerate.lines.len() as u64);
        for line in &rerate.lines {
            self.number(u64::from(line.rule.0));
            self.amount(line.credits);
            self.optional(line.price, |meaning, price| {
                meaning.number(u64::from(price.book.0));
                meaning.number(u64::from(price.row));
                meaning.optional(price.when, |meaning, when| meaning.number(u64::from(when)));
            });
            self.optional(line.computed, Self::amount);
            self.optional(line.missing, |meaning, reason| meaning.text(reason.code()));
        }
        self.amount(rerate.credits);
        self.amount(rerate.residual);
    }

    fn reserve(&mut self, reserve: &Reserve<'_>) {
        match &reserve.want {
            Want::Credits(credits) => {
                self.0.push(WANT_CREDITS);
                self.amount(*credits);
            }
            Want::Usage(record) => {
                self.0.push(WANT_USAGE);
                self.bytes(record);
            }
        }
        let Scope { user, team, feature, traffic } = &reserve.scope;
        self.optional_text(user.as_ref());
        self.optional_text(team.as_ref());
        self.optional_text(feature.as_ref());
        self.0.push(traffic.code());
        self.long(reserve.expires_in_micros);
        self.0.push(u8::from(reserve.shrink));
    }

    fn budget(&mut self, terms: &BudgetTerms<'_>) {
        self.text(&terms.id);
        self.optional_text(terms.scope.user.as_ref());
        self.optional_text(terms.scope.team.as_ref());
        self.optional_text(terms.scope.feature.as_ref());
        self.optional(terms.scope.traffic, |meaning, traffic| meaning.0.push(traffic.code()));
        self.amount(terms.limit);
        self.optional(terms.period, |meaning, period| meaning.0.push(period as u8));
        self.text(terms.zone.name());
        self.number(terms.thresholds.len() as u64);
        for percent in &terms.thresholds {
            self.0.extend(percent.to_le_bytes());
        }
        self.0.push(u8::from(terms.hard));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn optional_text(&mut self, text: Option<&Text<'_>>) {
        self.optional(text, |meaning, text| meaning.text(text));
    }

    fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    fn amount(&mut self, amount: impl Amount) {
        self.0.extend(amount.atoms().to_le_bytes());
    }

    fn long(&mut self, long: i64) {
        self.0.extend(long.to_le_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}
