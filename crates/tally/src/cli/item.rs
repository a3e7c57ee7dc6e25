//! Usage that has not happened yet: `--item model=gpt-4o,provider=openai,input=5000,output=2000`, one
//! item in one word; or `--model gpt-4o --characters 8000 --max-output 1000`, one call in short.

use std::str::FromStr;

use clap::{ArgGroup, Args};
use domain::{ALL_POOLS, Pool};
use serde_json::{Map, Value, json};

/// One item of usage that has not happened yet, as the API takes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Item(pub(crate) Map<String, Value>);

/// Usage that has not happened yet: items, or in short one call of a model.
#[derive(Args, Clone, Debug, Default)]
#[command(group(ArgGroup::new("counts").args(["characters", "input", "max_output"]).multiple(true)))]
pub(crate) struct Expected {
    /// An item, such as model=gpt-4o,provider=openai,input=5000,output=2000 or
    /// meter=email_send,quantity=1; again for several
    #[arg(long = "item", value_name = "NAME=VALUE,…")]
    pub(crate) items: Vec<Item>,
    /// The model of one call
    #[arg(long, value_name = "MODEL", conflicts_with = "items", requires = "counts")]
    pub(crate) model: Option<String>,
    /// Its provider
    #[arg(long, value_name = "PROVIDER", requires = "model")]
    pub(crate) provider: Option<String>,
    /// How long its prompt is, in characters
    #[arg(long, value_name = "N", requires = "model", conflicts_with = "input")]
    pub(crate) characters: Option<u64>,
    /// How long its prompt is, in tokens
    #[arg(long, value_name = "N", requires = "model")]
    pub(crate) input: Option<u64>,
    /// The most tokens that it may answer with
    #[arg(long, value_name = "N", requires = "model")]
    pub(crate) max_output: Option<u64>,
}

impl Expected {
    /// The items as the API takes them; none when nothing was said.
    pub(crate) fn items(&self) -> Vec<Value> {
        let Some(model) = &self.model else {
            return self.items.iter().map(|item| Value::Object(item.0.clone())).collect();
        };
        let mut call = Map::from_iter([("model".to_owned(), json!(model))]);
        if let Some(provider) = &self.provider {
            call.insert("provider".to_owned(), json!(provider));
        }
        for (name, count) in [
            ("input_characters", self.characters),
            ("input_tokens", self.input),
            ("max_output_tokens", self.max_output),
        ] {
            if let Some(count) = count {
                call.insert(name.to_owned(), json!(count));
            }
        }
        vec![Value::Object(call)]
    }
}

/// What of an item is a text.
const TEXTS: [&str; 5] = ["model", "provider", "meter", "service_tier", "counting"];
/// What of an estimate is a number; the exact counts are the token pools.
const ESTIMATES: [&str; 3] = ["input_characters", "input_tokens", "max_output_tokens"];
/// A decimal: travels as a string, as all decimals do.
const QUANTITY: &str = "quantity";
/// `attributes.size=1024x1024`, and what `counting` says of one side.
const ATTRIBUTES: &str = "attributes.";
const COUNTING: &str = "counting.";

impl FromStr for Item {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut item = Map::new();
        for part in text.split(',') {
            let (name, value) = part
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()))
                .ok_or_else(|| format!("{part:?} is not NAME=VALUE"))?;
            if value.is_empty() {
                return Err(format!("{name:?} has no value"));
            }
            let (into, key, value) = place(&mut item, name, value)?;
            if into.insert(key.to_owned(), value).is_some() {
                return Err(format!("{name:?} stands twice"));
            }
        }
        if !item.contains_key("model") && !item.contains_key("meter") {
            return Err("an item names a model or a meter".to_owned());
        }
        Ok(Self(item))
    }
}

/// Where a value goes, and as what.
fn place<'i, 'n>(
    item: &'i mut Map<String, Value>,
    name: &'n str,
    value: &str,
) -> Result<(&'i mut Map<String, Value>, &'n str, Value), String> {
    let inner = [(ATTRIBUTES, "attributes"), (COUNTING, "counting")];
    for (prefix, object) in inner {
        if let Some(key) = name.strip_prefix(prefix).filter(|key| !key.is_empty()) {
            return Ok((object_in(item, object, name)?, key, Value::from(value)));
        }
    }
    if Pool::from_name(name).is_some() {
        let tokens = object_in(item, "tokens", name)?;
        return Ok((tokens, name, count(name, value)?));
    }
    if ESTIMATES.contains(&name) {
        return Ok((item, name, count(name, value)?));
    }
    if TEXTS.contains(&name) || name == QUANTITY {
        return Ok((item, name, Value::from(value)));
    }
    Err(unknown(name))
}

fn object_in<'i>(
    item: &'i mut Map<String, Value>,
    object: &str,
    name: &str,
) -> Result<&'i mut Map<String, Value>, String> {
    let value = item.entry(object).or_insert_with(|| Value::Object(Map::new()));
    // `counting=inclusive,counting.output=exclusive` says two things of one side.
    value.as_object_mut().ok_or_else(|| format!("{name:?} contradicts {object:?}"))
}

fn count(name: &str, value: &str) -> Result<Value, String> {
    let count = value.parse::<u64>();
    count.map(Value::from).map_err(|_| format!("{name:?} is a whole number, not {value:?}"))
}

fn unknown(name: &str) -> String {
    let pools = ALL_POOLS.iter().map(|pool| pool.name());
    let known: Vec<&str> = TEXTS
        .into_iter()
        .chain(ESTIMATES)
        .chain([QUANTITY, "attributes.NAME"])
        .chain(pools)
        .collect();
    match domain::nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no {name:?} in an item; is it {near:?}?"),
        None => format!("there is no {name:?} in an item; there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn item(text: &str) -> Result<Value, String> {
        text.parse::<Item>().map(|item| Value::Object(item.0))
    }

    #[test]
    fn an_item_is_what_the_api_takes() {
        assert_eq!(
            item(
                "model=gpt-4o,provider=openai,counting=inclusive,input=5000,cache_read=1200,output=2000"
            ),
            Ok(json!({"model": "gpt-4o", "provider": "openai", "counting": "inclusive",
                "tokens": {"input": 5000, "cache_read": 1200, "output": 2000}}))
        );
        assert_eq!(
            item("model=gpt-4o, provider=openai, input_characters=8000, max_output_tokens=1000"),
            Ok(json!({"model": "gpt-4o", "provider": "openai", "input_characters": 8000,
                "max_output_tokens": 1000}))
        );
        assert_eq!(
            item("model=image-xl,meter=image,quantity=2.50,attributes.size=1024x1024"),
            Ok(json!({"model": "image-xl", "meter": "image", "quantity": "2.50",
                "attributes": {"size": "1024x1024"}}))
        );
        assert_eq!(
            item("model=m,counting.input=inclusive,counting.output=exclusive,input=1"),
            Ok(json!({"model": "m", "counting": {"input": "inclusive", "output": "exclusive"},
                "tokens": {"input": 1}}))
        );
    }

    #[test]
    fn what_is_wrong_with_an_item_is_named() {
        for (text, said) in [
            ("", "\"\" is not NAME=VALUE"),
            ("gpt-4o", "\"gpt-4o\" is not NAME=VALUE"),
            ("model=", "\"model\" has no value"),
            ("input=5000", "an item names a model or a meter"),
            ("model=m,imput=5", "there is no \"imput\" in an item; is it \"input\"?"),
            ("model=m,input=1.5", "\"input\" is a whole number, not \"1.5\""),
            ("model=m,input=-5", "\"input\" is a whole number, not \"-5\""),
            ("model=m,input=5,input=6", "\"input\" stands twice"),
            ("model=m,model=n", "\"model\" stands twice"),
            (
                "model=m,counting=inclusive,counting.output=exclusive",
                "\"counting.output\" contradicts \"counting\"",
            ),
        ] {
            assert_eq!(item(text), Err(said.to_owned()), "{text}");
        }
        let far = item("model=m,temperature=1").unwrap_err();
        assert!(far.contains("there are model, provider"), "{far}");
    }

    #[test]
    fn a_call_in_short_is_one_item() {
        let call = Expected {
            model: Some("gpt-4o".to_owned()),
            provider: Some("openai".to_owned()),
            characters: Some(8_000),
            max_output: Some(1_000),
            ..Expected::default()
        };
        assert_eq!(
            call.items(),
            [json!({"model": "gpt-4o", "provider": "openai", "input_characters": 8000,
                "max_output_tokens": 1000})]
        );
        assert!(Expected::default().items().is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_an_item_or_an_error(text in "(model=m,)?[a-z_=,.0-9 ]{0,40}") {
            if let Ok(item) = item(&text) {
                prop_assert!(item.get("model").or(item.get("meter")).is_some());
            }
        }

        #[test]
        fn counts_arrive_as_they_were_written(input in any::<u64>(), output in any::<u64>()) {
            let read = item(&format!("model=m,input={input},output={output}")).unwrap();
            prop_assert_eq!(&read["tokens"], &json!({"input": input, "output": output}));
        }
    }
}
