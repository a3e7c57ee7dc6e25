//! Credits that came, moved or went by hand.

use axum::http::StatusCode;
use ledger::{Adjustment, Grant, LotClosed, Refunded, Reversed};
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
}
