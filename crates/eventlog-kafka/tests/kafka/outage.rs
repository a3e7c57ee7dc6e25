//! Brokers that die, hang and come back, in the middle of a copy.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use domain::{Offset, Partition};
use eventlog::{Assignment, CommitOutcome, EventLog, Lane, LogError, Member};
use eventlog_kafka::KafkaLog;

use crate::stage::{
    ENTRIES, USAGE, WAIT, all, at, fill, join, log, position, record, settings_on, until,
};

const COUNT: usize = 30_000;

/// Copies one partition, going back to the committed position after everything that is not a
/// commit, and counts what happened.
struct Copier {
    member: Box<dyn Member>,
    owned: bool,
    running: bool,
    next: i64,
    outcomes: [u64; 3],
}

impl Copier {
    fn join(log: &KafkaLog) -> Self {
        let member = join(log, "charger", &[(USAGE, Lane::Bulk)], Some("charger-0"));
        Self { member, owned: false, running: false, next: 0, outcomes: [0; 3] }
    }

    /// Goes on from the committed position; while the broker is away, tries again later.
    fn restart(&mut self) {
        self.running = false;
        match self.member.abort() {
            Ok(()) => {}
            Err(LogError::Unavailable(_)) => return,
            Err(error) => panic!("{error}"),
        }
        let started = self.member.committed(Partition(0)).and_then(|committed| {
            let next = committed[0].next.unwrap_or(Offset(0));
            self.member.start(Partition(0), &[(USAGE, next)])?;
            Ok(next.0)
        });
        match started {
            Ok(next) => (self.next, self.running) = (next, true),
            Err(LogError::Unavailable(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    fn step(&mut self) {
        let mut values = Vec::new();
        let polled = self
            .member
            .poll(Lane::Bulk, 200, WAIT, &mut |record| values.push(record.value.to_vec()));
        let changes = match polled {
            Ok(polled) => polled.assignments,
            Err(LogError::Unavailable(_)) => Vec::new(),
            Err(error) => panic!("{error}"),
        };
        for change in changes {
            match change {
                Assignment::Gained(_) => self.owned = true,
                Assignment::Revoked(partitions) | Assignment::Lost(partitions) => {
                    (self.owned, self.running) = (false, false);
                    drop(self.member.abort());
                    self.member.release(&partitions).unwrap();
                    return;
                }
            }
        }
        if !self.running {
            if self.owned {
                self.restart();
            }
            return;
        }
        for value in &values {
            let value = std::str::from_utf8(value).unwrap();
            match self.member.append(record(at(ENTRIES, 0), value)) {
                Ok(()) => {}
                Err(LogError::Unavailable(_)) => return self.restart(),
                Err(error) => panic!("{error}"),
            }
        }
        if values.is_empty() {
            return;
        }
        let (next, _) = self.member.position(at(USAGE, 0));
        match self.member.commit(&[position(at(USAGE, 0), next.0)]) {
            CommitOutcome::Committed => {
                self.next = next.0;
                self.outcomes[0] += 1;
            }
            CommitOutcome::Aborted(_) => {
                self.outcomes[1] += 1;
                self.restart();
            }
            CommitOutcome::Unknown(_) => {
                self.outcomes[2] += 1;
                self.restart();
            }
            CommitOutcome::Fenced(why) => panic!("{why}"),
        }
    }
}

fn copied_exactly(log: &KafkaLog) {
    let expected: Vec<String> = (0..COUNT).map(|number| number.to_string()).collect();
    let found = all(log, at(ENTRIES, 0));
    assert_eq!(found.len(), COUNT);
    assert!(found == expected, "the copy differs");
}

/// `kill -9` of the broker at three moments of one copy; nobody restarts the client.
#[test]
fn a_copy_survives_broker_kills() {
    let mut broker = testkit::Kafka::start(testkit::KafkaOptions::default()).unwrap();
    // Shorter than the broker is away: transactions die with it, and some end in doubt.
    let mut settings = settings_on(&broker, "kills");
    settings.transaction_timeout = Duration::from_secs(2);
    let log = log(settings, &[USAGE, ENTRIES], 1);
    fill(&log, at(USAGE, 0), COUNT);
    let progress = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let outcomes = std::thread::scope(|scope| {
        let copier = scope.spawn(|| {
            let mut copier = Copier::join(&log);
            until("everything copied", || {
                copier.step();
                progress.store(u64::try_from(copier.next).unwrap(), Ordering::Release);
                copier.next == i64::try_from(COUNT).unwrap()
            });
            done.store(true, Ordering::Release);
            copier.outcomes
        });
        for share in [1, 2, 3] {
            let mark = u64::try_from(COUNT * share / 4).unwrap();
            while progress.load(Ordering::Acquire) < mark && !copier.is_finished() {
                std::thread::yield_now();
            }
            broker.kill().unwrap();
            broker.restart().unwrap();
        }
        copier.join().unwrap()
    });
    println!("committed, aborted, unknown: {outcomes:?}");
    assert!(outcomes[0] >= 3);
    copied_exactly(&log);
}

/// A stop signal takes its time on a busy machine: some threads of the broker may answer meanwhile.
fn stands_still(process: u32) -> bool {
    std::thread::yield_now();
    std::fs::read_dir(format!("/proc/{process}/task")).unwrap().all(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("stat")).unwrap();
        // The state is the first field after the name, which stands in parentheses.
        stat.rsplit_once(") ").unwrap().1.starts_with('T')
    })
}

/// A broker that answers nothing for longer than a transaction may live: the commit ends in doubt,
/// and after the broker's return the same member goes on.
#[test]
fn a_hanging_broker_leaves_a_doubt_and_a_working_member() {
    let mut broker = testkit::Kafka::start(testkit::KafkaOptions::default()).unwrap();
    let mut settings = settings_on(&broker, "hang");
    settings.transaction_timeout = Duration::from_secs(2);
    let log = log(settings, &[ENTRIES], 1);
    let mut member = join(&log, "charger", &[], Some("charger-0"));
    member.append(record(at(ENTRIES, 0), "before")).unwrap();
    assert_eq!(member.commit(&[]), CommitOutcome::Committed);
    member.append(record(at(ENTRIES, 0), "doubtful")).unwrap();
    // Only the commit is still to be said.
    until("the record on the broker", || log.bounds(at(ENTRIES, 0)).unwrap().end == Offset(3));
    broker.pause().unwrap();
    until("the broker to stand still", || stands_still(broker.pid()));
    let outcome = std::thread::scope(|scope| {
        let commit = scope.spawn(|| member.commit(&[]));
        // Longer than the transaction's timeout and the wait for an answer on top of it.
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(9));
            broker.resume().unwrap();
        });
        commit.join().unwrap()
    });
    assert!(matches!(outcome, CommitOutcome::Unknown(_)), "{outcome:?}");
    member.append(record(at(ENTRIES, 0), "after")).unwrap();
    assert_eq!(member.commit(&[]), CommitOutcome::Committed);
    let entries = all(&log, at(ENTRIES, 0));
    assert!(
        entries == ["before", "after"] || entries == ["before", "doubtful", "after"],
        "{entries:?}"
    );
}
