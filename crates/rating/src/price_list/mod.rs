//! What a customer of a plan can read before running anything: the plan's terms and the rules of its card, in sentences and as
//! data.
//!
//! **Architecture invariant:** vendor costs and margins are not in it, because customers read it. Of a `cost_plus` rule there are
//! the credits that come out, model by model, and not its factor; and not its name either, since such names tend to say the
//! margin. Rules that match other plans only are left out: they are other customers' terms.

mod models;
mod plan;
mod rule;

use domain::{Credits, Currency, Money, Pool, Timestamp};
use num_rational::BigRational;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::catalogue::Catalogue;
use crate::decimal::Decimal;
use crate::document::RateCard;
use crate::exact::{Exact, Number, Rounding};
use crate::rates::TokenRates;

pub use models::{ListedCondition, ListedModel};
pub use plan::{ListedAllowance, ListedOverage, ListedPlan, ListedRollover, ListedTrial};
pub use rule::{ListedCharge, ListedMatch, ListedRule};

/// The prices that hold for the accounts of one plan at one time.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PriceList {
    pub at: Timestamp,
    /// `None` for accounts without a plan, and when the plan is not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<ListedPlan>,
    /// `None` when no card is in force: nothing has a price then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_card: Option<ListedCard>,
    /// In the card's order: for each item, the first rule that matches decides.
    pub rules: Vec<ListedRule>,
    /// What holds for all rules, as sentences.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ListedCard {
    pub id: Box<str>,
    /// Its number within its id.
    pub version: u32,
    /// Charges are rounded once per event to this many decimals.
    pub credit_decimals: u32,
    /// `half_even`, `up` or `down`.
    pub rounding: &'static str,
}

/// An amount of money with its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ListedMoney {
    pub amount: Money,
    pub currency: Currency,
}

/// Credits per token pool, in the pools' order; in JSON an object by the pools' names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolCredits(pub Vec<(Pool, Credits)>);

/// What a model or a meter takes, in credits.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedPrice {
    CreditsPerMillionTokens(PoolCredits),
    CreditsPerUnit(Credits),
}

impl Serialize for PoolCredits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (pool, credits) in &self.0 {
            map.serialize_entry(pool.name(), credits)?;
        }
        map.end()
    }
}

/// The price list of a plan at a time; of the default plan, or else the default card, without one.
pub fn price_list(catalogue: &Catalogue, plan: Option<&str>, at: Timestamp) -> PriceList {
    let mut list =
        PriceList { at, plan: None, rate_card: None, rules: Vec::new(), notes: Vec::new() };
    let Some(view) = catalogue.view_at(at) else { return list };
    let Some((plan, in_force)) = view.card_for(plan) else { return list };
    list.plan = plan.and_then(|id| plan::listed(catalogue, id, at));
    let Some(in_force) = in_force else { return list };
    let (card, version) = (&*in_force.card, catalogue.version(in_force.id));
    list.rate_card = version.map(|version| ListedCard {
        id: version.document.id().into(),
        version: version.ordinal,
        credit_decimals: card.credit_decimals,
        rounding: card.rounding.word(),
    });
    list.rules = rule::listed(card, &view.books, plan);
    list.notes = notes(card);
    list
}

fn notes(card: &RateCard) -> Vec<String> {
    let rounding = match card.rounding {
        Rounding::HalfEven => "half to even",
        Rounding::Up => "up",
        Rounding::Down => "down",
    };
    vec![
        "For each item of an event, the first rule that matches decides.".to_owned(),
        format!(
            "The credits of an event are summed exactly and rounded once, {rounding}, to {} decimals.",
            card.credit_decimals
        ),
        "Tokens of a kind without a price of its own take that of the kind that they are part of: cache_write_1h and \
         cache_write_audio of cache_write, cache_read_audio and cache_read_image of cache_read, and then all of input or output."
            .to_owned(),
        "Of the conditions of a model, the first that holds replaces its prices.".to_owned(),
    ]
}

/// Credits for a price; `None` where no amount can hold them, and nothing can be charged either.
fn credits(price: Decimal, factor: &Exact) -> Option<Credits> {
    let exact = BigRational::from(&Exact::from(price)).times(factor)?;
    exact.atoms().map(Credits::from_atoms)
}

fn pool_credits(rates: &TokenRates, factor: &Exact) -> PoolCredits {
    let priced = |(pool, price)| Some((pool, credits(price, factor)?));
    PoolCredits(rates.named().filter_map(priced).collect())
}
