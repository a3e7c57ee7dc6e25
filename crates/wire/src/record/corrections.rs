//! Charges that were replaced, and decisions about what was held back.

use ledger::{Corrected, Corrector, QuarantineDecided};

use crate::avro::Writer;
use crate::record::charge::{read_debit, read_draws, write_debit, write_draws};
use crate::record::controls::{read_budget_uses, write_budget_uses};
use crate::record::fields::Fields;
use crate::record::holds::{read_returns, write_returns};
use crate::record::lots::{read_by, write_by};
use crate::record::schema::EntryVersion;

const BY_HAND: u8 = 0;
const PRODUCER: u8 = 1;

pub(super) fn write_corrected(writer: &mut Writer<'_>, corrected: &Corrected<'_>) {
    match &corrected.by {
        Corrector::ByHand(by) => {
            writer.branch(BY_HAND);
            write_by(writer, by);
        }
        Corrector::Producer { id, time, content } => {
            writer.branch(PRODUCER);
            writer.string(id);
            writer.time(*time);
            writer.content(*content);
        }
    }
    writer.number(corrected.corrects.0);
    writer.number(corrected.charge.0);
    writer.time(corrected.recorded_at);
    write_debit(writer, &corrected.before);
    writer.optional(corrected.now.as_ref(), write_debit);
    write_returns(writer, &corrected.returns);
    writer.amount(corrected.forgiven);
    writer.amount(corrected.lot);
    write_draws(writer, &corrected.draws);
    writer.amount(corrected.overage);
    write_budget_uses(writer, &corrected.budgets);
}

/// Its charges are in today's form, whichever version they were written under.
pub(super) fn read_corrected<'a>(fields: &mut Fields<'a>, account: &'a str) -> Box<Corrected<'a>> {
    Box::new(Corrected {
        by: read_corrector(fields),
        corrects: fields.entry_number("corrects"),
        charge: fields.entry_number("charge"),
        recorded_at: fields.time("recorded_at"),
        before: *read_debit(fields, account, EntryVersion::V3),
        now: fields.optional("now", |fields, _| *read_debit(fields, account, EntryVersion::V3)),
        returns: read_returns(fields, "returns"),
        forgiven: fields.amount("forgiven"),
        lot: fields.amount("lot"),
        draws: read_draws(fields, "draws"),
        overage: fields.amount("overage"),
        budgets: read_budget_uses(fields),
    })
}

fn read_corrector<'a>(fields: &mut Fields<'a>) -> Corrector<'a> {
    match fields.branch("by") {
        BY_HAND => Corrector::ByHand(read_by(fields)),
        PRODUCER => Corrector::Producer {
            id: fields.text("by.id"),
            time: fields.time("by.time"),
            content: fields.content("by.content"),
        },
        _ => {
            fields.no_such_branch("by");
            Corrector::ByHand(read_by(fields))
        }
    }
}

pub(super) fn write_decided(writer: &mut Writer<'_>, decided: &QuarantineDecided<'_>) {
    write_by(writer, &decided.by);
    writer.number(decided.held.0);
    writer.branch(decided.topic.code());
    writer.long(decided.offset.0);
    writer.string(&decided.source);
    writer.string(&decided.id);
    writer.reason(decided.reason);
    writer.boolean(decided.accepted);
}

pub(super) fn read_decided<'a>(fields: &mut Fields<'a>) -> QuarantineDecided<'a> {
    QuarantineDecided {
        by: read_by(fields),
        held: fields.entry_number("held"),
        topic: fields.word("topic"),
        offset: fields.offset("offset"),
        source: fields.text("source"),
        id: fields.text("id"),
        reason: fields.reason("reason"),
        accepted: fields.boolean("accepted"),
    }
}
