//! What customers are charged.

use domain::{Item, Measure, Reason, UsageEvent};
use num_traits::ToPrimitive;
use toml::{Table, Value};

use crate::FreedBy;
use crate::cost::{Cost, of_pools, per_token, tier_of, tiers};
use crate::documents::{attributes, matches, required, text_at, texts};
use crate::fraction::{Fraction, Rounding, decimal, of_atoms, whole};

/// One version of a rate card.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    per_currency_unit: Option<Fraction>,
    pub(crate) decimals: u32,
    pub(crate) rounding: Rounding,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    keys: Vec<(String, Vec<String>)>,
    attributes: Vec<(String, Vec<String>)>,
    charge: Table,
}

/// An item on its way to a line.
pub(crate) struct Priced {
    pub(crate) rule: usize,
    pub(crate) computed: Result<i128, Reason>,
    /// Its vendor cost, reported or else computed, as the weight in a charge per event.
    pub(crate) weight: i128,
    pub(crate) charge: ItemCharge,
}

/// What a rule makes of one item.
pub(crate) enum ItemCharge {
    /// Exact credits, and what makes them zero if they are.
    Own(Fraction, Option<FreedBy>),
    /// A part of the rule's charge for the whole event.
    OfEvent(Fraction),
}

impl Card {
    pub(crate) fn read(table: &Table) -> Result<Self, String> {
        let rules = table.get("rule").and_then(Value::as_array).ok_or("no rules")?;
        let decimals = table.get("credit_decimals").and_then(Value::as_integer);
        let rounding = match text_at(table, "rounding") {
            None | Some("half_even") => Rounding::HalfEven,
            Some("up") => Rounding::Up,
            Some("down") => Rounding::Down,
            Some(other) => return Err(format!("rounding {other:?}")),
        };
        Ok(Self {
            per_currency_unit: number(table, "credits_per_currency_unit")?,
            decimals: decimals
                .and_then(|decimals| u32::try_from(decimals).ok())
                .filter(|decimals| *decimals <= 12)
                .ok_or("no credit_decimals")?,
            rounding,
            rules: rules.iter().map(Rule::read).collect::<Result<_, _>>()?,
        })
    }

    /// The place of the first rule that matches.
    pub(crate) fn rule_for(
        &self,
        event: &UsageEvent<'_>,
        item: &Item<'_>,
        plan: Option<&str>,
    ) -> Option<usize> {
        self.rules.iter().position(|rule| rule.matches(event, item, plan))
    }

    /// # Errors
    /// Why the item, and so the event, has no price.
    pub(crate) fn charge(
        &self,
        rule: usize,
        item: &Item<'_>,
        cost: Result<Cost, Reason>,
    ) -> Result<ItemCharge, Reason> {
        let charge = &self.rules[rule].charge;
        // What was published was checked; a number that cannot be read prices nothing.
        let given = |key: &str| number(charge, key).ok().flatten();
        if charge.contains_key("free") {
            return Ok(ItemCharge::Own(whole(0), Some(FreedBy::FreeRule)));
        }
        if let Some(credits) = given("credits_per_event") {
            return Ok(ItemCharge::OfEvent(credits));
        }
        let zero = whole(0);
        let used = used(item);
        let (mut credits, is_at_zero) = if let Some(factor) = given("cost_plus") {
            let cost = cost?;
            let per_unit = self.per_currency_unit.clone().ok_or(Reason::ChargeDoesNotFit)?;
            let is_at_zero = cost.is_at_zero || factor == zero;
            (cost.amount * factor * per_unit, is_at_zero)
        } else if let Some(credits) = given("credits_per_unit") {
            let quantity = match &item.measure {
                Measure::Tokens(_) => whole(1),
                Measure::Meter { quantity, .. } => of_atoms(quantity.atoms()),
            };
            let units = quantity / given("unit").unwrap_or_else(|| whole(1));
            let up = text_at(charge, "partial_unit") == Some("up");
            let is_at_zero = credits == zero;
            (credits * if up { units.ceil() } else { units }, is_at_zero)
        } else {
            let Measure::Tokens(pools) = &item.measure else {
                return Err(Reason::ChargeDoesNotFit);
            };
            if let Some(tokens) = given("tokens_per_credit") {
                (whole(i128::from(pools.total())) / tokens, false)
            } else {
                let (key, factor) = match charge.get("price_per_million_tokens") {
                    Some(_) => ("price_per_million_tokens", self.per_currency_unit.clone()),
                    None => ("credits_per_million_tokens", Some(whole(1))),
                };
                let rates = charge.get(key).and_then(|rates| per_token(rates).ok());
                let (Some(rates), Some(factor)) = (rates, factor) else {
                    return Err(Reason::ChargeDoesNotFit);
                };
                let (price, is_at_zero) = of_pools(pools, &rates).ok_or(Reason::NoPriceForPool)?;
                (price * factor, is_at_zero)
            }
        };
        if let Some(plus) = given("plus_credits") {
            credits += plus;
        }
        if let Some(minimum) = given("minimum_credits") {
            credits = credits.max(minimum);
        }
        let freed_by = match (used, is_at_zero) {
            (false, _) => Some(FreedBy::NothingUsed),
            (true, true) => Some(FreedBy::ZeroRate),
            (true, false) => None,
        };
        Ok(ItemCharge::Own(credits, freed_by))
    }
}

fn used(item: &Item<'_>) -> bool {
    match &item.measure {
        Measure::Tokens(pools) => pools.total() > 0,
        Measure::Meter { quantity, .. } => quantity.atoms() > 0,
    }
}

fn number(table: &Table, key: &str) -> Result<Option<Fraction>, String> {
    match table.contains_key(key) {
        true => decimal(required(table, key)?).map(Some),
        false => Ok(None),
    }
}

impl Rule {
    fn read(value: &Value) -> Result<Self, String> {
        let table = |key: &str| {
            value.get(key).and_then(Value::as_table).ok_or_else(|| format!("a rule without {key}"))
        };
        let conditions = table("match")?;
        let keys = conditions
            .keys()
            .filter(|key| *key != "attributes" && !key.starts_with("attributes."))
            .map(|key| {
                let wanted =
                    if key == "service_tier" { tiers(conditions) } else { texts(conditions, key) };
                (key.clone(), wanted)
            })
            .collect();
        Ok(Self { keys, attributes: attributes(conditions), charge: table("charge")?.clone() })
    }

    fn matches(&self, event: &UsageEvent<'_>, item: &Item<'_>, plan: Option<&str>) -> bool {
        let field = |key: &str| match key {
            "model" => item.model.as_deref(),
            "provider" => item.provider.as_deref(),
            "feature" => Some(event.feature.as_ref()),
            "meter" => item.meter(),
            "traffic" => Some(event.traffic.word()),
            "service_tier" => Some(tier_of(item)),
            "plan" => plan,
            "team" => event.team.as_deref(),
            "status" => Some(event.status.word()),
            _ => None,
        };
        let holds = |(key, patterns): &(String, Vec<String>)| {
            field(key).is_some_and(|text| matches(patterns, text))
        };
        let attribute_holds = |(name, patterns): &(String, Vec<String>)| {
            event.attribute(item, name).is_some_and(|text| matches(patterns, text))
        };
        self.keys.iter().all(holds) && self.attributes.iter().all(attribute_holds)
    }
}

/// The items' exact credits. A charge per event is shared by vendor cost: missing weighs nothing, and
/// when all weigh nothing the shares are even.
pub(crate) fn share_out(items: &[Priced]) -> Vec<(Fraction, Option<FreedBy>)> {
    let of_event = |rule: usize| {
        items
            .iter()
            .filter(move |item| item.rule == rule && matches!(item.charge, ItemCharge::OfEvent(_)))
    };
    items
        .iter()
        .map(|item| match &item.charge {
            ItemCharge::Own(credits, freed_by) => (credits.clone(), *freed_by),
            ItemCharge::OfEvent(credits) => {
                let sum: i128 = of_event(item.rule).map(|other| other.weight).sum();
                let share = match sum {
                    0 => whole(1) / whole(of_event(item.rule).map(|_| 1_i128).sum()),
                    sum => whole(item.weight) / whole(sum),
                };
                let freed_by =
                    if *credits == whole(0) { FreedBy::ZeroRate } else { FreedBy::NoShare };
                (credits * share, Some(freed_by))
            }
        })
        .collect()
}

/// Gives the charged steps to the items by largest remainder, ties by their order.
pub(crate) fn spread(
    exact: &[(Fraction, Option<FreedBy>)],
    decimals: u32,
    charged: i128,
) -> Option<Vec<i128>> {
    let scale = whole(10_i128.pow(decimals));
    let mut steps = Vec::new();
    let mut rests = Vec::new();
    for (index, (part, _)) in exact.iter().enumerate() {
        let scaled = part * &scale;
        let floor = scaled.floor();
        steps.push(floor.to_integer().to_i128()?);
        rests.push((index, scaled - floor));
    }
    let left = charged - steps.iter().sum::<i128>();
    // A stable sort: ties go by the items' order.
    rests.sort_by(|(_, one), (_, other)| other.cmp(one));
    for (index, _) in rests.iter().take(usize::try_from(left).ok()?) {
        steps[*index] += 1;
    }
    Some(steps)
}
