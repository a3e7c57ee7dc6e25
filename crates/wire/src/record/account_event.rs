//! What an account's owner is told (`schemas/account-event`).

use domain::Credits;
use ledger::{AccountEvent, Happening};

use crate::avro::Writer;
use crate::record::error::RecordError;
use crate::record::fields::{Fields, open_one};
use crate::record::limits::LEDGER_RECORD_BYTES_MAX;
use crate::record::schema::ACCOUNT_EVENT_V1_FINGERPRINT;

/// The places of the happenings in their union.
mod what {
    pub(super) const BALANCE_LOW: u8 = 0;
    pub(super) const BALANCE_EXHAUSTED: u8 = 1;
    pub(super) const BUDGET_THRESHOLD: u8 = 2;
    pub(super) const LOT_EXPIRING: u8 = 3;
    pub(super) const HOLD_EXPIRED: u8 = 4;
    pub(super) const USAGE_UNRATED: u8 = 5;
    pub(super) const ALLOWANCE_RENEWED: u8 = 6;
    pub(super) const TOP_UP_WANTED: u8 = 7;
}

/// Appends an account event to `out` as an Avro single-object record.
pub fn encode_account_event(event: &AccountEvent<'_>, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    let writer = &mut writer;
    writer.single_object_header(ACCOUNT_EVENT_V1_FINGERPRINT);
    writer.string(&event.account);
    writer.number(event.number);
    writer.number(event.entry.0);
    writer.time(event.at);
    write_what(writer, &event.what);
}

fn write_what(writer: &mut Writer<'_>, what: &Happening<'_>) {
    match what {
        Happening::BalanceLow { below, available } => {
            writer.branch(what::BALANCE_LOW);
            writer.amount(*below);
            writer.amount(*available);
        }
        Happening::BalanceExhausted { available } => {
            writer.branch(what::BALANCE_EXHAUSTED);
            writer.amount(*available);
        }
        Happening::BudgetThreshold { budget, percent, used, limit } => {
            writer.branch(what::BUDGET_THRESHOLD);
            writer.string(budget);
            writer.int(i32::from(*percent));
            writer.amount(*used);
            writer.amount(*limit);
        }
        Happening::LotExpiring { lot, credits, expires } => {
            writer.branch(what::LOT_EXPIRING);
            writer.number(lot.0);
            writer.amount(*credits);
            writer.time(*expires);
        }
        Happening::HoldExpired { hold, amount, captured } => {
            writer.branch(what::HOLD_EXPIRED);
            writer.number(hold.0.0);
            writer.amount(*amount);
            writer.amount(*captured);
        }
        Happening::UsageUnrated { source, id, reason } => {
            writer.branch(what::USAGE_UNRATED);
            writer.string(source);
            writer.string(id);
            writer.reason(*reason);
        }
        Happening::AllowanceRenewed { plan, credits, period } => {
            writer.branch(what::ALLOWANCE_RENEWED);
            writer.string(plan);
            writer.amount(*credits);
            writer.optional(*period, Writer::window);
        }
        Happening::TopUpWanted { below, amount, available } => {
            writer.branch(what::TOP_UP_WANTED);
            writer.amount(*below);
            writer.amount(*amount);
            writer.amount(*available);
        }
    }
}

/// Reads a record of `account.events`.
///
/// # Errors
/// For a record that is no account event.
pub fn decode_account_event(record: &[u8]) -> Result<AccountEvent<'_>, RecordError> {
    let mut fields = open_one(record, LEDGER_RECORD_BYTES_MAX, ACCOUNT_EVENT_V1_FINGERPRINT)?;
    let event = AccountEvent {
        account: fields.text("account"),
        number: fields.number("number"),
        entry: fields.entry_number("entry"),
        at: fields.time("at"),
        what: read_what(&mut fields),
    };
    fields.end(event)
}

fn read_what<'a>(fields: &mut Fields<'a>) -> Happening<'a> {
    match fields.branch("what") {
        what::BALANCE_LOW => Happening::BalanceLow {
            below: fields.amount("below"),
            available: fields.amount("available"),
        },
        what::BALANCE_EXHAUSTED => {
            Happening::BalanceExhausted { available: fields.amount("available") }
        }
        what::BUDGET_THRESHOLD => Happening::BudgetThreshold {
            budget: fields.text("budget"),
            percent: fields.number("percent"),
            used: fields.amount("used"),
            limit: fields.amount("limit"),
        },
        what::LOT_EXPIRING => Happening::LotExpiring {
            lot: fields.lot("lot"),
            credits: fields.amount("credits"),
            expires: fields.time("expires"),
        },
        what::HOLD_EXPIRED => Happening::HoldExpired {
            hold: fields.hold("hold"),
            amount: fields.amount("amount"),
            captured: fields.amount("captured"),
        },
        what::USAGE_UNRATED => Happening::UsageUnrated {
            source: fields.text("source"),
            id: fields.text("id"),
            reason: fields.reason("reason"),
        },
        what::ALLOWANCE_RENEWED => Happening::AllowanceRenewed {
            plan: fields.text("plan"),
            credits: fields.amount("credits"),
            period: fields.optional("period", Fields::window),
        },
        what::TOP_UP_WANTED => Happening::TopUpWanted {
            below: fields.amount("below"),
            amount: fields.amount("amount"),
            available: fields.amount("available"),
        },
        _ => {
            fields.no_such_branch("what");
            Happening::BalanceExhausted { available: Credits::ZERO }
        }
    }
}
