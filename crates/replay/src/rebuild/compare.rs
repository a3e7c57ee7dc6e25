//! What an exchange would change.

use domain::ContentHash;
use projection::tables::{Engine, Table};
use serde::Serialize;
use warehouse::{Compared, Comparison, Offsets};

use super::Rebuilder;
use super::error::RebuildError;
use super::fill::Progress;
use super::pause::{Level, Waiting};
use super::state::{Diffed, Side, step};
use super::work::Work;

/// Differences that are listed of each table; the others are counted.
const GROUPS_MAX: u32 = 100;

/// One step of a comparison.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DiffStep {
    CatchingUp(Progress),
    Waiting(Waiting),
    Done(DiffReport),
}

/// A table that cannot be compared, and why.
#[derive(Clone, Debug, Serialize)]
pub struct NotCompared {
    pub table: &'static str,
    pub why: &'static str,
}

/// Both sides of every table, at the same offsets.
#[derive(Clone, Debug, Serialize)]
pub struct DiffReport {
    pub replay: String,
    /// Which side analysts read now.
    pub live: Side,
    /// Nothing differs.
    pub same: bool,
    /// Names exactly these differences; `none` when nothing differs.
    pub digest: String,
    /// They were accepted before.
    pub accepted: bool,
    pub tables: Vec<Compared>,
    pub not_compared: Vec<NotCompared>,
}

impl DiffReport {
    pub(super) fn groups(&self) -> u64 {
        self.tables.iter().map(|table| table.groups).sum()
    }

    pub(super) fn differing(&self) -> Vec<String> {
        let differs = |table: &&Compared| table.groups > 0;
        self.tables.iter().filter(differs).map(|table| table.table.clone()).collect()
    }
}

/// The digest when nothing differs.
const NONE: &str = "none";

/// Whether a digest is one of differences.
pub fn accepted_word(digest: &str) -> bool {
    digest.len() == 16 && digest.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Rebuilder {
    /// Brings both sides to one offset and compares them, step by step: the projector pauses for it, and
    /// goes on afterwards, whatever was found.
    ///
    /// # Errors
    /// Those of the log and of ClickHouse; an exchange that is open.
    pub fn diff(&self, id: &str) -> Result<DiffStep, RebuildError> {
        let mut work = self.work(id)?;
        if work.state.open.is_some() {
            return Err(RebuildError::refused(
                "replay_exchanging",
                "an exchange was interrupted: finish it (`tally replay swap`) or undo it \
                 (`tally replay abort`)",
            ));
        }
        if work.state.plan.is_range() {
            return work.diff_range();
        }
        let step = work.diff_whole();
        match step {
            Ok(DiffStep::Done(report)) => {
                work.resume()?;
                Ok(DiffStep::Done(report))
            }
            Ok(waiting) => Ok(waiting),
            Err(error) => Err(work.resume_after(error)),
        }
    }
}

impl Work<'_> {
    fn diff_whole(&mut self) -> Result<DiffStep, RebuildError> {
        Ok(match self.level()? {
            Level::CatchingUp(progress) => DiffStep::CatchingUp(progress),
            Level::Waiting(waiting) => DiffStep::Waiting(waiting),
            Level::Reached => DiffStep::Done(self.compare_all()?),
        })
    }

    /// A range has no sums of its own in a table that adds up, and its last row of a key may not be
    /// the current one.
    fn diff_range(&mut self) -> Result<DiffStep, RebuildError> {
        let progress = self.fill(&self.targets()?)?;
        if !progress.caught_up {
            return Ok(DiffStep::CatchingUp(progress));
        }
        let marked = self.rebuilder.runtime.block_on(self.rebuilder.live.marked_offsets())?;
        let mut offsets = Offsets::new();
        for range in &self.state.plan.ledger {
            let live = marked.iter().find(|(partition, _)| *partition == range.partition);
            if live.is_none_or(|(_, next)| *next < range.to) && range.from < range.to {
                return Err(RebuildError::refused(
                    "replay_behind",
                    format!(
                        "the projector has not come to offset {} of partition {} yet: what it has \
                         not written is no difference. Try again when it has",
                        range.to, range.partition
                    ),
                ));
            }
            offsets.insert(range.partition, (range.from, range.to));
        }
        let report = self.compare(Some(&offsets))?;
        self.note(&report)?;
        Ok(DiffStep::Done(report))
    }

    pub(super) fn compare_all(&self) -> Result<DiffReport, RebuildError> {
        let report = self.compare(None)?;
        self.note(&report)?;
        Ok(report)
    }

    fn note(&self, report: &DiffReport) -> Result<(), RebuildError> {
        let diffed = Diffed {
            digest: report.digest.clone(),
            groups: report.groups(),
            tables: report.differing(),
        };
        self.append_json(step::DIFFED, &diffed).map(drop)
    }

    fn compare(&self, offsets: Option<&Offsets>) -> Result<DiffReport, RebuildError> {
        let live = &self.rebuilder.live;
        let (original, rebuilt) = match self.state.live {
            Side::Original => (live, &self.shadow),
            Side::Rebuilt => (&self.shadow, live),
        };
        let (mut tables, mut not_compared) = (Vec::new(), Vec::new());
        for table in self.tables.iter().copied() {
            if let Some(why) = why_not(table).filter(|_| offsets.is_some()) {
                not_compared.push(NotCompared { table: table.name, why });
                continue;
            }
            let groups_max = GROUPS_MAX;
            let comparison = Comparison { table, original, rebuilt, offsets, groups_max };
            let runtime = &self.rebuilder.runtime;
            tables.push(self.keeping_lease(|| Ok(runtime.block_on(live.compare(&comparison))?))?);
        }
        let digest = digest(&tables);
        Ok(DiffReport {
            replay: self.state.id.clone(),
            live: self.state.live,
            same: digest == NONE,
            accepted: self.state.accepted.contains(&digest),
            digest,
            tables,
            not_compared,
        })
    }
}

/// Why a table has no rows of a range.
fn why_not(table: &Table) -> Option<&'static str> {
    match table.engine {
        Engine::Facts => None,
        Engine::Sums { .. } => {
            Some("its rows add up over the whole ledger: rebuild it without a range to compare it")
        }
        Engine::Latest { .. } => {
            Some("it keeps the last row of each account: rebuild it without a range to compare it")
        }
    }
}

/// One name for all that differs.
fn digest(tables: &[Compared]) -> String {
    let differing: Vec<String> = tables
        .iter()
        .filter(|table| table.groups > 0)
        .map(|table| format!("{}:{}", table.table, table.fingerprint))
        .collect();
    match differing.is_empty() {
        true => NONE.to_owned(),
        false => ContentHash::of(differing.join("\n").as_bytes()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(table: &str, groups: u64, fingerprint: &str) -> Compared {
        Compared {
            table: table.to_owned(),
            rows_original: 1,
            rows_rebuilt: 2,
            groups,
            fingerprint: fingerprint.to_owned(),
            differences: Vec::new(),
        }
    }

    #[test]
    fn a_digest_names_what_differs_and_nothing_else() {
        assert_eq!(digest(&[compared("a", 0, "")]), NONE);
        let one = digest(&[compared("a", 0, ""), compared("b", 1, "X")]);
        assert!(accepted_word(&one) && !accepted_word(NONE), "{one}");
        assert_eq!(one, digest(&[compared("b", 9, "X")]));
        assert_ne!(one, digest(&[compared("b", 1, "Y")]));
        assert_ne!(one, digest(&[compared("c", 1, "X")]));
    }
}
