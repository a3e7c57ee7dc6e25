//! One run of a class: set the scene, break it, wait until it is at rest, audit.

use std::time::{Duration, Instant};

use super::classes::Class;
use super::ground::{Disk, Ground, small_disk};
use super::scene::{Scene, Wanted};
use crate::audit::Findings;

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    pub class: &'static Class,
    pub wanted: Wanted,
    pub faults: u64,
    pub took: Duration,
    pub verdict: Verdict,
}

/// How it ended.
#[derive(Debug)]
pub enum Verdict {
    Sound {
        findings: Findings,
        /// From the last fault to rest.
        steady: Duration,
        /// Of the time, what the comparison took.
        audited: Duration,
        /// Services that ended by themselves, where they may, and were started again.
        restarts: u32,
        /// ClickHouse had lost what it had taken, and was made again from the ledger.
        rebuilt: bool,
    },
    /// Something was found: right for a broken build, wrong for a sound one.
    Found {
        why: String,
        /// Where logs and state are kept.
        kept: Option<std::path::PathBuf>,
    },
    /// The machine does not allow it.
    Skipped(&'static str),
}

impl Outcome {
    /// Whether it is as it must be.
    pub fn is_right(&self) -> bool {
        match &self.verdict {
            Verdict::Sound { .. } => self.wanted.broken.is_none(),
            Verdict::Found { .. } => self.wanted.broken.is_some(),
            Verdict::Skipped(_) => true,
        }
    }
}

/// Runs a class on a shared ground, or on one of its own when it fills the ground's disk.
///
/// # Errors
/// When the servers or the scene cannot be set up: nothing was tried.
pub fn run(shared: &mut Ground, class: &'static Class, wanted: Wanted) -> anyhow::Result<Outcome> {
    let started = Instant::now();
    let disk = small_disk(class.disk, wanted.events)?;
    let done =
        |faults, verdict| Outcome { class, wanted, faults, took: started.elapsed(), verdict };
    if class.disk != Disk::None && disk.is_none() {
        return Ok(done(0, Verdict::Skipped("no privilege to mount a small disk")));
    }
    let mut own;
    let (ground, disk) = match (class.disk, disk) {
        (Disk::Log | Disk::ClickHouse, Some(disk)) => {
            own = Ground::start(Some((class.disk, disk)))?;
            (&mut own, None)
        }
        (_, disk) => (shared, disk),
    };
    let mut scene = Scene::set(ground, class, wanted, disk)?;
    match play(&mut scene) {
        Ok(played) => {
            let (faults, restarts) = (scene.faults, scene.restarts);
            scene.clear()?;
            let Played { findings, steady, audited, rebuilt } = played;
            Ok(done(faults, Verdict::Sound { findings, steady, audited, restarts, rebuilt }))
        }
        Err(error) => {
            let faults = scene.faults;
            let why = format!("{error:#}");
            // What was found on a broken build is what was looked for; nobody looks into it.
            let kept = wanted.broken.is_none().then(|| scene.keep());
            Ok(done(faults, Verdict::Found { why, kept }))
        }
    }
}

struct Played {
    findings: Findings,
    steady: Duration,
    audited: Duration,
    rebuilt: bool,
}

fn play(scene: &mut Scene<'_>) -> anyhow::Result<Played> {
    scene.wait_until_under_way()?;
    while scene.faults < scene.wanted.faults {
        (scene.class.inject)(scene)?;
        scene.faults += 1;
        scene.pause(50, 300)?;
    }
    let steady = scene.come_to_rest()?;
    let started = Instant::now();
    let mut audit = scene.audit();
    // A ClickHouse without room may lose what it had taken. That is found; and it is only the projection.
    let rebuilt =
        audit.is_err() && scene.class.disk == Disk::ClickHouse && scene.wanted.broken.is_none();
    if rebuilt {
        scene.rebuild()?;
        audit = scene.audit();
    }
    Ok(Played { findings: audit?, steady, audited: started.elapsed(), rebuilt })
}
