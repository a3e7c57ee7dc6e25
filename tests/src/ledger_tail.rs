//! Follows the ledger: what its seals have consumed, and whether the inputs are drained.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{anyhow, bail};
use domain::{Offset, Outcome, Partition, Timestamp, Topic, TopicPartition};
use eventlog::{EventLog, Reader};
use ledger::{Body, Counts};
use wire::LedgerRecord;

const POLL_WAIT: Duration = Duration::from_millis(20);

/// A reader of all partitions of the ledger.
pub struct LedgerTail {
    reader: Box<dyn Reader>,
    partitions: u32,
    /// The offset after the last input that a seal covers.
    sealed: BTreeMap<TopicPartition, Offset>,
    /// Input offsets by how they ended.
    pub counts: Counts,
    /// Entries by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Usage that waits for a price.
    pub unrated: u64,
    /// Granted lots that wait for their effective time: not in any balance yet.
    pending: u64,
    /// The offset of the last entry, by partition.
    pub last_entries: BTreeMap<Partition, Offset>,
    pub seals: u64,
    /// The catalogue that each partition has taken into use.
    pub adopted: BTreeMap<Partition, Offset>,
    /// Ledger time at the last seal of each partition.
    times: BTreeMap<Partition, Timestamp>,
}

impl std::fmt::Debug for LedgerTail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LedgerTail").field("seals", &self.seals).finish_non_exhaustive()
    }
}

impl LedgerTail {
    /// # Errors
    /// Those of the log.
    pub fn open(log: &dyn EventLog, partitions: u32) -> anyhow::Result<Self> {
        let from: Vec<_> = (0..partitions)
            .map(|partition| (at(Topic::LedgerEntries, partition), Offset::ZERO))
            .collect();
        Ok(Self {
            reader: log.reader(&from)?,
            partitions,
            sealed: BTreeMap::new(),
            counts: Counts::default(),
            kinds: BTreeMap::new(),
            unrated: 0,
            pending: 0,
            last_entries: BTreeMap::new(),
            seals: 0,
            adopted: BTreeMap::new(),
            times: BTreeMap::new(),
        })
    }

    /// Reads on, and says whether every input is consumed to its end, every granted lot has become
    /// effective, and no more usage waits for a price than will always.
    ///
    /// # Errors
    /// A log that cannot be read, and a ledger that does not consume its inputs in order.
    pub fn is_drained(&mut self, log: &dyn EventLog, unrated: u64) -> anyhow::Result<bool> {
        self.read_on()?;
        for partition in 0..self.partitions {
            let ledger = at(Topic::LedgerEntries, partition);
            if self.reader.position(ledger) < log.bounds(ledger)?.stable_end {
                return Ok(false);
            }
            for topic in Topic::INPUTS {
                let input = at(topic, partition);
                let next = self.sealed.get(&input).copied().unwrap_or(Offset::ZERO);
                if next < log.bounds(input)?.stable_end {
                    return Ok(false);
                }
            }
        }
        Ok(self.unrated == unrated && self.pending == 0)
    }

    /// Reads what has come since.
    ///
    /// # Errors
    /// Those of [`Self::is_drained`].
    pub fn read_on(&mut self) -> anyhow::Result<()> {
        loop {
            let mut records = Vec::new();
            let count = self.reader.poll(5_000, POLL_WAIT, &mut |record| {
                records.push((record.at.partition, record.offset, record.value.to_vec()));
            })?;
            for (partition, offset, value) in records {
                self.record(partition, offset, &value)?;
            }
            if count == 0 {
                return Ok(());
            }
        }
    }

    fn record(&mut self, partition: Partition, offset: Offset, value: &[u8]) -> anyhow::Result<()> {
        match wire::decode_ledger(value).map_err(|why| anyhow!("{partition}@{offset}: {why}"))? {
            LedgerRecord::Adopted(adopted) => {
                self.adopted.insert(partition, adopted.next);
            }
            LedgerRecord::Entry(entry) => {
                *self.kinds.entry(entry.body.kind()).or_default() += 1;
                self.last_entries.insert(partition, offset);
                match &entry.body {
                    Body::Grant(grant) => self.pending += u64::from(grant.pending),
                    Body::LotActivated(_) => self.pending -= 1,
                    Body::Unrated(_) => self.unrated += 1,
                    Body::Debit(debit) if debit.resolves.is_some() => self.unrated -= 1,
                    _ => {}
                }
            }
            LedgerRecord::Seal(seal) => {
                self.seals += 1;
                self.counts.merge(&seal.counts);
                let time = self.times.insert(partition, seal.ledger_time);
                if time.is_some_and(|time| seal.ledger_time < time) {
                    bail!("{partition}@{offset}: ledger time goes back at seal {}", seal.number);
                }
                for range in &seal.sources {
                    let input = TopicPartition { topic: range.topic, partition };
                    let before = self.sealed.insert(input, range.to).unwrap_or(Offset::ZERO);
                    if before != range.from {
                        bail!("{input}: a seal goes on at {} after {before}", range.from);
                    }
                }
            }
        }
        Ok(())
    }

    /// Offsets of a topic that seals have consumed.
    pub fn consumed(&self, topic: Topic) -> i64 {
        self.sealed.iter().filter(|(at, _)| at.topic == topic).map(|(_, next)| next.0).sum()
    }

    /// Inputs by how they ended; debits and unrated usage together.
    pub fn outcomes(&self) -> BTreeMap<Outcome, u64> {
        let mut outcomes: BTreeMap<Outcome, u64> = BTreeMap::new();
        for (outcome, count) in self.counts.iter() {
            let outcome = if outcome == Outcome::Unrated { Outcome::Debit } else { outcome };
            *outcomes.entry(outcome).or_default() += count;
        }
        outcomes.retain(|outcome, count| *count > 0 && *outcome != Outcome::Empty);
        outcomes
    }
}

fn at(topic: Topic, partition: u32) -> TopicPartition {
    TopicPartition { topic, partition: Partition(partition) }
}
