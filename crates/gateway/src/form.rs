//! Strict readers of JSON objects and query strings: every field is asked for by name, and what is
//! left over is refused with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::{Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// How much of a name that is not known is shown.
const NAME_CHARACTERS_MAX: usize = 64;

/// The fields of a JSON object, each once.
#[derive(Debug, Default)]
pub(crate) struct Form {
    fields: BTreeMap<String, Box<RawValue>>,
    /// The names that were asked for: what the object may have.
    known: BTreeSet<String>,
    /// Where it stands in the body, with a dot at the end; empty for the body itself.
    path: String,
}

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
                Ok(Form { fields, ..Form::default() })
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

    /// A body that may be left out: nothing, or an object.
    pub(crate) fn parse_optional(body: &[u8]) -> Result<Self, Problem> {
        if body.iter().all(u8::is_ascii_whitespace) {
            Ok(Self::default())
        } else {
            Self::parse(body)
        }
    }

    /// The object in a field, as a form of its own.
    pub(crate) fn object(&mut self, name: &str, wanted: &str) -> Result<Option<Self>, Problem> {
        let path = format!("{}.", self.path_of(name));
        Ok(self.typed::<Self>(name, wanted)?.map(|form| Self { path, ..form }))
    }

    /// The objects in a field's array, each as a form of its own.
    pub(crate) fn objects(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<Vec<Self>>, Problem> {
        let path = self.path_of(name);
        let Some(forms) = self.typed::<Vec<Self>>(name, wanted)? else { return Ok(None) };
        let named = |(index, form)| Self { path: format!("{path}[{index}]."), ..form };
        Ok(Some(forms.into_iter().enumerate().map(named).collect()))
    }

    /// A field's name as it is told: with the way to it.
    pub(crate) fn path_of(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    /// A required field that is not there.
    pub(crate) fn missing(&self, name: &str) -> Problem {
        missing(&self.path_of(name))
    }

    /// A value that the field does not take.
    pub(crate) fn refuse(&self, name: &str, code: &'static str, detail: &str) -> Problem {
        Problem::bad_request(code, detail).field(self.path_of(name))
    }

    /// Whether the field says something.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.fields.get(name).is_some_and(|value| value.get() != "null")
    }

    /// The field as it was written.
    pub(crate) fn raw(&mut self, name: &str) -> Option<Box<RawValue>> {
        if !self.known.contains(name) {
            self.known.insert(name.to_owned());
        }
        self.fields.remove(name).filter(|value| value.get() != "null")
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
                .field(self.path_of(name))
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
        self.text(name)?.ok_or_else(|| self.missing(name))
    }

    /// A string that is read as `T`.
    pub(crate) fn parsed<T>(&mut self, name: &str, code: &'static str) -> Result<Option<T>, Problem>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        self.text(name)?.map(|text| parse(&self.path_of(name), &text, code)).transpose()
    }

    /// One of some words.
    pub(crate) fn word<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Option<T>,
        words: &str,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match read(&text) {
            Some(value) => Ok(Some(value)),
            None => {
                Err(self.refuse(name, "bad_value", &format!("`{name}` is {words}")).value(&text))
            }
        }
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        let Some(name) = self.fields.keys().next() else { return Ok(()) };
        let known = self.known.iter().map(String::as_str);
        Err(unknown("field", name, known).field(self.path_of(&shown(name))))
    }
}

/// The parameters of a query string, each once.
#[derive(Debug, Default)]
pub(crate) struct Params {
    values: BTreeMap<String, String>,
    /// The names that were asked for.
    known: BTreeSet<String>,
}

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
        Ok(Self { values: params, known: BTreeSet::new() })
    }
}

impl Params {
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.values.remove(name)
    }

    /// The parameter, which stays to be asked for.
    pub(crate) fn peek(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
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
        let Some(name) = self.values.keys().next() else { return Ok(()) };
        let known = self.known.iter().map(String::as_str);
        Err(unknown("parameter", name, known).field(shown(name)))
    }
}

fn unknown<'k>(what: &str, name: &str, known: impl Iterator<Item = &'k str>) -> Problem {
    let near = domain::suggestion(name, known);
    let detail = format!("there is no {what} `{}` here{near}", shown(name));
    Problem::bad_request("unknown_field", detail)
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARACTERS_MAX).collect()
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

/// A required field that is not there.
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
