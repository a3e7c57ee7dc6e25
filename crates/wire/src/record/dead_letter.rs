//! Dead letters (`schemas/dead-letter`).

use std::borrow::Cow;

use domain::{Offset, Partition, Reason, Text, Timestamp, TopicPartition};

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::{Fields, open_one};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::DEAD_LETTER_V1_FINGERPRINT;

/// An input that could not be processed, with its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter<'a> {
    pub reason: Reason,
    /// The path of the field at fault; empty for the record as a whole.
    pub field: Text<'a>,
    /// The value as it was sent, shortened.
    pub value: Text<'a>,
    /// Where it was read.
    pub at: TopicPartition,
    pub offset: Offset,
    /// When the log took it.
    pub received_at: Timestamp,
    /// Account, source and id, as far as they could be read.
    pub account: Option<Text<'a>>,
    pub source: Option<Text<'a>>,
    pub id: Option<Text<'a>>,
    /// The record's bytes as they were read.
    pub record: Cow<'a, [u8]>,
}

/// Appends a dead letter to `out` as an Avro single-object record.
pub fn encode_dead_letter(letter: &DeadLetter<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.single_object_header(DEAD_LETTER_V1_FINGERPRINT);
    writer.reason(letter.reason);
    writer.string(&letter.field);
    writer.string(&letter.value);
    writer.branch(letter.at.topic.code());
    writer.long(i64::from(letter.at.partition.0));
    writer.long(letter.offset.0);
    writer.time(letter.received_at);
    writer.optional_text(letter.account.as_ref());
    writer.optional_text(letter.source.as_ref());
    writer.optional_text(letter.id.as_ref());
    writer.bytes(&letter.record);
}

/// Reads a record of `usage.dead-letters`. Its texts may have any length: they come from records
/// that were refused, perhaps for that.
///
/// # Errors
/// For a record that is no dead letter.
pub fn decode_dead_letter(record: &[u8]) -> Result<DeadLetter<'_>, RecordError> {
    let mut fields = open_one(record, LEDGER_RECORD_BYTES_MAX, DEAD_LETTER_V1_FINGERPRINT)?;
    let letter = DeadLetter {
        reason: fields.reason("reason"),
        field: fields.long_text("field"),
        value: fields.long_text("value"),
        at: TopicPartition {
            topic: fields.word("topic"),
            partition: Partition(fields.number("partition")),
        },
        offset: fields.offset("offset"),
        received_at: fields.time("received_at"),
        account: fields.optional("account", Fields::long_text),
        source: fields.optional("source", Fields::long_text),
        id: fields.optional("id", Fields::long_text),
        record: fields.bytes("record"),
    };
    fields.end(letter)
}
