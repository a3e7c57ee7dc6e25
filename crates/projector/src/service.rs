//! The projector's loop: one thread owns the member, and writes the due batches of all its
//! partitions in rounds.

mod pause;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use catalog::{CatalogueError, Follower};
use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{
    Assignment, CommitOutcome, EventLog, Lane, LogError, Member, MemberSpec, Permissions, Position,
};
use futures_util::future::join_all;
use pause::Pausing;
use projection::{
    Block, DeadLetterRows, DecodedBatch, FreshnessMark, InputMark, Names, Place, mark_blocks,
    tables,
};
use sabotage::{Break, Point};
use tokio::runtime::Runtime;
use warehouse::{Batch, InsertOutcome, WarehouseError};
use wire::RecordError;

use crate::metrics::ProjectorMetrics;
use crate::sink::Sink;
use crate::stream::{Limits, Stream, Waiting};

const RECORDS_PER_POLL: usize = 5_000;
const IDLE_WAIT: Duration = Duration::from_millis(20);
const CATALOGUE_PATIENCE: Duration = Duration::from_secs(60);
const RETRY_WAIT_MIN: Duration = Duration::from_millis(100);
const RETRY_WAIT_MAX: Duration = Duration::from_secs(2);
const REJOIN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Ends every token; the number rises when the rows of a batch change.
const TOKENS: &str = "v1";
/// An insert is sent without a look only so long after its batch was planned: whoever was stopped
/// meanwhile may have been replaced, and the tables exchanged.
const PLAN_FRESH: Duration = Duration::from_secs(5);
/// A record that is committed now may carry a time this much behind our clock.
const CLOCK_MARGIN_MICROS: i64 = 1_000_000;

/// What a projector does with the log.
pub const PERMISSIONS: Permissions = Permissions {
    service: "projector",
    reads: &[Topic::LedgerEntries, Topic::DeadLetters, Topic::RatesCatalog],
    writes: &[],
    groups: "tally-projector",
    writers: None,
};

/// What a deployment may set about its projector.
#[derive(Clone, Debug)]
pub struct ProjectorSettings {
    pub partitions: u32,
    pub group: String,
    /// How long a record may wait for its batch.
    pub flush_every: Duration,
    pub batch_records_max: usize,
    pub batch_bytes_max: usize,
    /// Bytes read and not yet written, over all partitions.
    pub waiting_bytes_max: usize,
    /// How often idle partitions say that they are fresh.
    pub mark_every: Duration,
}

impl ProjectorSettings {
    pub fn new(partitions: u32) -> Self {
        Self {
            partitions,
            group: "tally-projector".to_owned(),
            flush_every: Duration::from_millis(250),
            batch_records_max: 50_000,
            batch_bytes_max: 16 * 1024 * 1024,
            waiting_bytes_max: 256 * 1024 * 1024,
            mark_every: Duration::from_secs(2),
        }
    }
}

/// Why the projector stopped for good.
#[derive(Debug, thiserror::Error)]
pub enum ProjectorError {
    #[error("another projector took over: {0}")]
    Fenced(String),
    #[error(transparent)]
    Log(LogError),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// A projector never passes over what it cannot read.
    #[error("{at}@{offset}: {why}")]
    Record { at: TopicPartition, offset: Offset, why: RecordError },
    #[error("ClickHouse refuses batch {token}: {why}")]
    Refused { token: String, why: WarehouseError },
    #[error(
        "{at}: the position of the last batch was lost, and table {table} is ahead of \
         ledger_entries: the batch was not finished, and cannot be told from the next. Nothing is \
         lost: everything is in the ledger. Give the projector an empty database and start again: \
         `TALLY_CLICKHOUSE_DATABASE=tally_2 tally up` (or `tally run projector`); it fills it from \
         the ledger's start, and `tally verify` then proves it"
    )]
    PositionLost { at: TopicPartition, table: &'static str },
    #[error("the runtime cannot start: {0}")]
    Runtime(#[from] std::io::Error),
}

impl From<LogError> for ProjectorError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(why) => Self::Fenced(why),
            other => Self::Log(other),
        }
    }
}

impl ProjectorError {
    fn is_passing(&self) -> bool {
        matches!(
            self,
            Self::Log(LogError::Unavailable(_))
                | Self::Catalogue(CatalogueError::Log(LogError::Unavailable(_)))
        ) || matches!(self, Self::Warehouse(error) if error.consequence() == warehouse::Consequence::Retry)
    }
}

/// The projector service.
pub struct Projector<S> {
    log: Arc<dyn EventLog>,
    sink: S,
    settings: ProjectorSettings,
    metrics: ProjectorMetrics,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Counts rounds; a watchdog sees by it that the loop is alive.
    pub heartbeat: Arc<AtomicU64>,
}

impl<S> std::fmt::Debug for Projector<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Projector")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl<S: Sink> Projector<S> {
    pub fn new(
        log: Arc<dyn EventLog>,
        sink: S,
        settings: ProjectorSettings,
        metrics: ProjectorMetrics,
        now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    ) -> Self {
        Self { log, sink, settings, metrics, now, heartbeat: Arc::default() }
    }

    /// Runs until `stop`. While the log or ClickHouse is away it waits for it.
    ///
    /// # Errors
    /// What no other try can mend.
    pub fn run(&self, stop: &AtomicBool) -> Result<(), ProjectorError> {
        // A worker of its own drives the connections also between our calls: the client pools them,
        // and whoever takes one from the pool next waits for nobody.
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut wait = RETRY_WAIT_MIN;
        loop {
            let started = Instant::now();
            match self.session(&runtime, stop) {
                Ok(()) => return Ok(()),
                Err(error) if error.is_passing() && !stop.load(Ordering::Relaxed) => {
                    tracing::warn!(%error, "joining again");
                    if started.elapsed() > REJOIN_WAIT_MAX {
                        wait = RETRY_WAIT_MIN;
                    }
                    std::thread::sleep(wait);
                    wait = (wait * 2).min(REJOIN_WAIT_MAX);
                    self.heartbeat.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn session(&self, runtime: &Runtime, stop: &AtomicBool) -> Result<(), ProjectorError> {
        let member = self.log.join(&MemberSpec {
            group: self.settings.group.clone(),
            topics: vec![(Topic::LedgerEntries, Lane::Bulk), (Topic::DeadLetters, Lane::Bulk)],
            writer: None,
        })?;
        let mut session = Session {
            projector: self,
            runtime,
            stop,
            member,
            follower: Follower::start(self.log.as_ref(), CATALOGUE_PATIENCE)?,
            streams: BTreeMap::new(),
            started: Instant::now(),
            marked: Duration::ZERO,
            pausing: Pausing::default(),
        };
        while !stop.load(Ordering::Relaxed) {
            self.heartbeat.fetch_add(1, Ordering::Relaxed);
            session.round()?;
        }
        session.give_up()
    }
}

/// How far a batch brings the tables, and the charger in its inputs.
type Marks = (FreshnessMark, Vec<InputMark>);

/// A batch on its way: its blocks, the last of which is written after all others.
struct Planned {
    batches: Vec<Batch>,
    /// It may have been sent before.
    again: bool,
    /// When its planned end was committed.
    since: Instant,
    marks: Option<Marks>,
}

/// One stay in the group.
struct Session<'p, S> {
    projector: &'p Projector<S>,
    runtime: &'p Runtime,
    stop: &'p AtomicBool,
    member: Box<dyn Member>,
    follower: Follower,
    streams: BTreeMap<TopicPartition, Stream>,
    started: Instant,
    /// When idle partitions last said that they are fresh.
    marked: Duration,
    pausing: Pausing,
}

impl<S: Sink> Session<'_, S> {
    fn round(&mut self) -> Result<(), ProjectorError> {
        let settings = &self.projector.settings;
        let waiting: usize = self.streams.values().map(Stream::waiting_bytes).sum();
        let records = if waiting < settings.waiting_bytes_max { RECORDS_PER_POLL } else { 0 };
        let now = self.started.elapsed();
        let streams = &mut self.streams;
        let polled = self.member.poll(Lane::Bulk, records, IDLE_WAIT, &mut |record| {
            if let Some(stream) = streams.get_mut(&record.at) {
                stream.take(&record, now);
            }
        })?;
        for assignment in polled.assignments {
            self.assign(assignment)?;
        }
        self.look_for_pauses()?;
        self.write_due(polled.records == 0)?;
        self.confirm_pauses()?;
        let now = self.started.elapsed();
        if now.saturating_sub(self.marked) >= self.projector.settings.mark_every {
            self.marked = now;
            self.mark_idle()?;
        }
        Ok(())
    }

    fn assign(&mut self, assignment: Assignment) -> Result<(), ProjectorError> {
        match assignment {
            Assignment::Gained(partitions) => {
                self.pausing.look_again();
                partitions.into_iter().try_for_each(|partition| self.take_over(partition))
            }
            Assignment::Revoked(partitions) | Assignment::Lost(partitions) => {
                // What was read and not written is read again by the next owner.
                self.streams.retain(|at, _| !partitions.contains(&at.partition));
                Ok(self.member.release(&partitions)?)
            }
        }
    }

    fn take_over(&mut self, partition: Partition) -> Result<(), ProjectorError> {
        let mut from = Vec::new();
        for position in self.member.committed(partition)? {
            let next = match position.next {
                Some(next) => next,
                None => self.position_by_tables(position.at)?,
            };
            from.push((position.at.topic, next));
            self.streams.insert(position.at, Stream::new(position.at, next, &position.metadata));
        }
        self.member.start(partition, &from)?;
        tracing::info!(%partition, ?from, "partition taken over");
        Ok(())
    }

    /// Where to go on when the group knows no position: at first at the start, and after the
    /// commits have expired where the tables end.
    fn position_by_tables(&self, at: TopicPartition) -> Result<Offset, ProjectorError> {
        let sink = &self.projector.sink;
        let reached = |table| -> Result<Option<Offset>, ProjectorError> {
            let offsets = self.runtime.block_on(sink.max_offsets(table))?;
            Ok(offsets.get(&at.partition).copied())
        };
        if at.topic == Topic::DeadLetters {
            // Each of its records is a row of one of the two.
            let letters =
                reached(&tables::DEAD_LETTERS)?.max(reached(&tables::DEAD_LETTER_RETRIES)?);
            return Ok(letters.map_or(Offset::ZERO, Offset::next));
        }
        let entries = reached(&tables::LEDGER_ENTRIES)?.unwrap_or(Offset(-1));
        let mut next = entries.next();
        for table in tables::TABLES {
            if table.position != Some(tables::LEDGER_POSITION) {
                continue;
            }
            let Some(offset) = reached(table)? else { continue };
            // The seal that ends the batch stands after its last entry, and rollups carry it.
            if offset > entries {
                next = next.max(offset.next());
            }
        }
        if next > entries.next() {
            let sealed = reached(&tables::SEALS)?.map_or(Offset::ZERO, Offset::next);
            if sealed != next {
                return Err(ProjectorError::PositionLost { at, table: tables::SEALS.name });
            }
        }
        Ok(next)
    }

    /// Writes every batch that is due: all of a round together, each with `ledger_entries` last.
    fn write_due(&mut self, idle: bool) -> Result<(), ProjectorError> {
        let settings = &self.projector.settings;
        let limits = Limits {
            records_max: settings.batch_records_max,
            bytes_max: settings.batch_bytes_max,
            age_max: if idle { Duration::ZERO } else { settings.flush_every },
        };
        let now = self.started.elapsed();
        let mut due = Vec::new();
        let mut positions = Vec::new();
        for stream in self.streams.values_mut() {
            let Some(to) = stream.due(&limits, now).filter(|_| self.pausing.allows(stream)) else {
                continue;
            };
            let (from, again) = (stream.from, stream.planned_end.is_some());
            positions.push(Position { at: stream.at, next: from, metadata: Stream::metadata(to) });
            due.push((stream.at, from, to, again, stream.cut(to, now)));
        }
        if due.is_empty() {
            return Ok(());
        }
        self.commit(&positions)?;
        sabotage::pass(Point::Planned);
        let since = Instant::now();
        let mut planned = Vec::new();
        for (at, from, to, again, records) in due {
            let (blocks, marks) = self.blocks(at, to, &records)?;
            let batch = |block| Batch::of(block, at.partition, (from, to), TOKENS);
            let batches = blocks.into_iter().map(batch).collect();
            planned.push(Planned { batches, again, since, marks });
        }
        let started = Instant::now();
        self.store(&planned)?;
        sabotage::pass(Point::Stored);
        self.projector.metrics.insert_seconds.observe(started.elapsed().as_secs_f64());
        self.projector.metrics.batches.inc_by(planned.len() as u64);
        for batch in planned.iter().flat_map(|planned| &planned.batches) {
            let rows = self.projector.metrics.rows.with_label_values(&[batch.table.name]);
            rows.inc_by(batch.row_count as u64);
        }
        Ok(())
    }

    fn commit(&mut self, positions: &[Position]) -> Result<(), ProjectorError> {
        match self.member.commit(positions) {
            CommitOutcome::Committed => Ok(()),
            // Nothing was inserted for it yet: joining again finds whichever position holds.
            CommitOutcome::Aborted(why) | CommitOutcome::Unknown(why) => {
                Err(ProjectorError::Log(LogError::Unavailable(why)))
            }
            CommitOutcome::Fenced(why) => Err(ProjectorError::Log(LogError::Unavailable(why))),
        }
    }

    fn blocks(
        &mut self,
        at: TopicPartition,
        to: Offset,
        records: &[Waiting],
    ) -> Result<(Vec<Block>, Option<Marks>), ProjectorError> {
        match at.topic {
            Topic::LedgerEntries => self.ledger_blocks(at, to, records),
            _ => Ok((letter_blocks(at, records)?, None)),
        }
    }

    fn ledger_blocks(
        &mut self,
        at: TopicPartition,
        to: Offset,
        records: &[Waiting],
    ) -> Result<(Vec<Block>, Option<Marks>), ProjectorError> {
        let values = records.iter().map(|waiting| (waiting.offset, &*waiting.value));
        let decoded = DecodedBatch::of(at.partition, values)
            .map_err(|(offset, why)| ProjectorError::Record { at, offset, why })?;
        if let Some(next) = decoded.catalogue_needed() {
            self.follow_to(next)?;
        }
        let blocks = decoded.blocks(&Names::new(&self.follower.prices().catalogue));
        let sealed = decoded.last_seal().and_then(|(index, seal)| {
            records.get(index).map(|waiting| (waiting.appended_at, seal))
        });
        let marks = match sealed {
            Some((sealed_at, seal)) => Some(self.marks(at, to, sealed_at, seal)?),
            None => None,
        };
        Ok((blocks, marks))
    }

    /// Names come from the catalogue, which must be as new as the entries.
    fn follow_to(&mut self, next: Offset) -> Result<(), ProjectorError> {
        let deadline = Instant::now() + CATALOGUE_PATIENCE;
        while self.follower.prices().next < next {
            self.follower.poll(IDLE_WAIT)?;
            if Instant::now() > deadline {
                return Err(CatalogueError::Late(CATALOGUE_PATIENCE).into());
            }
        }
        Ok(())
    }

    fn marks(
        &self,
        at: TopicPartition,
        to: Offset,
        sealed_at: Timestamp,
        seal: &ledger::Seal,
    ) -> Result<Marks, ProjectorError> {
        let marked_at = (self.projector.now)();
        let end = self.projector.log.bounds(at)?.stable_end;
        let freshness = FreshnessMark {
            partition: at.partition,
            marked_at,
            next: to,
            as_of: sealed_at,
            lag_records: (end.0 - to.0).max(0),
        };
        let mut inputs = Vec::new();
        for range in &seal.sources {
            let input = TopicPartition { topic: range.topic, partition: at.partition };
            let end = self.projector.log.bounds(input)?.stable_end;
            inputs.push(InputMark {
                topic: range.topic,
                partition: at.partition,
                marked_at,
                consumed_to: range.to,
                as_of: seal.ledger_time,
                lag_records: (end.0 - range.to.0).max(0),
            });
        }
        self.measure(&freshness);
        Ok((freshness, inputs))
    }

    fn measure(&self, mark: &FreshnessMark) {
        let partition = mark.partition.to_string();
        let metrics = &self.projector.metrics;
        metrics.lag_records.with_label_values(&[&partition]).set(mark.lag_records);
        let behind =
            if mark.lag_records == 0 { 0 } else { mark.marked_at.since(mark.as_of) / 1_000 };
        metrics.lag_milliseconds.with_label_values(&[&partition]).set(behind);
    }

    fn store(&self, planned: &[Planned]) -> Result<(), ProjectorError> {
        let freshness: Vec<FreshnessMark> = planned
            .iter()
            .filter_map(|planned| planned.marks.as_ref().map(|marks| marks.0))
            .collect();
        let inputs: Vec<InputMark> = planned
            .iter()
            .filter_map(|planned| planned.marks.as_ref())
            .flat_map(|marks| marks.1.iter().copied())
            .collect();
        let results =
            self.runtime.block_on(join_all(planned.iter().map(|planned| self.store_one(planned))));
        results.into_iter().collect::<Result<(), _>>()?;
        self.store_marks(&freshness, &inputs);
        Ok(())
    }

    async fn store_one(&self, planned: &Planned) -> Result<(), ProjectorError> {
        let Some((last, first)) = planned.batches.split_last() else { return Ok(()) };
        let all = join_all(first.iter().map(|batch| self.store_batch(batch, planned))).await;
        all.into_iter().collect::<Result<(), _>>()?;
        sabotage::pass(Point::LastTableLeft);
        self.store_batch(last, planned).await
    }

    /// Until it is stored: an outcome that is not known is no failure.
    async fn store_batch(&self, batch: &Batch, planned: &Planned) -> Result<(), ProjectorError> {
        let sink = &self.projector.sink;
        let retries = &self.projector.metrics.retries;
        let look_first = planned.again || planned.since.elapsed() > PLAN_FRESH;
        let mut outcome =
            if look_first { sink.insert_again(batch).await } else { sink.insert(batch).await };
        let mut wait = RETRY_WAIT_MIN;
        loop {
            let (why, error) = match outcome {
                InsertOutcome::Stored => return Ok(()),
                InsertOutcome::Refused(why) => {
                    return Err(ProjectorError::Refused { token: batch.token.clone(), why });
                }
                InsertOutcome::Unknown(error) => ("unknown", error),
                InsertOutcome::Busy(error) => ("busy", error),
            };
            if sabotage::is_on(Break::InsertErrorTaken) {
                return Ok(());
            }
            retries.with_label_values(&[why]).inc();
            tracing::warn!(table = batch.table.name, %error, why, "insert is tried again");
            if self.stop.load(Ordering::Relaxed) {
                // The next start makes the same batch again.
                return Err(ProjectorError::Warehouse(error));
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_WAIT_MAX);
            self.projector.heartbeat.fetch_add(1, Ordering::Relaxed);
            outcome = sink.insert_again(batch).await;
        }
    }

    /// Marks are about the moment: one that is lost is not sent again.
    fn store_marks(&self, freshness: &[FreshnessMark], inputs: &[InputMark]) {
        for block in mark_blocks(freshness, inputs) {
            let now = Offset((self.projector.now)().micros());
            let batch = Batch::of(block, Partition(0), (now, now), TOKENS);
            let outcome = self.runtime.block_on(self.projector.sink.insert(&batch));
            if outcome != InsertOutcome::Stored {
                tracing::debug!(?outcome, "mark not stored");
            }
        }
    }

    /// Partitions with nothing to write say that they are as fresh as the clock.
    fn mark_idle(&mut self) -> Result<(), ProjectorError> {
        let marked_at = (self.projector.now)();
        let mut freshness = Vec::new();
        for stream in self.streams.values() {
            let (next, drained) = self.member.position(stream.at);
            if stream.at.topic != Topic::LedgerEntries || stream.waiting_records() > 0 || !drained {
                continue;
            }
            let mark = FreshnessMark {
                partition: stream.at.partition,
                marked_at,
                next,
                as_of: marked_at.plus_micros(-CLOCK_MARGIN_MICROS),
                lag_records: 0,
            };
            self.measure(&mark);
            freshness.push(mark);
        }
        self.store_marks(&freshness, &[]);
        Ok(())
    }

    /// Writes what can be written, commits where it ends, and leaves.
    fn give_up(&mut self) -> Result<(), ProjectorError> {
        let positions: Vec<Position> = self
            .streams
            .values()
            .filter(|stream| stream.planned_end.is_none())
            .map(|stream| Position { at: stream.at, next: stream.from, metadata: String::new() })
            .collect();
        self.commit(&positions)?;
        // Each once, though there is a stream of it for each of two topics.
        let partitions: BTreeSet<Partition> = self.streams.keys().map(|at| at.partition).collect();
        let partitions: Vec<Partition> = partitions.into_iter().collect();
        self.streams.clear();
        Ok(self.member.release(&partitions)?)
    }
}

fn letter_blocks(at: TopicPartition, records: &[Waiting]) -> Result<Vec<Block>, ProjectorError> {
    let mut rows = DeadLetterRows::default();
    for waiting in records {
        let record = wire::decode_letter_record(&waiting.value)
            .map_err(|why| ProjectorError::Record { at, offset: waiting.offset, why })?;
        let place = Place { partition: at.partition, offset: waiting.offset };
        rows.record(place, waiting.appended_at, &waiting.key, &record);
    }
    Ok(rows.finish())
}
