//! What was sent again of the dead letters (`schemas/dead-letter-retry`).
//!
//! The mark stands behind its letter, in the same partition of the same topic, so that reading the
//! topic once tells which letters are still open. It is written after the bytes were sent: whoever
//! is interrupted in between sends them a second time, which the event's identity makes harmless;
//! the other way round they might never be sent.

use domain::{Offset, Partition, Text, Timestamp};

use crate::avro::Writer;
use crate::record::dead_letter::{DeadLetter, decode_dead_letter};
use crate::record::error::RecordError;
use crate::record::fields::{Fields, open, open_one};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::{DEAD_LETTER_RETRY_V1_FINGERPRINT, DEAD_LETTER_V1_FINGERPRINT};

/// A dead letter whose bytes were sent to `usage.raw` again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRetry<'a> {
    /// The letter, in the mark's own partition.
    pub letter: Offset,
    /// Where its bytes stand now, in `usage.raw`.
    pub partition: Partition,
    pub offset: Offset,
    pub retried_at: Timestamp,
    pub actor: Text<'a>,
}

/// A record of `usage.dead-letters`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LetterRecord<'a> {
    Letter(DeadLetter<'a>),
    Retry(DeadLetterRetry<'a>),
}

/// Appends a retry to `out` as an Avro single-object record.
pub fn encode_dead_letter_retry(retry: &DeadLetterRetry<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.single_object_header(DEAD_LETTER_RETRY_V1_FINGERPRINT);
    writer.long(retry.letter.0);
    writer.long(i64::from(retry.partition.0));
    writer.long(retry.offset.0);
    writer.time(retry.retried_at);
    writer.string(&retry.actor);
}

/// Reads a mark alone.
///
/// # Errors
/// For a record that is none.
pub fn decode_dead_letter_retry(record: &[u8]) -> Result<DeadLetterRetry<'_>, RecordError> {
    let fields = open_one(record, LEDGER_RECORD_BYTES_MAX, DEAD_LETTER_RETRY_V1_FINGERPRINT)?;
    read(fields)
}

/// Reads a record of `usage.dead-letters`, whichever it is.
///
/// # Errors
/// For a record that is neither a letter nor a retry.
pub fn decode_letter_record(record: &[u8]) -> Result<LetterRecord<'_>, RecordError> {
    match open(record, LEDGER_RECORD_BYTES_MAX)? {
        (DEAD_LETTER_RETRY_V1_FINGERPRINT, fields) => read(fields).map(LetterRecord::Retry),
        (DEAD_LETTER_V1_FINGERPRINT, _) => decode_dead_letter(record).map(LetterRecord::Letter),
        (fingerprint, _) => Err(RecordError::UnknownSchema { fingerprint }),
    }
}

fn read(mut fields: Fields<'_>) -> Result<DeadLetterRetry<'_>, RecordError> {
    let retry = DeadLetterRetry {
        letter: fields.offset("letter_offset"),
        partition: Partition(fields.number("partition")),
        offset: fields.offset("offset"),
        retried_at: fields.time("retried_at"),
        actor: fields.long_text("actor"),
    };
    fields.end(retry)
}
