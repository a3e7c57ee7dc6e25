//! Saying in sentences how a rating came to be, from the versions that it names.

use std::borrow::Cow;

use domain::{CatalogueId, Item, Measure, Money, Pools, UsageEvent};
use num_rational::BigRational;

use crate::catalogue::Catalogue;
use crate::document::{ChargeForm, Form, Price, RateCard, Rates, Rule};
use crate::exact::{Exact, Number, Rounding};
use crate::price;
use crate::rates::TokenRates;
use crate::rating::{RateLine, Rating};
use domain::{CostStatus, PriceRef};

/// How one line came to be, for a person to follow by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineExplanation {
    /// The item's place, from 0.
    pub item: usize,
    /// What was used: `gpt-4o (openai)`, `image of image-xl`.
    pub used: String,
    /// The rule that decided: `rule 3 "heavy" of standard version 2`.
    pub rule: String,
    /// The price that was found: `price 1 of vendors version 1, under its condition 2`.
    pub price: Option<String>,
    /// The vendor cost, step by step.
    pub cost: Vec<String>,
    /// The credits, step by step.
    pub charge: Vec<String>,
}

/// Explains every line of a rating of this event. Versions that the catalogue does not have are
/// said to be unknown.
pub fn explain_lines(
    catalogue: &Catalogue,
    event: &UsageEvent<'_>,
    rating: &Rating,
) -> Vec<LineExplanation> {
    let card = catalogue.rate_card(rating.rate_card);
    let items = event.items.iter().zip(&rating.lines).enumerate();
    items
        .map(|(index, (item, line))| {
            let rule = card.and_then(|card| card.rules.get(usize::from(line.rule.0)));
            let row = line.price.and_then(|at| Some((at, catalogue.price_row(at)?)));
            let currency = currency_at(catalogue, rating, line.price);
            LineExplanation {
                item: index,
                used: used(item),
                rule: rule_named(catalogue, rating.rate_card, line, rule),
                price: line.price.map(|at| price_named(catalogue, at)),
                cost: cost_steps(item, line, row, &currency),
                charge: match (card, rule) {
                    (Some(card), Some(rule)) => {
                        let in_group = rating.lines.iter().filter(|other| other.rule == line.rule);
                        let story =
                            ChargeStory { card, rule, item, line, row, sharers: in_group.count() };
                        story.steps(&currency)
                    }
                    _ => vec!["the rate card is not in this catalogue".to_owned()],
                },
            }
        })
        .collect()
}

/// Explains the one rounding of an event.
pub fn explain_total(catalogue: &Catalogue, rating: &Rating) -> String {
    let exact = rating.credits + rating.residual;
    let Some(card) = catalogue.rate_card(rating.rate_card) else {
        return format!("{} credits", rating.credits);
    };
    let word = match card.rounding {
        Rounding::HalfEven => "half to even",
        Rounding::Up => "up",
        Rounding::Down => "down",
    };
    format!(
        "{exact} credits in all, rounded {word} to {} decimals: {} charged, {} left over",
        card.credit_decimals, rating.credits, rating.residual
    )
}

fn named(catalogue: &Catalogue, id: CatalogueId) -> String {
    match catalogue.version(id) {
        Some(version) => format!("{} version {}", version.document.id(), version.ordinal),
        None => format!("unknown catalogue version {id}"),
    }
}

fn rule_named(
    catalogue: &Catalogue,
    card: CatalogueId,
    line: &RateLine,
    rule: Option<&Rule>,
) -> String {
    let name = rule.map_or_else(String::new, |rule| format!(" {:?}", rule.name));
    format!("rule {}{name} of {}", line.rule.0 + 1, named(catalogue, card))
}

fn price_named(catalogue: &Catalogue, at: PriceRef) -> String {
    let when = at
        .when
        .map_or_else(String::new, |when| format!(", under its condition {}", u32::from(when) + 1));
    format!("price {} of {}{when}", u32::from(at.row) + 1, named(catalogue, at.book))
}

fn currency_at(
    catalogue: &Catalogue,
    rating: &Rating,
    price: Option<PriceRef>,
) -> Cow<'static, str> {
    let of_book = price.and_then(|at| {
        let document = &catalogue.version(at.book)?.document;
        match document.body() {
            crate::Body::PriceBook(book) => Some(book.currency),
            crate::Body::RateCard(_) | crate::Body::Plan(_) | crate::Body::Defaults(_) => None,
        }
    });
    let of_card = || catalogue.rate_card(rating.rate_card).map(|card| card.currency);
    match of_book.or_else(of_card) {
        Some(currency) => Cow::Owned(currency.to_string()),
        None => Cow::Borrowed("currency units"),
    }
}

fn used(item: &Item<'_>) -> String {
    let provider = item.provider.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    match (&item.measure, &item.model) {
        (Measure::Tokens(_), model) => {
            format!("{}{provider}", model.as_deref().unwrap_or("tokens"))
        }
        (Measure::Meter { meter, .. }, Some(model)) => format!("{meter} of {model}{provider}"),
        (Measure::Meter { meter, .. }, None) => format!("{meter}{provider}"),
    }
}

/// `= 0.0015`, or `≈` when 12 decimals do not hold it.
fn equals(value: &BigRational) -> String {
    let Some(atoms) = value.atoms() else {
        return "= out of range".to_owned();
    };
    let is_exact = BigRational::from(&Exact::new(atoms, domain::DECIMALS)) == *value;
    let sign = if is_exact { "=" } else { "≈" };
    format!("{sign} {}", Money::from_atoms(atoms))
}

/// One step per pool: `1200 cache_read × 1.25 per million = 0.0015 USD`.
fn token_steps(rates: &TokenRates, pools: &Pools, unit: &str) -> Vec<String> {
    let step = |(pool, count): (domain::Pool, u64)| {
        let Some(rate) = rates.rate(pool) else {
            return format!("{count} {} × no price", pool.name());
        };
        let mut alone = Pools::default();
        alone[pool] = count;
        let comes_to =
            BigRational::of_tokens(rates, &alone).map_or_else(String::new, |value| equals(&value));
        let source = match rates.source(pool) {
            Some(source) if source != pool => format!(" (the price of {})", source.name()),
            Some(_) | None => String::new(),
        };
        format!("{count} {} × {rate} per million{source} {comes_to} {unit}", pool.name())
    };
    pools.nonzero().map(step).collect()
}

fn rates_of(row: Option<(PriceRef, &Price)>) -> Option<&Rates> {
    let (at, price) = row?;
    match at.when {
        None => Some(&price.rates),
        Some(when) => price.whens.get(usize::from(when)).map(|when| &when.rates),
    }
}

fn cost_steps(
    item: &Item<'_>,
    line: &RateLine,
    row: Option<(PriceRef, &Price)>,
    currency: &str,
) -> Vec<String> {
    let mut steps = match (rates_of(row), &item.measure) {
        (Some(Rates::Tokens(rates)), Measure::Tokens(pools)) => token_steps(rates, pools, currency),
        (Some(rates @ Rates::Unit(price)), measure @ Measure::Meter { meter, quantity }) => {
            let comes_to = price::cost::<BigRational>(rates, measure)
                .map_or_else(String::new, |value| equals(&value));
            vec![format!("{quantity} {meter} × {price} {comes_to} {currency}")]
        }
        (Some(Rates::Tokens(_)), Measure::Meter { .. })
        | (Some(Rates::Unit(_)), Measure::Tokens(_))
        | (None, _) => Vec::new(),
    };
    if let (Some(computed), true) = (line.vendor_cost_computed, steps.len() > 1) {
        steps.push(format!("together {computed} {currency}"));
    }
    if let Some(reason) = line.cost_missing {
        steps.push(format!("no computed cost: {reason} ({})", reason.row().about));
    }
    if let (CostStatus::Reported, Some(cost)) = (line.cost_status, line.vendor_cost) {
        steps.push(format!("the producer reported {cost} {currency}, which counts instead"));
    }
    steps
}

/// What a line's charge is told from.
struct ChargeStory<'a> {
    card: &'a RateCard,
    rule: &'a Rule,
    item: &'a Item<'a>,
    line: &'a RateLine,
    row: Option<(PriceRef, &'a Price)>,
    /// How many lines the rule decided.
    sharers: usize,
}

impl ChargeStory<'_> {
    fn steps(&self, currency: &str) -> Vec<String> {
        let mut steps = self.form_steps(currency);
        if let Some(plus) = self.rule.charge.plus_credits {
            steps.push(format!("plus {plus} credits"));
        }
        if let Some(minimum) = self.rule.charge.minimum_credits {
            steps.push(format!("at least {minimum} credits"));
        }
        let RateLine { exact, credits, .. } = self.line;
        steps.push(match exact == credits {
            true => format!("charged {credits} credits"),
            false => format!("exactly {exact} credits; its share of the charge is {credits}"),
        });
        steps
    }

    fn form_steps(&self, currency: &str) -> Vec<String> {
        let per_unit = self
            .card
            .credits_per_currency_unit
            .map_or_else(String::new, |credits| format!(" × {credits} credits per {currency}"));
        match (&self.rule.charge.form, &self.item.measure) {
            (Form::Free, _) => vec!["free".to_owned()],
            (Form::PerEvent(credits), _) => vec![match self.sharers {
                1 => format!("{credits} credits per event"),
                items => format!(
                    "{credits} credits per event, shared over {items} items by their vendor cost"
                ),
            }],
            (Form::CostPlus(factor), measure) => {
                let cost =
                    rates_of(self.row).and_then(|rates| price::cost::<BigRational>(rates, measure));
                let credits = match (&cost, &self.rule.charge.compiled) {
                    (Some(cost), ChargeForm::Cost(compiled)) => cost.times(compiled),
                    _ => None,
                };
                let shown = |value: Option<BigRational>| {
                    value.map_or_else(|| "= unknown".to_owned(), |value| equals(&value))
                };
                let cost = shown(cost);
                let cost = cost.trim_start_matches("= ");
                vec![format!("{cost} {currency} × {factor}{per_unit} {} credits", shown(credits))]
            }
            (Form::PerUnit { credits, unit, partial_unit_up }, measure) => {
                let of = match measure {
                    Measure::Tokens(_) => "1 call".to_owned(),
                    Measure::Meter { meter, quantity } => format!("{quantity} {meter}"),
                };
                let unit = match (*unit == crate::Decimal::ONE, partial_unit_up) {
                    (true, false) => String::new(),
                    (true, true) => ", begun units counting whole,".to_owned(),
                    (false, false) => format!(" / {unit}"),
                    (false, true) => format!(" / {unit}, begun blocks counting whole,"),
                };
                vec![format!("{of}{unit} × {credits} credits")]
            }
            (Form::TokensPerCredit(tokens), Measure::Tokens(pools)) => {
                vec![format!("{} tokens / {tokens} per credit", pools.total())]
            }
            (Form::PricePerMillionTokens(rates), Measure::Tokens(pools)) => {
                let mut steps = token_steps(rates, pools, currency);
                steps.push(format!("together{per_unit}"));
                steps
            }
            (Form::CreditsPerMillionTokens(rates), Measure::Tokens(pools)) => {
                token_steps(rates, pools, "credits")
            }
            (
                Form::TokensPerCredit(_)
                | Form::PricePerMillionTokens(_)
                | Form::CreditsPerMillionTokens(_),
                Measure::Meter { .. },
            ) => vec!["the charge does not fit the item".to_owned()],
        }
    }
}
