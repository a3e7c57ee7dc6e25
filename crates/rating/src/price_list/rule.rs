//! One rule of a card, for whoever it charges.

use std::sync::Arc;

use domain::{CatalogueId, Status, Traffic};
use serde::Serialize;

use super::models::{self, ListedModel};
use super::{ListedPrice, PoolCredits, pool_credits};
use crate::decimal::Decimal;
use crate::document::{ChargeForm, Form, Key, PriceBook, RateCard, Rule};
use crate::pattern::{Pattern, Patterns};

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedRule {
    /// Its place in the card, from 1. Numbers are missing where rules are for other plans.
    pub number: usize,
    /// `None` for rules that charge by vendor cost: their names tend to say the margin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Box<str>>,
    /// Whether it is for internal, test and other traffic that is not customers'.
    pub internal_only: bool,
    /// What all has to hold of an item; nothing has to when empty.
    pub matches: Vec<ListedMatch>,
    pub charge: ListedCharge,
    /// Added to each item's credits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plus_credits: Option<Decimal>,
    /// The least that an item takes, after the addition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_credits: Option<Decimal>,
    /// The same in a sentence.
    pub says: String,
}

/// A field of an item or its event, and the values that it may have; `*` stands for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedMatch {
    pub field: String,
    pub values: Vec<String>,
}

/// What a rule takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ListedCharge {
    Free,
    /// Once per event, for all the items that the rule decides.
    CreditsPerEvent {
        credits: Decimal,
    },
    /// Per `unit` of the meter; a model call counts as one. Parts of a unit count `exact`, or as whole ones: `up`.
    CreditsPerUnit {
        credits: Decimal,
        unit: Decimal,
        partial_unit: &'static str,
    },
    /// All kinds of tokens together.
    TokensPerCredit {
        tokens: Decimal,
    },
    CreditsPerMillionTokens {
        credits: PoolCredits,
    },
    /// By model and meter; none are listed for a rule that no customer comes under.
    ByModel {
        models: Vec<ListedModel>,
    },
}

pub(super) fn listed(
    card: &RateCard,
    books: &[(CatalogueId, Arc<PriceBook>)],
    plan: Option<&str>,
) -> Vec<ListedRule> {
    let is_for_plan = |rule: &Rule| {
        rule.keys.iter().all(|key| match key {
            Key::Plan(patterns) => plan.is_some_and(|plan| patterns.matches(plan)),
            Key::Traffic(_)
            | Key::Status(_)
            | Key::Feature(_)
            | Key::Model(_)
            | Key::Meter(_)
            | Key::Provider(_)
            | Key::ServiceTier(_)
            | Key::Team(_)
            | Key::Attribute(..) => true,
        })
    };
    let mut listed = Vec::new();
    for (place, rule) in card.rules.iter().enumerate().filter(|(_, rule)| is_for_plan(rule)) {
        let is_for_customers = is_for_customers(rule);
        let by_vendor_cost = matches!(rule.charge.form, Form::CostPlus(_));
        let matches: Vec<_> = rule.keys.iter().map(|key| matched(key, plan)).collect();
        let charge = match (&rule.charge.form, &rule.charge.compiled) {
            (Form::Free, _) => ListedCharge::Free,
            (Form::PerEvent(credits), _) => ListedCharge::CreditsPerEvent { credits: *credits },
            (Form::PerUnit { credits, unit, partial_unit_up }, _) => ListedCharge::CreditsPerUnit {
                credits: *credits,
                unit: *unit,
                partial_unit: if *partial_unit_up { "up" } else { "exact" },
            },
            (Form::TokensPerCredit(tokens), _) => ListedCharge::TokensPerCredit { tokens: *tokens },
            (
                Form::PricePerMillionTokens(_) | Form::CreditsPerMillionTokens(_),
                ChargeForm::PerMillionTokens(rates, factor),
            ) => ListedCharge::CreditsPerMillionTokens { credits: pool_credits(rates, factor) },
            (Form::CostPlus(_), ChargeForm::Cost(factor)) => ListedCharge::ByModel {
                models: models::listed(&card.rules[..=place], books, plan, factor),
            },
            // A form is compiled to its own kind; were it not, no price is better than a wrong one.
            (
                Form::PricePerMillionTokens(_)
                | Form::CreditsPerMillionTokens(_)
                | Form::CostPlus(_),
                _,
            ) => ListedCharge::ByModel { models: Vec::new() },
        };
        listed.push(ListedRule {
            number: place + 1,
            name: (!by_vendor_cost).then(|| rule.name.clone()),
            internal_only: !is_for_customers,
            says: sentence(rule, &matches, &charge),
            matches,
            charge,
            plus_credits: rule.charge.plus_credits,
            minimum_credits: rule.charge.minimum_credits,
        });
    }
    listed
}

fn is_for_customers(rule: &Rule) -> bool {
    rule.keys.iter().all(|key| match key {
        Key::Traffic(bits) => models::is_for_customers(*bits),
        Key::Status(_)
        | Key::Feature(_)
        | Key::Model(_)
        | Key::Meter(_)
        | Key::Provider(_)
        | Key::ServiceTier(_)
        | Key::Plan(_)
        | Key::Team(_)
        | Key::Attribute(..) => true,
    })
}

fn matched(key: &Key, plan: Option<&str>) -> ListedMatch {
    fn words<W: Copy>(bits: u8, all: &[W], of: impl Fn(W) -> (u8, &'static str)) -> Vec<String> {
        let set = all.iter().map(|word| of(*word)).filter(|(code, _)| bits & (1 << code) != 0);
        set.map(|(_, word)| word.to_owned()).collect()
    }
    let texts = |patterns: &Patterns| patterns.iter().map(Pattern::to_string).collect();
    let (field, values) = match key {
        Key::Traffic(bits) => {
            ("traffic", words(*bits, Traffic::ALL, |class| (class.code(), class.word())))
        }
        Key::Status(bits) => {
            ("status", words(*bits, Status::ALL, |status| (status.code(), status.word())))
        }
        Key::Feature(patterns) => ("feature", texts(patterns)),
        Key::Model(patterns) => ("model", texts(patterns)),
        Key::Meter(patterns) => ("meter", texts(patterns)),
        Key::Provider(patterns) => ("provider", texts(patterns)),
        Key::ServiceTier(patterns) => ("service_tier", texts(patterns)),
        // Only the plan that reads it: the names of others are none of its business.
        Key::Plan(_) => ("plan", plan.map(str::to_owned).into_iter().collect()),
        Key::Team(patterns) => ("team", texts(patterns)),
        Key::Attribute(name, patterns) => {
            return ListedMatch { field: format!("attributes.{name}"), values: texts(patterns) };
        }
    };
    ListedMatch { field: field.to_owned(), values }
}

fn sentence(rule: &Rule, matches: &[ListedMatch], charge: &ListedCharge) -> String {
    let what: Vec<_> = matches
        .iter()
        .map(|matched| format!("{} {}", matched.field, matched.values.join(" or ")))
        .collect();
    let what = match what.as_slice() {
        [] => "everything".to_owned(),
        keys => keys.join(" and "),
    };
    let plus = rule
        .charge
        .plus_credits
        .map_or_else(String::new, |plus| format!(", plus {plus} for each item"));
    let minimum = rule
        .charge
        .minimum_credits
        .map_or_else(String::new, |least| format!(", at least {least} for each item"));
    format!("{what}: {}{plus}{minimum}", charge_sentence(charge))
}

fn charge_sentence(charge: &ListedCharge) -> String {
    match charge {
        ListedCharge::Free => "free".to_owned(),
        ListedCharge::CreditsPerEvent { credits } => {
            format!("{} per event, however many items it has of this rule", counted(*credits))
        }
        ListedCharge::CreditsPerUnit { credits, unit, partial_unit } => {
            let per = match *unit == Decimal::ONE {
                true => "unit".to_owned(),
                false => format!("{unit} units"),
            };
            let begun = if *partial_unit == "up" { ", begun ones counting whole" } else { "" };
            format!("{} per {per}{begun}", counted(*credits))
        }
        ListedCharge::TokensPerCredit { tokens } => {
            format!("1 credit per {tokens} tokens, all kinds together")
        }
        ListedCharge::CreditsPerMillionTokens { credits } => per_million(credits),
        ListedCharge::ByModel { models } => match models.iter().find_map(example) {
            Some(example) => format!("by model, as listed; for example {example}"),
            None => "by model, and none is listed".to_owned(),
        },
    }
}

fn counted(credits: Decimal) -> String {
    format!("{credits} {}", if credits == Decimal::ONE { "credit" } else { "credits" })
}

fn example(listed: &ListedModel) -> Option<String> {
    let provider = listed.provider.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
    let model = listed.model.as_deref().unwrap_or_default();
    Some(match (listed.price.as_ref()?, &listed.meter) {
        (ListedPrice::CreditsPerMillionTokens(credits), _) => {
            format!("{model}{provider}, {}", per_million(credits))
        }
        (ListedPrice::CreditsPerUnit(credits), meter) => {
            let of = if model.is_empty() { String::new() } else { format!(" of {model}") };
            let meter = meter.as_deref().unwrap_or_default();
            format!("{meter}{of}{provider}, {credits} credits per unit")
        }
    })
}

fn per_million(credits: &PoolCredits) -> String {
    let pools: Vec<_> =
        credits.0.iter().map(|(pool, credits)| format!("{credits} for {}", pool.name())).collect();
    format!("credits per million tokens: {}", pools.join(", "))
}
