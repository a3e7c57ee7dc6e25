//! `cargo xtask faults`: breaks things and audits, class by class.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use e2e::faults::classes::{CLASSES, Class};
use e2e::faults::ground::Ground;
use e2e::faults::report::{Sum, head, row};
use e2e::faults::run::{Verdict, run};
use e2e::faults::scene::Wanted;

const USAGE: &str = "\
cargo xtask faults [--class NAME]… [--seed N] [--events N] [--faults N] [--minutes M] [--broken] [--list]

Without --events, --faults and --minutes: every class once, with the proofs that it catches a broken build
(--broken: the proofs on real servers also where the simulator has them). With any of them: one round after another,
each on a deployment of its own, until so many events were sent and so many faults injected, or the minutes are over.
";
const SEED_DEFAULT: u64 = 2_026;
const SHORT_EVENTS: usize = 2_500;
const SHORT_WITHIN: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(240);
/// A broken build need not come to rest.
const BROKEN_PATIENCE: Duration = Duration::from_secs(12);
/// Two scenes at a time: most of a scene is waiting.
const LANES: usize = 2;
const ROUND_EVENTS_MAX: usize = 300_000;
const ROUND_EVENTS_PER_SECOND: f64 = 12_000.0;
const FAULTS_MIN: u64 = 4;
/// A new broker and a new ClickHouse after so many rounds, so that the disk does not fill.
const ROUNDS_PER_GROUND: u64 = 6;
/// A run goes on after a failure, to say whether there are more, but not for hours.
const WRONG_MAX: u64 = 3;
const SUM_LINE_EVERY: u64 = 10;

static STOP: AtomicBool = AtomicBool::new(false);

extern "C" fn on_signal(_signal: libc::c_int) {
    STOP.store(true, Ordering::Relaxed);
}

#[derive(Debug, Default)]
struct Arguments {
    classes: Vec<&'static Class>,
    seed: Option<u64>,
    events: Option<u64>,
    faults: Option<u64>,
    minutes: Option<u64>,
    broken: bool,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> anyhow::Result<Option<Arguments>> {
    let mut parsed = Arguments::default();
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().with_context(|| format!("{argument} wants a value"));
        match argument.as_str() {
            "--class" => {
                let name = value()?;
                let class = Class::of_name(&name).with_context(|| format!("no class {name}"))?;
                parsed.classes.push(class);
            }
            "--seed" => parsed.seed = Some(value()?.parse()?),
            "--events" => parsed.events = Some(value()?.parse()?),
            "--faults" => parsed.faults = Some(value()?.parse()?),
            "--minutes" => parsed.minutes = Some(value()?.parse()?),
            "--broken" => parsed.broken = true,
            "--list" => {
                for class in CLASSES {
                    println!(
                        "{:<22}{} (must catch {})",
                        class.name,
                        class.about,
                        class.proof.word()
                    );
                }
                return Ok(None);
            }
            _ => bail!("no such argument: {argument}\n{USAGE}"),
        }
    }
    if parsed.classes.is_empty() {
        parsed.classes = CLASSES.iter().collect();
    }
    Ok(Some(parsed))
}

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::ERROR)
        .with_writer(std::io::stderr)
        .init();
    let handler = on_signal as extern "C" fn(libc::c_int);
    // SAFETY: the handler does nothing but store to an atomic.
    unsafe {
        libc::signal(libc::SIGINT, handler as libc::sighandler_t);
        libc::signal(libc::SIGTERM, handler as libc::sighandler_t);
    }
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            return ExitCode::from(2);
        }
    };
    let long =
        arguments.events.is_some() || arguments.faults.is_some() || arguments.minutes.is_some();
    let done = if long { rounds(&arguments) } else { each_once(&arguments) };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every class once on a sound build, and on a broken one where nothing cheaper shows that it bites.
fn each_once(arguments: &Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or(SEED_DEFAULT);
    let started = Instant::now();
    let mut jobs: Vec<(&'static Class, Wanted)> = Vec::new();
    for class in &arguments.classes {
        let wanted = Wanted {
            seed,
            events: SHORT_EVENTS,
            within: SHORT_WITHIN,
            faults: class.faults,
            broken: None,
            patience: PATIENCE,
        };
        jobs.push((class, wanted));
        if arguments.broken || !class.proof_simulated {
            let broken = Some(class.proof);
            jobs.push((class, Wanted { broken, patience: BROKEN_PATIENCE, ..wanted }));
        }
    }
    // The longest last would run alone.
    jobs.sort_by_key(|(class, _)| class.faults);
    println!("seed {seed}");
    println!("{}", head());
    let jobs = Mutex::new(jobs);
    let sum = Mutex::new(Sum::default());
    let failed: Mutex<Option<anyhow::Error>> = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                if let Err(error) = lane(&jobs, &sum) {
                    *lock(&failed) = Some(error);
                }
            });
        }
    });
    let sum = *lock(&sum);
    println!("{}", sum.line(started.elapsed()));
    if let Some(error) = lock(&failed).take() {
        return Err(error);
    }
    Ok(sum.wrong == 0 && !STOP.load(Ordering::Relaxed))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

type Jobs = Mutex<Vec<(&'static Class, Wanted)>>;

fn lane(jobs: &Jobs, sum: &Mutex<Sum>) -> anyhow::Result<()> {
    let mut ground = Ground::start(None)?;
    while !STOP.load(Ordering::Relaxed) {
        let Some((class, wanted)) = lock(jobs).pop() else { break };
        let outcome = run(&mut ground, class, wanted)
            .with_context(|| format!("{} could not be set up", class.name))?;
        println!("{}", row(&outcome));
        lock(sum).add(&outcome);
        if matches!(outcome.verdict, Verdict::Found { .. }) {
            // Whatever was going on when it was found, the next begins on sound servers.
            ground = Ground::start(None)?;
        }
    }
    Ok(())
}

/// One class after another, larger, until there is enough, or enough is wrong.
fn rounds(arguments: &Arguments) -> anyhow::Result<bool> {
    let seed = arguments.seed.unwrap_or(SEED_DEFAULT);
    let started = Instant::now();
    let deadline = arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let mut sum = Sum::default();
    let mut ground = Ground::start(None)?;
    println!("seed {seed}; round n has seed + n");
    println!("{}", head());
    for round in 0_u64.. {
        let enough = sum.events >= arguments.events.unwrap_or(0)
            && sum.faults >= arguments.faults.unwrap_or(0)
            && (deadline.is_none() || arguments.events.is_some() || arguments.faults.is_some());
        let late = deadline.is_some_and(|deadline| started.elapsed() > deadline);
        if enough || late || STOP.load(Ordering::Relaxed) {
            break;
        }
        if round > 0 && round.is_multiple_of(ROUNDS_PER_GROUND) {
            drop(ground);
            ground = Ground::start(None)?;
        }
        let class = arguments.classes[round as usize % arguments.classes.len()];
        let outcome = run(&mut ground, class, large(class, seed + round, arguments))?;
        println!("{}", row(&outcome));
        sum.add(&outcome);
        if !outcome.is_right() {
            println!("again: cargo xtask faults --class {} --seed {}", class.name, seed + round);
            if sum.wrong >= WRONG_MAX {
                break;
            }
            // Whatever was going on when it was found, the next begins on sound servers.
            drop(ground);
            ground = Ground::start(None)?;
        }
        if (round + 1).is_multiple_of(SUM_LINE_EVERY) {
            println!("so far: {}", sum.line(started.elapsed()));
        }
    }
    println!("{}", sum.line(started.elapsed()));
    Ok(sum.wrong == 0)
}

/// A round: its share of what all rounds together are to come to.
fn large(class: &'static Class, seed: u64, arguments: &Arguments) -> Wanted {
    let (events, faults) = match (arguments.events, arguments.faults) {
        // Both sums are reached by the same number of rounds.
        (Some(events), Some(faults)) => {
            let rounds = events.div_ceil(ROUND_EVENTS_MAX as u64).max(1);
            (events.div_ceil(rounds), faults.div_ceil(rounds).max(FAULTS_MIN))
        }
        (Some(events), None) => (events, class.faults),
        (None, _) => (SHORT_EVENTS as u64 * 8, class.faults * 2),
    };
    // The load pauses for each version of a card; and a rebuild is as long as the load.
    let faults = if class.is_of_cards() || class.rebuilds { faults.min(4) } else { faults };
    let events = usize::try_from(events).unwrap_or(ROUND_EVENTS_MAX);
    let events = events.clamp(SHORT_EVENTS, ROUND_EVENTS_MAX);
    Wanted {
        seed,
        events,
        within: Duration::from_secs_f64(events as f64 / ROUND_EVENTS_PER_SECOND).max(SHORT_WITHIN),
        faults,
        broken: None,
        patience: PATIENCE * 3,
    }
}
