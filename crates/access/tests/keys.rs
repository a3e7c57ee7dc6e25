//! Keys over their lives: made, used, rotated, revoked; and what nobody may do.

#![allow(clippy::unwrap_used, reason = "clippy knows only functions marked as tests for tests")]

use std::collections::BTreeMap;

use access::{Access, Action, Caller, Denied, Entropy, KeyBounds, KeyId, KeyState, NewKey, Role};
use domain::{Timestamp, Traffic};
use proptest::prelude::*;
use wire::{AccessChange, AccessRecord, KeyCreated, Replaced};

const HOUR: i64 = 3_600_000_000;

fn at(hours: i64) -> Timestamp {
    Timestamp::from_micros(1_790_000_000_000_000 + hours * HOUR)
}

fn key(seed: u8) -> NewKey {
    NewKey::of(&Entropy { id: [seed; 12], secret: [seed; 32] })
}

fn created(key: &NewKey, role: Role, bounds: KeyBounds) -> KeyCreated {
    KeyCreated {
        key: key.id,
        name: format!("key of {}", role.word()),
        role,
        hash: key.hash,
        bounds,
        expires: None,
        replaces: None,
        request: None,
    }
}

fn record(hours: i64, change: AccessChange) -> AccessRecord {
    AccessRecord { at: at(hours), by: "test".to_owned(), change }
}

fn access(records: impl IntoIterator<Item = AccessRecord>) -> Access {
    let mut access = Access::default();
    records.into_iter().for_each(|record| access.apply(record));
    access
}

fn caller(role: Role, bounds: KeyBounds) -> Caller {
    let made = key(1);
    let access = access([record(0, AccessChange::KeyCreated(created(&made, role, bounds)))]);
    access.authenticate(made.text.reveal(), at(0)).unwrap()
}

fn names(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

#[test]
fn only_the_whole_text_of_a_valid_key_is_accepted() {
    let (made, other) = (key(1), key(2));
    let access = access([record(
        0,
        AccessChange::KeyCreated(created(&made, Role::App, KeyBounds::default())),
    )]);
    let text = made.text.reveal();
    assert_eq!(access.authenticate(text, at(0)).unwrap().key(), made.id);
    assert_eq!(access.authenticate(other.text.reveal(), at(0)).unwrap_err(), Denied::Unknown);
    // This key's id, that key's secret.
    let (_, secret) = other.text.reveal().split_at("tally_".len() + KeyId::LENGTH);
    let mixed = format!("tally_{}{secret}", made.id);
    assert_eq!(access.authenticate(&mixed, at(0)).unwrap_err(), Denied::WrongSecret);
    for end in 0..text.len() {
        assert_eq!(
            access.authenticate(&text[..end], at(0)).unwrap_err(),
            Denied::Malformed,
            "{end}"
        );
    }
    for place in 0..text.len() {
        let mut changed = text.to_owned();
        let letter = if &text[place..=place] == "z" { "y" } else { "z" };
        changed.replace_range(place..=place, letter);
        assert!(access.authenticate(&changed, at(0)).is_err(), "{changed}");
    }
}

#[test]
fn a_rotation_overlaps_and_then_the_old_key_is_gone() {
    let (old, new) = (key(1), key(2));
    let first = created(&old, Role::Operator, KeyBounds::default());
    let second = KeyCreated {
        replaces: Some(Replaced { key: old.id, until: at(25) }),
        ..created(&new, Role::Operator, KeyBounds::default())
    };
    let access = access([
        record(0, AccessChange::KeyCreated(first)),
        record(1, AccessChange::KeyCreated(second)),
    ]);
    let valid = |key: &NewKey, hours| access.authenticate(key.text.reveal(), at(hours)).map(drop);
    assert_eq!(valid(&old, 24), Ok(()));
    assert_eq!(valid(&new, 24), Ok(()));
    assert_eq!(access.key(old.id).unwrap().state(at(24)), KeyState::Retiring);
    // The bound is half-open: from then on it is refused.
    assert_eq!(valid(&old, 25), Err(Denied::Revoked));
    assert_eq!(valid(&new, 25), Ok(()));
    assert_eq!(access.key(old.id).unwrap().replaced_by, Some(new.id));
    // A key on its way out is no operator to rely on.
    assert!(access.has_lasting_operator(at(24), old.id));
    assert!(!access.has_lasting_operator(at(24), new.id));
}

#[test]
fn a_key_expires_and_a_later_word_does_not_bring_it_back() {
    let made = key(1);
    let terms =
        KeyCreated { expires: Some(at(10)), ..created(&made, Role::App, KeyBounds::default()) };
    let mut access = access([record(0, AccessChange::KeyCreated(terms))]);
    let text = made.text.reveal();
    assert!(access.authenticate(text, at(9)).is_ok());
    assert_eq!(access.authenticate(text, at(10)).unwrap_err(), Denied::Expired);
    access.apply(record(1, AccessChange::KeyRevoked { key: made.id, from: at(2) }));
    access.apply(record(1, AccessChange::KeyRevoked { key: made.id, from: at(8) }));
    assert_eq!(access.authenticate(text, at(2)).unwrap_err(), Denied::Revoked);
    // Nor does the same key made again, with other rights.
    let again = created(&made, Role::Operator, KeyBounds::default());
    access.apply(record(2, AccessChange::KeyCreated(again)));
    assert_eq!(access.authenticate(text, at(2)).unwrap_err(), Denied::Revoked);
}

/// The table of rights, as it is promised. A change here is a change of the promise.
#[test]
fn roles_may_do_this_and_nothing_else() {
    let expected: BTreeMap<Role, &str> = BTreeMap::from([
        (Role::Producer, "SendUsage Explain ReadFreshness"),
        (Role::App, "SendUsage Explain Quote Hold ReadAccount ReadUsage ReadPrices ReadFreshness"),
        (
            Role::Finance,
            "Explain Quote ReadAccount ReadUsage ReadPrices ChangeCredits Export ReadFreshness ReadWebhooks",
        ),
        (
            Role::Analyst,
            "Explain Quote ReadAccount ReadUsage ReadPrices Query Export ReadFreshness ReadStatus",
        ),
        (
            Role::Operator,
            "SendUsage Explain Quote Hold ReadAccount ReadUsage ReadPrices ChangeCredits \
             PublishRates Query Export ReadFreshness ReadStatus Verify Operate ManageKeys \
             ManageWebhooks ReadWebhooks",
        ),
    ]);
    for (role, expected) in expected {
        let caller = caller(role, KeyBounds::default());
        let may: Vec<String> = Action::ALL
            .into_iter()
            .filter(|action| caller.may(*action))
            .map(|action| format!("{action:?}"))
            .collect();
        assert_eq!(may.join(" "), expected, "{role:?}");
    }
}

#[test]
fn nobody_but_an_operator_says_internal_unless_told() {
    for role in Role::ALL {
        let caller = caller(role, KeyBounds::default());
        let may = Traffic::ALL.iter().filter(|traffic| caller.may_send_traffic(**traffic)).count();
        assert_eq!(may, if role == Role::Operator { Traffic::ALL.len() } else { 1 }, "{role:?}");
        assert!(caller.may_send_traffic(Traffic::Customer));
        assert_eq!(caller.sends_freely(), role == Role::Operator);
    }
    let bounds = KeyBounds { traffic: Some(vec![Traffic::Internal]), ..KeyBounds::default() };
    let told = caller(Role::Producer, bounds);
    assert_eq!(told.may_send("s", Traffic::Internal, "a"), Ok(()));
    assert_eq!(told.may_send("s", Traffic::Customer, "a"), Err("data.traffic"));
}

#[test]
fn the_field_that_forbids_is_named() {
    let bounds = KeyBounds {
        accounts: names(&["a"]),
        sources: names(&["/s"]),
        traffic: Some(vec![Traffic::Customer]),
    };
    let caller = caller(Role::Producer, bounds);
    let may = |source, traffic, account| caller.may_send(source, traffic, account);
    assert_eq!(may("/s", Traffic::Customer, "a"), Ok(()));
    assert_eq!(may("/s", Traffic::Customer, "b"), Err("subject"));
    assert_eq!(may("/t", Traffic::Customer, "a"), Err("source"));
    assert_eq!(may("/s", Traffic::Internal, "a"), Err("data.traffic"));
    // Names are names: no prefix, no case, no blank.
    for account in ["", "A", "a ", "aa", "a*"] {
        assert!(!caller.may_reach(account), "{account}");
    }
}

#[test]
fn terms_that_do_not_work_name_their_field() {
    use access::KeyTerms;
    let good = KeyTerms {
        name: "n".to_owned(),
        role: Role::Producer,
        bounds: KeyBounds::default(),
        expires: None,
    };
    let field = |terms: KeyTerms| terms.checked(at(0)).map(drop).map_err(|bad| bad.field);
    let bounds = |bounds: KeyBounds| KeyTerms { bounds, ..good.clone() };
    assert_eq!(field(good.clone()), Ok(()));
    for (terms, wrong) in [
        (KeyTerms { name: " ".to_owned(), ..good.clone() }, "name"),
        (KeyTerms { name: "a\nb".to_owned(), ..good.clone() }, "name"),
        (KeyTerms { name: "x".repeat(65), ..good.clone() }, "name"),
        (KeyTerms { expires: Some(at(0)), ..good.clone() }, "expires"),
        (bounds(KeyBounds { accounts: Some(vec![]), ..KeyBounds::default() }), "accounts"),
        (bounds(KeyBounds { sources: names(&[""]), ..KeyBounds::default() }), "sources"),
        (bounds(KeyBounds { traffic: Some(vec![]), ..KeyBounds::default() }), "traffic"),
    ] {
        assert_eq!(field(terms), Err(wrong));
    }
    for role in [Role::Operator, Role::Finance, Role::Analyst] {
        let sources = KeyBounds { sources: names(&["s"]), ..KeyBounds::default() };
        assert_eq!(field(KeyTerms { role, ..bounds(sources) }), Err("sources"));
    }
    // What was left open is said.
    assert_eq!(good.checked(at(0)).unwrap().bounds.traffic, Some(vec![Traffic::Customer]));
}

/// A key's life as a list of things that are done to it, at rising hours.
#[derive(Clone, Debug)]
enum Step {
    Create { key: u8, expires: Option<i64> },
    Revoke { key: u8, from: i64 },
    Rotate { old: u8, new: u8, until: i64 },
    Use { key: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0_u8..6;
    prop_oneof![
        (key(), proptest::option::of(0_i64..100))
            .prop_map(|(key, expires)| Step::Create { key, expires }),
        (key(), 0_i64..100).prop_map(|(key, from)| Step::Revoke { key, from }),
        (key(), key(), 0_i64..100).prop_map(|(old, new, until)| Step::Rotate { old, new, until }),
        key().prop_map(|key| Step::Use { key }),
    ]
}

proptest! {
    /// A key is accepted when it was made, and neither its expiry nor the earliest of its
    /// revocations has come; whatever else happened, in whatever order.
    #[test]
    fn a_key_is_accepted_between_its_making_and_its_first_end(
        steps in proptest::collection::vec(step(), 0..30),
        now in 0_i64..100,
    ) {
        let mut access = Access::default();
        let mut ends: BTreeMap<u8, i64> = BTreeMap::new();
        let mut used: BTreeMap<u8, i64> = BTreeMap::new();
        for (hour, step) in (0_i64..).zip(steps) {
            let make = |new: u8, expires: Option<i64>, replaces| AccessChange::KeyCreated(KeyCreated {
                expires: expires.map(at),
                replaces,
                ..created(&key(new), Role::App, KeyBounds::default())
            });
            let change = match step {
                Step::Create { key, expires } => {
                    ends.entry(key).or_insert(expires.unwrap_or(i64::MAX));
                    make(key, expires, None)
                }
                Step::Revoke { key: of, from } => {
                    ends.entry(of).and_modify(|end| *end = from.min(*end));
                    AccessChange::KeyRevoked { key: key(of).id, from: at(from) }
                }
                Step::Rotate { old, new, until } => {
                    ends.entry(old).and_modify(|end| *end = until.min(*end));
                    ends.entry(new).or_insert(i64::MAX);
                    make(new, None, Some(Replaced { key: key(old).id, until: at(until) }))
                }
                Step::Use { key: of } => {
                    if ends.contains_key(&of) {
                        used.insert(of, hour);
                    }
                    AccessChange::KeyUsed { key: key(of).id }
                }
            };
            access.apply(record(hour, change));
        }
        for of in 0..6 {
            let accepted = access.authenticate(key(of).text.reveal(), at(now)).is_ok();
            prop_assert_eq!(accepted, ends.get(&of).is_some_and(|end| now < *end), "key {}", of);
            let last = access.key(key(of).id).and_then(|key| key.last_used);
            prop_assert_eq!(last, used.get(&of).map(|hour| at(*hour)));
        }
    }

    /// Whatever a key is bound to, it reaches nothing else.
    #[test]
    fn a_bound_holds_for_every_role(
        role in proptest::sample::select(&Role::ALL[..]),
        own in proptest::collection::vec("[ab/]{0,3}", 1..4),
        asked in "[ab/]{0,3}",
    ) {
        let bounds = KeyBounds {
            accounts: Some(own.clone()),
            sources: Some(own.clone()),
            traffic: None,
        };
        let caller = caller(role, bounds);
        prop_assert!(!caller.may_span_accounts());
        prop_assert!(!caller.sends_freely());
        prop_assert_eq!(caller.may_reach(&asked), own.contains(&asked));
        prop_assert_eq!(caller.may_reach_source(&asked), own.contains(&asked));
        let sent = caller.may_send(&asked, Traffic::Customer, &asked);
        prop_assert_eq!(sent.is_ok(), own.contains(&asked));
    }

    /// No text makes it panic, and none but the key's own is accepted.
    #[test]
    fn no_other_text_is_a_key(text in ".{0,80}") {
        let made = key(1);
        let access = access([record(
            0,
            AccessChange::KeyCreated(created(&made, Role::App, KeyBounds::default())),
        )]);
        prop_assert!(access.authenticate(&text, at(0)).is_err());
        let prefixed = format!("tally_{}_{text}", made.id);
        prop_assert!(access.authenticate(&prefixed, at(0)).is_err());
    }
}
