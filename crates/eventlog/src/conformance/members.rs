//! Assignment, lanes, start and pause.

use domain::{Offset, Partition, Topic};

use super::Stage;
use super::stage::{Seen, WAIT, at, plain, values};
use crate::{Assignment, Lane, LogError, MemberSpec};

const USAGE: Topic = Topic::UsageRaw;
const COMMANDS: Topic = Topic::LedgerCommands;
const BOTH: [(Topic, Lane); 2] = [(USAGE, Lane::Bulk), (COMMANDS, Lane::Priority)];
const BULK: [(Topic, Lane); 1] = [(USAGE, Lane::Bulk)];

/// Whoever polls only one lane learns of changes all the same.
pub fn an_assignment_comes_from_either_lane(stage: &Stage) {
    stage.create(&[(USAGE, 2), (COMMANDS, 2)]);
    let mut member = stage.join("charger", &BOTH);
    let mut assignments = Vec::new();
    stage.until("an assignment from the priority lane", || {
        let polled =
            member.poll(Lane::Priority, 10, WAIT, &mut |record| panic!("{record:?}")).unwrap();
        assignments.extend(polled.assignments);
        !assignments.is_empty()
    });
    assert_eq!(assignments, [Assignment::Gained(vec![Partition(0), Partition(1)])]);
}

/// A partition's inputs belong together, so the counts must be equal.
pub fn partition_counts_must_agree(stage: &Stage) {
    stage.create(&[(USAGE, 2), (COMMANDS, 3)]);
    let spec = MemberSpec { group: "charger".to_owned(), topics: BOTH.to_vec(), writer: None };
    let refused = stage.log.join(&spec).err();
    assert!(matches!(refused, Some(LogError::Halt(_))), "{refused:?}");
}

/// A gained partition is paused; each partition is started by itself.
pub fn nothing_is_delivered_before_start(stage: &Stage) {
    stage.create(&[(USAGE, 2)]);
    stage.fill(at(USAGE, 0), &["a"]);
    stage.fill(at(USAGE, 1), &["b"]);
    let mut member = stage.join("charger", &BULK);
    stage.gain(&mut *member, 2);
    for _ in 0..5 {
        let polled = member.poll(Lane::Bulk, 10, WAIT, &mut |record| panic!("{record:?}")).unwrap();
        assert_eq!(polled.records, 0);
    }
    member.start(Partition(1), &[(USAGE, Offset(0))]).unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 1)), ["b"]);
    member.start(Partition(0), &[(USAGE, Offset(0))]).unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 1)), ["a"]);
}

/// A second start of the same partition goes to where it says, back or forward, and delivers
/// nothing that was fetched before.
pub fn a_start_rewinds(stage: &Stage) {
    stage.create(&[(USAGE, 1)]);
    stage.fill_numbered(at(USAGE, 0), "usage", 10);
    let mut member = stage.join("charger", &BULK);
    stage.gain_and_start(&mut *member, &BULK, 1);
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 2)), ["usage-0", "usage-1"]);
    member.start(Partition(0), &[(USAGE, Offset(1))]).unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 2)), ["usage-1", "usage-2"]);
    member.start(Partition(0), &[(USAGE, Offset(8))]).unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 2)), ["usage-8", "usage-9"]);
    member.start(Partition(0), &[(USAGE, Offset(9))]).unwrap();
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 1)), ["usage-9"]);
}

/// An offset past the end is refused by `start` itself; the end is not past the end.
pub fn a_start_out_of_range_is_named(stage: &Stage) {
    stage.create(&[(USAGE, 1)]);
    let place = at(USAGE, 0);
    stage.fill(place, &["a", "b"]);
    let mut member = stage.join("charger", &BULK);
    stage.gain(&mut *member, 1);
    let refused = member.start(Partition(0), &[(USAGE, Offset(3))]);
    match refused {
        Err(LogError::OutOfRange { at, wanted, start, end }) => {
            assert_eq!((at, wanted, start, end), (place, Offset(3), Offset(0), Offset(2)));
        }
        other => panic!("{other:?}"),
    }
    member.start(Partition(0), &[(USAGE, Offset(2))]).unwrap();
    stage.fill(place, &["c"]);
    assert_eq!(values(&stage.take(&mut *member, Lane::Bulk, 1)), ["c"]);
}

/// A pause holds one partition back, fetched records included, until it is started again.
pub fn a_paused_partition_stays_quiet(stage: &Stage) {
    stage.create(&[(USAGE, 2)]);
    stage.fill_numbered(at(USAGE, 0), "zero", 100);
    stage.fill_numbered(at(USAGE, 1), "one", 100);
    let mut member = stage.join("charger", &BULK);
    stage.gain_and_start(&mut *member, &BULK, 2);
    let mut seen = stage.take(&mut *member, Lane::Bulk, 20);
    member.pause(Partition(0)).unwrap();
    let before = seen.iter().filter(|record| record.at.partition.0 == 0).count();
    let rest = stage.take(&mut *member, Lane::Bulk, 100 - (20 - before));
    assert!(rest.iter().all(|record| record.at.partition.0 == 1), "partition 0 is paused");
    seen.extend(rest);
    let next = i64::try_from(before).unwrap();
    member.start(Partition(0), &[(USAGE, Offset(next))]).unwrap();
    seen.extend(stage.take(&mut *member, Lane::Bulk, 100 - before));
    for (partition, prefix) in [(0, "zero"), (1, "one")] {
        let of_partition: Vec<Seen> =
            seen.iter().filter(|record| record.at.partition.0 == partition).cloned().collect();
        let expected: Vec<_> = (0..100).map(|number| format!("{prefix}-{number}")).collect();
        assert_eq!(values(&of_partition), expected);
    }
}

/// However the records are spread, all of them come, each partition in order.
pub fn the_bulk_lane_reaches_every_partition(stage: &Stage) {
    let inputs = [(USAGE, Lane::Bulk), (Topic::UsageForwarded, Lane::Bulk)];
    stage.create(&[(USAGE, 3), (Topic::UsageForwarded, 3)]);
    let counts = [(USAGE, 0, 400), (USAGE, 1, 3), (USAGE, 2, 90), (Topic::UsageForwarded, 1, 50)];
    for (topic, partition, count) in counts {
        stage.fill_numbered(at(topic, partition), "record", count);
    }
    let mut member = stage.join("charger", &inputs);
    stage.gain_and_start(&mut *member, &inputs, 3);
    let mut seen = Vec::new();
    stage.until("all records of the bulk lane", || {
        let polled =
            member.poll(Lane::Bulk, 64, WAIT, &mut |record| seen.push(Seen::of(record))).unwrap();
        assert!(polled.records <= 64);
        seen.len() >= 543
    });
    assert_eq!(seen.len(), 543);
    for (topic, partition, count) in counts {
        let place = at(topic, partition);
        let offsets: Vec<_> =
            seen.iter().filter(|seen| seen.at == place).map(|seen| seen.offset.0).collect();
        assert_eq!(offsets, (0..i64::try_from(count).unwrap()).collect::<Vec<_>>());
        assert_eq!(member.position(place).0, Offset(i64::try_from(count).unwrap()));
    }
}

/// A command is polled while a queue of usage waits untouched, and each lane has its own topics.
pub fn the_priority_lane_does_not_wait_behind_bulk(stage: &Stage) {
    stage.create(&[(USAGE, 1), (COMMANDS, 1)]);
    let mut appender = stage.log.appender().unwrap();
    let filler = "u".repeat(500);
    for _ in 0..5_000 {
        appender.append(plain(at(USAGE, 0), &filler)).unwrap();
    }
    appender.flush().unwrap();
    stage.fill(at(COMMANDS, 0), &["first", "second", "third"]);
    let mut member = stage.join("charger", &BOTH);
    stage.gain_and_start(&mut *member, &BOTH, 1);
    let commands = stage.take(&mut *member, Lane::Priority, 3);
    assert_eq!(values(&commands), ["first", "second", "third"]);
    let bulk = stage.take(&mut *member, Lane::Bulk, 10);
    assert!(bulk.iter().all(|record| record.at.topic == USAGE));
    stage.fill(at(COMMANDS, 0), &["fourth"]);
    assert_eq!(values(&stage.take(&mut *member, Lane::Priority, 1)), ["fourth"]);
    let (next, all_delivered) = member.position(at(USAGE, 0));
    assert_eq!((next, all_delivered), (Offset(10), false), "the priority lane took bulk records");
}
