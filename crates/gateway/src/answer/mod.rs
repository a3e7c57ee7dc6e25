//! What an entry says to whoever asked for it. An answer is a function of the entry alone, so that
//! a request that is repeated gets the first answer again, from the ledger.

mod credits;
mod holds;
mod plans;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use domain::Partition;
use ledger::{Balance, Body, ByHand, Entry};
use serde_json::{Map, Value, json};

use crate::problem::Problem;

pub(crate) use holds::hold_json;

/// An answer to a command that was carried out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        crate::routes::json(self.status, &self.body)
    }
}

/// What the entry answers. A hold that was refused is an entry too, and its answer a problem.
pub(crate) fn of_entry(partition: Partition, entry: &Entry<'_>) -> Result<Answer, Problem> {
    let said = Said { partition, entry };
    match &entry.body {
        Body::Grant(grant) => Ok(said.grant(grant)),
        Body::Adjustment(adjustment) => Ok(said.adjustment(adjustment)),
        Body::LotVoided(closed) => said.voided(closed),
        Body::Refunded(refunded) => Ok(said.refunded(refunded)),
        Body::Reversed(reversed) => Ok(said.reversed(reversed)),
        Body::Corrected(corrected) => said.corrected(corrected),
        Body::QuarantineDecided(decided) => Ok(said.quarantine_decided(decided)),
        Body::HoldReserved(reserved) => Ok(said.reserved(reserved)),
        Body::HoldRefused(refused) => Err(said.hold_refused(refused)),
        Body::HoldCaptured(captured) => Ok(said.captured(captured)),
        Body::HoldExtended(extended) => Ok(said.extended(extended)),
        Body::HoldEnded(ended) => said.ended(ended),
        Body::PlanAssigned(assigned) => said.assigned(assigned),
        Body::PlanScheduled(scheduled) => Ok(said.scheduled(scheduled)),
        Body::BudgetSet(set) => Ok(said.budget_set(set)),
        Body::BudgetRemoved(removed) => Ok(said.budget_removed(removed)),
        Body::NoticesSet(set) => Ok(said.notices_set(set)),
        Body::Debit(_)
        | Body::Unrated(_)
        | Body::Quarantined(_)
        | Body::LotActivated(_)
        | Body::LotInGrace(_)
        | Body::LotExpired(_)
        | Body::LotExpiring(_)
        | Body::PlanRenewed(_)
        | Body::RolledOver(_) => Err(said.made_by_nobody()),
    }
}

/// An entry, and the partition that names it.
struct Said<'e> {
    partition: Partition,
    entry: &'e Entry<'e>,
}

impl Said<'_> {
    /// What every answer has, and the fields of its own.
    fn with(&self, status: StatusCode, by: &ByHand<'_>, own: Value) -> Answer {
        let mut body = Map::new();
        body.insert("account".to_owned(), self.entry.account.as_ref().into());
        body.insert("id".to_owned(), by.command.as_ref().into());
        body.insert("entry".to_owned(), self.entry_id().into());
        body.insert("balance".to_owned(), balance_json(&self.entry.after));
        if let Value::Object(own) = own {
            body.extend(own);
        }
        Answer { status, body: Value::Object(body) }
    }

    fn entry_id(&self) -> String {
        projection::entry_id(self.partition, self.entry.number)
    }

    /// The lot that the entry opens, by its name.
    fn opened(&self) -> Option<String> {
        self.entry.opens().map(|lot| lot.to_string())
    }

    /// Time or usage made it: no command is answered with it.
    fn made_by_nobody(&self) -> Problem {
        let (entry, kind) = (self.entry_id(), self.entry.body.kind());
        Problem::internal(format!("entry {entry} is a {kind}, which no command makes"))
    }
}

pub(crate) fn balance_json(balance: &Balance) -> Value {
    json!({
        "settled": balance.settled,
        "held": balance.held,
        "available": balance.available(),
        "overage": balance.overage,
        "in_grace": balance.in_grace,
    })
}
