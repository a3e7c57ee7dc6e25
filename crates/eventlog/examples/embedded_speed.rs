//! Measures the embedded log on this machine:
//! `cargo run --release -p eventlog --example embedded_speed [FOLDER]`
//!
//! The folder (a temporary one without it) decides which disk is measured.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{
    Append, Assignment, CommitOutcome, EmbeddedLog, EventLog, Lane, LogError, Member, MemberSpec,
    Position, TopicSpec,
};

const PARTITIONS: u32 = 8;
const COMMITS: usize = 500;
const RECORDS_PER_COMMIT: usize = 1_000;
const VALUE: [u8; 200] = [7; 200];
const INPUT: Topic = Topic::UsageRaw;
const OUTPUT: Topic = Topic::LedgerEntries;

fn main() -> Result<(), LogError> {
    let temporary = tempfile::tempdir().map_err(halt)?;
    let folder = std::env::args_os().nth(1).map_or(temporary.path().to_owned(), Into::into);
    let log: Arc<dyn EventLog> = Arc::new(EmbeddedLog::open(&folder)?);
    let topics = [INPUT, OUTPUT].map(|topic| TopicSpec { topic, partitions: PARTITIONS });
    log.create_topics(&topics)?;
    let mut member = log.join(&MemberSpec {
        group: "speed".to_owned(),
        topics: vec![(INPUT, Lane::Bulk)],
        writer: Some("speed-0".to_owned()),
    })?;
    member.poll(Lane::Bulk, 1, Duration::ZERO, &mut |_| {})?;

    let records = (COMMITS * RECORDS_PER_COMMIT) as f64;
    let begin = Instant::now();
    for _ in 0..COMMITS {
        write(&mut *member, RECORDS_PER_COMMIT)?;
    }
    println!("write, {RECORDS_PER_COMMIT} records of 200 B in {PARTITIONS} partitions per commit:");
    println!("  {:.0} records/s", records / begin.elapsed().as_secs_f64());
    let size = file_bytes(&folder)?;
    println!("  {:.0} bytes of file per record, {} MB", size as f64 / records, size / 1_000_000);

    read(&*log, records)?;
    crash_image(&folder)?;

    let mut latencies: Vec<_> = (0..2_000)
        .map(|_| {
            let begin = Instant::now();
            write(&mut *member, 1).map(|()| begin.elapsed())
        })
        .collect::<Result<_, _>>()?;
    report("one-record commits", &mut latencies);
    println!("  {} bytes of file more per commit", (file_bytes(&folder)? - size) / 2_000);

    let begin = Instant::now();
    let mut latencies = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| append_alone(&*log))).collect();
        let mut all = Vec::new();
        for thread in threads {
            all.extend(thread.join().map_err(|_| halt("a thread panicked"))??);
        }
        Ok::<_, LogError>(all)
    })?;
    let rate = latencies.len() as f64 / begin.elapsed().as_secs_f64();
    report("4 appenders, a flush per record", &mut latencies);
    println!("  {rate:.0} flushes/s together");
    println!("peak memory: {}", peak_memory());
    Ok(())
}

fn file_bytes(folder: &Path) -> Result<u64, LogError> {
    Ok(std::fs::metadata(folder.join("log.redb")).map_err(halt)?.len())
}

fn halt(error: impl std::fmt::Display) -> LogError {
    LogError::Halt(error.to_string())
}

fn write(member: &mut dyn Member, records: usize) -> Result<(), LogError> {
    for number in 0..records {
        let partition = Partition(number as u32 % PARTITIONS);
        let to = TopicPartition { topic: OUTPUT, partition };
        member.append(Append { to, key: b"account-000001", value: &VALUE, headers: &[] })?;
    }
    let positions: Vec<_> = (0..PARTITIONS)
        .map(|number| Position {
            at: TopicPartition { topic: INPUT, partition: Partition(number) },
            next: Offset(1),
            metadata: "123456".to_owned(),
        })
        .collect();
    match member.commit(&positions) {
        CommitOutcome::Committed => Ok(()),
        outcome @ (CommitOutcome::Aborted(_)
        | CommitOutcome::Unknown(_)
        | CommitOutcome::Fenced(_)) => Err(halt(format!("{outcome:?}"))),
    }
}

fn read(log: &dyn EventLog, records: f64) -> Result<(), LogError> {
    let topics = vec![(OUTPUT, Lane::Bulk)];
    let mut member = log.join(&MemberSpec { group: "reads".to_owned(), topics, writer: None })?;
    let polled = member.poll(Lane::Bulk, 1, Duration::ZERO, &mut |_| {})?;
    for assignment in polled.assignments {
        let (Assignment::Gained(partitions)
        | Assignment::Revoked(partitions)
        | Assignment::Lost(partitions)) = assignment;
        for partition in partitions {
            member.start(partition, &[(OUTPUT, Offset::ZERO)])?;
        }
    }
    let begin = Instant::now();
    let (mut total, mut bytes) = (0, 0);
    while (total as f64) < records {
        let mut visit = |record: eventlog::Record<'_>| bytes += record.value.len();
        total += member.poll(Lane::Bulk, 10_000, Duration::ZERO, &mut visit)?.records;
    }
    println!("read, 10,000 per poll, all partitions ({bytes} bytes):");
    println!("  {:.0} records/s", records / begin.elapsed().as_secs_f64());
    Ok(())
}

/// How long a log takes to open after a crash: opens a copy of the file as it is in the middle of
/// a run, which redb has to check as a whole.
fn crash_image(folder: &Path) -> Result<(), LogError> {
    let image = tempfile::tempdir_in(folder).map_err(halt)?;
    let bytes = std::fs::copy(folder.join("log.redb"), image.path().join("log.redb"));
    bytes.map_err(halt)?;
    let begin = Instant::now();
    let log = EmbeddedLog::open(image.path())?;
    println!("open after a crash: {:?}", begin.elapsed());
    drop(log);
    let begin = Instant::now();
    EmbeddedLog::open(image.path())?;
    println!("open after a shutdown: {:?}", begin.elapsed());
    Ok(())
}

fn append_alone(log: &dyn EventLog) -> Result<Vec<Duration>, LogError> {
    let mut appender = log.appender()?;
    let to = TopicPartition { topic: INPUT, partition: Partition(0) };
    (0..1_000)
        .map(|_| {
            let begin = Instant::now();
            appender.append(Append { to, key: b"account", value: &VALUE, headers: &[] })?;
            appender.flush()?;
            Ok(begin.elapsed())
        })
        .collect()
}

fn report(what: &str, latencies: &mut [Duration]) {
    latencies.sort();
    let percentile = |percent: usize| latencies[(latencies.len() - 1) * percent / 100];
    let (half, most) = (percentile(50), percentile(99));
    println!("{what}: p50 {half:?}, p99 {most:?}, largest {:?}", percentile(100));
}

fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "not known here".to_owned(), |line| line.trim().to_owned())
}
