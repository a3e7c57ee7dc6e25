//! Measures a transactional copy through `eventlog::Member` against the bare copy, on the same
//! broker with the same records, in alternating order.
//!
//! `cargo run --release -p eventlog-kafka --example copy_throughput -- [RECORDS [ROUNDS [CADENCE_MS]]]`

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{
    Append, Assignment, CommitOutcome, EventLog, Lane, Member, MemberSpec, Position, TopicSpec,
};
use eventlog_kafka::baseline::{CopyPlan, CopyReport, process_cpu, transactional_copy};
use eventlog_kafka::{KafkaLog, KafkaSettings};

const PARTITIONS: u32 = 4;
const VALUE_BYTES: usize = 140;
const TAKE_RECORDS: usize = 2_000;
const TAKE_WAIT: Duration = Duration::from_millis(5);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut next = |default| arguments.next().transpose().map(|value| value.unwrap_or(default));
    let (records, rounds, cadence_ms) = (next(5_000_000)?, next(3)?, next(100)?);
    let plan = CopyPlan {
        from: Topic::UsageRaw,
        to: Topic::LedgerEntries,
        cadence: Duration::from_millis(cadence_ms),
        records,
        value_bytes: VALUE_BYTES,
    };
    let broker = testkit::Kafka::start(testkit::KafkaOptions::for_benchmarks())?;
    let mut settings = KafkaSettings::single_broker(broker.bootstrap());
    settings.linger = Duration::from_millis(20);
    let log = KafkaLog::connect(settings.clone())?;
    log.create_topics(
        &[plan.from, plan.to].map(|topic| TopicSpec { topic, partitions: PARTITIONS }),
    )?;
    fill(&log, &plan)?;
    println!("warming up");
    show("bare", transactional_copy(&settings, &plan)?);
    for round in 0..rounds {
        if round % 2 == 0 {
            show("bare", transactional_copy(&settings, &plan)?);
            show("member", member_copy(&log, &plan, round)?);
        } else {
            show("member", member_copy(&log, &plan, round)?);
            show("bare", transactional_copy(&settings, &plan)?);
        }
    }
    Ok(())
}

fn fill(log: &KafkaLog, plan: &CopyPlan) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut appender = log.appender()?;
    let mut value = [0_u8; VALUE_BYTES];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..plan.records {
        for chunk in value.chunks_mut(8) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            chunk.copy_from_slice(&state.to_be_bytes()[..chunk.len()]);
        }
        let key = format!("account-{:08}", state % 10_000);
        let partition = Partition(u32::try_from(number % u64::from(PARTITIONS))?);
        let to = TopicPartition { topic: plan.from, partition };
        appender.append(Append { to, key: key.as_bytes(), value: &value, headers: &[] })?;
        if number % 1_000_000 == 999_999 {
            appender.flush()?;
        }
    }
    appender.flush()?;
    println!("filled {} records in {:?}", plan.records, started.elapsed());
    Ok(())
}

fn member_copy(log: &KafkaLog, plan: &CopyPlan, round: u64) -> anyhow::Result<CopyReport> {
    let spec = MemberSpec {
        group: format!("copy-{round}"),
        topics: vec![(plan.from, Lane::Bulk)],
        writer: Some("copy".to_owned()),
    };
    let mut member = log.join(&spec)?;
    let mut owned = 0;
    while owned < PARTITIONS as usize {
        for change in member.poll(Lane::Bulk, 1, TAKE_WAIT, &mut |_| {})?.assignments {
            let Assignment::Gained(partitions) = change else { bail!("{change:?}") };
            owned = partitions.len();
        }
    }
    for partition in (0..PARTITIONS).map(Partition) {
        member.start(partition, &[(plan.from, Offset::ZERO)])?;
    }
    let (started, cpu_before) = (Instant::now(), process_cpu());
    let (records, commits) = copy(&mut *member, plan)?;
    let (wall, cpu) = (started.elapsed(), process_cpu().saturating_sub(cpu_before));
    Ok(CopyReport { records, wall, cpu, commits })
}

fn copy(member: &mut dyn Member, plan: &CopyPlan) -> anyhow::Result<(u64, u64)> {
    let output = vec![0x5a_u8; plan.value_bytes];
    let (mut records, mut commits) = (0_u64, 0);
    // What is lent ends with the poll, and appending needs the member: keys are kept, back to back.
    let (mut keys, mut taken) = (Vec::new(), Vec::new());
    while records < plan.records {
        let cut = Instant::now() + plan.cadence;
        while Instant::now() < cut && records < plan.records {
            keys.clear();
            taken.clear();
            member.poll(Lane::Bulk, TAKE_RECORDS, TAKE_WAIT, &mut |record| {
                keys.extend_from_slice(record.key);
                taken.push((record.at.partition, keys.len()));
            })?;
            let mut start = 0;
            for (partition, end) in &taken {
                let to = TopicPartition { topic: plan.to, partition: *partition };
                let key = keys.get(start..*end).context("a key that was kept")?;
                member.append(Append { to, key, value: &output, headers: &[] })?;
                start = *end;
            }
            records += taken.len() as u64;
        }
        let positions: Vec<Position> = (0..PARTITIONS)
            .map(|partition| TopicPartition { topic: plan.from, partition: Partition(partition) })
            .map(|at| Position { at, next: member.position(at).0, metadata: String::new() })
            .collect();
        match member.commit(&positions) {
            CommitOutcome::Committed => commits += 1,
            outcome => bail!("{outcome:?}"),
        }
    }
    Ok((records, commits))
}

fn show(name: &str, report: CopyReport) {
    let seconds = report.wall.as_secs_f64();
    let records = report.records as f64;
    println!(
        "{name:8} {:>9} records {seconds:6.2} s {:>9.0} records/s {:5.2} us cpu/record {} commits",
        report.records,
        records / seconds,
        report.cpu.as_secs_f64() * 1e6 / records,
        report.commits
    );
}
