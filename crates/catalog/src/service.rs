//! The rate service: checks documents and publishes them as versions on `rates.catalog`.
//!
//! There is one writer at a time, however many processes could be it: to publish is to join under
//! the one writer's name, which fences whoever had it before, then to read the catalogue to its
//! end, to check against that, and to commit. A commit that succeeds has therefore seen every
//! version before it; one that was fenced meanwhile publishes nothing ([`PublishError::Raced`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use domain::limits::OUTPUT_RECORD_BYTES_MAX;
use domain::{CatalogueId, Offset, Text, Timestamp};
use eventlog::{Append, CommitOutcome, EventLog, LogError, Member, MemberSpec};
use rating::{Document, DocumentError, Kind, OutOfOrder, Standing, Version};
use wire::{CatalogueVersion, DocumentKind};

use crate::follower::CATALOGUE;
use crate::impact::Comparison;
use crate::{CatalogueError, Follower, Impact};

const GROUP: &str = "tally-rates";
const WRITER: &str = "tally-rates";
/// How long the catalogue may take to be read.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_WAIT: Duration = Duration::from_millis(50);

/// A document to publish.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    pub toml: &'a str,
    pub actor: &'a str,
    pub reason: &'a str,
    /// Publish although usage already charged would be priced differently.
    pub retroactive: bool,
    /// Check and measure only.
    pub dry_run: bool,
    pub now: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub kind: Kind,
    pub id: String,
    /// The version within its id, from 1.
    pub version: u32,
    /// Where it stands in `rates.catalog`; `None` for a new version of a dry run.
    pub offset: Option<Offset>,
    /// The same content was there before; nothing was written.
    pub already_published: bool,
    /// What is allowed and probably not meant.
    pub warnings: Vec<String>,
    pub impact: Impact,
}

/// A version as it stands in the catalogue's topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedVersion {
    pub offset: Offset,
    /// Within its kind and id, from 1.
    pub version: u32,
    pub record: CatalogueVersion<'static>,
}

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(
        "the document takes {bytes} bytes as a record, and {OUTPUT_RECORD_BYTES_MAX} are the most"
    )]
    TooLarge { bytes: usize },
    #[error(
        "{} charged events would be priced differently, by {} credits in all: say --retroactive to \
         publish all the same; what was charged stays as it is",
        .0.charged_events, .0.charged_credits
    )]
    RetroactiveRequired(Impact),
    /// Somebody else published at the same time.
    #[error("another rate service published meanwhile: {0}; try again")]
    Raced(String),
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    #[error(transparent)]
    Order(#[from] OutOfOrder),
}

impl From<LogError> for PublishError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Fenced(why) => Self::Raced(why),
            other => Self::Catalogue(CatalogueError::Log(other)),
        }
    }
}

/// Publishes versions. Blocking; its calls within one process wait for one another.
pub struct RateService {
    log: Arc<dyn EventLog>,
    partitions: u32,
    publishing: Mutex<()>,
}

impl std::fmt::Debug for RateService {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RateService")
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

impl RateService {
    /// For a deployment whose ledger has so many partitions.
    pub fn new(log: Arc<dyn EventLog>, partitions: u32) -> Self {
        Self { log, partitions, publishing: Mutex::new(()) }
    }

    /// Checks a document, measures what it changes, and publishes it.
    ///
    /// # Errors
    /// [`PublishError`]; then nothing was published, unless it says that the log was away at the
    /// end: the same call again finds out.
    pub fn publish(&self, publication: &Publication<'_>) -> Result<Published, PublishError> {
        let document = Document::parse(publication.toml)?;
        // A poisoned lock guards nothing: the log holds the state.
        let one_at_a_time = self.publishing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut writer = match publication.dry_run {
            true => None,
            false => Some(self.join()?),
        };
        let mut follower = Follower::start(self.log.as_ref(), PATIENCE)?;
        let next = follower.prices().next;
        let before = follower.prices().catalogue.clone();
        let mut published = Published {
            kind: document.kind(),
            id: document.id().to_owned(),
            version: 0,
            offset: None,
            already_published: false,
            warnings: document.warnings().to_vec(),
            impact: Impact::default(),
        };
        match before.check(&document)? {
            Standing::AlreadyPublished { id, ordinal } => {
                published.version = ordinal;
                published.offset = Some(Offset(i64::from(id.0)));
                published.already_published = true;
                return Ok(published);
            }
            Standing::New { ordinal } => published.version = ordinal,
        }
        let mut after = before.clone();
        let id = CatalogueId(u32::try_from(next.0).unwrap_or(u32::MAX));
        after.apply(id, document.clone())?;
        let comparison = Comparison { before: &before, after: &after, document: &document };
        published.impact =
            comparison.measure(self.log.as_ref(), self.partitions, publication.now)?;
        if publication.dry_run {
            return Ok(published);
        }
        if published.impact.charged_events > 0 && !publication.retroactive {
            return Err(PublishError::RetroactiveRequired(published.impact));
        }
        if let Some(writer) = &mut writer {
            self.write(writer.as_mut(), &document, publication)?;
        }
        let version = self.find(&mut follower, next, &document)?;
        published.version = version.ordinal;
        published.offset = Some(Offset(i64::from(version.id.0)));
        drop(one_at_a_time);
        Ok(published)
    }

    fn join(&self) -> Result<Box<dyn Member>, LogError> {
        self.log.join(&MemberSpec {
            group: GROUP.to_owned(),
            topics: Vec::new(),
            writer: Some(WRITER.to_owned()),
        })
    }

    fn write(
        &self,
        writer: &mut dyn Member,
        document: &Document,
        publication: &Publication<'_>,
    ) -> Result<(), PublishError> {
        let version = CatalogueVersion {
            kind: record_kind(document.kind()),
            id: Text::Borrowed(document.id()),
            effective_from: document.effective_from(),
            toml: Text::Borrowed(publication.toml),
            content: wire::document_hash(publication.toml),
            published_at: publication.now,
            actor: Text::Borrowed(publication.actor),
            reason: Text::Borrowed(publication.reason),
            retroactive: publication.retroactive,
        };
        let mut value = Vec::with_capacity(publication.toml.len() + 256);
        wire::encode_catalogue_version(&version, &mut value);
        if value.len() > OUTPUT_RECORD_BYTES_MAX - 4_096 {
            return Err(PublishError::TooLarge { bytes: value.len() });
        }
        let key = document.id().as_bytes();
        writer.append(Append { to: CATALOGUE, key, value: &value, headers: &[] })?;
        match writer.commit(&[]) {
            CommitOutcome::Committed => Ok(()),
            CommitOutcome::Aborted(why) => Err(LogError::Unavailable(why).into()),
            CommitOutcome::Fenced(why) => Err(PublishError::Raced(why)),
            CommitOutcome::Unknown(why) => {
                // Joining again ends what is left of that transaction, one way or the other.
                tracing::warn!(why, "publishing: the outcome of the commit is not known");
                drop(self.join()?);
                Ok(())
            }
        }
    }

    /// The version that was just committed.
    fn find(
        &self,
        follower: &mut Follower,
        from: Offset,
        document: &Document,
    ) -> Result<Arc<Version>, PublishError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = follower.prices().catalogue.versions().find(|version| {
                i64::from(version.id.0) >= from.0
                    && version.document.kind() == document.kind()
                    && version.document.id() == document.id()
                    && version.document.normal_form() == document.normal_form()
            });
            if let Some(version) = found {
                return Ok(Arc::clone(version));
            }
            // The end with open transactions: the one that was just committed may count as open for
            // a moment, until the log has marked its end.
            let caught_up = follower.position() >= self.log.bounds(CATALOGUE)?.end;
            if caught_up {
                let why = "the version did not come to stand in rates.catalog; publish it again";
                return Err(LogError::Unavailable(why.to_owned()).into());
            }
            if Instant::now() > deadline {
                return Err(CatalogueError::Late(PATIENCE).into());
            }
            follower.poll(POLL_WAIT)?;
        }
    }
}

/// Every version in the order of publication, with who published it and why.
///
/// # Errors
/// Those of the log, and an unreadable version.
pub fn published(log: &dyn EventLog) -> Result<Vec<PublishedVersion>, CatalogueError> {
    let bounds = log.bounds(CATALOGUE)?;
    let mut reader = log.reader(&[(CATALOGUE, bounds.start)])?;
    let mut versions: Vec<PublishedVersion> = Vec::new();
    let mut failed = None;
    let deadline = Instant::now() + PATIENCE;
    while reader.position(CATALOGUE) < bounds.stable_end {
        reader.poll(256, POLL_WAIT, &mut |record| match wire::decode_catalogue_version(
            record.value,
        ) {
            Ok(version) => {
                let same = |other: &&PublishedVersion| {
                    other.record.kind == version.kind && other.record.id == version.id
                };
                let before = versions.iter().filter(same).count();
                versions.push(PublishedVersion {
                    offset: record.offset,
                    version: u32::try_from(before + 1).unwrap_or(u32::MAX),
                    record: version.into_owned(),
                });
            }
            Err(why) => {
                let why = why.to_string();
                failed = Some(CatalogueError::Unreadable { offset: record.offset, why });
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if Instant::now() > deadline {
            return Err(CatalogueError::Late(PATIENCE));
        }
    }
    Ok(versions)
}

const fn record_kind(kind: Kind) -> DocumentKind {
    match kind {
        Kind::PriceBook => DocumentKind::PriceBook,
        Kind::RateCard => DocumentKind::RateCard,
        Kind::Plan => DocumentKind::Plan,
        Kind::Defaults => DocumentKind::Defaults,
    }
}
