//! Records of `webhook.deliveries`: the samples behind the golden files, and the property.

use domain::{Offset, Partition, Timestamp};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::interop::holds;
use super::*;
use crate::record::arbitrary::{name, text, time};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn record(change: DeliveryChange) -> DeliveryRecord {
    DeliveryRecord {
        at: at("2026-11-20T12:00:05.456Z"),
        webhook: "wh_7wq2m4x9t0ab".into(),
        place: EventPlace { partition: Partition(3), offset: Offset(8_812) },
        account: "acct_42".into(),
        number: 7,
        appended_at: at("2026-11-20T12:00:00.456Z"),
        event: b"the event's record".to_vec(),
        change,
    }
}

fn attempted(attempt: u32, outcome: AttemptOutcome, next_at: Option<&str>) -> DeliveryChange {
    let next_at = next_at.map(at);
    DeliveryChange::Attempted(Attempt { attempt, outcome, took_ms: 120, next_at })
}

pub(super) fn samples() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let later = Some("2026-11-20T12:00:20Z");
    let unanswered = AttemptOutcome::Unanswered { error: "no answer within 10 s".into() };
    let not_sent = AttemptOutcome::NotSent { why: "many others wait before it".into() };
    [
        ("delivered", attempted(1, AttemptOutcome::Answered { status: 204 }, None)),
        ("answered", attempted(2, AttemptOutcome::Answered { status: 503 }, later)),
        ("unanswered", attempted(3, unanswered, later)),
        ("not-sent", attempted(0, not_sent, later)),
        ("replay-asked", DeliveryChange::ReplayAsked { by: "ops (key:7wq2m4x9t0ab)".into() }),
    ]
    .into_iter()
    .map(|(name, change)| {
        ("webhook-delivery", name, written(|out| encode_delivery(&record(change), out)))
    })
    .collect()
}

fn owned() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.into_owned())
}

fn change() -> BoxedStrategy<DeliveryChange> {
    let outcome = prop_oneof![
        any::<u16>().prop_map(|status| AttemptOutcome::Answered { status }),
        owned().prop_map(|error| AttemptOutcome::Unanswered { error }),
        owned().prop_map(|why| AttemptOutcome::NotSent { why }),
    ];
    let attempt = (any::<u32>(), outcome, any::<u32>(), option::of(time())).prop_map(
        |(attempt, outcome, took_ms, next_at)| {
            DeliveryChange::Attempted(Attempt { attempt, outcome, took_ms, next_at })
        },
    );
    let asked = owned().prop_map(|by| DeliveryChange::ReplayAsked { by });
    prop_oneof![3 => attempt, 1 => asked].boxed()
}

fn delivery_record() -> impl Strategy<Value = DeliveryRecord> {
    let place = (any::<u32>(), 0..=i64::MAX).prop_map(|(partition, offset)| EventPlace {
        partition: Partition(partition),
        offset: Offset(offset),
    });
    let event = (name(), 0..=u64::MAX / 2, time(), vec(any::<u8>(), 0..64));
    (time(), name(), place, event, change()).prop_map(
        |(at, webhook, place, (account, number, appended_at, event), change)| DeliveryRecord {
            at,
            webhook: webhook.into_owned(),
            place,
            account: account.into_owned(),
            number,
            appended_at,
            event,
            change,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn delivery_records(record in delivery_record()) {
        let bytes = written(|out| encode_delivery(&record, out));
        prop_assert_eq!(decode_delivery(&bytes), Ok(record));
        holds("webhook-delivery", &bytes);
    }
}

#[test]
fn a_delivery_is_named_by_its_event() {
    let place = EventPlace { partition: Partition(3), offset: Offset(8_812) };
    assert_eq!(place.to_string(), "dlv_3-8812");
    assert_eq!("dlv_3-8812".parse(), Ok(place));
    for text in
        ["", "3-8812", "dlv_", "dlv_3", "dlv_3-", "dlv_-3-1", "dlv_3-+1", "dlv_4294967296-1"]
    {
        assert_eq!(text.parse::<EventPlace>(), Err(NotADelivery), "{text}");
    }
}
