//! Entries of the ledger (`schemas/ledger-entry`): what every entry has, and which body follows.

use domain::{Text, Timestamp, UsageEvent};
use ledger::{Balance, Body, Cause, Entry};

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::Fields;
use crate::record::schema::{EntryVersion, LEDGER_ENTRY_V3_FINGERPRINT};
use crate::record::{charge, controls, corrections, holds, lots, plans};

/// The places of the causes in their union.
mod cause {
    pub(super) const INPUT: u8 = 0;
    pub(super) const TIMER: u8 = 1;
    pub(super) const CATALOGUE: u8 = 2;
    pub(super) const LAST_OF_V2: u8 = CATALOGUE;
    // Since version 3.
    pub(super) const DECISION: u8 = 3;
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
    pub(super) const LAST_OF_V1: u8 = LOT_EXPIRED;
    // Since version 2.
    pub(super) const HOLD_RESERVED: u8 = 9;
    pub(super) const HOLD_REFUSED: u8 = 10;
    pub(super) const HOLD_CAPTURED: u8 = 11;
    pub(super) const HOLD_EXTENDED: u8 = 12;
    pub(super) const HOLD_ENDED: u8 = 13;
    pub(super) const PLAN_ASSIGNED: u8 = 14;
    pub(super) const PLAN_SCHEDULED: u8 = 15;
    pub(super) const PLAN_RENEWED: u8 = 16;
    pub(super) const ROLLED_OVER: u8 = 17;
    pub(super) const BUDGET_SET: u8 = 18;
    pub(super) const BUDGET_REMOVED: u8 = 19;
    pub(super) const NOTICES_SET: u8 = 20;
    pub(super) const REFUNDED: u8 = 21;
    pub(super) const REVERSED: u8 = 22;
    pub(super) const LOT_EXPIRING: u8 = 23;
    pub(super) const LAST_OF_V2: u8 = LOT_EXPIRING;
    // Since version 3.
    pub(super) const CORRECTED: u8 = 24;
    pub(super) const QUARANTINE_DECIDED: u8 = 25;
}

/// Appends an entry to `out` as an Avro single-object record.
///
/// The event's account is not written: it is the entry's (a debug build asserts it).
pub fn encode_entry(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(LEDGER_ENTRY_V3_FINGERPRINT);
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
        Cause::Decision { entry } => {
            writer.branch(cause::DECISION);
            writer.number(entry.0);
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
        Body::HoldReserved(reserved) => {
            writer.branch(body::HOLD_RESERVED);
            holds::write_reserved(writer, reserved);
        }
        Body::HoldRefused(refused) => {
            writer.branch(body::HOLD_REFUSED);
            holds::write_refused(writer, refused);
        }
        Body::HoldCaptured(captured) => {
            writer.branch(body::HOLD_CAPTURED);
            holds::write_captured(writer, captured);
        }
        Body::HoldExtended(extended) => {
            writer.branch(body::HOLD_EXTENDED);
            holds::write_extended(writer, extended);
        }
        Body::HoldEnded(ended) => {
            writer.branch(body::HOLD_ENDED);
            holds::write_ended(writer, ended);
        }
        Body::PlanAssigned(assigned) => {
            writer.branch(body::PLAN_ASSIGNED);
            plans::write_assigned(writer, assigned);
        }
        Body::PlanScheduled(scheduled) => {
            writer.branch(body::PLAN_SCHEDULED);
            plans::write_scheduled(writer, scheduled);
        }
        Body::PlanRenewed(renewed) => {
            writer.branch(body::PLAN_RENEWED);
            plans::write_renewed(writer, renewed);
        }
        Body::RolledOver(rolled_over) => {
            writer.branch(body::ROLLED_OVER);
            lots::write_rolled_over(writer, rolled_over);
        }
        Body::BudgetSet(set) => {
            writer.branch(body::BUDGET_SET);
            controls::write_set(writer, set);
        }
        Body::BudgetRemoved(removed) => {
            writer.branch(body::BUDGET_REMOVED);
            controls::write_removed(writer, removed);
        }
        Body::NoticesSet(notices) => {
            writer.branch(body::NOTICES_SET);
            controls::write_notices(writer, notices);
        }
        Body::Refunded(refunded) => {
            writer.branch(body::REFUNDED);
            controls::write_refunded(writer, refunded);
        }
        Body::Reversed(reversed) => {
            debug_assert!(of_the_entry(&reversed.debit.event));
            writer.branch(body::REVERSED);
            controls::write_reversed(writer, reversed);
        }
        Body::LotExpiring(expiring) => {
            writer.branch(body::LOT_EXPIRING);
            lots::write_expiring(writer, expiring);
        }
        Body::Corrected(corrected) => {
            debug_assert!(of_the_entry(&corrected.before.event));
            writer.branch(body::CORRECTED);
            corrections::write_corrected(writer, corrected);
        }
        Body::QuarantineDecided(decided) => {
            writer.branch(body::QUARANTINE_DECIDED);
            corrections::write_decided(writer, decided);
        }
    }
}

pub(super) fn read(
    mut fields: Fields<'_>,
    version: EntryVersion,
) -> Result<Entry<'_>, RecordError> {
    let number = fields.entry_number("number");
    let account = fields.str("account");
    let entry = Entry {
        number,
        account: Text::Borrowed(account),
        sequence: fields.sequence("sequence"),
        recorded_at: fields.time("recorded_at"),
        cause: read_cause(&mut fields, version),
        after: read_balance(&mut fields),
        body: read_body(&mut fields, account, version),
    };
    fields.end(entry)
}

fn read_cause(fields: &mut Fields<'_>, version: EntryVersion) -> Cause {
    let branch = fields.branch("cause");
    if version < EntryVersion::V3 && branch > cause::LAST_OF_V2 {
        fields.no_such_branch("cause");
    }
    match branch {
        cause::INPUT => Cause::Input {
            topic: fields.word("cause.topic"),
            offset: fields.offset("cause.offset"),
        },
        cause::TIMER => Cause::Timer { due: fields.time("cause.due") },
        cause::CATALOGUE => Cause::Catalogue { next: fields.offset("cause.next") },
        cause::DECISION => Cause::Decision { entry: fields.entry_number("cause.entry") },
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

fn read_body<'a>(fields: &mut Fields<'a>, account: &'a str, version: EntryVersion) -> Body<'a> {
    let branch = fields.branch("body");
    let last = match version {
        EntryVersion::V1 => body::LAST_OF_V1,
        EntryVersion::V2 => body::LAST_OF_V2,
        EntryVersion::V3 => body::QUARANTINE_DECIDED,
    };
    if branch > last {
        fields.no_such_branch("body");
    }
    match branch {
        body::DEBIT => Body::Debit(charge::read_debit(fields, account, version)),
        body::UNRATED => Body::Unrated(charge::read_unrated(fields, account)),
        body::QUARANTINED => Body::Quarantined(charge::read_quarantined(fields)),
        body::GRANT => Body::Grant(lots::read_grant(fields)),
        body::ADJUSTMENT => Body::Adjustment(lots::read_adjustment(fields)),
        body::LOT_VOIDED => Body::LotVoided(lots::read_closed(fields)),
        body::LOT_ACTIVATED => Body::LotActivated(lots::read_activated(fields)),
        body::LOT_IN_GRACE => Body::LotInGrace(lots::read_in_grace(fields)),
        body::LOT_EXPIRED => Body::LotExpired(lots::read_closed(fields)),
        body::HOLD_RESERVED => Body::HoldReserved(holds::read_reserved(fields)),
        body::HOLD_REFUSED => Body::HoldRefused(holds::read_refused(fields)),
        body::HOLD_CAPTURED => Body::HoldCaptured(holds::read_captured(fields)),
        body::HOLD_EXTENDED => Body::HoldExtended(holds::read_extended(fields)),
        body::HOLD_ENDED => Body::HoldEnded(holds::read_ended(fields)),
        body::PLAN_ASSIGNED => Body::PlanAssigned(plans::read_assigned(fields)),
        body::PLAN_SCHEDULED => Body::PlanScheduled(plans::read_scheduled(fields)),
        body::PLAN_RENEWED => Body::PlanRenewed(plans::read_renewed(fields)),
        body::ROLLED_OVER => Body::RolledOver(lots::read_rolled_over(fields)),
        body::BUDGET_SET => Body::BudgetSet(controls::read_set(fields)),
        body::BUDGET_REMOVED => Body::BudgetRemoved(controls::read_removed(fields)),
        body::NOTICES_SET => Body::NoticesSet(controls::read_notices(fields)),
        body::REFUNDED => Body::Refunded(controls::read_refunded(fields)),
        body::REVERSED => Body::Reversed(controls::read_reversed(fields, account)),
        body::LOT_EXPIRING => Body::LotExpiring(lots::read_expiring(fields)),
        body::CORRECTED => Body::Corrected(corrections::read_corrected(fields, account)),
        body::QUARANTINE_DECIDED => {
            Body::QuarantineDecided(Box::new(corrections::read_decided(fields)))
        }
        _ => {
            fields.no_such_branch("body");
            Body::LotInGrace(lots::read_in_grace(fields))
        }
    }
}
