//! What an account could pay for: its plan, its balance as ClickHouse has it, and what stands in the
//! way of a hold. Only the charger decides; this says how it stands now.

use domain::{Credits, Text, Timestamp, Traffic, UsageEvent};
use ledger::{BudgetScope, Scope};
use rating::{OnExhausted, Plan};
use serde_json::{Map, Value, json};

use crate::app::{App, literal, now};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;

/// How an account stands.
pub(crate) struct Outlook {
    plan: Option<String>,
    terms: Option<Plan>,
    available: Credits,
    budgets: Vec<Budget>,
    freshness: Value,
}

/// A hard budget that the usage counts in, and what it leaves.
struct Budget {
    id: String,
    leaves: Credits,
    resets_at: Option<Timestamp>,
}

impl Outlook {
    /// Of the account that a usage event is of. A plan that is named comes before the account's own.
    pub(crate) async fn of(
        app: &App,
        account: &str,
        event: &UsageEvent<'_>,
        named: Option<&str>,
    ) -> Result<Self, Problem> {
        #[derive(serde::Deserialize)]
        struct Row {
            plan: String,
            available: Credits,
        }
        let sql = format!(
            "SELECT b.plan AS plan, b.available AS available FROM balances AS b
             WHERE b.account = {}",
            literal(account)
        );
        let rows: Vec<Row> = app.warehouse.query_rows(&sql).await?;
        let (own, available) = match rows.into_iter().next() {
            Some(row) => (Some(row.plan).filter(|plan| !plan.is_empty()), row.available),
            None => (None, Credits::ZERO),
        };
        let catalogue = app.followed.prices().catalogue;
        let plan = named.map(str::to_owned).or(own);
        let plan = plan.or_else(|| catalogue.default_plan(now()).map(str::to_owned));
        let terms = plan.as_deref().and_then(|plan| catalogue.plan(plan, now()));
        let terms = terms.map(|(_, terms)| terms.clone());
        let budgets = budgets(app, account, &scope_of(event)).await?;
        let freshness = freshness_of(app, Some(app.home(account))).await?;
        Ok(Self { plan, terms, available, budgets, freshness })
    }

    pub(crate) fn plan(&self) -> Option<&str> {
        self.plan.as_deref()
    }

    pub(crate) fn available(&self) -> Credits {
        self.available
    }

    /// What would become of a hold of so much.
    pub(crate) fn json(&self, most: Credits) -> Map<String, Value> {
        let (word, words) = self.at_zero();
        // `None` has no limit. Of equal ones the first: the balance before budgets.
        let balance =
            self.headroom().map(|headroom| ("balance".to_owned(), self.available + headroom));
        let budgets =
            self.budgets.iter().map(|budget| (format!("budget:{}", budget.id), budget.leaves));
        let tightest = balance.into_iter().chain(budgets).min_by_key(|(_, leaves)| *leaves);
        let short = tightest.filter(|(_, leaves)| *leaves < most);
        let resets_at = short.as_ref().and_then(|(limit, _)| {
            let id = limit.strip_prefix("budget:")?;
            self.budgets.iter().find(|budget| budget.id == id)?.resets_at
        });
        let hold = json!({
            "amount": most,
            "granted": short.is_none(),
            "limit": short.as_ref().map(|(limit, _)| limit),
            "shortfall": short.as_ref().map(|(_, leaves)| most - *leaves),
            "resets_at": resets_at,
        });
        Map::from_iter([
            ("available".to_owned(), json!(self.available)),
            ("on_exhausted".to_owned(), word.into()),
            ("at_zero".to_owned(), words.into()),
            ("hold_of_most".to_owned(), hold),
            ("freshness".to_owned(), self.freshness.clone()),
        ])
    }

    /// How far below zero holds may go; `None` is without limit.
    fn headroom(&self) -> Option<Credits> {
        let Some(terms) = &self.terms else { return Some(Credits::ZERO) };
        match terms.on_exhausted {
            OnExhausted::Refuse => Some(Credits::ZERO),
            OnExhausted::Overage => terms.overage.and_then(|overage| overage.max_credits),
            OnExhausted::Overdraft => Some(terms.overdraft_max.unwrap_or_default()),
        }
    }

    fn at_zero(&self) -> (&'static str, String) {
        let exhausted = self.terms.as_ref().map(|terms| terms.on_exhausted).unwrap_or_default();
        let limit = self.headroom();
        let up_to = limit
            .map_or_else(|| "without limit".to_owned(), |most| format!("up to {most} credits"));
        let words = match exhausted {
            OnExhausted::Refuse => {
                "holds are refused; usage that happens all the same is booked".to_owned()
            }
            OnExhausted::Overage => {
                let overage = self.terms.as_ref().and_then(|terms| terms.overage);
                let price = overage.and_then(|overage| overage.price_per_1000_credits);
                let price = price
                    .map_or_else(String::new, |price| format!(", at {price} per 1,000 credits"));
                format!("it goes on as overage, {up_to}{price}")
            }
            OnExhausted::Overdraft => format!("the balance may go below zero, {up_to}"),
        };
        (word_of(exhausted), words)
    }
}

pub(crate) fn word_of(exhausted: OnExhausted) -> &'static str {
    match exhausted {
        OnExhausted::Refuse => "refuse",
        OnExhausted::Overage => "overage",
        OnExhausted::Overdraft => "overdraft",
    }
}

fn scope_of<'e>(event: &'e UsageEvent<'_>) -> Scope<'e> {
    let lent = |text: &'e Option<Text<'_>>| text.as_deref().map(Text::Borrowed);
    Scope {
        user: lent(&event.user),
        team: lent(&event.team),
        feature: Some(Text::Borrowed(&event.feature)),
        traffic: event.traffic,
    }
}

#[derive(serde::Deserialize)]
struct ScopeRow {
    user: String,
    team: String,
    feature: String,
    traffic: String,
}

impl ScopeRow {
    fn texts(&self) -> [Option<Text<'_>>; 3] {
        [&self.user, &self.team, &self.feature]
            .map(|text| (!text.is_empty()).then_some(Text::Borrowed(text)))
    }

    fn of_budget(&self) -> BudgetScope<'_> {
        let [user, team, feature] = self.texts();
        BudgetScope { user, team, feature, traffic: Traffic::from_word(&self.traffic) }
    }

    fn of_hold(&self) -> Scope<'_> {
        let [user, team, feature] = self.texts();
        let traffic = Traffic::from_word(&self.traffic).unwrap_or_default();
        Scope { user, team, feature, traffic }
    }
}

/// The hard budgets that cover a scope. What open holds reserve is taken off.
async fn budgets(app: &App, account: &str, scope: &Scope<'_>) -> Result<Vec<Budget>, Problem> {
    #[derive(serde::Deserialize)]
    struct BudgetRow {
        budget: String,
        remaining: Credits,
        window_end: Option<Timestamp>,
        #[serde(flatten)]
        scope: ScopeRow,
    }
    #[derive(serde::Deserialize)]
    struct HoldRow {
        held: Credits,
        #[serde(flatten)]
        scope: ScopeRow,
    }
    let name = literal(account);
    let hard = format!(
        "SELECT b.budget AS budget, b.remaining AS remaining, b.window_end AS window_end,
            b.user AS user, b.team AS team, b.feature AS feature, b.traffic AS traffic
         FROM budgets AS b WHERE b.account = {name} AND b.hard ORDER BY b.budget"
    );
    let rows: Vec<BudgetRow> = app.warehouse.query_rows(&hard).await?;
    let covering: Vec<BudgetRow> =
        rows.into_iter().filter(|row| row.scope.of_budget().covers(scope)).collect();
    if covering.is_empty() {
        return Ok(Vec::new());
    }
    let open = format!(
        "SELECT h.held AS held, h.user AS user, h.team AS team, h.feature AS feature,
            h.traffic AS traffic
         FROM holds AS h WHERE h.account = {name} AND h.state = 'open'"
    );
    let holds: Vec<HoldRow> = app.warehouse.query_rows(&open).await?;
    let left = |row: BudgetRow| {
        let of_budget = row.scope.of_budget();
        let held: Credits = holds
            .iter()
            .filter(|hold| of_budget.covers(&hold.scope.of_hold()))
            .map(|hold| hold.held)
            .sum();
        Budget { leaves: row.remaining - held, resets_at: row.window_end, id: row.budget }
    };
    Ok(covering.into_iter().map(left).collect())
}
