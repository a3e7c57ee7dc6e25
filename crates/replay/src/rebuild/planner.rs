//! Making a plan: reads, and changes nothing.

use std::time::Duration;

use domain::{Offset, Partition, Timestamp, Topic, TopicPartition};
use eventlog::LogError;
use warehouse::SCHEMA_VERSION;

use super::Rebuilder;
use super::error::RebuildError;
use super::plan::{BadPlan, Estimate, PartitionRange, Plan, Range, rebuildable};

/// For an estimate before anything was measured: what two cores do.
const RECORDS_PER_SECOND: u64 = 100_000;
const POLL_WAIT: Duration = Duration::from_millis(50);
const EMPTY_POLLS_MAX: u32 = 40;

/// What a person wants rebuilt.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// All of the ledger's when empty.
    pub tables: Vec<String>,
    pub partition: Option<Partition>,
    pub from_offset: Option<Offset>,
    pub to_offset: Option<Offset>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub why: String,
    pub who: String,
}

impl Wanted {
    fn range(&self) -> Result<Option<Range>, BadPlan> {
        let offsets = self.from_offset.is_some() || self.to_offset.is_some();
        let times = self.from.is_some() || self.to.is_some();
        if offsets && self.partition.is_none() {
            return Err(BadPlan::new("partition", "offsets count within one partition: name it"));
        }
        if offsets && times {
            return Err(BadPlan::new(
                "from",
                "a range is given by offsets or by times, not by both",
            ));
        }
        let Self { partition, from, to, .. } = *self;
        Ok((offsets || times || partition.is_some()).then_some(Range { partition, from, to }))
    }
}

impl Rebuilder {
    /// Looks at the ledger and the live tables, and says what a rebuild would be.
    ///
    /// # Errors
    /// A wish that cannot be met, by field; those of the log and of ClickHouse.
    pub fn plan(&self, wanted: &Wanted, now: Timestamp) -> Result<Plan, RebuildError> {
        let tables = rebuildable(&wanted.tables)?;
        let range = wanted.range()?;
        let chosen = match wanted.partition {
            Some(partition) if partition.0 >= self.partitions => {
                let why = format!("the ledger has partitions 0 to {}", self.partitions - 1);
                return Err(BadPlan::new("partition", why).into());
            }
            Some(partition) => partition.0..partition.0 + 1,
            None => 0..self.partitions,
        };
        let ledger: Vec<PartitionRange> = chosen
            .map(Partition)
            .map(|partition| self.range_of(partition, wanted))
            .collect::<Result<_, _>>()?;
        let records: i64 = ledger.iter().map(|range| range.to.0 - range.from.0).sum();
        let records = u64::try_from(records).unwrap_or(0);
        let rows = self.runtime.block_on(self.live.row_counts(&tables))?;
        let (format, what) = Plan::FORM;
        Ok(Plan {
            format,
            what: what.to_owned(),
            why: wanted.why.clone(),
            made_by: wanted.who.clone(),
            made_at: now,
            schema_version: SCHEMA_VERSION,
            partitions: self.partitions,
            tables: tables.iter().map(|table| table.name.to_owned()).collect(),
            estimate: Estimate {
                records,
                seconds: records.div_ceil(RECORDS_PER_SECOND),
                live_rows: rows.into_iter().map(|(name, rows)| (name.to_owned(), rows)).collect(),
            },
            range,
            ledger,
        })
    }

    fn range_of(
        &self,
        partition: Partition,
        wanted: &Wanted,
    ) -> Result<PartitionRange, RebuildError> {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let bounds = self.log.bounds(at)?;
        let end = bounds.stable_end;
        let of_time = |time: Option<Timestamp>, otherwise: Offset| match time {
            Some(time) => self.first_since(at, time, bounds.start..end),
            None => Ok(otherwise),
        };
        let from = wanted.from_offset.map_or_else(|| of_time(wanted.from, bounds.start), Ok)?;
        let to = wanted.to_offset.map_or_else(|| of_time(wanted.to, end), Ok)?;
        let inside = |field: &str, offset: Offset| match offset < bounds.start || offset > end {
            true => {
                let why = format!("{at} holds offsets {} to {end}, not {offset}", bounds.start);
                Err(BadPlan::new(field, why))
            }
            false => Ok(()),
        };
        inside("from_offset", from)?;
        inside("to_offset", to)?;
        if from > to {
            return Err(BadPlan::new("to", "the range ends before it begins").into());
        }
        Ok(PartitionRange { partition, from, to })
    }

    /// The first offset whose record the ledger took at `time` or later: times rise with offsets.
    fn first_since(
        &self,
        at: TopicPartition,
        time: Timestamp,
        offsets: std::ops::Range<Offset>,
    ) -> Result<Offset, RebuildError> {
        let (mut low, mut high) = (offsets.start.0, offsets.end.0);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.next_record(at, Offset(middle), Offset(high))? {
                Some((offset, taken)) if taken < time => low = offset.0 + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(Offset(low))
    }

    /// The first record from `from` on and before `end`: some offsets hold none.
    fn next_record(
        &self,
        at: TopicPartition,
        from: Offset,
        end: Offset,
    ) -> Result<Option<(Offset, Timestamp)>, RebuildError> {
        let mut reader = self.log.reader(&[(at, from)])?;
        let (mut found, mut empty_polls) = (None, 0);
        while found.is_none() && reader.position(at) < end {
            let count = reader.poll(1, POLL_WAIT, &mut |record| {
                found.get_or_insert((record.offset, record.appended_at));
            })?;
            empty_polls = if count == 0 { empty_polls + 1 } else { 0 };
            if empty_polls > EMPTY_POLLS_MAX {
                let why = format!("reading {at} made no way");
                return Err(LogError::Unavailable(why).into());
            }
        }
        Ok(found.filter(|(offset, _)| *offset < end))
    }
}
