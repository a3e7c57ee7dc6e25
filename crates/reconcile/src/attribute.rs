//! What explains the difference of one day, model and pool.
//!
//! In tokens it is what the vendor counts and we never saw, or the other way round. In money, each of
//! the vendor's tokens is worth what the vendor takes for it (amount / tokens), and each of ours what
//! it cost by our books: tokens that one side misses, tokens that we hold without a charge or without
//! a cost, and, for those that both have, the difference of the two prices. What is smaller than what
//! rounding can have made is rounding.
//!
//! The last part is taken as what the others leave of the difference, so that they sum to it.

use domain::Money;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::metered::Usage;

/// Why amounts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
pub enum Cause {
    /// The vendor bills tokens that we never saw.
    MissingHere,
    /// We metered tokens that the vendor does not bill.
    MissingThere,
    /// Usage that we hold without a charge, and so without a cost.
    Unrated,
    /// Charged usage without a vendor price.
    NoVendorPrice,
    /// The same tokens at another price.
    Price,
    /// Our cost is known per model and was divided over its pools; over the model it agrees.
    PoolSplit,
    /// The bill does not say enough, as when an amount has no tokens beside it.
    Undetermined,
    Rounding,
}

/// Every cause, in the order of reports.
pub const CAUSES: [Cause; 8] = [
    Cause::MissingHere,
    Cause::MissingThere,
    Cause::Unrated,
    Cause::NoVendorPrice,
    Cause::Price,
    Cause::PoolSplit,
    Cause::Undetermined,
    Cause::Rounding,
];

impl Cause {
    pub const fn word(self) -> &'static str {
        match self {
            Self::MissingHere => "missing_here",
            Self::MissingThere => "missing_there",
            Self::Unrated => "unrated",
            Self::NoVendorPrice => "no_vendor_price",
            Self::Price => "price",
            Self::PoolSplit => "pool_split",
            Self::Undetermined => "undetermined",
            Self::Rounding => "rounding",
        }
    }
}

/// A difference by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts([Money; CAUSES.len()]);

impl Parts {
    pub fn of(&self, cause: Cause) -> Money {
        self.0[cause as usize]
    }

    pub fn sum(&self) -> Money {
        self.0.iter().copied().sum()
    }

    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    pub(crate) fn put(&mut self, cause: Cause, amount: Money) {
        self.0[cause as usize] += amount;
    }

    /// What stood under one cause stands under another.
    pub(crate) fn move_to(&mut self, from: Cause, to: Cause) {
        let amount = std::mem::take(&mut self.0[from as usize]);
        self.0[to as usize] += amount;
    }
}

/// An object of the causes that are not zero.
impl Serialize for Parts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for cause in CAUSES.into_iter().filter(|cause| !self.of(*cause).is_zero()) {
            map.serialize_entry(cause.word(), &self.of(cause))?;
        }
        map.end()
    }
}

/// The vendor's side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theirs {
    /// `None` when the bill counts no tokens.
    pub tokens: Option<i128>,
    /// `None` when the bill has no amounts.
    pub amount: Option<Money>,
    /// How far rounding may have moved the amount.
    pub rounding: Money,
}

/// A difference, ours minus theirs, with what explains it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributed {
    /// `None` when the bill counts no tokens.
    pub tokens: Option<i128>,
    /// `None` when the bill has no amounts.
    pub cost: Option<Money>,
    /// They sum to `cost`.
    pub parts: Parts,
    /// What rounding may have made of it.
    pub(crate) slack: Money,
}

/// A sum that 128 bits cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// Attributes the difference of one day, model and pool.
///
/// # Errors
/// When counts times amounts do not fit 128 bits.
pub fn attribute(ours: &Usage, theirs: &Theirs) -> Result<Attributed, TooLarge> {
    let tokens = theirs.tokens.map(|tokens| ours.tokens() - tokens);
    let Some(amount) = theirs.amount else {
        return Ok(Attributed { tokens, ..Attributed::default() });
    };
    let difference = ours.cost - amount;
    // Each of our lines was rounded once, and so is each part here.
    let own = i128::from(ours.lines.abs()) + CAUSES.len() as i128;
    let slack = theirs.rounding.checked_add(Money::from_atoms(own)).ok_or(TooLarge)?;
    let mut attributed =
        Attributed { tokens, cost: Some(difference), parts: Parts::default(), slack };
    let (parts, rest_is) = match theirs.tokens {
        Some(billed) => by_tokens(ours, billed, amount)?,
        // Without tokens beside the amount, nothing seen here is all that can be told.
        None if ours.tokens() == 0 => (one(Cause::MissingHere, -amount), Cause::Undetermined),
        None => (Parts::default(), Cause::Undetermined),
    };
    attributed.parts = parts;
    let rest = difference - parts.sum();
    let is_rounding = rest.atoms().abs() <= slack.atoms();
    attributed.parts.put(if is_rounding { Cause::Rounding } else { rest_is }, rest);
    Ok(attributed)
}

fn one(cause: Cause, amount: Money) -> Parts {
    let mut parts = Parts::default();
    parts.put(cause, amount);
    parts
}

/// The parts that counts of tokens explain, and what the rest is unless it is rounding.
fn by_tokens(ours: &Usage, billed: i128, amount: Money) -> Result<(Parts, Cause), TooLarge> {
    let mut parts = Parts::default();
    let seen = ours.tokens();
    if billed == 0 {
        // An amount for no tokens has no price.
        parts.put(Cause::MissingThere, ours.cost);
        let rest = if seen == 0 { Cause::MissingHere } else { Cause::Undetermined };
        if seen == 0 {
            parts.put(Cause::MissingHere, -amount);
        }
        return Ok((parts, rest));
    }
    let at_their_price = |tokens: i128| portion(amount, tokens, billed);
    let missing_here = (billed - seen).max(0);
    parts.put(Cause::MissingHere, -at_their_price(missing_here)?);
    // Of what the vendor does not bill, the tokens that cost something come first.
    let costed = i128::from(ours.costed_tokens);
    let surplus = (seen - billed).max(0);
    let surplus_costed = surplus.min(costed.max(0));
    if costed > 0 {
        parts.put(Cause::MissingThere, portion(ours.cost, surplus_costed, costed)?);
    }
    let surplus_rest = surplus - surplus_costed;
    let (unrated, uncosted) = (i128::from(ours.unrated_tokens), i128::from(ours.uncosted_tokens));
    let surplus_unrated = surplus_rest.min(unrated.max(0));
    parts.put(Cause::Unrated, -at_their_price(unrated - surplus_unrated)?);
    let surplus_uncosted = surplus_rest - surplus_unrated;
    parts.put(Cause::NoVendorPrice, -at_their_price(uncosted - surplus_uncosted)?);
    let both = costed - surplus_costed;
    Ok((parts, if both > 0 { Cause::Price } else { Cause::Undetermined }))
}

/// `amount` × `part` / `whole`, half-even.
pub(crate) fn portion(amount: Money, part: i128, whole: i128) -> Result<Money, TooLarge> {
    if part == 0 || whole == 0 {
        return Ok(Money::ZERO);
    }
    let product = amount.atoms().checked_mul(part).ok_or(TooLarge)?;
    let (floor, rest) = (product.div_euclid(whole), product.rem_euclid(whole));
    let twice = rest.checked_mul(2).ok_or(TooLarge)?;
    let up = twice > whole.abs() || (twice == whole.abs() && floor % 2 != 0);
    // For a negative whole `div_euclid` still leaves a rest of at least 0, towards the other side.
    let step = if whole < 0 { -1 } else { 1 };
    Ok(Money::from_atoms(if up { floor + step } else { floor }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(text: &str) -> Money {
        text.parse().unwrap()
    }

    /// A bill for tokens at 2.50 per million, rounded to a millionth.
    fn billed(tokens: i128, amount: &str) -> Theirs {
        Theirs { tokens: Some(tokens), amount: Some(money(amount)), rounding: money("0.000001") }
    }

    fn costed(tokens: i64, cost: &str) -> Usage {
        Usage { costed_tokens: tokens, cost: money(cost), lines: 1, ..Usage::default() }
    }

    fn causes(ours: &Usage, theirs: &Theirs) -> Vec<(Cause, String)> {
        let parts = attribute(ours, theirs).unwrap().parts;
        CAUSES
            .into_iter()
            .filter(|cause| !parts.of(*cause).is_zero())
            .map(|cause| (cause, parts.of(cause).to_string()))
            .collect()
    }

    #[test]
    fn each_cause_is_found_alone() {
        use Cause::{MissingHere, MissingThere, NoVendorPrice, Price, Rounding, Unrated};
        let bill = billed(1_000_000, "2.5");
        let rows: [(Usage, Vec<(Cause, &str)>); 8] = [
            (costed(1_000_000, "2.5"), vec![]),
            (costed(900_000, "2.25"), vec![(MissingHere, "-0.25")]),
            (costed(1_100_000, "2.75"), vec![(MissingThere, "0.25")]),
            (
                Usage { unrated_tokens: 100_000, ..costed(900_000, "2.25") },
                vec![(Unrated, "-0.25")],
            ),
            (
                Usage { uncosted_tokens: 100_000, ..costed(900_000, "2.25") },
                vec![(NoVendorPrice, "-0.25")],
            ),
            (costed(1_000_000, "3"), vec![(Price, "0.5")]),
            (costed(1_000_000, "2.5000005"), vec![(Rounding, "0.0000005")]),
            (Usage::default(), vec![(MissingHere, "-2.5")]),
        ];
        for (ours, expected) in rows {
            let expected: Vec<_> =
                expected.into_iter().map(|(cause, text)| (cause, text.to_owned())).collect();
            assert_eq!(causes(&ours, &bill), expected, "{ours:?}");
        }
    }

    #[test]
    fn causes_stand_beside_one_another() {
        // 400,000 charged at 3.00, 100,000 without a price, 200,000 unrated, 300,000 never seen.
        let ours =
            Usage { uncosted_tokens: 100_000, unrated_tokens: 200_000, ..costed(400_000, "1.2") };
        assert_eq!(
            causes(&ours, &billed(1_000_000, "2.5")),
            [
                (Cause::MissingHere, "-0.75".to_owned()),
                (Cause::Unrated, "-0.5".to_owned()),
                (Cause::NoVendorPrice, "-0.25".to_owned()),
                (Cause::Price, "0.2".to_owned()),
            ]
        );
    }

    /// The vendor bills half of what was seen: first to go are the tokens that cost something, then those
    /// that wait for a price, and what waits beyond that is billed.
    #[test]
    fn a_surplus_is_taken_from_what_costs_something_first() {
        let unrated = Usage { unrated_tokens: 900_000, ..costed(100_000, "0.25") };
        assert_eq!(
            causes(&unrated, &billed(500_000, "1.25")),
            [(Cause::MissingThere, "0.25".to_owned()), (Cause::Unrated, "-1.25".to_owned()),]
        );
        let both = Usage { unrated_tokens: 300_000, uncosted_tokens: 600_000, ..unrated };
        assert_eq!(
            causes(&both, &billed(500_000, "1.25")),
            [(Cause::MissingThere, "0.25".to_owned()), (Cause::NoVendorPrice, "-1.25".to_owned()),]
        );
    }

    #[test]
    fn without_tokens_on_the_bill_only_the_amounts_can_differ() {
        let bill = Theirs { tokens: None, ..billed(0, "2.5") };
        assert_eq!(causes(&costed(1, "2.5"), &bill), []);
        assert_eq!(causes(&costed(1, "3"), &bill), [(Cause::Undetermined, "0.5".to_owned())]);
        assert_eq!(causes(&Usage::default(), &bill), [(Cause::MissingHere, "-2.5".to_owned())]);
        assert_eq!(attribute(&costed(1, "3"), &bill).unwrap().tokens, None);
    }

    prop_compose! {
        fn usage()(
            costed_tokens in 0_i64..10_000_000, uncosted_tokens in 0_i64..1_000,
            unrated_tokens in 0_i64..1_000, cost in 0_i128..10_i128.pow(16), lines in 0_i64..9,
        ) -> Usage {
            let cost = Money::from_atoms(cost);
            Usage { costed_tokens, uncosted_tokens, unrated_tokens, cost, lines, is_estimated: false }
        }
    }

    proptest! {
        /// Whatever the two sides say.
        #[test]
        fn the_parts_sum_to_the_difference(
            ours in usage(),
            tokens in proptest::option::of(-10_i128..10_000_000),
            amount in -10_i128.pow(16)..10_i128.pow(16),
            rounding in 0_i128..10_i128.pow(10),
        ) {
            let theirs = Theirs {
                tokens,
                amount: Some(Money::from_atoms(amount)),
                rounding: Money::from_atoms(rounding),
            };
            let found = attribute(&ours, &theirs).unwrap();
            prop_assert_eq!(found.parts.sum(), ours.cost - Money::from_atoms(amount));
            prop_assert!(found.parts.of(Cause::Rounding).atoms().abs() <= found.slack.atoms());
        }

        /// A life that is known: some calls were charged, some had no price, some were never seen, some
        /// the vendor forgot; each cause is worth what was done.
        #[test]
        fn what_was_done_is_what_is_found(
            both in 1_i64..1_000_000, here in 0_i64..1_000, there in 0_i64..1_000,
            unrated in 0_i64..1_000, uncosted in 0_i64..1_000,
            price in 1_i128..1_000_000, our_price in 1_i128..1_000_000,
        ) {
            // One side misses tokens in a pool, never both: the other cannot be told from a price.
            let there = if here > 0 { 0 } else { there };
            let ours = Usage {
                costed_tokens: both + there,
                uncosted_tokens: uncosted,
                unrated_tokens: unrated,
                cost: Money::from_atoms(our_price * i128::from(both + there)),
                lines: 1,
                is_estimated: false,
            };
            let billed = i128::from(both + unrated + uncosted + here);
            let theirs = Theirs {
                tokens: Some(billed),
                amount: Some(Money::from_atoms(price * billed)),
                rounding: Money::ZERO,
            };
            let found = attribute(&ours, &theirs).unwrap().parts;
            let worth = |price: i128, tokens: i64| Money::from_atoms(price * i128::from(tokens));
            prop_assert_eq!(found.of(Cause::MissingHere), -worth(price, here));
            prop_assert_eq!(found.of(Cause::MissingThere), worth(our_price, there));
            prop_assert_eq!(found.of(Cause::Unrated), -worth(price, unrated));
            prop_assert_eq!(found.of(Cause::NoVendorPrice), -worth(price, uncosted));
            let of_price = found.of(Cause::Price) + found.of(Cause::Rounding);
            prop_assert_eq!(of_price, worth(our_price - price, both));
            prop_assert_eq!(found.of(Cause::Undetermined), Money::ZERO);
        }
    }
}
