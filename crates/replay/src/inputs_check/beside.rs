//! What a charger writes beside the ledger: dead letters, and events that it sends home.

use std::collections::BTreeMap;

use domain::{ContentHash, Offset, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use ledger::{Seal, SourceRange};

use super::{InputsCheck, NOT_RETAINED, Sent};
use crate::VerifyError;
use crate::input_reader::{InputReader, Kept, ORIGIN_OFFSET, ORIGIN_PARTITION};

impl InputsCheck<'_> {
    /// The letters that a seal's transaction wrote: they stand together.
    pub(super) fn letters_of(&mut self, seal: &Seal) -> Result<(), VerifyError> {
        let partition = self.partition;
        let mut dead = std::mem::take(&mut self.dead);
        if dead.is_empty() {
            return Ok(());
        }
        let mut letters = match self.letter_reader.take() {
            Some(letters) => letters,
            None => LetterReader::open(self.log, partition)?,
        };
        while let Some(kept) = letters.reader.peek_before(letters.end)? {
            let Ok(letter) = wire::decode_dead_letter(&kept.value) else {
                let place = format!("{}@{}", kept.at, kept.offset);
                self.letters.note(Some(format!("{place} is no dead letter")));
                letters.reader.next_before(letters.end)?;
                continue;
            };
            let of_range = |range: &&SourceRange| range.topic == letter.at.topic;
            let Some(range) = seal.sources.iter().find(of_range) else { break };
            if letter.offset >= range.to {
                break;
            }
            let input = format!("{}@{}", letter.at, letter.offset);
            let found = (letter.reason, ContentHash::of(&letter.record));
            match dead.remove(&(letter.at.topic, letter.offset)) {
                Some(said) => self.letters.note(
                    (said != found)
                        .then(|| format!("the dead letter of {input} is of other bytes")),
                ),
                None if letter.offset >= range.from
                    && self.is_retained(&letter.at, letter.offset) =>
                {
                    self.letters.note(Some(format!("{input} has a dead letter and is not dead")));
                }
                // Of a seal that was passed over, or of an input that is gone.
                None => {}
            }
            self.read += 1;
            letters.has_met = true;
            letters.reader.next_before(letters.end)?;
        }
        let may_be_gone = !letters.has_met && letters.reader.start() > Offset::ZERO;
        for ((topic, offset), _) in dead {
            match may_be_gone {
                true => self.letters.skip(1, NOT_RETAINED),
                false => self.letters.note(Some(format!(
                    "{topic}[{partition}]@{offset} is dead and has no dead letter"
                ))),
            }
        }
        self.letter_reader = Some(letters);
        Ok(())
    }

    fn is_retained(&self, at: &TopicPartition, offset: Offset) -> bool {
        self.readers.get(&at.topic).is_some_and(|reader| offset >= reader.start())
    }

    /// Compares what was said to be forwarded with what stands in `usage.forwarded`.
    pub(super) fn compare_forwards(&mut self) -> Result<(), VerifyError> {
        let mut found: BTreeMap<(Partition, Partition), Sent> = BTreeMap::new();
        for partition in (0..self.partitions).map(Partition) {
            let at = TopicPartition { topic: Topic::UsageForwarded, partition };
            let bounds = self.log.bounds(at)?;
            if bounds.start > Offset::ZERO {
                let before = bounds.start.0.unsigned_abs();
                self.forwards.skip(before, NOT_RETAINED);
                self.said.retain(|(_, to), _| *to != partition);
                continue;
            }
            let mut reader = InputReader::open(self.log, at, Offset::ZERO)?;
            while let Some(record) = reader.next_before(bounds.stable_end)? {
                self.read += 1;
                let Some((from, offset)) = origin(&record) else {
                    let place = format!("{at}@{}", record.offset);
                    self.forwards.note(Some(format!("{place} does not say where it was found")));
                    continue;
                };
                let is_covered = self
                    .covered
                    .get(&from)
                    .is_some_and(|(first, end)| *first <= offset && offset < *end);
                if is_covered {
                    found.entry((from, partition)).or_default().add(offset, &record.value);
                }
            }
        }
        for (way, said) in std::mem::take(&mut self.said) {
            let there = found.remove(&way).unwrap_or_default();
            self.forward(way, said, there);
        }
        for (way, there) in found {
            self.forward(way, Sent::default(), there);
        }
        Ok(())
    }

    fn forward(&mut self, (from, to): (Partition, Partition), said: Sent, there: Sent) {
        self.forwards.checked += said.records.saturating_sub(1);
        self.forwards.note((said != there).then(|| {
            let (said, there) = (said.records, there.records);
            format!(
                "from partition {from} to {to}: {said} were forwarded, {there} stand there, or \
                 their bytes differ"
            )
        }));
    }
}

/// The dead letters of one partition.
pub(super) struct LetterReader {
    reader: InputReader,
    end: Offset,
    /// Whether a letter was met that belongs to what is being read.
    has_met: bool,
}

impl LetterReader {
    fn open(log: &dyn EventLog, partition: Partition) -> Result<Self, LogError> {
        let at = TopicPartition { topic: Topic::DeadLetters, partition };
        let end = log.bounds(at)?.stable_end;
        let reader = InputReader::open(log, at, Offset::ZERO)?;
        Ok(Self { reader, end, has_met: false })
    }
}

/// Where a forwarded event was found first.
fn origin(record: &Kept) -> Option<(Partition, Offset)> {
    let number = |name: &str| std::str::from_utf8(record.header(name)?).ok()?.parse::<i64>().ok();
    let partition = u32::try_from(number(ORIGIN_PARTITION)?).ok()?;
    Some((Partition(partition), Offset(number(ORIGIN_OFFSET)?)))
}
