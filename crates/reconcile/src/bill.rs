//! A vendor's bill: one file or several, summed as they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use calendar::Date;
use domain::{Money, Pool};

use crate::mapping::{Counts, Mapping};
use crate::row::{Count, Layout, Row};

/// Days, models and pools that one bill may tell apart.
const CHARGES_MAX: usize = 500_000;
/// Kinds of charges for other things.
const OTHERS_MAX: usize = 10_000;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {fault}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct BillError {
    pub file: String,
    pub line: Option<u64>,
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The column; empty when it is the file as a whole.
    pub column: String,
    pub value: String,
    pub detail: String,
}

impl Fault {
    pub(crate) fn new(
        column: impl Into<String>,
        value: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { column: column.into(), value: value.into(), detail: detail.into() }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.detail)?;
        if !self.column.is_empty() {
            write!(formatter, " (column {})", self.column)?;
        }
        if !self.value.is_empty() {
            write!(formatter, ": {}", self.value)?;
        }
        Ok(())
    }
}

/// What a vendor charges for one day, model and pool, as the vendor names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Charge {
    pub tokens: i128,
    pub amount: Money,
    /// How far rounding may have moved the amount: one step per row.
    pub rounding: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChargeKey {
    pub(crate) day: Date,
    /// `None` when the vendor's file does not tell models apart.
    pub(crate) model: Option<String>,
    pub(crate) pool: Option<Pool>,
}

/// A bill in the making; complete when every file was read.
#[derive(Clone, Debug, Default)]
pub struct Bill {
    pub(crate) charges: BTreeMap<ChargeKey, Charge>,
    /// Amounts for something else than tokens, by day and what it is.
    pub(crate) others: BTreeMap<(Date, String), Money>,
    /// The pools that every file tells apart; `None` when one tells none apart.
    pub(crate) pools: Option<BTreeSet<Pool>>,
    pub(crate) names_models: bool,
    /// Names of the forms that counted tokens, and amounts.
    tokens_by: Option<String>,
    amounts_by: Option<String>,
    files: usize,
    /// Rows that were compared or shown, that the mapping left out, and that had no numbers.
    pub rows: u64,
    pub ignored: u64,
    pub empty: u64,
}

impl Bill {
    /// Adds a file. It must have one of the mapping's forms, which its columns say.
    ///
    /// # Errors
    /// A row that the mapping cannot read, with its line; two forms that count the same thing.
    pub fn read(
        &mut self,
        mapping: &Mapping,
        name: &str,
        file: impl Read,
    ) -> Result<(), BillError> {
        let of_file = |fault| BillError { file: name.to_owned(), line: None, fault };
        let mut reader = csv::ReaderBuilder::new().delimiter(mapping.delimiter).from_reader(file);
        let headers =
            reader.headers().map_err(|why| of_file(Fault::new("", "", why.to_string())))?.clone();
        let layout = Layout::find(mapping, &headers).map_err(of_file)?;
        self.take_form(&layout).map_err(of_file)?;
        let mut record = csv::StringRecord::new();
        loop {
            let read = reader.read_record(&mut record);
            let at_line = |fault| BillError {
                file: name.to_owned(),
                line: record.position().map(csv::Position::line),
                fault,
            };
            match read {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(why) => return Err(at_line(Fault::new("", "", why.to_string()))),
            }
            let row = layout.read(&record).map_err(at_line)?;
            self.take(&layout, row).map_err(at_line)?;
        }
    }

    pub fn counts_tokens(&self) -> bool {
        self.tokens_by.is_some()
    }

    pub fn counts_amounts(&self) -> bool {
        self.amounts_by.is_some()
    }

    /// The first and the last day; `None` for a bill without rows.
    pub fn days(&self) -> Option<(Date, Date)> {
        let days = self.charges.keys().map(|key| key.day).chain(self.others.keys().map(|it| it.0));
        days.fold(None, |range, day| match range {
            None => Some((day, day)),
            Some((first, last)) => Some((day.min(first), day.max(last))),
        })
    }

    fn take_form(&mut self, layout: &Layout<'_>) -> Result<(), Fault> {
        let form = layout.form;
        for (what, by) in
            [(Counts::Tokens, &mut self.tokens_by), (Counts::Amount, &mut self.amounts_by)]
        {
            if !form.counts(what) {
                continue;
            }
            match by {
                Some(other) if *other != form.name => {
                    let detail = format!(
                        "{} and {} count the same thing: give one of them",
                        form.name, other
                    );
                    return Err(Fault::new("", "", detail));
                }
                Some(_) | None => *by = Some(form.name.clone()),
            }
        }
        let named: Option<BTreeSet<Pool>> = form.named_pools().map(BTreeSet::from_iter);
        let is_first = self.files == 0;
        self.pools = match (self.pools.take(), named) {
            (_, named) if is_first => named,
            (Some(known), Some(named)) => Some(known.intersection(&named).copied().collect()),
            (None, _) | (_, None) => None,
        };
        self.names_models = form.names_models() && (is_first || self.names_models);
        self.files += 1;
        Ok(())
    }

    fn take(&mut self, layout: &Layout<'_>, row: Row) -> Result<(), Fault> {
        match row {
            Row::Ignored => self.ignored += 1,
            Row::Empty => self.empty += 1,
            Row::Other { day, what, amount } => {
                self.rows += 1;
                *self.others.entry((day, what)).or_default() += amount;
            }
            Row::Usage(counts) => {
                self.rows += 1;
                for count in counts {
                    self.add(layout, count)?;
                }
            }
        }
        if self.charges.len() > CHARGES_MAX || self.others.len() > OTHERS_MAX {
            let detail = format!("more than {CHARGES_MAX} days, models and pools: give fewer days");
            return Err(Fault::new("", "", detail));
        }
        Ok(())
    }

    fn add(&mut self, layout: &Layout<'_>, count: Count) -> Result<(), Fault> {
        let too_large = || Fault::new("", "", "the sum is too large");
        let key = ChargeKey { day: count.day, model: count.model, pool: count.pool };
        let charge = self.charges.entry(key).or_default();
        charge.tokens =
            charge.tokens.checked_add(count.tokens.unwrap_or(0)).ok_or_else(too_large)?;
        if let Some(amount) = count.amount {
            charge.amount = charge.amount.checked_add(amount).ok_or_else(too_large)?;
            let step = layout.form.rounding.money().map_err(|_| too_large())?;
            charge.rounding = charge.rounding.checked_add(step).ok_or_else(too_large)?;
        }
        Ok(())
    }
}
