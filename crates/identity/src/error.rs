//! What can go wrong with the files, named by what the caller does about it.

use std::io;
use std::path::Path;

use domain::Offset;

/// Why an answer, a snapshot or a restore could not be had. None of these is ever a wrong answer.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file that a manifest names is gone: fold the ledger from its start.
    #[error("{file} is missing")]
    Missing { file: String },
    /// A file's bytes are not the ones that were written: fold the ledger from its start.
    #[error("{file} is corrupt: {reason}")]
    Corrupt { file: String, reason: &'static str },
    /// Written by another version of this crate: fold the ledger from its start.
    #[error("{file} has format version {found}, which this build does not read")]
    UnknownVersion { file: String, found: u32 },
    /// The file system failed: retry, or halt.
    #[error("{file}: {source}")]
    Io {
        file: String,
        #[source]
        source: io::Error,
    },
    /// Entries were not inserted in ledger order, so that what belongs in a run is not known:
    /// halt. Answers from memory are still right.
    #[error("entry {entry} was inserted after {newest}; the ledger's order was not kept")]
    OutOfOrder { entry: Offset, newest: Offset },
    /// A rollback or a persist below what runs already hold: the ledger lost committed data. Halt.
    #[error("offset {offset} lies below {persisted}, up to which identities were persisted")]
    BelowPersisted { offset: Offset, persisted: Offset },
    /// The work was planned on runs that the index no longer has: drop it and plan again.
    #[error("the runs have changed since this work was planned")]
    Superseded,
}

impl IdentityError {
    /// Whether the files are of no use, and a fold of the whole ledger makes them anew.
    pub fn is_rebuilt_by_fold(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Corrupt { .. } | Self::UnknownVersion { .. } => true,
            Self::Io { .. }
            | Self::OutOfOrder { .. }
            | Self::BelowPersisted { .. }
            | Self::Superseded => false,
        }
    }

    pub(crate) fn from_io(path: &Path, source: io::Error) -> Self {
        let file = name_of(path);
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing { file },
            io::ErrorKind::UnexpectedEof => Self::Corrupt { file, reason: "it ends too early" },
            _ => Self::Io { file, source },
        }
    }

    pub(crate) fn corrupt(path: &Path, reason: &'static str) -> Self {
        Self::Corrupt { file: name_of(path), reason }
    }
}

/// The file's own name: enough to find it, without the machine's folders.
pub(crate) fn name_of(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
