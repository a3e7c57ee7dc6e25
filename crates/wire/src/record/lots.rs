//! Bodies about lots: grants and adjustments by hand, and what becomes of a lot with time.

use ledger::{
    Adjustment, ByHand, Draw, Grant, LotActivated, LotClosed, LotExpiring, LotInGrace, RolledOver,
};

use crate::avro::Writer;
use crate::record::charge::{read_draw, read_draws, write_draw, write_draws};
use crate::record::fields::Fields;

pub(super) fn write_by(writer: &mut Writer<'_>, by: &ByHand<'_>) {
    writer.string(&by.command);
    writer.content(by.content);
    writer.string(&by.actor);
    writer.string(&by.reason);
}

pub(super) fn read_by<'a>(fields: &mut Fields<'a>) -> ByHand<'a> {
    ByHand {
        command: fields.text("by.command"),
        content: fields.content("by.content"),
        actor: fields.text("by.actor"),
        reason: fields.text("by.reason"),
    }
}

pub(super) fn write_repays(writer: &mut Writer<'_>, repays: Option<Draw>) {
    writer.optional(repays, write_draw);
}

pub(super) fn read_repays(fields: &mut Fields<'_>) -> Option<Draw> {
    fields.optional("repays", read_draw)
}

pub(super) fn write_grant(writer: &mut Writer<'_>, grant: &Grant<'_>) {
    write_by(writer, &grant.by);
    writer.amount(grant.credits);
    writer.branch(grant.category.code());
    writer.int(i32::from(grant.priority));
    writer.time(grant.effective);
    writer.optional(grant.expires, Writer::time);
    writer.amount(grant.paid);
    writer.optional(grant.currency, Writer::currency);
    writer.boolean(grant.pending);
    write_repays(writer, grant.repays);
}

pub(super) fn read_grant<'a>(fields: &mut Fields<'a>) -> Grant<'a> {
    Grant {
        by: read_by(fields),
        credits: fields.amount("credits"),
        category: fields.word("category"),
        priority: fields.number("priority"),
        effective: fields.time("effective"),
        expires: fields.optional("expires", Fields::time),
        paid: fields.amount("paid"),
        currency: fields.optional("currency", Fields::currency),
        pending: fields.boolean("pending"),
        repays: read_repays(fields),
    }
}

pub(super) fn write_adjustment(writer: &mut Writer<'_>, adjustment: &Adjustment<'_>) {
    write_by(writer, &adjustment.by);
    writer.amount(adjustment.credits);
    write_draws(writer, &adjustment.draws);
    writer.amount(adjustment.overage);
    write_repays(writer, adjustment.repays);
}

pub(super) fn read_adjustment<'a>(fields: &mut Fields<'a>) -> Adjustment<'a> {
    Adjustment {
        by: read_by(fields),
        credits: fields.amount("credits"),
        draws: read_draws(fields, "draws"),
        overage: fields.amount("overage"),
        repays: read_repays(fields),
    }
}

pub(super) fn write_closed(writer: &mut Writer<'_>, closed: &LotClosed<'_>) {
    writer.optional(closed.by.as_ref(), write_by);
    writer.number(closed.lot.0);
    writer.branch(closed.category.code());
    writer.amount(closed.credits);
    writer.amount(closed.revenue);
    writer.boolean(closed.pending);
    writer.boolean(closed.in_grace);
}

pub(super) fn read_closed<'a>(fields: &mut Fields<'a>) -> LotClosed<'a> {
    LotClosed {
        by: fields.optional("closed.by", |fields, _| read_by(fields)),
        lot: fields.lot("closed.lot"),
        category: fields.word("closed.category"),
        credits: fields.amount("closed.credits"),
        revenue: fields.amount("closed.revenue"),
        pending: fields.boolean("closed.pending"),
        in_grace: fields.boolean("closed.in_grace"),
    }
}

pub(super) fn write_activated(writer: &mut Writer<'_>, activated: &LotActivated) {
    writer.number(activated.lot.0);
    writer.branch(activated.category.code());
    writer.amount(activated.credits);
    write_repays(writer, activated.repays);
}

pub(super) fn read_activated(fields: &mut Fields<'_>) -> LotActivated {
    LotActivated {
        lot: fields.lot("lot"),
        category: fields.word("category"),
        credits: fields.amount("credits"),
        repays: read_repays(fields),
    }
}

pub(super) fn write_in_grace(writer: &mut Writer<'_>, in_grace: &LotInGrace) {
    writer.number(in_grace.lot.0);
    writer.branch(in_grace.category.code());
    writer.amount(in_grace.credits);
}

pub(super) fn read_in_grace(fields: &mut Fields<'_>) -> LotInGrace {
    LotInGrace {
        lot: fields.lot("lot"),
        category: fields.word("category"),
        credits: fields.amount("credits"),
    }
}

pub(super) fn write_expiring(writer: &mut Writer<'_>, expiring: &LotExpiring) {
    writer.number(expiring.lot.0);
    writer.branch(expiring.category.code());
    writer.amount(expiring.credits);
    writer.time(expiring.expires);
}

pub(super) fn read_expiring(fields: &mut Fields<'_>) -> LotExpiring {
    LotExpiring {
        lot: fields.lot("lot"),
        category: fields.word("category"),
        credits: fields.amount("credits"),
        expires: fields.time("expires"),
    }
}

pub(super) fn write_rolled_over(writer: &mut Writer<'_>, rolled: &RolledOver) {
    writer.number(rolled.from.0);
    writer.branch(rolled.category.code());
    writer.int(i32::from(rolled.priority));
    writer.amount(rolled.credits);
    writer.amount(rolled.paid);
    writer.optional(rolled.currency, Writer::currency);
    writer.time(rolled.effective);
    writer.time(rolled.expires);
}

pub(super) fn read_rolled_over(fields: &mut Fields<'_>) -> RolledOver {
    RolledOver {
        from: fields.lot("from"),
        category: fields.word("category"),
        priority: fields.number("priority"),
        credits: fields.amount("credits"),
        paid: fields.amount("paid"),
        currency: fields.optional("currency", Fields::currency),
        effective: fields.time("effective"),
        expires: fields.time("expires"),
    }
}
