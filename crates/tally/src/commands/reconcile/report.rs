//! The comparison for people: the largest differences, their causes, and what to do about each.

use domain::Money;
use reconcile::{CAUSES, Cause, Cell, Comparison, Totals};

use crate::table::{Align, Table, grouped, trimmed};

/// Charges for something else that are shown.
const OTHERS_SHOWN: usize = 10;

pub(super) fn report(comparison: &Comparison, top: usize, ignored: u64) -> String {
    let Comparison { vendor, currency, first, last, totals, .. } = comparison;
    let mut lines =
        format!("{vendor}, {first} to {last}, in {currency}; differences are ours − theirs\n\n");
    let differing: Vec<&Cell> = comparison.cells.iter().filter(|cell| cell.differs()).collect();
    if !differing.is_empty() {
        lines.push_str(&table(&differing, top, totals).to_string());
        if differing.len() > top {
            lines.push_str(&format!("and {} more (--top)\n", differing.len() - top));
        }
        lines.push('\n');
    }
    lines.push_str(&in_all(totals));
    for cause in CAUSES {
        if let Some(sentence) = sentence(cause, comparison) {
            lines.push_str(&sentence);
        }
    }
    if !comparison.others.is_empty() {
        let amount = money(comparison.billed_otherwise);
        lines.push_str(&format!("{amount} is billed for something else than tokens of a model:\n"));
        for other in comparison.others.iter().take(OTHERS_SHOWN) {
            lines.push_str(&format!("  {} {}: {}\n", other.day, other.what, money(other.billed)));
        }
        if comparison.others.len() > OTHERS_SHOWN {
            lines.push_str(&format!("  and {} more\n", comparison.others.len() - OTHERS_SHOWN));
        }
        lines.push_str("  next: give its words a pool in the mapping, or ignore it there\n");
    }
    if ignored > 0 {
        lines.push_str(&format!("{ignored} rows are ignored by the mapping\n"));
    }
    lines
}

fn table(cells: &[&Cell], top: usize, totals: &Totals) -> Table {
    let names = ["day", "model", "pool"].map(|name| (name, Align::Left));
    let counts = ["tokens", "billed tokens", "difference", "cost", "billed", "difference"];
    let prices = ["price/M", "billed/M"];
    let numbers = counts.into_iter().chain(prices).map(|name| (name, Align::Right));
    let mut table = Table::new(names.into_iter().chain(numbers).chain([("why", Align::Left)]));
    for cell in cells.iter().take(top) {
        let of_price = !cell.causes.of(Cause::Price).is_zero();
        let price = |price: Option<Money>| optional(price.filter(|_| of_price).map(money));
        table.row([
            cell.key.day.to_string(),
            cell.key.model.clone().unwrap_or_else(|| "all".to_owned()),
            cell.key.pool.map_or("all", |pool| pool.name()).to_owned(),
            count(cell.tokens),
            optional(cell.billed_tokens.map(count)),
            optional(cell.token_difference.map(count)),
            money(cell.cost),
            optional(cell.billed.map(money)),
            optional(cell.cost_difference.map(money)),
            price(cell.price),
            price(cell.billed_price),
            why(cell),
        ]);
    }
    table.row([
        "total".to_owned(),
        String::new(),
        String::new(),
        count(totals.tokens),
        optional(totals.billed_tokens.map(count)),
        optional(totals.billed_tokens.map(|billed| count(totals.tokens - billed))),
        money(totals.cost),
        optional(totals.billed.map(money)),
        optional(totals.cost_difference.map(money)),
    ]);
    table
}

/// The causes, the largest first, with their amounts.
fn why(cell: &Cell) -> String {
    let mut parts: Vec<(Cause, Money)> = CAUSES
        .into_iter()
        .map(|cause| (cause, cell.causes.of(cause)))
        .filter(|(_, amount)| !amount.is_zero())
        .collect();
    parts.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.atoms().abs()));
    if parts.is_empty() {
        return match cell.token_difference.unwrap_or(0) {
            0 => String::new(),
            missing if missing < 0 => Cause::MissingHere.word().to_owned(),
            _ => Cause::MissingThere.word().to_owned(),
        };
    }
    let parts = parts.iter().map(|(cause, amount)| format!("{} {}", cause.word(), money(*amount)));
    parts.collect::<Vec<_>>().join(", ")
}

fn in_all(totals: &Totals) -> String {
    let agree = totals.cells - totals.cells_beyond;
    let mut line = format!("{agree} of {} days, models and pools agree", totals.cells);
    if let (Some(billed), Some(difference)) = (totals.billed, totals.cost_difference) {
        line.push_str(&format!(
            "; {} metered, {} billed, difference {}",
            money(totals.cost),
            money(billed),
            money(difference)
        ));
    }
    line.push('\n');
    line
}

/// What a cause comes to over the whole bill, and what to do about it.
fn sentence(cause: Cause, comparison: &Comparison) -> Option<String> {
    let totals = &comparison.totals;
    let tokens = match cause {
        Cause::MissingHere => totals.tokens_missing_here,
        Cause::MissingThere => totals.tokens_missing_there,
        Cause::Unrated => i128::from(totals.unrated_tokens),
        Cause::NoVendorPrice => i128::from(totals.uncosted_tokens),
        Cause::Price | Cause::PoolSplit | Cause::Undetermined | Cause::Rounding => 0,
    };
    let amount = totals.causes.of(cause);
    let is_found = comparison.cells.iter().any(|cell| !cell.causes.of(cause).is_zero());
    if tokens == 0 && !is_found {
        return None;
    }
    // A bill without amounts says how many, and not how much.
    let of_amount = totals.billed.map(|_| money(amount));
    let of_tokens = (tokens != 0).then(|| format!("{} tokens", count(tokens)));
    let size = of_amount.into_iter().chain(of_tokens).collect::<Vec<_>>().join(", ");
    let (is, next) = match cause {
        Cause::MissingHere => (
            "billed, and never metered here",
            "look for calls that no producer reports, and for what was held back: tally dlq list, \
             tally quarantine list",
        ),
        Cause::MissingThere => (
            "metered here, and not billed",
            "check that the export covers every project and key; the largest rows say which day and \
             model: tally usage --by source,model",
        ),
        Cause::Unrated => (
            "usage that waits for a price",
            "tally unrated list, then tally rates publish FILE.toml: it is charged by that alone",
        ),
        Cause::NoVendorPrice => (
            "charged without a vendor price",
            "tally sql \"SELECT * FROM uncosted_usage\", then tally rates publish BOOK.toml \
             --retroactive, then tally rerate plan --out plan.jsonl --reason \"vendor price\"",
        ),
        Cause::Price => (
            "the same tokens at another price",
            "set the price book right: tally rates publish BOOK.toml --retroactive, then tally rerate \
             plan --out plan.jsonl --reason \"vendor price\"",
        ),
        Cause::PoolSplit => (
            "between the pools of a model, where our cost is known for the model alone",
            "nothing: it cancels over the model",
        ),
        Cause::Undetermined => (
            "not to be told from the bill",
            "give the vendor's export of tokens beside the one of amounts",
        ),
        Cause::Rounding => ("rounding, less than a step per row of the bill", "nothing"),
    };
    let next = match next.starts_with("nothing") {
        true => String::new(),
        false => format!("  next: {next}\n"),
    };
    Some(format!("{}: {size}: {is}\n{next}", cause.word()))
}

fn money(amount: Money) -> String {
    trimmed(&amount.to_string()).to_owned()
}

fn count(tokens: i128) -> String {
    let sign = if tokens < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(&tokens.unsigned_abs().to_string()))
}

fn optional(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}
