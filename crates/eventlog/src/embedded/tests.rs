use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use domain::Partition;

use super::batch::Batch;
use super::commit::{Finished, Job};
use super::*;
use crate::conformance::{Capabilities, run_all};
use crate::{Append, Assignment, CommitOutcome, Lane, Position};

const USAGE: TopicPartition = TopicPartition { topic: Topic::UsageRaw, partition: Partition(0) };
/// Longer than any test takes: a poll that waits this long was not woken.
const LONG: Duration = Duration::from_secs(60);

fn with_topic(folder: &Path) -> EmbeddedLog {
    let log = EmbeddedLog::open(folder).unwrap();
    log.create_topics(&[TopicSpec { topic: Topic::UsageRaw, partitions: 1 }]).unwrap();
    log
}

fn record(value: &[u8]) -> Append<'_> {
    Append { to: USAGE, key: b"", value, headers: &[] }
}

fn spec(group: &str, writer: Option<&str>) -> MemberSpec {
    MemberSpec {
        group: group.to_owned(),
        topics: vec![(Topic::UsageRaw, Lane::Bulk)],
        writer: writer.map(str::to_owned),
    }
}

fn refusal(result: Result<EmbeddedLog, LogError>) -> String {
    match result {
        Err(LogError::Halt(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn keeps_the_promises_of_a_log() {
    let capabilities = Capabilities { several_members: false, patience: Duration::from_secs(10) };
    let mut folders = Vec::new();
    run_all(capabilities, &mut || {
        let folder = tempfile::tempdir().unwrap();
        let log = EmbeddedLog::open(folder.path()).unwrap();
        folders.push(folder);
        Arc::new(log)
    });
}

#[test]
fn a_second_open_says_who_holds_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let reader = log.reader(&[]).unwrap();
    let why = refusal(EmbeddedLog::open(folder.path()));
    assert!(why.contains(&format!("held by process {}", std::process::id())), "{why}");
    drop(log);
    refusal(EmbeddedLog::open(folder.path()));
    drop(reader);
    EmbeddedLog::open(folder.path()).unwrap();
}

#[test]
fn another_format_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    drop(with_topic(folder.path()));
    let database = redb::Database::open(folder.path().join("log.redb")).unwrap();
    let write = database.begin_write().unwrap();
    let meta = redb::TableDefinition::<&str, u64>::new("meta");
    write.open_table(meta).unwrap().insert("format", 2).unwrap();
    write.commit().unwrap();
    drop(database);
    let why = refusal(EmbeddedLog::open(folder.path()));
    assert!(why.contains("has format 2") && why.contains("reads format 1"), "{why}");
}

#[test]
fn a_file_that_is_no_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("log.redb"), [1; 8_192]).unwrap();
    let why = refusal(EmbeddedLog::open(folder.path()));
    assert!(why.contains("cannot open"), "{why}");
}

#[test]
fn a_damaged_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let mut appender = log.appender().unwrap();
    appender.append(record(b"whole")).unwrap();
    appender.flush().unwrap();
    drop((log, appender));
    let database = redb::Database::open(folder.path().join("log.redb")).unwrap();
    let write = database.begin_write().unwrap();
    let mut row = vec![0; 12];
    row[8] = 1;
    row.extend([200, 1, 0, 0]);
    write
        .open_table(store::RECORDS)
        .unwrap()
        .insert(chunk::key(USAGE, Offset(0)), &row[..])
        .unwrap();
    write.commit().unwrap();
    drop(database);
    let log = EmbeddedLog::open(folder.path()).unwrap();
    let mut reader = log.reader(&[(USAGE, Offset(0))]).unwrap();
    let found = reader.poll(1, Duration::ZERO, &mut |record| panic!("{record:?}"));
    match found {
        Err(LogError::Halt(why)) => assert!(why.contains("damaged at usage.raw[0]@0"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn everything_is_there_after_reopening_and_time_never_goes_back() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicI64::new(5_000));
    let open = || {
        let now = now.clone();
        let clock = Arc::new(move || Timestamp::from_micros(now.load(Ordering::Relaxed)));
        EmbeddedLog::open_with(folder.path(), Settings { clock, ..Settings::default() }).unwrap()
    };
    let log = open();
    log.create_topics(&[TopicSpec { topic: Topic::UsageRaw, partitions: 1 }]).unwrap();
    let mut member = log.join(&spec("group", Some("writer"))).unwrap();
    member.poll(Lane::Bulk, 1, Duration::ZERO, &mut |_| {}).unwrap();
    member.append(record(b"first")).unwrap();
    let position = Position { at: USAGE, next: Offset(1), metadata: "kept".to_owned() };
    assert_eq!(member.commit(&[position]), CommitOutcome::Committed);
    drop((log, member));

    now.store(3_000, Ordering::Relaxed);
    let log = open();
    assert_eq!(log.partitions(Topic::UsageRaw).unwrap(), Some(1));
    assert_eq!(log.bounds(USAGE).unwrap().end, Offset(1));
    let mut appender = log.appender().unwrap();
    appender.append(record(b"second")).unwrap();
    assert_eq!(appender.flush().unwrap(), [Offset(1)]);
    now.store(9_000, Ordering::Relaxed);
    appender.append(record(b"third")).unwrap();
    appender.flush().unwrap();
    let mut seen = Vec::new();
    let mut reader = log.reader(&[(USAGE, Offset(0))]).unwrap();
    let mut visit = |record: crate::Record<'_>| {
        seen.push((record.appended_at.micros(), record.value.to_vec()));
    };
    assert_eq!(reader.poll(10, Duration::ZERO, &mut visit).unwrap(), 3);
    let expected = [(5_000, "first"), (5_000, "second"), (9_000, "third")];
    assert_eq!(seen, expected.map(|(micros, value)| (micros, value.as_bytes().to_vec())));
    let mut member = log.join(&spec("group", None)).unwrap();
    let committed = member.committed(Partition(0)).unwrap().remove(0);
    assert_eq!((committed.next, &committed.metadata[..]), (Some(Offset(1)), "kept"));
}

#[test]
fn a_sleeping_reader_is_woken_by_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let mut reader = log.reader(&[(USAGE, Offset(0))]).unwrap();
    let mut appender = log.appender().unwrap();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            appender.append(record(b"wake")).unwrap();
            appender.flush().unwrap();
        });
        assert_eq!(reader.poll(1, LONG, &mut |_| {}).unwrap(), 1);
    });
    assert!(begin.elapsed() < LONG);
}

#[test]
fn joining_a_group_again_fences_and_wakes_the_earlier_member() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let mut older = log.join(&spec("group", Some("older"))).unwrap();
    let polled = older.poll(Lane::Bulk, 1, LONG, &mut |_| {}).unwrap();
    assert_eq!(polled.assignments, [Assignment::Gained(vec![Partition(0)])]);
    older.start(Partition(0), &[(Topic::UsageRaw, Offset(0))]).unwrap();
    older.append(record(b"too late")).unwrap();
    let begin = Instant::now();
    let newer = std::thread::scope(|scope| {
        let newer = scope.spawn(|| log.join(&spec("group", Some("newer"))).unwrap());
        let polled = older.poll(Lane::Bulk, 1, LONG, &mut |_| {}).unwrap();
        assert_eq!(polled.assignments, [Assignment::Lost(vec![Partition(0)])]);
        newer.join().unwrap()
    });
    assert!(begin.elapsed() < LONG);
    let position = Position { at: USAGE, next: Offset(0), metadata: String::new() };
    assert!(matches!(older.commit(&[position]), CommitOutcome::Fenced(_)));
    older.release(&[Partition(0)]).unwrap();
    let polled = older.poll(Lane::Bulk, 1, LONG, &mut |_| {});
    assert!(matches!(polled, Err(LogError::Fenced(_))), "{polled:?}");
    assert_eq!(log.bounds(USAGE).unwrap().end, Offset(0));
    drop(newer);
}

#[test]
fn a_full_queue_is_written_before_the_flush() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let mut appender = log.appender().unwrap();
    let value = vec![1; 1_000_000];
    for _ in 0..20 {
        appender.append(record(&value)).unwrap();
    }
    assert!(log.bounds(USAGE).unwrap().end >= Offset(16));
    assert_eq!(appender.flush().unwrap(), (0..20).map(Offset).collect::<Vec<_>>());
}

#[test]
fn concurrent_appenders_get_offsets_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let mut offsets: Vec<_> = std::thread::scope(|scope| {
        let append = || {
            let mut appender = log.appender().unwrap();
            let mut offsets = Vec::new();
            for _ in 0..50 {
                appender.append(record(b"one")).unwrap();
                appender.append(record(b"two")).unwrap();
                offsets.extend(appender.flush().unwrap());
            }
            offsets
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(append)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    offsets.sort();
    assert_eq!(offsets, (0..400).map(Offset).collect::<Vec<_>>());
}

fn job(term: &commit::Term, value: &[u8]) -> Job {
    let mut batch = Batch::default();
    batch.push(&record(value));
    Job { term: term.clone(), ..Job::of(batch) }
}

#[test]
fn what_is_queued_shares_one_write_and_a_fenced_job_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let core = with_topic(folder.path()).core;
    let old = core.begin_term(&spec("group", Some("writer")));
    let free = commit::Term::default();
    let mut state = core.state();
    state.enqueue(job(&free, b"first"));
    let fenced = state.enqueue(job(&old, b"fenced"));
    let third = state.enqueue(job(&free, b"second"));
    drop(state);
    let newer = core.begin_term(&spec("other group", Some("writer")));
    // Whoever submits next writes for all.
    assert!(
        matches!(core.submit(job(&newer, b"third")), Finished::Written(first) if first == [Offset(2)])
    );
    let mut state = core.state();
    assert_eq!(state.writes(), 1);
    assert!(matches!(state.take_finished(fenced), Some(Finished::Fenced(_))));
    assert!(
        matches!(state.take_finished(third), Some(Finished::Written(first)) if first == [Offset(1)])
    );
    drop(state);
    let mut values = Vec::new();
    let log = EmbeddedLog { core };
    let mut reader = log.reader(&[(USAGE, Offset(0))]).unwrap();
    reader.poll(9, Duration::ZERO, &mut |record| values.push(record.value.to_vec())).unwrap();
    assert_eq!(values, [&b"first"[..], b"second", b"third"]);
}

#[test]
fn a_new_term_begins_only_after_the_write_under_way() {
    let folder = tempfile::tempdir().unwrap();
    let core = with_topic(folder.path()).core;
    let old = core.begin_term(&spec("group", Some("writer")));
    let mut state = core.state();
    state.enqueue(job(&old, b"under way"));
    let (write, under_way) = state.take_queued(Timestamp::ZERO);
    drop(state);
    let completed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            core.begin_term(&spec("group", Some("writer")));
            assert!(completed.load(Ordering::SeqCst), "a fenced write was still to come");
        });
        while core.state().fenced(&old).is_none() {
            std::thread::yield_now();
        }
        core.store.write(&write).unwrap();
        completed.store(true, Ordering::SeqCst);
        drop(core.end_write(&write, under_way, Ok(())));
    });
    assert_eq!(core.state().bounds(USAGE).unwrap().end, Offset(1));
}

#[test]
fn what_is_synced_is_read_once_its_write_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let log = with_topic(folder.path());
    let core = Arc::clone(&log.core);
    let term = core.begin_term(&spec("group", None));
    assert!(matches!(core.submit(job(&term, b"first")), Finished::Written(_)));
    let mut state = core.state();
    state.enqueue(job(&term, b"second"));
    let (write, under_way) = state.take_queued(Timestamp::ZERO);
    drop(state);
    core.store.write(&write).unwrap();
    let mut reader = log.reader(&[(USAGE, Offset(0))]).unwrap();
    let read = |reader: &mut Box<dyn crate::Reader>| {
        let mut values = Vec::new();
        reader.poll(9, Duration::ZERO, &mut |record| values.push(record.value.to_vec())).unwrap();
        values
    };
    assert_eq!(read(&mut reader), [b"first".to_vec()]);
    // It must not have gone past the end that the log tells.
    assert_eq!(reader.position(USAGE), Offset(1));
    assert_eq!(read(&mut reader), Vec::<Vec<u8>>::new());
    drop(core.end_write(&write, under_way, Ok(())));
    assert_eq!(read(&mut reader), [b"second".to_vec()]);
}
