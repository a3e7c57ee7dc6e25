//! The catalogue's documents: price books, rate cards, plans and the defaults, from TOML.
//!
//! A document's kind is told by its content: `id = "defaults"` is the defaults; a `[[price]]` list
//! makes a price book, a `[[rule]]` list a rate card; failing those, the kind whose keys it has
//! most of, which is how a plan is told and how a misspelt `[[rules]]` still gets a good answer.

mod defaults;
mod error;
mod fields;
mod plan;
mod price_book;
mod rate_card;
mod reach;

use std::sync::Arc;

use domain::{ContentHash, Timestamp};
use toml::{Table, Value};

pub use defaults::Defaults;
pub use error::{DocumentError, DocumentFault};
pub use plan::{Allowance, Anchor, OnExhausted, Overage, Plan, PlanPrice, Rollover, Trial};
pub(crate) use price_book::{Condition, ModelRows};
pub use price_book::{Price, PriceBook, Rates, When};
pub use rate_card::{Charge, Form, RateCard, Rule};
pub(crate) use rate_card::{ChargeForm, Key};

use fields::{AttributeKeys, Fields, Place};

/// The largest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The most prices in a book, rules in a card, conditions on a price.
pub(crate) const ROWS_MAX: usize = 10_000;
/// The longest list of values under one key.
pub(crate) const LIST_MAX: usize = 1_000;

/// What a document is about. Ids are unique within a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    PriceBook,
    RateCard,
    Plan,
    Defaults,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::PriceBook, Self::RateCard, Self::Plan, Self::Defaults];

    /// The kind in commands and tables.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PriceBook => "price_book",
            Self::RateCard => "rate_card",
            Self::Plan => "plan",
            Self::Defaults => "defaults",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::PriceBook => price_book::KEYS,
            Self::RateCard => rate_card::KEYS,
            Self::Plan => plan::KEYS,
            Self::Defaults => defaults::KEYS,
        }
    }
}

/// A parsed document that is right in itself; [`crate::Catalogue::check`] says whether it fits
/// beside the others.
#[derive(Clone, Debug)]
pub struct Document {
    id: Box<str>,
    effective_from: Timestamp,
    effective_to: Option<Timestamp>,
    version: Option<u32>,
    description: Option<Box<str>>,
    toml: Box<str>,
    normal_form: Box<str>,
    warnings: Vec<String>,
    body: Body,
}

/// The content by kind.
#[derive(Clone, Debug)]
pub enum Body {
    PriceBook(Arc<PriceBook>),
    RateCard(Arc<RateCard>),
    Plan(Arc<Plan>),
    Defaults(Arc<Defaults>),
}

impl Document {
    /// Reads and compiles a document.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn parse(toml: &str) -> Result<Self, DocumentError> {
        let nowhere = Place { document: "", place: "", path: "" };
        if toml.len() > DOCUMENT_BYTES_MAX {
            let message = format!("is larger than {DOCUMENT_BYTES_MAX} bytes");
            return Err(nowhere.error(DocumentFault::InvalidToml, "", message));
        }
        let table: Table = toml.parse().map_err(|error| not_toml(toml, &error))?;
        let kind = kind_of(&table);
        let id = match table.get("id") {
            Some(Value::String(id)) => id.clone(),
            _ => String::new(),
        };
        let at = Place { document: &id, place: "", path: "" };
        let fields = Fields::new(&table, at, kind.keys(), AttributeKeys::Refused)?;
        let id: Box<str> = fields.required("id", Fields::text)?.into();
        let effective_from = fields.required("effective_from", Fields::time)?;
        let effective_to = fields.time("effective_to")?;
        if effective_to.is_some_and(|to| to <= effective_from) {
            let message = "must be later than effective_from";
            return Err(fields.error(DocumentFault::BadTime, "effective_to", message));
        }
        let version = fields
            .count("version", 1..=u64::from(u32::MAX))?
            .and_then(|version| u32::try_from(version).ok());
        let description = fields.text("description")?.map(Box::from);
        let mut warnings = Vec::new();
        let body = match kind {
            Kind::PriceBook => Body::PriceBook(Arc::new(PriceBook::read(&fields, &mut warnings)?)),
            Kind::RateCard => Body::RateCard(Arc::new(RateCard::read(&fields)?)),
            Kind::Plan => Body::Plan(Arc::new(Plan::read(&fields)?)),
            Kind::Defaults => Body::Defaults(Arc::new(Defaults::read(&fields)?)),
        };
        let normal_form = normal_form(&table).into_boxed_str();
        Ok(Self {
            id,
            effective_from,
            effective_to,
            version,
            description,
            toml: toml.into(),
            normal_form,
            warnings,
            body,
        })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::PriceBook(_) => Kind::PriceBook,
            Body::RateCard(_) => Kind::RateCard,
            Body::Plan(_) => Kind::Plan,
            Body::Defaults(_) => Kind::Defaults,
        }
    }

    pub fn body(&self) -> &Body {
        &self.body
    }

    /// In force from this instant on, itself included.
    pub fn effective_from(&self) -> Timestamp {
        self.effective_from
    }

    /// In force until before this instant; `None` is for good.
    pub fn effective_to(&self) -> Option<Timestamp> {
        self.effective_to
    }

    pub fn is_in_force(&self, time: Timestamp) -> bool {
        self.effective_from <= time && self.effective_to.is_none_or(|to| time < to)
    }

    /// The version that the document claims to be (`version = 3`); most leave it to the catalogue.
    pub fn claimed_version(&self) -> Option<u32> {
        self.version
    }

    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The text that it was parsed from.
    pub fn toml(&self) -> &str {
        &self.toml
    }

    /// The content without comments, layout, order of keys and claimed version. Two documents with
    /// the same normal form are the same version.
    pub fn normal_form(&self) -> &str {
        &self.normal_form
    }

    /// The hash of the normal form.
    pub fn content_hash(&self) -> ContentHash {
        ContentHash::of(self.normal_form.as_bytes())
    }

    /// What is allowed and probably not meant, as sentences.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

fn not_toml(text: &str, error: &toml::de::Error) -> DocumentError {
    let message = error.message();
    let fault = match message.contains("duplicate") {
        true => DocumentFault::RepeatedKey,
        false => DocumentFault::InvalidToml,
    };
    let at = error.span().map_or_else(String::new, |span| {
        let before = text.get(..span.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let named = text.get(span).unwrap_or_default().lines().next().unwrap_or_default().trim();
        match named {
            "" => format!("line {line}"),
            named => format!("line {line} `{named}`"),
        }
    });
    // The id is for the reader's sake; a table that does not parse may still show it.
    let id = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("id")?.trim_start().strip_prefix('='))
        .map(|value| value.trim().trim_matches('"').to_owned())
        .unwrap_or_default();
    DocumentError {
        fault,
        document: id,
        place: at,
        field: String::new(),
        message: message.to_owned(),
    }
}

fn kind_of(table: &Table) -> Kind {
    if matches!(table.get("id"), Some(Value::String(id)) if id == "defaults") {
        return Kind::Defaults;
    }
    if matches!(table.get("price"), Some(Value::Array(_))) {
        return Kind::PriceBook;
    }
    if matches!(table.get("rule"), Some(Value::Array(_))) {
        return Kind::RateCard;
    }
    let known = |kind: Kind| table.keys().filter(|key| kind.keys().contains(&key.as_str())).count();
    // Of kinds that know equally many keys the first wins: a bare document is most likely a plan.
    let mut best = Kind::Plan;
    for kind in [Kind::RateCard, Kind::PriceBook] {
        if known(kind) > known(best) {
            best = kind;
        }
    }
    best
}

/// TOML values in one way only: keys sorted (a [`Table`] is), nothing optional written.
fn normal_form(table: &Table) -> String {
    let mut text = String::new();
    for (key, value) in table {
        if key != "version" {
            write_value(&mut text, key, value);
        }
    }
    text
}

fn write_value(text: &mut String, key: &str, value: &Value) {
    use std::fmt::Write;
    // Debug form quotes and escapes, so that no content can imitate the structure. Writing to a
    // string cannot fail.
    let written = match value {
        Value::String(content) => write!(text, "{key:?}={content:?};"),
        Value::Integer(number) => write!(text, "{key:?}={number};"),
        Value::Boolean(truth) => write!(text, "{key:?}={truth};"),
        Value::Float(number) => write!(text, "{key:?}=float {number:?};"),
        Value::Datetime(time) => write!(text, "{key:?}={:?};", time.to_string()),
        Value::Array(values) => {
            text.push_str(&format!("{key:?}=["));
            for value in values {
                write_value(text, "", value);
            }
            write!(text, "];")
        }
        Value::Table(table) => {
            text.push_str(&format!("{key:?}={{"));
            for (key, value) in table {
                write_value(text, key, value);
            }
            write!(text, "}};")
        }
    };
    debug_assert!(written.is_ok());
}
