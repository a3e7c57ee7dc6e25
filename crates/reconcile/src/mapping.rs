//! How a vendor writes its exports, as a TOML document.

use std::collections::BTreeMap;

use calendar::Zone;
use domain::Pool;
use rating::Pattern;
use serde::Deserialize;

use crate::item::{Field, Template};
use crate::number::{Number, Style};

/// The mappings that come with tally, by name, as the documents they are.
pub const PRESETS: &[(&str, &str)] = &[
    ("openai", include_str!("presets/openai.toml")),
    ("anthropic", include_str!("presets/anthropic.toml")),
];

/// One of [`PRESETS`].
pub fn preset(name: &str) -> Option<&'static str> {
    PRESETS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// What is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    #[error("{0}")]
    Toml(String),
    #[error("{field}: {detail}")]
    Field { field: String, detail: String },
}

/// A mapping that was read and checked.
#[derive(Clone, Debug)]
pub struct Mapping {
    pub vendor: String,
    /// What our events call the vendor.
    pub providers: Vec<String>,
    /// The currency of rows that name none, in capitals.
    pub currency: String,
    /// Whose midnights begin the vendor's days.
    pub timezone: Zone,
    /// Between the columns of its files.
    pub(crate) delimiter: u8,
    pub(crate) loose_models: bool,
    pub(crate) models: BTreeMap<String, String>,
    pub(crate) forms: Vec<Form>,
}

/// One kind of file.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) style: Style,
    pub(crate) date: DateColumn,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) item: Option<Item>,
    pub(crate) pool: Option<String>,
    /// Words of the pool column, or of the item's `{pool}`, and the pools they mean.
    pub(crate) pools: BTreeMap<String, Pool>,
    pub(crate) tokens: Option<NumberColumn>,
    pub(crate) amount: Option<NumberColumn>,
    pub(crate) wide: Vec<WideColumn>,
    pub(crate) currency: Option<String>,
    /// The step that the vendor rounds a row's amount to.
    pub(crate) rounding: Number,
    pub(crate) ignore: Vec<Ignore>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DateColumn {
    pub(crate) column: String,
    /// `date` (2026-11-20), `rfc3339`, `unix` (seconds), or a form in the words of `strftime`.
    #[serde(default = "plain_date")]
    pub(crate) format: String,
}

fn plain_date() -> String {
    "date".to_owned()
}

#[derive(Clone, Debug)]
pub(crate) struct NumberColumn {
    pub(crate) column: String,
    /// What 1 in the column stands for.
    pub(crate) unit: Number,
}

#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) column: String,
    pub(crate) patterns: Vec<ItemPattern>,
}

#[derive(Clone, Debug)]
pub(crate) struct ItemPattern {
    pub(crate) template: Template,
    /// The pool of whatever has this form; `None` when the text says it.
    pub(crate) pool: Option<Pool>,
}

/// A column that counts one pool, in a file with a column per pool.
#[derive(Clone, Debug)]
pub(crate) struct WideColumn {
    pub(crate) column: String,
    pub(crate) pool: Pool,
    pub(crate) counts: Counts,
    /// Files without the column are taken as well.
    pub(crate) optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Counts {
    Tokens,
    Amount,
}

/// Rows to leave out: those whose column has one of these values.
#[derive(Clone, Debug)]
pub(crate) struct Ignore {
    pub(crate) column: String,
    pub(crate) values: Vec<Pattern>,
}

impl Form {
    /// The pools that the form tells apart; `None` when it does not name pools.
    pub(crate) fn named_pools(&self) -> Option<Vec<Pool>> {
        if !self.wide.is_empty() {
            return Some(self.wide.iter().map(|wide| wide.pool).collect());
        }
        let of_items = self.item.iter().flat_map(|item| &item.patterns).filter_map(|it| it.pool);
        let named: Vec<Pool> = self.pools.values().copied().chain(of_items).collect();
        (!named.is_empty()).then_some(named)
    }

    pub(crate) fn names_models(&self) -> bool {
        self.model.is_some() || self.item.is_some()
    }

    pub(crate) fn counts(&self, what: Counts) -> bool {
        let column = match what {
            Counts::Tokens => &self.tokens,
            Counts::Amount => &self.amount,
        };
        column.is_some() || self.wide.iter().any(|wide| wide.counts == what)
    }

    /// Columns that a file of this form has.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        let one = [&self.provider, &self.model, &self.pool, &self.currency];
        std::iter::once(&self.date.column)
            .chain(one.into_iter().flatten())
            .chain(self.item.iter().map(|item| &item.column))
            .chain([&self.tokens, &self.amount].into_iter().flatten().map(|it| &it.column))
            .chain(self.wide.iter().filter(|wide| !wide.optional).map(|wide| &wide.column))
            .map(String::as_str)
    }
}

impl Mapping {
    /// Reads a mapping's TOML.
    ///
    /// # Errors
    /// When it is no TOML, has a field that is not known, or one that cannot work.
    pub fn read(text: &str) -> Result<Self, MappingError> {
        let document: Document =
            toml::from_str(text).map_err(|error| MappingError::Toml(error.to_string()))?;
        let models = match document.model_names.as_str() {
            "exact" => false,
            "loose" => true,
            other => {
                return Err(wrong("model_names", format!("{other:?} is neither exact nor loose")));
            }
        };
        let delimiter = u8::try_from(document.delimiter)
            .ok()
            .filter(u8::is_ascii)
            .ok_or_else(|| wrong("delimiter", "it is one ASCII character"))?;
        if document.form.is_empty() {
            return Err(wrong("form", "a mapping has at least one [[form]]"));
        }
        let forms: Result<Vec<Form>, MappingError> =
            document.form.into_iter().enumerate().map(|(at, form)| form.checked(at)).collect();
        Ok(Self {
            vendor: document.vendor,
            providers: document.providers,
            currency: document.currency.to_uppercase(),
            timezone: document.timezone,
            delimiter,
            loose_models: models,
            models: document.models,
            forms: forms?,
        })
    }
}

fn wrong(field: impl Into<String>, detail: impl Into<String>) -> MappingError {
    MappingError::Field { field: field.into(), detail: detail.into() }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    vendor: String,
    providers: Vec<String>,
    currency: String,
    #[serde(default)]
    timezone: Zone,
    #[serde(default = "comma")]
    delimiter: char,
    #[serde(default = "exact")]
    model_names: String,
    #[serde(default)]
    models: BTreeMap<String, String>,
    form: Vec<FormDocument>,
}

fn exact() -> String {
    "exact".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormDocument {
    name: String,
    #[serde(default)]
    decimal_comma: bool,
    date: DateColumn,
    provider: Option<String>,
    model: Option<String>,
    item: Option<ItemDocument>,
    pool: Option<String>,
    #[serde(default)]
    pools: BTreeMap<String, String>,
    tokens: Option<NumberDocument>,
    amount: Option<NumberDocument>,
    #[serde(default)]
    wide: Vec<WideDocument>,
    currency: Option<String>,
    #[serde(default = "zero")]
    rounding: String,
    #[serde(default)]
    ignore: Vec<IgnoreDocument>,
}

fn comma() -> char {
    ','
}

fn zero() -> String {
    "0".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberDocument {
    column: String,
    #[serde(default = "one")]
    unit: String,
}

fn one() -> String {
    "1".to_owned()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemDocument {
    column: String,
    patterns: Vec<PatternDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternDocument {
    form: String,
    pool: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WideDocument {
    column: String,
    pool: String,
    #[serde(default = "tokens")]
    counts: Counts,
    #[serde(default)]
    optional: bool,
}

fn tokens() -> Counts {
    Counts::Tokens
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreDocument {
    column: String,
    values: Vec<String>,
}

impl FormDocument {
    fn checked(self, at: usize) -> Result<Form, MappingError> {
        let path = |field: &str| format!("form[{at}] {:?} {field}", self.name);
        let number = |field: &str, text: &str| {
            Number::read(text, Style::default()).map_err(|why| wrong(path(field), why.to_string()))
        };
        let column = |field: &str, document: Option<NumberDocument>| {
            document
                .map(|document| {
                    let unit = number(field, &document.unit)?;
                    Ok(NumberColumn { column: document.column, unit })
                })
                .transpose()
        };
        let pool = |field: &str, name: &str| {
            Pool::from_name(name)
                .ok_or_else(|| wrong(path(field), format!("{name:?} is no token pool")))
        };
        let mut pools = BTreeMap::new();
        for (word, name) in &self.pools {
            pools.insert(word.trim().to_lowercase(), pool("pools", name)?);
        }
        let mut wide = Vec::new();
        for document in &self.wide {
            wide.push(WideColumn {
                column: document.column.clone(),
                pool: pool("wide", &document.pool)?,
                counts: document.counts,
                optional: document.optional,
            });
        }
        let item = self.item.as_ref().map(|document| {
            let patterns: Result<Vec<ItemPattern>, MappingError> = document
                .patterns
                .iter()
                .map(|pattern| {
                    let template = Template::new(&pattern.form)
                        .map_err(|why| wrong(path("item"), format!("{:?}: {why}", pattern.form)))?;
                    let named = pattern.pool.as_deref().map(|name| pool("item", name));
                    Ok(ItemPattern { template, pool: named.transpose()? })
                })
                .collect();
            Ok(Item { column: document.column.clone(), patterns: patterns? })
        });
        let form = Form {
            style: Style { decimal_comma: self.decimal_comma },
            rounding: number("rounding", &self.rounding)?,
            tokens: column("tokens", self.tokens)?,
            amount: column("amount", self.amount)?,
            item: item.transpose()?,
            ignore: self
                .ignore
                .iter()
                .map(|ignore| Ignore {
                    column: ignore.column.clone(),
                    values: ignore.values.iter().map(|value| Pattern::new(value)).collect(),
                })
                .collect(),
            name: self.name.clone(),
            date: self.date,
            provider: self.provider,
            model: self.model,
            pool: self.pool,
            pools,
            wide,
            currency: self.currency,
        };
        form.works().map_err(|detail| wrong(format!("form[{at}] {:?}", self.name), detail))?;
        Ok(form)
    }
}

impl Form {
    fn works(&self) -> Result<(), &'static str> {
        let long = self.tokens.is_some() || self.amount.is_some();
        if long != self.wide.is_empty() {
            return Err("it has either `tokens` and `amount` (a row per pool), or `wide` columns");
        }
        let says = |field| {
            let patterns = self.item.iter().flat_map(|item| &item.patterns);
            patterns.clone().count() > 0
                && patterns.into_iter().any(|pattern| pattern.template.names(field))
        };
        let needs_words = self.pool.is_some() || says(Field::Pool);
        if needs_words == self.pools.is_empty() {
            return Err("a column or an item that says the pool needs its words in `pools`");
        }
        if self.pool.is_some() && (self.item.is_some() || !self.wide.is_empty()) {
            return Err("the pool is said by one of `pool`, `item` and `wide`");
        }
        if self.model.is_some() && self.item.is_some() {
            return Err("the model is said by one of `model` and `item`");
        }
        if let Some(item) = &self.item
            && !item.patterns.iter().all(|pattern| {
                pattern.template.names(Field::Model)
                    && pattern.pool.is_some() != pattern.template.names(Field::Pool)
            })
        {
            return Err("each pattern of `item` says {model}, and {pool} or a `pool` of its own");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: &str = r#"
        vendor = "v"
        providers = ["v"]
        currency = "usd"
        [[form]]
        name = "f"
        date = { column = "day" }
        model = "model"
        wide = [{ column = "in", pool = "input" }]
    "#;

    #[test]
    fn presets_are_mappings() {
        for (name, text) in PRESETS {
            let mapping = Mapping::read(text).unwrap();
            assert_eq!(mapping.vendor, *name);
            assert_eq!(mapping.timezone, Zone::utc());
        }
        assert!(preset("nobody").is_none());
    }

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        assert_eq!(Mapping::read(LEAST).unwrap().currency, "USD");
        for (from, to, said) in [
            ("pool = \"input\"", "pool = \"inputs\"", "inputs"),
            ("model = \"model\"", "model = \"model\"\npool = \"p\"", "words"),
            ("model = \"model\"", "modell = \"model\"", "modell"),
            ("wide = [{ column = \"in\", pool = \"input\" }]", "", "either"),
            ("name = \"f\"", "name = \"f\"\nrounding = \"x\"", "rounding"),
            ("name = \"f\"", "name = \"f\"\namount = { column = \"a\" }", "either"),
            ("currency = \"usd\"", "currency = \"usd\"\ntimezone = \"Mars\"", "time zone"),
            ("currency = \"usd\"", "currency = \"usd\"\nmodel_names = \"any\"", "model_names"),
        ] {
            assert!(LEAST.contains(from), "{from}");
            let error = Mapping::read(&LEAST.replace(from, to)).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
