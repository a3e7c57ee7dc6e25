//! Commands, and replies to them.

use calendar::Period;
use domain::Traffic;
use ledger::{
    BudgetScope, BudgetTerms, Command, CommandBody, GrantTerms, HoldId, Reserve, Scope, TopUp,
    Want, When,
};

use super::*;

/// A record inside a record: any bytes, so that these samples do not change with another schema.
const ENTRY: &[u8] = b"\xc3\x01\x59\x82\xe9\x8a\x13\xd8\xaa\xc9 and what follows";

pub(super) fn all() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let replies = [
        ("applied", applied()),
        ("repeated", repeated()),
        ("refused", refused()),
        ("bad-command", bad_command()),
    ];
    let commands = commands()
        .into_iter()
        .map(|(name, command)| ("command", name, written(|out| encode_command(&command, out))));
    let replies =
        replies.map(|(name, reply)| ("reply", name, written(|out| encode_reply(&reply, out))));
    commands.chain(replies).collect()
}

pub(in crate::record::tests) fn commands() -> Vec<(&'static str, Command<'static>)> {
    let hold = HoldId(EntryNumber(8_812_345));
    let to_a_hold = |body| Command {
        account: "".into(),
        within: vec!["acct_42".into(), "acct_43".into()],
        ..command(body)
    };
    let usage = Want::Usage(br#"{"specversion":"1.0"}"#[..].into());
    let top_up = TopUp { below: credits("500"), amount: credits("10000") };
    let settle = |credits| to_a_hold(CommandBody::Settle { hold, credits });
    vec![
        ("grant", grant_command()),
        ("adjust", adjust()),
        ("void", void()),
        ("reserve", reserve_of(Want::Credits(credits("250")))),
        ("reserve-for-usage", reserve_of(usage)),
        ("capture", to_a_hold(CommandBody::Capture { hold, credits: credits("12.5") })),
        ("extend", to_a_hold(CommandBody::Extend { hold, expires_in_micros: 90_000_000 })),
        ("settle", settle(Some(credits("180.25")))),
        ("settle-as-captured", settle(None)),
        ("release", to_a_hold(CommandBody::Release { hold })),
        (
            "assign-plan",
            command(CommandBody::AssignPlan { plan: "team".into(), when: When::Renewal }),
        ),
        ("set-budget", set_budget()),
        ("remove-budget", command(CommandBody::RemoveBudget { budget: "growth-monthly".into() })),
        (
            "set-notices",
            command(CommandBody::SetNotices {
                low_balance: Some(credits("1000")),
                top_up: Some(top_up),
            }),
        ),
        (
            "refund",
            command(CommandBody::Refund {
                lot: LotId(17),
                credits: credits("60"),
                money: money("0.6"),
            }),
        ),
        (
            "reverse",
            command(CommandBody::Reverse { entry: EntryNumber(8_812_345), record: ENTRY.into() }),
        ),
        ("rerate", rerate()),
        ("decide-quarantined", decide_quarantined()),
    ]
}

pub(in crate::record::tests) fn reserve_of(want: Want<'static>) -> Command<'static> {
    command(CommandBody::Reserve(Box::new(Reserve {
        want,
        scope: Scope {
            user: some("u_7"),
            team: some("growth"),
            feature: some("research-agent"),
            traffic: Traffic::Internal,
        },
        expires_in_micros: 60_000_000,
        shrink: true,
    })))
}

pub(in crate::record::tests) fn set_budget() -> Command<'static> {
    command(CommandBody::SetBudget(Box::new(budget_terms())))
}

pub(super) fn budget_terms() -> BudgetTerms<'static> {
    BudgetTerms {
        id: "growth-monthly".into(),
        scope: BudgetScope {
            user: some("u_7"),
            team: some("growth"),
            feature: some("research-agent"),
            traffic: Some(Traffic::Internal),
        },
        limit: credits("5000"),
        period: Some(Period::Month),
        zone: "Europe/Berlin".parse().unwrap(),
        thresholds: [50, 80, 100].into_iter().collect(),
        hard: true,
    }
}

fn command(body: CommandBody<'static>) -> Command<'static> {
    Command {
        account: "acct_42".into(),
        id: "order-77".into(),
        actor: "finance".into(),
        reason: "order 77".into(),
        deadline: Some(at("2026-11-20T12:00:10Z")),
        correlation: 0x9e37_79b9_7f4a_7c15,
        within: Vec::new(),
        body,
    }
}

pub(in crate::record::tests) fn grant_command() -> Command<'static> {
    command(CommandBody::Grant(GrantTerms {
        credits: credits("1000"),
        category: Category::Purchased,
        priority: 50,
        effective: None,
        expires: Some(at("2027-11-20T00:00:00Z")),
        paid: money("10"),
        currency: Some(Currency::USD),
    }))
}

pub(in crate::record::tests) fn adjust() -> Command<'static> {
    command(CommandBody::Adjust { credits: credits("-5") })
}

fn void() -> Command<'static> {
    command(CommandBody::Void { lot: LotId(17), credits: Some(credits("60")) })
}

fn rerate() -> Command<'static> {
    let Body::Debit(debit) = super::debit().body else { panic!() };
    command(CommandBody::Rerate(Box::new(ledger::Rerate {
        entry: EntryNumber(8_812_345),
        record: ENTRY.into(),
        rate_card: debit.rate_card,
        catalogue: debit.catalogue,
        lines: debit.lines,
        credits: debit.credits,
        residual: debit.residual,
    })))
}

fn decide_quarantined() -> Command<'static> {
    command(CommandBody::DecideQuarantined {
        entry: EntryNumber(8_812_345),
        record: ENTRY.into(),
        accept: true,
    })
}

fn reply(outcome: ReplyOutcome<'static>) -> Reply<'static> {
    Reply {
        account: "acct_42".into(),
        command: "order-77".into(),
        correlation: 0x9e37_79b9_7f4a_7c15,
        partition: Partition(3),
        ledger_time: at("2026-11-20T12:00:00.456Z"),
        outcome,
    }
}

fn balance() -> Balance {
    Balance {
        settled: credits("-2.5"),
        overage: credits("2.5"),
        held: Credits::ZERO,
        in_grace: Credits::ZERO,
    }
}

fn applied() -> Reply<'static> {
    reply(ReplyOutcome::Applied { entry: EntryNumber(8_812_345), record: ENTRY.into() })
}

fn repeated() -> Reply<'static> {
    reply(ReplyOutcome::Repeated { entry: EntryNumber(8_812_345), now: balance() })
}

fn refused() -> Reply<'static> {
    reply(ReplyOutcome::Refused {
        reason: Reason::IdempotencyConflict,
        conflicts_with: Some(EntryNumber(8_812_345)),
        now: balance(),
    })
}

fn bad_command() -> Reply<'static> {
    Reply {
        account: "".into(),
        command: "".into(),
        ..reply(ReplyOutcome::BadCommand {
            reason: Reason::BadAmount,
            field: "credits".into(),
            value: "a decimal is empty or beyond the largest amount".into(),
        })
    }
}
