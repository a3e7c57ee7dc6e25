//! Commands: what is checked, and what makes two the same.

use domain::{ContentHash, Credits, LotId, Reason, Timestamp};
use ledger::{Command, CommandBody};

use super::*;

#[test]
fn content_is_pinned() {
    // Hashes stand in the ledger forever: these never change.
    for (command, expected) in [
        (samples::grant_command(), 0xb593_d579_5963_2f07),
        (samples::adjust(), 0xf747_194f_7786_9aba),
        (samples::void(), 0xc6db_aea5_4571_c109),
    ] {
        assert_eq!(command_content(&command), ContentHash(expected), "{command:?}");
    }
}

#[test]
fn content_is_what_is_asked_and_not_how() {
    let command = samples::grant_command();
    let content = command_content(&command);
    let retried = Command {
        id: "another".into(),
        actor: "another".into(),
        deadline: None,
        correlation: 1,
        ..command.clone()
    };
    assert_eq!(command_content(&retried), content);
    let CommandBody::Grant(terms) = &command.body else { panic!() };
    let terms = |change: fn(&mut ledger::GrantTerms)| {
        let mut terms = terms.clone();
        change(&mut terms);
        Command { body: CommandBody::Grant(terms), ..command.clone() }
    };
    let atom = Credits::from_atoms(1);
    let mut contents = vec![
        content,
        command_content(&Command { account: "acct_43".into(), ..command.clone() }),
        command_content(&Command { reason: "order 78".into(), ..command.clone() }),
        command_content(&terms(|terms| terms.credits += Credits::from_atoms(1))),
        command_content(&terms(|terms| terms.paid = domain::Money::ZERO)),
        command_content(&terms(|terms| terms.priority = 51)),
        command_content(&terms(|terms| terms.category = ledger::Category::Included)),
        command_content(&terms(|terms| terms.effective = terms.expires)),
        command_content(&terms(|terms| terms.expires = None)),
        command_content(&terms(|terms| terms.currency = None)),
    ];
    for body in [
        CommandBody::Adjust { credits: atom },
        CommandBody::Adjust { credits: -atom },
        CommandBody::Void { lot: LotId(1), credits: None },
        CommandBody::Void { lot: LotId(2), credits: None },
        CommandBody::Void { lot: LotId(1), credits: Some(atom) },
    ] {
        contents.push(command_content(&Command { body, ..command.clone() }));
    }
    let count = contents.len();
    contents.sort_unstable();
    contents.dedup();
    assert_eq!(contents.len(), count);
}

#[test]
fn a_command_past_a_limit_gets_its_reason() {
    type Change = fn(&mut Command<'static>);
    let units = |units: i64| CommandBody::Adjust { credits: Credits::from_units(units) };
    let too_much = units(1_000_000_000_000_001);
    let cases: [(Change, Reason, &str); 6] = [
        (|command| command.account = "".into(), Reason::EmptyText, "account"),
        (|command| command.id = "x".repeat(257).into(), Reason::TextTooLong, "id"),
        (|command| command.actor = "a\nb".into(), Reason::BadText, "actor"),
        (|command| command.reason = "x".repeat(257).into(), Reason::TextTooLong, "reason"),
        (|command| command.deadline = Some(Timestamp::MAX), Reason::BadTime, "deadline"),
        (
            |command| command.deadline = Some(Timestamp::from_micros(-1)),
            Reason::BadTime,
            "deadline",
        ),
    ];
    let fault = |command: &Command<'_>| {
        let record = written(|out| encode_command(command, out));
        decode_command(&record).unwrap_err().fault()
    };
    for (change, reason, field) in cases {
        let mut command = samples::adjust();
        change(&mut command);
        let fault = fault(&command);
        assert_eq!((fault.reason, &fault.field[..]), (reason, field));
    }
    let fault = fault(&Command { body: too_much, ..samples::adjust() });
    assert_eq!((fault.reason, &fault.field[..]), (Reason::BadAmount, "credits"));
}

#[test]
fn what_is_no_command_gets_its_reason() {
    let record = written(|out| encode_command(&samples::adjust(), out));
    let mut unknown = record.clone();
    unknown[9] ^= 0x80;
    let mut not_utf8 = record.clone();
    // The account's first letter, after the header and the length.
    not_utf8[11] = 0xff;
    let huge = vec![0; domain::limits::INPUT_RECORD_BYTES_MAX + 1];
    for (record, reason, field) in [
        (&b"{}"[..], Reason::UnsupportedFraming, ""),
        (&unknown, Reason::UnknownSchema, ""),
        (&not_utf8, Reason::InvalidUtf8, "account"),
        (&record[..record.len() - 1], Reason::InvalidAvro, "credits"),
        (&huge, Reason::RecordTooLarge, ""),
    ] {
        let fault = decode_command(record).unwrap_err().fault();
        assert_eq!((fault.reason, &fault.field[..]), (reason, field));
    }
}
