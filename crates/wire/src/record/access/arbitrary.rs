//! Strategies for the records of `access`.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::record::arbitrary::{name, text, time};

fn owned() -> impl Strategy<Value = String> {
    name().prop_map(|text| text.into_owned())
}

fn key_id() -> impl Strategy<Value = KeyId> {
    "[a-z0-9]{12}".prop_map(|text| text.parse().unwrap_or(KeyId([b'0'; KeyId::LENGTH])))
}

fn names() -> impl Strategy<Value = Vec<String>> {
    vec(owned(), 0..4)
}

fn bounds() -> impl Strategy<Value = KeyBounds> {
    let traffic = option::of(vec(select(Traffic::ALL), 0..3));
    (option::of(names()), option::of(names()), traffic)
        .prop_map(|(accounts, sources, traffic)| KeyBounds { accounts, sources, traffic })
}

fn created() -> impl Strategy<Value = KeyCreated> {
    let replaces = (key_id(), time()).prop_map(|(key, until)| Replaced { key, until });
    let who = (key_id(), owned(), select(&Role::ALL[..]), any::<[u8; 32]>());
    (who, bounds(), option::of(time()), option::of(replaces), option::of(owned())).prop_map(
        |((key, name, role, hash), bounds, expires, replaces, request)| KeyCreated {
            key,
            name,
            role,
            hash,
            bounds,
            expires,
            replaces,
            request,
        },
    )
}

fn webhook() -> impl Strategy<Value = WebhookSet> {
    let secret =
        (owned(), option::of(time())).prop_map(|(secret, until)| WebhookSecret { secret, until });
    let secrets = vec(secret, 0..=WEBHOOK_SECRETS_MAX);
    (owned(), owned(), secrets, names(), (option::of(names()), any::<bool>(), owned())).prop_map(
        |(webhook, url, secrets, events, (accounts, enabled, description))| WebhookSet {
            webhook,
            url,
            secrets,
            events,
            accounts,
            enabled,
            description,
        },
    )
}

fn change() -> BoxedStrategy<AccessChange> {
    prop_oneof![
        created().prop_map(AccessChange::KeyCreated),
        (key_id(), time()).prop_map(|(key, from)| AccessChange::KeyRevoked { key, from }),
        key_id().prop_map(|key| AccessChange::KeyUsed { key }),
        webhook().prop_map(AccessChange::WebhookSet),
        owned().prop_map(|webhook| AccessChange::WebhookRemoved { webhook }),
    ]
    .boxed()
}

/// Any record of `access`.
pub(in crate::record) fn access_record() -> impl Strategy<Value = AccessRecord> {
    (time(), text(), change()).prop_map(|(at, by, change)| AccessRecord {
        at,
        by: by.into_owned(),
        change,
    })
}
