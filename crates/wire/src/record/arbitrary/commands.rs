//! Strategies for commands, their replies, and account events.

use ledger::{AccountEvent, Command, CommandBody, GrantTerms, Happening, Reserve, Want, When};

use super::controls::top_up;
use super::*;
use crate::record::{Reply, ReplyOutcome};

prop_compose! {
    fn terms()(
        credits in credits(),
        (category, priority) in (category(), any::<u8>()),
        (effective, expires) in (option::of(time()), option::of(time())),
        (paid, currency) in (money(), option::of(currency())),
    ) -> GrantTerms {
        GrantTerms { credits, category, priority, effective, expires, paid, currency }
    }
}

fn record() -> impl Strategy<Value = Cow<'static, [u8]>> {
    vec(any::<u8>(), 0..300).prop_map(Cow::Owned)
}

/// As far as the years go.
fn span_micros() -> impl Strategy<Value = i64> {
    const YEARS: i64 = 253_402_300_799_999_999;
    prop_oneof![-1_i64..1_000, -YEARS..=YEARS]
}

prop_compose! {
    fn reserve()(
        want in prop_oneof![
            credits().prop_map(Want::Credits),
            record().prop_map(Want::Usage),
        ],
        scope in scope(),
        expires_in_micros in span_micros(),
        shrink: bool,
    ) -> Reserve<'static> {
        Reserve { want, scope, expires_in_micros, shrink }
    }
}

/// A strategy for each kind of body, in the order of [`CommandBody`].
pub fn command_bodies() -> Vec<BoxedStrategy<CommandBody<'static>>> {
    let when = select(&When::ALL[..]);
    let low_balance = option::of(credits());
    vec![
        terms().prop_map(CommandBody::Grant).boxed(),
        credits().prop_map(|credits| CommandBody::Adjust { credits }).boxed(),
        (lot(), option::of(credits()))
            .prop_map(|(lot, credits)| CommandBody::Void { lot, credits })
            .boxed(),
        reserve().prop_map(|reserve| CommandBody::Reserve(Box::new(reserve))).boxed(),
        (hold(), credits())
            .prop_map(|(hold, credits)| CommandBody::Capture { hold, credits })
            .boxed(),
        (hold(), span_micros())
            .prop_map(|(hold, micros)| CommandBody::Extend { hold, expires_in_micros: micros })
            .boxed(),
        (hold(), option::of(credits()))
            .prop_map(|(hold, credits)| CommandBody::Settle { hold, credits })
            .boxed(),
        hold().prop_map(|hold| CommandBody::Release { hold }).boxed(),
        (name(), when).prop_map(|(plan, when)| CommandBody::AssignPlan { plan, when }).boxed(),
        budget_terms().prop_map(|terms| CommandBody::SetBudget(Box::new(terms))).boxed(),
        name().prop_map(|budget| CommandBody::RemoveBudget { budget }).boxed(),
        (low_balance, option::of(top_up()))
            .prop_map(|(low_balance, top_up)| CommandBody::SetNotices { low_balance, top_up })
            .boxed(),
        (lot(), credits(), money())
            .prop_map(|(lot, credits, money)| CommandBody::Refund { lot, credits, money })
            .boxed(),
        (entry_number(), record())
            .prop_map(|(entry, record)| CommandBody::Reverse { entry, record })
            .boxed(),
        corrections::rerate().prop_map(|rerate| CommandBody::Rerate(Box::new(rerate))).boxed(),
        (entry_number(), record(), any::<bool>())
            .prop_map(|(entry, record, accept)| CommandBody::DecideQuarantined {
                entry,
                record,
                accept,
            })
            .boxed(),
    ]
}

/// A body of each kind.
pub fn command_body() -> BoxedStrategy<CommandBody<'static>> {
    proptest::strategy::Union::new(command_bodies()).boxed()
}

/// A command to a hold may leave the account away.
fn account_for(body: &CommandBody<'_>) -> BoxedStrategy<Text<'static>> {
    if body.hold().is_some() { text().boxed() } else { name() }
}

prop_compose! {
    pub fn command()(body in command_body())(
        account in account_for(&body),
        (id, actor, reason) in (name(), name(), text()),
        deadline in option::of(time()),
        correlation in any::<u64>(),
        within in vec(name(), 0..3),
        body in Just(body),
    ) -> Command<'static> {
        Command { account, id, actor, reason, deadline, correlation, within, body }
    }
}

fn applied(entry: &Entry<'_>) -> ReplyOutcome<'static> {
    let mut record = Vec::new();
    crate::record::encode_entry(entry, &mut record);
    ReplyOutcome::Applied { entry: entry.number, record: Cow::Owned(record) }
}

fn outcome() -> impl Strategy<Value = ReplyOutcome<'static>> {
    prop_oneof![
        entry().prop_map(|entry| applied(&entry)).boxed(),
        (entry_number(), balance()).prop_map(|(entry, now)| ReplyOutcome::Repeated { entry, now }),
        (reason(), option::of(entry_number()), balance()).prop_map(
            |(reason, conflicts_with, now)| {
                ReplyOutcome::Refused { reason, conflicts_with, now }
            }
        ),
        (reason(), text(), text()).prop_map(|(reason, field, value)| ReplyOutcome::BadCommand {
            reason,
            field,
            value
        }),
    ]
}

prop_compose! {
    pub fn reply()(
        (account, command) in (text(), text()),
        (correlation, partition) in any::<(u64, u32)>(),
        ledger_time in time(),
        outcome in outcome(),
    ) -> Reply<'static> {
        Reply { account, command, correlation, partition: Partition(partition), ledger_time, outcome }
    }
}

fn happening() -> BoxedStrategy<Happening<'static>> {
    let threshold = (name(), 1_u16..=1_000, credits(), credits());
    let renewed = (name(), credits(), option::of(window()));
    prop_oneof![
        (credits(), credits())
            .prop_map(|(below, available)| Happening::BalanceLow { below, available })
            .boxed(),
        credits().prop_map(|available| Happening::BalanceExhausted { available }).boxed(),
        threshold
            .prop_map(|(budget, percent, used, limit)| Happening::BudgetThreshold {
                budget,
                percent,
                used,
                limit,
            })
            .boxed(),
        (lot(), credits(), time())
            .prop_map(|(lot, credits, expires)| Happening::LotExpiring { lot, credits, expires })
            .boxed(),
        (hold(), credits(), credits())
            .prop_map(|(hold, amount, captured)| Happening::HoldExpired { hold, amount, captured })
            .boxed(),
        (name(), name(), reason())
            .prop_map(|(source, id, reason)| Happening::UsageUnrated { source, id, reason })
            .boxed(),
        renewed
            .prop_map(|(plan, credits, period)| Happening::AllowanceRenewed {
                plan,
                credits,
                period,
            })
            .boxed(),
        (top_up(), credits())
            .prop_map(|(top_up, available)| Happening::TopUpWanted {
                below: top_up.below,
                amount: top_up.amount,
                available,
            })
            .boxed(),
    ]
    .boxed()
}

prop_compose! {
    /// An event of each kind.
    pub fn account_event()(
        account in name(),
        (number, entry, at) in (count(), entry_number(), time()),
        what in happening(),
    ) -> AccountEvent<'static> {
        AccountEvent { account, number, entry, at, what }
    }
}
