//! Who holds the folder: a lock that the system takes away when the process ends, however it
//! ends, on a file that names the process for people.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use crate::LogError;

const FILE: &str = "lock";

/// Holds the folder until it is dropped.
#[derive(Debug)]
pub(super) struct Hold {
    _file: File,
}

impl Hold {
    pub(super) fn take(folder: &Path) -> Result<Self, LogError> {
        let path = folder.join(FILE);
        let failed = |error: std::io::Error| {
            LogError::Halt(format!("cannot use {}: {error}", path.display()))
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed)?;
                return Err(LogError::Halt(format!(
                    "the log in {} is held by process {}: stop it, or use another folder",
                    folder.display(),
                    holder.trim(),
                )));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}
