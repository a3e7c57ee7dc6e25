//! What older versions wrote: it is read as what today's writer would have written.

use apache_avro::schema_compatibility::SchemaCompatibility;
use ledger::{Body, BudgetUses, Entry};
use proptest::prelude::*;

use super::golden::{golden, golden_names};
use super::*;

fn version(subject: &str, version: u32) -> &'static RecordSchema {
    RECORD_SCHEMAS.iter().find(|file| file.subject == subject && file.version == version).unwrap()
}

/// A record's body under another version's name.
fn renamed(record: &[u8], file: &RecordSchema) -> Vec<u8> {
    let mut renamed = header(file);
    renamed.extend(&record[renamed.len()..]);
    renamed
}

#[test]
fn each_version_can_read_the_one_before_it() {
    let mut pairs = 0;
    for pair in RECORD_SCHEMAS.windows(2).filter(|pair| pair[0].subject == pair[1].subject) {
        assert_eq!(pair[1].version, pair[0].version + 1, "{}", pair[0].subject);
        let [older, newer] = [pair[0], pair[1]].map(|file| Schema::parse_str(file.text).unwrap());
        SchemaCompatibility::can_read(&older, &newer)
            .unwrap_or_else(|error| panic!("{}: {error}", pair[0].subject));
        pairs += 1;
    }
    assert!(pairs >= 4);
}

/// And a debit without hold and budgets costs two bytes more, a command one, and others nothing.
#[test]
fn what_version_1_wrote_is_what_version_3_writes() {
    for subject in ["ledger-entry", "command"] {
        for name in golden_names(subject, 1) {
            let old = golden(subject, 1, &name);
            let new = golden(subject, 3, &name);
            assert_eq!(rewritten(subject, &old), Ok(new.clone()), "{subject} {name}");
            let more = match (subject, name.as_str()) {
                ("command", _) => 1,
                (_, "debit" | "debit-of-many-items") => 2,
                _ => 0,
            };
            assert_eq!(new.len(), old.len() + more, "{subject} {name}");
        }
    }
}

/// A reversal carries a charge in its own version's form, which has not changed since version 2.
#[test]
fn what_version_2_wrote_is_what_version_3_writes() {
    for subject in ["ledger-entry", "command"] {
        for name in golden_names(subject, 2) {
            let old = golden(subject, 2, &name);
            let new = golden(subject, 3, &name);
            assert_eq!(rewritten(subject, &old), Ok(new.clone()), "{subject} {name}");
            assert_eq!(old[10..], new[10..], "{subject} {name}");
        }
    }
}

#[test]
fn version_2_has_none_of_the_bodies_of_version_3() {
    for (subject, name, record) in samples::all() {
        let of_version_2 = golden_names(subject, 2).contains(&name.to_owned());
        if !["ledger-entry", "command"].contains(&subject) || of_version_2 {
            continue;
        }
        let error = rewritten(subject, &renamed(&record, version(subject, 2))).unwrap_err();
        let field = if name == "let-in" { "cause" } else { "body" };
        assert_eq!(error.to_string(), format!("{field}: the schema has no such branch"));
    }
}

#[test]
fn version_1_has_none_of_the_bodies_of_later_ones() {
    for (subject, name, record) in samples::all() {
        let of_version_1 = golden_names(subject, 1).contains(&name.to_owned());
        if !["ledger-entry", "command"].contains(&subject) || of_version_1 {
            continue;
        }
        let old = renamed(&record, version(subject, 1));
        let error = rewritten(subject, &old).unwrap_err().to_string();
        let expected = match name {
            "debit-on-a-hold" => ": bytes follow the value",
            "let-in" => "cause: the schema has no such branch",
            _ => "body: the schema has no such branch",
        };
        assert_eq!(error, expected, "{subject} {name}");
    }
}

/// As version 1 would have written it: for debits, it lacks the last two fields.
fn as_version_1(entry: &mut Entry<'_>) -> Option<Vec<u8>> {
    if let ledger::Cause::Decision { .. } = entry.cause {
        return None;
    }
    let lacks = match &mut entry.body {
        Body::Debit(debit) => {
            (debit.hold, debit.budgets) = (None, BudgetUses::new());
            2
        }
        Body::Unrated(_)
        | Body::Quarantined(_)
        | Body::Grant(_)
        | Body::Adjustment(_)
        | Body::LotVoided(_)
        | Body::LotActivated(_)
        | Body::LotInGrace(_)
        | Body::LotExpired(_) => 0,
        Body::HoldReserved(_)
        | Body::HoldRefused(_)
        | Body::HoldCaptured(_)
        | Body::HoldExtended(_)
        | Body::HoldEnded(_)
        | Body::PlanAssigned(_)
        | Body::PlanScheduled(_)
        | Body::PlanRenewed(_)
        | Body::RolledOver(_)
        | Body::BudgetSet(_)
        | Body::BudgetRemoved(_)
        | Body::NoticesSet(_)
        | Body::Refunded(_)
        | Body::Reversed(_)
        | Body::LotExpiring(_)
        | Body::Corrected(_)
        | Body::QuarantineDecided(_) => return None,
    };
    let record = written(|out| encode_entry(entry, out));
    Some(renamed(&record[..record.len() - lacks], version("ledger-entry", 1)))
}

/// apache-avro reads all of it as version 1, and what it writes of that is the same to us.
fn is_version_1(subject: &str, old: &[u8], new: &[u8]) {
    let file = version(subject, 1);
    let schema = Schema::parse_str(file.text).unwrap();
    let value = apache_value(file, &schema, old);
    let theirs = apache_record(file, &schema, value);
    assert_eq!(rewritten(subject, &theirs).unwrap(), new);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_global_rejects: 4_096, ..Default::default() })]

    #[test]
    fn entries_of_version_1(mut entry in arbitrary::entry()) {
        let Some(old) = as_version_1(&mut entry) else { return Err(TestCaseError::reject("newer")) };
        is_version_1("ledger-entry", &old, &written(|out| encode_entry(&entry, out)));
        prop_assert_eq!(decode_ledger(&old), Ok(LedgerRecord::Entry(entry)));
    }

    #[test]
    fn commands_of_version_1(
        mut command in arbitrary::command(),
        body in (0_usize..3).prop_flat_map(|kind| arbitrary::command_bodies().swap_remove(kind)),
    ) {
        prop_assume!(!command.account.is_empty());
        (command.body, command.within) = (body, Vec::new());
        let new = written(|out| encode_command(&command, out));
        let old = renamed(&new[..new.len() - 1], version("command", 1));
        is_version_1("command", &old, &new);
        prop_assert_eq!(decode_command(&old), Ok(command));
    }
}
