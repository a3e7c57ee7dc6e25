//! A small disk that can be full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::{TestkitError, temp_dir};

const FILLER: &str = "filler";
const CHUNK_BYTES: usize = 1 << 16;

/// A file system in memory, of a size of its own. Dropped, it is unmounted.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounting takes privileges: without them, `Ok(None)`.
    ///
    /// # Errors
    /// When there is no folder to mount it on.
    pub fn mount(megabytes: u32) -> Result<Option<Self>, TestkitError> {
        let folder = temp_dir()?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output()
            .is_ok_and(|output| output.status.success());
        Ok(mounted.then_some(Self { folder }))
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// When the disk fails in another way than by being full.
    pub fn fill(&self) -> io::Result<()> {
        let mut file = File::create(self.filler())?;
        let chunk = vec![1_u8; CHUNK_BYTES];
        let mut bytes = &chunk[..];
        loop {
            match file.write(bytes) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                    // The last byte, too.
                    if bytes.len() == 1 {
                        return Ok(());
                    }
                    bytes = &bytes[..bytes.len() / 2];
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives the room back.
    ///
    /// # Errors
    /// When the filler cannot be removed.
    pub fn free(&self) -> io::Result<()> {
        fs::remove_file(self.filler())
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join(FILLER)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still have a file open. Who is not told loses a few
        // megabytes of memory until the machine restarts.
        drop(Command::new("umount").arg("-l").arg(self.folder.path()).output());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_takes_nothing_until_it_is_freed() {
        let Some(disk) = SmallDisk::mount(1).unwrap() else {
            println!("SKIPPED: no privilege to mount");
            return;
        };
        disk.fill().unwrap();
        let refused = fs::write(disk.path().join("more"), [0; 4096]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        disk.free().unwrap();
        fs::write(disk.path().join("more"), [0; 4096]).unwrap();
    }
}
