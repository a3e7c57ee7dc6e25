//! Bodies that an event brings: debit, unrated, quarantined.

use domain::{PriceRef, RateLine, RuleId};
use ledger::{BudgetUses, Debit, Draw, Draws, Quarantined, Unrated};

use crate::avro::Writer;
use crate::record::controls::{read_budget_uses, write_budget_uses};
use crate::record::event;
use crate::record::fields::{Bound, Fields};
use crate::record::holds::{read_use, write_use};
use crate::record::limits;
use crate::record::schema::EntryVersion;

pub(super) const LINES: Bound = Bound { elements_max: limits::ITEMS, element_bytes_min: 6 };
const DRAWS: Bound = Bound { elements_max: limits::DRAWS, element_bytes_min: 6 };

#[inline]
pub(super) fn write_debit(writer: &mut Writer<'_>, debit: &Debit<'_>) {
    event::write(writer, &debit.event);
    writer.content(debit.content);
    writer.optional_text(debit.plan.as_ref());
    writer.long(i64::from(debit.rate_card.0));
    writer.long(debit.catalogue.0);
    writer.array(debit.lines.iter(), write_line);
    writer.amount(debit.credits);
    writer.amount(debit.residual);
    write_draws(writer, &debit.draws);
    writer.amount(debit.overage);
    writer.optional(debit.resolves, |writer, entry| writer.number(entry.0));
    writer.optional(debit.hold.as_deref(), write_use);
    write_budget_uses(writer, &debit.budgets);
}

#[inline]
pub(super) fn write_line(writer: &mut Writer<'_>, line: &RateLine) {
    writer.int(i32::from(line.rule.0));
    writer.amount(line.credits);
    writer.optional(line.price, |writer, price| {
        writer.long(i64::from(price.book.0));
        writer.int(i32::from(price.row));
        writer.optional(price.when, |writer, when| writer.int(i32::from(when)));
    });
    writer.optional(line.computed, Writer::amount);
    writer.optional(line.missing, Writer::reason);
}

pub(super) fn write_draws(writer: &mut Writer<'_>, draws: &Draws) {
    writer.array(draws.iter(), |writer, draw| write_draw(writer, *draw));
}

#[inline]
pub(super) fn write_draw(writer: &mut Writer<'_>, draw: Draw) {
    writer.number(draw.lot.0);
    writer.branch(draw.category.code());
    writer.amount(draw.credits);
    writer.amount(draw.revenue);
}

pub(super) fn write_unrated(writer: &mut Writer<'_>, unrated: &Unrated<'_>) {
    event::write(writer, &unrated.event);
    writer.content(unrated.content);
    writer.optional_text(unrated.plan.as_ref());
    writer.reason(unrated.reason);
    writer.optional(unrated.item, |writer, item| writer.int(i32::from(item)));
}

pub(super) fn write_quarantined(writer: &mut Writer<'_>, quarantined: &Quarantined<'_>) {
    writer.string(&quarantined.source);
    writer.string(&quarantined.id);
    writer.time(quarantined.time);
    writer.reason(quarantined.reason);
    writer.optional(quarantined.conflicts_with, |writer, entry| writer.number(entry.0));
    writer.bytes(&quarantined.record);
}

#[inline]
pub(super) fn read_debit<'a>(
    fields: &mut Fields<'a>,
    account: &'a str,
    version: EntryVersion,
) -> Box<Debit<'a>> {
    let mut debit = Box::new(Debit {
        event: event::read(fields, account),
        content: fields.content("content"),
        plan: fields.optional("plan", Fields::text),
        rate_card: fields.catalogue_id("rate_card"),
        catalogue: fields.offset("catalogue"),
        lines: fields.array("lines", LINES, read_line),
        credits: fields.amount("credits"),
        residual: fields.amount("residual"),
        draws: read_draws(fields, "draws"),
        overage: fields.amount("overage"),
        resolves: fields.optional("resolves", Fields::entry_number),
        hold: None,
        budgets: BudgetUses::new(),
    });
    match version {
        EntryVersion::V1 => {}
        EntryVersion::V2 | EntryVersion::V3 => {
            debit.hold = fields.optional("hold", |fields, _| Box::new(read_use(fields)));
            debit.budgets = read_budget_uses(fields);
        }
    }
    debit
}

#[inline]
pub(super) fn read_line(fields: &mut Fields<'_>) -> RateLine {
    RateLine {
        rule: RuleId(fields.number("line.rule")),
        credits: fields.amount("line.credits"),
        price: fields.optional("line.price", |fields, _| PriceRef {
            book: fields.catalogue_id("line.price.book"),
            row: fields.number("line.price.row"),
            when: fields.optional("line.price.when", Fields::number),
        }),
        computed: fields.optional("line.computed", Fields::amount),
        missing: fields.optional("line.missing", Fields::reason),
    }
}

pub(super) fn read_draws(fields: &mut Fields<'_>, field: &'static str) -> Draws {
    fields.array(field, DRAWS, |fields| read_draw(fields, field))
}

#[inline]
pub(super) fn read_draw(fields: &mut Fields<'_>, field: &'static str) -> Draw {
    Draw {
        lot: fields.lot(field),
        category: fields.word(field),
        credits: fields.amount(field),
        revenue: fields.amount(field),
    }
}

pub(super) fn read_unrated<'a>(fields: &mut Fields<'a>, account: &'a str) -> Box<Unrated<'a>> {
    Box::new(Unrated {
        event: event::read(fields, account),
        content: fields.content("content"),
        plan: fields.optional("plan", Fields::text),
        reason: fields.reason("reason"),
        item: fields.optional("item", Fields::number),
    })
}

pub(super) fn read_quarantined<'a>(fields: &mut Fields<'a>) -> Quarantined<'a> {
    Quarantined {
        source: fields.text("source"),
        id: fields.text("id"),
        time: fields.time("time"),
        reason: fields.reason("reason"),
        conflicts_with: fields.optional("conflicts_with", Fields::entry_number),
        record: fields.bytes("record"),
    }
}
