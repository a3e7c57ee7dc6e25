//! Plans: what an account has, from when, and what each period brings.

use ledger::{Billed, PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled};

use crate::avro::Writer;
use crate::record::fields::Fields;
use crate::record::lots::{read_by, read_repays, write_by, write_repays};

pub(super) fn write_assigned(writer: &mut Writer<'_>, assigned: &PlanAssigned<'_>) {
    writer.optional(assigned.by.as_ref(), write_by);
    writer.string(&assigned.plan);
    writer.long(i64::from(assigned.version.0));
    writer.optional_text(assigned.replaces.as_ref());
    writer.time(assigned.from);
    writer.time(assigned.anchor);
    writer.optional(assigned.period, Writer::window);
    writer.boolean(assigned.trial);
    writer.optional(assigned.grant, write_grant);
    write_repays(writer, assigned.repays);
    writer.optional(assigned.low_balance, Writer::amount);
}

pub(super) fn read_assigned<'a>(fields: &mut Fields<'a>) -> Box<PlanAssigned<'a>> {
    Box::new(PlanAssigned {
        by: fields.optional("by", |fields, _| read_by(fields)),
        plan: fields.text("plan"),
        version: fields.catalogue_id("version"),
        replaces: fields.optional("replaces", Fields::text),
        from: fields.time("from"),
        anchor: fields.time("anchor"),
        period: fields.optional("period", Fields::window),
        trial: fields.boolean("trial"),
        grant: read_grant(fields),
        repays: read_repays(fields),
        low_balance: fields.optional("low_balance", Fields::amount),
    })
}

pub(super) fn write_scheduled(writer: &mut Writer<'_>, scheduled: &PlanScheduled<'_>) {
    write_by(writer, &scheduled.by);
    writer.optional_text(scheduled.plan.as_ref());
    writer.time(scheduled.at);
}

pub(super) fn read_scheduled<'a>(fields: &mut Fields<'a>) -> Box<PlanScheduled<'a>> {
    Box::new(PlanScheduled {
        by: read_by(fields),
        plan: fields.optional("plan", Fields::text),
        at: fields.time("at"),
    })
}

pub(super) fn write_renewed(writer: &mut Writer<'_>, renewed: &PlanRenewed<'_>) {
    writer.string(&renewed.plan);
    writer.long(i64::from(renewed.version.0));
    writer.optional_text(renewed.replaces.as_ref());
    writer.time(renewed.anchor);
    writer.optional(renewed.period, Writer::window);
    writer.optional(renewed.grant, write_grant);
    writer.optional(renewed.billed, |writer, billed| {
        writer.amount(billed.credits);
        writer.amount(billed.price);
        writer.optional(billed.currency, Writer::currency);
    });
    write_repays(writer, renewed.repays);
    writer.optional(renewed.low_balance, Writer::amount);
}

pub(super) fn read_renewed<'a>(fields: &mut Fields<'a>) -> Box<PlanRenewed<'a>> {
    Box::new(PlanRenewed {
        plan: fields.text("plan"),
        version: fields.catalogue_id("version"),
        replaces: fields.optional("replaces", Fields::text),
        anchor: fields.time("anchor"),
        period: fields.optional("period", Fields::window),
        grant: read_grant(fields),
        billed: fields.optional("billed", |fields, _| Billed {
            credits: fields.amount("billed.credits"),
            price: fields.amount("billed.price"),
            currency: fields.optional("billed.currency", Fields::currency),
        }),
        repays: read_repays(fields),
        low_balance: fields.optional("low_balance", Fields::amount),
    })
}

fn write_grant(writer: &mut Writer<'_>, grant: PlanGrant) {
    writer.amount(grant.credits);
    writer.branch(grant.category.code());
    writer.time(grant.effective);
    writer.time(grant.expires);
    writer.amount(grant.paid);
    writer.optional(grant.currency, Writer::currency);
}

fn read_grant(fields: &mut Fields<'_>) -> Option<PlanGrant> {
    fields.optional("grant", |fields, _| PlanGrant {
        credits: fields.amount("grant.credits"),
        category: fields.word("grant.category"),
        effective: fields.time("grant.effective"),
        expires: fields.time("grant.expires"),
        paid: fields.amount("grant.paid"),
        currency: fields.optional("grant.currency", Fields::currency),
    })
}
