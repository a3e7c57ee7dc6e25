//! The core of the charger: one partition, from input record to ledger record. No clock, no log,
//! no thread: records, prices and times come in as arguments, and what is to be written lies in
//! [`Outgoing`] until the service commits it.
//!
//! State runs ahead of the commit. When a commit does not go through, the core is thrown away and
//! made again from the ledger ([`crate::recover`]): nothing here is ever undone by hand.

mod again;
mod command;
mod corrections;
mod plans;
mod time;
mod usage;
mod waiting;

use domain::{Day, EntryNumber, Offset, Partition, Reason, Timestamp, Topic, TopicPartition};
use eventlog::{Append, LogError, Record};
use flow::{Batch, Brake, BrakeLimits, Ending, FlowError, Horizon, Progress, SealError};
use identity::{IdentityError, IdentityIndex};
use ledger::{ApplyError, CatalogueAdopted, Entry, ExceptionKind, PartitionState};

use crate::{Outgoing, Prices};

pub use again::{DecidedAgain, Step};

/// What stops a partition until it is made again from the ledger, or a person acts.
#[derive(Debug, thiserror::Error)]
pub enum Halt {
    #[error(transparent)]
    Flow(#[from] FlowError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error("the identity index cannot answer: {0}")]
    Identity(#[from] IdentityError),
    /// A bad deploy must not drain a topic into the dead letters.
    #[error(
        "dead letters come in an unbroken run or dominate; the last reason was {last}. Look at \
         `tally dlq list`, mend the producer, then restart the charger"
    )]
    Brake { last: Reason },
}

/// Limits that a deployment may set.
#[derive(Clone, Copy, Debug)]
pub struct CoreSettings {
    /// How many partitions the topics have.
    pub partitions: u32,
    pub brake: BrakeLimits,
}

/// One partition's state and the work since its last seal.
#[derive(Debug)]
pub struct PartitionCore {
    partition: Partition,
    settings: CoreSettings,
    state: PartitionState,
    identity: IdentityIndex,
    progress: Progress,
    batch: Batch,
    horizon: Horizon,
    ledger_time: Timestamp,
    /// The clock, as it was last told: who asked before a deadline may be gone by now, however long
    /// the command waited to be read.
    clock: Timestamp,
    brake: Brake,
    outgoing: Outgoing,
    /// Bytes handed on since the last seal.
    flushed: usize,
    /// Where draining what waits for a price goes on; `None` when nothing new may be priced.
    drain_from: Option<EntryNumber>,
    outcomes: ledger::Counts,
    reasons: Vec<Reason>,
    /// The entry that was asked for last, as the ledger has it.
    provided: Option<Provided>,
    /// While a step is decided again: what the ledger has for it.
    again: Option<again::Again>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a record that wants an entry was not taken"]
pub enum Taken {
    Done,
    /// Nothing was decided: the decision needs to see this entry. [`PartitionCore::provide`] it, from
    /// the ledger, and hand the record in again.
    Wants(EntryNumber),
}

/// An entry, and its record; `None` when the ledger has no such entry.
#[derive(Debug)]
struct Provided {
    entry: EntryNumber,
    record: Option<Vec<u8>>,
}

/// What the ledger says of a partition.
#[derive(Debug)]
pub struct Folded {
    pub state: PartitionState,
    pub identity: IdentityIndex,
    pub progress: Progress,
}

impl PartitionCore {
    /// A partition as its ledger has it.
    pub fn new(partition: Partition, settings: CoreSettings, folded: Folded) -> Self {
        let Folded { state, identity, progress } = folded;
        let ledger_time = state.ledger_time.max(progress.ledger_time);
        Self {
            partition,
            settings,
            identity,
            batch: Batch::after(&progress),
            horizon: Horizon::new(ledger_time),
            ledger_time,
            clock: Timestamp::ZERO,
            brake: Brake::new(settings.brake),
            outgoing: Outgoing::default(),
            flushed: 0,
            drain_from: (state.waiting_count() > 0).then_some(EntryNumber(0)),
            outcomes: ledger::Counts::default(),
            reasons: Vec::new(),
            provided: None,
            again: None,
            state,
            progress,
        }
    }

    pub fn state(&self) -> &PartitionState {
        &self.state
    }

    pub fn identity(&self) -> &IdentityIndex {
        &self.identity
    }

    pub fn identity_mut(&mut self) -> &mut IdentityIndex {
        &mut self.identity
    }

    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    pub fn ledger_time(&self) -> Timestamp {
        self.ledger_time
    }

    /// Says what time it is, for the deadlines of commands. Nothing else looks at it, and what a
    /// deadline refuses leaves no entry: the fold of the ledger is the same with any clock.
    pub fn tell_time(&mut self, now: Timestamp) {
        self.clock = now;
    }

    /// Ledger bytes decided since the last seal: they bound what one batch of a projection has.
    pub fn bytes(&self) -> usize {
        self.flushed + self.outgoing.bytes()
    }

    /// Input offsets since the last seal.
    pub fn inputs(&self) -> u64 {
        self.batch.inputs()
    }

    /// Whether there is something to commit.
    pub fn is_dirty(&self) -> bool {
        !self.outgoing.is_empty() || !self.batch.is_empty()
    }

    /// The next offset of an input after what was taken.
    pub fn next(&self, topic: Topic) -> Offset {
        self.batch.next(topic).unwrap_or(Offset::ZERO)
    }

    /// Outcomes since this was last asked, for the metrics, with the reasons of those that have one.
    pub fn take_outcomes(&mut self) -> (ledger::Counts, Vec<Reason>) {
        (std::mem::take(&mut self.outcomes), std::mem::take(&mut self.reasons))
    }

    /// Decides one record of an input topic.
    ///
    /// # Errors
    /// [`Halt`]: the partition stops; nothing of the record is lost, because nothing after the
    /// last seal is committed.
    pub fn take(&mut self, record: &Record<'_>, prices: &Prices) -> Result<Taken, Halt> {
        let topic = record.at.topic;
        let (ticket, ending) = if topic == Topic::LedgerCommands {
            let command = wire::decode_command(record.value);
            if let Ok(command) = &command
                && let Some(entry) = self.wanted_by_command(command)?
            {
                return Ok(Taken::Wants(entry));
            }
            let ticket = self.batch.take(topic, record.offset)?;
            self.advance(topic, record.appended_at, prices)?;
            (ticket, self.command(record, command, prices)?)
        } else {
            let decoded = wire::decode_usage(record.value);
            if let Ok(decoded) = &decoded
                && let Some(entry) = self.wanted_by_event(&decoded.event)?
            {
                return Ok(Taken::Wants(entry));
            }
            let ticket = self.batch.take(topic, record.offset)?;
            self.advance(topic, record.appended_at, prices)?;
            (ticket, self.usage(record, decoded, prices)?)
        };
        self.provided = None;
        self.batch.end(ticket, ending);
        let dead = match ending {
            Ending::Exception(ExceptionKind::DeadLetter { reason }) => Some(reason),
            _ => None,
        };
        if self.brake.note(dead.is_some()) {
            return Err(Halt::Brake { last: dead.unwrap_or(Reason::InvalidJson) });
        }
        Ok(Taken::Done)
    }

    /// Hands in the record of an entry that was wanted; `None` when the ledger has none of that number.
    pub fn provide(&mut self, entry: EntryNumber, record: Option<Vec<u8>>) {
        self.provided = Some(Provided { entry, record });
    }

    /// Takes a newer catalogue into use: written before its first use, so that the ledger shows
    /// when it was.
    pub fn adopt(&mut self, prices: &Prices) {
        if prices.next == self.state.catalogue {
            return;
        }
        let adopted = CatalogueAdopted {
            next: prices.next,
            hash: prices.hash,
            recorded_at: self.ledger_time,
        };
        self.outgoing.ledger("", |out| wire::encode_adopted(&adopted, out));
        self.state.adopt(&adopted);
        self.drain_from = (self.state.waiting_count() > 0).then_some(EntryNumber(0));
    }

    /// Ends the batch with a seal. Returns whether there was anything to seal; then everything that
    /// [`Self::flush`] hands on is to be committed together with the positions [`Self::next`].
    pub fn seal(&mut self) -> Result<bool, Halt> {
        let (bytes, records) = self.outgoing.unhashed();
        self.batch.written(bytes, records);
        if self.batch.is_empty() {
            return Ok(false);
        }
        self.outcomes.merge(self.batch.counts());
        let seal = self.batch.seal(self.ledger_time, self.state.catalogue)?;
        self.outgoing.ledger("", |out| wire::encode_seal(&seal, out));
        self.progress.follow(&seal, &seal.chain, self.outgoing.last_ledger())?;
        self.outgoing.unhashed();
        self.batch = Batch::after(&self.progress);
        self.flushed = 0;
        Ok(true)
    }

    /// Hands everything decided to `write`, in order, and to the seal's chain.
    ///
    /// # Errors
    /// Those of the log.
    pub fn flush(
        &mut self,
        write: &mut dyn FnMut(Append<'_>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let (bytes, records) = self.outgoing.unhashed();
        if records > 0 {
            self.batch.written(bytes, records);
        }
        self.flushed += self.outgoing.bytes();
        self.outgoing.drain(self.partition, write)
    }

    /// Writes an entry: to the ledger, to the state, its identity to the index, and what the account's
    /// owner is to be told.
    fn write(&mut self, entry: &Entry<'_>) -> Result<(), Halt> {
        self.outgoing.ledger(&entry.account, |out| wire::encode_entry(entry, out));
        if self.again.is_some() {
            return self.follow_expected().map(drop);
        }
        let events = self.state.apply(entry)?;
        for event in &events {
            let mut bytes = Vec::new();
            wire::encode_account_event(event, &mut bytes);
            let to = self.here(Topic::AccountEvents);
            self.outgoing.other(to, entry.account.as_bytes(), bytes, Vec::new());
        }
        for remember in entry.remember() {
            remember_in(&mut self.identity, &remember, entry.recorded_at.day());
        }
        Ok(())
    }

    fn here(&self, topic: Topic) -> TopicPartition {
        TopicPartition { topic, partition: self.partition }
    }
}

/// The identity is a fold of the ledger: the same call makes it live and in recovery.
pub(crate) fn remember_in(index: &mut IdentityIndex, remember: &ledger::Remember, day: Day) {
    let entry = place_of(remember.entry);
    index.insert(remember.key, identity::Seen { content: remember.content, entry, day });
}

/// The index orders identities by a place in the ledger; the entries' numbers serve, because they
/// are known before the log gives its offsets.
pub(crate) fn place_of(entry: EntryNumber) -> Offset {
    Offset(i64::try_from(entry.0).unwrap_or(i64::MAX))
}

/// The entry at a place of the index.
pub(crate) fn entry_at(place: Offset) -> EntryNumber {
    EntryNumber(place.0.unsigned_abs())
}
