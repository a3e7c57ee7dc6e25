//! Strategies that generate every record, for property tests here and in other crates.
//!
//! What they make is what can be written: within every limit, attributes sorted, an event's account
//! its entry's. It need not add up: lines, draws and balances are drawn each for itself.

use std::borrow::Cow;

use calendar::{Window, Zone};
use domain::{
    ALL_POOLS, Attributes, CatalogueId, ContentHash, Credits, Currency, EntryNumber, HoldAction,
    Item, LotId, Measure, Money, Offset, Outcome, Partition, Pool, Pools, PriceRef, Quantity,
    REASONS, RateLine, Reason, ReportedCost, RuleId, SCALE, Sequence, Status, Text, Timestamp,
    Topic, TopicPartition, Traffic, UsageEvent, limits,
};
use ledger::{
    Adjustment, Balance, Body, ByHand, CatalogueAdopted, Category, Cause, Counts, Debit, Draw,
    Draws, Entry, Exception, ExceptionKind, Grant, HoldId, LotActivated, LotClosed, LotExpiring,
    LotInGrace, Quarantined, RolledOver, Seal, SourceRange, Unrated,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{CatalogueVersion, DeadLetter, DeadLetterRetry, DocumentKind, document_hash};

mod commands;
mod controls;
mod corrections;
mod holds;
mod plans;

pub use commands::{account_event, command, command_bodies, command_body, reply};
pub use controls::budget_terms;
pub use holds::scope;

const WORDS: &[&str] =
    &["acct_42", "/chat/eu-1", "req_8f2c", "gpt-4o", "openai", "research-agent", "ü"];
const ZONES: &[&str] = &["UTC", "Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"];

/// An input's text: some words of the field, some of any letters; never empty.
///
/// Boxed, as every strategy with many parts is here: the trees of values that proptest makes of
/// them would overflow a test's stack otherwise.
pub fn name() -> BoxedStrategy<Text<'static>> {
    let letters = vec(any::<char>().prop_filter("control", |c| !c.is_control()), 1..20);
    prop_oneof![
        select(WORDS).prop_map(Cow::Borrowed),
        letters.prop_map(|letters| Cow::Owned(letters.into_iter().collect())),
        Just(Cow::Owned("x".repeat(limits::TEXT_BYTES_MAX))),
    ]
    .boxed()
}

/// A text that may be empty.
pub fn text() -> impl Strategy<Value = Text<'static>> {
    prop_oneof![1 => Just(Cow::Borrowed("")), 9 => name()]
}

/// Steps of 10⁻¹² of every size, negative ones too, up to the largest amount.
fn atoms() -> impl Strategy<Value = i128> {
    const MAX: i128 = limits::AMOUNT_MAX_UNITS * SCALE;
    prop_oneof![Just(0), -300_i128..300, any::<i64>().prop_map(i128::from), -MAX..=MAX]
}

pub fn credits() -> impl Strategy<Value = Credits> {
    atoms().prop_map(Credits::from_atoms)
}

pub fn money() -> impl Strategy<Value = Money> {
    atoms().prop_map(Money::from_atoms)
}

/// From 1970 to 9999.
pub fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![1_790_000_000_000_000_i64..1_800_000_000_000_000, 0_i64..253_402_300_800_000_000]
        .prop_map(Timestamp::from_micros)
}

fn content() -> impl Strategy<Value = ContentHash> {
    any::<u64>().prop_map(ContentHash)
}

fn sequence() -> impl Strategy<Value = Sequence> {
    count().prop_map(Sequence)
}

fn entry_number() -> impl Strategy<Value = EntryNumber> {
    count().prop_map(EntryNumber)
}

fn lot() -> impl Strategy<Value = LotId> {
    count().prop_map(LotId)
}

fn hold() -> impl Strategy<Value = HoldId> {
    entry_number().prop_map(HoldId)
}

fn zone() -> impl Strategy<Value = Zone> {
    select(ZONES).prop_map(|name| name.parse().unwrap_or_default())
}

fn window() -> impl Strategy<Value = Window> {
    (time(), time()).prop_map(|(start, end)| Window { start, end })
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..100, 0_u64..=i64::MAX.unsigned_abs()]
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![0_i64..100, 0_i64..i64::MAX].prop_map(Offset)
}

fn catalogue_id() -> impl Strategy<Value = CatalogueId> {
    any::<u32>().prop_map(CatalogueId)
}

pub fn reason() -> impl Strategy<Value = Reason> {
    select(REASONS).prop_map(|row| row.reason)
}

fn topic() -> impl Strategy<Value = Topic> {
    select(&Topic::IN_RECORDS[..])
}

fn category() -> impl Strategy<Value = Category> {
    select(&Category::ALL[..])
}

fn currency() -> impl Strategy<Value = Currency> {
    "[A-Z]{3}".prop_map(|code| code.parse().unwrap_or(Currency::USD))
}

fn attributes() -> impl Strategy<Value = Attributes<'static>> {
    btree_map(name(), text(), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn pools() -> impl Strategy<Value = Pools> {
    vec((select(&ALL_POOLS[..]), 0..=limits::TOKENS_MAX), 0..Pool::COUNT).prop_map(|counts| {
        let mut pools = Pools::default();
        for (pool, count) in counts {
            pools[pool] = count;
        }
        pools
    })
}

prop_compose! {
    pub fn item()(
        (model, provider, service_tier) in (option::of(name()), option::of(name()), option::of(name())),
        measure in prop_oneof![
            pools().prop_map(Measure::Tokens),
            (name(), atoms()).prop_map(|(meter, atoms)| Measure::Meter {
                meter,
                quantity: Quantity::from_atoms(atoms),
            }),
        ],
        vendor_cost in option::of((money(), currency())),
        attributes in attributes(),
        estimated: bool,
    ) -> Item<'static> {
        Item {
            model,
            provider,
            service_tier,
            measure,
            vendor_cost: vendor_cost.map(|(amount, currency)| ReportedCost { amount, currency }),
            attributes,
            estimated,
        }
    }
}

prop_compose! {
    /// An event of an account, as a decoder makes them.
    pub fn event(account: Text<'static>)(
        (source, id, time, feature) in (name(), name(), time(), name()),
        traffic in select(Traffic::ALL),
        status in select(Status::ALL),
        hold_action in select(HoldAction::ALL),
        backfill: bool,
        texts in vec(option::of(name()), 10),
        attributes in attributes(),
        items in vec(item().boxed(), 1..5),
    ) -> UsageEvent<'static> {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().flatten();
        UsageEvent {
            account: account.clone(),
            source,
            id,
            time,
            feature,
            traffic,
            status,
            hold_action,
            backfill,
            user: next(),
            team: next(),
            hold: next(),
            run: next(),
            step: next(),
            trace: next(),
            environment: next(),
            conversation: next(),
            requested_model: next(),
            vendor_request_id: next(),
            corrects: None,
            attributes,
            items,
        }
    }
}

prop_compose! {
    fn line()(
        rule: u16,
        credits in credits(),
        price in option::of((catalogue_id(), any::<u16>(), option::of(any::<u16>()))),
        computed in option::of(money()),
        missing in option::of(reason()),
    ) -> RateLine {
        RateLine {
            rule: RuleId(rule),
            credits,
            price: price.map(|(book, row, when)| PriceRef { book, row, when }),
            computed,
            missing,
        }
    }
}

prop_compose! {
    fn draw()(lot in lot(), category in category(), credits in credits(), revenue in money()) -> Draw {
        Draw { lot, category, credits, revenue }
    }
}

fn draws() -> impl Strategy<Value = Draws> {
    vec(draw(), 0..5).prop_map(Draws::from_vec)
}

prop_compose! {
    pub fn balance()(
        (settled, overage, held, in_grace) in (credits(), credits(), credits(), credits())
    ) -> Balance {
        Balance { settled, overage, held, in_grace }
    }
}

pub fn cause() -> impl Strategy<Value = Cause> {
    prop_oneof![
        (topic(), offset()).prop_map(|(topic, offset)| Cause::Input { topic, offset }),
        time().prop_map(|due| Cause::Timer { due }),
        offset().prop_map(|next| Cause::Catalogue { next }),
        entry_number().prop_map(|entry| Cause::Decision { entry }),
    ]
}

prop_compose! {
    fn debit(account: Text<'static>)(
        event in event(account.clone()).boxed(),
        content in content(),
        plan in option::of(name()),
        (rate_card, catalogue) in (catalogue_id(), offset()),
        lines in vec(line(), 1..5),
        (credits, residual, overage) in (credits(), credits(), credits()),
        draws in draws(),
        resolves in option::of(entry_number()),
        hold in option::of(holds::used()),
        budgets in controls::budget_uses(),
    ) -> Debit<'static> {
        Debit {
            event, content, plan, rate_card, catalogue, lines, credits, residual, draws, overage,
            resolves, hold: hold.map(Box::new), budgets,
        }
    }
}

prop_compose! {
    fn unrated(account: Text<'static>)(
        event in event(account.clone()).boxed(),
        content in content(),
        plan in option::of(name()),
        reason in reason(),
        item in option::of(any::<u16>()),
    ) -> Unrated<'static> {
        Unrated { event, content, plan, reason, item }
    }
}

prop_compose! {
    fn quarantined()(
        (source, id, time) in (name(), name(), time()),
        reason in reason(),
        conflicts_with in option::of(entry_number()),
        record in vec(any::<u8>(), 0..300),
    ) -> Quarantined<'static> {
        Quarantined { source, id, time, reason, conflicts_with, record: Cow::Owned(record) }
    }
}

prop_compose! {
    fn by_hand()(
        (command, content, actor, reason) in (name(), content(), name(), text())
    ) -> ByHand<'static> {
        ByHand { command, content, actor, reason }
    }
}

prop_compose! {
    fn grant()(
        by in by_hand(),
        credits in credits(),
        (category, priority) in (category(), any::<u8>()),
        (effective, expires) in (time(), option::of(time())),
        (paid, currency) in (money(), option::of(currency())),
        pending: bool,
        repays in option::of(draw()),
    ) -> Grant<'static> {
        Grant { by, credits, category, priority, effective, expires, paid, currency, pending, repays }
    }
}

prop_compose! {
    fn adjustment()(
        by in by_hand(),
        credits in credits(),
        draws in draws(),
        overage in credits(),
        repays in option::of(draw()),
    ) -> Adjustment<'static> {
        Adjustment { by, credits, draws, overage, repays }
    }
}

prop_compose! {
    fn closed()(
        by in option::of(by_hand()),
        (lot, category) in (lot(), category()),
        (credits, revenue) in (credits(), money()),
        (pending, in_grace) in any::<(bool, bool)>(),
    ) -> LotClosed<'static> {
        LotClosed { by, lot, category, credits, revenue, pending, in_grace }
    }
}

prop_compose! {
    fn rolled_over()(
        (from, category, priority) in (lot(), category(), any::<u8>()),
        (credits, paid, currency) in (credits(), money(), option::of(currency())),
        (effective, expires) in (time(), time()),
    ) -> RolledOver {
        RolledOver { from, category, priority, credits, paid, currency, effective, expires }
    }
}

/// A body of each kind.
pub fn body(account: Text<'static>) -> impl Strategy<Value = Body<'static>> {
    prop_oneof![
        debit(account.clone()).prop_map(|debit| Body::Debit(Box::new(debit))).boxed(),
        unrated(account.clone()).prop_map(|unrated| Body::Unrated(Box::new(unrated))).boxed(),
        quarantined().prop_map(Body::Quarantined).boxed(),
        grant().prop_map(Body::Grant).boxed(),
        adjustment().prop_map(Body::Adjustment).boxed(),
        closed().prop_map(Body::LotVoided).boxed(),
        (lot(), category(), credits(), option::of(draw())).prop_map(
            |(lot, category, credits, repays)| {
                Body::LotActivated(LotActivated { lot, category, credits, repays })
            }
        ),
        (lot(), category(), credits()).prop_map(|(lot, category, credits)| Body::LotInGrace(
            LotInGrace { lot, category, credits }
        )),
        closed().prop_map(Body::LotExpired).boxed(),
        (lot(), category(), credits(), time())
            .prop_map(|(lot, category, credits, expires)| {
                Body::LotExpiring(LotExpiring { lot, category, credits, expires })
            })
            .boxed(),
        rolled_over().prop_map(Body::RolledOver).boxed(),
        holds::body(),
        plans::body(),
        controls::body(account.clone()),
        corrections::body(account),
    ]
}

prop_compose! {
    pub fn entry()(account in name())(
        number in entry_number(),
        body in body(account.clone()).boxed(),
        account in Just(account),
        sequence in sequence(),
        recorded_at in time(),
        cause in cause(),
        after in balance(),
    ) -> Entry<'static> {
        Entry { number, account, sequence, recorded_at, cause, after, body }
    }
}

fn exception() -> impl Strategy<Value = Exception> {
    let kind = prop_oneof![
        entry_number().prop_map(|repeats| ExceptionKind::Duplicate { repeats }),
        reason().prop_map(|reason| ExceptionKind::DeadLetter { reason }),
        any::<u32>().prop_map(|to| ExceptionKind::Forwarded { to: Partition(to) }),
        reason().prop_map(|reason| ExceptionKind::Refused { reason }),
        entry_number().prop_map(|repeats| ExceptionKind::Repeated { repeats }),
    ];
    (topic(), offset(), kind).prop_map(|(topic, offset, kind)| Exception { topic, offset, kind })
}

prop_compose! {
    pub fn seal()(
        (number, ledger_time) in (count(), time()),
        ranges in vec((offset(), 0_i64..1_000_000), Topic::INPUTS.len()),
        outcomes in vec(0_u64..1_000_000_000, Outcome::ALL.len()),
        (credits, vendor_cost) in (credits(), money()),
        (records, catalogue) in (count(), offset()),
        exceptions in vec(exception(), 0..20),
        chain: [u8; 32],
    ) -> Seal {
        let mut counts = Counts::default();
        for (outcome, count) in Outcome::ALL.into_iter().zip(outcomes) {
            counts.add(outcome, count);
        }
        let sources = Topic::INPUTS.into_iter().zip(ranges).map(|(topic, (from, length))| {
            SourceRange { topic, from, to: Offset(from.0.saturating_add(length)) }
        });
        Seal {
            number,
            ledger_time,
            sources: sources.collect(),
            counts,
            credits,
            vendor_cost,
            records,
            catalogue,
            exceptions,
            chain,
        }
    }
}

prop_compose! {
    pub fn adopted()(next in offset(), hash: [u8; 32], recorded_at in time()) -> CatalogueAdopted {
        CatalogueAdopted { next, hash, recorded_at }
    }
}

prop_compose! {
    pub fn catalogue_version()(
        kind in select(&DocumentKind::ALL[..]),
        id in name(),
        (effective_from, published_at) in (time(), time()),
        lines in vec(text(), 0..10),
        (actor, reason) in (name(), text()),
        retroactive: bool,
    ) -> CatalogueVersion<'static> {
        let toml: String = lines.concat();
        CatalogueVersion {
            kind,
            id,
            effective_from,
            content: document_hash(&toml),
            toml: Cow::Owned(toml),
            published_at,
            actor,
            reason,
            retroactive,
        }
    }
}

prop_compose! {
    pub fn dead_letter()(
        (reason, field, value) in (reason(), text(), text()),
        (topic, partition, offset) in (topic(), any::<u32>(), offset()),
        received_at in time(),
        (account, source, id) in (option::of(text()), option::of(text()), option::of(text())),
        record in vec(any::<u8>(), 0..300),
    ) -> DeadLetter<'static> {
        DeadLetter {
            reason,
            field,
            value,
            at: TopicPartition { topic, partition: Partition(partition) },
            offset,
            received_at,
            account,
            source,
            id,
            record: Cow::Owned(record),
        }
    }
}

prop_compose! {
    pub fn dead_letter_retry()(
        (letter, partition, offset) in (offset(), any::<u32>(), offset()),
        retried_at in time(),
        actor in text(),
    ) -> DeadLetterRetry<'static> {
        DeadLetterRetry { letter, partition: Partition(partition), offset, retried_at, actor }
    }
}
