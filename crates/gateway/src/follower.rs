//! Follows the ledger, the replies, the catalogue and the keys, in one thread, and wakes who waits for them.
//!
//! Waiting is by looking again: whoever waits for an input's outcome first says so (a [`Watch`],
//! from which on outcomes are kept), then appends, and then looks among the kept outcomes each time
//! the follower has read something. So an outcome that comes before the asker knows its own offset
//! is not missed.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use catalog::Prices;
use domain::{Credits, EntryNumber, Offset, Partition, Reason, Timestamp, Topic, TopicPartition};
use eventlog::{EventLog, LogError, Record};
use ledger::{Body, Cause, Entry, ExceptionKind, Seal};
use tokio::sync::{oneshot, watch};
use wire::{LedgerRecord, Reply};

use crate::auth::{ACCESS, Keyring};
use crate::problem::Problem;

const REPLIES: TopicPartition = TopicPartition { topic: Topic::Replies, partition: Partition(0) };
const RECORDS_PER_POLL: usize = 5_000;
const POLL_WAIT: Duration = Duration::from_millis(20);
const RETRY_WAIT: Duration = Duration::from_millis(250);
const CATALOGUE_PATIENCE: Duration = Duration::from_secs(30);
/// How much of each ledger partition is read at the start: enough to meet its last seal.
const TAIL_RECORDS: i64 = 5_000;
/// Outcomes that are kept while somebody waits; the oldest go first.
const OUTCOMES_MAX: usize = 500_000;
const REPLIES_MAX: usize = 10_000;
const THROUGHPUT_WINDOW: Duration = Duration::from_secs(10);

/// How a record of `usage.raw` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) ending: Ending,
    /// The ledger offset after the record that says so.
    pub(crate) ledger_next: Offset,
}

/// The ways to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Debit {
        entry: EntryNumber,
        credits: Credits,
    },
    Unrated {
        entry: EntryNumber,
        reason: Reason,
    },
    Quarantined {
        entry: EntryNumber,
        reason: Reason,
    },
    /// It stands in another's place; the difference that this makes.
    Corrected {
        entry: EntryNumber,
        change: Credits,
    },
    Exception(ExceptionKind),
}

impl Ending {
    /// How a usage record ended that caused this entry; `None` for an entry that none causes.
    pub(crate) fn of(entry: &Entry<'_>) -> Option<Self> {
        let number = entry.number;
        match &entry.body {
            Body::Corrected(corrected) => {
                Some(Self::Corrected { entry: number, change: corrected.change() })
            }
            Body::Debit(debit) => Some(Self::Debit { entry: number, credits: debit.credits }),
            Body::Unrated(unrated) => Some(Self::Unrated { entry: number, reason: unrated.reason }),
            Body::Quarantined(held) => {
                Some(Self::Quarantined { entry: number, reason: held.reason })
            }
            Body::QuarantineDecided(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::HoldExtended(_)
            | Body::HoldEnded(_)
            | Body::PlanAssigned(_)
            | Body::PlanScheduled(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::Reversed(_)
            | Body::LotExpiring(_) => None,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Debit { .. } => "debit",
            Self::Unrated { .. } => "unrated",
            Self::Quarantined { .. } => "quarantined",
            Self::Corrected { .. } => "corrected",
            Self::Exception(kind) => kind.outcome().word(),
        }
    }
}

/// What the ledger says of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartitionView {
    /// The catalogue in use: the next offset after its last version.
    pub(crate) adopted: Offset,
    /// Where the charger continues, per input topic; empty before the first seal was read.
    pub(crate) consumed: Vec<(Topic, Offset)>,
    /// The offset after the last ledger record.
    pub(crate) ledger_next: Offset,
    pub(crate) ledger_time: Timestamp,
}

impl PartitionView {
    pub(crate) fn consumed(&self, topic: Topic) -> Option<Offset> {
        self.consumed.iter().find(|(of, _)| *of == topic).map(|(_, next)| *next)
    }
}

#[derive(Default)]
struct State {
    partitions: Vec<PartitionView>,
    replies: HashMap<u64, oneshot::Sender<Reply<'static>>>,
    outcomes: HashMap<(Partition, Offset), Decided>,
    /// The order in which outcomes came.
    oldest: VecDeque<(Partition, Offset)>,
    prices: Prices,
    /// Where `access` is read on.
    access_next: Offset,
    /// Inputs per seal, of late.
    sealed: VecDeque<(Instant, u64)>,
}

/// What the follower's thread and the requests share.
pub(crate) struct Followed {
    state: Mutex<State>,
    keyring: Keyring,
    changed: watch::Sender<u64>,
    watches: AtomicUsize,
    /// Whether the last look at the log went well.
    healthy: AtomicBool,
}

/// While one is held, outcomes of `usage.raw` are kept.
pub(crate) struct Watch(Arc<Followed>);

impl Drop for Watch {
    fn drop(&mut self) {
        if self.0.watches.fetch_sub(1, Ordering::SeqCst) == 1 {
            let mut state = self.0.state();
            // Another may have begun meanwhile; then the outcomes are its.
            if self.0.watches.load(Ordering::SeqCst) == 0 {
                state.outcomes = HashMap::new();
                state.oldest = VecDeque::new();
            }
        }
    }
}

impl Followed {
    /// Starts the thread, after a first look at the log.
    pub(crate) fn start(
        log: Arc<dyn EventLog>,
        partitions: u32,
        stop: Arc<AtomicBool>,
    ) -> Result<(Arc<Self>, JoinHandle<()>), FollowError> {
        let state = State {
            partitions: vec![PartitionView::default(); partitions as usize],
            ..State::default()
        };
        let followed = Arc::new(Self {
            state: Mutex::new(state),
            keyring: Keyring::default(),
            changed: watch::Sender::new(0),
            watches: AtomicUsize::new(0),
            healthy: AtomicBool::new(false),
        });
        let mut session = Session::start(Arc::clone(&followed), Arc::clone(&log))?;
        session.catch_up()?;
        let here = Arc::clone(&followed);
        let thread =
            std::thread::Builder::new().name("gateway-follow".to_owned()).spawn(move || {
                run(&here, &log, session, &stop);
            })?;
        Ok((followed, thread))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// The keys as far as they were read.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Waits until `access` was read up to `next`; returns whether it was.
    pub(crate) async fn access_read(&self, next: Offset, patience: Duration) -> bool {
        let mut read = false;
        self.until(patience, |state| {
            read = state.access_next >= next;
            read
        })
        .await;
        read
    }

    pub(crate) fn prices(&self) -> Prices {
        self.state().prices.clone()
    }

    pub(crate) fn views(&self) -> Vec<PartitionView> {
        self.state().partitions.clone()
    }

    /// Inputs decided per second, over the last seconds.
    pub(crate) fn inputs_per_second(&self) -> u64 {
        let state = self.state();
        let recent = state.sealed.iter().filter(|(at, _)| at.elapsed() < THROUGHPUT_WINDOW);
        recent.map(|(_, inputs)| inputs).sum::<u64>() / THROUGHPUT_WINDOW.as_secs()
    }

    /// Keeps outcomes from here on.
    pub(crate) fn watch(self: &Arc<Self>) -> Watch {
        self.watches.fetch_add(1, Ordering::SeqCst);
        Watch(Arc::clone(self))
    }

    /// Expects the reply to a command that is about to be sent.
    pub(crate) fn expect_reply(
        &self,
        correlation: u64,
    ) -> Result<oneshot::Receiver<Reply<'static>>, Problem> {
        let mut state = self.state();
        if state.replies.len() >= REPLIES_MAX {
            state.replies.retain(|_, waiting| !waiting.is_closed());
        }
        if state.replies.len() >= REPLIES_MAX {
            return Err(Problem::unavailable("too many commands wait for their replies"));
        }
        let (sender, receiver) = oneshot::channel();
        state.replies.insert(correlation, sender);
        Ok(receiver)
    }

    /// Nobody waits for that reply any more.
    pub(crate) fn forget_reply(&self, correlation: u64) {
        self.state().replies.remove(&correlation);
    }

    /// Waits until each input has ended; `None` for those that have not in time.
    pub(crate) async fn outcomes(
        &self,
        _watch: &Watch,
        inputs: &[(Partition, Offset)],
        patience: Duration,
    ) -> Vec<Option<Decided>> {
        let mut found: Vec<Option<Decided>> = vec![None; inputs.len()];
        self.until(patience, |state| {
            let mut whole = true;
            for (input, found) in inputs.iter().zip(&mut found) {
                if found.is_none() {
                    *found = state.outcomes.get(input).copied();
                    whole &= found.is_some();
                }
            }
            whole
        })
        .await;
        found
    }

    /// Waits until the charger has sealed past these offsets of a partition's inputs; whether it has.
    pub(crate) async fn consumed(
        &self,
        partition: Partition,
        ends: &[(Topic, Offset)],
        patience: Duration,
    ) -> bool {
        let mut reached = false;
        self.until(patience, |state| {
            let view = state.partitions.get(partition.0 as usize);
            let consumed =
                |topic| view.and_then(|view| view.consumed(topic)).unwrap_or(Offset::ZERO);
            reached = ends.iter().all(|(topic, end)| consumed(*topic) >= *end);
            reached
        })
        .await;
        reached
    }

    /// Waits until every partition uses the catalogue up to `next`; returns those that do not.
    pub(crate) async fn adopted(&self, next: Offset, patience: Duration) -> Vec<Partition> {
        let mut behind = Vec::new();
        self.until(patience, |state| {
            behind = (0..)
                .map(Partition)
                .zip(&state.partitions)
                .filter(|(_, view)| view.adopted < next)
                .map(|(partition, _)| partition)
                .collect();
            behind.is_empty() && state.prices.next >= next
        })
        .await;
        behind
    }

    /// Looks again after each change, until it is so or the patience ends.
    async fn until(&self, patience: Duration, mut is_so: impl FnMut(&State) -> bool) {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                changed.mark_unchanged();
                if is_so(&self.state()) {
                    return;
                }
                if changed.changed().await.is_err() {
                    return;
                }
            }
        };
        // What was not reached in time is seen in what the look left behind.
        tokio::time::timeout(patience, waiting).await.unwrap_or_default();
    }
}

/// Why following could not begin.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Catalogue(#[from] catalog::CatalogueError),
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
    #[error("{0} was not read to its end in time")]
    Late(TopicPartition),
}

fn run(followed: &Arc<Followed>, log: &Arc<dyn EventLog>, first: Session, stop: &AtomicBool) {
    let mut session = Some(first);
    while !stop.load(Ordering::Relaxed) {
        let step = match &mut session {
            Some(session) => session.step(),
            None => Session::start(Arc::clone(followed), Arc::clone(log))
                .map(|started| session = Some(started)),
        };
        followed.healthy.store(step.is_ok(), Ordering::Relaxed);
        if let Err(error) = step {
            tracing::warn!(%error, "following the log: trying again");
            session = None;
            std::thread::sleep(RETRY_WAIT);
        }
    }
}

/// One reader's life.
struct Session {
    followed: Arc<Followed>,
    log: Arc<dyn EventLog>,
    reader: Box<dyn eventlog::Reader>,
    catalogue: catalog::Follower,
}

impl Session {
    /// From where the last session was, or else from shortly before the ends.
    fn start(followed: Arc<Followed>, log: Arc<dyn EventLog>) -> Result<Self, FollowError> {
        let views = followed.views();
        let mut from = Vec::new();
        for (partition, view) in (0..).map(Partition).zip(&views) {
            let at = TopicPartition { topic: Topic::LedgerEntries, partition };
            let bounds = log.bounds(at)?;
            let tail = Offset(bounds.stable_end.0 - TAIL_RECORDS).max(bounds.start);
            let read = (view.ledger_next > tail).then_some(view.ledger_next);
            from.push((at, read.unwrap_or(tail).min(bounds.end)));
        }
        from.push((REPLIES, log.bounds(REPLIES)?.stable_end));
        // All of it is read, once: a key that was missed would be let in, or kept out.
        from.push((ACCESS, followed.state().access_next));
        let reader = log.reader(&from)?;
        let catalogue = catalog::Follower::start(log.as_ref(), CATALOGUE_PATIENCE)?;
        followed.state().prices = catalogue.prices().clone();
        Ok(Self { followed, log, reader, catalogue })
    }

    fn catch_up(&mut self) -> Result<(), FollowError> {
        let partitions = u32::try_from(self.followed.views().len()).unwrap_or(u32::MAX);
        let deadline = Instant::now() + CATALOGUE_PATIENCE;
        let ledger = (0..partitions).map(|number| TopicPartition {
            topic: Topic::LedgerEntries,
            partition: Partition(number),
        });
        for at in ledger.chain([ACCESS]) {
            let end = self.log.bounds(at)?.stable_end;
            while self.reader.position(at) < end {
                self.step()?;
                if Instant::now() > deadline {
                    return Err(FollowError::Late(at));
                }
            }
        }
        self.followed.healthy.store(true, Ordering::Relaxed);
        self.followed.state().sealed.clear();
        Ok(())
    }

    fn step(&mut self) -> Result<(), FollowError> {
        let followed = &self.followed;
        // The state is taken with the first record, not while waiting for it.
        let mut state = None;
        let records = self.reader.poll(RECORDS_PER_POLL, POLL_WAIT, &mut |record| {
            // Asked for each record: a watch may have begun while the poll waited.
            let keep = followed.watches.load(Ordering::SeqCst) > 0;
            let state = state.get_or_insert_with(|| followed.state());
            match record.at {
                ACCESS => {
                    followed.keyring.take(record.offset, record.value);
                    state.access_next = record.offset.next();
                }
                _ => state.take(&record, keep),
            }
        })?;
        drop(state);
        let published = self.catalogue.poll(Duration::ZERO)?;
        if published {
            self.followed.state().prices = self.catalogue.prices().clone();
        }
        if published || records > 0 {
            self.followed.changed.send_modify(|count| *count = count.wrapping_add(1));
        }
        Ok(())
    }
}

impl State {
    fn take(&mut self, record: &Record<'_>, keep: bool) {
        if record.at.topic == Topic::Replies {
            if let Ok(reply) = wire::decode_reply(record.value)
                && let Some(waiting) = self.replies.remove(&reply.correlation)
            {
                // Whoever asked may have gone.
                drop(waiting.send(reply.into_owned()));
            }
            return;
        }
        let partition = record.at.partition;
        let next = record.offset.next();
        if let Some(view) = self.partitions.get_mut(partition.0 as usize) {
            view.ledger_next = next;
        }
        // Entries are read only while somebody waits for theirs: there are many.
        if !keep && !wire::is_seal(record.value) && record.value.len() > ADOPTION_BYTES_MAX {
            return;
        }
        match wire::decode_ledger(record.value) {
            Ok(LedgerRecord::Entry(entry)) if keep => self.entry(partition, next, &entry),
            Ok(LedgerRecord::Entry(_)) => {}
            Ok(LedgerRecord::Seal(seal)) => self.seal(partition, next, &seal, keep),
            Ok(LedgerRecord::Adopted(adopted)) => {
                if let Some(view) = self.partitions.get_mut(partition.0 as usize) {
                    view.adopted = adopted.next;
                }
            }
            Err(error) => {
                tracing::error!(at = %record.at, offset = %record.offset, %error, "a ledger record cannot be read")
            }
        }
    }

    fn entry(&mut self, partition: Partition, next: Offset, entry: &Entry<'_>) {
        let Cause::Input { topic: Topic::UsageRaw, offset } = entry.cause else { return };
        let Some(ending) = Ending::of(entry) else { return };
        self.keep((partition, offset), Decided { ending, ledger_next: next });
    }

    fn seal(&mut self, partition: Partition, next: Offset, seal: &Seal, keep: bool) {
        if let Some(view) = self.partitions.get_mut(partition.0 as usize) {
            view.adopted = seal.catalogue;
            view.ledger_time = seal.ledger_time;
            view.consumed = seal.sources.iter().map(|range| (range.topic, range.to)).collect();
        }
        let now = Instant::now();
        self.sealed.push_back((now, seal.counts.total()));
        while self.sealed.front().is_some_and(|(at, _)| now - *at > THROUGHPUT_WINDOW) {
            self.sealed.pop_front();
        }
        for exception in
            seal.exceptions.iter().filter(|exception| keep && exception.topic == Topic::UsageRaw)
        {
            let ending = Ending::Exception(exception.kind);
            self.keep((partition, exception.offset), Decided { ending, ledger_next: next });
        }
    }

    fn keep(&mut self, input: (Partition, Offset), decided: Decided) {
        while self.oldest.len() >= OUTCOMES_MAX {
            if let Some(oldest) = self.oldest.pop_front() {
                self.outcomes.remove(&oldest);
            }
        }
        if self.outcomes.insert(input, decided).is_none() {
            self.oldest.push_back(input);
        }
    }
}

/// An adoption is 10 bytes of header, a number, 32 bytes of hash and a time; no entry is that small.
const ADOPTION_BYTES_MAX: usize = 64;
