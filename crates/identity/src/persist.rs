//! From memory to runs: one new run per ledger day and persist.

use domain::{Day, Offset};

use crate::days::Days;
use crate::error::IdentityError;
use crate::folder::RunFolder;
use crate::hot::HotIds;
use crate::run::{Record, RunEntry, UnadoptedRun};

/// The identities that entries in `[from, to)` took, on their way into runs.
#[derive(Debug)]
pub struct Fresh {
    from: Offset,
    to: Offset,
    days: Vec<FreshDay>,
}

#[derive(Debug)]
struct FreshDay {
    from: Offset,
    to: Offset,
    day: Day,
    records: Vec<Record>,
}

/// Runs that are written and durable, for `adopt`.
#[derive(Debug)]
pub struct WrittenRuns {
    pub(crate) from: Offset,
    pub(crate) to: Offset,
    pub(crate) runs: Vec<UnadoptedRun>,
}

impl Fresh {
    pub(crate) fn gather(hot: &HotIds, days: &Days, from: Offset, to: Offset) -> Self {
        let mut parts: Vec<FreshDay> = days
            .split(from, to)
            .into_iter()
            .map(|(from, to, day)| FreshDay { from, to, day, records: Vec::new() })
            .collect();
        for record in hot.sorted(from, to) {
            let after = parts.partition_point(|part| part.from <= record.entry);
            if let Some(part) = parts[..after].last_mut() {
                part.records.push(record);
            }
        }
        Self { from, to, days: parts }
    }

    pub fn ids(&self) -> usize {
        self.days.iter().map(|day| day.records.len()).sum()
    }

    /// Writes and syncs; a day without identities gets no run.
    pub fn write(self, folder: &RunFolder) -> Result<WrittenRuns, IdentityError> {
        let mut runs = Vec::new();
        for FreshDay { from, to, day, records } in self.days {
            if records.is_empty() {
                continue;
            }
            let mut writer = folder.create(from, to)?;
            for record in records {
                writer.push(record)?;
            }
            runs.push(writer.finish(RunEntry {
                from,
                to,
                first_day: day,
                last_day: day,
                count: 0,
                level: 0,
                checksum: 0,
            })?);
        }
        Ok(WrittenRuns { from: self.from, to: self.to, runs })
    }
}
