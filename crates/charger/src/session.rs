//! One stay in the group: one thread owns the member of the group and all partitions that it was given.
//!
//! Each round polls commands first and without waiting (their latency is a person's), then usage;
//! hands what was decided to the open transaction, so that the log writes while the next records
//! are decided; and commits when the batch is old or large enough, or at once when a command waits
//! for its answer. Everything of one commit is one transaction: entries, seals, dead letters,
//! forwards, replies and the positions of every partition that it touches.
//!
//! After a commit that did not go through, or whose outcome is not known, the ledger decides: every
//! partition's state is made again from it, and reading begins where its last seal ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use catalog::{CatalogueError, Follower};
use domain::{EntryNumber, Offset, Partition, Topic, TopicPartition};
use eventlog::{Assignment, CommitOutcome, Lane, Member, MemberSpec, Position, Record};
use flow::{Committed, takeover};
use sabotage::{Break, Point};

use crate::Prices;
use crate::core::{CoreSettings, Halt, PartitionCore, Taken};
use crate::deferred::Deferred;
use crate::recover::recover;
use crate::service::{Charger, ChargerError};
use crate::snapshot::Snapshots;

/// Records lent per poll: large enough to spread its cost, small enough to keep commands waiting
/// for a few milliseconds at most.
const RECORDS_PER_POLL: usize = 2_000;
/// How long a round waits for a record when there is nothing to do.
const IDLE_WAIT: Duration = Duration::from_millis(2);
/// How often drained inputs are noticed, time is moved on, and the catalogue is looked at.
const TICK_EVERY: Duration = Duration::from_millis(50);
const LAG_EVERY: Duration = Duration::from_secs(1);
const WAITING_PER_ROUND: usize = 2_000;
const CATALOGUE_PATIENCE: Duration = Duration::from_secs(60);
/// A partition that halts so often without a commit between does not get better by itself.
const STRIKES_MAX: u32 = 3;
/// A drained input may still bring a record whose log runs this far behind our clock.
const CLOCK_MARGIN_MICROS: i64 = 1_000_000;

/// One partition that this member owns.
struct Owned {
    core: PartitionCore,
    halted: Option<Halt>,
    inputs_since_snapshot: u64,
    /// Records of the last poll that wait for an entry to be looked up, in order.
    deferred: Deferred,
    /// Where the ledger ended before the last seal was written: a fold that goes on from there
    /// meets that seal. Taken only when a snapshot is due.
    fold_from: Option<Offset>,
}

impl Owned {
    fn take(&mut self, record: &Record<'_>, prices: &Prices) {
        if self.deferred.is_waiting() {
            return self.deferred.push(record);
        }
        match self.core.take(record, prices) {
            Ok(Taken::Done) => {}
            Ok(Taken::Wants(entry)) => self.deferred.wait_for(entry, record),
            Err(halt) => self.halted = Some(halt),
        }
    }

    /// The entry that the first deferred record waits for.
    fn wants(&self) -> Option<EntryNumber> {
        self.deferred.waits_for().filter(|_| self.halted.is_none())
    }

    /// Takes deferred records, until one wants another entry.
    fn take_deferred(&mut self, (entry, record): (EntryNumber, Option<Vec<u8>>), prices: &Prices) {
        if self.wants() != Some(entry) {
            return;
        }
        self.core.provide(entry, record);
        for deferred in self.deferred.take() {
            self.take(&deferred.as_record(), prices);
        }
    }
}

/// One stay in the group.
pub struct Session<'c> {
    charger: &'c Charger,
    member: Box<dyn Member>,
    follower: Follower,
    snapshots: Snapshots,
    /// By partition number.
    owned: Vec<Option<Owned>>,
    /// Assigned partitions that wait for a person.
    stopped: BTreeSet<Partition>,
    /// Halts of each partition since the last commit.
    strikes: Vec<u32>,
    /// When the oldest uncommitted work began.
    opened: Option<Duration>,
    /// Commands taken since the last commit.
    commands: usize,
    last_tick: Duration,
    last_lag: Duration,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owned = self.owned.iter().flatten().count();
        formatter.debug_struct("Session").field("owned", &owned).finish_non_exhaustive()
    }
}

impl<'c> Session<'c> {
    pub(crate) fn join(charger: &'c Charger) -> Result<Self, ChargerError> {
        let member = charger.log.join(&MemberSpec {
            group: charger.settings.group.clone(),
            topics: vec![
                (Topic::UsageRaw, Lane::Bulk),
                (Topic::UsageForwarded, Lane::Bulk),
                (Topic::LedgerCommands, Lane::Priority),
            ],
            writer: Some(charger.settings.writer.clone()),
        })?;
        let now = charger.clock.running();
        Ok(Session {
            charger,
            member,
            follower: Follower::start(charger.log.as_ref(), CATALOGUE_PATIENCE)?,
            snapshots: Snapshots::open(&charger.settings)
                .map_err(|error| ChargerError::Recover(error.into()))?,
            owned: (0..charger.settings.partitions).map(|_| None).collect(),
            stopped: BTreeSet::new(),
            strikes: (0..charger.settings.partitions).map(|_| 0).collect(),
            opened: None,
            commands: 0,
            last_tick: now,
            last_lag: now,
        })
    }

    /// One round: poll, decide, and commit when it is time to.
    ///
    /// # Errors
    /// The session is over; what was not committed is decided again by the next one.
    pub fn round(&mut self) -> Result<(), ChargerError> {
        let begins = self.opened.is_none();
        let commands = self.poll(Lane::Priority, Duration::ZERO)?;
        self.commands += commands;
        let wait = if commands > 0 || self.opened.is_some() { Duration::ZERO } else { IDLE_WAIT };
        let usage = self.poll(Lane::Bulk, wait)?;
        if self.since(self.last_tick) >= TICK_EVERY {
            self.last_tick = self.charger.clock.running();
            self.tick()?;
        }
        self.drain_waiting();
        if begins && self.opened.is_some() {
            sabotage::pass(Point::Decided);
        }
        self.flush()?;
        if self.is_due(usage == 0) {
            self.commit()?;
        } else if usage == 0 && commands == 0 && self.opened.is_some() {
            // Nothing to decide until the batch is old enough: wait for a command meanwhile.
            let commands = self.poll(Lane::Priority, IDLE_WAIT)?;
            self.commands += commands;
        }
        Ok(())
    }

    /// Decides what one poll brings. Returns how many records it were.
    fn poll(&mut self, lane: Lane, wait: Duration) -> Result<usize, ChargerError> {
        let prices = self.follower.prices();
        let owned = &mut self.owned;
        let clock = &self.charger.clock;
        let polled = self.member.poll(lane, RECORDS_PER_POLL, wait, &mut |record| {
            let Some(Some(partition)) = owned.get_mut(record.at.partition.0 as usize) else {
                return;
            };
            if partition.halted.is_some() {
                return;
            }
            if lane == Lane::Priority {
                partition.core.tell_time(clock.now());
            }
            partition.take(&record, prices);
        })?;
        self.take_deferred()?;
        if polled.records > 0 && self.opened.is_none() {
            self.opened = Some(self.charger.clock.running());
        }
        for assignment in polled.assignments {
            self.assign(assignment)?;
        }
        self.stop_halted()?;
        Ok(polled.records)
    }

    /// Takes the records that waited for an entry, which is looked up in the ledger: what is open is
    /// committed first, so that an entry of this very batch is found.
    fn take_deferred(&mut self) -> Result<(), ChargerError> {
        for index in 0..self.owned.len() {
            while let Some(entry) = self.owned[index].as_ref().and_then(Owned::wants) {
                self.flush()?;
                self.commit()?;
                let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
                let log = self.charger.log.as_ref();
                let record = ledger_log::find_entry(log, partition, entry)?;
                // A commit that did not go through has made the partition again from its ledger.
                let Some(owned) = self.owned[index].as_mut() else { break };
                owned.take_deferred((entry, record), self.follower.prices());
            }
        }
        Ok(())
    }

    fn assign(&mut self, assignment: Assignment) -> Result<(), ChargerError> {
        match assignment {
            Assignment::Gained(partitions) => {
                tracing::info!(?partitions, "partitions gained");
                partitions.into_iter().try_for_each(|partition| self.take_over(partition))
            }
            Assignment::Revoked(partitions) => {
                tracing::info!(?partitions, "partitions revoked");
                self.commit()?;
                self.forget(&partitions);
                self.stopped.retain(|stopped| !partitions.contains(stopped));
                Ok(self.member.release(&partitions)?)
            }
            Assignment::Lost(partitions) => {
                tracing::warn!(?partitions, "partitions lost");
                self.forget(&partitions);
                self.stopped.retain(|stopped| !partitions.contains(stopped));
                self.member.abort()?;
                self.member.release(&partitions)?;
                self.recover_all()
            }
        }
    }

    fn forget(&mut self, partitions: &[Partition]) {
        for partition in partitions {
            if let Some(owned) = self.owned.get_mut(partition.0 as usize) {
                *owned = None;
            }
            self.charger.metrics.forget(*partition);
        }
    }

    /// Makes the partition's state from its ledger, and begins to read where its last seal ends.
    fn take_over(&mut self, partition: Partition) -> Result<(), ChargerError> {
        let started = Instant::now();
        // First: a transaction that is still being settled is waited for here, and so its records are
        // below the end that the fold reads to.
        let committed: Vec<Committed> = self
            .member
            .committed(partition)?
            .into_iter()
            .map(|position| Committed { topic: position.at.topic, next: position.next })
            .collect();
        let folded = recover(self.charger.log.as_ref(), partition, &self.snapshots)
            .map_err(ChargerError::Recover)?;
        // The ledger may know a newer catalogue than was read at the start.
        let deadline = Instant::now() + CATALOGUE_PATIENCE;
        while self.follower.prices().next < folded.state.catalogue {
            self.follower.poll(TICK_EVERY)?;
            if Instant::now() > deadline {
                return Err(CatalogueError::Late(CATALOGUE_PATIENCE).into());
            }
        }
        // Those that were taken over before must not price with what they have not adopted.
        for owned in self.owned.iter_mut().flatten().filter(|owned| owned.halted.is_none()) {
            owned.core.adopt(self.follower.prices());
        }
        let from = if sabotage::is_on(Break::FoldSkipped) {
            let place = |topic| committed.iter().find(|committed| committed.topic == topic);
            Topic::INPUTS.map(|topic| {
                (topic, place(topic).and_then(|place| place.next).unwrap_or(Offset::ZERO))
            })
        } else {
            takeover(&folded.progress, &committed)?
        };
        sabotage::pass(Point::Folded);
        let settings = CoreSettings {
            partitions: self.charger.settings.partitions,
            brake: self.charger.settings.brake,
        };
        let mut core = PartitionCore::new(partition, settings, folded);
        core.adopt(self.follower.prices());
        self.member.start(partition, &from)?;
        let took = started.elapsed();
        self.gauge(&self.charger.metrics.recovery_milliseconds, partition, took.as_millis());
        self.gauge(&self.charger.metrics.halted, partition, 0);
        self.charger.metrics.tell_halt(&partition.to_string(), None);
        tracing::info!(
            %partition,
            accounts = core.state().account_count(),
            seal = core.progress().seal,
            took_ms = took.as_millis(),
            "partition taken over"
        );
        if let Some(slot) = self.owned.get_mut(partition.0 as usize) {
            *slot = Some(Owned {
                core,
                halted: None,
                inputs_since_snapshot: 0,
                deferred: Deferred::default(),
                fold_from: None,
            });
        }
        Ok(())
    }

    /// Deals with partitions that halted. One whose dead letters braked keeps what it has decided,
    /// and stops. One whose state cannot be trusted is made again from the ledger; when that does
    /// not help, it stops too. The others go on.
    fn stop_halted(&mut self) -> Result<(), ChargerError> {
        for index in 0..self.owned.len() {
            let Some(halt) = self.owned[index].as_mut().and_then(|owned| owned.halted.take())
            else {
                continue;
            };
            let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
            tracing::error!(%partition, %halt, "partition halted");
            let why = halt.to_string();
            match halt {
                Halt::Brake { .. } => {
                    self.commit()?;
                    self.stop(partition, &why)?;
                }
                Halt::Flow(_) | Halt::Apply(_) | Halt::Seal(_) | Halt::Identity(_) => {
                    self.strikes[index] += 1;
                    if self.strikes[index] >= STRIKES_MAX {
                        self.stop(partition, &why)?;
                    }
                    // Some of its entries may be in the open transaction: nothing of it may stay.
                    self.member.abort()?;
                    self.recover_all()?;
                }
            }
        }
        Ok(())
    }

    /// Takes a partition out of work while it stays assigned.
    fn stop(&mut self, partition: Partition, why: &str) -> Result<(), ChargerError> {
        self.forget(&[partition]);
        self.stopped.insert(partition);
        self.gauge(&self.charger.metrics.halted, partition, 1);
        self.charger.metrics.tell_halt(&partition.to_string(), Some(why));
        Ok(self.member.pause(partition)?)
    }

    fn tick(&mut self) -> Result<(), ChargerError> {
        self.follower.poll(Duration::ZERO)?;
        let now = self.charger.clock.now().plus_micros(-CLOCK_MARGIN_MICROS);
        let prices = self.follower.prices();
        for (index, owned) in self.owned.iter_mut().enumerate() {
            let Some(owned) = owned.as_mut().filter(|owned| owned.halted.is_none()) else {
                continue;
            };
            owned.core.adopt(prices);
            let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
            for topic in Topic::INPUTS {
                let (next, drained) = self.member.position(TopicPartition { topic, partition });
                if drained && let Err(halt) = owned.core.drained(topic, next, now, prices) {
                    owned.halted = Some(halt);
                    break;
                }
            }
        }
        self.stop_halted()?;
        if self.since(self.last_lag) >= LAG_EVERY {
            self.last_lag = self.charger.clock.running();
            self.measure()?;
        }
        Ok(())
    }

    fn drain_waiting(&mut self) {
        let prices = self.follower.prices();
        for owned in self.owned.iter_mut().flatten() {
            if owned.halted.is_none()
                && owned.core.has_waiting_to_drain()
                && let Err(halt) = owned.core.drain_waiting(WAITING_PER_ROUND, prices)
            {
                owned.halted = Some(halt);
            }
        }
    }

    /// Hands what was decided to the open transaction.
    fn flush(&mut self) -> Result<(), ChargerError> {
        for owned in self.owned.iter_mut().flatten() {
            if owned.core.is_dirty() && self.opened.is_none() {
                self.opened = Some(self.charger.clock.running());
            }
            let member = &mut self.member;
            owned.core.flush(&mut |append| member.append(append))?;
        }
        Ok(())
    }

    fn is_due(&self, drained: bool) -> bool {
        let Some(opened) = self.opened.map(|opened| self.since(opened)) else { return false };
        let settings = &self.charger.settings;
        let waiting_for_answer = self.commands > 0 && drained;
        waiting_for_answer
            || self.commands > 0 && opened >= settings.commit_every / 10
            || opened >= settings.commit_every
            || self.inputs_most() >= settings.batch_inputs_max
            || self.bytes_most() >= settings.batch_bytes_max
    }

    fn since(&self, then: Duration) -> Duration {
        self.charger.clock.running().saturating_sub(then)
    }

    fn inputs_most(&self) -> u64 {
        self.owned.iter().flatten().map(|owned| owned.core.inputs()).max().unwrap_or(0)
    }

    fn bytes_most(&self) -> usize {
        self.owned.iter().flatten().map(|owned| owned.core.bytes()).max().unwrap_or(0)
    }

    fn commit(&mut self) -> Result<(), ChargerError> {
        self.opened = None;
        self.commands = 0;
        let mut positions = Vec::new();
        let mut inputs = 0;
        let mut unsound = false;
        for (index, owned) in self.owned.iter_mut().enumerate() {
            let Some(owned) = owned else { continue };
            let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
            let before = owned.core.inputs();
            owned.fold_from = None;
            if owned.inputs_since_snapshot + before >= self.charger.settings.snapshot_every_inputs {
                let at = TopicPartition { topic: Topic::LedgerEntries, partition };
                owned.fold_from = Some(self.charger.log.bounds(at)?.end);
            }
            match owned.core.seal() {
                Ok(false) => continue,
                Ok(true) => {}
                Err(halt) => {
                    tracing::error!(%partition, %halt, "a batch cannot be sealed");
                    unsound = true;
                    break;
                }
            }
            inputs += before;
            owned.inputs_since_snapshot += before;
            let member = &mut self.member;
            owned.core.flush(&mut |append| member.append(append))?;
            let metadata = format!("seal={}", owned.core.progress().seal);
            positions.extend(Topic::INPUTS.map(|topic| Position {
                at: TopicPartition { topic, partition },
                next: owned.core.next(topic),
                metadata: metadata.clone(),
            }));
        }
        if unsound {
            self.member.abort()?;
            return self.recover_all();
        }
        if positions.is_empty() {
            return Ok(());
        }
        if sabotage::is_on(Break::PositionsLeftOut) {
            positions.clear();
        }
        sabotage::pass(Point::BeforeCommit);
        let started = Instant::now();
        let mut outcome = self.member.commit(&positions);
        if matches!(outcome, CommitOutcome::Unknown(_)) && sabotage::is_on(Break::UnknownTaken) {
            outcome = CommitOutcome::Committed;
        }
        sabotage::pass(Point::AfterCommit);
        let metrics = &self.charger.metrics;
        metrics.commit_seconds.observe(started.elapsed().as_secs_f64());
        match outcome {
            CommitOutcome::Committed => {
                metrics.commits.with_label_values(&["committed"]).inc();
                metrics.batch_inputs.observe(f64::from(u32::try_from(inputs).unwrap_or(u32::MAX)));
                self.strikes.fill(0);
                self.count_outcomes();
                self.save_snapshots();
                Ok(())
            }
            CommitOutcome::Aborted(why) => {
                metrics.commits.with_label_values(&["aborted"]).inc();
                tracing::warn!(why, "commit aborted; going back to the ledger");
                self.recover_all()
            }
            CommitOutcome::Unknown(why) => {
                metrics.commits.with_label_values(&["unknown"]).inc();
                tracing::warn!(why, "commit outcome unknown; the ledger's tail decides");
                self.recover_all()
            }
            CommitOutcome::Fenced(why) => {
                metrics.commits.with_label_values(&["fenced"]).inc();
                Err(ChargerError::Fenced(why))
            }
        }
    }

    /// Makes the state of every partition again from the ledger; what was not committed is read
    /// and decided again.
    fn recover_all(&mut self) -> Result<(), ChargerError> {
        self.opened = None;
        self.commands = 0;
        for index in 0..self.owned.len() {
            if self.owned.get(index).is_some_and(Option::is_some) {
                let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
                self.forget(&[partition]);
                self.take_over(partition)?;
            }
        }
        Ok(())
    }

    fn save_snapshots(&mut self) {
        for (index, owned) in self.owned.iter_mut().enumerate() {
            let Some(owned) = owned else { continue };
            let Some(fold_from) = owned.fold_from.take() else { continue };
            let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
            match self.snapshots.save(partition, fold_from, &mut owned.core) {
                Ok(()) => owned.inputs_since_snapshot = 0,
                // A snapshot is a cache: failing to write one costs time at the next start, no
                // data. The age goes on growing, and so shows it.
                Err(error) => {
                    tracing::warn!(%partition, %error, "snapshot not written");
                    if sabotage::is_on(Break::SnapshotErrorEnds) {
                        std::process::exit(1);
                    }
                }
            }
        }
    }

    /// Ends the stay in order.
    ///
    /// # Errors
    /// Those of the log; the ledger is whole all the same.
    pub fn give_up(&mut self) -> Result<(), ChargerError> {
        for owned in self.owned.iter_mut().flatten() {
            // One more snapshot, for a quick start: with the commit that follows.
            owned.inputs_since_snapshot = self.charger.settings.snapshot_every_inputs;
        }
        self.commit()?;
        let partitions: Vec<Partition> = (0..self.charger.settings.partitions)
            .map(Partition)
            .filter(|partition| self.owned.get(partition.0 as usize).is_some_and(Option::is_some))
            .collect();
        self.forget(&partitions);
        Ok(self.member.release(&partitions)?)
    }

    fn count_outcomes(&mut self) {
        let metrics = &self.charger.metrics;
        for owned in self.owned.iter_mut().flatten() {
            let (counts, reasons) = owned.core.take_outcomes();
            for (outcome, count) in counts.iter().filter(|(_, count)| *count > 0) {
                metrics.outcomes.with_label_values(&[outcome.word()]).inc_by(count);
            }
            for reason in reasons {
                metrics.reasons.with_label_values(&[reason.code()]).inc();
            }
        }
    }

    fn measure(&mut self) -> Result<(), ChargerError> {
        let now = self.charger.clock.now();
        for (index, owned) in self.owned.iter().enumerate() {
            let Some(owned) = owned else { continue };
            let partition = Partition(u32::try_from(index).unwrap_or(u32::MAX));
            let mut lag = 0;
            for topic in Topic::INPUTS {
                let bounds = self.charger.log.bounds(TopicPartition { topic, partition })?;
                lag += bounds.stable_end.0.saturating_sub(owned.core.next(topic).0).max(0);
            }
            let metrics = &self.charger.metrics;
            let behind = if lag == 0 { 0 } else { now.since(owned.core.ledger_time()) / 1_000 };
            let identity = owned.core.identity().statistics();
            self.gauge(&metrics.lag_records, partition, lag);
            self.gauge(&metrics.lag_milliseconds, partition, behind);
            self.gauge(&metrics.accounts, partition, owned.core.state().account_count());
            self.gauge(&metrics.unrated_waiting, partition, owned.core.state().waiting_count());
            self.gauge(&metrics.identity_hot, partition, identity.hot_ids);
            self.gauge(&metrics.identity_cold, partition, identity.cold_ids);
            self.gauge(
                &metrics.identity_bytes,
                partition,
                identity.hot_bytes + identity.directory_bytes + identity.fence_bytes,
            );
            self.gauge(&metrics.snapshot_age_inputs, partition, owned.inputs_since_snapshot);
            self.gauge(&metrics.catalogue_offset, partition, owned.core.state().catalogue.0);
        }
        Ok(())
    }

    fn gauge<N: TryInto<i64>>(
        &self,
        gauge: &prometheus::IntGaugeVec,
        partition: Partition,
        value: N,
    ) {
        gauge
            .with_label_values(&[&partition.to_string()])
            .set(value.try_into().unwrap_or(i64::MAX));
    }
}
