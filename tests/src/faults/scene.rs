//! One deployment on a ground: topics and a database of its own, services, a producer, and what happens
//! to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use charger::{Clock, SystemClock};
use domain::{Offset, Partition, Topic, TopicPartition};
use eventlog::{EventLog, LogError};
use eventlog_kafka::KafkaLog;
use sabotage::{BREAKS_VARIABLE, Break};
use testkit::{SmallDisk, TempDir, wait_until};

use super::api::Api;
use super::classes::{Class, Way, on_call};
use super::feeder::{Feeder, Posting};
use super::ground::{Disk, Ground};
use crate::audit::{self, Findings, reached};
use crate::ledger_tail::LedgerTail;
use crate::load::{Load, Terms};
use crate::random::Random;
use crate::service::{
    KafkaTerms, Role, ServiceClock, ServiceSettings, create_topics, operator_key_file,
};
use crate::supervisor::Service;
use crate::tables::Tables;
use crate::truth::Pricing;

pub const PARTITIONS: u32 = 4;
/// Until something that must happen soon has happened.
const PATIENCE: Duration = Duration::from_secs(180);
const CHARGERS: [&str; 3] = ["charger-0", "charger-1", "charger-2"];
const PROJECTORS: [&str; 2] = ["projector-0", "projector-1"];

/// What one run of a class is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    pub seed: u64,
    pub events: usize,
    /// Over which the load is sent.
    pub within: Duration,
    pub faults: u64,
    pub broken: Option<Break>,
    /// To come to rest once the faults have ended.
    pub patience: Duration,
}

/// A deployment under fire.
#[derive(Debug)]
pub struct Scene<'g> {
    pub ground: &'g mut Ground,
    pub class: &'static Class,
    pub wanted: Wanted,
    pub random: Random,
    pub chargers: Vec<Service>,
    pub projectors: Vec<Service>,
    pub api: Api,
    /// Where a class has one: half of the load comes through it.
    pub gateway: Option<Service>,
    /// Until the scene comes to rest.
    feeder: Option<Feeder>,
    pub load: Arc<Load>,
    pub log: Arc<KafkaLog>,
    /// Faults so far; classes go through their kinds by it.
    pub faults: u64,
    /// Services that ended by themselves and were started again, where that is their way.
    pub restarts: u32,
    pub disk: Option<SmallDisk>,
    pub name: String,
    unrated: u64,
    tail: LedgerTail,
    tables: Tables,
    folder: TempDir,
}

impl<'g> Scene<'g> {
    /// # Errors
    /// When it cannot be set.
    pub fn set(
        ground: &'g mut Ground,
        class: &'static Class,
        wanted: Wanted,
        disk: Option<SmallDisk>,
    ) -> anyhow::Result<Self> {
        let name = ground.next_name();
        let folder = testkit::temp_dir()?;
        let direct = KafkaTerms {
            prefix: format!("{name}."),
            ..KafkaTerms::quick(ground.kafka.bootstrap())
        };
        let log = Arc::new(direct.connect()?);
        create_topics(log.as_ref(), PARTITIONS)?;
        let tables = Tables::open_in(&ground.clickhouse.http_url(), &name)?;
        let now = SystemClock::default().now();
        let mut terms = Terms::new(wanted.seed, PARTITIONS, wanted.events, now);
        if class.is_of_cards() {
            terms.cards = u32::try_from(wanted.faults)?.min(4);
        }
        terms.retroactive = class.rerates;
        let load = Arc::new(Load::plan(terms)?);
        let unrated = Pricing::of(&load)?.unrated_for_good(&load)?;
        let tail = LedgerTail::open(log.as_ref(), PARTITIONS)?;
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, testkit::free_port()?));
        let posting = class.has_gateway.then(|| Posting {
            url: format!("http://{listen}"),
            key_file: operator_key_file(folder.path()),
        });
        let feeder = Feeder::start(Arc::clone(&log), Arc::clone(&load), wanted.within, posting)?;
        let mut scene = Self {
            ground,
            class,
            wanted,
            random: Random::new(wanted.seed),
            chargers: Vec::new(),
            projectors: Vec::new(),
            gateway: None,
            api: Api::new(format!("http://{listen}"), operator_key_file(folder.path()))?,
            feeder: Some(feeder),
            load,
            log,
            faults: 0,
            restarts: 0,
            disk,
            name,
            unrated,
            tail,
            tables,
            folder,
        };
        for _ in 0..class.chargers {
            scene.add_charger()?;
        }
        scene.add_projector()?;
        if class.has_gateway {
            let role = Role::Gateway { kafka: scene.kafka(), listen };
            scene.gateway = Some(scene.start("gateway", role)?);
        }
        Ok(scene)
    }

    /// The producer.
    ///
    /// # Errors
    /// When the scene has come to rest.
    pub fn feeder(&self) -> anyhow::Result<&Feeder> {
        self.feeder.as_ref().context("the load has ended")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn settings(&self, role: Role) -> ServiceSettings {
        let state = self.disk.as_ref().filter(|_| self.class.disk == Disk::State);
        ServiceSettings {
            partitions: PARTITIONS,
            clickhouse_url: match self.class.way {
                Way::ClickHouseProxy | Way::BothProxies => self.ground.clickhouse_proxy.url(),
                Way::Direct | Way::KafkaProxy => self.ground.clickhouse.http_url(),
            },
            database: self.name.clone(),
            folder: state.map_or(self.folder.path(), SmallDisk::path).to_owned(),
            role,
        }
    }

    fn kafka(&mut self) -> KafkaTerms {
        KafkaTerms {
            prefix: format!("{}.", self.name),
            transaction_timeout: self.class.transaction_timeout,
            // A restarted replica may or may not keep its place in the group.
            static_membership: self.class.keeps_places || self.random.per_mille(500),
            ..KafkaTerms::quick(match self.class.way {
                Way::KafkaProxy | Way::BothProxies => self.ground.kafka_proxy.bootstrap(),
                Way::Direct | Way::ClickHouseProxy => self.ground.kafka.bootstrap(),
            })
        }
    }

    fn start(&self, name: &'static str, role: Role) -> anyhow::Result<Service> {
        let broken = self.wanted.broken;
        let environment =
            broken.map(|broken| (BREAKS_VARIABLE.to_owned(), broken.word().to_owned()));
        let program = service_program()?;
        let program = program.to_str().context("a path that is no text")?;
        let environment = environment.into_iter().collect();
        Service::start_in(name, program, self.folder(), self.settings(role), environment)
    }

    /// Starts one more charger, with a name and a folder of its own.
    ///
    /// # Errors
    /// When there is none left, or it does not start.
    pub fn add_charger(&mut self) -> anyhow::Result<()> {
        let taken = |name: &str| self.chargers.iter().any(|charger| charger.name() == name);
        let slot = CHARGERS.iter().position(|name| !taken(name)).context("no charger is left")?;
        let role = Role::Charger {
            kafka: self.kafka(),
            slot: u32::try_from(slot)?,
            snapshot_every_inputs: self.class.snapshot_every(self.wanted.events),
            hot_identities_max: 300,
            clock: ServiceClock {
                seed: self.wanted.seed.wrapping_add(slot as u64),
                step_every_ms: super::classes::CLOCK_STEP_MS,
                step_s_max: if self.class.steps_clocks { 2 * 3_600 } else { 0 },
            },
        };
        let charger = self.start(CHARGERS[slot], role)?;
        self.chargers.push(charger);
        Ok(())
    }

    /// Starts one more projector.
    ///
    /// # Errors
    /// When there is none left, or it does not start.
    pub fn add_projector(&mut self) -> anyhow::Result<()> {
        let taken = |name: &str| self.projectors.iter().any(|one| one.name() == name);
        let name = PROJECTORS.into_iter().find(|name| !taken(name));
        let role = Role::Projector { kafka: self.kafka() };
        let projector = self.start(name.context("no projector is left")?, role)?;
        self.projectors.push(projector);
        Ok(())
    }

    /// Notices services that ended by themselves: an error, or the way of this class.
    ///
    /// # Errors
    /// With the end of the log of the one that ended.
    pub fn tend(&mut self) -> anyhow::Result<()> {
        if let Some(feeder) = &self.feeder {
            feeder.must_run()?;
        }
        // A broker without room ends, and its class starts it again.
        if self.class.disk != Disk::Log && !self.ground.kafka.is_running() {
            bail!("the broker ended by itself:\n{}", self.ground.kafka.log_tail());
        }
        let mut ended = 0;
        let may_end = self.class.services_may_end;
        for service in self.services() {
            if may_end {
                ended += u32::from(service.restart_if_ended()?);
            } else {
                service.must_run()?;
            }
        }
        self.restarts += ended;
        Ok(())
    }

    fn services(&mut self) -> impl Iterator<Item = &mut Service> {
        self.chargers.iter_mut().chain(&mut self.projectors).chain(&mut self.gateway)
    }

    /// Waits for a condition while the services are looked after.
    ///
    /// # Errors
    /// Those of [`Self::tend`] and of the condition; when it does not come to hold.
    pub fn wait(
        &mut self,
        what: &str,
        holds: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        self.wait_for(what, PATIENCE.min(self.wanted.patience), holds)
    }

    fn wait_for(
        &mut self,
        what: &str,
        patience: Duration,
        mut holds: impl FnMut(&mut Self) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let mut failed = None;
        let waited = wait_until(patience, || {
            let asked = self.tend().and_then(|()| holds(self));
            asked.unwrap_or_else(|error| {
                failed = Some(error);
                true
            })
        });
        if let Some(error) = failed {
            return Err(error);
        }
        waited.map_err(|error| anyhow!("{what}: {error}\n{}", self.log_tails()))
    }

    /// Lets the load run for a moment.
    ///
    /// # Errors
    /// Those of [`Self::tend`].
    pub fn pause(&mut self, from_ms: u64, to_ms: u64) -> anyhow::Result<()> {
        let until = Instant::now() + Duration::from_millis(self.random.between(from_ms, to_ms));
        while Instant::now() < until {
            self.tend()?;
            std::thread::sleep(Duration::from_millis(20).min(until - Instant::now()));
        }
        Ok(())
    }

    /// Where each partition of the ledger ends.
    ///
    /// # Errors
    /// Those of the log.
    pub fn ledger_ends(&self) -> anyhow::Result<Vec<Offset>> {
        (0..PARTITIONS)
            .map(Partition)
            .map(|partition| TopicPartition { topic: Topic::LedgerEntries, partition })
            .map(|at| Ok(self.log.bounds(at)?.stable_end))
            .collect()
    }

    /// Waits until the ledger has grown.
    ///
    /// # Errors
    /// When nobody works.
    pub fn wait_for_work(&mut self) -> anyhow::Result<()> {
        let mut before = None;
        self.wait("nobody works", |scene| {
            // A broker that has just come back may not answer yet.
            let Ok(ends) = scene.ledger_ends() else { return Ok(false) };
            match &before {
                Some(before) => Ok(ends > *before),
                None => {
                    before = Some(ends);
                    Ok(false)
                }
            }
        })
    }

    /// Waits until everybody works: the ledger grows, and ClickHouse has some of it. Then the load comes.
    ///
    /// # Errors
    /// When somebody does not.
    pub fn wait_until_under_way(&mut self) -> anyhow::Result<()> {
        self.wait_for_work()?;
        self.wait("ClickHouse stays empty", |scene| {
            Ok(scene.tables.number("count()", "ledger_entries")? > 0)
        })?;
        self.feeder()?.hurry();
        Ok(())
    }

    /// The files of the chargers' state.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn state_files(&self, slot: usize) -> anyhow::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder().join(slot.to_string())];
        while let Some(folder) = folders.pop() {
            for found in std::fs::read_dir(&folder)? {
                let path = found?.path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        Ok(files)
    }

    /// Ends the load and waits until everything is decided and stored. Returns how long that took. Then the
    /// services are stopped, in order.
    ///
    /// # Errors
    /// When it does not come to rest.
    pub fn come_to_rest(&mut self) -> anyhow::Result<Duration> {
        let patience = self.wanted.patience;
        let sending = PATIENCE + self.wanted.within * 3;
        self.wait_for("the load is not through", sending, |scene| {
            Ok(scene.feeder()?.is_through())
        })?;
        let started = Instant::now();
        if let Some(feeder) = self.feeder.take() {
            feeder.finish()?;
        }
        let unrated = self.unrated;
        self.wait_for("the charger is not through", patience, |scene| {
            match scene.tail.is_drained(scene.log.as_ref(), unrated) {
                // The broker has just come back.
                Err(error) if is_passing(&error) => Ok(false),
                asked => asked,
            }
        })?;
        if self.class.rerates {
            while on_call::rerate(self)? > 0 {}
            self.wait_for("the charger is not through", patience, |scene| {
                scene.tail.is_drained(scene.log.as_ref(), unrated)
            })?;
        }
        let goal = reached(&self.tail);
        self.wait_for("the projector is not through", patience, |scene| {
            scene.tables.has_all(&goal)
        })?;
        let steady = started.elapsed();
        // Lots that end just now are noticed without any input: what is compared must stand still.
        let may_end = self.class.services_may_end;
        for charger in &mut self.chargers {
            if !(may_end && charger.has_ended()?) {
                charger.stop()?;
            }
        }
        self.chargers.clear();
        self.wait_for("the ledger does not stand still", patience, |scene| {
            scene.tail.is_drained(scene.log.as_ref(), unrated)
        })?;
        let goal = reached(&self.tail);
        self.wait_for("the projector is not through", patience, |scene| {
            scene.tables.has_all(&goal)
        })?;
        for projector in self.projectors.iter_mut().chain(&mut self.gateway) {
            if !(may_end && projector.has_ended()?) {
                projector.stop()?;
            }
        }
        Ok(steady)
    }

    /// Holds the ledger and ClickHouse against each other and against the load.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn audit(&mut self) -> anyhow::Result<Findings> {
        audit::everything(self.log.as_ref(), &self.load, &self.tail, &self.tables)
    }

    /// What an operator does when `verify` says that ClickHouse has lost what it had taken: the tables are made
    /// again from the ledger, with the projector and the API at work.
    ///
    /// # Errors
    /// When that does not come to an end.
    pub fn rebuild(&mut self) -> anyhow::Result<()> {
        for service in self.projectors.iter_mut().chain(&mut self.gateway) {
            service.restart()?;
        }
        on_call::rebuild(self, false)?;
        for service in self.projectors.iter_mut().chain(&mut self.gateway) {
            service.stop()?;
        }
        Ok(())
    }

    /// Removes what the scene has in ClickHouse. Its topics go with the broker.
    ///
    /// # Errors
    /// When ClickHouse does not do it.
    pub fn clear(self) -> anyhow::Result<()> {
        self.ground.sql(&format!("DROP DATABASE IF EXISTS {} SYNC", self.name))?;
        Ok(())
    }

    /// Keeps logs and states, for who looks into a failure.
    pub fn keep(self) -> PathBuf {
        let folder = self.folder.keep();
        let server = self.ground.clickhouse.directory().join("server.log");
        for (name, log) in [("broker.log", self.ground.kafka.log()), ("clickhouse.log", &server)] {
            if let Err(error) = std::fs::copy(log, folder.join(name)) {
                tracing::warn!(%error, name, "not kept");
            }
        }
        folder
    }

    /// How far everybody has come, and the ends of the services' logs.
    pub fn log_tails(&self) -> String {
        let ends = |topic: Topic| {
            let end = |partition| {
                let bounds = self.log.bounds(TopicPartition { topic, partition });
                bounds.map_or_else(
                    |why| why.to_string(),
                    |at| format!("{}/{}", at.stable_end, at.end),
                )
            };
            (0..PARTITIONS).map(|number| end(Partition(number))).collect::<Vec<_>>().join(" ")
        };
        let sent = self.feeder.as_ref().map_or(self.load.lines.len(), Feeder::sent);
        let reached = format!(
            "sent {sent} of {}; usage.raw {}; ledger.commands {}; ledger.entries {}",
            self.load.lines.len(),
            ends(Topic::UsageRaw),
            ends(Topic::LedgerCommands),
            ends(Topic::LedgerEntries),
        );
        let services = self.chargers.iter().chain(&self.projectors).chain(&self.gateway);
        let tails: Vec<String> = services
            .map(|service| format!("--- {}\n{}", service.name(), service.log_tail()))
            .collect();
        format!("{reached}\n{}", tails.join("\n"))
    }

    /// A disk that this class may fill.
    ///
    /// # Errors
    /// When it has none.
    pub fn full_disk(&self) -> anyhow::Result<&SmallDisk> {
        self.disk.as_ref().or(self.ground.disk.as_ref()).context("no disk to fill")
    }

    /// Puts a victim at the place where classes look for it.
    ///
    /// # Errors
    /// When there is none.
    pub fn any_charger(&mut self) -> anyhow::Result<&mut Service> {
        let count = self.chargers.len() as u64;
        ensure!(count > 0, "no charger");
        let index = self.random.below(count) as usize;
        self.chargers.get_mut(index).context("no charger")
    }
}

fn is_passing(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(LogError::Unavailable(_)))
}

/// The services' program lies beside this one.
fn service_program() -> anyhow::Result<PathBuf> {
    let ours = std::env::current_exe()?;
    let mut folder = ours.parent().context("a program without a folder")?;
    if folder.ends_with("deps") {
        folder = folder.parent().context("a folder without a folder")?;
    }
    let program = folder.join("e2e-service");
    if !program.is_file() {
        bail!("{} is not built: `cargo build -p e2e`", program.display());
    }
    Ok(program)
}
