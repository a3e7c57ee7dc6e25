//! What ClickHouse's views make of the rows, in Rust.

use std::collections::BTreeMap;

use domain::Timestamp;
use projection::tables;

use crate::table::{Row, Tables};

/// A row's account and its own name within it.
type Key<Name> = (String, Name);

#[derive(Clone, Debug)]
pub(crate) struct Lot {
    pub(crate) category: String,
    pub(crate) priority: u64,
    pub(crate) effective: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) granted: i128,
    pub(crate) remaining: i128,
    pub(crate) drawn: i128,
    pub(crate) expired: i128,
    pub(crate) voided: i128,
    pub(crate) rolled: i128,
    pub(crate) refunded: i128,
    pub(crate) paid: i128,
    pub(crate) paid_back: i128,
    pub(crate) recognised: i128,
    /// The net of each day, as the roll-forward dates it.
    pub(crate) days: BTreeMap<i32, i128>,
}

/// The view `lots`.
pub(crate) fn lots(tables: &Tables) -> BTreeMap<Key<u64>, Lot> {
    let key = |row: &Row| (row.text("account"), row.unsigned("lot"));
    let mut lots = BTreeMap::new();
    for row in tables.rows(&tables::LOT_GRANTS) {
        let lot = Lot {
            category: row.text("category"),
            priority: row.unsigned("priority"),
            effective: row.time("effective_at").unwrap(),
            expires: row.time("expires_at"),
            granted: row.amount("granted"),
            remaining: 0,
            drawn: 0,
            expired: 0,
            voided: 0,
            rolled: 0,
            refunded: 0,
            paid: row.amount("paid"),
            paid_back: 0,
            recognised: 0,
            days: BTreeMap::new(),
        };
        assert!(lots.insert(key(row), lot).is_none());
    }
    for row in tables.rows(&tables::LOT_MOVEMENTS) {
        let lot = lots.get_mut(&key(row)).unwrap();
        assert_eq!(lot.category, row.text("category"));
        let credits = row.amount("credits");
        lot.remaining += credits;
        match row.text("kind").as_str() {
            "granted" | "rolled_in" => assert_eq!(credits, lot.granted),
            "drawn" | "returned" => lot.drawn -= credits,
            "expired" => lot.expired -= credits,
            "voided" => lot.voided -= credits,
            "rolled_out" => lot.rolled -= credits,
            "refunded" => lot.refunded -= credits,
            other => panic!("{other}"),
        }
        lot.recognised += row.amount("revenue");
        lot.paid_back -= row.amount("paid");
        let at = if row.flag("at_expiry") { lot.expires } else { row.time("dated_at") };
        *lot.days.entry(at.unwrap().day().0).or_default() += credits;
    }
    lots
}

#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) state: String,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) expires_at: Timestamp,
    pub(crate) amount: i128,
    pub(crate) captured: i128,
    pub(crate) held: i128,
    pub(crate) advanced: i128,
}

/// The view `holds`. Rows come in the order of the entries.
pub(crate) fn holds(tables: &Tables) -> BTreeMap<Key<String>, Hold> {
    let mut holds = BTreeMap::<_, Hold>::new();
    for row in tables.rows(&tables::HOLD_STEPS) {
        let key = (row.text("account"), row.text("hold"));
        let before = holds.remove(&key);
        assert_eq!(before.is_none(), row.text("step") == "reserved");
        let ended = before.as_ref().filter(|before| before.state != "open");
        let opens = row.text("state") == "open";
        let ended_at = row.time("recorded_at").filter(|_| !opens);
        let hold = Hold {
            state: ended.map_or_else(|| row.text("state"), |ended| ended.state.clone()),
            ended_at: ended.map_or(ended_at, |ended| ended.ended_at),
            expires_at: row.time("expires_at").unwrap(),
            amount: row.amount("amount"),
            captured: row.amount("captured"),
            held: if ended.is_some() { 0 } else { row.amount("held") },
            advanced: before.as_ref().map_or(0, |before| before.advanced) + row.amount("advanced"),
        };
        holds.insert(key, hold);
    }
    holds
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    pub(crate) plan: String,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    pub(crate) trial: bool,
    pub(crate) allowance: i128,
    pub(crate) lots: Vec<u64>,
    pub(crate) scheduled: Option<String>,
}

/// The view `subscriptions`.
pub(crate) fn plans(tables: &Tables) -> BTreeMap<String, Plan> {
    let mut plans = BTreeMap::<String, Plan>::new();
    for row in tables.rows(&tables::PLAN_CHANGES) {
        let plan = plans.entry(row.text("account")).or_default();
        if row.text("kind") == "scheduled" {
            plan.scheduled = Some(row.text("plan")).filter(|plan| !plan.is_empty());
            continue;
        }
        let (start, end) = (row.time("period_start"), row.time("period_end"));
        let begins = row.text("kind") == "renewed"
            || end.is_none()
            || (plan.start, plan.end) != (start, end)
            || plan.trial;
        if begins {
            (plan.allowance, plan.lots) = (0, Vec::new());
        }
        plan.plan = row.text("plan");
        (plan.start, plan.end, plan.trial) = (start, end, row.flag("trial"));
        plan.allowance += row.amount("granted");
        plan.lots.extend((row.amount("granted") > 0).then(|| row.unsigned("sequence")));
        plan.scheduled = None;
    }
    plans
}

#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pub(crate) used: i128,
    pub(crate) limit: i128,
    pub(crate) start: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
}

/// The view `budgets`.
pub(crate) fn budgets(tables: &Tables) -> BTreeMap<Key<String>, Budget> {
    let mut budgets = BTreeMap::<_, Budget>::new();
    for row in tables.rows(&tables::BUDGET_STEPS) {
        let key = (row.text("account"), row.text("budget"));
        let limit = match row.text("step").as_str() {
            "set" => row.amount("limit"),
            "used" => budgets[&key].limit,
            "removed" => {
                assert!(budgets.remove(&key).is_some());
                continue;
            }
            other => panic!("{other}"),
        };
        let (start, end) = (row.time("window_start"), row.time("window_end"));
        budgets.insert(key, Budget { used: row.amount("used"), limit, start, end });
    }
    budgets
}
