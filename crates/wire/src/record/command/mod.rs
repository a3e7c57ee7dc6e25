//! Commands (`schemas/command`): an input, so everything in it is checked.

mod body;
mod content;

use ledger::Command;

use crate::avro::Writer;
use crate::record::error::{Flaw, RecordError};
use crate::record::fields::{Bound, Fields, open};
use crate::record::limits::{self, LEDGER_RECORD_BYTES_MAX};
use crate::record::schema::{
    COMMAND_V1_FINGERPRINT, COMMAND_V2_FINGERPRINT, COMMAND_V3_FINGERPRINT,
};

pub use content::command_content;

const WITHIN: Bound = Bound { elements_max: limits::command::WITHIN_MAX, element_bytes_min: 1 };

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// Grant, adjust and void; no bound on the accounts.
    V1,
    /// Holds, plans, budgets, refunds and reversals.
    V2,
    V3,
}

/// Appends a command to `out` as an Avro single-object record.
pub fn encode_command(command: &Command<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(COMMAND_V3_FINGERPRINT);
    writer.string(&command.account);
    writer.string(&command.id);
    writer.string(&command.actor);
    writer.string(&command.reason);
    writer.optional(command.deadline, Writer::time);
    writer.long(command.correlation.cast_signed());
    body::write(writer, &command.body);
    writer.array(command.within.iter(), |writer, account| writer.string(account));
}

/// Reads a record of `ledger.commands`.
///
/// # Errors
/// For a record that is no command within the limits for what comes in; [`RecordError::fault`]
/// says what its dead letter says. Whether it can be carried out is the ledger's to decide.
pub fn decode_command(record: &[u8]) -> Result<Command<'_>, RecordError> {
    let (version, mut fields) = match open(record, LEDGER_RECORD_BYTES_MAX)? {
        (COMMAND_V3_FINGERPRINT, fields) => (Version::V3, fields),
        (COMMAND_V2_FINGERPRINT, fields) => (Version::V2, fields),
        (COMMAND_V1_FINGERPRINT, fields) => (Version::V1, fields),
        (fingerprint, _) => return Err(RecordError::UnknownSchema { fingerprint }),
    };
    let command = Command {
        account: fields.checked_text("account"),
        id: fields.checked_name("id"),
        actor: fields.checked_name("actor"),
        reason: fields.checked_text("reason"),
        deadline: fields.optional("deadline", Fields::checked_time),
        correlation: fields.long("correlation").cast_unsigned(),
        body: body::read(&mut fields, version),
        within: match version {
            Version::V1 => Vec::new(),
            Version::V2 | Version::V3 => {
                fields.array("within", WITHIN, |fields| fields.checked_name("within"))
            }
        },
    };
    // A hold knows its account.
    if command.account.is_empty() && command.body.hold().is_none() {
        fields.fail("account", Flaw::EmptyText);
    }
    fields.end(command)
}
