//! Bytes that nobody meant: cut, changed, huge.

use ledger::Body;
use proptest::prelude::*;

use super::*;

/// Reads a record as every kind.
fn read_all(record: &[u8]) {
    for file in RECORD_SCHEMAS {
        // Whether it can be read is not asked; that reading ends is.
        rewritten_if_whole(file.subject, record);
    }
}

fn rewritten_if_whole(subject: &str, record: &[u8]) {
    if let Ok(again) = rewritten(subject, record) {
        assert_eq!(rewritten(subject, &again).as_deref(), Ok(&again[..]));
    }
}

#[test]
fn a_record_that_is_cut_anywhere_is_refused() {
    for (subject, name, record) in samples::all() {
        for end in 0..record.len() {
            let error = rewritten(subject, &record[..end]).unwrap_err();
            match error {
                RecordError::NotARecord if end < 10 => {}
                RecordError::Malformed(_) if end >= 10 => {}
                other => panic!("{subject} {name} cut at {end}: {other}"),
            }
        }
        let mut longer = record.clone();
        longer.push(0);
        assert!(matches!(rewritten(subject, &longer), Err(RecordError::Malformed(_))), "{name}");
    }
}

#[test]
fn a_record_of_another_schema_is_unknown() {
    for (subject, name, record) in samples::all() {
        let mut other = record.clone();
        other[2] ^= 1;
        let Err(RecordError::UnknownSchema { fingerprint }) = rewritten(subject, &other) else {
            panic!("{subject} {name}");
        };
        assert_eq!(fingerprint, schema_file(subject).fingerprint ^ 1);
    }
    let command = written(|out| encode_command(&samples::grant_command(), out));
    assert!(matches!(decode_ledger(&command), Err(RecordError::UnknownSchema { .. })));
}

#[test]
fn a_record_that_is_too_large_is_not_looked_at() {
    let huge = vec![0xff; LEDGER_RECORD_BYTES_MAX + 1];
    let too_large = RecordError::TooLarge { bytes: huge.len(), bytes_max: LEDGER_RECORD_BYTES_MAX };
    assert_eq!(decode_ledger(&huge), Err(too_large));
    assert_eq!(decode_reply(&huge), Err(too_large));
    assert_eq!(decode_dead_letter(&huge), Err(too_large));
    assert_eq!(decode_command(&huge), Err(too_large));
    assert_eq!(decode_account_event(&huge), Err(too_large));
    assert_eq!(decode_catalogue_version(&huge), Err(RecordError::NotARecord));
}

/// An array that announces a billion elements takes no memory for them: its capacity is at most
/// what the rest of the record could hold.
#[test]
fn announced_elements_take_no_memory() {
    let mut seal = samples::seal();
    seal.exceptions.clear();
    let mut record = written(|out| encode_seal(&seal, out));
    // The exceptions' count of 0 stands before the 32 bytes of the chain.
    let chain = record.split_off(record.len() - 32);
    assert_eq!(record.pop(), Some(0));
    for announced in [262_143_i64, 262_145, i64::MAX, i64::MIN] {
        let mut record = record.clone();
        crate::avro::Writer::new(&mut record).long(announced);
        record.extend(&chain);
        assert!(matches!(decode_ledger(&record), Err(RecordError::Malformed(_))), "{announced}");
    }
}

#[test]
fn announced_elements_at_a_records_end_take_no_memory() {
    let debit = written(|out| encode_entry(&samples::debit(), out));
    let command = written(|out| encode_command(&samples::adjust(), out));
    for (subject, record) in [("ledger-entry", debit), ("command", command)] {
        for announced in [1_i64, 1_000, 1_025, i64::MAX, i64::MIN] {
            let mut record = record.clone();
            // The count of budgets, and of accounts within, was 0.
            assert_eq!(record.pop(), Some(0));
            crate::avro::Writer::new(&mut record).long(announced);
            let read = rewritten(subject, &record);
            assert!(matches!(read, Err(RecordError::Malformed(_))), "{subject} {announced}");
        }
    }
}

#[test]
fn a_pool_that_stands_twice_is_refused() {
    let Body::Debit(debit) = samples::debit().body else { panic!() };
    let record = written(|out| encode_entry(&samples::debit(), out));
    let read = |record: &[u8]| decode_ledger(record).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(debit.event.items.len(), 1);
    // Pool 1 (cache_read) and its 1,200, zigzag: now a second pool 0 (input).
    let place = record.windows(3).position(|window| window == [0x02, 0xe0, 0x12]).unwrap();
    let mut twice = record.clone();
    twice[place] = 0;
    assert_eq!(read(&record), Ok(()));
    assert_eq!(read(&twice), Err("item.pool: a name stands twice".to_owned()));
}

#[test]
fn a_document_that_was_changed_is_refused() {
    let (.., record) =
        samples::all().into_iter().find(|(subject, ..)| *subject == "catalogue-version").unwrap();
    let place = record.windows(4).position(|window| window == b"1.30").unwrap();
    let mut cheaper = record.clone();
    cheaper[place + 2] = b'0';
    let error = decode_catalogue_version(&cheaper).unwrap_err();
    assert_eq!(error.to_string(), "content: the hash is not that of the document");
}

proptest! {
    #[test]
    fn changed_bytes_do_no_harm(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let samples = samples::all();
        let (.., mut record) = samples[which.index(samples.len())].clone();
        for (place, byte) in changes {
            // The header stays, or nothing would be read.
            let body = record.len() - 10;
            record[10 + place.index(body)] = byte;
        }
        read_all(&record);
    }

    #[test]
    fn any_bytes_do_no_harm(
        which: prop::sample::Index,
        body in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let mut record = header(&RECORD_SCHEMAS[which.index(RECORD_SCHEMAS.len())]);
        record.extend(body);
        read_all(&record);
    }
}
