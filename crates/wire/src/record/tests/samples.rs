//! One record of each kind, as a real one looks.

use std::borrow::Cow;

use calendar::Window;
use domain::{
    CatalogueId, ContentHash, Credits, Currency, EntryNumber, Item, LotId, Measure, Money, Offset,
    Outcome, Partition, Pool, Pools, PriceRef, Quantity, RateLine, Reason, ReportedCost, RuleId,
    Sequence, Text, Timestamp, Topic, TopicPartition, UsageEvent,
};
use ledger::{
    Adjustment, Balance, Body, BudgetUses, ByHand, CatalogueAdopted, Category, Cause, Counts,
    Debit, Draw, Draws, Entry, Exception, ExceptionKind, Grant, LotActivated, LotClosed,
    LotInGrace, Quarantined, Seal, SourceRange, Unrated,
};

use super::*;

mod account_events;
mod commands;
mod controls;
mod corrections;
mod holds;
mod plans;

pub(super) use account_events::happenings;
pub(super) use commands::{adjust, commands, grant_command, reserve_of, set_budget};

/// Every sample: its subject, its name, its bytes.
pub(super) fn all() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let entries = [
        ("debit", debit()),
        ("debit-of-many-items", debit_of_many_items()),
        ("unrated", unrated()),
        ("quarantined", quarantined()),
        ("grant", grant()),
        ("adjustment", adjustment()),
        ("lot-voided", entry(Body::LotVoided(closed(Some(by_hand()))))),
        ("lot-activated", lot_activated()),
        ("lot-in-grace", lot_in_grace()),
        ("lot-expired", lot_expired()),
    ];
    let versions = [("rate-card", catalogue_version())];
    let letters = [("bad-pool", dead_letter())];
    let mut all = vec![
        ("seal", "with-exceptions", written(|out| encode_seal(&seal(), out))),
        ("catalogue-adopted", "adopted", written(|out| encode_adopted(&adopted(), out))),
    ];
    let entries =
        entries.into_iter().chain(holds::all()).chain(plans::all()).chain(controls::all());
    let entries = entries.chain(corrections::all());
    all.extend(
        entries
            .map(|(name, entry)| ("ledger-entry", name, written(|out| encode_entry(&entry, out)))),
    );
    all.extend(commands::all());
    all.extend(account_events::all());
    all.extend(versions.map(|(name, version)| {
        ("catalogue-version", name, written(|out| encode_catalogue_version(&version, out)))
    }));
    all.extend(letters.map(|(name, letter)| {
        ("dead-letter", name, written(|out| encode_dead_letter(&letter, out)))
    }));
    all.push((
        "dead-letter-retry",
        "sent-again",
        written(|out| encode_dead_letter_retry(&dead_letter_retry(), out)),
    ));
    all.extend(super::access::samples());
    all.extend(super::webhook::samples());
    all
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn credits(text: &str) -> Credits {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn some(text: &'static str) -> Option<Text<'static>> {
    Some(Cow::Borrowed(text))
}

fn entry(body: Body<'static>) -> Entry<'static> {
    Entry {
        number: EntryNumber(8_812_345),
        account: "acct_42".into(),
        sequence: Sequence(1_203),
        recorded_at: at("2026-11-20T12:00:00.456Z"),
        cause: Cause::Input { topic: Topic::UsageRaw, offset: Offset(12_345_678) },
        after: Balance {
            settled: credits("19412.8731"),
            overage: Credits::ZERO,
            held: credits("12.5"),
            in_grace: Credits::ZERO,
        },
        body,
    }
}

fn tokens(model: &'static str, counts: &[(Pool, u64)]) -> Item<'static> {
    let mut pools = Pools::default();
    for (pool, count) in counts {
        pools[*pool] = *count;
    }
    Item {
        model: some(model),
        provider: some("openai"),
        service_tier: None,
        measure: Measure::Tokens(pools),
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    }
}

fn metered(model: Option<Text<'static>>, meter: &'static str, quantity: &str) -> Item<'static> {
    Item {
        model,
        provider: None,
        service_tier: None,
        measure: Measure::Meter {
            meter: meter.into(),
            quantity: quantity.parse::<Quantity>().unwrap(),
        },
        vendor_cost: None,
        attributes: Vec::new(),
        estimated: false,
    }
}

fn event(items: Vec<Item<'static>>) -> UsageEvent<'static> {
    UsageEvent {
        account: "acct_42".into(),
        source: "/chat/eu-1".into(),
        id: "req_8f2c".into(),
        time: at("2026-11-20T12:00:00.123Z"),
        feature: "research-agent".into(),
        user: some("u_7"),
        team: some("growth"),
        items,
        ..UsageEvent::default()
    }
}

fn line(rule: u16, text: &str, computed: Option<&str>) -> RateLine {
    RateLine {
        rule: RuleId(rule),
        credits: credits(text),
        price: computed.map(|_| PriceRef { book: CatalogueId(3), row: 118, when: None }),
        computed: computed.map(money),
        missing: if computed.is_some() { None } else { Some(Reason::NoVendorPrice) },
    }
}

/// The debit that the size is stated for: one model, one lot, every name that is usual.
pub(super) fn debit() -> Entry<'static> {
    let counts = [
        (Pool::Input, 3_800),
        (Pool::CacheRead, 1_200),
        (Pool::Output, 1_600),
        (Pool::Reasoning, 400),
    ];
    entry(Body::Debit(Box::new(Debit {
        event: event(vec![tokens("gpt-4o", &counts)]),
        content: ContentHash(0x8f2c_41aa_0937_bd5e),
        plan: some("pro"),
        rate_card: CatalogueId(5),
        catalogue: Offset(9),
        lines: vec![line(6, "401.05", Some("0.03085"))],
        credits: credits("401.05"),
        residual: Credits::ZERO,
        draws: Draws::from_elem(
            Draw {
                lot: LotId(17),
                category: Category::Included,
                credits: credits("401.05"),
                revenue: money("0.9825725"),
            },
            1,
        ),
        overage: Credits::ZERO,
        resolves: None,
        hold: None,
        budgets: BudgetUses::new(),
    })))
}

fn debit_of_many_items() -> Entry<'static> {
    let mut call = tokens("gpt-4o", &[(Pool::Input, 3_800), (Pool::Output, 2_000)]);
    call.vendor_cost = Some(ReportedCost { amount: money("0.0301"), currency: Currency::USD });
    call.service_tier = some("batch");
    call.estimated = true;
    let mut image = metered(some("image-xl"), "image", "2");
    image.attributes = vec![("size".into(), "1024x1024".into())];
    let mut event = event(vec![call, image, metered(None, "compute_seconds", "12.5")]);
    event.hold = some("hold_91");
    event.run = some("run_33");
    event.step = some("plan");
    event.trace = some("4bf92f3577b34da6a3ce929d0e0e4736");
    event.environment = some("production");
    event.conversation = some("conv_5");
    event.requested_model = some("gpt-4o-latest");
    event.vendor_request_id = some("chatcmpl-9");
    event.status = domain::Status::Cancelled;
    event.traffic = domain::Traffic::Internal;
    event.hold_action = domain::HoldAction::Capture;
    event.backfill = true;
    event.attributes = vec![("region".into(), "eu".into()), ("tier".into(), "".into())];
    let mut priced = line(2, "50", Some("0.08"));
    priced.price = Some(PriceRef { book: CatalogueId(3), row: 2, when: Some(1) });
    entry(Body::Debit(Box::new(Debit {
        event,
        content: ContentHash(1),
        plan: None,
        rate_card: CatalogueId(5),
        catalogue: Offset(9),
        lines: vec![line(6, "391.3", Some("0.0295")), priced, line(7, "12.5", None)],
        credits: credits("453.8"),
        residual: credits("-0.000033333333"),
        draws: Draws::from_vec(vec![
            draw(11, Category::Promotional, "3.8", "0"),
            draw(12, Category::Included, "100", "0.245"),
            draw(17, Category::Purchased, "300", "3"),
        ]),
        overage: credits("50"),
        resolves: Some(EntryNumber(8_812_001)),
        hold: None,
        budgets: BudgetUses::new(),
    })))
}

fn unrated() -> Entry<'static> {
    entry(Body::Unrated(Box::new(Unrated {
        event: event(vec![tokens("new-model", &[(Pool::Input, 100), (Pool::Output, 20)])]),
        content: ContentHash(2),
        plan: some("pro"),
        reason: Reason::NoVendorPrice,
        item: Some(0),
    })))
}

fn quarantined() -> Entry<'static> {
    entry(Body::Quarantined(Quarantined {
        source: "/chat/eu-1".into(),
        id: "req_8f2c".into(),
        time: at("2026-11-20T12:00:00.123Z"),
        reason: Reason::IdentityConflict,
        conflicts_with: Some(EntryNumber(8_811_900)),
        record: Cow::Borrowed(br#"{"specversion":"1.0"}"#),
    }))
}

fn by_hand() -> ByHand<'static> {
    ByHand {
        command: "order-77".into(),
        content: ContentHash(3),
        actor: "finance".into(),
        reason: "order 77".into(),
    }
}

fn grant() -> Entry<'static> {
    entry(Body::Grant(Grant {
        by: by_hand(),
        credits: credits("1000"),
        category: Category::Purchased,
        priority: 50,
        effective: at("2026-11-20T12:00:00.456Z"),
        expires: Some(at("2027-11-20T00:00:00Z")),
        paid: money("10"),
        currency: Some(Currency::USD),
        pending: false,
        repays: Some(Draw {
            lot: LotId(1_203),
            category: Category::Purchased,
            credits: credits("2.5"),
            revenue: money("0.025"),
        }),
    }))
}

fn adjustment() -> Entry<'static> {
    entry(Body::Adjustment(Adjustment {
        by: by_hand(),
        credits: credits("-5"),
        draws: Draws::from_elem(
            Draw {
                lot: LotId(17),
                category: Category::Purchased,
                credits: credits("4"),
                revenue: money("0.04"),
            },
            1,
        ),
        overage: credits("1"),
        repays: None,
    }))
}

fn closed(by: Option<ByHand<'static>>) -> LotClosed<'static> {
    LotClosed {
        by,
        lot: LotId(17),
        category: Category::Purchased,
        credits: credits("60"),
        revenue: money("0.6"),
        pending: false,
        in_grace: true,
    }
}

fn by_timer(body: Body<'static>) -> Entry<'static> {
    Entry { cause: Cause::Timer { due: at("2026-11-20T12:00:00Z") }, ..entry(body) }
}

fn lot_activated() -> Entry<'static> {
    by_timer(Body::LotActivated(LotActivated {
        lot: LotId(18),
        category: Category::Included,
        credits: credits("20000"),
        repays: None,
    }))
}

fn draw(lot: u64, category: Category, text: &str, revenue: &str) -> Draw {
    Draw { lot: LotId(lot), category, credits: credits(text), revenue: money(revenue) }
}

fn november() -> Window {
    Window { start: at("2026-10-31T23:00:00Z"), end: at("2026-11-30T23:00:00Z") }
}

fn lot_in_grace() -> Entry<'static> {
    by_timer(Body::LotInGrace(LotInGrace {
        lot: LotId(17),
        category: Category::Promotional,
        credits: credits("60"),
    }))
}

fn lot_expired() -> Entry<'static> {
    by_timer(Body::LotExpired(closed(None)))
}

pub(super) fn seal() -> Seal {
    let mut counts = Counts::default();
    for (outcome, count) in [
        (Outcome::Debit, 9_980),
        (Outcome::Unrated, 3),
        (Outcome::Duplicate, 12),
        (Outcome::DeadLetter, 1),
        (Outcome::Forwarded, 1),
        (Outcome::Applied, 1),
        (Outcome::Refused, 1),
        (Outcome::Repeated, 1),
        (Outcome::Empty, 2),
    ] {
        counts.add(outcome, count);
    }
    let range = |topic, from, to| SourceRange { topic, from: Offset(from), to: Offset(to) };
    let exception = |topic, offset, kind| Exception { topic, offset: Offset(offset), kind };
    Seal {
        number: 4_711,
        ledger_time: at("2026-11-20T12:00:00.456Z"),
        sources: vec![
            range(Topic::UsageRaw, 12_340_000, 12_349_998),
            range(Topic::UsageForwarded, 71, 71),
            range(Topic::LedgerCommands, 501, 505),
        ],
        counts,
        credits: credits("401234.5678"),
        vendor_cost: money("31.415926535897"),
        records: 9_984,
        catalogue: Offset(9),
        exceptions: vec![
            exception(
                Topic::UsageRaw,
                12_340_012,
                ExceptionKind::Duplicate { repeats: EntryNumber(8_811_002) },
            ),
            exception(
                Topic::LedgerCommands,
                502,
                ExceptionKind::Refused { reason: Reason::UnknownLot },
            ),
            exception(
                Topic::UsageRaw,
                12_340_990,
                ExceptionKind::DeadLetter { reason: Reason::UnknownPool },
            ),
            exception(Topic::UsageRaw, 12_341_000, ExceptionKind::Forwarded { to: Partition(6) }),
            exception(
                Topic::LedgerCommands,
                503,
                ExceptionKind::Repeated { repeats: EntryNumber(8_800_000) },
            ),
        ],
        chain: std::array::from_fn(|place| place as u8 * 7),
    }
}

pub(super) fn adopted() -> CatalogueAdopted {
    CatalogueAdopted {
        next: Offset(9),
        hash: std::array::from_fn(|place| 255 - place as u8),
        recorded_at: at("2026-11-20T11:59:00Z"),
    }
}

fn catalogue_version() -> CatalogueVersion<'static> {
    let toml = "id = \"standard\"\neffective_from = \"2023-01-01T00:00:00Z\"\n\n[[rule]]\nmatch = {}\ncharge = { cost_plus = \"1.30\" }\n";
    CatalogueVersion {
        kind: DocumentKind::RateCard,
        id: "standard".into(),
        effective_from: at("2023-01-01T00:00:00Z"),
        toml: toml.into(),
        content: document_hash(toml),
        published_at: at("2026-11-20T11:58:00Z"),
        actor: "finance".into(),
        reason: "first card".into(),
        retroactive: false,
    }
}

fn dead_letter() -> DeadLetter<'static> {
    DeadLetter {
        reason: Reason::UnknownPool,
        field: "data.items[0].tokens.inptu".into(),
        value: "5000".into(),
        at: TopicPartition { topic: Topic::UsageRaw, partition: Partition(3) },
        offset: Offset(12_340_990),
        received_at: at("2026-11-20T12:00:00.321Z"),
        account: some("acct_42"),
        source: some("/chat/eu-1"),
        id: None,
        record: Cow::Borrowed(b"{\"data\":{\"items\":[{\"tokens\":{\"inptu\":5000}}]}}\xff"),
    }
}

fn dead_letter_retry() -> DeadLetterRetry<'static> {
    DeadLetterRetry {
        letter: Offset(17),
        partition: Partition(5),
        offset: Offset(12_341_002),
        retried_at: at("2026-11-20T12:30:00Z"),
        actor: "ada".into(),
    }
}
