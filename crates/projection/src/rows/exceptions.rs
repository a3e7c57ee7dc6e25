//! Unrated usage, quarantine, dead letters.

use domain::{Item, Timestamp, UsageEvent};
use ledger::{Body, Cause, Entry, QuarantineDecided, Quarantined, Unrated};
use wire::{DeadLetter, DeadLetterRetry, LetterRecord};

use super::usage::text;
use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct ExceptionRows {
    unrated: Rows,
    quarantine: Rows,
}

impl ExceptionRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        match &entry.body {
            Body::Unrated(unrated) => self.unrated(place, entry, unrated),
            Body::Debit(debit) if debit.resolves.is_some() => {
                self.step(place, entry, &debit.event, ("charged", "", 0));
            }
            Body::Quarantined(quarantined) => self.quarantined(place, entry, quarantined),
            Body::QuarantineDecided(decided) => self.decided(place, entry, decided),
            Body::Debit(_)
            | Body::Grant(_)
            | Body::Adjustment(_)
            | Body::LotVoided(_)
            | Body::LotActivated(_)
            | Body::LotInGrace(_)
            | Body::LotExpired(_)
            | Body::HoldReserved(_)
            | Body::HoldRefused(_)
            | Body::HoldCaptured(_)
            | Body::HoldExtended(_)
            | Body::HoldEnded(_)
            | Body::PlanAssigned(_)
            | Body::PlanScheduled(_)
            | Body::PlanRenewed(_)
            | Body::RolledOver(_)
            | Body::BudgetSet(_)
            | Body::BudgetRemoved(_)
            | Body::NoticesSet(_)
            | Body::Refunded(_)
            | Body::Reversed(_)
            | Body::LotExpiring(_)
            | Body::Corrected(_) => {}
        }
    }

    fn unrated(&mut self, place: Place, entry: &Entry<'_>, unrated: &Unrated<'_>) {
        let item = unrated.item.unwrap_or(0);
        self.step(place, entry, &unrated.event, ("unrated", unrated.reason.code(), item));
    }

    fn step(
        &mut self,
        place: Place,
        entry: &Entry<'_>,
        event: &UsageEvent<'_>,
        (state, reason, index): (&str, &str, u16),
    ) {
        let item: Option<&Item<'_>> = event.items.get(usize::from(index));
        self.unrated.add(|row| {
            row.put_text(event.account.as_bytes());
            row.put_text(event.source.as_bytes());
            row.put_text(event.id.as_bytes());
            row.put_u64(entry.sequence.0);
            row.put_text(state);
            row.put_text(reason);
            row.put_u16(index);
            row.put_nullable_time(Some(event.time));
            row.put_text(text(&event.user));
            row.put_text(text(&event.team));
            row.put_text(event.feature.as_bytes());
            row.put_text(event.traffic.word());
            row.put_text(item.map(|item| text(&item.provider)).unwrap_or_default());
            row.put_text(item.map(|item| text(&item.model)).unwrap_or_default());
            row.put_text(item.and_then(Item::meter).unwrap_or_default());
            row.put_time(entry.recorded_at);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    fn quarantined(&mut self, place: Place, entry: &Entry<'_>, held: &Quarantined<'_>) {
        let (topic, offset) = match entry.cause {
            Cause::Input { topic, offset } => (topic.name(), offset.0),
            Cause::Timer { .. } | Cause::Catalogue { .. } | Cause::Decision { .. } => ("", -1),
        };
        let conflicts =
            held.conflicts_with.map(|first| entry_id(place.partition, first)).unwrap_or_default();
        self.quarantine.add(|row| {
            row.put_text(topic);
            row.put_u32(place.partition.0);
            row.put_i64(offset);
            row.put_u32(0);
            row.put_text("held");
            row.put_text(held.reason.code());
            let (field, value) = match held.reason {
                domain::Reason::TooEarly | domain::Reason::TooLate => {
                    ("time", held.time.to_string())
                }
                _ => ("id", held.id.to_string()),
            };
            row.put_text(field);
            row.put_text(value);
            row.put_text(entry.account.as_bytes());
            row.put_text(held.source.as_bytes());
            row.put_text(held.id.as_bytes());
            row.put_nullable_time(Some(held.time));
            row.put_text(conflicts);
            row.put_text(&held.record);
            row.put_text("");
            row.put_text("");
            row.put_time(entry.recorded_at);
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    fn decided(&mut self, place: Place, entry: &Entry<'_>, decided: &QuarantineDecided<'_>) {
        self.quarantine.add(|row| {
            row.put_text(decided.topic.name());
            row.put_u32(place.partition.0);
            row.put_i64(decided.offset.0);
            row.put_u32(1);
            row.put_text(if decided.accepted { "accepted" } else { "rejected" });
            row.put_text(decided.reason.code());
            row.put_text("");
            row.put_text("");
            row.put_text(entry.account.as_bytes());
            row.put_text(decided.source.as_bytes());
            row.put_text(decided.id.as_bytes());
            row.put_nullable_time(None);
            row.put_text("");
            row.put_text("");
            row.put_text(decided.by.actor.as_bytes());
            row.put_text(decided.by.reason.as_bytes());
            row.put_time(entry.recorded_at);
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        blocks.extend(self.unrated.take(&tables::UNRATED_STEPS));
        blocks.extend(self.quarantine.take(&tables::QUARANTINE_STEPS));
    }
}

/// Dead letters stand on a topic of their own, and so make batches of their own.
#[derive(Debug, Default)]
pub struct DeadLetterRows {
    letters: Rows,
    retries: Rows,
}

impl DeadLetterRows {
    /// Adds a record, which stands at `place` of its topic since `recorded_at`.
    pub fn record(
        &mut self,
        place: Place,
        recorded_at: Timestamp,
        key: &[u8],
        record: &LetterRecord<'_>,
    ) {
        match record {
            LetterRecord::Letter(letter) => self.letter(place, recorded_at, key, letter),
            LetterRecord::Retry(retry) => self.retry(place, retry),
        }
    }

    fn letter(
        &mut self,
        place: Place,
        recorded_at: Timestamp,
        key: &[u8],
        letter: &DeadLetter<'_>,
    ) {
        self.letters.add(|row| {
            row.put_time(recorded_at);
            row.put_nullable_time(Some(letter.received_at));
            row.put_text(letter.reason.code());
            row.put_text(letter.field.as_bytes());
            row.put_text(letter.value.as_bytes());
            row.put_text(text(&letter.account));
            row.put_text(text(&letter.source));
            row.put_text(text(&letter.id));
            row.put_text(letter.at.topic.name());
            row.put_u32(letter.at.partition.0);
            row.put_i64(letter.offset.0);
            row.put_text(key);
            row.put_text(&letter.record);
            row.put_u64(letter.record.len() as u64);
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    fn retry(&mut self, place: Place, retry: &DeadLetterRetry<'_>) {
        self.retries.add(|row| {
            row.put_u32(place.partition.0);
            row.put_i64(retry.letter.0);
            row.put_i64(place.offset.0);
            row.put_u32(retry.partition.0);
            row.put_i64(retry.offset.0);
            row.put_text(retry.actor.as_bytes());
            row.put_time(retry.retried_at);
        });
    }

    /// The batch's rows.
    pub fn finish(&mut self) -> Vec<Block> {
        let letters = self.letters.take(&tables::DEAD_LETTERS);
        letters.into_iter().chain(self.retries.take(&tables::DEAD_LETTER_RETRIES)).collect()
    }
}
