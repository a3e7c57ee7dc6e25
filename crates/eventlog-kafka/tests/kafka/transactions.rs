//! Transactions where only a broker can tell: open ones, timed-out ones, pending offsets.

use std::time::Duration;

use domain::{Offset, Partition};
use eventlog::{CommitOutcome, EventLog, Lane, LogError, Member};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{ClientConfig, Offset as RawOffset, TopicPartitionList};

use crate::stage::{
    COMMANDS, ENTRIES, USAGE, WAIT, all, at, fill, join, log, next_change, position, record,
    settings, until,
};

/// The end counts what is open, the stable end does not.
#[test]
fn bounds_tell_an_open_transaction() {
    let log = log(settings("open-bounds"), &[ENTRIES], 1);
    let place = at(ENTRIES, 0);
    let mut member = join(&log, "charger", &[], Some("charger-0"));
    member.append(record(place, "first")).unwrap();
    assert_eq!(member.commit(&[]), CommitOutcome::Committed);
    until("the commit's control record", || log.bounds(place).unwrap().stable_end == Offset(2));
    member.append(record(place, "open")).unwrap();
    until("the open record on the broker", || log.bounds(place).unwrap().end == Offset(3));
    let bounds = log.bounds(place).unwrap();
    assert_eq!((bounds.start, bounds.stable_end, bounds.end), (Offset(0), Offset(2), Offset(3)));
    member.abort().unwrap();
    until("the abort's control record", || {
        let bounds = log.bounds(place).unwrap();
        bounds.end == Offset(4) && bounds.stable_end == Offset(4)
    });
    assert_eq!(all(&log, place), ["first"]);
}

/// The coordinator gave the transaction up and raised the epoch, which looks like a successor. The
/// writer takes its name back and goes on.
#[test]
fn a_transaction_that_outlived_its_timeout_is_in_doubt_not_fenced() {
    let mut settings = settings("outlived");
    settings.transaction_timeout = Duration::from_secs(1);
    let log = log(settings, &[ENTRIES], 1);
    let place = at(ENTRIES, 0);
    let mut member = join(&log, "charger", &[], Some("charger-0"));
    member.append(record(place, "too late")).unwrap();
    until("the record on the broker", || log.bounds(place).unwrap().end == Offset(1));
    until("the coordinator's patience to end", || {
        log.bounds(place).unwrap().stable_end == Offset(2)
    });
    let outcome = member.commit(&[]);
    assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
    member.append(record(place, "in time")).unwrap();
    assert_eq!(member.commit(&[]), CommitOutcome::Committed);
    assert_eq!(all(&log, place), ["in time"]);
}

/// A fenced writer's records are refused by the broker behind its back: appending says that the
/// transaction must end, and both ways to end it say why.
#[test]
fn a_fenced_writer_whose_records_were_refused_is_told_so() {
    type End = fn(&mut dyn Member) -> bool;
    let ends: [(&str, End); 2] = [
        ("commit", |member| matches!(member.commit(&[]), CommitOutcome::Fenced(_))),
        ("abort", |member| matches!(member.abort(), Err(LogError::Fenced(_)))),
    ];
    for (name, says_fenced) in ends {
        let log = log(settings(&format!("refused-{name}")), &[ENTRIES], 1);
        let mut older = join(&log, "older", &[], Some("charger-0"));
        older.append(record(at(ENTRIES, 0), "from a ghost")).unwrap();
        let _newer = join(&log, "newer", &[], Some("charger-0"));
        until("the broker's refusal", || {
            match older.append(record(at(ENTRIES, 0), "from a ghost too")) {
                Ok(()) => false,
                Err(LogError::Unavailable(_) | LogError::Fenced(_)) => true,
                Err(error) => panic!("{error:?}"),
            }
        });
        assert!(says_fenced(&mut *older), "{name}");
        assert_eq!(all(&log, at(ENTRIES, 0)), Vec::<String>::new());
    }
}

/// A writer that was replaced can neither commit positions nor records, however often it tries.
#[test]
fn a_zombie_moves_no_positions() {
    let log = log(settings("zombie"), &[USAGE, ENTRIES], 1);
    let inputs = [(USAGE, Lane::Bulk)];
    let mut zombie = join(&log, "charger", &inputs, Some("charger-0"));
    next_change(&mut *zombie);
    zombie.append(record(at(ENTRIES, 0), "zombie")).unwrap();
    let mut successor = join(&log, "catalogue", &[], Some("charger-0"));
    for _ in 0..2 {
        let outcome = zombie.commit(&[position(at(USAGE, 0), 5)]);
        assert!(matches!(outcome, CommitOutcome::Fenced(_)), "{outcome:?}");
        assert!(matches!(zombie.append(record(at(ENTRIES, 0), "again")), Err(LogError::Fenced(_))));
        assert!(matches!(zombie.abort(), Err(LogError::Fenced(_))));
        assert!(matches!(zombie.committed(Partition(0)), Err(LogError::Fenced(_))));
    }
    successor.append(record(at(ENTRIES, 0), "successor")).unwrap();
    assert_eq!(successor.commit(&[]), CommitOutcome::Committed);
    let onlooker = join(&log, "charger", &inputs, None).committed(Partition(0)).unwrap();
    assert_eq!(onlooker[0].next, None);
    assert_eq!(all(&log, at(ENTRIES, 0)), ["successor"]);
}

/// Offsets inside somebody's open transaction are neither passed over nor taken for committed: the
/// answer waits for the transaction's end.
#[test]
fn committed_positions_wait_for_a_transaction_over_them() {
    let settings = settings("pending");
    let bootstrap = settings.bootstrap.clone();
    let log = log(settings, &[USAGE, COMMANDS], 1);
    fill(&log, at(USAGE, 0), 5);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &bootstrap);
    let group: BaseConsumer = config.clone().set("group.id", "pending.charger").create().unwrap();
    let producer: BaseProducer = config.set("transactional.id", "pending.other").create().unwrap();
    producer.init_transactions(Duration::from_secs(10)).unwrap();
    producer.begin_transaction().unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("pending.usage.raw", 0, RawOffset::Offset(4)).unwrap();
    let metadata = group.group_metadata().unwrap();
    producer.send_offsets_to_transaction(&offsets, &metadata, Duration::from_secs(10)).unwrap();

    let mut member =
        join(&log, "charger", &[(USAGE, Lane::Bulk), (COMMANDS, Lane::Priority)], None);
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| member.committed(Partition(0)).unwrap());
        // The question takes milliseconds when nothing stands in its way: time for many bounds.
        for _ in 0..20 {
            log.bounds(at(USAGE, 0)).unwrap();
        }
        assert!(!asked.is_finished(), "it answered while the transaction was open");
        producer.commit_transaction(Duration::from_secs(10)).unwrap();
        let committed = asked.join().unwrap();
        assert_eq!(committed[0].next, Some(Offset(4)));
        assert_eq!(committed[1].next, None);
    });
}

/// Many small transactions and rewinds under load: each input is copied once, in order.
#[test]
fn rewinding_after_aborts_loses_and_repeats_nothing() {
    const COUNT: usize = 20_000;
    let log = log(settings("rewind"), &[USAGE, ENTRIES], 1);
    fill(&log, at(USAGE, 0), COUNT);
    let mut member = join(&log, "charger", &[(USAGE, Lane::Bulk)], Some("charger-0"));
    next_change(&mut *member);
    member.start(Partition(0), &[(USAGE, Offset(0))]).unwrap();
    let mut committed = 0;
    let mut round = 0;
    until("everything copied", || {
        let mut values = Vec::new();
        member
            .poll(Lane::Bulk, 500 + round * 37 % 700, WAIT, &mut |record| {
                values.push(record.value.to_vec())
            })
            .unwrap();
        for value in &values {
            let value = std::str::from_utf8(value).unwrap();
            member.append(record(at(ENTRIES, 0), value)).unwrap();
        }
        if values.is_empty() {
            return false;
        }
        round += 1;
        if round % 3 == 0 {
            member.abort().unwrap();
            member.start(Partition(0), &[(USAGE, Offset(committed))]).unwrap();
        } else {
            let (next, _) = member.position(at(USAGE, 0));
            let outcome = member.commit(&[position(at(USAGE, 0), next.0)]);
            assert_eq!(outcome, CommitOutcome::Committed);
            committed = next.0;
        }
        committed == i64::try_from(COUNT).unwrap()
    });
    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    assert!(all(&log, at(ENTRIES, 0)) == expected, "the copy differs");
}

/// A record that the broker refuses takes its whole transaction with it, and nothing more. One that
/// no topic takes is refused at once.
#[test]
fn a_refused_record_aborts_its_transaction() {
    let log = log(settings("refused"), &[USAGE, ENTRIES], 1);
    let mut member = join(&log, "charger", &[], Some("charger-0"));
    // More than an input topic takes, less than an output topic does.
    let large = "x".repeat(domain::limits::OUTPUT_RECORD_BYTES_MAX);
    member.append(record(at(ENTRIES, 0), "given up")).unwrap();
    member.append(record(at(USAGE, 0), &large)).unwrap();
    let outcome = member.commit(&[]);
    assert!(matches!(outcome, CommitOutcome::Aborted(_)), "{outcome:?}");
    let larger = "x".repeat(2 * domain::limits::OUTPUT_RECORD_BYTES_MAX);
    assert!(matches!(member.append(record(at(ENTRIES, 0), &larger)), Err(LogError::Halt(_))));
    assert!(matches!(member.append(record(at(ENTRIES, 1), "nowhere")), Err(LogError::Halt(_))));
    assert!(matches!(member.append(record(at(COMMANDS, 0), "nowhere")), Err(LogError::Halt(_))));
    member.append(record(at(ENTRIES, 0), "kept")).unwrap();
    assert_eq!(member.commit(&[]), CommitOutcome::Committed);
    assert_eq!(all(&log, at(ENTRIES, 0)), ["kept"]);
    assert_eq!(all(&log, at(USAGE, 0)), Vec::<String>::new());
}
