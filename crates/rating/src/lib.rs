//! Price books, rate cards, plans and their catalogue; quotes; usage events to rate lines.
//!
//! The way of an event: [`Catalogue::apply`] has folded and compiled the published documents;
//! [`rate()`] takes those in force at the event's time, finds each item's rule and vendor price,
//! sums exact fractions, rounds once, and spreads the charge over the lines. [`explain_lines`]
//! says the same in sentences. [`quote_range`] prices what has not happened yet, and [`price_list()`]
//! says what a plan's customers pay before they run anything.
//!
//! **Architecture invariant:** rating knows nothing of Kafka, files or clocks, and has no floating
//! point: the same catalogue, event and plan give the same rating, to the last of 12 decimals, on
//! every machine and in every replay.
//!
//! **Architecture invariant:** nothing is free by accident (9). An item that no rule or price
//! covers makes the event [`Unrated`]; a vendor cost that is not known is absent, never zero.

#![deny(clippy::float_arithmetic)]

mod catalogue;
mod currency;
mod decimal;
mod document;
mod estimate;
mod exact;
mod explain;
mod litellm;
mod pattern;
mod price;
mod price_list;
mod rate;
mod rates;
mod rating;
mod spread;
mod view;

pub use catalogue::{Catalogue, OutOfOrder, Standing, Version};
pub use currency::foreign_currency;
pub use decimal::{Decimal, DecimalError};
pub use document::{
    Allowance, Anchor, Body, Charge, DOCUMENT_BYTES_MAX, Defaults, Document, DocumentError,
    DocumentFault, Form, Kind, OnExhausted, Overage, Plan, PlanPrice, Price, PriceBook, RateCard,
    Rates, Rollover, Rule, Trial, When,
};
pub use estimate::{
    CHARACTERS_PER_TOKEN, EstimateError, EventRange, OutputRange, QuoteRange, quote_range,
    tokens_of_characters,
};
pub use exact::Rounding;
pub use explain::{LineExplanation, explain_lines, explain_total};
pub use litellm::{Import, ImportError, NotRepresented, import_litellm};
pub use pattern::{Pattern, Patterns};
pub use price_list::{
    ListedAllowance, ListedCard, ListedCharge, ListedCondition, ListedMatch, ListedModel,
    ListedMoney, ListedOverage, ListedPlan, ListedPrice, ListedRollover, ListedRule, ListedTrial,
    PoolCredits, PriceList, price_list,
};
pub use rate::{quote, rate, rate_into};
pub use rates::TokenRates;
pub use rating::{Change, RateLine, Rating, Unrated, would_differ};
