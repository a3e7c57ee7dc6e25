//! No overspend: hundreds of clients against one account and against many, over HTTP, while gateway
//! and charger are killed. What was granted and settled never exceeds what was there, no hold leaks,
//! every request is answered, and the same request is answered the same.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use domain::{Credits, Offset, Partition, Topic, TopicPartition};
use e2e::random::Random;
use e2e::service::{
    DATABASE, KafkaTerms, Role, ServiceSettings, create_topics, embedded_folder, operator_key_file,
};
use e2e::spenders::{Api, CARD, Spender, Spent, Told};
use e2e::supervisor::Service;
use e2e::tables::Tables;
use eventlog::{EmbeddedLog, EventLog};
use ledger::Body;
use reqwest::{Method, StatusCode};
use serde_json::json;
use testkit::{ClickHouse, Kafka, KafkaOptions, wait_until};
use wire::LedgerRecord;

const PARTITIONS: u32 = 3;
const CLIENTS: u64 = 240;
/// Half of the clients spend from one account.
const ONE: &str = "acct_one";
const ONE_CREDITS: i64 = 900;
const MANY: u64 = 24;
const MANY_CREDITS: i64 = 60;
const RUN: Duration = Duration::from_secs(14);
const PATIENCE: Duration = Duration::from_secs(90);
const SEED: u64 = 77;

fn accounts() -> impl Iterator<Item = (String, i64)> {
    let many = (0..MANY).map(|number| (format!("acct_{number}"), MANY_CREDITS));
    std::iter::once((ONE.to_owned(), ONE_CREDITS)).chain(many)
}

fn key(folder: &Path) -> anyhow::Result<String> {
    let file = operator_key_file(folder);
    wait_until(PATIENCE, || file.exists()).context("the gateway makes an operator key")?;
    Ok(std::fs::read_to_string(file)?.trim_end().to_owned())
}

/// Publishes the card and grants the credits.
async fn prepare(api: &Api) -> anyhow::Result<()> {
    let card = json!({ "toml": CARD, "reason": "test" });
    let (answer, _) = api.insist(Method::POST, "/v1/rates/versions", "card", &card).await?;
    ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    for (account, credits) in accounts() {
        let grant = json!({
            "amount": credits.to_string(), "category": "purchased", "reason": "test",
        });
        let path = format!("/v1/accounts/{account}/grants");
        let (answer, _) = api.insist(Method::POST, &path, "grant", &grant).await?;
        ensure!(answer.status == StatusCode::CREATED, "{answer:?}");
    }
    Ok(())
}

/// Lets the clients loose, while `kill` is called at random moments.
fn spend(
    api: &Api,
    mut kill: impl FnMut(&mut Random) -> anyhow::Result<()>,
) -> anyhow::Result<(Spent, Arc<Told>)> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(prepare(api))?;
    let told = Arc::new(Told::default());
    let until = Instant::now() + RUN;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let accounts = match number % 2 {
                0 => vec![ONE.to_owned()],
                _ => (0..MANY).map(|number| format!("acct_{number}")).collect(),
            };
            let (api, told) = (api.clone(), Arc::clone(&told));
            runtime.spawn(Spender { api, number, accounts, until, told }.run())
        })
        .collect();
    let mut random = Random::new(SEED);
    while Instant::now() < until {
        thread::sleep(Duration::from_millis(random.between(1_200, 3_000)));
        kill(&mut random)?;
    }
    let mut spent = Spent::new();
    for client in clients {
        for (account, credits) in runtime.block_on(client)?? {
            *spent.entry(account).or_default() += credits;
        }
    }
    Ok((spent, told))
}

/// What the ledger says, entry by entry.
#[derive(Default)]
struct Seen {
    reserved: u64,
    refused: u64,
    expired: u64,
    held: BTreeMap<String, Credits>,
    settled: BTreeMap<String, Credits>,
    /// Accounts that were charged for an event whose hold had expired before it came.
    unmatched: BTreeSet<String>,
}

fn read(log: &dyn EventLog) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    for partition in (0..PARTITIONS).map(Partition) {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let end = log.bounds(at)?.stable_end;
        let mut reader = log.reader(&[(at, Offset::ZERO)])?;
        let mut wrong = None;
        while reader.position(at) < end {
            reader.poll(1_000, Duration::from_millis(100), &mut |record| {
                if let Err(error) = seen.record(record.value) {
                    wrong.get_or_insert(error);
                }
            })?;
        }
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
    }
    Ok(seen)
}

impl Seen {
    fn record(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let LedgerRecord::Entry(entry) = wire::decode_ledger(bytes)? else {
            return Ok(());
        };
        match &entry.body {
            Body::HoldReserved(_) => self.reserved += 1,
            Body::HoldRefused(_) => self.refused += 1,
            Body::HoldEnded(ended) => {
                self.expired += u64::from(ended.how == ledger::HoldEnding::Expired);
            }
            Body::Debit(debit) => {
                let above = debit.hold.as_deref().map(|used| used.above).unwrap_or_default();
                ensure!(above.is_zero(), "no client uses more than it holds: {debit:?}");
                if debit.event.hold.is_some() && debit.hold.is_none() {
                    self.unmatched.insert(entry.account.to_string());
                }
            }
            _ => {}
        }
        // Holds and settled usage together never exceed what was there.
        ensure!(
            !entry.after.available().is_negative()
                || self.unmatched.contains(entry.account.as_ref()),
            "{} has {} available after {:?}",
            entry.account,
            entry.after.available(),
            entry.body
        );
        self.held.insert(entry.account.to_string(), entry.after.held);
        self.settled.insert(entry.account.to_string(), entry.after.settled);
        Ok(())
    }
}

/// Waits until no hold is left, and compares.
fn check(log: &dyn EventLog, spent: &Spent, told: &Told) -> anyhow::Result<Seen> {
    let seen = read(log)?;
    let (report, _, _) = replay::verify_ledger(log, PARTITIONS)?;
    for check in &report.checks {
        ensure!(check.holds(), "invariant {}: {:?}", check.invariant, check.counterexamples);
    }
    for (account, held) in &seen.held {
        ensure!(held.is_zero(), "{account} still holds {held}");
    }
    for (account, granted) in accounts() {
        let granted = Credits::from_units(granted);
        let spent = spent.get(&account).copied().unwrap_or_default();
        let settled = seen.settled.get(&account).copied().unwrap_or_default();
        if granted - spent != settled {
            bail!(
                "{account}: granted {granted}, its clients spent {spent}, the ledger has {settled}"
            );
        }
    }
    let reserved = told.reserved.load(Ordering::Relaxed);
    ensure!(seen.reserved == reserved, "{} reserved, {reserved} told", seen.reserved);
    let refused = told.refused.load(Ordering::Relaxed);
    ensure!(seen.refused == refused, "{} refused, {refused} told", seen.refused);
    Ok(seen)
}

fn print(kind: &str, seen: &Seen, told: &Told, kills: u32, started: Instant) {
    let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!("{kind}: {CLIENTS} clients, {kills} kills, {:.1?}", started.elapsed());
    println!(
        "holds     {} reserved, {} refused, {} expired",
        seen.reserved, seen.refused, seen.expired
    );
    println!("settled   {}, abandoned {}", of(&told.settled), of(&told.abandoned));
    println!(
        "requests  {} sent again unanswered, {} on purpose",
        of(&told.retried),
        of(&told.repeated)
    );
}

fn address() -> anyhow::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], subprocess::free_port()?)))
}

#[test]
fn on_the_embedded_log() -> anyhow::Result<()> {
    let started = Instant::now();
    let clickhouse = ClickHouse::start()?;
    Tables::open(&clickhouse.http_url())?;
    let folder = testkit::temp_dir()?;
    let listen = address()?;
    let settings = ServiceSettings {
        partitions: PARTITIONS,
        clickhouse_url: clickhouse.http_url(),
        database: DATABASE.to_owned(),
        folder: folder.path().to_owned(),
        role: Role::Served { listen },
    };
    let program = env!("CARGO_BIN_EXE_e2e-service");
    let mut service = Service::start("tally", program, folder.path(), settings)?;
    let api = Api::new(format!("http://{listen}"), key(folder.path())?)?;
    let (spent, told) = spend(&api, |_| service.kill_and_restart())?;
    wait_for_no_hold(&api)?;
    service.stop()?;
    let log = EmbeddedLog::open(embedded_folder(folder.path()))?;
    let seen = check(&log, &spent, &told)?;
    print("embedded", &seen, &told, service.kills, started);
    Ok(())
}

#[test]
fn on_kafka() -> anyhow::Result<()> {
    let started = Instant::now();
    let kafka = Kafka::start(KafkaOptions::default())?;
    let clickhouse = ClickHouse::start()?;
    Tables::open(&clickhouse.http_url())?;
    let folder = testkit::temp_dir()?;
    let terms = KafkaTerms::quick(kafka.bootstrap());
    let log = terms.connect()?;
    create_topics(&log, PARTITIONS)?;
    let listen = address()?;
    let settings = |role| ServiceSettings {
        partitions: PARTITIONS,
        clickhouse_url: clickhouse.http_url(),
        database: DATABASE.to_owned(),
        folder: folder.path().to_owned(),
        role,
    };
    let program = env!("CARGO_BIN_EXE_e2e-service");
    let role = Role::charger(terms.clone(), 0, 2_000);
    let mut charger = Service::start("charger", program, folder.path(), settings(role))?;
    let role = Role::Projector { kafka: terms.clone() };
    let mut projector = Service::start("projector", program, folder.path(), settings(role))?;
    let role = Role::Gateway { kafka: terms, listen };
    let mut gateway = Service::start("gateway", program, folder.path(), settings(role))?;
    let api = Api::new(format!("http://{listen}"), key(folder.path())?)?;
    let (spent, told) = spend(&api, |random| {
        charger.must_run()?;
        gateway.must_run()?;
        if random.per_mille(500) { charger.kill_and_restart() } else { gateway.kill_and_restart() }
    })?;
    wait_for_no_hold(&api)?;
    let kills = charger.kills + gateway.kills;
    for service in [&mut gateway, &mut projector, &mut charger] {
        service.stop()?;
    }
    let seen = check(&log, &spent, &told)?;
    print("kafka", &seen, &told, kills, started);
    Ok(())
}

/// Every hold ends by itself: abandoned ones expire.
fn wait_for_no_hold(api: &Api) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let held = |account: String| -> anyhow::Result<bool> {
        let path = format!("/v1/accounts/{account}/balance?consistency=strict");
        let (answer, _) = runtime.block_on(api.insist(Method::GET, &path, "", &json!({})))?;
        ensure!(answer.status == StatusCode::OK, "{answer:?}");
        Ok(answer.body["held"] != "0")
    };
    for (account, _) in accounts() {
        let mut failed = None;
        wait_until(PATIENCE, || match held(account.clone()) {
            Ok(held) => !held,
            Err(error) => {
                failed = Some(error);
                true
            }
        })
        .with_context(|| format!("{account} still holds credits"))?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Ok(())
}
