//! Ours and apache-avro's: each reads what the other writes.

use proptest::prelude::*;

use super::*;

/// Our bytes are read by apache-avro to their last byte; what it writes of them is read by us and
/// is the same record. (Maps come back in any order, so its bytes need not be ours.)
pub(super) fn holds(subject: &str, record: &[u8]) {
    let file = schema_file(subject);
    let schema = Schema::parse_str(file.text).unwrap();
    let value = apache_value(file, &schema, record);
    let theirs = apache_record(file, &schema, value);
    assert_eq!(theirs.len(), record.len());
    assert_eq!(rewritten(subject, &theirs).unwrap(), record);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn entries(entry in arbitrary::entry()) {
        let record = written(|out| encode_entry(&entry, out));
        prop_assert_eq!(decode_ledger(&record), Ok(LedgerRecord::Entry(entry)));
        holds("ledger-entry", &record);
    }

    #[test]
    fn seals(seal in arbitrary::seal()) {
        let record = written(|out| encode_seal(&seal, out));
        prop_assert_eq!(decode_ledger(&record), Ok(LedgerRecord::Seal(seal)));
        holds("seal", &record);
    }

    #[test]
    fn adoptions(adopted in arbitrary::adopted()) {
        let record = written(|out| encode_adopted(&adopted, out));
        prop_assert_eq!(decode_ledger(&record), Ok(LedgerRecord::Adopted(adopted)));
        holds("catalogue-adopted", &record);
    }

    #[test]
    fn commands(command in arbitrary::command()) {
        let record = written(|out| encode_command(&command, out));
        prop_assert_eq!(decode_command(&record), Ok(command));
        holds("command", &record);
    }

    #[test]
    fn replies(reply in arbitrary::reply()) {
        let record = written(|out| encode_reply(&reply, out));
        prop_assert_eq!(decode_reply(&record).map(Reply::into_owned), Ok(reply));
        holds("reply", &record);
    }

    #[test]
    fn catalogue_versions(version in arbitrary::catalogue_version()) {
        let record = written(|out| encode_catalogue_version(&version, out));
        let read = decode_catalogue_version(&record).map(CatalogueVersion::into_owned);
        prop_assert_eq!(read, Ok(version));
        holds("catalogue-version", &record);
    }

    #[test]
    fn dead_letters(letter in arbitrary::dead_letter()) {
        let record = written(|out| encode_dead_letter(&letter, out));
        prop_assert_eq!(decode_dead_letter(&record), Ok(letter));
        holds("dead-letter", &record);
    }

    #[test]
    fn dead_letter_retries(retry in arbitrary::dead_letter_retry()) {
        let record = written(|out| encode_dead_letter_retry(&retry, out));
        prop_assert_eq!(decode_letter_record(&record), Ok(LetterRecord::Retry(retry)));
        holds("dead-letter-retry", &record);
    }

    #[test]
    fn account_events(event in arbitrary::account_event()) {
        let record = written(|out| encode_account_event(&event, out));
        prop_assert_eq!(decode_account_event(&record), Ok(event));
        holds("account-event", &record);
    }
}
