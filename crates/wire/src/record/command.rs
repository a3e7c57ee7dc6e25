//! Commands (`schemas/command`): an input, so everything in it is checked.

use domain::limits::INPUT_RECORD_BYTES_MAX;
use domain::{Amount, ContentHash, Credits};
use ledger::{Command, CommandBody, GrantTerms};

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::{Fields, open_one};
use crate::record::schema::COMMAND_V1_FINGERPRINT;

/// The places of the bodies in their union.
mod body {
    pub(super) const GRANT: u8 = 0;
    pub(super) const ADJUST: u8 = 1;
    pub(super) const VOID: u8 = 2;
}

/// Appends a command to `out` as an Avro single-object record.
pub fn encode_command(command: &Command<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(COMMAND_V1_FINGERPRINT);
    writer.string(&command.account);
    writer.string(&command.id);
    writer.string(&command.actor);
    writer.string(&command.reason);
    writer.optional(command.deadline, Writer::time);
    writer.long(command.correlation.cast_signed());
    match &command.body {
        CommandBody::Grant(terms) => {
            writer.branch(body::GRANT);
            write_terms(writer, terms);
        }
        CommandBody::Adjust { credits } => {
            writer.branch(body::ADJUST);
            writer.amount(*credits);
        }
        CommandBody::Void { lot, credits } => {
            writer.branch(body::VOID);
            writer.number(lot.0);
            writer.optional(*credits, Writer::amount);
        }
    }
}

fn write_terms(writer: &mut Writer<'_>, terms: &GrantTerms) {
    writer.amount(terms.credits);
    writer.branch(terms.category.code());
    writer.int(i32::from(terms.priority));
    writer.optional(terms.effective, Writer::time);
    writer.optional(terms.expires, Writer::time);
    writer.amount(terms.paid);
    writer.optional(terms.currency, |writer, currency| writer.string(currency.as_str()));
}

/// Reads a record of `ledger.commands`.
///
/// # Errors
/// For a record that is no command within the limits for what comes in; [`RecordError::fault`]
/// says what its dead letter says. Whether it can be carried out is the ledger's to decide.
pub fn decode_command(record: &[u8]) -> Result<Command<'_>, RecordError> {
    let mut fields = open_one(record, INPUT_RECORD_BYTES_MAX, COMMAND_V1_FINGERPRINT)?;
    let command = Command {
        account: fields.checked_name("account"),
        id: fields.checked_name("id"),
        actor: fields.checked_name("actor"),
        reason: fields.checked_text("reason"),
        deadline: fields.optional("deadline", Fields::checked_time),
        correlation: fields.long("correlation").cast_unsigned(),
        body: read_body(&mut fields),
    };
    fields.end(command)
}

fn read_body(fields: &mut Fields<'_>) -> CommandBody {
    match fields.branch("body") {
        body::GRANT => CommandBody::Grant(read_terms(fields)),
        body::ADJUST => CommandBody::Adjust { credits: fields.checked_amount("credits") },
        body::VOID => CommandBody::Void {
            lot: fields.lot("lot"),
            credits: fields.optional("credits", Fields::checked_amount),
        },
        _ => {
            fields.no_such_branch("body");
            CommandBody::Adjust { credits: Credits::ZERO }
        }
    }
}

fn read_terms(fields: &mut Fields<'_>) -> GrantTerms {
    GrantTerms {
        credits: fields.checked_amount("credits"),
        category: fields.word("category"),
        priority: fields.number("priority"),
        effective: fields.optional("effective", Fields::checked_time),
        expires: fields.optional("expires", Fields::checked_time),
        paid: fields.checked_amount("paid"),
        currency: fields.optional("currency", Fields::currency),
    }
}

/// The hash of a command's meaning: what it asks of which account, and why. The same id with
/// another hash is a conflict.
///
/// Left out: the id itself, the deadline and the correlation, which a retry sets anew, and the
/// actor, whose key may have been changed between two tries.
///
/// The bytes hashed are a version byte, texts with their length (8 bytes, little-endian), numbers
/// little-endian at full width, and before each value that may be absent a byte that says whether
/// it is there. Hashes are kept in the ledger forever: the form never changes.
pub fn command_content(command: &Command<'_>) -> ContentHash {
    let mut meaning = Meaning(vec![1]);
    meaning.text(&command.account);
    meaning.text(&command.reason);
    match &command.body {
        CommandBody::Grant(terms) => {
            meaning.0.push(body::GRANT);
            meaning.amount(terms.credits);
            meaning.0.extend([terms.category.code(), terms.priority]);
            meaning.optional(terms.effective, |meaning, time| meaning.long(time.micros()));
            meaning.optional(terms.expires, |meaning, time| meaning.long(time.micros()));
            meaning.amount(terms.paid);
            meaning.optional(terms.currency, |meaning, currency| meaning.text(currency.as_str()));
        }
        CommandBody::Adjust { credits } => {
            meaning.0.push(body::ADJUST);
            meaning.amount(*credits);
        }
        CommandBody::Void { lot, credits } => {
            meaning.0.push(body::VOID);
            meaning.0.extend(lot.0.to_le_bytes());
            meaning.optional(*credits, Meaning::amount);
        }
    }
    ContentHash::of(&meaning.0)
}

struct Meaning(Vec<u8>);

impl Meaning {
    fn text(&mut self, text: &str) {
        self.0.extend((text.len() as u64).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn amount(&mut self, amount: impl Amount) {
        self.0.extend(amount.atoms().to_le_bytes());
    }

    fn long(&mut self, long: i64) {
        self.0.extend(long.to_le_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}
