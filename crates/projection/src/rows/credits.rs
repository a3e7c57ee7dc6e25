//! Balances, lots and their movements.

use std::collections::BTreeMap;

use domain::{Credits, Currency, LotId, Money, Timestamp};
use ledger::{Body, ByHand, Category, Draw, Entry, LotClosed};

use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct CreditRows {
    /// The last balance of each account in the batch, as a row.
    balances: BTreeMap<String, Vec<u8>>,
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
    by: &'a ByHand<'a>,
}

/// One change of one lot.
struct Movement {
    lot: LotId,
    category: Category,
    kind: &'static str,
    credits: Credits,
    revenue: Money,
    dated_at: Timestamp,
}

impl CreditRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        self.balance(place, entry);
        let mut movements = Movements { rows: &mut self.movements, place, entry, count: 0 };
        match &entry.body {
            Body::Debit(debit) => debit.draws.iter().for_each(|draw| movements.drawn(draw)),
            Body::Unrated(_) | Body::Quarantined(_) | Body::LotInGrace(_) => {}
            Body::Grant(grant) => {
                movements.granted(grant.category, grant.credits);
                grant.repays.iter().for_each(|draw| movements.drawn(draw));
                self.grant(
                    place,
                    entry,
                    &NewLot {
                        category: grant.category,
                        priority: grant.priority,
                        credits: grant.credits,
                        effective: grant.effective,
                        expires: grant.expires,
                        paid: grant.paid,
                        currency: grant.currency,
                        by: &grant.by,
                    },
                );
            }
            Body::Adjustment(adjustment) => {
                if adjustment.credits.is_positive() {
                    movements.granted(Category::Promotional, adjustment.credits);
                }
                adjustment.draws.iter().for_each(|draw| movements.drawn(draw));
                adjustment.repays.iter().for_each(|draw| movements.drawn(draw));
                if adjustment.credits.is_positive() {
                    self.grant(
                        place,
                        entry,
                        &NewLot {
                            category: Category::Promotional,
                            priority: ledger::GrantTerms::PRIORITY_DEFAULT,
                            credits: adjustment.credits,
                            effective: entry.recorded_at,
                            expires: None,
                            paid: Money::ZERO,
                            currency: None,
                            by: &adjustment.by,
                        },
                    );
                }
            }
            Body::LotActivated(activated) => {
                activated.repays.iter().for_each(|draw| movements.drawn(draw));
            }
            Body::LotVoided(closed) => movements.closed("voided", closed, entry.recorded_at),
            Body::LotExpired(closed) => {
                let expiry = match entry.cause {
                    // The timer is due at the end of grace; breakage is dated at the expiry.
                    ledger::Cause::Timer { due } => due.plus_micros(-domain::limits::GRACE_MICROS),
                    ledger::Cause::Input { .. } | ledger::Cause::Catalogue { .. } => {
                        entry.recorded_at
                    }
                };
                movements.closed("expired", closed, expiry);
            }
        }
    }

    fn balance(&mut self, place: Place, entry: &Entry<'_>) {
        let row = match self.balances.get_mut(entry.account.as_ref()) {
            Some(row) => row,
            None => self.balances.entry(entry.account.to_string()).or_default(),
        };
        row.clear();
        let after = &entry.after;
        row.put_text(entry.account.as_bytes());
        row.put_u64(entry.sequence.0);
        row.put_time(entry.recorded_at);
        row.put_text("");
        row.put_amount(after.settled);
        row.put_amount(after.held);
        row.put_amount(after.in_grace);
        row.put_amount(after.available());
        row.put_amount(after.overage);
        row.put_text(entry_id(place.partition, entry.number));
        row.put_u32(place.partition.0);
        row.put_i64(place.offset.0);
    }

    fn grant(&mut self, place: Place, entry: &Entry<'_>, lot: &NewLot<'_>) {
        self.grants.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(entry.sequence.0);
            row.put_text(lot.category.word());
            row.put_u32(u32::from(lot.priority));
            row.put_amount(lot.credits);
            row.put_time(lot.effective);
            row.put_nullable_time(lot.expires);
            row.put_amount(lot.paid);
            row.put_text(lot.currency.map(|currency| currency.to_string()).unwrap_or_default());
            row.put_text(lot.by.reason.as_bytes());
            row.put_text(lot.by.actor.as_bytes());
            row.put_text(lot.by.command.as_bytes());
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        let mut balances = Rows::default();
        for row in std::mem::take(&mut self.balances).into_values() {
            balances.add(|rows| rows.extend_from_slice(&row));
        }
        blocks.extend(balances.take(&tables::ACCOUNT_BALANCES));
        blocks.extend(self.grants.take(&tables::LOT_GRANTS));
        blocks.extend(self.movements.take(&tables::LOT_MOVEMENTS));
    }
}

/// Writes the movements of one entry, numbered.
struct Movements<'a> {
    rows: &'a mut Rows,
    place: Place,
    entry: &'a Entry<'a>,
    count: u16,
}

impl Movements<'_> {
    fn granted(&mut self, category: Category, credits: Credits) {
        self.put(&Movement {
            lot: LotId(self.entry.sequence.0),
            category,
            kind: "granted",
            credits,
            revenue: Money::ZERO,
            dated_at: self.entry.recorded_at,
        });
    }

    fn drawn(&mut self, draw: &Draw) {
        self.put(&Movement {
            lot: draw.lot,
            category: draw.category,
            kind: "drawn",
            credits: -draw.credits,
            revenue: draw.revenue,
            dated_at: self.entry.recorded_at,
        });
    }

    fn closed(&mut self, kind: &'static str, closed: &LotClosed<'_>, dated_at: Timestamp) {
        self.put(&Movement {
            lot: closed.lot,
            category: closed.category,
            kind,
            credits: -closed.credits,
            revenue: closed.revenue,
            dated_at,
        });
    }

    fn put(&mut self, movement: &Movement) {
        let (place, entry, number) = (self.place, self.entry, self.count);
        self.count += 1;
        self.rows.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(movement.lot.0);
            row.put_text(movement.category.word());
            row.put_u16(number);
            row.put_text(movement.kind);
            row.put_amount(movement.credits);
            row.put_amount(movement.revenue);
            row.put_time(movement.dated_at);
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }
}
