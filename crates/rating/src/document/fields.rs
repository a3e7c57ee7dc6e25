//! Reading TOML tables strictly: every key is known, every value has its type.

use domain::{Credits, Currency, Money, Pool, Timestamp, suggestion};
use toml::{Table, Value};

use super::error::{DocumentError, DocumentFault};
use crate::decimal::Decimal;
use crate::pattern::{Pattern, Patterns};

/// Where a table stands, for errors.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) document: &'a str,
    /// The rule or price, as in errors.
    pub(crate) place: &'a str,
    /// The path of the table within the place, with its dot: `charge.`; or empty.
    pub(crate) path: &'a str,
}

impl Place<'_> {
    pub(crate) fn error(
        &self,
        fault: DocumentFault,
        field: &str,
        message: impl Into<String>,
    ) -> DocumentError {
        DocumentError {
            fault,
            document: self.document.to_owned(),
            place: self.place.to_owned(),
            field: format!("{}{field}", self.path),
            message: message.into(),
        }
    }
}

type Read<T> = Result<T, DocumentError>;

/// A table whose keys are all known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fields<'a> {
    table: &'a Table,
    at: Place<'a>,
}

/// Whether a table takes `attributes.<name>` keys beside the known ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeKeys {
    Taken,
    Refused,
}

impl<'a> Fields<'a> {
    pub(crate) fn new(
        table: &'a Table,
        at: Place<'a>,
        known: &[&str],
        attributes: AttributeKeys,
    ) -> Read<Self> {
        for key in table.keys() {
            let is_attribute = attributes == AttributeKeys::Taken
                && (key == "attributes"
                    || key.strip_prefix("attributes.").is_some_and(|name| !name.is_empty()));
            if !is_attribute && !known.contains(&key.as_str()) {
                let near = suggestion(key, known.iter().copied());
                let message = format!("no such key{near} The keys here are: {}", known.join(", "));
                return Err(at.error(DocumentFault::UnknownKey, key, message));
            }
        }
        Ok(Self { table, at })
    }

    pub(crate) fn at(&self) -> &Place<'a> {
        &self.at
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    pub(crate) fn error(
        &self,
        fault: DocumentFault,
        field: &str,
        message: impl Into<String>,
    ) -> DocumentError {
        self.at.error(fault, field, message)
    }

    /// The error for a required key that is absent.
    pub(crate) fn missing(&self, key: &str) -> DocumentError {
        self.error(DocumentFault::MissingKey, key, "is required")
    }

    fn wrong_type(&self, key: &str, wanted: &str, found: &Value) -> DocumentError {
        let found = found.type_str();
        self.error(DocumentFault::WrongType, key, format!("takes {wanted}, not a TOML {found}"))
    }

    pub(crate) fn required<T>(
        &self,
        key: &str,
        read: impl FnOnce(&Self, &str) -> Read<Option<T>>,
    ) -> Read<T> {
        read(self, key)?.ok_or_else(|| self.missing(key))
    }

    /// A text that says something, without control characters, of at most 256 bytes.
    pub(crate) fn text(&self, key: &str) -> Read<Option<&'a str>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => self.checked_text(key, text).map(Some),
            Some(other) => Err(self.wrong_type(key, "a string", other)),
        }
    }

    fn checked_text(&self, key: &str, text: &'a str) -> Read<&'a str> {
        let message = if text.is_empty() {
            "must say something"
        } else if text.len() > domain::limits::TEXT_BYTES_MAX {
            "is longer than 256 bytes"
        } else if text.chars().any(char::is_control) {
            "has a control character"
        } else {
            return Ok(text);
        };
        Err(self.error(DocumentFault::BadText, key, message))
    }

    pub(crate) fn truth(&self, key: &str) -> Read<Option<bool>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Boolean(truth)) => Ok(Some(*truth)),
            Some(other) => Err(self.wrong_type(key, "true or false", other)),
        }
    }

    /// A whole number of a range.
    pub(crate) fn count(
        &self,
        key: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Read<Option<u64>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => u64::try_from(*number)
                .ok()
                .filter(|count| range.contains(count))
                .map(Some)
                .ok_or_else(|| {
                    let (from, to) = (range.start(), range.end());
                    let message = format!("{number} is not a whole number from {from} to {to}");
                    self.error(DocumentFault::BadNumber, key, message)
                }),
            Some(other) => Err(self.wrong_type(key, "a whole number", other)),
        }
    }

    pub(crate) fn decimal(&self, key: &str) -> Read<Option<Decimal>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|error| {
                self.error(DocumentFault::BadNumber, key, format!("`{text}` is {error}"))
            }),
            Some(other) => {
                Err(self.wrong_type(key, "a decimal as a string, such as \"2.50\"", other))
            }
        }
    }

    pub(crate) fn positive_decimal(&self, key: &str) -> Read<Option<Decimal>> {
        match self.decimal(key)? {
            Some(decimal) if decimal.is_zero() => {
                Err(self.error(DocumentFault::BadNumber, key, "must be more than zero"))
            }
            other => Ok(other),
        }
    }

    fn amount<T: std::str::FromStr<Err = domain::AmountError>>(
        &self,
        key: &str,
        is_negative: impl Fn(&T) -> bool,
    ) -> Read<Option<T>> {
        // Read as a decimal first, so that one sentence serves all numbers.
        let Some(decimal) = self.decimal(key)? else {
            return Ok(None);
        };
        match decimal.to_string().parse::<T>() {
            Ok(amount) if !is_negative(&amount) => Ok(Some(amount)),
            Ok(_) => Err(self.error(DocumentFault::BadNumber, key, "is negative")),
            Err(error) => Err(self.error(DocumentFault::BadNumber, key, format!("is {error}"))),
        }
    }

    pub(crate) fn credits(&self, key: &str) -> Read<Option<Credits>> {
        self.amount(key, |credits: &Credits| credits.is_negative())
    }

    pub(crate) fn positive_credits(&self, key: &str) -> Read<Option<Credits>> {
        match self.credits(key)? {
            Some(credits) if credits.is_zero() => {
                Err(self.error(DocumentFault::BadNumber, key, "must be more than zero"))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn money(&self, key: &str) -> Read<Option<Money>> {
        self.amount(key, |money: &Money| money.is_negative())
    }

    pub(crate) fn currency(&self, key: &str) -> Read<Option<Currency>> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        text.parse().map(Some).map_err(|error| {
            self.error(DocumentFault::BadCurrency, key, format!("`{text}` is {error}"))
        })
    }

    /// A time as a string, or as TOML's own date-time.
    pub(crate) fn time(&self, key: &str) -> Read<Option<Timestamp>> {
        let text = match self.table.get(key) {
            None => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Datetime(time)) => time.to_string(),
            Some(other) => return Err(self.wrong_type(key, "an RFC 3339 time", other)),
        };
        text.parse().map(Some).map_err(|error| {
            self.error(DocumentFault::BadTime, key, format!("`{text}` is {error}"))
        })
    }

    /// One of the words that the key takes.
    pub(crate) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Read<Option<T>> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        match words.iter().find(|(word, _)| *word == text) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => Err(self.unknown_word(key, text, words.iter().map(|(word, _)| *word))),
        }
    }

    pub(crate) fn unknown_word<'w>(
        &self,
        key: &str,
        text: &str,
        words: impl Iterator<Item = &'w str> + Clone,
    ) -> DocumentError {
        let near = suggestion(text, words.clone());
        let all: Vec<_> = words.collect();
        let message = format!("`{text}` is not one of {}{near}", all.join(", "));
        self.error(DocumentFault::UnknownWord, key, message)
    }

    /// A value or a list of values, each a text.
    pub(crate) fn texts(&self, key: &str) -> Read<Option<Vec<&'a str>>> {
        self.table.get(key).map(|value| self.texts_of(key, value)).transpose()
    }

    fn texts_of(&self, key: &str, value: &'a Value) -> Read<Vec<&'a str>> {
        const WANTED: &str = "a string or a list of strings";
        let values = match value {
            Value::Array(values) if values.is_empty() => {
                return Err(self.error(DocumentFault::BadText, key, "is an empty list"));
            }
            Value::Array(values) if values.len() > super::LIST_MAX => {
                let message = format!("has more than {} values", super::LIST_MAX);
                return Err(self.error(DocumentFault::TooMany, key, message));
            }
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        values
            .iter()
            .map(|value| match value {
                Value::String(text) => self.checked_text(key, text),
                other => Err(self.wrong_type(key, WANTED, other)),
            })
            .collect()
    }

    pub(crate) fn patterns(&self, key: &str) -> Read<Option<Patterns>> {
        Ok(self.texts(key)?.map(|texts| patterns(&texts)))
    }

    /// `"attributes.<name>" = …`, or the same as a table of its own, sorted by name.
    pub(crate) fn attributes(&self) -> Read<Vec<(Box<str>, Patterns)>> {
        let mut found = Vec::new();
        for (key, value) in self.table {
            match (key.as_str(), value) {
                ("attributes", Value::Table(inner)) => {
                    for (name, value) in inner {
                        let texts = self.texts_of(&format!("attributes.{name}"), value)?;
                        found.push((name.as_str().into(), patterns(&texts)));
                    }
                }
                ("attributes", other) => {
                    return Err(self.wrong_type("attributes", "a table", other));
                }
                (key, value) => {
                    if let Some(name) = key.strip_prefix("attributes.") {
                        found.push((name.into(), patterns(&self.texts_of(key, value)?)));
                    }
                }
            }
        }
        found.sort_by(|(a, _): &(Box<str>, _), (b, _)| a.cmp(b));
        if let Some(pair) = found.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let field = format!("attributes.{}", pair[0].0);
            return Err(self.error(DocumentFault::RepeatedKey, &field, "stands twice"));
        }
        Ok(found)
    }

    /// An inline table; the caller makes [`Fields`] of it.
    pub(crate) fn table(&self, key: &str) -> Read<Option<&'a Table>> {
        match self.table.get(key) {
            None => Ok(None),
            Some(Value::Table(table)) => Ok(Some(table)),
            Some(other) => Err(self.wrong_type(key, "a table", other)),
        }
    }

    /// An array of tables, `[[key]]`; empty when absent.
    pub(crate) fn tables(&self, key: &str) -> Read<Vec<&'a Table>> {
        let Some(value) = self.table.get(key) else {
            return Ok(Vec::new());
        };
        let Value::Array(values) = value else {
            return Err(self.wrong_type(key, &format!("tables, [[{key}]]"), value));
        };
        values
            .iter()
            .map(|value| match value {
                Value::Table(table) => Ok(table),
                other => Err(self.wrong_type(key, &format!("tables, [[{key}]]"), other)),
            })
            .collect()
    }

    /// Prices by token pool, as strings.
    pub(crate) fn pool_prices(&self, key: &str) -> Read<Option<Vec<(Pool, Decimal)>>> {
        let Some(table) = self.table(key)? else {
            return Ok(None);
        };
        let path = format!("{}{key}.", self.at.path);
        let inner = Fields { table, at: Place { path: &path, ..self.at } };
        let mut prices = Vec::with_capacity(table.len());
        for name in table.keys() {
            let Some(pool) = Pool::from_name(name) else {
                let near = suggestion(name, domain::ALL_POOLS.into_iter().map(Pool::name));
                let message = format!("`{name}` is not a token pool{near}");
                return Err(self.error(DocumentFault::UnknownPool, key, message));
            };
            if let Some(price) = inner.decimal(name)? {
                prices.push((pool, price));
            }
        }
        prices.sort_by_key(|(pool, _)| *pool);
        Ok(Some(prices))
    }
}

fn patterns(texts: &[&str]) -> Patterns {
    Patterns(texts.iter().map(|text| Pattern::new(text)).collect())
}
