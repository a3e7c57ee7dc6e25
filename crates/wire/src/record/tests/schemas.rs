use apache_avro::Schema;
use apache_avro::rabin::Rabin;
use calendar::Period;
use domain::{ALL_POOLS, HoldAction, Outcome, Status, Topic, Traffic};
use ledger::{Category, HAPPENINGS, HoldEnding, ReturnTo, When};
use serde_json::Value as Json;

use crate::record::{DocumentKind, RECORD_SCHEMAS, Role};

#[test]
fn fingerprints_are_those_of_the_files() {
    let mut wrong = String::new();
    for file in RECORD_SCHEMAS {
        let schema = Schema::parse_str(file.text).unwrap();
        let bytes = schema.fingerprint::<Rabin>().bytes;
        let fingerprint = u64::from_le_bytes(bytes.try_into().unwrap());
        if fingerprint != file.fingerprint {
            wrong += &format!("{} {} {fingerprint:#018x}\n", file.subject, file.version);
        }
    }
    assert_eq!(wrong, "");
}

/// Wherever an enum of ours stands, its symbols are our words at our numbers.
#[test]
fn symbols_stand_at_our_numbers() {
    let topics = Topic::IN_RECORDS.map(|topic| match topic {
        // Avro names have no dots.
        Topic::UsageRaw => "usage_raw",
        Topic::UsageForwarded => "usage_forwarded",
        Topic::LedgerCommands => "ledger_commands",
        Topic::LedgerEntries => "ledger_entries",
        Topic::DeadLetters => "dead_letters",
        Topic::Replies => "replies",
        Topic::RatesCatalog => "rates_catalog",
        Topic::Access | Topic::AccountEvents | Topic::WebhookDeliveries => {
            panic!("no schema lists {topic}")
        }
    });
    let returns = ReturnTo::ALL.map(|to| match to {
        ReturnTo::Live => "live",
        ReturnTo::InGrace => "in_grace",
        ReturnTo::Expired => "expired",
    });
    // A period stands as its discriminant, which is its place among all.
    let periods = Period::ALL.map(|period| {
        assert_eq!(Period::ALL[period as usize], period);
        period.word()
    });
    let when = When::ALL.map(|when| match when {
        When::Fitting => "fitting",
        When::Now => "now",
        When::Renewal => "renewal",
    });
    let expected: Vec<(&str, Vec<&str>)> = vec![
        ("Traffic", Traffic::ALL.iter().map(|word| word.word()).collect()),
        ("Status", Status::ALL.iter().map(|word| word.word()).collect()),
        ("HoldAction", HoldAction::ALL.iter().map(|word| word.word()).collect()),
        ("Pool", ALL_POOLS.iter().map(|pool| pool.name()).collect()),
        ("Category", Category::ALL.iter().map(|category| category.word()).collect()),
        ("DocumentKind", DocumentKind::ALL.iter().map(|kind| kind.word()).collect()),
        ("Topic", topics.to_vec()),
        ("HoldEnding", HoldEnding::ALL.map(HoldEnding::word).to_vec()),
        ("ReturnTo", returns.to_vec()),
        ("Period", periods.to_vec()),
        ("When", when.to_vec()),
        ("Role", Role::ALL.map(Role::word).to_vec()),
    ];
    let mut seen = 0;
    for file in RECORD_SCHEMAS {
        each_enum(&serde_json::from_str(file.text).unwrap(), &mut |name, symbols| {
            let (_, words) = expected.iter().find(|(expected, _)| *expected == name).unwrap();
            assert_eq!(*symbols, Json::from(words.clone()), "{} {name}", file.subject);
            seen += 1;
        });
    }
    assert!(seen >= expected.len());
}

#[test]
fn a_seal_counts_every_outcome_in_order() {
    let seal = RECORD_SCHEMAS.iter().find(|file| file.subject == "seal").unwrap();
    let seal: Json = serde_json::from_str(seal.text).unwrap();
    let counts = seal["fields"].as_array().unwrap().iter().find(|field| field["name"] == "counts");
    let names: Vec<&str> = counts.unwrap()["type"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| field["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, Outcome::ALL.map(Outcome::word));
}

#[test]
fn happenings_stand_in_their_order() {
    let samples = super::samples::happenings();
    assert_eq!(samples.each_ref().map(|(_, happening)| happening.kind()), HAPPENINGS);
    let records = super::samples::all().into_iter();
    let places = records.filter(|(subject, ..)| *subject == "account-event").map(|(.., record)| {
        // The account (8 bytes), its number and the entry's (2 and 4), and the time (8).
        let place = 10 + 8 + 2 + 4 + 8;
        record[place] / 2
    });
    assert_eq!(places.collect::<Vec<_>>(), (0..HAPPENINGS.len() as u8).collect::<Vec<_>>());
}

fn each_enum(schema: &Json, see: &mut impl FnMut(&str, &Json)) {
    if schema["type"] == "enum" {
        see(schema["name"].as_str().unwrap(), &schema["symbols"]);
    }
    match schema {
        Json::Array(elements) => elements.iter().for_each(|one| each_enum(one, see)),
        Json::Object(members) => members.values().for_each(|one| each_enum(one, see)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}
