//! Holds: granted, refused, changed, over.

use axum::http::StatusCode;
use domain::{Credits, Reason};
use ledger::{
    Balance, HoldAfter, HoldCaptured, HoldEnded, HoldExtended, HoldId, HoldName, HoldRefused,
    HoldReserved, Limit, Scope,
};
use serde_json::{Value, json};

use super::{Answer, Said};
use crate::problem::Problem;

const OPEN: &str = "open";

impl Said<'_> {
    pub(super) fn reserved(&self, reserved: &HoldReserved<'_>) -> Answer {
        let after = HoldAfter {
            amount: reserved.amount,
            captured: Credits::ZERO,
            expires_at: reserved.expires_at,
        };
        let mut own = self.hold(HoldId(self.entry.number), OPEN, &after);
        own["asked"] = json!(reserved.asked);
        scope(&mut own, &reserved.scope);
        self.with(StatusCode::CREATED, &reserved.by, own)
    }

    /// 402, with what stood in the way.
    pub(super) fn hold_refused(&self, refused: &HoldRefused<'_>) -> Problem {
        Problem::refused(Reason::InsufficientCredits)
            .status(StatusCode::PAYMENT_REQUIRED)
            .with("account", self.entry.account.as_ref())
            .with("id", refused.by.command.as_ref())
            .with("entry", self.entry_id())
            .with("asked", json!(refused.asked))
            .with("limit", limit(&refused.limit))
            .with("shortfall", json!(refused.shortfall))
            .with("available", json!(refused.available))
            .with("resets_at", json!(refused.resets_at))
    }

    pub(super) fn captured(&self, captured: &HoldCaptured<'_>) -> Answer {
        let mut own = self.hold(captured.hold, OPEN, &captured.after);
        own["above"] = json!(captured.above);
        self.with(StatusCode::OK, &captured.by, own)
    }

    pub(super) fn extended(&self, extended: &HoldExtended<'_>) -> Answer {
        let own = self.hold(extended.hold, OPEN, &extended.after);
        self.with(StatusCode::OK, &extended.by, own)
    }

    pub(super) fn ended(&self, ended: &HoldEnded<'_>) -> Result<Answer, Problem> {
        let by = ended.by.as_ref().ok_or_else(|| self.made_by_nobody())?;
        let mut own = self.hold(ended.hold, ended.how.word(), &ended.after);
        own["above"] = json!(ended.above);
        own["freed"] = json!(ended.freed.credits);
        own["returned"] = json!(ended.freed.given_back());
        Ok(self.with(StatusCode::OK, by, own))
    }

    fn hold(&self, hold: HoldId, state: &str, after: &HoldAfter) -> Value {
        let name = HoldName { partition: self.partition, hold };
        hold_json(name, state, after, &self.entry.after)
    }
}

/// A hold after an entry, and the balance with it.
pub(crate) fn hold_json(
    name: HoldName,
    state: &str,
    after: &HoldAfter,
    balance: &Balance,
) -> Value {
    json!({
        "hold": name.to_string(),
        "amount": after.amount,
        "captured": after.captured,
        "state": state,
        "expires_at": after.expires_at,
        "available": balance.available(),
    })
}

fn scope(own: &mut Value, scope: &Scope<'_>) {
    own["user"] = json!(scope.user);
    own["team"] = json!(scope.team);
    own["feature"] = json!(scope.feature);
    own["traffic"] = scope.traffic.word().into();
}

fn limit(limit: &Limit<'_>) -> String {
    match limit {
        Limit::Balance => "balance".to_owned(),
        Limit::Budget(id) => format!("budget:{id}"),
    }
}
