//! Bytes to domain: usage events in Avro and in CloudEvents JSON.
//!
//! **Architecture invariant:** nothing here reads a clock, a file or a socket, knows a price, or
//! decides what becomes of an event. A record is either an event within every stated limit or a
//! [`Fault`] with a reason code, a field and a value; no bytes make it panic, and none make it
//! allocate more than a small multiple of what a record may have.
//!
//! The faults of a record and which of them is given: see `faults`. What makes two events the
//! same: see `canonical`.
#![deny(clippy::float_arithmetic)]

mod avro;
mod batch;
mod canonical;
mod draft;
mod faults;
mod json;
#[cfg(test)]
mod property_tests;
mod record;
mod usage_avro;

use std::fmt::Write;

use domain::limits::INPUT_RECORD_BYTES_MAX;
use domain::{ContentHash, Fault, Reason, Text, UsageEvent};

pub use batch::{BatchError, split_events};
#[cfg(any(test, feature = "arbitrary"))]
pub use record::arbitrary;
pub use record::{
    ACCESS_LIST_MAX, AccessChange, AccessRecord, KeyBounds, KeyCreated, KeyId, NotAKeyId, Replaced,
    Role, WEBHOOK_SECRETS_MAX, WebhookSecret, WebhookSet, decode_access, encode_access,
};
pub use record::{
    Attempt, AttemptOutcome, DeliveryChange, DeliveryRecord, EventPlace, NotADelivery,
    decode_delivery, encode_delivery,
};
pub use record::{
    CATALOGUE_RECORD_BYTES_MAX, CatalogueVersion, DeadLetter, DocumentHash, DocumentKind,
    LEDGER_RECORD_BYTES_MAX, LedgerRecord, Malformed, RECORD_SCHEMAS, RecordError, RecordSchema,
    Reply, ReplyOutcome, command_content, decode_account_event, decode_catalogue_version,
    decode_command, decode_dead_letter, decode_ledger, decode_reply, document_hash,
    encode_account_event, encode_adopted, encode_catalogue_version, encode_command,
    encode_dead_letter, encode_entry, encode_reply, encode_seal, is_seal,
};
pub use record::{
    DeadLetterRetry, LetterRecord, decode_dead_letter_retry, decode_letter_record,
    encode_dead_letter_retry,
};
pub use usage_avro::{USAGE_EVENT_V1_FINGERPRINT, USAGE_EVENT_V2_FINGERPRINT};

use draft::Draft;
use faults::{Alarm, Faults, NoteFault, Path};

/// A usage event, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded<'a> {
    /// Defaults filled in, pools disjoint; texts borrow from the record where they can.
    pub event: UsageEvent<'a>,
    /// The hash of its meaning, the same for JSON and Avro.
    pub content: ContentHash,
    /// Fields that the format does not have, on any level; always 0 for Avro.
    pub unknown_fields: u32,
}

/// Reads one record of `usage.raw`.
///
/// The first bytes tell the kinds apart: `{` (after JSON whitespace) is CloudEvents JSON, `C3 01`
/// is Avro's single-object encoding. Everything else is `unsupported_framing`; so is `00`, which
/// is reserved for Confluent's framing, and so is an empty record.
///
/// A fault of the record as a whole (its size, its framing, JSON or text encoding that is broken,
/// a schema that nobody knows) has the empty field.
pub fn decode_usage(record: &[u8]) -> Result<Decoded<'_>, Fault> {
    if record.len() <= INPUT_RECORD_BYTES_MAX && record.starts_with(&avro::SINGLE_OBJECT_MARKER) {
        let (mut draft, mut alarm) = (Draft::default(), Alarm::default());
        usage_avro::read(record, &mut draft, &mut alarm);
        if !alarm.raised {
            return Ok(draft.finish());
        }
    }
    let (mut draft, mut faults) = (Draft::default(), Faults::default());
    read_draft(record, &mut draft, &mut faults);
    match faults.take() {
        Some(fault) => Err(fault),
        None => Ok(draft.finish()),
    }
}

/// Who a record seems to be from and about, read leniently: what stands there, whatever else is
/// wrong with the record. For people who look for its producer; nothing is charged by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Glimpse<'a> {
    pub account: Option<Text<'a>>,
    pub source: Option<Text<'a>>,
    pub id: Option<Text<'a>>,
}

/// Reads as much of a record of `usage.raw` as can be read.
pub fn glimpse(record: &[u8]) -> Glimpse<'_> {
    let (mut draft, mut faults) = (Draft::default(), Faults::default());
    read_draft(record, &mut draft, &mut faults);
    fn there(text: Text<'_>) -> Option<Text<'_>> {
        (!text.is_empty()).then_some(text)
    }
    let UsageEvent { account, source, id, .. } = draft.event;
    Glimpse { account: there(account), source: there(source), id: there(id) }
}

/// How a record is written, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Framing {
    Json,
    /// Avro's single-object encoding, with the fingerprint of its schema.
    Avro {
        fingerprint: u64,
    },
    /// Confluent's framing, with the id of its schema in their registry.
    Confluent {
        schema: u32,
    },
    Empty,
    Unknown,
}

impl Framing {
    /// Looks at the first bytes and nothing else.
    pub fn of(record: &[u8]) -> Self {
        if record.is_empty() {
            return Self::Empty;
        }
        if let Some((fingerprint, _)) = avro::split_single_object(record) {
            return Self::Avro { fingerprint };
        }
        if let [0, a, b, c, d, ..] = *record {
            return Self::Confluent { schema: u32::from_be_bytes([a, b, c, d]) };
        }
        match record.iter().find(|byte| !batch::is_whitespace(**byte)) {
            Some(b'{') => Self::Json,
            Some(_) | None => Self::Unknown,
        }
    }
}

impl std::fmt::Display for Framing {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Json => formatter.write_str("json"),
            Self::Avro { fingerprint: USAGE_EVENT_V1_FINGERPRINT } => {
                formatter.write_str("avro:usage-event-v1")
            }
            Self::Avro { fingerprint } => write!(formatter, "avro:{fingerprint:016x}"),
            Self::Confluent { schema } => write!(formatter, "confluent:{schema}"),
            Self::Empty => formatter.write_str("empty"),
            Self::Unknown => formatter.write_str("unknown"),
        }
    }
}

/// Appends `event` to `out` as an Avro single-object record, for producers and tests. Its pools
/// are disjoint, so it says that they are counted exclusively; reading it back gives the same event.
///
/// Limits are not checked: the reader of the record does that.
pub fn encode_usage(event: &UsageEvent<'_>, out: &mut Vec<u8>) {
    usage_avro::encode(event, out);
}

fn read_draft<'a>(record: &'a [u8], draft: &mut Draft<'a>, faults: &mut Faults) {
    if record.len() > INPUT_RECORD_BYTES_MAX {
        let shown = format!("{} bytes", record.len());
        return faults.note(Reason::RecordTooLarge, Path::Root, &shown);
    }
    if record.starts_with(&avro::SINGLE_OBJECT_MARKER) {
        return usage_avro::read(record, draft, faults);
    }
    if record.iter().find(|byte| !batch::is_whitespace(**byte)) == Some(&b'{') {
        return json::read(record, draft, faults);
    }
    let mut shown = String::new();
    for byte in record.iter().take(8) {
        // Writing to a string cannot fail.
        write!(shown, "{byte:02x} ").ok();
    }
    faults.note(Reason::UnsupportedFraming, Path::Root, shown.trim_end());
}
