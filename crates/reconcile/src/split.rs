//! The cost of a group of rate lines, pool by pool.
//!
//! A line's cost is kept as one amount over all its pools. Its price book says what each pool costs;
//! lines that were priced alike are summed, and when one of the book's prices for the model makes
//! exactly that sum, the pools' shares are exact as well. Otherwise (a producer reported the cost, or
//! conditions mixed within the group) the sum is divided by those prices, and said to be estimated.

use domain::{ALL_POOLS, Money, Pool};
use rating::{Body, Catalogue, Price, Rates, TokenRates};

/// Steps of 10⁻¹² in a unit of money, over the tokens that a price is for.
const ATOMS_PER_PRICE: u32 = 12 - 6;

/// Rate lines that were priced by one version of a price book, summed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    pub tokens: Vec<(Pool, i64)>,
    /// The vendor cost that counts: reported, else computed.
    pub cost: Money,
    pub lines: i64,
}

/// The price of a model in a version of a price book.
pub fn price_of<'c>(
    catalogue: &'c Catalogue,
    (book, version): (&str, u32),
    (provider, model): (&str, &str),
) -> Option<&'c Price> {
    let found = catalogue.versions().find(|at| {
        at.ordinal == version
            && at.document.id() == book
            && matches!(at.document.body(), Body::PriceBook(_))
    })?;
    let Body::PriceBook(book) = found.document.body() else { return None };
    let is_of_model = |price: &&Price| {
        price.meter.is_none()
            && (price.model.as_deref() == Some(model)
                || price.aliases.iter().any(|alias| **alias == *model))
    };
    let is_of_provider = |price: &&Price| {
        price.provider.as_deref() == Some(provider)
            || price.provider_aliases.iter().any(|alias| **alias == *provider)
    };
    let of_model = || book.prices.iter().filter(is_of_model);
    of_model()
        .find(is_of_provider)
        .or_else(|| of_model().find(|price| price.provider.is_none()))
        .or_else(|| of_model().next().filter(|_| provider.is_empty()))
}

/// What each pool of the group cost; they sum to its cost. True when that is estimated.
pub fn split(group: &Group, price: Option<&Price>) -> (Vec<(Pool, Money)>, bool) {
    let rates = price.into_iter().flat_map(|price| {
        std::iter::once(&price.rates).chain(price.whens.iter().map(|when| &when.rates))
    });
    let rates: Vec<&TokenRates> = rates
        .filter_map(|rates| match rates {
            Rates::Tokens(rates) => Some(rates),
            Rates::Unit(_) => None,
        })
        .collect();
    // Every line was rounded once, and every pool's share here is cut once.
    let slack = i128::from(group.lines.abs()) + i128::try_from(ALL_POOLS.len()).unwrap_or(0);
    let exact = rates.iter().find_map(|rates| {
        let shares = shares(group, rates)?;
        let sum: i128 = shares.iter().map(|(_, share)| share).sum();
        ((sum - group.cost.atoms()).abs() <= slack).then_some(shares)
    });
    let (mut shares, is_estimated) = match exact {
        Some(shares) => (shares, false),
        None => (divided(group, rates.first().copied()), group.tokens.len() > 1),
    };
    // What the cuts left goes to the largest share.
    let sum: i128 = shares.iter().map(|(_, share)| share).sum();
    if let Some((_, share)) = shares.iter_mut().max_by_key(|(_, share)| share.abs()) {
        *share += group.cost.atoms() - sum;
    }
    let shares = shares.into_iter().map(|(pool, share)| (pool, Money::from_atoms(share))).collect();
    (shares, is_estimated)
}

/// Tokens × price, in steps of 10⁻¹², cut; `None` when a pool has no price or it does not fit.
fn shares(group: &Group, rates: &TokenRates) -> Option<Vec<(Pool, i128)>> {
    let share = |(pool, tokens): &(Pool, i64)| {
        let rate = rates.rate(*pool)?;
        let product = i128::from(*tokens).checked_mul(rate.mantissa())?;
        let share = match rate.decimals() <= ATOMS_PER_PRICE {
            true => product.checked_mul(10_i128.pow(ATOMS_PER_PRICE - rate.decimals()))?,
            false => product / 10_i128.checked_pow(rate.decimals() - ATOMS_PER_PRICE)?,
        };
        Some((*pool, share))
    };
    group.tokens.iter().map(share).collect()
}

/// The cost by the weights of the prices, or of the tokens where there are none.
fn divided(group: &Group, rates: Option<&TokenRates>) -> Vec<(Pool, i128)> {
    let by_tokens =
        || group.tokens.iter().map(|(pool, count)| (*pool, i128::from(*count))).collect();
    let weights: Vec<(Pool, i128)> =
        rates.and_then(|rates| shares(group, rates)).unwrap_or_else(by_tokens);
    let whole: i128 = weights.iter().map(|(_, weight)| weight).sum();
    let part = |weight: i128| {
        let product = group.cost.atoms().checked_mul(weight);
        // Past 10^38 a little precision is nothing against the estimate.
        match (product, whole) {
            (_, 0) => 0,
            (Some(product), whole) => product / whole,
            (None, whole) => group.cost.atoms() / whole * weight,
        }
    };
    weights.into_iter().map(|(pool, weight)| (pool, part(weight))).collect()
}

#[cfg(test)]
mod tests {
    use domain::CatalogueId;
    use proptest::prelude::*;
    use rating::Document;

    use super::*;

    fn catalogue() -> Catalogue {
        let book = r#"
            id = "vendors"
            effective_from = "2023-01-01T00:00:00Z"
            currency = "USD"
            [[price]]
            model = "m"
            aliases = ["m-2024"]
            provider = "v"
            per_million_tokens = { input = "2.50", output = "10.00", cache_read = "0.0000125" }
            [[price.when]]
            prompt_tokens_over = 200000
            per_million_tokens = { input = "5.00" }
        "#;
        let mut catalogue = Catalogue::new();
        let document = Document::parse(book).unwrap();
        catalogue.apply(CatalogueId(0), document).unwrap();
        catalogue
    }

    fn group(tokens: &[(Pool, i64)], cost: &str) -> Group {
        Group { tokens: tokens.to_vec(), cost: cost.parse().unwrap(), lines: 1 }
    }

    #[test]
    fn the_price_that_makes_the_sum_divides_it_exactly() {
        let catalogue = catalogue();
        let price = price_of(&catalogue, ("vendors", 1), ("v", "m-2024"));
        let tokens = [(Pool::Input, 1_000_000), (Pool::Output, 100_000)];
        for (cost, input) in [("3.5", "2.5"), ("6", "5")] {
            let (shares, is_estimated) = split(&group(&tokens, cost), price);
            assert_eq!(shares[0], (Pool::Input, input.parse().unwrap()));
            assert_eq!(shares[1], (Pool::Output, "1".parse().unwrap()));
            assert!(!is_estimated);
        }
        let (shares, is_estimated) = split(&group(&tokens, "7"), price);
        assert_eq!(shares[0], (Pool::Input, "5".parse().unwrap()));
        assert!(is_estimated);
        assert!(price_of(&catalogue, ("vendors", 2), ("v", "m")).is_none());
        assert!(price_of(&catalogue, ("vendors", 1), ("w", "m")).is_none());
        assert!(price_of(&catalogue, ("vendors", 1), ("", "m")).is_some());
    }

    proptest! {
        #[test]
        fn the_shares_sum_to_the_cost(
            counts in proptest::collection::vec(0_i64..10_000_000, 1..6),
            cost in -10_i128.pow(24)..10_i128.pow(24),
            priced in any::<bool>(),
        ) {
            let tokens: Vec<_> = ALL_POOLS.into_iter().zip(counts).collect();
            let group = Group { tokens, cost: Money::from_atoms(cost), lines: 3 };
            let catalogue = catalogue();
            let price = price_of(&catalogue, ("vendors", 1), ("v", "m")).filter(|_| priced);
            let (shares, _) = split(&group, price);
            let sum: Money = shares.iter().map(|(_, share)| *share).sum();
            prop_assert_eq!(sum, group.cost);
        }
    }
}
