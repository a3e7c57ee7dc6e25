//! CloudEvents JSON to a usage event, for tests alone: just enough for the golden files.

use std::borrow::Cow;

use domain::{
    Attributes, Item, Measure, Pool, Pools, Reason, ReportedCost, Side, Status, Traffic, UsageEvent,
};
use serde_json::Value;

fn text(value: &Value) -> Option<Cow<'static, str>> {
    value.as_str().map(|text| Cow::Owned(text.to_owned()))
}

fn attributes(value: &Value) -> Attributes<'static> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(name, value)| (Cow::Owned(name.clone()), text(value).unwrap())).collect()
}

/// The event with its pools made disjoint, or the reason why it would be dead-lettered.
pub(crate) fn usage_event(json: &Value) -> Result<UsageEvent<'static>, Reason> {
    let data = &json["data"];
    let items = data["items"].as_array().ok_or(Reason::NoItems)?;
    Ok(UsageEvent {
        account: text(&json["subject"]).unwrap(),
        source: text(&json["source"]).unwrap(),
        id: text(&json["id"]).unwrap(),
        time: json["time"].as_str().unwrap().parse().map_err(|_| Reason::BadTime)?,
        feature: text(&data["feature"]).ok_or(Reason::MissingField)?,
        traffic: word(&data["traffic"], Traffic::from_word)?,
        status: word(&data["status"], Status::from_word)?,
        user: text(&data["user"]),
        team: text(&data["team"]),
        attributes: attributes(&data["attributes"]),
        items: items.iter().map(item).collect::<Result<_, _>>()?,
        ..UsageEvent::default()
    })
}

fn word<T: Default>(value: &Value, from: impl Fn(&str) -> Option<T>) -> Result<T, Reason> {
    value.as_str().map_or(Ok(T::default()), |word| from(word).ok_or(Reason::BadValue))
}

fn item(json: &Value) -> Result<Item<'static>, Reason> {
    let measure = match (json["tokens"].as_object(), json["meter"].as_str()) {
        (Some(_), None) => Measure::Tokens(disjoint(&json["tokens"], &json["counting"])?),
        (None, Some(meter)) => Measure::Meter {
            meter: Cow::Owned(meter.to_owned()),
            quantity: json["quantity"]
                .as_str()
                .unwrap()
                .parse()
                .map_err(|_| Reason::BadQuantity)?,
        },
        _ => return Err(Reason::BadItem),
    };
    let cost = &json["vendor_cost"];
    Ok(Item {
        model: text(&json["model"]),
        provider: text(&json["provider"]),
        service_tier: text(&json["service_tier"]),
        measure,
        vendor_cost: cost.is_object().then(|| ReportedCost {
            amount: cost["amount"].as_str().unwrap().parse().unwrap(),
            currency: cost["currency"].as_str().unwrap().parse().unwrap(),
        }),
        attributes: attributes(&json["attributes"]),
        estimated: false,
    })
}

fn disjoint(tokens: &Value, counting: &Value) -> Result<Pools, Reason> {
    let mut pools = Pools::default();
    for (name, count) in tokens.as_object().unwrap() {
        let pool = Pool::from_name(name).ok_or(Reason::UnknownPool)?;
        pools[pool] = count.as_u64().ok_or(Reason::BadTokenCount)?;
    }
    for (side, whole) in [(Side::Input, Pool::Input), (Side::Output, Pool::Output)] {
        let parts = pools.side(side) - pools[whole];
        if parts == 0 {
            continue;
        }
        let said = match counting {
            Value::String(both) => Some(both.as_str()),
            sides => sides[whole.name()].as_str(),
        };
        match said.ok_or(Reason::CountingRequired)? {
            "inclusive" => {
                pools[whole] =
                    pools[whole].checked_sub(parts).ok_or(Reason::TokenPoolsInconsistent)?;
            }
            "exclusive" => {}
            _ => return Err(Reason::BadValue),
        }
    }
    Ok(pools)
}
