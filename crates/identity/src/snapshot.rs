//! Snapshots: the state of a partition at a committed seal, and with it the list of its identity
//! runs. A snapshot is a cache; whatever is wrong with one, the ledger makes it anew.
//!
//! ```text
//! header    44 bytes: magic, version, partition, ledger offset, lengths of the two parts, CRC-32
//! identity  the index's manifest, with its own CRC-32
//! state     the caller's bytes, then their CRC-32
//! ```
//!
//! These are plain files, written like the runs that they name. An object store was weighed: the
//! runs are read in place, block by block, and a snapshot without its runs is of no use, so a
//! remote store would have to hold the runs as well. [`SnapshotStore::put`],
//! [`latest`](SnapshotStore::latest) and the run folder's adoption are the three places to change.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use domain::{Offset, Partition};

use sabotage::{Break, Point};

use crate::bytes::Reader;
use crate::error::{IdentityError, name_of};
use crate::folder::{RunFolder, files_with_extension, remove, sync_folder};
use crate::manifest::IndexManifest;

const MAGIC: [u8; 8] = *b"TALLYSNP";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 44;
const CHECKSUM_BYTES: usize = 4;
const SNAPSHOT: &str = "snapshot";
/// The one in use, and one to fall back on.
const KEPT: usize = 2;

/// The state of a partition at [`ledger_offset`](Self::ledger_offset).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub partition: Partition,
    /// The caller's own encoding, with a version of its own.
    pub state: Vec<u8>,
    pub identity: IndexManifest,
}

impl Snapshot {
    /// The offset after the seal that it was taken at: the fold goes on from here. It is the
    /// manifest's, so that state and identities cannot be of two moments.
    pub fn ledger_offset(&self) -> Offset {
        self.identity.at
    }
}

/// The newest snapshot that is whole, and why newer ones were passed over.
#[derive(Debug)]
pub struct Latest {
    pub snapshot: Option<Snapshot>,
    pub skipped: Vec<IdentityError>,
}

/// A folder with a folder per partition: snapshots, and below `identity` the runs.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    folder: PathBuf,
}

impl SnapshotStore {
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, IdentityError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| IdentityError::from_io(&folder, error))?;
        Ok(Self { folder })
    }

    /// Where the index of this partition keeps its runs. For the partition's one owner.
    pub fn run_folder(&self, partition: Partition) -> Result<RunFolder, IdentityError> {
        RunFolder::open(self.partition_folder(partition)?.join("identity"), partition)
    }

    /// Writes a snapshot, whole and durable or not at all, and removes all but the last two up to
    /// it.
    pub fn put(&self, snapshot: &Snapshot) -> Result<(), IdentityError> {
        let folder = self.partition_folder(snapshot.partition)?;
        let path = folder.join(format!("{:016x}.{SNAPSHOT}", snapshot.ledger_offset().0));
        let temporary = path.with_extension("tmp");
        write(&temporary, snapshot).map_err(|error| IdentityError::from_io(&temporary, error))?;
        sabotage::pass(Point::SnapshotUnnamed);
        fs::rename(&temporary, &path).map_err(|error| IdentityError::from_io(&temporary, error))?;
        sync_folder(&folder)?;
        // What lies beyond it is not ours to judge: names sort by offset.
        let files = files_with_extension(&folder, SNAPSHOT)?;
        let up_to_it = files.iter().filter(|file| **file <= path).count();
        for file in &files[..up_to_it.saturating_sub(KEPT)] {
            remove(file)?;
        }
        Ok(())
    }

    /// The newest whole snapshot of a partition. Fails only when the folder cannot be read.
    pub fn latest(&self, partition: Partition) -> Result<Latest, IdentityError> {
        let folder = self.partition_folder(partition)?;
        let mut skipped = Vec::new();
        for file in files_with_extension(&folder, SNAPSHOT)?.iter().rev() {
            match read(file, partition) {
                Ok(snapshot) => {
                    return Ok(Latest { snapshot: Some(snapshot), skipped });
                }
                Err(error) => skipped.push(error),
            }
        }
        Ok(Latest { snapshot: None, skipped })
    }

    /// Removes runs that neither a kept snapshot nor the living index names; returns how many.
    pub fn collect_garbage(
        &self,
        partition: Partition,
        living: &IndexManifest,
    ) -> Result<usize, IdentityError> {
        let folder = self.partition_folder(partition)?;
        // One that cannot be read cannot be restored either: its runs are not kept for it.
        let kept: Vec<IndexManifest> = files_with_extension(&folder, SNAPSHOT)?
            .iter()
            .filter_map(|file| read_head(file, partition).ok())
            .map(|head| head.identity)
            .collect();
        let manifests: Vec<&IndexManifest> = kept.iter().chain([living]).collect();
        // Not through `run_folder`, which would clear a merge that is being written.
        RunFolder::at(folder.join("identity"), partition).collect_garbage(&manifests)
    }

    fn partition_folder(&self, partition: Partition) -> Result<PathBuf, IdentityError> {
        let folder = self.folder.join(format!("partition-{:05}", partition.0));
        fs::create_dir_all(&folder).map_err(|error| IdentityError::from_io(&folder, error))?;
        Ok(folder)
    }
}

fn write(path: &Path, snapshot: &Snapshot) -> std::io::Result<()> {
    let identity = snapshot.identity.encode();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&VERSION.to_le_bytes());
    header.extend_from_slice(&snapshot.partition.0.to_le_bytes());
    header.extend_from_slice(&snapshot.ledger_offset().0.to_le_bytes());
    header.extend_from_slice(&(identity.len() as u64).to_le_bytes());
    header.extend_from_slice(&(snapshot.state.len() as u64).to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(&header).to_le_bytes());
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&header)?;
    file.write_all(&identity)?;
    file.write_all(&snapshot.state)?;
    file.write_all(&crc32fast::hash(&snapshot.state).to_le_bytes())?;
    file.flush()?;
    file.get_ref().sync_all()
}

/// All of a snapshot but its state.
struct Head {
    file: File,
    identity: IndexManifest,
    state_bytes: u64,
}

fn read_head(path: &Path, partition: Partition) -> Result<Head, IdentityError> {
    let failed = |error| IdentityError::from_io(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    let mut header = [0; HEADER_BYTES];
    file.read_exact(&mut header).map_err(failed)?;
    let short = || IdentityError::corrupt(path, "it ends too early");
    let mut reader = Reader::new(&header);
    let is_snapshot = reader.take(MAGIC.len()) == Some(&MAGIC);
    let version = reader.u32().ok_or_else(short)?;
    let of = reader.u32().ok_or_else(short)?;
    let offset = reader.i64().ok_or_else(short)?;
    let identity_bytes = reader.u64().ok_or_else(short)?;
    let state_bytes = reader.u64().ok_or_else(short)?;
    let checksum = reader.u32().ok_or_else(short)?;
    if !is_snapshot || crc32fast::hash(&header[..HEADER_BYTES - CHECKSUM_BYTES]) != checksum {
        return Err(IdentityError::corrupt(path, "the checksum of its header differs"));
    }
    if version != VERSION {
        return Err(IdentityError::UnknownVersion { file: name_of(path), found: version });
    }
    // The lengths are checked before anything of their size is asked for.
    let parts = (HEADER_BYTES + CHECKSUM_BYTES) as u64;
    if parts.checked_add(identity_bytes).and_then(|sum| sum.checked_add(state_bytes))
        != Some(length)
    {
        return Err(IdentityError::corrupt(path, "its length is not the header's"));
    }
    let mut identity = vec![0; identity_bytes as usize];
    file.read_exact(&mut identity).map_err(failed)?;
    let identity = IndexManifest::decode(&identity)?;
    if Partition(of) != partition || Offset(offset) != identity.at {
        return Err(IdentityError::corrupt(path, "it is of another partition or offset"));
    }
    Ok(Head { file, identity, state_bytes })
}

fn read(path: &Path, partition: Partition) -> Result<Snapshot, IdentityError> {
    let failed = |error| IdentityError::from_io(path, error);
    let Head { mut file, identity, state_bytes } = read_head(path, partition)?;
    let mut state = vec![0; state_bytes as usize];
    file.read_exact(&mut state).map_err(failed)?;
    let mut checksum = [0; CHECKSUM_BYTES];
    file.read_exact(&mut checksum).map_err(failed)?;
    let right = crc32fast::hash(&state) == u32::from_le_bytes(checksum);
    if !right && !sabotage::is_on(Break::ChecksumsIgnored) {
        return Err(IdentityError::corrupt(path, "the checksum of its state differs"));
    }
    Ok(Snapshot { partition, state, identity })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(at: i64, state: &[u8]) -> Snapshot {
        Snapshot {
            partition: Partition(3),
            state: state.to_vec(),
            identity: IndexManifest { at: Offset(at), ..IndexManifest::empty() },
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        files_with_extension(&folder.join("partition-00003"), SNAPSHOT).unwrap()
    }

    #[test]
    fn keeps_the_last_two_of_each_partition() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(folder.path()).unwrap();
        assert!(store.latest(Partition(3)).unwrap().snapshot.is_none());
        for at in [10, 200, 3_000] {
            store.put(&snapshot(at, &[at as u8; 100])).unwrap();
        }
        let latest = store.latest(Partition(3)).unwrap();
        assert_eq!(latest.snapshot, Some(snapshot(3_000, &[3_000_i64 as u8; 100])));
        assert!(latest.skipped.is_empty());
        assert_eq!(files(folder.path()).len(), 2);
        assert!(store.latest(Partition(4)).unwrap().snapshot.is_none());
    }

    #[test]
    fn a_damaged_snapshot_is_skipped_whatever_byte_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(folder.path()).unwrap();
        store.put(&snapshot(10, b"old")).unwrap();
        store.put(&snapshot(20, b"new")).unwrap();
        let newest = files(folder.path()).pop().unwrap();
        let good = fs::read(&newest).unwrap();
        let mut damaged: Vec<Vec<u8>> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
        damaged.extend((0..good.len() * 8).map(|bit| {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        }));
        damaged.push([good.as_slice(), &[0]].concat());
        for bytes in damaged {
            fs::write(&newest, &bytes).unwrap();
            let latest = store.latest(Partition(3)).unwrap();
            assert_eq!(latest.snapshot, Some(snapshot(10, b"old")));
            assert!(matches!(latest.skipped[..], [IdentityError::Corrupt { .. }]));
        }
    }

    #[test]
    fn another_version_is_told_apart_from_damage() {
        let folder = tempfile::tempdir().unwrap();
        let store = SnapshotStore::open(folder.path()).unwrap();
        store.put(&snapshot(10, b"state")).unwrap();
        let file = files(folder.path()).pop().unwrap();
        let mut bytes = fs::read(&file).unwrap();
        bytes[8] = 2;
        let checksum = crc32fast::hash(&bytes[..HEADER_BYTES - CHECKSUM_BYTES]).to_le_bytes();
        bytes[HEADER_BYTES - CHECKSUM_BYTES..HEADER_BYTES].copy_from_slice(&checksum);
        fs::write(&file, bytes).unwrap();
        let latest = store.latest(Partition(3)).unwrap();
        assert!(matches!(latest.skipped[..], [IdentityError::UnknownVersion { found: 2, .. }]));
    }
}
