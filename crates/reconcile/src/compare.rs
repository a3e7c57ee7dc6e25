//! A bill and what was metered, side by side.

use std::collections::{BTreeMap, BTreeSet};

use calendar::Date;
use domain::{Money, Pool};
use serde::{Serialize, Serializer};

use crate::attribute::{Cause, Parts, Theirs, attribute, portion};
use crate::bill::{Bill, Charge};
use crate::mapping::Mapping;
use crate::metered::{Metered, Usage};
use crate::names::Names;

/// Prices are shown per so many tokens.
const PRICE_TOKENS: i128 = 1_000_000;

/// What is compared, and what may differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    pub first: Date,
    /// Itself included.
    pub last: Date,
    /// Tokens that a day, model and pool may differ by.
    pub tokens_max: i128,
    /// Money that it may differ by, beside rounding.
    pub cost_max: Money,
}

/// Why a bill cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    #[error(
        "the bill is in {bill}, and vendor costs are metered in {metered}: convert the bill first"
    )]
    Currency { bill: String, metered: String },
    #[error("the bill has no row in these days")]
    NothingBilled,
    #[error("the amounts are too large to be compared")]
    TooLarge,
}

/// What is compared with what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    pub day: Date,
    /// The metered model's name, or the vendor's where nothing was metered; `None` when the bill does
    /// not tell models apart.
    pub model: Option<String>,
    #[serde(serialize_with = "pool_name")]
    pub pool: Option<Pool>,
}

/// One day, model and pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cell {
    #[serde(flatten)]
    pub key: Key,
    #[serde(serialize_with = "as_count")]
    pub tokens: i128,
    pub unrated_tokens: i64,
    pub uncosted_tokens: i64,
    pub cost: Money,
    #[serde(serialize_with = "as_optional_count")]
    pub billed_tokens: Option<i128>,
    pub billed: Option<Money>,
    /// Ours minus theirs.
    #[serde(serialize_with = "as_optional_count")]
    pub token_difference: Option<i128>,
    pub cost_difference: Option<Money>,
    /// They sum to `cost_difference`.
    pub causes: Parts,
    /// Per million tokens, ours and theirs, where there is one.
    pub price: Option<Money>,
    pub billed_price: Option<Money>,
    /// It differs by more than the rules allow.
    pub is_beyond: bool,
    #[serde(skip)]
    slack: Money,
    #[serde(skip)]
    is_estimated: bool,
}

/// Sums over cells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub cells: u64,
    pub cells_beyond: u64,
    #[serde(serialize_with = "as_count")]
    pub tokens: i128,
    pub cost: Money,
    #[serde(serialize_with = "as_optional_count")]
    pub billed_tokens: Option<i128>,
    pub billed: Option<Money>,
    #[serde(serialize_with = "as_count")]
    pub tokens_missing_here: i128,
    #[serde(serialize_with = "as_count")]
    pub tokens_missing_there: i128,
    pub unrated_tokens: i64,
    pub uncosted_tokens: i64,
    pub cost_difference: Option<Money>,
    /// They sum to `cost_difference`.
    pub causes: Parts,
}

/// An amount for something else than tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Other {
    pub day: Date,
    pub what: String,
    pub billed: Money,
}

/// The whole comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Comparison {
    pub vendor: String,
    pub currency: String,
    pub first: Date,
    pub last: Date,
    /// Nothing differs by more than the rules allow, and the bill has nothing else.
    pub agrees: bool,
    pub totals: Totals,
    /// Those that differ come first, the largest difference before the others.
    pub cells: Vec<Cell>,
    pub others: Vec<Other>,
    /// The amounts in `others`.
    pub billed_otherwise: Money,
}

/// Compares a bill with what was metered.
///
/// # Errors
/// Another currency; a bill without rows in the days that are asked for.
pub fn compare(
    bill: &Bill,
    mapping: &Mapping,
    metered: &Metered,
    rules: &Rules,
) -> Result<Comparison, CompareError> {
    if let Some(currency) = metered.currency.as_ref().filter(|_| bill.counts_amounts())
        && *currency != mapping.currency
    {
        let (bill, metered) = (mapping.currency.clone(), currency.clone());
        return Err(CompareError::Currency { bill, metered });
    }
    let in_range = |day: Date| rules.first <= day && day <= rules.last;
    let pairs = paired(bill, mapping, metered, &in_range)?;
    let mut cells = Vec::with_capacity(pairs.len());
    for (key, (ours, theirs)) in pairs {
        cells.push(cell(key, &ours, theirs, bill)?);
    }
    settle_splits(&mut cells);
    let mut totals = Totals::default();
    for cell in &mut cells {
        cell.is_beyond = cell.exceeds(rules);
        totals.add(cell);
    }
    let size = |cell: &Cell| {
        let cost = cell.cost_difference.map_or(0, |difference| difference.atoms().abs());
        (cell.is_beyond, cost, cell.token_difference.unwrap_or(0).abs())
    };
    cells.sort_by(|a, b| size(b).cmp(&size(a)).then_with(|| a.key.cmp(&b.key)));
    let others: Vec<Other> = bill
        .others
        .iter()
        .filter(|((day, _), _)| in_range(*day))
        .map(|((day, what), billed)| Other { day: *day, what: what.clone(), billed: *billed })
        .collect();
    if others.is_empty() && !bill.charges.keys().any(|key| in_range(key.day)) {
        return Err(CompareError::NothingBilled);
    }
    Ok(Comparison {
        vendor: mapping.vendor.clone(),
        currency: mapping.currency.clone(),
        first: rules.first,
        last: rules.last,
        agrees: totals.cells_beyond == 0 && others.iter().all(|other| other.billed.is_zero()),
        billed_otherwise: others.iter().map(|other| other.billed).sum(),
        totals,
        cells,
        others,
    })
}

type Pairs = BTreeMap<Key, (Usage, Charge)>;

/// Both sides under the same keys: the metered model's name, and the pools that the bill tells apart.
fn paired(
    bill: &Bill,
    mapping: &Mapping,
    metered: &Metered,
    in_range: &dyn Fn(Date) -> bool,
) -> Result<Pairs, CompareError> {
    let is_theirs = |provider: &str| mapping.providers.iter().any(|name| name == provider);
    // A model without a provider may be the vendor's: it is when the bill names it.
    let rows = || {
        let rows = metered.rows.iter();
        rows.filter(|row| is_theirs(&row.provider) || row.provider.is_empty())
    };
    let ours = rows().map(|row| row.model.as_str());
    let names = Names::new(&mapping.models, mapping.loose_models, ours);
    let pool_of = |pool: Option<Pool>| bill.pools.as_ref().and_then(|named| folded(pool?, named));
    let model_of = |model: Option<String>| model.filter(|_| bill.names_models);
    let mut pairs = Pairs::new();
    let mut billed: BTreeSet<String> = BTreeSet::new();
    for (key, charge) in &bill.charges {
        let model = key.model.as_ref().map(|name| names.metered(name));
        billed.extend(model.clone());
        if !in_range(key.day) {
            continue;
        }
        let key = Key { day: key.day, model: model_of(model), pool: pool_of(key.pool) };
        let (_, sum) = pairs.entry(key).or_default();
        sum.tokens = sum.tokens.checked_add(charge.tokens).ok_or(CompareError::TooLarge)?;
        let add = |a: Money, b: Money| a.checked_add(b).ok_or(CompareError::TooLarge);
        sum.amount = add(sum.amount, charge.amount)?;
        sum.rounding = add(sum.rounding, charge.rounding)?;
    }
    for row in rows().filter(|row| in_range(row.day)) {
        if row.provider.is_empty() && !billed.contains(&row.model) {
            continue;
        }
        let key = Key {
            day: row.day,
            model: model_of(Some(row.model.clone())),
            pool: pool_of(Some(row.pool)),
        };
        pairs.entry(key).or_default().0.add(&row.usage);
    }
    // Exports with a column per pool are full of zeros, which say nothing.
    pairs.retain(|_, (ours, theirs)| {
        let is_billed = theirs.tokens != 0 || !theirs.amount.is_zero();
        is_billed || ours.tokens() != 0 || !ours.cost.is_zero()
    });
    Ok(pairs)
}

/// The pool, or the nearest that it falls back to, among those that the bill tells apart; else
/// itself, which the bill then lacks.
fn folded(pool: Pool, named: &BTreeSet<Pool>) -> Option<Pool> {
    let mut at = Some(pool);
    while let Some(candidate) = at {
        if named.contains(&candidate) {
            return Some(candidate);
        }
        at = candidate.fallback();
    }
    Some(pool)
}

fn cell(key: Key, ours: &Usage, charge: Charge, bill: &Bill) -> Result<Cell, CompareError> {
    let theirs = Theirs {
        tokens: bill.counts_tokens().then_some(charge.tokens),
        amount: bill.counts_amounts().then_some(charge.amount),
        rounding: charge.rounding,
    };
    let found = attribute(ours, &theirs).map_err(|_| CompareError::TooLarge)?;
    let price = |amount: Money, tokens: i128| match tokens > 0 {
        true => portion(amount, PRICE_TOKENS, tokens).ok(),
        false => None,
    };
    let billed_price = theirs.amount.zip(theirs.tokens);
    Ok(Cell {
        key,
        tokens: ours.tokens(),
        unrated_tokens: ours.unrated_tokens,
        uncosted_tokens: ours.uncosted_tokens,
        cost: ours.cost,
        billed_tokens: theirs.tokens,
        billed: theirs.amount,
        token_difference: found.tokens,
        cost_difference: found.cost,
        causes: found.parts,
        price: price(ours.cost, i128::from(ours.costed_tokens)),
        billed_price: billed_price.and_then(|(amount, tokens)| price(amount, tokens)),
        is_beyond: false,
        slack: found.slack,
        is_estimated: ours.is_estimated,
    })
}

/// A cost that is known per model only was divided over the pools by an estimate. Where the pools'
/// differences cancel over the model, they are the estimate's, not the vendor's.
fn settle_splits(cells: &mut [Cell]) {
    let of_model = |cell: &Cell| (cell.key.day, cell.key.model.clone());
    let mut rests: BTreeMap<_, (i128, i128)> = BTreeMap::new();
    for cell in cells.iter().filter(|cell| cell.is_estimated) {
        let rest = rests.entry(of_model(cell)).or_default();
        for cause in REST {
            rest.0 += cell.causes.of(cause).atoms();
        }
        rest.1 += cell.slack.atoms();
    }
    for cell in cells.iter_mut().filter(|cell| cell.is_estimated) {
        let settled = rests.get(&of_model(cell)).is_some_and(|(sum, slack)| sum.abs() <= *slack);
        if settled {
            for cause in REST {
                cell.causes.move_to(cause, Cause::PoolSplit);
            }
        }
    }
}

/// What is left when counts have explained what they can.
const REST: [Cause; 3] = [Cause::Price, Cause::Undetermined, Cause::Rounding];

impl Cell {
    fn exceeds(&self, rules: &Rules) -> bool {
        let tokens = self.token_difference.unwrap_or(0).abs();
        if tokens > rules.tokens_max {
            return true;
        }
        // Tokens that may be missing take their amount with them.
        let forgiven = |cause: Cause| match cause {
            Cause::Rounding | Cause::PoolSplit => true,
            Cause::MissingHere | Cause::MissingThere => tokens > 0,
            Cause::Unrated | Cause::NoVendorPrice | Cause::Price | Cause::Undetermined => false,
        };
        let counted = crate::CAUSES.into_iter().filter(|cause| !forgiven(*cause));
        counted.map(|cause| self.causes.of(cause).atoms().abs()).sum::<i128>()
            > rules.cost_max.atoms()
    }

    /// Whether anything differs at all, be it rounding.
    pub fn differs(&self) -> bool {
        let no_cost = self.cost_difference.is_none_or(Money::is_zero);
        let no_parts = crate::CAUSES.into_iter().all(|cause| self.causes.of(cause).is_zero());
        self.token_difference.unwrap_or(0) != 0 || !no_cost || !no_parts
    }
}

impl Totals {
    fn add(&mut self, cell: &Cell) {
        self.cells += 1;
        self.cells_beyond += u64::from(cell.is_beyond);
        self.tokens += cell.tokens;
        self.cost += cell.cost;
        let tokens = cell.token_difference.unwrap_or(0);
        self.tokens_missing_here += (-tokens).max(0);
        self.tokens_missing_there += tokens.max(0);
        self.unrated_tokens = self.unrated_tokens.saturating_add(cell.unrated_tokens);
        self.uncosted_tokens = self.uncosted_tokens.saturating_add(cell.uncosted_tokens);
        if let Some(tokens) = cell.billed_tokens {
            *self.billed_tokens.get_or_insert(0) += tokens;
        }
        if let Some(amount) = cell.billed {
            *self.billed.get_or_insert(Money::ZERO) += amount;
        }
        if let Some(difference) = cell.cost_difference {
            *self.cost_difference.get_or_insert(Money::ZERO) += difference;
        }
        self.causes.add(&cell.causes);
    }
}

fn pool_name<S: Serializer>(pool: &Option<Pool>, serializer: S) -> Result<S::Ok, S::Error> {
    pool.map(Pool::name).serialize(serializer)
}

/// Counts travel as JSON numbers, which hold 64 bits.
fn as_count<S: Serializer>(count: &i128, serializer: S) -> Result<S::Ok, S::Error> {
    let limit = if *count < 0 { i64::MIN } else { i64::MAX };
    i64::try_from(*count).unwrap_or(limit).serialize(serializer)
}

fn as_optional_count<S: Serializer>(
    count: &Option<i128>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match count {
        Some(count) => as_count(count, serializer),
        None => serializer.serialize_none(),
    }
}
