//! Which fields of two entries differ.

use std::fmt::Debug;

use ledger::{Body, Debit, Entry};

use crate::report::FieldDifference;

/// The fields in which an entry and its second decision differ.
pub(crate) fn fields(then: &Entry<'_>, now: &Entry<'_>) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    let mut field = Fields(&mut found);
    field.compare("number", &then.number, &now.number);
    field.compare("account", &then.account, &now.account);
    field.compare("sequence", &then.sequence, &now.sequence);
    field.compare("recorded_at", &then.recorded_at, &now.recorded_at);
    field.compare("cause", &then.cause, &now.cause);
    field.compare("balance", &then.after, &now.after);
    match (&then.body, &now.body) {
        (Body::Debit(then), Body::Debit(now)) => debit(&mut field, then, now),
        (then, now) if then.kind() != now.kind() => {
            field.compare("kind", &then.kind(), &now.kind());
        }
        (then, now) => field.compare("body", then, now),
    }
    found
}

fn debit(field: &mut Fields<'_>, then: &Debit<'_>, now: &Debit<'_>) {
    field.compare("event", &then.event, &now.event);
    field.compare("content", &then.content, &now.content);
    field.compare("plan", &then.plan, &now.plan);
    field.compare("rate_card", &then.rate_card, &now.rate_card);
    field.compare("catalogue", &then.catalogue, &now.catalogue);
    field.compare("credits", &then.credits, &now.credits);
    field.compare("residual", &then.residual, &now.residual);
    field.compare("lines", &then.lines, &now.lines);
    field.compare("lots", &then.draws, &now.draws);
    field.compare("overage", &then.overage, &now.overage);
    field.compare("resolves", &then.resolves, &now.resolves);
    field.compare("hold", &then.hold, &now.hold);
    field.compare("budgets", &then.budgets, &now.budgets);
}

struct Fields<'f>(&'f mut Vec<FieldDifference>);

impl Fields<'_> {
    fn compare<T: PartialEq + Debug>(&mut self, field: &'static str, then: &T, now: &T) {
        if then != now {
            let (then, now) = (format!("{then:?}"), format!("{now:?}"));
            self.0.push(FieldDifference { field, then, now });
        }
    }
}
