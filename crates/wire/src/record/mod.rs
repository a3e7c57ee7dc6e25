//! Bytes of everything that stands on tally's own topics: ledger entries, seals and adoptions;
//! commands and replies; account events; catalogue versions; dead letters and their retries; keys and webhook
//! endpoints; deliveries to them.
//!
//! Each is Avro in single-object encoding: `C3 01`, the schema's fingerprint, the body. The
//! schemas are the files under `schemas/`. Codecs are written by hand for speed, and equal to
//! apache-avro by property tests; texts borrow from the record.
//!
//! **Evolution.** A fingerprint that is not known is an error of its own, on which a reader of the
//! ledger halts: it was written by a newer tally, and guessing would be worse. A new version of a
//! schema gets a fingerprint and a reader here before anything writes it; old readers stay.

mod access;
mod account_event;
mod adopted;
#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
mod charge;
mod command;
mod controls;
mod corrections;
mod dead_letter;
mod dead_letter_retry;
mod entry;
mod error;
mod event;
mod fields;
mod holds;
mod limits;
mod lots;
mod plans;
mod reply;
mod schema;
mod seal;
mod terms;
#[cfg(test)]
mod tests;
mod version;
mod webhook;

use ledger::{CatalogueAdopted, Entry, Seal};
use schema::EntryVersion;

pub use access::{
    ACCESS_LIST_MAX, AccessChange, AccessRecord, KeyBounds, KeyCreated, KeyId, NotAKeyId, Replaced,
    Role, WEBHOOK_SECRETS_MAX, WebhookSecret, WebhookSet, decode_access, encode_access,
};
pub use account_event::{decode_account_event, encode_account_event};
pub use adopted::encode_adopted;
pub use command::{command_content, decode_command, encode_command};
pub use dead_letter::{DeadLetter, decode_dead_letter, encode_dead_letter};
pub use dead_letter_retry::{
    DeadLetterRetry, LetterRecord, decode_dead_letter_retry, decode_letter_record,
    encode_dead_letter_retry,
};
pub use entry::encode_entry;
pub use error::{Malformed, RecordError};
pub use limits::{CATALOGUE_RECORD_BYTES_MAX, LEDGER_RECORD_BYTES_MAX};
pub use reply::{Reply, ReplyOutcome, decode_reply, encode_reply};
pub use schema::{RECORD_SCHEMAS, RecordSchema};
pub use seal::encode_seal;
pub use version::{
    CatalogueVersion, DocumentHash, DocumentKind, decode_catalogue_version, document_hash,
    encode_catalogue_version,
};
pub use webhook::{
    Attempt, AttemptOutcome, DeliveryChange, DeliveryRecord, EventPlace, NotADelivery,
    decode_delivery, encode_delivery,
};

/// A record of `ledger.entries`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerRecord<'a> {
    Entry(Entry<'a>),
    Seal(Seal),
    Adopted(CatalogueAdopted),
}

/// Whether a record of `ledger.entries` is a seal, without reading it.
pub fn is_seal(record: &[u8]) -> bool {
    crate::avro::split_single_object(record)
        .is_some_and(|(fingerprint, _)| fingerprint == schema::SEAL_V1_FINGERPRINT)
}

/// Reads a record of `ledger.entries`.
///
/// # Errors
/// For a record that is none of the three; on [`RecordError::UnknownSchema`] a reader must halt
/// rather than pass over what it cannot read, and on the others the ledger's bytes are damaged.
pub fn decode_ledger(record: &[u8]) -> Result<LedgerRecord<'_>, RecordError> {
    let (fingerprint, fields) = fields::open(record, LEDGER_RECORD_BYTES_MAX)?;
    match fingerprint {
        schema::LEDGER_ENTRY_V3_FINGERPRINT => {
            entry::read(fields, EntryVersion::V3).map(LedgerRecord::Entry)
        }
        schema::LEDGER_ENTRY_V2_FINGERPRINT => {
            entry::read(fields, EntryVersion::V2).map(LedgerRecord::Entry)
        }
        schema::LEDGER_ENTRY_V1_FINGERPRINT => {
            entry::read(fields, EntryVersion::V1).map(LedgerRecord::Entry)
        }
        schema::SEAL_V1_FINGERPRINT => seal::read(fields).map(LedgerRecord::Seal),
        schema::CATALOGUE_ADOPTED_V1_FINGERPRINT => {
            adopted::read(fields).map(LedgerRecord::Adopted)
        }
        fingerprint => Err(RecordError::UnknownSchema { fingerprint }),
    }
}
