//! The fold of `rates.catalog`.

use std::time::{Duration, Instant};

use domain::{CatalogueId, Offset, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError, Reader};
use rating::{Catalogue, Document};

pub(crate) const CATALOGUE: TopicPartition =
    TopicPartition { topic: Topic::RatesCatalog, partition: Partition(0) };
const RECORDS_PER_POLL: usize = 256;

/// Why the catalogue cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    #[error(transparent)]
    Log(#[from] LogError),
    /// The rate service publishes nothing that cannot be read, so the reader is too old or the
    /// topic was written to by something else.
    #[error("rates.catalog@{offset} cannot be read: {why}")]
    Unreadable { offset: Offset, why: String },
    #[error("rates.catalog was not read to its end within {0:?}")]
    Late(Duration),
}

/// All published versions up to an offset. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    pub catalogue: Catalogue,
    /// The next offset after the last version that is in it.
    pub next: Offset,
    /// BLAKE3 over the hash before and each version's bytes.
    pub hash: [u8; 32],
}

impl Prices {
    /// Adds the version at `offset`.
    ///
    /// # Errors
    /// [`CatalogueError::Unreadable`].
    pub fn fold(&mut self, offset: Offset, bytes: &[u8]) -> Result<(), CatalogueError> {
        let unreadable = |why: String| CatalogueError::Unreadable { offset, why };
        let version =
            wire::decode_catalogue_version(bytes).map_err(|why| unreadable(why.to_string()))?;
        let document = Document::parse(&version.toml).map_err(|why| unreadable(why.to_string()))?;
        let id = u32::try_from(offset.0).map_err(|why| unreadable(why.to_string()))?;
        self.catalogue
            .apply(CatalogueId(id), document)
            .map_err(|why| unreadable(why.to_string()))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.hash);
        hasher.update(bytes);
        self.hash = *hasher.finalize().as_bytes();
        self.next = offset.next();
        Ok(())
    }
}

/// Follows `rates.catalog`.
pub struct Follower {
    reader: Box<dyn Reader>,
    prices: Prices,
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Follower").field("next", &self.prices.next).finish_non_exhaustive()
    }
}

impl Follower {
    /// Reads the catalogue to the end that it has now.
    ///
    /// # Errors
    /// Those of the log, an unreadable version, or [`CatalogueError::Late`].
    pub fn start(log: &dyn EventLog, patience: Duration) -> Result<Self, CatalogueError> {
        let bounds = log.bounds(CATALOGUE)?;
        let reader = log.reader(&[(CATALOGUE, bounds.start)])?;
        let mut follower = Self { reader, prices: Prices::default() };
        let deadline = Instant::now() + patience;
        // The end with open transactions: what is being published must not be passed over.
        while follower.reader.position(CATALOGUE) < bounds.end {
            follower.poll(Duration::from_millis(50))?;
            if Instant::now() > deadline {
                return Err(CatalogueError::Late(patience));
            }
        }
        Ok(follower)
    }

    /// Takes what has been published since. Returns whether anything was.
    ///
    /// # Errors
    /// Those of the log, or an unreadable version.
    pub fn poll(&mut self, wait: Duration) -> Result<bool, CatalogueError> {
        let before = self.prices.next;
        let mut failed = None;
        let prices = &mut self.prices;
        self.reader.poll(RECORDS_PER_POLL, wait, &mut |record| {
            if failed.is_none() {
                failed = prices.fold(record.offset, record.value).err();
            }
        })?;
        match failed {
            Some(error) => Err(error),
            None => Ok(self.prices.next != before),
        }
    }

    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// The next offset of `rates.catalog` that may hold a version, past control records.
    pub(crate) fn position(&self) -> Offset {
        self.reader.position(CATALOGUE)
    }
}
