//! Budgets, notices, refunds and reversals: what people set, and what they take back.

use ledger::{BudgetRemoved, BudgetSet, BudgetUse, BudgetUses, NoticesSet, Refunded, Reversed};

use crate::avro::Writer;
use crate::record::charge::{read_debit, write_debit};
use crate::record::fields::{Bound, Fields};
use crate::record::holds::{read_returns, write_returns};
use crate::record::limits;
use crate::record::lots::{read_by, write_by};
use crate::record::schema::EntryVersion;
use crate::record::terms::{read_budget, read_top_up, write_budget, write_top_up};

const USES: Bound = Bound { elements_max: limits::BUDGETS, element_bytes_min: 4 };

#[inline]
pub(super) fn write_budget_uses(writer: &mut Writer<'_>, uses: &BudgetUses<'_>) {
    writer.array(uses.iter(), |writer, used| {
        writer.string(&used.budget);
        writer.optional(used.window, Writer::window);
        writer.amount(used.used);
    });
}

#[inline]
pub(super) fn read_budget_uses<'a>(fields: &mut Fields<'a>) -> BudgetUses<'a> {
    fields.array("budgets", USES, |fields| BudgetUse {
        budget: fields.text("budgets"),
        window: fields.optional("budgets", Fields::window),
        used: fields.amount("budgets"),
    })
}

pub(super) fn write_set(writer: &mut Writer<'_>, set: &BudgetSet<'_>) {
    write_by(writer, &set.by);
    write_budget(writer, &set.terms);
    writer.optional(set.window, Writer::window);
    writer.amount(set.used);
}

pub(super) fn read_set<'a>(fields: &mut Fields<'a>) -> Box<BudgetSet<'a>> {
    Box::new(BudgetSet {
        by: read_by(fields),
        terms: read_budget(fields),
        window: fields.optional("window", Fields::window),
        used: fields.amount("used"),
    })
}

pub(super) fn write_removed(writer: &mut Writer<'_>, removed: &BudgetRemoved<'_>) {
    write_by(writer, &removed.by);
    writer.string(&removed.budget);
}

pub(super) fn read_removed<'a>(fields: &mut Fields<'a>) -> Box<BudgetRemoved<'a>> {
    Box::new(BudgetRemoved { by: read_by(fields), budget: fields.text("budget") })
}

pub(super) fn write_notices(writer: &mut Writer<'_>, notices: &NoticesSet<'_>) {
    write_by(writer, &notices.by);
    writer.optional(notices.low_balance, Writer::amount);
    writer.optional(notices.top_up, write_top_up);
}

pub(super) fn read_notices<'a>(fields: &mut Fields<'a>) -> Box<NoticesSet<'a>> {
    Box::new(NoticesSet {
        by: read_by(fields),
        low_balance: fields.optional("low_balance", Fields::amount),
        top_up: read_top_up(fields, Fields::amount),
    })
}

pub(super) fn write_refunded(writer: &mut Writer<'_>, refunded: &Refunded<'_>) {
    write_by(writer, &refunded.by);
    writer.number(refunded.lot.0);
    writer.branch(refunded.category.code());
    writer.amount(refunded.credits);
    writer.amount(refunded.money);
    writer.optional(refunded.currency, Writer::currency);
    writer.amount(refunded.revenue);
}

pub(super) fn read_refunded<'a>(fields: &mut Fields<'a>) -> Box<Refunded<'a>> {
    Box::new(Refunded {
        by: read_by(fields),
        lot: fields.lot("lot"),
        category: fields.word("category"),
        credits: fields.amount("credits"),
        money: fields.amount("money"),
        currency: fields.optional("currency", Fields::currency),
        revenue: fields.amount("revenue"),
    })
}

pub(super) fn write_reversed(writer: &mut Writer<'_>, reversed: &Reversed<'_>) {
    write_by(writer, &reversed.by);
    writer.number(reversed.reverses.0);
    writer.time(reversed.recorded_at);
    write_debit(writer, &reversed.debit);
    write_returns(writer, &reversed.returns);
    writer.amount(reversed.overage);
    writer.amount(reversed.lot);
    write_budget_uses(writer, &reversed.budgets);
}

/// Its charge is in today's form, whichever version the charge itself was written under.
pub(super) fn read_reversed<'a>(fields: &mut Fields<'a>, account: &'a str) -> Box<Reversed<'a>> {
    Box::new(Reversed {
        by: read_by(fields),
        reverses: fields.entry_number("reverses"),
        recorded_at: fields.time("recorded_at"),
        debit: *read_debit(fields, account, EntryVersion::V3),
        returns: read_returns(fields, "returns"),
        overage: fields.amount("overage"),
        lot: fields.amount("lot"),
        budgets: read_budget_uses(fields),
    })
}
