//! Holds: what is set aside, captured ahead, settled and given back.

use ledger::{
    Earmark, Freed, HoldAfter, HoldCaptured, HoldEnded, HoldExtended, HoldRefused, HoldReserved,
    HoldUse, Limit, Lost, Return,
};
use smallvec::SmallVec;

use crate::avro::Writer;
use crate::record::charge::{read_draws, write_draws};
use crate::record::controls::{read_budget_uses, write_budget_uses};
use crate::record::fields::{Bound, Fields};
use crate::record::limits;
use crate::record::lots::{read_by, write_by};
use crate::record::terms::{read_scope, write_scope};

const EARMARKS: Bound = Bound { elements_max: limits::DRAWS, element_bytes_min: 3 };
const RETURNS: Bound = Bound { elements_max: limits::DRAWS, element_bytes_min: 7 };
const LOSSES: Bound = Bound { elements_max: limits::DRAWS, element_bytes_min: 6 };

pub(super) fn write_reserved(writer: &mut Writer<'_>, reserved: &HoldReserved<'_>) {
    write_by(writer, &reserved.by);
    write_scope(writer, &reserved.scope);
    writer.amount(reserved.asked);
    writer.amount(reserved.amount);
    writer.array(reserved.earmarks.iter(), |writer, earmark| {
        writer.number(earmark.lot.0);
        writer.amount(earmark.credits);
    });
    writer.amount(reserved.beyond);
    writer.time(reserved.expires_at);
}

pub(super) fn read_reserved<'a>(fields: &mut Fields<'a>) -> Box<HoldReserved<'a>> {
    Box::new(HoldReserved {
        by: read_by(fields),
        scope: read_scope(fields, Fields::text),
        asked: fields.amount("asked"),
        amount: fields.amount("amount"),
        earmarks: fields.array("earmarks", EARMARKS, |fields| Earmark {
            lot: fields.lot("earmarks"),
            credits: fields.amount("earmarks"),
        }),
        beyond: fields.amount("beyond"),
        expires_at: fields.time("expires_at"),
    })
}

pub(super) fn write_refused(writer: &mut Writer<'_>, refused: &HoldRefused<'_>) {
    write_by(writer, &refused.by);
    write_scope(writer, &refused.scope);
    writer.amount(refused.asked);
    writer.optional_text(match &refused.limit {
        Limit::Balance => None,
        Limit::Budget(budget) => Some(budget),
    });
    writer.amount(refused.shortfall);
    writer.amount(refused.available);
    writer.optional(refused.resets_at, Writer::time);
}

pub(super) fn read_refused<'a>(fields: &mut Fields<'a>) -> Box<HoldRefused<'a>> {
    Box::new(HoldRefused {
        by: read_by(fields),
        scope: read_scope(fields, Fields::text),
        asked: fields.amount("asked"),
        limit: fields.optional("budget", Fields::text).map_or(Limit::Balance, Limit::Budget),
        shortfall: fields.amount("shortfall"),
        available: fields.amount("available"),
        resets_at: fields.optional("resets_at", Fields::time),
    })
}

pub(super) fn write_captured(writer: &mut Writer<'_>, captured: &HoldCaptured<'_>) {
    write_by(writer, &captured.by);
    writer.number(captured.hold.0.0);
    writer.amount(captured.credits);
    write_draws(writer, &captured.draws);
    writer.amount(captured.overage);
    writer.amount(captured.above);
    write_budget_uses(writer, &captured.budgets);
    write_after(writer, captured.after);
}

pub(super) fn read_captured<'a>(fields: &mut Fields<'a>) -> Box<HoldCaptured<'a>> {
    Box::new(HoldCaptured {
        by: read_by(fields),
        hold: fields.hold("hold"),
        credits: fields.amount("credits"),
        draws: read_draws(fields, "draws"),
        overage: fields.amount("overage"),
        above: fields.amount("above"),
        budgets: read_budget_uses(fields),
        after: read_after(fields),
    })
}

pub(super) fn write_extended(writer: &mut Writer<'_>, extended: &HoldExtended<'_>) {
    write_by(writer, &extended.by);
    writer.number(extended.hold.0.0);
    write_after(writer, extended.after);
}

pub(super) fn read_extended<'a>(fields: &mut Fields<'a>) -> Box<HoldExtended<'a>> {
    Box::new(HoldExtended {
        by: read_by(fields),
        hold: fields.hold("hold"),
        after: read_after(fields),
    })
}

pub(super) fn write_ended(writer: &mut Writer<'_>, ended: &HoldEnded<'_>) {
    writer.optional(ended.by.as_ref(), write_by);
    writer.number(ended.hold.0.0);
    writer.branch(ended.how.code());
    write_draws(writer, &ended.draws);
    writer.amount(ended.overage);
    writer.amount(ended.above);
    write_freed(writer, &ended.freed);
    write_budget_uses(writer, &ended.budgets);
    write_after(writer, ended.after);
}

pub(super) fn read_ended<'a>(fields: &mut Fields<'a>) -> Box<HoldEnded<'a>> {
    Box::new(HoldEnded {
        by: fields.optional("by", |fields, _| read_by(fields)),
        hold: fields.hold("hold"),
        how: fields.word("how"),
        draws: read_draws(fields, "draws"),
        overage: fields.amount("overage"),
        above: fields.amount("above"),
        freed: read_freed(fields),
        budgets: read_budget_uses(fields),
        after: read_after(fields),
    })
}

pub(super) fn write_use(writer: &mut Writer<'_>, used: &HoldUse) {
    writer.number(used.hold.0.0);
    write_draws(writer, &used.advanced);
    writer.amount(used.advanced_overage);
    writer.amount(used.above);
    writer.optional(used.freed.as_ref(), write_freed);
    write_after(writer, used.after);
}

pub(super) fn read_use(fields: &mut Fields<'_>) -> HoldUse {
    HoldUse {
        hold: fields.hold("hold.hold"),
        advanced: read_draws(fields, "hold.advanced"),
        advanced_overage: fields.amount("hold.advanced_overage"),
        above: fields.amount("hold.above"),
        freed: fields.optional("hold.freed", |fields, _| read_freed(fields)),
        after: read_after(fields),
    }
}

fn write_after(writer: &mut Writer<'_>, after: HoldAfter) {
    writer.amount(after.amount);
    writer.amount(after.captured);
    writer.time(after.expires_at);
}

fn read_after(fields: &mut Fields<'_>) -> HoldAfter {
    HoldAfter {
        amount: fields.amount("after.amount"),
        captured: fields.amount("after.captured"),
        expires_at: fields.time("after.expires_at"),
    }
}

fn write_freed(writer: &mut Writer<'_>, freed: &Freed) {
    writer.amount(freed.credits);
    write_returns(writer, &freed.returns);
    writer.amount(freed.returned_overage);
    writer.amount(freed.lot);
    writer.array(freed.lost.iter(), |writer, lost| {
        writer.number(lost.lot.0);
        writer.branch(lost.category.code());
        writer.amount(lost.credits);
        writer.amount(lost.revenue);
    });
    write_draws(writer, &freed.repays);
}

fn read_freed(fields: &mut Fields<'_>) -> Freed {
    Freed {
        credits: fields.amount("freed.credits"),
        returns: read_returns(fields, "freed.returns"),
        returned_overage: fields.amount("freed.returned_overage"),
        lot: fields.amount("freed.lot"),
        lost: fields.array("freed.lost", LOSSES, |fields| Lost {
            lot: fields.lot("freed.lost"),
            category: fields.word("freed.lost"),
            credits: fields.amount("freed.lost"),
            revenue: fields.amount("freed.lost"),
        }),
        repays: read_draws(fields, "freed.repays"),
    }
}

pub(super) fn write_returns(writer: &mut Writer<'_>, returns: &[Return]) {
    writer.array(returns.iter(), |writer, back| {
        writer.number(back.lot.0);
        writer.branch(back.category.code());
        writer.amount(back.credits);
        writer.amount(back.revenue);
        writer.branch(back.to.code());
    });
}

pub(super) fn read_returns(fields: &mut Fields<'_>, field: &'static str) -> SmallVec<[Return; 1]> {
    fields.array(field, RETURNS, |fields| Return {
        lot: fields.lot(field),
        category: fields.word(field),
        credits: fields.amount(field),
        revenue: fields.amount(field),
        to: fields.word(field),
    })
}
