//! Events as producers may send them, within every limit.

use domain::limits::{AMOUNT_MAX_UNITS, TOKENS_MAX};
use domain::{
    ALL_POOLS, Attributes, Currency, HoldAction, Item, Measure, Money, Pool, Pools, Quantity,
    ReportedCost, SCALE, Side, Status, Text, Timestamp, Traffic,
};
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::draft::{Counting, CountingBySide, Draft, parts};

fn text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![
        "[a-z_/-]{1,12}".prop_map(Text::Owned),
        // Everything that is no control character: quotes, backslashes, other planes.
        "\\PC{1,20}".prop_map(Text::Owned).prop_filter("controls", |text| {
            !text.chars().any(char::is_control) && text.len() <= 256
        }),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes<'static>> {
    btree_map(text(), prop_oneof![Just(Text::default()), text()], 0..4)
        .prop_map(|attributes| attributes.into_iter().collect())
}

fn atoms() -> impl Strategy<Value = i128> {
    prop_oneof![
        (0..=1_000_i128).prop_map(|units| units * SCALE),
        0..=AMOUNT_MAX_UNITS * SCALE,
        Just(AMOUNT_MAX_UNITS * SCALE),
    ]
}

fn counting() -> impl Strategy<Value = Option<Counting>> {
    select(vec![None, Some(Counting::Inclusive), Some(Counting::Exclusive)])
}

/// Counts of a few pools, and a counting that fits them.
fn tokens() -> impl Strategy<Value = (Pools, CountingBySide)> {
    let counts = vec((select(ALL_POOLS.to_vec()), 0..=TOKENS_MAX / 16), 0..6);
    (counts, counting(), counting(), any::<bool>()).prop_map(|(counts, input, output, zero)| {
        let mut pools = Pools::default();
        for (pool, count) in counts {
            pools[pool] = if zero { 0 } else { count };
        }
        let mut said = CountingBySide { input, output };
        for side in [Side::Input, Side::Output] {
            let (whole, said) = match side {
                Side::Input => (Pool::Input, &mut said.input),
                Side::Output => (Pool::Output, &mut said.output),
            };
            let parts = parts(&pools, side);
            if parts > 0 && said.is_none() {
                *said = Some(Counting::Exclusive);
            }
            if *said == Some(Counting::Inclusive) {
                pools[whole] += parts;
            }
        }
        (pools, said)
    })
}

fn item() -> impl Strategy<Value = (Item<'static>, CountingBySide)> {
    let cost = (atoms(), "[A-Z]{3}").prop_map(|(amount, currency)| ReportedCost {
        amount: Money::from_atoms(amount),
        currency: currency.parse::<Currency>().unwrap(),
    });
    let measure = prop_oneof![
        tokens().prop_map(|(pools, counting)| (Measure::Tokens(pools), counting)),
        (text(), atoms()).prop_map(|(meter, quantity)| {
            let quantity = Quantity::from_atoms(quantity);
            (Measure::Meter { meter, quantity }, CountingBySide::default())
        }),
    ];
    let names = (text(), any::<bool>(), of(text()), of(text()));
    (measure, names, of(cost), attributes(), any::<bool>()).prop_map(
        |((measure, counting), names, vendor_cost, attributes, estimated)| {
            let (model, with_model, provider, service_tier) = names;
            let needs_model = matches!(measure, Measure::Tokens(_));
            let standard = |tier: &Text<'_>| matches!(tier.as_ref(), "standard" | "default");
            let item = Item {
                model: (with_model || needs_model).then_some(model),
                provider,
                service_tier: service_tier.filter(|tier| !standard(tier)),
                measure,
                vendor_cost,
                attributes,
                estimated,
            };
            (item, counting)
        },
    )
}

/// What an event corrects, and its items: none where it takes another back.
fn corrected_items()
-> impl Strategy<Value = (Option<Text<'static>>, Vec<(Item<'static>, CountingBySide)>)> {
    prop_oneof![
        3 => vec(item(), 1..5).prop_map(|items| (None, items)),
        1 => (text(), vec(item(), 0..3)).prop_map(|(id, items)| (Some(id), items)),
    ]
}

/// An event as it may be sent.
pub(super) fn draft() -> impl Strategy<Value = Draft<'static>> {
    let required = (text(), text(), text(), text(), 0_i64..=253_402_300_799_999_999);
    let words = (
        select(Traffic::ALL.to_vec()),
        select(Status::ALL.to_vec()),
        select(HoldAction::ALL.to_vec()),
        any::<bool>(),
    );
    (required, words, vec(of(text()), 10), attributes(), corrected_items()).prop_map(
        |(required, words, texts, attributes, (corrects, items))| {
            let mut draft = Draft::default();
            let event = &mut draft.event;
            (event.source, event.id, event.account, event.feature, _) = required.clone();
            event.time = Timestamp::from_micros(required.4);
            (event.traffic, event.status, event.hold_action, event.backfill) = words;
            let mut texts = texts.into_iter();
            for into in [
                &mut event.user,
                &mut event.team,
                &mut event.hold,
                &mut event.run,
                &mut event.step,
                &mut event.trace,
                &mut event.environment,
                &mut event.conversation,
                &mut event.requested_model,
                &mut event.vendor_request_id,
            ] {
                *into = texts.next().flatten();
            }
            event.attributes = attributes;
            event.corrects = corrects;
            draft.items_seen = items.len();
            for (item, counting) in items {
                draft.event.items.push(item);
                draft.counting.push(counting);
            }
            draft
        },
    )
}
