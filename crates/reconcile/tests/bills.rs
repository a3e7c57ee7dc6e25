//! Whole bills in the vendors' forms, beside what was metered. The files are made up.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use calendar::Date;
use domain::{Money, Pool};
use proptest::prelude::*;
use reconcile::{
    Bill, Cause, Cell, CompareError, Comparison, Mapping, Metered, MeteredRow, Rules, Usage,
    compare, preset,
};

fn data(name: &str) -> String {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn bill_of(mapping: &Mapping, files: &[(&str, &str)]) -> Bill {
    let mut bill = Bill::default();
    for (name, text) in files {
        bill.read(mapping, name, text.as_bytes()).unwrap();
    }
    bill
}

fn of_preset(vendor: &str, names: &[&str]) -> (Mapping, Bill) {
    let mapping = Mapping::read(preset(vendor).unwrap()).unwrap();
    let texts: Vec<(&str, String)> = names.iter().map(|name| (*name, data(name))).collect();
    let files: Vec<(&str, &str)> =
        texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let bill = bill_of(&mapping, &files);
    (mapping, bill)
}

fn row(model: &str, pool: Pool, costed_tokens: i64, cost: &str) -> MeteredRow {
    MeteredRow {
        day: date("2026-11-30"),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        pool,
        usage: Usage { costed_tokens, cost: money(cost), lines: 1, ..Usage::default() },
    }
}

fn metered(rows: Vec<MeteredRow>) -> Metered {
    Metered { currency: Some("USD".to_owned()), rows }
}

fn strict(bill: &Bill) -> Rules {
    let (first, last) = bill.days().unwrap();
    Rules { first, last, tokens_max: 0, cost_max: Money::ZERO }
}

fn compared(mapping: &Mapping, bill: &Bill, metered: &Metered) -> Comparison {
    let comparison = compare(bill, mapping, metered, &strict(bill)).unwrap();
    adds_up(&comparison);
    comparison
}

/// Causes sum to differences, cell by cell and in all, and cells to totals.
fn adds_up(comparison: &Comparison) {
    let totals = &comparison.totals;
    for cell in &comparison.cells {
        assert_eq!(cell.causes.sum(), cell.cost_difference.unwrap_or_default(), "{:?}", cell.key);
        let billed = cell.billed.unwrap_or(cell.cost);
        assert_eq!(cell.cost - billed, cell.cost_difference.unwrap_or_default());
        assert_eq!(
            cell.tokens - cell.billed_tokens.unwrap_or(cell.tokens),
            cell.token_difference.unwrap_or(0)
        );
    }
    assert_eq!(totals.causes.sum(), totals.cost_difference.unwrap_or_default());
    let cost: Money = comparison.cells.iter().map(|cell| cell.cost).sum();
    assert_eq!(cost, totals.cost);
}

fn cell<'c>(comparison: &'c Comparison, model: &str, pool: Pool) -> &'c Cell {
    let is = |cell: &&Cell| cell.key.model.as_deref() == Some(model) && cell.key.pool == Some(pool);
    comparison.cells.iter().find(is).unwrap()
}

const OPENAI: [&str; 2] = ["openai_completions_usage.csv", "openai_costs.csv"];

#[test]
fn an_openai_bill_that_agrees() {
    let (mapping, bill) = of_preset("openai", &OPENAI);
    let mut reasoning = row("gpt-4o", Pool::Reasoning, 20_000, "0.2");
    let rows = vec![
        row("gpt-4o", Pool::Input, 1_500_000, "3.75"),
        row("gpt-4o", Pool::CacheRead, 200_000, "0.25"),
        row("gpt-4o", Pool::Output, 100_000, "1"),
        reasoning.clone(),
    ];
    let comparison = compared(&mapping, &bill, &metered(rows.clone()));
    assert_eq!(comparison.totals.cells_beyond, 0, "{:?}", comparison.cells);
    // The columns of pools that nobody used are full of zeros.
    assert_eq!(comparison.totals.cells, 3);
    // The vendor bills reasoning as output.
    assert_eq!(cell(&comparison, "gpt-4o", Pool::Output).tokens, 120_000);
    // A charge that is no token usage is never passed over.
    assert_eq!(comparison.billed_otherwise, money("0.03"));
    assert!(!comparison.agrees);
    assert_eq!(bill.empty, 2);

    // What other vendors serve is not theirs; what names no vendor is, when they bill the model.
    reasoning.provider = "azure".to_owned();
    let mut rows = rows;
    rows[3] = reasoning;
    rows[0].provider = String::new();
    rows.push(MeteredRow { provider: String::new(), ..row("other", Pool::Input, 5, "1") });
    let comparison = compared(&mapping, &bill, &metered(rows));
    let output = cell(&comparison, "gpt-4o", Pool::Output);
    assert_eq!(output.token_difference, Some(-20_000));
    assert_eq!(output.causes.of(Cause::MissingHere), money("-0.2"));
    assert_eq!(comparison.totals.cells_beyond, 1);
    assert!(comparison.cells[0].is_beyond, "what differs comes first");
}

#[test]
fn an_anthropic_bill_in_cents_agrees_up_to_rounding() {
    let (mapping, bill) = of_preset("anthropic", &["anthropic_usage.csv", "anthropic_cost.csv"]);
    let model = "claude-haiku-4-5";
    let mut rows = vec![
        row(model, Pool::Input, 150_000, "0.15"),
        row(model, Pool::CacheWrite, 2_000, "0.0025"),
        row(model, Pool::CacheWrite1h, 500, "0.001"),
        row(model, Pool::CacheRead, 40_000, "0.004"),
        row(model, Pool::Output, 40_000, "0.2"),
    ];
    for row in &mut rows {
        row.provider = "anthropic".to_owned();
    }
    let comparison = compared(&mapping, &bill, &metered(rows.clone()));
    assert_eq!(comparison.totals.cells_beyond, 0, "{:?}", comparison.cells);
    assert_eq!(comparison.totals.causes.of(Cause::Rounding), money("0.0075"));
    assert_eq!(comparison.others.len(), 1);
    // Two rows may be off by two cents, and no more.
    rows[4].usage.cost = money("0.22");
    assert_eq!(compared(&mapping, &bill, &metered(rows.clone())).totals.cells_beyond, 0);
    rows[4].usage.cost = money("0.221");
    let comparison = compared(&mapping, &bill, &metered(rows));
    assert_eq!(comparison.totals.cells_beyond, 1);
    assert_eq!(cell(&comparison, model, Pool::Output).causes.of(Cause::Price), money("0.021"));
}

#[test]
fn a_mapping_of_ones_own_reads_local_forms() {
    let mapping = Mapping::read(&data("acme.toml")).unwrap();
    let bill = bill_of(&mapping, &[("acme.csv", &data("acme.csv"))]);
    assert_eq!(bill.ignored, 1);
    let mut rows = vec![
        row("acme-large", Pool::Input, 1_234_500, "1234.5"),
        row("acme-large", Pool::Output, 10_000, "20"),
    ];
    for row in &mut rows {
        row.provider = "acme-eu".to_owned();
    }
    let mut ours = Metered { currency: Some("EUR".to_owned()), rows };
    assert!(compared(&mapping, &bill, &ours).agrees);
    ours.currency = Some("USD".to_owned());
    let refused = compare(&bill, &mapping, &ours, &strict(&bill)).unwrap_err();
    assert!(matches!(refused, CompareError::Currency { .. }), "{refused}");
}

#[test]
fn tolerances_forgive_so_much_and_no_more() {
    let (mapping, bill) = of_preset("openai", &OPENAI[..1]);
    let mut rows = vec![
        row("gpt-4o", Pool::Input, 1_500_000 - 7, "1"),
        row("gpt-4o", Pool::CacheRead, 200_000, "1"),
        row("gpt-4o", Pool::Output, 120_000, "1"),
    ];
    let ours = metered(rows.clone());
    let rules = |tokens_max| Rules { tokens_max, ..strict(&bill) };
    for (tokens_max, agrees) in [(0, false), (6, false), (7, true)] {
        let comparison = compare(&bill, &mapping, &ours, &rules(tokens_max)).unwrap();
        assert_eq!(comparison.agrees, agrees, "{tokens_max}");
        assert_eq!(comparison.totals.billed, None, "a usage export has no amounts");
    }
    let (mapping, bill) = of_preset("openai", &OPENAI);
    rows[0].usage = Usage { costed_tokens: 1_500_000, cost: money("4"), ..rows[0].usage };
    let comparison = compare(
        &bill,
        &mapping,
        &metered(rows),
        &Rules { cost_max: money("0.25"), ..strict(&bill) },
    )
    .unwrap();
    assert!(!cell(&comparison, "gpt-4o", Pool::Input).is_beyond);
    assert!(cell(&comparison, "gpt-4o", Pool::CacheRead).is_beyond);
}

#[test]
fn an_estimated_split_is_no_price_when_the_model_agrees() {
    let (mapping, bill) = of_preset("openai", &OPENAI);
    let mut rows = vec![
        row("gpt-4o", Pool::Input, 1_500_000, "3.5"),
        row("gpt-4o", Pool::CacheRead, 200_000, "0.3"),
        row("gpt-4o", Pool::Output, 120_000, "1.4"),
    ];
    let beyond = |rows: &[MeteredRow]| {
        compared(&mapping, &bill, &metered(rows.to_vec())).totals.cells_beyond
    };
    assert_eq!(beyond(&rows), 3);
    for row in &mut rows {
        row.usage.is_estimated = true;
    }
    assert_eq!(beyond(&rows), 0);
    // All that is left goes there, be it small.
    rows[1].usage.cost = money("0.2500005");
    rows[2].usage.cost = money("1.4499995");
    let causes = compared(&mapping, &bill, &metered(rows.clone())).totals.causes;
    assert_eq!(causes.sum(), Money::ZERO);
    assert_eq!((causes.of(Cause::Price), causes.of(Cause::Rounding)), (Money::ZERO, Money::ZERO));
    rows[1].usage.cost = money("0.3");
    rows[2].usage.cost = money("1.5");
    assert_eq!(beyond(&rows), 3);
}

#[test]
fn what_a_mapping_cannot_read_is_refused_with_its_line() {
    let mapping = Mapping::read(preset("openai").unwrap()).unwrap();
    let refused = |text: &str| {
        Bill::default().read(&mapping, "bill.csv", text.as_bytes()).unwrap_err().to_string()
    };
    let costs = data("openai_costs.csv");
    for (from, to, said) in [
        ("2.5e-1", "two", ["line 3", "amount_value", "two"]),
        ("3.7500000000000000,usd", "3.75,eur", ["line 2", "amount_currency", "USD"]),
        (
            "2026-11-30T00:00:00+00:00,2026-12-01T00:00:00+00:00,1.2",
            "soon,then,1.2",
            ["line 4", "start_time_iso", "soon"],
        ),
        ("web search tool calls", "", ["line 5", "line_item", "grouped"]),
        ("line_item", "item", ["bill.csv", "costs lacks line_item", "none of the mapping's forms"]),
    ] {
        assert!(costs.contains(from), "{from}");
        let error = refused(&costs.replace(from, to));
        for part in said {
            assert!(error.contains(part), "{error}");
        }
    }
    // A token count that is no whole number.
    let usage =
        data("openai_completions_usage.csv").replace("1000000.0,1000000.0", "1000000.0,1000000.5");
    assert!(refused(&usage).contains("not a whole number"), "{}", refused(&usage));
    // Two exports that count the same thing would count it twice.
    let anthropic = Mapping::read(preset("anthropic").unwrap()).unwrap();
    let mut bill = bill_of(&anthropic, &[("a", &data("anthropic_cost.csv"))]);
    let report = "starting_at,model,token_type,amount,currency\n2026-11-30T00:00:00Z,m,output_tokens,123.45,USD\n";
    let error = bill.read(&anthropic, "b", report.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("count the same thing"), "{error}");
    let cents = bill_of(&anthropic, &[("b", report)]);
    let comparison = compared(&anthropic, &cents, &metered(Vec::new()));
    assert_eq!(comparison.totals.billed, Some(money("1.2345")));
}

/// A kind of token that the mapping does not know is shown, with its amount, until the mapping does.
#[test]
fn a_word_without_a_meaning_is_no_silence() {
    let mapping = Mapping::read(preset("anthropic").unwrap()).unwrap();
    let costs = data("anthropic_cost.csv").replace("input_cache_read,0.00", "input_dreamt,0.07");
    let bill = bill_of(&mapping, &[("cost", &costs)]);
    let comparison = compared(&mapping, &bill, &metered(Vec::new()));
    let others: Vec<(&str, Money)> =
        comparison.others.iter().map(|other| (other.what.as_str(), other.billed)).collect();
    assert!(others.contains(&("Claude Haiku 4.5, input_dreamt", money("0.07"))), "{others:?}");
    assert!(!comparison.agrees);
}

#[test]
fn days_outside_the_range_are_left_alone() {
    let (mapping, bill) = of_preset("openai", &OPENAI);
    let day = date("2026-12-05");
    let rules = Rules { first: day, last: day, ..strict(&bill) };
    let ours = metered(vec![row("gpt-4o", Pool::Input, 1, "1")]);
    assert_eq!(compare(&bill, &mapping, &ours, &rules), Err(CompareError::NothingBilled));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any bill beside any usage: everything adds up, and no token or amount gets lost.
    #[test]
    fn whatever_is_billed_and_metered_adds_up(
        billed in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u32..5_000, 0_u32..100_000), 1..12),
        ours in proptest::collection::vec(
            (0_u8..3, 0_usize..4, 0_i64..5_000, 0_i64..3, 0_i64..3, 0_i128..10_i128.pow(12), any::<bool>()),
            0..12,
        ),
    ) {
        let mapping = Mapping::read(r#"
            vendor = "v"
            providers = ["openai"]
            currency = "USD"
            [[form]]
            name = "f"
            date = { column = "day" }
            model = "model"
            pool = "pool"
            tokens = { column = "tokens" }
            amount = { column = "amount" }
            rounding = "0.001"
            pools = { a = "input", b = "output", c = "cache_read" }
        "#).unwrap();
        let mut text = "day,model,pool,tokens,amount\n".to_owned();
        for (model, pool, tokens, amount) in &billed {
            let pool = ['a', 'b', 'c'][usize::from(*pool)];
            text.push_str(&format!("2026-11-30,m{model},{pool},{tokens},{amount}e-3\n"));
        }
        let bill = bill_of(&mapping, &[("f", &text)]);
        let pools = [Pool::Input, Pool::Output, Pool::Reasoning, Pool::CacheReadAudio];
        let rows: Vec<MeteredRow> = ours.iter().map(|(model, pool, tokens, unrated, uncosted, cost, estimated)| {
            let mut row = row(&format!("m{model}"), pools[*pool], *tokens, "0");
            row.usage.unrated_tokens = *unrated;
            row.usage.uncosted_tokens = *uncosted;
            row.usage.cost = Money::from_atoms(*cost);
            row.usage.is_estimated = *estimated;
            row
        }).collect();
        let seen: i128 = rows.iter().map(|row| row.usage.tokens()).sum();
        let comparison = compare(&bill, &mapping, &metered(rows), &strict(&bill)).unwrap();
        adds_up(&comparison);
        let tokens: i128 = billed.iter().map(|row| i128::from(row.2)).sum();
        let amount: i128 = billed.iter().map(|row| i128::from(row.3) * 10_i128.pow(9)).sum();
        prop_assert_eq!(comparison.totals.tokens, seen);
        prop_assert_eq!(comparison.totals.billed_tokens, Some(tokens));
        prop_assert_eq!(comparison.totals.billed, Some(Money::from_atoms(amount)));
        let split: Money = comparison.cells.iter().map(|cell| cell.causes.of(Cause::PoolSplit)).sum();
        // Every day and model whose split was settled is within the rounding of its rows.
        prop_assert!(split.atoms().abs() <= (billed.len() as i128) * 10_i128.pow(9) + 1_000);
        prop_assert_eq!(comparison.agrees, comparison.cells.iter().all(|cell| !cell.is_beyond));
    }
}
