//! What customers do with credits: holds and what becomes of them, plans, budgets. What it all comes to is checked by the ledger's own invariants, and by
//! the holds that must not leak.

use std::borrow::Cow;
use std::time::Duration;

use domain::{Credits, Partition, Text, Topic, TopicPartition, Traffic, partition_of};
use ledger::{
    Body, BudgetScope, BudgetTerms, Command, CommandBody, HoldId, HoldName, Reserve, Scope,
    Thresholds, TopUp, Want, When,
};
use wire::{LedgerRecord, ReplyOutcome};

use crate::world::{PARTITIONS, World};

pub(crate) const DAILY_PLAN: &str = r#"
id = "daily"
effective_from = "2020-01-01T00:00:00Z"
rate_card = "card"
price = { amount = "3", currency = "USD" }
allowance = { credits = "20", period = "day", anchor = "calendar", timezone = "Europe/Berlin" }
rollover = { max_credits = "7.5", expires_after_periods = 2 }
on_exhausted = "overage"
overage = { max_credits = "10", price_per_1000_credits = "3.00" }
low_balance = "5"
"#;
pub(crate) const TRIAL_PLAN: &str = r#"
id = "trial"
effective_from = "2020-01-01T00:00:00Z"
rate_card = "card"
price = { amount = "5", currency = "USD" }
allowance = { credits = "33", period = "day", anchor = "calendar", timezone = "Europe/Berlin" }
on_exhausted = "refuse"
trial = { credits = "4", days = 1 }
"#;
pub(crate) const DEFAULTS: &str = r#"
id = "defaults"
effective_from = "2020-01-01T00:00:00Z"
default_rate_card = "card"
price_books = ["vendors"]
default_plan = "daily"
"#;
const HOUR: i64 = 3_600 * 1_000_000;
/// Longer than any hold may stay open.
pub(crate) const ALL_HOLDS_EXPIRE_MICROS: i64 = 8 * 24 * HOUR;

impl World {
    /// One thing that a customer, or who looks after one, does.
    pub(crate) fn with_credits(&mut self) -> anyhow::Result<()> {
        match self.random.below(10) {
            0..=3 => self.reserve(),
            4..=6 => self.on_hold(),
            7 => self.assign_plan(),
            8 => self.set_budget(),
            _ => self.set_notices(),
        }
    }

    /// The name of a hold that was granted, or one that never was.
    pub(crate) fn some_hold(&mut self) -> anyhow::Result<HoldName> {
        self.learn_holds()?;
        if self.holds.is_empty() || self.random.percent(5) {
            let partition = Partition(u32::try_from(self.random.below(u64::from(PARTITIONS)))?);
            let number = domain::EntryNumber(self.random.below(50));
            return Ok(HoldName { partition, hold: HoldId(number) });
        }
        // Mostly a young one: those are open.
        let back = self.random.below(6).min(self.holds.len() as u64 - 1);
        Ok(self.holds[self.holds.len() - 1 - usize::try_from(back)?])
    }

    fn reserve(&mut self) -> anyhow::Result<()> {
        let account = self.account();
        let lasts = i64::try_from(self.random.below(20))? * HOUR / 2 + 1;
        let want = if self.random.percent(20) {
            Want::Usage(Cow::Owned(self.usage_record(&account)?))
        } else {
            Want::Credits(self.credits(25))
        };
        let feature = self.random.percent(50).then_some(Text::Borrowed("f"));
        let reserve = Reserve {
            want,
            scope: Scope { feature, ..Scope::default() },
            expires_in_micros: lasts,
            shrink: self.random.percent(30),
        };
        self.command(&account, CommandBody::Reserve(Box::new(reserve)))
    }

    fn on_hold(&mut self) -> anyhow::Result<()> {
        let name = self.some_hold()?;
        let hold = name.hold;
        let body = match self.random.below(5) {
            0 | 1 => CommandBody::Capture { hold, credits: self.credits(12) },
            2 => CommandBody::Extend { hold, expires_in_micros: HOUR * 20 },
            3 => {
                let credits = self.random.percent(70).then(|| self.credits(20));
                CommandBody::Settle { hold, credits }
            }
            _ => CommandBody::Release { hold },
        };
        let at = TopicPartition { topic: Topic::LedgerCommands, partition: name.partition };
        self.command_at(at, "", body)
    }

    fn assign_plan(&mut self) -> anyhow::Result<()> {
        let account = self.account();
        let plan = if self.random.percent(50) { "daily" } else { "trial" };
        let when = When::ALL[usize::try_from(self.random.below(3))?];
        self.command(&account, CommandBody::AssignPlan { plan: Text::Borrowed(plan), when })
    }

    fn set_budget(&mut self) -> anyhow::Result<()> {
        let account = self.account();
        let id = Text::Borrowed(if self.random.percent(50) { "a" } else { "b" });
        if self.random.percent(15) {
            return self.command(&account, CommandBody::RemoveBudget { budget: id });
        }
        let terms = BudgetTerms {
            id,
            scope: BudgetScope {
                feature: self.random.percent(50).then_some(Text::Borrowed("f")),
                traffic: self.random.percent(20).then_some(Traffic::Customer),
                ..BudgetScope::default()
            },
            limit: self.credits(60),
            period: self.random.percent(70).then_some(calendar::Period::Day),
            zone: calendar::Zone::utc(),
            thresholds: Thresholds::from_slice(&[50, 100]),
            hard: self.random.percent(50),
        };
        self.command(&account, CommandBody::SetBudget(Box::new(terms)))
    }

    fn set_notices(&mut self) -> anyhow::Result<()> {
        let account = self.account();
        let low_balance = self.random.percent(50).then(|| self.credits(10));
        let top_up = TopUp { below: self.credits(5), amount: self.credits(50) };
        self.command(&account, CommandBody::SetNotices { low_balance, top_up: Some(top_up) })
    }

    /// With fractions, so that lots are not used up evenly.
    fn credits(&mut self, most: u64) -> Credits {
        let tenths = i128::from(self.random.below(most * 10) + 1);
        Credits::from_atoms(tenths * 100_000_000_000)
    }

    fn command(&mut self, account: &str, body: CommandBody<'_>) -> anyhow::Result<()> {
        let partition = partition_of(account, PARTITIONS);
        let at = TopicPartition { topic: Topic::LedgerCommands, partition };
        self.command_at(at, account, body)
    }

    fn command_at(
        &mut self,
        at: TopicPartition,
        account: &str,
        body: CommandBody<'_>,
    ) -> anyhow::Result<()> {
        self.next_id += 1;
        let command = Command {
            account: Cow::Borrowed(account),
            id: Cow::Owned(format!("c{}", self.next_id)),
            actor: Cow::Borrowed("simulator"),
            reason: Cow::Borrowed("simulated"),
            deadline: None,
            correlation: 1,
            within: Vec::new(),
            body,
        };
        let mut value = Vec::new();
        wire::encode_command(&command, &mut value);
        self.send(at, account, value)
    }

    /// The holds that were granted since this was last asked, from the charger's answers.
    fn learn_holds(&mut self) -> anyhow::Result<()> {
        let holds = &mut self.holds;
        let mut failed = None;
        self.replies.poll(1_000, Duration::ZERO, &mut |record| {
            let reply = match wire::decode_reply(record.value) {
                Ok(reply) => reply,
                Err(error) => {
                    failed = Some(error);
                    return;
                }
            };
            if let ReplyOutcome::Applied { entry, record } = &reply.outcome
                && let Ok(LedgerRecord::Entry(made)) = wire::decode_ledger(record)
                && let Body::HoldReserved(_) = made.body
            {
                holds.push(HoldName { partition: reply.partition, hold: HoldId(*entry) });
            }
        })?;
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}
