//! Lots as they are opened, and every change of them.

use domain::{Credits, Currency, LotId, Money, Timestamp};
use ledger::{
    Body, ByHand, Category, Cause, Corrector, Draw, Entry, Freed, GrantTerms, LotClosed, PlanGrant,
    Return, ReturnTo, RolledOver,
};

use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct LotRows {
    grants: Rows,
    movements: Rows,
}

/// A new lot, as it was granted.
struct NewLot<'a> {
    category: Category,
    priority: u8,
    credits: Credits,
    effective: Timestamp,
    expires: Option<Timestamp>,
    paid: Money,
    currency: Option<Currency>,
    by: Option<&'a ByHand<'a>>,
}

impl<'a> NewLot<'a> {
    /// Credits that nobody paid for, without an expiry.
    fn promotional(entry: &Entry<'_>, credits: Credits, by: Option<&'a ByHand<'a>>) -> Self {
        Self {
            category: Category::Promotional,
            priority: GrantTerms::PRIORITY_DEFAULT,
            credits,
            effective: entry.recorded_at,
            expires: None,
            paid: Money::ZERO,
            currency: None,
            by,
        }
    }

    fn of_plan(grant: &PlanGrant, by: Option<&'a ByHand<'a>>) -> Self {
        Self {
            category: grant.category,
            priority: GrantTerms::PRIORITY_DEFAULT,
            credits: grant.credits,
            effective: grant.effective,
            expires: Some(grant.expires),
            paid: grant.paid,
            currency: grant.currency,
            by,
        }
    }
}

/// One change of one lot.
struct Movement {
    lot: LotId,
    category: Category,
    kind: &'static str,
    credits: Credits,
    revenue: Money,
    /// What leaves without being earned; never positive.
    paid: Money,
    dated: Dated,
}

/// The time that a movement counts for.
#[derive(Clone, Copy)]
enum Dated {
    At(Timestamp),
    /// The lot's expiry, which the entry does not repeat.
    Expiry,
}

impl LotRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        let mut lots = Movements { rows: self, place, entry, count: 0 };
        match &entry.body {
            Body::Debit(debit) => {
                lots.drawn(&debit.draws);
                if let Some(freed) = debit.hold.as_ref().and_then(|hold| hold.freed.as_ref()) {
                    lots.freed(freed, None);
                }
            }
            Body::Grant(grant) => {
                lots.granted(&NewLot {
                    category: grant.category,
                    priority: grant.priority,
                    credits: grant.credits,
                    effective: grant.effective,
                    expires: grant.expires,
                    paid: grant.paid,
                    currency: grant.currency,
                    by: Some(&grant.by),
                });
                lots.drawn(grant.repays.as_slice());
            }
            Body::Adjustment(adjustment) => {
                if adjustment.credits.is_positive() {
                    let by = Some(&adjustment.by);
                    lots.granted(&NewLot::promotional(entry, adjustment.credits, by));
                }
                lots.drawn(&adjustment.draws);
                lots.drawn(adjustment.repays.as_slice());
            }
            Body::LotActivated(activated) => lots.drawn(activated.repays.as_slice()),
            Body::LotVoided(closed) => lots.closed("voided", closed, entry.recorded_at),
            Body::LotExpired(closed) => lots.closed("expired", closed, expiry(entry)),
            Body::HoldCaptured(captured) => lots.drawn(&captured.draws),
            Body::HoldEnded(ended) => {
                lots.drawn(&ended.draws);
                lots.freed(&ended.freed, ended.by.as_ref());
            }
            Body::PlanAssigned(assigned) => {
                if let Some(grant) = &assigned.grant {
                    lots.granted_by_plan(&NewLot::of_plan(grant, assigned.by.as_ref()));
                }
                lots.drawn(assigned.repays.as_slice());
            }
            Body::PlanRenewed(renewed) => {
                if let Some(grant) = &renewed.grant {
                    lots.granted_by_plan(&NewLot::of_plan(grant, None));
                }
                lots.drawn(renewed.repays.as_slice());
            }
            Body::RolledOver(rolled) => lots.rolled(rolled),
            Body::Refunded(refunded) => lots.put(&Movement {
                lot: refunded.lot,
                category: refunded.category,
                kind: "refunded",
                credits: -refunded.credits,
                revenue: refunded.revenue,
                paid: -refunded.money,
                dated: Dated::At(entry.recorded_at),
            }),
            Body::Reversed(reversed) => {
                lots.returned(&reversed.returns);
                lots.compensated(reversed.lot, Some(&reversed.by));
            }
            Body::Corrected(corrected) => {
                let by = match &corrected.by {
                    Corrector::ByHand(by) => Some(by),
                    Corrector::Producer { .. } => None,
                };
                lots.returned(&corrected.returns);
                lots.compensated(corrected.lot, by);
                lots.drawn(&corrected.draws);
            }
            Body::Unrated(_)
            | Body::Quarantined(_)
            | Body::QuarantineDecided(_)
            | Body::LotInGrace(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldExtended(_)
            | Body::PlanScheduled(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::LotExpiring(_) => {}
        }
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        blocks.extend(self.grants.take(&tables::LOT_GRANTS));
        blocks.extend(self.movements.take(&tables::LOT_MOVEMENTS));
    }
}

/// Breakage is dated at the expiry; the timer is due at the end of grace.
fn expiry(entry: &Entry<'_>) -> Timestamp {
    match entry.cause {
        Cause::Timer { due } => due.plus_micros(-domain::limits::GRACE_MICROS),
        Cause::Input { .. } | Cause::Catalogue { .. } | Cause::Decision { .. } => entry.recorded_at,
    }
}

/// Writes the lots and movements of one entry, numbered.
struct Movements<'a> {
    rows: &'a mut LotRows,
    place: Place,
    entry: &'a Entry<'a>,
    count: u16,
}

impl Movements<'_> {
    fn granted(&mut self, lot: &NewLot<'_>) {
        self.opened("granted", lot, self.entry.recorded_at);
    }

    /// A period that was begun late brings its credits at its start: they may have expired before
    /// they were recorded.
    fn granted_by_plan(&mut self, lot: &NewLot<'_>) {
        self.opened("granted", lot, lot.effective.min(self.entry.recorded_at));
    }

    fn opened(&mut self, kind: &'static str, lot: &NewLot<'_>, at: Timestamp) {
        self.grant(lot);
        self.put(&Movement {
            lot: LotId(self.entry.sequence.0),
            category: lot.category,
            kind,
            credits: lot.credits,
            revenue: Money::ZERO,
            paid: Money::ZERO,
            dated: Dated::At(at),
        });
    }

    /// Overage that goes back after it was repaid or billed comes as a lot.
    fn compensated(&mut self, credits: Credits, by: Option<&ByHand<'_>>) {
        if credits.is_positive() {
            self.granted(&NewLot::promotional(self.entry, credits, by));
        }
    }

    fn drawn(&mut self, draws: &[Draw]) {
        for draw in draws {
            self.put(&Movement {
                lot: draw.lot,
                category: draw.category,
                kind: "drawn",
                credits: -draw.credits,
                revenue: draw.revenue,
                paid: Money::ZERO,
                dated: Dated::At(self.entry.recorded_at),
            });
        }
    }

    fn closed(&mut self, kind: &'static str, closed: &LotClosed<'_>, at: Timestamp) {
        self.put(&Movement {
            lot: closed.lot,
            category: closed.category,
            kind,
            credits: -closed.credits,
            revenue: closed.revenue,
            paid: Money::ZERO,
            dated: Dated::At(at),
        });
    }

    /// What a hold gave up.
    fn freed(&mut self, freed: &Freed, by: Option<&ByHand<'_>>) {
        for lost in &freed.lost {
            self.put(&Movement {
                lot: lost.lot,
                category: lost.category,
                kind: "expired",
                credits: -lost.credits,
                revenue: lost.revenue,
                paid: Money::ZERO,
                dated: Dated::Expiry,
            });
        }
        self.compensated(freed.lot, by);
        self.returned(&freed.returns);
        self.drawn(&freed.repays);
    }

    /// Credits that go back to their lot, their revenue with them. After the lot's expiry they count
    /// for it, as does their forfeit, at once or when the grace ends: so no day has fewer than none.
    /// What was earned of credits that are forfeited at once stays earned.
    fn returned(&mut self, returns: &[Return]) {
        for back in returns {
            let returned = Movement {
                lot: back.lot,
                category: back.category,
                kind: "returned",
                credits: back.credits,
                revenue: -back.revenue,
                paid: Money::ZERO,
                dated: match back.to {
                    ReturnTo::Live => Dated::At(self.entry.recorded_at),
                    ReturnTo::InGrace | ReturnTo::Expired => Dated::Expiry,
                },
            };
            self.put(&returned);
            if back.to == ReturnTo::Expired {
                let (credits, revenue) = (-back.credits, back.revenue);
                self.put(&Movement { kind: "expired", credits, revenue, ..returned });
            }
        }
    }

    fn rolled(&mut self, rolled: &RolledOver) {
        let at = rolled.effective.min(self.entry.recorded_at);
        self.put(&Movement {
            lot: rolled.from,
            category: rolled.category,
            kind: "rolled_out",
            credits: -rolled.credits,
            revenue: Money::ZERO,
            paid: -rolled.paid,
            dated: Dated::At(at),
        });
        self.opened(
            "rolled_in",
            &NewLot {
                category: rolled.category,
                priority: rolled.priority,
                credits: rolled.credits,
                effective: rolled.effective,
                expires: Some(rolled.expires),
                paid: rolled.paid,
                currency: rolled.currency,
                by: None,
            },
            at,
        );
    }

    fn grant(&mut self, lot: &NewLot<'_>) {
        let (place, entry) = (self.place, self.entry);
        self.rows.grants.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(entry.sequence.0);
            row.put_text(lot.category.word());
            row.put_u32(u32::from(lot.priority));
            row.put_amount(lot.credits);
            row.put_time(lot.effective);
            row.put_nullable_time(lot.expires);
            row.put_amount(lot.paid);
            row.put_text(lot.currency.map(|currency| currency.to_string()).unwrap_or_default());
            row.put_text(lot.by.map_or("", |by| &by.reason));
            row.put_text(lot.by.map_or("", |by| &by.actor));
            row.put_text(lot.by.map_or("", |by| &by.command));
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    fn put(&mut self, movement: &Movement) {
        let (place, entry, number) = (self.place, self.entry, self.count);
        self.count += 1;
        let (dated_at, at_expiry) = match movement.dated {
            Dated::At(time) => (time, false),
            Dated::Expiry => (entry.recorded_at, true),
        };
        self.rows.movements.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(movement.lot.0);
            row.put_text(movement.category.word());
            row.put_u16(number);
            row.put_text(movement.kind);
            row.put_amount(movement.credits);
            row.put_amount(movement.revenue);
            row.put_amount(movement.paid);
            row.put_time(dated_at);
            row.put_bool(at_expiry);
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }
}
