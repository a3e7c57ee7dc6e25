//! The write queue: commits that come while one is being synced share the next.
//!
//! There is no thread for it. Whoever finds nobody writing takes all that is queued, writes it in
//! one transaction, and hands out the outcomes; the others wait for theirs, and the first of those
//! left over writes next. Terms are checked when a commit is taken from the queue, so that nothing
//! of a fenced member is written after [`Core::begin_term`] has returned.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use domain::{Offset, Timestamp, Topic, TopicPartition};

use super::Settings;
use super::batch::{Batch, PendingChunk};
use super::hold::Hold;
use super::store::{Extents, Store, Write, WriteFailure};
use crate::{Bounds, LogError, MemberSpec, Position, TopicSpec};

/// The right to write and commit, until somebody joins under the same names.
#[derive(Clone, Debug, Default)]
pub(super) struct Term {
    group: Option<(String, u64)>,
    writer: Option<(String, u64)>,
}

/// What is to be committed.
#[derive(Debug, Default)]
pub(super) struct Job {
    pub(super) chunks: Vec<PendingChunk>,
    /// With the group that they are of.
    pub(super) positions: Vec<(String, Position)>,
    pub(super) term: Term,
}

/// How it ended.
#[derive(Clone, Debug)]
pub(super) enum Finished {
    /// The first offset of each chunk.
    Written(Vec<Offset>),
    Fenced(String),
    NotWritten(String),
    Unknown(String),
}

pub(super) struct Core {
    // Before the hold, so that the file is closed before the folder is free.
    pub(super) store: Store,
    settings: Settings,
    state: Mutex<State>,
    /// A write has ended, or a term has.
    changed: Condvar,
    _hold: Hold,
}

#[derive(Debug, Default)]
pub(super) struct State {
    extents: Extents,
    groups: BTreeMap<String, u64>,
    writers: BTreeMap<String, u64>,
    queued: Vec<(Ticket, Job)>,
    tickets_given: u64,
    finished: BTreeMap<Ticket, Finished>,
    writing: bool,
    /// How many writes have begun, and ended.
    begun: u64,
    ended: u64,
    /// Why nothing can be written any more.
    broken: Option<String>,
}

/// A place in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

/// A job in the middle of a write: whose it is, and the first offset of each chunk.
pub(super) type UnderWay = Vec<(Ticket, Vec<Offset>)>;

impl Core {
    pub(super) fn open(folder: &Path, settings: Settings) -> Result<Self, LogError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| LogError::Halt(format!("cannot use {}: {error}", folder.display())))?;
        let hold = Hold::take(folder)?;
        let (store, extents) = Store::open(folder, settings.cache_bytes_max)?;
        let state = Mutex::new(State { extents, ..State::default() });
        Ok(Self { store, settings, state, changed: Condvar::new(), _hold: hold })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change; returns the state at once when `until` has passed.
    pub(super) fn wait<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        let wait = until.saturating_duration_since(Instant::now());
        self.changed.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0
    }

    fn wait_for_change<'a>(&'a self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn create_topics(&self, topics: &[TopicSpec]) -> Result<(), LogError> {
        let mut state = self.state();
        let mut missing = Vec::new();
        for spec in topics {
            match state.partitions(spec.topic) {
                Some(partitions) => spec.must_have(partitions)?,
                None => missing.push(*spec),
            }
        }
        if !missing.is_empty() {
            self.store.create_topics(&missing)?;
            for spec in missing {
                state.extents.add_topic(spec.topic, spec.partitions);
            }
        }
        Ok(())
    }

    /// Fences whoever has the names of this spec, and returns once nothing of theirs can come.
    pub(super) fn begin_term(&self, spec: &MemberSpec) -> Term {
        let mut state = self.state();
        let next = |terms: &mut BTreeMap<String, u64>, name: &String| {
            let term = terms.entry(name.clone()).or_default();
            *term += 1;
            (name.clone(), *term)
        };
        // A writer that reads nothing takes no partition from anybody.
        let group = (!spec.topics.is_empty()).then(|| next(&mut state.groups, &spec.group));
        let writer = spec.writer.as_ref().map(|name| next(&mut state.writers, name));
        let under_way = state.begun;
        while state.ended < under_way {
            state = self.wait_for_change(state);
        }
        drop(state);
        // The fenced one may be asleep in a poll.
        self.changed.notify_all();
        Term { group, writer }
    }

    /// Commits a job, alone or with others, and waits until it is durable.
    pub(super) fn submit(&self, job: Job) -> Finished {
        let mut state = self.state();
        let ticket = state.enqueue(job);
        loop {
            if let Some(finished) = state.take_finished(ticket) {
                return finished;
            }
            if state.writing {
                state = self.wait_for_change(state);
                continue;
            }
            let (write, under_way) = state.take_queued((self.settings.clock)());
            if under_way.is_empty() {
                // Refused or empty, all of it: the outcomes are there already.
                self.changed.notify_all();
                continue;
            }
            drop(state);
            let result = self.store.write(&write);
            state = self.end_write(&write, under_way, result);
        }
    }

    /// Takes over what a write did, and wakes whoever waits for it.
    pub(super) fn end_write(
        &self,
        write: &Write,
        under_way: UnderWay,
        result: Result<(), WriteFailure>,
    ) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.complete(write, under_way, result);
        self.changed.notify_all();
        state
    }
}

impl State {
    pub(super) fn partitions(&self, topic: Topic) -> Option<u32> {
        self.extents.topics.get(&topic).copied()
    }

    pub(super) fn bounds(&self, at: TopicPartition) -> Result<Bounds, LogError> {
        self.extents.bounds(at)
    }

    /// Why the holder of a term must stop.
    pub(super) fn fenced(&self, term: &Term) -> Option<String> {
        let ended = |terms: &BTreeMap<String, u64>, held: &Option<(String, u64)>| {
            held.as_ref().is_some_and(|(name, term)| terms.get(name) != Some(term))
        };
        match (&term.group, &term.writer) {
            (Some((group, _)), _) if ended(&self.groups, &term.group) => {
                Some(format!("another member joined group {group}"))
            }
            (_, Some((writer, _))) if ended(&self.writers, &term.writer) => {
                Some(format!("another member writes as {writer}"))
            }
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    pub(super) fn must_be_whole(&self) -> Result<(), LogError> {
        match &self.broken {
            None => Ok(()),
            Some(why) => Err(LogError::Halt(format!(
                "a write of the embedded log failed ({why}): see to its disk and start again"
            ))),
        }
    }

    pub(super) fn enqueue(&mut self, job: Job) -> Ticket {
        self.tickets_given += 1;
        let ticket = Ticket(self.tickets_given);
        self.queued.push((ticket, job));
        ticket
    }

    pub(super) fn take_finished(&mut self, ticket: Ticket) -> Option<Finished> {
        self.finished.remove(&ticket)
    }

    /// How many writes there have been.
    #[cfg(test)]
    pub(super) fn writes(&self) -> u64 {
        self.ended
    }

    /// Everything queued as one write, with its offsets; what is refused or empty is finished at once.
    pub(super) fn take_queued(&mut self, now: Timestamp) -> (Write, UnderWay) {
        let mut write = Write { appended_at: now.max(self.extents.newest), ..Write::default() };
        let mut under_way = Vec::new();
        let mut ends: BTreeMap<TopicPartition, Offset> = BTreeMap::new();
        for (ticket, job) in std::mem::take(&mut self.queued) {
            if let Some(why) = self.fenced(&job.term) {
                self.finished.insert(ticket, Finished::Fenced(why));
                continue;
            }
            if let Err(broken) = self.must_be_whole() {
                self.finished.insert(ticket, Finished::NotWritten(broken.to_string()));
                continue;
            }
            if job.chunks.is_empty() && job.positions.is_empty() {
                self.finished.insert(ticket, Finished::Written(Vec::new()));
                continue;
            }
            let mut first = Vec::with_capacity(job.chunks.len());
            for chunk in job.chunks {
                let end = ends.entry(chunk.to).or_insert_with(|| {
                    self.extents.bounds.get(&chunk.to).map_or(Offset::ZERO, |(_, end)| *end)
                });
                first.push(*end);
                let next = Offset(end.0 + i64::from(chunk.records));
                write.chunks.push((*end, chunk));
                *end = next;
            }
            write.positions.extend(job.positions);
            under_way.push((ticket, first));
        }
        if !under_way.is_empty() {
            self.writing = true;
            self.begun += 1;
        }
        (write, under_way)
    }

    fn complete(&mut self, write: &Write, under_way: UnderWay, result: Result<(), WriteFailure>) {
        self.writing = false;
        self.ended += 1;
        match &result {
            Ok(()) => {
                self.extents.newest = write.appended_at;
                for (first, chunk) in &write.chunks {
                    if let Some((_, end)) = self.extents.bounds.get_mut(&chunk.to) {
                        *end = Offset(first.0 + i64::from(chunk.records));
                    }
                }
            }
            Err(WriteFailure::NotWritten(why) | WriteFailure::Unknown(why)) => {
                tracing::error!(reason = %why, "the embedded log cannot be written any more");
                self.broken = Some(why.clone());
            }
        }
        for (ticket, first) in under_way {
            let finished = match &result {
                Ok(()) => Finished::Written(first),
                Err(WriteFailure::NotWritten(why)) => Finished::NotWritten(why.clone()),
                Err(WriteFailure::Unknown(why)) => Finished::Unknown(why.clone()),
            };
            self.finished.insert(ticket, finished);
        }
    }
}

impl Job {
    pub(super) fn of(batch: Batch) -> Self {
        Self { chunks: batch.chunks, ..Self::default() }
    }
}
