//! Usage that has not happened yet, as quotes and holds say it: items whose counts are known, or a
//! prompt's length and the most that the answer may have.
//!
//! It becomes a usage event around the items, so that they are read, checked and priced as an
//! event's are.

use domain::{Timestamp, UsageEvent};
use ledger::Scope;
use rating::{EventRange, OutputRange, tokens_of_characters};
use serde_json::Value;

use crate::form::Form;
use crate::problem::Problem;

/// Who and what usage is about, each as JSON.
pub(crate) struct About {
    source: &'static str,
    account: String,
    time: String,
    feature: Option<String>,
    traffic: String,
    optional: Vec<(&'static str, String)>,
}

impl About {
    /// A hold's usage. It has no time of its own: it is priced when the hold is decided, and says the
    /// same however often it is sent.
    pub(crate) fn of_hold(account: &str, scope: &Scope<'_>) -> Self {
        let json = |text: &str| Value::from(text).to_string();
        let optional = [("team", &scope.team), ("user", &scope.user)];
        Self {
            source: "hold",
            account: json(account),
            time: json(&Timestamp::ZERO.to_string()),
            feature: scope.feature.as_deref().map(json),
            traffic: json(scope.traffic.word()),
            optional: optional
                .into_iter()
                .filter_map(|(name, text)| Some((name, json(text.as_deref()?))))
                .collect(),
        }
    }

    /// What a quote's body says, or else nobody's usage, now.
    pub(crate) fn of_quote(form: &mut Form, now: Timestamp) -> Self {
        let mut json = |name: &str, otherwise: &str| match form.raw(name) {
            Some(value) => value.get().to_owned(),
            None => Value::from(otherwise).to_string(),
        };
        let account = json("account", "quote");
        let time = json("time", &now.to_string());
        let traffic = json("traffic", "customer");
        let mut raw = |name: &str| form.raw(name).map(|value| value.get().to_owned());
        Self {
            source: "quote",
            account,
            time,
            feature: raw("feature"),
            traffic,
            optional: ["team", "user", "status", "attributes"]
                .into_iter()
                .filter_map(|name| Some((name, raw(name)?)))
                .collect(),
        }
    }

    fn record(&self, feature: &str, items: &str) -> Vec<u8> {
        let Self { source, account, time, traffic, .. } = self;
        let optional: String =
            self.optional.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        format!(
            "{{\"specversion\":\"1.0\",\"type\":\"tally.usage.v1\",\"source\":\"{source}\",\
             \"id\":\"{source}\",\"time\":{time},\"subject\":{account},\"data\":{{\"feature\":{feature},\
             \"traffic\":{traffic}{optional},\"items\":{items}}}}}"
        )
        .into_bytes()
    }
}

/// The most that the items in a form may come to, as a record for the charger.
pub(crate) fn most(form: &mut Form, about: About) -> Result<Vec<u8>, Problem> {
    let range = range(form, about)?;
    let mut record = Vec::new();
    wire::encode_usage(&range.most, &mut record);
    Ok(record)
}

/// The items in a form as usage: the least, the expected and the most of it.
pub(crate) fn range(form: &mut Form, about: About) -> Result<EventRange<'static>, Problem> {
    let feature = about.feature.clone().ok_or_else(|| form.missing("feature"))?;
    let items = form.objects("items", "a list of items")?;
    let items = items.ok_or_else(|| form.missing("items"))?;
    let read = items.into_iter().map(read_item).collect::<Result<Vec<_>, _>>()?;
    let (items, ranges): (Vec<String>, Vec<Option<OutputRange>>) = read.into_iter().unzip();
    let record = about.record(&feature, &format!("[{}]", items.join(",")));
    let event = wire::decode_usage(&record)?.event.into_owned();
    of_event(event, &ranges)
}

/// An event that is known as a whole.
pub(crate) fn exactly(event: UsageEvent<'static>) -> Result<EventRange<'static>, Problem> {
    let ranges = vec![None; event.items.len()];
    of_event(event, &ranges)
}

fn of_event(
    event: UsageEvent<'static>,
    ranges: &[Option<OutputRange>],
) -> Result<EventRange<'static>, Problem> {
    EventRange::new(event, ranges)
        .map_err(|error| Problem::bad_request("bad_item", error.to_string()).field("items"))
}

/// What an event's item may have.
const ITEM_FIELDS: [&str; 9] = [
    "model",
    "provider",
    "service_tier",
    "counting",
    "meter",
    "quantity",
    "vendor_cost",
    "attributes",
    "estimated",
];

/// An item as an event has it, and what is open about it.
fn read_item(mut item: Form) -> Result<(String, Option<OutputRange>), Problem> {
    const COUNT: &str = "a whole number";
    let characters: Option<u64> = item.number("input_characters", COUNT)?;
    let tokens: Option<u64> = item.number("input_tokens", COUNT)?;
    let output_max: Option<u64> = item.number("max_output_tokens", COUNT)?;
    let counted = item.raw("tokens");
    let estimated = match (characters, tokens) {
        (Some(_), Some(_)) => {
            let detail = "the prompt's characters or its tokens, not both";
            return Err(item.refuse("input_characters", "bad_item", detail));
        }
        (Some(characters), None) => Some(tokens_of_characters(characters)),
        (None, tokens) => tokens,
    };
    let mut fields = Vec::new();
    for name in ITEM_FIELDS {
        if let Some(value) = item.raw(name) {
            fields.push(format!("\"{name}\":{}", value.get()));
        }
    }
    match (estimated, counted) {
        (Some(_), Some(_)) => {
            let detail = "either `tokens`, or what the prompt is estimated at";
            return Err(item.refuse("tokens", "bad_item", detail));
        }
        (Some(input), None) => fields.push(format!("\"tokens\":{{\"input\":{input}}}")),
        (None, Some(counted)) => fields.push(format!("\"tokens\":{}", counted.get())),
        (None, None) if output_max.is_some() => return Err(item.missing("input_tokens")),
        (None, None) => {}
    }
    item.finish()?;
    let range = output_max.map(|tokens_max| OutputRange { tokens_max });
    Ok((format!("{{{}}}", fields.join(",")), range))
}

#[cfg(test)]
mod tests {
    use domain::{Measure, Pool};

    use super::*;

    fn read(items: &str) -> Result<EventRange<'static>, Problem> {
        let body = format!(r#"{{"feature":"chat","items":{items}}}"#);
        let mut form = Form::parse(body.as_bytes()).unwrap();
        let about = About::of_quote(&mut form, Timestamp::from_seconds(1_700_000_000));
        let range = range(&mut form, about)?;
        form.finish()?;
        Ok(range)
    }

    fn tokens(event: &UsageEvent<'_>) -> (u64, u64) {
        match &event.items[0].measure {
            Measure::Tokens(pools) => (pools[Pool::Input], pools[Pool::Output]),
            Measure::Meter { .. } => panic!("a meter"),
        }
    }

    #[test]
    fn a_prompt_is_four_characters_a_token_and_the_whole_output_is_the_most() {
        let items = r#"[{"model":"m","input_characters":8001,"max_output_tokens":1001}]"#;
        let range = read(items).unwrap();
        let of = [&range.least, &range.expected, &range.most].map(tokens);
        assert_eq!(of, [(2_001, 0), (2_001, 501), (2_001, 1_001)]);
        let known = read(r#"[{"model":"m","tokens":{"input":7,"output":3}}]"#).unwrap();
        assert_eq!(known.least, known.most);
        assert_eq!(tokens(&known.most), (7, 3));
        let open = r#"[{"model":"m","tokens":{"input":7},"max_output_tokens":9}]"#;
        assert_eq!(tokens(&read(open).unwrap().most), (7, 9));
        assert_eq!(tokens(&read(r#"[{"model":"m","input_tokens":5}]"#).unwrap().most), (5, 0));
    }

    #[test]
    fn items_that_make_no_sense_are_refused() {
        for items in [
            "{}",
            "[]",
            "[7]",
            r#"[{"model":"m"}]"#,
            r#"[{"model":"m","max_output_tokens":5}]"#,
            r#"[{"model":"m","input_tokens":-1}]"#,
            r#"[{"model":"m","input_tokens":1.5}]"#,
            r#"[{"model":"m","input_tokens":1,"input_characters":1}]"#,
            r#"[{"model":"m","input_tokens":1,"tokens":{"input":1}}]"#,
            r#"[{"model":"m","tokens":{"output":1},"max_output_tokens":1}]"#,
            r#"[{"meter":"m","quantity":"1","max_output_tokens":1}]"#,
            r#"[{"model":"m","input_tokens":1,"max_output_tokens":18446744073709551615}]"#,
            r#"[{"model":"m","input_tokens":18446744073709551615}]"#,
        ] {
            assert!(read(items).is_err(), "{items}");
        }
        let misspelt = read(r#"[{"model":"m","input_token":1}]"#).unwrap_err();
        assert!(format!("{misspelt:?}").contains("did you mean `input_tokens`"), "{misspelt:?}");
        assert!(format!("{misspelt:?}").contains("items[0].input_token"), "{misspelt:?}");
    }
}
