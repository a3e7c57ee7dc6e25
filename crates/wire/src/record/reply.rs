//! Replies to commands (`schemas/reply`).
//!
//! A reply lives for as long as somebody waits for it, so only one version is read: one of another
//! is unknown, and whoever waited for it asks again and gets [`ReplyOutcome::Repeated`].

use std::borrow::Cow;

use domain::{EntryNumber, Partition, Reason, Text, Timestamp};
use ledger::Balance;

use crate::avro::Writer;
use crate::record::entry::{read_balance, write_balance};
use crate::record::error::RecordError;
use crate::record::fields::{Fields, open_one};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::REPLY_V2_FINGERPRINT;

/// How a command ended, for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    /// Empty when the command could not be read.
    pub account: Text<'a>,
    /// The command's id; empty when it could not be read.
    pub command: Text<'a>,
    /// The command's own; a command with 0 gets no reply.
    pub correlation: u64,
    /// The ledger partition that decided it.
    pub partition: Partition,
    /// When it was decided.
    pub ledger_time: Timestamp,
    pub outcome: ReplyOutcome<'a>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyOutcome<'a> {
    Applied {
        /// The entry that it made.
        entry: EntryNumber,
        /// The entry's own record, so that the answer is a function of the entry alone. Reading it
        /// is left to whoever answers.
        record: Cow<'a, [u8]>,
    },
    /// The same command was carried out before.
    Repeated {
        /// The entry that it made then.
        entry: EntryNumber,
        /// The balance when the repetition was seen.
        now: Balance,
    },
    Refused {
        reason: Reason,
        /// The entry that another command with the same id made.
        conflicts_with: Option<EntryNumber>,
        /// The balance, which stays as it was.
        now: Balance,
    },
    /// It could not be read and is among the dead letters.
    BadCommand { reason: Reason, field: Text<'a>, value: Text<'a> },
}

/// The places of the outcomes in their union.
mod outcome {
    pub(super) const APPLIED: u8 = 0;
    pub(super) const REPEATED: u8 = 1;
    pub(super) const REFUSED: u8 = 2;
    pub(super) const BAD_COMMAND: u8 = 3;
}

impl Reply<'_> {
    /// Lets go of the record that the texts borrow from.
    pub fn into_owned(self) -> Reply<'static> {
        let owned = |text: Text<'_>| Cow::Owned(text.into_owned());
        Reply {
            account: owned(self.account),
            command: owned(self.command),
            correlation: self.correlation,
            partition: self.partition,
            ledger_time: self.ledger_time,
            outcome: match self.outcome {
                ReplyOutcome::Applied { entry, record } => {
                    ReplyOutcome::Applied { entry, record: Cow::Owned(record.into_owned()) }
                }
                ReplyOutcome::Repeated { entry, now } => ReplyOutcome::Repeated { entry, now },
                ReplyOutcome::Refused { reason, conflicts_with, now } => {
                    ReplyOutcome::Refused { reason, conflicts_with, now }
                }
                ReplyOutcome::BadCommand { reason, field, value } => {
                    ReplyOutcome::BadCommand { reason, field: owned(field), value: owned(value) }
                }
            },
        }
    }
}

/// Appends a reply to `out` as an Avro single-object record.
pub fn encode_reply(reply: &Reply<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(REPLY_V2_FINGERPRINT);
    writer.string(&reply.account);
    writer.string(&reply.command);
    writer.long(reply.correlation.cast_signed());
    writer.long(i64::from(reply.partition.0));
    writer.time(reply.ledger_time);
    match &reply.outcome {
        ReplyOutcome::Applied { entry, record } => {
            writer.branch(outcome::APPLIED);
            writer.number(entry.0);
            writer.bytes(record);
        }
        ReplyOutcome::Repeated { entry, now } => {
            writer.branch(outcome::REPEATED);
            writer.number(entry.0);
            write_balance(writer, now);
        }
        ReplyOutcome::Refused { reason, conflicts_with, now } => {
            writer.branch(outcome::REFUSED);
            writer.reason(*reason);
            writer.optional(*conflicts_with, |writer, entry| writer.number(entry.0));
            write_balance(writer, now);
        }
        ReplyOutcome::BadCommand { reason, field, value } => {
            writer.branch(outcome::BAD_COMMAND);
            writer.reason(*reason);
            writer.string(field);
            writer.string(value);
        }
    }
}

/// Reads a record of `ledger.replies`.
///
/// # Errors
/// For a record that is no reply.
pub fn decode_reply(record: &[u8]) -> Result<Reply<'_>, RecordError> {
    let mut fields = open_one(record, LEDGER_RECORD_BYTES_MAX, REPLY_V2_FINGERPRINT)?;
    let reply = Reply {
        account: fields.text("account"),
        command: fields.text("command"),
        correlation: fields.long("correlation").cast_unsigned(),
        partition: Partition(fields.number("partition")),
        ledger_time: fields.time("ledger_time"),
        outcome: read_outcome(&mut fields),
    };
    fields.end(reply)
}

fn read_outcome<'a>(fields: &mut Fields<'a>) -> ReplyOutcome<'a> {
    match fields.branch("outcome") {
        outcome::APPLIED => ReplyOutcome::Applied {
            entry: fields.entry_number("entry"),
            record: fields.bytes("record"),
        },
        outcome::REPEATED => ReplyOutcome::Repeated {
            entry: fields.entry_number("entry"),
            now: read_balance(fields),
        },
        outcome::REFUSED => ReplyOutcome::Refused {
            reason: fields.reason("reason"),
            conflicts_with: fields.optional("conflicts_with", Fields::entry_number),
            now: read_balance(fields),
        },
        outcome::BAD_COMMAND => ReplyOutcome::BadCommand {
            reason: fields.reason("reason"),
            field: fields.long_text("field"),
            value: fields.long_text("value"),
        },
        _ => {
            fields.no_such_branch("outcome");
            ReplyOutcome::Repeated { entry: EntryNumber(0), now: read_balance(fields) }
        }
    }
}
