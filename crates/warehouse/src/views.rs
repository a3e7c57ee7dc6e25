//! The views: what analysts query. Plain types only, every column commented, and right whether or
//! not the tables below have been merged.
//!
//! How they stay right:
//! - sums are taken as `Decimal256`, and the view's declared `Decimal(38, 12)` makes ClickHouse
//!   refuse a sum that does not fit instead of wrapping it;
//! - a table whose rows replace one another is read with `FINAL`, or by the latest step;
//! - columns below are always named through an alias (`u.credits`), because a bare name would mean
//!   the view's own column of that name.

mod credits;
mod exceptions;
mod freshness;
mod holds;
mod overview;
mod plans;
mod usage;

use projection::tables::Column;

/// One view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    pub name: &'static str,
    pub comment: &'static str,
    pub columns: &'static [Column],
    /// May say `{input_tokens}`, `{cached_tokens}`, `{output_tokens}`, `{tokens}` for sums of the
    /// pools of `u`, `{tables}` for the names of the projected tables, and
    /// `{grace}` for how long late usage may still draw an expired lot.
    pub select: &'static str,
}

/// Every view, each after those that it reads.
pub const VIEWS: &[View] = &[
    credits::BALANCES,
    credits::LOTS,
    holds::HOLDS,
    holds::HOLDS_BY_SOURCE,
    plans::SUBSCRIPTIONS,
    plans::BUDGETS,
    exceptions::UNRATED_USAGE,
    exceptions::QUARANTINE,
    freshness::FRESHNESS,
    freshness::FRESHNESS_HISTORY,
    usage::USAGE_BY_FEATURE,
    usage::USAGE_BY_MODEL,
    usage::MARGIN_BY_MODEL,
    usage::UNCOSTED_USAGE,
    usage::UNIT_COST_DAILY,
    overview::ACCOUNT_OVERVIEW,
    credits::CREDIT_ROLLFORWARD_DAILY,
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use projection::tables::{ColumnType, TABLES};

    use super::*;

    #[test]
    fn names_are_unique_and_every_column_says_what_it_means() {
        let mut names: HashSet<_> = TABLES.iter().map(|table| table.name).collect();
        for view in VIEWS {
            assert!(names.insert(view.name), "{}", view.name);
            assert!(view.comment.len() > 10, "{}", view.name);
            let mut columns = HashSet::new();
            for column in view.columns {
                assert!(columns.insert(column.name), "{}.{}", view.name, column.name);
                assert!(column.comment.len() > 10, "{}.{}", view.name, column.name);
                assert!(column.column_type != ColumnType::LargestInt64, "{}", view.name);
            }
        }
    }
}
