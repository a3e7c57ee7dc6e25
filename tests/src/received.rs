//! What the log took of a load: every record of the topics that producers write to, read back.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::{Context, ensure};
use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::EventLog;

use crate::load::{Line, Load};

/// The header that names the line of the load that a record is.
pub const LINE_HEADER: &str = "e2e-line";
const POLL_WAIT: Duration = Duration::from_millis(100);
const EMPTY_POLLS_MAX: u32 = 200;

/// How often each line of a load is in the log, and where.
#[derive(Debug, Default)]
pub struct Received {
    /// By line; a producer that died sends some lines again.
    pub times: Vec<u32>,
    /// Commands that are no lines of the load: given through the API.
    pub other_commands: u64,
    /// The line that stands at an offset.
    pub places: BTreeMap<(TopicPartition, Offset), usize>,
}

impl Received {
    /// Reads the topics that producers write to, and holds every record against the load.
    ///
    /// # Errors
    /// A log that cannot be read, or a record that is not the load's.
    pub fn read(log: &dyn EventLog, load: &Load) -> anyhow::Result<Self> {
        let mut received = Self { times: vec![0; load.lines.len()], ..Self::default() };
        for topic in [Topic::UsageRaw, Topic::LedgerCommands] {
            for partition in (0..load.terms.partitions).map(Partition) {
                received.partition(log, load, TopicPartition { topic, partition })?;
            }
        }
        Ok(received)
    }

    fn partition(
        &mut self,
        log: &dyn EventLog,
        load: &Load,
        at: TopicPartition,
    ) -> anyhow::Result<()> {
        let by_value = Self::by_value(load, at);
        for_each_line(log, at, &mut |offset, number, value| {
            // What came over HTTP has no number: its bytes say which line it is.
            let same = match number {
                Some(number) => vec![number],
                None => by_value.get(value).cloned().unwrap_or_default(),
            };
            let Some(&number) = same.first() else {
                ensure!(at.topic == Topic::LedgerCommands, "{at}@{offset} is no line");
                self.other_commands += 1;
                return Ok(());
            };
            let line = load.lines.get(number).context("a line that was never planned")?;
            ensure!(line.to == at && line.value == value, "{at}@{offset} is not line {number}");
            for number in same {
                self.times[number] += 1;
            }
            self.places.insert((at, offset), number);
            Ok(())
        })
    }

    /// The lines of a place by their bytes; lines with the same bytes mean the same.
    fn by_value(load: &Load, at: TopicPartition) -> HashMap<&[u8], Vec<usize>> {
        let mut lines: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (number, line) in load.lines.iter().enumerate().filter(|(_, line)| line.to == at) {
            lines.entry(&line.value).or_default().push(number);
        }
        lines
    }

    /// The lines that are in the log, each as often as it is.
    pub fn lines<'l>(&'l self, load: &'l Load) -> impl Iterator<Item = &'l Line> {
        self.places.values().map(|number| &load.lines[*number])
    }
}

/// The last line of the load that the log has, of any topic.
///
/// # Errors
/// A log that cannot be read.
pub fn last_line(log: &dyn EventLog, partitions: u32) -> anyhow::Result<Option<usize>> {
    let mut last = None;
    for topic in [Topic::UsageRaw, Topic::LedgerCommands, Topic::RatesCatalog] {
        let count = if topic == Topic::RatesCatalog { 1 } else { partitions };
        for partition in (0..count).map(Partition) {
            for_each_line(log, TopicPartition { topic, partition }, &mut |_, number, _| {
                last = last.max(number);
                Ok(())
            })?;
        }
    }
    Ok(last)
}

/// Takes a record's offset, the number of its line when it says so, and its value.
type VisitLine<'v> = dyn FnMut(Offset, Option<usize>, &[u8]) -> anyhow::Result<()> + 'v;

fn for_each_line(
    log: &dyn EventLog,
    at: TopicPartition,
    visit: &mut VisitLine<'_>,
) -> anyhow::Result<()> {
    let bounds = log.bounds(at)?;
    let mut reader = log.reader(&[(at, bounds.start)])?;
    let mut failed = None;
    let mut empty_polls = 0;
    while reader.position(at) < bounds.stable_end {
        let count = reader.poll(5_000, POLL_WAIT, &mut |record| {
            let number = record
                .headers
                .header(LINE_HEADER)
                .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
            let visited = visit(record.offset, number, record.value);
            if failed.is_none() {
                failed = visited.err();
            }
        })?;
        if let Some(error) = failed.take() {
            return Err(error);
        }
        empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
        ensure!(empty_polls < EMPTY_POLLS_MAX, "{at}: the reader stands still");
    }
    Ok(())
}
