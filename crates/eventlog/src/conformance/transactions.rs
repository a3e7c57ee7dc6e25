//! One atomic commit of records and positions, and who may make it.

use std::time::Duration;

use domain::{Offset, Partition, Topic, TopicPartition};

use super::Stage;
use super::stage::{WAIT, at, must_commit, plain, position, values};
use crate::{Append, CommitOutcome, Lane, LogError};

const USAGE: Topic = Topic::UsageRaw;
const ENTRIES: Topic = Topic::LedgerEntries;
const INPUTS: [(Topic, Lane); 1] = [(USAGE, Lane::Bulk)];

/// Readers and the stable end wait for the commit.
pub fn an_open_transaction_is_invisible(stage: &Stage) {
    stage.create(&[(ENTRIES, 2)]);
    let mut reader =
        stage.log.reader(&[(at(ENTRIES, 0), Offset(0)), (at(ENTRIES, 1), Offset(0))]).unwrap();
    let mut member = stage.join_writing("charger", &[], "charger-0");
    for number in 0..5 {
        member.append(plain(at(ENTRIES, 0), &format!("entry-{number}"))).unwrap();
        let lent = reader
            .poll(10, Duration::from_millis(5), &mut |record| panic!("{record:?} is not committed"))
            .unwrap();
        assert_eq!(lent, 0);
        let bounds = stage.log.bounds(at(ENTRIES, 0)).unwrap();
        assert_eq!(bounds.stable_end, Offset(0));
        assert!(bounds.end >= bounds.stable_end);
    }
    must_commit(&mut *member, &[]);
    let expected: Vec<_> = (0..5).map(|number| format!("entry-{number}")).collect();
    assert_eq!(values(&stage.read(&mut *reader, 5)), expected);
    assert_eq!(values(&stage.all(&[at(ENTRIES, 0)])), expected);
}

/// Records of several topics and partitions and the positions of several inputs go together.
pub fn a_commit_spans_partitions_and_positions(stage: &Stage) {
    let inputs = [(USAGE, Lane::Bulk), (Topic::LedgerCommands, Lane::Priority)];
    stage.create(&[(USAGE, 2), (Topic::LedgerCommands, 2), (ENTRIES, 2), (Topic::DeadLetters, 2)]);
    stage.fill_numbered(at(USAGE, 0), "usage", 3);
    stage.fill_numbered(at(Topic::LedgerCommands, 1), "command", 2);
    let mut member = stage.join_writing("charger", &inputs, "charger-0");
    stage.gain_and_start(&mut *member, &inputs, 2);
    let usage = stage.take(&mut *member, Lane::Bulk, 3);
    let commands = stage.take(&mut *member, Lane::Priority, 2);
    for record in usage.iter().chain(&commands) {
        let to = at(ENTRIES, record.at.partition.0);
        member.append(Append { to, key: b"k", value: &record.value, headers: &[] }).unwrap();
    }
    member.append(plain(at(Topic::DeadLetters, 1), "letter")).unwrap();
    must_commit(
        &mut *member,
        &[
            position(at(USAGE, 0), Offset(3), "seal 2"),
            position(at(Topic::LedgerCommands, 1), Offset(2), "seal 1"),
        ],
    );

    assert_eq!(values(&stage.all(&[at(ENTRIES, 0)])), ["usage-0", "usage-1", "usage-2"]);
    assert_eq!(values(&stage.all(&[at(ENTRIES, 1)])), ["command-0", "command-1"]);
    assert_eq!(values(&stage.all(&[at(Topic::DeadLetters, 1)])), ["letter"]);
    let mut next = |place: TopicPartition| {
        let committed = member.committed(place.partition).unwrap();
        committed.into_iter().find(|position| position.at == place).unwrap().next
    };
    assert_eq!(next(at(USAGE, 0)), Some(Offset(3)));
    assert_eq!(next(at(Topic::LedgerCommands, 0)), None);
    assert_eq!(next(at(USAGE, 1)), None);
    assert_eq!(next(at(Topic::LedgerCommands, 1)), Some(Offset(2)));
}

/// What one commit wrote comes before what the next wrote, in the order of the appends.
pub fn commits_keep_their_order(stage: &Stage) {
    stage.create(&[(ENTRIES, 2)]);
    let mut member = stage.join_writing("charger", &[], "charger-0");
    let mut expected = [Vec::new(), Vec::new()];
    for number in 0..12 {
        for partition in 0..2 {
            for part in 0..=number % 3 {
                let value = format!("{number}-{part}");
                member.append(plain(at(ENTRIES, partition), &value)).unwrap();
                expected[partition as usize].push(value);
            }
        }
        must_commit(&mut *member, &[]);
    }
    for partition in 0..2 {
        let seen = stage.all(&[at(ENTRIES, partition)]);
        assert_eq!(values(&seen), expected[partition as usize]);
        assert!(seen.is_sorted_by(|a, b| a.offset < b.offset), "offsets must grow");
        assert!(seen.is_sorted_by_key(|record| record.appended_at), "append times go back");
    }
}

/// After an abort the same member writes on, and only that is seen.
pub fn an_abort_leaves_nothing(stage: &Stage) {
    stage.create(&[(USAGE, 1), (ENTRIES, 1)]);
    stage.fill(at(USAGE, 0), &["a", "b"]);
    let mut member = stage.join_writing("charger", &INPUTS, "charger-0");
    stage.gain_and_start(&mut *member, &INPUTS, 1);
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 2)), ["a", "b"]);
    member.append(plain(at(ENTRIES, 0), "given up")).unwrap();
    member.append(plain(at(ENTRIES, 0), "given up too")).unwrap();
    member.abort().unwrap();
    assert_eq!(member.committed(Partition(0)).unwrap()[0].next, None);

    // Delivery does not rewind by itself; a start does.
    member.start(Partition(0), &[(USAGE, Offset(0))]).unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 2)), ["a", "b"]);
    member.append(plain(at(ENTRIES, 0), "kept")).unwrap();
    must_commit(&mut *member, &[position(at(USAGE, 0), Offset(2), "")]);
    member.abort().unwrap();
    assert_eq!(values(&stage.all(&[at(ENTRIES, 0)])), ["kept"]);
    assert_eq!(member.committed(Partition(0)).unwrap()[0].next, Some(Offset(2)));
}

/// A reader catches up when the last offsets hold no record.
pub fn a_reader_passes_what_was_aborted(stage: &Stage) {
    stage.create(&[(ENTRIES, 1)]);
    let place = at(ENTRIES, 0);
    let mut reader = stage.log.reader(&[(place, Offset(0))]).unwrap();
    let mut member = stage.join_writing("charger", &[], "charger-0");
    for round in 0..3 {
        let kept = format!("kept-{round}");
        member.append(plain(place, &kept)).unwrap();
        must_commit(&mut *member, &[]);
        assert_eq!(values(&stage.read(&mut *reader, 1)), [kept]);
        member.append(plain(place, "given up")).unwrap();
        member.abort().unwrap();
        stage.until("the reader's position at the end", || {
            reader.poll(10, WAIT, &mut |record| panic!("{record:?} was aborted")).unwrap();
            let bounds = stage.log.bounds(place).unwrap();
            bounds.stable_end == bounds.end && reader.position(place) >= bounds.stable_end
        });
    }
}

/// What a member had not committed when it went is gone, and its successor goes on from the last
/// commit.
pub fn a_dropped_member_leaves_nothing(stage: &Stage) {
    stage.create(&[(USAGE, 1), (ENTRIES, 1)]);
    stage.fill(at(USAGE, 0), &["a", "b", "c"]);
    let mut first = stage.join_writing("charger", &INPUTS, "charger-0");
    stage.gain_and_start(&mut *first, &INPUTS, 1);
    stage.take(&mut *first, Lane::Bulk, 1);
    first.append(plain(at(ENTRIES, 0), "a")).unwrap();
    must_commit(&mut *first, &[position(at(USAGE, 0), Offset(1), "first")]);
    stage.take(&mut *first, Lane::Bulk, 1);
    first.append(plain(at(ENTRIES, 0), "not committed")).unwrap();
    drop(first);

    let mut second = stage.join_writing("charger", &INPUTS, "charger-0");
    stage.gain(&mut *second, 1);
    let committed = second.committed(Partition(0)).unwrap();
    assert_eq!((committed[0].next, &committed[0].metadata[..]), (Some(Offset(1)), "first"));
    second.start(Partition(0), &[(USAGE, Offset(1))]).unwrap();
    let seen = stage.take(&mut *second, Lane::Bulk, 2);
    assert_eq!(values(&seen), ["b", "c"]);
    for value in values(&seen) {
        second.append(plain(at(ENTRIES, 0), &value)).unwrap();
    }
    must_commit(&mut *second, &[position(at(USAGE, 0), Offset(3), "second")]);
    assert_eq!(values(&stage.all(&[at(ENTRIES, 0)])), ["a", "b", "c"]);
}

/// Joining under a writer's name ends whoever had it, also in the middle of a transaction.
pub fn a_newer_writer_fences_the_older(stage: &Stage) {
    stage.create(&[(ENTRIES, 1)]);
    let mut older = stage.join_writing("older", &[], "charger-0");
    older.append(plain(at(ENTRIES, 0), "before")).unwrap();
    must_commit(&mut *older, &[]);
    older.append(plain(at(ENTRIES, 0), "from a ghost")).unwrap();

    let mut newer = stage.join_writing("newer", &[], "charger-0");
    // Queued, refused as fenced, or refused because the log took nothing before it: the commit says
    // which it was.
    let appended = older.append(plain(at(ENTRIES, 0), "from a ghost too"));
    assert!(
        matches!(appended, Ok(()) | Err(LogError::Fenced(_) | LogError::Unavailable(_))),
        "{appended:?}"
    );
    let outcome = older.commit(&[]);
    assert!(matches!(outcome, CommitOutcome::Fenced(_)), "after {appended:?}: {outcome:?}");

    newer.append(plain(at(ENTRIES, 0), "after")).unwrap();
    must_commit(&mut *newer, &[]);
    let again = older.commit(&[]);
    assert!(matches!(again, CommitOutcome::Fenced(_)), "fenced is for ever: {again:?}");
    assert_eq!(values(&stage.all(&[at(ENTRIES, 0)])), ["before", "after"]);
}

/// A writer that reads nothing (the catalogue's) joins without topics and gets nothing polled.
pub fn a_writer_needs_no_topics(stage: &Stage) {
    stage.create(&[(Topic::RatesCatalog, 1)]);
    let place = at(Topic::RatesCatalog, 0);
    let mut member = stage.join_writing("catalogue", &[], "catalogue-0");
    let polled = member.poll(Lane::Bulk, 10, WAIT, &mut |record| panic!("{record:?}")).unwrap();
    assert_eq!((polled.records, polled.assignments), (0, Vec::new()));
    member.append(plain(place, "version 1")).unwrap();
    must_commit(&mut *member, &[]);
    member.append(plain(place, "version 2")).unwrap();
    must_commit(&mut *member, &[]);
    // A commit of nothing is a commit.
    must_commit(&mut *member, &[]);
    assert_eq!(values(&stage.all(&[place])), ["version 1", "version 2"]);
}
