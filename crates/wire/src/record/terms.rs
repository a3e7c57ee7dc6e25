//! What commands ask for and entries repeat: scopes, the terms of a budget, marks for a top-up.
//!
//! Both write them alike. A command's are checked and an entry's are not, so the readers are told how
//! to read a text and an amount.

use domain::{Credits, Text};
use ledger::{BudgetScope, BudgetTerms, Scope, TopUp};

use crate::avro::Writer;
use crate::record::error::Flaw;
use crate::record::fields::{Bound, Fields};
use crate::record::limits;

/// How a text is read: [`Fields::text`] or [`Fields::checked_name`].
type ReadText<'a> = fn(&mut Fields<'a>, &'static str) -> Text<'a>;
/// How an amount is read: [`Fields::amount`] or [`Fields::checked_amount`].
type ReadCredits<'a> = fn(&mut Fields<'a>, &'static str) -> Credits;

pub(super) fn write_scope(writer: &mut Writer<'_>, scope: &Scope<'_>) {
    writer.optional_text(scope.user.as_ref());
    writer.optional_text(scope.team.as_ref());
    writer.optional_text(scope.feature.as_ref());
    writer.branch(scope.traffic.code());
}

pub(super) fn read_scope<'a>(fields: &mut Fields<'a>, text: ReadText<'a>) -> Scope<'a> {
    Scope {
        user: fields.optional("scope.user", text),
        team: fields.optional("scope.team", text),
        feature: fields.optional("scope.feature", text),
        traffic: fields.word("scope.traffic"),
    }
}

pub(super) fn write_budget(writer: &mut Writer<'_>, terms: &BudgetTerms<'_>) {
    writer.string(&terms.id);
    writer.optional_text(terms.scope.user.as_ref());
    writer.optional_text(terms.scope.team.as_ref());
    writer.optional_text(terms.scope.feature.as_ref());
    writer.optional(terms.scope.traffic, |writer, traffic| writer.branch(traffic.code()));
    writer.amount(terms.limit);
    writer.optional(terms.period, |writer, period| writer.branch(period as u8));
    writer.string(terms.zone.name());
    writer.array(terms.thresholds.iter(), |writer, percent| writer.int(i32::from(*percent)));
    writer.boolean(terms.hard);
}

/// A budget's terms as the ledger recorded them.
pub(super) fn read_budget<'a>(fields: &mut Fields<'a>) -> BudgetTerms<'a> {
    read_budget_as(fields, Fields::text, Fields::amount, limits::THRESHOLDS)
}

/// A budget's terms as somebody asks for them.
pub(super) fn read_checked_budget<'a>(fields: &mut Fields<'a>) -> BudgetTerms<'a> {
    let thresholds_max = limits::command::THRESHOLDS_MAX;
    let terms =
        read_budget_as(fields, Fields::checked_name, Fields::checked_amount, thresholds_max);
    let percents = 1..=limits::command::THRESHOLD_MAX;
    if !terms.thresholds.iter().all(|percent| percents.contains(percent)) {
        fields.fail("thresholds", Flaw::BadThreshold);
    }
    terms
}

fn read_budget_as<'a>(
    fields: &mut Fields<'a>,
    text: ReadText<'a>,
    credits: ReadCredits<'a>,
    thresholds_max: usize,
) -> BudgetTerms<'a> {
    let thresholds = Bound { elements_max: thresholds_max, element_bytes_min: 1 };
    BudgetTerms {
        id: text(fields, "id"),
        scope: BudgetScope {
            user: fields.optional("scope.user", text),
            team: fields.optional("scope.team", text),
            feature: fields.optional("scope.feature", text),
            traffic: fields.optional("scope.traffic", Fields::word),
        },
        limit: credits(fields, "limit"),
        period: fields.optional("period", Fields::word),
        zone: fields.zone("zone"),
        thresholds: fields.array("thresholds", thresholds, |fields| fields.number("thresholds")),
        hard: fields.boolean("hard"),
    }
}

pub(super) fn write_top_up(writer: &mut Writer<'_>, top_up: TopUp) {
    writer.amount(top_up.below);
    writer.amount(top_up.amount);
}

pub(super) fn read_top_up<'a>(fields: &mut Fields<'a>, credits: ReadCredits<'a>) -> Option<TopUp> {
    fields.optional("top_up", |fields, _| TopUp {
        below: credits(fields, "top_up.below"),
        amount: credits(fields, "top_up.amount"),
    })
}
