//! One row of a vendor's file.

use calendar::Date;
use csv::StringRecord;
use domain::{Money, Pool, Timestamp};

use crate::bill::Fault;
use crate::mapping::{Counts, Form, Mapping};
use crate::number::Number;

/// A form and where its columns stand in one file.
#[derive(Debug)]
pub(crate) struct Layout<'m> {
    pub(crate) mapping: &'m Mapping,
    pub(crate) form: &'m Form,
    headers: Vec<String>,
}

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Usage(Vec<Count>),
    /// A charge for something else than tokens of a model.
    Other {
        day: Date,
        what: String,
        amount: Money,
    },
    /// The mapping says to leave it out.
    Ignored,
    /// It has no numbers: a day on which nothing happened.
    Empty,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) day: Date,
    pub(crate) model: Option<String>,
    pub(crate) pool: Option<Pool>,
    pub(crate) tokens: Option<i128>,
    pub(crate) amount: Option<Money>,
}

impl<'m> Layout<'m> {
    /// The form that a file with these headers has: the first whose columns are all there.
    pub(crate) fn find(mapping: &'m Mapping, headers: &StringRecord) -> Result<Self, Fault> {
        let headers: Vec<String> = headers
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
            .collect();
        let missing = |form: &Form| -> Vec<String> {
            let columns = form.columns();
            columns.filter(|name| !headers.iter().any(|it| it == name)).map(str::to_owned).collect()
        };
        match mapping.forms.iter().find(|form| missing(form).is_empty()) {
            Some(form) => Ok(Self { mapping, form, headers }),
            None => {
                let lacks =
                    |form: &Form| format!("{} lacks {}", form.name, missing(form).join(", "));
                let forms: Vec<String> = mapping.forms.iter().map(lacks).collect();
                Err(Fault::new("", forms.join("; "), "the file has none of the mapping's forms"))
            }
        }
    }

    fn cell<'r>(&self, record: &'r StringRecord, column: &str) -> &'r str {
        let place = self.headers.iter().position(|name| name == column);
        place.and_then(|place| record.get(place)).unwrap_or_default().trim()
    }

    fn optional<'r>(&self, record: &'r StringRecord, column: Option<&String>) -> &'r str {
        column.map_or("", |column| self.cell(record, column))
    }

    pub(crate) fn read(&self, record: &StringRecord) -> Result<Row, Fault> {
        let form = self.form;
        let is_ignored = form.ignore.iter().any(|ignore| {
            let value = self.cell(record, &ignore.column);
            ignore.values.iter().any(|pattern| pattern.matches(value))
        });
        if is_ignored {
            return Ok(Row::Ignored);
        }
        let numbers = [&form.tokens, &form.amount].into_iter().flatten().map(|it| &it.column);
        let mut numbers = numbers.chain(form.wide.iter().map(|wide| &wide.column));
        if numbers.all(|column| self.cell(record, column).is_empty()) {
            return Ok(Row::Empty);
        }
        let day = self.day(record)?;
        let provider = self.optional(record, form.provider.as_ref());
        if form.provider.is_some() && !self.mapping.providers.iter().any(|it| it == provider) {
            return Ok(Row::Ignored);
        }
        if !form.wide.is_empty() {
            return self.wide(record, day);
        }
        let tokens = form.tokens.as_ref().map(|column| {
            self.number(record, &column.column, |number| number.times(column.unit)?.whole())
        });
        let amount = form.amount.as_ref().map(|column| self.amount(record, column));
        let (tokens, amount) = (tokens.transpose()?.flatten(), amount.transpose()?.flatten());
        let (model, pool) = match self.meaning(record)? {
            Meaning::Tokens { model, pool } => (model, pool),
            Meaning::Other(what) => {
                if amount.is_none_or(Money::is_zero) && tokens.is_none_or(|tokens| tokens == 0) {
                    return Ok(Row::Empty);
                }
                return Ok(Row::Other { day, what, amount: amount.unwrap_or_default() });
            }
        };
        Ok(Row::Usage(vec![Count { day, model, pool, tokens, amount }]))
    }

    fn wide(&self, record: &StringRecord, day: Date) -> Result<Row, Fault> {
        let model = self.form.model.as_deref().map(|column| self.cell(record, column));
        let mut counts: Vec<Count> = Vec::new();
        for wide in &self.form.wide {
            let count = |tokens, amount| Count {
                day,
                model: model.map(str::to_owned),
                pool: Some(wide.pool),
                tokens,
                amount,
            };
            let count = match wide.counts {
                Counts::Tokens => count(self.number(record, &wide.column, Number::whole)?, None),
                Counts::Amount => {
                    self.check_currency(record)?;
                    count(None, self.number(record, &wide.column, Number::money)?)
                }
            };
            if count.tokens.is_some() || count.amount.is_some() {
                counts.push(count);
            }
        }
        let is_nothing = |count: &Count| {
            count.tokens.is_none_or(|tokens| tokens == 0) && count.amount.is_none_or(Money::is_zero)
        };
        if model.is_some_and(str::is_empty) {
            return match counts.iter().all(is_nothing) {
                true => Ok(Row::Empty),
                false => Err(Fault::new(
                    self.form.model.as_deref().unwrap_or_default(),
                    "",
                    "a row with counts names no model: export it grouped by model",
                )),
            };
        }
        Ok(Row::Usage(counts))
    }

    fn amount(
        &self,
        record: &StringRecord,
        column: &crate::mapping::NumberColumn,
    ) -> Result<Option<Money>, Fault> {
        let amount =
            self.number(record, &column.column, |number| number.times(column.unit)?.money())?;
        if amount.is_some() {
            self.check_currency(record)?;
        }
        Ok(amount)
    }

    fn check_currency(&self, record: &StringRecord) -> Result<(), Fault> {
        let Some(column) = &self.form.currency else { return Ok(()) };
        let named = self.cell(record, column);
        match named.is_empty() || named.eq_ignore_ascii_case(&self.mapping.currency) {
            true => Ok(()),
            false => Err(Fault::new(
                column,
                named,
                format!("amounts in another currency than {}", self.mapping.currency),
            )),
        }
    }

    fn number<T>(
        &self,
        record: &StringRecord,
        column: &str,
        take: impl FnOnce(Number) -> Result<T, crate::number::NotANumber>,
    ) -> Result<Option<T>, Fault> {
        let text = self.cell(record, column);
        if text.is_empty() {
            return Ok(None);
        }
        Number::read(text, self.form.style)
            .and_then(take)
            .map(Some)
            .map_err(|why| Fault::new(column, text, why.to_string()))
    }

    fn day(&self, record: &StringRecord) -> Result<Date, Fault> {
        let column = &self.form.date;
        let text = self.cell(record, &column.column);
        let zone = &self.mapping.timezone;
        let fault = |why: String| Fault::new(&column.column, text, why);
        match column.format.as_str() {
            "date" => text.parse().map_err(|why: calendar::NotADate| fault(why.to_string())),
            "rfc3339" => {
                let at: Result<Timestamp, _> = text.parse();
                at.map(|at| Date::of(at, zone)).map_err(|why| fault(why.to_string()))
            }
            "unix" => {
                let seconds: Result<i64, _> = text.parse();
                let seconds = seconds.ok().filter(|seconds| seconds.abs() < 1 << 40);
                let at = seconds.map(Timestamp::from_seconds);
                at.map(|at| Date::of(at, zone))
                    .ok_or_else(|| fault("no number of seconds since 1970".to_owned()))
            }
            form => Date::read(form, text).map_err(|why| fault(why.to_string())),
        }
    }

    fn meaning(&self, record: &StringRecord) -> Result<Meaning, Fault> {
        let form = self.form;
        let pool_of = |word: &str| form.pools.get(&word.trim().to_lowercase()).copied();
        if let Some(item) = &form.item {
            let text = self.cell(record, &item.column);
            if text.is_empty() {
                let why = "a row with an amount names no line item: export it grouped by line item";
                return Err(Fault::new(&item.column, "", why));
            }
            let said = item.patterns.iter().find_map(|pattern| {
                let said = pattern.template.read(text)?;
                let pool = pattern.pool.or_else(|| pool_of(said.pool?))?;
                Some(Meaning::Tokens { model: said.model.map(str::to_owned), pool: Some(pool) })
            });
            return Ok(said.unwrap_or_else(|| Meaning::Other(text.to_owned())));
        }
        let model = form.model.as_deref().map(|column| self.cell(record, column));
        let pool = form.pool.as_deref().map(|column| self.cell(record, column));
        let what = || {
            let said = [model, pool].into_iter().flatten().filter(|text| !text.is_empty());
            let said = said.collect::<Vec<_>>().join(", ");
            if said.is_empty() { "a row that says neither model nor pool".to_owned() } else { said }
        };
        if model.is_some_and(str::is_empty) {
            return Ok(Meaning::Other(what()));
        }
        match pool {
            None => Ok(Meaning::Tokens { model: model.map(str::to_owned), pool: None }),
            Some(word) => Ok(match pool_of(word) {
                Some(pool) => Meaning::Tokens { model: model.map(str::to_owned), pool: Some(pool) },
                None => Meaning::Other(what()),
            }),
        }
    }
}

enum Meaning {
    Tokens { model: Option<String>, pool: Option<Pool> },
    Other(String),
}
