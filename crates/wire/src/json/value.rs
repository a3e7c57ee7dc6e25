//! JSON values as the event reader wants them: objects member by member, scalars as sent.
//!
//! Scalars are taken as raw text. So a fault shows the value as the producer wrote it, `1e400` or
//! twenty digits are a bad token count and not bad JSON, and no number becomes a float.

use std::borrow::Cow;
use std::fmt;

use domain::{Reason, Text};
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::draft::{checked_text, checked_value};
use crate::faults::{Faults, NoteFault, Path};

/// What is noted while a record is read.
#[derive(Debug)]
pub(super) struct Notes<'f> {
    pub(super) faults: &'f mut Faults,
    pub(super) unknown_fields: u32,
}

/// One value that is no object and no array that the format has.
#[derive(Debug)]
pub(super) enum Scalar<'a> {
    Null,
    Text(Text<'a>),
    Boolean(bool),
    Number(&'a str),
    /// Where a scalar should stand.
    Container,
}

/// The members of one kind of object.
pub(super) trait Members<'a> {
    /// Takes the value of `name` from `object`, whatever it is. An error is one of the syntax;
    /// everything else is noted.
    fn member<A: MapAccess<'a>>(
        &mut self,
        name: &Text<'a>,
        path: Path<'_>,
        object: &mut A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error>;
}

/// The elements of one kind of array.
pub(super) trait Elements<'a> {
    fn elements<A: SeqAccess<'a>>(
        &mut self,
        path: Path<'_>,
        array: A,
        notes: &mut Notes<'_>,
    ) -> Result<(), A::Error>;
}

/// Reads an object into `members`. Gives whether a value stood there: null counts as absent,
/// another type is noted and counts as present.
pub(super) struct Object<'s, 'f, M> {
    pub(super) members: &'s mut M,
    pub(super) path: Path<'s>,
    pub(super) notes: &'s mut Notes<'f>,
}

/// Reads an array into `elements`, with the same meaning as [`Object`].
pub(super) struct Array<'s, 'f, E> {
    pub(super) elements: &'s mut E,
    pub(super) path: Path<'s>,
    pub(super) notes: &'s mut Notes<'f>,
}

/// The visits that both containers refuse alike.
macro_rules! other_types_are_noted {
    () => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a JSON value")
        }
        fn visit_unit<R: Error>(self) -> Result<bool, R> {
            Ok(false)
        }
        fn visit_bool<R: Error>(self, value: bool) -> Result<bool, R> {
            self.wrong_type(&value.to_string())
        }
        fn visit_u64<R: Error>(self, value: u64) -> Result<bool, R> {
            self.wrong_type(&value.to_string())
        }
        fn visit_i64<R: Error>(self, value: i64) -> Result<bool, R> {
            self.wrong_type(&value.to_string())
        }
        fn visit_f64<R: Error>(self, value: f64) -> Result<bool, R> {
            self.wrong_type(&value.to_string())
        }
        fn visit_str<R: Error>(self, value: &str) -> Result<bool, R> {
            self.wrong_type(value)
        }
    };
}

impl<M> Object<'_, '_, M> {
    fn wrong_type<E: Error>(self, value: &str) -> Result<bool, E> {
        self.notes.faults.note(Reason::WrongType, self.path, value);
        Ok(true)
    }
}

impl<E> Array<'_, '_, E> {
    fn wrong_type<R: Error>(self, value: &str) -> Result<bool, R> {
        self.notes.faults.note(Reason::WrongType, self.path, value);
        Ok(true)
    }
}

impl<'a, M: Members<'a>> DeserializeSeed<'a> for Object<'_, '_, M> {
    type Value = bool;
    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, M: Members<'a>> Visitor<'a> for Object<'_, '_, M> {
    type Value = bool;
    other_types_are_noted!();

    fn visit_seq<A: SeqAccess<'a>>(self, mut array: A) -> Result<bool, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        self.wrong_type("[…]")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<bool, A::Error> {
        while let Some(name) = object.next_key_seed(Name)? {
            self.members.member(&name, self.path, &mut object, self.notes)?;
        }
        Ok(true)
    }
}

impl<'a, E: Elements<'a>> DeserializeSeed<'a> for Array<'_, '_, E> {
    type Value = bool;
    fn deserialize<D: serde::Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, E: Elements<'a>> Visitor<'a> for Array<'_, '_, E> {
    type Value = bool;
    other_types_are_noted!();

    fn visit_seq<A: SeqAccess<'a>>(self, array: A) -> Result<bool, A::Error> {
        self.elements.elements(self.path, array, self.notes)?;
        Ok(true)
    }

    fn visit_map<A: MapAccess<'a>>(self, mut object: A) -> Result<bool, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.wrong_type("{…}")
    }
}

/// A member's name, borrowed unless an escape had to be undone. (serde's own `Cow` always owns.)
pub(super) struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Text<'a>;
    fn deserialize<D: serde::Deserializer<'a>>(self, from: D) -> Result<Text<'a>, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Text<'a>;
    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Text<'a>, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'a>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Skips a member that the format does not have, and counts it.
pub(super) fn skip_unknown<'a, A: MapAccess<'a>>(
    object: &mut A,
    notes: &mut Notes<'_>,
) -> Result<(), A::Error> {
    object.next_value::<IgnoredAny>()?;
    notes.unknown_fields = notes.unknown_fields.saturating_add(1);
    Ok(())
}

/// Takes the next value as it was sent.
#[inline]
pub(super) fn raw<'a, A: MapAccess<'a>>(object: &mut A) -> Result<&'a str, A::Error> {
    Ok(object.next_value::<&'a RawValue>()?.get())
}

/// The scalar that a raw value is. A text with a lone surrogate in an escape is none (it is noted
/// as bad JSON, which the raw reading did not see).
#[inline]
fn scalar<'a>(raw: &'a str, path: Path<'_>, notes: &mut Notes<'_>) -> Option<Scalar<'a>> {
    Some(match raw.as_bytes().first() {
        Some(b'"') => {
            let inner = raw.get(1..raw.len() - 1).unwrap_or_default();
            if !inner.as_bytes().contains(&b'\\') {
                return Some(Scalar::Text(Cow::Borrowed(inner)));
            }
            match serde_json::from_str::<String>(raw) {
                Ok(text) => Scalar::Text(Cow::Owned(text)),
                Err(_) => {
                    notes.faults.note(Reason::InvalidJson, path, raw);
                    return None;
                }
            }
        }
        Some(b'n') => Scalar::Null,
        Some(b't') => Scalar::Boolean(true),
        Some(b'f') => Scalar::Boolean(false),
        Some(b'{' | b'[') => Scalar::Container,
        Some(_) | None => Scalar::Number(raw),
    })
}

/// What stood where a value was asked for.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// Nothing, or null.
    Absent,
    /// Something whose fault is noted.
    AtFault,
    Value(T),
}

impl<T> Found<T> {
    pub(super) fn is_present(&self) -> bool {
        !matches!(self, Self::Absent)
    }

    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::AtFault => None,
        }
    }
}

impl<T> From<Option<T>> for Found<T> {
    fn from(checked: Option<T>) -> Self {
        checked.map_or(Self::AtFault, Self::Value)
    }
}

/// A string, unchecked.
#[inline]
pub(super) fn string<'a>(raw: &'a str, path: Path<'_>, notes: &mut Notes<'_>) -> Found<Text<'a>> {
    match scalar(raw, path, notes) {
        Some(Scalar::Text(text)) => Found::Value(text),
        Some(Scalar::Null) => Found::Absent,
        None => Found::AtFault,
        Some(Scalar::Boolean(_) | Scalar::Number(_) | Scalar::Container) => {
            notes.faults.note(Reason::WrongType, path, raw);
            Found::AtFault
        }
    }
}

/// A string that must say something, within the limits.
#[inline]
pub(super) fn text<'a>(raw: &'a str, path: Path<'_>, notes: &mut Notes<'_>) -> Found<Text<'a>> {
    match string(raw, path, notes) {
        Found::Value(text) => checked_text(text, path, notes.faults).into(),
        other => other,
    }
}

/// A string within the limits, which may be empty.
pub(super) fn attribute_value<'a>(
    raw: &'a str,
    path: Path<'_>,
    notes: &mut Notes<'_>,
) -> Found<Text<'a>> {
    match string(raw, path, notes) {
        Found::Value(text) => checked_value(text, path, notes.faults).into(),
        other => other,
    }
}

/// A string that `read` understands; otherwise a fault with `reason`.
pub(super) fn parsed<T>(
    raw: &str,
    path: Path<'_>,
    reason: Reason,
    notes: &mut Notes<'_>,
    read: impl FnOnce(&str) -> Option<T>,
) -> Found<T> {
    match string(raw, path, notes) {
        Found::Value(text) => {
            let value = read(&text);
            if value.is_none() {
                notes.faults.note(reason, path, &text);
            }
            value.into()
        }
        Found::Absent => Found::Absent,
        Found::AtFault => Found::AtFault,
    }
}

/// A boolean; absent is false.
pub(super) fn boolean(raw: &str, path: Path<'_>, notes: &mut Notes<'_>) -> bool {
    match scalar(raw, path, notes) {
        Some(Scalar::Boolean(value)) => value,
        Some(Scalar::Null) | None => false,
        Some(Scalar::Text(_) | Scalar::Number(_) | Scalar::Container) => {
            notes.faults.note(Reason::WrongType, path, raw);
            false
        }
    }
}

/// A number as it was written.
#[inline]
pub(super) fn number<'a>(raw: &'a str, path: Path<'_>, notes: &mut Notes<'_>) -> Found<&'a str> {
    match scalar(raw, path, notes) {
        Some(Scalar::Number(written)) => Found::Value(written),
        Some(Scalar::Null) => Found::Absent,
        None => Found::AtFault,
        Some(Scalar::Text(_) | Scalar::Boolean(_) | Scalar::Container) => {
            notes.faults.note(Reason::WrongType, path, raw);
            Found::AtFault
        }
    }
}
