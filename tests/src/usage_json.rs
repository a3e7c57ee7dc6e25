//! Usage events as producers write them: CloudEvents JSON, counted either way.

use domain::{Attributes, Item, Measure, Pool, Side, UsageEvent};
use serde_json::{Map, Value, json};

/// The event as one JSON record. With `inclusive`, parts are counted inside their wholes.
pub fn encode(event: &UsageEvent<'_>, inclusive: bool) -> Vec<u8> {
    let items: Vec<Value> = event.items.iter().map(|item| item_json(item, inclusive)).collect();
    let mut data = Map::new();
    data.insert("feature".to_owned(), json!(event.feature));
    data.insert("traffic".to_owned(), json!(event.traffic.word()));
    data.insert("items".to_owned(), Value::Array(items));
    for (name, value) in [("user", &event.user), ("team", &event.team), ("run", &event.run)] {
        if let Some(value) = value {
            data.insert(name.to_owned(), json!(value));
        }
    }
    if !event.attributes.is_empty() {
        data.insert("attributes".to_owned(), attributes(&event.attributes));
    }
    let record = json!({
        "specversion": "1.0", "type": "tally.usage.v1", "source": event.source, "id": event.id,
        "time": event.time.to_string(), "subject": event.account, "data": data,
    });
    record.to_string().into_bytes()
}

fn item_json(item: &Item<'_>, inclusive: bool) -> Value {
    let mut json = Map::new();
    let texts = [
        ("model", &item.model),
        ("provider", &item.provider),
        ("service_tier", &item.service_tier),
    ];
    for (name, value) in texts {
        if let Some(value) = value {
            json.insert(name.to_owned(), json!(value));
        }
    }
    match &item.measure {
        Measure::Meter { meter, quantity } => {
            json.insert("meter".to_owned(), json!(meter));
            json.insert("quantity".to_owned(), json!(quantity.to_string()));
        }
        Measure::Tokens(pools) => {
            let mut counts = *pools;
            if inclusive {
                counts[Pool::Input] = pools.side(Side::Input);
                counts[Pool::Output] = pools.side(Side::Output);
            }
            let tokens: Map<String, Value> = counts
                .nonzero()
                .map(|(pool, count)| (pool.name().to_owned(), json!(count)))
                .collect();
            json.insert("tokens".to_owned(), Value::Object(tokens));
            let word = if inclusive { "inclusive" } else { "exclusive" };
            json.insert("counting".to_owned(), json!(word));
        }
    }
    if let Some(cost) = item.vendor_cost {
        let amount = cost.amount.to_string();
        let cost = json!({"amount": amount, "currency": cost.currency.as_str()});
        json.insert("vendor_cost".to_owned(), cost);
    }
    if !item.attributes.is_empty() {
        json.insert("attributes".to_owned(), attributes(&item.attributes));
    }
    Value::Object(json)
}

fn attributes(pairs: &Attributes<'_>) -> Value {
    Value::Object(pairs.iter().map(|(name, value)| (name.to_string(), json!(value))).collect())
}
