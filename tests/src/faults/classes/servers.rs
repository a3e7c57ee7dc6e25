//! What happens to Kafka and to ClickHouse, and between them and us.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use testkit::{HttpMode, KafkaDeed, KafkaRequest};

use crate::faults::scene::{PARTITIONS, Scene};

/// Longer than a transaction may be open: its end is then nobody's to say.
const END_DELAY: Duration = Duration::from_millis(7_200);
const DELAY: Duration = Duration::from_millis(400);
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// A request of an insert is larger than this.
const HELD_AFTER_BYTES: u64 = 3_000;

pub(super) fn broker(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(200, 900)?;
    match scene.faults % 3 {
        0 => {
            scene.ground.kafka.kill()?;
            scene.ground.kafka.restart()?;
        }
        1 => {
            scene.ground.kafka.pause()?;
            let waited = scene.pause(300, 3_500);
            scene.ground.kafka.resume()?;
            waited?;
        }
        _ => {
            scene.ground.kafka.stop()?;
            scene.ground.kafka.restart()?;
        }
    }
    scene.wait_for_work()
}

/// Each kind of request, late, lost, and its answer lost.
pub(super) fn kafka_request(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    use KafkaRequest::{
        AddOffsetsToTransaction, AddPartitionsToTransaction, EndTransaction, OffsetCommit,
        TransactionOffsetCommit,
    };
    const KINDS: [(KafkaRequest, KafkaDeed); 13] = [
        (EndTransaction, KafkaDeed::Delay(END_DELAY)),
        (EndTransaction, KafkaDeed::DropRequest),
        (EndTransaction, KafkaDeed::DropAnswer),
        (TransactionOffsetCommit, KafkaDeed::DropAnswer),
        (TransactionOffsetCommit, KafkaDeed::DropRequest),
        (OffsetCommit, KafkaDeed::DropAnswer),
        (OffsetCommit, KafkaDeed::DropRequest),
        (AddOffsetsToTransaction, KafkaDeed::DropAnswer),
        (AddOffsetsToTransaction, KafkaDeed::Delay(DELAY)),
        (AddPartitionsToTransaction, KafkaDeed::DropAnswer),
        (OffsetCommit, KafkaDeed::Delay(DELAY)),
        (TransactionOffsetCommit, KafkaDeed::Delay(DELAY)),
        (AddPartitionsToTransaction, KafkaDeed::DropRequest),
    ];
    let (request, deed) = KINDS[scene.faults as usize % KINDS.len()];
    let before = scene.ground.kafka_proxy.done();
    scene.ground.kafka_proxy.next(request, deed, 1);
    let met =
        scene.wait("no such request came", |scene| Ok(scene.ground.kafka_proxy.done() > before));
    scene.ground.kafka_proxy.calm();
    met?;
    if let KafkaDeed::Delay(delay) = deed {
        let delay = delay.as_millis() as u64;
        scene.pause(delay, delay + 200)?;
    }
    scene.wait_for_work()
}

pub(super) fn clickhouse_answers(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    drop_answers(scene, 1)
}

/// At least so many answers, among them lookups' and marks'.
fn drop_answers(scene: &mut Scene<'_>, least: u64) -> anyhow::Result<()> {
    scene.pause(100, 500)?;
    let proxy = &scene.ground.clickhouse_proxy;
    proxy.set(HttpMode::DropAnswers);
    // Some inserts are in doubt more than once.
    let before = proxy.dropped();
    let goal = before + scene.random.between(least, least + 30);
    let until = Instant::now() + Duration::from_millis(scene.random.between(200, 2_000));
    let dropped = scene.wait("no answer was dropped", |scene| {
        let dropped = scene.ground.clickhouse_proxy.dropped();
        Ok(dropped >= goal || dropped >= before + least && Instant::now() > until)
    });
    scene.ground.clickhouse_proxy.set(HttpMode::Pass);
    dropped
}

pub(super) fn clickhouse_killed(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(200, 600)?;
    match scene.faults % 3 {
        0 => {
            // An insert is cut in its middle. A projector that took it for stored is told by the next
            // one: without it, a restart would begin before the rows that are missing. Then the server
            // is killed.
            let bytes = scene.random.between(500, HELD_AFTER_BYTES) as usize;
            let proxy = &scene.ground.clickhouse_proxy;
            proxy.set(HttpMode::HoldInsertAfter { table: "usage_lines", bytes });
            // None comes when everything has been projected.
            proxy.wait_until_held(REQUEST_PATIENCE);
            scene.ground.clickhouse_proxy.set(HttpMode::Pass);
            wait_for_lines(scene)?;
            scene.ground.clickhouse.kill()?;
            scene.pause(50, 400)?;
            scene.ground.clickhouse.restart()?;
        }
        1 => {
            scene.ground.clickhouse.kill()?;
            scene.pause(100, 1_500)?;
            scene.ground.clickhouse.restart()?;
        }
        _ => {
            scene.ground.clickhouse.pause()?;
            let waited = scene.pause(300, 2_500);
            scene.ground.clickhouse.resume()?;
            waited?;
        }
    }
    Ok(())
}

/// Until every partition has more lines than now, or nothing more is sent.
fn wait_for_lines(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    let statement = format!(
        "SELECT ledger_partition, max(ledger_offset) FROM {}.usage_lines GROUP BY ledger_partition",
        scene.name
    );
    let reached = |scene: &Scene<'_>| -> anyhow::Result<BTreeSet<String>> {
        Ok(scene.ground.sql(&statement)?.lines().map(str::to_owned).collect())
    };
    let before = reached(scene)?;
    scene.wait("no lines came", |scene| {
        let now = reached(scene)?;
        let all_grew = now.len() == PARTITIONS as usize && now.is_disjoint(&before);
        Ok(all_grew || scene.feeder()?.is_through())
    })
}

pub(super) fn log_disk_full(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(300, 900)?;
    scene.full_disk()?.fill()?;
    scene.pause(1_000, 3_000)?;
    scene.full_disk()?.free()?;
    // A broker whose only disk has failed ends; one that has not written meanwhile knows of nothing.
    if !scene.ground.kafka.is_running() || scene.random.per_mille(500) {
        scene.ground.kafka.restart()?;
    }
    scene.wait_for_work()
}

pub(super) fn clickhouse_disk_full(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    scene.pause(300, 900)?;
    scene.full_disk()?.fill()?;
    // A sound projector tries again until there is room; or it meets a part that cannot be read, and ends.
    let tried = |scene: &Scene<'_>| -> anyhow::Result<usize> {
        let log = scene.projectors[0].log()?;
        Ok(log.matches("insert is tried again").count() + log.matches("ended: projector").count())
    };
    let before = tried(scene)?;
    if scene.wanted.broken.is_none() {
        scene.wait("nothing was refused", |scene| Ok(tried(scene)? > before))?;
    }
    scene.pause(500, 1_500)?;
    scene.full_disk()?.free()?;
    // A merge that ran out of room can leave a part that cannot be read (seen with 26.7: empty marks). A restart
    // finds it, puts it aside and takes the parts that it was merged from: what an operator does.
    scene.ground.clickhouse.restart()?;
    scene.pause(200, 500)
}

/// The window is two inserts long, and every round of the projector has more of them.
pub(super) fn window_exhausted(scene: &mut Scene<'_>) -> anyhow::Result<()> {
    if scene.faults == 0 {
        let tables = scene.ground.sql(&format!(
            "SELECT name FROM system.tables WHERE database = '{}' AND engine LIKE '%MergeTree' \
             AND create_table_query LIKE '%non_replicated_deduplication_window%'",
            scene.name
        ))?;
        for table in tables.lines() {
            scene.ground.sql(&format!(
                "ALTER TABLE {}.{table} MODIFY SETTING non_replicated_deduplication_window = 1",
                scene.name
            ))?;
        }
    }
    drop_answers(scene, 5)
}
