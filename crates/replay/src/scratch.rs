//! What a proof keeps on disk: a few bytes per entry, so that memory does not grow with the ledger.
//! The files have no name; they are gone with the process.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

use domain::{ContentHash, EntryNumber, IdentityKey, Partition};

const ROW_BYTES: usize = 40;
/// Rows in memory before they are written.
const ROWS_BUFFERED: usize = 16_384;

/// What is remembered of one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) kind: RowKind,
    /// Whether a later entry corrected (or, of unrated usage, resolved) it.
    pub(crate) is_spent: bool,
    /// The identity that it took, and of which meaning.
    pub(crate) identity: Option<(IdentityKey, ContentHash)>,
    /// Of the charge that it stands for.
    pub(crate) charge: ContentHash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowKind {
    Charge,
    Unrated,
    Other,
}

impl Row {
    fn bytes(&self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        let (key, content) = self.identity.unwrap_or((IdentityKey(0), ContentHash(0)));
        bytes[..16].copy_from_slice(&key.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&content.0.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.charge.0.to_le_bytes());
        bytes[32] = match self.kind {
            RowKind::Charge => 1,
            RowKind::Unrated => 2,
            RowKind::Other => 0,
        };
        bytes[33] = u8::from(self.is_spent);
        bytes[34] = u8::from(self.identity.is_some());
        bytes
    }

    fn of(bytes: &[u8; ROW_BYTES]) -> Self {
        let number = |range: std::ops::Range<usize>| {
            let mut eight = [0; 8];
            eight.copy_from_slice(&bytes[range]);
            u64::from_le_bytes(eight)
        };
        let key = u128::from(number(0..8)) | u128::from(number(8..16)) << 64;
        Self {
            kind: match bytes[32] {
                1 => RowKind::Charge,
                2 => RowKind::Unrated,
                _ => RowKind::Other,
            },
            is_spent: bytes[33] != 0,
            identity: (bytes[34] != 0).then(|| (IdentityKey(key), ContentHash(number(16..24)))),
            charge: ContentHash(number(24..32)),
        }
    }
}

/// The rows of one partition, by entry number from 1: 40 bytes each on disk.
#[derive(Debug)]
pub(crate) struct Rows {
    file: File,
    written: u64,
    buffered: Vec<Row>,
}

impl Rows {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, written: 0, buffered: Vec::new() })
    }

    /// Forgets everything, for another partition.
    pub(crate) fn clear(&mut self) {
        self.written = 0;
        self.buffered.clear();
    }

    /// Adds the row of the next entry.
    pub(crate) fn push(&mut self, row: Row) -> io::Result<()> {
        self.buffered.push(row);
        if self.buffered.len() >= ROWS_BUFFERED {
            self.file.seek(SeekFrom::Start(self.written * ROW_BYTES as u64))?;
            let bytes: Vec<u8> = self.buffered.iter().flat_map(Row::bytes).collect();
            self.file.write_all(&bytes)?;
            self.written += self.buffered.len() as u64;
            self.buffered.clear();
        }
        Ok(())
    }

    pub(crate) fn get(&mut self, entry: EntryNumber) -> io::Result<Option<Row>> {
        let Some(index) = entry.0.checked_sub(1) else { return Ok(None) };
        if let Some(buffered) = index.checked_sub(self.written) {
            let index = usize::try_from(buffered).unwrap_or(usize::MAX);
            return Ok(self.buffered.get(index).copied());
        }
        let mut bytes = [0; ROW_BYTES];
        self.file.seek(SeekFrom::Start(index * ROW_BYTES as u64))?;
        self.file.read_exact(&mut bytes)?;
        Ok(Some(Row::of(&bytes)))
    }

    /// Says that a later entry corrected it.
    pub(crate) fn spend(&mut self, entry: EntryNumber) -> io::Result<()> {
        let Some(index) = entry.0.checked_sub(1) else { return Ok(()) };
        if let Some(buffered) = index.checked_sub(self.written) {
            let index = usize::try_from(buffered).unwrap_or(usize::MAX);
            if let Some(row) = self.buffered.get_mut(index) {
                row.is_spent = true;
            }
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(index * ROW_BYTES as u64 + 33))?;
        self.file.write_all(&[1])
    }
}

/// An identity that was charged, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChargedIdentity {
    /// Of source and id, without the account.
    pub(crate) event: u128,
    pub(crate) account: u64,
    pub(crate) partition: u32,
    pub(crate) entry: u64,
}

const IDENTITY_BYTES: usize = 36;
/// Identities in memory at once: 48 MiB.
const IDENTITIES_MAX: usize = 1_000_000;

/// Sorts identities on disk: 36 bytes each, and 8 KiB of memory per million of them.
#[derive(Debug, Default)]
pub(crate) struct SortedIdentities {
    pending: Vec<ChargedIdentity>,
    runs: Vec<File>,
}

impl SortedIdentities {
    pub(crate) fn push(&mut self, identity: ChargedIdentity) -> io::Result<()> {
        self.pending.push(identity);
        if self.pending.len() >= IDENTITIES_MAX {
            self.pending.sort_unstable();
            let mut writer = BufWriter::new(tempfile::tempfile()?);
            for identity in self.pending.drain(..) {
                writer.write_all(&identity.bytes())?;
            }
            self.runs.push(writer.into_inner().map_err(io::IntoInnerError::into_error)?);
        }
        Ok(())
    }

    /// Visits every two that follow one another.
    pub(crate) fn pairs(
        mut self,
        visit: &mut dyn FnMut(&ChargedIdentity, &ChargedIdentity),
    ) -> io::Result<u64> {
        self.pending.sort_unstable();
        let mut rest = self.pending.into_iter();
        let mut readers = Vec::new();
        for mut run in self.runs {
            run.seek(SeekFrom::Start(0))?;
            readers.push(BufReader::new(run));
        }
        let in_memory = readers.len();
        let mut heads = BinaryHeap::new();
        for (index, reader) in readers.iter_mut().enumerate() {
            heads.extend(ChargedIdentity::read(reader)?.map(|head| Reverse((head, index))));
        }
        heads.extend(rest.next().map(|head| Reverse((head, in_memory))));
        let mut before: Option<ChargedIdentity> = None;
        let mut count = 0;
        while let Some(Reverse((identity, index))) = heads.pop() {
            count += 1;
            if let Some(before) = &before {
                visit(before, &identity);
            }
            before = Some(identity);
            let next = match readers.get_mut(index) {
                Some(reader) => ChargedIdentity::read(reader)?,
                None => rest.next(),
            };
            heads.extend(next.map(|head| Reverse((head, index))));
        }
        Ok(count)
    }
}

impl ChargedIdentity {
    pub(crate) fn name(&self) -> String {
        projection::entry_id(Partition(self.partition), EntryNumber(self.entry))
    }

    fn bytes(&self) -> [u8; IDENTITY_BYTES] {
        let mut bytes = [0; IDENTITY_BYTES];
        bytes[..16].copy_from_slice(&self.event.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.account.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.partition.to_le_bytes());
        bytes[28..].copy_from_slice(&self.entry.to_le_bytes());
        bytes
    }

    fn read(reader: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; IDENTITY_BYTES];
        match reader.read_exact(&mut bytes) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let number = |range: std::ops::Range<usize>| {
            let mut eight = [0; 8];
            eight[..range.len()].copy_from_slice(&bytes[range]);
            u64::from_le_bytes(eight)
        };
        Ok(Some(Self {
            event: u128::from(number(0..8)) | u128::from(number(8..16)) << 64,
            account: number(16..24),
            partition: u32::try_from(number(24..28)).unwrap_or(u32::MAX),
            entry: number(28..36),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_on_disk_and_in_memory_and_can_be_spent() {
        let mut rows = Rows::new().unwrap();
        let row = |number: u64| Row {
            kind: if number.is_multiple_of(2) { RowKind::Charge } else { RowKind::Unrated },
            is_spent: false,
            identity: (!number.is_multiple_of(3))
                .then(|| (IdentityKey(u128::from(number) << 70 | 5), ContentHash(number))),
            charge: ContentHash(number + 1),
        };
        let count = ROWS_BUFFERED as u64 * 2 + 7;
        for number in 1..=count {
            rows.push(row(number)).unwrap();
        }
        for number in [1, 2, 3, ROWS_BUFFERED as u64, ROWS_BUFFERED as u64 + 1, count] {
            let entry = EntryNumber(number);
            assert_eq!(rows.get(entry).unwrap(), Some(row(number)));
            rows.spend(entry).unwrap();
            assert_eq!(rows.get(entry).unwrap(), Some(Row { is_spent: true, ..row(number) }));
        }
        assert_eq!(rows.get(EntryNumber(0)).unwrap(), None);
        assert_eq!(rows.get(EntryNumber(count + 1)).unwrap(), None);
    }

    #[test]
    fn identities_come_sorted_out_of_runs_and_memory() {
        let mut sorted = SortedIdentities::default();
        let count = IDENTITIES_MAX as u64 * 2 + 11;
        for number in 0..count {
            let mixed = number.wrapping_mul(7_919) % count;
            let identity = ChargedIdentity {
                event: u128::from(mixed) << 64 | 1,
                account: mixed,
                partition: 3,
                entry: number,
            };
            sorted.push(identity).unwrap();
        }
        let mut seen = 0;
        let total = sorted
            .pairs(&mut |before, next| {
                assert!(before < next && before.event + (1 << 64) == next.event);
                seen += 1;
            })
            .unwrap();
        assert_eq!((total, seen), (count, count - 1));
    }
}
