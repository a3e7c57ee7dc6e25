//! A run: identities of one range of ledger entries, sorted by key, in one immutable file.
//!
//! ```text
//! records   32 bytes each: key (16, big endian), content hash (8), entry offset (8)
//! fences    12 bytes for each 4 KiB of records: the first key's first 8 bytes, CRC-32 of the block
//! footer    56 bytes: magic, version, partition, entry range, days, record count, CRC-32 of the
//!           fences, CRC-32 of the footer itself
//! ```
//!
//! Numbers are little endian unless said otherwise. The manifest and the file's name carry the
//! footer's CRC, which covers that of the fences, which cover the blocks: no byte can change
//! unseen, and a lookup checks only the block that it reads.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use domain::{ContentHash, Day, IdentityKey, Offset, Partition};

use crate::bytes::Reader;
use crate::error::{IdentityError, name_of};

pub(crate) const RECORD_BYTES: usize = 32;
const BLOCK_RECORDS: usize = 128;
const BLOCK_BYTES: usize = BLOCK_RECORDS * RECORD_BYTES;
const FENCE_BYTES: usize = 12;
const FOOTER_BYTES: usize = 56;
const MAGIC: [u8; 8] = *b"TALLYIDS";
const VERSION: u32 = 1;
/// How much a reader of a whole run fetches at once.
const CHUNK_BLOCKS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: IdentityKey,
    pub(crate) content: ContentHash,
    pub(crate) entry: Offset,
}

impl Record {
    fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..16].copy_from_slice(&self.key.0.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.content.0.to_le_bytes());
        bytes[24..].copy_from_slice(&self.entry.0.to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Self {
        let (mut key, mut content, mut entry) = ([0; 16], [0; 8], [0; 8]);
        key.copy_from_slice(&bytes[..16]);
        content.copy_from_slice(&bytes[16..24]);
        entry.copy_from_slice(&bytes[24..RECORD_BYTES]);
        Self {
            key: IdentityKey(u128::from_be_bytes(key)),
            content: ContentHash(u64::from_le_bytes(content)),
            entry: Offset(i64::from_le_bytes(entry)),
        }
    }
}

/// What a manifest says of one run; with the partition, all that is needed to find and check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    /// Ledger offsets of the entries that it covers: `[from, to)`.
    pub from: Offset,
    pub to: Offset,
    /// Ledger days of its first and last entry.
    pub first_day: Day,
    pub last_day: Day,
    /// Identities in it.
    pub count: u64,
    /// How often its records were merged.
    pub level: u8,
    /// The footer's CRC-32.
    pub checksum: u32,
}

impl RunEntry {
    pub fn file_name(&self) -> String {
        format!("{:016x}-{:016x}-{:08x}.run", self.from.0, self.to.0, self.checksum)
    }

    fn blocks(&self) -> usize {
        (self.count as usize).div_ceil(BLOCK_RECORDS)
    }

    /// Length of the file, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.count * RECORD_BYTES as u64 + (self.blocks() * FENCE_BYTES + FOOTER_BYTES) as u64
    }

    fn footer(&self, partition: Partition, fences_checksum: u32) -> [u8; FOOTER_BYTES] {
        let mut footer = [0; FOOTER_BYTES];
        footer[..8].copy_from_slice(&MAGIC);
        footer[8..12].copy_from_slice(&VERSION.to_le_bytes());
        footer[12..16].copy_from_slice(&partition.0.to_le_bytes());
        footer[16..24].copy_from_slice(&self.from.0.to_le_bytes());
        footer[24..32].copy_from_slice(&self.to.0.to_le_bytes());
        footer[32..36].copy_from_slice(&self.first_day.0.to_le_bytes());
        footer[36..40].copy_from_slice(&self.last_day.0.to_le_bytes());
        footer[40..48].copy_from_slice(&self.count.to_le_bytes());
        footer[48..52].copy_from_slice(&fences_checksum.to_le_bytes());
        let checksum = crc32fast::hash(&footer[..52]);
        footer[52..].copy_from_slice(&checksum.to_le_bytes());
        footer
    }
}

/// A run that is written and durable under a temporary name, and not yet part of any index.
#[derive(Debug)]
pub(crate) struct UnadoptedRun {
    pub(crate) temporary: PathBuf,
    pub(crate) entry: RunEntry,
}

/// Writes a run. Of several records of one key the last one stays.
pub(crate) struct RunWriter {
    path: PathBuf,
    file: BufWriter<File>,
    partition: Partition,
    /// The last record, held back until one with another key comes.
    held: Option<Record>,
    block: Vec<u8>,
    fences: Vec<u8>,
    count: u64,
}

impl RunWriter {
    pub(crate) fn create(path: PathBuf, partition: Partition) -> Result<Self, IdentityError> {
        let file = File::create(&path).map_err(|error| IdentityError::from_io(&path, error))?;
        Ok(Self {
            file: BufWriter::with_capacity(1 << 18, file),
            path,
            partition,
            held: None,
            block: Vec::with_capacity(BLOCK_BYTES),
            fences: Vec::new(),
            count: 0,
        })
    }

    /// Records come in ascending order of key, and those of one key in ledger order.
    pub(crate) fn push(&mut self, record: Record) -> Result<(), IdentityError> {
        match self.held.replace(record) {
            Some(held) if held.key != record.key => {
                debug_assert!(held.key < record.key);
                self.write(held)
            }
            Some(_) | None => Ok(()),
        }
    }

    fn write(&mut self, record: Record) -> Result<(), IdentityError> {
        self.block.extend_from_slice(&record.encode());
        self.count += 1;
        if self.block.len() == BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), IdentityError> {
        if self.block.is_empty() {
            return Ok(());
        }
        let first = Record::decode(&self.block).key;
        self.fences.extend_from_slice(&prefix_of(first).to_le_bytes());
        self.fences.extend_from_slice(&crc32fast::hash(&self.block).to_le_bytes());
        self.file
            .write_all(&self.block)
            .map_err(|error| IdentityError::from_io(&self.path, error))?;
        self.block.clear();
        Ok(())
    }

    /// `covers` says which entries and days; its count and checksum are filled in here.
    pub(crate) fn finish(mut self, covers: RunEntry) -> Result<UnadoptedRun, IdentityError> {
        if let Some(held) = self.held.take() {
            self.write(held)?;
        }
        self.end_block()?;
        let mut entry = RunEntry { count: self.count, ..covers };
        let footer = entry.footer(self.partition, crc32fast::hash(&self.fences));
        entry.checksum = u32_at(&footer, 52);
        let Self { path, mut file, fences, .. } = self;
        file.write_all(&fences)
            .and_then(|()| file.write_all(&footer))
            .and_then(|()| file.flush())
            .and_then(|()| file.get_ref().sync_all())
            .map_err(|error| IdentityError::from_io(&path, error))?;
        Ok(UnadoptedRun { temporary: path, entry })
    }
}

/// A run that is open for reading: its fences in memory (12 bytes per 128 identities).
#[derive(Debug)]
pub(crate) struct OpenRun {
    path: PathBuf,
    file: File,
    count: usize,
    fence_keys: Vec<u64>,
    fence_checksums: Vec<u32>,
}

impl OpenRun {
    /// Checks everything but the records.
    pub(crate) fn open(
        folder: &Path,
        partition: Partition,
        entry: &RunEntry,
    ) -> Result<Self, IdentityError> {
        let path = folder.join(entry.file_name());
        let failed = |error| IdentityError::from_io(&path, error);
        let mut file = File::open(&path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() != entry.file_bytes() {
            return Err(IdentityError::corrupt(&path, "its length is not the manifest's"));
        }
        let mut tail = vec![0; entry.blocks() * FENCE_BYTES + FOOTER_BYTES];
        file.seek(SeekFrom::Start(entry.count * RECORD_BYTES as u64)).map_err(failed)?;
        file.read_exact(&mut tail).map_err(failed)?;
        let (fences, footer) = tail.split_at(entry.blocks() * FENCE_BYTES);
        check_footer(&path, footer, fences, partition, entry)?;
        let (fence_keys, fence_checksums) = fences
            .chunks_exact(FENCE_BYTES)
            .map(|fence| (u64::from_le_bytes(first_eight(fence)), u32_at(fence, 8)))
            .unzip();
        Ok(Self { path, file, count: entry.count as usize, fence_keys, fence_checksums })
    }

    /// One read of a block, of two when a fence has the key's very first 64 bits.
    pub(crate) fn find(&self, key: IdentityKey) -> Result<Option<Record>, IdentityError> {
        let prefix = prefix_of(key);
        let after = self.fence_keys.partition_point(|fence| *fence < prefix);
        let mut buffer = [0; BLOCK_BYTES];
        for block in after.saturating_sub(1)..self.fence_keys.len() {
            if self.fence_keys[block] > prefix {
                break;
            }
            let bytes = &mut buffer[..self.block_bytes(block, block + 1)];
            self.read_blocks(block, bytes)?;
            let key_at = |at: usize| Record::decode(&bytes[at * RECORD_BYTES..]);
            let (mut low, mut high) = (0, bytes.len() / RECORD_BYTES);
            while low < high {
                let middle = low.midpoint(high);
                let record = key_at(middle);
                match record.key.cmp(&key) {
                    std::cmp::Ordering::Less => low = middle + 1,
                    std::cmp::Ordering::Greater => high = middle,
                    std::cmp::Ordering::Equal => return Ok(Some(record)),
                }
            }
        }
        Ok(None)
    }

    pub(crate) fn cursor(&self) -> RunCursor<'_> {
        RunCursor { run: self, next_block: 0, chunk: Vec::new(), at: 0 }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.fence_keys.capacity() * 8 + self.fence_checksums.capacity() * 4
    }

    fn block_bytes(&self, from: usize, to: usize) -> usize {
        (to * BLOCK_RECORDS).min(self.count) * RECORD_BYTES - from * BLOCK_BYTES
    }

    /// Reads and checks whole blocks, from `first` on.
    fn read_blocks(&self, first: usize, bytes: &mut [u8]) -> Result<(), IdentityError> {
        self.file
            .read_exact_at(bytes, (first * BLOCK_BYTES) as u64)
            .map_err(|error| IdentityError::from_io(&self.path, error))?;
        for (block, checksum) in bytes.chunks(BLOCK_BYTES).zip(&self.fence_checksums[first..]) {
            let right = crc32fast::hash(block) == *checksum;
            if !right && !sabotage::is_on(sabotage::Break::ChecksumsIgnored) {
                return Err(IdentityError::corrupt(&self.path, "the checksum of a block differs"));
            }
        }
        Ok(())
    }
}

fn check_footer(
    path: &Path,
    footer: &[u8],
    fences: &[u8],
    partition: Partition,
    entry: &RunEntry,
) -> Result<(), IdentityError> {
    let mut reader = Reader::new(footer);
    if reader.take(8) != Some(&MAGIC) {
        return Err(IdentityError::corrupt(path, "it is not a run of identities"));
    }
    // The version is told apart from damage only when the checksum holds.
    if crc32fast::hash(&footer[..52]) == u32_at(footer, 52) && u32_at(footer, 8) != VERSION {
        return Err(IdentityError::UnknownVersion {
            file: name_of(path),
            found: u32_at(footer, 8),
        });
    }
    if entry.checksum != u32_at(footer, 52) || entry.footer(partition, u32_at(footer, 48)) != footer
    {
        return Err(IdentityError::corrupt(path, "its footer is not the manifest's"));
    }
    if crc32fast::hash(fences) != u32_at(footer, 48) {
        return Err(IdentityError::corrupt(path, "the checksum of its fences differs"));
    }
    Ok(())
}

/// Reads a run from its first key to its last.
pub(crate) struct RunCursor<'a> {
    run: &'a OpenRun,
    next_block: usize,
    chunk: Vec<u8>,
    at: usize,
}

impl RunCursor<'_> {
    pub(crate) fn next(&mut self) -> Result<Option<Record>, IdentityError> {
        if self.at == self.chunk.len() {
            let blocks = self.run.fence_keys.len();
            if self.next_block == blocks {
                return Ok(None);
            }
            let until = blocks.min(self.next_block + CHUNK_BLOCKS);
            self.chunk.resize(self.run.block_bytes(self.next_block, until), 0);
            self.run.read_blocks(self.next_block, &mut self.chunk)?;
            self.next_block = until;
            self.at = 0;
        }
        let record = Record::decode(&self.chunk[self.at..]);
        self.at += RECORD_BYTES;
        Ok(Some(record))
    }
}

fn prefix_of(key: IdentityKey) -> u64 {
    (key.0 >> 64) as u64
}

fn first_eight(bytes: &[u8]) -> [u8; 8] {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[..8]);
    eight
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
