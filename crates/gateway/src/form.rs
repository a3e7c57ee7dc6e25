//! Strict readers of JSON objects and query strings: every field is asked for by name, and what is
//! left over is refused with its name.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// The fields of a JSON object, each once.
#[derive(Debug, Default)]
pub(crate) struct Form(BTreeMap<String, Box<RawValue>>);

impl<'de> serde::Deserialize<'de> for Form {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Form;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Form, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.insert(name.clone(), value).is_some() {
                        return Err(A::Error::custom(format!("the field `{name}` stands twice")));
                    }
                }
                Ok(Form(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Form {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Problem> {
        serde_json::from_slice(body)
            .map_err(|error| Problem::bad_request("invalid_json", error.to_string()).field(""))
    }

    /// The field as it was written.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        self.0.remove(name).filter(|value| value.get() != "null")
    }

    /// The field as a `T`; `wanted` says what that is.
    pub(crate) fn typed<T: serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(value.get()).map(Some).map_err(|_| {
            Problem::bad_request("wrong_type", format!("`{name}` is {wanted}"))
                .field(name)
                .value(value.get())
        })
    }

    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>, Problem> {
        self.typed(name, "a string")
    }

    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.typed(name, "true or false")?.unwrap_or(false))
    }

    pub(crate) fn number<T: serde::de::DeserializeOwned>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        self.typed(name, wanted)
    }

    pub(crate) fn required_text(&mut self, name: &str) -> Result<String, Problem> {
        self.text(name)?.ok_or_else(|| missing(name))
    }

    /// A string that is read as `T`.
    pub(crate) fn parsed<T>(&mut self, name: &str, code: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.text(name)?.map(|text| parse(name, &text, code)).transpose()
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let detail = format!("there is no field `{name}` here");
                Err(Problem::bad_request("unknown_field", detail).field(name))
            }
        }
    }
}

/// The parameters of a query string, each once.
#[derive(Debug, Default)]
pub(crate) struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| Problem::bad_request("bad_query", error.to_string()))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs.0 {
            if params.insert(name.clone(), value).is_some() {
                let detail = format!("the parameter `{name}` stands twice");
                return Err(Problem::bad_request("repeated_field", detail).field(name));
            }
        }
        Ok(Self(params))
    }
}

impl Params {
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<String, Problem> {
        self.text(name).filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
    }

    pub(crate) fn parsed<T>(&mut self, name: &str, code: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.text(name).map(|text| parse(name, &text, code)).transpose()
    }

    pub(crate) fn finish(self) -> Result<(), Problem> {
        match self.0.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let detail = format!("there is no parameter `{name}` here");
                Err(Problem::bad_request("unknown_field", detail).field(name))
            }
        }
    }
}

fn parse<T>(name: &str, text: &str, code: &'static str) -> Result<T, Problem>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text.parse().map_err(|error: T::Err| {
        Problem::bad_request(code, error.to_string()).field(name).value(text)
    })
}

pub(crate) fn missing(name: &str) -> Problem {
    Problem::bad_request("missing_field", format!("`{name}` is required")).field(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_takes_what_it_asks_for_and_nothing_else() {
        let mut form = Form::parse(br#"{"a":"x","b":true,"c":7}"#).unwrap();
        assert_eq!(form.required_text("a").unwrap(), "x");
        assert!(form.flag("b").unwrap());
        assert!(form.finish().is_err());
        for body in ["", "[]", "{", r#"{"a":1,"a":1}"#, "7", "{\"a\":1} x"] {
            assert!(Form::parse(body.as_bytes()).is_err(), "{body}");
        }
        // Deep nesting is an error of the parser, not of the stack.
        assert!(Form::parse(format!("{{\"a\":{}}}", "[".repeat(1_000_000)).as_bytes()).is_err());
    }
}
