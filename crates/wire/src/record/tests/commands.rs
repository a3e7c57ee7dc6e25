//! Commands: what is checked, and what makes two the same.

use domain::{ContentHash, Credits, EntryNumber, LotId, Reason, Text, Timestamp};
use ledger::{BudgetTerms, Command, CommandBody, HoldId, Reserve, TopUp, Want, When};

use super::*;

#[test]
fn content_is_pinned() {
    // Hashes stand in the ledger forever: these never change.
    let pinned = [
        ("grant", 0xb593_d579_5963_2f07),
        ("adjust", 0xf747_194f_7786_9aba),
        ("void", 0xc6db_aea5_4571_c109),
        ("reserve", 0x8677_7351_40a3_2478),
        ("reserve-for-usage", 0xf9e5_32db_a53f_8b61),
        ("capture", 0x9977_8877_2261_c175),
        ("extend", 0x5375_06d5_0209_01cc),
        ("settle", 0xa231_3823_8d1d_a252),
        ("settle-as-captured", 0x40f8_3074_ed49_8d1e),
        ("release", 0x7fda_42c5_4396_7d0b),
        ("assign-plan", 0x5d99_f88c_c87d_3275),
        ("set-budget", 0xed81_2f89_2ad2_d698),
        ("remove-budget", 0xc411_732d_502e_3859),
        ("set-notices", 0xc5ea_b309_99ca_1946),
        ("refund", 0xe29d_d89d_c7a2_5769),
        ("reverse", 0x9ec6_d83e_528a_61d7),
        ("rerate", 0x2c6c_ac30_82ab_00e6),
        ("decide-quarantined", 0xa358_b0fc_4af4_52bd),
    ];
    let contents = samples::commands().into_iter();
    let contents: Vec<_> =
        contents.map(|(name, command)| (name, command_content(&command))).collect();
    let pinned = pinned.map(|(name, content)| (name, ContentHash(content)));
    assert_eq!(contents, pinned);
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
        within: vec!["acct_42".into()],
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

fn budget(change: impl FnOnce(&mut BudgetTerms<'static>)) -> CommandBody<'static> {
    let CommandBody::SetBudget(mut terms) = samples::set_budget().body else { panic!() };
    change(&mut terms);
    CommandBody::SetBudget(terms)
}

fn reserve(change: impl FnOnce(&mut Reserve<'static>)) -> CommandBody<'static> {
    let CommandBody::Reserve(mut reserve) =
        samples::reserve_of(Want::Credits(Credits::from_units(1))).body
    else {
        panic!()
    };
    change(&mut reserve);
    CommandBody::Reserve(reserve)
}

#[test]
fn a_body_past_a_limit_gets_its_reason() {
    let hold = HoldId(EntryNumber(1));
    let too_much = Credits::from_units(1_000_000_000_000_001);
    let long = || Text::Owned("x".repeat(257));
    let usage = |bytes| reserve(|reserve| reserve.want = Want::Usage(vec![b'x'; bytes].into()));
    let top_up = |below, amount| CommandBody::SetNotices {
        low_balance: None,
        top_up: Some(TopUp { below, amount }),
    };
    let year = 365 * 86_400 * 1_000_000_i64;
    let one = Credits::from_units(1);
    for (body, reason, field) in [
        (
            reserve(|reserve| reserve.want = Want::Credits(too_much)),
            Reason::BadAmount,
            "want.credits",
        ),
        (usage(64 * 1024 + 1), Reason::RecordTooLarge, "want.usage"),
        (reserve(|reserve| reserve.scope.user = Some("".into())), Reason::EmptyText, "scope.user"),
        (reserve(|reserve| reserve.scope.team = Some(long())), Reason::TextTooLong, "scope.team"),
        (
            reserve(|reserve| reserve.scope.feature = Some("a\nb".into())),
            Reason::BadText,
            "scope.feature",
        ),
        (
            reserve(|reserve| reserve.expires_in_micros = 8_100 * year),
            Reason::BadTime,
            "expires_in_micros",
        ),
        (
            CommandBody::Extend { hold, expires_in_micros: i64::MIN },
            Reason::BadTime,
            "expires_in_micros",
        ),
        (CommandBody::Capture { hold, credits: too_much }, Reason::BadAmount, "credits"),
        (CommandBody::Settle { hold, credits: Some(too_much) }, Reason::BadAmount, "credits"),
        (CommandBody::AssignPlan { plan: "".into(), when: When::Now }, Reason::EmptyText, "plan"),
        (CommandBody::RemoveBudget { budget: long() }, Reason::TextTooLong, "budget"),
        (budget(|terms| terms.id = "".into()), Reason::EmptyText, "id"),
        (budget(|terms| terms.scope.user = Some("".into())), Reason::EmptyText, "scope.user"),
        (budget(|terms| terms.limit = too_much), Reason::BadAmount, "limit"),
        (budget(|terms| terms.thresholds.push(0)), Reason::BadValue, "thresholds"),
        (budget(|terms| terms.thresholds.push(1_001)), Reason::BadValue, "thresholds"),
        (budget(|terms| terms.thresholds = (1..=17).collect()), Reason::InvalidAvro, "thresholds"),
        (top_up(too_much, one), Reason::BadAmount, "top_up.below"),
        (top_up(one, too_much), Reason::BadAmount, "top_up.amount"),
        (
            CommandBody::SetNotices { low_balance: Some(too_much), top_up: None },
            Reason::BadAmount,
            "low_balance",
        ),
        (
            CommandBody::Refund { lot: LotId(1), credits: too_much, money: domain::Money::ZERO },
            Reason::BadAmount,
            "credits",
        ),
        (
            CommandBody::Refund {
                lot: LotId(1),
                credits: one,
                money: domain::Money::from_units(1_000_000_000_000_001),
            },
            Reason::BadAmount,
            "money",
        ),
    ] {
        let record = written(|out| encode_command(&Command { body, ..samples::adjust() }, out));
        let fault = decode_command(&record).unwrap_err().fault();
        assert_eq!((fault.reason, &fault.field[..]), (reason, field));
    }
    let largest = [
        usage(64 * 1024),
        budget(|terms| terms.thresholds = (985..=1_000).collect()),
        reserve(|reserve| reserve.expires_in_micros = 7_000 * year),
        // A charge of the largest event is larger than an event may be.
        CommandBody::Reverse { entry: EntryNumber(1), record: vec![0; 1_000_000].into() },
    ];
    for body in largest {
        let command = Command { body, ..samples::adjust() };
        let record = written(|out| encode_command(&command, out));
        assert_eq!(decode_command(&record), Ok(command));
    }
}

#[test]
fn a_zone_that_nobody_knows_is_refused() {
    let record = written(|out| encode_command(&samples::set_budget(), out));
    let place = record.windows(13).position(|window| window == b"Europe/Berlin").unwrap();
    let mut elsewhere = record;
    elsewhere[place + 12] = b'm';
    let fault = decode_command(&elsewhere).unwrap_err().fault();
    assert_eq!((fault.reason, &fault.field[..]), (Reason::BadValue, "zone"));
}

#[test]
fn only_a_command_to_a_hold_may_leave_its_account_away() {
    for (name, command) in samples::commands() {
        let record = written(|out| {
            encode_command(&Command { account: "".into(), ..command.clone() }, out);
        });
        match decode_command(&record) {
            Ok(_) => assert!(command.body.hold().is_some(), "{name}"),
            Err(error) => {
                assert!(command.body.hold().is_none(), "{name}");
                let fault = error.fault();
                assert_eq!((fault.reason, &fault.field[..]), (Reason::EmptyText, "account"));
            }
        }
    }
}

#[test]
fn the_accounts_of_the_asker_are_bounded() {
    let within = |count| Command {
        within: (0..count).map(|account| format!("acct_{account}").into()).collect(),
        ..samples::adjust()
    };
    let read = |command: &Command<'_>| {
        let record = written(|out| encode_command(command, out));
        decode_command(&record).map(|read| assert_eq!(read, *command)).map_err(|error| {
            let fault = error.fault();
            (fault.reason, fault.field.to_string())
        })
    };
    assert_eq!(read(&within(1_000)), Ok(()));
    assert_eq!(read(&within(1_001)), Err((Reason::InvalidAvro, "within".into())));
    let nobody = Command { within: vec!["".into()], ..samples::adjust() };
    assert_eq!(read(&nobody), Err((Reason::EmptyText, "within".into())));
}

#[test]
fn what_is_no_command_gets_its_reason() {
    let record = written(|out| encode_command(&samples::adjust(), out));
    let mut unknown = record.clone();
    unknown[9] ^= 0x80;
    let mut not_utf8 = record.clone();
    // The account's first letter, after the header and the length.
    not_utf8[11] = 0xff;
    let huge = vec![0; LEDGER_RECORD_BYTES_MAX + 1];
    for (record, reason, field) in [
        (&b"{}"[..], Reason::UnsupportedFraming, ""),
        (&unknown, Reason::UnknownSchema, ""),
        (&not_utf8, Reason::InvalidUtf8, "account"),
        (&record[..record.len() - 1], Reason::InvalidAvro, "within"),
        (&huge, Reason::RecordTooLarge, ""),
    ] {
        let fault = decode_command(record).unwrap_err().fault();
        assert_eq!((fault.reason, &fault.field[..]), (reason, field));
    }
}
