//! An event as a producer would write it in JSON, without the code under test.

use std::collections::BTreeMap;

use domain::{Attributes, Item, Measure, Traffic};
use serde_json::{Map, Value, json};

use crate::draft::{Counting, CountingBySide, Draft};

fn word(counting: Counting) -> &'static str {
    match counting {
        Counting::Inclusive => "inclusive",
        Counting::Exclusive => "exclusive",
    }
}

fn counting(said: CountingBySide) -> Value {
    match (said.input.map(word), said.output.map(word)) {
        (None, None) => Value::Null,
        (Some(input), Some(output)) if input == output => json!(input),
        (input, output) => json!({"input": input, "output": output}),
    }
}

fn attributes(attributes: &Attributes<'_>) -> Value {
    json!(attributes.iter().cloned().collect::<BTreeMap<_, _>>())
}

fn item((item, said): (&Item<'_>, &CountingBySide)) -> Value {
    let mut value = json!({
        "model": item.model,
        "provider": item.provider,
        "service_tier": item.service_tier,
        "counting": counting(*said),
        "vendor_cost": item.vendor_cost.map(|cost| json!({
            "amount": cost.amount.to_string(),
            "currency": cost.currency.as_str(),
        })),
        "attributes": attributes(&item.attributes),
        "estimated": item.estimated,
    });
    match &item.measure {
        Measure::Tokens(pools) => {
            let counts =
                pools.nonzero().map(|(pool, count)| (pool.name().to_owned(), json!(count)));
            value["tokens"] = Value::Object(counts.collect::<Map<_, _>>());
        }
        Measure::Meter { meter, quantity } => {
            value["meter"] = json!(meter);
            value["quantity"] = json!(quantity.to_string());
        }
    }
    value
}

/// The event's text; fields that are absent stand as null.
pub(super) fn write(draft: &Draft<'_>, spaced: bool) -> String {
    let event = &draft.event;
    let mut data = json!({
        "user": event.user,
        "team": event.team,
        "feature": event.feature,
        "traffic": event.traffic.word(),
        "hold": event.hold,
        "hold_action": event.hold_action.word(),
        "run": event.run,
        "step": event.step,
        "status": event.status.word(),
        "trace": event.trace,
        "environment": event.environment,
        "conversation": event.conversation,
        "requested_model": event.requested_model,
        "vendor_request_id": event.vendor_request_id,
        "corrects": event.corrects,
        "backfill": event.backfill,
        "attributes": attributes(&event.attributes),
        "items": event.items.iter().zip(&draft.counting).map(item).collect::<Vec<_>>(),
    });
    if event.traffic == Traffic::Customer {
        data["traffic"] = Value::Null;
    }
    let value = json!({
        "specversion": "1.0",
        "type": "tally.usage.v1",
        "source": event.source,
        "id": event.id,
        "time": event.time.to_string(),
        "subject": event.account,
        "data": data,
    });
    if spaced { format!(" \n{value:#}\n") } else { value.to_string() }
}
