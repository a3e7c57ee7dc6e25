//! What rating must never do, whatever the card, the book and the event.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use std::cmp::Ordering;

use domain::{
    ALL_POOLS, CatalogueId, Credits, Item, Measure, Money, Pool, Pools, Quantity, Reason,
    ReportedCost, SCALE, UsageEvent,
};
use num_bigint::BigInt;
use num_rational::BigRational;
use proptest::prelude::*;
use rating::{
    Catalogue, Document, EventRange, OutputRange, Rating, Unrated, quote, quote_range, rate,
    rate_into,
};

/// A charge per rule; the rule `r<n>` decides the items of the feature-less meter or model `<n>`.
#[derive(Clone, Debug)]
struct Case {
    toml_book: String,
    toml_card: String,
    decimals: u32,
    rounding: &'static str,
    charges: Vec<Charge>,
    prices: Vec<(String, String)>,
    event: UsageEvent<'static>,
}

#[derive(Clone, Debug)]
enum Charge {
    PerEvent(String),
    PerUnit(String, String, bool),
    Tokens(String),
    Cost(String),
}

const CREDITS_PER_UNIT: &str = "10000";

fn decimals(most: u32) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0_u32..100_000, 0_u32..5).prop_map(|(n, shift)| scaled(&n.to_string(), shift)),
        // Prices with 21 decimals, and large ones.
        1 => (1_u64..u64::MAX).prop_map(move |n| scaled(&n.to_string(), most)),
        1 => (1_u64..1_000_000_000).prop_map(|n| n.to_string()),
    ]
}

fn scaled(digits: &str, decimals: u32) -> String {
    if decimals == 0 {
        return digits.to_owned();
    }
    let width = decimals as usize + 1;
    let padded = format!("{digits:0>width$}");
    let (whole, fraction) = padded.split_at(padded.len() - decimals as usize);
    format!("{whole}.{fraction}")
}

fn positive(most: u32) -> impl Strategy<Value = String> {
    decimals(most)
        .prop_filter("more than zero", |text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)))
}

fn charges() -> impl Strategy<Value = Charge> {
    prop_oneof![
        decimals(21).prop_map(Charge::PerEvent),
        (decimals(21), positive(12), any::<bool>())
            .prop_map(|(c, u, up)| Charge::PerUnit(c, u, up)),
        positive(12).prop_map(Charge::Tokens),
        decimals(21).prop_map(Charge::Cost),
    ]
}

fn counts() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => 0_u64..100_000,
        1 => Just(domain::limits::TOKENS_MAX),
        1 => Just(0_u64),
    ]
}

fn items(rules: usize) -> impl Strategy<Value = Vec<Item<'static>>> {
    let item = (0..rules, any::<bool>(), counts(), counts(), any::<Option<u32>>()).prop_map(
        |(rule, is_metered, a, b, reported)| {
            let mut pools = Pools::default();
            pools[Pool::Input] = a;
            pools[Pool::Reasoning] = b;
            let measure = match is_metered {
                false => Measure::Tokens(pools),
                true => Measure::Meter {
                    meter: "units".into(),
                    quantity: Quantity::from_atoms(i128::from(a) * 1_000_003 + i128::from(b)),
                },
            };
            Item {
                model: Some(format!("m{rule}").into()),
                provider: None,
                service_tier: None,
                measure,
                vendor_cost: reported.map(|atoms| ReportedCost {
                    amount: Money::from_atoms(i128::from(atoms)),
                    currency: domain::Currency::USD,
                }),
                attributes: Vec::new(),
                estimated: false,
            }
        },
    );
    prop::collection::vec(item, 1..12)
}

fn cases() -> impl Strategy<Value = Case> {
    let rules = prop::collection::vec((charges(), decimals(21), decimals(21)), 1..4);
    (rules, 0_u32..=12, prop_oneof![Just("half_even"), Just("up"), Just("down")])
        .prop_flat_map(|(rules, decimals, rounding)| {
            let count = rules.len();
            (Just(rules), Just(decimals), Just(rounding), items(count))
        })
        .prop_map(|(rules, decimals, rounding, items)| {
            let mut book = "id=\"b\"\neffective_from=\"2023-01-01T00:00:00Z\"\ncurrency=\"USD\"\n"
                .to_owned();
            let mut card = format!(
                "id=\"c\"\neffective_from=\"2023-01-01T00:00:00Z\"\ncurrency=\"USD\"\n\
                 credits_per_currency_unit=\"{CREDITS_PER_UNIT}\"\ncredit_decimals={decimals}\n\
                 rounding=\"{rounding}\"\n"
            );
            for (index, (charge, input, unit)) in rules.iter().enumerate() {
                book.push_str(&format!(
                    "[[price]]\nmodel=\"m{index}\"\n\
                     per_million_tokens={{input=\"{input}\",output=\"{unit}\"}}\n\
                     [[price]]\nmodel=\"m{index}\"\nmeter=\"units\"\nper_unit=\"{unit}\"\n"
                ));
                let charge = match charge {
                    Charge::PerEvent(credits) => format!("credits_per_event=\"{credits}\""),
                    Charge::PerUnit(credits, unit, up) => {
                        let partial = if *up { "up" } else { "exact" };
                        format!("credits_per_unit=\"{credits}\",unit=\"{unit}\",partial_unit=\"{partial}\"")
                    }
                    Charge::Tokens(tokens) => format!("tokens_per_credit=\"{tokens}\""),
                    Charge::Cost(factor) => format!("cost_plus=\"{factor}\""),
                };
                card.push_str(&format!(
                    "[[rule]]\nmatch={{model=\"m{index}\"}}\ncharge={{{charge}}}\n"
                ));
            }
            Case {
                toml_book: book,
                toml_card: card,
                decimals,
                rounding,
                prices: rules.iter().map(|(_, a, b)| (a.clone(), b.clone())).collect(),
                charges: rules.into_iter().map(|(charge, ..)| charge).collect(),
                event: UsageEvent {
                    time: "2026-01-01T00:00:00Z".parse().unwrap(),
                    items,
                    ..UsageEvent::default()
                },
            }
        })
}

fn catalogue(case: &Case) -> Option<Catalogue> {
    let mut catalogue = Catalogue::new();
    for (id, toml) in [(0, &case.toml_book), (1, &case.toml_card)] {
        // Numbers that need too many digits are refused as documents, with their code.
        match Document::parse(toml) {
            Ok(document) => catalogue.apply(CatalogueId(id), document).unwrap(),
            Err(error) if error.code() == "bad_number" => return None,
            Err(error) => panic!("{error}\n{toml}"),
        };
    }
    Some(catalogue)
}

fn ratio(text: &str) -> BigRational {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits: BigInt = format!("{whole}{fraction}").parse().unwrap();
    BigRational::new(digits, BigInt::from(10).pow(u32::try_from(fraction.len()).unwrap()))
}

fn int(number: impl Into<BigInt>) -> BigRational {
    BigRational::from_integer(number.into())
}

fn steps(value: &BigRational, decimals: u32, rounding: &str) -> BigInt {
    let scaled = value * int(BigInt::from(10).pow(decimals));
    let floor = scaled.floor();
    let up = match rounding {
        "up" => floor != scaled,
        "down" => false,
        _ => match (&scaled - &floor).cmp(&BigRational::new(1.into(), 2.into())) {
            Ordering::Less => false,
            Ordering::Greater => true,
            Ordering::Equal => &floor.to_integer() % 2 != BigInt::ZERO,
        },
    };
    floor.to_integer() + BigInt::from(i32::from(up))
}

/// The whole of an event by fractions that share no code with the crate: total, vendor cost.
fn independently(case: &Case) -> Result<(BigRational, BigInt), Reason> {
    let mut total = int(0);
    let mut cost_sum = BigInt::ZERO;
    let mut flat = vec![false; case.charges.len()];
    for item in &case.event.items {
        let rule: usize = item.model.as_ref().unwrap()[1..].parse().unwrap();
        let (input, unit) = &case.prices[rule];
        let (cost, quantity, tokens) = match &item.measure {
            Measure::Tokens(pools) => {
                let (a, b) = (int(pools[Pool::Input]), int(pools[Pool::Reasoning]));
                let cost = (&a * ratio(input) + &b * ratio(unit)) / int(1_000_000);
                (cost, int(1), Some(a + b))
            }
            Measure::Meter { quantity, .. } => {
                let quantity = BigRational::new(quantity.atoms().into(), SCALE.into());
                (&quantity * ratio(unit), quantity, None)
            }
        };
        let computed = steps(&cost, 12, "half_even");
        if computed > BigInt::from(domain::limits::AMOUNT_MAX_UNITS * SCALE) {
            return Err(Reason::AmountOutOfRange);
        }
        cost_sum += item.vendor_cost.map_or(computed, |r| r.amount.atoms().into());
        total += match &case.charges[rule] {
            Charge::PerEvent(_) if flat[rule] => int(0),
            Charge::PerEvent(credits) => {
                flat[rule] = true;
                ratio(credits)
            }
            Charge::PerUnit(credits, unit, up) => {
                let blocks = quantity / ratio(unit);
                ratio(credits) * if *up { blocks.ceil() } else { blocks }
            }
            Charge::Tokens(per_credit) => {
                tokens.ok_or(Reason::ChargeDoesNotFit)? / ratio(per_credit)
            }
            Charge::Cost(factor) => cost * ratio(factor) * ratio(CREDITS_PER_UNIT),
        };
    }
    Ok((total, cost_sum))
}

fn check(case: &Case, found: &Result<Rating, Unrated>) {
    let limit = BigInt::from(domain::limits::AMOUNT_MAX_UNITS * SCALE);
    let expected = independently(case).and_then(|(total, cost)| {
        let charged =
            steps(&total, case.decimals, case.rounding) * BigInt::from(10).pow(12 - case.decimals);
        match charged > limit || cost > limit {
            true => Err(Reason::AmountOutOfRange),
            false => Ok((total, charged, cost)),
        }
    });
    match (expected, found) {
        (Ok((total, charged, cost)), Ok(rating)) => {
            assert_eq!(charged, BigInt::from(rating.credits.atoms()));
            let left = total - BigRational::new(charged, SCALE.into());
            assert_eq!(steps(&left, 12, "half_even"), BigInt::from(rating.residual.atoms()));
            assert_eq!(cost, BigInt::from(rating.vendor_cost_known().atoms()));
            let step = 10_i128.pow(12 - case.decimals);
            for line in &rating.lines {
                assert_eq!(line.credits.atoms() % step, 0);
                assert!((line.credits.atoms() - line.exact.atoms()).abs() <= step);
            }
            let sum: Credits = rating.lines.iter().map(|line| line.credits).sum();
            assert_eq!(sum, rating.credits);
        }
        (Err(reason), Err(unrated)) => assert_eq!(reason, unrated.reason, "{unrated}"),
        (expected, found) => panic!("{expected:?} against {found:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn an_independent_recomputation_agrees_and_lines_sum_to_the_debit(case in cases()) {
        if let Some(catalogue) = catalogue(&case) {
            check(&case, &rate(&catalogue, &case.event, None));
        }
    }

    #[test]
    fn quoting_equals_rating_and_a_used_rating_a_new_one(case in cases()) {
        if let Some(catalogue) = catalogue(&case) {
            let rated = rate(&catalogue, &case.event, None);
            prop_assert_eq!(&rated, &quote(&catalogue, &case.event, None, case.event.time));
            let mut used = Rating::default();
            let warm = UsageEvent { items: case.event.items[..1].to_vec(), ..case.event.clone() };
            drop(rate_into(&catalogue, &warm, None, &mut used));
            let again = rate_into(&catalogue, &case.event, None, &mut used).map(|()| used);
            prop_assert_eq!(rated, again);
        }
    }

    #[test]
    fn a_quote_of_the_real_tokens_equals_the_charge(case in cases()) {
        if let Some(catalogue) = catalogue(&case) {
            let known = vec![None; case.event.items.len()];
            let range = EventRange::new(case.event.clone(), &known).unwrap();
            let charged = rate(&catalogue, &case.event, None);
            let quoted = quote_range(&catalogue, &range, None, case.event.time);
            let numbers = |rating: &Rating| (rating.credits, rating.residual);
            match (charged, quoted) {
                (Ok(charged), Ok(quoted)) => {
                    for quoted in [&quoted.least, &quoted.expected, &quoted.most] {
                        prop_assert_eq!(numbers(quoted), numbers(&charged));
                        prop_assert_eq!(quoted, &charged);
                    }
                }
                (charged, quoted) => prop_assert_eq!(charged.err(), quoted.err()),
            }
        }
    }

    #[test]
    fn an_output_at_an_end_of_its_range_is_charged_as_quoted(case in cases(), half in any::<bool>()) {
        if let Some(catalogue) = catalogue(&case) {
            let with_output = |part: fn(u64) -> u64| {
                let mut event = case.event.clone();
                for item in &mut event.items {
                    if let Measure::Tokens(pools) = &mut item.measure {
                        let reasoning = std::mem::take(&mut pools[Pool::Reasoning]);
                        pools[Pool::Output] = part(reasoning);
                        item.estimated = true;
                    }
                }
                event
            };
            let ranges: Vec<_> = case.event.items.iter().map(|item| match &item.measure {
                Measure::Tokens(pools) => Some(OutputRange { tokens_max: pools[Pool::Reasoning] }),
                Measure::Meter { .. } => None,
            }).collect();
            let range = EventRange::new(with_output(|_| 0), &ranges).unwrap();
            let charge = |event: &UsageEvent<'_>| rate(&catalogue, event, None);
            let (least, expected, most) = (
                charge(&with_output(|_| 0)),
                charge(&with_output(|output| output / 2 + output % 2)),
                charge(&with_output(|output| output)),
            );
            match quote_range(&catalogue, &range, None, case.event.time) {
                Ok(quoted) => {
                    prop_assert!(quoted.least.credits <= quoted.expected.credits);
                    prop_assert!(quoted.expected.credits <= quoted.most.credits);
                    prop_assert_eq!(Ok(&quoted.least), least.as_ref());
                    prop_assert_eq!(Ok(&quoted.expected), expected.as_ref());
                    prop_assert_eq!(Ok(&quoted.most), most.as_ref());
                    // And what lies between costs what lies between.
                    let part: fn(u64) -> u64 = if half { |output| output / 3 } else { |output| output - output / 7 };
                    let between = charge(&with_output(part)).unwrap().credits;
                    prop_assert!(quoted.least.credits <= between && between <= quoted.most.credits);
                }
                Err(unrated) => prop_assert_eq!(Some(&unrated), most.as_ref().err()),
            }
        }
    }

    #[test]
    fn permuting_items_changes_no_total(case in cases(), seed in any::<u64>()) {
        if let Some(catalogue) = catalogue(&case) {
            let mut shuffled = case.event.clone();
            let count = shuffled.items.len();
            for index in 0..count {
                let other = (seed as usize).wrapping_mul(index * 7 + 1) % count;
                shuffled.items.swap(index, other);
            }
            let totals = |event: &UsageEvent<'_>| {
                rate(&catalogue, event, None)
                    .map(|rating| (rating.credits, rating.residual, rating.vendor_cost))
                    // Which of several unpriced items is named first follows their order.
                    .map_err(|_| ())
            };
            prop_assert_eq!(totals(&case.event), totals(&shuffled));
        }
    }
}

#[test]
fn the_largest_event_has_an_exact_price_or_a_clear_reason() {
    let mut pools = Pools::default();
    for pool in ALL_POOLS {
        pools[pool] = domain::limits::TOKENS_MAX;
    }
    let item = |measure| Item {
        model: Some("m".into()),
        provider: None,
        service_tier: None,
        measure,
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    };
    let quantity = Quantity::from_atoms(domain::limits::AMOUNT_MAX_UNITS * SCALE);
    let tokens = item(Measure::Tokens(pools));
    let metered = item(Measure::Meter { meter: "u".into(), quantity });
    for (price, is_rated) in
        [("0.000000000000000000001", true), ("999999999999999.99999999999999999999999", false)]
    {
        let book = format!(
            "id=\"b\"\neffective_from=\"2023-01-01T00:00:00Z\"\ncurrency=\"USD\"\n\
             [[price]]\nmodel=\"m\"\nper_million_tokens={{input=\"{price}\",output=\"{price}\"}}\n\
             [[price]]\nmeter=\"u\"\nper_unit=\"{price}\"\n"
        );
        let card = "id=\"c\"\neffective_from=\"2023-01-01T00:00:00Z\"\ncurrency=\"USD\"\n\
             credits_per_currency_unit=\"1\"\ncredit_decimals=12\n\
             [[rule]]\nmatch={}\ncharge={cost_plus=\"1\"}\n";
        let mut catalogue = Catalogue::new();
        for (id, toml) in [(0, book.as_str()), (1, card)] {
            catalogue.apply(CatalogueId(id), Document::parse(toml).unwrap()).unwrap();
        }
        for measure in [&tokens, &metered] {
            let event = UsageEvent {
                time: "2026-01-01T00:00:00Z".parse().unwrap(),
                items: vec![measure.clone(); domain::limits::ITEMS_MAX],
                ..UsageEvent::default()
            };
            let found = rate(&catalogue, &event, None);
            match found {
                Ok(rating) => {
                    assert!(is_rated);
                    let sum: Credits = rating.lines.iter().map(|line| line.credits).sum();
                    assert_eq!(sum, rating.credits);
                }
                Err(unrated) => {
                    assert!(!is_rated, "{unrated}");
                    assert_eq!(unrated.reason, Reason::AmountOutOfRange);
                }
            }
        }
    }
}
