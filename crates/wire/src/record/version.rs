//! Catalogue versions (`schemas/catalogue-version`): immutable documents on `rates.catalog`.

use std::borrow::Cow;

use domain::{Text, Timestamp};
use serde::{Deserialize, Serialize};

use crate::avro::Writer;
use crate::record::error::{Flaw, RecordError};
use crate::record::fields::open_one;
use crate::record::limits::CATALOGUE_RECORD_BYTES_MAX;
use crate::record::schema::CATALOGUE_VERSION_V1_FINGERPRINT;

/// BLAKE3 over a document's text.
pub type DocumentHash = [u8; 32];

/// What a catalogue document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DocumentKind {
    PriceBook = 0,
    RateCard = 1,
    Plan = 2,
    Defaults = 3,
}

impl DocumentKind {
    pub const ALL: [Self; 4] = [Self::PriceBook, Self::RateCard, Self::Plan, Self::Defaults];

    pub const fn word(self) -> &'static str {
        match self {
            Self::PriceBook => "price_book",
            Self::RateCard => "rate_card",
            Self::Plan => "plan",
            Self::Defaults => "defaults",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    pub const fn code(self) -> u8 {
        self as u8
    }

    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

/// One version of one document. Its record's offset is its [`domain::CatalogueId`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueVersion<'a> {
    pub kind: DocumentKind,
    /// The document's name; versions compete within one id.
    pub id: Text<'a>,
    pub effective_from: Timestamp,
    /// The document as it was published.
    pub toml: Text<'a>,
    /// [`document_hash`] of `toml`; reading checks it.
    pub content: DocumentHash,
    pub published_at: Timestamp,
    pub actor: Text<'a>,
    pub reason: Text<'a>,
    /// Published knowing that usage already charged would be priced differently.
    pub retroactive: bool,
}

impl CatalogueVersion<'_> {
    /// Lets go of the record that the texts borrow from.
    pub fn into_owned(self) -> CatalogueVersion<'static> {
        let owned = |text: Text<'_>| Cow::Owned(text.into_owned());
        CatalogueVersion {
            kind: self.kind,
            id: owned(self.id),
            effective_from: self.effective_from,
            toml: owned(self.toml),
            content: self.content,
            published_at: self.published_at,
            actor: owned(self.actor),
            reason: owned(self.reason),
            retroactive: self.retroactive,
        }
    }
}

/// The hash that tells whether two documents are the same.
pub fn document_hash(toml: &str) -> DocumentHash {
    *blake3::hash(toml.as_bytes()).as_bytes()
}

/// Appends a version to `out` as an Avro single-object record.
pub fn encode_catalogue_version(version: &CatalogueVersion<'_>, out: &mut Vec<u8>) {
    debug_assert_eq!(version.content, document_hash(&version.toml));
    let mut writer = Writer::new(out);
    writer.single_object_header(CATALOGUE_VERSION_V1_FINGERPRINT);
    writer.branch(version.kind.code());
    writer.string(&version.id);
    writer.time(version.effective_from);
    writer.string(&version.toml);
    writer.fixed(&version.content);
    writer.time(version.published_at);
    writer.string(&version.actor);
    writer.string(&version.reason);
    writer.boolean(version.retroactive);
}

/// Reads a record of `rates.catalog`.
///
/// # Errors
/// For a record that is no version, or whose document is not the one that was hashed.
pub fn decode_catalogue_version(record: &[u8]) -> Result<CatalogueVersion<'_>, RecordError> {
    let expected = CATALOGUE_VERSION_V1_FINGERPRINT;
    let mut fields = open_one(record, CATALOGUE_RECORD_BYTES_MAX, expected)?;
    let version = CatalogueVersion {
        kind: fields.word("kind"),
        id: fields.text("id"),
        effective_from: fields.time("effective_from"),
        toml: fields.long_text("toml"),
        content: fields.fixed("content"),
        published_at: fields.time("published_at"),
        actor: fields.text("actor"),
        reason: fields.text("reason"),
        retroactive: fields.boolean("retroactive"),
    };
    if version.content != document_hash(&version.toml) {
        fields.fail("content", Flaw::ContentDiffers);
    }
    fields.end(version)
}
