//! Appenders and readers outside any group.

use domain::{Offset, Topic, limits};

use super::Stage;
use super::stage::{Seen, WAIT, at, must_commit, plain, values};
use crate::{Append, LogError};

const USAGE: Topic = Topic::UsageRaw;

/// One offset per append, in the order of the appends, and each only once; the bounds are the
/// half-open range of them.
pub fn flush_returns_offsets_in_order(stage: &Stage) {
    stage.create(&[(USAGE, 2)]);
    let mut appender = stage.log.appender().unwrap();
    for (partition, value) in [(0, "a"), (1, "b"), (0, "c"), (0, "d"), (1, "e")] {
        appender.append(plain(at(USAGE, partition), value)).unwrap();
    }
    assert_eq!(appender.flush().unwrap(), [0, 0, 1, 2, 1].map(Offset));
    assert_eq!(appender.flush().unwrap(), []);
    appender.append(plain(at(USAGE, 1), "f")).unwrap();
    assert_eq!(appender.flush().unwrap(), [Offset(2)]);

    for (partition, expected) in [(0, ["a", "c", "d"]), (1, ["b", "e", "f"])] {
        let bounds = stage.log.bounds(at(USAGE, partition)).unwrap();
        assert_eq!(
            (bounds.start, bounds.stable_end, bounds.end),
            (Offset(0), Offset(3), Offset(3))
        );
        let seen = stage.all(&[at(USAGE, partition)]);
        assert_eq!(values(&seen), expected);
        assert_eq!(seen.iter().map(|record| record.offset.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(seen.is_sorted_by_key(|record| record.appended_at), "append times go back");
    }
}

/// Keys, values and headers are bytes; an empty key, an empty value and an empty header are
/// allowed; of a repeated header the last counts.
pub fn records_come_back_as_written(stage: &Stage) {
    stage.create(&[(USAGE, 1)]);
    let to = at(USAGE, 0);
    let mut appender = stage.log.appender().unwrap();
    let binary = [0_u8, 255, 128, 10, 0];
    let headers: &[(&str, &[u8])] =
        &[("source", b"first"), ("empty", b""), ("binary", &binary), ("source", b"last")];
    for append in [
        Append { to, key: b"account-1", value: &binary, headers },
        Append { to, key: b"", value: b"no key", headers: &[] },
        Append { to, key: &binary, value: b"", headers: &[("one", b"1")] },
    ] {
        appender.append(append).unwrap();
    }
    appender.flush().unwrap();

    let mut reader = stage.log.reader(&[(to, Offset(0))]).unwrap();
    let mut seen = Vec::new();
    stage.until("three records", || {
        reader
            .poll(10, WAIT, &mut |record| {
                let header = |name| record.headers.header(name).map(<[u8]>::to_vec);
                let found = ["source", "empty", "binary", "one", "none"].map(header);
                seen.push((Seen::of(record), found));
            })
            .unwrap();
        seen.len() == 3
    });
    let some = |bytes: &[u8]| Some(bytes.to_vec());
    type Expected<'a> = (&'a [u8], &'a [u8], [Option<Vec<u8>>; 5]);
    let expected: [Expected<'_>; 3] = [
        (b"account-1", &binary, [some(b"last"), some(b""), some(&binary), None, None]),
        (b"", b"no key", [None, None, None, None, None]),
        (&binary, b"", [None, None, None, some(b"1"), None]),
    ];
    for ((record, headers), (key, value, found)) in seen.iter().zip(&expected) {
        assert_eq!((&record.key[..], &record.value[..], headers), (*key, *value, found));
        assert_eq!(record.at, to);
    }
}

/// A value of the stated limit fits beside a key and headers, outside and inside a transaction.
pub fn large_records_fit(stage: &Stage) {
    stage.create(&[(Topic::DeadLetters, 1)]);
    let to = at(Topic::DeadLetters, 0);
    let value: Vec<u8> = (0..limits::OUTPUT_RECORD_BYTES_MAX)
        .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let headers: &[(&str, &[u8])] = &[("reason", b"record_too_large"), ("topic", b"usage.raw")];
    let large = Append { to, key: b"account", value: &value, headers };

    let mut appender = stage.log.appender().unwrap();
    appender.append(large).unwrap();
    appender.append(plain(to, "small")).unwrap();
    appender.flush().unwrap();
    let mut member = stage.join_writing("large", &[], "large-0");
    member.append(plain(to, "small again")).unwrap();
    member.append(large).unwrap();
    member.append(large).unwrap();
    must_commit(&mut *member, &[]);

    let seen = stage.all(&[to]);
    assert_eq!(seen.len(), 5);
    for index in [0, 3, 4] {
        assert!(seen[index].value == value, "record {index} differs");
    }
    assert_eq!((&seen[1].value[..], &seen[2].value[..]), (&b"small"[..], &b"small again"[..]));
}

/// From an offset on, that offset included; from the end, only what comes later.
pub fn a_reader_begins_where_it_is_told(stage: &Stage) {
    stage.create(&[(USAGE, 1)]);
    let to = at(USAGE, 0);
    stage.fill(to, &["a", "b", "c", "d"]);
    let mut reader = stage.log.reader(&[(to, Offset(2))]).unwrap();
    assert_eq!(reader.position(to), Offset(2));
    let seen = stage.read(&mut *reader, 1);
    assert_eq!(values(&seen), ["c"]);
    assert_eq!(reader.position(to), Offset(3));
    assert_eq!(values(&stage.read(&mut *reader, 1)), ["d"]);
    assert_eq!(reader.position(to), Offset(4));

    let mut tail = stage.log.reader(&[(to, Offset(4))]).unwrap();
    stage.fill(to, &["e"]);
    assert_eq!(values(&stage.read(&mut *tail, 1)), ["e"]);
}

/// An offset past the end is an error that names it, at the latest from a poll.
pub fn a_reader_out_of_range_is_told(stage: &Stage) {
    stage.create(&[(USAGE, 1)]);
    let to = at(USAGE, 0);
    stage.fill(to, &["a", "b"]);
    let mut refused = None;
    match stage.log.reader(&[(to, Offset(7))]) {
        Err(error) => refused = Some(error),
        Ok(mut reader) => stage.until("an error for offset 7", || {
            refused = reader.poll(1, WAIT, &mut |record| panic!("{record:?}")).err();
            refused.is_some()
        }),
    }
    assert!(
        matches!(refused, Some(LogError::OutOfRange { at, wanted: Offset(7), .. }) if at == to),
        "{refused:?}"
    );
}

/// A reader that waits at the end gets what another thread appends, in order.
pub fn a_reader_follows_the_tail(stage: &Stage) {
    stage.create(&[(USAGE, 1)]);
    let to = at(USAGE, 0);
    let mut reader = stage.log.reader(&[(to, Offset(0))]).unwrap();
    assert_eq!(reader.poll(1, WAIT, &mut |record| panic!("{record:?}")).unwrap(), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20 {
                stage.fill(to, &[&format!("record-{number}")]);
            }
        });
        let seen = stage.read(&mut *reader, 20);
        let expected: Vec<_> = (0..20).map(|number| format!("record-{number}")).collect();
        assert_eq!(values(&seen), expected);
    });
    stage.until("the reader's position at the end", || {
        assert_eq!(reader.poll(1, WAIT, &mut |record| panic!("{record:?}")).unwrap(), 0);
        reader.position(to) == stage.log.bounds(to).unwrap().stable_end
    });
}

/// Each partition in order, none forgotten.
pub fn one_reader_reads_several_partitions(stage: &Stage) {
    stage.create(&[(USAGE, 3), (Topic::LedgerCommands, 3)]);
    let places: Vec<_> = (0..3)
        .flat_map(|partition| [at(USAGE, partition), at(Topic::LedgerCommands, partition)])
        .collect();
    for place in &places {
        stage.fill_numbered(*place, &place.to_string(), 50);
    }
    let from: Vec<_> = places.iter().map(|place| (*place, Offset(10))).collect();
    let mut reader = stage.log.reader(&from).unwrap();
    let seen = stage.read(&mut *reader, 6 * 40);
    for place in &places {
        let of_place: Vec<_> = seen.iter().filter(|record| record.at == *place).cloned().collect();
        let expected: Vec<_> = (10..50).map(|number| format!("{place}-{number}")).collect();
        assert_eq!(values(&of_place), expected);
        assert_eq!(reader.position(*place), Offset(50));
    }
}
