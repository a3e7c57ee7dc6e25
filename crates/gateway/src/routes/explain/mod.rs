//! `GET /v1/events`: what became of an event, and why.
//!
//! An event is looked for in ClickHouse, then in the part of the ledger and of the dead letters
//! that ClickHouse does not have yet, then among the inputs that the charger has not taken yet. The
//! positions are taken in that order's reverse, before anything is read, so that an event that
//! moves on meanwhile is met at its later place.

mod around;
pub(crate) mod by_entry;
mod entry;

use std::collections::BTreeSet;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Offset, Partition, Topic, TopicPartition};
use ledger::{Body, Corrector};
use projection::tables;
use rating::Catalogue;
use serde_json::{Value, json};
use wire::LedgerRecord;

use crate::app::{App, Shared, literal, scan};
use crate::auth::Asker;
use crate::follower::PartitionView;
use crate::form::Params;
use crate::problem::Problem;
use crate::tail;
use entry::{entry_json, event_json};

/// Records of one partition that are read through at most.
const TAIL_RECORDS_MAX: i64 = 300_000;
const ROWS_MAX: u32 = 50;

/// What is asked for.
#[derive(Clone, Debug)]
struct Identity {
    source: String,
    id: String,
    account: Option<String>,
}

impl Identity {
    fn is(&self, account: &str, source: &str, id: &str) -> bool {
        self.source == source
            && self.id == id
            && self.account.as_deref().is_none_or(|wanted| wanted == account)
    }

    fn condition(&self, alias: &str) -> String {
        let mut condition = format!(
            "{alias}.source = {} AND {alias}.event_id = {}",
            literal(&self.source),
            literal(&self.id)
        );
        if let Some(account) = &self.account {
            condition.push_str(&format!(" AND {alias}.account = {}", literal(account)));
        }
        condition
    }
}

#[derive(Clone, Copy, Debug, serde::Deserialize)]
struct LedgerPlace {
    partition: Partition,
    offset: Offset,
}

/// Everything that was found.
#[derive(Default)]
struct Found {
    /// Entries, explained, in the ledger's order, each with whether ClickHouse has it.
    entries: Vec<Value>,
    dead_letters: Vec<Value>,
    /// In an input, not yet taken by the charger.
    pending: Option<Value>,
    /// Whether every place was read to its end.
    whole: bool,
}

pub(crate) async fn get(
    State(app): State<App>,
    asker: Asker,
    mut params: Params,
) -> Result<Response, Problem> {
    let identity = Identity {
        source: params.required("source")?,
        id: params.required("id")?,
        account: params.text("account"),
    };
    params.finish()?;
    asker.must_reach_source(&identity.source)?;
    if let Some(account) = &identity.account {
        asker.must_reach(account)?;
    }
    let views = app.followed.views();
    let ledger_from = app.warehouse.max_offsets(&tables::LEDGER_ENTRIES).await?;
    let letters_from = app.warehouse.max_offsets(&tables::DEAD_LETTERS).await?;
    let places: Vec<LedgerPlace> = app
        .warehouse
        .query_rows(&format!(
            "SELECT e.ledger_partition AS partition, e.ledger_offset AS offset
             FROM ledger_entries AS e WHERE {} ORDER BY partition, offset LIMIT {ROWS_MAX}",
            identity.condition("e")
        ))
        .await?;
    let letters: Vec<Value> = app
        .warehouse
        .query_rows(&format!(
            "SELECT d.account AS account, d.reason AS code, d.field AS field, d.value AS value,
                d.received_at AS received_at, d.cause_topic AS topic,
                d.cause_partition AS partition, d.cause_offset AS offset, d.bytes AS record
             FROM dead_letters AS d WHERE {} ORDER BY received_at LIMIT {ROWS_MAX}",
            identity.condition("d")
        ))
        .await?;
    let asked = identity.clone();
    let mut found = scan(&app, move |shared| {
        let next = |at: Option<&Offset>| at.map_or(Offset::ZERO, |offset| offset.next());
        let mut found = Found { dead_letters: letters, whole: true, ..Found::default() };
        let catalogue = shared.followed.prices().catalogue;
        found.projected(shared, &catalogue, &places)?;
        for partition in searched(shared, &asked) {
            found.ledger_tail(
                shared,
                &catalogue,
                &asked,
                (partition, next(ledger_from.get(&partition))),
            )?;
            found.letters_tail(shared, &asked, (partition, next(letters_from.get(&partition))))?;
            let view = views.get(partition.0 as usize);
            found.inputs(shared, &asked, partition, view)?;
        }
        Ok(found)
    })
    .await?;
    found.keep(&asker);
    let mut explained = answer(&identity, found)?;
    around::add(&app, &mut explained).await?;
    Ok(super::json(StatusCode::OK, &explained))
}

/// The partitions where an event of that identity may be: its account's, and those where a
/// producer with another partitioner may have put it.
fn searched(shared: &Shared, identity: &Identity) -> Vec<Partition> {
    let home = identity.account.as_deref().map(|account| shared.home(account));
    let mut all: Vec<Partition> = shared.partitions().collect();
    all.sort_by_key(|partition| Some(*partition) != home);
    all
}

impl Found {
    /// Lets go of what the key may not see, as if it were not there. What names no account may be
    /// anybody's.
    fn keep(&mut self, asker: &Asker) {
        if asker.caller().may_span_accounts() {
            return;
        }
        let is_own = |found: &Value| {
            found["account"].as_str().is_some_and(|account| asker.caller().may_reach(account))
        };
        self.entries.retain(is_own);
        self.dead_letters.retain(is_own);
        self.pending = self.pending.take().filter(is_own);
    }

    /// Entries that ClickHouse knows, read from the ledger itself.
    fn projected(
        &mut self,
        shared: &Shared,
        catalogue: &Catalogue,
        places: &[LedgerPlace],
    ) -> Result<(), Problem> {
        for place in places {
            let at = TopicPartition { topic: Topic::LedgerEntries, partition: place.partition };
            let explained = tail::record_at(shared.log.as_ref(), at, place.offset, |record| {
                match wire::decode_ledger(record.value) {
                    Ok(LedgerRecord::Entry(entry)) => {
                        entry_json(catalogue, place.partition, &entry)
                    }
                    Ok(LedgerRecord::Seal(_) | LedgerRecord::Adopted(_)) | Err(_) => None,
                }
            })?;
            if let Some(mut explained) = explained.flatten() {
                explained["queryable"] = true.into();
                explained["ledger_offset"] = place.offset.0.into();
                self.entries.push(explained);
            }
        }
        Ok(())
    }

    fn ledger_tail(
        &mut self,
        shared: &Shared,
        catalogue: &Catalogue,
        identity: &Identity,
        (partition, from): (Partition, Offset),
    ) -> Result<(), Problem> {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let log = shared.log.as_ref();
        self.whole &= tail::read(log, at, from, TAIL_RECORDS_MAX, &mut |record| {
            if wire::is_seal(record.value) {
                return;
            }
            if let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(record.value)
                && let Some((source, id)) = event_of(&entry.body)
                && identity.is(&entry.account, source, id)
                && let Some(mut explained) = entry_json(catalogue, partition, &entry)
            {
                explained["queryable"] = false.into();
                explained["ledger_offset"] = record.offset.0.into();
                self.entries.push(explained);
            }
        })?;
        Ok(())
    }

    fn letters_tail(
        &mut self,
        shared: &Shared,
        identity: &Identity,
        (partition, from): (Partition, Offset),
    ) -> Result<(), Problem> {
        let at = TopicPartition { topic: Topic::DeadLetters, partition };
        let log = shared.log.as_ref();
        self.whole &= tail::read(log, at, from, TAIL_RECORDS_MAX, &mut |record| {
            let Ok(letter) = wire::decode_dead_letter(record.value) else { return };
            let (Some(source), Some(id)) = (&letter.source, &letter.id) else { return };
            if identity.is(letter.account.as_deref().unwrap_or_default(), source, id) {
                self.dead_letters.push(json!({
                    "account": letter.account,
                    "code": letter.reason.code(),
                    "field": letter.field,
                    "value": letter.value,
                    "received_at": letter.received_at,
                    "topic": letter.at.topic.name(),
                    "partition": letter.at.partition,
                    "offset": letter.offset,
                    "record": String::from_utf8_lossy(&letter.record),
                }));
            }
        })?;
        Ok(())
    }

    /// What lies in the inputs past the last seal.
    fn inputs(
        &mut self,
        shared: &Shared,
        identity: &Identity,
        partition: Partition,
        view: Option<&PartitionView>,
    ) -> Result<(), Problem> {
        for topic in [Topic::UsageRaw, Topic::UsageForwarded] {
            let at = TopicPartition { topic, partition };
            let from = view.and_then(|view| view.consumed(topic)).unwrap_or(Offset::ZERO);
            let log = shared.log.as_ref();
            self.whole &= tail::read(log, at, from, TAIL_RECORDS_MAX, &mut |record| {
                let Ok(decoded) = wire::decode_usage(record.value) else { return };
                let event = &decoded.event;
                if self.pending.is_none() && identity.is(&event.account, &event.source, &event.id) {
                    self.pending = Some(json!({
                        "state": "pending",
                        "account": event.account,
                        "event": event_json(event),
                        "received_at": record.appended_at,
                        "cause": {
                            "kind": "input",
                            "topic": topic.name(),
                            "partition": partition,
                            "offset": record.offset,
                        },
                    }));
                }
            })?;
        }
        Ok(())
    }
}

fn event_of<'e>(body: &'e Body<'_>) -> Option<(&'e str, &'e str)> {
    match body {
        Body::Debit(debit) => Some((&debit.event.source, &debit.event.id)),
        Body::Unrated(unrated) => Some((&unrated.event.source, &unrated.event.id)),
        Body::Quarantined(held) => Some((&held.source, &held.id)),
        Body::Corrected(corrected) => match (&corrected.by, &corrected.now) {
            (Corrector::Producer { id, .. }, _) => Some((&corrected.before.event.source, id)),
            (Corrector::ByHand(_), Some(now)) => Some((&now.event.source, &now.event.id)),
            (Corrector::ByHand(_), None) => None,
        },
        Body::QuarantineDecided(decided) => Some((&decided.source, &decided.id)),
        Body::Grant(_)
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
        | Body::LotExpiring(_) => None,
    }
}

/// The entry that matters most says the state; the others are listed.
fn answer(identity: &Identity, found: Found) -> Result<Value, Problem> {
    let accounts: BTreeSet<&str> = found
        .entries
        .iter()
        .chain(&found.pending)
        .filter_map(|entry| entry["account"].as_str())
        .collect();
    if accounts.len() > 1 {
        let accounts: Vec<&str> = accounts.into_iter().collect();
        let detail = "several accounts have an event of that source and id: name the account";
        return Err(Problem::new(StatusCode::CONFLICT, "ambiguous", detail)
            .field("account")
            .with("accounts", accounts));
    }
    let rank = |entry: &Value| match entry["state"].as_str() {
        Some("debit") => 0,
        Some("unrated") => 1,
        _ => 2,
    };
    let mut entries = found.entries;
    entries.sort_by_key(rank);
    // What was projected while this was read is found twice.
    let mut seen = BTreeSet::new();
    entries.retain(|entry| seen.insert(entry["entry"].to_string()));
    let mut letters = found.dead_letters;
    let mut seen = BTreeSet::new();
    letters.retain(|letter| {
        seen.insert(format!("{} {} {}", letter["topic"], letter["partition"], letter["offset"]))
    });
    let mut entries = entries.into_iter();
    let mut answer = match (entries.next(), found.pending, letters.is_empty()) {
        (Some(entry), _, _) => entry,
        (None, Some(pending), _) => pending,
        (None, None, false) => json!({ "state": "dead_letter" }),
        (None, None, true) if !found.whole => {
            return Err(Problem::unavailable(format!(
                "it is not among the entries, and more than {TAIL_RECORDS_MAX} records are not \
                 processed yet; ask again later"
            )));
        }
        (None, None, true) => json!({ "state": "unknown" }),
    };
    answer["source"] = identity.source.as_str().into();
    answer["id"] = identity.id.as_str().into();
    answer["others"] = entries.collect::<Vec<_>>().into();
    answer["dead_letters"] = letters.into();
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use access::Role;

    use super::*;
    use crate::auth::asker::tests::asker;

    /// A letter that names no account may be anybody's.
    #[test]
    fn what_is_not_surely_the_keys_own_is_not_shown() {
        let of = |account: Value| json!({ "account": account, "record": "{…}" });
        let mut found = Found {
            entries: vec![of(json!("a")), of(json!("b"))],
            dead_letters: vec![of(Value::Null), of(json!("b")), of(json!("a")), of(json!(""))],
            pending: Some(of(json!("b"))),
            whole: true,
        };
        found.keep(&asker(Role::Analyst, &["a"]));
        assert_eq!(found.entries, [of(json!("a"))]);
        assert_eq!(found.dead_letters, [of(json!("a"))]);
        assert_eq!(found.pending, None);
    }
}
