//! What the index consists of at one offset of the ledger: the list of its runs.

use domain::{Day, Offset};

use crate::bytes::Reader;
use crate::error::IdentityError;
use crate::run::RunEntry;

const VERSION: u32 = 1;
/// Stands for a file name in errors: a manifest lives inside a snapshot.
const NAME: &str = "the identity manifest";

/// The index at a committed seal. A snapshot embeds its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexManifest {
    /// The ledger offset up to which identities are in the runs, exclusive.
    pub at: Offset,
    /// The first entry seen of each ledger day that had one, ascending in both.
    pub days: Vec<(Offset, Day)>,
    /// In ledger order, not overlapping.
    pub runs: Vec<RunEntry>,
}

impl IndexManifest {
    /// Of an index that has seen nothing.
    pub fn empty() -> Self {
        Self { at: Offset::ZERO, days: Vec::new(), runs: Vec::new() }
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&self.at.0.to_le_bytes());
        bytes.extend_from_slice(&(self.days.len() as u32).to_le_bytes());
        for (from, day) in &self.days {
            bytes.extend_from_slice(&from.0.to_le_bytes());
            bytes.extend_from_slice(&day.0.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.runs.len() as u32).to_le_bytes());
        for run in &self.runs {
            bytes.extend_from_slice(&run.from.0.to_le_bytes());
            bytes.extend_from_slice(&run.to.0.to_le_bytes());
            bytes.extend_from_slice(&run.first_day.0.to_le_bytes());
            bytes.extend_from_slice(&run.last_day.0.to_le_bytes());
            bytes.extend_from_slice(&run.count.to_le_bytes());
            bytes.push(run.level);
            bytes.extend_from_slice(&run.checksum.to_le_bytes());
        }
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let corrupt = |reason| IdentityError::Corrupt { file: NAME.to_owned(), reason };
        let Some((body, checksum)) = bytes.split_last_chunk::<4>() else {
            return Err(corrupt("it ends too early"));
        };
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return Err(corrupt("its checksum differs"));
        }
        let mut reader = Reader::new(body);
        match reader.u32() {
            Some(VERSION) => {}
            Some(found) => {
                return Err(IdentityError::UnknownVersion { file: NAME.to_owned(), found });
            }
            None => return Err(corrupt("it ends too early")),
        }
        let manifest = read(&mut reader).ok_or_else(|| corrupt("it ends too early"))?;
        if !reader.is_at_end() || !manifest.is_in_order() {
            return Err(corrupt("its runs do not fit together"));
        }
        Ok(manifest)
    }

    /// Ranges ascend without overlap up to `at`, and days ascend with them.
    pub(crate) fn is_in_order(&self) -> bool {
        let runs = self.runs.iter().all(|run| {
            Offset::ZERO <= run.from
                && run.from < run.to
                && run.to <= self.at
                && run.first_day <= run.last_day
        });
        let neighbours = self
            .runs
            .windows(2)
            .all(|pair| pair[0].to <= pair[1].from && pair[0].last_day <= pair[1].first_day);
        let days = self.days.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1);
        let starts = match (self.days.first(), self.runs.first()) {
            (Some((from, _)), Some(run)) => *from <= run.from,
            (None, Some(_)) => false,
            (Some(_) | None, None) => true,
        };
        runs && neighbours && days && starts
    }
}

fn read(reader: &mut Reader<'_>) -> Option<IndexManifest> {
    let at = Offset(reader.i64()?);
    let days = (0..reader.u32()?)
        .map(|_| Some((Offset(reader.i64()?), Day(reader.i32()?))))
        .collect::<Option<_>>()?;
    let runs = (0..reader.u32()?)
        .map(|_| {
            Some(RunEntry {
                from: Offset(reader.i64()?),
                to: Offset(reader.i64()?),
                first_day: Day(reader.i32()?),
                last_day: Day(reader.i32()?),
                count: reader.u64()?,
                level: reader.u8()?,
                checksum: reader.u32()?,
            })
        })
        .collect::<Option<_>>()?;
    Some(IndexManifest { at, days, runs })
}
