//! Leases, shadows and the comparison of tables, on a real server.

use std::collections::BTreeMap;

use domain::{Offset, Partition};
use projection::tables::{
    ACCOUNT_BALANCES, LEDGER_ENTRIES, REPLAY_STEPS, USAGE_DAILY, USAGE_LINES,
};
use warehouse::{
    Batch, Compared, Comparison, InsertOutcome, Lease, LeaseHeld, NewStep, Offsets, Warehouse,
};

use crate::rows::{Row, batch};
use crate::server::{fresh, rows, value};

async fn lease(warehouse: &Warehouse, who: &str) -> Lease {
    match warehouse.take_lease(who, false).await.unwrap() {
        LeaseHeld::Mine(lease) => lease,
        LeaseHeld::Anothers { who: holder, .. } => panic!("{who}: {holder} holds it"),
    }
}

/// As if nothing had been said for so long.
async fn age_leases(warehouse: &Warehouse) {
    let sql = format!(
        "ALTER TABLE {}.replay_steps UPDATE at = at - INTERVAL 60 SECOND WHERE step = 'lease'
         SETTINGS mutations_sync = 2",
        warehouse.database()
    );
    rows(warehouse, &sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_ask_at_once_one_holds_the_lease() {
    let warehouse = fresh().await;
    for round in 1..=5_u64 {
        let asked: Vec<_> = (0..6)
            .map(|number| {
                let warehouse = warehouse.clone();
                tokio::spawn(async move {
                    warehouse.take_lease(&format!("{round}-{number}"), false).await
                })
            })
            .collect();
        let mut mine = 0;
        for answer in asked {
            mine += u64::from(matches!(answer.await.unwrap().unwrap(), LeaseHeld::Mine(_)));
        }
        assert_eq!(mine, 1, "round {round}");
        age_leases(&warehouse).await;
    }
}

#[tokio::test]
async fn a_lease_that_passed_on_appends_nothing_and_reaches_no_table() {
    let live = fresh().await;
    let first = lease(&live, "a").await;
    assert_eq!(first, Lease { epoch: 1, is_new: true });
    assert_eq!(lease(&live, "a").await, Lease { epoch: 1, is_new: false });
    assert!(
        matches!(live.take_lease("b", false).await, Ok(LeaseHeld::Anothers { who, .. }) if who == "a")
    );
    let step = |number| NewStep { replay: "r", step: "plan", number, ..NewStep::default() };
    assert!(live.append_step(first, &step(1)).await.unwrap());
    let old = live.shadow("r1f_1").unwrap();
    old.create_shadow_tables(&[&USAGE_LINES]).await.unwrap();

    age_leases(&live).await;
    let second = lease(&live, "b").await;
    assert_eq!(second, Lease { epoch: 2, is_new: true });
    assert!(!live.append_step(first, &step(2)).await.unwrap());
    assert!(live.append_step(second, &step(2)).await.unwrap());
    let new = live.shadow("r1f_2").unwrap();
    let found = live.shadows("r1f", &[&USAGE_LINES]).await.unwrap();
    assert_eq!(found.len(), 1);
    new.adopt(&found).await.unwrap();
    new.adopt(&live.shadows("r1f", &[&USAGE_LINES]).await.unwrap()).await.unwrap();
    // Who knows that nobody else is left waits for nobody.
    let third = live.take_lease("c", true).await.unwrap();
    assert_eq!(third, LeaseHeld::Mine(Lease { epoch: 3, is_new: true }));
    // What the first still tries fails.
    assert!(old.exchange_with_live(&USAGE_LINES).await.is_err());
    let late = batch(&USAGE_LINES, 0, &[&[("ledger_offset", "1")]]);
    assert!(matches!(old.insert(&late).await, InsertOutcome::Refused(_)));
    assert_eq!(new.table_ids(&[&USAGE_LINES]).await.unwrap()["usage_lines"], found[0].uuid);
}

#[tokio::test]
async fn rows_ids_and_tokens_move_with_an_exchange() {
    let live = fresh().await;
    let shadow = live.shadow("r1f_1").unwrap();
    shadow.create_shadow_tables(&[&USAGE_LINES]).await.unwrap();
    let of =
        |offset: &'static str, from| batch(&USAGE_LINES, from, &[&[("ledger_offset", offset)]]);
    assert_eq!(live.insert(&of("0", 0)).await, InsertOutcome::Stored);
    let mut rebuilt = of("0", 0);
    rebuilt.token.push_str("/r1f");
    assert_eq!(shadow.insert(&rebuilt).await, InsertOutcome::Stored);
    let ids = (
        live.table_ids(&[&USAGE_LINES]).await.unwrap(),
        shadow.table_ids(&[&USAGE_LINES]).await.unwrap(),
    );
    shadow.exchange_with_live(&USAGE_LINES).await.unwrap();
    assert_eq!(live.table_ids(&[&USAGE_LINES]).await.unwrap(), ids.1);
    assert_eq!(shadow.table_ids(&[&USAGE_LINES]).await.unwrap(), ids.0);
    // A batch that is in doubt is looked up, whichever table has it under whichever token.
    assert_eq!(live.insert_again(&of("0", 0)).await, InsertOutcome::Stored);
    let count = format!("SELECT count() FROM {}.usage_lines", live.database());
    assert_eq!(value(&live, &count).await, "1");
    // The token did not come along: this is why a repeat is never sent without a look.
    assert_eq!(live.insert(&of("0", 0)).await, InsertOutcome::Stored);
    assert_eq!(value(&live, &count).await, "2");
}

#[tokio::test]
async fn a_pause_is_in_force_until_it_is_withdrawn() {
    let live = fresh().await;
    let held = lease(&live, "a").await;
    assert!(live.pauses().await.unwrap().is_empty());
    let step = |step, number| NewStep { replay: "r", step, number, ..NewStep::default() };
    assert!(live.append_step(held, &step("pause", 1)).await.unwrap());
    let pauses = live.pauses().await.unwrap();
    assert_eq!(pauses.len(), 1);
    let reached = [(Partition(0), Offset(5)), (Partition(1), Offset(7))];
    live.confirm_pause(&pauses[0], &reached, "projector").await.unwrap();
    assert_eq!(live.paused_at("r", (held.epoch, 1)).await.unwrap(), reached);
    assert!(live.append_step(held, &step("resume", 2)).await.unwrap());
    assert!(live.pauses().await.unwrap().is_empty());
    // Another one, and one of who took over: what was answered to the first answers neither.
    assert!(live.append_step(held, &step("pause", 3)).await.unwrap());
    age_leases(&live).await;
    let next = lease(&live, "b").await;
    assert!(live.append_step(next, &step("pause", 4)).await.unwrap());
    let pauses = live.pauses().await.unwrap();
    assert_eq!(pauses.len(), 1);
    assert_eq!((pauses[0].epoch, pauses[0].number), (next.epoch, 4));
    assert!(live.paused_at("r", (next.epoch, 4)).await.unwrap().is_empty());
    // What the first holder still withdraws is before the other's wish.
    let late = format!(
        "INSERT INTO {}.replay_steps (replay, step, epoch, number) VALUES ('r', 'resume', {}, 9)",
        live.database(),
        held.epoch
    );
    rows(&live, &late).await;
    assert_eq!(live.pauses().await.unwrap().len(), 1);
}

#[tokio::test]
async fn batches_that_were_planned_are_found_again() {
    let live = fresh().await;
    let held = lease(&live, "a").await;
    for (number, step, from, to) in
        [(1, "planned", 0, 50), (2, "planned", 50, 90), (3, "reached", 0, 50)]
    {
        let (from, to) = (Offset(from), Offset(to));
        let step = NewStep {
            replay: "r",
            step,
            number,
            partition: Partition(3),
            from,
            to,
            ..NewStep::default()
        };
        assert!(live.append_step(held, &step).await.unwrap());
    }
    let plans = live.batch_plans("r").await.unwrap();
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].partition, Partition(3));
    assert_eq!(
        (plans[0].reached, plans[0].from, plans[0].to),
        (Some(Offset(50)), Some(Offset(50)), Some(Offset(90)))
    );
    assert!(live.journal().await.unwrap().is_empty(), "batches are told apart");
    assert!(REPLAY_STEPS.column("detail").is_some());
}

async fn compare(
    live: &Warehouse,
    shadow: &Warehouse,
    table: &'static projection::tables::Table,
    offsets: Option<&Offsets>,
) -> Compared {
    let comparison = Comparison { table, original: live, rebuilt: shadow, offsets, groups_max: 10 };
    live.compare(&comparison).await.unwrap()
}

async fn put(warehouse: &Warehouse, batch: Batch) {
    assert_eq!(warehouse.insert(&batch).await, InsertOutcome::Stored);
}

#[tokio::test]
async fn rows_that_add_up_are_the_same_however_they_were_merged() {
    let live = fresh().await;
    let shadow = live.shadow("r1f_1").unwrap();
    shadow.create_shadow_tables(&[&USAGE_DAILY]).await.unwrap();
    let day = ("day", "2026-11-20");
    let delta = |credits, offset| {
        [
            ("account", "a"),
            day,
            ("credits", credits),
            ("lines", "1"),
            ("deltas", "1"),
            ("ledger_offset", offset),
        ]
    };
    put(&live, batch(&USAGE_DAILY, 1, &[&delta("1.5", "1")])).await;
    put(&live, batch(&USAGE_DAILY, 2, &[&delta("2", "2")])).await;
    let both = [
        ("account", "a"),
        day,
        ("credits", "3.5"),
        ("lines", "2"),
        ("deltas", "1"),
        ("ledger_offset", "2"),
    ];
    put(&shadow, batch(&USAGE_DAILY, 1, &[&both])).await;
    let same = compare(&live, &shadow, &USAGE_DAILY, None).await;
    assert_eq!((same.groups, same.fingerprint.as_str()), (0, ""), "{same:?}");

    // The last decimal, and then the same sum in another team.
    let off = batch(&USAGE_DAILY, 3, &[&delta("0.000000000001", "3")]);
    put(&live, off).await;
    let other = compare(&live, &shadow, &USAGE_DAILY, None).await;
    assert_eq!(other.groups, 1);
    assert_eq!(other.differences[0].sums["credits"]["original"], "3.500000000001");
    assert_eq!(other.differences[0].account.as_deref(), Some("a"));
    assert_eq!(other.differences[0].day.as_deref(), Some("2026-11-20"));
    // Both grow alike: the difference is the one that was seen.
    let more = |warehouse: Warehouse| async move {
        put(&warehouse, batch(&USAGE_DAILY, 9, &[&delta("7", "9")])).await;
    };
    more(live.clone()).await;
    more(shadow.clone()).await;
    assert_eq!(compare(&live, &shadow, &USAGE_DAILY, None).await.fingerprint, other.fingerprint);
}

#[tokio::test]
async fn equal_sums_hide_no_row() {
    let live = fresh().await;
    let shadow = live.shadow("r1f_1").unwrap();
    shadow.create_shadow_tables(&[&USAGE_LINES, &USAGE_DAILY]).await.unwrap();
    let line = |team, credits| {
        [
            ("account", "a"),
            ("event_time", "2026-11-20T10:00:00Z"),
            ("team", team),
            ("credits", credits),
        ]
    };
    let rows_of: [Row<'_>; 2] = [&line("x", "1"), &line("y", "2")];
    let swapped: [Row<'_>; 2] = [&line("x", "2"), &line("y", "1")];
    put(&live, batch(&USAGE_LINES, 0, &rows_of)).await;
    put(&shadow, batch(&USAGE_LINES, 0, &swapped)).await;
    let found = compare(&live, &shadow, &USAGE_LINES, None).await;
    assert_eq!((found.groups, found.rows_original, found.rows_rebuilt), (1, 2, 2));
    assert!(found.differences[0].sums.is_empty(), "{found:?}");
    let daily =
        |team, credits| [("account", "a"), ("team", team), ("credits", credits), ("deltas", "1")];
    put(&live, batch(&USAGE_DAILY, 0, &[&daily("x", "1"), &daily("y", "2")])).await;
    put(&shadow, batch(&USAGE_DAILY, 0, &[&daily("x", "2"), &daily("y", "1")])).await;
    assert_eq!(compare(&live, &shadow, &USAGE_DAILY, None).await.groups, 1);
}

#[tokio::test]
async fn a_range_is_cut_at_offsets_and_the_current_row_of_a_key_counts_once() {
    let live = fresh().await;
    let shadow = live.shadow("r1f_1").unwrap();
    shadow.create_shadow_tables(&[&LEDGER_ENTRIES, &ACCOUNT_BALANCES]).await.unwrap();
    let entry = |offset| [("account", "a"), ("sequence", offset), ("ledger_offset", offset)];
    put(&live, batch(&LEDGER_ENTRIES, 1, &[&entry("1"), &entry("2"), &entry("3")])).await;
    put(&shadow, batch(&LEDGER_ENTRIES, 1, &[&entry("2")])).await;
    let range = |from, to| BTreeMap::from([(Partition(0), (Offset(from), Offset(to)))]);
    let within = compare(&live, &shadow, &LEDGER_ENTRIES, Some(&range(2, 3))).await;
    assert_eq!((within.groups, within.rows_original), (0, 1), "{within:?}");
    assert_eq!(compare(&live, &shadow, &LEDGER_ENTRIES, Some(&range(1, 3))).await.groups, 1);
    let nothing = BTreeMap::new();
    assert_eq!(compare(&live, &shadow, &LEDGER_ENTRIES, Some(&nothing)).await.rows_original, 0);

    let balance = |sequence, settled| {
        [
            ("account", "a"),
            ("sequence", sequence),
            ("settled", settled),
            ("ledger_offset", sequence),
        ]
    };
    put(&live, batch(&ACCOUNT_BALANCES, 1, &[&balance("1", "5")])).await;
    put(&live, batch(&ACCOUNT_BALANCES, 2, &[&balance("2", "7")])).await;
    put(&shadow, batch(&ACCOUNT_BALANCES, 2, &[&balance("2", "7")])).await;
    assert_eq!(compare(&live, &shadow, &ACCOUNT_BALANCES, None).await.groups, 0);
    put(&live, batch(&ACCOUNT_BALANCES, 3, &[&balance("3", "8")])).await;
    assert_eq!(compare(&live, &shadow, &ACCOUNT_BALANCES, None).await.groups, 1);
}
