//! The published documents, read from their text.

use domain::Timestamp;
use toml::{Table, Value};

use crate::card::Card;
use crate::cost::Book;

/// One published document.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// Its offset in the catalogue.
    pub(crate) offset: u32,
    pub(crate) id: String,
    pub(crate) from: Timestamp,
    to: Option<Timestamp>,
    pub(crate) content: Content,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Book(Book),
    Card(Card),
    /// The rate card that it names.
    Plan {
        card: String,
    },
    Defaults(Defaults),
}

/// What holds when nothing else says.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    pub(crate) card: Option<String>,
    pub(crate) books: Option<Vec<String>>,
    pub(crate) plan: Option<String>,
}

impl Published {
    pub(crate) fn read(offset: u32, text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.to_string())?;
        let id = required(&table, "id")?.to_owned();
        let from = time(&table, "effective_from")?.ok_or("no effective_from")?;
        let to = time(&table, "effective_to")?;
        let is_list = |key: &str| matches!(table.get(key), Some(Value::Array(_)));
        let content = if id == "defaults" {
            Content::Defaults(Defaults {
                card: text_at(&table, "default_rate_card").map(str::to_owned),
                books: table.contains_key("price_books").then(|| texts(&table, "price_books")),
                plan: text_at(&table, "default_plan").map(str::to_owned),
            })
        } else if is_list("price") {
            Content::Book(Book::read(&table)?)
        } else if is_list("rule") {
            Content::Card(Card::read(&table)?)
        } else {
            Content::Plan { card: required(&table, "rate_card")?.to_owned() }
        };
        Ok(Self { offset, id, from, to, content })
    }

    /// Half-open: from its start, itself included, until before its end.
    pub(crate) fn holds(&self, time: Timestamp) -> bool {
        self.from <= time && self.to.is_none_or(|to| time < to)
    }

    pub(crate) fn book(&self) -> Option<&Book> {
        match &self.content {
            Content::Book(book) => Some(book),
            Content::Card(_) | Content::Plan { .. } | Content::Defaults(_) => None,
        }
    }

    pub(crate) fn card(&self) -> Option<&Card> {
        match &self.content {
            Content::Card(card) => Some(card),
            Content::Book(_) | Content::Plan { .. } | Content::Defaults(_) => None,
        }
    }

    pub(crate) fn plan_card(&self) -> Option<&str> {
        match &self.content {
            Content::Plan { card } => Some(card),
            Content::Book(_) | Content::Card(_) | Content::Defaults(_) => None,
        }
    }

    pub(crate) fn defaults(&self) -> Option<&Defaults> {
        match &self.content {
            Content::Defaults(defaults) => Some(defaults),
            Content::Book(_) | Content::Card(_) | Content::Plan { .. } => None,
        }
    }
}

pub(crate) fn text_at<'t>(table: &'t Table, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Value::as_str)
}

pub(crate) fn required<'t>(table: &'t Table, key: &str) -> Result<&'t str, String> {
    text_at(table, key).ok_or_else(|| format!("no {key}"))
}

/// A text, or a list of them.
pub(crate) fn texts(table: &Table, key: &str) -> Vec<String> {
    table.get(key).map(texts_of).unwrap_or_default()
}

pub(crate) fn texts_of(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => {
            values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        }
        one => one.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// Every `attributes.<name>`, quoted as a key or as a table of its own.
pub(crate) fn attributes(table: &Table) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    for (key, value) in table {
        if let Some(name) = key.strip_prefix("attributes.") {
            found.push((name.to_owned(), texts_of(value)));
        } else if let (true, Value::Table(inner)) = (key == "attributes", value) {
            found.extend(inner.iter().map(|(name, value)| (name.clone(), texts_of(value))));
        }
    }
    found
}

/// Whether one of the patterns matches; `*` stands for any run of characters.
pub(crate) fn matches(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| {
        let mut parts = pattern.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else { return false };
        let parts: Vec<&str> = parts.collect();
        let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
        for part in middle {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    })
}

fn time(table: &Table, key: &str) -> Result<Option<Timestamp>, String> {
    let text = match table.get(key) {
        None => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Datetime(time)) => time.to_string(),
        Some(_) => return Err(format!("{key} is no time")),
    };
    text.parse().map(Some).map_err(|_| format!("{key} is no time: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_run_of_characters() {
        for (pattern, text, holds) in [
            ("gpt-4o", "gpt-4o", true),
            ("gpt-4o", "gpt-4o-mini", false),
            ("gpt-4o*", "gpt-4o", true),
            ("*mini", "gpt-4o-mini", true),
            ("g*o-*i", "gpt-4o-mini", true),
            ("a*b*c", "abbc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**", "", true),
            ("*", "anything", true),
        ] {
            assert_eq!(matches(&[pattern.to_owned()], text), holds, "{pattern} on {text}");
        }
    }
}
