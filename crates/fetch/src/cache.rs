//! The cache folder, and installing into it: whole or not at all, once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha512};

use crate::FetchError;

/// `$XDG_CACHE_HOME/tally`, or `~/.cache/tally`.
pub fn cache_folder() -> Result<PathBuf, FetchError> {
    let set =
        |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // The XDG base directory specification: a relative path is to be ignored.
    set("XDG_CACHE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".cache")))
        .map(|folder| folder.join("tally"))
        .ok_or(FetchError::NoCacheFolder)
}

/// The folder `cache/name`, made by `fill` unless it is there. Callers that come meanwhile, in this process or another,
/// wait for the one that fills. `name` carries the version: a folder that is there is never changed.
pub(crate) fn installed(
    cache: &Path,
    name: &str,
    fill: impl FnOnce(&Path) -> Result<(), FetchError>,
) -> Result<PathBuf, FetchError> {
    let folder = cache.join(name);
    if folder.is_dir() {
        return Ok(folder);
    }
    fs::create_dir_all(cache).map_err(FetchError::io(cache))?;
    let lock_path = cache.join(format!("{name}.lock"));
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&lock_path)
        .map_err(FetchError::io(&lock_path))?;
    lock.lock().map_err(FetchError::io(&lock_path))?;
    if folder.is_dir() {
        return Ok(folder);
    }
    // Left by one that was killed while it held the lock that we hold now.
    let partial = cache.join(format!("{name}.partial"));
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(FetchError::io(&partial))?;
    }
    fs::create_dir(&partial).map_err(FetchError::io(&partial))?;
    if let Err(error) = fill(&partial) {
        // Half a download helps nobody; should this fail too, the next caller removes it.
        drop(fs::remove_dir_all(&partial));
        return Err(error);
    }
    sync_tree(&partial).map_err(FetchError::io(&partial))?;
    fs::rename(&partial, &folder).map_err(FetchError::io(&folder))?;
    Ok(folder)
}

/// The rename says that the folder is whole, so its bytes reach the disk before the rename does.
fn sync_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_tree(&entry.path())?;
        } else {
            File::open(entry.path())?.sync_all()?;
        }
    }
    Ok(())
}

/// The sha-512 of a file, in lowercase hexadecimal.
pub(crate) fn sha512(path: &Path) -> Result<String, FetchError> {
    let mut file = File::open(path).map_err(FetchError::io(path))?;
    let mut hasher = Sha512::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(FetchError::io(path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    #[test]
    fn many_callers_fill_once() {
        let cache = tempfile::tempdir().unwrap();
        let fills = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let folder = installed(cache.path(), "thing-1", |partial| {
                        fills.fetch_add(1, Ordering::SeqCst);
                        fs::write(partial.join("file"), "whole").unwrap();
                        Ok(())
                    })
                    .unwrap();
                    assert_eq!(fs::read_to_string(folder.join("file")).unwrap(), "whole");
                });
            }
        });
        assert_eq!(fills.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_fill_that_failed_leaves_nothing_to_be_found_and_is_tried_again() {
        let cache = tempfile::tempdir().unwrap();
        let failed = installed(cache.path(), "thing-1", |partial| {
            fs::write(partial.join("half"), "").unwrap();
            Err(FetchError::NoCacheFolder)
        });
        assert!(failed.is_err());
        assert!(!cache.path().join("thing-1.partial").exists());
        let folder = installed(cache.path(), "thing-1", |partial| {
            fs::write(partial.join("file"), "whole").unwrap();
            Ok(())
        })
        .unwrap();
        assert!(folder.join("file").exists());
        assert!(!folder.join("half").exists());
    }

    /// The example of FIPS 180-4.
    #[test]
    fn the_digest_is_sha_512() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("abc");
        fs::write(&path, "abc").unwrap();
        assert!(sha512(&path).unwrap().starts_with("ddaf35a193617abacc417349ae204131"));
    }
}
