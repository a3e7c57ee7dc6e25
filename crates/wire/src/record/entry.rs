//! Entries of the ledger (`schemas/ledger-entry`): what every entry has, and which body follows.

use domain::{Text, Timestamp, UsageEvent};
use ledger::{Balance, Body, Cause, Entry};

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::Fields;
use crate::record::schema::LEDGER_ENTRY_V1_FINGERPRINT;
use crate::record::{charge, lots};

/// The places of the causes in their union.
mod cause {
    pub(super) const INPUT: u8 = 0;
    pub(super) const TIMER: u8 = 1;
    pub(super) const CATALOGUE: u8 = 2;
}

/// The places of the bodies in their union.
mod body {
    pub(super) const DEBIT: u8 = 0;
    pub(super) const UNRATED: u8 = 1;
    pub(super) const QUARANTINED: u8 = 2;
    pub(super) const GRANT: u8 = 3;
    pub(super) const ADJUSTMENT: u8 = 4;
    pub(super) const LOT_VOIDED: u8 = 5;
    pub(super) const LOT_ACTIVATED: u8 = 6;
    pub(super) const LOT_IN_GRACE: u8 = 7;
    pub(super) const LOT_EXPIRED: u8 = 8;
}

/// Appends an entry to `out` as an Avro single-object record.
///
/// The event's account is not written: it is the entry's (a debug build asserts it).
pub fn encode_entry(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(LEDGER_ENTRY_V1_FINGERPRINT);
    writer.number(entry.number.0);
    writer.string(&entry.account);
    writer.number(entry.sequence.0);
    writer.time(entry.recorded_at);
    write_cause(writer, &entry.cause);
    write_balance(writer, &entry.after);
    write_body(writer, entry);
}

fn write_cause(writer: &mut Writer<'_>, cause: &Cause) {
    match cause {
        Cause::Input { topic, offset } => {
            writer.branch(cause::INPUT);
            writer.branch(topic.code());
            writer.long(offset.0);
        }
        Cause::Timer { due } => {
            writer.branch(cause::TIMER);
            writer.time(*due);
        }
        Cause::Catalogue { next } => {
            writer.branch(cause::CATALOGUE);
            writer.long(next.0);
        }
    }
}

pub(super) fn write_balance(writer: &mut Writer<'_>, balance: &Balance) {
    writer.amount(balance.settled);
    writer.amount(balance.overage);
    writer.amount(balance.held);
    writer.amount(balance.in_grace);
}

fn write_body(writer: &mut Writer<'_>, entry: &Entry<'_>) {
    let of_the_entry = |event: &UsageEvent<'_>| event.account == entry.account;
    match &entry.body {
        Body::Debit(debit) => {
            debug_assert!(of_the_entry(&debit.event));
            writer.branch(body::DEBIT);
            charge::write_debit(writer, debit);
        }
        Body::Unrated(unrated) => {
            debug_assert!(of_the_entry(&unrated.event));
            writer.branch(body::UNRATED);
            charge::write_unrated(writer, unrated);
        }
        Body::Quarantined(quarantined) => {
            writer.branch(body::QUARANTINED);
            charge::write_quarantined(writer, quarantined);
        }
        Body::Grant(grant) => {
            writer.branch(body::GRANT);
            lots::write_grant(writer, grant);
        }
        Body::Adjustment(adjustment) => {
            writer.branch(body::ADJUSTMENT);
            lots::write_adjustment(writer, adjustment);
        }
        Body::LotVoided(closed) => {
            writer.branch(body::LOT_VOIDED);
            lots::write_closed(writer, closed);
        }
        Body::LotActivated(activated) => {
            writer.branch(body::LOT_ACTIVATED);
            lots::write_activated(writer, activated);
        }
        Body::LotInGrace(in_grace) => {
            writer.branch(body::LOT_IN_GRACE);
            lots::write_in_grace(writer, in_grace);
        }
        Body::LotExpired(closed) => {
            writer.branch(body::LOT_EXPIRED);
            lots::write_closed(writer, closed);
        }
    }
}

pub(super) fn read(mut fields: Fields<'_>) -> Result<Entry<'_>, RecordError> {
    let number = fields.entry_number("number");
    let account = fields.str("account");
    let entry = Entry {
        number,
        account: Text::Borrowed(account),
        sequence: fields.sequence("sequence"),
        recorded_at: fields.time("recorded_at"),
        cause: read_cause(&mut fields),
        after: read_balance(&mut fields),
        body: read_body(&mut fields, account),
    };
    fields.end(entry)
}

fn read_cause(fields: &mut Fields<'_>) -> Cause {
    match fields.branch("cause") {
        cause::INPUT => Cause::Input {
            topic: fields.word("cause.topic"),
            offset: fields.offset("cause.offset"),
        },
        cause::TIMER => Cause::Timer { due: fields.time("cause.due") },
        cause::CATALOGUE => Cause::Catalogue { next: fields.offset("cause.next") },
        _ => {
            fields.no_such_branch("cause");
            Cause::Timer { due: Timestamp::ZERO }
        }
    }
}

pub(super) fn read_balance(fields: &mut Fields<'_>) -> Balance {
    Balance {
        settled: fields.amount("balance.settled"),
        overage: fields.amount("balance.overage"),
        held: fields.amount("balance.held"),
        in_grace: fields.amount("balance.in_grace"),
    }
}

fn read_body<'a>(fields: &mut Fields<'a>, account: &'a str) -> Body<'a> {
    match fields.branch("body") {
        body::DEBIT => Body::Debit(charge::read_debit(fields, account)),
        body::UNRATED => Body::Unrated(charge::read_unrated(fields, account)),
        body::QUARANTINED => Body::Quarantined(charge::read_quarantined(fields)),
        body::GRANT => Body::Grant(lots::read_grant(fields)),
        body::ADJUSTMENT => Body::Adjustment(lots::read_adjustment(fields)),
        body::LOT_VOIDED => Body::LotVoided(lots::read_closed(fields)),
        body::LOT_ACTIVATED => Body::LotActivated(lots::read_activated(fields)),
        body::LOT_IN_GRACE => Body::LotInGrace(lots::read_in_grace(fields)),
        body::LOT_EXPIRED => Body::LotExpired(lots::read_closed(fields)),
        _ => {
            fields.no_such_branch("body");
            Body::LotInGrace(lots::read_in_grace(fields))
        }
    }
}
