//! Where these tests keep their files: in memory where the system has such a folder, since they
//! sync thousands of small files and a disk's speed is not what they are about.

use std::path::Path;

pub(crate) fn in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}
