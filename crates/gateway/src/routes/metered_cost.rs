//! `GET /v1/metered-cost`: vendor cost by day, model and token pool, beside what has none yet; what
//! a vendor's bill is compared with.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use calendar::{Date, Zone};
use domain::{ALL_POOLS, Measure, Money, Offset, Partition, Pool, Side, Topic, TopicPartition};
use ledger::Body;
use rating::Catalogue;
use reconcile::{Group, MeteredRow, Usage, price_of, split};
use serde_json::json;
use wire::LedgerRecord;

use crate::app::{App, Shared, literal, scan};
use crate::form::{Params, missing};
use crate::problem::Problem;
use crate::routes::accounts::freshness_of;
use crate::tail;

/// Days of one answer.
const DAYS_MAX: i32 = 400;
/// Groups of lines that were priced alike, of one answer.
const GROUPS_MAX: usize = 200_000;
/// Unrated events whose tokens are read from the ledger, one by one.
const UNRATED_MAX: usize = 10_000;

/// What is asked for: whole days of a zone.
struct Asked {
    from: Date,
    to: Date,
    zone: Zone,
}

/// Lines of one day and model that were priced by the same version and, by their size, alike.
#[derive(serde::Deserialize)]
struct GroupRow {
    day: Date,
    provider: String,
    model: String,
    book: String,
    version: u32,
    costed_by: String,
    lines: i64,
    cost: Money,
    #[serde(flatten)]
    pools: BTreeMap<String, i64>,
}

#[derive(Clone, Copy, serde::Deserialize)]
struct Place {
    partition: Partition,
    offset: Offset,
}

type Sums = BTreeMap<(Date, String, String, Pool), Usage>;

pub(crate) async fn get(State(app): State<App>, params: Params) -> Result<Response, Problem> {
    let asked = Asked::read(params)?;
    let catalogue = app.followed.prices().catalogue;
    let groups: Vec<GroupRow> =
        app.warehouse.query_rows(&asked.lines_sql(&thresholds(&catalogue))).await?;
    if groups.len() > GROUPS_MAX {
        let detail = "more days, models and prices than one answer has: ask for fewer days";
        return Err(Problem::bad_request("bad_value", detail).field("to"));
    }
    let mut sums = Sums::new();
    for group in &groups {
        add_group(&mut sums, &catalogue, group);
    }
    let mut places: Vec<Place> = app.warehouse.query_rows(&asked.unrated_sql()).await?;
    let unread = places.len().saturating_sub(UNRATED_MAX);
    places.truncate(UNRATED_MAX);
    let unrated_events = places.len();
    let zone = asked.zone.clone();
    let sums = scan(&app, move |shared| {
        for place in places {
            add_unrated(&mut sums, shared, place, &zone)?;
        }
        Ok(sums)
    })
    .await?;
    let rows: Vec<MeteredRow> = sums
        .into_iter()
        .filter(|(_, usage)| *usage != Usage { lines: usage.lines, ..Usage::default() })
        .map(|((day, provider, model, pool), usage)| MeteredRow {
            day,
            provider,
            model,
            pool,
            usage,
        })
        .collect();
    let answer = json!({
        "currency": catalogue.currency().map(|currency| currency.to_string()),
        "timezone": asked.zone.name(),
        "from": asked.from,
        "to": asked.to,
        "rows": rows,
        "unrated_events": unrated_events,
        "unrated_events_left_out": unread > 0,
        "freshness": freshness_of(&app, None).await?,
    });
    Ok(super::json(StatusCode::OK, &answer))
}

impl Asked {
    fn read(mut params: Params) -> Result<Self, Problem> {
        let from: Date = params.parsed("from", "bad_time")?.ok_or_else(|| missing("from"))?;
        let to: Date = params.parsed("to", "bad_time")?.ok_or_else(|| missing("to"))?;
        let zone: Zone = params.parsed("timezone", "bad_value")?.unwrap_or_default();
        params.finish()?;
        let days = from.days_until(to);
        if !(1..=DAYS_MAX).contains(&days) {
            let detail = format!("`to` lies 1 to {DAYS_MAX} days after `from`");
            let problem = Problem::bad_request("bad_time", detail).field("to");
            return Err(problem.value(&to.to_string()));
        }
        Ok(Self { from, to, zone })
    }

    /// The condition that a time lies in the days.
    fn holds(&self, time: &str) -> String {
        let bound = |sign: &str, date: Date| {
            let at = date.start(&self.zone)?;
            Some(format!("{time} {sign} fromUnixTimestamp64Micro({}, 'UTC')", at.micros()))
        };
        let bounds = [bound(">=", self.from), bound("<", self.to)];
        let bounds: Vec<String> = bounds.into_iter().flatten().collect();
        if bounds.is_empty() { "1".to_owned() } else { bounds.join(" AND ") }
    }

    /// The lines, summed where they were priced alike.
    ///
    /// A re-rate's line has the difference in cost and no tokens: those stay on the line of the charge.
    /// So a charge that was corrected is put together first, and has the price that it has now.
    fn lines_sql(&self, thresholds: &BTreeSet<u64>) -> String {
        let of_pools = |form: &dyn Fn(&str) -> String| {
            ALL_POOLS.into_iter().map(|pool| form(pool.name())).collect::<Vec<_>>().join(", ")
        };
        let charge = "(u.account, u.source, u.event_id)";
        let day = format!("toDate(u.event_time, {})", literal(self.zone.name()));
        let is_asked = format!("u.meter = '' AND u.model != '' AND {}", self.holds("u.event_time"));
        let corrected = format!(
            "SELECT DISTINCT u.account, u.source, u.event_id FROM usage_lines AS u
             WHERE u.corrects != '' AND {is_asked}"
        );
        let cost = "toDecimal256(ifNull(u.vendor_cost, 0), 12)";
        let price = |of: &dyn Fn(&str) -> String| {
            format!(
                "{} AS tier, {} AS book, {} AS version, {} AS costed_by",
                of("service_tier"),
                of("price_book"),
                of("price_book_version"),
                of("cost_status")
            )
        };
        let plain = format!(
            "SELECT {day} AS on_day, u.provider AS vendor, u.model AS named, {price},
                toInt64(u.lines) AS line_count, {cost} AS line_cost, {pools}
             FROM usage_lines AS u WHERE {is_asked} AND {charge} NOT IN ({corrected})",
            price = price(&|column| format!("u.{column}")),
            pools = of_pools(&|name| format!("u.{name} AS of_{name}")),
        );
        // One entry may take a charge back and put another in its place: the latter says the price.
        let together = format!(
            "SELECT {day} AS on_day, u.provider AS vendor, u.model AS named, {price},
                sum(u.lines) AS line_count, sum({cost}) AS line_cost, {pools}
             FROM usage_lines AS u WHERE {is_asked} AND {charge} IN ({corrected})
             GROUP BY on_day, vendor, named, u.account, u.source, u.event_id, u.item",
            price = price(&|column| {
                format!("argMax(u.{column}, (u.ledger_offset, u.entry_kind = 'adjustment'))")
            }),
            pools = of_pools(&|name| format!("sum(u.{name}) AS of_{name}")),
        );
        format!(
            "SELECT toString(on_day) AS day, vendor AS provider, named AS model, book, version,
                costed_by, sum(line_count) AS lines, sum(line_cost) AS cost, {pools}
             FROM ({plain} UNION ALL {together})
             GROUP BY on_day, vendor, named, tier, book, version, costed_by{band}
             LIMIT {limit}",
            pools = of_pools(&|name| format!("sum(of_{name}) AS {name}")),
            band = band(thresholds),
            limit = GROUPS_MAX + 1,
        )
    }

    fn unrated_sql(&self) -> String {
        let last = |column: &str| format!("argMax(s.{column}, s.sequence)");
        format!(
            "SELECT {} AS partition, {} AS offset FROM unrated_steps AS s
             GROUP BY s.account, s.source, s.event_id
             HAVING {} = 'unrated' AND {}
             ORDER BY partition, offset LIMIT {}",
            last("ledger_partition"),
            last("ledger_offset"),
            last("state"),
            self.holds("tupleElement(argMax(tuple(s.event_time), s.sequence), 1)"),
            UNRATED_MAX + 1,
        )
    }
}

/// Prices that change with the size of a prompt: lines on one side of every threshold are priced alike. A
/// line that takes another back lies on its side. Without thresholds there is nothing to tell apart,
/// and a number in GROUP BY would name a column by its place.
fn band(thresholds: &BTreeSet<u64>) -> String {
    if thresholds.is_empty() {
        return String::new();
    }
    let inputs: Vec<String> = ALL_POOLS
        .into_iter()
        .filter(|pool| pool.side() == Side::Input)
        .map(|pool| format!("of_{}", pool.name()))
        .collect();
    let limits: Vec<String> = thresholds.iter().map(u64::to_string).collect();
    let inputs = inputs.join(" + ");
    format!(", arrayCount(limit -> abs({inputs}) > limit, [{}])", limits.join(", "))
}

/// The sizes of prompts past which some price changes.
fn thresholds(catalogue: &Catalogue) -> BTreeSet<u64> {
    let books = catalogue.versions().filter_map(|version| match version.document.body() {
        rating::Body::PriceBook(book) => Some(book),
        rating::Body::RateCard(_) | rating::Body::Plan(_) | rating::Body::Defaults(_) => None,
    });
    let prices = books.flat_map(|book| &book.prices);
    let whens = prices.flat_map(|price| &price.whens);
    whens.filter_map(rating::When::prompt_tokens_over).collect()
}

fn add_group(sums: &mut Sums, catalogue: &Catalogue, row: &GroupRow) {
    let tokens: Vec<(Pool, i64)> = row
        .pools
        .iter()
        .filter_map(|(name, tokens)| Some((Pool::from_name(name)?, *tokens)))
        .filter(|(_, tokens)| *tokens != 0)
        .collect();
    let mut at = |pool: Pool, usage: Usage| {
        sums.entry((row.day, row.provider.clone(), row.model.clone(), pool))
            .or_default()
            .add(&usage);
    };
    let lines = row.lines;
    if row.costed_by == "missing" {
        for (pool, uncosted_tokens) in tokens {
            at(pool, Usage { uncosted_tokens, lines, ..Usage::default() });
        }
        return;
    }
    // A price may be found for calls that counted nothing, and a correction may leave money alone.
    let group = match tokens.is_empty() {
        true => Group { tokens: vec![(Pool::Input, 0)], cost: row.cost, lines },
        false => Group { tokens, cost: row.cost, lines },
    };
    let price = price_of(catalogue, (&row.book, row.version), (&row.provider, &row.model));
    let (shares, is_estimated) = split(&group, price);
    for ((pool, costed_tokens), (_, cost)) in group.tokens.iter().copied().zip(shares) {
        at(pool, Usage { costed_tokens, cost, lines, is_estimated, ..Usage::default() });
    }
}

/// The tokens of an event that is kept without a charge, from its entry in the ledger.
fn add_unrated(sums: &mut Sums, shared: &Shared, at: Place, zone: &Zone) -> Result<(), Problem> {
    let topic = TopicPartition { topic: Topic::LedgerEntries, partition: at.partition };
    tail::record_at(shared.log.as_ref(), topic, at.offset, |record| {
        let Ok(LedgerRecord::Entry(entry)) = wire::decode_ledger(record.value) else { return };
        let Body::Unrated(unrated) = &entry.body else { return };
        let day = Date::of(unrated.event.time, zone);
        for item in &unrated.event.items {
            let (Some(model), Measure::Tokens(pools)) = (&item.model, &item.measure) else {
                continue;
            };
            let provider = item.provider.as_deref().unwrap_or_default();
            for (pool, tokens) in pools.nonzero() {
                let unrated_tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
                sums.entry((day, provider.to_owned(), model.to_string(), pool))
                    .or_default()
                    .add(&Usage { unrated_tokens, ..Usage::default() });
            }
        }
    })?;
    Ok(())
}
