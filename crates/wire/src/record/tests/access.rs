//! Records of `access`: the samples behind the golden files, and the property.

use domain::{Timestamp, Traffic};
use proptest::prelude::*;

use super::interop::holds;
use super::*;
use crate::record::access::arbitrary::access_record;
use crate::record::access::{KeyBounds, KeyCreated, Replaced, WebhookSecret, WebhookSet};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn record(change: AccessChange) -> AccessRecord {
    AccessRecord {
        at: at("2026-11-20T12:00:00.456Z"),
        by: "operator (key:0123456789ab)".into(),
        change,
    }
}

fn created(bounds: KeyBounds) -> KeyCreated {
    KeyCreated {
        key: "7wq2m4x9t0ab".parse().unwrap(),
        name: "chat-eu".into(),
        role: Role::Producer,
        hash: std::array::from_fn(|place| u8::try_from(place).unwrap()),
        bounds,
        expires: None,
        replaces: None,
        request: None,
    }
}

pub(super) fn samples() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let bound = KeyCreated {
        expires: Some(at("2027-01-01T00:00:00Z")),
        replaces: Some(Replaced {
            key: "0123456789ab".parse().unwrap(),
            until: at("2026-11-21T12:00:00.456Z"),
        }),
        request: Some("order-77".into()),
        ..created(KeyBounds {
            accounts: Some(vec!["acct_42".into(), "acct_43".into()]),
            sources: Some(vec!["/chat/eu-1".into()]),
            traffic: Some(vec![Traffic::Customer, Traffic::Internal]),
        })
    };
    let webhook = WebhookSet {
        webhook: "wh_1".into(),
        url: "https://example.com/alerts".into(),
        secrets: vec![
            WebhookSecret { secret: "whsec_new".into(), until: None },
            WebhookSecret { secret: "whsec_old".into(), until: Some(at("2026-11-21T12:00:00Z")) },
        ],
        events: vec!["budget.threshold".into()],
        accounts: Some(vec!["acct_42".into()]),
        enabled: true,
        description: "on call".into(),
    };
    let key = "7wq2m4x9t0ab".parse().unwrap();
    let from = at("2026-11-21T12:00:00.456Z");
    [
        ("key-created", AccessChange::KeyCreated(created(KeyBounds::default()))),
        ("key-created-with-bounds", AccessChange::KeyCreated(bound)),
        ("key-revoked", AccessChange::KeyRevoked { key, from }),
        ("key-used", AccessChange::KeyUsed { key }),
        ("webhook-set", AccessChange::WebhookSet(webhook)),
        ("webhook-removed", AccessChange::WebhookRemoved { webhook: "wh_1".into() }),
    ]
    .into_iter()
    .map(|(name, change)| ("access", name, written(|out| encode_access(&record(change), out))))
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn access_records(record in access_record()) {
        let bytes = written(|out| encode_access(&record, out));
        prop_assert_eq!(decode_access(&bytes), Ok(record));
        holds("access", &bytes);
    }
}

#[test]
fn a_secret_is_never_printed() {
    let (.., bytes) = samples().into_iter().find(|(_, name, _)| *name == "webhook-set").unwrap();
    let shown = format!("{:?}", decode_access(&bytes).unwrap());
    assert!(shown.contains("https://example.com/alerts") && !shown.contains("whsec"), "{shown}");
}

#[test]
fn a_key_id_is_twelve_letters_and_digits() {
    assert_eq!("7wq2m4x9t0ab".parse::<KeyId>().unwrap().as_str(), "7wq2m4x9t0ab");
    for text in ["", "7wq2m4x9t0a", "7wq2m4x9t0abc", "7WQ2M4X9T0AB", "7wq2m4x9t0a_", "7wq2m4x9tüü"]
    {
        assert!(text.parse::<KeyId>().is_err(), "{text}");
    }
}
