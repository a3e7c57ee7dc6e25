//! Merging runs: which, how, and never in the way. A plan is data; carrying it out needs only the
//! files, so it can be done on another thread while the index goes on.
//!
//! - Within a day, eight neighbours of one level make one of the next, and a day that is over
//!   becomes one run: an identity is written about five times.
//! - Beyond the horizon, where only `backfill` looks, days are merged with each other, so that the
//!   number of runs stays bounded however long the ledger is.
//! - What is in memory is merged only into small runs, so that it can leave memory bit by bit.

use domain::{Day, Offset};

use crate::error::IdentityError;
use crate::folder::RunFolder;
use crate::run::{Record, RunCursor, RunEntry, UnadoptedRun};

/// How many runs of one level make one of the next.
const FAN_IN: usize = 8;
/// At so many runs beyond the horizon, the smallest neighbours are merged.
const ARCHIVED_RUNS_MAX: usize = 2 * FAN_IN;

/// Neighbouring runs that are to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergePlan {
    pub(crate) inputs: Vec<RunEntry>,
}

/// What a merge made. The index takes it with `adopt_merge`.
#[derive(Debug)]
pub struct MergedRun {
    pub(crate) inputs: Vec<RunEntry>,
    pub(crate) output: UnadoptedRun,
}

/// What planning has to know beside the runs.
pub(crate) struct Limits {
    /// Where memory begins.
    pub(crate) hot_from: Offset,
    /// The newest ledger day; its runs may still get neighbours.
    pub(crate) newest: Day,
    /// The first day within the horizon.
    pub(crate) horizon_from: Day,
    /// The largest run that may be made of runs in memory.
    pub(crate) hot_run_ids_max: u64,
}

/// The most useful merge, if there is one.
pub(crate) fn plan(runs: &[RunEntry], limits: &Limits) -> Option<MergePlan> {
    let archived = runs.partition_point(|run| run.last_day < limits.horizon_from);
    let (archive, recent) = runs.split_at(archived);
    let inputs = recent
        .chunk_by(|left, right| {
            left.last_day == right.first_day
                && (left.from < limits.hot_from) == (right.from < limits.hot_from)
        })
        .find_map(|day| plan_day(day, limits))
        .or_else(|| plan_archive(archive, limits))?;
    Some(MergePlan { inputs: inputs.to_vec() })
}

fn plan_day<'a>(day: &'a [RunEntry], limits: &Limits) -> Option<&'a [RunEntry]> {
    let is_cold = day.first()?.from < limits.hot_from;
    let is_over = day.first()?.last_day < limits.newest;
    if is_cold && is_over && day.len() > 1 {
        return Some(day);
    }
    day.chunk_by(|left, right| left.level == right.level).find_map(|level| {
        let inputs = level.get(..FAN_IN)?;
        (is_cold || ids_in(inputs) <= limits.hot_run_ids_max).then_some(inputs)
    })
}

fn plan_archive<'a>(archive: &'a [RunEntry], limits: &Limits) -> Option<&'a [RunEntry]> {
    let cold = archive.partition_point(|run| run.from < limits.hot_from);
    let archive = &archive[..cold];
    if archive.len() < ARCHIVED_RUNS_MAX {
        return None;
    }
    archive.windows(FAN_IN).min_by_key(|inputs| ids_in(inputs))
}

fn ids_in(runs: &[RunEntry]) -> u64 {
    runs.iter().map(|run| run.count).sum()
}

impl MergePlan {
    /// How many identities it reads.
    pub fn ids(&self) -> u64 {
        ids_in(&self.inputs)
    }

    /// Writes the merged run. Changes nothing that a reader sees.
    pub fn execute(self, folder: &RunFolder) -> Result<MergedRun, IdentityError> {
        let (Some(first), Some(last)) = (self.inputs.first(), self.inputs.last()) else {
            return Err(IdentityError::Superseded);
        };
        let covers = RunEntry {
            from: first.from,
            to: last.to,
            first_day: first.first_day,
            last_day: last.last_day,
            count: 0,
            level: self.inputs.iter().map(|run| run.level).fold(0, u8::max).saturating_add(1),
            checksum: 0,
        };
        let runs = self
            .inputs
            .iter()
            .map(|entry| folder.open_run(entry))
            .collect::<Result<Vec<_>, _>>()?;
        let mut writer = folder.create(covers.from, covers.to)?;
        let mut heads = Heads::new(runs.iter().map(|run| run.cursor()).collect())?;
        while let Some(record) = heads.next()? {
            writer.push(record)?;
        }
        Ok(MergedRun { inputs: self.inputs, output: writer.finish(covers)? })
    }
}

/// The next record of each run. A handful of runs needs no heap.
struct Heads<'a> {
    heads: Vec<(Record, RunCursor<'a>)>,
}

impl<'a> Heads<'a> {
    fn new(cursors: Vec<RunCursor<'a>>) -> Result<Self, IdentityError> {
        let mut heads = Vec::with_capacity(cursors.len());
        for mut cursor in cursors {
            if let Some(record) = cursor.next()? {
                heads.push((record, cursor));
            }
        }
        Ok(Self { heads })
    }

    /// The smallest key; of one key in several runs, the earliest entry first.
    fn next(&mut self) -> Result<Option<Record>, IdentityError> {
        let smallest = self
            .heads
            .iter()
            .enumerate()
            .min_by_key(|(_, (record, _))| (record.key, record.entry))
            .map(|(index, _)| index);
        let Some(index) = smallest else {
            return Ok(None);
        };
        let (record, cursor) = &mut self.heads[index];
        let smallest = *record;
        match cursor.next()? {
            Some(next) => *record = next,
            None => drop(self.heads.swap_remove(index)),
        }
        Ok(Some(smallest))
    }
}
