//! One seed's world.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use charger::{
    Charger, ChargerError, ChargerMetrics, ChargerSettings, Clock, RecoverError, Session,
};
use domain::{
    Credits, Money, Offset, Outcome, Partition, Timestamp, Topic, TopicPartition, partition_of,
};
use eventlog::memory::{MemoryLog, Offsets};
use eventlog::{Append, Appender, EventLog, Reader, TopicSpec};
use ledger::{Body, Category, Command, CommandBody, GrantTerms, HoldName};
use replay::{DeepSettings, Report, Verified, verify_deep};
use rerun::{RawSettings, replay_raw};
use wire::{CatalogueVersion, DocumentKind, LedgerRecord};

use crate::credits::{ALL_HOLDS_EXPIRE_MICROS, DAILY_PLAN, DEFAULTS, TRIAL_PLAN};
use crate::faults::Injected;
use crate::random::Random;
use crate::truth::{Charged, Truth};

pub(crate) const PARTITIONS: u32 = 3;
const ACCOUNTS: u64 = 7;
const REPLIES: TopicPartition = TopicPartition { topic: Topic::Replies, partition: Partition(0) };
const STEPS: u64 = 220;
const START: i64 = 1_795_000_000;
const GROUP: &str = "tally-charger";
const CHARGERS: u32 = 3;
/// How far a machine's clock may be from the others', either way.
const CLOCK_STEP_MICROS_MAX: i64 = 2 * 3_600 * 1_000_000;
/// Rounds without progress after which a calm world counts as stuck.
const DRAIN_ROUNDS_MAX: u32 = 5_000;

const PRICE_BOOK: &str = r#"
id = "vendors"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
[[price]]
meter = "unit"
per_unit = "0.5"
"#;
const RATE_CARD: &str = r#"
id = "card"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1"
credit_decimals = 4
rounding = "half_even"
[[rule]]
name = "unit"
match = { meter = "unit" }
charge = { credits_per_unit = "1" }
"#;
/// Covers, in addition, the meter that has no price at first.
const SECOND_CARD: &str = r#"
id = "card"
effective_from = "2020-01-01T00:00:00Z"
currency = "USD"
credits_per_currency_unit = "1"
credit_decimals = 4
rounding = "half_even"
[[rule]]
name = "unit"
match = { meter = ["unit", "later"] }
charge = { credits_per_unit = "1" }
"#;

/// What one seed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub records: u64,
    pub entries: u64,
    pub crashes: u64,
    pub faults: u64,
    /// Files of state that were damaged or removed.
    pub damaged: u64,
}

/// The log's time runs; what the chargers' machines say may be set forward and back.
#[derive(Debug)]
struct SimulatedClock {
    micros: AtomicI64,
    step: AtomicI64,
}

impl SimulatedClock {
    fn pass(&self, micros: i64) {
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }

    fn true_time(&self) -> Timestamp {
        Timestamp::from_micros(self.micros.load(Ordering::Relaxed))
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        self.true_time().plus_micros(self.step.load(Ordering::Relaxed))
    }

    fn running(&self) -> Duration {
        Duration::from_micros(self.micros.load(Ordering::Relaxed).unsigned_abs())
    }
}

pub(crate) struct World {
    pub(crate) random: Random,
    log: MemoryLog,
    clock: Arc<SimulatedClock>,
    appender: Box<dyn Appender>,
    truth: Truth,
    sent: Vec<(TopicPartition, String, Vec<u8>)>,
    pub(crate) next_id: u64,
    second_card: bool,
    crashes: u64,
    damaged: u64,
    /// Where the chargers keep their state.
    folder: PathBuf,
    /// The charger's answers, as far as they were read.
    pub(crate) replies: Box<dyn Reader>,
    /// Holds that were granted, oldest first.
    pub(crate) holds: Vec<HoldName>,
}

/// Runs one seed.
///
/// # Errors
/// What the ledger got wrong, or what could not go on.
pub fn run(seed: u64) -> anyhow::Result<Summary> {
    let mut random = Random::new(seed);
    let injected = Injected::new(Random::new(random.number()));
    let offsets = if random.percent(70) { Offsets::Marked } else { Offsets::Dense };
    let log = MemoryLog::new(offsets, Box::new(injected.clone()));
    let topics =
        Topic::ALL.map(|topic| TopicSpec { topic, partitions: topic.partitions(PARTITIONS) });
    log.create_topics(&topics)?;
    let clock = Arc::new(SimulatedClock {
        micros: AtomicI64::new(START * 1_000_000),
        step: AtomicI64::new(0),
    });
    log.set_time(clock.true_time());
    let folder = scratch()?;
    let chargers: Vec<Charger> = (0..CHARGERS)
        .map(|slot| charger(&log, &clock, folder.path(), slot))
        .collect::<anyhow::Result<_>>()?;
    let mut world = World {
        appender: log.appender()?,
        random,
        clock,
        truth: Truth::default(),
        sent: Vec::new(),
        next_id: 0,
        second_card: false,
        crashes: 0,
        damaged: 0,
        folder: folder.path().to_owned(),
        replies: log.reader(&[(REPLIES, Offset::ZERO)])?,
        holds: Vec::new(),
        log,
    };
    world.publish(DocumentKind::PriceBook, PRICE_BOOK)?;
    world.publish(DocumentKind::RateCard, RATE_CARD)?;
    if world.random.percent(60) {
        world.publish(DocumentKind::Plan, DAILY_PLAN)?;
        world.publish(DocumentKind::Plan, TRIAL_PLAN)?;
        if world.random.percent(50) {
            world.publish(DocumentKind::Defaults, DEFAULTS)?;
        }
    }

    let mut sessions: Vec<Option<Session<'_>>> = chargers.iter().map(|_| None).collect();
    for _ in 0..STEPS {
        world.step(&chargers, &mut sessions)?;
    }
    injected.stop();
    world.clock.step.store(0, Ordering::Relaxed);
    if !world.second_card {
        world.publish(DocumentKind::RateCard, SECOND_CARD)?;
    }
    sessions.clear();
    world.log.expire_members(GROUP);
    world.log.expire_transactions();
    let first = chargers.first().context("no charger")?;
    world.drain(first)?;
    world.clock.pass(ALL_HOLDS_EXPIRE_MICROS);
    world.log.set_time(world.clock.true_time());
    world.drain(first)?;
    let entries = world.check()?;
    Ok(Summary {
        records: world.truth.records,
        entries,
        crashes: world.crashes,
        faults: injected.count(),
        damaged: world.damaged,
    })
}

/// Snapshots are written with `fsync`, which a simulated crash does not need: memory serves where
/// there is a file system in it.
fn scratch() -> std::io::Result<tempfile::TempDir> {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

fn charger(
    log: &MemoryLog,
    clock: &Arc<SimulatedClock>,
    folder: &std::path::Path,
    slot: u32,
) -> anyhow::Result<Charger> {
    let state_dir = folder.join(format!("state-{slot}"));
    let settings = ChargerSettings {
        writer: format!("charger-{slot}"),
        group: GROUP.to_owned(),
        batch_inputs_max: 7,
        snapshot_every_inputs: 25,
        hot_identities_max: 64,
        ..ChargerSettings::new(PARTITIONS, state_dir)
    };
    let metrics = ChargerMetrics::new(&prometheus::Registry::new())?;
    let clock: Arc<dyn Clock> = Arc::<SimulatedClock>::clone(clock);
    Ok(Charger::new(Arc::new(log.clone()), settings, clock, metrics))
}

impl World {
    fn step<'c>(
        &mut self,
        chargers: &'c [Charger],
        sessions: &mut [Option<Session<'c>>],
    ) -> anyhow::Result<()> {
        let slot = usize::try_from(self.random.below(u64::from(CHARGERS)))?;
        match self.random.below(100) {
            0..=26 => self.produce()?,
            27..=34 => self.with_credits()?,
            35..=39 => self.grant()?,
            40..=44 => self.repeat()?,
            45..=46 => self.broken()?,
            47..=48 => self.pass_time(),
            49 => self.step_clocks(),
            50 if !self.second_card => {
                self.second_card = true;
                self.publish(DocumentKind::RateCard, SECOND_CARD)?;
            }
            51..=53 => {
                // A crash: nothing is said to anybody.
                self.crashes += u64::from(sessions[slot].take().is_some());
                if self.random.percent(50) {
                    self.damage(slot)?;
                }
            }
            54 => self.log.expire_members(GROUP),
            55 => self.log.expire_transactions(),
            56 => self.log.forget_positions(GROUP),
            57..=58 => {
                if let Some(mut session) = sessions[slot].take() {
                    settle(session.give_up())?;
                }
            }
            _ => match &mut sessions[slot] {
                Some(session) => {
                    if settle(session.round())?.is_none() {
                        sessions[slot] = None;
                    }
                }
                None => sessions[slot] = settle(chargers[slot].join())?,
            },
        }
        Ok(())
    }

    fn pass_time(&mut self) {
        let micros = i64::try_from(self.random.below(40_000_000_000)).unwrap_or(0);
        self.clock.pass(micros);
        self.log.set_time(self.clock.true_time());
    }

    fn step_clocks(&mut self) {
        let most = CLOCK_STEP_MICROS_MAX.unsigned_abs();
        let step = i64::try_from(self.random.below(2 * most)).unwrap_or(0) - CLOCK_STEP_MICROS_MAX;
        self.clock.step.store(step, Ordering::Relaxed);
    }

    /// Changes a byte of some file that a charger which is down has kept, or removes the file.
    fn damage(&mut self, slot: usize) -> anyhow::Result<()> {
        let mut files = Vec::new();
        files_below(&self.folder.join(format!("state-{slot}")), &mut files)?;
        files.sort();
        if files.is_empty() {
            return Ok(());
        }
        let file = &files[usize::try_from(self.random.below(files.len() as u64))?];
        let mut bytes = std::fs::read(file)?;
        if bytes.is_empty() || self.random.percent(20) {
            std::fs::remove_file(file)?;
        } else {
            let place = usize::try_from(self.random.below(bytes.len() as u64))?;
            bytes[place] ^= 1 << self.random.below(8);
            std::fs::write(file, bytes)?;
        }
        self.damaged += 1;
        Ok(())
    }

    fn produce(&mut self) -> anyhow::Result<()> {
        let account = self.account();
        // A few identities are used again with another meaning.
        let id = if self.next_id > 0 && self.random.percent(5) {
            self.random.below(self.next_id)
        } else {
            self.next_id += 1;
            self.next_id
        };
        let id = format!("e{id}");
        let units = u32::try_from(self.random.below(9) + 1)?;
        let hold = if self.random.percent(40) { Some(self.some_hold()?) } else { None };
        // An event of another account's hold is charged like one without.
        let value = self.event_record(&account, &id, units, hold);
        self.truth.event(&account, &id, units, &value);
        let home = partition_of(&account, PARTITIONS);
        let partition = if self.random.percent(10) {
            Partition(u32::try_from(self.random.below(u64::from(PARTITIONS)))?)
        } else {
            home
        };
        let at = TopicPartition { topic: Topic::UsageRaw, partition };
        self.send(at, &account, value)
    }

    fn event_record(
        &mut self,
        account: &str,
        id: &str,
        units: u32,
        hold: Option<HoldName>,
    ) -> Vec<u8> {
        let meter = if self.random.percent(15) { "later" } else { "unit" };
        let time = self.clock.true_time();
        let hold = hold.map_or_else(String::new, |hold| {
            let action = if self.random.percent(60) { "settle" } else { "capture" };
            format!(r#""hold":"{hold}","hold_action":"{action}","#)
        });
        format!(
            r#"{{"specversion":"1.0","type":"tally.usage.v1","source":"/sim","id":"{id}","time":"{time}","subject":"{account}","data":{{{hold}"feature":"f","items":[{{"meter":"{meter}","quantity":"{units}"}}]}}}}"#
        )
        .into_bytes()
    }

    /// Usage that is only asked about.
    pub(crate) fn usage_record(&mut self, account: &str) -> anyhow::Result<Vec<u8>> {
        let units = u32::try_from(self.random.below(9) + 1)?;
        Ok(self.event_record(account, "estimate", units, None))
    }

    fn repeat(&mut self) -> anyhow::Result<()> {
        if self.sent.is_empty() {
            return Ok(());
        }
        let index = usize::try_from(self.random.below(self.sent.len() as u64))?;
        let (at, key, value) = self.sent[index].clone();
        self.truth.again(&value);
        self.send(at, &key, value)
    }

    fn broken(&mut self) -> anyhow::Result<()> {
        let partition = Partition(u32::try_from(self.random.below(u64::from(PARTITIONS)))?);
        let at = TopicPartition { topic: Topic::UsageRaw, partition };
        self.truth.broken += 1;
        self.append(at, "", b"{\"not\": \"an event\"")
    }

    fn grant(&mut self) -> anyhow::Result<()> {
        let account = self.account();
        self.next_id += 1;
        let id = format!("g{}", self.next_id);
        let credits = u32::try_from(self.random.below(30) + 1)?;
        let now = self.clock.true_time();
        let hours =
            |random: &mut Random| i64::try_from(random.below(48)).unwrap_or(0) * 3_600_000_000;
        let effective = self.random.percent(30).then(|| now.plus_micros(hours(&mut self.random)));
        let expires = self.random.percent(50).then(|| {
            effective.unwrap_or(now).plus_micros(86_400_000_000 * 60 + hours(&mut self.random))
        });
        let command = Command {
            account: Cow::Borrowed(&account),
            id: Cow::Borrowed(&id),
            actor: Cow::Borrowed("simulator"),
            reason: Cow::Borrowed("simulated"),
            deadline: None,
            correlation: self.random.below(2),
            within: Vec::new(),
            body: CommandBody::Grant(GrantTerms {
                credits: Credits::from_units(i64::from(credits)),
                category: Category::ALL[usize::try_from(self.random.below(3))?],
                priority: GrantTerms::PRIORITY_DEFAULT,
                effective,
                expires,
                paid: Money::from_units(1),
                currency: Some(domain::Currency::USD),
            }),
        };
        let mut value = Vec::new();
        wire::encode_command(&command, &mut value);
        self.truth.grant(&account, &id, credits);
        let partition = partition_of(&account, PARTITIONS);
        let at = TopicPartition { topic: Topic::LedgerCommands, partition };
        self.send(at, &account, value)
    }

    pub(crate) fn account(&mut self) -> String {
        format!("acct_{}", self.random.below(ACCOUNTS))
    }

    pub(crate) fn send(
        &mut self,
        at: TopicPartition,
        key: &str,
        value: Vec<u8>,
    ) -> anyhow::Result<()> {
        self.append(at, key, &value)?;
        self.sent.push((at, key.to_owned(), value));
        Ok(())
    }

    fn append(&mut self, at: TopicPartition, key: &str, value: &[u8]) -> anyhow::Result<()> {
        self.appender.append(Append { to: at, key: key.as_bytes(), value, headers: &[] })?;
        self.appender.flush()?;
        match at.topic {
            Topic::LedgerCommands => self.truth.commands += 1,
            _ => self.truth.records += 1,
        }
        Ok(())
    }

    fn publish(&mut self, kind: DocumentKind, toml: &str) -> anyhow::Result<()> {
        let now = self.clock.true_time();
        let version = CatalogueVersion {
            kind,
            id: Cow::Borrowed("any"),
            effective_from: Timestamp::ZERO,
            toml: Cow::Borrowed(toml),
            content: wire::document_hash(toml),
            published_at: now,
            actor: Cow::Borrowed("simulator"),
            reason: Cow::Borrowed("simulated"),
            retroactive: false,
        };
        let mut value = Vec::new();
        wire::encode_catalogue_version(&version, &mut value);
        let to = TopicPartition { topic: Topic::RatesCatalog, partition: Partition(0) };
        self.appender.append(Append { to, key: b"", value: &value, headers: &[] })?;
        self.appender.flush()?;
        Ok(())
    }

    /// One calm charger takes everything over and drains it.
    fn drain(&mut self, charger: &Charger) -> anyhow::Result<()> {
        let mut session = charger.join()?;
        let mut quiet = 0;
        for _ in 0..DRAIN_ROUNDS_MAX {
            let before = self.ledger_end()?;
            session.round()?;
            self.clock.pass(60_000);
            self.log.set_time(self.clock.true_time());
            quiet = if self.ledger_end()? == before { quiet + 1 } else { 0 };
            if quiet > 25 {
                session.give_up()?;
                return Ok(());
            }
        }
        bail!("a calm charger does not come to rest")
    }

    fn ledger_end(&self) -> anyhow::Result<i64> {
        let mut sum = 0;
        for partition in (0..PARTITIONS).map(Partition) {
            let at = TopicPartition { topic: Topic::LedgerEntries, partition };
            sum += self.log.bounds(at)?.end.0;
        }
        Ok(sum)
    }

    fn check(&self) -> anyhow::Result<u64> {
        let settings = DeepSettings {
            records_per_second: None,
            grace: Duration::ZERO,
            ..DeepSettings::new(PARTITIONS)
        };
        let verified = verify_deep(&self.log, &settings, &mut |_| true)?;
        let Verified { report, totals, .. } = verified;
        all_hold(&report)?;
        self.decide_again()?;
        if let Some((account, balance)) =
            totals.balances.iter().find(|(_, balance)| !balance.held.is_zero())
        {
            bail!("{account} still holds {} after every hold expired", balance.held);
        }
        let mut charged = Charged::default();
        let mut counts = ledger::Counts::default();
        for partition in (0..PARTITIONS).map(Partition) {
            self.read(partition, &mut charged, &mut counts)?;
        }
        self.truth.compare(&charged).map_err(|why| anyhow!(why))?;
        // Every record has its one outcome; a forwarded one has a second, where it was sent to.
        let ended = counts.total() - counts.get(Outcome::Empty) - counts.get(Outcome::Forwarded);
        let sent = self.truth.records + self.truth.commands;
        if ended != sent {
            bail!("{sent} inputs were sent, {ended} have an outcome");
        }
        let kept = self.dead_letters()?;
        if kept != counts.get(Outcome::DeadLetter) || kept != self.truth.broken {
            let counted = counts.get(Outcome::DeadLetter);
            let sent = self.truth.broken;
            bail!("{sent} records were broken, {counted} counted, {kept} kept");
        }
        Ok(totals.entries)
    }

    /// Today's charger decides the same from the inputs, to the last byte.
    fn decide_again(&self) -> anyhow::Result<()> {
        let settings = RawSettings { records_per_second: None, ..RawSettings::new(PARTITIONS) };
        let report = replay_raw(&self.log, &settings, &mut |_| true)?;
        if !report.holds() {
            bail!("decided again, it differs: {:?}", report.differences);
        }
        if report.same != report.decided || report.not_retained > 0 || report.followed > 0 {
            bail!("not everything was decided again: {report:?}");
        }
        Ok(())
    }

    fn dead_letters(&self) -> anyhow::Result<u64> {
        let mut kept = 0;
        for partition in (0..PARTITIONS).map(Partition) {
            let at = TopicPartition { topic: Topic::DeadLetters, partition };
            let end = self.log.bounds(at)?.stable_end;
            let mut reader = self.log.reader(&[(at, Offset::ZERO)])?;
            while reader.position(at) < end {
                kept += reader.poll(1_000, Duration::ZERO, &mut |_| ())? as u64;
            }
        }
        Ok(kept)
    }

    fn read(
        &self,
        partition: Partition,
        charged: &mut Charged,
        counts: &mut ledger::Counts,
    ) -> anyhow::Result<()> {
        let at = TopicPartition { topic: Topic::LedgerEntries, partition };
        let end = self.log.bounds(at)?.stable_end;
        let mut reader = self.log.reader(&[(at, Offset::ZERO)])?;
        let mut failed = None;
        let mut time = Timestamp::ZERO;
        let mut went_back = None;
        while reader.position(at) < end {
            reader.poll(1_000, Duration::ZERO, &mut |record| match wire::decode_ledger(
                record.value,
            ) {
                Ok(LedgerRecord::Entry(entry)) => match &entry.body {
                    Body::Debit(debit) => charged
                        .events
                        .entry((entry.account.to_string(), debit.event.id.to_string()))
                        .or_default()
                        .push(debit.credits),
                    Body::Grant(grant) => {
                        *charged.granted.entry(entry.account.to_string()).or_default() +=
                            grant.credits;
                    }
                    Body::Quarantined(quarantined) => {
                        let identity = (entry.account.to_string(), quarantined.id.to_string());
                        *charged.quarantined.entry(identity).or_default() += 1;
                    }
                    _ => {}
                },
                Ok(LedgerRecord::Seal(seal)) => {
                    if seal.ledger_time < time {
                        went_back = Some(seal.number);
                    }
                    time = seal.ledger_time;
                    counts.merge(&seal.counts);
                }
                Ok(LedgerRecord::Adopted(_)) => {}
                Err(error) => failed = Some(error),
            })?;
        }
        if let Some(seal) = went_back {
            bail!("partition {partition}: ledger time goes back at seal {seal}");
        }
        failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Every invariant was looked at, and holds.
fn all_hold(report: &Report) -> anyhow::Result<()> {
    if let Some(check) = report.checks.iter().find(|check| !check.holds()) {
        bail!("invariant {}, {}: {:?}", check.invariant, check.about, check.counterexamples);
    }
    if let Some(check) = report.checks.iter().find(|check| check.skipped > 0) {
        bail!("invariant {}, {}: {:?}", check.invariant, check.about, check.notes);
    }
    let looked_at = |number: u8| report.checks.iter().any(|check| check.invariant == number);
    match (1..=12).find(|number| !looked_at(*number)) {
        Some(number) => bail!("invariant {number} was not looked at"),
        None => Ok(()),
    }
}

fn files_below(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for found in std::fs::read_dir(folder)? {
        let path = found?.path();
        if path.is_dir() {
            files_below(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Errors after which a charger process would end, and start again.
fn settle<T>(result: Result<T, ChargerError>) -> anyhow::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ChargerError::Fenced(_) | ChargerError::Log(_)) => Ok(None),
        // An open transaction of a dead charger holds the ledger's end back until it expires.
        Err(ChargerError::Recover(RecoverError::Stalled { .. })) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
