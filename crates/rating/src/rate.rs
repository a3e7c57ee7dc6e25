//! Rating: one event, the versions in force at its time, exact credits.

use domain::limits::AMOUNT_MAX_UNITS;
use domain::{
    CatalogueId, Credits, DECIMALS, Item, Measure, Money, Reason, RuleId, SCALE, Timestamp,
    UsageEvent,
};
use num_rational::BigRational;
use smallvec::SmallVec;

use crate::catalogue::Catalogue;
use crate::decimal::power_of_ten;
use crate::document::{ChargeForm, Key, RateCard, Rule};
use crate::exact::{Exact, Number, Rounding, rounded};
use crate::price::{self, Priced, Uncosted, tier_of};
use crate::rating::{RateLine, Rating, Unrated};
use crate::spread;
use crate::view::View;
use domain::CostStatus;

/// Prices an event under the versions in force at its time.
///
/// `plan` is the account's at that time, `None` when it was assigned none. A reported vendor cost
/// is taken to be in the deployment's currency: the decoder has refused others.
///
/// # Errors
/// The reason why the event as a whole has no price; it is kept as unrated usage (invariant 9).
pub fn rate(
    catalogue: &Catalogue,
    event: &UsageEvent<'_>,
    plan: Option<&str>,
) -> Result<Rating, Unrated> {
    quote(catalogue, event, plan, event.time)
}

/// [`rate()`] into a rating that is used again, so that nothing is allocated per event. After an
/// error the rating's content means nothing.
///
/// # Errors
/// As [`rate()`].
pub fn rate_into(
    catalogue: &Catalogue,
    event: &UsageEvent<'_>,
    plan: Option<&str>,
    rating: &mut Rating,
) -> Result<(), Unrated> {
    rate_at(catalogue, event, plan, event.time, rating)
}

/// What an event would be charged if it happened at `time`: the same function as [`rate()`].
///
/// # Errors
/// As [`rate()`].
pub fn quote(
    catalogue: &Catalogue,
    event: &UsageEvent<'_>,
    plan: Option<&str>,
    time: Timestamp,
) -> Result<Rating, Unrated> {
    let mut rating = Rating::default();
    rate_at(catalogue, event, plan, time, &mut rating)?;
    Ok(rating)
}

fn rate_at(
    catalogue: &Catalogue,
    event: &UsageEvent<'_>,
    plan: Option<&str>,
    time: Timestamp,
    rating: &mut Rating,
) -> Result<(), Unrated> {
    let Some(scope) = catalogue.view_at(time).and_then(|view| Scope::new(view, plan)) else {
        return Err(no_rate_card(plan, time));
    };
    // Nearly every event fits the fast fraction; the others are rated again from the start.
    let stop = match scope.rate::<Exact>(event, rating) {
        Ok(()) => return Ok(()),
        Err(Stop::DoesNotFit) => match scope.rate::<BigRational>(event, rating) {
            Ok(()) => return Ok(()),
            Err(stop) => stop,
        },
        Err(stop) => stop,
    };
    Err(match stop {
        Stop::NoRule { item } => no_rule(event, item),
        Stop::DoesNotFitItem { item } => does_not_fit(event, item),
        Stop::Uncosted { item, uncosted } => no_cost(event, item, uncosted),
        // Big fractions stop only at what no amount can hold.
        Stop::OutOfRange { item } => out_of_range(event, Some(item)),
        Stop::SumOutOfRange | Stop::DoesNotFit => out_of_range(event, None),
    })
}

/// Why rating stopped; what it says is put together only then.
enum Stop {
    NoRule {
        item: usize,
    },
    DoesNotFitItem {
        item: usize,
    },
    Uncosted {
        item: usize,
        uncosted: Uncosted,
    },
    OutOfRange {
        item: usize,
    },
    SumOutOfRange,
    /// The number type is too small.
    DoesNotFit,
}

/// What prices an event: the card, the books, the plan that `match` sees.
struct Scope<'c> {
    card_id: CatalogueId,
    card: &'c RateCard,
    view: &'c View,
    plan: Option<&'c str>,
}

/// An item's exact credits while the event is being summed.
pub(crate) struct Share<N> {
    pub(crate) exact: N,
    /// The rule of a charge per event, whose amount is still to be shared out.
    pub(crate) per_event: Option<u16>,
}

/// Room for the shares of usual events on the stack.
pub(crate) type Shares<N> = SmallVec<[Share<N>; 6]>;

impl<'c> Scope<'c> {
    #[inline]
    fn new(view: &'c View, plan: Option<&'c str>) -> Option<Self> {
        let (plan, card) = view.card_for(plan)?;
        let in_force = card?;
        Some(Self { card_id: in_force.id, card: &in_force.card, view, plan })
    }

    fn rate<N: Number>(&self, event: &UsageEvent<'_>, rating: &mut Rating) -> Result<(), Stop> {
        rating.rate_card = self.card_id;
        rating.lines.clear();
        let mut shares = Shares::<N>::new();
        let mut total = N::zero();
        let mut known_cost: Option<i128> = None;
        for (index, item) in event.items.iter().enumerate() {
            let (rule_id, rule) = self.rule_for(event, item).ok_or(Stop::NoRule { item: index })?;
            let priced = price::find(&self.view.books, event, item);
            let (line, share) = self.line::<N>(index, item, (rule_id, rule), priced)?;
            if let Some(cost) = line.vendor_cost {
                known_cost = Some(known_cost.unwrap_or(0) + cost.atoms());
            }
            let counts = match share.per_event {
                None => true,
                Some(rule) => !shares.iter().any(|earlier| earlier.per_event == Some(rule)),
            };
            if counts {
                total = total.plus(&share.exact).ok_or(Stop::DoesNotFit)?;
            }
            rating.lines.push(line);
            shares.push(share);
        }
        if known_cost.is_some_and(is_out_of_range) {
            return Err(Stop::SumOutOfRange);
        }
        rating.vendor_cost = known_cost.map(Money::from_atoms);
        self.settle(&total, shares, rating)
    }

    /// Rounds the sum, keeps what that leaves, and spreads the charge over the lines.
    fn settle<N: Number>(
        &self,
        total: &N,
        shares: Shares<N>,
        rating: &mut Rating,
    ) -> Result<(), Stop> {
        let decimals = self.card.credit_decimals;
        let step = power_of_ten(DECIMALS - decimals).unwrap_or(1);
        let steps = total.to_steps(decimals, self.card.rounding).ok_or(Stop::DoesNotFit)?;
        let charged = steps.checked_mul(step).ok_or(Stop::SumOutOfRange)?;
        if is_out_of_range(charged) {
            return Err(Stop::SumOutOfRange);
        }
        let (floor, rest) = total.split(DECIMALS).ok_or(Stop::DoesNotFit)?;
        let atoms = |floor| rounded(floor, &rest, Rounding::HalfEven).ok_or(Stop::DoesNotFit);
        rating.credits = Credits::from_atoms(charged);
        rating.residual = Credits::from_atoms(atoms(floor - charged)?);
        if let [line] = rating.lines.as_mut_slice() {
            line.credits = rating.credits;
            line.exact = Credits::from_atoms(atoms(floor)?);
            return Ok(());
        }
        spread::spread(spread::Charge { steps, decimals, step }, shares, &mut rating.lines)
            .ok_or(Stop::DoesNotFit)
    }

    /// The first rule that matches decides.
    #[inline]
    fn rule_for(&self, event: &UsageEvent<'_>, item: &Item<'_>) -> Option<(u16, &'c Rule)> {
        let index = self.card.rules.iter().position(|rule| self.matches(rule, event, item))?;
        Some((u16::try_from(index).ok()?, &self.card.rules[index]))
    }

    #[inline]
    fn matches(&self, rule: &Rule, event: &UsageEvent<'_>, item: &Item<'_>) -> bool {
        rule.keys.iter().all(|key| match key {
            Key::Traffic(bits) => bits & (1 << event.traffic.code()) != 0,
            Key::Status(bits) => bits & (1 << event.status.code()) != 0,
            Key::Feature(patterns) => patterns.matches(&event.feature),
            Key::Model(patterns) => item.model.as_ref().is_some_and(|text| patterns.matches(text)),
            Key::Meter(patterns) => item.meter().is_some_and(|text| patterns.matches(text)),
            Key::Provider(patterns) => {
                item.provider.as_ref().is_some_and(|text| patterns.matches(text))
            }
            Key::ServiceTier(patterns) => patterns.matches(tier_of(item)),
            Key::Plan(patterns) => self.plan.is_some_and(|text| patterns.matches(text)),
            Key::Team(patterns) => event.team.as_ref().is_some_and(|text| patterns.matches(text)),
            Key::Attribute(name, patterns) => {
                event.attribute(item, name).is_some_and(|text| patterns.matches(text))
            }
        })
    }

    #[inline]
    fn line<N: Number>(
        &self,
        index: usize,
        item: &Item<'_>,
        (rule_id, rule): (u16, &Rule),
        priced: Result<Priced<'_>, Uncosted>,
    ) -> Result<(RateLine, Share<N>), Stop> {
        let cost = match &priced {
            Ok(priced) => {
                Some(price::cost::<N>(priced.rates, &item.measure).ok_or(Stop::DoesNotFit)?)
            }
            Err(_) => None,
        };
        let computed = match &cost {
            Some(cost) => Some(cost.atoms().ok_or(Stop::DoesNotFit)?),
            None => None,
        };
        if computed.is_some_and(is_out_of_range) {
            return Err(Stop::OutOfRange { item: index });
        }
        let computed = computed.map(Money::from_atoms);
        let reported = item.vendor_cost.map(|reported| reported.amount);
        let (vendor_cost, cost_status) = match (reported, computed) {
            (Some(reported), _) => (Some(reported), CostStatus::Reported),
            (None, Some(computed)) => (Some(computed), CostStatus::Computed),
            (None, None) => (None, CostStatus::Missing),
        };
        let line = RateLine {
            rule: RuleId(rule_id),
            price: priced.as_ref().ok().map(|priced| priced.at),
            vendor_cost_computed: computed,
            vendor_cost,
            cost_status,
            cost_missing: priced.as_ref().err().map(|uncosted| uncosted.reason),
            credits: Credits::ZERO,
            exact: Credits::ZERO,
        };
        if let ChargeForm::PerEvent(credits) = &rule.charge.compiled {
            return Ok((line, Share { exact: N::of(credits), per_event: Some(rule_id) }));
        }
        let cost = match (cost, priced) {
            (Some(cost), _) => Ok(cost),
            (None, Err(uncosted)) => Err(Stop::Uncosted { item: index, uncosted }),
            (None, Ok(_)) => Err(Stop::DoesNotFit),
        };
        let exact = charge::<N>(index, item, rule, cost)?;
        Ok((line, Share { exact, per_event: None }))
    }
}

/// An item's exact credits under a rule that charges per item.
#[inline]
fn charge<N: Number>(
    index: usize,
    item: &Item<'_>,
    rule: &Rule,
    cost: Result<N, Stop>,
) -> Result<N, Stop> {
    let credits = match (&rule.charge.compiled, &item.measure) {
        // A charge per event is shared out after the sum.
        (ChargeForm::Free | ChargeForm::PerEvent(_), _) => Some(N::zero()),
        (ChargeForm::Cost(factor), _) => cost?.times(factor),
        (ChargeForm::PerUnit { units, up, credits }, measure) => {
            let quantity = match measure {
                Measure::Tokens(_) => Exact::ONE,
                Measure::Meter { quantity, .. } => Exact::of_atoms(quantity.atoms()),
            };
            per_unit(&N::of(&quantity), units, *up, credits)
        }
        (ChargeForm::Tokens(factor), Measure::Tokens(pools)) => {
            N::of(&Exact::whole(i128::from(pools.total()))).times(factor)
        }
        (ChargeForm::PerMillionTokens(rates, factor), Measure::Tokens(pools)) => {
            if let Some(pool) = rates.unpriced(pools) {
                let uncosted = Uncosted { reason: Reason::NoPriceForPool, pool: Some(pool) };
                return Err(Stop::Uncosted { item: index, uncosted });
            }
            N::of_tokens(rates, pools).and_then(|sum| sum.times(factor))
        }
        (ChargeForm::Tokens(_) | ChargeForm::PerMillionTokens(..), Measure::Meter { .. }) => {
            return Err(Stop::DoesNotFitItem { item: index });
        }
    };
    let mut credits = credits.ok_or(Stop::DoesNotFit)?;
    if let Some(plus) = &rule.charge.plus {
        credits = credits.plus(&N::of(plus)).ok_or(Stop::DoesNotFit)?;
    }
    if let Some(minimum) = &rule.charge.minimum {
        let minimum = N::of(minimum);
        if credits.compare(&minimum).ok_or(Stop::DoesNotFit)?.is_lt() {
            credits = minimum;
        }
    }
    Ok(credits)
}

fn per_unit<N: Number>(quantity: &N, units: &Exact, up: bool, credits: &Exact) -> Option<N> {
    let mut counted = quantity.times(units)?;
    if up {
        let (floor, rest) = counted.split(0)?;
        let blocks = floor.checked_add(i128::from(!rest.is_zero()))?;
        counted = N::of(&Exact::whole(blocks));
    }
    counted.times(credits)
}

fn is_out_of_range(atoms: i128) -> bool {
    atoms > AMOUNT_MAX_UNITS * SCALE
}

#[cold]
fn no_rate_card(plan: Option<&str>, time: Timestamp) -> Unrated {
    let value = match plan {
        Some(plan) => format!("plan `{plan}` at {time}"),
        None => format!("no plan, and no default rate card, at {time}"),
    };
    Unrated { reason: Reason::NoRateCard, item: None, field: "plan", value }
}

#[cold]
fn unrated(event: &UsageEvent<'_>, index: usize, reason: Reason) -> Unrated {
    let item = event.items.get(index);
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let meter = item.and_then(Item::meter);
    let (field, value) = match (item.and_then(|item| item.model.as_deref()), meter) {
        (_, Some(meter)) => ("meter", meter.to_owned()),
        (model, None) => ("model", text(model)),
    };
    Unrated { reason, item: Some(index), field, value }
}

#[cold]
fn no_rule(event: &UsageEvent<'_>, index: usize) -> Unrated {
    unrated(event, index, Reason::NoRule)
}

#[cold]
fn does_not_fit(event: &UsageEvent<'_>, index: usize) -> Unrated {
    unrated(event, index, Reason::ChargeDoesNotFit)
}

#[cold]
fn out_of_range(event: &UsageEvent<'_>, index: Option<usize>) -> Unrated {
    let mut found = unrated(event, index.unwrap_or(0), Reason::AmountOutOfRange);
    if index.is_none() {
        found = Unrated { item: None, field: "data.items", value: String::new(), ..found };
    }
    found
}

#[cold]
fn no_cost(event: &UsageEvent<'_>, index: usize, uncosted: Uncosted) -> Unrated {
    let found = unrated(event, index, uncosted.reason);
    let item = event.items.get(index);
    match (uncosted.reason, uncosted.pool) {
        (_, Some(pool)) => Unrated { field: "tokens", value: pool.name().to_owned(), ..found },
        (Reason::NoPriceForServiceTier, None) => {
            let tier = item.map_or("", |item| tier_of(item)).to_owned();
            Unrated { field: "service_tier", value: tier, ..found }
        }
        _ => found,
    }
}
