//! A ledger entry in words and numbers: what `explain` answers.

use domain::{CatalogueId, Item, Measure, Money, Partition, Timestamp, UsageEvent};
use ledger::{
    Body, Cause, Corrected, Corrector, Debit, Draw, Entry, Freed, HoldName, HoldUse,
    QuarantineDecided, Quarantined, Unrated,
};
use rating::{Catalogue, Rating, explain_lines, explain_total};
use serde_json::{Map, Value, json};

use crate::answer::balance_json;
use crate::routes::quote::explanation;

/// Explains an entry that a usage event caused; `None` for the other kinds.
pub(super) fn entry_json(
    catalogue: &Catalogue,
    partition: Partition,
    entry: &Entry<'_>,
) -> Option<Value> {
    let mut answer = match &entry.body {
        Body::Debit(debit) => debit_json(catalogue, partition, debit),
        Body::Unrated(unrated) => unrated_json(unrated),
        Body::Quarantined(held) => quarantined_json(partition, held),
        Body::Corrected(corrected) => corrected_json(catalogue, partition, corrected),
        Body::QuarantineDecided(decided) => decided_json(partition, decided),
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
        | Body::LotExpiring(_) => return None,
    };
    answer["state"] = entry.body.kind().into();
    answer["account"] = entry.account.as_ref().into();
    answer["entry"] = projection::entry_id(partition, entry.number).into();
    answer["sequence"] = entry.sequence.0.into();
    answer["recorded_at"] = entry.recorded_at.to_string().into();
    answer["cause"] = cause_json(partition, entry.cause);
    answer["balance_after"] = balance_json(&entry.after);
    Some(answer)
}

pub(super) fn cause_json(partition: Partition, cause: Cause) -> Value {
    match cause {
        Cause::Input { topic, offset } => {
            json!({ "kind": "input", "topic": topic.name(), "partition": partition, "offset": offset })
        }
        Cause::Timer { due } => json!({ "kind": "timer", "due": due }),
        Cause::Catalogue { next } => json!({ "kind": "catalogue", "next_offset": next }),
        Cause::Decision { entry } => json!({
            "kind": "decision",
            "entry": projection::entry_id(partition, entry),
        }),
    }
}

/// A charge that another took the place of, or none: both in full, and the difference.
fn corrected_json(catalogue: &Catalogue, partition: Partition, corrected: &Corrected<'_>) -> Value {
    let by = match &corrected.by {
        Corrector::ByHand(by) => json!({
            "actor": by.actor,
            "reason": by.reason,
            "id": by.command,
        }),
        Corrector::Producer { id, time, .. } => json!({ "event": id, "time": time.to_string() }),
    };
    json!({
        "corrects": projection::entry_id(partition, corrected.corrects),
        "charge": projection::entry_id(partition, corrected.charge),
        "charge_recorded_at": corrected.recorded_at.to_string(),
        "by": by,
        "change": corrected.change(),
        "before": debit_json(catalogue, partition, &corrected.before),
        "now": corrected.now.as_ref().map(|now| debit_json(catalogue, partition, now)),
    })
}

fn decided_json(partition: Partition, decided: &QuarantineDecided<'_>) -> Value {
    json!({
        "held": projection::entry_id(partition, decided.held),
        "reason": decided.reason.code(),
        "accepted": decided.accepted,
        "by": { "actor": decided.by.actor, "reason": decided.by.reason, "id": decided.by.command },
    })
}

fn debit_json(catalogue: &Catalogue, partition: Partition, debit: &Debit<'_>) -> Value {
    let rating = rating_of(catalogue, debit);
    let explained = explain_lines(catalogue, &debit.event, &rating);
    let lines: Vec<Value> = debit
        .event
        .items
        .iter()
        .zip(&debit.lines)
        .enumerate()
        .map(|(index, (item, line))| {
            let reported = item.vendor_cost.map(|cost| cost.amount);
            json!({
                "item": index,
                "model": item.model,
                "meter": item.meter(),
                "credits": line.credits,
                "vendor_cost": line.cost(reported),
                "vendor_cost_computed": line.computed,
                "cost_status": line.cost_status(reported).word(),
                "cost_missing": line.missing.map(|reason| reason.code()),
                "rule": catalogue.rule(debit.rate_card, line.rule).map(|rule| rule.name.as_ref()),
                "price_book": line.price.map(|price| version_json(catalogue, price.book)),
                "explanation": explained.get(index).map(explanation),
            })
        })
        .collect();
    json!({
        "event": event_json(&debit.event),
        "content_hash": debit.content.to_string(),
        "plan": debit.plan,
        "credits": debit.credits,
        "residual": debit.residual,
        "vendor_cost": rating.vendor_cost,
        "currency": catalogue.currency().map(|currency| currency.to_string()),
        "rate_card": version_json(catalogue, debit.rate_card),
        "catalogue_next_offset": debit.catalogue,
        "lines": lines,
        "total": explain_total(catalogue, &rating),
        "draws": debit.draws.iter().map(draw_json).collect::<Vec<_>>(),
        "overage": debit.overage,
        "hold": debit.hold.as_deref().map(|used| hold_json(partition, used)),
        "resolves": debit.resolves.map(|number| projection::entry_id(partition, number)),
    })
}

/// The rating that the entry records. The exact share of each line is not in the ledger: it is
/// computed again from the versions that the entry names, and used only when everything else comes
/// out the same.
fn rating_of(catalogue: &Catalogue, debit: &Debit<'_>) -> Rating {
    let known = || debit.lines.iter().zip(&debit.event.items);
    let costs: Vec<Option<Money>> =
        known().map(|(line, item)| line.cost(item.vendor_cost.map(|cost| cost.amount))).collect();
    let recorded = Rating {
        rate_card: debit.rate_card,
        credits: debit.credits,
        residual: debit.residual,
        vendor_cost: costs
            .iter()
            .any(Option::is_some)
            .then(|| costs.iter().flatten().copied().sum()),
        lines: known()
            .zip(&costs)
            .map(|((line, item), cost)| rating::RateLine {
                rule: line.rule,
                price: line.price,
                vendor_cost_computed: line.computed,
                vendor_cost: *cost,
                cost_status: line.cost_status(item.vendor_cost.map(|cost| cost.amount)),
                cost_missing: line.missing,
                credits: line.credits,
                exact: line.credits,
            })
            .collect(),
    };
    let as_it_was = catalogue_before(catalogue, debit.catalogue.0);
    let again = rating::rate(&as_it_was, &debit.event, debit.plan.as_deref());
    let Ok(again) = again else { return recorded };
    let without_exact = |rating: &Rating| {
        let mut rating = rating.clone();
        rating.lines.iter_mut().for_each(|line| line.exact = line.credits);
        rating
    };
    if without_exact(&again) == recorded { again } else { recorded }
}

/// The versions that were known when an entry was written.
fn catalogue_before(catalogue: &Catalogue, next: i64) -> Catalogue {
    let mut before = Catalogue::new();
    for version in catalogue.versions().filter(|version| i64::from(version.id.0) < next) {
        // They come in the order that the whole catalogue has them in.
        if before.apply(version.id, version.document.clone()).is_err() {
            break;
        }
    }
    before
}

fn version_json(catalogue: &Catalogue, id: CatalogueId) -> Value {
    let version = catalogue.version(id);
    json!({
        "id": version.map(|version| version.document.id()),
        "version": version.map(|version| version.ordinal),
        "offset": id,
    })
}

fn draw_json(draw: &Draw) -> Value {
    json!({
        "lot": draw.lot.to_string(),
        "category": draw.category.word(),
        "credits": draw.credits,
        "revenue": draw.revenue,
    })
}

/// What the charge did to the hold that its event names.
fn hold_json(partition: Partition, used: &HoldUse) -> Value {
    json!({
        "hold": HoldName { partition, hold: used.hold }.to_string(),
        "advanced": used.advanced.iter().map(draw_json).collect::<Vec<_>>(),
        "advanced_overage": used.advanced_overage,
        "above": used.above,
        "ended": used.freed.is_some(),
        "freed": used.freed.as_ref().map(|freed| freed.credits),
        "returned": used.freed.as_ref().map(Freed::given_back),
    })
}

fn unrated_json(unrated: &Unrated<'_>) -> Value {
    json!({
        "event": event_json(&unrated.event),
        "content_hash": unrated.content.to_string(),
        "plan": unrated.plan,
        "code": unrated.reason.code(),
        "detail": unrated.reason.row().about,
        "item": unrated.item,
    })
}

fn quarantined_json(partition: Partition, held: &Quarantined<'_>) -> Value {
    json!({
        "event": {
            "source": held.source,
            "id": held.id,
            "time": held.time,
        },
        "code": held.reason.code(),
        "detail": held.reason.row().about,
        "conflicts_with": held.conflicts_with.map(|entry| projection::entry_id(partition, entry)),
        "record": String::from_utf8_lossy(&held.record),
    })
}

/// The event in the form that producers send, as it was priced: pools disjoint.
pub(super) fn event_json(event: &UsageEvent<'_>) -> Value {
    let mut data = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            data.insert(name.to_owned(), value);
        }
    };
    put("feature", event.feature.as_ref().into());
    put("traffic", event.traffic.word().into());
    put("status", event.status.word().into());
    let optional = [
        ("user", &event.user),
        ("team", &event.team),
        ("hold", &event.hold),
        ("run", &event.run),
        ("step", &event.step),
        ("trace", &event.trace),
        ("environment", &event.environment),
        ("conversation", &event.conversation),
        ("requested_model", &event.requested_model),
        ("vendor_request_id", &event.vendor_request_id),
    ];
    for (name, text) in optional {
        put(name, text.as_deref().into());
    }
    if event.backfill {
        put("backfill", true.into());
    }
    put("attributes", attributes_json(&event.attributes));
    put("items", event.items.iter().map(item_json).collect::<Vec<_>>().into());
    json!({
        "source": event.source,
        "id": event.id,
        "time": Timestamp::to_string(&event.time),
        "subject": event.account,
        "data": data,
    })
}

fn attributes_json(attributes: &domain::Attributes<'_>) -> Value {
    if attributes.is_empty() {
        return Value::Null;
    }
    let pairs = attributes.iter();
    pairs.map(|(name, value)| (name.to_string(), Value::from(value.as_ref()))).collect()
}

fn item_json(item: &Item<'_>) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    };
    put("model", item.model.as_deref().into());
    put("provider", item.provider.as_deref().into());
    put("service_tier", item.service_tier.as_deref().into());
    match &item.measure {
        Measure::Tokens(pools) => {
            let tokens: Map<String, Value> = pools
                .nonzero()
                .map(|(pool, count)| (pool.name().to_owned(), count.into()))
                .collect();
            put("counting", "exclusive".into());
            put("tokens", tokens.into());
        }
        Measure::Meter { meter, quantity } => {
            put("meter", meter.as_ref().into());
            put("quantity", quantity.to_string().into());
        }
    }
    if let Some(cost) = item.vendor_cost {
        let currency = cost.currency.to_string();
        put("vendor_cost", json!({ "amount": cost.amount, "currency": currency }));
    }
    if item.estimated {
        put("estimated", true.into());
    }
    put("attributes", attributes_json(&item.attributes));
    shown.into()
}
