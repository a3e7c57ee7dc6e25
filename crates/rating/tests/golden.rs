//! Every golden file, exactly.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.

mod support;

use domain::{CatalogueId, Credits, Money, Reason};
use rating::{Catalogue, Document, rate};
use serde_json::Value;

fn catalogue(golden: &Value) -> Catalogue {
    let mut catalogue = Catalogue::new();
    for (id, key) in [(0, "price_book_toml"), (1, "rate_card_toml")] {
        let document = Document::parse(golden[key].as_str().unwrap()).unwrap();
        catalogue.check(&document).unwrap();
        catalogue.apply(CatalogueId(id), document).unwrap();
    }
    catalogue
}

fn strings(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn check(golden: &Value) {
    let catalogue = catalogue(golden);
    let expect = &golden["expect"];
    let reason = || Reason::from_code(expect["reason"].as_str().unwrap()).unwrap();
    let outcome = expect["outcome"].as_str().unwrap();
    let event = match support::usage_event(&golden["event"]) {
        Ok(event) => event,
        Err(found) => {
            assert_eq!((outcome, reason()), ("dead_letter", found));
            return;
        }
    };
    let rating = match rate(&catalogue, &event, None) {
        Ok(rating) => rating,
        Err(unrated) => {
            assert_eq!((outcome, reason()), ("unrated", unrated.reason), "{unrated}");
            return;
        }
    };
    assert_eq!(outcome, "debit");
    let credits = |key: &str| expect[key].as_str().unwrap().parse::<Credits>().unwrap();
    assert_eq!(rating.credits, credits("credits"));
    assert_eq!(rating.residual, credits("residual"));
    let vendor_cost: Money = expect["vendor_cost"].as_str().unwrap().parse().unwrap();
    assert_eq!(rating.vendor_cost_known(), vendor_cost);
    let statuses: Vec<_> = rating.lines.iter().map(|line| line.cost_status.word()).collect();
    assert_eq!(statuses, strings(&expect["cost_status"]));
    if !expect["item_credits_exact"].is_null() {
        let exact: Vec<_> = rating.lines.iter().map(|line| line.exact.to_string()).collect();
        assert_eq!(exact, strings(&expect["item_credits_exact"]));
    }
    assert_eq!(rating.lines.iter().map(|line| line.credits).sum::<Credits>(), rating.credits);
}

#[test]
fn every_golden_file_passes_exactly() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let golden: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = golden["name"].as_str().unwrap().to_owned();
        println!("{name}");
        check(&golden);
        names.push(name);
    }
    assert_eq!(names.len(), 34);
}
