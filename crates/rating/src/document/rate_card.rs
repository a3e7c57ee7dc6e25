//! Rate cards: what customers are charged.

use domain::{Credits, Currency, Pool, Status, Traffic};
use toml::Table;

use super::error::{DocumentError, DocumentFault};
use super::fields::{AttributeKeys, Fields, Place};
use super::{ROWS_MAX, reach};
use crate::decimal::Decimal;
use crate::exact::{Exact, Number, Rounding};
use crate::pattern::{Pattern, Patterns};
use crate::rates::TokenRates;

pub(super) const KEYS: &[&str] = &[
    "id",
    "effective_from",
    "effective_to",
    "version",
    "description",
    "currency",
    "credits_per_currency_unit",
    "credit_decimals",
    "rounding",
    "rule",
];
const RULE_KEYS: &[&str] = &["name", "match", "charge"];
const MATCH_KEYS: &[&str] = &[
    "model",
    "provider",
    "feature",
    "meter",
    "traffic",
    "service_tier",
    "plan",
    "team",
    "status",
    "attributes.<name>",
];
const FORMS: &[&str] = &[
    "free",
    "credits_per_event",
    "credits_per_unit",
    "tokens_per_credit",
    "price_per_million_tokens",
    "credits_per_million_tokens",
    "cost_plus",
];
const CHARGE_KEYS: &[&str] = &[
    "free",
    "credits_per_event",
    "credits_per_unit",
    "unit",
    "partial_unit",
    "tokens_per_credit",
    "price_per_million_tokens",
    "credits_per_million_tokens",
    "cost_plus",
    "plus_credits",
    "minimum_credits",
];

type Read<T> = Result<T, DocumentError>;

/// Sell rates: for each item, the first rule that matches decides.
#[derive(Clone, Debug)]
pub struct RateCard {
    pub currency: Currency,
    /// Needed by `cost_plus` and `price_per_million_tokens` only.
    pub credits_per_currency_unit: Option<Decimal>,
    /// 0 to 12.
    pub credit_decimals: u32,
    pub rounding: Rounding,
    pub rules: Vec<Rule>,
}

/// One `[[rule]]`.
#[derive(Clone, Debug)]
pub struct Rule {
    /// As the document names it; names need not be unique.
    pub name: Box<str>,
    pub(crate) keys: Vec<Key>,
    pub charge: Charge,
}

/// One key of a `match`; all of a rule's have to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    /// A bit per traffic class, by its code.
    Traffic(u8),
    /// A bit per status, by its code.
    Status(u8),
    Feature(Patterns),
    Model(Patterns),
    Meter(Patterns),
    Provider(Patterns),
    ServiceTier(Patterns),
    Plan(Patterns),
    Team(Patterns),
    Attribute(Box<str>, Patterns),
}

/// What a rule charges: as the document says it, and ready to multiply.
#[derive(Clone, Debug)]
pub struct Charge {
    pub form: Form,
    /// Added to each item's credits.
    pub plus_credits: Option<Decimal>,
    /// The least that an item costs, after the addition.
    pub minimum_credits: Option<Decimal>,
    pub(crate) compiled: ChargeForm,
    pub(crate) plus: Option<Exact>,
    pub(crate) minimum: Option<Exact>,
}

/// A charge as the document says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Free,
    /// Once per event, for all the items that the rule decides.
    PerEvent(Decimal),
    /// Credits per `unit` of the meter; a token item counts as one.
    PerUnit {
        credits: Decimal,
        unit: Decimal,
        partial_unit_up: bool,
    },
    /// All pools summed, then divided.
    TokensPerCredit(Decimal),
    /// Money per million tokens, times the card's credits per currency unit.
    PricePerMillionTokens(TokenRates),
    /// Credits per million tokens.
    CreditsPerMillionTokens(TokenRates),
    /// The computed vendor cost times this, times the card's credits per currency unit.
    CostPlus(Decimal),
}

/// A charge with its constants multiplied out.
#[derive(Clone, Debug)]
pub(crate) enum ChargeForm {
    Free,
    PerEvent(Exact),
    /// Whole units (blocks rounded up when asked) are `quantity × per_unit`.
    PerUnit {
        units: Exact,
        up: bool,
        credits: Exact,
    },
    Tokens(Exact),
    /// Per million tokens of each pool, then times the factor.
    PerMillionTokens(TokenRates, Exact),
    Cost(Exact),
}

impl RateCard {
    /// Whether any rule needs vendor costs.
    pub fn uses_vendor_cost(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.charge.form, Form::CostPlus(_)))
    }

    pub(super) fn read(fields: &Fields<'_>) -> Read<Self> {
        let roundings = Rounding::ALL.map(|rounding| (rounding.word(), rounding));
        let decimals = fields.required("credit_decimals", |at, key| {
            at.count(key, 0..=u64::from(domain::DECIMALS))
        })?;
        let mut card = Self {
            currency: fields.required("currency", Fields::currency)?,
            credits_per_currency_unit: fields.positive_decimal("credits_per_currency_unit")?,
            credit_decimals: u32::try_from(decimals).unwrap_or(domain::DECIMALS),
            rounding: fields.word("rounding", &roundings)?.unwrap_or_default(),
            rules: Vec::new(),
        };
        let tables = fields.tables("rule")?;
        if tables.is_empty() {
            let message = "a rate card has at least one [[rule]]";
            return Err(fields.error(DocumentFault::MissingKey, "rule", message));
        }
        if tables.len() > ROWS_MAX {
            let message = format!("more than {ROWS_MAX} rules");
            return Err(fields.error(DocumentFault::TooMany, "rule", message));
        }
        for (index, table) in tables.into_iter().enumerate() {
            let place = place_of(index, table);
            let at = Place { place: &place, ..*fields.at() };
            let rule = Fields::new(table, at, RULE_KEYS, AttributeKeys::Refused)?;
            let keys = read_match(&rule)?;
            reach::check(&card.rules, &keys).map_err(|earlier| {
                let message = format!("can never be reached: {earlier}");
                rule.error(DocumentFault::UnreachableRule, "match", message)
            })?;
            let charge = read_charge(&rule, card.credits_per_currency_unit)?;
            let name = match rule.text("name")? {
                Some(name) => name.into(),
                None => format!("rule {}", index + 1).into(),
            };
            card.rules.push(Rule { name, keys, charge });
        }
        Ok(card)
    }
}

/// `rule 2 "heavy"`, for errors.
fn place_of(index: usize, table: &Table) -> String {
    match table.get("name").and_then(toml::Value::as_str) {
        Some(name) => format!("rule {} {name:?}", index + 1),
        None => format!("rule {}", index + 1),
    }
}

/// `default` means standard wherever a tier is named.
pub(super) fn normal_tiers(patterns: Patterns) -> Patterns {
    let normal = |pattern: &Pattern| match pattern {
        Pattern::Exact(tier) if &**tier == "default" => Pattern::new("standard"),
        Pattern::Any | Pattern::Exact(_) | Pattern::Prefix(_) | Pattern::Glob(_) => pattern.clone(),
    };
    Patterns(patterns.iter().map(normal).collect())
}

fn read_match(rule: &Fields<'_>) -> Read<Vec<Key>> {
    let table = rule.required("match", Fields::table)?;
    let at = Place { path: "match.", ..*rule.at() };
    let fields = Fields::new(table, at, MATCH_KEYS, AttributeKeys::Taken)?;
    let traffic: Vec<_> = Traffic::ALL.iter().map(|word| (word.word(), word.code())).collect();
    let status: Vec<_> = Status::ALL.iter().map(|word| (word.word(), word.code())).collect();
    // The cheap ones first: matching stops at the first key that does not hold.
    let mut keys = Vec::new();
    keys.extend(words(&fields, "traffic", &traffic)?.map(Key::Traffic));
    keys.extend(words(&fields, "status", &status)?.map(Key::Status));
    keys.extend(fields.patterns("feature")?.map(Key::Feature));
    keys.extend(fields.patterns("meter")?.map(Key::Meter));
    keys.extend(fields.patterns("model")?.map(Key::Model));
    keys.extend(fields.patterns("provider")?.map(Key::Provider));
    keys.extend(fields.patterns("service_tier")?.map(normal_tiers).map(Key::ServiceTier));
    keys.extend(fields.patterns("plan")?.map(Key::Plan));
    keys.extend(fields.patterns("team")?.map(Key::Team));
    for (name, patterns) in fields.attributes()? {
        keys.push(Key::Attribute(name, patterns));
    }
    Ok(keys)
}

/// The words that a key's patterns match, a bit each; every pattern has to match some.
fn words(fields: &Fields<'_>, key: &str, words: &[(&str, u8)]) -> Read<Option<u8>> {
    let Some(texts) = fields.texts(key)? else {
        return Ok(None);
    };
    let mut bits = 0;
    for text in texts {
        let pattern = Pattern::new(text);
        let matched = words
            .iter()
            .filter(|(word, _)| pattern.matches(word))
            .fold(0, |bits, (_, code)| bits | 1 << code);
        if matched == 0 {
            return Err(fields.unknown_word(key, text, words.iter().map(|(word, _)| *word)));
        }
        bits |= matched;
    }
    Ok(Some(bits))
}

fn read_charge(rule: &Fields<'_>, credits_per_currency_unit: Option<Decimal>) -> Read<Charge> {
    let table = rule.required("charge", Fields::table)?;
    let at = Place { path: "charge.", ..*rule.at() };
    let fields = Fields::new(table, at, CHARGE_KEYS, AttributeKeys::Refused)?;
    let form = read_form(&fields)?;
    let plus_credits = fields.decimal("plus_credits")?;
    let minimum_credits = fields.decimal("minimum_credits")?;
    if matches!(form, Form::Free | Form::PerEvent(_)) {
        for key in ["plus_credits", "minimum_credits"] {
            if fields.has(key) {
                let message = "goes with a charge per item only";
                return Err(fields.error(DocumentFault::KeysConflict, key, message));
            }
        }
    }
    for key in ["unit", "partial_unit"] {
        if fields.has(key) && !matches!(form, Form::PerUnit { .. }) {
            let message = "goes with credits_per_unit only";
            return Err(fields.error(DocumentFault::KeysConflict, key, message));
        }
    }
    let compiled = compile(&fields, &form, credits_per_currency_unit)?;
    Ok(Charge {
        plus: plus_credits.map(Exact::from),
        minimum: minimum_credits.map(Exact::from),
        form,
        plus_credits,
        minimum_credits,
        compiled,
    })
}

fn read_form(fields: &Fields<'_>) -> Read<Form> {
    let given: Vec<&str> = FORMS.iter().copied().filter(|form| fields.has(form)).collect();
    let form = match given.as_slice() {
        [form] => *form,
        [] => {
            let message = format!("says one of {}", FORMS.join(", "));
            return Err(fields.error(DocumentFault::MissingKey, "", message));
        }
        several => {
            let message = format!("says one thing, not {} at once", several.join(" and "));
            return Err(fields.error(DocumentFault::KeysConflict, several[1], message));
        }
    };
    Ok(match form {
        "free" => match fields.required("free", Fields::truth)? {
            true => Form::Free,
            false => {
                let message = "is true, or left out beside another charge";
                return Err(fields.error(DocumentFault::KeysConflict, "free", message));
            }
        },
        "credits_per_event" => Form::PerEvent(fields.required(form, Fields::decimal)?),
        "credits_per_unit" => Form::PerUnit {
            credits: fields.required(form, Fields::decimal)?,
            unit: fields.positive_decimal("unit")?.unwrap_or(Decimal::ONE),
            partial_unit_up: fields
                .word("partial_unit", &[("exact", false), ("up", true)])?
                .unwrap_or(false),
        },
        "tokens_per_credit" => {
            Form::TokensPerCredit(fields.required(form, Fields::positive_decimal)?)
        }
        "cost_plus" => Form::CostPlus(fields.required(form, Fields::decimal)?),
        "price_per_million_tokens" => Form::PricePerMillionTokens(read_rates(fields, form)?),
        _ => Form::CreditsPerMillionTokens(read_rates(fields, form)?),
    })
}

fn read_rates(fields: &Fields<'_>, key: &str) -> Read<TokenRates> {
    let named: Vec<(Pool, Decimal)> = fields.required(key, Fields::pool_prices)?;
    if named.is_empty() {
        let message = "names no pool";
        return Err(fields.error(DocumentFault::MissingKey, key, message));
    }
    TokenRates::new(&named).ok_or_else(|| too_precise(fields, key))
}

fn too_precise(fields: &Fields<'_>, key: &str) -> DocumentError {
    fields.error(DocumentFault::BadNumber, key, "needs more than 38 digits")
}

fn compile(fields: &Fields<'_>, form: &Form, per_unit: Option<Decimal>) -> Read<ChargeForm> {
    let credits_per_currency_unit = |key: &str| {
        per_unit.map(Exact::from).ok_or_else(|| {
            let message = "needs the card's credits_per_currency_unit";
            fields.error(DocumentFault::MissingKey, key, message)
        })
    };
    Ok(match form {
        Form::Free => ChargeForm::Free,
        Form::PerEvent(credits) => ChargeForm::PerEvent(Exact::from(*credits)),
        Form::PerUnit { credits, unit, partial_unit_up } => ChargeForm::PerUnit {
            units: Exact::reciprocal(*unit).ok_or_else(|| too_precise(fields, "unit"))?,
            up: *partial_unit_up,
            credits: Exact::from(*credits),
        },
        Form::TokensPerCredit(tokens) => ChargeForm::Tokens(
            Exact::reciprocal(*tokens).ok_or_else(|| too_precise(fields, "tokens_per_credit"))?,
        ),
        Form::PricePerMillionTokens(rates) => ChargeForm::PerMillionTokens(
            rates.clone(),
            credits_per_currency_unit("price_per_million_tokens")?,
        ),
        Form::CreditsPerMillionTokens(rates) => {
            ChargeForm::PerMillionTokens(rates.clone(), Exact::ONE)
        }
        Form::CostPlus(factor) => {
            let factor = credits_per_currency_unit("cost_plus")?
                .times(&Exact::from(*factor))
                .ok_or_else(|| too_precise(fields, "cost_plus"))?;
            ChargeForm::Cost(factor.trimmed())
        }
    })
}

impl RateCard {
    /// The smallest amount that the card charges in.
    pub fn step(&self) -> Credits {
        let atoms = crate::decimal::power_of_ten(domain::DECIMALS - self.credit_decimals);
        Credits::from_atoms(atoms.unwrap_or(1))
    }
}
