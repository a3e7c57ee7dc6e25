//! The group: splits that are refused, assignments that are lost, members that come back.

use std::time::Duration;

use domain::{Offset, Partition};
use eventlog::{Assignment, CommitOutcome, EventLog, Lane, LogError, TopicSpec};
use eventlog_kafka::KafkaSettings;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

const REWINDS: u32 = 300;

use crate::stage::{
    COMMANDS, ENTRIES, USAGE, WAIT, all, at, fill, join, log, next_change, position, record,
    settings, until,
};

/// A member that reads fewer topics of the same group makes the assignor split them.
#[test]
fn a_split_assignment_is_refused() {
    let log = log(settings("split"), &[USAGE, COMMANDS], 4);
    let both = [(USAGE, Lane::Bulk), (COMMANDS, Lane::Priority)];
    let mut member = join(&log, "charger", &both, None);
    assert!(matches!(next_change(&mut *member), Assignment::Gained(_)));
    let mut narrow = join(&log, "charger", &both[..1], None);
    let mut refusal = None;
    until("the refusal", || {
        drop(narrow.poll(Lane::Bulk, 1, WAIT, &mut |_| {}));
        match member.poll(Lane::Bulk, 1, WAIT, &mut |_| {}) {
            Ok(polled) => {
                for change in polled.assignments {
                    let Assignment::Revoked(partitions) = change else { panic!("{change:?}") };
                    member.release(&partitions).unwrap();
                }
            }
            Err(error) => refusal = Some(error),
        }
        refusal.is_some()
    });
    match refusal {
        Some(LogError::Halt(why)) => assert!(why.contains("same topics"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(member.poll(Lane::Bulk, 1, WAIT, &mut |_| {}), Err(LogError::Halt(_))));
}

fn impatient(test: &str) -> KafkaSettings {
    let mut settings = settings(test);
    settings.session_timeout = Duration::from_millis(1_500);
    settings.poll_interval_max = Duration::from_millis(1_500);
    settings
}

/// A member that stopped polling lost its partitions. It can commit nothing, even though its
/// writer's name is still its own, is told of the loss, and may come back.
#[test]
fn a_lost_assignment_commits_nothing() {
    let log = log(impatient("lost"), &[USAGE, ENTRIES], 1);
    let inputs = [(USAGE, Lane::Bulk)];
    let gained = Assignment::Gained(vec![Partition(0)]);
    let mut idle = join(&log, "charger", &inputs, Some("charger-0"));
    assert_eq!(next_change(&mut *idle), gained);
    let mut committed = 0;
    until("the group to lose patience", || {
        idle.append(record(at(ENTRIES, 0), "held")).unwrap();
        match idle.commit(&[position(at(USAGE, 0), 1)]) {
            CommitOutcome::Committed => committed += 1,
            CommitOutcome::Aborted(_) => return true,
            outcome @ (CommitOutcome::Unknown(_) | CommitOutcome::Fenced(_)) => {
                panic!("{outcome:?}")
            }
        }
        false
    });
    assert_eq!(next_change(&mut *idle), Assignment::Lost(vec![Partition(0)]));
    idle.append(record(at(ENTRIES, 0), "lost")).unwrap();
    let outcome = idle.commit(&[position(at(USAGE, 0), 2)]);
    assert!(matches!(outcome, CommitOutcome::Aborted(_)), "{outcome:?}");
    idle.release(&[Partition(0)]).unwrap();
    assert_eq!(next_change(&mut *idle), gained);
    idle.append(record(at(ENTRIES, 0), "back")).unwrap();
    assert_eq!(idle.commit(&[position(at(USAGE, 0), 3)]), CommitOutcome::Committed);
    let mut expected = vec!["held"; committed];
    expected.push("back");
    assert_eq!(all(&log, at(ENTRIES, 0)), expected);
}

/// A revocation is there, but the member looks too late: the partition has a new owner, and what
/// the member then commits is refused by the group's generation alone.
#[test]
fn a_revocation_answered_too_late_commits_nothing() {
    let log = log(impatient("too-late"), &[USAGE, ENTRIES], 1);
    fill(&log, at(USAGE, 0), 3);
    let inputs = [(USAGE, Lane::Bulk)];
    let gained = Assignment::Gained(vec![Partition(0)]);
    let mut idle = join(&log, "charger", &inputs, Some("charger-0"));
    assert_eq!(next_change(&mut *idle), gained);
    idle.append(record(at(ENTRIES, 0), "idle")).unwrap();

    let mut busy = join(&log, "charger", &inputs, Some("charger-1"));
    assert_eq!(next_change(&mut *busy), gained);
    busy.append(record(at(ENTRIES, 0), "busy")).unwrap();
    assert_eq!(busy.commit(&[position(at(USAGE, 0), 3)]), CommitOutcome::Committed);

    let change = next_change(&mut *idle);
    assert!(matches!(change, Assignment::Revoked(_) | Assignment::Lost(_)), "{change:?}");
    let outcome = idle.commit(&[position(at(USAGE, 0), 1)]);
    assert!(matches!(outcome, CommitOutcome::Aborted(_)), "{outcome:?}");
    idle.release(&[Partition(0)]).unwrap();
    assert_eq!(busy.committed(Partition(0)).unwrap()[0].next, Some(Offset(3)));
    assert_eq!(all(&log, at(ENTRIES, 0)), ["busy"]);
}

/// A static member that vanished without leaving has its partitions back as soon as it joins again,
/// long before its session would have ended.
#[test]
fn a_static_member_comes_back_at_once() {
    let mut settings = settings("static");
    settings.static_membership = true;
    settings.session_timeout = Duration::from_secs(60);
    let log = log(settings, &[USAGE], 2);
    let inputs = [(USAGE, Lane::Bulk)];
    let all = Assignment::Gained(vec![Partition(0), Partition(1)]);
    let mut first = join(&log, "charger", &inputs, Some("charger-0"));
    assert_eq!(next_change(&mut *first), all);
    let started = std::time::Instant::now();
    let mut second = join(&log, "charger", &inputs, Some("charger-0"));
    assert_eq!(next_change(&mut *second), all);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    // The one that it replaced is told to stop.
    let mut told = None;
    until("the older instance to be fenced", || {
        told = first.poll(Lane::Bulk, 1, WAIT, &mut |_| {}).err();
        told.is_some()
    });
    assert!(matches!(told, Some(LogError::Fenced(_))), "{told:?}");
}

/// A broker that has just started may not know the topics yet, and the group then has nothing to
/// share out. Nobody tells its members when that is over: they must ask.
#[test]
fn a_member_whose_topics_were_gone_for_a_while_has_its_partitions_back() {
    let settings = settings("gone");
    let topic = format!("{}{USAGE}", settings.prefix);
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", &settings.bootstrap);
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let log = log(settings, &[USAGE], 1);
    let mut member = join(&log, "charger", &[(USAGE, Lane::Bulk)], None);
    let gained = Assignment::Gained(vec![Partition(0)]);
    assert_eq!(next_change(&mut *member), gained);

    let deleted = admin.delete_topics(&[&topic], &AdminOptions::new());
    futures_executor::block_on(deleted).unwrap().remove(0).unwrap();
    let change = next_change(&mut *member);
    assert!(matches!(change, Assignment::Revoked(_) | Assignment::Lost(_)), "{change:?}");
    member.release(&[Partition(0)]).unwrap();

    log.create_topics(&[TopicSpec { topic: USAGE, partitions: 1 }]).unwrap();
    assert_eq!(next_change(&mut *member), gained);
}

/// Whatever was fetched or on its way when a partition is started anew, none of it is delivered:
/// after each of many starts, the records come from that offset on, without a gap.
#[test]
fn nothing_from_before_a_start_is_delivered_after_it() {
    const COUNT: i64 = 20_000;
    let mut settings = settings("rewinds");
    // A fetch that waits at the end holds the next start up; here there are many.
    settings.fetch_wait = Duration::from_millis(5);
    let log = log(settings, &[USAGE], 2);
    for partition in 0..2 {
        fill(&log, at(USAGE, partition), usize::try_from(COUNT).unwrap());
    }
    let mut member = join(&log, "charger", &[(USAGE, Lane::Bulk)], None);
    next_change(&mut *member);
    let mut expected = [0, 0];
    let mut state = 1_u64;
    let mut below = |limit: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for round in 0..REWINDS {
        let partition = u32::try_from(below(2)).unwrap();
        if round < 2 || below(4) > 0 {
            let from = i64::try_from(below(20_001)).unwrap();
            let place = if round < 2 { round } else { partition };
            member.start(Partition(place), &[(USAGE, Offset(from))]).unwrap();
            expected[place as usize] = from;
        }
        for _ in 0..below(4) {
            let records_max = usize::try_from(below(900) + 1).unwrap();
            member
                .poll(Lane::Bulk, records_max, Duration::from_millis(below(4)), &mut |record| {
                    let next = &mut expected[record.at.partition.0 as usize];
                    assert_eq!(record.offset, Offset(*next), "{record:?} in round {round}");
                    *next += 1;
                })
                .unwrap();
        }
        for partition in 0..round.min(2) {
            let (next, _) = member.position(at(USAGE, partition));
            assert_eq!(next, Offset(expected[partition as usize]));
        }
    }
    until("both partitions to their ends", || {
        member
            .poll(Lane::Bulk, 1_000, WAIT, &mut |record| {
                let next = &mut expected[record.at.partition.0 as usize];
                assert_eq!(record.offset, Offset(*next));
                *next += 1;
            })
            .unwrap();
        (0..2).all(|partition| member.position(at(USAGE, partition)) == (Offset(COUNT), true))
    });
}
