//! Usage that has not happened yet: the least, the expected and the most that it may come to.
//!
//! What is not known beforehand is how long a model's answer will be. An estimate is three events that differ in their output
//! tokens alone, and each is priced by the function that charges usage ([`crate::quote`]), so that an estimate has no
//! arithmetic of its own.

use domain::limits::TOKENS_MAX;
use domain::{Item, Measure, Pool, Side, Timestamp, UsageEvent};

use crate::catalogue::Catalogue;
use crate::rate::quote;
use crate::rating::{Rating, Unrated};

/// How many characters of a prompt are taken for one token.
pub const CHARACTERS_PER_TOKEN: u64 = 4;

/// The tokens that a prompt of so many characters is taken to have, rounded up.
pub const fn tokens_of_characters(characters: u64) -> u64 {
    characters.div_ceil(CHARACTERS_PER_TOKEN)
}

/// What is open about an item: its output may have from none to this many tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputRange {
    pub tokens_max: u64,
}

impl OutputRange {
    /// Half of the maximum, rounded up.
    pub const fn tokens_expected(self) -> u64 {
        self.tokens_max.div_ceil(2)
    }
}

/// Why items and their output ranges do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EstimateError {
    #[error("{ranges} output ranges for {items} items")]
    NotOneRangePerItem { items: usize, ranges: usize },
    /// `item` counts from 0.
    #[error("item {item} counts a meter, which has no output")]
    NotTokens { item: usize },
    #[error("item {item} has both a count and a range of output tokens")]
    OutputIsCounted { item: usize },
    #[error("item {item} may have more output than {TOKENS_MAX} tokens")]
    TooManyTokens { item: usize },
}

/// One event three times: with no output, with what is expected, and with all that it may have.
/// Where nothing is open they are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRange<'a> {
    pub least: UsageEvent<'a>,
    pub expected: UsageEvent<'a>,
    pub most: UsageEvent<'a>,
}

impl<'a> EventRange<'a> {
    /// From an event and, for each of its items in their order, what is open about it: `None` for
    /// an item whose counts are known. An item with a range brings its input pools (see
    /// [`tokens_of_characters`]) and no output. Items with a range come out as estimated.
    ///
    /// # Errors
    /// Another number of ranges than of items, or a range that its item cannot have.
    pub fn new(
        event: UsageEvent<'a>,
        ranges: &[Option<OutputRange>],
    ) -> Result<Self, EstimateError> {
        let (items, ranges_given) = (event.items.len(), ranges.len());
        if items != ranges_given {
            return Err(EstimateError::NotOneRangePerItem { items, ranges: ranges_given });
        }
        let (mut least, mut expected, mut most) = (event.clone(), event.clone(), event);
        for (index, range) in ranges.iter().enumerate() {
            let Some(range) = *range else { continue };
            if range.tokens_max > TOKENS_MAX {
                return Err(EstimateError::TooManyTokens { item: index });
            }
            for (event, output) in [
                (&mut least, 0),
                (&mut expected, range.tokens_expected()),
                (&mut most, range.tokens_max),
            ] {
                set_output(index, &mut event.items[index], output)?;
            }
        }
        Ok(Self { least, expected, most })
    }
}

fn set_output(index: usize, item: &mut Item<'_>, tokens: u64) -> Result<(), EstimateError> {
    match &mut item.measure {
        Measure::Meter { .. } => Err(EstimateError::NotTokens { item: index }),
        Measure::Tokens(pools) if pools.side(Side::Output) > 0 => {
            Err(EstimateError::OutputIsCounted { item: index })
        }
        Measure::Tokens(pools) => {
            pools[Pool::Output] = tokens;
            item.estimated = true;
            Ok(())
        }
    }
}

/// The prices of an [`EventRange`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuoteRange {
    pub least: Rating,
    pub expected: Rating,
    /// What a hold for the usage has to reserve.
    pub most: Rating,
}

/// What usage would be charged if it happened at `time`, from the least to the most.
///
/// # Errors
/// When any of the three has no price: usage may not begin under a price that part of it lacks.
pub fn quote_range(
    catalogue: &Catalogue,
    range: &EventRange<'_>,
    plan: Option<&str>,
    time: Timestamp,
) -> Result<QuoteRange, Unrated> {
    // The one that uses most pools first: its reason names the pool that has no price.
    let most = quote(catalogue, &range.most, plan, time)?;
    if range.least == range.most {
        return Ok(QuoteRange { least: most.clone(), expected: most.clone(), most });
    }
    Ok(QuoteRange {
        least: quote(catalogue, &range.least, plan, time)?,
        expected: quote(catalogue, &range.expected, plan, time)?,
        most,
    })
}
