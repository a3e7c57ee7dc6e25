//! The data folder of `tally up`: what is in it, and whose it is.
//!
//! | name | what |
//! |---|---|
//! | `topology.json` | what was fixed when the deployment was created |
//! | `log/` | the embedded event log: the record of everything |
//! | `state/` | the charger's snapshots and identity runs, a cache |
//! | `clickhouse/` | the embedded ClickHouse, derived from the log |
//! | `addresses.json` | where the running process listens |
//! | `operator.key` | the first operator's API key |

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::client::{ADDRESSES_FILE, KEY_FILE};
use crate::commands::now;
use crate::failure::Failure;

const TOPOLOGY_FILE: &str = "topology.json";
pub(crate) const LOG_FILE: &str = "tally.log";
/// What a start that was cut short may have left before the topology was written.
const OURS: [&str; 8] = [
    "log",
    "state",
    "clickhouse",
    TOPOLOGY_FILE,
    ADDRESSES_FILE,
    KEY_FILE,
    LOG_FILE,
    crate::demo::MARK_FILE,
];
const PROBE_FILE: &str = ".write-probe";
const PARTIAL: &str = ".part";
const TOPOLOGY_VERSION: u32 = 1;
pub(crate) const PARTITIONS: u32 = 8;
pub(crate) const PARTITIONS_MAX: u32 = 1_024;

/// What cannot be changed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Topology {
    version: u32,
    pub(crate) partitions: u32,
    created_at: domain::Timestamp,
}

/// Where a running tally listens.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Addresses {
    pub(crate) api: String,
    pub(crate) clickhouse_http: String,
    /// Unknown for a ClickHouse that was given by its URL.
    pub(crate) clickhouse_native: Option<String>,
}

/// A folder that holds a deployment, or may.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
}

impl DataFolder {
    /// Makes the folder when it is not there. Refuses one that cannot be written to, and one that
    /// holds something else.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let cannot = |error: io::Error| {
            Failure::Usage(format!(
                "cannot keep data in {}: {error}; choose another folder with --data",
                path.display()
            ))
        };
        fs::create_dir_all(path).map_err(cannot)?;
        let path = fs::canonicalize(path).map_err(cannot)?;
        let mut foreign = None;
        for entry in fs::read_dir(&path).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            if !is_ours(&name.to_string_lossy()) {
                foreign = Some(name);
            }
        }
        let folder = Self { path };
        if let Some(name) = foreign
            && !folder.at(TOPOLOGY_FILE).exists()
        {
            return Err(Failure::Usage(format!(
                "{} holds something that is not tally's ({}): name an empty folder with --data",
                folder.path.display(),
                name.to_string_lossy()
            )));
        }
        // A folder may be listed and yet not be written to; a log that finds out later says less.
        let probe = folder.at(PROBE_FILE);
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).map_err(cannot)?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.at("log")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.at("state")
    }

    pub(crate) fn clickhouse(&self) -> PathBuf {
        self.at("clickhouse")
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The topology as it was fixed. A new deployment gets `wanted` partitions; an old one refuses
    /// to have another number. Call it while the log is held.
    pub(crate) fn topology(
        &self,
        wanted: Option<u32>,
        in_log: Option<u32>,
    ) -> Result<Topology, Failure> {
        let path = self.at(TOPOLOGY_FILE);
        let unreadable = |error: String| {
            Failure::Usage(format!(
                "{} cannot be read: {error}; it says how the log beside it is divided, so restore it",
                path.display()
            ))
        };
        let found = match fs::read_to_string(&path) {
            Ok(text) => Some(
                serde_json::from_str::<Topology>(&text)
                    .map_err(|error| unreadable(error.to_string()))?,
            ),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable(error.to_string())),
        };
        let topology = match found {
            Some(found) => found,
            // A start that was cut short made the topics and wrote nothing here.
            None => Topology {
                version: TOPOLOGY_VERSION,
                partitions: in_log.or(wanted).unwrap_or(PARTITIONS),
                created_at: now(),
            },
        };
        if topology.version != TOPOLOGY_VERSION {
            return Err(Failure::Usage(format!(
                "{} was made by another version of tally (topology {}, this one knows {TOPOLOGY_VERSION})",
                self.path.display(),
                topology.version
            )));
        }
        for (other, whose) in [(wanted, "the settings ask for"), (in_log, "its log has")] {
            if let Some(other) = other.filter(|other| *other != topology.partitions) {
                return Err(Failure::Usage(format!(
                    "{} was created with {} partitions and {whose} {other}: the number is fixed, \
                     because it decides where each account lives",
                    self.path.display(),
                    topology.partitions
                )));
            }
        }
        if found.is_none() {
            self.write(TOPOLOGY_FILE, &serde_json::json!(topology), 0o644)?;
        }
        Ok(topology)
    }

    /// Where the first operator key is; the gateway makes it.
    pub(crate) fn operator_key(&self) -> PathBuf {
        self.at(KEY_FILE)
    }

    pub(crate) fn write_addresses(&self, addresses: &Addresses) -> Result<(), Failure> {
        self.write(ADDRESSES_FILE, &serde_json::json!(addresses), 0o644)
    }

    /// Nobody listens there any more.
    pub(crate) fn remove_addresses(&self) {
        if let Err(error) = fs::remove_file(self.at(ADDRESSES_FILE)) {
            tracing::debug!(%error, "no addresses to remove");
        }
    }

    pub(crate) fn write(
        &self,
        name: &str,
        value: &serde_json::Value,
        mode: u32,
    ) -> Result<(), Failure> {
        self.write_text(name, &format!("{value:#}\n"), mode)
    }

    /// Whole or not at all: written beside it, synced, renamed.
    fn write_text(&self, name: &str, text: &str, mode: u32) -> Result<(), Failure> {
        let (path, partial) = (self.at(name), self.at(&format!(".{name}{PARTIAL}")));
        let write = || -> io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(mode)
                .open(&partial)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&partial, &path)?;
            File::open(&self.path)?.sync_all()
        };
        write().map_err(|error| Failure::Usage(format!("cannot write {}: {error}", path.display())))
    }
}

/// Also true of what file systems put into their roots, and of files that were being written.
fn is_ours(name: &str) -> bool {
    OURS.contains(&name) || name == "lost+found" || name == PROBE_FILE || name.ends_with(PARTIAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let directory = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(directory.path()).unwrap();
        (directory, folder)
    }

    #[test]
    fn the_number_of_partitions_is_fixed_at_the_first_start() {
        let (_directory, folder) = folder();
        assert_eq!(folder.topology(Some(4), None).unwrap().partitions, 4);
        assert_eq!(folder.topology(None, Some(4)).unwrap().partitions, 4);
        let error = folder.topology(Some(8), Some(4)).unwrap_err();
        assert!(
            matches!(&error, Failure::Usage(text) if text.contains("created with 4 partitions and the settings ask for 8")),
            "{error}"
        );
        assert!(folder.topology(None, Some(16)).is_err());
    }

    #[test]
    fn a_start_that_was_cut_short_goes_by_the_log() {
        let (_directory, folder) = folder();
        assert_eq!(folder.topology(None, Some(3)).unwrap().partitions, 3);
    }

    #[test]
    fn a_folder_of_somebody_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("thesis.tex"), "").unwrap();
        let error = DataFolder::open(directory.path()).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("thesis.tex")), "{error}");
        // Once it is tally's, a file that somebody puts there does not matter.
        let (directory, folder) = folder();
        folder.topology(None, None).unwrap();
        std::fs::write(directory.path().join("notes.txt"), "").unwrap();
        DataFolder::open(directory.path()).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_what_to_do() {
        let error = DataFolder::open(Path::new("/proc/nowhere/tally")).unwrap_err();
        assert!(matches!(&error, Failure::Usage(text) if text.contains("--data")), "{error}");
    }
}
