//! `tally demo`: a real trace, metered from end to end.
//!
//! Without `--data` each run starts afresh in `demo` under the default data folder, which it empties
//! first when an earlier demo made it. With `--data` the folder stays: a second run over it meters
//! the trace again, as the usage of another hour, since its event and grant ids carry the time of
//! the run; the prices are the same versions as before.

mod event;
mod random;
mod rows;
mod show;
mod trace;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use domain::Timestamp;
use eventlog::EmbeddedLog;
use serde_json::{Value, json};

use crate::cli;
use crate::client::{ApiKey, Client, DEMO_FOLDER, segment};
use crate::commands::ingest::{Chunk, Sent};
use crate::commands::{Context, now, number, rates, text};
use crate::compose;
use crate::failure::{Failure, failed};
use crate::folder::{DataFolder, LOG_FILE};
use crate::logging;
use crate::output::{Output, print};
use crate::settings::{Settings, default_data_folder};
use crate::up::Running;

pub(crate) use show::Shown;
use trace::{ACCOUNTS, Line, Plan};

/// Says that a folder was made by a demo without `--data`, and may be emptied by the next.
pub(crate) const MARK_FILE: &str = "demo.json";
const MODEL_PRICES: &str = include_str!("../data/model_prices.json");
const METERS: &str = include_str!("../data/meters.toml");
const RATE_CARD: &str = include_str!("../data/rate-card.toml");
const LATE_PRICE: &str = include_str!("../data/late-price.toml");
/// Before every event of the trace, however late.
const EFFECTIVE_FROM: &str = "2023-01-01T00:00:00Z";
/// The trace's last request came so long ago: no clock of this machine sees it in the future.
const ENDED_MICROS_AGO: i64 = 2_000_000;
const GRANTING_THREADS: usize = 4;
const COVERED_PATIENCE: Duration = Duration::from_secs(60);
const COVERED_LOOK: Duration = Duration::from_millis(100);
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

pub(crate) fn demo(
    mut settings: Settings,
    output: Output,
    demo: &cli::Demo,
) -> Result<(), Failure> {
    let named = settings.text("data").map(PathBuf::from);
    let path = match &named {
        Some(path) => path.clone(),
        None => fresh_folder()?,
    };
    settings.flag("data", Some(path.display()));
    let folder = DataFolder::open(&path)?;
    if named.is_none() {
        folder.write(
            MARK_FILE,
            &json!({"made_by": "tally demo", "emptied": "by the next one"}),
            0o644,
        )?;
    }
    logging::start(&settings, Some(&folder.at(LOG_FILE)))?;
    let told = Told { output, started: Instant::now() };
    let running = Running::start(&settings, folder, &mut |line| told.step(line))?;
    told.step(&format!(
        "tally is up at {} (data in {})",
        running.addresses.api,
        running.folder().display()
    ));
    let showed = meter(&running, &told, demo.seed).and_then(|shown| {
        shown.map(|shown| shown.tell(&told, &running, named.as_deref())).transpose()
    });
    match showed {
        Ok(Some(())) if !demo.exit => running.wait(),
        // Interrupted, or asked to end.
        Ok(_) => running.stop(),
        Err(failure) => running.stop().and(Err(failure)),
    }
}

/// The demo's own folder, emptied when an earlier demo left it.
fn fresh_folder() -> Result<PathBuf, Failure> {
    let path = default_data_folder()?.join(DEMO_FOLDER);
    if !path.join(MARK_FILE).exists() {
        return Ok(path);
    }
    let folder = DataFolder::open(&path)?;
    // Opened for a moment: it says who holds the folder when a demo runs there.
    EmbeddedLog::open(folder.log()).map(drop).map_err(compose::log_failure)?;
    std::fs::remove_dir_all(&path).map_err(failed(format!("emptying {}", path.display())))?;
    Ok(path)
}

/// What is said along the way.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) output: Output,
    started: Instant,
}

impl Told {
    pub(crate) fn step(&self, line: &str) {
        if !self.output.json {
            print(&format!("[{:5.1} s] {line}\n", self.started.elapsed().as_secs_f64()));
        }
    }
}

/// Publishes, grants, ingests, publishes the missing price, and asks for what came out. Nothing
/// when somebody interrupted it.
fn meter(running: &Running, told: &Told, seed: u64) -> Result<Option<Shown>, Failure> {
    let client = Client::new(&running.addresses.api, ApiKey::in_folder(running.folder())?, None)?;
    let context = Context { client, output: told.output, actor: Some("demo".to_owned()) };
    publish_prices(&context, told)?;
    let ends_at = now().plus_micros(-ENDED_MICROS_AGO);
    let run = format!("r{}", ends_at.micros() / 1_000_000);
    let granted = grant_credits(&context.client, &run, ends_at)?;
    told.step(&format!("granted credits to {} accounts ({granted} lots)", ACCOUNTS.len()));
    if !running.goes_on()? {
        return Ok(None);
    }
    let rows = rows::bundled().map_err(|error| Failure::Failed(error.to_string()))?;
    let lines = trace::lines(&rows, &Plan { seed, ends_at, run });
    told.step(&format!(
        "metering the Azure LLM inference trace 2023: {} real requests of one hour, moved so that it ends now",
        rows.len()
    ));
    let ingested = ingest(&context, &lines)?;
    told.step(&format!(
        "{} events priced, charged and queryable in {:.1} s ({:.0} per second)",
        ingested.sent.records,
        ingested.took.as_secs_f64(),
        ingested.events_per_second()
    ));
    if !running.goes_on()? {
        return Ok(None);
    }
    let covered = publish_late_price(&context, told)?;
    told.step("asking what came out, and proving it from the ledger");
    Shown::ask(&context, &lines, ingested, covered).map(Some)
}

fn publish_prices(context: &Context, told: &Told) -> Result<(), Failure> {
    let body = json!({"json": MODEL_PRICES, "effective_from": EFFECTIVE_FROM, "id": "vendors"});
    let imported = context.client.post("/v1/rates/import/litellm", &body)?;
    let book = text(&imported, "toml").unwrap_or_default();
    let models = number(&imported, "represented").unwrap_or(0);
    for (what, toml) in [
        (format!("vendor prices of {models} models (LiteLLM's price map)"), book),
        ("vendor prices of meters".to_owned(), METERS),
        ("the rate card: what customers are charged".to_owned(), RATE_CARD),
    ] {
        let answer = publish(context, toml)?;
        let already = answer["already_published"].as_bool().unwrap_or(false);
        told.step(&format!("{} {what}", if already { "had" } else { "published" }));
    }
    Ok(())
}

fn publish(context: &Context, toml: &str) -> Result<Value, Failure> {
    let body = json!({"toml": toml, "actor": context.actor, "reason": "tally demo"});
    context.client.post("/v1/rates/versions", &body)
}

/// One grant of the demo.
struct Grant {
    account: &'static str,
    id: String,
    body: Value,
}

/// Included and promotional credits for all, and bought ones by how much each account will use: a
/// few have too few, so that overage is seen.
fn grants(run: &str, at: Timestamp) -> Vec<Grant> {
    let expires = |days: i64| at.plus_micros(days * DAY_MICROS).to_string();
    let mut grants = Vec::new();
    for (place, account) in ACCOUNTS.into_iter().enumerate() {
        let mut grant = |category: &str, mut body: Value| {
            let id = format!("{run}-{account}-{category}");
            body["category"] = json!(category);
            body["reason"] = json!("tally demo");
            body["actor"] = json!("demo");
            body["id"] = json!(id);
            grants.push(Grant { account, id, body });
        };
        grant("included", json!({"amount": "500", "expires": expires(30)}));
        if place % 3 == 0 {
            grant("promotional", json!({"amount": "250", "expires": expires(7)}));
        }
        // A hundredth of a cent per credit, a tenth less for the larger ones.
        let (credits, cents) = match place {
            0..5 => (400_000, 3_600),
            5..15 => (100_000, 1_000),
            _ if place % 5 == 4 => continue,
            _ => (20_000, 200),
        };
        let paid = format!("{}.{:02}", cents / 100, cents % 100);
        let body =
            json!({"amount": credits.to_string(), "paid": {"amount": paid, "currency": "USD"}});
        grant("purchased", body);
    }
    grants
}

fn grant_credits(client: &Client, run: &str, at: Timestamp) -> Result<usize, Failure> {
    let grants = grants(run, at);
    // Each waits for its commit, so a few at a time.
    std::thread::scope(|scope| {
        let share = grants.len().div_ceil(GRANTING_THREADS);
        let threads: Vec<_> = grants
            .chunks(share)
            .map(|share| {
                scope.spawn(move || {
                    share.iter().try_for_each(|grant| {
                        let path = format!("/v1/accounts/{}/grants", segment(grant.account));
                        client.change(&path, &grant.id, &grant.body).map(drop)
                    })
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|_| Err(Failure::Failed("granting panicked".to_owned())))
        })
    })?;
    Ok(grants.len())
}

/// What was sent, and how long it took until all of it could be queried.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub(crate) sent: Sent,
    pub(crate) took: Duration,
}

impl Ingested {
    pub(crate) fn events_per_second(&self) -> f64 {
        self.sent.records as f64 / self.took.as_secs_f64().max(0.001)
    }
}

fn ingest(context: &Context, lines: &[Line]) -> Result<Ingested, Failure> {
    let started = Instant::now();
    let bar = context.output.bar(lines.len() as u64, "events");
    let (mut sent, mut chunk) = (Sent::default(), Chunk::default());
    for line in lines {
        chunk.push(line.text.as_bytes());
        if chunk.is_full() {
            bar.inc(chunk.lines as u64);
            sent.add(&context.client, chunk.take(), true)?;
        }
    }
    if chunk.lines > 0 {
        bar.inc(chunk.lines as u64);
        sent.add(&context.client, chunk.take(), true)?;
    }
    sent.wait_until_queryable(&context.client)?;
    bar.finish_and_clear();
    Ok(Ingested { sent, took: started.elapsed() })
}

/// Publishes the price that was missing, and waits until what waited for it is charged.
fn publish_late_price(context: &Context, told: &Told) -> Result<u64, Failure> {
    let answer = publish(context, LATE_PRICE)?;
    if !context.output.json && answer["already_published"] == json!(false) {
        told.step(rates::published("late price", &answer, false).trim_end());
    }
    let covered = number(&answer, "unrated_covered").unwrap_or(0);
    let deadline = Instant::now() + COVERED_PATIENCE;
    while number(&context.client.get("/v1/status", &[])?, "unrated_waiting").unwrap_or(0) > 0 {
        if Instant::now() > deadline {
            return Err(Failure::Failed(
                "usage that got its price was not charged in time: see `tally status`".to_owned(),
            ));
        }
        std::thread::sleep(COVERED_LOOK);
    }
    Ok(u64::try_from(covered).unwrap_or(0))
}

/// How the next steps are to be typed: as this program was called.
pub(crate) fn program(data: Option<&Path>) -> String {
    let called = std::env::args().next().unwrap_or_else(|| "tally".to_owned());
    match data {
        Some(data) => format!("{called} --data {}", data.display()),
        None => called,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_documents_work_together() {
        let mut catalogue = rating::Catalogue::new();
        let from: Timestamp = EFFECTIVE_FROM.parse().unwrap();
        let book =
            rating::import_litellm(MODEL_PRICES, from, "vendors", domain::Currency::USD).unwrap();
        assert!(book.models > 200, "{}", book.models);
        let documents = [book.toml.as_str(), METERS, RATE_CARD, LATE_PRICE];
        for (place, toml) in documents.iter().enumerate() {
            let document =
                rating::Document::parse(toml).unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(document.warnings().is_empty(), "{:?}", document.warnings());
            catalogue.apply(domain::CatalogueId(place as u32), document).unwrap();
        }
    }

    #[test]
    fn every_event_of_the_trace_has_a_price_except_those_of_the_late_one() {
        let mut catalogue = rating::Catalogue::new();
        let from: Timestamp = EFFECTIVE_FROM.parse().unwrap();
        let book =
            rating::import_litellm(MODEL_PRICES, from, "vendors", domain::Currency::USD).unwrap();
        for (place, toml) in [book.toml.as_str(), METERS, RATE_CARD].iter().enumerate() {
            let document = rating::Document::parse(toml).unwrap();
            catalogue.apply(domain::CatalogueId(place as u32), document).unwrap();
        }
        let ends_at = "2026-11-20T12:00:00Z".parse().unwrap();
        let plan = Plan { seed: 2023, ends_at, run: "r1".to_owned() };
        let lines = trace::lines(&rows::bundled().unwrap(), &plan);
        let mut uncosted = 0;
        for line in lines.iter().filter(|line| line.intent != trace::Intent::Bad) {
            let event = wire::decode_usage(line.text.as_bytes()).unwrap().event;
            match (line.intent, rating::rate(&catalogue, &event, None)) {
                (trace::Intent::WithoutPrice, Err(_)) => {}
                (trace::Intent::WithoutPrice, Ok(_)) => panic!("has a price: {}", line.text),
                (_, Ok(rating)) => {
                    uncosted +=
                        rating.lines.iter().filter(|line| line.vendor_cost.is_none()).count();
                }
                (trace::Intent::Duplicate, Err(_)) => {}
                (_, Err(unrated)) => panic!("{unrated:?}: {}", line.text),
            }
        }
        assert_eq!(uncosted, 0);
    }

    #[test]
    fn grants_are_the_same_for_the_same_run() {
        let at = "2026-11-20T12:00:00Z".parse().unwrap();
        let ids = |run: &str| -> Vec<String> {
            grants(run, at).into_iter().map(|grant| grant.id).collect()
        };
        assert_eq!(ids("r1"), ids("r1"));
        let mut all = [ids("r1"), ids("r2")].concat();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
