//! What a command asks.

use domain::Credits;
use ledger::{CommandBody, GrantTerms, Rerate, Reserve, Want};

use super::Version;
use crate::avro::Writer;
use crate::record::charge::{LINES, read_line, write_line};
use crate::record::fields::Fields;
use crate::record::limits;
use crate::record::terms::{
    read_checked_budget, read_scope, read_top_up, write_budget, write_scope, write_top_up,
};

const GRANT: u8 = 0;
const ADJUST: u8 = 1;
const VOID: u8 = 2;
const LAST_OF_V1: u8 = VOID;
// Since version 2.
const RESERVE: u8 = 3;
const CAPTURE: u8 = 4;
const EXTEND: u8 = 5;
const SETTLE: u8 = 6;
const RELEASE: u8 = 7;
const ASSIGN_PLAN: u8 = 8;
const SET_BUDGET: u8 = 9;
const REMOVE_BUDGET: u8 = 10;
const SET_NOTICES: u8 = 11;
const REFUND: u8 = 12;
const REVERSE: u8 = 13;
const LAST_OF_V2: u8 = REVERSE;
// Since version 3.
const RERATE: u8 = 14;
const DECIDE_QUARANTINED: u8 = 15;

pub(super) const WANT_CREDITS: u8 = 0;
pub(super) const WANT_USAGE: u8 = 1;

/// The place of a body in its union.
pub(super) fn place(body: &CommandBody<'_>) -> u8 {
    match body {
        CommandBody::Grant(_) => GRANT,
        CommandBody::Adjust { .. } => ADJUST,
        CommandBody::Void { .. } => VOID,
        CommandBody::Reserve(_) => RESERVE,
        CommandBody::Capture { .. } => CAPTURE,
        CommandBody::Extend { .. } => EXTEND,
        CommandBody::Settle { .. } => SETTLE,
        CommandBody::Release { .. } => RELEASE,
        CommandBody::AssignPlan { .. } => ASSIGN_PLAN,
        CommandBody::SetBudget(_) => SET_BUDGET,
        CommandBody::RemoveBudget { .. } => REMOVE_BUDGET,
        CommandBody::SetNotices { .. } => SET_NOTICES,
        CommandBody::Refund { .. } => REFUND,
        CommandBody::Reverse { .. } => REVERSE,
        CommandBody::Rerate(_) => RERATE,
        CommandBody::DecideQuarantined { .. } => DECIDE_QUARANTINED,
    }
}

pub(super) fn write(writer: &mut Writer<'_>, body: &CommandBody<'_>) {
    writer.branch(place(body));
    match body {
        CommandBody::Grant(terms) => write_grant(writer, terms),
        CommandBody::Adjust { credits } => writer.amount(*credits),
        CommandBody::Void { lot, credits } => {
            writer.number(lot.0);
            writer.optional(*credits, Writer::amount);
        }
        CommandBody::Reserve(reserve) => write_reserve(writer, reserve),
        CommandBody::Capture { hold, credits } => {
            writer.number(hold.0.0);
            writer.amount(*credits);
        }
        CommandBody::Extend { hold, expires_in_micros } => {
            writer.number(hold.0.0);
            writer.long(*expires_in_micros);
        }
        CommandBody::Settle { hold, credits } => {
            writer.number(hold.0.0);
            writer.optional(*credits, Writer::amount);
        }
        CommandBody::Release { hold } => writer.number(hold.0.0),
        CommandBody::AssignPlan { plan, when } => {
            writer.string(plan);
            writer.branch(when.code());
        }
        CommandBody::SetBudget(terms) => write_budget(writer, terms),
        CommandBody::RemoveBudget { budget } => writer.string(budget),
        CommandBody::SetNotices { low_balance, top_up } => {
            writer.optional(*low_balance, Writer::amount);
            writer.optional(*top_up, write_top_up);
        }
        CommandBody::Refund { lot, credits, money } => {
            writer.number(lot.0);
            writer.amount(*credits);
            writer.amount(*money);
        }
        CommandBody::Reverse { entry, record } => {
            writer.number(entry.0);
            writer.bytes(record);
        }
        CommandBody::Rerate(rerate) => write_rerate(writer, rerate),
        CommandBody::DecideQuarantined { entry, record, accept } => {
            writer.number(entry.0);
            writer.bytes(record);
            writer.boolean(*accept);
        }
    }
}

fn write_rerate(writer: &mut Writer<'_>, rerate: &Rerate<'_>) {
    writer.number(rerate.entry.0);
    writer.bytes(&rerate.record);
    writer.long(i64::from(rerate.rate_card.0));
    writer.long(rerate.catalogue.0);
    writer.array(rerate.lines.iter(), write_line);
    writer.amount(rerate.credits);
    writer.amount(rerate.residual);
}

fn write_grant(writer: &mut Writer<'_>, terms: &GrantTerms) {
    writer.amount(terms.credits);
    writer.branch(terms.category.code());
    writer.int(i32::from(terms.priority));
    writer.optional(terms.effective, Writer::time);
    writer.optional(terms.expires, Writer::time);
    writer.amount(terms.paid);
    writer.optional(terms.currency, Writer::currency);
}

fn write_reserve(writer: &mut Writer<'_>, reserve: &Reserve<'_>) {
    match &reserve.want {
        Want::Credits(credits) => {
            writer.branch(WANT_CREDITS);
            writer.amount(*credits);
        }
        Want::Usage(record) => {
            writer.branch(WANT_USAGE);
            writer.bytes(record);
        }
    }
    write_scope(writer, &reserve.scope);
    writer.long(reserve.expires_in_micros);
    writer.boolean(reserve.shrink);
}

pub(super) fn read<'a>(fields: &mut Fields<'a>, version: Version) -> CommandBody<'a> {
    let branch = fields.branch("body");
    let last = match version {
        Version::V1 => LAST_OF_V1,
        Version::V2 => LAST_OF_V2,
        Version::V3 => DECIDE_QUARANTINED,
    };
    if branch > last {
        fields.no_such_branch("body");
    }
    match branch {
        GRANT => CommandBody::Grant(read_grant(fields)),
        ADJUST => CommandBody::Adjust { credits: fields.checked_amount("credits") },
        VOID => CommandBody::Void {
            lot: fields.lot("lot"),
            credits: fields.optional("credits", Fields::checked_amount),
        },
        RESERVE => CommandBody::Reserve(read_reserve(fields)),
        CAPTURE => CommandBody::Capture {
            hold: fields.hold("hold"),
            credits: fields.checked_amount("credits"),
        },
        EXTEND => CommandBody::Extend {
            hold: fields.hold("hold"),
            expires_in_micros: fields.checked_span_micros("expires_in_micros"),
        },
        SETTLE => CommandBody::Settle {
            hold: fields.hold("hold"),
            credits: fields.optional("credits", Fields::checked_amount),
        },
        RELEASE => CommandBody::Release { hold: fields.hold("hold") },
        ASSIGN_PLAN => {
            CommandBody::AssignPlan { plan: fields.checked_name("plan"), when: fields.word("when") }
        }
        SET_BUDGET => CommandBody::SetBudget(Box::new(read_checked_budget(fields))),
        REMOVE_BUDGET => CommandBody::RemoveBudget { budget: fields.checked_name("budget") },
        SET_NOTICES => CommandBody::SetNotices {
            low_balance: fields.optional("low_balance", Fields::checked_amount),
            top_up: read_top_up(fields, Fields::checked_amount),
        },
        REFUND => CommandBody::Refund {
            lot: fields.lot("lot"),
            credits: fields.checked_amount("credits"),
            money: fields.checked_amount("money"),
        },
        // A record inside a record: never longer than what is written at most.
        REVERSE => CommandBody::Reverse {
            entry: fields.entry_number("entry"),
            record: fields.bytes("record"),
        },
        RERATE => CommandBody::Rerate(Box::new(read_rerate(fields))),
        DECIDE_QUARANTINED => CommandBody::DecideQuarantined {
            entry: fields.entry_number("entry"),
            record: fields.bytes("record"),
            accept: fields.boolean("accept"),
        },
        _ => {
            fields.no_such_branch("body");
            CommandBody::Adjust { credits: Credits::ZERO }
        }
    }
}

fn read_rerate<'a>(fields: &mut Fields<'a>) -> Rerate<'a> {
    Rerate {
        entry: fields.entry_number("entry"),
        record: fields.bytes("record"),
        rate_card: fields.catalogue_id("rate_card"),
        catalogue: fields.offset("catalogue"),
        lines: fields.array("lines", LINES, read_line),
        credits: fields.checked_amount("credits"),
        residual: fields.checked_amount("residual"),
    }
}

fn read_grant(fields: &mut Fields<'_>) -> GrantTerms {
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

fn read_reserve<'a>(fields: &mut Fields<'a>) -> Box<Reserve<'a>> {
    Box::new(Reserve {
        want: match fields.branch("want") {
            WANT_CREDITS => Want::Credits(fields.checked_amount("want.credits")),
            WANT_USAGE => {
                Want::Usage(fields.checked_bytes("want.usage", limits::command::USAGE_BYTES_MAX))
            }
            _ => {
                fields.no_such_branch("want");
                Want::Credits(Credits::ZERO)
            }
        },
        scope: read_scope(fields, Fields::checked_name),
        expires_in_micros: fields.checked_span_micros("expires_in_micros"),
        shrink: fields.boolean("shrink"),
    })
}
