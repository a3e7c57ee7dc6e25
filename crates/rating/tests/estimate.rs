//! The three numbers of a quote.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

use domain::limits::TOKENS_MAX;
use domain::{CatalogueId, Item, Measure, Pool, Pools, Reason, UsageEvent};
use rating::{
    Catalogue, Document, EstimateError, EventRange, OutputRange, quote_range, tokens_of_characters,
};

const CARD: &str = r#"
id = "standard"
effective_from = "2023-01-01T00:00:00Z"
currency = "USD"
credit_decimals = 4
[[rule]]
match = { meter = "pages" }
charge = { credits_per_unit = "1" }
[[rule]]
match = { model = "embed" }
charge = { credits_per_million_tokens = { input = "1000" } }
[[rule]]
match = { model = "*" }
charge = { credits_per_million_tokens = { input = "1000", output = "5000" } }
"#;

fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    catalogue.apply(CatalogueId(0), Document::parse(CARD).unwrap()).unwrap();
    catalogue
}

fn item(model: Option<&'static str>, measure: Measure<'static>) -> Item<'static> {
    Item {
        model: model.map(Into::into),
        provider: None,
        service_tier: None,
        measure,
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    }
}

fn tokens(input: u64, output: u64) -> Measure<'static> {
    let mut pools = Pools::default();
    pools[Pool::Input] = input;
    pools[Pool::Output] = output;
    Measure::Tokens(pools)
}

fn pages() -> Item<'static> {
    item(None, Measure::Meter { meter: "pages".into(), quantity: "3".parse().unwrap() })
}

fn event(items: Vec<Item<'static>>) -> UsageEvent<'static> {
    UsageEvent { time: "2026-01-01T00:00:00Z".parse().unwrap(), items, ..UsageEvent::default() }
}

const fn up_to(tokens_max: u64) -> Option<OutputRange> {
    Some(OutputRange { tokens_max })
}

#[test]
fn four_characters_are_a_token_and_begun_ones_count() {
    for (characters, tokens) in
        [(0, 0), (1, 1), (4, 1), (5, 2), (8_000, 2_000), (u64::MAX, 1 << 62)]
    {
        assert_eq!(tokens_of_characters(characters), tokens, "{characters}");
    }
}

#[test]
fn an_open_output_makes_three_numbers_and_a_known_one_the_same_thrice() {
    let mix = vec![
        item(Some("chat"), tokens(tokens_of_characters(8_001), 0)),
        item(Some("chat"), tokens(1_000, 1_000)),
        pages(),
    ];
    let range = EventRange::new(event(mix), &[up_to(1_001), None, None]).unwrap();
    assert!(range.least.items[0].estimated && !range.least.items[1].estimated);
    let quoted = quote_range(&catalogue(), &range, None, range.most.time).unwrap();
    // 2001 × 0.001, then 0, 501 or 1001 × 0.005; 1 + 5 for the known call; 3 for the pages.
    assert_eq!(quoted.least.credits.to_string(), "11.001");
    assert_eq!(quoted.expected.credits.to_string(), "13.506");
    assert_eq!(quoted.most.credits.to_string(), "16.006");

    let known = EventRange::new(event(vec![item(Some("chat"), tokens(3, 4))]), &[None]).unwrap();
    let quoted = quote_range(&catalogue(), &known, None, known.most.time).unwrap();
    assert_eq!((&quoted.least, &quoted.expected), (&quoted.most, &quoted.most));
    assert_eq!(quoted.most.credits.to_string(), "0.023");
}

#[test]
fn an_output_that_has_no_price_has_no_quote_either() {
    let range = EventRange::new(event(vec![item(Some("embed"), tokens(10, 0))]), &[up_to(5)]);
    let unrated =
        quote_range(&catalogue(), &range.unwrap(), None, event(Vec::new()).time).unwrap_err();
    assert_eq!((unrated.reason, unrated.value.as_str()), (Reason::NoPriceForPool, "output"));
}

#[test]
fn ranges_that_their_items_cannot_have_are_refused() {
    let of = |items, ranges: &[_]| EventRange::new(event(items), ranges).unwrap_err();
    let call = || item(Some("chat"), tokens(1, 0));
    assert_eq!(of(vec![call()], &[]), EstimateError::NotOneRangePerItem { items: 1, ranges: 0 });
    assert_eq!(of(vec![call(), pages()], &[None, up_to(1)]), EstimateError::NotTokens { item: 1 });
    let counted = item(Some("chat"), tokens(1, 1));
    assert_eq!(of(vec![counted], &[up_to(1)]), EstimateError::OutputIsCounted { item: 0 });
    let over = up_to(TOKENS_MAX + 1);
    assert_eq!(of(vec![call()], &[over]), EstimateError::TooManyTokens { item: 0 });
    assert!(EventRange::new(event(vec![call()]), &[up_to(TOKENS_MAX)]).is_ok());
}
