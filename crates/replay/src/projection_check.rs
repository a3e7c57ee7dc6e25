//! Invariant 12: a projection adds up to the ledger. Pure: whoever reads the projection hands over
//! what it holds.

use std::collections::BTreeMap;

use domain::{Credits, Money};
use ledger::Balance;

use crate::{Check, Dimensions, Sums, Totals};

/// What one place of a projection adds up to.
#[derive(Clone, Debug, Default)]
pub struct Projected {
    /// The table or view, for counterexamples.
    pub place: &'static str,
    pub usage: BTreeMap<Dimensions, Sums>,
}

/// Compares the sums by account, feature, model and traffic class, to the last decimal, and in both
/// directions: what is missing there, and what is there and in no ledger.
pub fn check_usage(check: &mut Check, totals: &Totals, projected: &Projected) {
    let nothing = Sums::default();
    for (dimensions, sums) in &totals.usage {
        let there = projected.usage.get(dimensions).unwrap_or(&nothing);
        check.note((there != sums).then(|| difference(projected.place, dimensions, sums, there)));
    }
    for (dimensions, there) in &projected.usage {
        if !totals.usage.contains_key(dimensions) && *there != nothing {
            check.note(Some(difference(projected.place, dimensions, &nothing, there)));
        }
    }
}

/// Compares the last balance of every account that `is_covered` says can be compared.
pub fn check_balances(
    check: &mut Check,
    totals: &Totals,
    projected: &BTreeMap<String, Balance>,
    is_covered: impl Fn(&str) -> bool,
) {
    for (account, balance) in totals.balances.iter().filter(|(account, _)| is_covered(account)) {
        let there = projected.get(account);
        check.note((there != Some(balance)).then(|| {
            format!("balances, account {account:?}: {balance:?} in the ledger, {there:?} there")
        }));
    }
    for account in projected.keys().filter(|account| !totals.balances.contains_key(*account)) {
        check.note(
            is_covered(account).then(|| format!("balances: account {account:?} is in no ledger")),
        );
    }
}

fn difference(place: &str, at: &Dimensions, ledger: &Sums, there: &Sums) -> String {
    let credits: Credits = there.credits - ledger.credits;
    let cost: Money = there.vendor_cost - ledger.vendor_cost;
    format!(
        "{place}, {at:?}: {} lines, {} credits and {} vendor cost in the ledger; {} lines, {} \
         credits (by {credits}) and {} vendor cost (by {cost}) there; uncosted {} and {}",
        ledger.lines,
        ledger.credits,
        ledger.vendor_cost,
        there.lines,
        there.credits,
        there.vendor_cost,
        ledger.uncosted_lines,
        there.uncosted_lines,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(lines: i64, credits: &str) -> (Totals, Projected) {
        let at = Dimensions {
            account: "a".to_owned(),
            feature: "chat".to_owned(),
            model: "m".to_owned(),
            traffic: "customer",
        };
        let sums = Sums { lines, credits: credits.parse().unwrap(), ..Sums::default() };
        let usage = BTreeMap::from([(at, sums)]);
        let totals = Totals { usage: usage.clone(), ..Totals::default() };
        (totals, Projected { place: "usage_lines", usage })
    }

    #[test]
    fn equal_sums_hold_and_the_last_decimal_breaks_them() {
        let (ledger, same) = totals(2, "1.5");
        let (_, other) = totals(2, "1.500000000001");
        let (empty, nowhere) = (Totals::default(), Projected::default());
        for (ledger, projected, broken) in
            [(&ledger, &same, 0), (&ledger, &other, 1), (&ledger, &nowhere, 1), (&empty, &same, 1)]
        {
            let mut check = Check::new(12, "the projection adds up to the ledger");
            check_usage(&mut check, ledger, projected);
            assert_eq!((check.checked, check.broken), (1, broken), "{:?}", check.counterexamples);
        }
    }

    #[test]
    fn balances_are_compared_both_ways_where_they_are_covered() {
        let balance = Balance { settled: Credits::from_units(5), ..Balance::default() };
        let held = |name: &str| BTreeMap::from([(name.to_owned(), balance)]);
        let ledger = Totals { balances: held("a"), ..Totals::default() };
        for (projected, covered, broken) in [
            (held("a"), true, 0),
            (BTreeMap::new(), true, 1),
            (held("b"), true, 2),
            (held("b"), false, 0),
        ] {
            let mut check = Check::new(12, "the projection adds up to the ledger");
            check_balances(&mut check, &ledger, &projected, |_| covered);
            assert_eq!(check.broken, broken, "{:?}", check.counterexamples);
        }
    }
}
