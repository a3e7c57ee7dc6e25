//! What customers are charged, a second time: the rate card's text, read and applied with fractions.

use anyhow::{Context, bail};
use domain::{Item, Measure, Timestamp, UsageEvent};
use num_bigint::BigInt;
use num_traits::{ToPrimitive, Zero};

use crate::price_map::{Fraction, PriceMap, atoms, decimal, pool_rates, tokens_at, whole};

/// One priced item, in steps of 10⁻¹².
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub credits: i128,
    /// Reported, else computed; `None` when not known.
    pub vendor_cost: Option<i128>,
}

/// One version of the card.
#[derive(Clone, Debug)]
pub struct RateCard {
    pub effective_from: Timestamp,
    per_currency_unit: Fraction,
    decimals: u32,
    up: bool,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    keys: Vec<(String, Vec<String>)>,
    charge: toml::Table,
}

/// What a rule makes of one item.
enum Share {
    /// Exact credits.
    Own(Fraction),
    /// A part of the rule's charge for the whole event.
    OfEvent(usize, Fraction),
}

impl RateCard {
    /// # Errors
    /// Text that is no card.
    pub fn parse(toml: &str) -> anyhow::Result<Self> {
        let card: toml::Table = toml.parse()?;
        let text = |key: &str| {
            card.get(key).and_then(toml::Value::as_str).with_context(|| format!("no {key}"))
        };
        let rules = card.get("rule").and_then(toml::Value::as_array).context("no rules")?;
        Ok(Self {
            effective_from: text("effective_from")?.parse()?,
            per_currency_unit: decimal(text("credits_per_currency_unit")?)?,
            decimals: card
                .get("credit_decimals")
                .and_then(toml::Value::as_integer)
                .and_then(|decimals| u32::try_from(decimals).ok())
                .context("no credit_decimals")?,
            up: text("rounding")? == "up",
            rules: rules.iter().map(Rule::read).collect::<anyhow::Result<_>>()?,
        })
    }

    /// The lines of an event's debit; `None` when it stays unrated.
    ///
    /// # Errors
    /// A charge that this reading does not know.
    pub fn lines(
        &self,
        prices: &PriceMap,
        event: &UsageEvent<'_>,
    ) -> anyhow::Result<Option<Vec<Line>>> {
        let mut shares = Vec::new();
        let mut costs = Vec::new();
        for item in &event.items {
            let found = self.rules.iter().enumerate().find(|(_, rule)| rule.matches(event, item));
            let Some((index, rule)) = found else { return Ok(None) };
            let computed = prices.cost(item);
            let Some(share) = self.share(index, rule, item, computed.as_ref())? else {
                return Ok(None);
            };
            shares.push(share);
            let reported = item.vendor_cost.map(|cost| cost.amount.atoms());
            costs.push(match (reported, computed) {
                (Some(reported), _) => Some(reported),
                (None, Some(computed)) => Some(steps(&computed, 12, false)?),
                (None, None) => None,
            });
        }
        let exact = shared_out(&shares, &costs);
        let credits = self.spread(&exact)?;
        let line = |(credits, vendor_cost)| Line { credits, vendor_cost };
        Ok(Some(credits.into_iter().zip(costs).map(line).collect()))
    }

    fn share(
        &self,
        index: usize,
        rule: &Rule,
        item: &Item<'_>,
        cost: Option<&Fraction>,
    ) -> anyhow::Result<Option<Share>> {
        let number =
            |key: &str| rule.charge.get(key).and_then(toml::Value::as_str).map(decimal).transpose();
        if rule.charge.contains_key("free") {
            return Ok(Some(Share::Own(whole(0))));
        }
        if let Some(credits) = number("credits_per_event")? {
            return Ok(Some(Share::OfEvent(index, credits)));
        }
        let mut credits = if let Some(factor) = number("cost_plus")? {
            let Some(cost) = cost else { return Ok(None) };
            cost * factor * &self.per_currency_unit
        } else if let Some(credits) = number("credits_per_unit")? {
            let quantity = match &item.measure {
                Measure::Tokens(_) => whole(1),
                Measure::Meter { quantity, .. } => atoms(quantity.atoms()),
            };
            let units = quantity / number("unit")?.unwrap_or_else(|| whole(1));
            let partial_up =
                rule.charge.get("partial_unit").and_then(toml::Value::as_str) == Some("up");
            credits * if partial_up { units.ceil() } else { units }
        } else {
            let Measure::Tokens(pools) = &item.measure else { bail!("a charge that does not fit") };
            if let Some(tokens) = number("tokens_per_credit")? {
                whole(i128::from(pools.total())) / tokens
            } else {
                let rates = rule.charge.get("price_per_million_tokens").context("no charge")?;
                let rates = pool_rates(rates)?;
                let own = |pool| rates.get(&pool).cloned();
                let Some(price) = tokens_at(pools, own) else { return Ok(None) };
                price * &self.per_currency_unit
            }
        };
        if let Some(plus) = number("plus_credits")? {
            credits += plus;
        }
        if let Some(minimum) = number("minimum_credits")? {
            credits = credits.max(minimum);
        }
        Ok(Some(Share::Own(credits)))
    }

    /// Rounds the sum once, and gives its steps to the items by largest remainder.
    fn spread(&self, exact: &[Fraction]) -> anyhow::Result<Vec<i128>> {
        let step = 10_i128.pow(12 - self.decimals);
        let sum: Fraction = exact.iter().fold(whole(0), |sum, part| sum + part);
        let scale = whole(10_i128.pow(self.decimals));
        let mut lines = Vec::new();
        let mut rests = Vec::new();
        for (index, part) in exact.iter().enumerate() {
            let scaled = part * &scale;
            let floor = scaled.floor();
            lines.push(floor.to_integer().to_i128().context("too large")?);
            rests.push((index, scaled - floor));
        }
        let left = steps(&sum, self.decimals, self.up)? - lines.iter().sum::<i128>();
        // A stable sort: ties go by the items' order.
        rests.sort_by(|(_, one), (_, other)| other.cmp(one));
        for (index, _) in rests.iter().take(usize::try_from(left)?) {
            lines[*index] += 1;
        }
        Ok(lines.into_iter().map(|steps| steps * step).collect())
    }
}

impl Rule {
    fn read(rule: &toml::Value) -> anyhow::Result<Self> {
        let table = |key: &str| {
            rule.get(key).and_then(toml::Value::as_table).with_context(|| format!("no {key}"))
        };
        let mut keys = Vec::new();
        for (key, value) in table("match")? {
            let values = match value {
                toml::Value::Array(values) => values.clone(),
                one => vec![one.clone()],
            };
            let texts = values.iter().filter_map(toml::Value::as_str).map(str::to_owned);
            keys.push((key.clone(), texts.collect()));
        }
        Ok(Self { keys, charge: table("charge")?.clone() })
    }

    fn matches(&self, event: &UsageEvent<'_>, item: &Item<'_>) -> bool {
        self.keys.iter().all(|(key, patterns)| {
            let field = match key.as_str() {
                "model" => item.model.as_deref(),
                "meter" => item.meter(),
                "feature" => Some(event.feature.as_ref()),
                "traffic" => Some(event.traffic.word()),
                _ => None,
            };
            field.is_some_and(|field| {
                patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
                    Some(start) => field.starts_with(start),
                    None => field == pattern,
                })
            })
        })
    }
}

/// A charge per event is shared by vendor cost; missing weighs nothing; evenly when all weigh nothing.
fn shared_out(shares: &[Share], costs: &[Option<i128>]) -> Vec<Fraction> {
    let weight = |index: usize| costs[index].unwrap_or(0);
    let members = |rule: usize| {
        (0..shares.len()).filter(move |index| match &shares[*index] {
            Share::OfEvent(other, _) => *other == rule,
            Share::Own(_) => false,
        })
    };
    let part = |(index, share): (usize, &Share)| match share {
        Share::Own(exact) => exact.clone(),
        Share::OfEvent(rule, credits) => {
            let sum: i128 = members(*rule).map(weight).sum();
            if sum == 0 {
                credits / whole(members(*rule).count() as i128)
            } else {
                credits * whole(weight(index)) / whole(sum)
            }
        }
    };
    shares.iter().enumerate().map(part).collect()
}

/// Steps of 10^-decimals: up, or half to even.
fn steps(number: &Fraction, decimals: u32, up: bool) -> anyhow::Result<i128> {
    let scaled = number * whole(10_i128.pow(decimals));
    let floor = scaled.floor();
    let rest = &scaled - &floor;
    let floor = floor.to_integer();
    let half = whole(1) / whole(2);
    let is_odd = !(&floor % BigInt::from(2)).is_zero();
    let round_up = if up { !rest.is_zero() } else { rest > half || (rest == half && is_odd) };
    (floor + BigInt::from(u8::from(round_up))).to_i128().context("too large")
}
