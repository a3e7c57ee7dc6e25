//! Tables rebuilt, compared, exchanged and exchanged back, again and again, while events come in and
//! the process is killed: at random moments, while the projector stands still, and in the middle of
//! an exchange. In the end every table is what the ledger makes of it, row by row.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use charger::{Clock, SystemClock};
use e2e::random::Random;
use e2e::service::{DATABASE, Role, ServiceSettings, operator_key_file};
use e2e::spenders::{Api, CARD};
use e2e::supervisor::Service;
use e2e::tables::Tables;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{ClickHouse, wait_until};
use tokio::runtime::Runtime;
use warehouse::Warehouse;

const PARTITIONS: u32 = 3;
const ACCOUNTS: u64 = 12;
const SEED: u64 = 5;
/// Kills at random moments, while the projector stands still, and while tables are exchanged.
const KILLS: [u32; 3] = [4, 4, 6];
const CYCLES_MIN: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(120);
const STEP_WAIT: Duration = Duration::from_millis(100);

fn event(number: u64) -> Value {
    json!({
        "specversion": "1.0", "type": "tally.usage.v1", "source": "rebuild",
        "id": format!("event-{number}"), "time": SystemClock::default().now().to_string(),
        "subject": format!("acct_{}", number % ACCOUNTS),
        "data": { "feature": if number.is_multiple_of(3) { "chat" } else { "search" },
            "items": [{ "meter": "unit", "quantity": (1 + number % 7).to_string() }] },
    })
}

/// Sends events until it is told to stop; returns how many.
async fn load(api: Api, stop: Arc<AtomicBool>) -> anyhow::Result<u64> {
    let mut sent = 0;
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<Value> = (sent..sent + 40).map(event).collect();
        let (answer, _) = api.insist(Method::POST, "/v1/events", "", &json!(batch)).await?;
        ensure!(answer.status == StatusCode::ACCEPTED, "{answer:?}");
        sent += 40;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(sent)
}

/// Asks until the answer is one; what passes by itself is asked for again.
async fn ask(api: &Api, method: Method, path: &str, body: &Value) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let (answer, _) = api.insist(method.clone(), path, "", body).await?;
        if answer.status.is_success() {
            return Ok(answer.body);
        }
        if answer.body["type"] != "replay_busy" || started.elapsed() > PATIENCE {
            bail!("{path}: {answer:?}");
        }
        tokio::time::sleep(STEP_WAIT).await;
    }
}

/// One step after the other, until it is done.
async fn done(api: &Api, path: &str, body: &Value) -> anyhow::Result<Value> {
    let started = Instant::now();
    loop {
        let step = ask(api, Method::POST, path, body).await?;
        if step["state"] == "done" || step["caught_up"] == true {
            return Ok(step);
        }
        ensure!(started.elapsed() < PATIENCE, "{path}: {step}");
    }
}

async fn begin(api: &Api) -> anyhow::Result<String> {
    let plan = ask(api, Method::POST, "/v1/replays/plan", &json!({ "reason": "test" })).await?;
    let begun = ask(api, Method::POST, "/v1/replays", &json!({ "plan": plan["plan"] })).await?;
    let id = begun["replay"].as_str().context("a name")?.to_owned();
    done(api, &format!("/v1/replays/{id}/advance"), &json!({})).await?;
    Ok(id)
}

/// Exchanges so that the wanted side is live, whoever was killed in between. What differs is accepted.
async fn swap(api: &Api, id: &str, back: bool) -> anyhow::Result<()> {
    let wanted = if back { "original" } else { "rebuilt" };
    let path = format!("/v1/replays/{id}");
    loop {
        let status = ask(api, Method::GET, &path, &json!({})).await?;
        if status["live"] == wanted && status["state"] != "exchanging" {
            return Ok(());
        }
        let report = match status["state"] == "exchanging" {
            true => json!({ "digest": "none" }),
            false => match done(api, &format!("{path}/diff"), &json!({})).await {
                Ok(report) => report,
                // Somebody finished an exchange meanwhile.
                Err(_) => continue,
            },
        };
        let mut body = json!({ "back": back });
        if report["digest"] != "none" {
            body["accept_differences"] = report["digest"].clone();
        }
        // Refused when it was done before we asked again: the status tells.
        let asked = done(api, &format!("{path}/swap"), &body).await;
        if let Err(error) = asked {
            ensure!(error.to_string().contains("replay_swapped"), "{error:#}");
        }
    }
}

/// Rebuilds, exchanges there, back and there again, drops; until it is told to stop.
async fn rebuild(api: Api, stop: Arc<AtomicBool>, cycles: Arc<AtomicU64>) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let id = begin(&api).await?;
        for back in [false, true, false] {
            swap(&api, &id, back).await?;
        }
        let path = format!("/v1/replays/{id}");
        loop {
            let dropped = api.insist(Method::DELETE, &path, "", &json!({})).await?.0;
            let code = dropped.body["type"].as_str().unwrap_or_default().to_owned();
            match dropped.status.is_success() || code == "replay_dropped" {
                true => break,
                false => ensure!(code == "replay_busy", "{dropped:?}"),
            }
            tokio::time::sleep(STEP_WAIT).await;
        }
        cycles.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// What the killer looks at.
struct Watch {
    runtime: Runtime,
    tables: Warehouse,
}

impl Watch {
    fn open(url: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let settings =
            warehouse::Settings { database: DATABASE.to_owned(), ..warehouse::Settings::new(url) };
        let tables = runtime.block_on(Warehouse::connect(settings))?;
        Ok(Self { runtime, tables })
    }

    /// Waits for another step of that name to be journalled.
    fn next(&self, step: &str) -> anyhow::Result<()> {
        let count = || -> anyhow::Result<usize> {
            let steps = self.runtime.block_on(self.tables.journal())?;
            Ok(steps.iter().filter(|it| it.step == step).count())
        };
        let before = count()?;
        let mut failed = None;
        wait_until(PATIENCE, || match count() {
            Ok(now) => now > before,
            Err(error) => {
                failed = Some(error);
                true
            }
        })
        .with_context(|| format!("no further {step}"))?;
        failed.map_or(Ok(()), Err)
    }

    fn execute(&self, sql: &str) -> anyhow::Result<()> {
        let rows = self.runtime.block_on(self.tables.query_rows::<Value>(sql));
        rows.map(drop).with_context(|| sql.to_owned())
    }
}

#[test]
fn whoever_is_killed_no_row_is_lost_or_twice() -> anyhow::Result<()> {
    let started = Instant::now();
    let clickhouse = ClickHouse::start()?;
    Tables::open(&clickhouse.http_url())?;
    let watch = Watch::open(&clickhouse.http_url())?;
    let folder = testkit::temp_dir()?;
    let port = subprocess::free_port()?;
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let settings = ServiceSettings {
        partitions: PARTITIONS,
        clickhouse_url: clickhouse.http_url(),
        database: DATABASE.to_owned(),
        folder: folder.path().to_owned(),
        role: Role::Served { listen },
    };
    let program = env!("CARGO_BIN_EXE_e2e-service");
    let mut service = Service::start("tally", program, folder.path(), settings)?;
    let key_file = operator_key_file(folder.path());
    wait_until(PATIENCE, || key_file.exists()).context("the gateway makes an operator key")?;
    let key = std::fs::read_to_string(key_file)?.trim_end().to_owned();
    let api = Api::new(format!("http://{listen}"), key)?;

    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let card = json!({ "toml": CARD, "reason": "test" });
    let published = runtime.block_on(api.insist(Method::POST, "/v1/rates/versions", "c", &card))?.0;
    ensure!(published.status == StatusCode::CREATED, "{published:?}");
    let (stop_load, stop_rebuilds) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let cycles = Arc::new(AtomicU64::new(0));
    let loading = runtime.spawn(load(api.clone(), Arc::clone(&stop_load)));
    wait_until(PATIENCE, || {
        let rows =
            watch.runtime.block_on(watch.tables.row_counts(&[&projection::tables::USAGE_DAILY]));
        rows.is_ok_and(|rows| rows.values().any(|rows| *rows > 0))
    })
    .context("usage arrives in ClickHouse")?;
    // Something to mend: the first exchange brings it back.
    watch.execute(
        "ALTER TABLE usage_daily DELETE WHERE feature = 'chat' SETTINGS mutations_sync = 2",
    )?;
    let rebuilding =
        runtime.spawn(rebuild(api.clone(), Arc::clone(&stop_rebuilds), Arc::clone(&cycles)));

    let mut random = Random::new(SEED);
    for (step, kills) in ["", "pause", "exchange"].into_iter().zip(KILLS) {
        for _ in 0..kills {
            ensure!(!loading.is_finished() && !rebuilding.is_finished(), "one of them ended");
            match step {
                "" => thread::sleep(Duration::from_millis(random.between(300, 2_500))),
                step => {
                    watch.next(step)?;
                    thread::sleep(Duration::from_millis(random.between(0, 120)));
                }
            }
            service.kill_and_restart()?;
        }
    }
    wait_until(PATIENCE, || {
        rebuilding.is_finished() || cycles.load(Ordering::Relaxed) >= CYCLES_MIN
    })
    .context("rebuilds make no way")?;
    stop_rebuilds.store(true, Ordering::Relaxed);
    runtime.block_on(rebuilding)??;
    stop_load.store(true, Ordering::Relaxed);
    let sent = runtime.block_on(loading)??;

    let verified = runtime.block_on(ask(&api, Method::GET, "/v1/verify", &json!({})))?;
    ensure!(verified["holds"] == true, "{verified:#}");
    // Once more, and nothing differs: each live table is what the ledger makes of it.
    let id = runtime.block_on(begin(&api))?;
    let report = runtime.block_on(done(&api, &format!("/v1/replays/{id}/diff"), &json!({})))?;
    ensure!(report["same"] == true, "{report:#}");
    let tables = report["tables"].as_array().context("tables")?;
    let of = |name: &str| tables.iter().find(|table| table["table"] == name);
    let lines = of("usage_lines").context("usage_lines")?;
    ensure!(lines["rows_original"] == json!(sent), "{sent} sent: {lines}");
    let finished = service.logged("an interrupted exchange of tables was finished")?;
    println!(
        "events        {sent}, ledger rows {}",
        of("ledger_entries").context("rows")?["rows_original"]
    );
    println!("kills         {}: random, in a pause, in an exchange {KILLS:?}", service.kills);
    println!("cycles        {} of three exchanges", cycles.load(Ordering::Relaxed));
    println!("left in the middle of an exchange and finished by the next process: {finished}");
    println!("time          {:.1?}", started.elapsed());
    service.stop()?;
    ensure!(finished > 0, "no kill hit an exchange: {:?}", service.log_tail());
    Ok(())
}
