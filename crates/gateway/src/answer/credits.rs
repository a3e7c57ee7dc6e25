//! Credits that came, moved or went by hand.

use axum::http::StatusCode;
use ledger::{
    Adjustment, Corrected, Corrector, Grant, LotClosed, QuarantineDecided, Refunded, Reversed,
};
use serde_json::json;

use super::{Answer, Said};
use crate::problem::Problem;

impl Said<'_> {
    pub(super) fn grant(&self, grant: &Grant<'_>) -> Answer {
        let own = json!({
            "lot": self.opened(),
            "amount": grant.credits,
            "category": grant.category.word(),
            "priority": grant.priority,
            "effective": grant.effective,
            "expires": grant.expires,
            "paid": grant.currency.map(|currency| json!({ "amount": grant.paid, "currency": currency })),
            "repaid": grant.repays.map(|draw| draw.credits).unwrap_or_default(),
        });
        self.with(StatusCode::CREATED, &grant.by, own)
    }

    pub(super) fn adjustment(&self, adjustment: &Adjustment<'_>) -> Answer {
        let own = json!({
            "lot": self.opened(),
            "amount": adjustment.credits,
            "overage": adjustment.overage,
            "repaid": adjustment.repays.map(|draw| draw.credits).unwrap_or_default(),
        });
        self.with(StatusCode::CREATED, &adjustment.by, own)
    }

    pub(super) fn voided(&self, closed: &LotClosed<'_>) -> Result<Answer, Problem> {
        let by = closed.by.as_ref().ok_or_else(|| self.made_by_nobody())?;
        let own = json!({
            "lot": closed.lot.to_string(),
            "amount": closed.credits,
            "category": closed.category.word(),
        });
        Ok(self.with(StatusCode::CREATED, by, own))
    }

    pub(super) fn refunded(&self, refunded: &Refunded<'_>) -> Answer {
        let own = json!({
            "lot": refunded.lot.to_string(),
            "amount": refunded.credits,
            "category": refunded.category.word(),
            "money": { "amount": refunded.money, "currency": refunded.currency },
        });
        self.with(StatusCode::CREATED, &refunded.by, own)
    }

    pub(super) fn reversed(&self, reversed: &Reversed<'_>) -> Answer {
        let event = &reversed.debit.event;
        let own = json!({
            "reverses": projection::entry_id(self.partition, reversed.reverses),
            "amount": reversed.debit.credits,
            "source": event.source,
            "event": event.id,
            // Of overage that was repaid or billed meanwhile.
            "lot": self.opened(),
        });
        self.with(StatusCode::CREATED, &reversed.by, own)
    }

    pub(super) fn corrected(&self, corrected: &Corrected<'_>) -> Result<Answer, Problem> {
        let Corrector::ByHand(by) = &corrected.by else { return Err(self.made_by_nobody()) };
        let event = &corrected.before.event;
        let own = json!({
            "corrects": projection::entry_id(self.partition, corrected.corrects),
            "charge": projection::entry_id(self.partition, corrected.charge),
            "before": corrected.before.credits,
            "now": corrected.now.as_ref().map(|now| now.credits).unwrap_or_default(),
            "change": corrected.change(),
            "source": event.source,
            "event": event.id,
            // Of overage that was repaid or billed meanwhile.
            "lot": self.opened(),
        });
        Ok(self.with(StatusCode::CREATED, by, own))
    }

    pub(super) fn quarantine_decided(&self, decided: &QuarantineDecided<'_>) -> Answer {
        let own = json!({
            "held": projection::entry_id(self.partition, decided.held),
            "source": decided.source,
            "event": decided.id,
            "reason": decided.reason.code(),
            "decision": if decided.accepted { "accepted" } else { "rejected" },
        });
        self.with(StatusCode::CREATED, &decided.by, own)
    }
}
