//! `ledger_entries`, one row per entry, and `seals`.

use std::fmt::Write;

use domain::{ContentHash, Credits, Outcome, Topic, UsageEvent};
use ledger::{
    Body, ByHand, Cause, Corrected, Corrector, Entry, ExceptionKind, PostingAccount, Seal, Unit,
    postings,
};
use serde_json::json;

use super::balances::settled;
use super::holds::hold_of;
use super::usage::text;
use super::{Block, Place, Rows, entry_id};
use crate::rowbinary::RowBinary;
use crate::tables;

#[derive(Debug, Default)]
pub(crate) struct LedgerRows {
    entries: Rows,
    seals: Rows,
}

/// The columns that depend on what kind of entry it is.
#[derive(Default)]
struct Facts<'a> {
    event_time: Option<domain::Timestamp>,
    source: &'a str,
    event_id: &'a str,
    content_hash: String,
    hold: String,
    corrects: String,
    residual: Credits,
    catalogue: Option<i64>,
    reason: &'a str,
    actor: &'a str,
}

impl<'a> Facts<'a> {
    fn by(by: &'a ByHand<'a>) -> Self {
        Self {
            event_id: &by.command,
            content_hash: by.content.to_string(),
            reason: &by.reason,
            actor: &by.actor,
            ..Self::default()
        }
    }

    fn of_event(event: &'a UsageEvent<'a>, content: ContentHash) -> Self {
        Self {
            event_time: Some(event.time),
            source: &event.source,
            event_id: &event.id,
            content_hash: content.to_string(),
            hold: text(&event.hold).to_owned(),
            ..Self::default()
        }
    }
}

fn facts<'a>(place: Place, entry: &'a Entry<'a>) -> Facts<'a> {
    let name = |number| entry_id(place.partition, number);
    let hold = || hold_of(place, entry).map(|hold| hold.to_string()).unwrap_or_default();
    match &entry.body {
        Body::Debit(debit) => Facts {
            corrects: debit.resolves.map(name).unwrap_or_default(),
            residual: debit.residual,
            catalogue: Some(debit.catalogue.0 - 1),
            ..Facts::of_event(&debit.event, debit.content)
        },
        Body::Unrated(unrated) => Facts {
            reason: unrated.reason.code(),
            ..Facts::of_event(&unrated.event, unrated.content)
        },
        Body::Quarantined(held) => Facts {
            event_time: Some(held.time),
            source: &held.source,
            event_id: &held.id,
            corrects: held.conflicts_with.map(name).unwrap_or_default(),
            reason: held.reason.code(),
            ..Facts::default()
        },
        Body::Grant(grant) => Facts::by(&grant.by),
        Body::Adjustment(adjustment) => Facts::by(&adjustment.by),
        Body::LotVoided(closed) | Body::LotExpired(closed) => {
            closed.by.as_ref().map(Facts::by).unwrap_or_default()
        }
        Body::HoldReserved(reserved) => Facts { hold: hold(), ..Facts::by(&reserved.by) },
        Body::HoldRefused(refused) => Facts::by(&refused.by),
        Body::HoldCaptured(captured) => Facts { hold: hold(), ..Facts::by(&captured.by) },
        Body::HoldExtended(extended) => Facts { hold: hold(), ..Facts::by(&extended.by) },
        Body::HoldEnded(ended) => {
            Facts { hold: hold(), ..ended.by.as_ref().map(Facts::by).unwrap_or_default() }
        }
        Body::PlanAssigned(assigned) => assigned.by.as_ref().map(Facts::by).unwrap_or_default(),
        Body::PlanScheduled(scheduled) => Facts::by(&scheduled.by),
        Body::BudgetSet(set) => Facts::by(&set.by),
        Body::BudgetRemoved(removed) => Facts::by(&removed.by),
        Body::NoticesSet(set) => Facts::by(&set.by),
        Body::Refunded(refunded) => Facts::by(&refunded.by),
        // Named as the event, so that whoever asks for it finds that it was taken back.
        Body::Reversed(reversed) => Facts {
            corrects: name(reversed.reverses),
            residual: -reversed.debit.residual,
            reason: &reversed.by.reason,
            actor: &reversed.by.actor,
            ..Facts::of_event(&reversed.debit.event, reversed.debit.content)
        },
        Body::Corrected(corrected) => corrected_facts(place, corrected),
        Body::QuarantineDecided(decided) => Facts {
            source: &decided.source,
            event_id: &decided.id,
            corrects: name(decided.held),
            reason: &decided.by.reason,
            actor: &decided.by.actor,
            ..Facts::default()
        },
        Body::LotActivated(_)
        | Body::LotInGrace(_)
        | Body::PlanRenewed(_)
        | Body::RolledOver(_)
        | Body::LotExpiring(_) => Facts::default(),
    }
}

/// Named as the event that stands, or that took the charge back.
fn corrected_facts<'a>(place: Place, corrected: &'a Corrected<'a>) -> Facts<'a> {
    let residual = corrected.now.as_ref().map_or(Credits::ZERO, |now| now.residual);
    let standing = corrected.now.as_ref().unwrap_or(&corrected.before);
    let mut facts = Facts {
        corrects: entry_id(place.partition, corrected.corrects),
        residual: residual - corrected.before.residual,
        catalogue: corrected.now.as_ref().map(|now| now.catalogue.0 - 1),
        ..Facts::of_event(&standing.event, standing.content)
    };
    match &corrected.by {
        Corrector::ByHand(by) => (facts.reason, facts.actor) = (&by.reason, &by.actor),
        Corrector::Producer { id, time, content } => {
            facts.event_id = id;
            facts.event_time = Some(*time);
            facts.content_hash = content.to_string();
        }
    }
    facts
}

impl LedgerRows {
    pub(crate) fn entry(&mut self, place: Place, entry: &Entry<'_>) {
        let facts = facts(place, entry);
        let (cause, topic, partition, offset) = match entry.cause {
            Cause::Input { topic, offset } => ("input", topic.name(), place.partition.0, offset.0),
            Cause::Timer { .. } => ("timer", "", 0, -1),
            Cause::Catalogue { .. } => ("catalogue", "", 0, -1),
            Cause::Decision { .. } => ("decision", "", 0, -1),
        };
        let after = &entry.after;
        self.entries.add(|row| {
            row.put_text(entry.account.as_bytes());
            row.put_u64(entry.sequence.0);
            row.put_text(entry_id(place.partition, entry.number));
            row.put_text(entry.body.kind());
            row.put_time(entry.recorded_at);
            row.put_nullable_time(facts.event_time);
            row.put_text(cause);
            row.put_text(topic);
            row.put_u32(partition);
            row.put_i64(offset);
            row.put_text(facts.source);
            row.put_text(facts.event_id);
            row.put_text(&facts.content_hash);
            row.put_text(&facts.hold);
            row.put_text(&facts.corrects);
            row.put_amount(settled(entry));
            row.put_amount(facts.residual);
            row.put_amount(after.settled);
            row.put_amount(after.held);
            row.put_amount(after.in_grace);
            row.put_amount(after.available());
            row.put_amount(after.overage);
            row.put_i64(facts.catalogue.unwrap_or(-1));
            row.put_text(facts.reason);
            row.put_text(facts.actor);
            row.put_text(postings_text(entry));
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
        });
    }

    pub(crate) fn seal(&mut self, place: Place, seal: &Seal) {
        self.seals.add(|row| {
            row.put_u32(place.partition.0);
            row.put_i64(place.offset.0);
            row.put_time(seal.ledger_time);
            row.put_i64(seal.catalogue.0 - 1);
            row.put_u64(seal.records);
            for topic in Topic::INPUTS {
                let range = seal.sources.iter().find(|range| range.topic == topic);
                row.put_i64(range.map_or(0, |range| range.from.0));
                row.put_i64(range.map_or(0, |range| range.to.0));
            }
            for outcome in Outcome::ALL {
                row.put_u64(seal.counts.get(outcome));
            }
            row.put_amount(-seal.credits);
            row.put_text(exceptions_text(place, seal));
            row.put_text(hexadecimal(&seal.chain));
        });
    }

    /// `ledger_entries` comes last of a batch: its largest offset says what is complete.
    pub(crate) fn finish(&mut self, blocks: &mut Vec<Block>) {
        blocks.extend(self.seals.take(&tables::SEALS));
        blocks.extend(self.entries.take(&tables::LEDGER_ENTRIES));
    }
}

/// `[{"account":"lot:7","unit":"credits","amount":"-5"}]`, written without a tree: it is made for
/// every entry.
fn postings_text(entry: &Entry<'_>) -> String {
    let mut out = String::with_capacity(256);
    out.push('[');
    for (index, posting) in postings(entry).iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        let unit = match posting.unit {
            Unit::Credits => "credits",
            Unit::Money => "money",
        };
        let amount = Credits::from_atoms(posting.amount);
        let word = posting.account.word();
        // Writing to a string cannot fail.
        match posting.account {
            PostingAccount::Lot(lot) => {
                write!(out, r#"{{"account":"lot:{lot}","unit":"{unit}","amount":"{amount}"}}"#).ok()
            }
            _ => write!(out, r#"{{"account":"{word}","unit":"{unit}","amount":"{amount}"}}"#).ok(),
        };
    }
    out.push(']');
    out
}

fn exceptions_text(place: Place, seal: &Seal) -> String {
    if seal.exceptions.is_empty() {
        return "[]".to_owned();
    }
    let list: Vec<serde_json::Value> = seal
        .exceptions
        .iter()
        .map(|exception| {
            let (topic, offset) = (exception.topic.name(), exception.offset.0);
            let outcome = exception.kind.outcome().word();
            match exception.kind {
                ExceptionKind::Duplicate { repeats } | ExceptionKind::Repeated { repeats } => {
                    let repeats = entry_id(place.partition, repeats);
                    json!({"topic": topic, "offset": offset, "outcome": outcome, "repeats": repeats})
                }
                ExceptionKind::DeadLetter { reason } | ExceptionKind::Refused { reason } => {
                    json!({"topic": topic, "offset": offset, "outcome": outcome, "reason": reason.code()})
                }
                ExceptionKind::Forwarded { to } => {
                    json!({"topic": topic, "offset": offset, "outcome": outcome, "to": to.0})
                }
            }
        })
        .collect();
    serde_json::Value::Array(list).to_string()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").ok();
        text
    })
}
