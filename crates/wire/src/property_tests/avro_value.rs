//! An event as apache-avro's own value, field by field of the schema, without the code under test.

use apache_avro::Decimal;
use apache_avro::types::Value;
use domain::{Attributes, Item, Measure, Text};

use crate::draft::{Counting, CountingBySide, Draft};

fn record(fields: Vec<(&str, Value)>) -> Value {
    Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn union(branch: Option<(u32, Value)>) -> Value {
    let (branch, value) = branch.unwrap_or((0, Value::Null));
    Value::Union(branch, Box::new(value))
}

fn optional(value: Option<Value>) -> Value {
    union(value.map(|value| (1, value)))
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn optional_text(text: &Option<Text<'_>>) -> Value {
    optional(text.as_deref().map(string))
}

fn symbol(number: u8, word: &str) -> Value {
    Value::Enum(u32::from(number), word.to_owned())
}

fn decimal(atoms: i128) -> Value {
    Value::Decimal(Decimal::from(atoms.to_be_bytes()))
}

fn attributes(attributes: &Attributes<'_>) -> Value {
    Value::Map(attributes.iter().map(|(name, value)| (name.to_string(), string(value))).collect())
}

fn said(counting: Counting) -> Value {
    match counting {
        Counting::Inclusive => symbol(0, "inclusive"),
        Counting::Exclusive => symbol(1, "exclusive"),
    }
}

fn counting(by_side: CountingBySide) -> Value {
    match (by_side.input, by_side.output) {
        (None, None) => union(None),
        (Some(input), Some(output)) if input == output => union(Some((1, said(input)))),
        (input, output) => {
            let sides = [("input", input), ("output", output)];
            let sides = sides.map(|(name, side)| (name, optional(side.map(said))));
            union(Some((2, record(sides.to_vec()))))
        }
    }
}

fn item(item: &Item<'_>, by_side: CountingBySide) -> Value {
    let (tokens, meter, quantity) = match &item.measure {
        Measure::Tokens(pools) => {
            let counts = pools.nonzero().map(|(pool, count)| {
                record(vec![
                    ("pool", symbol(pool as u8, pool.name())),
                    ("count", Value::Long(i64::try_from(count).unwrap())),
                ])
            });
            (Some(Value::Array(counts.collect())), None, None)
        }
        Measure::Meter { meter, quantity } => {
            (None, Some(string(meter)), Some(decimal(quantity.atoms())))
        }
    };
    let cost = item.vendor_cost.map(|cost| {
        record(vec![
            ("amount", decimal(cost.amount.atoms())),
            ("currency", string(cost.currency.as_str())),
        ])
    });
    record(vec![
        ("model", optional_text(&item.model)),
        ("provider", optional_text(&item.provider)),
        ("service_tier", optional_text(&item.service_tier)),
        ("counting", counting(by_side)),
        ("tokens", optional(tokens)),
        ("meter", optional(meter)),
        ("quantity", optional(quantity)),
        ("vendor_cost", optional(cost)),
        ("attributes", attributes(&item.attributes)),
        ("estimated", Value::Boolean(item.estimated)),
    ])
}

/// The whole event.
pub(super) fn of(draft: &Draft<'_>) -> Value {
    let event = &draft.event;
    let items = event.items.iter().zip(&draft.counting);
    let mut fields = vec![
        ("source", string(&event.source)),
        ("id", string(&event.id)),
        ("time", Value::TimestampMicros(event.time.micros())),
        ("subject", string(&event.account)),
        ("feature", string(&event.feature)),
        ("traffic", symbol(event.traffic.code(), event.traffic.word())),
        ("status", symbol(event.status.code(), event.status.word())),
        ("hold_action", symbol(event.hold_action.code(), event.hold_action.word())),
        ("backfill", Value::Boolean(event.backfill)),
        ("user", optional_text(&event.user)),
        ("team", optional_text(&event.team)),
        ("hold", optional_text(&event.hold)),
        ("run", optional_text(&event.run)),
        ("step", optional_text(&event.step)),
        ("trace", optional_text(&event.trace)),
        ("environment", optional_text(&event.environment)),
        ("conversation", optional_text(&event.conversation)),
        ("requested_model", optional_text(&event.requested_model)),
        ("vendor_request_id", optional_text(&event.vendor_request_id)),
        ("attributes", attributes(&event.attributes)),
        ("items", Value::Array(items.map(|(one, said)| item(one, *said)).collect())),
    ];
    if event.corrects.is_some() {
        fields.insert(fields.len() - 2, ("corrects", optional_text(&event.corrects)));
    }
    record(fields)
}
