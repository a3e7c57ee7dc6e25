//! Files that are whole or absent: written under a temporary name, synced, renamed.

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use domain::{Offset, Partition};

use crate::error::IdentityError;
use crate::manifest::IndexManifest;
use crate::run::{OpenRun, RunEntry, RunWriter, UnadoptedRun};

const TEMPORARY: &str = "tmp";
const RUN: &str = "run";

/// The folder of one partition's runs. It has one owner at a time.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    partition: Partition,
}

impl RunFolder {
    /// Opens or makes the folder, and clears what an interrupted write left.
    pub fn open(path: impl Into<PathBuf>, partition: Partition) -> Result<Self, IdentityError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|error| IdentityError::from_io(&path, error))?;
        for file in files_with_extension(&path, TEMPORARY)? {
            remove(&file)?;
        }
        Ok(Self { path, partition })
    }

    /// The folder as it is, with work in progress.
    pub(crate) fn at(path: PathBuf, partition: Partition) -> Self {
        Self { path, partition }
    }

    pub(crate) fn create(&self, from: Offset, to: Offset) -> Result<RunWriter, IdentityError> {
        let name = format!("{:016x}-{:016x}.{TEMPORARY}", from.0, to.0);
        RunWriter::create(self.path.join(name), self.partition)
    }

    pub(crate) fn open_run(&self, entry: &RunEntry) -> Result<OpenRun, IdentityError> {
        OpenRun::open(&self.path, self.partition, entry)
    }

    /// Gives finished runs their names, for good once this returns.
    pub(crate) fn adopt<'a>(
        &self,
        runs: impl IntoIterator<Item = &'a UnadoptedRun>,
    ) -> Result<(), IdentityError> {
        for run in runs {
            fs::rename(&run.temporary, self.path.join(run.entry.file_name()))
                .map_err(|error| IdentityError::from_io(&run.temporary, error))?;
        }
        sync_folder(&self.path)
    }

    /// Removes the runs that no manifest names, and returns how many. Among the manifests must be
    /// the living index's own and that of every snapshot that is kept. Work in progress is safe:
    /// it has a temporary name until it is adopted.
    pub fn collect_garbage(&self, manifests: &[&IndexManifest]) -> Result<usize, IdentityError> {
        let named: HashSet<String> =
            manifests.iter().flat_map(|manifest| &manifest.runs).map(RunEntry::file_name).collect();
        let mut removed = 0;
        for file in files_with_extension(&self.path, RUN)? {
            let is_named = file
                .file_name()
                .is_some_and(|name| named.contains(name.to_string_lossy().as_ref()));
            if !is_named {
                remove(&file)?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Files of one kind in a folder, by name ascending.
pub(crate) fn files_with_extension(
    folder: &Path,
    extension: &str,
) -> Result<Vec<PathBuf>, IdentityError> {
    let failed = |error| IdentityError::from_io(folder, error);
    let mut files = Vec::new();
    for item in fs::read_dir(folder).map_err(failed)? {
        let path = item.map_err(failed)?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort_unstable();
    Ok(files)
}

pub(crate) fn remove(file: &Path) -> Result<(), IdentityError> {
    fs::remove_file(file).map_err(|error| IdentityError::from_io(file, error))
}

/// Makes renames in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), IdentityError> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| IdentityError::from_io(folder, error))
}
