//! Prices per million tokens, one per pool, with the fallbacks resolved.

use domain::{ALL_POOLS, Pool, Pools};

use crate::decimal::Decimal;

/// Prices per million tokens: vendor prices in money, or a rate card's in money or credits.
///
/// A pool without a price of its own costs what it falls back to ([`Pool::fallback`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRates {
    /// The decimals that all the numbers below have.
    decimals: u32,
    /// A bit per pool that the document prices by name.
    own: u16,
    /// A bit per pool that has a price, its own or one that it falls back to.
    priced: u16,
    rates: Scaled,
}

/// The prices as whole numbers at one scale. Nearly all fit 64 bits, which multiplies fastest.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Scaled {
    Narrow([u64; Pool::COUNT]),
    Wide(Box<[i128; Pool::COUNT]>),
}

const fn bit(pool: Pool) -> u16 {
    1 << pool as u16
}

impl TokenRates {
    /// From the prices that a document names; `None` when they need more than 38 digits together.
    pub(crate) fn new(named: &[(Pool, Decimal)]) -> Option<Self> {
        let decimals = named.iter().map(|(_, price)| price.decimals()).max().unwrap_or(0);
        let own = named.iter().fold(0, |bits, (pool, _)| bits | bit(*pool));
        let mut wide = [0_i128; Pool::COUNT];
        let mut priced = 0;
        for pool in ALL_POOLS {
            let Some(source) = source(own, pool) else {
                continue;
            };
            priced |= bit(pool);
            for (_, price) in named.iter().filter(|(name, _)| *name == source) {
                wide[pool as usize] = price.at_scale(decimals)?;
            }
        }
        let mut narrow = [0_u64; Pool::COUNT];
        let fits = narrow
            .iter_mut()
            .zip(wide)
            .all(|(short, long)| u64::try_from(long).map(|value| *short = value).is_ok());
        let rates = if fits { Scaled::Narrow(narrow) } else { Scaled::Wide(Box::new(wide)) };
        Some(Self { decimals, own, priced, rates })
    }

    pub(crate) fn decimals(&self) -> u32 {
        self.decimals
    }

    pub(crate) fn scaled_rate(&self, pool: Pool) -> Option<i128> {
        (self.priced & bit(pool) != 0).then(|| match &self.rates {
            Scaled::Narrow(rates) => i128::from(rates[pool as usize]),
            Scaled::Wide(rates) => rates[pool as usize],
        })
    }

    /// The price per million tokens of a pool, its own or its fallback's.
    pub fn rate(&self, pool: Pool) -> Option<Decimal> {
        Decimal::new(self.scaled_rate(pool)?, self.decimals)
    }

    /// The pool whose price this one takes.
    pub fn source(&self, pool: Pool) -> Option<Pool> {
        source(self.own, pool)
    }

    /// The prices that the document names, in the pools' order.
    pub fn named(&self) -> impl Iterator<Item = (Pool, Decimal)> + '_ {
        ALL_POOLS
            .into_iter()
            .filter(|pool| self.own & bit(*pool) != 0)
            .filter_map(|pool| Some((pool, self.rate(pool)?)))
    }

    /// The first pool that counts and has no price.
    #[inline]
    pub(crate) fn unpriced(&self, pools: &Pools) -> Option<Pool> {
        pools.nonzero().map(|(pool, _)| pool).find(|pool| self.priced & bit(*pool) == 0)
    }

    /// Σ count × price, at [`Self::decimals`]; `None` when it does not fit.
    #[inline]
    pub(crate) fn sum_per_million(&self, pools: &Pools) -> Option<i128> {
        match &self.rates {
            Scaled::Narrow(rates) => {
                let mut sum = 0_u128;
                for pool in ALL_POOLS {
                    let product = u128::from(pools[pool]) * u128::from(rates[pool as usize]);
                    sum = sum.checked_add(product)?;
                }
                i128::try_from(sum).ok()
            }
            Scaled::Wide(rates) => pools.nonzero().try_fold(0_i128, |sum, (pool, count)| {
                sum.checked_add(rates[pool as usize].checked_mul(i128::from(count))?)
            }),
        }
    }
}

fn source(own: u16, pool: Pool) -> Option<Pool> {
    let mut at = pool;
    while own & bit(at) == 0 {
        at = at.fallback()?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pools_fall_back_step_by_step() {
        let price = |text: &str| text.parse::<Decimal>().unwrap();
        let rates =
            TokenRates::new(&[(Pool::Input, price("3")), (Pool::CacheWrite, price("3.75"))])
                .unwrap();
        assert_eq!(rates.rate(Pool::CacheWrite1h), Some(price("3.75")));
        assert_eq!(rates.rate(Pool::CacheReadAudio), Some(price("3")));
        assert_eq!(rates.source(Pool::CacheWriteAudio), Some(Pool::CacheWrite));
        assert_eq!(rates.rate(Pool::Reasoning), None);
    }

    #[test]
    fn wide_prices_keep_every_digit() {
        let price: Decimal = "12345678.000000000000000000001".parse().unwrap();
        let rates = TokenRates::new(&[(Pool::Input, price)]).unwrap();
        assert_eq!(rates.rate(Pool::Input), Some(price));
    }
}
