//! The index of one partition: what is in memory, what is in runs, and how it gets from one to the
//! other.
//!
//! Each identity that was taken within the horizon is in `hot`, or in `directory` and a run. It
//! moves when its shard of the table is rebuilt, after the persist that put `hot_from` above it;
//! until then it is found in memory, with the same answer. So an answer depends on the ledger
//! alone, never on what happened to be in memory or when a snapshot was taken.

use std::cell::OnceCell;

use domain::{ContentHash, Day, IdentityKey, Offset};

use crate::days::Days;
use crate::directory::Directory;
use crate::error::IdentityError;
use crate::folder::RunFolder;
use crate::hot::{ENTRY_SPAN_MAX, HotIds};
use crate::manifest::IndexManifest;
use crate::merge::{self, MergePlan, MergedRun};
use crate::persist::{Fresh, WrittenRuns};
use crate::run::{OpenRun, Record, RunEntry};

/// A hot run is at most this part of `hot_ids_max`: the step in which memory is given up.
const HOT_RUN_PARTS: u64 = 8;

#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How many identities stay in memory after a persist; more come until the next one.
    pub hot_ids_max: usize,
    /// How many days before today an identity still counts (see `domain::limits`).
    pub horizon_days: u8,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hot_ids_max: 10_000_000,
            horizon_days: u8::try_from(domain::limits::IDENTITY_HORIZON_DAYS).unwrap_or(u8::MAX),
        }
    }
}

/// An identity's taking, for a duplicate to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What the identity meant.
    pub content: ContentHash,
    /// The ledger entry that took it.
    pub entry: Offset,
    /// The ledger day of that entry.
    pub day: Day,
}

/// How far back to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// As far as the horizon before the ledger day `today`.
    Horizon { today: Day },
    /// Everything that was ever taken: for usage that says `backfill`.
    Everything,
}

/// The identities of one partition: a fold of its ledger. One thread uses it.
#[derive(Debug)]
pub struct IdentityIndex {
    settings: Settings,
    folder: RunFolder,
    hot: HotIds,
    directory: Directory,
    days: Days,
    /// In ledger order.
    runs: Vec<Run>,
    /// Entries from here on are in `hot`.
    hot_from: Offset,
    /// Entries below are in runs.
    persisted_to: Offset,
    /// The newest day below `persisted_to`. What is forgotten is measured from here: a rollback
    /// can take `days` back, and never this.
    persisted_day: Day,
    newest_entry: Offset,
    out_of_order: Option<Disorder>,
}

/// An entry that came after a later one.
#[derive(Clone, Copy, Debug)]
struct Disorder {
    entry: Offset,
    newest: Offset,
}

#[derive(Debug)]
struct Run {
    entry: RunEntry,
    /// Opened by the first lookup that needs it.
    opened: OnceCell<OpenRun>,
}

impl Run {
    fn new(entry: RunEntry) -> Self {
        Self { entry, opened: OnceCell::new() }
    }

    fn find(&self, folder: &RunFolder, key: IdentityKey) -> Result<Option<Record>, IdentityError> {
        match self.opened.get() {
            Some(open) => open.find(key),
            None => {
                let open = folder.open_run(&self.entry)?;
                self.opened.get_or_init(|| open).find(key)
            }
        }
    }
}

/// What the index holds, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Identities in memory, and the memory they take with all slack.
    pub hot_ids: usize,
    pub hot_bytes: usize,
    /// Identities within the horizon that are only in runs, and the memory of the filter over them.
    pub cold_ids: usize,
    pub directory_bytes: usize,
    /// Memory of the open runs' fences.
    pub fence_bytes: usize,
    pub runs: usize,
    /// Identities in all runs, whatever their age, and the length of the files.
    pub run_ids: u64,
    pub run_bytes: u64,
}

impl IdentityIndex {
    /// An empty index: for a fold from the ledger's start.
    pub fn new(settings: Settings, folder: RunFolder) -> Self {
        Self {
            settings,
            folder,
            hot: HotIds::with_room_for(0),
            directory: Directory::with_room_for(0),
            days: Days::default(),
            runs: Vec::new(),
            hot_from: Offset::ZERO,
            persisted_to: Offset::ZERO,
            persisted_day: Day(0),
            newest_entry: Offset(-1),
            out_of_order: None,
        }
    }

    /// The index as it was at `manifest.at`; the fold goes on from there. Reads and checks every
    /// run within the horizon whole, and of the others all but their records.
    pub fn restore(
        settings: Settings,
        folder: RunFolder,
        manifest: &IndexManifest,
    ) -> Result<Self, IdentityError> {
        if !manifest.is_in_order() {
            return Err(IdentityError::Corrupt {
                file: "the identity manifest".to_owned(),
                reason: "its runs do not fit together",
            });
        }
        let mut index = Self::new(settings, folder);
        index.days = Days::from_starts(manifest.days.clone());
        index.runs = manifest.runs.iter().cloned().map(Run::new).collect();
        index.persisted_to = manifest.at;
        index.persisted_day = index.days.newest();
        index.newest_entry = Offset(manifest.at.0 - 1);
        index.hot_from = index.hot_start();
        let horizon_from = index.horizon_from();
        let (mut hot_ids, mut cold_ids) = (0, 0);
        for Run { entry, .. } in &index.runs {
            match entry {
                hot if hot.from >= index.hot_from => hot_ids += entry.count,
                cold if cold.last_day >= horizon_from => cold_ids += entry.count,
                _ => {}
            }
        }
        index.hot = HotIds::with_room_for(hot_ids as usize);
        index.directory = Directory::with_room_for(cold_ids as usize);
        for at in 0..index.runs.len() {
            index.load(at)?;
        }
        index.hot.settle();
        index.directory.settle();
        Ok(index)
    }

    fn load(&mut self, run: usize) -> Result<(), IdentityError> {
        let horizon_from = self.horizon_from();
        let Self { hot, directory, days, runs, .. } = self;
        let Run { entry, opened } = &runs[run];
        let open = self.folder.open_run(entry)?;
        let is_hot = entry.from >= self.hot_from;
        if !is_hot && entry.last_day < horizon_from {
            return Ok(());
        }
        let mut cursor = open.cursor();
        while let Some(record) = cursor.next()? {
            if is_hot {
                // Nothing retires: all that is loaded lies at or above `hot_from`.
                hot.insert(record, self.hot_from, |_, _| ());
            } else {
                let day = days.of(record.entry);
                directory.insert(record.key, day, self.persisted_day, self.settings.horizon_days);
            }
        }
        if !is_hot {
            opened.get_or_init(|| open);
        }
        Ok(())
    }

    /// Whether this identity was taken, and by what. An error is a file's; it never stands for an
    /// answer.
    ///
    /// `today` is the ledger's day, and never goes back.
    #[inline]
    pub fn find(&self, key: IdentityKey, search: Search) -> Result<Option<Seen>, IdentityError> {
        let oldest = match search {
            Search::Horizon { today } => self.horizon_before(today.max(self.days.newest())),
            Search::Everything => Day(i32::MIN),
        };
        // The newest taking decides: whatever else there is is older.
        if let Some((content, entry)) = self.hot.find(key) {
            let day = self.days.of(entry);
            return Ok((day >= oldest).then_some(Seen { content, entry, day }));
        }
        let ages = self.directory.ages(key, self.persisted_day);
        if ages.is_empty() && search != Search::Everything {
            return Ok(None);
        }
        self.find_in_runs(key, ages, search, oldest)
    }

    #[cold]
    fn find_in_runs(
        &self,
        key: IdentityKey,
        ages: crate::directory::Ages,
        search: Search,
        oldest: Day,
    ) -> Result<Option<Seen>, IdentityError> {
        // The directory is complete as far as the horizon; what it still has beyond is a remainder,
        // and might hide a later taking that it no longer has.
        for age in ages.iter().take_while(|age| *age <= self.settings.horizon_days) {
            let day = Day(self.persisted_day.0 - i32::from(age));
            let from = self.runs.partition_point(|run| run.entry.last_day < day);
            let of_day = self.runs[from..].iter().take_while(|run| run.entry.first_day <= day);
            let count = of_day.count();
            if let Some(seen) = self.newest_in(&self.runs[from..from + count], key)? {
                return Ok((seen.day >= oldest).then_some(seen));
            }
        }
        match search {
            Search::Horizon { .. } => Ok(None),
            Search::Everything => {
                let horizon_from = self.horizon_from();
                let archived = self.runs.partition_point(|run| run.entry.first_day < horizon_from);
                self.newest_in(&self.runs[..archived], key)
            }
        }
    }

    fn newest_in(&self, runs: &[Run], key: IdentityKey) -> Result<Option<Seen>, IdentityError> {
        for run in runs.iter().rev().filter(|run| run.entry.from < self.hot_from) {
            if let Some(Record { content, entry, .. }) = run.find(&self.folder, key)? {
                return Ok(Some(Seen { content, entry, day: self.days.of(entry) }));
            }
        }
        Ok(None)
    }

    /// Brings near what `find` will read for these keys. One lookup after another waits for memory
    /// each time; reads for a whole batch, made together, wait about once. Changes no answer. Some
    /// dozens of keys at a time stay in the nearest cache.
    pub fn touch(&self, keys: &[IdentityKey]) {
        let groups = keys
            .iter()
            .fold(0, |all, key| all ^ self.hot.touch_groups(*key) ^ self.directory.touch(*key));
        let slots = keys.iter().fold(0, |all, key| all ^ self.hot.touch_slots(*key));
        std::hint::black_box(groups ^ slots);
    }

    /// Takes an identity. Called by applying a ledger entry, in ledger order, and by nothing else.
    #[inline]
    pub fn insert(&mut self, key: IdentityKey, seen: Seen) {
        if seen.entry < self.newest_entry
            || seen.entry < self.persisted_to
            || seen.day < self.days.newest()
        {
            // Kept in memory all the same; but no run is written from now on, since what belongs
            // in it is not known.
            self.out_of_order
                .get_or_insert(Disorder { entry: seen.entry, newest: self.newest_entry });
        }
        self.newest_entry = self.newest_entry.max(seen.entry);
        self.days.note(seen.entry, seen.day);
        let record = Record { key, content: seen.content, entry: seen.entry };
        let horizon_from = self.horizon_from();
        let Self { hot, directory, days, .. } = self;
        hot.insert(record, self.hot_from, |key, entry| {
            let day = days.of(entry);
            if day >= horizon_from {
                directory.insert(key, day, self.persisted_day, self.settings.horizon_days);
            }
        });
    }

    /// Forgets every identity that an entry at `from` or later took: after an abort, before the
    /// entries are decided anew. Takes some milliseconds per million identities in memory.
    pub fn rollback(&mut self, from: Offset) -> Result<(), IdentityError> {
        if from < self.persisted_to {
            return Err(IdentityError::BelowPersisted {
                offset: from,
                persisted: self.persisted_to,
            });
        }
        if self.newest_entry >= from {
            self.hot.remove_from(from);
            self.days.remove_from(from);
            self.newest_entry = Offset(from.0 - 1);
        }
        Ok(())
    }

    /// Gathers what was taken since the last persist by entries below `at`, the offset after a
    /// committed seal. Writing it ([`Fresh::write`]) can be done on another thread meanwhile.
    pub fn collect(&self, at: Offset) -> Result<Fresh, IdentityError> {
        if let Some(Disorder { entry, newest }) = self.out_of_order {
            return Err(IdentityError::OutOfOrder { entry, newest });
        }
        if at < self.persisted_to {
            return Err(IdentityError::BelowPersisted { offset: at, persisted: self.persisted_to });
        }
        Ok(Fresh::gather(&self.hot, &self.days, self.persisted_to, at))
    }

    /// Takes the written runs, and gives up memory above `hot_ids_max`.
    pub fn adopt(&mut self, written: WrittenRuns) -> Result<IndexManifest, IdentityError> {
        if written.from != self.persisted_to || written.to < written.from {
            return Err(IdentityError::Superseded);
        }
        self.folder.adopt(&written.runs)?;
        self.runs.extend(written.runs.into_iter().map(|run| Run::new(run.entry)));
        self.persisted_to = written.to;
        self.persisted_day = self.days.before(written.to).last().map_or(Day(0), |(_, day)| *day);
        self.hot_from = self.hot_from.max(self.hot_start());
        let horizon_from = self.horizon_from();
        for run in &mut self.runs {
            // A backfill opened it; the next one can do so again.
            if run.entry.last_day < horizon_from {
                run.opened.take();
            }
        }
        Ok(self.manifest())
    }

    /// [`collect`](Self::collect), write and [`adopt`](Self::adopt) in one go.
    pub fn persist(&mut self, at: Offset) -> Result<IndexManifest, IdentityError> {
        let written = self.collect(at)?.write(&self.folder)?;
        self.adopt(written)
    }

    /// The next merge that is worth while, for [`MergePlan::execute`], on any thread.
    pub fn plan_merge(&self) -> Option<MergePlan> {
        let runs: Vec<RunEntry> = self.runs.iter().map(|run| run.entry.clone()).collect();
        merge::plan(
            &runs,
            &merge::Limits {
                hot_from: self.hot_from,
                newest: self.persisted_day,
                horizon_from: self.horizon_from(),
                hot_run_ids_max: self.settings.hot_ids_max as u64 / HOT_RUN_PARTS,
            },
        )
    }

    /// Puts a merged run in the place of those that it was made of. Their files stay until
    /// [`RunFolder::collect_garbage`], since a kept snapshot may name them.
    pub fn adopt_merge(&mut self, merged: MergedRun) -> Result<IndexManifest, IdentityError> {
        let MergedRun { inputs, output } = merged;
        let from = self.runs.partition_point(|run| run.entry.from < output.entry.from);
        let range = from..from + inputs.len();
        let is_still_there = self
            .runs
            .get(range.clone())
            .is_some_and(|runs| runs.iter().map(|run| &run.entry).eq(&inputs));
        if !is_still_there {
            return Err(IdentityError::Superseded);
        }
        self.folder.adopt([&output])?;
        self.runs.splice(range, [Run::new(output.entry)]);
        Ok(self.manifest())
    }

    /// The index as of the last persist, merges included.
    pub fn manifest(&self) -> IndexManifest {
        IndexManifest {
            at: self.persisted_to,
            days: self.days.before(self.persisted_to),
            runs: self.runs.iter().map(|run| run.entry.clone()).collect(),
        }
    }

    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    pub fn statistics(&self) -> Statistics {
        let opened = self.runs.iter().filter_map(|run| run.opened.get());
        Statistics {
            hot_ids: self.hot.len(),
            hot_bytes: self.hot.bytes(),
            cold_ids: self.directory.len(),
            directory_bytes: self.directory.bytes(),
            fence_bytes: opened.map(OpenRun::memory_bytes).sum(),
            runs: self.runs.len(),
            run_ids: self.runs.iter().map(|run| run.entry.count).sum(),
            run_bytes: self.runs.iter().map(|run| run.entry.file_bytes()).sum(),
        }
    }

    /// The first day that the directory answers for.
    fn horizon_from(&self) -> Day {
        self.horizon_before(self.persisted_day)
    }

    fn horizon_before(&self, day: Day) -> Day {
        Day(day.0.saturating_sub(i32::from(self.settings.horizon_days)))
    }

    /// Where memory is to begin: with the newest runs that fit into `hot_ids_max` together.
    fn hot_start(&self) -> Offset {
        let mut start = self.persisted_to;
        let mut ids = 0;
        for Run { entry, .. } in self.runs.iter().rev() {
            ids += entry.count;
            if ids > self.settings.hot_ids_max as u64
                || entry.from.0 < self.newest_entry.0 - ENTRY_SPAN_MAX
            {
                return start;
            }
            start = entry.from;
        }
        Offset::ZERO
    }
}
