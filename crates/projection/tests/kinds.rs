//! The rows of each kind of entry about holds, plans, budgets, refunds and reversals, by hand.

#![allow(clippy::unwrap_used)] // Clippy knows tests by their attribute, not their helpers.
#![allow(dead_code)] // Shared with the lives.

#[path = "lives/table.rs"]
mod table;

use std::borrow::Cow;

use calendar::{Period, Window, Zone};
use domain::{
    CatalogueId, ContentHash, Credits, Currency, EntryNumber, Item, LotId, Measure, Money, Offset,
    Pools, RateLine, Reason, RuleId, Sequence, Text, Timestamp, Topic, Traffic, UsageEvent,
};
use ledger::{
    Balance, Billed, Body, BudgetRemoved, BudgetScope, BudgetSet, BudgetTerms, BudgetUse, ByHand,
    Category, Cause, Debit, Draw, Earmark, Entry, Freed, HoldAfter, HoldCaptured, HoldEnded,
    HoldEnding, HoldExtended, HoldId, HoldRefused, HoldReserved, HoldUse, Limit, Lost, NoticesSet,
    PlanAssigned, PlanGrant, PlanRenewed, PlanScheduled, Refunded, Return, ReturnTo, Reversed,
    RolledOver, Scope,
};
use projection::tables::{self, Table};
use table::Tables;

const NOW: &str = "2026-11-20T12:00:00Z";
const NOVEMBER: &str = "2026-11-01T00:00:00Z";
const DECEMBER: &str = "2026-12-01T00:00:00Z";

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn credits(text: &str) -> Credits {
    text.parse().unwrap()
}

fn money(text: &str) -> Money {
    text.parse().unwrap()
}

fn text(text: &'static str) -> Text<'static> {
    Cow::Borrowed(text)
}

fn by() -> ByHand<'static> {
    let (command, actor, reason) = (text("c1"), text("ann"), text("why"));
    ByHand { command, content: ContentHash(0), actor, reason }
}

/// Entry 3-9, the account's fifth.
fn entry(body: Body<'static>) -> Entry<'static> {
    Entry {
        number: EntryNumber(9),
        account: text("x"),
        sequence: Sequence(5),
        recorded_at: time(NOW),
        cause: Cause::Input { topic: Topic::LedgerCommands, offset: Offset(1) },
        after: Balance::default(),
        body,
    }
}

/// Columns of the rows of a table, as one text per row.
fn rows(body: &Body<'static>, table: &Table, columns: &[&str]) -> Vec<String> {
    let tables = Tables::of(&[entry(body.clone())]);
    let show =
        |row: &table::Row| columns.iter().map(|name| row.show(name)).collect::<Vec<_>>().join(" ");
    tables.rows(table).iter().map(show).collect()
}

fn steps(body: &Body<'static>) -> Vec<String> {
    let columns =
        ["hold", "step", "state", "amount", "captured", "held", "above", "advanced", "freed"];
    rows(body, &tables::HOLD_STEPS, &columns)
}

/// Lot, what happened, credits, revenue, money that left, and when it counts (or `expiry`).
fn movements(body: &Body<'static>) -> Vec<String> {
    let columns =
        ["lot", "category", "kind", "credits", "revenue", "paid", "dated_at", "at_expiry"];
    let shorter = |row: String| match row.strip_suffix(" true") {
        Some(row) => row.replace(NOW, "expiry"),
        None => row.strip_suffix(" false").unwrap().replace(NOW, "now"),
    };
    rows(body, &tables::LOT_MOVEMENTS, &columns).into_iter().map(shorter).collect()
}

fn grants(body: &Body<'static>) -> Vec<String> {
    let columns = [
        "lot",
        "category",
        "priority",
        "granted",
        "effective_at",
        "expires_at",
        "paid",
        "currency",
        "actor",
    ];
    rows(body, &tables::LOT_GRANTS, &columns)
}

/// Change of the settled balance, kind, hold, corrected entry, source, event or command, actor.
fn ledger(body: &Body<'static>) -> String {
    let columns = ["credits", "kind", "hold", "corrects", "source", "event_id", "actor"];
    rows(body, &tables::LEDGER_ENTRIES, &columns).concat()
}

fn draw(lot: u64, amount: &str, revenue: &str) -> Draw {
    Draw {
        lot: LotId(lot),
        category: Category::Purchased,
        credits: credits(amount),
        revenue: money(revenue),
    }
}

fn back(lot: u64, amount: &str, revenue: &str, to: ReturnTo) -> Return {
    let Draw { lot, category, credits, revenue } = draw(lot, amount, revenue);
    Return { lot, category, credits, revenue, to }
}

fn after(amount: &str, captured: &str) -> HoldAfter {
    let (amount, captured) = (credits(amount), credits(captured));
    HoldAfter { amount, captured, expires_at: time(DECEMBER) }
}

fn scope() -> Scope<'static> {
    let (user, team) = (Some(text("u")), Some(text("growth")));
    Scope { user, team, feature: None, traffic: Traffic::Internal }
}

/// What a hold gave up: credits that were left, and of its advance 2 to a live lot, 3 to one in grace
/// and 4 to one that has expired, 5 past the lots that are outstanding and 6 that were repaid; 7 that it
/// held had expired, and 1 of what is free repays overage.
fn freed() -> Freed {
    Freed {
        credits: credits("8"),
        returns: [
            back(1, "2", "0.2", ReturnTo::Live),
            back(2, "3", "0.3", ReturnTo::InGrace),
            back(3, "4", "0.4", ReturnTo::Expired),
        ]
        .into_iter()
        .collect(),
        returned_overage: credits("5"),
        lot: credits("6"),
        lost: [Lost {
            lot: LotId(4),
            category: Category::Included,
            credits: credits("7"),
            revenue: money("0.7"),
        }]
        .into_iter()
        .collect(),
        repays: [draw(1, "1", "0.1")].into_iter().collect(),
    }
}

const FREED_MOVEMENTS: [&str; 7] = [
    "4 included expired -7 0.7 0 expiry",
    "5 promotional granted 6 0 0 now",
    "1 purchased returned 2 -0.2 0 now",
    "2 purchased returned 3 -0.3 0 expiry",
    "3 purchased returned 4 -0.4 0 expiry",
    "3 purchased expired -4 0.4 0 expiry",
    "1 purchased drawn -1 0.1 0 now",
];

/// A charge of 10 in lines of 4 and 6.
fn debit() -> Debit<'static> {
    let item = |model: &'static str, input| {
        let mut pools = Pools::default();
        pools[domain::Pool::Input] = input;
        Item {
            model: Some(text(model)),
            provider: None,
            service_tier: None,
            measure: Measure::Tokens(pools),
            vendor_cost: None,
            attributes: Vec::new(),
            estimated: false,
        }
    };
    let line = |amount, cost: Option<&str>| RateLine {
        rule: RuleId(0),
        credits: credits(amount),
        price: None,
        computed: cost.map(money),
        missing: cost.is_none().then_some(Reason::NoVendorPrice),
    };
    Debit {
        event: UsageEvent {
            account: text("x"),
            source: text("/chat"),
            id: text("e1"),
            time: time("2026-11-19T10:30:00Z"),
            feature: text("chat"),
            hold: Some(text("hold_3-7")),
            items: vec![item("a", 100), item("b", 20)],
            ..UsageEvent::default()
        },
        content: ContentHash(1),
        plan: Some(text("pro")),
        rate_card: CatalogueId(0),
        catalogue: Offset(1),
        lines: vec![line("4", Some("0.02")), line("6", None)],
        credits: credits("10"),
        residual: credits("0.00001"),
        draws: [draw(1, "6", "0.6")].into_iter().collect(),
        overage: credits("4"),
        resolves: None,
        hold: None,
        budgets: ledger::BudgetUses::new(),
    }
}

const LINE: [&str; 13] = [
    "line",
    "model",
    "entry_kind",
    "corrects",
    "hold",
    "hold_matched",
    "above_hold",
    "credits",
    "credits_purchased",
    "credits_overage",
    "revenue",
    "vendor_cost",
    "input",
];

#[test]
fn a_hold_is_reserved_refused_and_extended() {
    let reserved = Body::HoldReserved(Box::new(HoldReserved {
        by: by(),
        scope: scope(),
        asked: credits("12"),
        amount: credits("10"),
        earmarks: [Earmark { lot: LotId(1), credits: credits("10") }].into_iter().collect(),
        beyond: Credits::ZERO,
        expires_at: time(DECEMBER),
    }));
    assert_eq!(steps(&reserved), ["hold_3-9 reserved open 10 0 10 0 0 0"]);
    let who = [
        "asked",
        "expires_at",
        "user",
        "team",
        "feature",
        "traffic",
        "actor",
        "reason",
        "event_id",
        "recorded_at",
        "entry_id",
    ];
    assert_eq!(
        rows(&reserved, &tables::HOLD_STEPS, &who),
        ["12 2026-12-01T00:00:00Z u growth - internal ann why c1 2026-11-20T12:00:00Z 3-9"]
    );
    assert_eq!(ledger(&reserved), "0 hold_reserved hold_3-9 - - c1 ann");
    assert!(movements(&reserved).is_empty());

    let refused = |limit| {
        Body::HoldRefused(Box::new(HoldRefused {
            by: by(),
            scope: scope(),
            asked: credits("12"),
            limit,
            shortfall: credits("13"),
            available: credits("-1"),
            resets_at: Some(time(DECEMBER)),
        }))
    };
    let columns = [
        "asked",
        "limit",
        "shortfall",
        "available",
        "resets_at",
        "user",
        "traffic",
        "actor",
        "command_id",
    ];
    assert_eq!(
        rows(&refused(Limit::Budget(text("b"))), &tables::HOLD_REFUSALS, &columns),
        ["12 budget:b 13 -1 2026-12-01T00:00:00Z u internal ann c1"]
    );
    assert_eq!(rows(&refused(Limit::Balance), &tables::HOLD_REFUSALS, &["limit"]), ["balance"]);
    assert!(steps(&refused(Limit::Balance)).is_empty());
    assert_eq!(ledger(&refused(Limit::Balance)), "0 hold_refused - - - c1 ann");

    let extended = HoldExtended { by: by(), hold: HoldId(EntryNumber(7)), after: after("10", "4") };
    let extended = Body::HoldExtended(Box::new(extended));
    assert_eq!(steps(&extended), ["hold_3-7 extended open 10 4 6 0 0 0"]);
    assert_eq!(ledger(&extended), "0 hold_extended hold_3-7 - - c1 ann");
}

#[test]
fn a_capture_draws_ahead() {
    let captured = Body::HoldCaptured(Box::new(HoldCaptured {
        by: by(),
        hold: HoldId(EntryNumber(7)),
        credits: credits("12"),
        draws: [draw(1, "9", "0.9")].into_iter().collect(),
        overage: credits("3"),
        above: credits("2"),
        budgets: [BudgetUse { budget: text("b"), window: None, used: credits("40") }]
            .into_iter()
            .collect(),
        after: after("10", "12"),
    }));
    assert_eq!(steps(&captured), ["hold_3-7 captured open 10 12 0 2 12 0"]);
    assert_eq!(movements(&captured), ["1 purchased drawn -9 0.9 0 now"]);
    assert_eq!(ledger(&captured), "-12 hold_captured hold_3-7 - - c1 ann");
    let columns = ["budget", "step", "used", "window_start", "limit"];
    assert_eq!(rows(&captured, &tables::BUDGET_STEPS, &columns), ["b used 40 null 0"]);
    assert!(rows(&captured, &tables::USAGE_LINES, &["line"]).is_empty());
}

#[test]
fn an_end_by_call_gives_back() {
    let ended = |how, by, draws: &[Draw], overage| {
        Body::HoldEnded(Box::new(HoldEnded {
            by,
            hold: HoldId(EntryNumber(7)),
            how,
            draws: draws.iter().copied().collect(),
            overage: credits(overage),
            above: Credits::ZERO,
            freed: freed(),
            budgets: ledger::BudgetUses::new(),
            after: after("50", "30"),
        }))
    };
    let expired = ended(HoldEnding::Expired, None, &[], "0");
    // 2 + 3 + 4 + 5 + 6 of the advance go back; of that and the loss of 7, 9 reach the balance.
    assert_eq!(steps(&expired), ["hold_3-7 expired expired 50 30 0 0 -20 8"]);
    assert_eq!(movements(&expired), FREED_MOVEMENTS);
    assert_eq!(grants(&expired), ["5 promotional 50 6 2026-11-20T12:00:00Z null 0 - -"]);
    assert_eq!(ledger(&expired), "9 hold_expired hold_3-7 - - - -");
    // Settled at more than was captured.
    let settled = ended(HoldEnding::Settled, Some(by()), &[draw(1, "3", "0.3")], "2");
    assert_eq!(steps(&settled), ["hold_3-7 settled settled 50 30 0 0 -15 8"]);
    assert_eq!(movements(&settled)[0], "1 purchased drawn -3 0.3 0 now");
    assert_eq!(ledger(&settled), "4 hold_settled hold_3-7 - - c1 ann");
    assert_eq!(
        steps(&ended(HoldEnding::Released, Some(by()), &[], "0")),
        ["hold_3-7 released released 50 30 0 0 -20 8"]
    );
}

#[test]
fn an_event_is_paid_by_the_advance_first() {
    let hold = HoldUse {
        hold: HoldId(EntryNumber(7)),
        advanced: [draw(2, "3", "0.03")].into_iter().collect(),
        advanced_overage: credits("1"),
        above: credits("5"),
        freed: None,
        after: after("6", "11"),
    };
    let used = |freed| Debit {
        draws: [draw(1, "4", "0.4")].into_iter().collect(),
        overage: credits("2"),
        hold: Some(Box::new(HoldUse { freed, ..hold.clone() })),
        ..debit()
    };
    let captured = Body::Debit(Box::new(used(None)));
    // 3 that were drawn ahead, then 4, then 3 past the lots; the last 5 are above the hold.
    assert_eq!(
        rows(&captured, &tables::USAGE_LINES, &LINE),
        [
            "0 a debit - hold_3-7 true 0 4 4 0 0.13 0.02 100",
            "1 b debit - hold_3-7 true 5 6 3 3 0.3 null 20",
        ]
    );
    assert_eq!(steps(&captured), ["hold_3-7 charged open 6 11 0 5 -4 0"]);
    assert_eq!(
        rows(&captured, &tables::HOLD_STEPS, &["source", "event_id", "actor"]),
        ["/chat e1 -"]
    );
    assert_eq!(movements(&captured), ["1 purchased drawn -4 0.4 0 now"]);
    assert_eq!(ledger(&captured), "-6 debit hold_3-7 - /chat e1 -");

    let settled = Body::Debit(Box::new(used(Some(freed()))));
    assert_eq!(steps(&settled), ["hold_3-7 charged settled 6 11 0 5 -24 8"]);
    assert_eq!(movements(&settled)[1..], FREED_MOVEMENTS);
    assert_eq!(ledger(&settled), "3 debit hold_3-7 - /chat e1 -");

    let unmatched = Body::Debit(Box::new(debit()));
    assert_eq!(
        rows(&unmatched, &tables::USAGE_LINES, &["hold", "hold_matched"]),
        ["hold_3-7 false"; 2]
    );
    assert!(steps(&unmatched).is_empty());
}

#[test]
fn a_reversal_is_the_charge_with_the_other_sign() {
    let reversed = Body::Reversed(Box::new(Reversed {
        by: by(),
        reverses: EntryNumber(4),
        recorded_at: time("2026-11-19T10:31:00Z"),
        debit: debit(),
        returns: [back(1, "5", "0.5", ReturnTo::Live), back(1, "1", "0.1", ReturnTo::Expired)]
            .into_iter()
            .collect(),
        overage: credits("3"),
        lot: credits("1"),
        budgets: [BudgetUse { budget: text("b"), window: None, used: credits("30") }]
            .into_iter()
            .collect(),
    }));
    assert_eq!(
        rows(&reversed, &tables::USAGE_LINES, &LINE),
        [
            "0 a reversal 3-4 hold_3-7 false 0 -4 -4 0 -0.4 -0.02 -100",
            "1 b reversal 3-4 hold_3-7 false 0 -6 -2 -4 -0.2 null -20",
        ]
    );
    let counts = [
        "event_time",
        "recorded_at",
        "events",
        "model_events",
        "lines",
        "uncosted_lines",
        "vendor_cost_computed",
        "plan",
    ];
    assert_eq!(
        rows(&reversed, &tables::USAGE_LINES, &counts),
        [
            "2026-11-19T10:30:00Z 2026-11-20T12:00:00Z -1 -1 -1 0 -0.02 pro",
            "2026-11-19T10:30:00Z 2026-11-20T12:00:00Z 0 -1 -1 -1 null pro",
        ]
    );
    assert_eq!(
        rows(
            &reversed,
            &tables::USAGE_HOURLY,
            &["hour", "model", "lines", "credits", "vendor_cost"]
        ),
        ["2026-11-19T10:00:00Z a -1 -4 -0.02", "2026-11-19T10:00:00Z b -1 -6 0"]
    );
    assert_eq!(
        movements(&reversed),
        [
            "1 purchased returned 5 -0.5 0 now",
            "1 purchased returned 1 -0.1 0 expiry",
            "1 purchased expired -1 0.1 0 expiry",
            "5 promotional granted 1 0 0 now",
        ]
    );
    assert_eq!(grants(&reversed), ["5 promotional 50 1 2026-11-20T12:00:00Z null 0 - ann"]);
    assert_eq!(ledger(&reversed), "9 reversed hold_3-7 3-4 /chat e1 ann");
    assert_eq!(rows(&reversed, &tables::LEDGER_ENTRIES, &["residual", "reason"]), ["-0.00001 why"]);
    assert_eq!(rows(&reversed, &tables::BUDGET_STEPS, &["budget", "step", "used"]), ["b used 30"]);
}

#[test]
fn a_refund_takes_credits_and_money() {
    let refunded = Body::Refunded(Box::new(Refunded {
        by: by(),
        lot: LotId(2),
        category: Category::Purchased,
        credits: credits("40"),
        money: money("3"),
        currency: Some(Currency::USD),
        revenue: money("1"),
    }));
    assert_eq!(movements(&refunded), ["2 purchased refunded -40 1 -3 now"]);
    assert_eq!(ledger(&refunded), "-40 refunded - - - c1 ann");
}

fn grant() -> PlanGrant {
    PlanGrant {
        credits: credits("100"),
        category: Category::Included,
        effective: time(NOVEMBER),
        expires: time(DECEMBER),
        paid: money("49"),
        currency: Some(Currency::USD),
    }
}

const CHANGE: [&str; 14] = [
    "kind",
    "plan",
    "replaces",
    "from_at",
    "period_start",
    "period_end",
    "trial",
    "granted",
    "paid",
    "billed_credits",
    "billed",
    "currency",
    "repaid",
    "low_balance",
];

#[test]
fn plans_begin_renew_and_roll_over() {
    let november = Window { start: time(NOVEMBER), end: time(DECEMBER) };
    let assigned = |by, grant| {
        Body::PlanAssigned(Box::new(PlanAssigned {
            by,
            plan: text("pro"),
            version: CatalogueId(0),
            replaces: Some(text("basic")),
            from: time(NOW),
            anchor: time(NOVEMBER),
            period: Some(november),
            trial: true,
            grant,
            repays: Some(draw(5, "2", "0.98")),
            low_balance: Some(credits("7")),
        }))
    };
    let by_ann = assigned(Some(by()), Some(grant()));
    assert_eq!(
        rows(&by_ann, &tables::PLAN_CHANGES, &CHANGE),
        [
            "assigned pro basic 2026-11-20T12:00:00Z 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z true 100 49 0 0 USD 2 7"
        ]
    );
    assert_eq!(
        rows(&by_ann, &tables::PLAN_CHANGES, &["sequence", "actor", "entry_id"]),
        ["5 ann 3-9"]
    );
    // What a plan brings counts from the start of its period.
    let opened =
        ["5 included granted 100 0 0 2026-11-01T00:00:00Z", "5 purchased drawn -2 0.98 0 now"];
    assert_eq!(movements(&by_ann), opened);
    assert_eq!(
        grants(&by_ann),
        ["5 included 50 100 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z 49 USD ann"]
    );
    assert_eq!(ledger(&by_ann), "100 plan_assigned - - - c1 ann");
    assert_eq!(ledger(&assigned(None, None)), "0 plan_assigned - - - - -");

    let scheduled =
        |plan| Body::PlanScheduled(Box::new(PlanScheduled { by: by(), plan, at: time(DECEMBER) }));
    assert_eq!(
        rows(&scheduled(Some(text("basic"))), &tables::PLAN_CHANGES, &CHANGE),
        ["scheduled basic - 2026-12-01T00:00:00Z null null false 0 0 0 0 - 0 null"]
    );
    assert_eq!(rows(&scheduled(None), &tables::PLAN_CHANGES, &["kind", "plan"]), ["scheduled -"]);

    let renewed = |period, grant| {
        let (credits, price, currency) = (credits("6"), money("0.018"), Some(Currency::USD));
        Body::PlanRenewed(Box::new(PlanRenewed {
            plan: text("pro"),
            version: CatalogueId(0),
            replaces: None,
            anchor: time(NOVEMBER),
            period,
            grant,
            billed: Some(Billed { credits, price, currency }),
            repays: None,
            low_balance: None,
        }))
    };
    let next = renewed(Some(november), Some(grant()));
    assert_eq!(
        rows(&next, &tables::PLAN_CHANGES, &CHANGE),
        [
            "renewed pro - 2026-11-01T00:00:00Z 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z false 100 49 6 0.018 USD 0 null"
        ]
    );
    assert_eq!(ledger(&next), "106 plan_renewed - - - - -");
    assert_eq!(
        grants(&next),
        ["5 included 50 100 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z 49 USD -"]
    );
    let no_more = renewed(None, None);
    assert_eq!(
        rows(&no_more, &tables::PLAN_CHANGES, &["from_at", "currency"]),
        ["2026-11-20T12:00:00Z USD"]
    );
    assert!(movements(&no_more).is_empty());

    let rolled = Body::RolledOver(RolledOver {
        from: LotId(2),
        category: Category::Included,
        priority: 50,
        credits: credits("30"),
        paid: money("1.5"),
        currency: Some(Currency::USD),
        effective: time(NOVEMBER),
        expires: time(DECEMBER),
    });
    assert_eq!(
        movements(&rolled),
        [
            "2 included rolled_out -30 0 -1.5 2026-11-01T00:00:00Z",
            "5 included rolled_in 30 0 0 2026-11-01T00:00:00Z",
        ]
    );
    assert_eq!(
        grants(&rolled),
        ["5 included 50 30 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z 1.5 USD -"]
    );
    assert_eq!(ledger(&rolled), "0 rolled_over - - - - -");
}

#[test]
fn budgets_are_set_and_removed() {
    let set = Body::BudgetSet(Box::new(BudgetSet {
        by: by(),
        terms: BudgetTerms {
            id: text("b"),
            scope: BudgetScope {
                team: Some(text("growth")),
                traffic: Some(Traffic::Internal),
                ..BudgetScope::default()
            },
            limit: credits("100"),
            period: Some(Period::Month),
            zone: Zone::utc(),
            thresholds: [50, 100].into_iter().collect(),
            hard: true,
        },
        window: Some(Window { start: time(NOVEMBER), end: time(DECEMBER) }),
        used: credits("12"),
    }));
    let columns = [
        "budget",
        "step",
        "used",
        "window_start",
        "window_end",
        "limit",
        "period",
        "timezone",
        "user",
        "team",
        "feature",
        "traffic",
        "hard",
        "thresholds",
        "actor",
    ];
    assert_eq!(
        rows(&set, &tables::BUDGET_STEPS, &columns),
        [
            "b set 12 2026-11-01T00:00:00Z 2026-12-01T00:00:00Z 100 month UTC - growth - internal true 50,100 ann"
        ]
    );
    assert_eq!(ledger(&set), "0 budget_set - - - c1 ann");
    let removed = Body::BudgetRemoved(Box::new(BudgetRemoved { by: by(), budget: text("b") }));
    assert_eq!(
        rows(&removed, &tables::BUDGET_STEPS, &columns),
        ["b removed 0 null null 0 - - - - - - false - ann"]
    );
    let noticed =
        Body::NoticesSet(Box::new(NoticesSet { by: by(), low_balance: None, top_up: None }));
    assert_eq!(ledger(&noticed), "0 notices_set - - - c1 ann");
}
